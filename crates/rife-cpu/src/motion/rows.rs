//! The loops over rows that motion is made of, compiled for every tier. They are written out, without closures and
//! arrays' `map`: inside functions of a tier these are calls.

use super::STRIDE;
use super::search::KEPT;
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

    /// Locates the samples of a row in a field of velocities: each pixel moved by `factor` times its own.
    fn locate(to: Located<'_>, velocity: [&[f32]; 2], factor: f32, row: usize, size: [usize; 2]) {
        let [height, width] = size;
        let places = to.places.iter_mut().zip(to.along).zip(to.down);
        let velocities = velocity[0].iter().zip(velocity[1]).enumerate();
        for (((place, along), down), (column, (x, y))) in places.zip(velocities) {
            let (column, right) = split(column as u32 as f32 + factor * x, width);
            let (row, below) = split(row as u32 as f32 + factor * y, height);
            // Two rows, of x and of y, to each of the field's.
            *place = 2 * row * width as u32 + column;
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

    /// The means of [`STRIDE`] rows of velocities over as many columns: into the velocities of a row of patches.
    fn cells(to: &mut [f32], velocities: &[f32]) {
        let columns = to.len() / KEPT;
        for part in 0..2 {
            for column in 0..columns {
                let mut total = 0.0;
                for row in 0..STRIDE {
                    let at = (2 * row + part) * columns * STRIDE + column * STRIDE;
                    let cell: &[f32; STRIDE] = velocities[at..].first_chunk().expect("a cell");
                    total += (cell[0] + cell[1]) + (cell[2] + cell[3]);
                }
                to[part * columns + column] = total * (1.0 / (STRIDE * STRIDE) as f32);
            }
        }
    }

    /// Means of a row of velocities, all x, then all y, of sums of the weights and of the parts by them.
    fn divide(to: &mut [f32], sums: [&[f32]; 3]) {
        let width = to.len() / 2;
        let (to_x, to_y) = to.split_at_mut(width);
        let to_y = &mut to_y[..width];
        let (weights, by_x, by_y) = (&sums[0][..width], &sums[1][..width], &sums[2][..width]);
        for i in 0..width {
            let share = 1.0 / weights[i];
            to_x[i] = by_x[i] * share;
            to_y[i] = by_y[i] * share;
        }
    }
}
