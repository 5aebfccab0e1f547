//! Job kind `video`: frame rate conversion and slow motion of a clip ([`VideoJob`]).

use std::path::{Path, PathBuf};

use num_rational::Ratio;
use rife::media::scene::{CutRule, DETECTED_BELOW};
use rife::media::{CancelToken, Input, Output, time};
use rife::video::{
    Confidence, CutFill, Duplicates, Motion, Rate, VideoJob, VideoPlan, VideoRun, VideoSummary,
    default_output,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{JobFiles, Outcome, Run, Step};
use crate::error::{ApiError, Code, Result};
use crate::reason::{Reason, note, server_note};
use crate::state::store;
use crate::work::options::{self, EncodeOptions, ModelOptions, check_range, parse};

/// Validated options of a `video` job.
#[derive(Debug)]
pub(super) struct VideoOptions {
    model: ModelOptions,
    encode: EncodeOptions,
    rest: Rest,
}

/// Options of `video` jobs besides [`ModelOptions`] and [`EncodeOptions`]; `None` for the default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rest {
    passes: Option<u32>,
    factor: Option<options::Factor>,
    fps: Option<options::Rate>,
    slow_motion: bool,
    stretch_audio: bool,
    cut_threshold: Option<f32>,
    cut_fill: Fill,
    duplicates: Repeats,
    mask_static: Mask,
    deinterlace: bool,
    inverse_telecine: bool,
    allow_interlaced: bool,
    video_only: bool,
    montage: bool,
    confidence: bool,
}

/// Option `cut_fill`: frames between two shots.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fill {
    #[default]
    Repeat,
    Blend,
}

/// Option `duplicates`: treatment of repeated frames.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Repeats {
    #[default]
    Smooth,
    Keep,
}

/// Option `mask_static`: detection of static overlays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mask {
    #[default]
    Auto,
    Off,
}

impl VideoOptions {
    /// Parses and validates the options.
    pub(super) fn new(mut options: Map<String, Value>) -> Result<Self> {
        let (model, encode) = (
            ModelOptions::take(&mut options)?,
            EncodeOptions::take(&mut options, &[])?,
        );
        let rest: Rest = parse(options)?;
        check_range("passes", rest.passes.unwrap_or(1), 1, 4)?;
        check_range(
            "cut_threshold",
            rest.cut_threshold.unwrap_or(DETECTED_BELOW),
            0.0,
            1.0,
        )?;
        rest.check()?;
        Ok(Self { model, encode, rest })
    }
}

impl Rest {
    /// Returns an error for options that exclude each other.
    fn check(&self) -> Result<()> {
        let several = self.passes.is_some() && self.factor.is_some();
        let both =
            self.fps.is_some() && (self.passes.is_some() || self.factor.is_some()) && !self.slow_motion;
        let wrong = match () {
            () if several => ("factor", Reason::OptionEither, "passes"),
            () if both => ("fps", Reason::RateNeedsNoFactor, "factor"),
            () if self.stretch_audio && !self.slow_motion => {
                ("stretch_audio", Reason::OptionWith, "slow_motion")
            }
            () if u8::from(self.deinterlace)
                + u8::from(self.inverse_telecine)
                + u8::from(self.allow_interlaced)
                > 1 =>
            {
                ("deinterlace", Reason::OneDeinterlacing, "inverse_telecine")
            }
            () => return Ok(()),
        };
        Err(ApiError::option(wrong.0, wrong.1, [("other", wrong.2.into())]))
    }

    /// Returns the target rate and the kind of motion that `passes`, `factor`, `fps` and `slow_motion` select.
    fn timing(&self) -> (Rate, Motion) {
        let passes = self.passes.map(|passes| Ratio::from(1 << passes));
        let factor = self.factor.map(|factor| factor.0).or(passes);
        let rate = Rate::times(factor.unwrap_or(Ratio::from(2)));
        let fps = self.fps.map(|fps| fps.0);
        match fps {
            _ if self.slow_motion => {
                let stretch_audio = self.stretch_audio;
                (rate, Motion::Slow { fps, stretch_audio })
            }
            Some(fps) => (Rate::Fps(fps), Motion::Normal),
            None => (rate, Motion::Normal),
        }
    }
}

impl super::Options for VideoOptions {
    /// Converts the options to a job of the `rife` crate, and plans it.
    fn open(&self, files: &JobFiles<'_>, cancel: &CancelToken) -> Result<rife::Result<Box<dyn Run>>> {
        let output = files.result(self.encode.extension());
        let mut job = VideoJob::new(Input::parse(&files.inputs[0]), Output::File(output));
        job.sink.overwrite = true;
        job.like_source = self.encode.ext.is_none();
        job.interpolator = files.interpolator(self.model.spec()?);
        (job.sink.codec, job.sink.crf) = (self.encode.codec(), self.encode.crf);
        job.sink.preset = self.encode.preset.clone();
        let rest = &self.rest;
        (job.rate, job.motion) = rest.timing();
        (job.source.deinterlace, job.source.allow_interlaced) = (rest.deinterlace, rest.allow_interlaced);
        job.source.inverse_telecine = rest.inverse_telecine;
        job.cuts = CutRule::Detect(rest.cut_threshold.unwrap_or(DETECTED_BELOW));
        job.cut_fill = match rest.cut_fill {
            Fill::Repeat => CutFill::Repeat,
            Fill::Blend => CutFill::Blend,
        };
        job.duplicates = match rest.duplicates {
            Repeats::Smooth => Duplicates::Smooth,
            Repeats::Keep => Duplicates::Keep,
        };
        job.mask_static = rest.mask_static == Mask::Auto;
        (job.video_only, job.montage) = (rest.video_only, rest.montage);
        job.confidence = rest.confidence;
        let confidence = rest.confidence.then(|| files.output.join(store::CONFIDENCE));
        let (timing, label) = ((job.rate, job.motion), files.label.to_owned());
        let opened = job.open(cancel);
        if opened
            .as_ref()
            .is_ok_and(|run| run.plan().input_frames == Some(1))
        {
            let pairs = [("name", files.label.into())];
            return Err(ApiError::because(Code::BadInput, Reason::SinglePicture, pairs));
        }
        Ok(opened.map(|run| {
            let extension = run.output().and_then(Path::extension).unwrap_or_default();
            let extension = extension.to_string_lossy();
            let name = default_output(Path::new(&label), timing.0, run.plan().output_rate, &extension);
            Box::new(Planned {
                run,
                timing,
                label: name.display().to_string(),
                confidence,
            }) as Box<dyn Run>
        }))
    }
}

