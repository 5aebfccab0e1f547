//! Video file source: an ffmpeg child process decodes the main video stream and pipes raw frames with their times as NUT.
//! Times are corrected for timestamp discontinuities, decoder delay and rounding to the container's time base.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};

use num_rational::Ratio;

use super::combing::{self, Combing};
use super::parts::{self, Index, Parts, Step};
use super::{Orientation, Source, SourceSpec, StreamInfo};
use crate::ffmpeg::args::{Args, check_word};
use crate::ffmpeg::child::{self, Child, Request};
use crate::nut;
use crate::probe::clock::EPOCH_FILTER;
use crate::probe::{DisplayMatrix, FieldOrder, MediaInfo, MediaStream, StreamKind, VideoStream, probe_with};
use crate::time::{decimal_seconds, from_ticks, narrow, to_ticks, widen};
use crate::timeline::{BEHIND, is_pause};
use crate::{Ffmpeg, Frame, Layout, MediaError, PixelFormat, Result, Time};

/// ffmpeg's filters of inverse telecine: field matching, deinterlacing of unmatched fields, and removal of the duplicate
/// in every five frames.
macro_rules! film {
    () => {
        "fieldmatch=mode=pcn_ub,bwdif=mode=send_frame:deint=interlaced,decimate"
    };
}

/// Maximum duration of the last frame in seconds; a longer packet duration is ignored.
const LONGEST_LAST_FRAME: i128 = 3600;

/// A source of frames from a running ffmpeg.
pub(super) struct Decoder {
    path: PathBuf,
    info: StreamInfo,
    spec: SourceSpec,
    /// The running ffmpeg; `None` between parts.
    reader: Option<nut::read::Reader<Child>>,
    ffmpeg: Ffmpeg,
    /// ffmpeg's arguments for decoding from the file's start.
    args: Args,
    /// Why decoding cannot begin at any key frame.
    hindrance: Option<String>,
    /// The index, once read, and the parts to read where not all frames are wanted.
    index: Option<Index>,
    parts: Option<Parts>,
    /// The exact frame times of a constant rate that the time base cannot represent.
    grid: Option<Grid>,
    /// Correction of the decoder delay.
    late: DecoderDelay,
    /// Seconds added to every time, known from the first frame on.
    moved: Option<Time>,
    /// The next frame, read ahead because its time gives the duration of the frame before.
    ahead: Option<Frame>,
    /// End of the last frame in seconds, where the probe found it.
    end: Option<Time>,
    /// Frame interval in seconds at the nominal rate.
    nominal: Time,
    /// The last intervals between frames, in seconds.
    intervals: VecDeque<Time>,
    /// Number of frames decoded so far.
    frames: u64,
    done: bool,
    /// Raw bytes of the last frame.
    buffer: Vec<u8>,
    notes: Vec<String>,
    warnings: Vec<String>,
}

