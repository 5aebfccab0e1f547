//! What a video job is going to do, put together before it starts, and its text.

use std::fmt;
use std::time::Duration;

use num_rational::Ratio;
use rife_media::scene::Analysis;
use rife_media::{Encoding, Input, Output, StreamInfo, StreamPlan, TimelineMode, TimelineOptions, time};

use super::{Motion, VideoJob, pipeline};
use crate::{Interpolator, Result};

/// Bytes a pixel of a padded frame that the networks need while they run: measured on the built-in one at 720p and
/// 1080p (about 340), rounded up.
const NETWORK_BYTES_A_PIXEL: u64 = 380;

/// What will be done. Its text has a line for each thing.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoPlan {
    /// The input's name.
    pub input: String,
    /// The output's name.
    pub output: String,
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// Source frames announced.
    pub input_frames: Option<u64>,
    /// The source's nominal rate.
    pub input_rate: Option<Ratio<i64>>,
    /// Whether the source's intervals vary.
    pub variable_rate: bool,
    /// The source's duration in seconds.
    pub duration: Option<f64>,
    /// The output's duration in seconds: the source's, stretched where that is asked for.
    pub output_duration: Option<f64>,
    /// The output's rate where it is constant.
    pub output_rate: Option<Ratio<i64>>,
    /// Frames that will be written.
    pub output_frames: Option<u64>,
    /// The rule of count and end.
    pub rule: String,
    /// The encoder and what it is given.
    pub encoding: String,
    /// What of the frames is lost, a sentence each: alpha, HDR metadata.
    pub losses: Vec<String>,
    /// What happens to each stream.
    pub streams: Option<StreamPlan>,
    /// The model and its options.
    pub model: String,
    /// How frames at other times than the middle are made.
    pub method: String,
    /// What computes.
    pub engine: String,
    /// How long it will take, from a short measurement.
    pub time: Option<Duration>,
    /// Memory that frames and network need together, in bytes, roughly.
    pub memory: u64,
    /// Things worth telling the user before the start.
    pub notes: Vec<String>,
}

/// Puts the plan together; measures the network for a moment.
pub(super) fn plan(
    job: &VideoJob,
    info: &StreamInfo,
    timeline: &TimelineOptions,
    notes: Option<String>,
    interpolator: &Interpolator,
    encoding: Encoding,
) -> Result<VideoPlan> {
    let frames = info.frames.or_else(|| counted(info));
    let output_frames = frames.map(|frames| timeline.estimate(frames, info.duration));
    let made = frames
        .zip(output_frames)
        .map(|(frames, out)| match timeline.mode {
            TimelineMode::Factor(factor) => frames.saturating_sub(1) * u64::from(factor - 1),
            TimelineMode::Multiple(_) | TimelineMode::TargetRate(_) => out,
        });
    let a_frame = interpolator.estimate_frame_time(info.width, info.height)?;
    job.source.limits.check_frame_time(a_frame)?;
    let engine = interpolator.engine();
    Ok(VideoPlan {
        input: input_name(&job.source.input),
        output: output_name(&job.sink.output),
        size: [info.width, info.height],
        input_frames: frames,
        input_rate: info.frame_rate,
        variable_rate: info.variable_rate,
        duration: info.duration.map(time::seconds),
        output_duration: info
            .duration
            .map(|duration| time::seconds(duration) * time::seconds(timeline.stretch)),
        output_rate: output_rate(timeline, info),
        output_frames,
        rule: rule(timeline, job.motion),
        encoding: encoding.about,
        losses: encoding.losses,
        streams: job.sink.companions.as_ref().map(|(_, streams)| streams.clone()),
        model: interpolator.describe(),
        method: interpolator.describe_method(),
        engine: format!(
            "cpu ({}, {}, {})",
            engine.tier,
            engine.precision,
            rife_media::counted(engine.threads as u64, "thread")
        ),
        time: made.and_then(|made| Some(a_frame * u32::try_from(made).ok()?)),
        memory: memory(info.width, info.height, job.interpolator.memory_limit) + waiting(job, info),
        notes: notes.into_iter().collect(),
    })
}

/// Frames by duration and rate where the container does not say.
fn counted(info: &StreamInfo) -> Option<u64> {
    let frames = time::seconds(info.duration?) * time::seconds(info.frame_rate?);
    (0.0..1e12).contains(&frames).then_some(frames.round() as u64)
}

/// The output's constant rate, where it has one.
pub(super) fn output_rate(timeline: &TimelineOptions, info: &StreamInfo) -> Option<Ratio<i64>> {
    match timeline.mode {
        TimelineMode::TargetRate(rate) => Some(rate / timeline.stretch),
        TimelineMode::Factor(_) | TimelineMode::Multiple(_) if info.variable_rate => None,
        TimelineMode::Multiple(factor) => Some(info.frame_rate? * factor / timeline.stretch),
        TimelineMode::Factor(factor) => Some(info.frame_rate? * i64::from(factor) / timeline.stretch),
    }
}

