//! Video interpolation job: source frames and the network's frames between them, at exact times, into a sink. Submodules:
//! `plan` describes the job before it starts, [`Stream`] selects and computes the frames, `pipeline` runs the threads,
//! `facts` is the fingerprint, `duplicates` reports repeated frames.

mod duplicates;
mod facts;
mod parts;
mod pipeline;
mod plan;
mod side_files;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use num_rational::Ratio;
use rife_media::plan::{Companions, plan_streams};
use rife_media::probe::DisplayMatrix;
use rife_media::scene::{AnalysisOptions, CutRule};
use rife_media::sink::{self, CommandLine, Needs, Pictures, Resume, Share, extension_like, in_work_dir};
use rife_media::source::{Excerpt, Position};
use rife_media::{
    CancelToken, Input, MediaInfo, Orientation, Output, Sink, SinkSpec, Source, SourceSpec, StreamInfo, Time,
    TimelineMode, TimelineOptions, VideoParams, Written, open_sink, open_source, plan_encoding, time,
};

pub use duplicates::{DuplicateRange, DuplicatesReport};
pub use facts::Keep;
pub(crate) use facts::{model_facts, or_usual, owned};
use parts::Reading;
pub use plan::{VideoPlan, duration_text};
pub(crate) use plan::{memory, rate_text};
use side_files::SideFiles;

use crate::manifest::{self, Manifest};
use crate::stream::{Checked, Stream, StreamOptions};
pub use crate::stream::{Confidence, CutFill, Duplicates, Fallback, StreamCounts};
use crate::{Error, Interpolator, InterpolatorSpec, Result};

/// The output's frame rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Every interval between source frames is divided into this many, 1 to 256.
    Factor(u32),
    /// This many frames per source frame, 1 to 256, not an integer: see [`TimelineMode::Multiple`].
    Multiple(Ratio<i64>),
    /// A constant rate in frames per second.
    Fps(Ratio<i64>),
}

impl Rate {
    /// Makes the rate of `factor` frames per source frame.
    pub fn times(factor: Ratio<i64>) -> Self {
        match u32::try_from(*factor.numer()) {
            Ok(whole) if factor.is_integer() => Self::Factor(whole),
            _ => Self::Multiple(factor),
        }
    }
}

/// Playback speed of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Motion {
    /// The source's duration is kept.
    #[default]
    Normal,
    /// Slow motion: with [`Rate::Factor`] or [`Rate::Multiple`] of F the result has F times the source's frames. At the
    /// source's rate it lasts F times as long.
    Slow {
        /// The output's rate in frames per second; the source's when absent.
        fps: Option<Ratio<i64>>,
        /// Whether audio is stretched (with its pitch kept); it is dropped otherwise.
        stretch_audio: bool,
    },
}

