//! Distances between two frames, pixel by pixel or patch by patch.

use burn_tensor::module::conv2d;
use burn_tensor::ops::ConvOptions;
use burn_tensor::{Tensor, TensorData};

/// Where Charbonnier's curve turns from a parabola into a line, in units of full scale.
const CHARBONNIER_EPSILON: f32 = 1e-3;
/// Square errors well below this one are as good as none: 50 dB.
const DECIBELS_FLOOR: f32 = 1e-5;
/// Side of the census transform's patches in pixels.
const PATCH: usize = 7;
/// Parts of red, green and blue in grey, times the number of 8-bit code values: the census transform's constants
/// are for those.
const GREY: [f32; 3] = [0.2989 * 255.0, 0.5870 * 255.0, 0.1140 * 255.0];
/// Differences in code values well below this one's root count as equal, those well above it as their sign.
const CENSUS_SOFTNESS: f32 = 0.81;
/// Squared differences of the transform well above this one count as one.
const HAMMING_SOFTNESS: f32 = 0.1;

/// Mean absolute value.
pub fn l1(difference: Tensor<4>) -> Tensor<1> {
    difference.abs().mean()
}

/// Mean of `sqrt(x^2 + 0.001^2)` (Charbonnier et al., 1994): L1 without its kink.
pub fn charbonnier(difference: Tensor<4>) -> Tensor<1> {
    (difference.square() + CHARBONNIER_EPSILON * CHARBONNIER_EPSILON)
        .sqrt()
        .mean()
}

/// Mean over the samples of the mean square in decibels, 10 log10 of it and 1e-5: PSNR with the other sign, so that
/// every sample counts by the part of its error that goes.
pub fn decibels(difference: Tensor<4>) -> Tensor<1> {
    let squares = difference.square().mean_dim(1).mean_dim(2).mean_dim(3);
    (squares + DECIBELS_FLOOR).log().mean() * (10.0 / std::f32::consts::LN_10)
}

/// The soft distance of two frames' ternary census transforms (Meister et al., 2018): how each pixel compares with
/// its neighbours in a 7x7 patch, which brightness cannot change. The mean over pixels whose patch lies inside; the
/// values are RGB in 0..1.
pub fn census(a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
    let square = (ternary(a) - ternary(b)).square();
    (square.clone() / (square + HAMMING_SOFTNESS)).mean()
}

/// Every pixel's differences from its patch in -1..1: `[batch, 49, height - 6, width - 6]`.
fn ternary(x: Tensor<4>) -> Tensor<4> {
    let differences = patch_differences(grey(x));
    let size = (differences.clone().square() + CENSUS_SOFTNESS).sqrt();
    differences / size
}

fn grey(x: Tensor<4>) -> Tensor<4> {
    let parts = Tensor::from_data(TensorData::new(GREY.to_vec(), [1, 3, 1, 1]), &x.device());
    (x * parts).sum_dim(1)
}

/// Each neighbour's value less the centre's, by a convolution with one kernel a neighbour.
fn patch_differences(x: Tensor<4>) -> Tensor<4> {
    let taps = PATCH * PATCH;
    let mut kernels = vec![0.0f32; taps * taps];
    for (neighbour, kernel) in kernels.chunks_exact_mut(taps).enumerate() {
        kernel[neighbour] += 1.0;
        kernel[taps / 2] -= 1.0;
    }
    let kernels = Tensor::from_data(TensorData::new(kernels, [taps, 1, PATCH, PATCH]), &x.device());
    conv2d(x, kernels, None, ConvOptions::new([1; 2], [0; 2], [1; 2], 1))
}
