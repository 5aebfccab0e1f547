//! Job kind `video`: frame rate conversion and slow motion of a clip ([`VideoJob`]).

use std::path::Path;

use rife::media::{CancelToken, Input, MediaError, Output, time};
use rife::options::VideoOptions;
use rife::video::{Motion, Rate, VideoJob, VideoPlan, VideoRun, VideoSummary, default_output};
use serde_json::{Map, Value, json};

use super::{JobFiles, Outcome, Run, Step};
use crate::error::{ApiError, Code, Result};
use crate::reason::{Reason, note, server_note};
use crate::state::store;
use crate::work::options::{OptionReader, check_codec};

/// Validated options of a `video` job.
#[derive(Debug)]
pub(super) struct Checked {
    options: VideoOptions,
    timing: (Rate, Motion),
}

impl Checked {
    /// Parses and validates the options.
    pub(super) fn new(options: Map<String, Value>) -> Result<Self> {
        let mut reader = OptionReader::new(options);
        let mut options = VideoOptions::default();
        options.model = reader.model()?;
        options.encode = reader.take()?;
        options.rate = reader.take()?;
        options.scene = reader.take()?;
        if let Some(extension) = &options.encode.ext {
            check_codec(extension, options.encode.codec)?;
        }
        let scene = &options.scene;
        let ways = [scene.deinterlace, scene.inverse_telecine, scene.allow_interlaced];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            let other = [("other", "inverse_telecine".into())];
            return Err(ApiError::option("deinterlace", Reason::OneDeinterlacing, other));
        }
        reader.finish()?;
        let both = |_| ApiError::option("fps", Reason::RateNeedsNoFactor, [("other", "factor".into())]);
        let timing = options.rate.timing().map_err(both)?;
        Ok(Self { options, timing })
    }
}

impl super::Options for Checked {
    /// Converts the options to a job of the `rife` crate, and plans it.
    fn open(&self, files: &JobFiles<'_>, cancel: &CancelToken) -> Result<rife::Result<Box<dyn Run>>> {
        let options = &self.options;
        let extension = options.encode.ext.as_deref();
        let output = files.result(extension.unwrap_or("mp4"));
        let mut job = VideoJob::new(Input::parse(&files.inputs[0]), Output::File(output));
        job.sink.overwrite = true;
        job.like_source = extension.is_none();
        // For verification.
        job.manifest = true;
        if let Err(error) = options.apply(&mut job) {
            return Ok(Err(error));
        }
        job.interpolator = files.interpolator(job.interpolator);
        job.confidence_out = job.confidence.then(|| files.output.join(store::CONFIDENCE));
        let (timing, label, excerpt) = (self.timing, files.label.to_owned(), options.rate.excerpt());
        let opened = job.open(cancel);
        if let Some(refused) = opened.as_ref().err().and_then(outside) {
            return Err(refused);
        }
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
            let name = default_output(
                Path::new(&label),
                &excerpt,
                timing.0,
                run.plan().output_rate,
                &extension,
            );
            Box::new(Planned {
                run,
                timing,
                label: name.display().to_string(),
            }) as Box<dyn Run>
        }))
    }
}

/// Returns the error of the option `start` or `end` for a part outside the clip.
fn outside(error: &rife::Error) -> Option<ApiError> {
    let rife::Error::Media(MediaError::Limit {
        what,
        value,
        accepted,
    }) = error
    else {
        return None;
    };
    let field = ["start", "end"]
        .into_iter()
        .find(|field| what.strip_prefix("the ") == Some(field))?;
    let pairs = [
        ("what", what.as_str().into()),
        ("value", value.as_str().into()),
        ("accepted", accepted.as_str().into()),
    ];
    Some(ApiError::option(field, Reason::Limit, pairs))
}

/// Planned `video` job.
struct Planned {
    run: VideoRun,
    timing: (Rate, Motion),
    label: String,
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
                done: counts.stream.frames_out,
                resumed: counts.resumed,
                total: counts.total_out,
                stage: "interpolating",
            });
        })?;
        Ok(Outcome {
            summary: summary(&done),
            label: self.label,
        })
    }
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
    if let (Rate::Fps(to), Some(from)) = (rate, plan.input_rate) {
        let shown = |rate| rounded(time::seconds(rate));
        if to < from {
            let rates = [("to", shown(to)), ("from", shown(from))];
            notes.push(server_note(Reason::RateBelow, rates));
        } else if to == from && !plan.variable_rate {
            notes.push(server_note(Reason::RateSame, [("from", shown(from))]));
        }
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
        "frames_in": counts.stream.frames_in, "frames_out": counts.stream.frames_out, "resumed": counts.resumed,
        "made": counts.stream.made, "cuts": counts.stream.cuts, "held": counts.stream.held,
        "retimed": counts.stream.retimed, "dropped": counts.stream.dropped,
        "duration_s": time::seconds(done.written.duration), "bytes": done.written.bytes,
        "elapsed_s": done.elapsed.as_secs_f64(), "fps": done.frames_per_second(), "warnings": done.warnings,
    })
}