/// A video to interpolate, and the options. A custom [`Source`] is passed to [`VideoJob::open_from`], a custom [`Sink`] to
/// [`VideoRun::run_into`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VideoJob {
    /// The input.
    pub source: SourceSpec,
    /// The output; `companions`, `inputs` and `cancel` are set by the job.
    pub sink: SinkSpec,
    /// If set, the output file is named after the input by [`default_output`], with this extension, and the sink's output is
    /// ignored.
    pub extension: Option<String>,
    /// Whether the output's extension is replaced by that of the source's container, if that container can hold the result
    /// (see [`extension_like`]).
    pub like_source: bool,
    /// With [`VideoJob::extension`]: the folder of the output, created if missing; the input's when absent.
    pub folder: Option<PathBuf>,
    /// Whether a [`Manifest`] is written for an output file.
    pub manifest: bool,
    /// Model and options of the network.
    pub interpolator: InterpolatorSpec,
    /// The output's frame rate.
    pub rate: Rate,
    /// Playback speed.
    pub motion: Motion,
    /// Detection or list of cuts between shots.
    pub cuts: CutRule,
    /// A file to write the cuts to, as a list that [`CutList::parse`](rife_media::scene::CutList::parse) reads.
    pub cuts_out: Option<PathBuf>,
    /// Frames that are shown between the frames on both sides of a cut.
    pub cut_fill: CutFill,
    /// Handling of repeated frames.
    pub duplicates: Duplicates,
    /// Whether static overlays, such as logos, subtitles and black bars, are copied from the source (see
    /// [`Overlays`](rife_media::scene::Overlays)).
    pub mask_static: bool,
    /// Replacement of frames with a low confidence.
    pub fallback: Option<Fallback>,
    /// Whether the confidence of each computed frame is measured for [`VideoSummary::confidences`]; implied by a fallback.
    pub confidence: bool,
    /// Path of a JSON file for the confidences, a list of [`Confidence`]; needs [`VideoJob::confidence`].
    pub confidence_out: Option<PathBuf>,
    /// Distribution over several machines: write the segments of one shard, or join those of all. Needs
    /// [`VideoJob::keep`].
    pub share: Option<Share>,
    /// Whether and how an unfinished result is kept for the same job to resume.
    pub keep: Keep,
    /// The folder of the unfinished work and of shards, created if missing; the output's own when absent.
    pub work_dir: Option<PathBuf>,
    /// The command line of this job, which a shard records, so that the join needs no options.
    pub command: Option<CommandLine>,
    /// Whether a result with warnings, such as of an input that ends early, is a failure. It is written all the same.
    pub strict: bool,
    /// Whether audio, subtitles, chapters and metadata are left out.
    pub video_only: bool,
    /// Whether each output frame shows the middle half of the source's frame on the left and of the result's on the right.
    pub montage: bool,
}

impl VideoJob {
    /// Makes a job that writes `input` at twice its frame rate to `output`, with defaults for all other options.
    pub fn new(input: Input, output: Output) -> Self {
        Self {
            source: SourceSpec::new(input),
            sink: SinkSpec::new(output),
            extension: None,
            like_source: false,
            folder: None,
            manifest: false,
            interpolator: InterpolatorSpec::default(),
            rate: Rate::Factor(2),
            motion: Motion::Normal,
            cuts: CutRule::default(),
            cuts_out: None,
            cut_fill: CutFill::default(),
            duplicates: Duplicates::default(),
            mask_static: true,
            fallback: None,
            confidence: false,
            confidence_out: None,
            strict: false,
            share: None,
            keep: Keep::default(),
            work_dir: None,
            command: None,
            video_only: false,
            montage: false,
        }
    }

    /// Opens the source, loads the model and plans the job; nothing is written yet. `cancel` stops this and the run at any
    /// time.
    ///
    /// # Errors
    /// Those of opening the source and loading the model; [`Error::Usage`] for options that exclude each other.
    pub fn open(mut self, cancel: &CancelToken) -> Result<VideoRun> {
        self.stop_on(cancel);
        let source = self.open_source()?;
        self.plan(source, cancel)
    }

    /// Like [`VideoJob::open`], with the custom `source` as input, which is checked against the limits of
    /// [`VideoJob::source`]. Its name in the plan is that of [`Input::Custom`]. Such a job cannot be resumed.
    ///
    /// # Errors
    /// Those of [`VideoJob::open`]; [`MediaError::Limit`](rife_media::MediaError::Limit) for a size outside the limits.
    pub fn open_from(mut self, source: Box<dyn Source>, cancel: &CancelToken) -> Result<VideoRun> {
        self.stop_on(cancel);
        if !matches!(self.source.input, Input::Custom(_)) {
            self.source.input = Input::Custom("a source of the program's own".into());
        }
        let source = Box::new(Checked::new(source, &self.source.limits)?);
        if self.like_source {
            self.set_extension_like(source.info());
        }
        self.name_output(None)?;
        self.plan(source, cancel)
    }

    /// Passes the token to source, sink and network.
    fn stop_on(&mut self, cancel: &CancelToken) {
        self.source.cancel = cancel.clone();
        self.sink.cancel = cancel.clone();
        self.interpolator.cancel = cancel.clone();
    }

