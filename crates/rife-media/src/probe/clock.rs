//! Timestamp discontinuities: where the clock of a transport stream, program stream or FLV file starts anew or jumps, as
//! where recordings were joined, and what is to be added so that all streams lie on one line again.
//!
//! The main video decides. Its clock starts anew where a packet is decoded more than a tenth of a second before the one
//! before it, and jumps where one comes more than ten seconds later and nothing of any other stream lies between; a pause
//! of the picture while sound goes on is none. After either the picture goes on where it was. The packets of other
//! streams move with the part of the video in whose time they lie.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use num_rational::Ratio;

use super::{MediaInfo, PATIENCE, StreamKind};
use crate::ffmpeg::args::Args;
use crate::ffmpeg::child::{self, Request};
use crate::time::{from_ticks, narrow, to_ticks, widen};
use crate::{CancelToken, Ffmpeg, Limits, Result, Time};

/// Microseconds by which time goes back at least where a clock starts anew.
const BACK: i64 = 100_000;
/// Microseconds by which time goes on at least where a clock jumps.
const FORTH: i64 = 10_000_000;
/// The most parts that are told apart; a file with more has no clock that could be followed.
const MAX_PARTS: usize = 500;
/// MPEG's clock has 33 bits and a unit of 1/90000 s.
const WRAP: Time = Ratio::new_raw(1 << 33, 90_000);
/// What is added to the ticks of frames each time that their clock has started anew, so that they never go back.
const EPOCH: i64 = 1 << 36;

/// A filter that adds [`EPOCH`] to the times of frames whenever they go back.
pub(crate) const EPOCH_FILTER: &str = "setpts='st(0,ld(0)+lt(PTS,PREV_INPTS-0.1/TB));PTS+ld(0)*68719476736'";

/// The parts of a file in each of which time goes on; empty where it does so in the whole file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clock {
    parts: Vec<Part>,
}

/// A part in which the clock runs on. Times are in microseconds.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// How often time has gone back before it.
    epoch: i64,
    /// When its first frame is shown, by its own clock.
    first: i64,
    /// When its last frame's display ends.
    end: i64,
    /// What is added to its times.
    offset: Time,
    /// Packets of the main video in it.
    packets: usize,
}

/// What becomes of the packets of one stream, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// From which packet on how much is added.
    pub(crate) offsets: Vec<(u64, Time)>,
    /// Packets that would be heard while the ones before still are: first and last.
    pub(crate) overlapping: Vec<(u64, u64)>,
}

/// One packet of a report.
struct Line {
    stream: u32,
    shown: i64,
    decoded: i64,
    length: i64,
}

impl Clock {
    /// Whether there is nothing to correct.
    pub fn is_continuous(&self) -> bool {
        self.parts.len() < 2
    }

    /// How often the clock starts anew or jumps.
    pub fn discontinuities(&self) -> usize {
        self.parts.len().saturating_sub(1)
    }

    /// Times of the main video's packets, in the order of the file, put on one line.
    pub(super) fn correct(&self, times: &mut [i64], time_base: Time) {
        let mut rest = times;
        for part in self.parts.iter().filter(|_| !self.is_continuous()) {
            let (here, after) = rest.split_at_mut(part.packets.min(rest.len()));
            let offset = to_ticks(part.offset, time_base);
            here.iter_mut()
                .for_each(|time| *time = time.saturating_add(offset));
            rest = after;
        }
    }

    /// When the last frame's display ends on the one line.
    pub(super) fn end(&self) -> Option<Time> {
        let last = self.parts.last()?;
        Some(micros_to_time(last.end) + last.offset)
    }

    /// Packets of the main video.
    pub(super) fn packets(&self) -> usize {
        self.parts.iter().map(|part| part.packets).sum()
    }

    /// When a frame is shown on the one line, of a frame that has passed [`EPOCH_FILTER`] at `time_base`.
    pub(crate) fn place(&self, ticks: i64, unit: Time, time_base: Time) -> Option<Time> {
        let length = widen(time_base) * i128::from(EPOCH);
        let time = widen(unit) * i128::from(ticks);
        let epoch = (time / length).round();
        let raw = narrow(time - epoch * length)?;
        let epoch = i64::try_from(epoch.to_integer()).ok()?;
        let here = || self.parts.iter().filter(|part| part.epoch == epoch);
        let candidates = [raw, raw + WRAP, raw - WRAP]
            .into_iter()
            .flat_map(|raw| here().map(move |part| (part.distance(time_to_micros(raw)), raw + part.offset)));
        candidates
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, time)| time)
    }

    /// The part that a packet lies in, of those around the `number`th.
    fn part_of(&self, number: usize, time: i64) -> Option<&Part> {
        let around = [Some(number), number.checked_sub(1), number.checked_add(1)];
        let around = around
            .into_iter()
            .flatten()
            .filter_map(|index| self.parts.get(index));
        around.min_by_key(|part| part.distance(time))
    }
}

