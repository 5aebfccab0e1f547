//! The video job: a source's frames at their own times, the network's between them, into a sink. What is decided
//! before the start is in `plan`, what comes of the frames is a [`Stream`]'s work, the threads are in `pipeline`.

mod duplicates;
mod facts;
mod pipeline;
mod plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use num_rational::Ratio;
use rife_media::plan::{Companions, plan_streams};
use rife_media::probe::DisplayMatrix;
use rife_media::scene::{AnalysisOptions, CutList, CutRule};
use rife_media::sink::{self, Pictures, Resume, Share, TextFile, extension_like};
use rife_media::{
    CancelToken, Input, MediaInfo, Orientation, Output, Sink, SinkSpec, Source, SourceSpec, StreamInfo,
    TimelineMode, TimelineOptions, VideoParams, Written, open_sink, open_source, plan_encoding, time,
};

pub use duplicates::{DuplicatesReport, Stretch};
pub use facts::Keep;
pub(crate) use facts::{file_hash, input_facts, model_facts, or_usual};
pub use plan::{VideoPlan, duration_text};
pub(crate) use plan::{memory, rate_text};

use crate::manifest::{self, Manifest};
use crate::stream::{Checked, Stream, StreamOptions};
pub use crate::stream::{Confidence, CutFill, Duplicates, Fallback};
use crate::{Error, Interpolator, InterpolatorSpec, Result};

/// How many frames come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Every interval is divided into this many, 1 to 256.
    Factor(u32),
    /// This many frames for each of the source, 1 to 256, where that is no whole number: see
    /// [`TimelineMode::Multiple`].
    Multiple(Ratio<i64>),
    /// A constant rate in frames a second.
    Fps(Ratio<i64>),
}

impl Rate {
    /// This many frames for each of the source.
    pub fn times(factor: Ratio<i64>) -> Self {
        match u32::try_from(*factor.numer()) {
            Ok(whole) if factor.is_integer() => Self::Factor(whole),
            _ => Self::Multiple(factor),
        }
    }
}

/// Whether time keeps its pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Motion {
    /// The clip lasts as long as before.
    #[default]
    Normal,
    /// With [`Rate::Factor`] (or [`Rate::Multiple`]) F the clip lasts F times as long, at the source's rate or at the one given here.
    Slow {
        /// The output's rate; the source's when absent.
        fps: Option<Ratio<i64>>,
        /// Keep sound and stretch it (its pitch is kept); dropped otherwise.
        stretch_audio: bool,
    },
}

/// A video to interpolate. A program's own source of frames is given to [`VideoJob::open_from`], its own sink to
/// [`VideoRun::run_into`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VideoJob {
    /// What to read.
    pub source: SourceSpec,
    /// What to write; `companions`, `inputs` and `cancel` are filled in by the job.
    pub sink: SinkSpec,
    /// Write beside the input, with this extension and the name of [`default_output`], instead of the sink's output.
    pub beside: Option<String>,
    /// Write into a file of the source's own container, where that holds what comes out (see
    /// [`extension_like`]): the output's extension, or that of [`VideoJob::beside`], is
    /// replaced.
    pub like_source: bool,
    /// With [`VideoJob::beside`]: write into this folder, made where it is missing, instead of the input's.
    pub folder: Option<PathBuf>,
    /// Write a [`Manifest`] beside the result, where that is a file.
    pub manifest: bool,
    /// What to interpolate with.
    pub interpolator: InterpolatorSpec,
    /// How many frames.
    pub rate: Rate,
    /// At which pace.
    pub motion: Motion,
    /// Where scenes change.
    pub cuts: CutRule,
    /// Where the cuts that were found are written, as a list that [`CutList::parse`](rife_media::scene::CutList::parse)
    /// reads.
    pub cuts_out: Option<PathBuf>,
    /// What a cut is filled with.
    pub cut_fill: CutFill,
    /// What becomes of repeated frames.
    pub duplicates: Duplicates,
    /// Take overlays that do not move, such as logos, subtitles and black bars, from the source (see
    /// [`Overlays`](rife_media::scene::Overlays)).
    pub mask_static: bool,
    /// What is shown instead of frames that are trusted too little.
    pub fallback: Option<Fallback>,
    /// Measure how far each made frame is to be trusted, for [`VideoSummary::confidences`]; done anyway with a fallback.
    pub confidence: bool,
    /// Whether several machines share the work: write one shard's segments, or join those of all. Needs
    /// [`VideoJob::keep`].
    pub share: Option<Share>,
    /// Whether and how an unfinished result is kept, so that the same job goes on where it was.
    pub keep: Keep,
    /// Whether a result with warnings, such as of an input that ends early, is a failure. It is written all the same.
    pub strict: bool,
    /// Leave out sound, subtitles, chapters and tags.
    pub video_only: bool,
    /// Show the source's middle half on the left and the result's on the right.
    pub montage: bool,
}

