//! What the search does with a row of patches: eight pixels, a row of a patch, at a time, in whatever a tier has for
//! that.

// `clamp` would let through what is no number.
#![allow(clippy::manual_clamp)]

mod eight;

use self::eight::{Eight, Work};
use super::search::KEPT;
use super::{DAMPING, DOUBT, FURTHEST, STEPS, STRIDE};
use crate::tier::Tier;

/// Pixels of a patch along rows and columns.
pub(super) const SIDE: usize = 2 * STRIDE;
/// Pixels by which pictures are extended: a patch that lies further away sees nothing but repeated edges either.
pub(super) const MORE: usize = SIDE + 2;
/// One over the pixels of a patch.
const EACH: f32 = 1.0 / (SIDE * SIDE) as f32;

/// A grey picture of `size`, height and width, in memory with [`MORE`] pixels on every side.
#[derive(Clone, Copy)]
pub(super) struct Picture<'a> {
    data: &'a [f32],
    size: [usize; 2],
}

/// A row of patches of the first picture, and where they are sought.
#[derive(Clone, Copy)]
pub(super) struct Patches<'a> {
    pub(super) from: Picture<'a>,
    pub(super) to: Picture<'a>,
    pub(super) row: usize,
}

impl<'a> Picture<'a> {
    /// # Panics
    /// Where the memory is too small.
    pub(super) fn new(data: &'a [f32], size: [usize; 2]) -> Self {
        assert!(
            data.len() >= (size[0] + 2 * MORE) * (size[1] + 2 * MORE),
            "an extended picture"
        );
        Self { data, size }
    }

    #[inline(always)]
    fn stride(&self) -> usize {
        self.size[1] + 2 * MORE
    }

    /// Pixels from one in memory on.
    #[inline(always)]
    fn at(&self, pixel: usize) -> *const f32 {
        debug_assert!(pixel + SIDE <= self.data.len());
        self.data.as_ptr().wrapping_add(pixel)
    }
}

/// A patch: its first pixel in memory.
#[derive(Clone, Copy)]
struct Patch<'a> {
    patches: Patches<'a>,
    column: usize,
    first: usize,
}

/// Where a patch lies after it moved: its first pixel in memory, and how far it is below that and right of it.
struct Place {
    first: usize,
    below: f32,
    right: f32,
}

/// Where a moved patch begins along one axis, in memory, and the rest to it: from 1 to `size + MORE`.
#[inline(always)]
fn whole(patch: usize, moved: f32, size: usize) -> (usize, f32) {
    let at = (patch * STRIDE) as f32 - (STRIDE / 2) as f32 + moved;
    // Not `clamp`: what is no number must give a place too.
    let at = at.max(1.0 - MORE as f32).min(size as f32) + MORE as f32;
    // SAFETY: a small number.
    let pixel = unsafe { at.to_int_unchecked::<i32>() };
    (pixel as usize, at - pixel as f32)
}

impl<'a> Patch<'a> {
    #[inline(always)]
    fn new(patches: Patches<'a>, column: usize) -> Self {
        let [height, width] = patches.from.size;
        // What the loads below rest on.
        assert!(
            patches.row * STRIDE < height && column * STRIDE < width && patches.to.size == [height, width]
        );
        let before = MORE - STRIDE / 2;
        let first = (patches.row * STRIDE + before) * patches.from.stride() + column * STRIDE + before;
        Self {
            patches,
            column,
            first,
        }
    }

    /// Where it lies after it moved.
    #[inline(always)]
    fn place(&self, [x, y]: [f32; 2]) -> Place {
        let Patches { to, row, .. } = self.patches;
        let (column, right) = whole(self.column, x, to.size[1]);
        let (row, below) = whole(row, y, to.size[0]);
        Place {
            first: row * to.stride() + column,
            below,
            right,
        }
    }

    /// Calls `with` with every row's differences from a place.
    #[inline(always)]
    fn differences<E: Eight>(
        &self,
        place: &Place,
        rows: std::ops::Range<usize>,
        mut with: impl FnMut(usize, E),
    ) {
        let Patches { from, to, .. } = self.patches;
        let (right, below) = (E::splat(place.right), E::splat(place.below));
        let mixed = |row: usize| {
            let at = to.at(place.first + row * to.stride());
            // SAFETY: a place and the row below it are inside the extended picture, with a pixel more to the right.
            let (left, next) = unsafe { (E::load(at), E::load(at.wrapping_add(1))) };
            left.add_product(next.sub(left), right)
        };
        let mut upper = mixed(rows.start);
        for row in rows {
            let lower = mixed(row + 1);
            // SAFETY: patches begin at most half a stride above the picture and left of it, and end as far beyond it.
            let here = unsafe { E::load(from.at(self.first + row * from.stride())) };
            with(row, upper.add_product(lower.sub(upper), below).sub(here));
            upper = lower;
        }
    }

