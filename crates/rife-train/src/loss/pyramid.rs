//! The Laplacian pyramid loss (Bojanowski et al., 2018, as the published training uses it): differences count at
//! every size alike.

use burn_tensor::{Device, Tensor};

use crate::backend::resample::{constant, separable};

/// Levels of the pyramid.
const LEVELS: usize = 5;
/// The binomial filter.
const BINOMIAL: [f32; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// Mean L1 of each level of the difference's Laplacian pyramid, summed (the pyramid is linear): 5x5 binomial
/// filter, reflected edges.
pub fn laplacian(difference: Tensor<4>) -> Tensor<1> {
    let device = difference.device();
    let mut x = difference;
    let mut sum: Option<Tensor<1>> = None;
    for _ in 1..LEVELS {
        let [_, _, height, width] = x.dims();
        let small = separable(x.clone(), shrinking(height, &device), shrinking(width, &device));
        let spread = separable(
            small.clone(),
            spreading(height, &device),
            spreading(width, &device),
        );
        let band = (x - spread).abs().mean();
        sum = Some(sum.map_or(band.clone(), |sum| sum + band));
        x = small;
    }
    let rest = x.abs().mean();
    sum.map_or(rest.clone(), |sum| sum + rest)
}

/// Where a filter reads that stands at `at` and reaches over the edge of `size` samples: reflected about the last.
fn reflected(at: isize, size: usize) -> usize {
    let last = size as isize - 1;
    let at = at.abs();
    let inside = if at > last { 2 * last - at } else { at };
    inside.clamp(0, last) as usize
}

/// The filter at every sample, as a `[size, size]` matrix.
fn blur(size: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; size * size];
    for (i, row) in matrix.chunks_exact_mut(size).enumerate() {
        for (k, weight) in BINOMIAL.iter().enumerate() {
            row[reflected(i as isize + k as isize - 2, size)] += weight;
        }
    }
    matrix
}

/// The filter at every other sample: `[size / 2 rounded up, size]`.
fn shrinking(size: usize, device: &Device) -> Tensor<2> {
    let rows = blur(size)
        .chunks_exact(size)
        .step_by(2)
        .flatten()
        .copied()
        .collect();
    constant(rows, size, device)
}

/// The samples spread to every other place, filtered and brought to their level: `[size, size / 2 rounded up]`.
fn spreading(size: usize, device: &Device) -> Tensor<2> {
    let every_other = |row: &[f32]| {
        row.iter()
            .step_by(2)
            .map(|weight| 2.0 * weight)
            .collect::<Vec<_>>()
    };
    let rows = blur(size).chunks_exact(size).flat_map(every_other).collect();
    constant(rows, size.div_ceil(2), device)
}