impl VideoJob {
    /// Twice the frames of `input` into `output`, everything else by default.
    pub fn new(input: Input, output: Output) -> Self {
        Self {
            source: SourceSpec::new(input),
            sink: SinkSpec::new(output),
            beside: None,
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
            strict: false,
            share: None,
            keep: Keep::default(),
            video_only: false,
            montage: false,
        }
    }

    /// Opens the source, loads the model and plans; nothing is written yet. `cancel` stops it at any time.
    ///
    /// # Errors
    /// Those of opening the source and loading the model, and [`Error::Usage`] for options that make no sense
    /// together.
    pub fn open(mut self, cancel: &CancelToken) -> Result<VideoRun> {
        self.stop_on(cancel);
        let source = self.open_source()?;
        self.plan(source, cancel)
    }

    /// As [`VideoJob::open`], reading `source` in place of [`VideoJob::source`], whose limits hold for it all the same. The
    /// plan calls it what [`Input::Custom`] says. Such a job cannot be kept, and goes on nowhere.
    ///
    /// # Errors
    /// As [`VideoJob::open`]; [`MediaError::Limit`](rife_media::MediaError::Limit) for a size that is not accepted.
    pub fn open_from(mut self, source: Box<dyn Source>, cancel: &CancelToken) -> Result<VideoRun> {
        self.stop_on(cancel);
        if !matches!(self.source.input, Input::Custom(_)) {
            self.source.input = Input::Custom("a source of the program's own".into());
        }
        let source = Box::new(Checked::new(source, &self.source.limits)?);
        if self.like_source {
            self.follow(source.info());
        }
        self.name_output(None)?;
        self.plan(source, cancel)
    }

    fn stop_on(&mut self, cancel: &CancelToken) {
        self.source.cancel = cancel.clone();
        self.sink.cancel = cancel.clone();
        self.interpolator.cancel = cancel.clone();
    }

    /// Loads the model and plans.
    fn plan(mut self, source: Box<dyn Source>, cancel: &CancelToken) -> Result<VideoRun> {
        let info = source.info().clone();
        let (timeline, slower) = self.shown(self.timeline(&info)?, &info);
        self.name_output(plan::output_rate(&timeline, &info).or(info.frame_rate))?;
        let container = self.sink.container()?;
        let (size, given) = ([info.width, info.height], self.interpolator.memory_limit);
        let whole = plan::memory(info.width, info.height, None);
        let beside = plan::waiting(&self, &info) + crate::memory::of_ffmpeg(size);
        self.interpolator.memory_limit = crate::memory::limit(&self.source.limits, given, whole, beside);
        let interpolator = Arc::new(Interpolator::new(&self.interpolator)?);
        if let Some(media) = &info.media {
            let mut streams = plan_streams(media, container, self.companions(&timeline));
            streams.check(media, container, cancel)?;
            self.sink.companions = Some((media.clone(), streams));
        }
        let encoding = plan_encoding(&self.sink, &self.params(&info, &timeline))?;
        self.sink
            .inputs
            .extend(input_path(&self.source.input).map(Path::to_owned));
        let mut plan = plan::plan(&self, &info, &timeline, slower, &interpolator, encoding)?;
        plan.notes
            .extend(source.notes().into_iter().chain(source.warnings()));
        plan.method += &crate::memory::note(given, self.interpolator.memory_limit);
        plan.notes
            .extend(self.starts_over(&self.params(&info, &timeline))?);
        let limits = &self.source.limits;
        limits.check_output_frames(plan.output_frames.unwrap_or(0))?;
        limits.check_memory(plan.memory)?;
        let planned = plan::memory(info.width, info.height, self.interpolator.memory_limit);
        crate::memory::check(limits, &interpolator, size, given, [planned, whole, beside])?;
        Ok(VideoRun {
            job: self,
            source,
            info,
            timeline,
            interpolator,
            plan,
            facts: None,
            cancel: cancel.clone(),
        })
    }

