//! Cut lists: text files of scene changes, parsed, written and queried.
//!
//! Each line is one cut, given by the first frame of the new scene: `120` is a frame number (the first frame is 0, every
//! decoded frame counts), `5.005` or `0:00:05.005` a time in the source (the first frame at or after it, or up to a
//! millisecond earlier, since times are written rounded). `#` begins a comment; empty lines are skipped.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Bound;

use num_rational::Ratio;

use crate::time::{narrow, parse_decimal, seconds, widen};
use crate::{MediaError, Result, Time};

/// Maximum number of cuts in a list.
const MAX_CUTS: usize = 1_000_000;

/// The position of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CutPosition {
    /// Before the frame of this number, 1 or more.
    Frame(u64),
    /// Before the first frame at or after this time in seconds.
    At(Time),
}

/// A list of cuts from a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CutList {
    /// Numbers of the first frames of new scenes.
    frames: BTreeSet<u64>,
    /// Times in seconds at which new scenes begin.
    times: BTreeSet<Time>,
}

/// A detected cut, as written to a cut list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectedCut {
    /// Number of the new scene's first frame.
    pub frame: u64,
    /// Presentation time of that frame in the source, in seconds.
    pub pts: Time,
    /// SSIM of that frame with the previous one.
    pub similarity: f32,
}

impl CutList {
    /// Parses a cut list.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`] with the line that is neither a frame number nor a time, [`MediaError::Limit`] for more
    /// than a million cuts.
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
            match parse_position(entry) {
                Some(CutPosition::Frame(frame)) => list.frames.insert(frame),
                Some(CutPosition::At(time)) => list.times.insert(time),
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

    /// Formats detected cuts as a cut list.
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

    /// Reports whether a cut lies between a frame at time `before` and the next frame, of this `number`, at time `pts`
    /// (seconds).
    pub fn contains(&self, number: u64, before: Time, pts: Time) -> bool {
        let late = |time: Time| narrow(widen(time) + Ratio::new(1, 1000)).unwrap_or(time);
        let (after, until) = (late(before), late(pts));
        let range = (Bound::Excluded(after), Bound::Included(until));
        self.frames.contains(&number) || (after < until && self.times.range(range).next().is_some())
    }

    /// Returns the number of cuts.
    pub fn len(&self) -> usize {
        self.frames.len() + self.times.len()
    }

    /// Reports whether the list has no cuts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Returns the error for line `number` (from 1) with the invalid text `entry`.
fn bad_line(number: usize, entry: &str) -> MediaError {
    let shown: String = entry.chars().take(40).collect();
    MediaError::Unsupported(format!(
        "line {number} of the list of cuts is {shown:?}; a frame number from 1 (120) or a time (5.005, 0:00:05.005) is accepted"
    ))
}

/// Parses a frame number of 1 or more, or a time in seconds with optional `minutes:` or `hours:minutes:`.
fn parse_position(entry: &str) -> Option<CutPosition> {
    if entry.bytes().all(|byte| byte.is_ascii_digit()) {
        return entry
            .parse()
            .ok()
            .filter(|frame| *frame > 0)
            .map(CutPosition::Frame);
    }
    let fields: Vec<&str> = entry.split(':').collect();
    let (last, units) = fields.split_last()?;
    if units.len() > 2
        || (last.starts_with('-') && !units.is_empty())
        || !last.bytes().any(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let mut time = parse_decimal(last)?;
    for (field, unit) in units.iter().rev().zip([60, 3600]) {
        let count: i64 = field.parse::<u32>().ok().filter(|count| *count < 20_000)?.into();
        time += count * unit;
    }
    Some(CutPosition::At(time))
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
