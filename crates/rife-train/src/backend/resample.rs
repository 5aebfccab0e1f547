//! Resizing and pixel shuffling, in operations whose gradients every Burn back end has.

use burn_tensor::module::avg_pool2d;
use burn_tensor::ops::AvgPoolOptions;
use burn_tensor::{Device, Tensor, TensorData};

/// Bilinear enlargement, `align_corners = false`, as two matrix products.
pub fn enlarge(x: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        return x;
    }
    let [_, _, height, width] = x.dims();
    let device = x.device();
    let matrix = |size| constant(enlargement(size, factor), size, &device);
    separable(x, matrix(height), matrix(width))
}

/// `rows * plane * columns^T` for every plane; the matrices are `[size out, size in]`.
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

/// A constant matrix with `columns` columns.
pub fn constant(values: Vec<f32>, columns: usize, device: &Device) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The weights of `size` samples in each of `size * factor` samples.
fn enlargement(size: usize, factor: usize) -> Vec<f32> {
    let mut weights = vec![0.0; size * factor * size];
    for (i, row) in weights.chunks_exact_mut(size).enumerate() {
        let at = ((i as f32 + 0.5) / factor as f32 - 0.5).max(0.0);
        let (low, part) = (at as usize, at.fract());
        row[low] += 1.0 - part;
        row[(low + 1).min(size - 1)] += part;
    }
    weights
}

/// Bilinear reduction, `align_corners = false`, by a factor that is even or 1: the mean of each cell's four
/// centre pixels.
pub fn reduce(x: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        x
    } else {
        mean2x2(centres(x, factor))
    }
}

/// The four centre pixels of every cell of `factor` by `factor`: `factor / 2` times smaller.
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

/// The mean of every 2x2 pixels.
pub fn mean2x2(x: Tensor<4>) -> Tensor<4> {
    avg_pool2d(x, AvgPoolOptions::new([2; 2]).with_stride([2; 2]))
}

/// PyTorch's `PixelShuffle(2)`: channel `4 c + 2 i + j` becomes row `i`, column `j` of every 2x2 pixels of `c`.
pub fn pixel_shuffle(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch * channels / 4, 2, 2, height, width])
        .permute([0, 3, 1, 4, 2])
        .reshape([batch, channels / 4, 2 * height, 2 * width])
}
