//! Video file sink in one pass: pipes raw frames with exact times as NUT to an ffmpeg encoder, which also muxes audio,
//! subtitles, chapters and tags of the source; the file is verified before it is renamed to its final name.

use std::fs;
use std::path::{Path, PathBuf};

use num_rational::Ratio;

use super::companion::{self, Companion};
use super::raw_input::{PALETTES, color_options, raw_input};
use super::spaced::Spaced;
use super::{Container, Sent, Sink, SinkSpec, VideoParams, Written, check_frame, codecs, mp4, read_back};
use crate::ffmpeg::args::{Args, file_url};
use crate::ffmpeg::child::{self, Child, Request};
use crate::nut::write::Writer;
use crate::persist::part::Part;
use crate::plan::{Action, StreamPlan, audio, needs_experimental};
use crate::probe::{self, DisplayMatrix, MediaInfo, StreamKind};
use crate::time::{narrow, to_ticks, widen};
use crate::{Ffmpeg, Frame, MediaError, Result, Time, nut};

/// Minimum delay of a GIF frame that players respect, in hundredths of a second.
const SHORTEST_GIF: i64 = 2;

/// A running encoder.
pub(super) struct Encoder {
    target: PathBuf,
    params: VideoParams,
    container: Container,
    spec: SinkSpec,
    /// True where the treatment of companion streams differs from the requested plan.
    changed: bool,
    ffmpeg: Ffmpeg,
    companion: Option<Companion>,
    // Dropped, and so killed, before its temporary file is removed.
    child: Child,
    part: Part,
    buffer: Vec<u8>,
    /// Number of frames sent.
    frames: u64,
    /// Time of the first frame in seconds.
    first: Option<Time>,
    /// End of the last frame in seconds.
    end: Time,
    /// Tick of the last frame; -1 before the first.
    last_tick: i64,
    sent: Sent,
    /// Number of frames whose tick was increased since it equalled the previous one.
    nudged: u64,
    /// The minimum delay between frames of a GIF.
    spaced: Option<Spaced>,
    warnings: Vec<String>,
}

impl Encoder {
    /// Chooses an encoder, creates the temporary file of the output `path` and starts ffmpeg.
    pub(super) fn start(path: &Path, spec: &SinkSpec, params: &VideoParams) -> Result<Self> {
        let container = Container::of(path)?;
        let ffmpeg = spec.ffmpeg.clone().map_or_else(Ffmpeg::find, Ok)?;
        let choice = codecs::choose(spec, container, params, &ffmpeg)?;
        let params = VideoParams {
            format: choice.format,
            tags: choice.tags,
            ..codecs::in_units_of(container, params)
        };
        let time_base = params.time_base;
        let part = Part::create(path, spec.overwrite, spec.all_inputs())?;
        let mut warnings = choice.notes;
        if params.matrix != DisplayMatrix::IDENTITY && !container.holds_rotation() {
            warnings.push(format!(
                "rotation is dropped: {} has no place for it",
                container.name()
            ));
        }
        let (mut spec, mut changed) = (spec.clone(), false);
        if let Some((media, plan)) = &mut spec.companions {
            // A late failure would lose all frames, since this sink cannot resume.
            let changes = plan.check_to_end(&ffmpeg, media, container, &spec.cancel)?;
            changed = !changes.is_empty();
            warnings.extend(changes);
        }
        let open = |(media, plan)| Companion::open(&ffmpeg, media, plan, &spec.cancel);
        let companions = spec.companions.as_ref().map(|(media, plan)| (media, plan));
        let companion = companions.map(open).transpose()?;
        let args = arguments(
            &spec,
            container,
            &params,
            &choice.args,
            companion.as_ref(),
            part.path(),
        )?;
        let request = Request {
            stdin: true,
            cancel: spec.cancel.clone(),
            stall: spec.stall_timeout,
            ..Request::new("ffmpeg", &ffmpeg.ffmpeg, args.0)
        };
        let mut child = child::start(request)?;
        let fourcc = nut::fourcc(params.format).ok_or_else(|| {
            MediaError::Unsupported(format!("pixel format {} cannot be sent to ffmpeg", params.format))
        })?;
        let header = Writer::header(
            params.width,
            params.height,
            fourcc,
            time_base,
            params.sample_aspect,
        );
        child.write(&header, || format!("at the start of {}", path.display()))?;
        Ok(Self {
            target: path.to_owned(),
            params,
            container,
            spec,
            changed,
            ffmpeg,
            companion,
            child,
            part,
            buffer: Vec::new(),
            frames: 0,
            first: None,
            end: Time::from(0),
            last_tick: -1,
            sent: Sent::default(),
            nudged: 0,
            spaced: (container == Container::Gif).then(|| Spaced::new(SHORTEST_GIF)),
            warnings,
        })
    }

