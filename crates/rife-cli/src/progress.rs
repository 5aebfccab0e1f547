//! Progress reporting: a progress bar on a terminal, lines of JSON for programs, else a line of text every few seconds.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rife::video::duration_text;
use serde_json::json;

use crate::output;

/// Minimum time between two lines of JSON.
const LINE_INTERVAL: Duration = Duration::from_millis(250);
/// Time between two lines of text, and before the first.
const TEXT_INTERVAL: Duration = Duration::from_secs(5);

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
    /// Lines of text on standard error, where that is no terminal.
    Text {
        /// Start of the job.
        start: Instant,
        /// Time of the last line, or the start.
        last: Instant,
        /// What is counted.
        noun: &'static str,
    },
    /// No output.
    Silent,
}

/// Template of the bar for a known number of frames; like the others it fits 80 columns.
const FRAMES: &str = "{bar:20} {pos}/{len} frames, {per_sec}, {eta_precise} to go";
/// Template of the bar for an unknown number of frames.
const UNKNOWN: &str = "{spinner} {pos} frames, {per_sec}, {elapsed_precise} passed";
/// Template of the bar for bytes.
const BYTES: &str = "{bar:20} {bytes}/{total_bytes}, {bytes_per_sec}, {eta_precise} to go";

impl Progress {
    /// Makes the reporter of a job of `total` frames: lines with `json` and where a command is called as a function, nothing
    /// with `quiet`, else a bar.
    pub(crate) fn frames(total: Option<u64>, json: bool, quiet: bool) -> Self {
        match total {
            _ if json || output::is_captured() => Self::Lines {
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

    /// Makes a bar if standard error is a terminal, else lines of text; nothing with `quiet` or `--quiet`.
    fn bar(total: u64, template: &str, quiet: bool) -> Self {
        if quiet || output::is_quiet() {
            return Self::Silent;
        }
        if !std::io::stderr().is_terminal() {
            let start = Instant::now();
            let noun = if template == BYTES { "bytes" } else { "frames" };
            return Self::Text {
                start,
                last: start,
                noun,
            };
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        output::set_bar(&bar);
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
            Self::Text { start, last, noun } => {
                if last.elapsed() >= TEXT_INTERVAL {
                    *last = Instant::now();
                    output::note(&text_line(done, total, start.elapsed(), noun));
                }
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

/// Formats a line of text: `120 of 960 frames, 11.8 a second, 1 min 11 s to go`.
fn text_line(done: u64, total: Option<u64>, elapsed: Duration, noun: &str) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(1e-9);
    let Some(total) = total.map(|total| total.max(done)) else {
        return format!("{done} {noun}, {rate:.1} a second");
    };
    let left = Duration::try_from_secs_f64((total - done) as f64 / rate).unwrap_or_default();
    let left = match done {
        0 => String::new(),
        _ => format!(", {} to go", duration_text(left)),
    };
    format!("{done} of {total} {noun}, {rate:.1} a second{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_text_say_how_far_it_is() {
        let line = |done, total| text_line(done, total, Duration::from_secs(10), "frames");
        assert_eq!(
            line(120, Some(960)),
            "120 of 960 frames, 12.0 a second, 1 min 10 s to go"
        );
        assert_eq!(line(0, Some(960)), "0 of 960 frames, 0.0 a second");
        assert_eq!(
            line(970, Some(960)),
            "970 of 970 frames, 97.0 a second, 0.0 s to go"
        );
        assert_eq!(line(5, None), "5 frames, 0.5 a second");
    }
}
