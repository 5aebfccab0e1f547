//! Stream properties from packets and first frames, read with ffprobe: frame rate (constant or variable), number of frames,
//! in-band HDR metadata, audio time ranges and encoder delay.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use num_rational::Ratio;
use serde::Deserialize;

use super::report::SideData;
use super::{MAX_REPORT, MediaStream, PROBE_TIMEOUT, VideoStream};
use crate::ffmpeg::args::Args;
use crate::ffmpeg::child::{self, Request};
use crate::time::{from_ticks, narrow, parse_decimal, widen};
use crate::{CancelToken, Ffmpeg, Limits, Result, Time};

/// Maximum number of packets that are read: eleven minutes at 30 fps.
const MAX_PACKETS: usize = 20_000;
/// Maximum number of frames that a decoder delays for reordering; H.264 allows 16.
const MAX_REORDER: usize = 32;

/// Sets the properties of a video stream that follow from its packets: number of frames, end, frame rate, HDR metadata. A
/// stream whose packets cannot be read keeps its header's values. `start` is the container's start time in seconds;
/// `clock` holds the timestamp discontinuities of the main video stream and is `None` for others.
pub(super) fn examine(
    ffmpeg: &Ffmpeg,
    path: &Path,
    limits: &Limits,
    cancel: &CancelToken,
    (start, clock): (Time, Option<&super::Clock>),
    stream: &mut MediaStream,
) -> Result<()> {
    let select = stream.index.to_string();
    let run = |entries: &[&str], count: usize| {
        let mut args = Args::default();
        args.all([
            "-hide_banner",
            "-loglevel",
            "quiet",
            "-of",
            "json",
            "-select_streams",
            &select,
        ]);
        entries.iter().for_each(|entry| {
            args.one(entry);
        });
        args.all(["-read_intervals", &format!("%+#{count}")])
            .input(path, limits)?;
        ffmpeg.run_ffprobe(args.0, MAX_REPORT, PROBE_TIMEOUT, cancel, "while reading packets")
    };
    let answer = match run(&["-show_entries", "packet=pts,dts,duration,flags"], MAX_PACKETS) {
        Err(crate::MediaError::Child { .. }) => return Ok(()),
        answer => answer?,
    };
    let packets = serde_json::from_slice::<PacketReport>(&answer)
        .unwrap_or_default()
        .packets;
    let Some(video) = stream.video.as_mut() else {
        return Ok(());
    };
    let shown: Vec<&Packet> = packets.iter().filter(|p| !p.flags.contains('D')).collect();
    let mut times = display_times(&shown);
    if let Some(clock) = clock.filter(|clock| !clock.is_continuous()) {
        clock.correct(&mut times, video.time_base);
        video.end = clock.end().map(|end| end - start);
        stream.frames = Some(clock.packets() as u64);
        stream.duration = video.end.zip(stream.start).map(|(end, start)| end - start);
    }
    if packets.len() < MAX_PACKETS && !shown.is_empty() {
        stream.frames = Some(shown.len() as u64);
        // An edit list may shorten the last frame; then the stream's duration ends before its packets.
        let announced = stream
            .start
            .zip(stream.duration)
            .map(|(begin, length)| begin + length);
        let last = times
            .iter()
            .max()
            .and_then(|time| from_ticks(*time, video.time_base));
        let cut = announced.filter(|end| last.is_some_and(|last| *end > last - start));
        let end = end_of(&shown, &times, video.time_base).map(|end| end - start);
        video.end = end.map(|end| cut.map_or(end, |cut| end.min(cut)));
    }
    if shown.first().is_some_and(|packet| packet.pts.is_none()) {
        let time = |ticks: &i64| from_ticks(*ticks, video.time_base);
        video.decoding_times = times.iter().take(MAX_REORDER).map_while(time).collect();
    }
    times.sort_unstable();
    detect_rate(&times, video);
    if video.color.is_hdr() || video.color.primaries == crate::Primaries::Bt2020 {
        let answer = run(
            &[
                "-show_frames",
                "-show_entries",
                "frame=side_data_list:frame_side_data",
            ],
            3,
        );
        let frames = answer
            .ok()
            .and_then(|json| serde_json::from_slice::<FrameReport>(&json).ok());
        let sides = frames
            .into_iter()
            .flat_map(|r| r.frames)
            .flat_map(|f| f.side_data_list);
        sides.for_each(|side| side.add_to(&mut video.hdr));
    }
    Ok(())
}

