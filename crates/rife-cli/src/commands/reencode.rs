//! `rife reencode`: prints the analysis of the source, re-encodes it, and prints the result and its colour check.

use std::path::Path;

use rife::media::sink::work_folder;
use rife::media::{CancelToken, Input, Orientation, Output, SourceSpec, counted, time};
use rife::reencode::{ColorCheck, Finding, Profile, ReencodeJob, ReencodeSummary, Stage, compare};
use rife::video::duration_text;
use rife::{Error, Result};
use serde_json::{Value, json};

use super::job::{in_folder, say_kept};
use super::shown;
use crate::args::ReencodeArgs;
use crate::output;
use crate::progress::Progress;

/// Runs the job, or only the colour check with `--check`.
pub(crate) fn run(args: &ReencodeArgs, cancel: &CancelToken) -> Result<()> {
    if let Some(other) = &args.check {
        return check(args, other, cancel);
    }
    let run = job(args)?.open(cancel)?;
    let (conforms, needed) = (run.conforms(), run.is_needed());
    let say = |text: &str| match args.json || output::is_quiet() {
        true => {}
        false => output::note(&output::plain(text)),
    };
    if args.json {
        let findings: Vec<_> = run.findings().iter().map(finding_json).collect();
        let event = json!({"event": "analysis", "conforms": conforms, "findings": findings});
        output::line(&event.to_string())?;
    }
    run.findings()
        .iter()
        .for_each(|finding| say(&finding_text(finding)));
    if !needed {
        say("nothing to do: it is in this form already (--force writes it anyway)");
        return match args.json {
            true => output::line(&json!({"event": "done", "output": null, "conforms": true}).to_string()),
            false => Ok(()),
        };
    }
    if let Some(streams) = run.streams() {
        say(streams
            .to_string()
            .trim_end()
            .replace(": interpolated", ": encoded anew")
            .as_str());
    }
    let (total, target) = (run.frames(), run.target().to_owned());
    let mut progress = Progress::frames(total, args.json, output::is_quiet());
    let result = run.run(&mut |stage, frames| {
        if stage == Stage::Writing {
            progress.set(frames, total, || json!({}));
        }
    });
    progress.finish();
    let summary =
        result.inspect_err(|error| say_kept(error, Some(work_folder(&target)), output::is_quiet()))?;
    say(&summary_text(&summary));
    if args.json {
        output::line(&summary_json(&summary).to_string())?;
    }
    Ok(())
}

/// Makes the job of the arguments.
fn job(args: &ReencodeArgs) -> Result<ReencodeJob> {
    let mut job = ReencodeJob::new(&args.input, args.options.0.preset_profile);
    args.options.0.apply(&mut job);
    (job.output, job.overwrite) = (args.output.clone(), args.overwrite);
    if let Some(Output::Images(folder, _)) = args.output.as_ref().map(Output::parse) {
        job.output = Some(in_folder(&folder, &job.usual_output(&args.input))?);
    }
    job.keep = args.keep.keep();
    Ok(job)
}

/// Runs `--check`: compares the colours of the input and `other`; an error if they differ.
fn check(args: &ReencodeArgs, other: &Path, cancel: &CancelToken) -> Result<()> {
    let options = &args.options.0;
    let read = |path: &Path| {
        let mut source = SourceSpec::new(Input::parse(path));
        source.orientation = Orientation::Apply;
        source.cancel = cancel.clone();
        source.deinterlace = options.deinterlace;
        source
    };
    let exact = options.preset_profile == Profile::Archive;
    let found = compare(
        &read(&args.input),
        &read(other),
        exact,
        &options.limits(),
        &mut |_| {},
    )?;
    if args.json {
        output::line(&check_json(&found).to_string())?;
    } else if !output::is_quiet() {
        output::line(&check_text(&found))?;
    }
    match found.passed() {
        true => Ok(()),
        false => Err(Error::Data(format!(
            "the colours of {} are not those of {}: {}",
            shown(other),
            shown(&args.input),
            found.failures.join("; ")
        ))),
    }
}

/// Formats a property of the source as text.
fn finding_text(finding: &Finding) -> String {
    let Finding {
        what,
        found,
        wanted,
        conforms,
    } = finding;
    match conforms {
        true => format!("ok:    {what}: {found}"),
        false => format!("needs: {what}: {found}, wanted {wanted}"),
    }
}

/// Formats a property of the source as JSON.
fn finding_json(finding: &Finding) -> Value {
    json!({"what": finding.what, "found": finding.found, "wanted": finding.wanted, "conforms": finding.conforms})
}

/// Replaces infinite values by `None`, since JSON has no infinity.
fn finite(values: [f64; 3]) -> [Option<f64>; 3] {
    values.map(|value| value.is_finite().then_some(value))
}

/// Formats a colour check as JSON.
fn check_json(check: &ColorCheck) -> Value {
    json!({
        "frames": check.frames, "psnr_db": finite(check.psnr), "bias": check.bias, "shift": check.shift,
        "passed": check.passed(), "failures": check.failures,
    })
}

/// Formats a colour check as text.
fn check_text(check: &ColorCheck) -> String {
    let three = |values: [f64; 3], digits: usize| values.map(|value| format!("{value:.digits$}")).join(" ");
    format!(
        "colours over {} (red green blue): PSNR {} dB; means off by {} codes of 255, in places by {}",
        counted(check.frames, "frame"),
        three(check.psnr, 1),
        three(check.bias, 2),
        three(check.shift, 2)
    )
}

/// Formats a summary as text.
fn summary_text(summary: &ReencodeSummary) -> String {
    let path = summary.written.path.as_deref().map_or(String::new(), shown);
    let mut text = format!(
        "{path}: {}, {:.3} s, in {}\n{}",
        counted(summary.written.frames, "frame"),
        time::seconds(summary.written.duration),
        duration_text(summary.elapsed),
        check_text(&summary.check)
    );
    for warning in &summary.warnings {
        text += &format!("\n  note: {}", output::one_line(warning));
    }
    text
}

/// Formats a summary as a JSON object.
fn summary_json(summary: &ReencodeSummary) -> Value {
    json!({
        "event": "done", "output": summary.written.path.as_deref().map(shown), "frames": summary.written.frames,
        "duration_s": time::seconds(summary.written.duration), "bytes": summary.written.bytes,
        "check": check_json(&summary.check), "warnings": summary.warnings,
    })
}