fn rule(timeline: &TimelineOptions, motion: Motion) -> String {
    let pace = match motion {
        Motion::Normal => String::new(),
        Motion::Slow { .. } => format!(", time stretched {:.3} times", time::seconds(timeline.stretch)),
    };
    match timeline.mode {
        TimelineMode::Factor(1) => format!("N frames give N{pace}"),
        TimelineMode::Factor(f) => format!(
            "N frames give {f}*(N-1)+1, and up to {} more of the last one, so that the clip ends when the source does{pace}",
            f - 1
        ),
        TimelineMode::Multiple(factor) => format!(
            "N frames give {0}*N, rounded up: frame k lies k/({0}) source frames after the first, and is that frame where there is one{pace}",
            super::factor_text(factor)
        ),
        TimelineMode::TargetRate(rate) => format!(
            "a frame every 1/{rate} s from the first frame's time until the source ends; those that fall on a source frame are that frame{pace}"
        ),
    }
}

/// Bytes that the network and the frames on their way take, where pictures are made in tiles to stay below `limit`.
pub(crate) fn memory(width: u32, height: u32, limit: Option<u64>) -> u64 {
    let pixels = u64::from(width.next_multiple_of(128)) * u64::from(height.next_multiple_of(128));
    let frame = pipeline::frame_bytes(width, height);
    let whole = pixels * NETWORK_BYTES_A_PIXEL + frame * (2 * pipeline::queue_length(frame) as u64 + 6);
    limit.map_or(whole, |limit| whole.min(limit))
}

/// Bytes of the frames that wait, as decoded, until it is known what they are.
pub(super) fn waiting(job: &VideoJob, info: &StreamInfo) -> u64 {
    let frames = (Analysis::look_ahead(&job.analysis()) + rife_media::timeline::AHEAD) as u64;
    frames * info.format.frame_bytes(info.width, info.height) as u64
}

fn input_name(input: &Input) -> String {
    match input {
        Input::File(path) | Input::Images(path) => path.display().to_string(),
        Input::Stdin => "standard input".into(),
        Input::Custom(name) => name.clone(),
    }
}

fn output_name(output: &Output) -> String {
    match output {
        Output::File(path) | Output::Images(path, _) => path.display().to_string(),
        Output::Stdout => "standard output".into(),
        Output::Custom(name) => name.clone(),
    }
}

/// A rate for people: `23.976` or `25`.
pub(crate) fn rate_text(rate: Option<Ratio<i64>>) -> String {
    match rate {
        Some(rate) if rate.is_integer() => format!("{rate} fps"),
        Some(rate) => format!("{:.3} fps", time::seconds(rate)),
        None => "variable rate".into(),
    }
}

fn count_text(frames: Option<u64>) -> String {
    frames.map_or("an unknown number of frames".into(), |frames| {
        rife_media::counted(frames, "frame")
    })
}

impl fmt::Display for VideoPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [width, height] = self.size;
        let source_rate = if self.variable_rate { None } else { self.input_rate };
        let lasts = self
            .duration
            .map_or(String::new(), |seconds| format!(", {seconds:.2} s"));
        writeln!(
            f,
            "in:      {}: {width}x{height}, {}, {}{lasts}",
            rife_files::one_line(&self.input),
            count_text(self.input_frames),
            rate_text(source_rate)
        )?;
        let out = count_text(self.output_frames);
        writeln!(
            f,
            "out:     {}: {out}, {}",
            rife_files::one_line(&self.output),
            rate_text(self.output_rate)
        )?;
        writeln!(f, "rule:    {}", self.rule)?;
        writeln!(f, "encoder: {}", self.encoding)?;
        writeln!(f, "model:   {}", self.model)?;
        writeln!(f, "times:   {}", self.method)?;
        writeln!(f, "engine:  {}", self.engine)?;
        for line in self
            .streams
            .iter()
            .flat_map(|plan| plan.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
        {
            writeln!(f, "{line}")?;
        }
        self.losses
            .iter()
            .try_for_each(|loss| writeln!(f, "note: {loss}"))?;
        let time = self.time.map_or("unknown".into(), duration_text);
        write!(
            f,
            "needs:   about {time} and up to {} MB of memory",
            self.memory.div_ceil(1_000_000)
        )?;
        self.notes
            .iter()
            .try_for_each(|note| write!(f, "\nnote:    {note}"))
    }
}

/// A duration for people: `1 h 02 min`, `3 min 20 s`, `4.2 s`.
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}
