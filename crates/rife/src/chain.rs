//! Chain job: concatenates clips with interpolated transitions from the last frame of a clip to the first of the next.
//!
//! Rules:
//! - **Transitions.** `p` passes divide the interval from a clip's last frame to the next clip's first into `2^p`:
//!   `2^p - 1` computed frames are inserted. If both frames are equal, the clips are joined without a transition, and the
//!   frame is shown once.
//! - **Rate.** One constant rate, by default the first clip's. Frames of clips with that rate are copied; clips with
//!   another rate are interpolated at the output's times, except across cuts, where the frame before is repeated. Each
//!   clip's duration is kept to within a frame.
//! - **Size.** By default the first clip's display size (square pixels, upright, even sides); clips of another aspect ratio
//!   are fitted by a [`Fit`].
//! - **Colour.** Each clip is decoded by its own matrix, range and (SDR) primaries and converted to those of the first clip.
//!   HDR and SDR clips are not mixed.
//! - **Audio.** The default track of each clip (at 48 kHz) stays in sync with its frames; [`rife_media::audio`] describes the
//!   audio of a transition. Subtitles, chapters and metadata are left out.
//!
//! Clips are read one after the other, a frame at a time. An interrupted chain can be resumed. Submodules: `plan` describes
//! the job before it starts, `writer` produces the frames.

mod plan;
mod writer;

use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife_media::audio::{AudioJoin, Bridge};
use rife_media::scene::SceneOptions;
use rife_media::sink::{Resume, Workplace};
use rife_media::{
    CancelToken, Fit, Input, Orientation, Output, SinkSpec, SourceSpec, StreamInfo, Time, VideoParams,
    Written, open_sink, open_source,
};

use crate::video::Keep;
use crate::{Error, Interpolator, InterpolatorSpec, Result};
use writer::{ChainResult, Writer};

/// Maximum of [`ChainJob::passes`]: 63 computed frames per transition.
pub const MAX_PASSES: u32 = 6;
/// Maximum number of clips of a chain.
pub const MAX_CLIPS: usize = 1000;

/// Audio of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioMode {
    /// Each clip's audio, crossfaded during the transitions.
    #[default]
    Crossfade,
    /// Each clip's audio, with silence during the transitions.
    Silence,
    /// No audio.
    Drop,
}

/// Clips to be joined, and the options.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChainJob {
    /// The clips in order, 2 to [`MAX_CLIPS`].
    pub clips: Vec<PathBuf>,
    /// Passes of bisection of a transition, 1 to [`MAX_PASSES`]: `2^passes` intervals from clip to clip.
    pub passes: u32,
    /// The output's rate in frames per second; the first clip's when absent.
    pub fps: Option<Ratio<i64>>,
    /// The output's width and height; the first clip's when absent.
    pub size: Option<[u32; 2]>,
    /// How clips of another aspect ratio are fitted to the output's size.
    pub fit: Fit,
    /// The output's audio.
    pub audio: AudioMode,
    /// Threshold of cut detection within a clip.
    pub scene: SceneOptions,
    /// How each clip is read; its `input` is set by the job.
    pub source: SourceSpec,
    /// The output; `companions`, `inputs` and `cancel` are set by the job.
    pub sink: SinkSpec,
    /// Model and options of the network.
    pub interpolator: InterpolatorSpec,
    /// Whether and how an unfinished result is kept for the same job to resume.
    pub keep: Keep,
}

/// What a [`ChainRun`] will do.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainPlan {
    /// The output's path or name.
    pub output: String,
    /// The output's width and height.
    pub size: [u32; 2],
    /// The output's rate in frames per second.
    pub rate: Ratio<i64>,
    /// Number of output frames; `None` if a container does not declare its frames.
    pub frames: Option<u64>,
    /// Number of computed frames of one transition.
    pub transition: u64,
    /// Properties of each clip and its conversions, a line each, for people.
    pub clips: Vec<String>,
    /// Expected memory in bytes, without ffmpeg.
    pub memory: u64,
    /// The output's audio, for people.
    pub audio: String,
    /// The model and its options, for people.
    pub model: String,
}