    /// Returns the frame's tick in the time base, at least one more than the previous one; an error for negative times.
    fn next_tick(&mut self, frame: &Frame) -> Result<i64> {
        let tick = to_ticks(frame.pts, self.params.time_base);
        if frame.pts < Time::from(0) || tick == i64::MAX {
            let reason = format!("its time {} s is negative or out of range", frame.pts);
            return Err(MediaError::Frame {
                frame: self.frames,
                reason,
            });
        }
        let tick = if tick <= self.last_tick && self.spaced.is_none() {
            self.nudged += 1;
            self.last_tick + 1
        } else {
            tick
        };
        self.last_tick = tick;
        Ok(tick)
    }

    /// Sends a frame to ffmpeg at `tick` of the time base.
    fn send(&mut self, tick: i64, frame: &Frame) -> Result<()> {
        let size = self
            .params
            .format
            .frame_bytes(self.params.width, self.params.height);
        self.buffer.clear();
        self.buffer.extend(Writer::frame_header(tick, size));
        frame.to_raw(&mut self.buffer);
        let (frames, target) = (self.frames, &self.target);
        self.child.write(&self.buffer, || {
            format!("at frame {frames} of {}", target.display())
        })?;
        self.sent.push(tick);
        self.frames += 1;
        Ok(())
    }

    /// Verifies the written file: frames, times, number of streams and audio times; adds warnings.
    fn verify(&mut self) -> Result<()> {
        let incomplete =
            |reason: String| read_back::incomplete(&self.target, self.part.path(), &self.child, reason);
        let found = probe::read_back(&self.ffmpeg, self.part.path(), &self.spec.cancel)
            .map_err(|e| incomplete(format!("it cannot be read back: {e}")))?;
        let placed = self.sent.check(&found, self.params.time_base, self.container);
        self.warnings.extend(placed.map_err(incomplete)?);
        let expected = self
            .spec
            .companions
            .iter()
            .flat_map(|(_, plan)| plan.companions())
            .count();
        if found.others < expected {
            let missing = expected - found.others;
            self.warnings.push(format!(
                "{missing} of {expected} planned streams of sound or text are missing in the output"
            ));
        }
        if let (Some((_, plan)), Some(companion)) = (&self.spec.companions, &self.companion) {
            let placed = companion::Placed {
                plan,
                companion,
                output: self.part.path(),
                moved: found.moved(self.first),
            };
            self.warnings
                .extend(companion::compare(&self.ffmpeg, &placed, &self.spec.cancel)?);
        }
        Ok(())
    }
}

impl Sink for Encoder {
    fn params(&self) -> &VideoParams {
        &self.params
    }

    /// Sends a frame to ffmpeg; for GIF, merges frames closer than the minimum delay.
    fn write(&mut self, frame: &Frame) -> Result<()> {
        check_frame(&self.params, frame, self.frames)?;
        let tick = self.next_tick(frame)?;
        self.first.get_or_insert(frame.pts);
        self.end = narrow(widen(frame.pts) + widen(frame.duration)).unwrap_or(frame.pts);
        let Some(spaced) = &mut self.spaced else {
            return self.send(tick, frame);
        };
        match spaced.push(tick, frame.clone()) {
            Some((tick, frame)) => self.send(tick, &frame),
            None => Ok(()),
        }
    }