impl Decoder {
    /// Probes the file, chooses decoder and filters, and starts ffmpeg.
    pub(super) fn open(path: &Path, spec: &SourceSpec) -> Result<Self> {
        let ffmpeg = spec.tools()?;
        let media = probe_with(&ffmpeg, path, &spec.limits, &spec.cancel)?;
        let (stream, video) = media.main_video().ok_or_else(|| no_video(&media))?;
        check_encryption(path, stream)?;
        check_video(path, spec, video)?;
        let (hwaccel, note) = hardware(&ffmpeg, path, spec, stream.index)?;
        let format = wire_format(path, video)?;
        let alpha_decoder = if video.alpha_layer {
            alpha_decoder(&ffmpeg, &stream.codec)?
        } else {
            None
        };
        let format = format.with_alpha(format.alpha || alpha_decoder.is_some());
        let film = spec
            .inverse_telecine
            .then(|| film_rate(video, format))
            .transpose()?;
        let combing = if is_doubtful(spec, video) {
            combing::detect(&ffmpeg, path, spec, stream.index, video, media.duration)?
        } else {
            Combing::default()
        };
        let own = filter(spec, &stream.codec, video, combing);
        let discontinuous = corrects_clock(&media, spec);
        let filters: Vec<&str> = discontinuous
            .then_some(EPOCH_FILTER)
            .into_iter()
            .chain(own.as_deref())
            .collect();
        let filter = (!filters.is_empty()).then(|| filters.join(","));
        let filter = filter.as_deref();
        let mut args = arguments(path, spec, stream.index, video, format, alpha_decoder, filter)?;
        if let Some(name) = hwaccel.filter(|_| alpha_decoder.is_none()) {
            // `-hwaccel` is an input option and must precede the input.
            args.0.splice(0..0, ["-hwaccel".into(), name.into()]);
        }
        let info = stream_info(&media, stream, video, format, spec.orientation);
        let seek = seek(spec, &media, &info, video);
        clock_options(&mut args, discontinuous);
        let hindrance = parts::hindrance(spec, &media, stream, own.is_some());
        let second = seek.map(|second| second.to_string());
        let options = second
            .as_ref()
            .map(|second| [&SOUGHT[..], &["-ss", second]].concat());
        let reader = start(&ffmpeg, spec, &args, &options.unwrap_or_default())?;
        let mut info = info;
        if seek.is_some() {
            info.frames = None;
        }
        if let Some(media) = &mut info.media {
            media.notes.extend(note);
        }
        let combed = combing.found() && !spec.deinterlace;
        let (mut notes, mut warnings): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        let message = combing_note(spec, video, combing).map(|note| format!("{}: {note}", path.display()));
        if combed {
            warnings.extend(message);
        } else {
            notes.extend(message);
        }
        if let Some(rate) = film {
            // The number of film frames is unknown before decoding.
            (info.frame_rate, info.variable_rate, info.frames) = (Some(rate), false, None);
        }
        // A time base of one frame interval is exact.
        let rounded = |rate: &Time| !info.variable_rate && rate.recip() > info.time_base;
        let grid = info.frame_rate.filter(rounded).map(|rate| Grid {
            rate,
            start: None,
            count: 0,
        });
        let nominal = info.frame_rate.map_or(Ratio::new(1, 25), |rate| rate.recip());
        let end = video.end;
        let late = DecoderDelay::new(&video.decoding_times);
        let missing = media.cut_off.iter();
        warnings.extend(missing.map(|missing| format!("{}: {missing}", path.display())));
        Ok(Self {
            path: path.to_owned(),
            info,
            spec: spec.clone(),
            reader: Some(reader),
            ffmpeg,
            args,
            hindrance,
            index: None,
            parts: None,
            grid,
            late,
            moved: None,
            ahead: None,
            end,
            nominal,
            intervals: VecDeque::new(),
            frames: 0,
            done: false,
            buffer: Vec::new(),
            notes,
            warnings,
        })
    }

    /// Reads one frame with its corrected time and duration 0; `None` at the end of the stream.
    fn decode(&mut self) -> Result<Option<Frame>> {
        let (pts, blank) = if let Some(parts) = &mut self.parts {
            let (number, time, step) = parts.step();
            match self.follow(number, time, &step) {
                Ok(true) => (time, step != Step::Decode && step != Step::Begin),
                Ok(false) => return Ok(None),
                Err(error) => {
                    self.done = true;
                    return Err(error);
                }
            }
        } else {
            match self.read()? {
                Some(pts) => (pts, false),
                None => return self.end_of_stream().map(|()| None),
            }
        };
        self.frames += 1;
        self.spec.limits.check_frames(self.frames)?;
        let pts = self.late.correct(pts);
        // Filters may have made the time base finer than the precision of the times.
        let unit = self
            .reader
            .as_ref()
            .map_or(self.info.time_base, nut::read::Reader::time_base);
        let tick = unit.max(self.info.time_base);
        let pts = self.grid.as_mut().map_or(pts, |grid| grid.snap(pts, tick));
        let (width, height, format) = (self.info.width, self.info.height, self.info.format);
        if blank {
            return Ok(Some(Frame::blank(width, height, format, pts)));
        }
        let frame = Frame::from_raw(width, height, format, &self.buffer)?;
        Ok(Some(frame.at(pts, Time::from(0))))
    }

    /// Reads the samples of the running ffmpeg's next frame into the buffer and returns its time in seconds since the
    /// container's start; `None` at the end of the stream.
    fn read(&mut self) -> Result<Option<Time>> {
        let size = self.info.format.frame_bytes(self.info.width, self.info.height);
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        let ticks = match reader.next_frame(size, &mut self.buffer) {
            Ok(Some(ticks)) => ticks,
            Ok(None) => return Ok(None),
            Err(error) => return Err(self.broken(&error)),
        };
        let unit = reader.time_base();
        let pts = self.time_of(ticks, unit).ok_or_else(|| MediaError::Frame {
            frame: self.frames,
            reason: format!("its time {ticks} is out of range"),
        })?;
        Ok(Some(pts))
    }

