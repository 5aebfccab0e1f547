//! `rife benchmark`: quality over data sets or against a truth, evenness in time, stillness, and speed.

mod tables;

use std::path::Path;

use rife::benchmark::{self, Choice, Contest, DataSet, Quartering, Rival};
use rife::media::{CancelToken, Ffmpeg};
use rife::metrics::Lpips;
use rife::{Interpolator, Result};

use super::interpolator;
use crate::args::{BenchmarkArgs, OthersArgs};
use crate::output;

pub(super) use tables::against as print_against;

/// How often speed is measured, unless the user says.
const RUNS: u16 = 7;
/// That of the original's `testtime.py`.
const TESTTIME_RUNS: u16 = 100;

pub(crate) fn run(args: BenchmarkArgs, cancel: &CancelToken) -> Result<()> {
    if let [truth, result] = args.against.as_slice() {
        let found = benchmark::against(truth, result, args.factor.unwrap_or(2), cancel)?;
        return tables::against(&found, args.json);
    }
    let interpolator = || interpolator(&args.model, cancel);
    match args.folder.as_deref() {
        folder if args.steps => steps(&args, folder, &interpolator()?, cancel),
        Some(folder) if args.still => still(&args, folder, interpolator, cancel),
        Some(folder) => quality(&args, folder, interpolator, cancel),
        None => speed(&args, &interpolator()?, cancel),
    }
}

fn choice(args: &BenchmarkArgs) -> Choice {
    Choice {
        limit: args.limit.map(|limit| limit as usize),
        factor: args.factor,
        half: args.half,
    }
}

fn quality(
    args: &BenchmarkArgs,
    folder: &Path,
    interpolator: impl Fn() -> Result<Interpolator>,
    cancel: &CancelToken,
) -> Result<()> {
    let set = DataSet::open(folder, choice(args))?;
    let rivals = rivals(&args.others)?;
    let lpips = args.others.lpips.as_deref().map(Lpips::read).transpose()?;
    let contest = Contest {
        interpolator: &interpolator()?,
        rivals,
        lpips,
    };
    let verbose = args.verbose && !args.json;
    let mut print = |item: &benchmark::Item| {
        if verbose {
            output::note(&tables::item(item));
        }
    };
    let mut report = contest.run(&set, &mut print, cancel)?;
    if let (Some(count), Some(folder)) = (args.others.worst, args.others.pictures.as_deref()) {
        for file in benchmark::worst(&contest, &set, &report, count as usize, folder, cancel)? {
            output::note(&output::plain(&file.display().to_string()));
        }
    }
    if !args.verbose {
        report.items.clear();
    }
    tables::report(&report, args.json)
}

fn rivals(others: &OthersArgs) -> Result<Vec<Rival>> {
    let mut rivals = vec![Rival::Averaging];
    if others.minterpolate {
        rivals.push(Rival::Minterpolate(Ffmpeg::find()?));
    }
    for (name, folder) in &others.beside {
        rivals.push(Rival::folder(name, folder)?);
    }
    Ok(rivals)
}

fn still(
    args: &BenchmarkArgs,
    folder: &Path,
    interpolator: impl Fn() -> Result<Interpolator>,
    cancel: &CancelToken,
) -> Result<()> {
    let set = DataSet::open(folder, choice(args))?;
    let verbose = args.verbose && !args.json;
    let mut print = |item: &benchmark::StillItem| {
        if verbose {
            output::note(&tables::still_item(item));
        }
    };
    let ffmpeg = minterpolate(args)?;
    let mut still = benchmark::still(&set, &interpolator()?, ffmpeg.as_ref(), &mut print, cancel)?;
    if !args.verbose {
        still.items.clear();
    }
    tables::still(&still, args.json)
}

fn steps(
    args: &BenchmarkArgs,
    folder: Option<&Path>,
    interpolator: &Interpolator,
    cancel: &CancelToken,
) -> Result<()> {
    let ffmpeg = minterpolate(args)?;
    let steps = benchmark::steps(interpolator, args.factor.unwrap_or(8), ffmpeg.as_ref(), cancel)?;
    let quartering = Quartering {
        interpolator,
        ffmpeg: ffmpeg.as_ref(),
        limit: choice(args).limit,
    };
    let times = folder.map(|folder| quartering.run(folder, cancel));
    tables::steps(&steps, &times.transpose()?.unwrap_or_default(), args.json)
}

/// The ffmpeg whose minterpolate is wanted.
fn minterpolate(args: &BenchmarkArgs) -> Result<Option<Ffmpeg>> {
    Ok(args.others.minterpolate.then(Ffmpeg::find).transpose()?)
}

fn speed(args: &BenchmarkArgs, interpolator: &Interpolator, cancel: &CancelToken) -> Result<()> {
    if args.testtime {
        let runs = args.runs.unwrap_or(TESTTIME_RUNS);
        return tables::testtime(
            &benchmark::testtime(interpolator, runs.into(), cancel)?,
            args.json,
        );
    }
    let runs = args.runs.unwrap_or(RUNS);
    tables::speed(
        &benchmark::measure(interpolator, args.size, runs.into(), cancel)?,
        args.json,
    )
}
