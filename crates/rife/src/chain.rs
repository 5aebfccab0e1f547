//! Clips joined by transitions that the network makes: from the last frame of one to the first of the next.
//!
//! Rules:
//! - **Transitions.** `p` passes divide the step from a clip's last frame to the next clip's first into `2^p`
//!   intervals: `2^p - 1` new frames stand between them, and neither is shown twice. Where the two are the same
//!   picture, there is nothing to move through: the clips are joined there, and the picture is shown once.
//! - **Rate.** One constant rate, the first clip's where none is given. Of a clip of that rate every frame is shown
//!   as it is. Of others a frame is made for each point of the grid, except across cuts, where the frame before is
//!   held. Each clip keeps its duration to within a frame.
//! - **Size.** The first clip's as it is displayed (square pixels, upright, even sides), or the one given; clips of
//!   another shape are fitted by a [`Fit`].
//! - **Colour.** Each clip is read by its own matrix, range and (SDR) primaries and written by the first one's. HDR and
//!   SDR clips are not mixed.
//! - **Sound.** The default track of each clip stays beside its frames (48 kHz); see [`rife_media::audio`] for what is
//!   heard during a transition. Subtitles, chapters and tags are left out.
//!
//! Clips are read one after the other, a frame at a time. A chain that is interrupted goes on where it was, as a video
//! does. What is decided before the start is in `plan`, the frames come out of `writer`.

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
use writer::Writer;

/// Most passes of a transition: 63 new frames.
pub const MAX_PASSES: u32 = 6;
/// Most clips of a chain.
pub const MAX_CLIPS: usize = 1000;

/// What is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sound {
    /// Each clip's own, crossfaded over the transitions.
    #[default]
    Crossfade,
    /// Each clip's own, silence in the transitions.
    Silence,
    /// Nothing.
    Drop,
}

/// Clips to be joined.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChainJob {
    /// The clips in order, two or more.
    pub clips: Vec<PathBuf>,
    /// `2^passes` intervals from clip to clip, 1 to [`MAX_PASSES`].
    pub passes: u32,
    /// The output's rate; the first clip's when absent.
    pub fps: Option<Ratio<i64>>,
    /// The output's size; the first clip's when absent.
    pub size: Option<[u32; 2]>,
    /// What becomes of clips of another shape.
    pub fit: Fit,
    /// What is heard.
    pub sound: Sound,
    /// From which similarity on frames of a clip are parted by a cut.
    pub scene: SceneOptions,
    /// How every clip is read (its `input` is filled in).
    pub source: SourceSpec,
    /// What to write; `companions`, `inputs` and `cancel` are filled in by the job.
    pub sink: SinkSpec,
    /// What to interpolate with.
    pub interpolator: InterpolatorSpec,
    /// Whether and how an unfinished result is kept, so that the same job goes on where it was.
    pub keep: Keep,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainPlan {
    /// The output's name.
    pub output: String,
    /// The output's size.
    pub size: [u32; 2],
    /// The output's rate.
    pub rate: Ratio<i64>,
    /// Frames, as far as the clips announce theirs.
    pub frames: Option<u64>,
    /// New frames of one transition.
    pub transition: u64,
    /// A line for each clip: what it is, and what is done to it.
    pub clips: Vec<String>,
    /// Bytes of memory that this takes at most, about.
    pub memory: u64,
    /// What is heard, in words.
    pub sound: String,
    /// The model and its options.
    pub model: String,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Clips begun.
    pub clips: usize,
    /// Frames written.
    pub frames: u64,
    /// How many of them an earlier run has written.
    pub resumed: u64,
    /// How many the network made in this run.
    pub made: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainSummary {
    /// The output.
    pub path: Option<PathBuf>,
    /// The counts at the end.
    pub counts: Progress,
    /// How long it lasts.
    pub duration: Time,
    /// Where each clip starts in the output.
    pub starts: Vec<Time>,
    /// Whether there is sound.
    pub sound: bool,
    /// Things worth telling the user.
    pub warnings: Vec<String>,
}

/// A planned job, ready to run.
#[derive(Debug)]
pub struct ChainRun {
    job: ChainJob,
    infos: Vec<StreamInfo>,
    params: VideoParams,
    interpolator: Interpolator,
    plan: ChainPlan,
    cancel: CancelToken,
}

impl ChainJob {
    /// `clips` joined into `output`, everything else by default.
    pub fn new(clips: Vec<PathBuf>, output: Output) -> Self {
        Self {
            clips,
            passes: 2,
            fps: None,
            size: None,
            fit: Fit::default(),
            sound: Sound::default(),
            scene: SceneOptions::default(),
            source: SourceSpec::new(Input::Stdin),
            sink: SinkSpec::new(output),
            interpolator: InterpolatorSpec::default(),
            keep: Keep::default(),
        }
    }

    /// Looks at every clip, loads the model and plans; nothing is written yet.
    ///
    /// # Errors
    /// Those of opening the clips and loading the model, [`Error::Usage`] for options that make no sense, and
    /// [`Error::Data`] for clips that do not go together.
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
        let whole = crate::video::memory(params.width, params.height, None);
        let beside = plan::fitting(&infos) + crate::memory::of_ffmpeg(size);
        self.interpolator.memory_limit = crate::memory::limit(&self.source.limits, given, whole, beside);
        let interpolator = Interpolator::new(&self.interpolator)?;
        let mut plan = plan::plan(&self, &infos, &params, &interpolator)?;
        plan.model += &crate::memory::note(given, self.interpolator.memory_limit);
        let limits = &self.source.limits;
        limits.check_output_frames(plan.frames.unwrap_or(0))?;
        limits.check_memory(plan.memory)?;
        let planned = crate::video::memory(params.width, params.height, self.interpolator.memory_limit);
        crate::memory::check(limits, &interpolator, size, given, [planned, whole, beside])?;
        Ok(ChainRun {
            job: self,
            infos,
            params,
            interpolator,
            plan,
            cancel: cancel.clone(),
        })
    }

    /// How a clip is read.
    fn clip(&self, path: &Path) -> SourceSpec {
        SourceSpec {
            input: Input::parse(path),
            ..self.source.clone()
        }
    }
}

