//! Stability of static content: PSNR of a static, text-like overlay on moving frames, and exactness of the frame between two
//! equal frames.

use num_rational::Ratio;
use rife::media::{CancelToken, Ffmpeg, RgbImage, minterpolate};
use serde::Serialize;

use super::{DataSet, Sample};
use crate::metrics::{psnr_of, round8};
use rife::{Error, Interpolator, Result};

/// Scores of static content.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StillScores {
    /// PSNR in dB over the pixels of a static overlay on moving frames.
    pub overlay_psnr: f64,
    /// For the frame between two equal frames: fraction of pixels that differ by at most 1 of 255 in every channel.
    pub equal_share: f64,
}

/// Scores of static content over a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Still {
    /// Number of pairs.
    pub count: usize,
    /// Mean fraction of a frame that the overlay covers, 0..=1.
    pub overlay_share: f64,
    /// The model's scores over all pairs.
    #[serde(flatten)]
    pub all: StillScores,
    /// The model's minimum of each score.
    pub worst: StillScores,
    /// The scores of ffmpeg's minterpolate over all pairs, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minterpolate: Option<StillScores>,
    /// The scores of each pair.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<StillItem>,
}

/// Scores of static content in one pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StillItem {
    /// The name of the pair's first target in the set.
    pub name: String,
    /// The model's scores.
    #[serde(flatten)]
    pub scores: StillScores,
    /// The scores of ffmpeg's minterpolate, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minterpolate: Option<StillScores>,
}

impl StillScores {
    /// Combines the scores of all pairs: PSNR of the mean squared error, so that exact pairs do not hide others, and the mean
    /// fraction of equal pixels.
    fn of_all(scores: &[Self]) -> Self {
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / scores.len().max(1) as f64;
        let squares = |s: &Self| 10.0_f64.powf(-s.overlay_psnr / 10.0);
        Self {
            overlay_psnr: psnr_of(mean(&mut scores.iter().map(squares))),
            equal_share: mean(&mut scores.iter().map(|s| s.equal_share)),
        }
    }

    /// Returns the minimum of each score.
    fn worst(scores: &[Self]) -> Self {
        let min = |of: fn(&Self) -> f64| scores.iter().map(of).fold(f64::INFINITY, f64::min);
        Self {
            overlay_psnr: min(|s| s.overlay_psnr),
            equal_share: min(|s| s.equal_share),
        }
    }
}

/// Interpolates each sample of a set at its first target's time, once with a static overlay on both frames and once between
/// the first frame and itself, and scores both; with `ffmpeg`, also for its minterpolate filter. `progress` is called with
/// each pair's scores.
///
/// # Errors
/// Those of reading and interpolating; [`Error::Cancelled`].
pub fn measure_still(
    set: &DataSet,
    interpolator: &Interpolator,
    ffmpeg: Option<&Ffmpeg>,
    progress: &mut dyn FnMut(&StillItem),
    cancel: &CancelToken,
) -> Result<Still> {
    let (mut items, mut covered) = (Vec::new(), 0.0);
    for sample in &set.samples {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let (item, fraction) = measure_pair(set, sample, interpolator, ffmpeg, cancel)?;
        progress(&item);
        items.push(item);
        covered += fraction;
    }
    let ours: Vec<StillScores> = items.iter().map(|item| item.scores).collect();
    let theirs: Vec<StillScores> = items.iter().filter_map(|item| item.minterpolate).collect();
    Ok(Still {
        count: items.len(),
        overlay_share: covered / items.len().max(1) as f64,
        all: StillScores::of_all(&ours),
        worst: StillScores::worst(&ours),
        minterpolate: (!theirs.is_empty()).then(|| StillScores::of_all(&theirs)),
        items,
    })
}

