//! Overlapped block motion compensation and the cubic interpolation residual, in operations on whole planes.

use crate::Backend;

/// What [`warp_obmc`] and [`cubic_residual`] need of an engine besides [`Backend`].
pub trait SampleOps: Backend {
    /// Shifts the image: each value becomes that of the pixel `down` rows below and `right` columns to the right, border
    /// values replicated.
    fn shift(&self, x: &Self::Tensor, down: isize, right: isize) -> Self::Tensor;
    /// Pixel coordinates: `[2, height, width]` of `like`'s height and width, each pixel's column, then its row, from 0.
    fn pixel_grid(&self, like: &Self::Tensor) -> Self::Tensor;
    /// Elementwise floor.
    fn floor(&self, x: &Self::Tensor) -> Self::Tensor;
}

/// [`Backend::warp_obmc`] by its definition.
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

/// [`Backend::cubic_residual`] by its definition.
pub fn cubic_residual<B: SampleOps>(b: &B, x: &B::Tensor, flow: &B::Tensor) -> B::Tensor {
    // Minus half the second difference.
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