/// Planned `video` job.
struct Planned {
    run: VideoRun,
    timing: (Rate, Motion),
    label: String,
    /// Path of the file with the confidence of each interpolated frame.
    confidence: Option<PathBuf>,
}

impl Run for Planned {
    /// Returns the Plan object of the API.
    fn plan(&self) -> Value {
        plan(self.run.plan(), self.timing)
    }

    /// Runs the job and returns its summary.
    fn run(self: Box<Self>, progress: &mut dyn FnMut(Step)) -> rife::Result<Outcome> {
        let done = self.run.run(&mut |counts| {
            progress(Step {
                done: counts.frames_out,
                resumed: counts.resumed,
                total: counts.total_out,
                stage: "interpolating",
            });
        })?;
        if let Some(path) = &self.confidence {
            write_confidences(path, &done.confidences)?;
        }
        Ok(Outcome {
            summary: summary(&done),
            label: self.label,
        })
    }
}

/// Writes confidences as JSON: time in seconds, confidence from 0 to 1, and whether the frame was replaced.
fn write_confidences(path: &Path, confidences: &[Confidence]) -> rife::Result<()> {
    let text = serde_json::to_vec(confidences).map_err(|error| rife::Error::Data(error.to_string()))?;
    std::fs::write(path, text).map_err(|error| rife::Error::io("write", path, error))
}

/// Returns the notes of a plan: the rule for the number of frames, warnings, and the notes of the `rife` crate.
fn notes(plan: &VideoPlan, (rate, motion): (Rate, Motion)) -> Vec<Value> {
    let mut notes = vec![match rate {
        Rate::Factor(1) => server_note(Reason::RuleSame, []),
        Rate::Factor(factor) => server_note(
            Reason::RuleFactor,
            [("factor", factor.into()), ("more", (factor - 1).into())],
        ),
        Rate::Multiple(factor) => server_note(Reason::RuleMultiple, [("factor", factor.to_string().into())]),
        Rate::Fps(rate) => server_note(Reason::RuleRate, [("rate", rate.to_string().into())]),
    }];
    if let (Motion::Slow { .. }, Some(from), Some(to)) = (motion, plan.duration, plan.output_duration)
        && from > 0.0
    {
        notes.push(server_note(Reason::Stretched, [("times", rounded(to / from))]));
    }
    if matches!((rate, motion), (Rate::Factor(1), Motion::Normal)) {
        notes.push(server_note(Reason::NothingNew, []));
    }
    if let (Rate::Fps(to), Some(from)) = (rate, plan.input_rate)
        && to < from
    {
        let shown = |rate| rounded(time::seconds(rate));
        notes.push(server_note(
            Reason::RateBelow,
            [("to", shown(to)), ("from", shown(from))],
        ));
    }
    notes.extend(plan.losses.iter().chain(&plan.notes).map(|text| note(text)));
    notes
}

/// Rounds a number to three decimals; integers have no decimal point.
fn rounded(value: f64) -> Value {
    let rounded = (1000.0 * value).round() / 1000.0;
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        (rounded as i64).into()
    } else {
        rounded.into()
    }
}

/// Returns the Plan object of the API.
fn plan(plan: &VideoPlan, timing: (Rate, Motion)) -> Value {
    let streams = plan.streams.as_ref().map(|streams| streams.to_string());
    let streams: Option<Vec<Value>> =
        streams.map(|text| text.lines().map(|line| note(line.trim())).collect());
    json!({
        "kind": "video",
        "width": plan.size[0], "height": plan.size[1],
        "input_frames": plan.input_frames, "input_rate": super::rate_text(plan.input_rate),
        "variable_rate": plan.variable_rate,
        "output_frames": plan.output_frames, "output_rate": super::rate_text(plan.output_rate),
        "input_duration_s": plan.duration, "duration_s": plan.output_duration,
        "estimated_s": plan.time.map(|time| time.as_secs_f64()),
        "memory_bytes": plan.memory, "disk_bytes": 0,
        "model": plan.model, "method": plan.method, "engine": plan.engine,
        "streams": streams, "notes": notes(plan, timing),
    })
}

/// Returns the `summary` of the job in the API.
fn summary(done: &VideoSummary) -> Value {
    let counts = &done.counts;
    json!({
        "frames_in": counts.frames_in, "frames_out": counts.frames_out, "resumed": counts.resumed,
        "made": counts.made, "cuts": counts.cuts, "held": counts.held,
        "retimed": counts.retimed, "dropped": counts.dropped,
        "duration_s": time::seconds(done.written.duration), "bytes": done.written.bytes,
        "elapsed_s": done.elapsed.as_secs_f64(), "fps": done.frames_per_second(), "warnings": done.warnings,
    })
}
