//! How much memory a job will take, measured: the job's own steps are run with blank pictures, at its size where that
//! is small, else at a small one. What that takes beyond a run at a very small one grows in proportion to the pixels;
//! the rest (weights, each thread's working memory) does not.

use std::fs;

use super::walk::{Step, Walk};
use super::{Coding, ImageJob};
use crate::{Error, Interpolator, Result};

/// The sides of the squares that are measured: one to get everything that does not grow, one for what does.
const SIDES: [u32; 2] = [128, 512];
/// Frames after which a trial has taken all it will ever take.
const FRAMES: usize = 4;
/// What is assumed where the system does not tell: bytes a pixel, and of the program itself.
const ASSUMED: (u64, u64) = (380, 30_000_000);

/// The most memory that this process has held, in bytes (Linux).
pub(super) fn peak() -> Option<u64> {
    held("VmHWM:")
}

/// A line of what the system says of this process, in bytes.
fn held(what: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// The most memory and the most disk that the job will take, in bytes.
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
    let before = held("VmRSS:");
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

/// Frames that wait on disk at once: one a pass but the last.
fn disk(job: &ImageJob, coding: &Coding, interpolator: &Interpolator) -> u64 {
    let super::Between::Exp(passes) = job.between else {
        return 0;
    };
    if job.waiting == super::Waiting::Memory || !interpolator.recursive() {
        return 0;
    }
    let [width, height] = coding.size.map(u64::from);
    let planes = if coding.format.alpha { 4 } else { 3 };
    u64::from(passes - 1) * planes * 4 * width * height
}

/// Runs the job's steps with pictures of `size`, until they take no more.
fn trial(job: &ImageJob, coding: &Coding, interpolator: &Interpolator, size: [u32; 2]) -> Result<()> {
    let times = job.between.timesteps()?;
    let mut walk = Walk::new(interpolator, &times, job.waiting)?;
    let mut frames = 0;
    let mut raw = Vec::new();
    let mut emit = |step: Step| {
        raw.clear();
        coding.frame(&step, coding.format, &coding.tags).to_raw(&mut raw);
        frames += usize::from(matches!(step, Step::Made(_)));
        if frames == FRAMES {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    };
    for _ in 0..2 {
        match walk.push(coding.blank(size), &mut emit) {
            Err(Error::Cancelled) => break,
            other => other?,
        }
    }
    Ok(())
}
