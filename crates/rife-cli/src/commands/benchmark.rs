//! `rife benchmark`: quality over data sets or against a true clip, evenness of motion, stability of static content, speed.

mod tables;

use std::path::Path;

use rife::media::{CancelToken, Ffmpeg};
use rife::{Interpolator, Result};
use rife_eval::benchmark::{
    self, Baseline, ClipTriplets, DataSet, DataSetOptions, QualityBenchmark, QuarterBenchmark, TripletOptions,
};
use rife_eval::metrics::Lpips;

use super::interpolator;
use crate::args::{BenchmarkArgs, QualityArgs};
use crate::output;

pub(super) use tables::against as print_against;

/// Default number of timed runs.
const RUNS: u16 = 7;
/// Default number of timed runs with `--testtime`, as in the original's `testtime.py`.
const TESTTIME_RUNS: u16 = 100;

/// Runs the benchmark that the options select and prints its result.
pub(crate) fn run(args: BenchmarkArgs, cancel: &CancelToken) -> Result<()> {
    if let [truth, result] = args.against.as_slice() {
        let found = benchmark::compare_clips(truth, result, args.factor.unwrap_or(2), cancel)?;
        return tables::against(&found, args.json);
    }
    if let (Some(folder), false) = (args.folder.as_deref(), args.triplets_of.is_empty()) {
        cut(&args, folder, cancel)?;
    }
    let interpolator = || interpolator(&args.model, cancel);
    match args.folder.as_deref() {
        folder if args.steps => steps(&args, folder, &interpolator()?, cancel),
        Some(folder) if args.still => still(&args, folder, interpolator, cancel),
        Some(folder) => quality(&args, folder, interpolator, cancel),
        None => speed(&args, &interpolator()?, cancel),
    }
}

/// Converts the options of reading a data set.
fn data_set_options(args: &BenchmarkArgs) -> DataSetOptions {
    DataSetOptions {
        limit: args.limit.map(|limit| limit as usize),
        factor: args.factor,
        half: args.half,
    }
}

/// Cuts the data set in `folder` from clips.
fn cut(args: &BenchmarkArgs, folder: &Path, cancel: &CancelToken) -> Result<()> {
    let options = TripletOptions {
        per_clip: args.triplets.per_clip.into(),
        lines: args.triplets.lines,
        context: args.triplets.context,
    };
    let mut print = |clip: &ClipTriplets| {
        if let Some(reason) = &clip.failed {
            output::note(&format!(
                "warning: {} is left out: {}",
                output::plain(&clip.clip),
                output::plain(reason)
            ));
        } else if args.verbose {
            let name = output::plain(&clip.clip);
            output::note(&format!(
                "{name}: {} frames, {} triplets",
                clip.frames, clip.triplets
            ));
        }
    };
    benchmark::cut_triplets(&args.triplets_of, folder, options, &mut print, cancel)
}

/// Scores model and baselines over the data set in `folder`.
fn quality(
    args: &BenchmarkArgs,
    folder: &Path,
    interpolator: impl Fn() -> Result<Interpolator>,
    cancel: &CancelToken,
) -> Result<()> {
    let set = DataSet::open(folder, data_set_options(args))?;
    let baselines = baselines(&args.quality)?;
    let lpips = args.quality.lpips.as_deref().map(Lpips::read).transpose()?;
    let quality = QualityBenchmark {
        interpolator: &interpolator()?,
        baselines,
        lpips,
    };
    let verbose = args.verbose && !args.json;
    let mut print = |item: &benchmark::Item| {
        if verbose {
            output::say(&tables::item(item));
        }
    };
    let mut report = quality.run(&set, &mut print, cancel)?;
    if let (Some(count), Some(folder)) = (args.quality.worst, args.quality.pictures.as_deref()) {
        for file in benchmark::write_worst(&quality, &set, &report, count as usize, folder, cancel)? {
            output::say(&output::plain(&file.display().to_string()));
        }
    }
    if !args.verbose {
        report.items.clear();
    }
    tables::report(&report, args.json)
}

/// Returns the baselines that the options select; averaging is always one.
fn baselines(quality: &QualityArgs) -> Result<Vec<Baseline>> {
    let mut baselines = vec![Baseline::Averaging];
    if quality.minterpolate {
        baselines.push(Baseline::Minterpolate(Ffmpeg::find()?));
    }
    for (name, folder) in &quality.beside {
        baselines.push(Baseline::folder(name, folder)?);
    }
    Ok(baselines)
}

/// Scores static content over the data set in `folder`.
fn still(
    args: &BenchmarkArgs,
    folder: &Path,
    interpolator: impl Fn() -> Result<Interpolator>,
    cancel: &CancelToken,
) -> Result<()> {
    let set = DataSet::open(folder, data_set_options(args))?;
    let verbose = args.verbose && !args.json;
    let mut print = |item: &benchmark::StillItem| {
        if verbose {
            output::say(&tables::still_item(item));
        }
    };
    let ffmpeg = minterpolate(args)?;
    let mut still = benchmark::measure_still(&set, &interpolator()?, ffmpeg.as_ref(), &mut print, cancel)?;
    if !args.verbose {
        still.items.clear();
    }
    tables::still(&still, args.json)
}

/// Measures evenness of motion, and with a `folder` of sequences the quality at 1/4, 1/2 and 3/4.
fn steps(
    args: &BenchmarkArgs,
    folder: Option<&Path>,
    interpolator: &Interpolator,
    cancel: &CancelToken,
) -> Result<()> {
    let ffmpeg = minterpolate(args)?;
    let steps = benchmark::measure_steps(interpolator, args.factor.unwrap_or(8), ffmpeg.as_ref(), cancel)?;
    let quarters = QuarterBenchmark {
        interpolator,
        ffmpeg: ffmpeg.as_ref(),
        limit: data_set_options(args).limit,
    };
    let times = folder.map(|folder| quarters.run(folder, cancel));
    tables::steps(&steps, &times.transpose()?.unwrap_or_default(), args.json)
}

/// Finds ffmpeg if `--minterpolate` is given.
fn minterpolate(args: &BenchmarkArgs) -> Result<Option<Ffmpeg>> {
    Ok(args.quality.minterpolate.then(Ffmpeg::find).transpose()?)
}

/// Measures speed by pairs of a video or, with `--testtime`, as the original's script does.
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
        &benchmark::measure_speed(interpolator, args.size, runs.into(), cancel)?,
        args.json,
    )
}
