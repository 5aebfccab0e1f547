//! Dense inverse search ([`crate::dis`]) composed of elementwise operations, shifts, resizes and warps of tensors.
//!
//! A patch of 8x8 pixels consists of four quadrants of 4x4 pixels, the size of a cell of the grid of stride 4. For each
//! quadrant the image is shifted by half a cell up or down and left or right, so that the mean of a cell of the shifted
//! image is the mean of this quadrant of the cell's patch. Velocities of patches are `[2, rows, columns]`, one per cell.

use crate::dis::{DisOptions, LUMA, STRIDE};
use crate::{Backend, Resize};

use super::SampleOps;

/// Operations of an engine that [`dis_flow`] needs in addition to [`SampleOps`].
pub trait DisOps: SampleOps {
    /// Makes a channel of zeros of the height and width of `like`, `[1, height, width]`. By default `like * 0`, which is NaN
    /// where `like` is a NaN or an infinity.
    fn zeros(&self, like: &Self::Tensor) -> Self::Tensor {
        self.affine(like, 0.0, 0.0)
    }
    /// Computes `a / b` elementwise, of equal shapes.
    fn div(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// Computes the elementwise minimum of tensors of equal shape.
    fn min(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// Computes the elementwise maximum of tensors of equal shape.
    fn max(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// Pads `x` on the right and at the bottom to `size`, `[height, width]`, by replicating the last column and row.
    fn pad(&self, x: &Self::Tensor, size: [usize; 2]) -> Self::Tensor;
    /// Crops `x` to its upper left `size`, `[height, width]`.
    fn crop(&self, x: &Self::Tensor, size: [usize; 2]) -> Self::Tensor;
    /// Selects elementwise `values[0]` where `compared[0] < compared[1]`, else `values[1]`; all four of one shape.
    fn where_less(&self, compared: [&Self::Tensor; 2], values: [&Self::Tensor; 2]) -> Self::Tensor;
}

/// Half the side of a cell, in pixels.
const HALF: isize = STRIDE as isize / 2;
/// Offsets of a patch's four quadrants from its central cell, `[rows, columns]` in pixels.
const QUADRANTS: [[isize; 2]; 4] = [[-HALF, -HALF], [-HALF, HALF], [HALF, -HALF], [HALF, HALF]];

/// Computes [`Backend::dis_flow`]: `frames`, `[3, height, width]` RGB in 0..=1, to forward and backward flow,
/// `[4, height >> level, width >> level]` in pixels of that resolution.
pub fn dis_flow<B: DisOps>(b: &B, frames: [&B::Tensor; 2], level: u32, options: &DisOptions) -> B::Tensor {
    let [height, width] = [1, 2].map(|axis| b.shape(frames[0])[axis] >> level);
    let luma_at_level = |frame| (0..level).fold(luma(b, frame), |x, _| half(b, &x));
    let mut pyramid = vec![frames.map(|frame| pad_to_cells(b, &luma_at_level(frame)))];
    for _ in 0..options.coarser_levels(height, width) {
        let larger = pyramid[pyramid.len() - 1].each_ref();
        pyramid.push(larger.map(|x| pad_to_cells(b, &half(b, x))));
    }
    let mut found: Option<[B::Tensor; 2]> = None;
    for (coarseness, [first, second]) in pyramid.iter().enumerate().rev() {
        let [forward, backward] = match found {
            None => [zero_velocity(b, first), zero_velocity(b, first)],
            Some(coarser) => coarser.map(|v| upsample_velocity(b, &v, first)),
        };
        let (rounds, zero_start) = if coarseness > 0 {
            (options.propagation_rounds, None)
        } else {
            (options.finest_propagation_rounds, options.zero_start)
        };
        let search = |from, to, initial| {
            let search = Search::new(b, from, to, options);
            median(b, &search.dense(&initial, rounds, zero_start))
        };
        found = Some([search(first, second, forward), search(second, first, backward)]);
    }
    let [forward, backward] = found.expect("a pyramid has a level");
    b.crop(&b.cat(&[&forward, &backward]), [height, width])
}

/// Pads height and width to multiples of [`STRIDE`] by replicating the last row and column.
fn pad_to_cells<B: DisOps>(b: &B, x: &B::Tensor) -> B::Tensor {
    let [_, height, width] = b.shape(x);
    b.pad(x, [height, width].map(|side| side.next_multiple_of(STRIDE)))
}

/// Upsamples the velocities of the next coarser level, `[2, height, width]` in its pixels, to the height and width of
/// `like` and doubles them: pixels of the finer level.
fn upsample_velocity<B: DisOps>(b: &B, coarser: &B::Tensor, like: &B::Tensor) -> B::Tensor {
    let [_, height, width] = b.shape(like);
    b.crop(
        &b.affine(&b.resize(coarser, Resize::Up(2)), 2.0, 0.0),
        [height, width],
    )
}

/// Computes the luma of an RGB image, `[3, height, width]` to `[1, height, width]`, with the weights [`LUMA`].
pub fn luma<B: Backend>(b: &B, image: &B::Tensor) -> B::Tensor {
    let [red, green, blue] = [0, 1, 2].map(|i| b.affine(&b.narrow(image, i..i + 1), LUMA[i], 0.0));
    b.add(&b.add(&red, &green), &blue)
}

/// Makes a velocity field of zeros of the height and width of `like`, which has one channel.
fn zero_velocity<B: DisOps>(b: &B, like: &B::Tensor) -> B::Tensor {
    let zero = b.zeros(like);
    b.cat(&[&zero, &zero])
}

/// Computes [`Backend::project_flow`]: `flow`, `[4, height, width]` forward and backward, to two estimates of the velocity
/// at each pixel of the frame at `timestep`, `[4, height, width]`.
pub fn project_flow<B: Backend + ?Sized>(b: &B, flow: &B::Tensor, timestep: &B::Timestep) -> B::Tensor {
    let to_second = b.timestep_affine(timestep, -1.0, 1.0);
    let to_first = b.timestep_affine(timestep, -1.0, 0.0);
    let [forward, backward] = [0, 2].map(|first| b.narrow(flow, first..first + 2));
    let velocity = b.add(
        &b.mul_timestep(&forward, &to_second),
        &b.mul_timestep(&backward, &to_first),
    );
    let sampled = |field, factor| b.warp(field, &b.mul_timestep(&velocity, factor));
    let negated = b.affine(&sampled(&backward, &to_second), -1.0, 0.0);
    b.cat(&[&sampled(&forward, &to_first), &negated])
}

/// The same quadrant of all patches of an image, as images shifted by `offset`, each `[1, height, width]`.
struct Quadrant<T> {
    /// Luma.
    pixels: T,
    /// Central differences of luma along x.
    dx: T,
    /// Central differences of luma along y.
    dy: T,
    /// Shift of the images, `[rows, columns]` in pixels.
    offset: [isize; 2],
}

/// Search, on one level, for the patches of the image `from` in the image `to`, both luma `[1, height, width]`.
struct Search<'a, B: Backend> {
    b: &'a B,
    options: &'a DisOptions,
    from: &'a B::Tensor,
    to: &'a B::Tensor,
    quadrants: [Quadrant<B::Tensor>; 4],
}

impl<'a, B: DisOps> Search<'a, B> {
    /// Makes a search, with the shifted images and gradients of `from`.
    fn new(b: &'a B, from: &'a B::Tensor, to: &'a B::Tensor, options: &'a DisOptions) -> Self {
        let at = |down, right| b.shift(from, down, right);
        let quadrants = QUADRANTS.map(|offset @ [down, right]| Quadrant {
            pixels: at(down, right),
            dx: b.affine(&sub(b, &at(down, right + 1), &at(down, right - 1)), 0.5, 0.0),
            dy: b.affine(&sub(b, &at(down + 1, right), &at(down - 1, right)), 0.5, 0.0),
            offset,
        });
        Self {
            b,
            options,
            from,
            to,
            quadrants,
        }
    }

    /// Returns the velocity of every pixel, `[2, height, width]`: Gauss-Newton steps from the means of `initial`, of the same
    /// shape, over cells, with `zero_start` also from zero, then `rounds` of propagation, then densification.
    fn dense(&self, initial: &B::Tensor, rounds: usize, zero_start: Option<f32>) -> B::Tensor {
        let b = self.b;
        let mut best = self.descend(cell_means(b, initial));
        if let Some(fraction) = zero_start {
            best = self.with_zero_start(best, fraction);
        }
        for _ in 0..rounds {
            best = self.propagate(best);
        }
        let per_pixel = upsample_cells(b, &best.0);
        let parts = QUADRANTS.map(|[down, right]| {
            let velocity = b.shift(&per_pixel, down, right);
            let difference = sub(b, &b.warp(self.to, &velocity), self.from);
            let absolute = b.max(&difference, &b.affine(&difference, -1.0, 0.0));
            let [low, high] = [self.options.min_residual, 1.0].map(|bound| b.plane(&difference, bound));
            let weight = b.div(&high, &b.min(&b.max(&absolute, &low), &high));
            [b.mul(&velocity, &weight), weight]
        });
        let sum = |i: usize| sum(b, parts.each_ref().map(|part| part[i].clone()));
        let (weighted, total) = (sum(0), sum(1));
        b.div(&weighted, &b.cat(&[&total, &total]))
    }

    /// Takes Gauss-Newton steps from the initial velocities of the patches. Returns each patch's velocity of the lowest cost
    /// among the initial one and those after every step, and that cost.
    fn descend(&self, initial: B::Tensor) -> (B::Tensor, B::Tensor) {
        let inverse = self.inverse_hessian();
        let mut differences = self.differences(&initial);
        let mut best = (initial.clone(), self.cost(&differences));
        let mut velocity = initial;
        for _ in 0..self.options.gauss_newton_steps {
            velocity = self.b.add(&velocity, &self.step(&inverse, &differences));
            differences = self.differences(&velocity);
            best = self.cheaper(best, (velocity.clone(), self.cost(&differences)));
        }
        best
    }

    /// Runs one propagation round: every patch takes the velocity of a neighbour above, below, left or right where its cost
    /// is lower. `best` and the result are velocities and their costs.
    fn propagate(&self, best: (B::Tensor, B::Tensor)) -> (B::Tensor, B::Tensor) {
        let before = best.0.clone();
        let neighbours = [[-1, 0], [1, 0], [0, -1], [0, 1]];
        neighbours.into_iter().fold(best, |best, [down, right]| {
            let candidate = self.b.shift(&before, down, right);
            let cost = self.cost(&self.differences(&candidate));
            self.cheaper(best, (candidate, cost))
        })
    }

    /// Returns, for each patch, the candidate velocity and its cost where that is lower, else the best velocity so far and
    /// its cost.
    fn cheaper(
        &self,
        (best, best_cost): (B::Tensor, B::Tensor),
        (candidate, cost): (B::Tensor, B::Tensor),
    ) -> (B::Tensor, B::Tensor) {
        let b = self.b;
        let component = |i: usize| {
            let [new, old] = [&candidate, &best].map(|v| b.narrow(v, i..i + 1));
            b.where_less([&cost, &best_cost], [&new, &old])
        };
        (b.cat(&[&component(0), &component(1)]), b.min(&cost, &best_cost))
    }

    /// Returns, for each patch, the result of the steps from zero velocity where its cost is less than `fraction` of the best
    /// cost so far, else the best velocity so far and its cost.
    fn with_zero_start(
        &self,
        (best, best_cost): (B::Tensor, B::Tensor),
        fraction: f32,
    ) -> (B::Tensor, B::Tensor) {
        let b = self.b;
        let (found, cost) = self.descend(zero_velocity(b, &best_cost));
        let limit = b.affine(&best_cost, fraction, 0.0);
        let chosen = |new: &B::Tensor, old: &B::Tensor| b.where_less([&cost, &limit], [new, old]);
        let [x, y] = [0, 1].map(|i| chosen(&b.narrow(&found, i..i + 1), &b.narrow(&best, i..i + 1)));
        (b.cat(&[&x, &y]), chosen(&cost, &best_cost))
    }

    /// Returns the differences of luma between the patches of `to` displaced by `velocity`, `[2, rows, columns]`, and those
    /// of `from`: for each quadrant, `[1, height, width]`.
    fn differences(&self, velocity: &B::Tensor) -> [B::Tensor; 4] {
        let b = self.b;
        let per_pixel = upsample_cells(b, velocity);
        let [x, y] = [0, 1].map(|i| b.narrow(&per_pixel, i..i + 1));
        self.quadrants.each_ref().map(|quadrant| {
            let [down, right] = quadrant.offset.map(|offset| offset as f32);
            let flow = b.cat(&[&b.affine(&x, 1.0, right), &b.affine(&y, 1.0, down)]);
            sub(b, &b.warp(self.to, &flow), &quadrant.pixels)
        })
    }

    /// Computes the covariance of `x` and `y`, an image `[1, height, width]` for each quadrant, over each patch.
    fn covariance(&self, x: [&B::Tensor; 4], y: [&B::Tensor; 4]) -> B::Tensor {
        let b = self.b;
        let products = self.mean([0, 1, 2, 3].map(|i| b.mul(x[i], y[i])));
        let [x, y] = [x, y].map(|of| self.mean(of.map(|x| x.clone())));
        sub(b, &products, &b.mul(&x, &y))
    }

    /// Computes the mean over each patch of an image given for each quadrant.
    fn mean(&self, quadrants: [B::Tensor; 4]) -> B::Tensor {
        self.b
            .affine(&sum(self.b, quadrants.map(|x| cell_means(self.b, &x))), 0.25, 0.0)
    }

    /// Computes the cost of each patch: the variance of its differences, which ignores a difference in brightness.
    fn cost(&self, differences: &[B::Tensor; 4]) -> B::Tensor {
        self.covariance(differences.each_ref(), differences.each_ref())
    }

    /// Returns the central differences along x of each quadrant.
    fn dx(&self) -> [&B::Tensor; 4] {
        self.quadrants.each_ref().map(|quadrant| &quadrant.dx)
    }

    /// Returns the central differences along y of each quadrant.
    fn dy(&self) -> [&B::Tensor; 4] {
        self.quadrants.each_ref().map(|quadrant| &quadrant.dy)
    }

    /// Computes the elements xx, xy and yy of each patch's damped Hessian, divided by its determinant. The inverse Hessian
    /// has them in exchanged positions: `[yy, -xy; -xy, xx]`.
    fn inverse_hessian(&self) -> [B::Tensor; 3] {
        let b = self.b;
        let (dx, dy) = (self.dx(), self.dy());
        let damped = |x: B::Tensor| b.affine(&x, 1.0, self.options.damping);
        let (xx, xy) = (damped(self.covariance(dx, dx)), self.covariance(dx, dy));
        let yy = damped(self.covariance(dy, dy));
        let determinant = sub(b, &b.mul(&xx, &yy), &b.mul(&xy, &xy));
        [xx, xy, yy].map(|x| b.div(&x, &determinant))
    }

    /// Computes the Gauss-Newton step of each patch, `[2, rows, columns]`: minus the inverse Hessian times the gradient, each
    /// component clamped to +-[`DisOptions::max_step`]. `xx`, `xy` and `yy` are those of `inverse_hessian`.
    fn step(&self, [xx, xy, yy]: &[B::Tensor; 3], differences: &[B::Tensor; 4]) -> B::Tensor {
        let b = self.b;
        let differences = differences.each_ref();
        let gradient_x = self.covariance(differences, self.dx());
        let gradient_y = self.covariance(differences, self.dy());
        let component = |p: &B::Tensor, q: &B::Tensor, r: &B::Tensor, s: &B::Tensor| {
            let step = sub(b, &b.mul(p, q), &b.mul(r, s));
            let [low, high] =
                [-self.options.max_step, self.options.max_step].map(|bound| b.plane(&step, bound));
            b.max(&b.min(&step, &high), &low)
        };
        b.cat(&[
            &component(xy, &gradient_y, yy, &gradient_x),
            &component(xy, &gradient_x, xx, &gradient_y),
        ])
    }
}

/// Computes `x - y` elementwise.
fn sub<B: Backend>(b: &B, x: &B::Tensor, y: &B::Tensor) -> B::Tensor {
    b.add(x, &b.affine(y, -1.0, 0.0))
}

/// Adds four tensors elementwise.
fn sum<B: Backend>(b: &B, [p, q, r, s]: [B::Tensor; 4]) -> B::Tensor {
    b.add(&b.add(&p, &q), &b.add(&r, &s))
}

/// Halves height and width: means of 2x2 pixels.
fn half<B: Backend>(b: &B, x: &B::Tensor) -> B::Tensor {
    b.resize(x, Resize::Down(2))
}

/// Computes the mean of every cell of 4x4 pixels: a quarter of the height and width.
fn cell_means<B: Backend>(b: &B, x: &B::Tensor) -> B::Tensor {
    half(b, &half(b, x))
}

/// Upsamples `[2, height, width]` by 4, nearest neighbour: each value fills a cell of 4x4 pixels.
fn upsample_cells<B: Backend>(b: &B, x: &B::Tensor) -> B::Tensor {
    let twice = |x: &B::Tensor| {
        let [first, second] = [0, 1].map(|i| b.narrow(x, i..i + 1));
        let four = |x| [x; 4];
        let [[p, q, r, s], [t, u, v, w]] = [four(&first), four(&second)];
        b.pixel_shuffle(&b.cat(&[p, q, r, s, t, u, v, w]))
    };
    twice(&twice(x))
}

/// Applies a 3x3 median filter. With each column of the window sorted, the median of the nine values is the median of
/// three: the largest column minimum, the median of the column medians, and the smallest column maximum.
fn median<B: DisOps>(b: &B, x: &B::Tensor) -> B::Tensor {
    let three =
        |x: &B::Tensor, down: isize, right: isize| [-1, 0, 1].map(|i| b.shift(x, i * down, i * right));
    let [low, middle, high] = sorted(b, three(x, 1, 0));
    let [_, _, low] = sorted(b, three(&low, 0, 1));
    let [_, middle, _] = sorted(b, three(&middle, 0, 1));
    let [high, _, _] = sorted(b, three(&high, 0, 1));
    let [_, median, _] = sorted(b, [low, middle, high]);
    median
}

/// Sorts three tensors elementwise: minimum, median, maximum.
fn sorted<B: DisOps>(b: &B, [p, q, r]: [B::Tensor; 3]) -> [B::Tensor; 3] {
    let (less, more) = (b.min(&p, &q), b.max(&p, &q));
    let middle = b.max(&less, &b.min(&more, &r));
    [b.min(&less, &r), middle, b.max(&more, &r)]
}
