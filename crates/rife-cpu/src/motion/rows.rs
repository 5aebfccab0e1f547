//! The loops over rows that motion is made of, compiled for every tier. They are written out, without closures and
//! arrays' `map`: inside functions of a tier these are calls.

// `clamp` would let through what is no number.
#![allow(clippy::manual_clamp)]

use super::{AROUND, DAMPING, DOUBT, FURTHEST, WINDOW};
use crate::eval::split;
use crate::tier::for_every_tier;

/// Where a row of samples falls: the upper left of four pixels, and how far right of it and below it.
pub(super) struct Located<'a> {
    pub(super) places: &'a mut [u32],
    pub(super) along: &'a mut [f32],
    pub(super) down: &'a mut [f32],
}

for_every_tier! {
    /// `to += from * by`.
    fn accumulate(to: &mut [f32], from: &[f32], by: f32) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from * by;
        }
    }

    /// The sums of `from.len() / to.len()` values beside each other.
    fn gather(to: &mut [f32], from: &[f32]) {
        match from.len() / to.len() {
            1 => to.copy_from_slice(from),
            2 => to.iter_mut().zip(from.as_chunks::<2>().0).for_each(|(to, [a, b])| *to = a + b),
            n => to.iter_mut().zip(from.chunks_exact(n)).for_each(|(to, from)| *to = from.iter().sum()),
        }
    }

    /// Means of two by two.
    fn halve(to: &mut [f32], upper: &[f32], lower: &[f32]) {
        let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
        for (to, (upper, lower)) in to.iter_mut().zip(pairs) {
            *to = 0.25 * ((upper[0] + upper[1]) + (lower[0] + lower[1]));
        }
    }

    /// `to = a * by[0] + b * by[1]`.
    fn weighted(to: &mut [f32], a: &[f32], b: &[f32], by: [f32; 2]) {
        for (to, (a, b)) in to.iter_mut().zip(a.iter().zip(b)) {
            *to = a * by[0] + b * by[1];
        }
    }

    /// Bilinear enlargement by two along a row that has a value more on either side.
    fn expand(to: &mut [f32], from: &[f32]) {
        for (to, from) in to.as_chunks_mut::<2>().0.iter_mut().zip(from.windows(3)) {
            to[0] = 0.75 * from[1] + 0.25 * from[0];
            to[1] = 0.75 * from[1] + 0.25 * from[2];
        }
    }

    /// Locates the samples of a row: each pixel moved by `factor` times its velocity.
    fn locate(to: Located<'_>, velocity: [&[f32]; 2], factor: f32, row: usize, size: [usize; 2]) {
        let [height, width] = size;
        let places = to.places.iter_mut().zip(to.along).zip(to.down);
        let velocities = velocity[0].iter().zip(velocity[1]).enumerate();
        for (((place, along), down), (column, (x, y))) in places.zip(velocities) {
            let (column, right) = split(column as u32 as f32 + factor * x, width);
            let (row, below) = split(row as u32 as f32 + factor * y, height);
            *place = row * width as u32 + column;
            *along = right;
            *down = below;
        }
    }

    /// Samples of an image whose right and lower neighbours are so far away.
    fn sample(to: &mut [f32], places: &[u32], shares: [&[f32]; 2], image: &[f32], neighbours: [usize; 2]) {
        let [right, below] = neighbours;
        let last = places.iter().copied().max().unwrap_or(0) as usize;
        assert!(last + right + below < image.len(), "a sample outside of the image");
        for ((to, place), (along, down)) in to.iter_mut().zip(places).zip(shares[0].iter().zip(shares[1])) {
            let at = *place as usize;
            // SAFETY: no place is above `last`, whose neighbours were just found to be inside.
            let pixel = |offset: usize| unsafe { *image.get_unchecked(at + offset) };
            let upper = pixel(0) + (pixel(right) - pixel(0)) * along;
            let lower = pixel(below) + (pixel(below + right) - pixel(below)) * along;
            *to = upper + (lower - upper) * down;
        }
    }

    /// Sums of nine rows.
    fn sum_nine(to: &mut [f32], from: [&[f32]; 2 * AROUND + 1]) {
        let width = to.len();
        let [a, b, c, d, e, f, g, h, k] = from;
        let (a, b, c) = (&a[..width], &b[..width], &c[..width]);
        let (d, e, f) = (&d[..width], &e[..width], &f[..width]);
        let (g, h, k) = (&g[..width], &h[..width], &k[..width]);
        for i in 0..width {
            to[i] = a[i] + b[i] + c[i] + d[i] + e[i] + f[i] + g[i] + h[i] + k[i];
        }
    }

    /// Means of velocities over nine by nine, of sums of nine rows with four values more on either side: of the weights,
    /// and of the velocities' parts by them.
    fn mean_of_nine(to: [&mut [f32]; 2], sums: [&[f32]; 3]) {
        let [to_x, to_y] = to;
        let width = to_x.len();
        let to_y = &mut to_y[..width];
        let [w, x, y] = sums;
        let w = &w[..width + 2 * AROUND];
        let (x, y) = (&x[..width + 2 * AROUND], &y[..width + 2 * AROUND]);
        for i in 0..width {
            let w = w[i] + w[i + 1] + w[i + 2] + w[i + 3] + w[i + 4] + w[i + 5] + w[i + 6] + w[i + 7] + w[i + 8];
            let x = x[i] + x[i + 1] + x[i + 2] + x[i + 3] + x[i + 4] + x[i + 5] + x[i + 6] + x[i + 7] + x[i + 8];
            let y = y[i] + y[i + 1] + y[i + 2] + y[i + 3] + y[i + 4] + y[i + 5] + y[i + 6] + y[i + 7] + y[i + 8];
            let share = 1.0 / w;
            to_x[i] = x * share;
            to_y[i] = y * share;
        }
    }

    /// Differences; of what is no number, as of black and white.
    fn apart(to: &mut [f32], a: &[f32], b: &[f32]) {
        for (to, (a, b)) in to.iter_mut().zip(a.iter().zip(b)) {
            *to = (b - a).abs().min(1.0);
        }
    }

    /// Weights, one over the mean of nine differences and [`DOUBT`], and velocities by them; of sums of three rows of
    /// differences with a value more on either side.
    fn weigh(to: Vec<&mut [f32]>, apart: &[f32], velocity: [&[f32]; 2]) {
        let Ok([weight, by_x, by_y]) = <[&mut [f32]; 3]>::try_from(to) else { unreachable!("three rows") };
        let width = weight.len();
        let (by_x, by_y) = (&mut by_x[..width], &mut by_y[..width]);
        let (x, y) = (&velocity[0][..width], &velocity[1][..width]);
        let apart = &apart[..width + 2];
        for i in 0..width {
            let counts = 1.0 / ((apart[i] + apart[i + 1] + apart[i + 2]) * (1.0 / 9.0) + DOUBT);
            weight[i] = counts;
            by_x[i] = counts * x[i];
            by_y[i] = counts * y[i];
        }
    }

    /// The products of a row: of both slopes xx, xy, yy; of each with the difference.
    fn multiply(to: Vec<&mut [f32]>, moved: [[&[f32]; 3]; 2], timestep: f32) {
        let Ok([xx, xy, yy, xd, yd]) = <[&mut [f32]; 5]>::try_from(to) else { unreachable!("five rows") };
        let width = xx.len();
        let (xy, yy, xd, yd) = (&mut xy[..width], &mut yy[..width], &mut xd[..width], &mut yd[..width]);
        let [[a0, a1, a2], [b0, b1, b2]] = moved;
        let (a0, a1, a2) = (&a0[..width + 2], &a1[..width + 2], &a2[..width + 2]);
        let (b0, b1, b2) = (&b0[..width + 2], &b1[..width + 2], &b2[..width + 2]);
        let [first, second] = [0.5 * timestep, 0.5 * (1.0 - timestep)];
        for i in 0..width {
            let x = first * (a1[i + 2] - a1[i]) + second * (b1[i + 2] - b1[i]);
            let y = first * (a2[i + 1] - a0[i + 1]) + second * (b2[i + 1] - b0[i + 1]);
            let off = b1[i + 1] - a1[i + 1];
            xx[i] = x * x;
            xy[i] = x * y;
            yy[i] = y * y;
            xd[i] = x * off;
            yd[i] = y * off;
        }
    }

    /// Sums of three rows.
    fn sum_three(to: &mut [f32], from: [&[f32]; 3]) {
        let width = to.len();
        let (a, b, c) = (&from[0][..width], &from[1][..width], &from[2][..width]);
        for i in 0..width {
            to[i] = a[i] + b[i] + c[i];
        }
    }

    /// Sums of five rows.
    fn sum_five(to: &mut [f32], from: [&[f32]; 2 * WINDOW + 1]) {
        let width = to.len();
        let [a, b, c, d, e] = from;
        let (a, b, c) = (&a[..width], &b[..width], &c[..width]);
        let (d, e) = (&d[..width], &e[..width]);
        for i in 0..width {
            to[i] = a[i] + b[i] + c[i] + d[i] + e[i];
        }
    }

    /// Velocities from sums of five rows with two values more on either side: the least squares, at most so far from
    /// what they were.
    ///
    /// Where they are no numbers, those of a pixel that is none, it is a velocity all the same, so that this does not
    /// spread over the frame.
    fn solve(to: [&mut [f32]; 2], sums: [&[f32]; 5], velocity: [&[f32]; 2]) {
        let [to_x, to_y] = to;
        let width = to_x.len();
        let to_y = &mut to_y[..width];
        let [xx, xy, yy, xd, yd] = sums;
        let (xx, xy, yy) = (&xx[..width + 4], &xy[..width + 4], &yy[..width + 4]);
        let (xd, yd) = (&xd[..width + 4], &yd[..width + 4]);
        let (x, y) = (&velocity[0][..width], &velocity[1][..width]);
        for i in 0..width {
            // Of 25; not by a function of a row, which is not inlined here.
            let a = (xx[i] + xx[i + 1] + xx[i + 2] + xx[i + 3] + xx[i + 4]) * (1.0 / 25.0) + DAMPING;
            let b = (xy[i] + xy[i + 1] + xy[i + 2] + xy[i + 3] + xy[i + 4]) * (1.0 / 25.0);
            let c = (yy[i] + yy[i + 1] + yy[i + 2] + yy[i + 3] + yy[i + 4]) * (1.0 / 25.0) + DAMPING;
            let d = (xd[i] + xd[i + 1] + xd[i + 2] + xd[i + 3] + xd[i + 4]) * (1.0 / 25.0);
            let e = (yd[i] + yd[i + 1] + yd[i + 2] + yd[i + 3] + yd[i + 4]) * (1.0 / 25.0);
            let whole = 1.0 / (a * c - b * b);
            to_x[i] = x[i] + ((b * e - c * d) * whole).max(-FURTHEST).min(FURTHEST);
            to_y[i] = y[i] + ((b * d - a * e) * whole).max(-FURTHEST).min(FURTHEST);
        }
    }

    /// Three rows sorted, column by column.
    fn sort(to: Vec<&mut [f32]>, from: [&[f32]; 3]) {
        let Ok([low, middle, high]) = <[&mut [f32]; 3]>::try_from(to) else { unreachable!("three rows") };
        let width = low.len();
        let (middle, high) = (&mut middle[..width], &mut high[..width]);
        let (a, b, c) = (&from[0][..width], &from[1][..width], &from[2][..width]);
        for i in 0..width {
            let (a, b, c) = (a[i], b[i], c[i]);
            let (less, more) = (a.min(b), a.max(b));
            low[i] = less.min(c);
            high[i] = more.max(c);
            middle[i] = less.max(more.min(c));
        }
    }

    /// Medians of three by three, of sorted columns with one more on either side.
    fn middle(to: &mut [f32], sorted: [&[f32]; 3]) {
        let width = to.len();
        let (l, m, h) = (&sorted[0][..width + 2], &sorted[1][..width + 2], &sorted[2][..width + 2]);
        for i in 0..width {
            let low = l[i].max(l[i + 1]).max(l[i + 2]);
            let high = h[i].min(h[i + 1]).min(h[i + 2]);
            let (less, more) = (m[i].min(m[i + 1]), m[i].max(m[i + 1]));
            let middle = less.max(more.min(m[i + 2]));
            let (less, more) = (low.min(middle), low.max(middle));
            to[i] = less.max(more.min(high));
        }
    }
}
