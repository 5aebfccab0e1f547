//! Excerpt of a source: the frames from a start to an end position, with times that count from the first of them.

use std::fmt;
use std::str::FromStr;

use num_rational::Ratio;

use super::{Source, StreamInfo};
use crate::time::{MAX_SECONDS, parse_decimal, seconds};
use crate::{CancelToken, Frame, MediaError, Result, Time};

/// Tolerance in seconds within which a frame's time equals a position: containers round times to a millisecond.
const TOLERANCE: Time = Time::new_raw(1, 1000);

/// A position in a source. Parses from seconds (`62.5`), a timecode (`1:02.5`, `00:01:02.500`) or frames (`120f`), and
/// displays as seconds or frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Seconds since the source's first frame, at least 0.
    Seconds(Time),
    /// The frame of this number, from 0.
    Frame(u64),
}

impl FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        parse(text.trim()).ok_or(
            "a position is seconds such as 62.5, a timecode such as 00:01:02.500, or frames such as 120f",
        )
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(time) => write!(f, "{} s", seconds(*time)),
            Self::Frame(number) => write!(f, "frame {number}"),
        }
    }
}

/// Parses a position; `None` for malformed and negative ones.
fn parse(text: &str) -> Option<Position> {
    if let Some(number) = text.strip_suffix(['f', 'F']) {
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| number.parse().ok())??;
        return (number <= 1 << 40).then_some(Position::Frame(number));
    }
    let mut parts = text.rsplit(':');
    let last = parts.next()?;
    if last.is_empty() || last.starts_with('-') {
        return None;
    }
    let mut time = parse_decimal(last)?;
    let colons = text.contains(':');
    for (part, unit) in parts.clone().zip([60, 3600]) {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let value: i64 = digits.then(|| part.parse().ok())??;
        (value <= MAX_SECONDS / unit).then_some(())?;
        time += Ratio::from(value * unit);
    }
    let sixty = !colons || parse_decimal(last)? < Ratio::from(60);
    (parts.count() <= 2 && sixty && time <= Ratio::from(MAX_SECONDS)).then_some(Position::Seconds(time))
}

/// The part of a source to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Excerpt {
    /// The first frame is the first one at or after this position; the source's first when absent.
    pub start: Option<Position>,
    /// Frames at and after this position are left out; none when absent.
    pub end: Option<Position>,
}

impl Excerpt {
    /// Reports whether the whole source is read.
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the start in seconds since the container's start, if it follows from `info` without decoding.
    pub(super) fn known_start(&self, info: &StreamInfo) -> Option<Time> {
        place(self.start?, info)
    }
}

/// The place of an excerpt in its source, in seconds since the container's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Time of the first frame.
    pub from: Time,
    /// End of the last frame; `None` for the source's end.
    pub to: Option<Time>,
}

impl Span {
    /// Returns the duration in seconds, where the end is given.
    pub fn length(&self) -> Option<Time> {
        Some(self.to? - self.from)
    }
}

/// Returns a position in seconds since the container's start; `None` for a frame's number at a variable or unknown rate.
fn place(position: Position, info: &StreamInfo) -> Option<Time> {
    let constant = info.frame_rate.filter(|_| !info.variable_rate);
    let after = match position {
        Position::Seconds(time) => time,
        Position::Frame(number) => Ratio::from(i64::try_from(number).ok()?) / constant?,
    };
    Some(info.start + after)
}

/// A source limited to an excerpt.
pub(super) struct Trimmed {
    source: Box<dyn Source>,
    info: StreamInfo,
    span: Span,
    /// The first frame, which is read when the source is opened.
    first: Option<Frame>,
    /// Number of frames to return where the end is a frame of a variable rate.
    left: Option<u64>,
    done: bool,
}

