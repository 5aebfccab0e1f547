//! Laplacian pyramid loss (Bojanowski et al., 2018), with five levels as in RIFE's published training code.

use burn_tensor::{Device, Tensor};

use crate::backend::resample::{constant, separable};

/// Levels of the pyramid.
const LEVELS: usize = 5;
/// Binomial filter along one axis.
const BINOMIAL: [f32; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// Computes the Laplacian pyramid loss of a difference `[batch, channels, height, width]` (the pyramid is linear): the sum
/// over levels of the mean absolute value; 5x5 binomial filter, edges reflected.
pub fn laplacian(difference: Tensor<4>) -> Tensor<1> {
    let device = difference.device();
    let mut x = difference;
    let mut sum: Option<Tensor<1>> = None;
    for _ in 1..LEVELS {
        let [_, _, height, width] = x.dims();
        let small = separable(
            x.clone(),
            downsampling(height, &device),
            downsampling(width, &device),
        );
        let upsampled = separable(
            small.clone(),
            upsampling(height, &device),
            upsampling(width, &device),
        );
        let band = (x - upsampled).abs().mean();
        sum = Some(sum.map_or(band.clone(), |sum| sum + band));
        x = small;
    }
    let rest = x.abs().mean();
    sum.map_or(rest.clone(), |sum| sum + rest)
}

/// Maps an index outside of `0..size` inside by reflection about the first and last sample.
fn reflected(at: isize, size: usize) -> usize {
    let last = size as isize - 1;
    let at = at.abs();
    let inside = if at > last { 2 * last - at } else { at };
    inside.clamp(0, last) as usize
}

/// Computes the matrix `[size, size]` of the binomial filter along one axis.
fn blur(size: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; size * size];
    for (i, row) in matrix.chunks_exact_mut(size).enumerate() {
        for (k, weight) in BINOMIAL.iter().enumerate() {
            row[reflected(i as isize + k as isize - 2, size)] += weight;
        }
    }
    matrix
}

/// Makes the matrix of filtering and subsampling by 2: `[size / 2 rounded up, size]`.
fn downsampling(size: usize, device: &Device) -> Tensor<2> {
    let rows = blur(size)
        .chunks_exact(size)
        .step_by(2)
        .flatten()
        .copied()
        .collect();
    constant(rows, size, device)
}

/// Makes the matrix of upsampling by 2 (zero insertion, filter, gain 2): `[size, size / 2 rounded up]`.
fn upsampling(size: usize, device: &Device) -> Tensor<2> {
    let every_other = |row: &[f32]| {
        row.iter()
            .step_by(2)
            .map(|weight| 2.0 * weight)
            .collect::<Vec<_>>()
    };
    let rows = blur(size).chunks_exact(size).flat_map(every_other).collect();
    constant(rows, size.div_ceil(2), device)
}
