//! Dense inverse search kernels over one row of 8x8 patches: descent, propagation and densification weights. They
//! process one row of a patch, eight pixels, at a time in a vector type of the tier.

// `clamp` would propagate NaN.
#![allow(clippy::manual_clamp)]

mod vector;

use rife_backend::DisOptions;

use self::vector::{Kernel, Vector8};
use super::PATCH_VALUES;
use super::STRIDE;
use crate::runtime::Tier;

/// Rows and columns of a patch in pixels.
pub(super) const SIDE: usize = 2 * STRIDE;
/// Width of the replicated border of images; a patch displaced further would also see only replicated pixels.
pub(super) const BORDER: usize = SIDE + 2;
/// Reciprocal of the number of pixels of a patch.
const PIXEL_WEIGHT: f32 = 1.0 / (SIDE * SIDE) as f32;

/// A luma image of `size` (height and width), surrounded in memory by a border of [`BORDER`] pixels.
#[derive(Clone, Copy)]
pub(super) struct Bordered<'a> {
    data: &'a [f32],
    size: [usize; 2],
}

/// A row of patches of the image `from`, and the image `to` in which they are searched.
#[derive(Clone, Copy)]
pub(super) struct PatchRow<'a> {
    pub(super) from: Bordered<'a>,
    pub(super) to: Bordered<'a>,
    /// Index of the row of patches.
    pub(super) row: usize,
}

impl<'a> Bordered<'a> {
    /// Wraps an image with its border.
    ///
    /// # Panics
    /// When `data` is too short.
    pub(super) fn new(data: &'a [f32], size: [usize; 2]) -> Self {
        assert!(
            data.len() >= (size[0] + 2 * BORDER) * (size[1] + 2 * BORDER),
            "an image with its border"
        );
        Self { data, size }
    }

    /// Returns the stride of rows, border included.
    #[inline(always)]
    fn stride(&self) -> usize {
        self.size[1] + 2 * BORDER
    }

    /// Returns a pointer to a pixel by its index in memory, border included.
    #[inline(always)]
    fn at(&self, pixel: usize) -> *const f32 {
        debug_assert!(pixel + SIDE <= self.data.len());
        self.data.as_ptr().wrapping_add(pixel)
    }
}

/// A patch in a column of a patch row; `first` is the index in memory of its upper left pixel.
#[derive(Clone, Copy)]
struct Patch<'a> {
    patches: PatchRow<'a>,
    column: usize,
    first: usize,
}

/// Sampling position of a displaced patch: the index of the pixel above and left of its first sample, and the fractions
/// below and to the right of it.
struct Position {
    first: usize,
    below: f32,
    right: f32,
}

/// Splits a displaced patch's coordinate along one axis, border included (1 to `size + BORDER`), into integer and fraction.
#[inline(always)]
fn coordinate(patch: usize, displacement: f32, size: usize) -> (usize, f32) {
    let at = (patch * STRIDE) as f32 - (STRIDE / 2) as f32 + displacement;
    // Not `clamp`, since NaN must give a position inside too.
    let at = at.max(1.0 - BORDER as f32).min(size as f32) + BORDER as f32;
    // SAFETY: a small number.
    let pixel = unsafe { at.to_int_unchecked::<i32>() };
    (pixel as usize, at - pixel as f32)
}

impl<'a> Patch<'a> {
    /// Makes patch `column` (counted in patches) of the row `patches`; `first` is the index of its upper left pixel in the
    /// bordered image `from`. A patch is centred on its cell of `STRIDE` x `STRIDE` pixels and extends `STRIDE / 2` beyond it.
    #[inline(always)]
    fn new(patches: PatchRow<'a>, column: usize) -> Self {
        let [height, width] = patches.from.size;
        // These bounds keep the loads in `differences` inside of the image and its border.
        assert!(
            patches.row * STRIDE < height && column * STRIDE < width && patches.to.size == [height, width]
        );
        let before = BORDER - STRIDE / 2;
        let first = (patches.row * STRIDE + before) * patches.from.stride() + column * STRIDE + before;
        Self {
            patches,
            column,
            first,
        }
    }

    /// Returns the patch's sampling position in the image `to` after displacement by a velocity.
    #[inline(always)]
    fn displaced(&self, [x, y]: [f32; 2]) -> Position {
        let PatchRow { to, row, .. } = self.patches;
        let (column, right) = coordinate(self.column, x, to.size[1]);
        let (row, below) = coordinate(row, y, to.size[0]);
        Position {
            first: row * to.stride() + column,
            below,
            right,
        }
    }

