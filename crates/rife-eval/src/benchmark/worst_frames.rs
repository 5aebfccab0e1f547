//! Image files of a benchmark's worst frames: interpolated frame, ground truth and difference, side by side.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rife::media::sink::write_image;
use rife::media::{CancelToken, ColorTags, Frame, PixelFormat, RgbImage};

use super::{DataSet, QualityBenchmark, Report};
use crate::sample::row;
use rife::{Error, Result};

/// Factor by which differences are amplified.
const GAIN: f32 = 4.0;

/// Writes PNG files of the `count` frames with the lowest PSNR into `folder`, worst first: from left to right the model's
/// frame, the truth, and their difference amplified four times around grey. Returns the files' paths.
///
/// # Errors
/// Those of interpolating the frames again and of writing; [`Error::Cancelled`].
pub fn write_worst(
    benchmark: &QualityBenchmark<'_>,
    set: &DataSet,
    report: &Report,
    count: usize,
    folder: &Path,
    cancel: &CancelToken,
) -> Result<Vec<PathBuf>> {
    let mut items: Vec<_> = report.items.iter().collect();
    items.sort_by(|a, b| a.comparison.scores.psnr.total_cmp(&b.comparison.scores.psnr));
    fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let mut files = Vec::new();
    for (rank, item) in items.iter().take(count).enumerate() {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let name = item.name.replace('/', "_");
        let file = folder.join(format!(
            "{:02}_{:.2}dB_{name}.png",
            rank + 1,
            item.comparison.scores.psnr
        ));
        let picture = compare(benchmark, set, &item.name)?;
        let frame = Frame::from_rgb(&picture, PixelFormat::RGB8, &ColorTags::SRGB);
        write_image(&file, &frame, &ColorTags::SRGB, true)?;
        files.push(file);
    }
    Ok(files)
}

/// Draws interpolated frame, truth and difference of the target `name` side by side.
fn compare(benchmark: &QualityBenchmark<'_>, set: &DataSet, name: &str) -> Result<RgbImage> {
    let of_name = |sample: &&super::Sample| sample.targets.iter().any(|target| target.name == name);
    let sample = set.samples.iter().find(of_name);
    let target = sample.and_then(|sample| sample.targets.iter().find(|target| target.name == name));
    let (Some(sample), Some(target)) = (sample, target) else {
        return Err(Error::Data(format!("{name} is not in this set")));
    };
    let [first, second] = set.ends(sample)?;
    let truth = set.truth(sample, target, &first)?;
    let made = set
        .protocol()
        .interpolate(benchmark.interpolator, [&first, &second], target.time)?;
    let difference = made
        .data
        .iter()
        .zip(&truth.data)
        .map(|(made, truth)| 0.5 + GAIN * (made - truth))
        .collect();
    let difference = RgbImage::new(truth.width, truth.height, difference);
    Ok(row(&[&Arc::new(made), &Arc::new(truth), &Arc::new(difference)]))
}