    /// Loads the model, plans streams and encoding, and checks limits and memory.
    fn plan(mut self, mut source: Box<dyn Source>, cancel: &CancelToken) -> Result<VideoRun> {
        let info = source.info().clone();
        let (timeline, rate_note) = self.limit_rate(self.timeline(&info)?, &info);
        self.name_output(plan::output_rate(&timeline, &info).or(info.frame_rate))?;
        self.check_work_dir()?;
        let container = self.sink.container()?;
        let (size, given) = ([info.width, info.height], self.interpolator.memory_limit);
        let untiled = plan::memory(info.width, info.height, None);
        let other = plan::lookahead_memory(&self, &info) + crate::memory::of_ffmpeg(size);
        self.interpolator.memory_limit = crate::memory::limit(&self.source.limits, given, untiled, other);
        let interpolator = Arc::new(Interpolator::new(&self.interpolator)?);
        if let Some(media) = &info.media {
            let mut streams = plan_streams(media, container, self.companions(&timeline));
            if let Some(span) = info.excerpt {
                streams.limit_to(span);
            }
            streams.check(media, container, cancel)?;
            self.sink.companions = Some((media.clone(), streams));
        }
        let encoding = plan_encoding(&self.sink, &self.params(&info, &timeline))?;
        self.sink
            .inputs
            .extend(input_path(&self.source.input).map(Path::to_owned));
        let mut plan = plan::plan(&self, &info, &timeline, rate_note, &interpolator, encoding)?;
        plan.notes
            .extend(source.notes().into_iter().chain(source.warnings()));
        plan.method += &crate::memory::note(given, self.interpolator.memory_limit);
        plan.notes.extend(interpolator.note_on_tiles(size));
        plan.notes
            .extend(self.restart_note(&self.params(&info, &timeline))?);
        plan.notes.extend(self.idle_note(plan.output_frames));
        let times = self.frame_times(source.as_mut())?;
        plan.reading = self.describe_reading(&times, &info, timeline)?;
        let limits = &self.source.limits;
        limits.check_output_frames(plan.output_frames.unwrap_or(0))?;
        limits.check_memory(plan.memory)?;
        let planned = plan::memory(info.width, info.height, self.interpolator.memory_limit);
        crate::memory::check(limits, &interpolator, size, given, [planned, untiled, other])?;
        Ok(VideoRun {
            job: self,
            source,
            info,
            timeline,
            interpolator,
            plan,
            facts: None,
            times: times.ok(),
            cancel: cancel.clone(),
        })
    }

    /// Returns the times of all source frames where a shard can read the clip in parts; else why it reads all of it, empty
    /// for a job that is no shard.
    fn frame_times(&self, source: &mut dyn Source) -> Result<std::result::Result<Vec<Time>, String>> {
        if !matches!(self.share, Some(Share::Shard(_))) {
            return Ok(Err(String::new()));
        }
        if self.cuts_out.is_some() || self.confidence_out.is_some() {
            return Ok(Err("the list that is asked for is of the whole clip".to_owned()));
        }
        Ok(source.times()?)
    }

    /// Describes, for people, how much of the clip is decoded by a new shard.
    fn describe_reading(
        &self,
        times: &std::result::Result<Vec<Time>, String>,
        info: &StreamInfo,
        timeline: TimelineOptions,
    ) -> Result<Option<String>> {
        let Some(Share::Shard(shard)) = self.share else {
            return Ok(None);
        };
        let times = match times {
            Ok(times) => times,
            Err(reason) => return Ok(Some(format!("the whole clip is decoded: {reason}"))),
        };
        let needs = Needs::of_shard(shard, self.keep.segment_frames);
        let reading = parts::reading(times, timeline, self.stream(info, timeline).reach(), &needs)?;
        let count = times.len();
        Ok(Some(match reading {
            Reading::Parts(_, read) => {
                format!("{read} of {count} frames, decoded from the key frames before them")
            }
            Reading::All(read) => {
                format!("the whole clip is decoded: the shard depends on {read} of its {count} frames")
            }
        }))
    }

