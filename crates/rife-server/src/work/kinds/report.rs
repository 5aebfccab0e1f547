//! Job kind `report`: quality of interpolation on a clip, measured on frames that are left out ([`ReportJob`]).

use std::path::PathBuf;
use std::time::Instant;

use rife::media::{CancelToken, Input, SourceSpec, StreamInfo, open_source};
use rife::options::ModelOptions;
use rife::{Error, Result as LibraryResult};
use rife_eval::report::{Report, ReportJob, WorstFrame};
use serde_json::{Map, Value, json};

use super::{JobFiles, Outcome, Run, Step};
use crate::error::Result;
use crate::state::store;
use crate::work::options::OptionReader;

/// Validated options of a `report` job.
#[derive(Debug)]
pub(super) struct Checked(ModelOptions);

impl Checked {
    /// Parses and validates the options.
    pub(super) fn new(options: Map<String, Value>) -> Result<Self> {
        let mut reader = OptionReader::new(options);
        let options = reader.model()?;
        reader.finish()?;
        Ok(Self(options))
    }
}

impl super::Options for Checked {
    /// Opens the clip for its size and number of frames.
    fn open(&self, files: &JobFiles<'_>, cancel: &CancelToken) -> Result<LibraryResult<Box<dyn Run>>> {
        let mut source = SourceSpec::new(Input::parse(&files.inputs[0]));
        source.cancel = cancel.clone();
        let info = match open_source(&source) {
            Ok(opened) => opened.info().clone(),
            Err(error) => return Ok(Err(error.into())),
        };
        let mut job = ReportJob::new(source);
        job.interpolator = files.interpolator(self.0.spec());
        Ok(Ok(Box::new(Planned {
            job,
            info,
            label: files.label.to_owned(),
            output: files.output.clone(),
            cancel: cancel.clone(),
        })))
    }
}

/// Planned `report` job.
struct Planned {
    job: ReportJob,
    info: StreamInfo,
    label: String,
    /// The folder of the results.
    output: PathBuf,
    cancel: CancelToken,
}

impl Planned {
    /// Writes the HTML page, the report's JSON, and the pictures of the worst frames as JSON.
    fn write(&self, report: &Report) -> LibraryResult<()> {
        let pictures: Vec<Value> = report.worst.iter().map(picture).collect();
        let files = [
            ("report.html", report.html()),
            (store::REPORT, report.json()),
            (store::WORST, Value::from(pictures).to_string()),
        ];
        files.into_iter().try_for_each(|(name, text)| {
            let path = self.output.join(name);
            std::fs::write(&path, text).map_err(|error| Error::io("write", &path, error))
        })
    }
}

impl Run for Planned {
    /// Returns the Plan object of the API.
    fn plan(&self) -> Value {
        json!({
            "kind": "report", "width": self.info.width, "height": self.info.height,
            "input_frames": self.info.frames, "notes": [],
        })
    }

    /// Runs the job and returns its summary.
    fn run(self: Box<Self>, progress: &mut dyn FnMut(Step)) -> LibraryResult<Outcome> {
        let begun = Instant::now();
        let mut step = |done, total| {
            progress(Step {
                done,
                resumed: 0,
                total,
                stage: "measuring",
            });
        };
        let mut report = self.job.run(&mut step, &self.cancel)?;
        // The file's name here is that of a link to the upload.
        report.clip = self.label.clone();
        self.write(&report)?;
        let summary = json!({
            "means": report.means, "frames_in": report.frames_read, "measured": report.frames.len(),
            "better_than_blend": report.better_than_blend, "model": report.model,
            "elapsed_s": begun.elapsed().as_secs_f64(), "warnings": [],
        });
        let label = super::result_label(&self.label, "_report", "html");
        Ok(Outcome { summary, label })
    }
}

/// Returns the pictures of a worst frame as data URLs.
fn picture(worst: &WorstFrame) -> Value {
    json!({"index": worst.index, "truth": worst.truth, "network": worst.network, "blend": worst.blend})
}