    /// Waits for ffmpeg to complete the file, writes the display matrix, verifies the file and renames it.
    fn finish(mut self: Box<Self>) -> Result<Written> {
        if let Some((tick, frame)) = self.spaced.as_mut().and_then(Spaced::finish) {
            self.send(tick, &frame)?;
        }
        let merged = self.spaced.as_ref().and_then(|spaced| spaced.warning("0.02"));
        self.warnings.extend(merged);
        if self.frames == 0 {
            let reason = "no frame was written".to_owned();
            return Err(MediaError::Incomplete {
                path: self.target.clone(),
                reason,
            });
        }
        let context = format!(
            "while completing {} after {}",
            self.target.display(),
            crate::counted(self.frames, "frame")
        );
        let part = self.part.path().to_owned();
        self.child.finish_while_growing(&context, || {
            let metadata = fs::metadata(&part).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        })?;
        if self.params.matrix != DisplayMatrix::IDENTITY && self.container.holds_rotation() {
            let written = mp4::set_display_matrix(self.part.file(), self.params.matrix);
            written.map_err(|e| MediaError::io("write the rotation of", &self.target, e))?;
        }
        self.verify()?;
        if self.nudged > 0 {
            self.warnings.push(format!(
                "{} moved by a tick, since times fell together",
                crate::counted(self.nudged, "frame")
            ));
        }
        let Self {
            target,
            frames,
            first,
            end,
            warnings,
            part,
            spec,
            changed,
            ..
        } = *self;
        let plan = spec.companions.map(|(_, plan)| plan);
        let bytes = part.promote()?;
        let duration = end - first.unwrap_or(end);
        Ok(Written {
            path: Some(target),
            frames,
            duration,
            bytes: Some(bytes),
            streams: plan.filter(|_| changed),
            warnings,
        })
    }
}

/// Builds ffmpeg's arguments: raw frames on stdin and companion streams to the temporary file `part`; `encoder` are the video
/// encoder's options.
fn arguments(
    spec: &SinkSpec,
    container: Container,
    params: &VideoParams,
    encoder: &[String],
    companion: Option<&Companion>,
    part: &Path,
) -> Result<Args> {
    let mut args = Args::ffmpeg();
    raw_input(&mut args, params);
    if let (Some((media, _)), Some(companion)) = (&spec.companions, companion) {
        // Without `-copyts` ffmpeg would shift the video to time zero, out of sync with the audio. Frame times count from
        // the start of the source, so its streams are shifted by that start.
        companion.input(&mut args, media)?;
    }
    args.one("-copyts");
    args.all(["-map", "0:v:0", "-fps_mode", "passthrough"]);
    let scale = timescale(container, params.time_base);
    // For variable rates the last frame's duration is set by a bitstream filter, which counts in the file's time base, so the
    // encoder must use the same time base.
    let constant = params
        .frame_rate
        .is_some_and(|rate| rate.recip() == params.time_base);
    match (scale, params.frame_rate) {
        (Some(scale), Some(rate)) if !constant => {
            let length = to_ticks(rate.recip(), Ratio::new(1, scale)).max(1);
            args.all([
                "-enc_time_base",
                &format!("1:{scale}"),
                "-bsf:v:0",
                &format!("setts=pts=PTS:dts=DTS:duration={length}"),
            ]);
        }
        _ => {
            let time_base = format!("{}:{}", params.time_base.numer(), params.time_base.denom());
            args.all(["-enc_time_base", &time_base]);
        }
    }
    if container == Container::Gif {
        args.all(["-filter:v", PALETTES]);
    }
    encoder.iter().for_each(|arg| {
        args.one(arg);
    });
    if container != Container::Gif {
        color_options(&mut args, params.tags);
    }
    match (&spec.companions, companion) {
        (Some((media, plan)), Some(companion)) => companions(&mut args, media, plan, companion, container),
        _ => {
            args.all(["-map_metadata", "-1"]);
        }
    }
    if let Some(scale) = scale {
        let scale = scale.to_string();
        // Edit lists, which shift a first frame after zero, use the movie timescale: milliseconds by default.
        args.all([
            "-movflags",
            "+faststart",
            "-video_track_timescale",
            &scale,
            "-movie_timescale",
            &scale,
        ]);
    }
    // Otherwise Matroska identifiers are random.
    args.all(["-fflags", "+bitexact"]);
    if let Some(muxer) = container.muxer() {
        args.all(["-f", muxer]);
    }
    args.one(file_url(part)?);
    Ok(args)
}

