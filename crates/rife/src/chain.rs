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
//! - **Colour.** Each clip is read by its own matrix and range and written by the first one's. HDR and SDR clips are
//!   not mixed.
//! - **Sound.** The default track of each clip stays beside its frames (48 kHz); see [`rife_media::sound`] for what is
//!   heard during a transition. Subtitles, chapters and tags are left out.
//!
//! Clips are read one after the other, a frame at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use num_rational::Ratio;
use rife_media::scene::{Miniature, PairKind, SceneOptions};
use rife_media::sound::{Bridge, Piece, join_sound};
use rife_media::timeline::Push;
use rife_media::{
    CancelToken, ColorTags, Container, Fit, Frame, Input, Limits, MediaError, Orientation, Output,
    OutputFrame, RgbImage, Sink, SinkSpec, Source, SourceSpec, StreamInfo, Time, Timeline, TimelineMode,
    TimelineOptions, VideoParams, fit, open_sink, open_source,
};

use crate::{Error, Interpolator, InterpolatorSpec, Prepared, Result};

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
    /// How many of them the network made.
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
        self.sink.cancel = cancel.clone();
        self.sink.inputs.clone_from(&self.clips);
        self.source.cancel = cancel.clone();
        self.source.orientation = Orientation::Apply;
        let infos = self
            .clips
            .iter()
            .map(|clip| Ok(open_source(&self.clip(clip))?.info().clone()));
        let infos: Vec<StreamInfo> = infos.collect::<Result<_>>()?;
        check_range(&self.clips, &infos)?;
        let params = self.params(&infos)?;
        let interpolator = Interpolator::new(&self.interpolator)?;
        let plan = self.plan(&infos, &params, &interpolator)?;
        Ok(ChainRun {
            job: self,
            infos,
            params,
            interpolator,
            plan,
            cancel: cancel.clone(),
        })
    }

    fn clip(&self, path: &Path) -> SourceSpec {
        SourceSpec {
            input: Input::parse(path),
            ..self.source.clone()
        }
    }

    /// What the sink is told: the first clip's size, rate and tags, the deepest clip's depth.
    fn params(&self, infos: &[StreamInfo]) -> Result<VideoParams> {
        let first = &infos[0];
        let rate = self.fps.or(first.frame_rate).unwrap_or(Ratio::from(25));
        let [width, height] = self.size.unwrap_or_else(|| displayed(first));
        Limits::default().check_size(width.into(), height.into())?;
        let depth = infos.iter().map(|info| info.format.depth).max().unwrap_or(8);
        let alpha = infos.iter().all(|info| info.format.alpha);
        Ok(VideoParams {
            width,
            height,
            format: rife_media::PixelFormat {
                depth,
                alpha,
                ..first.format
            },
            sample_aspect: Ratio::from(1),
            frame_rate: Some(rate),
            ..VideoParams::like(first, rate.recip())
        })
    }

    fn timeline(&self, params: &VideoParams, info: &StreamInfo) -> TimelineOptions {
        let rate = params.frame_rate.unwrap_or(Ratio::from(25));
        TimelineOptions::new(TimelineMode::TargetRate(rate), info.frame_rate)
    }

    fn plan(
        &self,
        infos: &[StreamInfo],
        params: &VideoParams,
        interpolator: &Interpolator,
    ) -> Result<ChainPlan> {
        let rate = params.frame_rate.unwrap_or(Ratio::from(25));
        let transition = (1_u64 << self.passes) - 1;
        let counts = infos.iter().map(|info| {
            let timeline = self.timeline(params, info);
            Some(timeline.estimate(info.frames?, Some(info.duration?)))
        });
        let frames: Option<u64> = counts.sum();
        let has_sound = infos
            .iter()
            .any(|info| piece(info, Time::from(0), Time::from(0)).stream.is_some());
        let held = !matches!(self.sink.container()?, Container::VideoOnly | Container::Gif);
        let sound = match self.sound {
            _ if !has_sound => "none of the clips has sound",
            _ if !held => "dropped: the output holds nothing but pictures",
            Sound::Drop => "dropped, as asked",
            Sound::Crossfade => "each clip's first or default track, crossfaded over the transitions",
            Sound::Silence => "each clip's first or default track, silence in the transitions",
        };
        Ok(ChainPlan {
            output: match &self.sink.output {
                Output::File(path) | Output::Images(path, _) => path.display().to_string(),
                Output::Stdout => "standard output".into(),
            },
            size: [params.width, params.height],
            rate,
            frames: frames.map(|frames| frames + transition * (infos.len() as u64 - 1)),
            transition,
            clips: self
                .clips
                .iter()
                .zip(infos)
                .map(|(clip, info)| describe(clip, info, params, self.fit))
                .collect(),
            sound: sound.to_owned(),
            model: interpolator.describe(),
        })
    }
}