impl Part {
    /// How far a time is from this part's.
    fn distance(&self, time: i64) -> i64 {
        (self.first - time).max(time - self.end).max(0)
    }
}

fn micros_to_time(micros: i64) -> Time {
    Ratio::new(micros, 1_000_000)
}

fn time_to_micros(time: Time) -> i64 {
    to_ticks(time, Ratio::new_raw(1, 1_000_000))
}

/// Reads all packets of a file whose container may be discontinuous and finds its parts.
pub(super) fn scan(
    ffmpeg: &Ffmpeg,
    info: &MediaInfo,
    limits: &Limits,
    cancel: &CancelToken,
) -> Result<Clock> {
    let discontinuous = matches!(info.container.as_str(), "mpegts" | "mpeg" | "flv");
    let Some((main, video)) = info.main_video().filter(|_| discontinuous) else {
        return Ok(Clock::default());
    };
    let (index, time_base) = (main.index, video.time_base);
    let continuous = |kind| matches!(kind, StreamKind::Audio | StreamKind::Video);
    let others: Vec<u32> = info
        .streams
        .iter()
        .filter(|stream| stream.index != index && continuous(stream.kind))
        .map(|stream| stream.index)
        .collect();
    let mut scan = Scan {
        time_base,
        ..Scan::default()
    };
    packets(ffmpeg, &info.path, limits, cancel, |line| {
        if line.stream == index {
            scan.video(line);
        } else if others.contains(&line.stream) {
            scan.between.push(line.shown);
        }
    })?;
    if scan.parts.len() > MAX_PARTS {
        scan.parts.clear();
    }
    Ok(Clock { parts: scan.parts })
}

/// What has been seen of a file.
#[derive(Default)]
struct Scan {
    time_base: Time,
    parts: Vec<Part>,
    /// When the packet before was decoded, and the last step between two.
    last: Option<i64>,
    step: i64,
    /// Times of other streams since then.
    between: Vec<i64>,
}

impl Scan {
    fn video(&mut self, line: &Line) {
        let step = self.last.map_or(0, |last| line.decoded - last);
        let last = self.last.replace(line.decoded).unwrap_or(line.decoded);
        let lasts = if line.length > 0 { line.length } else { self.step };
        // Sound may outlast the picture a little where recordings meet.
        let paused = |time: &i64| *time > last + FORTH / 4 && *time < line.decoded - FORTH / 4;
        let jumps = step < -BACK || (step > FORTH && !self.between.iter().any(paused));
        self.between.clear();
        if self.parts.is_empty() || jumps {
            self.begin(line.shown, step < 0);
        } else if step > 0 {
            self.step = step;
        }
        if let Some(part) = self.parts.last_mut() {
            part.packets += 1;
            part.end = part.end.max(line.shown + lasts);
            // Frames that are shown before the first that is decoded.
            let early = (part.first - line.shown).max(0);
            part.first -= early;
            if self.parts.len() > 1 {
                self.join();
            }
        }
    }

    fn begin(&mut self, first: i64, back: bool) {
        let epoch = self.parts.last().map_or(0, |part| part.epoch + i64::from(back));
        self.parts.push(Part {
            epoch,
            first,
            end: first,
            offset: Time::from(0),
            packets: 0,
        });
    }

    /// Puts the last part behind the one before it, in whole ticks.
    fn join(&mut self) {
        if let [.., before, part] = self.parts.as_mut_slice() {
            let end = micros_to_time(before.end) + before.offset;
            let offset = to_ticks(end - micros_to_time(part.first), self.time_base);
            part.offset = from_ticks(offset, self.time_base).unwrap_or_default();
        }
    }
}

/// What becomes of the packets of every other stream of a file that is not continuous.
pub(crate) fn moves(
    ffmpeg: &Ffmpeg,
    info: &MediaInfo,
    limits: &Limits,
    cancel: &CancelToken,
) -> Result<BTreeMap<u32, Moves>> {
    let main = info.main_video().map(|(stream, _)| stream.index);
    let sound = |index: u32| {
        let mut streams = info.streams.iter();
        streams.any(|stream| stream.index == index && stream.kind == StreamKind::Audio)
    };
    let clock = &info.clock;
    let mut found: BTreeMap<u32, (Moves, u64, i64)> = BTreeMap::new();
    let (mut part, mut seen) = (0, 0);
    packets(ffmpeg, &info.path, limits, cancel, |line| {
        if Some(line.stream) == main {
            if clock.parts.get(part).is_some_and(|here| seen == here.packets) {
                (part, seen) = (part + 1, 0);
            }
            seen += 1;
            return;
        }
        let Some(here) = clock.part_of(part, line.shown) else {
            return;
        };
        let (moves, number, end) = found
            .entry(line.stream)
            .or_insert((Moves::default(), 0, i64::MIN));
        let time = line.shown + time_to_micros(here.offset);
        if moves
            .offsets
            .last()
            .is_none_or(|(_, offset)| *offset != here.offset)
        {
            moves.offsets.push((*number, here.offset));
        }
        // A little is rounding.
        if sound(line.stream) && time + BACK / 20 < *end {
            match moves.overlapping.last_mut() {
                Some((_, last)) if *last + 1 == *number => *last = *number,
                _ => moves.overlapping.push((*number, *number)),
            }
        } else {
            *end = time + line.length;
        }
        *number += 1;
    })?;
    Ok(found
        .into_iter()
        .map(|(index, (moves, ..))| (index, moves))
        .collect())
}

