//! Whether still things stay still: an overlay of text-like marks on moving pictures, and pairs of equal frames.

use num_rational::Ratio;
use rife_media::{CancelToken, Ffmpeg, RgbImage, minterpolate};
use serde::Serialize;

use super::{DataSet, Sample};
use crate::metrics::{psnr_of, round8};
use crate::{Error, Interpolator, Result};

/// How still things stay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StillScores {
    /// PSNR over the overlay's pixels in dB.
    pub overlay_psnr: f64,
    /// Between two equal frames: share of pixels whose channels all come back within 1 of 255.
    pub equal_share: f64,
}

/// How still things fared over a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Still {
    /// How many pairs.
    pub count: usize,
    /// The overlay's share of the picture, 0 to 1.
    pub overlay_share: f64,
    /// Over all pairs.
    #[serde(flatten)]
    pub all: StillScores,
    /// The worst of the pairs in each.
    pub worst: StillScores,
    /// Those of ffmpeg's minterpolate over all pairs, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minterpolate: Option<StillScores>,
    /// Each pair's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<StillItem>,
}

/// How still things fared in one pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StillItem {
    /// Its name in the set.
    pub name: String,
    /// The model's.
    #[serde(flatten)]
    pub scores: StillScores,
    /// Those of ffmpeg's minterpolate, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minterpolate: Option<StillScores>,
}

impl StillScores {
    /// Over all pairs: PSNR of the mean squared error, so that exact pairs do not hide others, and the mean share.
    fn of_all(scores: &[Self]) -> Self {
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / scores.len().max(1) as f64;
        let squares = |s: &Self| 10.0_f64.powf(-s.overlay_psnr / 10.0);
        Self {
            overlay_psnr: psnr_of(mean(&mut scores.iter().map(squares))),
            equal_share: mean(&mut scores.iter().map(|s| s.equal_share)),
        }
    }

    /// The worst of each.
    fn worst(scores: &[Self]) -> Self {
        let least = |of: fn(&Self) -> f64| scores.iter().map(of).fold(f64::INFINITY, f64::min);
        Self {
            overlay_psnr: least(|s| s.overlay_psnr),
            equal_share: least(|s| s.equal_share),
        }
    }
}

/// Measures over the samples of a set, at their first target's time: the overlay that was put on both frames, and
/// what comes between the first frame and itself; with `ffmpeg`, also as its minterpolate makes them.
///
/// # Errors
/// Those of reading and interpolating; [`Error::Cancelled`].
pub fn still(
    set: &DataSet,
    interpolator: &Interpolator,
    ffmpeg: Option<&Ffmpeg>,
    progress: &mut dyn FnMut(&StillItem),
    cancel: &CancelToken,
) -> Result<Still> {
    let (mut items, mut share) = (Vec::new(), 0.0);
    for sample in &set.samples {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let (item, covered) = measure(set, sample, interpolator, ffmpeg, cancel)?;
        progress(&item);
        items.push(item);
        share += covered;
    }
    let ours: Vec<StillScores> = items.iter().map(|item| item.scores).collect();
    let theirs: Vec<StillScores> = items.iter().filter_map(|item| item.minterpolate).collect();
    Ok(Still {
        count: items.len(),
        overlay_share: share / items.len().max(1) as f64,
        all: StillScores::of_all(&ours),
        worst: StillScores::worst(&ours),
        minterpolate: (!theirs.is_empty()).then(|| StillScores::of_all(&theirs)),
        items,
    })
}

fn measure(
    set: &DataSet,
    sample: &Sample,
    interpolator: &Interpolator,
    ffmpeg: Option<&Ffmpeg>,
    cancel: &CancelToken,
) -> Result<(StillItem, f64)> {
    let [first, second] = set.ends(sample)?;
    let overlay = Overlay::new(first.width as usize, first.height as usize);
    let marked = [overlay.on(&first), overlay.on(&second)];
    let target = sample.targets.first();
    let time = target.map_or(Ratio::new(1, 2), |target| target.time);
    let scores = |middle: &dyn Fn([&RgbImage; 2]) -> Result<RgbImage>| {
        let (mut made, mut same) = (middle([&marked[0], &marked[1]])?, middle([&first, &first])?);
        round8(&mut made.data);
        round8(&mut same.data);
        Ok::<_, Error>(StillScores {
            overlay_psnr: overlay.psnr(&made, &marked[0]),
            equal_share: share_within_one(&same, &first),
        })
    };
    let factor = sample.targets.len() as u32 + 1;
    let theirs = ffmpeg.map(|ffmpeg| {
        scores(&|pair| {
            let made = minterpolate(ffmpeg, pair, factor, cancel)?;
            made.into_iter().next().ok_or(Error::Stage("interpolation"))
        })
    });
    let item = StillItem {
        name: target.map(|target| target.name.clone()).unwrap_or_default(),
        scores: scores(&|pair| set.protocol().interpolate(interpolator, pair, time))?,
        minterpolate: theirs.transpose()?,
    };
    Ok((item, overlay.share()))
}