    /// Opens the source and sets the output's extension. Frames are rotated upright if the output's container cannot store
    /// a rotation.
    fn open_source(&mut self) -> Result<Box<dyn Source>> {
        if !self.like_source {
            self.name_output(None)?;
            if !self.sink.container()?.holds_rotation() {
                self.source.orientation = Orientation::Apply;
            }
            return Ok(open_source(&self.source)?);
        }
        let source = open_source(&self.source)?;
        self.set_extension_like(source.info());
        self.name_output(None)?;
        if self.sink.container()?.holds_rotation() || source.info().matrix == DisplayMatrix::IDENTITY {
            return Ok(source);
        }
        drop(source);
        self.source.orientation = Orientation::Apply;
        Ok(open_source(&self.source)?)
    }

    /// Sets the output's extension to that of the source's container.
    fn set_extension_like(&mut self, source: &StreamInfo) {
        let extension = extension_like(source, self.sink.codec);
        match (&mut self.extension, &mut self.sink.output) {
            (Some(named), _) => *named = extension.to_owned(),
            (None, Output::File(path)) => {
                path.set_extension(extension);
            }
            (None, Output::Stdout | Output::Images(..) | Output::Custom(_)) => {}
        }
    }

    /// Returns the frames' size, format, time base and rate for the sink.
    fn params(&self, info: &StreamInfo, timeline: &TimelineOptions) -> VideoParams {
        // For a variable rate the mean: all segments must be encoded with the same rate.
        let mut params = VideoParams::for_timeline(info, timeline);
        if self.montage {
            params.width = params.width / 2 * 2;
        }
        params
    }

    /// Returns a note for the user if the job is to be kept but cannot be resumed, with the reason.
    fn restart_note(&self, params: &VideoParams) -> Result<Option<String>> {
        let reason = match () {
            () if !self.keep.on => None,
            () if rife_media::source::is_stream(&self.source.input) => {
                Some("the input can be read only once".to_owned())
            }
            () => sink::starts_over(&self.sink, params)?,
        };
        Ok(reason.map(|reason| format!("an interrupted run starts over: {reason}")))
    }

    /// Refuses a folder for the unfinished work of an output that is no file, whose work is in it.
    fn check_work_dir(&self) -> Result<()> {
        match (&self.work_dir, &self.sink.output) {
            (None, _) | (_, Output::File(_)) => Ok(()),
            (Some(folder), _) => Err(Error::Usage(format!(
                "the unfinished work of a video file can be kept in {}, not that of pictures and of standard output",
                folder.display()
            ))),
        }
    }

    /// Returns a note for the user if there are more shards than segments.
    fn idle_note(&self, output_frames: Option<u64>) -> Option<String> {
        let Some(Share::Shard(shard)) = self.share else {
            return None;
        };
        let frames = output_frames?;
        let segments = frames.div_ceil(self.keep.segment_frames);
        let idle = u64::from(shard.count)
            .checked_sub(segments)
            .filter(|idle| *idle > 0)?;
        let enough = (frames / u64::from(shard.count)).max(1);
        Some(format!(
            "{idle} of {} shards have nothing to do: the result has {}; --segment-frames {enough} or less gives each a part",
            shard.count,
            rife_media::counted(segments, "segment")
        ))
    }

    /// Sets the output's path if it is named after the input; `rate` is the output's frame rate, if known yet.
    fn name_output(&mut self, rate: Option<Ratio<i64>>) -> Result<()> {
        let Some(extension) = &self.extension else {
            return Ok(());
        };
        let input = match &self.source.input {
            Input::File(path) => path,
            Input::Images(path) if path.is_dir() => path,
            Input::Images(_) | Input::Stdin | Input::Custom(_) => {
                return Err(Error::Usage(
                    "this input has no name that the output could follow: name the output".into(),
                ));
            }
        };
        let name = default_output(input, &self.source.excerpt, self.rate, rate, extension);
        self.sink.output = Output::File(match (&self.folder, name.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => name,
        });
        Ok(())
    }

