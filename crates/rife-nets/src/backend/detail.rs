//! [`Backend::detail`] and [`Backend::warp_near`] by their definitions, for engines that have no kernels of their own for
//! them: in operations on whole planes.

use super::Backend;

/// What [`composed`] and [`near`] need of an engine beside [`Backend`].
pub trait Placed: Backend {
    /// Each pixel's neighbour so many rows below and columns to the right; beyond the edges they are repeated.
    fn neighbour(&self, x: &Self::Tensor, down: isize, right: isize) -> Self::Tensor;
    /// Every pixel's column and row, counted from 0, in a tensor of `like`'s height and width.
    fn places(&self, like: &Self::Tensor) -> Self::Tensor;
    /// Elementwise the largest whole number that is not larger.
    fn whole(&self, x: &Self::Tensor) -> Self::Tensor;
}

/// See [`Backend::warp_near`].
pub fn near<B: Placed>(
    b: &B,
    x: &B::Tensor,
    velocity: &B::Tensor,
    by: &B::Tensor,
    near: [[isize; 2]; 2],
) -> B::Tensor {
    let flow = b.scaled(velocity, by);
    let [first, second] = near.map(|[down, right]| b.warp(x, &b.neighbour(&flow, down, right)));
    b.affine(&b.add(&first, &second), 0.5, 0.0)
}

/// See [`Backend::detail`].
pub fn composed<B: Placed>(b: &B, x: &B::Tensor, flow: &B::Tensor) -> B::Tensor {
    // Half the second difference, negated.
    let bent = |down: isize, right: isize| {
        let around = b.add(&b.neighbour(x, -down, -right), &b.neighbour(x, down, right));
        b.add(x, &b.affine(&around, -0.5, 0.0))
    };
    // Sampled like the image they are clamped like its pixels.
    let places = b.warp(&b.places(flow), flow);
    let shares = b.add(&places, &b.affine(&b.whole(&places), -1.0, 0.0));
    let lost = |direction: usize, bent: &B::Tensor| {
        let share = b.channels(&shares, direction..direction + 1);
        let between = b.scaled(&share, &b.affine(&share, -1.0, 1.0));
        b.scaled(&b.warp(bent, flow), &between)
    };
    b.add(&lost(0, &bent(0, 1)), &lost(1, &bent(1, 0)))
}
