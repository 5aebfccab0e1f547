//! Row operations of the dense inverse search, auto-vectorised for each tier. They avoid closures and `map` of arrays, which
//! are not inlined into functions with target features.

use super::PATCH_VALUES;
use super::STRIDE;
use crate::eval::split;
use crate::runtime::for_every_tier;

/// Sampling positions of a row: the index of the upper left of the four pixels, and the fractions to the right of it and
/// below it.
pub(super) struct Samples<'a> {
    pub(super) indices: &'a mut [u32],
    pub(super) right: &'a mut [f32],
    pub(super) below: &'a mut [f32],
}

for_every_tier! {
    /// Computes `to += from * by`.
    fn accumulate(to: &mut [f32], from: &[f32], by: f32) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from * by;
        }
    }

    /// Sums groups of `from.len() / to.len()` adjacent values.
    fn gather(to: &mut [f32], from: &[f32]) {
        match from.len() / to.len() {
            1 => to.copy_from_slice(from),
            2 => to.iter_mut().zip(from.as_chunks::<2>().0).for_each(|(to, [a, b])| *to = a + b),
            n => to.iter_mut().zip(from.chunks_exact(n)).for_each(|(to, from)| *to = from.iter().sum()),
        }
    }

    /// Averages 2x2 boxes of two rows.
    fn halve(to: &mut [f32], upper: &[f32], lower: &[f32]) {
        let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
        for (to, (upper, lower)) in to.iter_mut().zip(pairs) {
            *to = 0.25 * ((upper[0] + upper[1]) + (lower[0] + lower[1]));
        }
    }

    /// Computes `to = a * by[0] + b * by[1]`.
    fn weighted(to: &mut [f32], a: &[f32], b: &[f32], by: [f32; 2]) {
        for (to, (a, b)) in to.iter_mut().zip(a.iter().zip(b)) {
            *to = a * by[0] + b * by[1];
        }
    }

    /// Upsamples a row by 2, bilinear; `from` has one more value on either side.
    fn expand(to: &mut [f32], from: &[f32]) {
        for (to, from) in to.as_chunks_mut::<2>().0.iter_mut().zip(from.windows(3)) {
            to[0] = 0.75 * from[1] + 0.25 * from[0];
            to[1] = 0.75 * from[1] + 0.25 * from[2];
        }
    }

    /// Computes the sampling positions of a row's pixels, displaced by `factor` times their velocities; `size` is height,
    /// width and stride of rows.
    fn locate(to: Samples<'_>, velocity: [&[f32]; 2], factor: f32, row: usize, size: [usize; 3]) {
        let [height, width, stride] = size;
        let samples = to.indices.iter_mut().zip(to.right).zip(to.below);
        let velocities = velocity[0].iter().zip(velocity[1]).enumerate();
        for (((index, to_right), to_below), (column, (x, y))) in samples.zip(velocities) {
            let (column, right) = split(column as u32 as f32 + factor * x, width);
            let (row, below) = split(row as u32 as f32 + factor * y, height);
            *index = row * stride as u32 + column;
            *to_right = right;
            *to_below = below;
        }
    }

    /// Samples an image bilinearly; `neighbours` are the distances in memory of the right and the lower pixel.
    fn sample(to: &mut [f32], indices: &[u32], fractions: [&[f32]; 2], image: &[f32], neighbours: [usize; 2]) {
        let [right, below] = neighbours;
        let last = indices.iter().copied().max().unwrap_or(0) as usize;
        assert!(last + right + below < image.len(), "a sample outside of the image");
        for ((to, index), (along, down)) in to.iter_mut().zip(indices).zip(fractions[0].iter().zip(fractions[1])) {
            let at = *index as usize;
            // SAFETY: no index is above `last`, whose neighbours were just checked to be inside.
            let pixel = |offset: usize| unsafe { *image.get_unchecked(at + offset) };
            let upper = pixel(0) + (pixel(right) - pixel(0)) * along;
            let lower = pixel(below) + (pixel(below + right) - pixel(below)) * along;
            *to = upper + (lower - upper) * down;
        }
    }

    /// Sorts three rows column by column into minima, medians and maxima.
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

    /// Computes 3x3 medians from minima, medians and maxima of columns of three, which have one more column on either side.
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

    /// Computes initial velocities of a row of patches: means over cells of [`STRIDE`] x [`STRIDE`] velocities.
    fn cell_means(to: &mut [f32], velocities: &[f32]) {
        let columns = to.len() / PATCH_VALUES;
        for axis in 0..2 {
            for column in 0..columns {
                let mut total = 0.0;
                for row in 0..STRIDE {
                    let at = (2 * row + axis) * columns * STRIDE + column * STRIDE;
                    let cell: &[f32; STRIDE] = velocities[at..].first_chunk().expect("a cell");
                    total += (cell[0] + cell[1]) + (cell[2] + cell[3]);
                }
                to[axis * columns + column] = total * (1.0 / (STRIDE * STRIDE) as f32);
            }
        }
    }

    /// Computes the weighted means of a row of velocities (all x, then all y) from the sums of weights, weighted x and
    /// weighted y.
    fn divide(to: &mut [f32], sums: [&[f32]; 3]) {
        let width = to.len() / 2;
        let (to_x, to_y) = to.split_at_mut(width);
        let to_y = &mut to_y[..width];
        let (weights, by_x, by_y) = (&sums[0][..width], &sums[1][..width], &sums[2][..width]);
        for i in 0..width {
            let reciprocal = 1.0 / weights[i];
            to_x[i] = by_x[i] * reciprocal;
            to_y[i] = by_y[i] * reciprocal;
        }
    }
}
