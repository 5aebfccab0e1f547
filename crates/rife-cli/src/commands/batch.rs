//! `rife video` with several inputs or a watched folder: runs a batch and prints each video's plan, progress and summary, and
//! a summary of all.

use std::path::{Path, PathBuf};

use rife::batch::{Batch, BatchSummary, Event, Outcome, Watch, expand};
use rife::media::source::is_image_name;
use rife::media::{CancelToken, Container, Input};
use rife::options::Kind;
use rife::{Error, Result};
use serde_json::json;

use super::video::{Options, plan_json, summary_json, summary_text};
use super::{job, shown};
use crate::args::VideoArgs;
use crate::output;
use crate::progress::Progress;

/// Returns the videos of a batch; `None` if the arguments name a single input that is not a folder of videos. Empty with
/// `--watch`.
pub(super) fn inputs(args: &VideoArgs) -> Result<Option<Vec<PathBuf>>> {
    if args.watch.is_some() {
        return Ok(Some(Vec::new()));
    }
    for input in &args.task.inputs {
        check_exists(input, args)?;
    }
    let mut found = Vec::new();
    for input in &args.task.inputs {
        found.extend(expand(input)?);
    }
    let one = args.task.inputs.len() < 2 && found == args.task.inputs;
    Ok((!one).then_some(found))
}

/// Refuses an input that does not exist, with a suggestion of what may have been meant.
fn check_exists(input: &Path, args: &VideoArgs) -> Result<()> {
    let pattern = matches!(Input::parse(input), Input::Images(path) if !is_image_name(&path) || path.to_string_lossy().contains(['*', '?']));
    if pattern || input == Path::new("-") || input.symlink_metadata().is_ok() {
        return Ok(());
    }
    let name = shown(input);
    let several = args.task.inputs.len() > 1;
    let is_number = Kind::Factor.parse(&input.to_string_lossy()).is_ok();
    Err(Error::Data(match () {
        () if is_number && args.task.rate.0.slow_motion => format!(
            "no video is called {name}; --slow-motion takes no number of its own: add --factor {name}"
        ),
        () if is_number => {
            format!("no video is called {name}; for {name} times the frames add --factor {name}")
        }
        () if several && Container::of(input).is_ok() => format!(
            "{name} is not there, and every name is an input: if the result is to be called so, write -o {name}"
        ),
        () => format!("{name} is not there"),
    }))
}

/// Runs the batch of `inputs`, or watches the folder of `--watch`.
pub(super) fn run(args: VideoArgs, inputs: Vec<PathBuf>, cancel: &CancelToken) -> Result<()> {
    if args.shard.is_some() || args.confidence.is_some() || args.report.is_some() {
        let reason = "--shard, --confidence and --report take one video".to_owned();
        return Err(Error::Usage(reason));
    }
    let folder = args.output.clone();
    if let Some(folder) = &folder {
        check_folder(folder)?;
    }
    let mut reporter = Reporter {
        json: args.json,
        quiet: output::is_quiet(),
        progress: Progress::frames(None, args.json, output::is_quiet()),
        write_error: None,
    };
    let (watched, interval, options) = (args.watch.clone(), args.poll, Options::of(&args));
    let mut template = job::template(args.task)?;
    options.apply(&mut template);
    let mut on_event = |event: Event<'_>| reporter.report(&event);
    let summary = match watched {
        Some(watched) => {
            let folder = folder.ok_or_else(|| Error::Usage("--watch needs --output".into()))?;
            let mut watch = Watch::new(template, watched, folder);
            watch.interval = interval;
            watch.run(&mut on_event, cancel)?
        }
        None => {
            let mut batch = Batch::new(template, inputs);
            batch.folder = folder;
            batch.run(&mut on_event, cancel)?
        }
    };
    reporter.summary(&summary)?;
    summary.check()
}

/// Refuses an output that exists and is no folder.
fn check_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() || (!folder.exists() && folder != Path::new("-")) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{} is no folder: the results of several videos go into one",
        folder.display()
    )))
}

/// Printer of a batch's events.
struct Reporter {
    json: bool,
    quiet: bool,
    progress: Progress,
    /// The first failure to write a line.
    write_error: Option<Error>,
}

impl Reporter {
    /// Prints an event.
    fn report(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { index, total, input } => {
                let number = total.map_or(format!("{}", index + 1), |total| format!("{}/{total}", index + 1));
                self.line(
                    json!({"event": "video", "index": index, "total": total, "input": input.display().to_string()}),
                    &format!("[{number}] {}", shown(input)),
                );
            }
            Event::Plan(plan) => {
                self.line(plan_json(plan), &output::plain(&plan.to_string()));
                self.progress = Progress::frames(plan.output_frames, self.json, self.quiet);
            }
            Event::Progress(counts) => self.progress.set(
                counts.stream.frames_out,
                counts.total_out,
                || json!({"frames_in": counts.stream.frames_in}),
            ),
            Event::End(input, outcome) => {
                self.progress.finish();
                self.end(input, outcome);
            }
        }
    }

    /// Prints the outcome of a video.
    fn end(&mut self, input: &Path, outcome: &Outcome) {
        match outcome {
            Outcome::Made(summary) => {
                self.line(summary_json(summary), &output::plain(&summary_text(summary)));
            }
            Outcome::UpToDate(path) => self.line(
                json!({"event": "there", "output": path.display().to_string()}),
                &format!(
                    "{}: there already, with the same input, model and options",
                    shown(path)
                ),
            ),
            Outcome::Failed(error) => {
                if self.json {
                    self.line(
                        json!({
                            "event": "error",
                            "input": input.display().to_string(),
                            "code": error.code(),
                            "message": error.to_string(),
                        }),
                        "",
                    );
                }
                output::note(&format!("rife: {}", failure(input, error)));
            }
        }
    }

    /// Prints `object` to standard output with `--json`, else `text` to standard error unless quiet.
    fn line(&mut self, object: serde_json::Value, text: &str) {
        if self.json {
            let written = output::line(&object.to_string());
            self.write_error = self.write_error.take().or(written.err());
        } else if !self.quiet {
            output::note(text);
        }
    }

    /// Prints the batch's summary; returns the first failure to write a line.
    fn summary(mut self, summary: &BatchSummary) -> Result<()> {
        let names: Vec<String> = summary
            .failed
            .iter()
            .map(|(path, _)| path.display().to_string())
            .collect();
        self.line(
            json!({"event": "batch", "made": summary.made, "there": summary.up_to_date, "failed": names}),
            &output::plain(&summary_lines(summary)),
        );
        self.write_error.map_or(Ok(()), Err)
    }
}

/// Formats the batch's summary as text, with a line per failed video.
fn summary_lines(summary: &BatchSummary) -> String {
    let mut text = format!(
        "{} made, {} there already, {} failed",
        summary.made,
        summary.up_to_date,
        summary.failed.len()
    );
    for (path, error) in &summary.failed {
        text += &format!("\n  {}", failure(path, error));
    }
    text
}

/// Formats an error with the video's name, unless the error's text contains it.
fn failure(input: &Path, error: &Error) -> String {
    let (name, error) = (shown(input), output::one_line(&error.to_string()));
    match error.contains(&name) {
        true => error,
        false => format!("{name}: {error}"),
    }
}