/// Calls `each` for every packet of a file, in its order.
fn packets(
    ffmpeg: &Ffmpeg,
    path: &Path,
    limits: &Limits,
    cancel: &CancelToken,
    mut each: impl FnMut(&Line),
) -> Result<()> {
    let mut args = Args::default();
    args.all(["-hide_banner", "-loglevel", "quiet", "-of", "csv=p=0"]);
    args.all([
        "-show_entries",
        "packet=stream_index,pts_time,dts_time,duration_time",
    ]);
    args.input(path, limits)?;
    let mut lines = BufReader::new(child::start(Request {
        stdout: true,
        stall: PATIENCE,
        cancel: cancel.clone(),
        ..Request::new("ffprobe", &ffmpeg.ffprobe, args.0)
    })?);
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
        if let Some(packet) = parse(line.trim()) {
            each(&packet);
        }
        line.clear();
    }
    // What a damaged file has shown until its end counts.
    match lines.get_mut().finish("while reading packets") {
        Err(crate::MediaError::Child { .. }) => Ok(()),
        ended => ended.map(drop),
    }
}

fn parse(line: &str) -> Option<Line> {
    let mut fields = line.split(',');
    let stream = fields.next()?.parse().ok()?;
    let (shown, decoded) = (fields.next().and_then(micros), fields.next().and_then(micros));
    Some(Line {
        stream,
        shown: shown.or(decoded)?,
        decoded: decoded.or(shown)?,
        length: fields.next().and_then(micros).unwrap_or(0).max(0),
    })
}

/// Microseconds of a decimal number of seconds; nothing beyond a hundred years.
fn micros(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole: i64 = whole.parse().ok().filter(|whole| *whole < 4_000_000_000)?;
    let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let value = whole * 1_000_000 + fraction;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stream: u32, micros: i64) -> Line {
        Line {
            stream,
            shown: micros,
            decoded: micros,
            length: 40_000,
        }
    }

    fn scanned(times: &[(u32, i64)]) -> Clock {
        let mut scan = Scan {
            time_base: Ratio::new(1, 90_000),
            ..Scan::default()
        };
        for &(stream, time) in times {
            if stream == 0 {
                scan.video(&line(0, time));
            } else {
                scan.between.push(time);
            }
        }
        Clock { parts: scan.parts }
    }

    #[test]
    fn a_clock_that_starts_anew_or_jumps_is_put_on_one_line() {
        let hour = 3_600_000_000;
        let clock = scanned(&[
            (0, 0),
            (0, 40_000),
            (0, hour),
            (0, hour + 40_000),
            (0, 0),
            (0, 40_000),
        ]);
        assert_eq!(clock.discontinuities(), 2);
        let mut times: Vec<i64> = [0, 3600, 324_000_000, 324_003_600, 0, 3600].into();
        clock.correct(&mut times, Ratio::new(1, 90_000));
        assert_eq!(times, [0, 3600, 7200, 10_800, 14_400, 18_000]);
        let unit = Ratio::new(1, 90_000);
        let place = |epoch: i64, ticks: i64| clock.place(epoch * EPOCH + ticks, unit, unit);
        assert_eq!(place(0, 324_000_000), Some(Ratio::new(7200, 90_000)));
        assert_eq!(place(1, 3600), Some(Ratio::new(18_000, 90_000)));
        // ffmpeg may take MPEG's clock for one that has wrapped.
        assert_eq!(
            place(0, 324_003_600 - (1 << 33)),
            Some(Ratio::new(10_800, 90_000))
        );
    }

    #[test]
    fn a_pause_while_sound_goes_on_is_no_jump() {
        let second = 1_000_000;
        let sound = (0..20).map(|n| (1, n * second));
        let pause: Vec<_> = [(0, 0)]
            .into_iter()
            .chain(sound)
            .chain([(0, 20 * second)])
            .collect();
        assert!(scanned(&pause).is_continuous());
        assert!(!scanned(&[(0, 0), (1, 0), (1, 20 * second), (0, 20 * second)]).is_continuous());
    }

    #[test]
    fn times_are_read_exactly() {
        let read: Vec<_> = ["1.456778", "-0.5", "12", "N/A", "99999999999.0"]
            .map(micros)
            .into();
        assert_eq!(
            read,
            [Some(1_456_778), Some(-500_000), Some(12_000_000), None, None]
        );
    }
}
