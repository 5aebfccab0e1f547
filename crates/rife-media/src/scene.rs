//! Scene analysis of a stream of frames: shot boundary detection ([`Analysis`]), repeated frames, and static overlays
//! ([`Overlays`]), from the similarity of consecutive frames.
//!
//! Similarity is that of RIFE's `inference_video.py` ([`Miniature`]): both images are sampled bilinearly at 32x32
//! points (no antialiasing) and compared by SSIM with an 11-tap Gaussian of sigma 1.5 over columns, rows and
//! colour channels, edges replicated, for a peak of 1. Between two images alone, a cut is an SSIM below 0.2, as in RIFE.
//! In a stream, [`Analysis`] also compares with the frames before and after.

mod analysis;
mod cadence;
mod cut_list;
mod cuts;
mod detail;
mod overlay;
mod window;

use crate::RgbImage;

pub use analysis::{Analysis, AnalysisOptions, CutRule, FrameFeatures, Role, Verdict};
pub use cadence::MAX_APART;
pub use cut_list::{CutList, CutPosition, DetectedCut};
pub use detail::Detail;
pub use overlay::{Overlay, Overlays};

/// The default similarity (SSIM) below which [`CutRule::Detect`] considers a cut.
pub const DETECTED_BELOW: f32 = 0.4;

/// Width and height of the miniatures in samples.
const SIDE: usize = 32;
/// Number of taps of the Gaussian on each side of its centre.
const RADIUS: usize = 5;

/// The criterion for a cut between two images without neighbouring frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneOptions {
    /// SSIM below this is a cut; 0 or less turns cut detection off. Default 0.2.
    pub cut: f32,
}

impl Default for SceneOptions {
    fn default() -> Self {
        Self { cut: 0.2 }
    }
}

impl SceneOptions {
    /// Reports whether two images of this similarity (SSIM) are separated by a cut.
    pub fn is_cut(&self, similarity: f32) -> bool {
        self.cut > 0.0 && similarity < self.cut
    }
}

/// A 32x32 RGB thumbnail of a frame; computed once per frame and compared with both neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct Miniature {
    /// Planar RGB, [3, 32, 32], 0 to 1.
    values: Vec<f32>,
}

impl Miniature {
    /// Samples `image` bilinearly at 32x32 points; values are clamped to 0 to 1.
    pub fn new(image: &RgbImage) -> Self {
        let (width, height) = (image.width as usize, image.height as usize);
        let columns: Vec<_> = (0..SIDE).map(|x| sample_point(x, width)).collect();
        let mut values = Vec::with_capacity(3 * SIDE * SIDE);
        for channel in image.channels() {
            for y in 0..SIDE {
                let (y0, y1, fy) = sample_point(y, height);
                for &(x0, x1, fx) in &columns {
                    let at = |x: usize, y: usize| channel[y * width + x].clamp(0.0, 1.0);
                    let top = at(x0, y0) * (1.0 - fx) + at(x1, y0) * fx;
                    let bottom = at(x0, y1) * (1.0 - fx) + at(x1, y1) * fx;
                    values.push(top * (1.0 - fy) + bottom * fy);
                }
            }
        }
        Self { values }
    }

    /// Computes the SSIM of two miniatures: 1 for equal ones, about 0 for unrelated ones, at least -1.
    pub fn similarity(&self, other: &Self) -> f32 {
        ssim(&self.values, &other.values)
    }

    /// Computes the mean absolute difference of two miniatures, 0 to 1.
    pub fn difference(&self, other: &Self) -> f32 {
        let sum: f32 = self
            .values
            .iter()
            .zip(&other.values)
            .map(|(a, b)| (a - b).abs())
            .sum();
        sum / self.values.len() as f32
    }
}

/// Computes the SSIM of the 32x32 miniatures of two images of any sizes.
pub fn similarity(a: &RgbImage, b: &RgbImage) -> f32 {
    Miniature::new(a).similarity(&Miniature::new(b))
}

/// Returns the two pixel indices and the bilinear weight of the second one for sample `index` of 32 over `size` pixels.
fn sample_point(index: usize, size: usize) -> (usize, usize, f32) {
    let at = ((index as f32 + 0.5) * size as f32 / SIDE as f32 - 0.5).max(0.0);
    let low = (at as usize).min(size - 1);
    (low, (low + 1).min(size - 1), at - low as f32)
}

/// Computes the mean SSIM of two [3, 32, 32] arrays of values 0 to 1.
fn ssim(a: &[f32], b: &[f32]) -> f32 {
    const C1: f32 = 0.01 * 0.01;
    const C2: f32 = 0.03 * 0.03;
    let product = |x: &[f32], y: &[f32]| -> Vec<f32> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
    let (mean_a, mean_b) = (blur(a), blur(b));
    let (aa, bb, ab) = (blur(&product(a, a)), blur(&product(b, b)), blur(&product(a, b)));
    let value = |i: usize| {
        let (ma, mb) = (mean_a[i], mean_b[i]);
        let (va, vb, cov) = (aa[i] - ma * ma, bb[i] - mb * mb, ab[i] - ma * mb);
        ((2.0 * ma * mb + C1) * (2.0 * cov + C2)) / ((ma * ma + mb * mb + C1) * (va + vb + C2))
    };
    let sum: f64 = (0..a.len()).map(|i| f64::from(value(i))).sum();
    (sum / a.len() as f64) as f32
}

