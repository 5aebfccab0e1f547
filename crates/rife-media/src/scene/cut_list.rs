//! Lists of cuts as text: read, written, and asked.
//!
//! One cut a line, by the first frame of the new scene: `120` is a frame number (the first frame is 0, every decoded
//! frame counts), `5.005` or `0:00:05.005` is a time in the source (the first frame at or after it; a frame up to a
//! millisecond earlier is taken too, since times are written rounded). What follows `#` is a remark; empty lines are
//! skipped.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Bound;

use num_rational::Ratio;

use crate::time::{narrow, parse_decimal, seconds, widen};
use crate::{MediaError, Result, Time};

/// The most cuts a list may have.
const MAX_CUTS: usize = 1_000_000;

/// Where a cut lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CutPlace {
    /// Before the frame of this number, from 1.
    Frame(u64),
    /// Before the first frame at or after this time.
    At(Time),
}

/// Cuts that somebody else has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CutList {
    frames: BTreeSet<u64>,
    times: BTreeSet<Time>,
}

/// A cut that was found, as it is written to a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectedCut {
    /// Number of the new scene's first frame.
    pub frame: u64,
    /// Its time in the source.
    pub pts: Time,
    /// How like the frame before it is.
    pub similarity: f32,
}

impl CutList {
    /// Reads a list.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`] with the line that is neither a frame number nor a time.
    pub fn parse(text: &str) -> Result<Self> {
        let mut list = Self::default();
        for (number, line) in text.lines().enumerate() {
            let entry = line
                .split('#')
                .next()
                .unwrap_or_default()
                .trim()
                .trim_start_matches('\u{feff}');
            if entry.is_empty() {
                continue;
            }
            match parse_place(entry) {
                Some(CutPlace::Frame(frame)) => list.frames.insert(frame),
                Some(CutPlace::At(time)) => list.times.insert(time),
                None => return Err(bad_line(number + 1, entry)),
            };
            if list.len() > MAX_CUTS {
                return Err(MediaError::limit(
                    "the number of cuts",
                    list.len(),
                    format!("up to {MAX_CUTS}"),
                ));
            }
        }
        Ok(list)
    }

    /// Writes what was found as a list.
    pub fn write(cuts: &[DetectedCut]) -> String {
        let mut text =
            "# The first frame of each new scene; its time; how like the frame before it is\n".to_owned();
        for cut in cuts {
            let _ = writeln!(
                text,
                "{} # {:.6} s, similarity {:.3}",
                cut.frame,
                seconds(cut.pts),
                cut.similarity
            );
        }
        text
    }

    /// Whether a cut lies between a frame at `before` and the next one, of this number, at `pts`.
    pub fn contains(&self, number: u64, before: Time, pts: Time) -> bool {
        let late = |time: Time| narrow(widen(time) + Ratio::new(1, 1000)).unwrap_or(time);
        let (after, until) = (late(before), late(pts));
        let range = (Bound::Excluded(after), Bound::Included(until));
        self.frames.contains(&number) || (after < until && self.times.range(range).next().is_some())
    }

    /// How many cuts it has.
    pub fn len(&self) -> usize {
        self.frames.len() + self.times.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn bad_line(number: usize, entry: &str) -> MediaError {
    let shown: String = entry.chars().take(40).collect();
    MediaError::Unsupported(format!(
        "line {number} of the list of cuts is {shown:?}; a frame number from 1 (120) or a time (5.005, 0:00:05.005) is accepted"
    ))
}

fn parse_place(entry: &str) -> Option<CutPlace> {
    if entry.bytes().all(|byte| byte.is_ascii_digit()) {
        return entry.parse().ok().filter(|frame| *frame > 0).map(CutPlace::Frame);
    }
    let parts: Vec<&str> = entry.split(':').collect();
    let (last, whole) = parts.split_last()?;
    if whole.len() > 2
        || (last.starts_with('-') && !whole.is_empty())
        || !last.bytes().any(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let mut time = parse_decimal(last)?;
    for (part, unit) in whole.iter().rev().zip([60, 3600]) {
        let count: i64 = part.parse::<u32>().ok().filter(|count| *count < 20_000)?.into();
        time += count * unit;
    }
    Some(CutPlace::At(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_times_and_remarks() {
        let list = CutList::parse("\u{feff}# cuts\n\n12\n0.8 # here\n1:00.5\r\n1:00:00.25\n-0.5\n").unwrap();
        let time = |numer, denom| Time::new(numer, denom);
        assert_eq!(list.len(), 5);
        assert!(list.contains(12, time(0, 1), time(1, 25)), "by its number");
        assert!(
            list.contains(20, time(19, 25), time(20, 25)) && !list.contains(21, time(20, 25), time(21, 25))
        );
        assert!(
            list.contains(99, time(60, 1), time(121, 2)) && list.contains(99, time(3600, 1), time(3601, 1))
        );
        assert!(list.contains(0, time(-1, 1), time(-1, 2)));
    }

    #[test]
    fn other_lines_are_refused_by_number() {
        for (text, line) in [
            ("1\nx", 2),
            ("0", 1),
            ("1:2:3:4", 1),
            ("1.2.3", 1),
            ("99999999999999999999", 1),
            ("1e5", 1),
            (".", 1),
        ] {
            let message = CutList::parse(text).unwrap_err().to_string();
            assert!(
                message.contains(&format!("line {line} ")) && message.contains("accepted"),
                "{text}: {message}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_rounded_times_name_the_same_frames(
            steps in prop::collection::vec(2_i64..4000, 2..60),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
        ) {
            let mut times = vec![Time::from(0)];
            steps.iter().for_each(|step| times.push(times[times.len() - 1] + Time::new(*step, 30_000) * 30));
            let picked: BTreeSet<usize> = picks.iter().map(|pick| pick.index(steps.len()) + 1).collect();
            let cuts: Vec<DetectedCut> = picked.iter().map(|&k| DetectedCut { frame: k as u64, pts: times[k], similarity: 0.1 }).collect();
            let by_number = CutList::parse(&CutList::write(&cuts)).unwrap();
            let text: String = cuts.iter().map(|cut| format!("{:.3}\n", seconds(cut.pts))).collect();
            let by_time = CutList::parse(&text).unwrap();
            for list in [by_number, by_time] {
                let found: BTreeSet<usize> = (1..times.len()).filter(|&k| list.contains(k as u64, times[k - 1], times[k])).collect();
                prop_assert_eq!(&found, &picked);
            }
        }
    }
}
