//! What would become of a clip's repeated frames, without doing it.

use std::fmt;

use rife_media::counted;
use rife_media::scene::Role;
use rife_media::timeline::Paced;
use rife_media::{CancelToken, Time, open_source, time};

use super::VideoJob;
use crate::stream::{Ahead, Decided};
use crate::{Error, Result};

/// Frames between two repeated ones that still belong to the same stretch.
const SAME_STRETCH: u64 = 12;

/// A part of the clip in which frames are repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// Numbers of its first and last frames.
    pub frames: [u64; 2],
    /// Their times in the source.
    pub times: [Time; 2],
    /// Frames that only repeat the one before.
    pub held: u64,
    /// Distinct frames that would be moved to their even place.
    pub retimed: u64,
}

impl Stretch {
    /// Of how many frames one is distinct: 2 on twos, 3 on threes, 1.25 where every fifth frame is repeated.
    pub fn frames_each(&self) -> f64 {
        let frames = self.frames[1] - self.frames[0] + 1;
        frames as f64 / frames.saturating_sub(self.held).max(1) as f64
    }

    /// What it looks like: animation on twos, a raised rate...
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
    /// All frames.
    pub frames: u64,
    /// Those whose time does not advance, which are always left out.
    pub dropped: u64,
    /// Those that only repeat the one before while motion goes on.
    pub held: u64,
    /// Distinct frames that would be moved to their even place.
    pub retimed: u64,
    /// Cuts.
    pub cuts: u64,
    /// Where.
    pub stretches: Vec<Stretch>,
}

impl DuplicatesReport {
    fn take(&mut self, frame: &Decided) {
        self.frames += 1 + frame.dropped_before;
        self.dropped += frame.dropped_before;
        self.cuts += u64::from(frame.verdict.cut);
        let retimed = matches!(frame.verdict.role, Role::Anchor(time) if time != frame.frame.pts);
        let held = frame.verdict.role == Role::Held;
        self.held += u64::from(held);
        self.retimed += u64::from(retimed);
        if held || retimed {
            self.mark(frame, held);
        }
    }

    /// Puts a frame to the stretch that it belongs to; a stretch starts with the frame that is repeated.
    fn mark(&mut self, frame: &Decided, held: bool) {
        let (number, at) = (frame.number, frame.frame.pts);
        let near = self
            .stretches
            .last_mut()
            .filter(|stretch| !frame.verdict.cut && number - stretch.frames[1] <= SAME_STRETCH);
        if let Some(stretch) = near {
            (stretch.frames[1], stretch.times[1]) = (number, at);
            stretch.held += u64::from(held);
            stretch.retimed += u64::from(!held);
            return;
        }
        self.stretches.push(Stretch {
            frames: [number.saturating_sub(u64::from(held)), number],
            times: [at, at],
            held: u64::from(held),
            retimed: u64::from(!held),
        });
    }
}

impl VideoJob {
    /// Decodes the whole source and tells which frames only repeat others and what [`Duplicates::Smooth`](super::Duplicates::Smooth) would do. No
    /// network is run and nothing is written.
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
        let mut ahead = Ahead::new(options, info.tags);
        let mut report = DuplicatesReport::default();
        let mut source = Paced::new(source);
        while let Some((frame, pause)) = source.next_frame()? {
            ahead
                .push(frame, pause)
                .iter()
                .for_each(|frame| report.take(frame));
            progress(report.frames);
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
        }
        let (rest, dropped) = ahead.finish();
        rest.iter().for_each(|frame| report.take(frame));
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
        for stretch in &self.stretches {
            let ([first, last], [from, to]) = (stretch.frames, stretch.times.map(time::seconds));
            write!(
                f,
                "\n  frames {first} to {last} ({from:.3} to {to:.3} s): {}",
                stretch.pattern()
            )?;
            write!(f, ", {} repeated", stretch.held)?;
            if stretch.retimed > 0 {
                write!(f, ", {} to be moved to their even place", stretch.retimed)?;
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
