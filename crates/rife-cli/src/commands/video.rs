//! `rife video`: runs a video job and prints its plan, progress and summary as text or JSON.

use std::path::{Path, PathBuf};

use rife::media::sink::{CommandLine, Share, same_file};
use rife::media::source::is_stream;
use rife::media::{CancelToken, Output, counted};
use rife::video::{
    DuplicateRange, DuplicatesReport, Keep, Progress as Counts, VideoJob, VideoPlan, VideoSummary,
    duration_text, input_path,
};
use rife::{Error, Result};
use rife_eval::report::ReportJob;
use serde_json::{Value, json};

use super::{job, report};
use crate::args::VideoArgs;
use crate::output::{self, Verbosity};
use crate::progress::Progress;

/// Runs the job of one input.
pub(super) fn run(args: VideoArgs, cancel: &CancelToken) -> Result<()> {
    let only_report = args.task.only_report();
    let options = Options::of(&args);
    let mut job = job::build(args.task, args.output.as_deref())?;
    output::check_stdout(&job.sink.output)?;
    if only_report {
        return report_duplicates(&job, args.json, output::is_quiet(), cancel);
    }
    options.apply(&mut job);
    job.share = args.shard.map(Share::Shard);
    if job.share.is_some() && !args.words.is_empty() {
        job.command = recorded(args.words);
    }
    job.confidence = args.confidence.is_some();
    job.confidence_out = args.confidence;
    run_one(job, args.report.as_deref(), args.json, output::is_quiet(), cancel)
}

/// The quality report of `--report`, whose files are opened before the run.
struct ReportAfter {
    files: report::Files,
    job: ReportJob,
}

impl ReportAfter {
    /// Opens the files at `page`, so that invalid paths are refused before the run; refuses paths of the input and of `result`.
    fn open(page: &Path, overwrite: bool, job: ReportJob, result: Option<&Path>) -> Result<Self> {
        if is_stream(&job.source.input) {
            let reason = "--report reads the input once more, which standard input and pipes do not allow";
            return Err(Error::Usage(reason.to_owned()));
        }
        if result.is_some_and(|result| result == page || same_file(result, page)) {
            let page = page.display();
            return Err(Error::Usage(format!(
                "{page} is the result: what is said of it needs a name of its own"
            )));
        }
        let input = input_path(&job.source.input).map(Path::to_owned);
        let files = report::Files::create(page, overwrite, input.as_deref().into_iter())?;
        Ok(Self { files, job })
    }

    /// Computes the report and writes it; its mean scores are printed unless `quiet`.
    fn finish(self, quiet: bool, cancel: &CancelToken) -> Result<()> {
        let report = report::measure(&self.job, quiet, cancel)?;
        self.files.write(&report)?;
        if !quiet {
            output::note(&output::plain(&report::text(&report)));
        }
        Ok(())
    }
}

/// Returns the command line to record; `None` where the current folder is unknown.
fn recorded(words: Vec<String>) -> Option<CommandLine> {
    let folder = std::env::current_dir().ok()?;
    Some(CommandLine { folder, words })
}

/// Runs one job and prints its plan, progress and summary; then the report, where `page` names one.
pub(super) fn run_one(
    job: VideoJob,
    page: Option<&Path>,
    json: bool,
    quiet: bool,
    cancel: &CancelToken,
) -> Result<()> {
    let json = json && job.sink.output != Output::Stdout;
    let is_shard = job.share.is_some();
    let overwrite = job.sink.overwrite;
    let mut report = ReportJob::new(job.source.clone());
    report.interpolator = job.interpolator.clone();
    let run = job.open(cancel)?;
    let report = page.map(|page| ReportAfter::open(page, overwrite, report, run.output()));
    let report = report.transpose()?;
    if json {
        output::line(&plan_json(run.plan()).to_string())?;
    } else if !quiet {
        output::note(&output::plain(&plan_text(run.plan())));
    }
    let mut progress = Progress::frames(run.plan().output_frames, json, quiet);
    let kept = run.unfinished().filter(|_| !is_shard);
    let result = run.run(&mut |counts: &Counts| {
        progress.set(
            counts.stream.frames_out,
            counts.total_out,
            || json!({"frames_in": counts.stream.frames_in}),
        );
    });
    progress.finish();
    let summary = result.inspect_err(|error| job::say_kept(error, kept, quiet))?;
    if json {
        output::line(&summary_json(&summary).to_string())?;
    }
    if !json && !quiet {
        output::note(&output::plain(&summary_text(&summary)));
    }
    report.map_or(Ok(()), |report| report.finish(json || quiet, cancel))
}

/// The options of a run, which `rife info` does not have.
pub(super) struct Options {
    overwrite: bool,
    manifest: bool,
    strict: bool,
    keep: Keep,
    work_dir: Option<PathBuf>,
}

impl Options {
    /// Takes the options from the arguments.
    pub(super) fn of(args: &VideoArgs) -> Self {
        Self {
            overwrite: args.overwrite,
            manifest: args.manifest,
            strict: args.strict,
            keep: args.keep.keep(),
            work_dir: args.work_dir.clone(),
        }
    }

    /// Sets the options in a job.
    pub(super) fn apply(self, job: &mut VideoJob) {
        job.sink.overwrite = self.overwrite;
        job.manifest = self.manifest;
        job.strict = self.strict;
        job.keep = self.keep;
        job.work_dir = self.work_dir;
    }
}