    /// Converts rate and motion to the timeline's options for this source.
    fn timeline(&self, info: &StreamInfo) -> Result<TimelineOptions> {
        let factor = match (self.rate, self.motion) {
            (Rate::Factor(factor), _) => Ratio::from(i64::from(factor)),
            (Rate::Multiple(factor), _) => factor,
            (Rate::Fps(rate), Motion::Normal) => {
                return Ok(TimelineOptions::new(TimelineMode::TargetRate(rate)));
            }
            (Rate::Fps(_), Motion::Slow { .. }) => {
                return Err(Error::Usage(
                    "slow motion takes a factor, and the rate as its own option".into(),
                ));
            }
        };
        let options = TimelineOptions::new(TimelineMode::times(factor));
        let Motion::Slow { fps, .. } = self.motion else {
            return Ok(options);
        };
        let Some(fps) = fps else {
            return Ok(TimelineOptions::slowed(factor));
        };
        let rate = info.frame_rate.ok_or_else(|| {
            Error::Usage("slow motion at a given rate needs a source whose rate is known".into())
        })?;
        let mut options = options;
        options.stretch = rate * factor / fps;
        Ok(options)
    }

    /// Limits the timeline to the maximum rate at which players show the output's format (GIF, WebP); also returns a note
    /// for the user if frames are left out.
    fn limit_rate(&self, timeline: TimelineOptions, info: &StreamInfo) -> (TimelineOptions, Option<String>) {
        let (Some(fastest), Some(rate)) = (self.sink.fastest(), timeline.frame_rate(info)) else {
            return (timeline, None);
        };
        let what =
            "players show each frame of such a file for a tenth of a second where it is to be shown for less";
        if rate > fastest {
            let mode = TimelineMode::TargetRate(fastest * timeline.stretch);
            let rate = plan::rate_text(Some(rate));
            let note = format!(
                "{what} than {:.3} s: {fastest} fps instead of {rate}",
                1.0 / time::seconds(fastest)
            );
            let mut timeline = timeline;
            timeline.mode = mode;
            return (timeline, Some(note));
        }
        let close = info.variable_rate && !matches!(timeline.mode, TimelineMode::TargetRate(_));
        let note = || {
            format!(
                "{what} than {:.3} s: of frames that lie closer, the last is kept",
                1.0 / time::seconds(fastest)
            )
        };
        (timeline, close.then(note))
    }

    /// Returns the output's path if it is a single file.
    fn output_file(&self) -> Option<&Path> {
        match &self.sink.output {
            Output::File(path) => Some(path),
            Output::Stdout | Output::Images(..) | Output::Custom(_) => None,
        }
    }

    /// Adds the options of the encoding and of the audio to the job's fingerprint, for the manifest. (A sink that writes
    /// segments adds those of the encoding itself, and segments do not depend on the audio.)
    fn with_encoding(&self, mut facts: Vec<(String, String)>) -> Vec<(String, String)> {
        let sink = &self.sink;
        let codec = sink.codec.map(|codec| format!("{codec:?}"));
        let text = format!(
            "codec {}, encoder {}, CRF {}, preset {}",
            facts::or_usual(codec),
            facts::or_usual(sink.encoder.as_ref()),
            facts::or_usual(sink.crf),
            facts::or_usual(sink.preset.as_ref())
        );
        facts.push(("the encoding".to_owned(), text));
        facts.push(("the sound".to_owned(), facts::sound(self)));
        facts
    }

    /// Returns the options of cut and duplicate detection.
    fn analysis(&self) -> AnalysisOptions {
        AnalysisOptions {
            cuts: self.cuts.clone(),
            duplicates: self.duplicates == Duplicates::Smooth,
        }
    }

