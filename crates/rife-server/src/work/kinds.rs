//! The kinds of work of the library, each from options to a run, and what it says of itself.

mod chain;
mod images;
mod reencode;
mod video;

use std::path::{Path, PathBuf};

use rife::media::CancelToken;
use rife::{FrameCallback, InterpolatorSpec};
use serde_json::{Map, Value};

use crate::error::{ApiError, Result};
use crate::reason::Reason;
use crate::state::kind::Kind;

/// Where a job reads and writes.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) inputs: Vec<PathBuf>,
    /// The client's name for the first input.
    pub(crate) label: &'a str,
    /// The folder of the results.
    pub(crate) output: PathBuf,
    /// Who is shown frames.
    pub(crate) watch: Option<FrameCallback>,
}

impl Place<'_> {
    /// `spec`, with whoever is shown frames.
    fn interpolator(&self, mut spec: InterpolatorSpec) -> InterpolatorSpec {
        spec.on_frame = self.watch.clone();
        spec
    }

    /// The result of a job of one file.
    fn result(&self, extension: &str) -> PathBuf {
        self.output.join(format!("result.{extension}"))
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) done: u64,
    /// Those of them that an earlier run had done.
    pub(crate) resumed: u64,
    pub(crate) total: Option<u64>,
    pub(crate) stage: &'static str,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) summary: Value,
    /// What the result is called when it is downloaded.
    pub(crate) label: String,
}

/// A job that has been planned.
pub(crate) trait Run {
    /// What it will do.
    fn plan(&self) -> Value;

    /// Does it.
    fn run(self: Box<Self>, progress: &mut dyn FnMut(Step)) -> rife::Result<Outcome>;
}

/// Options that have been checked.
pub(crate) trait Options {
    /// Looks at the inputs, loads the model and plans.
    fn open(&self, place: &Place<'_>, cancel: &CancelToken) -> Result<rife::Result<Box<dyn Run>>>;
}

/// The options of a kind, checked as far as that goes without looking at the inputs.
pub(crate) fn options(kind: Kind, options: &Value, inputs: usize) -> Result<Box<dyn Options>> {
    let options: Map<String, Value> = match options {
        Value::Null => Map::new(),
        Value::Object(options) => options.clone(),
        _ => return Err(ApiError::option("options", Reason::OptionsObject, [])),
    };
    if !kind.inputs().contains(&inputs) {
        let (least, most) = (kind.inputs().start().to_owned(), kind.inputs().end().to_owned());
        let accepted = if least == most {
            least.to_string()
        } else {
            format!("{least} to {most}")
        };
        let pairs = [
            ("count", inputs.into()),
            ("kind", kind.name().into()),
            ("accepted", accepted.into()),
        ];
        return Err(ApiError::option("inputs", Reason::InputCount, pairs));
    }
    Ok(match kind {
        Kind::Video => Box::new(video::VideoOptions::new(options)?),
        Kind::Images => Box::new(images::ImagesOptions::new(options, inputs)?),
        Kind::Chain => Box::new(chain::ChainOptions::new(options)?),
        Kind::Reencode => Box::new(reencode::ReencodeOptions::new(options)?),
    })
}

/// `{stem}{suffix}.{extension}`.
fn named(label: &str, suffix: &str, extension: &str) -> String {
    let stem = Path::new(label).file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem}{suffix}.{extension}")
}

/// A rate as a fraction, such as `30000/1001`.
fn rate(rate: Option<num_rational::Ratio<i64>>) -> Option<String> {
    rate.map(|rate| rate.to_string())
}