impl ChainRun {
    /// What will be done.
    pub fn plan(&self) -> &ChainPlan {
        &self.plan
    }

    /// Does it. `progress` is called after every frame.
    ///
    /// # Errors
    /// Those of reading, interpolating and writing; [`Error::Cancelled`]. Nothing is left under the output's name
    /// then; what is done is kept beside it as [`ChainJob::keep`] says.
    pub fn run(self, progress: &mut dyn FnMut(&Progress)) -> Result<ChainSummary> {
        let mut spec = self.job.sink.clone();
        spec.resume = self.resume()?;
        let with_sound = self.has_sound()?;
        let Some(target) = with_sound else {
            let (written, chain) = self.pictures(&spec, progress)?;
            return Ok(summary(written, chain, false));
        };
        // The pictures first: how long each clip is heard is known at its end.
        let inputs = self.job.clips.iter().map(PathBuf::as_path);
        let mut place = Workplace::beside(&target, spec.overwrite, inputs)?;
        let silent = place.file("pictures");
        spec.output = Output::File(silent.clone());
        spec.overwrite = true;
        let (mut written, chain) = self.pictures(&spec, progress)?;
        let join = AudioJoin {
            video: &silent,
            time_base: self.params.time_base,
            frames: written.frames,
            pieces: &chain.pieces,
            bridge: match self.job.sound {
                Sound::Crossfade => Bridge::Crossfade,
                Sound::Silence | Sound::Drop => Bridge::Silence,
            },
            cancel: &self.cancel,
        };
        let joined = place.file("joined");
        join.write(&joined, &mut |name| place.file(name))?;
        written.bytes = Some(place.promote(&joined)?);
        written.path = Some(target);
        Ok(summary(written, chain, true))
    }

    /// Writes the pictures.
    fn pictures(
        &self,
        spec: &SinkSpec,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<(Written, writer::Done)> {
        let mut writer = Writer::new(self, open_sink(spec, &self.params)?, progress);
        for (clip, info) in self.job.clips.iter().zip(&self.infos) {
            writer.clip(open_source(&self.job.clip(clip))?, info)?;
        }
        writer.finish()
    }

    /// How the pictures are kept while they are unfinished.
    fn resume(&self) -> Result<Option<Resume>> {
        let keep = self.job.keep;
        if !keep.on {
            return Ok(None);
        }
        let facts = plan::facts(&self.job, &self.interpolator)?;
        Ok(facts.map(|facts| Resume {
            restart: keep.restart,
            segment_frames: keep.segment_frames,
            ..Resume::new(facts)
        }))
    }

    /// The output, where it gets sound.
    fn has_sound(&self) -> Result<Option<PathBuf>> {
        let Output::File(target) = &self.job.sink.output else {
            return Ok(None);
        };
        let held = plan::supports_audio(self.job.sink.container()?);
        let any = self.infos.iter().any(plan::has_sound);
        let wanted = held && any && self.job.sound != Sound::Drop;
        Ok(wanted.then(|| target.clone()))
    }
}

fn summary(written: Written, chain: writer::Done, sound: bool) -> ChainSummary {
    let mut warnings = chain.warnings;
    warnings.extend(written.warnings);
    ChainSummary {
        path: written.path,
        counts: chain.counts,
        duration: written.duration,
        starts: chain.starts,
        sound,
        warnings,
    }
}

/// The output's name when none is given, beside the first clip: `{stem}_chain.mp4`.
pub fn default_output(first: &Path) -> PathBuf {
    rife_files::with_stem(first, "_chain.mp4")
}