impl Trimmed {
    /// Reads `source` up to the excerpt's first frame.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for an end that is not after the start, and for a start at or after the source's end.
    pub(super) fn open(mut source: Box<dyn Source>, excerpt: &Excerpt, cancel: &CancelToken) -> Result<Self> {
        let mut info = source.info().clone();
        let start = excerpt.start.unwrap_or(Position::Frame(0));
        check_order(start, excerpt.end, &info)?;
        let (first, number) = first_frame(source.as_mut(), start, cancel)?;
        let from = first.pts;
        let to = excerpt.end.and_then(|end| place(end, &info));
        let left = match (excerpt.end, to) {
            (Some(Position::Frame(end)), None) => Some(end.saturating_sub(number)),
            _ => None,
        };
        let counted = || Some(Ratio::from(i64::try_from(info.frames?).ok()?) / info.frame_rate?);
        let source_end = info
            .duration
            .or_else(counted)
            .map(|duration| info.start + duration);
        // An end behind the source's leaves out nothing.
        let to = to.filter(|to| source_end.is_none_or(|end| *to < end));
        if to.is_some_and(|to| to <= from) {
            return Err(refused(
                "the end",
                excerpt.end,
                format!(
                    "after the part's first frame, at {} s",
                    seconds(from - info.start)
                ),
            ));
        }
        info.duration = to.or(source_end).map(|end| end - from);
        info.frames = match (left, info.frame_rate.filter(|_| !info.variable_rate)) {
            (Some(left), _) => Some(left),
            (None, Some(rate)) => info
                .duration
                .and_then(|duration| u64::try_from((duration * rate).round().to_integer()).ok()),
            (None, None) => None,
        };
        let span = Span { from, to };
        (info.start, info.excerpt) = (Time::from(0), Some(span));
        Ok(Self {
            source,
            info,
            span,
            first: Some(first),
            left,
            done: false,
        })
    }
}

/// Checks that the end of a part is after its start, as far as they can be compared before decoding.
fn check_order(start: Position, end: Option<Position>, info: &StreamInfo) -> Result<()> {
    let Some(end) = end else { return Ok(()) };
    let ordered = match (start, end) {
        (Position::Frame(start), Position::Frame(end)) => start < end,
        (start, end) => place(start, info)
            .zip(place(end, info))
            .is_none_or(|(start, end)| start < end),
    };
    if ordered {
        return Ok(());
    }
    Err(refused("the end", Some(end), format!("after the start, {start}")))
}

/// Makes the error for a position.
fn refused(what: &'static str, position: Option<Position>, accepted: String) -> MediaError {
    let value = position.map_or("missing".to_owned(), |position| position.to_string());
    MediaError::limit(what, value, accepted)
}

/// Reads up to the first frame at `start`; also returns its number in the source, which is 0 where a position in seconds was
/// sought.
fn first_frame(source: &mut dyn Source, start: Position, cancel: &CancelToken) -> Result<(Frame, u64)> {
    let place = place(start, source.info());
    let (mut number, mut end) = (0, None);
    while let Some(frame) = source.next_frame()? {
        if cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        let reached = match (place, start) {
            (Some(place), _) => frame.pts + TOLERANCE >= place,
            (None, Position::Frame(wanted)) => number >= wanted,
            (None, Position::Seconds(_)) => true,
        };
        if reached {
            return Ok((frame, number));
        }
        number += 1;
        end = Some(frame.pts + frame.duration);
    }
    let begin = source.info().start;
    let accepted = match (place, end) {
        (None, _) => format!("below the number of frames, {number}"),
        (_, Some(end)) => format!("before the clip's end, {:.3} s", seconds(end - begin)),
        (_, None) => "in a clip with frames".to_owned(),
    };
    Err(refused("the start", Some(start), accepted))
}

impl Source for Trimmed {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// Returns the next frame of the excerpt; the last one lasts until the excerpt's end at most.
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.done {
            return Ok(None);
        }
        let frame = match self.first.take() {
            Some(frame) => Some(frame),
            None => self.source.next_frame()?,
        };
        let outside = |frame: &Frame| self.span.to.is_some_and(|to| frame.pts + TOLERANCE >= to);
        let Some(mut frame) = frame.filter(|frame| !outside(frame) && self.left != Some(0)) else {
            self.done = true;
            return Ok(None);
        };
        self.left = self.left.map(|left| left - 1);
        if let Some(to) = self.span.to {
            frame.duration = frame.duration.min(to - frame.pts);
        }
        frame.pts -= self.span.from;
        Ok(Some(frame))
    }

    fn notes(&self) -> Vec<String> {
        self.source.notes()
    }

    fn warnings(&self) -> Vec<String> {
        self.source.warnings()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_seconds_timecodes_and_frames() {
        let seconds = |numer, denom| Some(Position::Seconds(Time::new(numer, denom)));
        for (text, position) in [
            ("62.5", seconds(125, 2)),
            ("0", seconds(0, 1)),
            ("1:02.5", seconds(125, 2)),
            ("00:01:02.500", seconds(125, 2)),
            ("120f", Some(Position::Frame(120))),
            ("", None),
            ("f", None),
            ("-1", None),
            ("1:60", None),
            ("1:-2", None),
            ("1:2:3:4", None),
            ("1e3", None),
            (":5", None),
            ("99999999999", None),
            ("99999999:59:59", None),
        ] {
            assert_eq!(text.parse().ok(), position, "{text}");
        }
    }
}