/// Reads the presentation times of the first video stream's packets into `contents`, sorted.
pub(super) fn times(
    ffmpeg: &Ffmpeg,
    path: &Path,
    cancel: &CancelToken,
    contents: &mut super::Contents,
) -> Result<()> {
    let mut args = Args::default();
    args.all(["-hide_banner", "-loglevel", "error", "-of", "csv=p=0"]);
    args.all(["-select_streams", "v:0", "-show_entries", "packet=pts"]);
    args.input(path, &Limits::default())?;
    let request = Request::new("ffprobe", &ffmpeg.ffprobe, args.0);
    let mut lines = BufReader::new(child::start(Request {
        stdout: true,
        stall: super::READ_BACK_TIMEOUT,
        cancel: cancel.clone(),
        ..request
    })?);
    // There are as many lines as frames, so they are parsed as they come.
    let (context, mut line) = ("while checking the output's times", String::new());
    while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
        match line.trim().split(',').next().map(str::parse) {
            Some(Ok(tick)) => contents.times.push(tick),
            // A packet's side data, such as a layer of alpha, has a line of its own.
            _ if line.trim().is_empty() => {}
            _ => contents.untimed += 1,
        }
        line.clear();
    }
    lines.get_mut().finish(context)?;
    contents.times.sort_unstable();
    Ok(())
}

/// Returns the time range of each audio stream's packets; of a damaged file, those that ffprobe could read.
pub(super) fn extents(ffmpeg: &Ffmpeg, path: &Path, cancel: &CancelToken) -> Result<Vec<super::AudioExtent>> {
    let mut args = Args::default();
    args.all(["-hide_banner", "-loglevel", "quiet", "-of", "csv=p=0"]);
    args.all(["-select_streams", "a", "-show_entries"]);
    args.one("packet=stream_index,pts_time,duration_time,flags")
        .input(path, &Limits::default())?;
    let mut lines = BufReader::new(child::start(Request {
        stdout: true,
        stall: super::READ_BACK_TIMEOUT,
        cancel: cancel.clone(),
        ..Request::new("ffprobe", &ffmpeg.ffprobe, args.0)
    })?);
    let (mut found, mut line) = (BTreeMap::new(), String::new());
    while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
        extend(&mut found, line.trim());
        line.clear();
    }
    match lines.get_mut().finish("while looking at the sound") {
        Err(crate::MediaError::Child { .. }) => {}
        ended => drop(ended?),
    }
    Ok(found.into_values().collect())
}

/// Extends the time range of a packet's stream by a line `index,pts,duration,flags` (times in decimal seconds); discarded
/// packets and invalid lines are ignored.
fn extend(found: &mut BTreeMap<u32, super::AudioExtent>, line: &str) -> Option<()> {
    let mut fields = line.split(',');
    let index = fields.next()?.parse().ok()?;
    let start = parse_decimal(fields.next()?)?;
    let packet = fields.next().and_then(parse_decimal).unwrap_or_default();
    if fields.next().is_some_and(|flags| flags.contains('D')) {
        return None;
    }
    let end = start + packet;
    let extent = found.entry(index).or_insert(super::AudioExtent {
        index,
        start,
        end,
        packet,
    });
    extent.start = extent.start.min(start);
    extent.end = extent.end.max(end);
    extent.packet = extent.packet.max(packet);
    Some(())
}