    /// Does what becomes of frame `number` at `time`, whose samples are in the buffer then if it is decoded; returns false at
    /// the end of the stream.
    fn follow(&mut self, number: usize, time: Time, step: &Step) -> Result<bool> {
        match step {
            Step::Begin => return self.begin(number, time).map(|()| true),
            Step::Decode | Step::Pass => {
                if self.read()? != Some(time) {
                    return Err(parts::misplaced(&self.path, number, time));
                }
            }
            Step::Leave => self.reader = None,
            Step::End => {
                self.done = true;
                if self.reader.is_none() {
                    return Ok(false);
                }
                if self.read()?.is_some() {
                    return Err(parts::misplaced(&self.path, number, time));
                }
                self.end_of_stream()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Starts ffmpeg before frame `number`, at `time`, and reads up to it.
    fn begin(&mut self, number: usize, time: Time) -> Result<()> {
        let places = self.parts.as_ref().map(|parts| parts.places(number));
        for place in places.unwrap_or_default() {
            // The running one ends before the next starts.
            self.reader = None;
            let options = place.map(|(at, _)| decimal_seconds(at));
            let options = options
                .as_ref()
                .map(|at| [&SOUGHT[..], &["-noaccurate_seek", "-ss", at]].concat());
            self.reader = Some(start(
                &self.ffmpeg,
                &self.spec,
                &self.args,
                &options.unwrap_or_default(),
            )?);
            let mut found = match self.read() {
                Err(MediaError::Cancelled) => return Err(MediaError::Cancelled),
                found => found.unwrap_or(None),
            };
            if place.is_some_and(|(_, latest)| found.is_none_or(|first| first > latest)) {
                continue;
            }
            while found.is_some_and(|found| found < time) {
                found = match self.read() {
                    Err(MediaError::Cancelled) => return Err(MediaError::Cancelled),
                    found => found.unwrap_or(None),
                };
            }
            if found == Some(time) {
                // A place that failed has ended the decoding.
                self.done = false;
                return Ok(());
            }
        }
        Err(parts::misplaced(&self.path, number, time))
    }

    /// Converts a frame's ticks of `unit` to seconds since the container's start, with timestamp discontinuities corrected; `None`
    /// where out of range.
    fn time_of(&mut self, ticks: i64, unit: Time) -> Option<Time> {
        if let Some(media) = self
            .info
            .media
            .as_ref()
            .filter(|media| corrects_clock(media, &self.spec))
        {
            let pts = media.clock.corrected_pts(ticks, unit, self.info.time_base)?;
            return Some(pts - media.start);
        }
        let pts = from_ticks(ticks, unit)?;
        Some(pts + self.start_offset(pts))
    }

    /// Returns the seconds to add to all times, decided by the first frame's time `pts`: ffmpeg may count the times of MPEG
    /// streams from the selected stream's start instead of the file's.
    fn start_offset(&mut self, pts: Time) -> Time {
        let start = self.info.start;
        let moved = self.is_mpeg() && start - pts > Ratio::new(1, 1000);
        *self
            .moved
            .get_or_insert(if moved { start } else { Time::from(0) })
    }

    /// Checks ffmpeg's exit status and the number of frames at the end of the stream, and adds warnings.
    fn end_of_stream(&mut self) -> Result<()> {
        self.done = true;
        let context = format!("after frame {} of {}", self.frames, self.path.display());
        let Some(child) = self.reader.as_mut().map(nut::read::Reader::get_mut) else {
            return Ok(());
        };
        child.finish(&context)?;
        let (tail, sizes) = (child.tail(), child.sizes());
        self.warn_of_size_changes(&sizes);
        if self.frames == 0 {
            return Err(MediaError::unreadable(
                &self.path,
                format!("not one frame could be decoded: {tail}"),
            ));
        }
        if let Some(announced) = self.info.frames.filter(|&announced| announced != self.frames) {
            self.warnings.push(format!(
                "{}: {} frames were decoded where {announced} were announced (the last at {:.3} s): {tail}",
                self.path.display(),
                self.frames,
                self.ahead
                    .as_ref()
                    .map_or(0.0, |frame| crate::time::seconds(frame.pts)),
            ));
        }
        Ok(())
    }

    /// Adds a warning that lists frame sizes other than the first one, which ffmpeg scaled to the first.
    fn warn_of_size_changes(&mut self, sizes: &[[u32; 2]]) {
        let Some(&[width, height]) = sizes.first() else {
            return;
        };
        let mut others: Vec<_> = sizes.iter().filter(|size| **size != [width, height]).collect();
        others.dedup();
        let others: Vec<_> = others.iter().map(|[w, h]| format!("{w}x{h}")).collect();
        if !others.is_empty() {
            self.warnings.push(format!(
                "{}: the picture's size changes from {width}x{height} to {}: all frames are scaled to {width}x{height}, the \
                 size of the first",
                self.path.display(),
                others.join(", ")
            ));
        }
    }

    /// Returns the error after a failed read: a changed frame format, or the failure of ffmpeg.
    fn broken(&mut self, error: &std::io::Error) -> MediaError {
        self.done = true;
        let Some(child) = self.reader.as_mut().map(nut::read::Reader::get_mut) else {
            return MediaError::unreadable(&self.path, error.to_string());
        };
        if error.kind() == std::io::ErrorKind::InvalidData && !child.was_stopped() {
            return MediaError::Frame {
                frame: self.frames,
                reason: error.to_string(),
            };
        }
        child.failure(&format!("at frame {} of {}", self.frames, self.path.display()))
    }

    /// Returns the duration in seconds of the last frame at `pts`: up to the end that the probe found where that is plausible
    /// (some files have packet durations of one tick, and MPEG streams may count the end from another start), else the usual
    /// interval.
    fn final_duration(&self, pts: Time) -> Time {
        let usual = self.usual_duration();
        let longest = if self.is_mpeg() {
            widen(usual) * 20 + 1
        } else {
            Ratio::from(LONGEST_LAST_FRAME)
        };
        let left = self.end.and_then(|end| narrow(widen(end) - widen(pts)));
        let sane = |left: &Time| widen(*left) * 8 >= widen(usual) && widen(*left) <= longest;
        left.filter(sane).unwrap_or(usual)
    }

    /// Returns the last frame interval in seconds; where it was a pause, the lower quartile of those before.
    fn usual_duration(&self) -> Time {
        let mut before: Vec<Time> = self.intervals.iter().copied().collect();
        let last = before.pop().unwrap_or(self.nominal);
        if !is_pause(last, &before) {
            return last;
        }
        before.sort_unstable();
        before[before.len() / 4]
    }

    /// Records the interval after a frame in seconds, unless it is 0.
    fn record_interval(&mut self, interval: Time) {
        self.intervals
            .extend((interval > Time::from(0)).then_some(interval));
        if self.intervals.len() > BEHIND + 1 {
            self.intervals.pop_front();
        }
    }

    /// Reports whether the container is an MPEG transport or program stream.
    fn is_mpeg(&self) -> bool {
        let media = self.info.media.as_ref();
        media.is_some_and(|media| matches!(media.container.as_str(), "mpegts" | "mpeg"))
    }
}

impl Source for Decoder {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// Returns the next frame; its duration comes from the frame after it, which is read ahead.
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.ahead.is_none() && !self.done {
            self.ahead = self.decode()?;
        }
        let next = if self.done { None } else { self.decode()? };
        let Some(mut frame) = std::mem::replace(&mut self.ahead, next) else {
            return Ok(None);
        };
        frame.duration = match &self.ahead {
            Some(next) => (next.pts - frame.pts).max(Time::from(0)),
            None => self.final_duration(frame.pts),
        };
        self.record_interval(frame.duration);
        Ok(Some(frame))
    }

    fn times(&mut self) -> Result<std::result::Result<Vec<Time>, String>> {
        if let Some(reason) = &self.hindrance {
            return Ok(Err(reason.clone()));
        }
        let media = self.info.media.as_ref();
        let Some((media, stream)) = media.and_then(|media| Some((media, media.main_video()?.0))) else {
            return Ok(Err("it has no index".to_owned()));
        };
        let index = Index::scan(&self.ffmpeg, media, stream, &self.spec.limits, &self.spec.cancel)?;
        Ok(index.map(|index| self.index.insert(index).times().to_vec()))
    }

    fn read_parts(&mut self, parts: Vec<Range<u64>>) -> Result<()> {
        let index = self.index.take().filter(|_| self.frames == 0);
        let index = index.ok_or_else(|| {
            MediaError::Unsupported(
                "parts are read before the first frame, of a source whose times are known".to_owned(),
            )
        })?;
        self.reader = None;
        self.info.frames = Some(index.times().len() as u64);
        self.parts = Some(Parts::new(index, parts));
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}

/// ffmpeg's options for times after a seek that are those of decoding from the start.
const SOUGHT: [&str; 2] = ["-copyts", "-start_at_zero"];

/// Starts ffmpeg with `options` before its arguments.
fn start(
    ffmpeg: &Ffmpeg,
    spec: &SourceSpec,
    args: &Args,
    options: &[&str],
) -> Result<nut::read::Reader<Child>> {
    let options = options.iter().map(std::ffi::OsString::from);
    let request = Request {
        stdout: true,
        cancel: spec.cancel.clone(),
        stall: spec.stall_timeout,
        ..Request::new(
            "ffmpeg",
            &ffmpeg.ffmpeg,
            options.chain(args.0.iter().cloned()).collect(),
        )
    };
    Ok(nut::read::Reader::new(child::start(request)?))
}

/// Correction of the decoder delay in containers without presentation times (AVI): ffmpeg gives each frame the time of the
/// packet after which the decoder returned it, late by the number of frames that the decoder holds for reordering.
struct DecoderDelay {
    /// Decoding times of the first packets in seconds, until the first frame.
    decoded: Vec<Time>,
    /// Presentation times of the following frames.
    waiting: VecDeque<Time>,
}

impl DecoderDelay {
    /// Creates the correction from the first packets' decoding times; without any, times stay unchanged.
    fn new(decoded: &[Time]) -> Self {
        Self {
            decoded: decoded.to_vec(),
            waiting: VecDeque::new(),
        }
    }

    /// Returns the corrected presentation time of the next frame, which ffmpeg gave the time `pts`.
    fn correct(&mut self, pts: Time) -> Time {
        let decoded = std::mem::take(&mut self.decoded);
        if let Some(held) = decoded.iter().position(|time| *time == pts) {
            self.waiting.extend(&decoded[..held]);
        }
        self.waiting.push_back(pts);
        self.waiting.pop_front().unwrap_or(pts)
    }
}

/// The exact frame times of a constant rate, which the container rounded to its time base.
struct Grid {
    /// Frame rate in frames per second.
    rate: Time,
    /// Time of the first frame.
    start: Option<Time>,
    /// Number of frames so far.
    count: i64,
}

impl Grid {
    /// Returns the exact time of the next frame where it is within a tick of `pts`, else `pts`; all in seconds.
    fn snap(&mut self, pts: Time, tick: Time) -> Time {
        let start = *self.start.get_or_insert(pts);
        let exact = widen(start) + widen(self.rate).recip() * i128::from(self.count);
        self.count += 1;
        let error = exact - widen(pts);
        let tick = widen(tick);
        if error <= tick && error >= -tick {
            narrow(exact).unwrap_or(pts)
        } else {
            pts
        }
    }
}

/// Returns the error for a file without a video stream, which names the streams that it has.
fn no_video(media: &MediaInfo) -> MediaError {
    let kinds = |kind| media.streams.iter().filter(|s| s.kind == kind).count();
    let detail = match (
        kinds(StreamKind::CoverArt),
        kinds(StreamKind::Audio),
        media.streams.len(),
    ) {
        (1.., ..) => ", only cover art".to_owned(),
        (_, audio @ 1.., _) => format!(", only {audio} of sound"),
        (.., 0) => ", and no other".to_owned(),
        _ => String::new(),
    };
    MediaError::NoVideo {
        path: media.path.clone(),
        detail,
    }
}

/// Returns an error where the stream is encrypted.
fn check_encryption(path: &Path, stream: &MediaStream) -> Result<()> {
    if !stream.encrypted {
        return Ok(());
    }
    Err(MediaError::unreadable(
        path,
        "its video is encrypted (copy protection or a pay-TV recording), and only a player with its key can read it; a file \
         without encryption is accepted",
    ))
}

/// Returns the requested hardware decoder where it decodes one frame of the stream, else a note why software is used; both
/// are `None` where none was requested. An error where this ffmpeg does not have it.
fn hardware(
    ffmpeg: &Ffmpeg,
    path: &Path,
    spec: &SourceSpec,
    stream: u32,
) -> Result<(Option<String>, Option<String>)> {
    let Some(name) = &spec.hwaccel else {
        return Ok((None, None));
    };
    check_word("the hardware decoder's name", name)?;
    let known = ffmpeg.hwaccels()?;
    if name != "auto" && !known.iter().any(|found| found == name) {
        let message = format!(
            "this ffmpeg has no hardware decoder {name}; it has {}, and auto and none are accepted",
            known.join(", ")
        );
        return Err(MediaError::Unsupported(message));
    }
    let mut args = Args::ffmpeg();
    args.all(["-hwaccel", name]).input(path, &spec.limits)?;
    args.all([
        "-map",
        &format!("0:{stream}"),
        "-frames:v",
        "1",
        "-f",
        "null",
        "-",
    ]);
    let request = Request {
        cancel: spec.cancel.clone(),
        stall: spec.stall_timeout,
        ..Request::new("ffmpeg", &ffmpeg.ffmpeg, args.0)
    };
    match child::start(request)?.finish("while trying the hardware decoder") {
        Ok(_) => Ok((Some(name.clone()), None)),
        Err(MediaError::Child { tail, .. }) => {
            let why = tail.split("; ").next().unwrap_or_default();
            let note = format!("the video is decoded by software: {name} cannot be used here ({why})");
            Ok((None, Some(note)))
        }
        Err(other) => Err(other),
    }
}

/// Checks frame size, Dolby Vision profile and field order against what is accepted.
fn check_video(path: &Path, spec: &SourceSpec, video: &VideoStream) -> Result<()> {
    spec.limits
        .check_size(u64::from(video.width), u64::from(video.height))?;
    if video.hdr.dolby_vision_only {
        return Err(MediaError::unreadable(
            path,
            "it is Dolby Vision without a base layer (profile 5): its colours mean nothing without metadata that is not \
             applied here; HDR10, HLG and SDR are accepted, and Dolby Vision with one of them as its base layer \
             (profiles 7 and 8)",
        ));
    }
    let order = match video.field_order {
        FieldOrder::Progressive => return Ok(()),
        FieldOrder::TopFirst => "top field first",
        FieldOrder::BottomFirst => "bottom field first",
    };
    if spec.allow_interlaced || spec.deinterlace || spec.inverse_telecine {
        return Ok(());
    }
    Err(MediaError::Interlaced {
        path: path.to_owned(),
        order: order.to_owned(),
    })
}

/// Returns the frame rate of the film in a telecined video: four fifths of the video's; an error for video to which inverse
/// telecine does not apply.
fn film_rate(video: &VideoStream, format: PixelFormat) -> Result<Time> {
    let refuse = |reason: String| {
        Err(MediaError::Unsupported(format!(
            "inverse telecine takes {reason}"
        )))
    };
    if format.depth != 8 || format.alpha || matches!(format.layout, Layout::Rgb | Layout::Gray) {
        return refuse(format!("YUV of 8 bits without alpha, not {format}"));
    }
    match video.frame_rate {
        Some(rate) if near(rate, 30) => Ok(rate * 4 / 5),
        // Soft telecine: fields are flagged to be repeated, and frames alternately last two and three fields.
        Some(rate) if video.variable_rate && rate > Ratio::from(23) && rate < Ratio::from(30) => {
            Ok(Ratio::new(24_000, 1001))
        }
        rate => {
            let rate = rate.map_or("an unknown rate".to_owned(), |rate| {
                format!("{:.3}", crate::time::seconds(rate))
            });
            refuse(format!("video of 29.97 or 30 frames a second, not {rate}"))
        }
    }
}

/// Reports whether a rate is the integer rate `nominal` or its NTSC variant, `nominal` * 1000/1001.
fn near(rate: Time, nominal: i64) -> bool {
    rate == Ratio::from(nominal) || rate == Ratio::new(nominal * 1000, 1001)
}

/// Reports whether interlacing is to be detected: the stream is flagged as progressive, at most about 30 fps, and interlaced
/// video is not explicitly allowed.
fn is_doubtful(spec: &SourceSpec, video: &VideoStream) -> bool {
    let slow = video.frame_rate.is_none_or(|rate| rate <= Ratio::from(31));
    video.field_order == FieldOrder::Progressive
        && !spec.inverse_telecine
        && (spec.deinterlace || (slow && !spec.allow_interlaced))
}

/// Returns a message about detected interlacing and its consequence; `None` where there is nothing to report.
fn combing_note(spec: &SourceSpec, video: &VideoStream, combing: Combing) -> Option<String> {
    let Combing { moving, combed, .. } = combing;
    let found = format!("{combed} of {moving} frames that were looked at are combed");
    let order = combing.order();
    match (spec.deinterlace, combing.found()) {
        (true, true) => Some(format!(
            "it is not marked as interlaced, but {found} ({order}): it is de-interlaced"
        )),
        (true, false) if video.field_order == FieldOrder::Progressive && !spec.inverse_telecine => Some(
            format!("it is not marked as interlaced, and {found}: it is not de-interlaced"),
        ),
        (false, true) if combed * 5 < moving * 3 => Some(format!(
            "it looks telecined, or interlaced in part ({found}, {order}), without being marked: combs become wrong motion; \
             ask for the film to be taken out of it, or for de-interlacing"
        )),
        (false, true) => Some(format!(
            "it looks interlaced ({found}, {order}) without being marked: combs become wrong motion; ask for de-interlacing"
        )),
        _ => None,
    }
}

/// Returns ffmpeg's filter for inverse telecine or deinterlacing; `None` where neither is requested or needed.
fn filter(spec: &SourceSpec, codec: &str, video: &VideoStream, combing: Combing) -> Option<String> {
    let interlaced = video.field_order != FieldOrder::Progressive;
    if spec.inverse_telecine {
        // `repeatfields` applies MPEG-2's repeat flags; it does harm to other streams.
        let film = if codec == "mpeg2video" && !interlaced && video.variable_rate {
            concat!("repeatfields,", film!())
        } else {
            film!()
        };
        return Some(film.to_owned());
    }
    let parity = match (interlaced, combing.found()) {
        (true, _) => "auto",
        (false, true) if combing.top_first => "tff",
        (false, true) => "bff",
        (false, false) => return None,
    };
    spec.deinterlace
        .then(|| format!("bwdif=mode=send_frame:parity={parity}:deint=all"))
}

/// Returns the planar format of the piped frames: the stream's own, or the nearest one that NUT supports; an error for
/// unsupported formats.
fn wire_format(path: &Path, video: &VideoStream) -> Result<PixelFormat> {
    let known = video.format.ok_or_else(|| {
        let name = if video.pixel_format.is_empty() {
            "unknown (no frame could be decoded)"
        } else {
            &video.pixel_format
        };
        MediaError::unreadable(
            path,
            format!("its pixel format is {name}; YUV, gray and RGB of 8 to 16 bits are accepted"),
        )
    })?;
    let format = if known.is_float() {
        PixelFormat { depth: 16, ..known }
    } else {
        known
    };
    match nut::fourcc(format) {
        Some(_) => Ok(format),
        None => Ok(PixelFormat {
            layout: Layout::Yuv444,
            ..format
        }),
    }
}

/// Returns ffmpeg's libvpx decoder for `vp8` or `vp9`, which unlike the native decoders supports alpha; `None` for other
/// codecs and where this ffmpeg lacks it.
fn alpha_decoder(ffmpeg: &Ffmpeg, codec: &str) -> Result<Option<&'static str>> {
    let name = match codec {
        "vp9" => "libvpx-vp9",
        "vp8" => "libvpx",
        _ => return Ok(None),
    };
    Ok(ffmpeg.has_decoder(name)?.then_some(name))
}

/// Builds ffmpeg's arguments that decode stream `stream` of the file to raw frames of `format` in NUT on stdout.
fn arguments(
    path: &Path,
    spec: &SourceSpec,
    stream: u32,
    video: &VideoStream,
    format: PixelFormat,
    decoder: Option<&str>,
    filter: Option<&str>,
) -> Result<Args> {
    let mut args = Args::ffmpeg();
    // Prints changes of the frame size, see `Child::sizes`.
    args.all(["-loglevel", child::WITH_SIZES]);
    if let Some(decoder) = decoder {
        args.all(["-c:v", decoder]);
    }
    if spec.orientation == Orientation::Keep {
        args.one("-noautorotate");
    }
    args.input(path, &spec.limits)?;
    args.all([
        "-map",
        &format!("0:{stream}"),
        "-map_metadata",
        "-1",
        "-map_chapters",
        "-1",
    ]);
    if let Some(filter) = filter {
        args.all(["-vf", filter]);
    }
    // Converting `yuvj` to plain `yuv` would compress the range.
    let own_name = video.pixel_format.starts_with("yuvj") && Some(format) == video.format;
    let name = if own_name {
        Some(video.pixel_format.clone())
    } else {
        format.ffmpeg_name()
    };
    let time_base = format!("{}:{}", video.time_base.numer(), video.time_base.denom());
    args.all([
        "-pix_fmt",
        &name.unwrap_or_default(),
        "-fps_mode",
        "passthrough",
        "-autoscale",
        "1",
    ]);
    args.all([
        "-enc_time_base",
        &time_base,
        "-c:v",
        "rawvideo",
        "-f",
        "nut",
        "-write_index",
        "0",
        "pipe:1",
    ]);
    Ok(args)
}

/// Reports whether timestamp discontinuities are corrected here: the file has some, and no inverse telecine, which assigns
/// new times, is requested.
fn corrects_clock(media: &MediaInfo, spec: &SourceSpec) -> bool {
    !media.clock.is_continuous() && !spec.inverse_telecine
}

/// Prepends options that keep ffmpeg from correcting timestamps itself: in a continuous file a long interval is a pause.
/// `discontinuous` keeps the original timestamps for correction here.
fn clock_options(args: &mut Args, discontinuous: bool) {
    let limit = crate::time::MAX_SECONDS.to_string();
    let mut options = vec!["-dts_delta_threshold", &limit, "-dts_error_threshold", &limit];
    if discontinuous {
        options.push("-copyts");
    }
    args.0
        .splice(0..0, options.into_iter().map(std::ffi::OsString::from));
}

/// Returns the whole second to which ffmpeg seeks for an excerpt: at least a second before its start. `None` where decoding
/// starts at the file's start: times after a seek are reliable only with presentation times in the container and an unbroken
/// clock, and filters that join fields depend on all frames before.
fn seek(spec: &SourceSpec, media: &MediaInfo, info: &StreamInfo, video: &VideoStream) -> Option<i64> {
    let indexed = ["mov", "matroska"]
        .iter()
        .any(|name| media.container.contains(name));
    let reliable = indexed && media.clock.is_continuous() && video.decoding_times.is_empty();
    if !reliable || spec.inverse_telecine {
        return None;
    }
    // A start behind the end is refused by the frames before it.
    let last = (info.start + info.duration?).to_integer() - 2;
    let second = (spec.excerpt.known_start(info)?.to_integer() - 1).min(last);
    (second > 0).then_some(second)
}

/// Builds the source's properties from the probe result; rotation by 90 degrees swaps width and height where applied.
fn stream_info(
    media: &MediaInfo,
    stream: &MediaStream,
    video: &VideoStream,
    format: PixelFormat,
    orientation: Orientation,
) -> StreamInfo {
    let turned = orientation == Orientation::Apply && video.rotation % 180 == 90;
    let aspect = video.sample_aspect.unwrap_or(Ratio::from(1));
    let mut tags = video.color;
    if format.layout == Layout::Rgb {
        tags = tags.for_rgb();
    }
    StreamInfo {
        width: if turned { video.height } else { video.width },
        height: if turned { video.width } else { video.height },
        format,
        tags,
        sample_aspect: if turned { aspect.recip() } else { aspect },
        matrix: if orientation == Orientation::Apply {
            DisplayMatrix::IDENTITY
        } else {
            video.matrix
        },
        time_base: video.time_base,
        frame_rate: video.frame_rate,
        variable_rate: video.variable_rate,
        frames: stream.frames,
        duration: measured_duration(stream, video)
            .or(stream.duration)
            .or(media.duration),
        start: start_of(stream, video),
        excerpt: None,
        hdr: video.hdr,
        media: Some(media.clone()),
    }
}

/// Returns the seconds from the first frame to the end of the last; `None` where not all packets were read.
fn measured_duration(stream: &MediaStream, video: &VideoStream) -> Option<Time> {
    Some(video.end? - stream.start.unwrap_or_default()).filter(|duration| *duration > Time::from(0))
}

/// Returns the stated time of the first frame in seconds, rounded from ffprobe's microseconds to ticks.
fn start_of(stream: &MediaStream, video: &VideoStream) -> Time {
    let ticks = stream.start.map(|start| to_ticks(start, video.time_base));
    ticks
        .and_then(|ticks| from_ticks(ticks, video.time_base))
        .unwrap_or_default()
}
