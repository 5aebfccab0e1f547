//! Memory estimate of an image job, by measurement: the job's steps are run on constant images, at 128x128 and at the job's
//! size (at most 512x512). The difference of the peaks is scaled by the number of pixels; the first is the constant share
//! (weights, working memory of the threads).

use std::fs;

use super::sequence::{FrameReceiver, FrameSequence, Step};
use super::{Coding, ImageJob};
use crate::{Error, Interpolator, Result};

/// Sides of the squares that are measured: for the constant share, and the maximum for the share per pixel.
const SIDES: [u32; 2] = [128, 512];
/// Number of computed frames after which memory does not grow any more.
const FRAMES: usize = 4;
/// Assumed bytes per pixel and constant bytes where the system does not report memory.
const ASSUMED: (u64, u64) = (380, 30_000_000);

/// Returns the peak resident memory of this process in bytes (Linux only).
pub(super) fn peak() -> Option<u64> {
    process_memory("VmHWM:")
}

/// Returns the value of a line of `/proc/self/status`, such as `VmRSS:`, in bytes.
fn process_memory(key: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// Estimates the job's peak memory without a limit, and the peak size of its temporary files, in bytes.
pub(super) fn estimate(job: &ImageJob, coding: &Coding, interpolator: &Interpolator) -> Result<(u64, u64)> {
    let multiple = interpolator.version().size_multiple(job.interpolator.scale) as u32;
    let pixels = |[width, height]: [u32; 2]| {
        u64::from(width.next_multiple_of(multiple)) * u64::from(height.next_multiple_of(multiple))
    };
    let wanted = pixels(coding.size);
    let disk = disk(job, coding, interpolator);
    let [small, square] = SIDES.map(|side| [side.next_multiple_of(multiple); 2]);
    let size = if wanted <= pixels(square) {
        coding.size
    } else {
        square
    };
    let trials = Interpolator::new(&job.interpolator)?;
    trial(job, coding, &trials, small)?;
    let before = process_memory("VmRSS:");
    trial(job, coding, &trials, size)?;
    let Some((before, peak)) = before.zip(peak()) else {
        return Ok((ASSUMED.1 + ASSUMED.0 * wanted, disk));
    };
    let growth = wanted as f64 / pixels(size) as f64;
    Ok((
        before + (peak.saturating_sub(before) as f64 * growth) as u64,
        disk,
    ))
}

/// Computes the peak size of temporary files in bytes: one frame of f32 planes per pass of recursive bisection but the last.
fn disk(job: &ImageJob, coding: &Coding, interpolator: &Interpolator) -> u64 {
    let super::Timesteps::Exp(passes) = job.timesteps else {
        return 0;
    };
    if job.storage == super::Storage::Memory || !interpolator.recursive() {
        return 0;
    }
    let [width, height] = coding.size.map(u64::from);
    let planes = if coding.format.alpha { 4 } else { 3 };
    u64::from(passes - 1) * planes * 4 * width * height
}

/// Runs the job's steps on constant images of `size`, up to [`FRAMES`] computed frames.
fn trial(job: &ImageJob, coding: &Coding, interpolator: &Interpolator, size: [u32; 2]) -> Result<()> {
    let times = job.timesteps.timesteps()?;
    let mut sequence = FrameSequence::new(interpolator, &times, job.storage)?;
    let mut trial = Trial {
        coding,
        made: 0,
        raw: Vec::new(),
    };
    for _ in 0..2 {
        match sequence.push(&mut || Ok(coding.blank(size)), &mut trial) {
            Err(Error::Cancelled) => break,
            other => other?,
        }
    }
    Ok(())
}

/// Receiver that converts frames as a sink does, and cancels the job after [`FRAMES`] computed frames.
struct Trial<'a> {
    coding: &'a Coding,
    /// Number of computed frames.
    made: usize,
    /// The last frame as it would be sent to an encoder.
    raw: Vec<u8>,
}

impl FrameReceiver for Trial<'_> {
    fn wanted(&self, _ahead: usize) -> bool {
        true
    }

    fn skip(&mut self) -> Result<()> {
        Ok(())
    }

    /// Converts a frame as for an encoder and discards it.
    fn write(&mut self, step: Step) -> Result<()> {
        let coding = self.coding;
        let frame = coding.frame(&step, coding.format, &coding.tags);
        self.raw.clear();
        frame.to_raw(&mut self.raw);
        self.made += usize::from(matches!(step, Step::Made(_)));
        if self.made == FRAMES {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}