/// Returns the encoder delay (priming) of each audio stream as `(stream index, seconds)`: packets before the stream's start,
/// which an MP4 edit list hides and other containers cannot. Empty where the file cannot be read.
pub(super) fn priming(
    ffmpeg: &Ffmpeg,
    path: &Path,
    limits: &Limits,
    cancel: &CancelToken,
) -> Result<Vec<(u32, Time)>> {
    let mut args = Args::default();
    args.all([
        "-hide_banner",
        "-loglevel",
        "quiet",
        "-of",
        "json",
        "-select_streams",
        "a",
    ]);
    args.all([
        "-show_entries",
        "stream=index,start_time:packet=stream_index,pts_time",
    ]);
    args.all(["-read_intervals", "%+#64"]).input(path, limits)?;
    let answer = ffmpeg.run_ffprobe(args.0, MAX_REPORT, PROBE_TIMEOUT, cancel, "while reading packets");
    let report: AudioReport = match answer {
        Err(crate::MediaError::Child { .. }) => return Ok(Vec::new()),
        answer => serde_json::from_slice(&answer?).unwrap_or_default(),
    };
    let first = |index: u32| {
        let mut packets = report
            .packets
            .iter()
            .filter(|packet| packet.stream_index == index);
        parse_decimal(packets.next()?.pts_time.as_deref()?)
    };
    let hidden = |stream: &AudioStart| {
        let start = parse_decimal(stream.start_time.as_deref()?)?;
        let before = start - first(stream.index)?;
        (before > Time::from(0)).then_some((stream.index, before))
    };
    Ok(report.streams.iter().filter_map(hidden).collect())
}

/// ffprobe's JSON output for [`priming`].
#[derive(Deserialize, Default)]
struct AudioReport {
    #[serde(default)]
    streams: Vec<AudioStart>,
    #[serde(default)]
    packets: Vec<AudioPacket>,
}

/// An audio stream of [`AudioReport`]; the start time is in decimal seconds.
#[derive(Deserialize)]
struct AudioStart {
    index: u32,
    start_time: Option<String>,
}

/// An audio packet of [`AudioReport`]; the time is in decimal seconds.
#[derive(Deserialize)]
struct AudioPacket {
    stream_index: u32,
    pts_time: Option<String>,
}

/// ffprobe's JSON output for the packets of a stream.
#[derive(Deserialize, Default)]
struct PacketReport {
    #[serde(default)]
    packets: Vec<Packet>,
}

/// A packet in ffprobe's report; times are in ticks, the flag `D` means discarded.
#[derive(Deserialize)]
struct Packet {
    pts: Option<i64>,
    dts: Option<i64>,
    duration: Option<i64>,
    #[serde(default)]
    flags: String,
}

/// ffprobe's JSON output for the side data of frames.
#[derive(Deserialize)]
struct FrameReport {
    #[serde(default)]
    frames: Vec<FrameEntry>,
}

/// A frame of [`FrameReport`].
#[derive(Deserialize)]
struct FrameEntry {
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

/// Returns the presentation times of packets in ticks, in file order. Where presentation times are missing (all in AVI,
/// some in MPEG program streams), they are the decoding times plus a constant delay.
fn display_times(packets: &[&Packet]) -> Vec<i64> {
    let stated = || packets.iter().filter_map(|p| p.pts);
    if packets.iter().all(|p| p.pts.is_some()) {
        return stated().collect();
    }
    let first = packets.first().and_then(|p| p.pts.and(p.dts));
    let delay = first
        .zip(stated().min())
        .map_or(0, |(decoded, shown)| shown.saturating_sub(decoded));
    let decoded: Option<Vec<i64>> = packets.iter().map(|p| p.dts?.checked_add(delay)).collect();
    decoded.unwrap_or_else(|| stated().collect())
}

/// Returns the end of the last displayed packet in seconds; `None` where its duration is unknown. `times` are the packets'
/// presentation times in ticks.
fn end_of(packets: &[&Packet], times: &[i64], time_base: Time) -> Option<Time> {
    let (time, packet) = times.iter().zip(packets).max_by_key(|(time, _)| **time)?;
    let duration = packet.duration.filter(|d| *d > 0)?;
    from_ticks(time.checked_add(duration)?, time_base)
}

/// Sets frame rate and `variable_rate` of `video` from sorted presentation times in ticks: constant where all times lie
/// within a tick of a grid, else variable with about the mean rate.
fn detect_rate(times: &[i64], video: &mut VideoStream) {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
        return;
    };
    if times.len() < 3 || last <= first {
        return;
    }
    if counts_frames(times, video) {
        return;
    }
    let tick = widen(video.time_base);
    let mean = Ratio::new(times.len() as i128 - 1, 1) / (tick * (i128::from(last) - i128::from(first)));
    let found = video
        .frame_rate
        .into_iter()
        .chain(near_standard(mean))
        .find(|rate| fits(times, first, *rate, tick));
    match found {
        Some(rate) => video.frame_rate = Some(rate),
        None => {
            video.variable_rate = true;
            // A header's rate that differs by 5 % or more from the mean is replaced by the mean.
            let close = |rate: &Time| (widen(*rate) - mean) * 20 < mean && (mean - widen(*rate)) * 20 < mean;
            video.frame_rate = video.frame_rate.filter(close).or_else(|| approximate(mean));
        }
    }
}

