//! Job kind `images`: interpolation between pictures ([`ImageJob`]).

use std::time::Instant;

use num_rational::Ratio;
use rife::image::{ImageJob, ImageRun, Storage, Timesteps};
use rife::media::CancelToken;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{JobFiles, Outcome, Run, Step};
use crate::error::{ApiError, Result};
use crate::reason::{Reason, note};
use crate::work::options::{EncodeOptions, Fit, Fraction, ModelOptions, Rate, Size, check_range, parse};

/// Validated options of an `images` job.
#[derive(Debug)]
pub(super) struct ImagesOptions {
    model: ModelOptions,
    encode: EncodeOptions,
    rest: Rest,
}

/// Options of `images` jobs besides [`ModelOptions`] and [`EncodeOptions`]; `None` for the default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rest {
    passes: Option<u32>,
    timestep: Option<Fraction>,
    fps: Option<Rate>,
    size: Option<Size>,
    fit: Fit,
    memory: Memory,
}

/// Option `memory`: storage of frames that wait for their turn in recursive bisection.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Memory {
    Memory,
    #[default]
    Disk,
}

impl ImagesOptions {
    /// Parses and validates the options.
    pub(super) fn new(mut options: Map<String, Value>, inputs: usize) -> Result<Self> {
        let model = ModelOptions::take(&mut options)?;
        let encode = EncodeOptions::take(&mut options, &["webp", "png"])?;
        encode.check_codec()?;
        let rest: Rest = parse(options)?;
        check_range("passes", rest.passes.unwrap_or(2), 1, rife::image::MAX_EXP)?;
        if encode.preset.is_some() {
            return Err(ApiError::option("preset", Reason::NotForImages, []));
        }
        if rest.timestep.is_some() && rest.passes.is_some() {
            return Err(ApiError::option(
                "timestep",
                Reason::OptionEither,
                [("other", "passes".into())],
            ));
        }
        if rest.timestep.is_some() && (inputs != 2 || encode.extension() != "png") {
            return Err(ApiError::option("timestep", Reason::OnePicture, []));
        }
        Ok(Self { model, encode, rest })
    }
}

impl super::Options for ImagesOptions {
    /// Converts the options to a job of the `rife` crate, and plans it.
    fn open(&self, files: &JobFiles<'_>, cancel: &CancelToken) -> Result<rife::Result<Box<dyn Run>>> {
        let rest = &self.rest;
        let between = match rest.timestep {
            Some(Fraction(at)) => Timesteps::Timestep(at),
            None => Timesteps::Exp(rest.passes.unwrap_or(2)),
        };
        let extension = self.encode.extension();
        let output = match extension {
            "png" if rest.timestep.is_none() => files.output.clone(),
            _ => files.result(extension),
        };
        let mut job = ImageJob::new(files.inputs.clone(), between, output);
        job.overwrite = true;
        job.fps = rest.fps.map_or(Ratio::from(25), |rate| rate.0);
        (job.size, job.fit) = (rest.size.map(|size| size.0), rest.fit.into());
        job.storage = match rest.memory {
            Memory::Memory => Storage::Memory,
            Memory::Disk => Storage::Disk,
        };
        (job.codec, job.crf) = (self.encode.codec(), self.encode.crf);
        job.interpolator = files.interpolator(self.model.spec()?);
        let (fps, label) = (job.fps, super::result_label(files.label, "_morph", extension));
        Ok(job
            .open(cancel)
            .map(|run| Box::new(Planned { run, fps, label }) as Box<dyn Run>))
    }
}

/// Planned `images` job.
struct Planned {
    run: ImageRun,
    fps: Ratio<i64>,
    label: String,
}

impl Run for Planned {
    /// Returns the Plan object of the API.
    fn plan(&self) -> Value {
        let plan = self.run.plan();
        json!({
            "kind": "images",
            "width": plan.size[0], "height": plan.size[1],
            "output_frames": plan.frames, "made": plan.made,
            "output_rate": plan.duration.map(|_| self.fps.to_string()), "duration_s": plan.duration,
            "memory_bytes": plan.memory, "disk_bytes": plan.disk,
            "model": plan.model, "method": plan.method, "notes": plan.notes.iter().map(|text| note(text)).collect::<Vec<_>>(),
        })
    }

    /// Runs the job and returns its summary.
    fn run(self: Box<Self>, progress: &mut dyn FnMut(Step)) -> rife::Result<Outcome> {
        let start = Instant::now();
        let done = self.run.run(&mut |counts| {
            progress(Step {
                done: counts.written as u64,
                resumed: counts.resumed as u64,
                total: Some(counts.total as u64),
                stage: "interpolating",
            });
        })?;
        let summary = json!({
            "frames_out": done.frames, "made": done.made, "resumed": done.resumed,
            "elapsed_s": start.elapsed().as_secs_f64(), "warnings": done.notes,
        });
        Ok(Outcome {
            summary,
            label: self.label,
        })
    }
}
