//! What bilinear sampling takes off an image where a flow points, against a cubic through the same pixels.
//!
//! At a share f of the way from one pixel to the next, Catmull and Rom's cubic through both and their neighbours is
//! f (1 - f) / 2 times the second difference below the line between them, itself taken f of the way from the one pixel's
//! to the next's. Here along both axes, added up: of the sixteen pixels around a place the twelve without the corners.

use super::{Targets, split};
use crate::eval::{Grid, RegionMut};
use crate::tensor::{Planar, Tensor};
use crate::tier::{Tier, for_every_tier};

/// A plane with its border; what is in the border does not count.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    values: &'a [f32],
    stride: usize,
    size: [usize; 2],
}

/// How many places are worked on together: one after another their pixels are fetched, then all are computed at once.
/// Place by place it took half as long again.
const RUN: usize = 32;

/// How many pixels about a place count.
const TAPS: usize = 12;

/// Some places along one axis: the pixel before each, how far the one before that, the next and the one after that are
/// (nearer at the edges, which are so repeated), and the share of the way to the next.
#[derive(Clone, Copy)]
struct Axis {
    pixel: [u32; RUN],
    before: [u32; RUN],
    next: [u32; RUN],
    after: [u32; RUN],
    share: [f32; RUN],
}

impl Axis {
    const UNSET: Self = Self {
        pixel: [0; RUN],
        before: [0; RUN],
        next: [0; RUN],
        after: [0; RUN],
        share: [0.0; RUN],
    };

    /// Locates places along an axis of so many pixels, `step` apart in memory.
    #[inline(always)]
    fn locate(&mut self, at: &[f32; RUN], size: usize, step: usize) {
        let (last, step) = (size as u32 - 1, step as u32);
        for (i, &at) in at.iter().enumerate() {
            let (pixel, share) = split(at, size);
            self.pixel[i] = (pixel + 1) * step;
            self.share[i] = share;
            self.before[i] = pixel.min(1) * step;
            self.next[i] = (last - pixel).min(1) * step;
            self.after[i] = (last - pixel).min(2) * step;
        }
    }
}

/// Second differences of four neighbours at the middle two, the second taken `share`.
#[inline(always)]
fn bent(a: f32, b: f32, c: f32, d: f32, share: f32) -> f32 {
    let (first, second) = (a - 2.0 * b + c, b - 2.0 * c + d);
    first + (second - first) * share
}

/// Places, and the pixels about them.
struct Around {
    x: Axis,
    y: Axis,
    /// Of the rows above, at, below and two below each place: two, four, four and two pixels.
    taps: [[f32; RUN]; TAPS],
}

impl Around {
    #[inline(always)]
    fn fetch(&mut self, plane: &Plane<'_>) {
        let (x, y) = (&self.x, &self.y);
        for i in 0..RUN {
            let (before, next, after) = (x.before[i], x.next[i], x.after[i]);
            let row = y.pixel[i] + x.pixel[i];
            let (upper, lower, lowest) = (row - y.before[i], row + y.next[i], row + y.after[i]);
            #[rustfmt::skip]
            let places = [
                upper, upper + next,
                row - before, row, row + next, row + after,
                lower - before, lower, lower + next, lower + after,
                lowest, lowest + next,
            ];
            for (tap, place) in self.taps.iter_mut().zip(places) {
                // SAFETY: both axes were located in this plane, so that these are its pixels, which `Plane::check` found
                // in `values` with a border of one.
                tap[i] = unsafe { *plane.values.get_unchecked(place as usize) };
            }
        }
    }

    #[inline(always)]
    fn lost(&self, to: &mut [f32; RUN]) {
        let [a0, a1, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1] = &self.taps;
        for i in 0..RUN {
            let (f, g) = (self.x.share[i], self.y.share[i]);
            let upper = bent(b0[i], b1[i], b2[i], b3[i], f);
            let lower = bent(c0[i], c1[i], c2[i], c3[i], f);
            let left = bent(a0[i], b1[i], c1[i], d0[i], g);
            let right = bent(a1[i], b2[i], c2[i], d1[i], g);
            let (along, down) = (upper + (lower - upper) * g, left + (right - left) * f);
            to[i] = -0.5 * (f * (1.0 - f) * along + g * (1.0 - g) * down);
        }
    }
}

impl Plane<'_> {
    /// What fetching relies on.
    #[inline(always)]
    fn check(&self) {
        let [height, width] = self.size;
        assert!(self.values.len() >= (height + 1) * self.stride && self.stride > width);
    }
}

/// Up to [`RUN`] numbers, zeros after them.
#[inline(always)]
fn run(from: &[f32]) -> [f32; RUN] {
    let mut run = [0.0; RUN];
    run[..from.len()].copy_from_slice(from);
    run
}

for_every_tier! {
    /// A row of places.
    fn lost(plane: &Plane<'_>, x: &[f32], y: &[f32], to: &mut [f32]) {
        plane.check();
        let mut around = Around { x: Axis::UNSET, y: Axis::UNSET, taps: [[0.0; RUN]; TAPS] };
        let mut lost = [0.0; RUN];
        for ((to, x), y) in to.chunks_mut(RUN).zip(x.chunks(RUN)).zip(y.chunks(RUN)) {
            around.x.locate(&run(x), plane.size[1], 1);
            around.y.locate(&run(y), plane.size[0], plane.stride);
            around.fetch(plane);
            around.lost(&mut lost);
            to.copy_from_slice(&lost[..to.len()]);
        }
    }
}

/// What sampling `planes` where `flow` points loses, on a grid, of its channels from `first` on.
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
        let [x, y] = [0, 1].map(|direction| targets.places.row(direction, row));
        lost(tier, &plane, x, y, to);
    });
}
