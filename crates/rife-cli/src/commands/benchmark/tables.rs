//! Output of benchmark results: tables for people, or one JSON object per line.

use rife::Result;
use rife_eval::benchmark::{
    ClipComparison, Comparison, Item, Report, Scores, Speed, StepPositions, Steps, Still, StillItem,
    TestTime, TimeScores,
};
use serde::Serialize;

use crate::output;

/// Prints the scores of a data set.
pub(super) fn report(report: &Report, json: bool) -> Result<()> {
    if json {
        return json_line(report);
    }
    output::line(&format!(
        "{} frames, {} layout ({}), {}",
        report.count,
        report.layout.name(),
        report.protocol,
        report.model
    ))?;
    for group in &report.groups {
        output::line(&format!(
            "\n{} ({} frames)",
            output::plain(&group.name),
            group.count
        ))?;
        comparison(&group.comparison)?;
    }
    if !report.groups.is_empty() {
        output::line("\nall")?;
    }
    comparison(&report.comparison)
}

/// Formats one frame's scores in a line.
pub(super) fn item(item: &Item) -> String {
    let ours = item.comparison.scores;
    let others = item
        .comparison
        .baselines
        .0
        .iter()
        .map(|(name, scores)| format!("{} {:.3} dB", output::plain(name), scores.psnr));
    format!(
        "{}: {:.3} dB, SSIM {:.4}, IE {:.3} ({})",
        output::plain(&item.name),
        ours.psnr,
        ours.ssim,
        ours.ie,
        others.collect::<Vec<_>>().join(", ")
    )
}

/// Prints the scores of a clip against the ground truth, as a table or as a JSON line.
pub(in crate::commands) fn against(comparison: &ClipComparison, json: bool) -> Result<()> {
    if json {
        return json_line(comparison);
    }
    output::line(&format!(
        "{} interpolated frames compared with the ground truth",
        comparison.count
    ))?;
    table(&[("rife", comparison.scores), ("blending", comparison.blending)])
}

/// Prints a table of the model's and the baselines' scores.
fn comparison(comparison: &Comparison) -> Result<()> {
    let others = comparison
        .baselines
        .0
        .iter()
        .map(|(name, scores)| (name.as_str(), *scores));
    table(
        &[("rife", comparison.scores)]
            .into_iter()
            .chain(others)
            .collect::<Vec<_>>(),
    )
}

/// Prints a table of scores, a row per method; the columns of SSIMULACRA 2 and LPIPS appear only if a row has them.
fn table(rows: &[(&str, Scores)]) -> Result<()> {
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or_default()
        .max(12);
    let head = |title: &'static str, value: fn(&Scores) -> Option<f64>| {
        let some = rows.iter().any(|(_, scores)| value(scores).is_some());
        if some { title } else { "" }
    };
    let perceived = head("  SSIMULACRA2", |scores| scores.ssimulacra2);
    let lpips = head("    LPIPS", |scores| scores.lpips);
    output::line(&format!(
        "{:<width$} {:>9} {:>8} {:>8}{perceived}{lpips}",
        "", "PSNR dB", "SSIM", "IE"
    ))?;
    rows.iter().try_for_each(|(name, scores)| {
        let perceived = scores
            .ssimulacra2
            .map_or_else(String::new, |value| format!(" {value:>12.3}"));
        let lpips = scores
            .lpips
            .map_or_else(String::new, |lpips| format!(" {lpips:>8.4}"));
        output::line(&format!(
            "{:<width$} {:>9.3} {:>8.4} {:>8.3}{perceived}{lpips}",
            output::plain(name),
            scores.psnr,
            scores.ssim,
            scores.ie
        ))
    })
}

/// Prints the scores of static content.
pub(super) fn still(still: &Still, json: bool) -> Result<()> {
    if json {
        return json_line(still);
    }
    let percent = 100.0 * still.overlay_share;
    output::line(&format!(
        "{} pairs; the overlay covers {percent:.1}% of the picture",
        still.count
    ))?;
    output::line(&format!(
        "{:<14} {:>14} {:>24}",
        "", "overlay PSNR dB", "equal frames within 1, %"
    ))?;
    let theirs = still.minterpolate.map(|scores| ("minterpolate", scores));
    [("rife", still.all), ("rife, worst", still.worst)]
        .into_iter()
        .chain(theirs)
        .try_for_each(|(name, scores)| {
            let percent = 100.0 * scores.equal_share;
            output::line(&format!(
                "{name:<14} {:>15.2} {percent:>24.3}",
                scores.overlay_psnr
            ))
        })
}

