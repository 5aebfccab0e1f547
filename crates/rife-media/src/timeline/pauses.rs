//! Pause detection for variable frame rates. Screen, phone and game recorders write a frame only when something changes, so
//! a static image is one long interval among short ones; nothing is interpolated in it.
//!
//! An interval is a pause relative to the intervals around it (the mean rate would be lowered by the pauses themselves):
//! - from 0.2 s on, where it is at least five times as long as the usual one, the lower
//!   quartile of the [`BEHIND`] intervals before it and the [`AHEAD`] after it;
//! - from 1 s on, unless the intervals around it are regular, as in a time lapse.

use std::collections::VecDeque;

use num_rational::Ratio;

use crate::time::widen;
use crate::{Frame, Result, Source, Time};

/// Number of intervals before a frame interval that give the usual length for pause detection.
pub const BEHIND: usize = 12;
/// Number of intervals after a frame interval that give the usual length for pause detection: as many frames are read ahead.
pub const AHEAD: usize = 4;
/// Minimum length of a pause in seconds.
pub(super) const SHORTEST: Ratio<i128> = Ratio::new_raw(1, 5);
/// Minimum ratio of a pause to the usual interval.
pub(super) const TIMES_USUAL: i128 = 5;
/// Length in seconds from which an interval among irregular ones is a pause.
const LONGEST_IRREGULAR: Ratio<i128> = Ratio::new_raw(1, 1);

/// Reports whether a frame interval is a pause among the intervals `around` it, all in seconds; false where `around` is
/// empty.
pub fn is_pause(interval: Time, around: &[Time]) -> bool {
    let around: Vec<_> = around.iter().copied().map(widen).collect();
    is_long(widen(interval), around, TIMES_USUAL)
}

/// Reports whether an interval of 0.2 s or more is at least `times` as long as the lower quartile of `around`, or 1 s or
/// more among irregular ones; false where `around` is empty.
pub(crate) fn is_long(interval: Ratio<i128>, mut around: Vec<Ratio<i128>>, times: i128) -> bool {
    around.sort_unstable();
    let Some(usual) = around.get(around.len() / 4) else {
        return false;
    };
    interval >= SHORTEST
        && (interval >= *usual * times || (interval >= LONGEST_IRREGULAR && !is_regular(&around)))
}

/// Reports whether at least three quarters of the intervals, sorted by length, are within 25 % of the median.
fn is_regular(around: &[Ratio<i128>]) -> bool {
    let middle = around[around.len() / 2];
    let near = |interval: &&Ratio<i128>| **interval * 4 >= middle * 3 && **interval * 4 <= middle * 5;
    around.iter().filter(near).count() * 4 >= around.len() * 3
}

/// Streaming pause detector: returns each frame with whether a pause precedes it, delayed by [`AHEAD`] frames.
#[derive(Debug, Default)]
pub struct Pauses {
    /// The last intervals, up to [`BEHIND`], in seconds.
    behind: VecDeque<Time>,
    /// Time of the last returned frame.
    last: Option<Time>,
    /// Frames that were added and not returned.
    waiting: VecDeque<Frame>,
}

impl Pauses {
    /// Adds the next frame; returns the frame that is now decided, with true where a pause precedes it.
    pub fn push(&mut self, frame: Frame) -> Option<(Frame, bool)> {
        self.waiting.push_back(frame);
        if self.waiting.len() > AHEAD {
            self.pop()
        } else {
            None
        }
    }

    /// Returns the next waiting frame, with true where a pause precedes it, after the last frame was added; `None` where
    /// none waits.
    pub fn pop(&mut self) -> Option<(Frame, bool)> {
        let frame = self.waiting.pop_front()?;
        let pause = self.pause_before(frame.pts);
        Some((frame, pause))
    }

    /// Reports whether a pause precedes the next frame, at `pts`, and records the interval; false and not recorded where the
    /// time does not advance.
    fn pause_before(&mut self, pts: Time) -> bool {
        let last = self.last.filter(|last| *last < pts);
        if self.last.is_some() && last.is_none() {
            return false;
        }
        self.last = Some(pts);
        let Some(last) = last else {
            return false;
        };
        let mut around: Vec<Time> = self.behind.iter().copied().collect();
        let mut from = pts;
        for frame in self.waiting.iter().filter(|frame| frame.pts > pts) {
            around.extend(interval(from, frame.pts));
            from = from.max(frame.pts);
        }
        let Some(interval) = interval(last, pts) else {
            return false;
        };
        self.behind.push_back(interval);
        if self.behind.len() > BEHIND {
            self.behind.pop_front();
        }
        is_pause(interval, &around)
    }
}