/// Counts of a running job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Clips opened, including the current one.
    pub clips: usize,
    /// Frames written, including `resumed`.
    pub frames: u64,
    /// Frames that an earlier run had written.
    pub resumed: u64,
    /// Frames that the network computed in this run.
    pub made: u64,
}

/// Result of a [`ChainRun`].
#[derive(Debug, Clone, PartialEq)]
pub struct ChainSummary {
    /// The output file, if it is one.
    pub path: Option<PathBuf>,
    /// The final counts.
    pub counts: Progress,
    /// The output's duration in seconds.
    pub duration: Time,
    /// Start of each clip in the output, in seconds.
    pub starts: Vec<Time>,
    /// Whether the output has audio.
    pub audio: bool,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// A planned job, ready to run.
#[derive(Debug)]
pub struct ChainRun {
    job: ChainJob,
    /// The video stream of each clip.
    infos: Vec<StreamInfo>,
    /// The output's video stream.
    params: VideoParams,
    interpolator: Interpolator,
    plan: ChainPlan,
    cancel: CancelToken,
}

impl ChainJob {
    /// Makes a job that joins `clips` into `output`, with defaults for all other options.
    pub fn new(clips: Vec<PathBuf>, output: Output) -> Self {
        Self {
            clips,
            passes: 2,
            fps: None,
            size: None,
            fit: Fit::default(),
            audio: AudioMode::default(),
            scene: SceneOptions::default(),
            source: SourceSpec::new(Input::Stdin),
            sink: SinkSpec::new(output),
            interpolator: InterpolatorSpec::default(),
            keep: Keep::default(),
        }
    }

    /// Probes every clip, loads the model and plans the job; nothing is written yet.
    ///
    /// # Errors
    /// Those of opening the clips and loading the model, [`Error::Usage`] for invalid options, and [`Error::Data`] for a mix
    /// of HDR and SDR clips.
    pub fn open(mut self, cancel: &CancelToken) -> Result<ChainRun> {
        if !(1..=MAX_PASSES).contains(&self.passes) {
            return Err(Error::Usage(format!(
                "{} passes; 1 to {MAX_PASSES} are accepted",
                self.passes
            )));
        }
        if !(2..=MAX_CLIPS).contains(&self.clips.len()) {
            return Err(Error::Usage(format!(
                "{} clips; 2 to {MAX_CLIPS} are accepted",
                self.clips.len()
            )));
        }
        let stream = |clip: &&PathBuf| rife_media::source::is_stream(&Input::parse(clip));
        if let Some(clip) = self.clips.iter().find(stream) {
            let clip = clip.display();
            return Err(Error::Usage(format!(
                "{clip} is a stream, which cannot be read twice: give files"
            )));
        }
        self.sink.cancel = cancel.clone();
        self.interpolator.cancel = cancel.clone();
        self.sink.inputs.clone_from(&self.clips);
        self.source.cancel = cancel.clone();
        self.source.orientation = Orientation::Apply;
        let infos = self
            .clips
            .iter()
            .map(|clip| Ok(open_source(&self.clip(clip))?.info().clone()));
        let infos: Vec<StreamInfo> = infos.collect::<Result<_>>()?;
        plan::check_range(&self.clips, &infos)?;
        let params = plan::params(&self, &infos)?;
        let (size, given) = ([params.width, params.height], self.interpolator.memory_limit);
        let untiled = crate::video::memory(params.width, params.height, None);
        let other = plan::fitting_memory(&infos) + crate::memory::of_ffmpeg(size);
        self.interpolator.memory_limit = crate::memory::limit(&self.source.limits, given, untiled, other);
        let interpolator = Interpolator::new(&self.interpolator)?;
        let mut plan = plan::plan(&self, &infos, &params, &interpolator)?;
        plan.model += &crate::memory::note(given, self.interpolator.memory_limit);
        if let Some(note) = interpolator.note_on_tiles(size) {
            plan.model += &format!("; {note}");
        }
        let limits = &self.source.limits;
        limits.check_output_frames(plan.frames.unwrap_or(0))?;
        limits.check_memory(plan.memory)?;
        let planned = crate::video::memory(params.width, params.height, self.interpolator.memory_limit);
        crate::memory::check(limits, &interpolator, size, given, [planned, untiled, other])?;
        Ok(ChainRun {
            job: self,
            infos,
            params,
            interpolator,
            plan,
            cancel: cancel.clone(),
        })
    }

