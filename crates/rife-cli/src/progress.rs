//! Progress reporting: a progress bar on a terminal, lines of JSON for programs, else nothing.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::output;

/// Minimum time between two lines of JSON.
const LINE_INTERVAL: Duration = Duration::from_millis(250);

/// A progress reporter.
pub(crate) enum Progress {
    /// A progress bar on standard error.
    Bar(ProgressBar),
    /// Lines of JSON on standard output.
    Lines {
        /// Start of the job.
        start: Instant,
        /// Time of the last line.
        last: Option<Instant>,
    },
    /// No output.
    Silent,
}

/// Template of the bar for a known number of frames.
const FRAMES: &str =
    "{bar:30} {pos}/{len} frames  {per_sec}  {elapsed_precise} passed, {eta_precise} to go  {msg}";
/// Template of the bar for an unknown number of frames.
const UNKNOWN: &str = "{spinner} {pos} frames  {per_sec}  {elapsed_precise} passed  {msg}";
/// Template of the bar for bytes.
const BYTES: &str = "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta_precise} to go";

impl Progress {
    /// Makes the reporter of a job of `total` frames: lines with `json`, nothing with `quiet`, else a bar.
    pub(crate) fn frames(total: Option<u64>, json: bool, quiet: bool) -> Self {
        match total {
            _ if json => Self::Lines {
                start: Instant::now(),
                last: None,
            },
            Some(total) => Self::bar(total, FRAMES, quiet),
            None => Self::bar(0, UNKNOWN, quiet),
        }
    }

    /// Makes the reporter of a download, in bytes.
    pub(crate) fn bytes(quiet: bool) -> Self {
        Self::bar(0, BYTES, quiet)
    }

    /// Makes a bar if standard error is a terminal and `quiet` is not set.
    fn bar(total: u64, template: &str, quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self::Silent;
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self::Bar(bar)
    }

    /// Reports that `done` of `total` frames or bytes are done. The fields of the JSON object `details` are added to a line of
    /// JSON.
    pub(crate) fn set(&mut self, done: u64, total: Option<u64>, details: impl FnOnce() -> serde_json::Value) {
        match self {
            Self::Bar(bar) => {
                if let Some(total) = total {
                    bar.set_length(total.max(done));
                }
                bar.set_position(done);
            }
            Self::Lines { start, last } => {
                if last.is_some_and(|last| last.elapsed() < LINE_INTERVAL) {
                    return;
                }
                *last = Some(Instant::now());
                let rate = done as f64 / start.elapsed().as_secs_f64().max(1e-9);
                let left = total
                    .filter(|_| done > 0)
                    .map(|total| total.saturating_sub(done) as f64 / rate);
                let mut line =
                    json!({"event": "progress", "done": done, "total": total, "fps": rate, "eta_s": left});
                if let (Some(line), serde_json::Value::Object(details)) = (line.as_object_mut(), details()) {
                    line.extend(details);
                }
                let _ = output::line(&line.to_string());
            }
            Self::Silent => {}
        }
    }

    /// Removes the bar from the terminal.
    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