/// Runs `--duplicates report`: prints the job's repeated frames to standard output.
pub(super) fn report_duplicates(
    job: &VideoJob,
    as_json: bool,
    quiet: bool,
    cancel: &CancelToken,
) -> Result<()> {
    let mut progress = Progress::frames(None, as_json, quiet);
    let report = job.report_duplicates(cancel, &mut |frames| progress.set(frames, None, || json!({})));
    progress.finish();
    let report = report?;
    if as_json {
        return output::line(&report_json(&report).to_string());
    }
    output::line(&output::plain(&report.to_string()))
}

/// Formats a report on repeated frames as JSON.
fn report_json(report: &DuplicatesReport) -> Value {
    let range = |range: &DuplicateRange| {
        json!({
            "frames": range.frames,
            "times_s": range.times.map(rife::media::time::seconds),
            "pattern": range.pattern(),
            "held": range.held,
            "retimed": range.retimed,
            "frames_each": range.frames_each(),
        })
    };
    json!({
        "event": "duplicates",
        "frames": report.frames,
        "dropped": report.dropped,
        "held": report.held,
        "retimed": report.retimed,
        "cuts": report.cuts,
        "stretches": report.ranges.iter().map(range).collect::<Vec<_>>(),
    })
}

/// Formats a plan for people: with `--verbose` all of it, else input, output, network and cost, and whatever the output loses.
fn plan_text(plan: &VideoPlan) -> String {
    let whole = plan.to_string();
    if output::verbosity() == Verbosity::Verbose {
        return whole;
    }
    // The network's name is followed by its size and options.
    let network = plan.model.split(':').next().unwrap_or_default();
    let is_news = |line: &&str| {
        let kept = [": copied", ": interpolated"];
        let treated = line.starts_with("stream ") && !kept.iter().any(|end| line.ends_with(end));
        treated
            || ["in:", "out:", "needs:", "note"]
                .iter()
                .any(|start| line.starts_with(start))
    };
    let mut lines: Vec<_> = whole.lines().filter(is_news).map(str::to_owned).collect();
    lines.insert(2, format!("model:   {network}, {}", plan.engine));
    lines.join("\n")
}

/// Formats a plan as a JSON object.
pub(super) fn plan_json(plan: &VideoPlan) -> Value {
    let rate = |rate: Option<num_rational::Ratio<i64>>| rate.map(|rate| rate.to_string());
    let streams: Option<Vec<String>> = plan
        .streams
        .as_ref()
        .map(|streams| streams.to_string().lines().map(str::to_owned).collect());
    json!({
        "event": "plan",
        "input": plan.input,
        "output": plan.output,
        "width": plan.size[0],
        "height": plan.size[1],
        "input_frames": plan.input_frames,
        "input_rate": rate(plan.input_rate),
        "variable_rate": plan.variable_rate,
        "duration_s": plan.duration,
        "output_rate": rate(plan.output_rate),
        "output_frames": plan.output_frames,
        "rule": plan.rule,
        "encoding": plan.encoding,
        "losses": plan.losses,
        "notes": plan.notes,
        "streams": streams,
        "model": plan.model,
        "method": plan.method,
        "engine": plan.engine,
        "reading": plan.reading,
        "estimated_s": plan.time.map(|time| time.as_secs_f64()),
        "memory_bytes": plan.memory,
    })
}

/// Formats a summary as a JSON object.
pub(super) fn summary_json(summary: &VideoSummary) -> Value {
    let counts = &summary.counts;
    json!({
        "event": "done",
        "output": summary.written.path.as_ref().map(|path| path.display().to_string()),
        "frames_in": counts.stream.frames_in,
        "frames_out": counts.stream.frames_out,
        "resumed": counts.resumed,
        "made": counts.stream.made,
        "cuts": counts.stream.cuts,
        "held": counts.stream.held,
        "retimed": counts.stream.retimed,
        "dropped": counts.stream.dropped,
        "fallen_back": counts.stream.fallen_back,
        "elsewhere": counts.elsewhere,
        "duration_s": rife::media::time::seconds(summary.written.duration),
        "bytes": summary.written.bytes,
        "elapsed_s": summary.elapsed.as_secs_f64(),
        "fps": summary.frames_per_second(),
        "warnings": summary.warnings,
    })
}

/// Formats a summary as text: the result in a line, then counts and warnings.
pub(super) fn summary_text(summary: &VideoSummary) -> String {
    let counts = &summary.counts;
    let path = summary
        .written
        .path
        .as_ref()
        .map_or("standard output".into(), |path| rife_files::shown(path));
    let mut text = format!(
        "{path}: {} from {} ({} made), {:.3} s, in {} ({:.2} frames a second)",
        counted(counts.stream.frames_out, "frame"),
        counts.stream.frames_in,
        counts.stream.made,
        rife::media::time::seconds(summary.written.duration),
        duration_text(summary.elapsed),
        summary.frames_per_second(),
    );
    for (count, noun, what) in [
        (counts.resumed, "frame", "there from the run before"),
        (counts.elsewhere, "frame", "left to other shards"),
        (
            counts.stream.fallen_back,
            "made frame",
            "replaced by the fallback, being trusted too little",
        ),
        (counts.stream.cuts, "cut", "not morphed across"),
        (
            counts.stream.held,
            "frame",
            "only repeating the one before: motion leads evenly through (--duplicates keep leaves them)",
        ),
        (
            counts.stream.retimed,
            "distinct frame",
            "moved to its even place between repeated ones",
        ),
        (
            counts.stream.dropped,
            "frame",
            "left out, of a time that does not advance",
        ),
    ] {
        if count > 0 {
            text += &format!("\n  {}, {what}", counted(count, noun));
        }
    }
    for warning in &summary.warnings {
        text += &format!("\n  note: {}", output::one_line(warning));
    }
    text
}
