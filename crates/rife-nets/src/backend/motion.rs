//! [`Backend::motion`] by its definition, for engines that have no kernel of their own for it: what `rife_cpu::motion`
//! explains, in operations on whole planes.

use std::ops::RangeInclusive;

use rife_cpu::motion::{AROUND, DAMPING, DOUBT, FURTHEST, GREY, LAST_STEPS, STEPS, WINDOW};

use super::{Backend, Factor};

/// What [`composed`] needs of an engine beside [`Backend`].
pub trait Pixelwise: Backend {
    /// Each pixel's neighbour so many rows below and columns to the right; beyond the edges they are repeated.
    fn neighbour(&self, x: &Self::Tensor, down: isize, right: isize) -> Self::Tensor;
    /// Elementwise quotient of equal shapes.
    fn quotient(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// Elementwise smaller of equal shapes.
    fn least(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// Elementwise larger of equal shapes.
    fn most(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
}

/// See [`Backend::motion`].
pub fn composed<B: Pixelwise>(
    b: &B,
    frames: [&B::Tensor; 2],
    timestep: &B::Tensor,
    levels: RangeInclusive<u32>,
) -> B::Tensor {
    let mut pyramid = vec![frames.map(|frame| grey(b, frame))];
    for _ in 0..*levels.end() {
        let smaller = pyramid[pyramid.len() - 1]
            .each_ref()
            .map(|x| b.resize(x, Factor::Down(2)));
        pyramid.push(smaller);
    }
    let mut found: Option<B::Tensor> = None;
    let finest = *levels.start();
    for level in levels.rev() {
        let pair = Pair {
            b,
            frames: pyramid[level as usize].each_ref(),
            timestep: b.resize(timestep, Factor::Down(1 << level)),
        };
        let begin = match found {
            None => pair.resting(),
            Some(coarser) => b.affine(&b.resize(&coarser, Factor::Up(2)), 2.0, 0.0),
        };
        let steps = if level > finest { STEPS } else { LAST_STEPS };
        let mut last = (0..steps).fold(begin, |v, _| pair.improved(&v));
        if level > finest {
            last = pair.agreed(&last);
        }
        found = Some(median(b, &last));
    }
    found.expect("motion has levels")
}

fn grey<B: Backend>(b: &B, image: &B::Tensor) -> B::Tensor {
    let [red, green, blue] = [0, 1, 2].map(|i| b.affine(&b.channels(image, i..i + 1), GREY[i], 0.0));
    b.add(&b.add(&red, &green), &blue)
}

/// Two grey frames of one level.
struct Pair<'a, B: Backend> {
    b: &'a B,
    frames: [&'a B::Tensor; 2],
    timestep: B::Tensor,
}

impl<B: Pixelwise> Pair<'_, B> {
    fn resting(&self) -> B::Tensor {
        let none = self.b.affine(self.frames[0], 0.0, 0.0);
        self.b.cat(&[&none, &none])
    }

    /// Both frames moved by their part of the velocity.
    fn moved(&self, v: &B::Tensor) -> [B::Tensor; 2] {
        let b = self.b;
        let parts =
            [(-1.0, 0.0), (-1.0, 1.0)].map(|(factor, offset)| b.affine(&self.timestep, factor, offset));
        [0, 1].map(|i| b.warp(self.frames[i], &b.scaled(v, &parts[i])))
    }

    /// A step of every velocity.
    fn improved(&self, v: &B::Tensor) -> B::Tensor {
        let b = self.b;
        let after = b.affine(&self.timestep, -1.0, 1.0);
        let [first, second] = self.moved(v);
        let slope = |down, right| {
            let of = |x: &B::Tensor, part: &B::Tensor| b.scaled(&slope(b, x, [down, right]), part);
            b.add(&of(&first, &self.timestep), &of(&second, &after))
        };
        let found = self.least_squares([&slope(0, 1), &slope(1, 0)], &minus(b, &second, &first));
        b.add(v, &found)
    }

    /// Means of the velocities around, counted by how alike they make the frames.
    fn agreed(&self, v: &B::Tensor) -> B::Tensor {
        let b = self.b;
        let [first, second] = self.moved(v);
        let off = minus(b, &second, &first);
        let apart = b.most(&off, &b.affine(&off, -1.0, 0.0));
        let doubt = b.affine(&mean(b, &apart, 1), 1.0, DOUBT);
        let weight = b.quotient(&b.plane(&doubt, 1.0), &doubt);
        let total = mean(b, &weight, AROUND);
        let [x, y] = parts(b, &mean(b, &b.scaled(v, &weight), AROUND));
        b.cat(&[&b.quotient(&x, &total), &b.quotient(&y, &total)])
    }

    /// The velocity that explains `off` best, `x` and `y` being the slopes.
    fn least_squares(&self, [x, y]: [&B::Tensor; 2], off: &B::Tensor) -> B::Tensor {
        let b = self.b;
        let sum = |p: &B::Tensor, q: &B::Tensor| mean(b, &b.scaled(p, q), WINDOW);
        let damped = |p: &B::Tensor| b.affine(&sum(p, p), 1.0, DAMPING);
        let (xx, xy, yy, xd, yd) = (damped(x), sum(x, y), damped(y), sum(x, off), sum(y, off));
        let cross = |p: &B::Tensor, q: &B::Tensor, r: &B::Tensor, s: &B::Tensor| {
            minus(b, &b.scaled(p, q), &b.scaled(r, s))
        };
        let whole = cross(&xx, &yy, &xy, &xy);
        let furthest = b.plane(&whole, FURTHEST);
        let nearest = b.plane(&whole, -FURTHEST);
        let part = |of: B::Tensor| b.most(&b.least(&b.quotient(&of, &whole), &furthest), &nearest);
        b.cat(&[&part(cross(&xy, &yd, &yy, &xd)), &part(cross(&xy, &xd, &xx, &yd))])
    }
}

fn parts<B: Backend>(b: &B, v: &B::Tensor) -> [B::Tensor; 2] {
    [b.channels(v, 0..1), b.channels(v, 1..2)]
}

fn minus<B: Backend>(b: &B, x: &B::Tensor, y: &B::Tensor) -> B::Tensor {
    b.add(x, &b.affine(y, -1.0, 0.0))
}

/// Half the difference of the neighbours.
fn slope<B: Pixelwise>(b: &B, x: &B::Tensor, [down, right]: [isize; 2]) -> B::Tensor {
    let difference = minus(b, &b.neighbour(x, down, right), &b.neighbour(x, -down, -right));
    b.affine(&difference, 0.5, 0.0)
}

/// Means over squares of `2 reach + 1` pixels.
fn mean<B: Pixelwise>(b: &B, x: &B::Tensor, reach: usize) -> B::Tensor {
    let reach = reach as isize;
    let sum = |x: &B::Tensor, step: [isize; 2]| {
        let all = (-reach..=reach).map(|i| b.neighbour(x, i * step[0], i * step[1]));
        all.reduce(|sum, x| b.add(&sum, &x)).expect("a pixel at least")
    };
    let count = (2 * reach + 1) as f32;
    b.affine(&sum(&sum(x, [1, 0]), [0, 1]), 1.0 / (count * count), 0.0)
}

/// Medians over 3 x 3 pixels: columns sorted first, then the largest of the smallest, the median of the middle ones
/// and the smallest of the largest have the median among them.
fn median<B: Pixelwise>(b: &B, x: &B::Tensor) -> B::Tensor {
    let three =
        |x: &B::Tensor, down: isize, right: isize| [-1, 0, 1].map(|i| b.neighbour(x, i * down, i * right));
    let [low, middle, high] = sorted(b, three(x, 1, 0));
    let [_, _, low] = sorted(b, three(&low, 0, 1));
    let [_, middle, _] = sorted(b, three(&middle, 0, 1));
    let [high, _, _] = sorted(b, three(&high, 0, 1));
    let [_, median, _] = sorted(b, [low, middle, high]);
    median
}

fn sorted<B: Pixelwise>(b: &B, [p, q, r]: [B::Tensor; 3]) -> [B::Tensor; 3] {
    let (less, more) = (b.least(&p, &q), b.most(&p, &q));
    let middle = b.most(&less, &b.least(&more, &r));
    [b.least(&less, &r), middle, b.most(&more, &r)]
}