/// Reports whether ticks are frame numbers at the header's rate, as in AVI, and at least half of all intervals are one
/// tick: then omitted frames prolong others and the rate is the header's.
fn counts_frames(times: &[i64], video: &VideoStream) -> bool {
    let numbered = video
        .frame_rate
        .is_some_and(|rate| rate.recip() == video.time_base);
    let next = times.windows(2).filter(|pair| pair[1] - pair[0] == 1).count();
    numbered && next * 2 >= times.len() - 1
}

/// Reports whether time `n` lies within a tick of `first + n / rate` for all `times` (ticks); `tick` is in seconds.
fn fits(times: &[i64], first: i64, rate: Time, tick: Ratio<i128>) -> bool {
    let step = (widen(rate) * tick).recip();
    let near = |(n, &time): (usize, &i64)| {
        let error = step * (n as i128) - Ratio::from(i128::from(time) - i128::from(first));
        error <= Ratio::from(1) && error >= Ratio::from(-1)
    };
    times.iter().enumerate().all(near)
}

/// Returns the common frame rates within 1 % of `mean` (frames per second), nearest first, then the rounded mean.
fn near_standard(mean: Ratio<i128>) -> Vec<Time> {
    let integer = [
        8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 72, 90, 100, 120, 144, 240,
    ];
    let mut rates: Vec<Time> = integer
        .iter()
        .flat_map(|&n| [Ratio::from(n), Ratio::new(n * 1000, 1001)])
        .collect();
    let distance = |rate: &Time| {
        let difference = widen(*rate) - mean;
        if difference < Ratio::from(0) {
            -difference
        } else {
            difference
        }
    };
    rates.retain(|rate| distance(rate) * 100 < mean);
    rates.sort_by_key(distance);
    rates.extend(approximate(mean));
    rates
}

/// Rounds a rate to thousandths of a frame per second; `None` where that is 0 or out of range.
fn approximate(mean: Ratio<i128>) -> Option<Time> {
    narrow((mean * 1000).round() / 1000).filter(|rate| *rate > Ratio::from(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(rate: (i64, i64), base: i64, count: i64) -> Vec<i64> {
        (0..count)
            .map(|n| (n * rate.1 * base + rate.0 / 2) / rate.0)
            .collect()
    }

    #[test]
    fn rounded_grids_are_constant_rates() {
        let tick = Ratio::new(1, 1000);
        assert!(fits(
            &ticks((30000, 1001), 1000, 5000),
            0,
            Ratio::new(30000, 1001),
            tick
        ));
        assert!(!fits(&ticks((30000, 1001), 1000, 5000), 0, Ratio::from(30), tick));
        let mut gapped = ticks((25, 1), 1000, 100);
        gapped.iter_mut().skip(50).for_each(|t| *t += 40);
        assert!(!fits(&gapped, 0, Ratio::from(25), tick));
    }

    #[test]
    fn standard_rates_are_found_from_the_mean() {
        let mean = Ratio::new(23_976_i128, 1000);
        assert_eq!(near_standard(mean)[0], Ratio::new(24000, 1001));
        let odd = near_standard(Ratio::new(17_400_i128, 1000));
        assert_eq!(odd, [Ratio::new(87, 5)], "no common rate is near");
    }
}
