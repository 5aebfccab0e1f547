//! Bilinear resize, `align_corners = false`: source coordinate `(i + 0.5) / factor - 0.5`, clamped at the edge.

use std::ops::Range;

use rife_backend::Resize;

use super::{Grid, Region, RegionMut, computed, rows};
use crate::runtime::Tier;
use crate::tensor::Tensor;

/// Interpolation of an output row (or column): indices of its two source rows in the list of source rows read, and the weight
/// of the second.
#[derive(Debug, Clone, Copy)]
struct Tap {
    /// Index of the first source row in the list.
    low: usize,
    /// Index of the second source row in the list.
    high: usize,
    /// Weight of the second source row, 0 to 1.
    weight: f32,
}

/// Computes, for the output rows (or columns) `wanted`, the sorted list of source rows read, of `size`, and the
/// interpolation of each output row.
fn taps(wanted: &[usize], factor: Resize, size: usize) -> (Vec<usize>, Vec<Tap>) {
    let step = match factor {
        Resize::Up(n) => 1.0 / n as f32,
        Resize::Down(n) => n as f32,
    };
    let tap = |&i: &usize| {
        let at = ((i as f32 + 0.5) * step - 0.5).max(0.0);
        let low = (at as i32 as usize).min(size - 1);
        let weight = at - low as f32;
        // A source row of weight zero is not read: downsampling by an odd factor reads only the middle one.
        let high = if weight == 0.0 {
            low
        } else {
            (low + 1).min(size - 1)
        };
        Tap { low, high, weight }
    };
    let mut taps: Vec<Tap> = wanted.iter().map(tap).collect();
    // For each source row between the first and last one read: its index in the list plus 1, or 0 if it is not read.
    let first = taps.iter().map(|tap| tap.low).min().unwrap_or(0);
    let end = taps.iter().map(|tap| tap.high + 1).max().unwrap_or(0);
    let mut indices = vec![0; end - first];
    for tap in &taps {
        indices[tap.low - first] = 1;
        indices[tap.high - first] = 1;
    }
    let mut needed = Vec::with_capacity((2 * wanted.len()).min(indices.len()));
    for (i, index) in indices.iter_mut().enumerate().filter(|(_, index)| **index > 0) {
        needed.push(first + i);
        *index = needed.len();
    }
    for tap in &mut taps {
        tap.low = indices[tap.low - first] - 1;
        tap.high = indices[tap.high - first] - 1;
    }
    (needed, taps)
}

/// Reports whether all taps are means of consecutive pairs, as in downsampling by an even factor.
fn are_halves(taps: &[Tap]) -> bool {
    let half = |(i, tap): (usize, &Tap)| tap.low == 2 * i && tap.high == 2 * i + 1 && tap.weight == 0.5;
    taps.iter().enumerate().all(half)
}

/// Interpolates linearly along a row at the given taps.
fn interpolate(to: &mut [f32], from: &[f32], taps: &[Tap]) {
    for (v, tap) in to.iter_mut().zip(taps) {
        *v = from[tap.low] * (1.0 - tap.weight) + from[tap.high] * tap.weight;
    }
}

/// Returns the range of output columns of upsampling by n that form complete groups of n columns between the same two source
/// columns, which [`rows::expand`] computes; empty if the columns are not consecutive or n is not a supported factor.
fn aligned_columns(taps: &[Tap], factor: Resize, grid: &Grid) -> Range<usize> {
    let Resize::Up(n @ (2 | 4 | 8 | 16 | 32)) = factor else {
        return 0..0;
    };
    let Some(run) = grid.run() else { return 0..0 };
    // Columns n / 2 to n / 2 + n lie between the first two source columns, and so on.
    let start = (run.start + n / 2).next_multiple_of(n) - n / 2 - run.start;
    let sets = taps.get(start..).map_or(0, |rest| rest.len() / n);
    // At the right edge source columns repeat.
    let repeats = |set: &usize| {
        let last = &taps[start + set * n + n - 1];
        last.low == last.high
    };
    let sets = sets - usize::from(sets > 0 && repeats(&(sets - 1)));
    if sets == 0 || taps[start].low == taps[start].high {
        return 0..0;
    }
    start..start + sets * n
}

/// Evaluates a resize of `x` on a grid: along the columns of all source rows read, then along the rows.
pub(super) fn resize(
    tier: Tier,
    x: &Tensor,
    factor: Resize,
    channels: Range<usize>,
    grid: &Grid,
    out: &mut RegionMut<'_>,
) {
    let [_, height, width] = x.shape();
    let (rows, row_taps) = taps(&grid.rows, factor, height);
    let (columns, column_taps) = taps(&grid.columns, factor, width);
    let source_rows = rows.len();
    let from = computed(tier, x, channels.clone(), &Grid { rows, columns });
    let aligned = aligned_columns(&column_taps, factor, grid);
    let halves = are_halves(&column_taps);
    let mut wide = Region::new(1, source_rows, column_taps.len());
    for c in 0..channels.len() {
        for r in 0..source_rows {
            let (mut wide, from) = (wide.view_mut(), from.row(c, r));
            let to = wide.row(0, r);
            if halves {
                rows::halve(tier, to, from);
                continue;
            }
            interpolate(&mut to[..aligned.start], from, &column_taps[..aligned.start]);
            if let (Resize::Up(n), Some(first)) = (factor, column_taps[aligned.clone()].first()) {
                let weights: Vec<f32> = column_taps[aligned.clone()]
                    .iter()
                    .take(n)
                    .map(|tap| tap.weight)
                    .collect();
                rows::expand(tier, &mut to[aligned.clone()], &from[first.low..], &weights);
            }
            interpolate(&mut to[aligned.end..], from, &column_taps[aligned.end..]);
        }
        for (r, tap) in row_taps.iter().enumerate() {
            let (low, high) = (wide.row(0, tap.low), wide.row(0, tap.high));
            rows::between(tier, out.row(c, r), low, high, tap.weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduction_by_an_even_factor_needs_the_two_middle_rows_of_each_cell() {
        let (needed, taps) = taps(&[0, 1], Resize::Down(8), 16);
        assert_eq!(needed, [3, 4, 11, 12]);
        assert!(taps.iter().all(|tap| tap.weight == 0.5));
    }

    #[test]
    fn aligned_columns_of_an_upscale_are_complete_groups_between_source_columns() {
        let part = |columns: Range<usize>, factor, size: usize| {
            let columns: Vec<usize> = columns.collect();
            let (_, taps) = taps(&columns, factor, size);
            let grid = Grid {
                rows: vec![0],
                columns,
            };
            aligned_columns(&taps, factor, &grid)
        };
        assert_eq!(part(0..32, Resize::Up(4), 8), 2..30);
        assert_eq!(part(5..32, Resize::Up(4), 8), 1..25);
        assert_eq!(part(7..9, Resize::Up(4), 8), 0..0);
        assert_eq!(part(0..8, Resize::Up(8), 1), 0..0);
        assert_eq!(part(0..3, Resize::Down(2), 6), 0..0);
    }

    #[test]
    fn an_enlargement_repeats_its_edges() {
        let (needed, taps) = taps(&[0, 1, 2, 3], Resize::Up(2), 2);
        assert_eq!(needed, [0, 1]);
        let places: Vec<_> = taps
            .iter()
            .map(|tap| tap.low as f32 + (tap.high - tap.low) as f32 * tap.weight)
            .collect();
        assert_eq!(places, [0.0, 0.25, 0.75, 1.0]);
    }
}