/// A source whose frames are returned with whether a pause precedes them; reads [`AHEAD`] frames ahead.
pub struct Paced {
    source: Box<dyn Source>,
    pauses: Pauses,
    ended: bool,
}

impl std::fmt::Debug for Paced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paced")
            .field("pauses", &self.pauses)
            .finish_non_exhaustive()
    }
}

impl Paced {
    /// Wraps `source`.
    pub fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            pauses: Pauses::default(),
            ended: false,
        }
    }

    /// Returns the warnings of the wrapped source, see [`Source::warnings`].
    pub fn warnings(&self) -> Vec<String> {
        self.source.warnings()
    }

    /// Returns the next frame, with true where a pause precedes it; `None` after the last.
    ///
    /// # Errors
    /// Errors of [`Source::next_frame`].
    pub fn next_frame(&mut self) -> Result<Option<(Frame, bool)>> {
        while !self.ended {
            match self.source.next_frame()? {
                Some(frame) => {
                    if let Some(next) = self.pauses.push(frame) {
                        return Ok(Some(next));
                    }
                }
                None => self.ended = true,
            }
        }
        Ok(self.pauses.pop())
    }
}

/// Returns the seconds from one frame to the next; `None` where time does not advance.
fn interval(from: Time, to: Time) -> Option<Time> {
    crate::time::narrow(widen(to) - widen(from)).filter(|interval| *interval > Time::from(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(intervals: &[i64]) -> Vec<usize> {
        let times: Vec<Time> = intervals.iter().map(|&ms| Time::new(ms, 1000)).collect();
        let is_pause = |&k: &usize| {
            let mut around = times[k.saturating_sub(BEHIND)..k].to_vec();
            around.extend(times[k + 1..].iter().take(AHEAD));
            super::is_pause(times[k], &around)
        };
        (0..times.len()).filter(is_pause).collect()
    }

    #[test]
    fn pauses_are_told_from_motion_by_what_is_usual_around_them() {
        let bursts = |pause: i64, short: i64, motion: usize| -> Vec<i64> {
            (0..40)
                .map(|k| if k % (motion + 1) == motion { pause } else { short })
                .collect()
        };
        for (pause, short, motion) in [
            (4000, 17, 3),
            (4000, 17, 6),
            (200, 17, 8),
            (200, 33, 10),
            (200, 40, 10),
            (12_000, 33, 2),
            (900, 17, 1),
        ] {
            let found = pauses(&bursts(pause, short, motion));
            let expected: Vec<_> = (0..40).filter(|k| k % (motion + 1) == motion).collect();
            assert_eq!(found, expected, "{pause} ms amid {motion} of {short} ms");
        }
        assert_eq!(pauses(&[3000, 17, 17, 17, 17]), [0], "before all motion");
        assert_eq!(pauses(&[17, 17, 17, 17, 3000]), [4], "after it");
        let lone = [2000, 5000, 1200, 9000, 3000, 400, 1500, 7000, 2500, 4000];
        assert_eq!(pauses(&lone).len(), 9, "lone changes of a screen: all but 400 ms");
    }

    #[test]
    fn low_rates_and_jitter_are_no_pauses() {
        for (name, intervals) in [
            ("1 fps", vec![1000; 30]),
            ("a time lapse of 10 s", vec![10_000; 30]),
            ("5 fps", vec![200; 30]),
            ("5 fps with jitter", [150, 260, 190, 210, 240, 130].repeat(5)),
            ("1 fps with jitter", [900, 1100, 1050, 980, 1000, 960].repeat(5)),
            (
                "1 fps with a lost frame",
                [vec![1000; 12], vec![2000], vec![1000; 12]].concat(),
            ),
            ("telecine", [33, 50, 33, 50, 42].repeat(8)),
            (
                "animation on twos to fours, repeats left out",
                [83, 125, 83, 167, 42, 83].repeat(6),
            ),
            (
                "dim light: from 30 to 15 and 8",
                [33, 67, 33, 133, 67, 125].repeat(6),
            ),
            ("lost frames", [33, 33, 100, 33, 33, 133, 33].repeat(5)),
            ("one interval", vec![4000]),
        ] {
            assert!(pauses(&intervals).is_empty(), "{name}: {:?}", pauses(&intervals));
        }
    }
}
