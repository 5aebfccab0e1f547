//! Full-reference image quality metrics: PSNR, SSIM and interpolation error (IE) as the RIFE paper's benchmark scripts compute
//! them, LPIPS, and SSIMULACRA 2.
//!
//! All functions take planar RGB (`[3, height, width]`, row-major) with values in 0..=1. The scripts round the network's output
//! to 8 bits before PSNR and IE: use [`round8`].

mod lpips;
mod ssimulacra2;

pub use lpips::Lpips;
pub use ssimulacra2::ssimulacra2;

/// Number of taps of SSIM's Gaussian.
const WINDOW: usize = 11;
/// Standard deviation of SSIM's Gaussian, in pixels.
const SIGMA: f64 = 1.5;
/// Number of replicated samples at both ends of every axis, including the channel axis.
const PAD: usize = 5;
/// Number of rows for which SSIM is computed at once, to limit memory.
const BAND: usize = 64;
/// `(0.01 L)^2` with L = 1.
const C1: f64 = 0.0001;
/// `(0.03 L)^2` with L = 1.
const C2: f64 = 0.0009;

/// Rounds values to the nearest of the 256 levels of an 8-bit sample, clamped to 0..=1.
///
/// Ties go to the even level, as in the scripts (`numpy.round`, `torch.round`).
pub fn round8(values: &mut [f32]) {
    for value in values {
        *value = (value.clamp(0.0, 1.0) * 255.0).round_ties_even() / 255.0;
    }
}

/// Returns the mean of the squared differences.
///
/// # Panics
/// When the lengths differ.
pub fn mean_squared_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "pictures of one size are compared");
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    sum / a.len().max(1) as f64
}

/// Computes the peak signal-to-noise ratio in dB for a peak of 1: `-10 log10(MSE)`; infinite for equal images.
///
/// # Panics
/// When the lengths differ.
pub fn psnr(a: &[f32], b: &[f32]) -> f64 {
    psnr_of(mean_squared_error(a, b))
}

/// Computes the PSNR in dB of luma (BT.601, `0.299 R + 0.587 G + 0.114 B`) of planar RGB, as the paper's HD script does.
///
/// # Panics
/// When the lengths differ.
pub fn psnr_luma(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "pictures of one size are compared");
    let area = a.len() / 3;
    let difference = |i: usize| f64::from(a[i]) - f64::from(b[i]);
    let luma =
        |i: usize| 0.299 * difference(i) + 0.587 * difference(area + i) + 0.114 * difference(2 * area + i);
    let sum: f64 = (0..area).map(|i| luma(i).powi(2)).sum();
    psnr_of(sum / area.max(1) as f64)
}

/// Converts a mean squared error to PSNR in dB for a peak of 1.
pub fn psnr_of(mse: f64) -> f64 {
    -10.0 * mse.log10()
}

/// Computes the interpolation error: the mean absolute difference in 8-bit levels.
///
/// The paper's Middlebury script averages this value over the set; Middlebury's own site reports the root mean square
/// instead.
///
/// # Panics
/// When the lengths differ.
pub fn interpolation_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "pictures of one size are compared");
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum();
    255.0 * sum / a.len().max(1) as f64
}

/// Computes the structural similarity (Wang et al. 2004) of two RGB images of `size` = `[height, width]`, at most 1.
///
/// As the paper's `ssim_matlab`: an image is a volume of depth 3, the window an 11x11x11 Gaussian with sigma 1.5, every axis is
/// padded by 5 replicated samples, L = 1. (For a side under 11 pixels the script shrinks the window but not the padding; here
/// the window is not shrunk.)
///
/// # Panics
/// When a length is not `3 * height * width`.
pub fn ssim(a: &[f32], b: &[f32], size: [usize; 2]) -> f64 {
    let [height, width] = size;
    let count = 3 * height * width;
    assert_eq!((a.len(), b.len()), (count, count), "three planes of {size:?}");
    let gaussian = gaussian();
    let starts = (0..height).step_by(BAND);
    let band = |start: usize| ssim_sum(a, b, size, [start, (start + BAND).min(height)], &gaussian);
    starts.map(band).sum::<f64>() / count.max(1) as f64
}

/// Returns the sum of SSIM over the rows from `top` to `bottom` of all channels, using the rows around them that the window
/// covers.
fn ssim_sum(
    a: &[f32],
    b: &[f32],
    [height, width]: [usize; 2],
    [top, bottom]: [usize; 2],
    taps: &[f64; WINDOW],
) -> f64 {
    let (first, last) = (top.saturating_sub(PAD), (bottom + PAD).min(height));
    let rows = last - first;
    let crop = |x: &[f32]| -> Vec<f64> {
        let planes = x.chunks_exact(height * width);
        planes
            .flat_map(|plane| plane[first * width..last * width].iter().map(|v| f64::from(*v)))
            .collect()
    };
    let (a, b) = (crop(a), crop(b));
    let mean = |f: &dyn Fn(f64, f64) -> f64| {
        let product: Vec<f64> = a.iter().zip(&b).map(|(&a, &b)| f(a, b)).collect();
        smooth(product, [rows, width], taps)
    };
    let (mean_a, mean_b) = (mean(&|a, _| a), mean(&|_, b| b));
    let (square_a, square_b, cross) = (mean(&|a, _| a * a), mean(&|_, b| b * b), mean(&|a, b| a * b));
    let value = |i: usize| {
        let (ma, mb) = (mean_a[i], mean_b[i]);
        let variances = square_a[i] - ma * ma + square_b[i] - mb * mb;
        let covariance = cross[i] - ma * mb;
        (2.0 * ma * mb + C1) * (2.0 * covariance + C2) / ((ma * ma + mb * mb + C1) * (variances + C2))
    };
    let inner = |channel: usize| {
        let start = (channel * rows + top - first) * width;
        (start..start + (bottom - top) * width).map(value).sum::<f64>()
    };
    (0..3).map(inner).sum()
}

