//! Output timeline: computes from the source frames' times the exact times of all output frames, and for each its left
//! source frame and timestep. Rational arithmetic, no input or output.
//!
//! Rules:
//! - **Factor F.** Each interval between two source frames is divided into F equal intervals. The last source frame
//!   is repeated F times over its own duration. N frames give `F*(N-1)+1` frames plus
//!   `F-1` repeats, F*N in all, ending exactly when the source ends. Where the last frame is shorter than the one
//!   before (an edit list may cut into it), only as many repeats are made as start before its end. Variable rates
//!   stay variable.
//! - **Multiple P/Q** (2.5 is 5/2). Output frame k has the source position k*Q/P: it lies between source frames i and i+1
//!   at timestep k*Q/P - i, with the time interpolated in the same ratio. Every Q-th interval begins with an unchanged
//!   source frame. N frames give P/Q*N frames, rounded up. A frame lasts until the next one, which may lie in the next
//!   source interval: the last frame of each interval is known one source frame later.
//! - **Target rate X.** Output frames have the times `start + k/X`, from the first source frame's time until the end of
//!   the last one. A grid point at a source frame's time is that frame, unchanged. The clip ends within one output frame
//!   of the source's end.
//! - **Stretch S** (slow motion) then multiplies every output time and duration.
//! - **Duplicates.** A frame whose time does not advance is never shown by a player, and is dropped
//!   ([`Push::Dropped`]).
//! - **Pauses** ([`is_pause`]) are not interpolated. With a factor the left frame is shown once, for the entire pause; at a
//!   target rate it is repeated at every grid point.
//! - **Start.** The first frame's time is kept, whether zero, positive or negative, so that audio stays in sync.

mod anchors;
mod pauses;

use num_rational::Ratio;

use crate::time::{Time, narrow, widen};
use crate::{MediaError, Result};

pub use anchors::{Anchors, Placed};
pub(crate) use pauses::is_long;
pub use pauses::{AHEAD, BEHIND, Paced, Pauses, is_pause};

/// The rule by which output frame times follow from source frame times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimelineMode {
    /// Every source interval is divided into this many output intervals, 1 to 256.
    Factor(u32),
    /// The frame rate is multiplied by this non-integer factor, 1 to 256, with a numerator up to 100 000.
    Multiple(Ratio<i64>),
    /// Output frames have a constant rate in frames per second.
    TargetRate(Ratio<i64>),
}

impl TimelineMode {
    /// Returns the mode that multiplies the frame rate by `factor`: [`Self::Factor`] for integers, else [`Self::Multiple`].
    pub fn times(factor: Ratio<i64>) -> Self {
        match u32::try_from(*factor.numer()) {
            Ok(integer) if factor.is_integer() => Self::Factor(integer),
            _ => Self::Multiple(factor),
        }
    }
}

/// Options of a [`Timeline`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimelineOptions {
    /// The rule for output frame times.
    pub mode: TimelineMode,
    /// Factor on all output times: 1 keeps the speed, F with `Factor(F)` is slow motion at the source's frame rate.
    pub stretch: Ratio<i64>,
}

impl TimelineOptions {
    /// Creates options without slow motion.
    pub fn new(mode: TimelineMode) -> Self {
        let stretch = Ratio::from(1);
        Self { mode, stretch }
    }

    /// Creates options for slow motion: the clip lasts `factor` times as long at the source's frame rate.
    pub fn slow_motion(factor: u32) -> Self {
        Self::slowed(Ratio::from(i64::from(factor)))
    }

    /// Creates options for slow motion by a rational factor: the clip lasts `factor` times as long at the source's frame
    /// rate.
    pub fn slowed(factor: Ratio<i64>) -> Self {
        Self {
            stretch: factor,
            mode: TimelineMode::times(factor),
        }
    }

    /// Returns a time base (seconds per tick) in which every output time is an integer: the output frame interval for
    /// constant rates, the source's time base divided by the factor for variable ones; 1/1 000 000 where that does not fit
    /// into 31 bits.
    pub fn time_base(&self, source: &crate::StreamInfo) -> Time {
        let exact = match (self.mode, source.frame_rate) {
            (TimelineMode::TargetRate(rate), _) => widen(rate).recip(),
            (TimelineMode::Factor(f), Some(rate)) if !source.variable_rate => {
                (widen(rate) * i128::from(f.max(1))).recip()
            }
            (TimelineMode::Factor(f), _) => widen(source.time_base) / i128::from(f.max(1)),
            (TimelineMode::Multiple(times), Some(rate)) if !source.variable_rate => {
                (widen(rate) * widen(times)).recip()
            }
            (TimelineMode::Multiple(times), _) => widen(source.time_base) / i128::from(*times.numer()),
        };
        // The first frame keeps its time, which the time base must divide, too.
        let exact = match source.start {
            start if start == Time::from(0) => exact,
            start => common_unit(exact, widen(start)),
        };
        let stretched = exact * widen(self.stretch);
        let fits = |t: &Ratio<i128>| *t.numer() > 0 && *t.numer() < 1 << 31 && *t.denom() < 1 << 31;
        Some(stretched)
            .filter(fits)
            .and_then(narrow)
            .unwrap_or_else(|| Ratio::new(1, 1_000_000))
    }