    /// Calls `with` for each of the patch's `rows` with the differences of bilinear samples at `position` and the patch's
    /// pixels.
    #[inline(always)]
    fn differences<V: Vector8>(
        &self,
        position: &Position,
        rows: std::ops::Range<usize>,
        mut with: impl FnMut(usize, V),
    ) {
        let PatchRow { from, to, .. } = self.patches;
        let (right, below) = (V::splat(position.right), V::splat(position.below));
        let interpolated = |row: usize| {
            let at = to.at(position.first + row * to.stride());
            // SAFETY: a position and the row below it are inside the image with its border, with one more pixel to the right.
            let (left, next) = unsafe { (V::load(at), V::load(at.wrapping_add(1))) };
            left.add_product(next.sub(left), right)
        };
        let mut upper = interpolated(rows.start);
        for row in rows {
            let lower = interpolated(row + 1);
            // SAFETY: patches begin at most half a stride above and left of the image, and end as far beyond it: in its border.
            let here = unsafe { V::load(from.at(self.first + row * from.stride())) };
            with(row, upper.add_product(lower.sub(upper), below).sub(here));
            upper = lower;
        }
    }

    /// Computes the cost of a position: the variance of the differences times the number of pixels, which is invariant to
    /// brightness.
    #[inline(always)]
    fn cost<V: Vector8>(&self, position: &Position) -> f32 {
        let (mut sums, mut squares) = (V::splat(0.0), V::splat(0.0));
        self.differences(position, 0..SIDE, |_, difference: V| {
            sums = sums.add(difference);
            squares = squares.add_product(difference, difference);
        });
        let total = sums.sum();
        squares.sum() - total * total * PIXEL_WEIGHT
    }
}

/// The template of a patch: its gradients minus their means, and the inverse of the damped Hessian (elements xx, xy and
/// yy divided by the determinant).
struct Template<V> {
    /// Gradients along x, a vector for each row of pixels.
    dx: [V; SIDE],
    /// Gradients along y, a vector for each row of pixels.
    dy: [V; SIDE],
    /// Elements xx, xy and yy of the damped Hessian, divided by its determinant.
    inverse_hessian: [f32; 3],
    /// Maximum component of a step in pixels.
    max_step: f32,
}

impl<V: Vector8> Template<V> {
    /// Computes gradients by central differences, and the inverse Hessian.
    #[inline(always)]
    fn new(patch: &Patch<'_>, options: &DisOptions) -> Self {
        let zero = V::splat(0.0);
        let half = V::splat(0.5);
        let (mut dx, mut dy) = ([zero; SIDE], [zero; SIDE]);
        let (mut sum_x, mut sum_y) = (zero, zero);
        let from = patch.patches.from;
        let stride = from.stride();
        for row in 0..SIDE {
            let at = patch.first + row * stride;
            // SAFETY: as in `differences`; the border is more than a pixel wider than needed there.
            let [left, right, above, below] = unsafe {
                [
                    V::load(from.at(at - 1)),
                    V::load(from.at(at + 1)),
                    V::load(from.at(at - stride)),
                    V::load(from.at(at + stride)),
                ]
            };
            dx[row] = zero.add_product(right.sub(left), half);
            dy[row] = zero.add_product(below.sub(above), half);
            sum_x = sum_x.add(dx[row]);
            sum_y = sum_y.add(dy[row]);
        }
        let (mean_x, mean_y) = (
            V::splat(sum_x.sum() * PIXEL_WEIGHT),
            V::splat(sum_y.sum() * PIXEL_WEIGHT),
        );
        let (mut xx, mut xy, mut yy) = (zero, zero, zero);
        for row in 0..SIDE {
            dx[row] = dx[row].sub(mean_x);
            dy[row] = dy[row].sub(mean_y);
            xx = xx.add_product(dx[row], dx[row]);
            xy = xy.add_product(dx[row], dy[row]);
            yy = yy.add_product(dy[row], dy[row]);
        }
        let damping = options.damping / PIXEL_WEIGHT;
        let (xx, xy, yy) = (xx.sum() + damping, xy.sum(), yy.sum() + damping);
        let reciprocal = 1.0 / (xx * yy - xy * xy);
        Self {
            dx,
            dy,
            inverse_hessian: [xx * reciprocal, xy * reciprocal, yy * reciprocal],
            max_step: options.max_step,
        }
    }

