//! `rife benchmark`: quality over triplets or against a truth, and speed.

use std::path::Path;

use rife::benchmark::{self, Against, DataSet, Item, Scores};
use rife::media::CancelToken;
use rife::{Interpolator, Result};

use super::interpolator;
use crate::args::BenchmarkArgs;
use crate::output;

pub(crate) fn run(args: BenchmarkArgs, cancel: &CancelToken) -> Result<()> {
    if let [truth, result] = args.against.as_slice() {
        let found = benchmark::against(truth, result, args.factor, cancel)?;
        return print_against(&found, args.json);
    }
    if args.time {
        return speed(&args, &interpolator(&args.model)?, cancel);
    }
    let mut set = DataSet::open(args.folder.as_deref().unwrap_or(Path::new(".")))?;
    if let Some(limit) = args.limit {
        set.triplets.truncate(limit as usize);
    }
    let interpolator = interpolator(&args.model)?;
    let verbose = args.verbose && !args.json;
    let mut report = benchmark::run(&set, &interpolator, &mut |item| print_item(item, verbose), cancel)?;
    if !args.verbose {
        report.items.clear();
    }
    if args.json {
        return json_line(&report);
    }
    output::line(&format!(
        "{} triplets ({:?} layout), {}",
        report.count, report.layout, report.model
    ))?;
    table(&[("rife", report.scores), ("averaging", report.averaging)])
}

fn print_item(item: &Item, verbose: bool) {
    if verbose {
        let (ours, blend) = (item.scores, item.averaging);
        let name = output::plain(&item.name);
        output::note(&format!(
            "{name}: {:.3} dB, SSIM {:.4}, IE {:.3} (averaging {:.3} dB)",
            ours.psnr, ours.ssim, ours.ie, blend.psnr
        ));
    }
}

/// Figures of the comparison of a result with its truth.
pub(super) fn print_against(found: &Against, json: bool) -> Result<()> {
    if json {
        return json_line(found);
    }
    output::line(&format!("{} made frames compared with the truth", found.count))?;
    table(&[("rife", found.scores), ("blending", found.blending)])
}

fn table(rows: &[(&str, Scores)]) -> Result<()> {
    output::line(&format!("{:<10} {:>9} {:>8} {:>8}", "", "PSNR dB", "SSIM", "IE"))?;
    rows.iter().try_for_each(|(name, scores)| {
        output::line(&format!(
            "{name:<10} {:>9.3} {:>8.4} {:>8.3}",
            scores.psnr, scores.ssim, scores.ie
        ))
    })
}

fn speed(args: &BenchmarkArgs, interpolator: &Interpolator, cancel: &CancelToken) -> Result<()> {
    let speed = benchmark::measure(interpolator, args.size, args.runs.into(), cancel)?;
    if args.json {
        return json_line(&speed);
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

fn json_line(value: &impl serde::Serialize) -> Result<()> {
    output::line(&serde_json::to_string(value).unwrap_or_default())
}
