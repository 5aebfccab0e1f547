//! Cubic residual of a backward warp: Catmull-Rom interpolation minus bilinear interpolation at the positions of a flow
//! (Catmull and Rom, "A Class of Local Interpolating Splines", 1974).
//!
//! Along one axis, at a fraction f between two pixels, the residual is -f (1 - f) / 2 times the second difference, itself
//! interpolated linearly between those of the two pixels. The residuals of both axes are added: of the 4x4 pixels around a
//! position, all but the corners are read.

use super::{Targets, split};
use crate::eval::{Grid, RegionMut};
use crate::runtime::{Tier, for_every_tier};
use crate::tensor::{Planar, Tensor};

/// A plane of an image with a border of one pixel, whose values are not used.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    values: &'a [f32],
    /// Stride of rows.
    stride: usize,
    /// Height and width without the border.
    size: [usize; 2],
}

/// Number of positions of a batch, whose pixels are gathered one by one before all residuals are computed with SIMD (50%
/// faster than one position at a time).
const RUN: usize = 32;

/// Number of pixels read for a position.
const TAPS: usize = 12;

/// Positions of a batch along one axis: offset of the pixel before each, distances to the previous, next and second next pixel
/// (smaller at the edges, which replicates them), and fraction.
#[derive(Clone, Copy)]
struct Axis {
    pixel: [u32; RUN],
    before: [u32; RUN],
    next: [u32; RUN],
    after: [u32; RUN],
    fraction: [f32; RUN],
}

impl Axis {
    /// Placeholder before [`Axis::locate`].
    const UNSET: Self = Self {
        pixel: [0; RUN],
        before: [0; RUN],
        next: [0; RUN],
        after: [0; RUN],
        fraction: [0.0; RUN],
    };

    /// Splits positions along an axis of `size` pixels, `step` values apart in memory.
    #[inline(always)]
    fn locate(&mut self, at: &[f32; RUN], size: usize, step: usize) {
        let (last, step) = (size as u32 - 1, step as u32);
        for (i, &at) in at.iter().enumerate() {
            let (pixel, fraction) = split(at, size);
            self.pixel[i] = (pixel + 1) * step;
            self.fraction[i] = fraction;
            self.before[i] = pixel.min(1) * step;
            self.next[i] = (last - pixel).min(1) * step;
            self.after[i] = (last - pixel).min(2) * step;
        }
    }
}

/// Interpolates the second differences at the middle two of four neighbours, `fraction` being the weight of the second.
#[inline(always)]
fn second_difference(a: f32, b: f32, c: f32, d: f32, fraction: f32) -> f32 {
    let (first, second) = (a - 2.0 * b + c, b - 2.0 * c + d);
    first + (second - first) * fraction
}

/// A batch of positions and their pixels.
struct Around {
    x: Axis,
    y: Axis,
    /// Pixels of each position: two of the row above, four of its row, four of the row below, two of the second row below.
    taps: [[f32; RUN]; TAPS],
}

impl Around {
    /// Gathers the pixels of all positions.
    #[inline(always)]
    fn fetch(&mut self, plane: &Plane<'_>) {
        let (x, y) = (&self.x, &self.y);
        for i in 0..RUN {
            let (before, next, after) = (x.before[i], x.next[i], x.after[i]);
            let row = y.pixel[i] + x.pixel[i];
            let (upper, lower, lowest) = (row - y.before[i], row + y.next[i], row + y.after[i]);
            #[rustfmt::skip]
            let indices = [
                upper, upper + next,
                row - before, row, row + next, row + after,
                lower - before, lower, lower + next, lower + after,
                lowest, lowest + next,
            ];
            for (tap, index) in self.taps.iter_mut().zip(indices) {
                // SAFETY: both axes were located in this plane, so that these are its pixels; `Plane::check` checked that
                // `values` holds them and their border.
                tap[i] = unsafe { *plane.values.get_unchecked(index as usize) };
            }
        }
    }

    /// Computes the residuals of all positions.
    #[inline(always)]
    fn residual(&self, to: &mut [f32; RUN]) {
        let [a0, a1, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1] = &self.taps;
        for i in 0..RUN {
            let (f, g) = (self.x.fraction[i], self.y.fraction[i]);
            let upper = second_difference(b0[i], b1[i], b2[i], b3[i], f);
            let lower = second_difference(c0[i], c1[i], c2[i], c3[i], f);
            let left = second_difference(a0[i], b1[i], c1[i], d0[i], g);
            let right = second_difference(a1[i], b2[i], c2[i], d1[i], g);
            let (along, down) = (upper + (lower - upper) * g, left + (right - left) * f);
            to[i] = -0.5 * (f * (1.0 - f) * along + g * (1.0 - g) * down);
        }
    }
}

impl Plane<'_> {
    /// Checks what the unchecked reads of [`Around::fetch`] rely on.
    #[inline(always)]
    fn check(&self) {
        let [height, width] = self.size;
        assert!(self.values.len() >= (height + 1) * self.stride && self.stride > width);
    }
}

/// Copies up to [`RUN`] numbers, zero-padded.
#[inline(always)]
fn run(from: &[f32]) -> [f32; RUN] {
    let mut run = [0.0; RUN];
    run[..from.len()].copy_from_slice(from);
    run
}

for_every_tier! {
    /// Computes the residuals at coordinates `x` and `y` of a row of positions.
    fn residual(plane: &Plane<'_>, x: &[f32], y: &[f32], to: &mut [f32]) {
        plane.check();
        let mut around = Around { x: Axis::UNSET, y: Axis::UNSET, taps: [[0.0; RUN]; TAPS] };
        let mut residuals = [0.0; RUN];
        for ((to, x), y) in to.chunks_mut(RUN).zip(x.chunks(RUN)).zip(y.chunks(RUN)) {
            around.x.locate(&run(x), plane.size[1], 1);
            around.y.locate(&run(y), plane.size[0], plane.stride);
            around.fetch(plane);
            around.residual(&mut residuals);
            to.copy_from_slice(&residuals[..to.len()]);
        }
    }
}

/// Evaluates the cubic residual of the channels of `planes` from `first` on, by `flow`, on a grid.
pub(crate) fn cubic_residual(
    tier: Tier,
    planes: &Planar,
    flow: &Tensor,
    first: usize,
    grid: &Grid,
    out: &mut RegionMut<'_>,
) {
    let [_, height, width] = planes.shape;
    let targets = Targets::new(tier, flow, grid);
    out.each(|channel, row, to| {
        let plane = Plane {
            values: planes.channel(first + channel),
            stride: planes.row_stride(),
            size: [height, width],
        };
        let [x, y] = [0, 1].map(|direction| targets.coordinates.row(direction, row));
        residual(tier, &plane, x, y, to);
    });
}
