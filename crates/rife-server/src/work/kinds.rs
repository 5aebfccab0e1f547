//! Job kinds: conversion of JSON options to jobs of the `rife` crate, and of their plans and results to JSON.

mod chain;
mod images;
mod reencode;
mod report;
mod video;

use std::path::{Path, PathBuf};

use rife::media::CancelToken;
use rife::{FrameCallback, InterpolatorSpec};
use serde_json::{Map, Value};

use crate::error::{ApiError, Result};
use crate::reason::Reason;
use crate::state::kind::Kind;

/// Input and output paths of a job.
#[derive(Debug)]
pub(crate) struct JobFiles<'a> {
    pub(crate) inputs: Vec<PathBuf>,
    /// The client's file name of the first input.
    pub(crate) label: &'a str,
    /// The folder of the results.
    pub(crate) output: PathBuf,
    /// Callback that receives each interpolated frame.
    pub(crate) on_frame: Option<FrameCallback>,
}

impl JobFiles<'_> {
    /// Returns `spec` with the callback for interpolated frames.
    fn interpolator(&self, mut spec: InterpolatorSpec) -> InterpolatorSpec {
        spec.on_frame = self.on_frame.clone();
        spec
    }

    /// Returns the path of the result file of a job with a single result.
    fn result(&self, extension: &str) -> PathBuf {
        self.output.join(format!("result.{extension}"))
    }
}

/// Progress report of a running job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// Frames written, including those of an earlier attempt.
    pub(crate) done: u64,
    /// Frames written by an earlier attempt.
    pub(crate) resumed: u64,
    /// Frames to be written in all, if known.
    pub(crate) total: Option<u64>,
    pub(crate) stage: &'static str,
}

/// Result of a completed job.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The `summary` of the job in the API.
    pub(crate) summary: Value,
    /// The file name of the result for downloads.
    pub(crate) label: String,
}

/// Planned job, ready to run.
pub(crate) trait Run {
    /// Returns the Plan object of the API.
    fn plan(&self) -> Value;

    /// Runs the job to its end, calling `progress` after each frame.
    fn run(self: Box<Self>, progress: &mut dyn FnMut(Step)) -> rife::Result<Outcome>;
}

/// Validated options of a job.
pub(crate) trait Options {
    /// Probes the inputs, loads the model and plans the job.
    ///
    /// # Errors
    /// The outer error for options that do not fit the inputs; the inner one for failures of the `rife` crate.
    fn open(&self, files: &JobFiles<'_>, cancel: &CancelToken) -> Result<rife::Result<Box<dyn Run>>>;
}

/// Parses and validates the JSON options of a job with `inputs` inputs, without reading these.
pub(crate) fn parse_options(kind: Kind, options: &Value, inputs: usize) -> Result<Box<dyn Options>> {
    let options: Map<String, Value> = match options {
        Value::Null => Map::new(),
        Value::Object(options) => options.clone(),
        _ => return Err(ApiError::option("options", Reason::OptionsObject, [])),
    };
    if !kind.inputs().contains(&inputs) {
        let (min, max) = (kind.inputs().start().to_owned(), kind.inputs().end().to_owned());
        let accepted = if min == max {
            min.to_string()
        } else {
            format!("{min} to {max}")
        };
        let pairs = [
            ("count", inputs.into()),
            ("kind", kind.name().into()),
            ("accepted", accepted.into()),
        ];
        return Err(ApiError::option("inputs", Reason::InputCount, pairs));
    }
    Ok(match kind {
        Kind::Video => Box::new(video::Checked::new(options)?),
        Kind::Images => Box::new(images::Checked::new(options, inputs)?),
        Kind::Chain => Box::new(chain::Checked::new(options)?),
        Kind::Reencode => Box::new(reencode::Checked::new(options)?),
        Kind::Report => Box::new(report::Checked::new(options)?),
    })
}

/// Returns the file name of a result: the stem of `label`, `suffix`, and `extension`.
fn result_label(label: &str, suffix: &str, extension: &str) -> String {
    let stem = Path::new(label).file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem}{suffix}.{extension}")
}

/// Formats a rate as a fraction, such as `30000/1001`.
fn rate_text(rate: Option<num_rational::Ratio<i64>>) -> Option<String> {
    rate.map(|rate| rate.to_string())
}