/// HDR codes mean another light than SDR codes: a chain of both would be wrong in one of them.
fn check_range(clips: &[PathBuf], infos: &[StreamInfo]) -> Result<()> {
    let (first, rest) = (&infos[0], clips.iter().zip(infos).skip(1));
    for (clip, info) in rest {
        if info.tags.is_hdr() != first.tags.is_hdr()
            || (first.tags.is_hdr() && info.tags.transfer != first.tags.transfer)
        {
            let name = |info: &StreamInfo| info.tags.transfer.name().unwrap_or("SDR").to_owned();
            return Err(Error::Data(format!(
                "{} is {} and {} is {}: HDR and SDR are not mixed; convert one of them first",
                clips[0].display(),
                name(first),
                clip.display(),
                name(info)
            )));
        }
    }
    Ok(())
}

/// The size in square pixels, sides even.
fn displayed(info: &StreamInfo) -> [u32; 2] {
    let width = Ratio::from(i64::from(info.width)) * info.sample_aspect;
    let even = |side: i64| u32::try_from((side + 1) / 2 * 2).unwrap_or(u32::MAX);
    [even(width.round().to_integer()), even(i64::from(info.height))]
}

fn describe(clip: &Path, info: &StreamInfo, params: &VideoParams, fit: Fit) -> String {
    let rate = info.frame_rate.filter(|_| !info.variable_rate);
    let mut text = format!(
        "{}: {}x{}, {}",
        clip.display(),
        info.width,
        info.height,
        crate::video::rate_text(rate)
    );
    let mut done = Vec::new();
    if [info.width, info.height] != [params.width, params.height] || info.sample_aspect != Ratio::from(1) {
        done.push(match fit {
            Fit::Pad => "scaled whole into the output's size",
            Fit::Crop => "scaled to fill the output's size and cut",
            Fit::Stretch => "stretched to the output's size",
        });
    }
    if rate != params.frame_rate {
        done.push("frames made for the output's rate");
    }
    if info.tags.matrix != params.tags.matrix || info.tags.range != params.tags.range {
        done.push("its colours written by the first clip's matrix and range");
    }
    if !done.is_empty() {
        text += &format!(" ({})", done.join("; "));
    }
    text
}