/// The share of pixels whose channels all differ by at most 1 of 255.
fn share_within_one(a: &RgbImage, b: &RgbImage) -> f64 {
    let area = a.data.len() / 3;
    let close = |i: usize| (255.0 * (a.data[i] - b.data[i])).abs() < 1.5;
    let within = (0..area)
        .filter(|&i| close(i) && close(area + i) && close(2 * area + i))
        .count();
    within as f64 / area.max(1) as f64
}

/// White marks with black outlines, as subtitles and logos have: what each pixel is, if it is of the overlay.
struct Overlay {
    pixels: Vec<Option<f32>>,
}

/// Dots of a mark, and from one mark to the next.
const MARK: [usize; 2] = [5, 7];
const PITCH: usize = 7;

impl Overlay {
    /// Two lines below, as subtitles are, and one above; dots grow with the picture.
    fn new(width: usize, height: usize) -> Self {
        let dot = (height / 128).max(1);
        let inked = |x: usize, y: usize| Self::ink(x, y, dot, width, height);
        let pixel = |index: usize| {
            let (x, y) = (index % width, index / width);
            let around = |reach: usize| {
                let (left, top) = (x.saturating_sub(reach), y.saturating_sub(reach));
                (top..=y + reach).any(|y| (left..=x + reach).any(|x| inked(x, y)))
            };
            if inked(x, y) {
                Some(1.0)
            } else {
                around(dot).then_some(0.0)
            }
        };
        Self {
            pixels: (0..width * height).map(pixel).collect(),
        }
    }

    /// Whether there is a mark's dot.
    fn ink(x: usize, y: usize, dot: usize, width: usize, height: usize) -> bool {
        let lines = [height / 12, height * 3 / 4, height * 3 / 4 + dot * (MARK[1] + 3)];
        let (start, end) = (width / 8, width * 7 / 8);
        let line = lines
            .iter()
            .position(|top| (*top..top + dot * MARK[1]).contains(&y));
        let Some(line) = line.filter(|_| (start..end).contains(&x)) else {
            return false;
        };
        let (column, row) = ((x - start) / dot, (y - lines[line]) / dot);
        let (mark, column) = (column / PITCH, column % PITCH);
        column < MARK[0] && dots(line * 131 + mark) >> (row * MARK[0] + column) & 1 == 1
    }

    /// The picture with the overlay on it.
    fn on(&self, image: &RgbImage) -> RgbImage {
        let mut data = image.data.clone();
        for plane in data.chunks_exact_mut(self.pixels.len()) {
            for (value, mark) in plane.iter_mut().zip(&self.pixels) {
                *value = mark.unwrap_or(*value);
            }
        }
        RgbImage::new(image.width, image.height, data)
    }

    /// PSNR over the overlay's pixels.
    fn psnr(&self, a: &RgbImage, b: &RgbImage) -> f64 {
        let of_overlay = |index: &usize| self.pixels[index % self.pixels.len()].is_some();
        let squares = (0..a.data.len())
            .filter(of_overlay)
            .map(|i| f64::from(a.data[i] - b.data[i]).powi(2));
        let count = 3 * self.pixels.iter().flatten().count();
        psnr_of(squares.sum::<f64>() / count.max(1) as f64)
    }

    fn share(&self) -> f64 {
        self.pixels.iter().flatten().count() as f64 / self.pixels.len().max(1) as f64
    }
}

/// 35 dots of a mark, about half of them set.
fn dots(seed: usize) -> u64 {
    let mut z = (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_covers_a_small_part_and_is_judged_alone() {
        let overlay = Overlay::new(256, 256);
        assert!((0.02..0.25).contains(&overlay.share()), "{}", overlay.share());
        let image = RgbImage::new(256, 256, vec![0.5; 3 << 16]);
        let marked = overlay.on(&image);
        assert!(marked.data.contains(&1.0) && marked.data.contains(&0.0) && marked.data.contains(&0.5));
        let other = overlay.on(&RgbImage::new(256, 256, vec![0.2; 3 << 16]));
        assert_eq!(
            overlay.psnr(&marked, &other),
            f64::INFINITY,
            "only the overlay counts"
        );
        assert!(overlay.psnr(&image, &marked) < 10.0);
    }

    #[test]
    fn an_exact_pair_does_not_hide_another() {
        let pair = |overlay_psnr| StillScores {
            overlay_psnr,
            equal_share: 1.0,
        };
        let all = StillScores::of_all(&[pair(f64::INFINITY), pair(20.0)]);
        assert!(
            (all.overlay_psnr - 23.01).abs() < 0.01,
            "half the squared error: {all:?}"
        );
        assert_eq!(StillScores::worst(&[pair(30.0), pair(20.0)]).overlay_psnr, 20.0);
    }

    #[test]
    fn a_pixel_is_within_one_in_every_channel() {
        let a = RgbImage::new(2, 1, vec![0.0; 6]);
        let b = RgbImage::new(2, 1, vec![1.0 / 255.0, 0.0, 0.0, 2.0 / 255.0, 0.0, 0.0]);
        assert_eq!(share_within_one(&a, &b), 0.5);
    }
}