/// Scores one sample; also returns the fraction of the frame that the overlay covers.
fn measure_pair(
    set: &DataSet,
    sample: &Sample,
    interpolator: &Interpolator,
    ffmpeg: Option<&Ffmpeg>,
    cancel: &CancelToken,
) -> Result<(StillItem, f64)> {
    let [first, second] = set.ends(sample)?;
    let overlay = Overlay::new(first.width as usize, first.height as usize);
    let overlaid = [overlay.draw_on(&first), overlay.draw_on(&second)];
    let target = sample.targets.first();
    let time = target.map_or(Ratio::new(1, 2), |target| target.time);
    let scores = |middle: &dyn Fn([&RgbImage; 2]) -> Result<RgbImage>| {
        let (mut made, mut same) = (middle([&overlaid[0], &overlaid[1]])?, middle([&first, &first])?);
        round8(&mut made.data);
        round8(&mut same.data);
        Ok::<_, Error>(StillScores {
            overlay_psnr: overlay.psnr(&made, &overlaid[0]),
            equal_share: fraction_within_one(&same, &first),
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
    Ok((item, overlay.coverage()))
}

/// Returns the fraction of pixels that differ by at most 1 of 255 in every channel.
fn fraction_within_one(a: &RgbImage, b: &RgbImage) -> f64 {
    let area = a.data.len() / 3;
    let close = |i: usize| (255.0 * (a.data[i] - b.data[i])).abs() < 1.5;
    let within = (0..area)
        .filter(|&i| close(i) && close(area + i) && close(2 * area + i))
        .count();
    within as f64 / area.max(1) as f64
}

/// A text-like overlay: random dot-matrix glyphs, white with black outlines, as in subtitles and logos.
struct Overlay {
    /// The grey value of each pixel, row by row; `None` outside the overlay.
    pixels: Vec<Option<f32>>,
}

/// Columns and rows of dots of a glyph.
const GLYPH: [usize; 2] = [5, 7];
/// Distance from a glyph to the next in dots.
const PITCH: usize = 7;

impl Overlay {
    /// Draws three lines of glyphs, two near the bottom and one near the top; the size of dots is proportional to `height`.
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

    /// Reports whether the pixel at `x`, `y` is inside a dot of a glyph; `dot` is the side of a dot in pixels.
    fn ink(x: usize, y: usize, dot: usize, width: usize, height: usize) -> bool {
        let lines = [height / 12, height * 3 / 4, height * 3 / 4 + dot * (GLYPH[1] + 3)];
        let (start, end) = (width / 8, width * 7 / 8);
        let line = lines
            .iter()
            .position(|top| (*top..top + dot * GLYPH[1]).contains(&y));
        let Some(line) = line.filter(|_| (start..end).contains(&x)) else {
            return false;
        };
        let (column, row) = ((x - start) / dot, (y - lines[line]) / dot);
        let (glyph, column) = (column / PITCH, column % PITCH);
        column < GLYPH[0] && dots(line * 131 + glyph) >> (row * GLYPH[0] + column) & 1 == 1
    }

    /// Returns a copy of the image with the overlay drawn on it.
    fn draw_on(&self, image: &RgbImage) -> RgbImage {
        let mut data = image.data.clone();
        for plane in data.chunks_exact_mut(self.pixels.len()) {
            for (value, overlay) in plane.iter_mut().zip(&self.pixels) {
                *value = overlay.unwrap_or(*value);
            }
        }
        RgbImage::new(image.width, image.height, data)
    }

    /// Returns the PSNR in dB over the overlay's pixels.
    fn psnr(&self, a: &RgbImage, b: &RgbImage) -> f64 {
        let of_overlay = |index: &usize| self.pixels[index % self.pixels.len()].is_some();
        let squares = (0..a.data.len())
            .filter(of_overlay)
            .map(|i| f64::from(a.data[i] - b.data[i]).powi(2));
        let count = 3 * self.pixels.iter().flatten().count();
        psnr_of(squares.sum::<f64>() / count.max(1) as f64)
    }

    /// Returns the fraction of pixels that the overlay covers.
    fn coverage(&self) -> f64 {
        self.pixels.iter().flatten().count() as f64 / self.pixels.len().max(1) as f64
    }
}

/// Returns the 35 dots of a pseudo-random glyph as bits, about half of them set.
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
        assert!(
            (0.02..0.25).contains(&overlay.coverage()),
            "{}",
            overlay.coverage()
        );
        let image = RgbImage::new(256, 256, vec![0.5; 3 << 16]);
        let marked = overlay.draw_on(&image);
        assert!(marked.data.contains(&1.0) && marked.data.contains(&0.0) && marked.data.contains(&0.5));
        let other = overlay.draw_on(&RgbImage::new(256, 256, vec![0.2; 3 << 16]));
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
        assert_eq!(fraction_within_one(&a, &b), 0.5);
    }
}