    /// The variance of the differences from a place, times its pixels: brightness may change.
    #[inline(always)]
    fn cost<E: Eight>(&self, place: &Place) -> f32 {
        let (mut sums, mut squares) = (E::splat(0.0), E::splat(0.0));
        self.differences(place, 0..SIDE, |_, off: E| {
            sums = sums.add(off);
            squares = squares.add_product(off, off);
        });
        let total = sums.sum();
        squares.sum() - total * total * EACH
    }
}

/// Slopes of a patch along rows and along columns, less their means, and the inverse of the matrix of their products.
struct Slopes<E> {
    along: [E; SIDE],
    down: [E; SIDE],
    inverse: [f32; 3],
}

impl<E: Eight> Slopes<E> {
    #[inline(always)]
    fn new(patch: &Patch<'_>) -> Self {
        let none = E::splat(0.0);
        let half = E::splat(0.5);
        let (mut along, mut down) = ([none; SIDE], [none; SIDE]);
        let (mut sum_x, mut sum_y) = (none, none);
        let from = patch.patches.from;
        let stride = from.stride();
        for row in 0..SIDE {
            let at = patch.first + row * stride;
            // SAFETY: as in `differences`: the picture is extended by more than a pixel beyond that.
            let [left, right, above, below] = unsafe {
                [
                    E::load(from.at(at - 1)),
                    E::load(from.at(at + 1)),
                    E::load(from.at(at - stride)),
                    E::load(from.at(at + stride)),
                ]
            };
            along[row] = none.add_product(right.sub(left), half);
            down[row] = none.add_product(below.sub(above), half);
            sum_x = sum_x.add(along[row]);
            sum_y = sum_y.add(down[row]);
        }
        let (mean_x, mean_y) = (E::splat(sum_x.sum() * EACH), E::splat(sum_y.sum() * EACH));
        let (mut xx, mut xy, mut yy) = (none, none, none);
        for row in 0..SIDE {
            along[row] = along[row].sub(mean_x);
            down[row] = down[row].sub(mean_y);
            xx = xx.add_product(along[row], along[row]);
            xy = xy.add_product(along[row], down[row]);
            yy = yy.add_product(down[row], down[row]);
        }
        let (xx, xy, yy) = (xx.sum() + DAMPING / EACH, xy.sum(), yy.sum() + DAMPING / EACH);
        let whole = 1.0 / (xx * yy - xy * xy);
        Self {
            along,
            down,
            inverse: [xx * whole, xy * whole, yy * whole],
        }
    }

    /// A step from a place, and the cost there.
    #[inline(always)]
    fn step(&self, patch: &Patch<'_>, place: &Place) -> ([f32; 2], f32) {
        let none = E::splat(0.0);
        let (mut sums, mut squares, mut by_x, mut by_y) = (none, none, none, none);
        patch.differences(place, 0..SIDE, |row, off: E| {
            sums = sums.add(off);
            squares = squares.add_product(off, off);
            by_x = by_x.add_product(off, self.along[row]);
            by_y = by_y.add_product(off, self.down[row]);
        });
        let (total, by_x, by_y) = (sums.sum(), by_x.sum(), by_y.sum());
        let [xx, xy, yy] = self.inverse;
        let x = (xy * by_y - yy * by_x).max(-FURTHEST).min(FURTHEST);
        let y = (xy * by_x - xx * by_y).max(-FURTHEST).min(FURTHEST);
        ([x, y], squares.sum() - total * total * EACH)
    }
}

/// The three parts of what is kept of a row of patches: of the velocities all x, all y; all costs.
#[inline(always)]
fn parts(kept: &[f32]) -> [&[f32]; KEPT] {
    let (x, rest) = kept.split_at(kept.len() / KEPT);
    let (y, costs) = rest.split_at(x.len());
    [x, y, costs]
}

/// The best of the places that a row of patches comes by on its steps from the velocities that `kept` has.
pub(super) fn find(tier: Tier, kept: &mut [f32], patches: Patches<'_>) {
    eight::run(tier, Find { kept, patches });
}

struct Find<'a> {
    kept: &'a mut [f32],
    patches: Patches<'a>,
}

