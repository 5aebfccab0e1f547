//! Plan of a video job, made before it starts: frame counts, rates, encoding, expected time and memory, and its text.

use std::fmt;
use std::time::Duration;

use num_rational::Ratio;
use rife_media::scene::Analysis;
use rife_media::{Encoding, Input, Output, StreamInfo, StreamPlan, TimelineMode, TimelineOptions, time};

use super::{Motion, VideoJob, pipeline};
use crate::{Interpolator, Result};

/// The network's memory in bytes per pixel of a padded frame: about 340 measured for the built-in network at 720p and 1080p,
/// rounded up.
const NETWORK_BYTES_PER_PIXEL: u64 = 380;

/// What a video job will do; displayed as text with one line per topic. `None` means unknown before the run.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoPlan {
    /// The input's path or name.
    pub input: String,
    /// The output's path or name.
    pub output: String,
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// The source's number of frames as declared by the container or estimated from duration and rate.
    pub input_frames: Option<u64>,
    /// The source's nominal rate in frames per second.
    pub input_rate: Option<Ratio<i64>>,
    /// Whether the source has a variable frame rate.
    pub variable_rate: bool,
    /// The source's duration in seconds.
    pub duration: Option<f64>,
    /// The output's duration in seconds; longer than the source's for slow motion.
    pub output_duration: Option<f64>,
    /// The output's rate in frames per second if it is constant.
    pub output_rate: Option<Ratio<i64>>,
    /// Number of frames that will be written.
    pub output_frames: Option<u64>,
    /// The rule for number, times and end of the output frames, for people.
    pub rule: String,
    /// The encoder and its options, for people.
    pub encoding: String,
    /// Properties of the frames that the output cannot hold, such as alpha or HDR metadata; a sentence each.
    pub losses: Vec<String>,
    /// What happens to each of the input's streams.
    pub streams: Option<StreamPlan>,
    /// The model and its options, for people.
    pub model: String,
    /// How frames at timesteps other than 1/2 are computed, for people.
    pub method: String,
    /// Device, instruction set, precision and threads, for people.
    pub engine: String,
    /// Expected duration of the run, from a short measurement of the network.
    pub time: Option<Duration>,
    /// Expected memory of frames and network in bytes, without ffmpeg.
    pub memory: u64,
    /// How much of the source a shard decodes, for people; `None` for other jobs, which decode all of it.
    pub reading: Option<String>,
    /// Remarks for the user before the start.
    pub notes: Vec<String>,
}

/// Makes the plan; runs the network on a small frame to measure its speed. `note` is a remark on a limited frame rate.
pub(super) fn plan(
    job: &VideoJob,
    info: &StreamInfo,
    timeline: &TimelineOptions,
    note: Option<String>,
    interpolator: &Interpolator,
    encoding: Encoding,
) -> Result<VideoPlan> {
    let frames = info.frames.or_else(|| estimate_frames(info));
    let output_frames = frames.map(|frames| timeline.estimate(frames, info.duration));
    let made = frames
        .zip(output_frames)
        .map(|(frames, out)| match timeline.mode {
            TimelineMode::Factor(factor) => frames.saturating_sub(1) * u64::from(factor - 1),
            TimelineMode::Multiple(_) | TimelineMode::TargetRate(_) => out,
        });
    let frame_time = interpolator.estimate_frame_time(info.width, info.height)?;
    job.source.limits.check_frame_time(frame_time)?;
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
        engine: interpolator.engine().to_string(),
        time: made.and_then(|made| Some(frame_time * u32::try_from(made).ok()?)),
        memory: memory(info.width, info.height, job.interpolator.memory_limit) + lookahead_memory(job, info),
        reading: None,
        notes: note.into_iter().collect(),
    })
}

/// Estimates the source's number of frames by duration and rate.
fn estimate_frames(info: &StreamInfo) -> Option<u64> {
    let frames = time::seconds(info.duration?) * time::seconds(info.frame_rate?);
    (0.0..1e12).contains(&frames).then_some(frames.round() as u64)
}

/// Returns the output's rate in frames per second; `None` for a variable rate.
pub(super) fn output_rate(timeline: &TimelineOptions, info: &StreamInfo) -> Option<Ratio<i64>> {
    match timeline.mode {
        TimelineMode::TargetRate(rate) => Some(rate / timeline.stretch),
        TimelineMode::Factor(_) | TimelineMode::Multiple(_) if info.variable_rate => None,
        TimelineMode::Multiple(factor) => Some(info.frame_rate? * factor / timeline.stretch),
        TimelineMode::Factor(factor) => Some(info.frame_rate? * i64::from(factor) / timeline.stretch),
    }
}

/// Describes, for people, the number, times and end of the output frames.
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

/// Estimates the memory of network and queues in bytes; with a `limit`, at most that, since frames are computed in tiles.
pub(crate) fn memory(width: u32, height: u32, limit: Option<u64>) -> u64 {
    let pixels = u64::from(width.next_multiple_of(128)) * u64::from(height.next_multiple_of(128));
    let frame = pipeline::frame_bytes(width, height);
    let untiled = pixels * NETWORK_BYTES_PER_PIXEL + frame * (2 * pipeline::queue_length(frame) as u64 + 6);
    limit.map_or(untiled, |limit| untiled.min(limit))
}

/// Returns the bytes of the decoded frames that cut and duplicate detection hold for their lookahead.
pub(super) fn lookahead_memory(job: &VideoJob, info: &StreamInfo) -> u64 {
    let frames = (Analysis::look_ahead(&job.analysis()) + rife_media::timeline::AHEAD) as u64;
    frames * info.format.frame_bytes(info.width, info.height) as u64
}

/// Returns the input's path or name, for people.
fn input_name(input: &Input) -> String {
    match input {
        Input::File(path) | Input::Images(path) => path.display().to_string(),
        Input::Stdin => "standard input".into(),
        Input::Custom(name) => name.clone(),
    }
}

/// Returns the output's path or name, for people.
fn output_name(output: &Output) -> String {
    match output {
        Output::File(path) | Output::Images(path, _) => path.display().to_string(),
        Output::Stdout => "standard output".into(),
        Output::Custom(name) => name.clone(),
    }
}

/// Formats a rate for people: `23.976 fps`, `25 fps` or, for `None`, `variable rate`.
pub(crate) fn rate_text(rate: Option<Ratio<i64>>) -> String {
    match rate {
        Some(rate) if rate.is_integer() => format!("{rate} fps"),
        Some(rate) => format!("{:.3} fps", time::seconds(rate)),
        None => "variable rate".into(),
    }
}

/// Formats a number of frames for people.
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
        if let Some(reading) = &self.reading {
            writeln!(f, "reads:   {reading}")?;
        }
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

/// Formats a duration for people: `1 h 02 min`, `3 min 20 s`, `4.2 s`.
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}
