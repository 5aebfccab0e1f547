//! Timestamp discontinuities of MPEG transport and program streams and FLV files, for example where recordings were joined:
//! detection, and the offsets that make the times of all streams continuous again.
//!
//! The main video decides. Its clock is reset where a decoding time is more than 0.1 s before the previous one, and jumps
//! where it is more than 10 s later and no packet of another stream lies in between (else the video only pauses). After
//! either, the next continuous range ("span") is shifted to follow the previous one. Packets of other streams are shifted
//! with the span whose times contain theirs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use num_rational::Ratio;

use super::{MediaInfo, PROBE_TIMEOUT, StreamKind};
use crate::ffmpeg::args::Args;
use crate::ffmpeg::child::{self, Request};
use crate::time::{from_ticks, narrow, to_ticks, widen};
use crate::{CancelToken, Ffmpeg, Limits, Result, Time};

/// Minimum backward step of decoding times, in microseconds, that is a clock reset.
const MIN_RESET: i64 = 100_000;
/// Minimum forward step of decoding times, in microseconds, that is a jump.
const MIN_JUMP: i64 = 10_000_000;
/// Maximum number of spans; a file with more is treated as continuous.
const MAX_SPANS: usize = 500;
/// Period in seconds of MPEG's clock, which has 33 bits at 90 kHz.
const WRAP: Time = Ratio::new_raw(1 << 33, 90_000);
/// Ticks that [`EPOCH_FILTER`] adds at each clock reset.
const EPOCH: i64 = 1 << 36;

/// An ffmpeg filter that adds [`EPOCH`] ticks to the times of frames at each clock reset, so that times never go back.
pub(crate) const EPOCH_FILTER: &str = "setpts='st(0,ld(0)+lt(PTS,PREV_INPTS-0.1/TB));PTS+ld(0)*68719476736'";

/// The spans of a file, ranges without a timestamp discontinuity, with their time offsets; fewer than two for a
/// continuous file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clock {
    spans: Vec<Span>,
}

/// A range of packets without a timestamp discontinuity. Times are in microseconds of the file's own timestamps.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    /// Number of clock resets before it.
    epoch: i64,
    /// Earliest presentation time of a frame.
    first: i64,
    /// Latest end of a frame's display.
    end: i64,
    /// Offset in seconds that makes its times continue the previous span's.
    offset: Time,
    /// Number of packets of the main video in it.
    packets: usize,
}

/// Corrections of the packets of one stream, by packet number from 0.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// `(packet, offset)`: offset in seconds of the times from this packet on.
    pub(crate) offsets: Vec<(u64, Time)>,
    /// First and last packet of each run of audio packets that would overlap earlier ones.
    pub(crate) overlapping: Vec<(u64, u64)>,
}

/// One packet as ffprobe reports it; times in microseconds.
struct Packet {
    stream: u32,
    /// Presentation time.
    pts: i64,
    /// Decoding time.
    dts: i64,
    /// Duration; 0 where unknown.
    duration: i64,
}

impl Clock {
    /// Reports whether the file has no timestamp discontinuity.
    pub fn is_continuous(&self) -> bool {
        self.spans.len() < 2
    }

    /// Returns the number of clock resets and jumps.
    pub fn discontinuities(&self) -> usize {
        self.spans.len().saturating_sub(1)
    }

    /// Adds the offsets to the main video's packet times in ticks, which are in file order.
    pub(super) fn correct(&self, times: &mut [i64], time_base: Time) {
        let mut rest = times;
        for span in self.spans.iter().filter(|_| !self.is_continuous()) {
            let (here, after) = rest.split_at_mut(span.packets.min(rest.len()));
            let offset = to_ticks(span.offset, time_base);
            here.iter_mut()
                .for_each(|time| *time = time.saturating_add(offset));
            rest = after;
        }
    }

    /// Returns the corrected end of the last frame's display in seconds; `None` without spans.
    pub(super) fn end(&self) -> Option<Time> {
        let last = self.spans.last()?;
        Some(micros_to_time(last.end) + last.offset)
    }

    /// Returns the number of packets of the main video.
    pub(super) fn packets(&self) -> usize {
        self.spans.iter().map(|span| span.packets).sum()
    }