    /// Returns the specification of a clip's source.
    fn clip(&self, path: &Path) -> SourceSpec {
        let mut spec = self.source.clone();
        spec.input = Input::parse(path);
        spec
    }
}

impl ChainRun {
    /// Returns the job's plan.
    pub fn plan(&self) -> &ChainPlan {
        &self.plan
    }

    /// Runs the job. `progress` is called after every frame.
    ///
    /// # Errors
    /// Those of reading, interpolating and writing; [`Error::Cancelled`]. No output file exists then; finished segments are
    /// kept in its folder if [`ChainJob::keep`] is on.
    pub fn run(self, progress: &mut dyn FnMut(&Progress)) -> Result<ChainSummary> {
        let mut spec = self.job.sink.clone();
        spec.resume = self.resume()?;
        let Some(target) = self.target_with_audio()? else {
            let (written, chain) = self.write_video(&spec, progress)?;
            return Ok(self.summary(written, chain, false));
        };
        // The video is written first: the duration of each clip's audio is known at the clip's end only.
        let inputs = self.job.clips.iter().map(PathBuf::as_path);
        let mut place = Workplace::beside(&target, spec.overwrite, inputs)?;
        let silent = place.file("pictures");
        spec.output = Output::File(silent.clone());
        spec.overwrite = true;
        let (mut written, chain) = self.write_video(&spec, progress)?;
        let join = AudioJoin {
            video: &silent,
            time_base: self.params.time_base,
            frames: written.frames,
            pieces: &chain.pieces,
            bridge: match self.job.audio {
                AudioMode::Crossfade => Bridge::Crossfade,
                AudioMode::Silence | AudioMode::Drop => Bridge::Silence,
            },
            cancel: &self.cancel,
        };
        let joined = place.file("joined");
        join.write(&joined, &mut |name| place.file(name))?;
        written.bytes = Some(place.promote(&joined)?);
        written.path = Some(target);
        Ok(self.summary(written, chain, true))
    }

    /// Writes the video stream of all clips and transitions.
    fn write_video(
        &self,
        spec: &SinkSpec,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<(Written, ChainResult)> {
        let mut writer = Writer::new(self, open_sink(spec, &self.params)?, progress);
        for (clip, info) in self.job.clips.iter().zip(&self.infos) {
            writer.clip(open_source(&self.job.clip(clip))?, info)?;
        }
        writer.finish()
    }

    /// Returns how segments of the unfinished video are kept; `None` if they are not, or a clip cannot be read twice.
    fn resume(&self) -> Result<Option<Resume>> {
        let keep = self.job.keep;
        if !keep.on {
            return Ok(None);
        }
        let facts = plan::facts(&self.job, &self.interpolator)?;
        Ok(facts.map(|facts| {
            let mut spec = Resume::new(facts);
            spec.restart = keep.restart;
            spec.segment_frames = keep.segment_frames;
            spec
        }))
    }

    /// Returns the output's path if the output gets audio: a clip has some, the container can hold it and it is not dropped.
    fn target_with_audio(&self) -> Result<Option<PathBuf>> {
        let Output::File(target) = &self.job.sink.output else {
            return Ok(None);
        };
        let held = plan::supports_audio(self.job.sink.container()?);
        let any = self.infos.iter().any(plan::has_audio);
        let wanted = held && any && self.job.audio != AudioMode::Drop;
        Ok(wanted.then(|| target.clone()))
    }

    /// Combines the results of sink and writer.
    fn summary(&self, written: Written, chain: ChainResult, audio: bool) -> ChainSummary {
        let mut warnings = chain.warnings;
        warnings.extend(written.warnings);
        warnings.extend(self.interpolator.faults());
        ChainSummary {
            path: written.path,
            counts: chain.counts,
            duration: written.duration,
            starts: chain.starts,
            audio,
            warnings,
        }
    }
}

/// Returns the default output path in the first clip's folder: `{stem}_chain.mp4`.
pub fn default_output(first: &Path) -> PathBuf {
    rife_files::with_stem(first, "_chain.mp4")
}
