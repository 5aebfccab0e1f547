//! Job kind `images`: interpolation between pictures ([`ImageJob`]).

use std::time::Instant;

use num_rational::Ratio;
use rife::image::{ImageJob, ImageRun};
use rife::media::CancelToken;
use rife::options::{ImageOptions, ModelOptions};
use serde_json::{Map, Value, json};

use super::{JobFiles, Outcome, Run, Step};
use crate::error::{ApiError, Result};
use crate::reason::{Reason, note};
use crate::work::options::{OptionReader, check_codec};

/// Validated options of an `images` job.
#[derive(Debug)]
pub(super) struct Checked {
    model: ModelOptions,
    options: ImageOptions,
}

/// Returns the extension of a result of these options.
fn extension(options: &ImageOptions) -> &str {
    options.ext.as_deref().unwrap_or("mp4")
}

impl Checked {
    /// Parses and validates the options.
    pub(super) fn new(options: Map<String, Value>, inputs: usize) -> Result<Self> {
        let mut reader = OptionReader::new(options);
        let model = reader.model()?;
        let options: ImageOptions = reader.take()?;
        check_codec(extension(&options), options.codec)?;
        if reader.has("preset") {
            return Err(ApiError::option("preset", Reason::NotForImages, []));
        }
        reader.finish()?;
        if options.timestep.is_some() && (inputs != 2 || extension(&options) != "png") {
            return Err(ApiError::option("timestep", Reason::OnePicture, []));
        }
        Ok(Self { model, options })
    }
}

impl super::Options for Checked {
    /// Converts the options to a job of the `rife` crate, and plans it.
    fn open(&self, files: &JobFiles<'_>, cancel: &CancelToken) -> Result<rife::Result<Box<dyn Run>>> {
        let (options, extension) = (&self.options, extension(&self.options));
        let output = match extension {
            "png" if options.timestep.is_none() => files.output.clone(),
            _ => files.result(extension),
        };
        let mut job = ImageJob::new(files.inputs.clone(), options.timesteps(), output);
        options.apply(&mut job);
        job.overwrite = true;
        job.interpolator = files.interpolator(self.model.spec());
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
