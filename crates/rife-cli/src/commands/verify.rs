//! `rife verify`: checks a result and prints the checks as a table or JSON.

use rife::Result;
use rife::media::CancelToken;
use rife::verify::{Verdict, Verified, VerifyJob};
use serde_json::{Value, json};

use crate::args::VerifyArgs;
use crate::output;
use crate::progress::Progress;

/// Runs the checks and prints them; an error if one of them is wrong.
pub(crate) fn run(args: VerifyArgs, cancel: &CancelToken) -> Result<()> {
    let mut job = VerifyJob::new(args.output);
    (job.manifest, job.input) = (args.manifest, args.input);
    let mut progress = Progress::frames(None, false, args.json);
    let result = job.run(&mut |done, total| progress.set(done, total, || json!({})), cancel);
    progress.finish();
    let verified = result?;
    let text = if args.json {
        as_json(&verified).to_string()
    } else {
        output::plain(&as_text(&verified))
    };
    output::line(&text)?;
    verified.check()
}

/// Names a verdict for people.
fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Right => "ok",
        Verdict::Wrong => "WRONG",
        Verdict::Unknown => "?",
    }
}

/// Formats the checks as a table.
fn as_text(verified: &Verified) -> String {
    let mut lines = Vec::new();
    if !verified.manifest {
        lines.push(
            "no manifest beside it: only what the file says of itself is checked (rife video --manifest)"
                .to_owned(),
        );
    }
    for check in &verified.checks {
        let said = match check.verdict {
            Verdict::Right => check.found.clone(),
            Verdict::Wrong | Verdict::Unknown => format!("{}; expected {}", check.found, check.expected),
        };
        let said = output::one_line(&said);
        lines.push(format!("{:5} {:18} {said}", word(check.verdict), check.name));
    }
    lines.join("\n")
}

/// Formats the checks as a JSON object.
fn as_json(verified: &Verified) -> Value {
    let checks: Vec<_> = verified
        .checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "verdict": word(check.verdict).to_lowercase(),
                "expected": check.expected,
                "found": check.found,
            })
        })
        .collect();
    json!({ "manifest": verified.manifest, "ok": verified.check().is_ok(), "checks": checks })
}
