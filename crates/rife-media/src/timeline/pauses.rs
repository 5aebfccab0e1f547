//! Variable frame rate: which intervals between frames are pauses. Recorders of screens, phones and games write a frame
//! only where something has changed, so a picture that rests for seconds is one long interval among short ones. Nothing
//! moves in it: the picture is shown until the next one comes.
//!
//! An interval is a pause by what is usual around it, never by the mean rate, which pauses themselves bring down:
//! - one of 0.2 s or more that is at least five times as long as the usual one, which is the lower
//!   quartile of the [`BEHIND`] intervals before it and the [`AHEAD`] after it;
//! - one of a second or more, unless the rate around it is low but regular, as that of a time lapse is.

use std::collections::VecDeque;

use num_rational::Ratio;

use crate::time::widen;
use crate::{Frame, Result, Source, Time};

/// Intervals before one that tell what is usual.
pub const BEHIND: usize = 12;
/// Intervals after one that tell what is usual: so many frames are read ahead.
pub const AHEAD: usize = 4;
/// No shorter interval is a pause, in seconds.
pub(super) const SHORTEST: Ratio<i128> = Ratio::new_raw(1, 5);
/// How many times the usual interval a pause is at least.
pub(super) const TIMES_USUAL: i128 = 5;
/// The longest interval, in seconds, that is motion however irregular those around it are.
const LONGEST_IRREGULAR: Ratio<i128> = Ratio::new_raw(1, 1);

/// Whether an interval is a pause, among those `around` it. With none around there is nothing to tell it by, and it is
/// not.
pub fn is_pause(interval: Time, around: &[Time]) -> bool {
    let around: Vec<_> = around.iter().copied().map(widen).collect();
    is_long(widen(interval), around, TIMES_USUAL)
}

/// As [`is_pause`], where a pause has `times` the usual length.
pub(crate) fn is_long(interval: Ratio<i128>, mut around: Vec<Ratio<i128>>, times: i128) -> bool {
    around.sort_unstable();
    let Some(usual) = around.get(around.len() / 4) else {
        return false;
    };
    interval >= SHORTEST
        && (interval >= *usual * times || (interval >= LONGEST_IRREGULAR && !is_regular(&around)))
}

/// Whether three of four intervals, which are in order of length, lie within a quarter of the middle one.
fn is_regular(around: &[Ratio<i128>]) -> bool {
    let middle = around[around.len() / 2];
    let near = |interval: &&Ratio<i128>| **interval * 4 >= middle * 3 && **interval * 4 <= middle * 5;
    around.iter().filter(near).count() * 4 >= around.len() * 3
}

/// Frames in order, each with whether a pause lies before it; [`AHEAD`] frames wait for that.
#[derive(Debug, Default)]
pub struct Pauses {
    /// Intervals before the last frame given, and its time.
    behind: VecDeque<Time>,
    last: Option<Time>,
    waiting: VecDeque<Frame>,
}

impl Pauses {
    /// Takes the next frame; gives the one before which is now known whether a pause lies.
    pub fn push(&mut self, frame: Frame) -> Option<(Frame, bool)> {
        self.waiting.push_back(frame);
        if self.waiting.len() > AHEAD {
            self.pop()
        } else {
            None
        }
    }

    /// The next of the frames that wait, after the last one was pushed; nothing when none does.
    pub fn pop(&mut self) -> Option<(Frame, bool)> {
        let frame = self.waiting.pop_front()?;
        let pause = self.pause_before(frame.pts);
        Some((frame, pause))
    }

    /// Whether the next frame, at `pts`, comes after a pause. Times that do not advance count for nothing.
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

/// A source whose frames come with whether a pause lies before each; [`AHEAD`] frames are read ahead for that.
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
    /// Frames of `source` from here on.
    pub fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            pauses: Pauses::default(),
            ended: false,
        }
    }

    /// As [`Source::warnings`].
    pub fn warnings(&self) -> Vec<String> {
        self.source.warnings()
    }

    /// The next frame, and whether a pause lies before it; nothing after the last.
    ///
    /// # Errors
    /// Those of [`Source::next_frame`].
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

/// The time from one frame to the next; nothing where it does not advance.
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
