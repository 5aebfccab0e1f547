//! Job kind `chain`: clips joined with interpolated transitions ([`ChainJob`]).

use std::time::Instant;

use rife::chain::{ChainJob, ChainRun};
use rife::media::{CancelToken, Output, time};
use rife::options::{ChainOptions, ModelOptions};
use serde_json::{Map, Value, json};

use super::{JobFiles, Outcome, Run, Step};
use crate::error::Result;
use crate::reason::note;
use crate::work::options::{OptionReader, check_codec};

/// Validated options of a `chain` job.
#[derive(Debug)]
pub(super) struct Checked {
    model: ModelOptions,
    options: ChainOptions,
}

/// Returns the extension of a result of these options.
fn extension(options: &ChainOptions) -> &str {
    options.ext.as_deref().unwrap_or("mp4")
}

impl Checked {
    /// Parses and validates the options.
    pub(super) fn new(options: Map<String, Value>) -> Result<Self> {
        let mut reader = OptionReader::new(options);
        let model = reader.model()?;
        let options: ChainOptions = reader.take()?;
        check_codec(extension(&options), options.codec)?;
        reader.finish()?;
        Ok(Self { model, options })
    }
}

impl super::Options for Checked {
    /// Converts the options to a job of the `rife` crate, and plans it.
    fn open(&self, files: &JobFiles<'_>, cancel: &CancelToken) -> Result<rife::Result<Box<dyn Run>>> {
        let extension = extension(&self.options);
        let mut job = ChainJob::new(files.inputs.clone(), Output::File(files.result(extension)));
        self.options.apply(&mut job);
        job.sink.overwrite = true;
        job.interpolator = files.interpolator(self.model.spec());
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