fn piece(info: &StreamInfo, length: Time, gap: Time) -> Piece {
    match &info.media {
        Some(media) => Piece::of(media, info.start, length, gap),
        None => Piece {
            path: PathBuf::new(),
            stream: None,
            channels: 0,
            from: Time::from(0),
            length,
            gap,
        },
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
    /// then.
    pub fn run(self, progress: &mut dyn FnMut(&Progress)) -> Result<ChainSummary> {
        let with_sound = self.sound_target()?;
        let silent = with_sound.as_deref().map(Silent::beside);
        let mut spec = self.job.sink.clone();
        if let Some(silent) = &silent {
            spec.output = Output::File(silent.0.clone());
            spec.overwrite = true;
        }
        let mut chain = Chain::new(&self, open_sink(&spec, &self.params)?, progress);
        for (index, clip) in self.job.clips.iter().enumerate() {
            chain.clip(open_source(&self.job.clip(clip))?, &self.infos[index])?;
        }
        let Chain {
            sink,
            counts,
            pieces,
            starts,
            mut warnings,
            ..
        } = chain;
        let written = sink.finish()?;
        warnings.extend(written.warnings.iter().cloned());
        let mut path = written.path.clone();
        if let (Some(target), Some(silent)) = (&with_sound, &silent) {
            let bridge = match self.job.sound {
                Sound::Crossfade => Bridge::Crossfade,
                Sound::Silence | Sound::Drop => Bridge::Silence,
            };
            join_sound(
                &silent.0,
                &pieces,
                bridge,
                target,
                self.job.sink.overwrite,
                self.params.time_base,
                written.frames,
                &self.cancel,
            )?;
            path = Some(target.clone());
        }
        Ok(ChainSummary {
            path,
            counts,
            duration: written.duration,
            starts,
            sound: with_sound.is_some(),
            warnings,
        })
    }

    /// The output, where it gets sound: then the pictures are written beside it first.
    fn sound_target(&self) -> Result<Option<PathBuf>> {
        let Output::File(target) = &self.job.sink.output else {
            return Ok(None);
        };
        let held = !matches!(Container::of(target)?, Container::VideoOnly | Container::Gif);
        let any = self
            .infos
            .iter()
            .any(|info| piece(info, Time::from(0), Time::from(0)).stream.is_some());
        if !held || !any || self.job.sound == Sound::Drop {
            return Ok(None);
        }
        if !self.job.sink.overwrite && target.symlink_metadata().is_ok() {
            return Err(MediaError::Exists(target.clone()).into());
        }
        Ok(Some(target.clone()))
    }
}

/// The finished pictures of an output that is still to get its sound; removed when it has it, or is given up.
struct Silent(PathBuf);

impl Silent {
    fn beside(target: &Path) -> Self {
        let stem = target
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let extension = target
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Self(target.with_file_name(format!(".{stem}.silent.{extension}")))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A source frame as the output shows it.
#[derive(Clone)]
struct Shown {
    /// As it came, where it is of the output's size and tags.
    frame: Option<Arc<Frame>>,
    image: Arc<RgbImage>,
    miniature: Miniature,
}

/// One end of what the network is asked for.
struct End {
    shown: Shown,
    prepared: Option<Prepared>,
}

impl End {
    fn prepare(&mut self, interpolator: &Interpolator) -> Result<Prepared> {
        if self.prepared.is_none() {
            self.prepared = Some(interpolator.prepare(self.shown.image.clone())?);
        }
        self.prepared.clone().ok_or(Error::Stage("interpolation"))
    }
}

/// The output that is being written.
struct Chain<'a> {
    run: &'a ChainRun,
    sink: Box<dyn Sink>,
    progress: &'a mut dyn FnMut(&Progress),
    counts: Progress,
    /// The last picture of the clip before.
    last: Option<End>,
    /// The end of what has been written.
    end: Time,
    pieces: Vec<Piece>,
    starts: Vec<Time>,
    warnings: Vec<String>,
}

impl<'a> Chain<'a> {
    fn new(run: &'a ChainRun, sink: Box<dyn Sink>, progress: &'a mut dyn FnMut(&Progress)) -> Self {
        Self {
            run,
            sink,
            progress,
            counts: Progress::default(),
            last: None,
            end: Time::from(0),
            pieces: Vec::new(),
            starts: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn step(&self) -> Time {
        self.run.params.time_base
    }

    /// The transition to a clip, and the clip.
    fn clip(&mut self, mut source: Box<dyn Source>, info: &StreamInfo) -> Result<()> {
        self.counts.clips += 1;
        let mut timeline = Timeline::new(self.run.job.timeline(&self.run.params, info))?;
        let before = self.end;
        let mut clip: Option<Clip> = None;
        let mut left: Option<End> = None;
        while let Some(frame) = source.next_frame()? {
            let frames = match timeline.push(frame.pts, frame.duration)? {
                Push::Dropped => continue,
                Push::Frames(frames) => frames,
            };
            let pts = frame.pts;
            let mut right = End {
                shown: self.shown(frame, info),
                prepared: None,
            };
            match (&mut left, &clip) {
                (Some(left), Some(clip)) => self.pair(clip, left, &mut right, &frames)?,
                _ => clip = Some(self.enter(&mut right, pts)?),
            }
            left = Some(right);
        }
        if let (Some(left), Some(clip)) = (&left, &clip) {
            for frame in timeline.finish()? {
                self.send(clip, &left.shown, frame)?;
            }
            let (length, gap) = (self.end - clip.start, clip.start - before);
            let mut piece = piece(info, length, gap);
            if clip.merged {
                // The shared picture stands in the clip before, so its sound does too.
                piece.from += self.step();
                (piece.length, piece.gap) = (self.end - before, Time::from(0));
            }
            self.pieces.push(piece);
            self.starts.push(clip.start);
        }
        self.last = left;
        self.warnings.extend(source.warnings());
        Ok(())
    }

    /// The transition to the first frame of a clip, which comes at `pts` of its own time.
    fn enter(&mut self, first: &mut End, pts: Time) -> Result<Clip> {
        let at = |start: Time, merged: bool| Clip {
            start,
            moved: start - pts,
            merged,
        };
        let Some(mut last) = self.last.take() else {
            return Ok(at(Time::from(0), false));
        };
        if last.shown.image == first.shown.image {
            return Ok(at(self.end - self.step(), true));
        }
        let interpolator = &self.run.interpolator;
        let (a, b) = (last.prepare(interpolator)?, first.prepare(interpolator)?);
        let mut between = interpolator.between(&a, &b);
        let intervals = 1_i64 << self.run.job.passes;
        for index in 1..intervals {
            let image = between.at(Ratio::new(index, intervals))?;
            self.counts.made += 1;
            self.write(Picture::Made(image), self.end, self.step())?;
        }
        Ok(at(self.end, false))
    }

    fn shown(&self, frame: Frame, info: &StreamInfo) -> Shown {
        let params = &self.run.params;
        let image = fit(
            &frame.to_rgb(&info.tags),
            info.sample_aspect,
            [params.width, params.height],
            self.run.job.fit,
        );
        let same = [frame.width, frame.height] == [params.width, params.height]
            && info.sample_aspect == Ratio::from(1)
            && same_codes(&frame, &info.tags, self.sink.params());
        Shown {
            miniature: Miniature::new(&image),
            image: Arc::new(image),
            frame: same.then(|| Arc::new(frame)),
        }
    }

    /// The frames at or after `left` and before `right`.
    fn pair(&mut self, clip: &Clip, left: &mut End, right: &mut End, frames: &[OutputFrame]) -> Result<()> {
        let similarity = left.shown.miniature.similarity(&right.shown.miniature);
        let cut = self.run.job.scene.classify(similarity) == PairKind::Cut;
        let same = left.shown.image == right.shown.image;
        for frame in frames {
            if frame.timestep == Ratio::from(0) || cut || same {
                self.send(clip, &left.shown, *frame)?;
                continue;
            }
            let interpolator = &self.run.interpolator;
            let (a, b) = (left.prepare(interpolator)?, right.prepare(interpolator)?);
            let image = interpolator.between(&a, &b).at(frame.timestep)?;
            self.counts.made += 1;
            self.write(Picture::Made(image), frame.pts + clip.moved, frame.duration)?;
        }
        Ok(())
    }

    fn send(&mut self, clip: &Clip, shown: &Shown, at: OutputFrame) -> Result<()> {
        let picture = match &shown.frame {
            Some(frame) => Picture::Source(frame.clone()),
            None => Picture::Made(shown.image.clone()),
        };
        self.write(picture, at.pts + clip.moved, at.duration)
    }

    /// Writes one frame; what begins before the end of what is written has been shown there.
    fn write(&mut self, picture: Picture, pts: Time, duration: Time) -> Result<()> {
        if self.run.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if pts < self.end {
            return Ok(());
        }
        let params = self.sink.params();
        let frame = match picture {
            Picture::Source(frame) => Arc::unwrap_or_clone(frame),
            Picture::Made(image) => Frame::from_rgb(&image, params.format, &params.tags),
        };
        self.sink.write(&frame.at(pts, duration))?;
        self.end = pts + duration;
        self.counts.frames += 1;
        (self.progress)(&self.counts);
        Ok(())
    }
}

enum Picture {
    Source(Arc<Frame>),
    Made(Arc<RgbImage>),
}

/// A clip's place in the output.
struct Clip {
    start: Time,
    /// What is added to its own times.
    moved: Time,
    /// Whether its first picture is the last one of the clip before.
    merged: bool,
}

/// Whether a frame's codes mean in the output what they mean in the source.
fn same_codes(frame: &Frame, tags: &ColorTags, to: &VideoParams) -> bool {
    frame.format == to.format && tags.matrix == to.tags.matrix && tags.range == to.tags.range
}

/// The output's name when none is given, beside the first clip: `{stem}_chain.mp4`.
pub fn default_output(first: &Path) -> PathBuf {
    let stem = first
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    first.with_file_name(format!("{stem}_chain.mp4"))
}