/// Returns the taps of SSIM's Gaussian, normalised to a sum of 1.
fn gaussian() -> [f64; WINDOW] {
    let mut taps = [0.0; WINDOW];
    for (i, tap) in taps.iter_mut().enumerate() {
        *tap = (-(i as f64 - PAD as f64).powi(2) / (2.0 * SIGMA * SIGMA)).exp();
    }
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| tap / sum)
}

/// Applies the separable 3-D filter to a volume `[3, height, width]`: along x, along y, then over channels.
fn smooth(volume: Vec<f64>, [height, width]: [usize; 2], taps: &[f64; WINDOW]) -> Vec<f64> {
    let across = filter_axis(&volume, width, 1, taps);
    let down = filter_axis(&across, height, width, taps);
    filter_axis(&down, 3, height * width, taps)
}

/// Filters along an axis of `length` samples at a distance of `stride` elements, with replicated borders.
fn filter_axis(data: &[f64], length: usize, stride: usize, taps: &[f64; WINDOW]) -> Vec<f64> {
    let mut out = vec![0.0; data.len()];
    let block = length * stride;
    let mut padded = Vec::with_capacity(block + 2 * PAD * stride);
    for (source, target) in data.chunks_exact(block).zip(out.chunks_exact_mut(block)) {
        padded.clear();
        (0..PAD).for_each(|_| padded.extend_from_slice(&source[..stride]));
        padded.extend_from_slice(source);
        (0..PAD).for_each(|_| padded.extend_from_slice(&source[block - stride..]));
        for (tap, weight) in taps.iter().enumerate() {
            let shifted = &padded[tap * stride..][..block];
            target
                .iter_mut()
                .zip(shifted)
                .for_each(|(sum, value)| *sum += weight * value);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that look random and never repeat a row.
    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn psnr_of_one_level_everywhere_is_48_13_db() {
        let (a, b) = (vec![0.5; 48], vec![0.5 + 1.0 / 255.0; 48]);
        assert!((psnr(&a, &b) - 48.1308).abs() < 1e-3);
        assert_eq!(psnr(&a, &a), f64::INFINITY);
    }

    #[test]
    fn interpolation_error_counts_levels() {
        let a = [0.0, 0.0, 1.0, 1.0];
        let b = [3.0 / 255.0, 1.0 / 255.0, 1.0, 251.0 / 255.0];
        assert!((interpolation_error(&a, &b) - 2.0).abs() < 1e-5);
    }

    #[test]
    fn rounding_goes_to_levels_and_clamps() {
        let mut values = [-0.1, 0.5 / 255.0, 1.5 / 255.0, 0.6 / 255.0, 1.2];
        round8(&mut values);
        assert_eq!(values, [0.0, 0.0, 2.0 / 255.0, 1.0 / 255.0, 1.0]);
    }

    #[test]
    fn ssim_of_flat_pictures_is_the_luminance_term() {
        let (a, b) = (vec![0.25; 3 * 16 * 20], vec![0.75; 3 * 16 * 20]);
        let expected = (2.0 * 0.25 * 0.75 + C1) / (0.0625 + 0.5625 + C1);
        assert!((ssim(&a, &b, [16, 20]) - expected).abs() < 1e-9);
    }

    #[test]
    fn ssim_agrees_with_the_direct_three_dimensional_sum() {
        for size in [[13, 17], [2 * BAND + 3, 12]] {
            let count = 3 * size[0] * size[1];
            let (a, b) = (noise(count, 1), noise(count, 2));
            assert!((ssim(&a, &a, size) - 1.0).abs() < 1e-12);
            assert!((ssim(&a, &b, size) - direct_ssim(&a, &b, size)).abs() < 1e-12);
        }
    }

    /// The definition written out: every window of the padded volume, no separation.
    fn direct_ssim(a: &[f32], b: &[f32], [height, width]: [usize; 2]) -> f64 {
        let taps = gaussian();
        let at = |x: &[f32], c: usize, y: usize, z: usize| {
            let clamp = |v: usize, n: usize| v.saturating_sub(PAD).min(n - 1);
            f64::from(x[(clamp(c, 3) * height + clamp(y, height)) * width + clamp(z, width)])
        };
        let window = |f: &dyn Fn(usize, usize, usize) -> f64, c: usize, y: usize, x: usize| {
            let mut sum = 0.0;
            for (i, wi) in taps.iter().enumerate() {
                for (j, wj) in taps.iter().enumerate() {
                    for (k, wk) in taps.iter().enumerate() {
                        sum += wi * wj * wk * f(c + i, y + j, x + k);
                    }
                }
            }
            sum
        };
        let mut total = 0.0;
        for c in 0..3 {
            for y in 0..height {
                for x in 0..width {
                    let ma = window(&|i, j, k| at(a, i, j, k), c, y, x);
                    let mb = window(&|i, j, k| at(b, i, j, k), c, y, x);
                    let va = window(&|i, j, k| at(a, i, j, k).powi(2), c, y, x) - ma * ma;
                    let vb = window(&|i, j, k| at(b, i, j, k).powi(2), c, y, x) - mb * mb;
                    let cov = window(&|i, j, k| at(a, i, j, k) * at(b, i, j, k), c, y, x) - ma * mb;
                    total +=
                        (2.0 * ma * mb + C1) * (2.0 * cov + C2) / ((ma * ma + mb * mb + C1) * (va + vb + C2));
                }
            }
        }
        total / (3 * height * width) as f64
    }
}