impl Work for Find<'_> {
    #[inline(always)]
    fn run<E: Eight>(self) {
        let columns = self.kept.len() / KEPT;
        for column in 0..columns {
            let patch = Patch::new(self.patches, column);
            let slopes = Slopes::<E>::new(&patch);
            let mut velocity = [self.kept[column], self.kept[columns + column]];
            let (mut best, mut least) = (velocity, f32::INFINITY);
            for _ in 0..STEPS {
                let (step, cost) = slopes.step(&patch, &patch.place(velocity));
                if cost < least {
                    (best, least) = (velocity, cost);
                }
                velocity = [velocity[0] + step[0], velocity[1] + step[1]];
            }
            let cost = patch.cost::<E>(&patch.place(velocity));
            if cost < least {
                (best, least) = (velocity, cost);
            }
            self.kept[column] = best[0];
            self.kept[columns + column] = best[1];
            self.kept[2 * columns + column] = least;
        }
    }
}

/// The best of what a row of patches has and what those above, below, left and right have.
pub(super) fn spread(tier: Tier, to: &mut [f32], around: [&[f32]; 3], patches: Patches<'_>) {
    let around = around.map(parts);
    eight::run(tier, Spread { to, around, patches });
}

/// What the patches above, below, left and right of one have, of three rows.
#[inline(always)]
fn neighbours([above, at, below]: &[[&[f32]; KEPT]; 3], column: usize) -> [[f32; 2]; 4] {
    let (left, right) = (column.saturating_sub(1), (column + 1).min(at[0].len() - 1));
    [
        [above[0][column], above[1][column]],
        [below[0][column], below[1][column]],
        [at[0][left], at[1][left]],
        [at[0][right], at[1][right]],
    ]
}

struct Spread<'a> {
    to: &'a mut [f32],
    around: [[&'a [f32]; KEPT]; 3],
    patches: Patches<'a>,
}

impl Work for Spread<'_> {
    #[inline(always)]
    fn run<E: Eight>(self) {
        let [xs, ys, costs] = self.around[1];
        let columns = xs.len();
        for column in 0..columns {
            let patch = Patch::new(self.patches, column);
            let offers = neighbours(&self.around, column);
            // All four before any is compared, and without branches: which is better is anybody's guess.
            let mut found = [0.0; 4];
            for (cost, offer) in found.iter_mut().zip(offers) {
                *cost = patch.cost::<E>(&patch.place(offer));
            }
            let (mut best, mut least) = ([xs[column], ys[column]], costs[column]);
            for (cost, offer) in found.into_iter().zip(offers) {
                let better = cost < least;
                best = [
                    std::hint::select_unpredictable(better, offer[0], best[0]),
                    std::hint::select_unpredictable(better, offer[1], best[1]),
                ];
                least = std::hint::select_unpredictable(better, cost, least);
            }
            self.to[column] = best[0];
            self.to[columns + column] = best[1];
            self.to[2 * columns + column] = least;
        }
    }
}

/// Adds what a row of patches found to those of the rows of pixels they cover that `sums` has: the weights, and the
/// velocities' parts by them. `inner` are which of the patches' rows these are.
pub(super) fn count(tier: Tier, sums: [&mut [f32]; 3], kept: &[f32], patches: Patches<'_>, inner: usize) {
    eight::run(
        tier,
        Count {
            sums,
            kept,
            patches,
            inner,
        },
    );
}

struct Count<'a> {
    sums: [&'a mut [f32]; 3],
    kept: &'a [f32],
    patches: Patches<'a>,
    inner: usize,
}

impl Work for Count<'_> {
    #[inline(always)]
    fn run<E: Eight>(self) {
        let [weights, by_x, by_y] = self.sums;
        let [xs, ys, _] = parts(self.kept);
        for column in 0..xs.len() {
            let velocity = [xs[column], ys[column]];
            let patch = Patch::new(self.patches, column);
            let mut weight = E::splat(0.0);
            patch.differences(&patch.place(velocity), self.inner..self.inner + 1, |_, off: E| {
                weight = off.counted(DOUBT);
            });
            let add = |to: &mut [f32], by: f32| {
                let to: &mut [f32; SIDE] = to[column * STRIDE..].first_chunk_mut().expect("a patch");
                // SAFETY: eight values.
                let sum = unsafe { E::load(to.as_ptr()) };
                *to = sum.add_product(weight, E::splat(by)).values();
            };
            add(weights, 1.0);
            add(by_x, velocity[0]);
            add(by_y, velocity[1]);
        }
    }
}