    /// Opens the source, turned upright where the output has no place for a rotation, and settles the output's
    /// extension.
    fn open_source(&mut self) -> Result<Box<dyn Source>> {
        if !self.like_source {
            self.name_output(None)?;
            if !self.sink.container()?.holds_rotation() {
                self.source.orientation = Orientation::Apply;
            }
            return Ok(open_source(&self.source)?);
        }
        let source = open_source(&self.source)?;
        self.follow(source.info());
        self.name_output(None)?;
        if self.sink.container()?.holds_rotation() || source.info().matrix == DisplayMatrix::IDENTITY {
            return Ok(source);
        }
        drop(source);
        self.source.orientation = Orientation::Apply;
        Ok(open_source(&self.source)?)
    }

    /// Gives the output the extension of the source's own container.
    fn follow(&mut self, source: &StreamInfo) {
        let extension = extension_like(source, self.sink.codec);
        match (&mut self.beside, &mut self.sink.output) {
            (Some(named), _) => *named = extension.to_owned(),
            (None, Output::File(path)) => {
                path.set_extension(extension);
            }
            (None, Output::Stdout | Output::Images(..) | Output::Custom(_)) => {}
        }
    }

    /// What the sink is told of the frames.
    fn params(&self, info: &StreamInfo, timeline: &TimelineOptions) -> VideoParams {
        // Of a variable rate the mean: all segments must be told the same one.
        let mut params = VideoParams::for_timeline(info, timeline);
        if self.montage {
            params.width = params.width / 2 * 2;
        }
        params
    }

    /// That an interrupted job starts over, where it does though it is to go on.
    fn starts_over(&self, params: &VideoParams) -> Result<Option<String>> {
        let reason = match () {
            () if !self.keep.on => None,
            () if rife_media::source::is_stream(&self.source.input) => {
                Some("the input can be read only once".to_owned())
            }
            () => sink::starts_over(&self.sink, params)?,
        };
        Ok(reason.map(|reason| format!("an interrupted run starts over: {reason}")))
    }

    /// Fills in the output's name where it is to stand beside the input.
    fn name_output(&mut self, rate: Option<Ratio<i64>>) -> Result<()> {
        let Some(extension) = &self.beside else {
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
        let name = default_output(input, self.rate, rate, extension);
        self.sink.output = Output::File(match (&self.folder, name.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => name,
        });
        Ok(())
    }

    /// The timeline's options for this source.
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
        Ok(TimelineOptions {
            stretch: rate * factor / fps,
            ..options
        })
    }