/// Appends ffmpeg's options that map and code the plan's companion streams from the second input, chapters and tags.
pub(super) fn companions(
    args: &mut Args,
    media: &MediaInfo,
    plan: &StreamPlan,
    from: &Companion,
    container: Container,
) {
    let mut of_kind = [0_u32; 4];
    for (index, stream) in plan.companions().enumerate() {
        args.all(["-map", &from.stream(index, stream.index)]);
        let (letter, slot) = match stream.kind {
            StreamKind::Audio => ("a", 0),
            StreamKind::Subtitle => ("s", 1),
            StreamKind::Attachment => ("t", 2),
            _ => ("v", 3),
        };
        // The main video is the first video stream.
        let number = of_kind[slot] + u32::from(letter == "v");
        of_kind[slot] += 1;
        if let Some(filters) = companion::trim(media, stream.kind, plan, stream.action == Action::Copy) {
            args.all([&format!("-bsf:{letter}:{number}"), filters]);
        }
        let Action::Transcode { encoder, .. } = &stream.action else {
            args.all([&format!("-c:{letter}:{number}"), "copy"]);
            if letter == "v" {
                args.all([&format!("-disposition:v:{number}"), "attached_pic"]);
            }
            continue;
        };
        args.all([&format!("-c:{letter}:{number}"), encoder]);
        if letter == "a" {
            let (channels, format) = stream.audio.clone().unwrap_or_default();
            let from = plan.excerpt.map(|_| companion::START.to_owned());
            let filters: Vec<_> = from.into_iter().chain(plan.stretch_audio.map(tempo)).collect();
            let filter = (!filters.is_empty()).then(|| filters.join(","));
            audio::options(args, encoder, channels, &format, &format!("a:{number}"), filter);
            if let Some(rate) = plan.audio_rate {
                args.all([&format!("-ar:a:{number}"), &rate.to_string()]);
            }
        }
    }
    if needs_experimental(container, plan.companions()) {
        args.all(["-strict", "experimental"]);
    }
    companion::limit(args, plan);
    args.all(["-map_metadata", if plan.metadata { "1" } else { "-1" }]);
    args.all(["-map_chapters", if plan.chapters { "1" } else { "-1" }]);
    args.all(["-max_muxing_queue_size", "16384"]);
    if let Some((main, _)) = media.main_video() {
        for (name, value) in [("language", &main.language), ("title", &main.title)] {
            value.iter().for_each(|value| {
                args.one("-metadata:s:v:0").one(format!("{name}={value}"));
            });
        }
    }
}

/// Returns ffmpeg's filters that slow audio down by the factor `by` with unchanged pitch; each `atempo` is limited to 0.5 to 2.
fn tempo(by: Time) -> String {
    let mut speed = 1.0 / crate::time::seconds(by);
    let mut steps = Vec::new();
    while speed < 0.5 {
        steps.push("atempo=0.5".to_owned());
        speed *= 2.0;
    }
    while speed > 2.0 {
        steps.push("atempo=2.0".to_owned());
        speed /= 2.0;
    }
    steps.push(format!("atempo={speed:.9}"));
    steps.join(",")
}

/// Returns the timescale (ticks per second) of an MP4 or QuickTime track that represents the times exactly: a multiple of the
/// time base's denominator of at least 10 000, so that edits of other tracks are rounded finely. `None` for other containers.
pub(crate) fn timescale(container: Container, time_base: Time) -> Option<i64> {
    let denom = *time_base.denom();
    matches!(container, Container::Mp4 | Container::Mov).then(|| denom * (10_000 / denom + 1))
}