    /// Returns the options of the job's [`Stream`].
    fn stream(&self, info: &StreamInfo, timeline: TimelineOptions) -> StreamOptions {
        StreamOptions {
            timeline,
            tags: info.tags,
            cuts: self.cuts.clone(),
            cut_fill: self.cut_fill,
            duplicates: self.duplicates,
            mask_static: self.mask_static,
            fallback: self.fallback,
            confidence: self.confidence,
            limits: self.source.limits.clone(),
        }
    }

    /// Decides what happens to the input's other streams (audio, subtitles): kept, stretched in time or dropped.
    fn companions(&self, timeline: &TimelineOptions) -> Companions {
        match self.motion {
            _ if self.video_only => Companions::Drop("only the video was asked for"),
            Motion::Normal => Companions::Keep,
            Motion::Slow {
                stretch_audio: true, ..
            } => Companions::Stretch(timeline.stretch),
            Motion::Slow {
                stretch_audio: false, ..
            } => Companions::Drop("slow motion drops it unless sound is to be stretched"),
        }
    }
}

/// Returns a warning if the source has closed captions embedded in its video stream, which new frames cannot keep.
fn captions(info: &StreamInfo) -> Option<String> {
    info.media.as_ref()?.main_video()?.1.captions_dropped()
}

/// Returns the path of an input that is a file or a folder of images.
pub fn input_path(input: &Input) -> Option<&Path> {
    match input {
        Input::File(path) | Input::Images(path) => Some(path),
        Input::Stdin | Input::Custom(_) => None,
    }
}

/// Returns the default output path in the input's folder: `{stem}_{factor}X_{fps}fps.{extension}`, for [`Rate::Fps`]
/// `{stem}_{fps}fps.{extension}`; `fps` is `output_rate`, rounded. A part of the input has its ends after the stem, such as
/// `_62.5s-65.5s` or `_f120-end`.
pub fn default_output(
    input: &Path,
    excerpt: &Excerpt,
    rate: Rate,
    output_rate: Option<Ratio<i64>>,
    extension: &str,
) -> PathBuf {
    let factor = match rate {
        Rate::Factor(factor) => format!("_{factor}X"),
        Rate::Multiple(factor) => format!("_{}X", factor_text(factor).replace('/', "-")),
        Rate::Fps(_) => String::new(),
    };
    let fps = output_rate.map_or(String::new(), |rate| format!("_{}fps", rate.round()));
    let part = part_text(excerpt);
    rife_files::with_stem(input, &format!("{part}{factor}{fps}.{extension}"))
}

/// Formats a part of the input for a file name; empty for the whole.
fn part_text(excerpt: &Excerpt) -> String {
    let text = |position| match position {
        Position::Seconds(time) => format!("{}s", time::seconds(time)),
        Position::Frame(number) => format!("f{number}"),
    };
    match (excerpt.start, excerpt.end) {
        (None, None) => String::new(),
        (start, end) => {
            let start = start.map_or("0s".to_owned(), text);
            format!("_{start}-{}", end.map_or("end".to_owned(), text))
        }
    }
}

/// Formats a factor for people: 2.5, or 7/3 if it has more than three decimals.
pub(crate) fn factor_text(factor: Ratio<i64>) -> String {
    let thousandths = factor * 1000;
    match thousandths.is_integer() {
        true => format!("{}", rife_media::time::seconds(factor)),
        false => factor.to_string(),
    }
}

/// Counts of a running job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Counts of the stream of frames: `frames_out` includes [`Progress::resumed`] and [`Progress::elsewhere`], and `made` what
    /// earlier runs of this job computed, but not other machines.
    pub stream: StreamCounts,
    /// Output frames that an earlier run had written.
    pub resumed: u64,
    /// Expected total of output frames, if known.
    pub total_out: Option<u64>,
    /// Output frames that belong to shards of other machines.
    pub elsewhere: u64,
}

