//! The worst frames of a report as pictures: what was made, the truth, and their difference.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rife_media::sink::write_image;
use rife_media::{CancelToken, ColorTags, Frame, PixelFormat, RgbImage};

use super::{Contest, DataSet, Report};
use crate::sample::row;
use crate::{Error, Result};

/// How much stronger differences are shown than they are.
const GAIN: f32 = 4.0;

/// Writes the `count` frames of lowest PSNR into `folder`, worst first: from left to right what the model made, the
/// truth, and their difference four times as strong around gray. Returns the files.
///
/// # Errors
/// Those of making the frames anew and of writing; [`Error::Cancelled`].
pub fn worst(
    contest: &Contest<'_>,
    set: &DataSet,
    report: &Report,
    count: usize,
    folder: &Path,
    cancel: &CancelToken,
) -> Result<Vec<PathBuf>> {
    let mut items: Vec<_> = report.items.iter().collect();
    items.sort_by(|a, b| a.figures.scores.psnr.total_cmp(&b.figures.scores.psnr));
    fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let mut files = Vec::new();
    for (place, item) in items.iter().take(count).enumerate() {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let name = item.name.replace('/', "_");
        let file = folder.join(format!(
            "{:02}_{:.2}dB_{name}.png",
            place + 1,
            item.figures.scores.psnr
        ));
        let picture = compare(contest, set, &item.name)?;
        let frame = Frame::from_rgb(&picture, PixelFormat::RGB8, &ColorTags::SRGB);
        write_image(&file, &frame, &ColorTags::SRGB, true)?;
        files.push(file);
    }
    Ok(files)
}

/// Made, truth and difference of the target of this name.
fn compare(contest: &Contest<'_>, set: &DataSet, name: &str) -> Result<RgbImage> {
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
        .interpolate(contest.interpolator, [&first, &second], target.time)?;
    let difference = made
        .data
        .iter()
        .zip(&truth.data)
        .map(|(made, truth)| 0.5 + GAIN * (made - truth))
        .collect();
    let difference = RgbImage::new(truth.width, truth.height, difference);
    Ok(row(&[&Arc::new(made), &Arc::new(truth), &Arc::new(difference)]))
}
