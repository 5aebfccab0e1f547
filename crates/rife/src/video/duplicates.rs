//! Report on a clip's repeated frames (animation on twos, raised frame rates): detection without interpolation.

use std::fmt;

use rife_media::counted;
use rife_media::scene::Role;
use rife_media::timeline::Paced;
use rife_media::{CancelToken, Time, open_source, time};

use super::VideoJob;
use crate::stream::{Analyzer, Decided};
use crate::{Error, Result};

/// Maximum distance in frames of two repeated frames of the same range.
const MAX_GAP: u64 = 12;

/// A range of frames of the clip in which frames are repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct DuplicateRange {
    /// Zero-based numbers of the first and the last frame.
    pub frames: [u64; 2],
    /// Times of the first and the last frame in seconds.
    pub times: [Time; 2],
    /// Number of frames that are equal to the previous one.
    pub held: u64,
    /// Number of distinct frames whose timestamps would be changed, so that they are evenly spaced.
    pub retimed: u64,
}

impl DuplicateRange {
    /// Returns the number of frames per distinct frame: 2 on twos, 3 on threes, 1.25 if every fifth frame is repeated.
    pub fn frames_each(&self) -> f64 {
        let frames = self.frames[1] - self.frames[0] + 1;
        frames as f64 / frames.saturating_sub(self.held).max(1) as f64
    }

    /// Names the pattern of repetition, for people: animation on twos, a raised frame rate...
    pub fn pattern(&self) -> &'static str {
        match self.frames_each() {
            _ if self.held == 1 => "one repeated frame",
            each if self.retimed > 0 && each < 1.5 => "a raised rate, one repeat in each period",
            each if (1.8..2.2).contains(&each) => "on twos",
            each if (2.7..3.3).contains(&each) => "on threes",
            each if (3.6..4.4).contains(&each) => "on fours",
            _ => "irregular",
        }
    }
}

/// The repeated frames of a clip.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DuplicatesReport {
    /// Total number of frames.
    pub frames: u64,
    /// Number of frames whose timestamp is not greater than the previous frame's; a video job always drops them.
    pub dropped: u64,
    /// Number of frames that are equal to the previous one although the scene moves.
    pub held: u64,
    /// Number of distinct frames whose timestamps would be changed, so that they are evenly spaced.
    pub retimed: u64,
    /// Number of scene cuts.
    pub cuts: u64,
    /// Number and time in seconds of the first frame of each new shot, in order.
    pub cut_frames: Vec<(u64, Time)>,
    /// Time of the first frame in seconds.
    pub start: Time,
    /// The ranges with repeated frames, in order.
    pub ranges: Vec<DuplicateRange>,
}

impl DuplicatesReport {
    /// Counts a frame and adds it to a range if it is repeated or moved.
    fn add(&mut self, frame: &Decided) {
        if self.frames == 0 {
            self.start = frame.frame.pts;
        }
        self.frames += 1 + frame.dropped_before;
        self.dropped += frame.dropped_before;
        if frame.verdict.cut {
            self.cuts += 1;
            self.cut_frames.push((frame.number, frame.frame.pts));
        }
        let retimed = matches!(frame.verdict.role, Role::Anchor(time) if time != frame.frame.pts);
        let held = frame.verdict.role == Role::Held;
        self.held += u64::from(held);
        self.retimed += u64::from(retimed);
        if held || retimed {
            self.extend_range(frame, held);
        }
    }

    /// Extends the last range by a repeated (`held`) or moved frame, or starts a new one after a cut or a gap; a range
    /// starts with the frame that is repeated.
    fn extend_range(&mut self, frame: &Decided, held: bool) {
        let (number, at) = (frame.number, frame.frame.pts);
        let near = self
            .ranges
            .last_mut()
            .filter(|range| !frame.verdict.cut && number - range.frames[1] <= MAX_GAP);
        if let Some(range) = near {
            (range.frames[1], range.times[1]) = (number, at);
            range.held += u64::from(held);
            range.retimed += u64::from(!held);
            return;
        }
        self.ranges.push(DuplicateRange {
            frames: [number.saturating_sub(u64::from(held)), number],
            times: [at, at],
            held: u64::from(held),
            retimed: u64::from(!held),
        });
    }
}

impl VideoJob {
    /// Decodes the source and reports which frames are repeated and what
    /// [`Duplicates::Smooth`](super::Duplicates::Smooth) would change. `progress` is called with the number of frames
    /// decided. The network is not run and nothing is written.
    ///
    /// # Errors
    /// Those of opening and reading the source; [`Error::Cancelled`].
    pub fn report_duplicates(
        &self,
        cancel: &CancelToken,
        progress: &mut dyn FnMut(u64),
    ) -> Result<DuplicatesReport> {
        let mut spec = self.source.clone();
        spec.cancel = cancel.clone();
        let source = open_source(&spec)?;
        let info = source.info().clone();
        self.timeline(&info)?;
        let mut options = self.analysis();
        options.duplicates = true;
        let mut analyzer = Analyzer::new(options, info.tags);
        let mut report = DuplicatesReport::default();
        let mut source = Paced::new(source);
        while let Some((frame, pause)) = source.next_frame()? {
            analyzer
                .push(frame, pause)
                .iter()
                .for_each(|frame| report.add(frame));
            progress(report.frames);
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
        }
        let (rest, dropped) = analyzer.finish();
        rest.iter().for_each(|frame| report.add(frame));
        report.frames += dropped;
        report.dropped += dropped;
        Ok(report)
    }
}

impl fmt::Display for DuplicatesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}, {} only repeating the one before",
            counted(self.frames, "frame"),
            counted(self.cuts, "cut"),
            counted(self.held, "frame")
        )?;
        if self.dropped > 0 {
            write!(
                f,
                ", {} of a time that does not advance (always left out)",
                counted(self.dropped, "frame")
            )?;
        }
        for range in &self.ranges {
            let ([first, last], [from, to]) = (range.frames, range.times.map(time::seconds));
            write!(
                f,
                "\n  frames {first} to {last} ({from:.3} to {to:.3} s): {}",
                range.pattern()
            )?;
            write!(f, ", {} repeated", range.held)?;
            if range.retimed > 0 {
                write!(f, ", {} to be moved to their even place", range.retimed)?;
            }
        }
        match self.held {
            0 => write!(f, "\nnothing would be changed"),
            _ => write!(
                f,
                "\nsmooth, the default, leads motion evenly through these times; keep leaves it"
            ),
        }
    }
}