/// Formats one pair's scores of static content in a line.
pub(super) fn still_item(item: &StillItem) -> String {
    format!(
        "{}: overlay {:.2} dB, equal {:.3}%",
        output::plain(&item.name),
        item.scores.overlay_psnr,
        100.0 * item.scores.equal_share
    )
}

/// Prints the evenness of motion, and the quality at 1/4, 1/2 and 3/4 if measured.
pub(super) fn steps(steps: &Steps, times: &[TimeScores], json: bool) -> Result<()> {
    if json {
        return json_line(&serde_json::json!({ "steps": steps, "times": times }));
    }
    output::line(&format!(
        "{} steps over synthetic linear motion: spread of step sizes {:.1}% (mean), {:.1}% (worst)",
        steps.factor,
        100.0 * steps.variation,
        100.0 * steps.max_variation
    ))?;
    for motion in &steps.motions {
        positions(&motion.name, &motion.positions)?;
        motion
            .minterpolate
            .iter()
            .try_for_each(|other| positions("  minterpolate", other))?;
    }
    let Some(mean) = times.last() else { return Ok(()) };
    output::line(&format!(
        "\n{:<32} {:>5} {:>8} {:>8} {:>8}",
        "PSNR dB", "pairs", "t=1/4", "t=1/2", "t=3/4"
    ))?;
    times.iter().try_for_each(time_row)?;
    output::line(&format!(
        "the worse quarter is {:.2} dB under the middle",
        mean.gap()
    ))
}

/// Prints the variation of step sizes and the frames' positions in a line.
fn positions(name: &str, measured: &StepPositions) -> Result<()> {
    let at: Vec<String> = measured
        .positions
        .iter()
        .map(|position| format!("{position:.3}"))
        .collect();
    output::line(&format!(
        "  {name:<18} {:>5.1}%  at {}",
        100.0 * measured.variation,
        at.join(" ")
    ))
}

/// Prints the PSNR of a sequence at 1/4, 1/2 and 3/4, a line per method.
fn time_row(times: &TimeScores) -> Result<()> {
    let name = if times.name.is_empty() {
        "mean"
    } else {
        &times.name
    };
    let row = |name: &str, [a, b, c]: [f64; 3]| {
        let name: String = output::plain(name).chars().take(32).collect();
        output::line(&format!(
            "{name:<32} {:>5} {a:>8.3} {b:>8.3} {c:>8.3}",
            times.count
        ))
    };
    row(name, times.psnr)?;
    row("  averaging", times.averaging)?;
    times
        .minterpolate
        .map_or(Ok(()), |quarters| row("  minterpolate", quarters))
}

/// Prints the time of a pair.
pub(super) fn speed(speed: &Speed, json: bool) -> Result<()> {
    if json {
        return json_line(speed);
    }
    output::line(&format!(
        "RIFE {} at {}x{}: median {:.1} ms of {} runs ({:.1} to {:.1}); {}, {}, {} threads",
        speed.version,
        speed.width,
        speed.height,
        speed.median_ms,
        speed.runs,
        speed.min_ms,
        speed.max_ms,
        speed.tier,
        speed.precision,
        speed.threads
    ))
}

/// Prints the time of a pair as measured by the original's script.
pub(super) fn testtime(time: &TestTime, json: bool) -> Result<()> {
    if json {
        return json_line(time);
    }
    output::line(&format!(
        "RIFE {} at {}x{}: mean {:.1} ms of {} runs after {} uncounted; {}, {}, {} threads",
        time.version,
        time.width,
        time.height,
        time.mean_ms,
        time.runs,
        time.warm,
        time.tier,
        time.precision,
        time.threads
    ))
}

/// Prints a value as one line of JSON.
fn json_line(value: &impl Serialize) -> Result<()> {
    output::line(&serde_json::to_string(value).unwrap_or_default())
}