    /// The timeline at the highest rate that players show of the output's kind, and what is to be said of that.
    fn shown(&self, timeline: TimelineOptions, info: &StreamInfo) -> (TimelineOptions, Option<String>) {
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
            return (TimelineOptions { mode, ..timeline }, Some(note));
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

    fn output_file(&self) -> Option<&Path> {
        match &self.sink.output {
            Output::File(path) => Some(path),
            Output::Stdout | Output::Images(..) | Output::Custom(_) => None,
        }
    }

    /// The job's facts, those of the encoding, which a sink that writes segments adds by itself, and those of sound and
    /// text, which are no part of its segments.
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

    /// What is looked for in the frames.
    fn analysis(&self) -> AnalysisOptions {
        AnalysisOptions {
            cuts: self.cuts.clone(),
            duplicates: self.duplicates == Duplicates::Smooth,
        }
    }

    /// What is made of the frames.
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

/// Captions within the pictures, which frames of our own do not have.
fn captions(info: &StreamInfo) -> Option<String> {
    info.media.as_ref()?.main_video()?.1.captions_dropped()
}

/// The path of an input that has one.
pub fn input_path(input: &Input) -> Option<&Path> {
    match input {
        Input::File(path) | Input::Images(path) => Some(path),
        Input::Stdin | Input::Custom(_) => None,
    }
}

/// The output's name when none is given, beside the input: `{stem}_{factor}X_{fps}fps.{extension}`, with a target
/// rate `{stem}_{fps}fps.{extension}`; `fps` is the output's rate, rounded.
pub fn default_output(input: &Path, rate: Rate, output_rate: Option<Ratio<i64>>, extension: &str) -> PathBuf {
    let factor = match rate {
        Rate::Factor(factor) => format!("_{factor}X"),
        Rate::Multiple(factor) => format!("_{}X", factor_text(factor).replace('/', "-")),
        Rate::Fps(_) => String::new(),
    };
    let fps = output_rate.map_or(String::new(), |rate| format!("_{}fps", rate.round()));
    rife_files::with_stem(input, &format!("{factor}{fps}.{extension}"))
}

/// A factor for people: 2.5, or 7/3 where that has no short decimal form.
pub(crate) fn factor_text(factor: Ratio<i64>) -> String {
    let thousandths = factor * 1000;
    match thousandths.is_integer() {
        true => format!("{}", rife_media::time::seconds(factor)),
        false => factor.to_string(),
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Source frames taken.
    pub frames_in: u64,
    /// Frames handed to the sink.
    pub frames_out: u64,
    /// Those of them that an earlier run had written already.
    pub resumed: u64,
    /// Frames that will be, as far as it is known.
    pub total_out: Option<u64>,
    /// Frames that the network made, by an earlier run of this job too, but not on other machines.
    pub made: u64,
    /// Cuts met.
    pub cuts: u64,
    /// Frames that only repeat the one before, left out of the motion.
    pub held: u64,
    /// Distinct frames that were moved to their even place between repeated ones.
    pub retimed: u64,
    /// Frames left out since their time does not advance.
    pub dropped: u64,
    /// Made frames in whose place the fallback is shown.
    pub fallen_back: u64,
    /// Frames that other machines make.
    pub elsewhere: u64,
}

/// What came of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoSummary {
    /// The counts at the end.
    pub counts: Progress,
    /// What the sink wrote.
    pub written: Written,
    /// How long it took, planning aside.
    pub elapsed: Duration,
    /// Things worth telling the user.
    pub warnings: Vec<String>,
    /// How far each frame that this run made is to be trusted, in order, where that was asked for.
    pub confidences: Vec<Confidence>,
}

impl VideoSummary {
    /// Frames written a second.
    pub fn frames_per_second(&self) -> f64 {
        self.counts.frames_out as f64 / self.elapsed.as_secs_f64().max(1e-9)
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
    /// What decides the result, once it was asked for; nothing in it where the input cannot be read twice.
    facts: Option<Option<Vec<(String, String)>>>,
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
    /// What will be done.
    pub fn plan(&self) -> &VideoPlan {
        &self.plan
    }

    /// Where the work of an unfinished output is kept, if any is.
    pub fn unfinished(&self) -> Option<PathBuf> {
        self.job.sink.output.unfinished()
    }

    /// The file that will be written, where it is one.
    pub fn output(&self) -> Option<&Path> {
        self.job.output_file()
    }

    /// Whether the output is there already, made by this program from this input with this model and these options,
    /// as the manifest beside it says. Its size is compared with the manifest's; its content is not read.
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

    /// What decides the result; nothing where the input cannot be read twice.
    fn facts(&mut self) -> Result<Option<Vec<(String, String)>>> {
        if self.facts.is_none() {
            self.facts = Some(facts::facts(&self.job, &self.interpolator)?);
        }
        Ok(self.facts.clone().flatten())
    }

    /// What is in the source, where it is a file that ffmpeg reads.
    pub fn media(&self) -> Option<&MediaInfo> {
        self.info.media.as_ref()
    }

    /// Does it. `progress` is called on this thread after every source frame and every frame made.
    ///
    /// # Errors
    /// Those of reading, interpolating and writing; [`Error::Cancelled`]. Nothing is left under the output's name
    /// then; what is done is kept beside it as [`VideoJob::keep`] says. [`Error::Data`] for a result with warnings where
    /// [`VideoJob::strict`] says so: that one is left.
    pub fn run(self, progress: &mut dyn FnMut(&Progress)) -> Result<VideoSummary> {
        self.run_to(None, progress)
    }

    /// The frames that a sink given to [`VideoRun::run_into`] gets: their size, format, time base and rate. It may say
    /// another format or other colour tags in its own [`Sink::params`], and gets those.
    pub fn params(&self) -> VideoParams {
        self.job.params(&self.info, &self.timeline)
    }

    /// As [`VideoRun::run`], into `sink` in place of the job's own output; nothing is kept and no manifest is written.
    ///
    /// # Errors
    /// As [`VideoRun::run`].
    pub fn run_into(self, sink: Box<dyn Sink>, progress: &mut dyn FnMut(&Progress)) -> Result<VideoSummary> {
        self.run_to(Some(sink), progress)
    }

    fn run_to(
        mut self,
        sink: Option<Box<dyn Sink>>,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<VideoSummary> {
        let start = std::time::Instant::now();
        let own = sink.is_some();
        if let Some(folder) = &self.job.folder {
            std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
        }
        let keep = self.job.keep;
        if own {
            self.job.manifest = false;
        } else if keep.on
            && let Some(mut facts) = self.facts()?
        {
            let pictures = Pictures::of(&self.job.source.input)?;
            if let (Some(pictures), Some(path)) = (&pictures, input_path(&self.job.source.input)) {
                // Of the pictures those count that have been used.
                let of_input = facts.iter_mut().filter(|(name, _)| name == facts::INPUT);
                of_input.for_each(|(_, value)| *value = path.display().to_string());
                self.source = pictures.counted(self.source);
            }
            self.job.sink.resume = Some(Resume {
                pictures,
                restart: keep.restart,
                segment_frames: keep.segment_frames,
                share: self.job.share,
                ..Resume::new(facts)
            });
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
        let cuts_file = self.cuts_file()?;
        let params = self.job.params(&self.info, &self.timeline);
        let sink = sink.map_or_else(|| open_sink(&self.job.sink, &params), Ok)?;
        let params = sink.params().clone();
        let options = self.job.stream(&self.info, self.timeline);
        let setup = pipeline::Setup {
            stream: Stream::new(self.interpolator.clone(), options)?,
            montage: self.job.montage,
            total_out: self.plan.output_frames,
            tags: self.info.tags,
            cancel: &self.cancel,
        };
        let done = pipeline::run(setup, self.source, sink, progress)?;
        // Said in the plan, too; here for whoever sees only what came of it.
        let mut warnings = self.info.hdr.dropped();
        warnings.extend(captions(&self.info));
        warnings.extend(done.warnings);
        if let Some(file) = cuts_file {
            file.finish(&CutList::write(&done.cuts))?;
        }
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

    /// The list of cuts that is to be written, refused now rather than at the end.
    fn cuts_file(&self) -> Result<Option<TextFile>> {
        let (sink, path) = (&self.job.sink, self.job.cuts_out.as_deref());
        if path.is_some() && path == self.output() {
            return Err(Error::Usage(
                "the list of cuts has the name of the result; it needs one of its own".into(),
            ));
        }
        let taken = sink.inputs.iter().map(PathBuf::as_path).chain(self.output());
        let create = |path| TextFile::create(path, sink.overwrite, taken);
        Ok(path.map(create).transpose()?)
    }
}
