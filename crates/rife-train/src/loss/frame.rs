//! Losses between two frames `[batch, 3, height, width]`, RGB in 0..1: L1, Charbonnier, PSNR, census.

use burn_tensor::module::conv2d;
use burn_tensor::ops::ConvOptions;
use burn_tensor::{Tensor, TensorData};

/// Charbonnier's epsilon, in units of full scale: smaller differences are penalised quadratically, larger ones linearly.
const CHARBONNIER_EPSILON: f32 = 1e-3;
/// Mean square error that is added before the logarithm, which caps PSNR at 50 dB.
const DECIBELS_FLOOR: f32 = 1e-5;
/// Side of the census transform's patches in pixels.
const PATCH: usize = 7;
/// Weights of red, green and blue in grey (BT.601), times 255: the census transform's constants are for 8-bit code values.
const GREY: [f32; 3] = [0.2989 * 255.0, 0.5870 * 255.0, 0.1140 * 255.0];
/// Square of the difference in code values at which the soft sign of the census transform is about 0.7.
const CENSUS_SOFTNESS: f32 = 0.81;
/// Softness of the Hamming distance: squared differences of the transform well above it count as 1.
const HAMMING_SOFTNESS: f32 = 0.1;

/// Computes the mean absolute value.
pub fn l1(difference: Tensor<4>) -> Tensor<1> {
    difference.abs().mean()
}

/// Computes the Charbonnier loss (Charbonnier et al., 1994), the mean of `sqrt(x^2 + 0.001^2)`: a smooth L1.
pub fn charbonnier(difference: Tensor<4>) -> Tensor<1> {
    (difference.square() + CHARBONNIER_EPSILON * CHARBONNIER_EPSILON)
        .sqrt()
        .mean()
}

/// Computes the negative PSNR in dB: the mean over samples of `10 log10(mse + 1e-5)`. Its gradient depends on the relative
/// error of each sample.
pub fn decibels(difference: Tensor<4>) -> Tensor<1> {
    let squares = difference.square().mean_dim(1).mean_dim(2).mean_dim(3);
    (squares + DECIBELS_FLOOR).log().mean() * (10.0 / std::f32::consts::LN_10)
}

/// Computes the census loss (Meister et al., "UnFlow", 2018): the mean soft Hamming distance of two frames' ternary census
/// transforms over 7x7 patches, which is invariant to brightness. Pixels whose patch crosses the border are left out.
pub fn census(a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
    let square = (ternary(a) - ternary(b)).square();
    (square.clone() / (square + HAMMING_SOFTNESS)).mean()
}

/// Computes the soft ternary census transform, values in -1..1: `[batch, 49, height - 6, width - 6]`.
fn ternary(x: Tensor<4>) -> Tensor<4> {
    let differences = patch_differences(grey(x));
    let size = (differences.clone().square() + CENSUS_SOFTNESS).sqrt();
    differences / size
}

/// Converts RGB in 0..1 to grey in 0..255, `[batch, 1, height, width]`.
fn grey(x: Tensor<4>) -> Tensor<4> {
    let weights = Tensor::from_data(TensorData::new(GREY.to_vec(), [1, 3, 1, 1]), &x.device());
    (x * weights).sum_dim(1)
}

/// Computes the difference of each neighbour from its patch's centre, by a convolution with one kernel per neighbour.
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