    /// Returns the output's frame rate in frames per second, about the mean for variable rates; `None` where the source's
    /// is unknown.
    pub fn frame_rate(&self, source: &crate::StreamInfo) -> Option<Ratio<i64>> {
        let exact = match self.mode {
            TimelineMode::TargetRate(rate) => widen(rate),
            TimelineMode::Factor(f) => widen(source.frame_rate?) * i128::from(f),
            TimelineMode::Multiple(times) => widen(source.frame_rate?) * widen(times),
        };
        narrow(exact / widen(self.stretch))
    }

    /// Estimates the number of output frames for `frames` source frames that last `duration` seconds.
    pub fn estimate(&self, frames: u64, duration: Option<Time>) -> u64 {
        match (self.mode, duration) {
            (TimelineMode::Factor(f), _) => frames.saturating_mul(u64::from(f)),
            (TimelineMode::Multiple(times), _) => {
                let exact = widen(times) * i128::from(frames);
                u64::try_from(exact.ceil().to_integer()).unwrap_or(u64::MAX)
            }
            (TimelineMode::TargetRate(rate), Some(duration)) => {
                u64::try_from((widen(duration) * widen(rate)).ceil().to_integer()).unwrap_or(0)
            }
            (TimelineMode::TargetRate(_), None) => frames,
        }
    }
}

/// Returns the greatest common divisor of two times: the largest time of which both are integer multiples.
fn common_unit(a: Ratio<i128>, b: Ratio<i128>) -> Ratio<i128> {
    let (mut x, mut y) = ((a.numer() * b.denom()).abs(), (b.numer() * a.denom()).abs());
    while y != 0 {
        (x, y) = (y, x % y);
    }
    Ratio::new(x, a.denom() * b.denom())
}

/// Position and time of an output frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputFrame {
    /// Index of the source frame at or before this one among the frames given to [`Timeline::push`], dropped ones included.
    pub left: u64,
    /// Timestep between `left` (0) and the next kept source frame (1), below 1.
    pub timestep: Ratio<i64>,
    /// Presentation time in seconds.
    pub pts: Time,
    /// Display duration in seconds.
    pub duration: Time,
}

/// The result of [`Timeline::push`] for a source frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// The source frame is kept: the output frames from the previous kept frame on and before this one; none for the first
    /// frame. With [`TimelineMode::Multiple`] the last of them is missing, and that of the interval before is the first
    /// (see [`Timeline::complete_until`]).
    Frames(Vec<OutputFrame>),
    /// The source frame's time does not advance: it is dropped, and the previous frame remains the left one.
    Dropped,
}

/// Streaming computation of output frame times from source frame times.
#[derive(Debug)]
pub struct Timeline {
    options: TimelineOptions,
    /// Index of the next source frame.
    next_index: u64,
    /// Index, time and duration of the last kept frame.
    last: Option<(u64, Ratio<i128>, Ratio<i128>)>,
    /// The last output frame so far, whose duration the next one decides ([`TimelineMode::Multiple`]).
    held: Option<OutputFrame>,
    /// The result of [`Self::complete_until`].
    complete_until: Option<Time>,
    /// The last interval between kept frames that was not a pause.
    last_interval: Option<Ratio<i128>>,
    /// Number of intervals between kept frames so far ([`TimelineMode::Multiple`]).
    intervals: i128,
    /// Time of the first source frame, grid point 0 of a target rate.
    origin: Ratio<i128>,
    /// Index of the next output frame, for a target rate or multiple.
    next_point: i128,
}

/// Reports whether a frame rate after stretching exceeds 1000 frames per second.
fn is_above_limit(rate: Ratio<i64>, stretch: Ratio<i64>) -> bool {
    widen(rate) > widen(stretch).max(Ratio::from(1)) * 1000
}

/// Maximum number of output frames between two source frames; more, from a far too high target rate, is an error.
const MAX_INTERVAL_FRAMES: i128 = 4096;
/// Maximum number of repeated frames in a pause, more than an hour at 60 fps; a longer pause, from a timestamp jump, is one
/// long frame.
const MAX_REPEATS: i128 = 1 << 18;

