//! The quality of a model over a set of triplets, by the protocols of the paper's scripts, beside frame averaging;
//! and its speed. Which folders are data sets is in `layout`.

mod against;
mod layout;
mod speed;

use std::path::Path;
use std::sync::Arc;

use num_rational::Ratio;
use rife_media::{CancelToken, Limits, RgbImage, read_image};
use serde::Serialize;

pub use against::{Against, against};
pub use layout::{DataSet, Layout, Triplet};
pub use speed::{Speed, measure};

use crate::metrics::{interpolation_error, psnr, round8, ssim};
use crate::{Error, Interpolator, Result};

/// Middlebury's frames are put on a black canvas of this size, as in the paper's script.
const MIDDLEBURY_CANVAS: [u32; 2] = [640, 480];

/// What a benchmark measures of one or of many triplets (means over them).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct Scores {
    /// Peak signal-to-noise ratio in dB.
    pub psnr: f64,
    /// Structural similarity.
    pub ssim: f64,
    /// Interpolation error: mean absolute difference in 8-bit levels.
    pub ie: f64,
}

impl Scores {
    /// Scores of a picture in 0..=1 against the truth; rounded to 8 bits first, except for SSIM in the layouts whose
    /// script does not round there.
    fn of(mut picture: Vec<f32>, truth: &RgbImage, layout: Layout) -> Self {
        let size = [truth.height as usize, truth.width as usize];
        let unrounded = (layout == Layout::Vimeo90k).then(|| ssim(&picture, &truth.data, size));
        round8(&mut picture);
        Self {
            psnr: psnr(&picture, &truth.data),
            ssim: unrounded.unwrap_or_else(|| ssim(&picture, &truth.data, size)),
            ie: interpolation_error(&picture, &truth.data),
        }
    }

    fn mean<'a>(scores: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let count = scores.clone().count().max(1) as f64;
        let mean = |value: fn(&Self) -> f64| scores.clone().map(value).sum::<f64>() / count;
        Self {
            psnr: mean(|s| s.psnr),
            ssim: mean(|s| s.ssim),
            ie: mean(|s| s.ie),
        }
    }
}

/// The scores of one triplet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Its name in the set.
    pub name: String,
    /// The model's.
    #[serde(flatten)]
    pub scores: Scores,
    /// Those of the mean of both frames.
    pub averaging: Scores,
}

/// The scores of a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The layout found.
    pub layout: Layout,
    /// The model and its options.
    pub model: String,
    /// Mean scores of the model.
    #[serde(flatten)]
    pub scores: Scores,
    /// How many triplets.
    pub count: usize,
    /// Mean scores of averaging both frames.
    pub averaging: Scores,
    /// Each triplet's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

/// Scores `interpolator` over the triplets of a data set; `progress` is told each item when it is done.
///
/// # Errors
/// Those of reading and interpolating, [`Error::Data`] for triplets of unequal sizes, [`Error::Cancelled`].
pub fn run(
    set: &DataSet,
    interpolator: &Interpolator,
    progress: &mut dyn FnMut(&Item),
    cancel: &CancelToken,
) -> Result<Report> {
    let mut items = Vec::with_capacity(set.triplets.len());
    for triplet in &set.triplets {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let item = score(triplet, set.layout, interpolator)?;
        progress(&item);
        items.push(item);
    }
    Ok(Report {
        layout: set.layout,
        model: interpolator.describe(),
        scores: Scores::mean(items.iter().map(|item| &item.scores)),
        count: items.len(),
        averaging: Scores::mean(items.iter().map(|item| &item.averaging)),
        items,
    })
}

fn score(triplet: &Triplet, layout: Layout, interpolator: &Interpolator) -> Result<Item> {
    let [first, truth, second] = [&triplet.first, &triplet.truth, &triplet.second].map(|path| read(path));
    let (first, truth, second) = (first?, truth?, second?);
    if [&first, &second]
        .iter()
        .any(|frame| (frame.width, frame.height) != (truth.width, truth.height))
    {
        return Err(Error::Data(format!(
            "the pictures of {} differ in size",
            triplet.name
        )));
    }
    let average = first.blend(&second, 0.5);
    let [width, height] = match layout {
        Layout::Middlebury => [
            truth.width.max(MIDDLEBURY_CANVAS[0]),
            truth.height.max(MIDDLEBURY_CANVAS[1]),
        ],
        _ => [truth.width, truth.height],
    };
    let prepared =
        [first, second].map(|frame| interpolator.prepare(Arc::new(on_canvas(&frame, width, height))));
    let [a, b] = prepared;
    let (a, b) = (a?, b?);
    let made = interpolator.between(&a, &b).at(Ratio::new(1, 2))?;
    let made = on_canvas(&made, truth.width, truth.height);
    Ok(Item {
        name: triplet.name.clone(),
        scores: Scores::of(made.data, &truth, layout),
        averaging: Scores::of(average.data, &truth, layout),
    })
}

fn read(path: &Path) -> Result<RgbImage> {
    let (frame, tags) = read_image(path, &Limits::default())?;
    Ok(RgbImage {
        alpha: None,
        ..frame.to_rgb(&tags)
    })
}

/// The picture at the top left of a black one of another size, cut where that is smaller.
fn on_canvas(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    if (image.width, image.height) == (width, height) {
        return image.clone();
    }
    let (from, to) = (image.width as usize, width as usize);
    let mut data = vec![0.0; 3 * to * height as usize];
    let planes = image.data.chunks_exact(from * image.height as usize);
    for (source, target) in planes.zip(data.chunks_exact_mut(to * height as usize)) {
        for (source, target) in source.chunks_exact(from).zip(target.chunks_exact_mut(to)) {
            let count = from.min(to);
            target[..count].copy_from_slice(&source[..count]);
        }
    }
    RgbImage::new(width, height, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canvas_keeps_the_picture_at_its_top_left() {
        let image = RgbImage::new(2, 2, (0..12).map(|v| v as f32).collect());
        let large = on_canvas(&image, 3, 4);
        assert_eq!(large.data[..9], [0.0, 1.0, 0.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(on_canvas(&large, 2, 2), image);
    }

    #[test]
    fn means_are_over_items() {
        let item = |psnr| Scores {
            psnr,
            ssim: 0.5,
            ie: 1.0,
        };
        let mean = Scores::mean([item(30.0), item(40.0)].iter());
        assert_eq!(mean, item(35.0));
    }
}
