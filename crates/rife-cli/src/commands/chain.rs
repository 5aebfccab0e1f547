//! `rife chain`: joins clips and prints plan, progress and summary as text or JSON.

use std::path::PathBuf;

use rife::Result;
use rife::chain::{ChainJob, ChainPlan, ChainSummary, Progress as Counts, default_output};
use rife::media::sink::work_folder;
use rife::media::{CancelToken, Output, counted, time};
use serde_json::{Value, json};

use super::job;
use crate::args::ChainArgs;
use crate::output;
use crate::progress::Progress;

/// Runs the job.
pub(crate) fn run(args: ChainArgs, cancel: &CancelToken) -> Result<()> {
    let (json, quiet) = (args.json, output::is_quiet());
    let job = build(args)?;
    output::check_stdout(&job.sink.output)?;
    let target = match &job.sink.output {
        Output::File(path) => path.clone(),
        Output::Stdout | Output::Images(..) | Output::Custom(_) => PathBuf::new(),
    };
    let run = job.open(cancel)?;
    if json {
        output::line(&plan_json(run.plan()).to_string())?;
    } else if !quiet {
        output::note(&output::plain(&plan_text(run.plan())));
    }
    let total = run.plan().frames;
    let mut progress = Progress::frames(total, json, quiet);
    let result =
        run.run(&mut |counts: &Counts| progress.set(counts.frames, total, || json!({"clip": counts.clips})));
    progress.finish();
    let summary = result.inspect_err(|error| job::say_kept(error, Some(work_folder(&target)), quiet))?;
    if json {
        output::line(&summary_json(&summary).to_string())?;
    } else if !quiet {
        output::note(&output::plain(&summary_text(&summary)));
    }
    Ok(())
}

/// Makes the job of the arguments.
fn build(args: ChainArgs) -> Result<ChainJob> {
    let usual = || {
        args.clips
            .first()
            .map(|first| default_output(first))
            .unwrap_or_default()
    };
    let output = match args.output.map(Output::parse) {
        None => Output::File(usual()),
        // In a folder the output has its default name.
        Some(Output::Images(folder, _)) => Output::File(job::in_folder(&folder, &usual())?),
        Some(output) => output,
    };
    let mut job = ChainJob::new(args.clips, output);
    args.options.0.apply(&mut job);
    job.sink.overwrite = args.overwrite;
    job.keep = args.keep.keep();
    job.interpolator = args.model.0.spec();
    Ok(job)
}

/// Formats a plan as a JSON object.
fn plan_json(plan: &ChainPlan) -> Value {
    json!({
        "event": "plan", "output": plan.output, "size": plan.size, "rate": plan.rate.to_string(),
        "output_frames": plan.frames, "transition_frames": plan.transition, "clips": plan.clips,
        "sound": plan.audio, "model": plan.model,
    })
}

/// Formats a plan as text.
fn plan_text(plan: &ChainPlan) -> String {
    let clips: String = plan
        .clips
        .iter()
        .map(|clip| format!("clip:  {}\n", output::one_line(clip)))
        .collect();
    let [width, height] = plan.size;
    let frames = plan
        .frames
        .map_or("an unknown number of frames".into(), |frames| {
            counted(frames, "frame")
        });
    format!(
        "{clips}out:   {}: {width}x{height}, {:.3} fps, {frames}, {} new ones in each transition\n\
         sound: {}\nmodel: {}",
        output::one_line(&plan.output),
        time::seconds(plan.rate),
        plan.transition,
        plan.audio,
        plan.model
    )
}

/// Formats a summary as a JSON object.
fn summary_json(summary: &ChainSummary) -> Value {
    json!({
        "event": "done", "output": summary.path.as_ref().map(|path| path.display().to_string()),
        "clips": summary.counts.clips, "frames_out": summary.counts.frames, "resumed": summary.counts.resumed,
        "made": summary.counts.made,
        "duration_s": time::seconds(summary.duration), "sound": summary.audio,
        "starts_s": summary.starts.iter().map(|start| time::seconds(*start)).collect::<Vec<_>>(),
        "warnings": summary.warnings,
    })
}

/// Formats a summary as text.
fn summary_text(summary: &ChainSummary) -> String {
    let path = summary
        .path
        .as_ref()
        .map_or("standard output".into(), |path| rife_files::shown(path));
    let mut text = format!(
        "{path}: {} of {} clips ({} made), {:.3} s",
        counted(summary.counts.frames, "frame"),
        summary.counts.clips,
        summary.counts.made,
        time::seconds(summary.duration)
    );
    if summary.counts.resumed > 0 {
        text += &format!(
            "\n  note: {} of these frames were there from the run before",
            summary.counts.resumed
        );
    }
    for warning in &summary.warnings {
        text += &format!("\n  note: {}", output::one_line(warning));
    }
    text
}
