//! Anchor assignment: assigns each output frame to the two anchors around it (distinct source frames, at their corrected
//! times) and computes the timestep between them. Output times stay those of the timeline; only timesteps change where
//! repeated frames are skipped or anchors are retimed.

use std::collections::VecDeque;

use num_rational::Ratio;

use super::OutputFrame;
use crate::time::{Time, narrow, widen};
use crate::{MediaError, Result};

/// The output frames at or after one anchor (a distinct source frame) and before the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Index of the anchor, from 0 in the order given to [`Anchors::anchor`].
    pub left: u64,
    /// The frames; `timestep` is relative to this anchor (0) and the next one (1), 0 after the last anchor.
    pub frames: Vec<OutputFrame>,
}

/// Streaming assignment of output frames to anchors.
#[derive(Debug)]
pub struct Anchors {
    /// Factor from source times to output times.
    stretch: Ratio<i128>,
    /// Times of the anchors still needed, in seconds, each with true where a pause precedes it.
    times: VecDeque<(Ratio<i128>, bool)>,
    /// Index of the first element of `times`.
    first: u64,
    /// Output frames that wait for the anchor after them, with their times in the source.
    waiting: VecDeque<(Ratio<i128>, OutputFrame)>,
}

impl Anchors {
    /// Creates an assignment without anchors; output times are source times multiplied by `stretch`.
    pub fn new(stretch: Ratio<i64>) -> Self {
        Self {
            stretch: widen(stretch),
            times: VecDeque::new(),
            first: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Adds the next anchor at `time` in seconds, later than the previous one. `pause` tells whether a pause precedes it,
    /// during which all frames show the previous anchor.
    pub fn anchor(&mut self, time: Time, pause: bool) {
        self.times.push_back((widen(time), pause));
    }

    /// Adds the next output frames, in order, and returns the frames whose anchors are known. All output frames before the
    /// source time `until` (seconds) have been added then.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where numerator or denominator of a timestep exceeds 64 bits.
    pub fn push(&mut self, frames: &[OutputFrame], until: Time) -> Result<Vec<Placed>> {
        self.wait(frames);
        let until = widen(until);
        let mut placed = Vec::new();
        while let Some(&right) = self.times.get(1).filter(|(right, _)| *right <= until) {
            let ready = self.waiting.iter().take_while(|(at, _)| *at < right.0).count();
            placed.extend(self.assign(ready, Some(right))?);
            self.times.pop_front();
            self.first += 1;
        }
        Ok(placed)
    }

    /// Adds the last output frames and returns all remaining ones; those after the last anchor show it.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where numerator or denominator of a timestep exceeds 64 bits.
    pub fn finish(mut self, frames: &[OutputFrame]) -> Result<Vec<Placed>> {
        let end = self.times.back().map_or(Ratio::from(0), |(time, _)| *time);
        let end = narrow(end).ok_or_else(|| MediaError::limit("a time", end, "times up to 3 years"))?;
        let mut placed = self.push(frames, end)?;
        placed.extend(self.assign(self.waiting.len(), None)?);
        Ok(placed)
    }

    /// Returns the index of the first anchor that further output frames may need.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Appends output frames to the waiting ones, with their times in the source.
    fn wait(&mut self, frames: &[OutputFrame]) {
        let stretch = self.stretch;
        let in_source = |frame: &OutputFrame| (widen(frame.pts) / stretch, *frame);
        self.waiting.extend(frames.iter().map(in_source));
    }

    /// Assigns the first `count` waiting frames to the first anchor; `right` is the next anchor (time, pause before it).
    /// `None` where there are no frames or no anchor.
    fn assign(&mut self, count: usize, right: Option<(Ratio<i128>, bool)>) -> Result<Option<Placed>> {
        let Some(&(left, _)) = self.times.front().filter(|_| count > 0) else {
            return Ok(None);
        };
        let step = |at: Ratio<i128>| match right {
            Some((right, false)) => (at - left) / (right - left),
            Some((_, true)) | None => Ratio::from(0),
        };
        let frame = |(at, frame): (Ratio<i128>, OutputFrame)| {
            let timestep = step(at).max(Ratio::from(0));
            let timestep = narrow(timestep)
                .ok_or_else(|| MediaError::limit("a timestep", timestep, "fractions of 64-bit numbers"))?;
            Ok(OutputFrame { timestep, ..frame })
        };
        let frames = self.waiting.drain(..count).map(frame).collect::<Result<_>>()?;
        Ok(Some(Placed {
            left: self.first,
            frames,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Push, Timeline, TimelineMode, TimelineOptions};
    use super::*;
    use proptest::prelude::*;

    fn time(numer: i64, denom: i64) -> Time {
        Ratio::new(numer, denom)
    }

    /// Every output frame with the time in the source that it shows, in frames of a source at 30 a second.
    fn shown(source: &[i64], anchors: &[(usize, Time)], mode: TimelineMode) -> Vec<(Time, Time)> {
        let second = |n: Time| n / 30;
        let mut timeline = Timeline::new(TimelineOptions::new(mode)).unwrap();
        let mut places = Anchors::new(time(1, 1));
        let mut placed = Vec::new();
        for (i, &n) in source.iter().enumerate() {
            let Push::Frames(frames) = timeline.push(time(n, 30), time(1, 30), false).unwrap() else {
                panic!("it advances")
            };
            anchors
                .iter()
                .filter(|(k, _)| *k == i)
                .for_each(|(_, at)| places.anchor(second(*at), false));
            placed.extend(places.push(&frames, time(n, 30)).unwrap());
        }
        placed.extend(places.finish(&timeline.finish().unwrap()).unwrap());
        let at = |placed: &Placed, frame: &OutputFrame| {
            let (left, right) = (placed.left as usize, placed.left as usize + 1);
            let left = anchors[left].1;
            let step = anchors.get(right).map_or(time(0, 1), |right| right.1 - left);
            (frame.pts * 30, left + step * frame.timestep)
        };
        placed
            .iter()
            .flat_map(|group| {
                group
                    .frames
                    .iter()
                    .map(|frame| at(group, frame))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn motion_is_even_across_frames_that_are_no_anchors() {
        let twos: Vec<_> = [0, 2, 4].map(|k| (k, time(k as i64, 1))).to_vec();
        let out = shown(&[0, 1, 2, 3, 4], &twos, TimelineMode::Factor(2));
        assert!(out[..9].iter().all(|(pts, shown)| pts == shown), "{out:?}");
        assert_eq!(out.len(), 10);
        assert_eq!(out[9], (time(9, 2), time(4, 1)), "the last one is held");
    }

    #[test]
    fn anchors_after_their_own_time_wait_for_what_comes_before_them() {
        let even: Vec<_> = (0..5).map(|k| (k as usize, time(5 * k, 4))).collect();
        let out = shown(&[0, 1, 2, 3, 5], &even, TimelineMode::TargetRate(time(60, 1)));
        assert_eq!(out.len(), 12);
        assert!(out[..11].iter().all(|(pts, shown)| pts == shown), "{out:?}");
    }

    #[test]
    fn all_frames_in_a_pause_show_the_picture_before_it() {
        let mut places = Anchors::new(time(1, 1));
        let mut timeline =
            Timeline::new(TimelineOptions::new(TimelineMode::TargetRate(time(30, 1)))).unwrap();
        let mut placed = Vec::new();
        for (at, pause) in [(time(0, 1), false), (time(1, 20), false), (time(2, 1), true)] {
            let Push::Frames(frames) = timeline.push(at, time(1, 20), pause).unwrap() else {
                panic!("it advances")
            };
            places.anchor(at, pause);
            placed.extend(places.push(&frames, at).unwrap());
        }
        let resting = placed
            .iter()
            .filter(|group| group.left == 1)
            .flat_map(|group| &group.frames);
        let steps: Vec<_> = resting.map(|frame| frame.timestep).collect();
        assert_eq!(steps, vec![time(0, 1); 58]);
    }

    proptest! {
        #[test]
        fn without_repeats_nothing_changes(
            deltas in prop::collection::vec(1_i64..20, 1..40),
            rate in prop::sample::select(vec![None, Some((60_i64, 1_i64)), Some((24_000, 1001))]),
        ) {
            let mode = rate.map_or(TimelineMode::Factor(3), |(n, d)| TimelineMode::TargetRate(time(n, d)));
            let mut source = vec![0];
            deltas.iter().for_each(|delta| source.push(source[source.len() - 1] + delta));
            let anchors: Vec<_> = source.iter().enumerate().map(|(k, n)| (k, time(*n, 1))).collect();
            let last = time(source[source.len() - 1], 1);
            for (pts, shown) in shown(&source, &anchors, mode) {
                prop_assert_eq!(shown, pts.min(last));
            }
        }

        #[test]
        fn motion_is_as_fast_as_time_whatever_is_left_out(
            deltas in prop::collection::vec(1_i64..9, 2..40),
            left_out in prop::collection::vec(any::<bool>(), 40),
        ) {
            let mut source = vec![0];
            deltas.iter().for_each(|delta| source.push(source[source.len() - 1] + delta));
            let end = source.len() - 1;
            let anchors: Vec<_> = source.iter().enumerate()
                .filter(|(k, _)| *k == 0 || *k == end || !left_out[*k])
                .map(|(k, n)| (k, time(*n, 1))).collect();
            let out = shown(&source, &anchors, TimelineMode::Factor(2));
            prop_assert!(out.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for (pts, shown) in out {
                prop_assert_eq!(shown, pts.min(time(source[end], 1)));
            }
        }
    }
}