impl Timeline {
    /// Creates a timeline without frames.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the factor, rate or stretch is out of range.
    pub fn new(options: TimelineOptions) -> Result<Self> {
        match options.mode {
            TimelineMode::Factor(f) if !(1..=256).contains(&f) => {
                return Err(MediaError::limit("the factor", f, "1 to 256"));
            }
            TimelineMode::Multiple(times)
                if times < Ratio::from(1) || times > Ratio::from(256) || *times.numer() > 100_000 =>
            {
                return Err(MediaError::limit(
                    "the factor",
                    times,
                    "1 to 256, as a fraction of numbers up to 100000",
                ));
            }
            TimelineMode::TargetRate(rate)
                if rate <= Ratio::from(0) || is_above_limit(rate, options.stretch) =>
            {
                return Err(MediaError::limit(
                    "the target rate",
                    rate,
                    "above 0, up to 1000 frames a second",
                ));
            }
            _ => {}
        }
        if options.stretch <= Ratio::from(0) || options.stretch > Ratio::from(1024) {
            return Err(MediaError::limit(
                "the stretch",
                options.stretch,
                "above 0, up to 1024",
            ));
        }
        let zero = Ratio::from(0);
        Ok(Self {
            options,
            next_index: 0,
            last: None,
            held: None,
            complete_until: None,
            last_interval: None,
            intervals: 0,
            origin: zero,
            next_point: 0,
        })
    }

    /// Adds a source frame and returns the output frames before it. `pts` and `duration` are in seconds; the duration is used
    /// only for the last frame. `pause` tells whether the interval before it is a pause.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where too many frames lie between two source frames, or a time is out of range.
    pub fn push(&mut self, pts: Time, duration: Time, pause: bool) -> Result<Push> {
        let index = self.next_index;
        self.next_index += 1;
        let time = pts;
        let (pts, duration) = (widen(pts), widen(duration));
        let Some((left, start, _)) = self.last else {
            self.origin = pts;
            self.last = Some((index, pts, duration));
            self.complete_until = Some(time);
            return Ok(Push::Frames(Vec::new()));
        };
        if pts <= start {
            return Ok(Push::Dropped);
        }
        self.complete_until = match self.options.mode {
            TimelineMode::Multiple(_) => narrow(start),
            TimelineMode::Factor(_) | TimelineMode::TargetRate(_) => Some(time),
        };
        self.last = Some((index, pts, duration));
        if !pause {
            self.last_interval = Some(pts - start);
        }
        let fill = if pause { Fill::Pause } else { Fill::Motion };
        self.output_frames(left, start, pts, fill).map(Push::Frames)
    }

    /// Returns the time in the source, in seconds, before which all output frames were returned: that of the last kept frame,
    /// of the one before with [`TimelineMode::Multiple`]; `None` before the first frame.
    pub fn complete_until(&self) -> Option<Time> {
        self.complete_until
    }

    /// Returns the remaining output frames, to the end of the last source frame's duration: the frame and its repeats.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where a time is out of range.
    pub fn finish(mut self) -> Result<Vec<OutputFrame>> {
        let Some((left, start, duration)) = self.last else {
            return Ok(Vec::new());
        };
        let interval = if duration > Ratio::from(0) {
            duration
        } else {
            self.fallback_duration()
        };
        if let (TimelineMode::Factor(f), Some(before)) = (self.options.mode, self.last_interval)
            && interval < before
        {
            return self.cut_hold(left, start, interval, before / i128::from(f));
        }
        let usual = self.last_interval.into_iter().collect();
        let rests = is_long(interval, usual, pauses::TIMES_USUAL);
        let fill = if rests { Fill::Pause } else { Fill::Hold };
        let end = start + interval;
        let mut frames = self.output_frames(left, start, end, fill)?;
        if let Some(held) = self.held.take() {
            frames.push(until(held, end * widen(self.options.stretch))?);
        }
        Ok(frames)
    }

    /// Returns the repeats of a last frame at `start` that lasts `interval`, shorter than the interval before, spaced by
    /// `step` like the frames before.
    fn cut_hold(
        &self,
        left: u64,
        start: Ratio<i128>,
        interval: Ratio<i128>,
        step: Ratio<i128>,
    ) -> Result<Vec<OutputFrame>> {
        let count = (interval / step).ceil().to_integer();
        let length = |k: i128| (interval - step * k).min(step);
        (0..count)
            .map(|k| self.output(left, Ratio::from(0), start + step * k, length(k)))
            .collect()
    }

    /// Returns the duration in seconds of a frame of unknown duration: one output interval of a target rate, else 1/25 s.
    fn fallback_duration(&self) -> Ratio<i128> {
        match self.options.mode {
            TimelineMode::TargetRate(rate) => widen(rate).recip(),
            TimelineMode::Factor(_) | TimelineMode::Multiple(_) => Ratio::new(1, 25),
        }
    }

