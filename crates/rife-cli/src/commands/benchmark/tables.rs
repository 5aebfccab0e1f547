//! What benchmarks found, for people and as JSON.

use rife::Result;
use rife::benchmark::{
    Against, Figures, Item, Places, Report, Scores, Speed, Steps, Still, StillItem, TestTime, TimeScores,
};
use serde::Serialize;

use crate::output;

/// The scores of a set.
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
        figures(&group.figures)?;
    }
    if !report.groups.is_empty() {
        output::line("\nall")?;
    }
    figures(&report.figures)
}

/// One frame's scores in a line.
pub(super) fn item(item: &Item) -> String {
    let ours = item.figures.scores;
    let others = item
        .figures
        .beside
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

/// Figures of the comparison of a result with its truth.
pub(in crate::commands) fn against(found: &Against, json: bool) -> Result<()> {
    if json {
        return json_line(found);
    }
    output::line(&format!("{} made frames compared with the truth", found.count))?;
    table(&[("rife", found.scores), ("blending", found.blending)])
}

fn figures(figures: &Figures) -> Result<()> {
    let others = figures
        .beside
        .0
        .iter()
        .map(|(name, scores)| (name.as_str(), *scores));
    table(
        &[("rife", figures.scores)]
            .into_iter()
            .chain(others)
            .collect::<Vec<_>>(),
    )
}

fn table(rows: &[(&str, Scores)]) -> Result<()> {
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or_default()
        .max(12);
    let has_lpips = rows.iter().any(|(_, scores)| scores.lpips.is_some());
    let lpips = if has_lpips { "    LPIPS" } else { "" };
    output::line(&format!(
        "{:<width$} {:>9} {:>8} {:>8}{lpips}",
        "", "PSNR dB", "SSIM", "IE"
    ))?;
    rows.iter().try_for_each(|(name, scores)| {
        let lpips = scores
            .lpips
            .map_or_else(String::new, |lpips| format!(" {lpips:>8.4}"));
        output::line(&format!(
            "{:<width$} {:>9.3} {:>8.4} {:>8.3}{lpips}",
            output::plain(name),
            scores.psnr,
            scores.ssim,
            scores.ie
        ))
    })
}

/// How still things fared.
pub(super) fn still(still: &Still, json: bool) -> Result<()> {
    if json {
        return json_line(still);
    }
    let share = 100.0 * still.overlay_share;
    output::line(&format!(
        "{} pairs; the overlay covers {share:.1}% of the picture",
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
            let share = 100.0 * scores.equal_share;
            output::line(&format!("{name:<14} {:>15.2} {share:>24.3}", scores.overlay_psnr))
        })
}

/// One pair of it in a line.
pub(super) fn still_item(item: &StillItem) -> String {
    format!(
        "{}: overlay {:.2} dB, equal {:.3}%",
        output::plain(&item.name),
        item.scores.overlay_psnr,
        100.0 * item.scores.equal_share
    )
}

/// How evenly things move, and the quality at quarters.
pub(super) fn steps(steps: &Steps, times: &[TimeScores], json: bool) -> Result<()> {
    if json {
        return json_line(&serde_json::json!({ "steps": steps, "times": times }));
    }
    output::line(&format!(
        "{} steps over synthetic linear motion: spread of step sizes {:.1}% (mean), {:.1}% (worst)",
        steps.factor,
        100.0 * steps.spread,
        100.0 * steps.spread_max
    ))?;
    for motion in &steps.motions {
        places(&motion.name, &motion.places)?;
        motion
            .minterpolate
            .iter()
            .try_for_each(|other| places("  minterpolate", other))?;
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

fn places(name: &str, places: &Places) -> Result<()> {
    let at: Vec<String> = places
        .positions
        .iter()
        .map(|place| format!("{place:.3}"))
        .collect();
    output::line(&format!(
        "  {name:<18} {:>5.1}%  at {}",
        100.0 * places.spread,
        at.join(" ")
    ))
}

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

/// How long a pair takes.
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

/// How long a pair takes by the original's script.
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

fn json_line(value: &impl Serialize) -> Result<()> {
    output::line(&serde_json::to_string(value).unwrap_or_default())
}
