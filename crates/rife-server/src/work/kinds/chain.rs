//! Job kind `chain`: clips joined with interpolated transitions ([`ChainJob`]).

use std::time::Instant;

use rife::chain::{AudioMode, ChainJob, ChainRun, MAX_PASSES};
use rife::media::{CancelToken, Output, time};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{JobFiles, Outcome, Run, Step};
use crate::error::Result;
use crate::reason::note;
use crate::work::options::{EncodeOptions, Fit, ModelOptions, Rate, Size, check_range, parse};

/// Validated options of a `chain` job.
#[derive(Debug)]
pub(super) struct ChainOptions {
    model: ModelOptions,
    encode: EncodeOptions,
    rest: Rest,
}

/// Options of `chain` jobs besides [`ModelOptions`] and [`EncodeOptions`]; `None` for the default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rest {
    passes: Option<u32>,
    fps: Option<Rate>,
    size: Option<Size>,
    fit: Fit,
    sound: SoundName,
    deinterlace: bool,
}

/// Option `sound`: audio of the transitions.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SoundName {
    #[default]
    Crossfade,
    Silence,
    Drop,
}

impl ChainOptions {
    /// Parses and validates the options.
    pub(super) fn new(mut options: Map<String, Value>) -> Result<Self> {
        let (model, encode) = (
            ModelOptions::take(&mut options)?,
            EncodeOptions::take(&mut options, &[])?,
        );
        encode.check_codec()?;
        let rest: Rest = parse(options)?;
        check_range("passes", rest.passes.unwrap_or(2), 1, MAX_PASSES)?;
        Ok(Self { model, encode, rest })
    }
}

impl super::Options for ChainOptions {
    /// Converts the options to a job of the `rife` crate, and plans it.
    fn open(&self, files: &JobFiles<'_>, cancel: &CancelToken) -> Result<rife::Result<Box<dyn Run>>> {
        let extension = self.encode.extension();
        let mut job = ChainJob::new(files.inputs.clone(), Output::File(files.result(extension)));
        let rest = &self.rest;
        job.passes = rest.passes.unwrap_or(job.passes);
        (job.fps, job.size) = (rest.fps.map(|rate| rate.0), rest.size.map(|size| size.0));
        job.fit = rest.fit.into();
        job.audio = match rest.sound {
            SoundName::Crossfade => AudioMode::Crossfade,
            SoundName::Silence => AudioMode::Silence,
            SoundName::Drop => AudioMode::Drop,
        };
        job.source.deinterlace = rest.deinterlace;
        job.sink.overwrite = true;
        (job.sink.codec, job.sink.crf) = (self.encode.codec(), self.encode.crf);
        job.sink.preset = self.encode.preset.clone();
        job.interpolator = files.interpolator(self.model.spec()?);
        let label = super::result_label(files.label, "_chain", extension);
        Ok(job
            .open(cancel)
            .map(|run| Box::new(Planned { run, label }) as Box<dyn Run>))
    }
}

/// Planned `chain` job.
struct Planned {
    run: ChainRun,
    label: String,
}

impl Run for Planned {
    /// Returns the Plan object of the API.
    fn plan(&self) -> Value {
        let plan = self.run.plan();
        let rate = time::seconds(plan.rate);
        json!({
            "kind": "chain",
            "width": plan.size[0], "height": plan.size[1],
            "output_frames": plan.frames, "output_rate": plan.rate.to_string(), "transition_frames": plan.transition,
            "duration_s": plan.frames.map(|frames| frames as f64 / rate),
            "model": plan.model, "streams": [note(&format!("sound: {}", plan.audio))],
            "notes": plan.clips.iter().map(|clip| note(clip)).collect::<Vec<_>>(),
        })
    }

    /// Runs the job and returns its summary.
    fn run(self: Box<Self>, progress: &mut dyn FnMut(Step)) -> rife::Result<Outcome> {
        let (start, total) = (Instant::now(), self.run.plan().frames);
        let done = self.run.run(&mut |counts| {
            progress(Step {
                done: counts.frames,
                resumed: counts.resumed,
                total,
                stage: "interpolating",
            });
        })?;
        let starts: Vec<f64> = done.starts.iter().map(|start| time::seconds(*start)).collect();
        let summary = json!({
            "clips": done.counts.clips, "frames_out": done.counts.frames, "made": done.counts.made,
            "duration_s": time::seconds(done.duration), "starts_s": starts, "sound": done.audio,
            "elapsed_s": start.elapsed().as_secs_f64(), "warnings": done.warnings,
        });
        Ok(Outcome {
            summary,
            label: self.label,
        })
    }
}