    /// Returns the output frames between source times `start` (frame `left`) and `end`, before stretching.
    fn output_frames(
        &mut self,
        left: u64,
        start: Ratio<i128>,
        end: Ratio<i128>,
        fill: Fill,
    ) -> Result<Vec<OutputFrame>> {
        let points = match self.options.mode {
            TimelineMode::Factor(_) if fill == Fill::Pause => vec![(start, end - start)],
            TimelineMode::Factor(f) => {
                let step = (end - start) / i128::from(f);
                (0..i128::from(f)).map(|k| (start + step * k, step)).collect()
            }
            TimelineMode::Multiple(times) => self.multiple_points(widen(times), start, end, fill),
            TimelineMode::TargetRate(rate) => self.grid_points(widen(rate).recip(), end, fill)?,
        };
        let frame = |(at, length): (Ratio<i128>, Ratio<i128>)| {
            let timestep = match fill {
                Fill::Motion => (at - start) / (end - start),
                Fill::Hold | Fill::Pause => Ratio::from(0),
            };
            self.output(left, timestep, at, length)
        };
        let frames = points.into_iter().map(frame).collect::<Result<Vec<_>>>()?;
        match self.options.mode {
            TimelineMode::Multiple(_) => self.hold_last(frames),
            TimelineMode::Factor(_) | TimelineMode::TargetRate(_) => Ok(frames),
        }
    }

    /// Adds frames to the held one: returns all but the last, each until the next, and holds the last.
    fn hold_last(&mut self, frames: Vec<OutputFrame>) -> Result<Vec<OutputFrame>> {
        let mut complete = Vec::with_capacity(frames.len());
        for frame in frames {
            if let Some(held) = self.held.replace(frame) {
                complete.push(until(held, widen(frame.pts))?);
            }
        }
        Ok(complete)
    }

    /// Returns `(time, duration)` of the output frames of [`TimelineMode::Multiple`] from `start` to `end`, the next source
    /// interval; a pause has one frame, at its start. The durations end at `end`; [`Self::hold_last`] corrects them.
    fn multiple_points(
        &mut self,
        times: Ratio<i128>,
        start: Ratio<i128>,
        end: Ratio<i128>,
        fill: Fill,
    ) -> Vec<(Ratio<i128>, Ratio<i128>)> {
        let number = self.intervals;
        self.intervals += 1;
        let first = self.next_point;
        self.next_point = (times * self.intervals).ceil().to_integer();
        if fill == Fill::Pause {
            return vec![(start, end - start)];
        }
        // A last frame shorter than the interval before keeps the spacing of the frames before.
        let interval = match (fill, self.last_interval) {
            (Fill::Hold, Some(before)) => before.max(end - start),
            _ => end - start,
        };
        let at = |k: i128| start + (times.recip() * k - number) * interval;
        let points = (first..self.next_point).map(at).take_while(|at| *at < end);
        points.map(|at| (at, end - at)).collect()
    }

    /// Returns `(time, duration)` of the next grid points of a target rate before `end`, spaced by `step`; only the first
    /// one for a pause of more than [`MAX_REPEATS`].
    fn grid_points(
        &mut self,
        step: Ratio<i128>,
        end: Ratio<i128>,
        fill: Fill,
    ) -> Result<Vec<(Ratio<i128>, Ratio<i128>)>> {
        let after = ((end - self.origin) / step).ceil().to_integer();
        let first = self.next_point;
        let count = after - first;
        self.next_point = after.max(first);
        if count <= 0 {
            return Ok(Vec::new());
        }
        let point = |k: i128| self.origin + step * k;
        if fill != Fill::Motion && count > MAX_REPEATS {
            return Ok(vec![(point(first), step * count)]);
        }
        if fill == Fill::Motion && count > MAX_INTERVAL_FRAMES {
            let accepted = format!("{MAX_INTERVAL_FRAMES} frames between two source frames");
            return Err(MediaError::limit("the target rate's yield", count, accepted));
        }
        Ok((first..after).map(|k| (point(k), step)).collect())
    }

    /// Builds an output frame from times in the source, which are multiplied by the stretch.
    fn output(
        &self,
        left: u64,
        timestep: Ratio<i128>,
        at: Ratio<i128>,
        length: Ratio<i128>,
    ) -> Result<OutputFrame> {
        let stretch = widen(self.options.stretch);
        let narrow_or = |value: Ratio<i128>| {
            narrow(value).ok_or_else(|| MediaError::limit("an output time", value, "times up to 3 years"))
        };
        Ok(OutputFrame {
            left,
            timestep: narrow_or(timestep)?,
            pts: narrow_or(at * stretch)?,
            duration: narrow_or(length * stretch)?,
        })
    }
}

