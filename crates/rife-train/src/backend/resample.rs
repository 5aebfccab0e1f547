//! Bilinear resizing and pixel shuffle of Burn tensors `[batch, channels, height, width]`, in operations that are
//! differentiable on every Burn device.

use burn_tensor::module::avg_pool2d;
use burn_tensor::ops::AvgPoolOptions;
use burn_tensor::{Device, Tensor, TensorData};

/// Upsamples by an integer factor (bilinear, `align_corners = false`) as two matrix products.
pub fn upsample(x: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        return x;
    }
    let [_, _, height, width] = x.dims();
    let device = x.device();
    let matrix = |size| constant(upsampling_matrix(size, factor), size, &device);
    separable(x, matrix(height), matrix(width))
}

/// Applies a separable linear filter: computes `rows * plane * columns^T` for every plane. The matrices are
/// `[output size, input size]`.
pub fn separable(x: Tensor<4>, rows: Tensor<2>, columns: Tensor<2>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let ([tall, _], [wide, _]) = (rows.dims(), columns.dims());
    let x = x
        .reshape([batch * channels * height, width])
        .matmul(columns.transpose());
    let x = x.reshape([batch * channels, height, wide]);
    rows.unsqueeze::<3>()
        .matmul(x)
        .reshape([batch, channels, tall, wide])
}

/// Makes a constant matrix of row-major values with `columns` columns.
pub fn constant(values: Vec<f32>, columns: usize, device: &Device) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Computes the matrix `[size * factor, size]` of bilinear upsampling along one axis.
fn upsampling_matrix(size: usize, factor: usize) -> Vec<f32> {
    let mut weights = vec![0.0; size * factor * size];
    for (i, row) in weights.chunks_exact_mut(size).enumerate() {
        let at = ((i as f32 + 0.5) / factor as f32 - 0.5).max(0.0);
        let (low, fraction) = (at as usize, at.fract());
        row[low] += 1.0 - fraction;
        row[(low + 1).min(size - 1)] += fraction;
    }
    weights
}

/// Downsamples by a factor that is even or 1 (bilinear, `align_corners = false`): the mean of the four centre pixels of
/// each cell.
pub fn downsample(x: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        x
    } else {
        mean2x2(centres(x, factor))
    }
}

/// Selects the four centre pixels of every cell of `factor` by `factor` pixels: the result is `factor / 2` times smaller.
pub fn centres(x: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 2 {
        return x;
    }
    let [batch, channels, height, width] = x.dims();
    let (rows, columns, first) = (height / factor, width / factor, factor / 2 - 1);
    x.reshape([batch * channels, rows, factor, columns, factor])
        .narrow(2, first, 2)
        .narrow(4, first, 2)
        .reshape([batch, channels, 2 * rows, 2 * columns])
}

/// Averages each block of 2x2 pixels.
pub fn mean2x2(x: Tensor<4>) -> Tensor<4> {
    avg_pool2d(x, AvgPoolOptions::new([2; 2]).with_stride([2; 2]))
}

/// Applies PyTorch's `PixelShuffle(2)`: channel `4 c + 2 i + j` becomes row `i`, column `j` of each 2x2 pixels of channel `c`.
pub fn pixel_shuffle(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch * channels / 4, 2, 2, height, width])
        .permute([0, 3, 1, 4, 2])
        .reshape([batch, channels / 4, 2 * height, 2 * width])
}