    /// Takes `steps` Gauss-Newton steps from a velocity; returns the visited velocity of lowest cost, and that cost.
    #[inline(always)]
    fn descend(&self, patch: &Patch<'_>, mut velocity: [f32; 2], steps: usize) -> ([f32; 2], f32) {
        let (mut best, mut min_cost) = (velocity, f32::INFINITY);
        for _ in 0..steps {
            let (step, cost) = self.step(patch, &patch.displaced(velocity));
            if cost < min_cost {
                (best, min_cost) = (velocity, cost);
            }
            velocity = [velocity[0] + step[0], velocity[1] + step[1]];
        }
        let cost = patch.cost::<V>(&patch.displaced(velocity));
        if cost < min_cost {
            (best, min_cost) = (velocity, cost);
        }
        (best, min_cost)
    }

    /// Computes the Gauss-Newton step from a position, and the cost at the position.
    #[inline(always)]
    fn step(&self, patch: &Patch<'_>, position: &Position) -> ([f32; 2], f32) {
        let zero = V::splat(0.0);
        let (mut sums, mut squares, mut by_x, mut by_y) = (zero, zero, zero, zero);
        patch.differences(position, 0..SIDE, |row, difference: V| {
            sums = sums.add(difference);
            squares = squares.add_product(difference, difference);
            by_x = by_x.add_product(difference, self.dx[row]);
            by_y = by_y.add_product(difference, self.dy[row]);
        });
        let (total, by_x, by_y) = (sums.sum(), by_x.sum(), by_y.sum());
        let ([xx, xy, yy], max_step) = (self.inverse_hessian, self.max_step);
        let x = (xy * by_y - yy * by_x).max(-max_step).min(max_step);
        let y = (xy * by_x - xx * by_y).max(-max_step).min(max_step);
        ([x, y], squares.sum() - total * total * PIXEL_WEIGHT)
    }
}

/// Splits the values of a row of patches into all x, all y and all costs.
#[inline(always)]
fn components(row: &[f32]) -> [&[f32]; PATCH_VALUES] {
    let (x, rest) = row.split_at(row.len() / PATCH_VALUES);
    let (y, costs) = rest.split_at(x.len());
    [x, y, costs]
}

/// Refines the velocities of a row of patches by Gauss-Newton descent. `row` is `[3, patches]`: horizontal and vertical
/// velocities in pixels of the level, then costs (sums of squared differences of mean-normalised luma). It holds the initial
/// velocities, and receives for each patch the visited velocity of lowest cost, and that cost.
pub(super) fn descend(tier: Tier, row: &mut [f32], patches: PatchRow<'_>, options: &DisOptions) {
    vector::run(
        tier,
        Descend {
            row,
            patches,
            options,
        },
    );
}

/// Arguments of [`descend`].
struct Descend<'a> {
    row: &'a mut [f32],
    patches: PatchRow<'a>,
    options: &'a DisOptions,
}

impl Kernel for Descend<'_> {
    /// Computes [`descend`].
    #[inline(always)]
    fn run<V: Vector8>(self) {
        let columns = self.row.len() / PATCH_VALUES;
        for column in 0..columns {
            let patch = Patch::new(self.patches, column);
            let template = Template::<V>::new(&patch, self.options);
            let initial = [self.row[column], self.row[columns + column]];
            let steps = self.options.gauss_newton_steps;
            let (mut best, mut min_cost) = template.descend(&patch, initial, steps);
            if let Some(fraction) = self.options.zero_start {
                let (velocity, cost) = template.descend(&patch, [0.0, 0.0], steps);
                if cost < fraction * min_cost {
                    (best, min_cost) = (velocity, cost);
                }
            }
            self.row[column] = best[0];
            self.row[columns + column] = best[1];
            self.row[2 * columns + column] = min_cost;
        }
    }
}

/// Runs one propagation round for a row of patches: writes to `to`, for each patch, the velocity of lowest cost among its own
/// and those of the patches above, below, left and right. `around` are the patch rows above, at and below.
pub(super) fn propagate(tier: Tier, to: &mut [f32], around: [&[f32]; 3], patches: PatchRow<'_>) {
    let around = around.map(components);
    vector::run(tier, Propagate { to, around, patches });
}

