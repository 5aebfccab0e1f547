//! Job kind `reencode`: conversion of a clip to a widely playable format ([`ReencodeJob`]).

use rife::media::{CancelToken, time};
use rife::options::ReencodeOptions;
use rife::reencode::{Finding, ReencodeJob, ReencodeRun, Stage};
use serde_json::{Map, Value, json};

use super::{JobFiles, Outcome, Run, Step};
use crate::error::Result;
use crate::reason::note;
use crate::work::options::OptionReader;

/// Validated options of a `reencode` job.
#[derive(Debug)]
pub(super) struct Checked(ReencodeOptions);

impl Checked {
    /// Parses and validates the options.
    pub(super) fn new(options: Map<String, Value>) -> Result<Self> {
        let mut reader = OptionReader::new(options);
        let options = reader.take()?;
        reader.finish()?;
        Ok(Self(options))
    }
}

impl super::Options for Checked {
    /// Converts the options to a job of the `rife` crate, and plans it.
    fn open(&self, files: &JobFiles<'_>, cancel: &CancelToken) -> Result<rife::Result<Box<dyn Run>>> {
        let profile = self.0.preset_profile;
        let mut job = ReencodeJob::new(&files.inputs[0], profile);
        self.0.apply(&mut job);
        job.output = Some(files.result(profile.extension()));
        job.overwrite = true;
        let label = super::result_label(files.label, "_reencoded", profile.extension());
        Ok(job
            .open(cancel)
            .map(|run| Box::new(Planned { run, label }) as Box<dyn Run>))
    }
}

/// Planned `reencode` job.
struct Planned {
    run: ReencodeRun,
    label: String,
}

/// Returns the JSON object of a finding: a property with its value, the required value, and whether it conforms.
fn finding(finding: &Finding) -> Value {
    json!({
        "what": finding.what, "found": finding.found, "wanted": finding.wanted, "conforms": finding.conforms,
    })
}

impl Planned {
    /// Returns the `findings` of the API: each property of the source with its required value.
    fn findings(&self) -> Vec<Value> {
        self.run.findings().iter().map(finding).collect()
    }
}

impl Run for Planned {
    /// Returns the Plan object of the API.
    fn plan(&self) -> Value {
        let streams = self.run.streams().map(|streams| streams.to_string());
        // The `rife` crate's stream plan says "interpolated" of the main stream for every kind.
        let line = |line: &str| note(&line.trim().replace(": interpolated", ": encoded anew"));
        let lines: Option<Vec<Value>> = streams.map(|text| text.lines().map(line).collect());
        json!({
            "kind": "reencode",
            "input_frames": self.run.frames(), "output_frames": self.run.frames(),
            "streams": lines, "findings": self.findings(), "needed": self.run.is_needed(), "notes": [],
        })
    }

    /// Runs the job and returns its summary.
    fn run(self: Box<Self>, progress: &mut dyn FnMut(Step)) -> rife::Result<Outcome> {
        let (needed, total) = (self.run.is_needed(), self.run.frames());
        let mut summary = json!({"needed": needed, "findings": self.findings(), "warnings": []});
        let label = self.label.clone();
        if !needed {
            return Ok(Outcome { summary, label });
        }
        let done = self.run.run(&mut |stage, done| {
            let (total, stage) = match stage {
                Stage::Writing => (total, "writing"),
                // The check compares a subset of the frames, whose number is not known.
                Stage::Checking => (None, "checking"),
            };
            progress(Step {
                done,
                resumed: 0,
                total,
                stage,
            });
        })?;
        summary["check"] = json!({
            "frames": done.check.frames, "bias": done.check.bias, "shift": done.check.shift,
            // Infinite where nothing differs, which JSON cannot say.
            "psnr": done.check.psnr.map(|psnr| psnr.is_finite().then_some(psnr)),
        });
        summary["frames_out"] = json!(done.written.frames);
        summary["duration_s"] = json!(time::seconds(done.written.duration));
        summary["bytes"] = json!(done.written.bytes);
        summary["elapsed_s"] = json!(done.elapsed.as_secs_f64());
        summary["warnings"] = json!(done.warnings);
        Ok(Outcome { summary, label })
    }
}