    /// Returns the corrected presentation time in seconds of a decoded frame at `ticks` of `unit` that has passed
    /// [`EPOCH_FILTER`] in ticks of `time_base`; `None` where it is out of range or belongs to no span.
    pub(crate) fn corrected_pts(&self, ticks: i64, unit: Time, time_base: Time) -> Option<Time> {
        let length = widen(time_base) * i128::from(EPOCH);
        let time = widen(unit) * i128::from(ticks);
        let epoch = (time / length).round();
        let raw = narrow(time - epoch * length)?;
        let epoch = i64::try_from(epoch.to_integer()).ok()?;
        let here = || self.spans.iter().filter(|span| span.epoch == epoch);
        let candidates = [raw, raw + WRAP, raw - WRAP]
            .into_iter()
            .flat_map(|raw| here().map(move |span| (span.distance(time_to_micros(raw)), raw + span.offset)));
        candidates
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, time)| time)
    }

    /// Returns the span nearest to `time` (microseconds) among span `number` and its neighbours.
    fn nearest_span(&self, number: usize, time: i64) -> Option<&Span> {
        let around = [Some(number), number.checked_sub(1), number.checked_add(1)];
        let around = around
            .into_iter()
            .flatten()
            .filter_map(|index| self.spans.get(index));
        around.min_by_key(|span| span.distance(time))
    }
}

impl Span {
    /// Returns the distance in microseconds from `time` to this span; 0 inside.
    fn distance(&self, time: i64) -> i64 {
        (self.first - time).max(time - self.end).max(0)
    }
}

/// Converts microseconds to seconds.
fn micros_to_time(micros: i64) -> Time {
    Ratio::new(micros, 1_000_000)
}

/// Converts seconds to microseconds, rounded.
fn time_to_micros(time: Time) -> i64 {
    to_ticks(time, Ratio::new_raw(1, 1_000_000))
}

/// Reads all packets of a file whose container may have timestamp discontinuities and returns its spans; no spans for other
/// containers.
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
    packets(ffmpeg, &info.path, limits, cancel, |packet| {
        if packet.stream == index {
            scan.video(packet);
        } else if others.contains(&packet.stream) {
            scan.between.push(packet.pts);
        }
    })?;
    if scan.spans.len() > MAX_SPANS {
        scan.spans.clear();
    }
    Ok(Clock { spans: scan.spans })
}

/// State of the search for spans while the packets of a file are read; times in microseconds.
#[derive(Default)]
struct Scan {
    /// Time base of the main video in seconds per tick.
    time_base: Time,
    spans: Vec<Span>,
    /// Decoding time of the main video's previous packet.
    last: Option<i64>,
    /// Last positive difference of two decoding times.
    step: i64,
    /// Presentation times of other streams' packets since the main video's previous packet.
    between: Vec<i64>,
}

impl Scan {
    /// Adds a packet of the main video to the current span, or to a new one after a clock reset or jump.
    fn video(&mut self, packet: &Packet) {
        let step = self.last.map_or(0, |last| packet.dts - last);
        let last = self.last.replace(packet.dts).unwrap_or(packet.dts);
        let duration = if packet.duration > 0 {
            packet.duration
        } else {
            self.step
        };
        // Audio may outlast the video a little where recordings were joined.
        let paused = |time: &i64| *time > last + MIN_JUMP / 4 && *time < packet.dts - MIN_JUMP / 4;
        let jumps = step < -MIN_RESET || (step > MIN_JUMP && !self.between.iter().any(paused));
        self.between.clear();
        if self.spans.is_empty() || jumps {
            self.begin(packet.pts, step < 0);
        } else if step > 0 {
            self.step = step;
        }
        if let Some(span) = self.spans.last_mut() {
            span.packets += 1;
            span.end = span.end.max(packet.pts + duration);
            // A later packet may be presented before the first one.
            let early = (span.first - packet.pts).max(0);
            span.first -= early;
            if self.spans.len() > 1 {
                self.join();
            }
        }
    }

    /// Begins a span at presentation time `first`; `reset` is true after a clock reset, false after a jump.
    fn begin(&mut self, first: i64, reset: bool) {
        let epoch = self.spans.last().map_or(0, |span| span.epoch + i64::from(reset));
        self.spans.push(Span {
            epoch,
            first,
            end: first,
            offset: Time::from(0),
            packets: 0,
        });
    }