/// Result of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoSummary {
    /// The final counts.
    pub counts: Progress,
    /// The sink's report on the written file.
    pub written: Written,
    /// Duration of the run, without planning.
    pub elapsed: Duration,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// Confidence of each frame that this run computed, in order; empty unless requested.
    pub confidences: Vec<Confidence>,
}

impl VideoSummary {
    /// Returns the output frames per second of the run.
    pub fn frames_per_second(&self) -> f64 {
        self.counts.stream.frames_out as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// A planned job, ready to run.
pub struct VideoRun {
    job: VideoJob,
    source: Box<dyn Source>,
    info: StreamInfo,
    timeline: TimelineOptions,
    interpolator: Arc<Interpolator>,
    plan: VideoPlan,
    /// The cached fingerprint; the inner `None` means that the input cannot be read twice.
    facts: Option<Option<Vec<(String, String)>>>,
    /// Times of all source frames, where a shard can read the clip in parts.
    times: Option<Vec<Time>>,
    cancel: CancelToken,
}

impl std::fmt::Debug for VideoRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoRun")
            .field("job", &self.job)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl VideoRun {
    /// Returns the job's plan.
    pub fn plan(&self) -> &VideoPlan {
        &self.plan
    }

    /// Returns the path of the segments of an unfinished output, if there are any.
    pub fn unfinished(&self) -> Option<PathBuf> {
        let output = &self.job.sink.output;
        match output {
            Output::File(path) => Output::File(in_work_dir(path, self.job.work_dir.as_deref())).unfinished(),
            _ => output.unfinished(),
        }
    }

    /// Returns the output's path if it is a single file.
    pub fn output(&self) -> Option<&Path> {
        self.job.output_file()
    }

    /// Reports whether the output exists and its manifest has this job's fingerprint (input, model and all options) and the
    /// file's size; the file's content is not read.
    ///
    /// # Errors
    /// Those of reading the input and the manifest.
    pub fn done_before(&mut self) -> Result<bool> {
        let Some(output) = self.job.output_file().map(Path::to_owned) else {
            return Ok(false);
        };
        let Some(manifest) = Manifest::read(&output)? else {
            return Ok(false);
        };
        let size = std::fs::metadata(&output).map(|metadata| metadata.len()).ok();
        let facts = self.facts()?.map(|facts| self.job.with_encoding(facts));
        Ok(size == Some(manifest.bytes) && facts == Some(manifest.facts))
    }

    /// Returns the job's fingerprint, computed at the first call; `None` if the input cannot be read twice.
    fn facts(&mut self) -> Result<Option<Vec<(String, String)>>> {
        if self.facts.is_none() {
            self.facts = Some(facts::facts(&self.job, &self.interpolator)?);
        }
        Ok(self.facts.clone().flatten())
    }

    /// Returns the streams of the source if it is a file that is read by ffmpeg.
    pub fn media(&self) -> Option<&MediaInfo> {
        self.info.media.as_ref()
    }

    /// Runs the job. `progress` is called on this thread after every source frame and every computed frame.
    ///
    /// # Errors
    /// Those of reading, interpolating and writing; [`Error::Cancelled`]. No output file exists then; finished segments are
    /// kept in the folder [`VideoRun::unfinished`] if [`VideoJob::keep`] is on. [`Error::Warnings`] for a result with warnings if
    /// [`VideoJob::strict`] is on: the output file exists then.
    pub fn run(self, progress: &mut dyn FnMut(&Progress)) -> Result<VideoSummary> {
        self.run_to(None, progress)
    }

    /// Returns size, pixel format, time base and rate of the frames that a custom sink of [`VideoRun::run_into`] gets. The
    /// sink may request another pixel format or other colour tags by its [`Sink::params`].
    pub fn params(&self) -> VideoParams {
        self.job.params(&self.info, &self.timeline)
    }

    /// Like [`VideoRun::run`], with the custom `sink` as output; the job cannot be resumed and no manifest is written.
    ///
    /// # Errors
    /// Those of [`VideoRun::run`].
    pub fn run_into(self, sink: Box<dyn Sink>, progress: &mut dyn FnMut(&Progress)) -> Result<VideoSummary> {
        self.run_to(Some(sink), progress)
    }

    /// Runs the job into a custom sink, else into the job's own output.
    fn run_to(
        mut self,
        sink: Option<Box<dyn Sink>>,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<VideoSummary> {
        let start = std::time::Instant::now();
        let custom = sink.is_some();
        if let Some(folder) = &self.job.folder {
            std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
        }
        let keep = self.job.keep;
        if custom {
            self.job.manifest = false;
        } else if keep.on
            && let Some(mut facts) = self.facts()?
        {
            // The images of a part are recognised by the folder's hash, since their count starts elsewhere.
            let pictures = match self.job.source.excerpt.is_whole() {
                true => Pictures::of(&self.job.source.input)?,
                false => None,
            };
            if let (Some(pictures), Some(path)) = (&pictures, input_path(&self.job.source.input)) {
                // Images are checked one by one as they are read, not by the folder's hash.
                let of_input = facts.iter_mut().filter(|(name, _)| name == facts::INPUT);
                of_input.for_each(|(_, value)| *value = path.display().to_string());
                self.source = pictures.counted(self.source);
            }
            let mut resume = Resume::new(facts);
            resume.pictures = pictures;
            resume.restart = keep.restart;
            resume.segment_frames = keep.segment_frames;
            resume.share = self.job.share;
            resume.work_dir = self.job.work_dir.clone();
            resume.command = self.job.command.clone();
            self.job.sink.resume = Some(resume);
        } else if self.job.share.is_some() {
            return Err(Error::Usage(
                "several machines can only share a job that is kept, with an input that can be read again"
                    .into(),
            ));
        }
        let shard = matches!(self.job.share, Some(Share::Shard(_)));
        let facts = if self.job.manifest && !shard {
            self.facts()?
        } else {
            None
        };
        let side_files = SideFiles::open(&self.job)?;
        let params = self.job.params(&self.info, &self.timeline);
        let sink = sink.map_or_else(|| open_sink(&self.job.sink, &params), Ok)?;
        let params = sink.params().clone();
        let options = self.job.stream(&self.info, self.timeline);
        if let Some(times) = &self.times
            && let Reading::Parts(parts, _) =
                parts::reading(times, self.timeline, options.reach(), &sink.needs())?
        {
            self.source.read_parts(parts)?;
        }
        let setup = pipeline::Setup {
            stream: Stream::new(self.interpolator.clone(), options)?,
            montage: self.job.montage,
            total_out: self.plan.output_frames,
            tags: self.info.tags,
            cancel: &self.cancel,
        };
        let done = pipeline::run(setup, self.source, sink, progress)?;
        // Also in the plan, but the caller may see the summary only.
        let mut warnings = self.info.hdr.dropped();
        warnings.extend(captions(&self.info));
        warnings.extend(done.warnings);
        warnings.extend(self.interpolator.faults());
        side_files.finish(&done.cuts, &done.confidences)?;
        warnings.extend(done.written.warnings.iter().cloned());
        if let (Some(facts), Some(output)) = (facts, self.job.output_file()) {
            let made = manifest::ManifestParts {
                input: input_path(&self.job.source.input),
                facts: self.job.with_encoding(facts),
                info: &self.info,
                params: &params,
                streams: (done.written.streams.as_ref()).or(self
                    .job
                    .sink
                    .companions
                    .as_ref()
                    .map(|(_, streams)| streams)),
                stretch: self.timeline.stretch,
                written: &done.written,
                cancel: &self.cancel,
            };
            Manifest::new(made, output)?.write(output)?;
        }
        if self.job.strict && !warnings.is_empty() {
            let warnings = warnings.join("; ");
            return Err(Error::Warnings(warnings));
        }
        Ok(VideoSummary {
            counts: done.counts,
            written: done.written,
            elapsed: start.elapsed(),
            warnings,
            confidences: done.confidences,
        })
    }
}
