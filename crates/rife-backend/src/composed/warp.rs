//! Overlapped block motion compensation and the cubic interpolation residual, composed of elementwise operations, shifts
//! and bilinear warps of tensors.

use crate::Backend;

/// Operations of an engine that [`warp_obmc`] and [`cubic_residual`] need in addition to [`Backend`].
pub trait SampleOps: Backend {
    /// Shifts the image: each value becomes that of the pixel `down` rows below and `right` columns to the right, border
    /// values replicated.
    fn shift(&self, x: &Self::Tensor, down: isize, right: isize) -> Self::Tensor;
    /// Makes the pixel coordinates of an image of `like`'s height and width, from 0: `[2, height, width]`, each pixel's
    /// column, then its row.
    fn pixel_grid(&self, like: &Self::Tensor) -> Self::Tensor;
    /// Rounds every value down to an integer.
    fn floor(&self, x: &Self::Tensor) -> Self::Tensor;
}

/// Computes [`Backend::warp_obmc`] of the same arguments: the mean of two warps of `x` by shifted velocities.
pub fn warp_obmc<B: SampleOps>(
    b: &B,
    x: &B::Tensor,
    velocity: &B::Tensor,
    factor: &B::Timestep,
    neighbours: [[isize; 2]; 2],
) -> B::Tensor {
    let flow = b.mul_timestep(velocity, factor);
    let [first, second] = neighbours.map(|[down, right]| b.warp(x, &b.shift(&flow, down, right)));
    b.affine(&b.add(&first, &second), 0.5, 0.0)
}

/// Computes [`Backend::cubic_residual`] of the same arguments: the correction from bilinear to cubic samples of `x` at
/// `flow`, `[2, height, width]` in pixels.
pub fn cubic_residual<B: SampleOps>(b: &B, x: &B::Tensor, flow: &B::Tensor) -> B::Tensor {
    // Minus half the second difference along rows (`down` = 1) or columns (`right` = 1).
    let curvature = |down: isize, right: isize| {
        let around = b.add(&b.shift(x, -down, -right), &b.shift(x, down, right));
        b.add(x, &b.affine(&around, -0.5, 0.0))
    };
    // Warping the pixel grid gives the sampled coordinates, clamped to the border as the image's are.
    let sampled = b.warp(&b.pixel_grid(flow), flow);
    let fractions = b.add(&sampled, &b.affine(&b.floor(&sampled), -1.0, 0.0));
    let residual = |axis: usize, curvature: &B::Tensor| {
        let f = b.narrow(&fractions, axis..axis + 1);
        let weight = b.mul(&f, &b.affine(&f, -1.0, 1.0));
        b.mul(&b.warp(curvature, flow), &weight)
    };
    b.add(&residual(0, &curvature(0, 1)), &residual(1, &curvature(1, 0)))
}