/// Returns the frame with the duration that lasts until `end`, an output time in seconds.
fn until(frame: OutputFrame, end: Ratio<i128>) -> Result<OutputFrame> {
    let duration = end - widen(frame.pts);
    let duration = narrow(duration)
        .ok_or_else(|| MediaError::limit("an output duration", duration, "fractions of 64-bit numbers"))?;
    Ok(OutputFrame { duration, ..frame })
}

/// The content of the output frames in an interval.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// Interpolated frames up to the next source frame.
    Motion,
    /// Repeats of the last source frame.
    Hold,
    /// Repeats of the source frame before a pause.
    Pause,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(numer: i64, denom: i64) -> Time {
        Ratio::new(numer, denom)
    }

    /// All output frames of a clip whose frames last until the next, the last one `tail`.
    fn run(options: TimelineOptions, times: &[Time], tail: Time) -> Vec<OutputFrame> {
        run_with_pauses(options, times, tail, time(1000, 1))
    }

    /// As [`run`], where intervals longer than `longest` are pauses.
    fn run_with_pauses(
        options: TimelineOptions,
        times: &[Time],
        tail: Time,
        longest: Time,
    ) -> Vec<OutputFrame> {
        let mut timeline = Timeline::new(options).unwrap();
        let (mut out, mut last) = (Vec::new(), times.first().copied());
        for &pts in times {
            let pause = last.is_some_and(|last| pts - last > longest);
            if let Push::Frames(frames) = timeline.push(pts, tail, pause).unwrap() {
                out.extend(frames);
                last = Some(pts);
            }
        }
        out.extend(timeline.finish().unwrap());
        out
    }

    #[test]
    fn factor_two_of_three_frames() {
        let options = TimelineOptions::new(TimelineMode::Factor(2));
        let out = run(options, &[time(0, 1), time(1, 25), time(2, 25)], time(1, 25));
        let at: Vec<_> = out.iter().map(|f| (f.left, f.timestep, f.pts)).collect();
        let half = time(1, 2);
        let expected = [
            (0, time(0, 1), time(0, 50)),
            (0, half, time(1, 50)),
            (1, time(0, 1), time(2, 50)),
            (1, half, time(3, 50)),
            (2, time(0, 1), time(4, 50)),
            (2, time(0, 1), time(5, 50)),
        ];
        assert_eq!(at, expected);
    }

    #[test]
    fn a_rate_on_the_grid_keeps_source_frames() {
        let options = TimelineOptions::new(TimelineMode::TargetRate(time(60, 1)));
        let times: Vec<Time> = (0..24).map(|n| time(n, 24)).collect();
        let out = run(options, &times, time(1, 24));
        assert_eq!(out.len(), 60);
        let kept = out
            .iter()
            .filter(|f| f.timestep == time(0, 1))
            .map(|f| f.left)
            .collect::<Vec<_>>();
        // Every second source frame lies on a sixtieth; the last frame also fills the end.
        assert!((0..24).step_by(2).all(|n| kept.contains(&n)), "{kept:?}");
        assert_eq!(out[1].timestep, time(2, 5), "1/60 s is two fifths of 1/24 s");
    }

    #[test]
    fn duplicates_pauses_and_early_frames() {
        let options = TimelineOptions::new(TimelineMode::Factor(2));
        let mut timeline = Timeline::new(options).unwrap();
        let step = time(1, 25);
        let mut push = |pts, pause| timeline.push(pts, step, pause).unwrap();
        assert_eq!(push(time(0, 1), false), Push::Frames(vec![]));
        assert_eq!(push(time(0, 1), false), Push::Dropped);
        assert_eq!(push(time(-1, 25), false), Push::Dropped);
        let Push::Frames(held) = push(time(100_000, 1), true) else {
            panic!("it advances")
        };
        assert_eq!(held.len(), 1, "a pause is held by one frame");
        assert_eq!((held[0].left, held[0].duration), (0, time(100_000, 1)));
        assert_eq!(timeline.finish().unwrap().len(), 2);
        let sixty = TimelineOptions::new(TimelineMode::TargetRate(time(60, 1)));
        for (pause, frames) in [(10, 600), (100, 6000), (50_000, 1)] {
            let out = run_with_pauses(sixty, &[time(0, 1), time(pause, 1)], step, time(1, 1));
            let held: Vec<_> = out.iter().filter(|f| f.left == 0).collect();
            assert_eq!(held.len(), frames, "a constant rate goes on through {pause} s");
            assert!(
                held.iter().all(|f| f.timestep == time(0, 1)),
                "and the picture rests"
            );
        }
    }

    #[test]
    fn a_last_frame_that_rests_is_shown_once() {
        let times: Vec<Time> = (0..5).map(|n| time(n, 25)).collect();
        let twice = TimelineOptions::new(TimelineMode::Factor(2));
        for (tail, frames) in [(time(1, 25), 2), (time(1, 5), 1), (time(10, 1), 1)] {
            let out = run(twice, &times, tail);
            assert_eq!(out.iter().filter(|f| f.left == 4).count(), frames, "{tail} s");
            let last = out[out.len() - 1];
            assert_eq!(last.pts + last.duration, times[4] + tail);
        }
        let out = run(
            TimelineOptions::new(TimelineMode::TargetRate(time(30, 1))),
            &times,
            time(10, 1),
        );
        assert_eq!(out.len(), 305, "at a constant rate to the end of it");
    }

    #[test]
    fn one_frame_and_none() {
        let options = TimelineOptions::new(TimelineMode::Factor(4));
        assert_eq!(run(options, &[], time(1, 25)).len(), 0);
        let one = run(options, &[time(3, 1)], time(1, 25));
        assert_eq!(one.len(), 4);
        assert!(one.iter().all(|f| f.left == 0 && f.timestep == time(0, 1)));
        assert_eq!(
            run(options, &[time(3, 1)], time(0, 1)).len(),
            4,
            "an unknown duration is 1/25 s"
        );
    }

    #[test]
    fn slow_motion_keeps_the_rate() {
        let options = TimelineOptions::slow_motion(4);
        let out = run(options, &[time(1, 1), time(26, 25)], time(1, 25));
        assert_eq!(out.len(), 8);
        assert_eq!(out[0].pts, time(4, 1));
        assert!(out.windows(2).all(|w| w[1].pts - w[0].pts == time(1, 25)));
    }

    #[test]
    fn options_out_of_range_are_errors() {
        let bad = |mode| Timeline::new(TimelineOptions::new(mode)).is_err();
        assert!(bad(TimelineMode::Factor(0)) && bad(TimelineMode::Factor(257)));
        assert!(bad(TimelineMode::TargetRate(time(0, 1))) && bad(TimelineMode::TargetRate(time(1001, 1))));
        let frozen = TimelineOptions {
            stretch: time(0, 1),
            ..TimelineOptions::new(TimelineMode::Factor(2))
        };
        assert!(Timeline::new(frozen).is_err());
    }

    /// Ten minutes of a variable rate: intervals of 20 to 50 ms in whole ticks, drawn by a fixed generator.
    fn ten_minutes(base: i64) -> Vec<Time> {
        let (mut state, mut ticks) = (1_u64, vec![0]);
        while ticks[ticks.len() - 1] < 600 * base {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let milliseconds = 20 + i64::try_from((state >> 33) % 31).unwrap();
            ticks.push(ticks[ticks.len() - 1] + (milliseconds * base + 500) / 1000);
        }
        ticks.into_iter().map(|tick| time(tick, base)).collect()
    }

    #[test]
    fn a_multiple_that_is_no_whole_number_is_exact_at_any_rate() {
        let shown = |times: &[Time], factor: Time| {
            let options = TimelineOptions::new(TimelineMode::times(factor));
            let mut timeline = Timeline::new(options).unwrap();
            let mut frames = Vec::new();
            for pts in times {
                match timeline.push(*pts, time(1, 10), false).unwrap() {
                    Push::Frames(more) => frames.extend(more),
                    Push::Dropped => panic!("dropped"),
                }
            }
            frames.extend(timeline.finish().unwrap());
            frames
                .iter()
                .map(|f| (f.left, f.timestep, f.pts))
                .collect::<Vec<_>>()
        };
        // A constant rate: 5/2 times 10 a second is 25 a second.
        let steady: Vec<_> = (0..4).map(|n| time(n, 10)).collect();
        let frames = shown(&steady, time(5, 2));
        assert_eq!(frames.len(), 10);
        for (k, frame) in frames.iter().enumerate() {
            let k = k as i64;
            let left = (k * 2 / 5).min(3);
            let step = if left == 3 {
                time(0, 1)
            } else {
                time(2 * k, 5) - left
            };
            assert_eq!(*frame, (left as u64, step, time(k, 25)));
        }
        // A variable one: each at its share of its own interval, source frames among them.
        let frames = shown(&[time(0, 1), time(1, 10), time(4, 10)], time(3, 2));
        let wanted = [
            (0, time(0, 1), time(0, 1)),
            (0, time(2, 3), time(2, 30)),
            (1, time(1, 3), time(2, 10)),
            (2, time(0, 1), time(4, 10)),
            (2, time(0, 1), time(4, 10) + time(2, 30)),
        ];
        // The last frame is shown for a tenth of a second, at the spacing of the frames before.
        assert_eq!(frames[..4], wanted[..4], "{frames:?}");
        assert!(frames.len() == 4 || frames[4].2 < time(5, 10), "{frames:?}");
        // Whole numbers are factors.
        assert_eq!(TimelineMode::times(time(4, 2)), TimelineMode::Factor(2));
        for wrong in [time(1, 2), time(513, 2), time(100_001, 1000)] {
            assert!(Timeline::new(TimelineOptions::new(TimelineMode::times(wrong))).is_err());
        }
    }

    #[test]
    fn all_frames_of_a_multiple_last_equally_long_at_a_constant_rate() {
        let times: Vec<Time> = (0..7).map(|n| time(n, 10)).collect();
        for factor in [time(5, 2), time(3, 2), time(25, 24), time(1001, 400)] {
            let out = run(
                TimelineOptions::new(TimelineMode::times(factor)),
                &times,
                time(1, 10),
            );
            let (last, others) = out.split_last().unwrap();
            let step = (factor * 10).recip();
            assert!(others.iter().all(|f| f.duration == step), "{factor}: {others:?}");
            assert_eq!(last.pts + last.duration, time(7, 10), "{factor}");
        }
    }

    #[test]
    fn ten_minutes_of_a_variable_rate_do_not_drift() {
        for (base, unit) in [
            (1000, time(1, 1000)),
            (90_000, time(1, 90_000)),
            (1_200_000, time(1, 65_536)),
        ] {
            let times = ten_minutes(base);
            for mode in [
                TimelineMode::Factor(3),
                TimelineMode::TargetRate(time(60_000, 1001)),
            ] {
                let out = run(TimelineOptions::new(mode), &times, time(1, 30));
                for frame in &out {
                    // What the container can say of the time is within a tick of it, however late it is.
                    let written = unit * crate::time::to_ticks(frame.pts, unit);
                    assert!(written - frame.pts <= unit && frame.pts - written <= unit);
                    let left = frame.left as usize;
                    let length = times.get(left + 1).map_or(time(0, 1), |next| next - times[left]);
                    if left + 1 < times.len() {
                        assert_eq!(
                            times[left] + length * frame.timestep,
                            frame.pts,
                            "the moment that is shown"
                        );
                    }
                }
                let last = out[out.len() - 1];
                let over = last.pts + last.duration - times[times.len() - 1] - time(1, 30);
                assert!(
                    over >= time(0, 1) && over <= time(1, 59),
                    "the end moved by {over} s"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_among_repeated_and_backward_times_and_gaps(
            deltas in prop::collection::vec(-40_i64..5000, 1..60),
            base in prop::sample::select(vec![600_i64, 1000, 90_000, 30_000]),
            factor in 1_u32..=8,
            target in any::<bool>(),
        ) {
            let mut ticks = vec![0_i64];
            deltas.iter().for_each(|d| ticks.push(ticks[ticks.len() - 1] + d));
            let times: Vec<Time> = ticks.iter().map(|&t| time(t, base)).collect();
            let mode = if target { TimelineMode::TargetRate(time(24_000, 1001)) } else { TimelineMode::Factor(factor) };
            let out = run_with_pauses(TimelineOptions::new(mode), &times, time(1, 25), time(1, 2));
            // Shown are those whose time is above all before; the others a player would not show either.
            let mut kept = Vec::new();
            for (index, at) in times.iter().enumerate() {
                if kept.last().is_none_or(|&last: &usize| *at > times[last]) {
                    kept.push(index);
                }
            }
            prop_assert!(out.windows(2).all(|w| w[0].pts < w[1].pts), "monotone");
            prop_assert!(out.windows(2).all(|w| w[0].pts + w[0].duration == w[1].pts), "no hole");
            prop_assert!(out.iter().all(|f| kept.contains(&(f.left as usize))));
            for (at, &left) in kept.iter().enumerate() {
                let Some(&right) = kept.get(at + 1) else { continue };
                let length = times[right] - times[left];
                let between: Vec<_> = out.iter().filter(|f| f.left as usize == left).collect();
                match (target, length > time(1, 2)) {
                    (false, true) => prop_assert_eq!(between.len(), 1, "a pause is held"),
                    (false, false) => prop_assert_eq!(between.len(), factor as usize),
                    (true, _) => {
                        let step = time(1001, 24_000);
                        prop_assert!(between.windows(2).all(|pair| pair[1].pts - pair[0].pts == step));
                    }
                }
                for frame in between {
                    if length <= time(1, 2) {
                        prop_assert_eq!(times[left] + length * frame.timestep, frame.pts);
                    } else {
                        prop_assert_eq!(frame.timestep, time(0, 1));
                    }
                }
            }
        }

        #[test]
        fn factors_divide_every_interval_and_keep_the_duration(
            deltas in prop::collection::vec(1_i64..5000, 0..40),
            start in -100_000_i64..100_000,
            base in prop::sample::select(vec![1000_i64, 90_000, 24_000, 1_200_000, 15_360]),
            factor in 1_u32..=16,
            tail in 1_i64..5000,
        ) {
            let mut ticks = vec![start];
            deltas.iter().for_each(|d| ticks.push(ticks[ticks.len() - 1] + d));
            let times: Vec<Time> = ticks.iter().map(|&t| time(t, base)).collect();
            let options = TimelineOptions::new(TimelineMode::Factor(factor));
            let out = run(options, &times, time(tail, base));
            let n = times.len();
            let hold = out.iter().filter(|f| f.left as usize == n - 1).count();
            prop_assert_eq!(out.len() - hold, factor as usize * (n - 1));
            prop_assert!(hold >= 1 && hold <= factor as usize);
            prop_assert!(out.windows(2).all(|w| w[0].pts + w[0].duration == w[1].pts && w[0].duration > time(0, 1)));
            let last = out[out.len() - 1];
            prop_assert_eq!(last.pts + last.duration, times[n - 1] + time(tail, base));
            for frame in &out {
                let left = frame.left as usize;
                let length = times.get(left + 1).map_or(time(0, 1), |next| next - times[left]);
                if left + 1 < n {
                    prop_assert_eq!(frame.pts, times[left] + length * frame.timestep);
                }
                prop_assert!(frame.timestep >= time(0, 1) && frame.timestep < time(1, 1));
            }
        }

        #[test]
        fn frames_of_a_multiple_last_until_the_next(
            deltas in prop::collection::vec(1_i64..5000, 0..40),
            start in -100_000_i64..100_000,
            factor in prop::sample::select(vec![(5_i64, 2_i64), (3, 2), (25, 24), (7, 3), (1001, 400), (511, 2)]),
            slow in any::<bool>(),
            tail in 1_i64..5000,
        ) {
            let factor = time(factor.0, factor.1);
            let mut ticks = vec![start];
            deltas.iter().for_each(|d| ticks.push(ticks[ticks.len() - 1] + d));
            let times: Vec<Time> = ticks.iter().map(|&t| time(t, 1000)).collect();
            let options = match slow {
                true => TimelineOptions::slowed(factor),
                false => TimelineOptions::new(TimelineMode::times(factor)),
            };
            let out = run_with_pauses(options, &times, time(tail, 1000), time(2, 1));
            prop_assert!(out.iter().all(|f| f.duration > time(0, 1)));
            prop_assert!(out.windows(2).all(|w| w[0].pts + w[0].duration == w[1].pts), "no hole");
            let last = out[out.len() - 1];
            let end = times[times.len() - 1] + time(tail, 1000);
            prop_assert_eq!(last.pts + last.duration, end * options.stretch);
        }

        #[test]
        fn target_rates_stand_on_their_grid_and_end_within_a_frame(
            deltas in prop::collection::vec(1_i64..400, 0..60),
            start in -10_000_i64..10_000,
            rate in prop::sample::select(vec![(60, 1), (60_000, 1001), (24_000, 1001), (25, 1), (7, 2)]),
            tail in 1_i64..400,
        ) {
            let rate = time(rate.0, rate.1);
            let mut ticks = vec![start];
            deltas.iter().for_each(|d| ticks.push(ticks[ticks.len() - 1] + d));
            let times: Vec<Time> = ticks.iter().map(|&t| time(t, 1000)).collect();
            let out = run(TimelineOptions::new(TimelineMode::TargetRate(rate)), &times, time(tail, 1000));
            let end = times[times.len() - 1] + time(tail, 1000);
            prop_assert!(!out.is_empty());
            for (k, frame) in out.iter().enumerate() {
                prop_assert_eq!(frame.pts, times[0] + rate.recip() * k as i64);
                let left = frame.left as usize;
                prop_assert!(times[left] <= frame.pts);
                if let Some(next) = times.get(left + 1) {
                    prop_assert!(frame.pts < *next);
                    prop_assert_eq!(frame.pts, times[left] + (next - times[left]) * frame.timestep);
                }
            }
            let last = out[out.len() - 1];
            prop_assert!(last.pts < end && last.pts + rate.recip() >= end);
        }

        #[test]
        fn no_list_of_times_panics(
            ticks in prop::collection::vec(any::<i64>(), 0..20),
            base in prop::sample::select(vec![(1_i64, 1_i64), (1, 1_000_000_000), (1001, 30_000), (1 << 30, 1)]),
            factor in 1_u32..=256,
        ) {
            for mode in [TimelineMode::Factor(factor), TimelineMode::TargetRate(time(60_000, 1001))] {
                let mut timeline = Timeline::new(TimelineOptions::new(mode)).unwrap();
                for &tick in &ticks {
                    if let Some(pts) = crate::time::from_ticks(tick, time(base.0, base.1)) {
                        let _ = timeline.push(pts, time(1, 25), tick % 3 == 0);
                    }
                }
                let _ = timeline.finish();
            }
        }
    }
}