    /// Sets the offset of the last span, rounded to ticks, so that it follows the span before.
    fn join(&mut self) {
        if let [.., before, span] = self.spans.as_mut_slice() {
            let end = micros_to_time(before.end) + before.offset;
            let offset = to_ticks(end - micros_to_time(span.first), self.time_base);
            span.offset = from_ticks(offset, self.time_base).unwrap_or_default();
        }
    }
}

/// Reads all packets of a file with timestamp discontinuities and returns the corrections of each stream but the main video,
/// by stream index.
pub(crate) fn moves(
    ffmpeg: &Ffmpeg,
    info: &MediaInfo,
    limits: &Limits,
    cancel: &CancelToken,
) -> Result<BTreeMap<u32, Moves>> {
    let main = info.main_video().map(|(stream, _)| stream.index);
    let is_audio = |index: u32| {
        let mut streams = info.streams.iter();
        streams.any(|stream| stream.index == index && stream.kind == StreamKind::Audio)
    };
    let clock = &info.clock;
    let mut found: BTreeMap<u32, (Moves, u64, i64)> = BTreeMap::new();
    let (mut span, mut seen) = (0, 0);
    packets(ffmpeg, &info.path, limits, cancel, |packet| {
        if Some(packet.stream) == main {
            if clock.spans.get(span).is_some_and(|here| seen == here.packets) {
                (span, seen) = (span + 1, 0);
            }
            seen += 1;
            return;
        }
        let Some(here) = clock.nearest_span(span, packet.pts) else {
            return;
        };
        let (moves, number, end) = found
            .entry(packet.stream)
            .or_insert((Moves::default(), 0, i64::MIN));
        let time = packet.pts + time_to_micros(here.offset);
        if moves
            .offsets
            .last()
            .is_none_or(|(_, offset)| *offset != here.offset)
        {
            moves.offsets.push((*number, here.offset));
        }
        // Overlaps of up to 5 ms are rounding.
        if is_audio(packet.stream) && time + MIN_RESET / 20 < *end {
            match moves.overlapping.last_mut() {
                Some((_, last)) if *last + 1 == *number => *last = *number,
                _ => moves.overlapping.push((*number, *number)),
            }
        } else {
            *end = time + packet.duration;
        }
        *number += 1;
    })?;
    Ok(found
        .into_iter()
        .map(|(index, (moves, ..))| (index, moves))
        .collect())
}

/// Reads all packets of a file with ffprobe and calls `each` for every one, in file order.
fn packets(
    ffmpeg: &Ffmpeg,
    path: &Path,
    limits: &Limits,
    cancel: &CancelToken,
    mut each: impl FnMut(&Packet),
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
        stall: PROBE_TIMEOUT,
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
    // Of a damaged file, the packets read so far count.
    match lines.get_mut().finish("while reading packets") {
        Err(crate::MediaError::Child { .. }) => Ok(()),
        ended => ended.map(drop),
    }
}

/// Parses a line `stream,pts,dts,duration` of ffprobe's CSV (decimal seconds); a missing time takes the value of the other.
fn parse(line: &str) -> Option<Packet> {
    let mut fields = line.split(',');
    let stream = fields.next()?.parse().ok()?;
    let (pts, dts) = (fields.next().and_then(micros), fields.next().and_then(micros));
    Some(Packet {
        stream,
        pts: pts.or(dts)?,
        dts: dts.or(pts)?,
        duration: fields.next().and_then(micros).unwrap_or(0).max(0),
    })
}

/// Parses decimal seconds to microseconds; `None` for invalid text and from 4 billion seconds on.
fn micros(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let integer: i64 = integer.parse().ok().filter(|seconds| *seconds < 4_000_000_000)?;
    let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let value = integer * 1_000_000 + fraction;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(stream: u32, micros: i64) -> Packet {
        Packet {
            stream,
            pts: micros,
            dts: micros,
            duration: 40_000,
        }
    }

    fn scanned(times: &[(u32, i64)]) -> Clock {
        let mut scan = Scan {
            time_base: Ratio::new(1, 90_000),
            ..Scan::default()
        };
        for &(stream, time) in times {
            if stream == 0 {
                scan.video(&packet(0, time));
            } else {
                scan.between.push(time);
            }
        }
        Clock { spans: scan.spans }
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
        let place = |epoch: i64, ticks: i64| clock.corrected_pts(epoch * EPOCH + ticks, unit, unit);
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