/// Returns the velocities of the patches above, below, left and right of a column's patch.
#[inline(always)]
fn neighbours([above, at, below]: &[[&[f32]; PATCH_VALUES]; 3], column: usize) -> [[f32; 2]; 4] {
    let (left, right) = (column.saturating_sub(1), (column + 1).min(at[0].len() - 1));
    [
        [above[0][column], above[1][column]],
        [below[0][column], below[1][column]],
        [at[0][left], at[1][left]],
        [at[0][right], at[1][right]],
    ]
}

/// Arguments of [`propagate`].
struct Propagate<'a> {
    to: &'a mut [f32],
    around: [[&'a [f32]; PATCH_VALUES]; 3],
    patches: PatchRow<'a>,
}

impl Kernel for Propagate<'_> {
    /// Computes [`propagate`].
    #[inline(always)]
    fn run<V: Vector8>(self) {
        let [xs, ys, costs] = self.around[1];
        let columns = xs.len();
        for column in 0..columns {
            let patch = Patch::new(self.patches, column);
            let candidates = neighbours(&self.around, column);
            // All four costs are computed before comparisons, which are branchless, since branches would be mispredicted.
            let mut candidate_costs = [0.0; 4];
            for (cost, candidate) in candidate_costs.iter_mut().zip(candidates) {
                *cost = patch.cost::<V>(&patch.displaced(candidate));
            }
            let (mut best, mut min_cost) = ([xs[column], ys[column]], costs[column]);
            for (cost, candidate) in candidate_costs.into_iter().zip(candidates) {
                let better = cost < min_cost;
                best = [
                    std::hint::select_unpredictable(better, candidate[0], best[0]),
                    std::hint::select_unpredictable(better, candidate[1], best[1]),
                ];
                min_cost = std::hint::select_unpredictable(better, cost, min_cost);
            }
            self.to[column] = best[0];
            self.to[columns + column] = best[1];
            self.to[2 * columns + column] = min_cost;
        }
    }
}

/// Densifies one row of pixels by one row of patches: adds to `sums` the weights, and weighted x and y of the velocities.
/// `patch_line` (0 to 7) is the row of pixels within the patches.
pub(super) fn accumulate(
    tier: Tier,
    sums: [&mut [f32]; 3],
    row: &[f32],
    patches: PatchRow<'_>,
    patch_line: usize,
    min_residual: f32,
) {
    vector::run(
        tier,
        Accumulate {
            sums,
            row,
            patches,
            patch_line,
            min_residual,
        },
    );
}

/// Densification of one row of pixels: adds the velocities of the patches of one patch row that cover it, each weighted by
/// `1 / max(|residual|, min_residual)`; see [`accumulate`].
struct Accumulate<'a> {
    /// Of each pixel: the sum of weights, of weighted horizontal and of weighted vertical velocities.
    sums: [&'a mut [f32]; 3],
    /// The patches' velocities and costs, `[3, patches]`: horizontal, vertical, cost.
    row: &'a [f32],
    /// The row of patches with both images.
    patches: PatchRow<'a>,
    /// Row within the patches, from 0, that lies on the row of pixels.
    patch_line: usize,
    /// Lower bound of a pixel's residual (absolute difference of luma, 0 to 1).
    min_residual: f32,
}

impl Kernel for Accumulate<'_> {
    /// Computes [`accumulate`].
    #[inline(always)]
    fn run<V: Vector8>(self) {
        let [weights, by_x, by_y] = self.sums;
        let [xs, ys, _] = components(self.row);
        for column in 0..xs.len() {
            let velocity = [xs[column], ys[column]];
            let patch = Patch::new(self.patches, column);
            let mut weight = V::splat(0.0);
            patch.differences(
                &patch.displaced(velocity),
                self.patch_line..self.patch_line + 1,
                |_, difference: V| {
                    weight = difference.densification_weight(self.min_residual);
                },
            );
            let add = |to: &mut [f32], by: f32| {
                let to: &mut [f32; SIDE] = to[column * STRIDE..].first_chunk_mut().expect("a patch");
                // SAFETY: eight values.
                let sum = unsafe { V::load(to.as_ptr()) };
                *to = sum.add_product(weight, V::splat(by)).values();
            };
            add(weights, 1.0);
            add(by_x, velocity[0]);
            add(by_y, velocity[1]);
        }
    }
}