/// Applies the separable Gaussian to a [3, 32, 32] array over columns, rows and channels, with replicated edges.
fn blur(values: &[f32]) -> Vec<f32> {
    let weights = gaussian();
    let pass = |values: &[f32], stride: usize, length: usize| -> Vec<f32> {
        let tap = |i: usize, k: usize| {
            let position = (i / stride) % length;
            let shifted = (position + k).saturating_sub(RADIUS).min(length - 1);
            values[i + shifted * stride - position * stride]
        };
        let sum = |i: usize| weights.iter().enumerate().map(|(k, w)| w * tap(i, k)).sum();
        (0..values.len()).map(sum).collect()
    };
    pass(&pass(&pass(values, 1, SIDE), SIDE, SIDE), SIDE * SIDE, 3)
}

/// Returns the normalised 11-tap Gaussian of sigma 1.5.
fn gaussian() -> [f32; 2 * RADIUS + 1] {
    let mut weights = [0.0_f64; 2 * RADIUS + 1];
    for (k, weight) in weights.iter_mut().enumerate() {
        let x = k as f64 - RADIUS as f64;
        *weight = (-x * x / (2.0 * 1.5 * 1.5)).exp();
    }
    let sum: f64 = weights.iter().sum();
    weights.map(|w| (w / sum) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, value: impl Fn(u32, u32, u32) -> f32) -> RgbImage {
        let mut data = Vec::new();
        for c in 0..3 {
            data.extend(
                (0..height)
                    .flat_map(|y| (0..width).map(move |x| (x, y)))
                    .map(|(x, y)| value(c, x, y)),
            );
        }
        RgbImage::new(width, height, data)
    }

    /// SSIM by the definition: a full 11x11x11 Gaussian over a padded volume.
    fn reference(a: &[f32], b: &[f32]) -> f64 {
        let w: Vec<f64> = gaussian().iter().map(|&w| f64::from(w)).collect();
        let mean = |f: &dyn Fn(usize) -> f64, c: usize, y: usize, x: usize| {
            let mut sum = 0.0;
            for (k, wk) in w.iter().enumerate() {
                for (j, wj) in w.iter().enumerate() {
                    for (i, wi) in w.iter().enumerate() {
                        let at = |base: usize, tap: usize, size: usize| {
                            (base + tap).saturating_sub(5).min(size - 1)
                        };
                        sum += wk * wj * wi * f((at(c, k, 3) * 32 + at(y, j, 32)) * 32 + at(x, i, 32));
                    }
                }
            }
            sum
        };
        let (a, b) = (|i: usize| f64::from(a[i]), |i: usize| f64::from(b[i]));
        let mut total = 0.0;
        for i in (0..3 * 32 * 32).step_by(7) {
            let (c, y, x) = (i / 1024, i / 32 % 32, i % 32);
            let (ma, mb) = (mean(&a, c, y, x), mean(&b, c, y, x));
            let va = mean(&|i| a(i) * a(i), c, y, x) - ma * ma;
            let vb = mean(&|i| b(i) * b(i), c, y, x) - mb * mb;
            let cov = mean(&|i| a(i) * b(i), c, y, x) - ma * mb;
            total += ((2.0 * ma * mb + 1e-4) * (2.0 * cov + 9e-4))
                / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4));
        }
        total / (3 * 32 * 32_usize).div_ceil(7) as f64
    }

    #[test]
    fn agrees_with_the_definition() {
        let a = picture(32, 32, |c, x, y| ((x * 3 + y * 5 + c * 7) % 17) as f32 / 17.0);
        let b = picture(32, 32, |c, x, y| ((x * 3 + y * 4 + c * 7 + 2) % 17) as f32 / 17.0);
        let whole = f64::from(similarity(&a, &b));
        let sampled = reference(&a.data, &b.data);
        assert!(
            (whole - sampled).abs() < 0.02,
            "{whole} against every seventh point's {sampled}"
        );
    }

    #[test]
    fn cuts_and_motion_are_told_apart() {
        let wave = |shift: f32| {
            picture(320, 180, move |c, x, y| {
                0.5 + 0.4 * ((x as f32 + shift) * 0.05 + y as f32 * 0.03 + c as f32).sin()
            })
        };
        let other = picture(
            320,
            180,
            |c, x, y| if (x / 40 + y / 30 + c) % 2 == 0 { 0.9 } else { 0.1 },
        );
        let cut = |a: &RgbImage, b: &RgbImage| SceneOptions::default().is_cut(similarity(a, b));
        assert!(!cut(&wave(0.0), &wave(0.0)) && !cut(&wave(0.0), &wave(6.0)));
        assert!(cut(&wave(0.0), &other));
        assert!(!SceneOptions { cut: 0.0 }.is_cut(-0.5), "turned off");
    }

    #[test]
    fn any_size_has_a_miniature() {
        for (w, h) in [(1, 1), (16, 16), (33, 1000)] {
            assert_eq!(
                similarity(&picture(w, h, |_, _, _| 0.3), &picture(w, h, |_, _, _| 0.3)),
                1.0
            );
        }
    }
}
