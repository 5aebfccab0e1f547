//! Bilinear resizing, `align_corners = false`: source coordinate `(i + 0.5) / factor - 0.5`, clamped at the edge.

use std::ops::Range;

use super::{Grid, PatchMut, computed};
use crate::tensor::{Factor, Tensor};

/// One wanted row or column: the two it lies between (places in the list of needed ones) and the second's share.
#[derive(Debug, Clone, Copy)]
struct Tap {
    low: usize,
    high: usize,
    share: f32,
}

/// Which of `size` source rows (or columns) the wanted ones lie between, and those needed in order.
fn taps(wanted: &[usize], factor: Factor, size: usize) -> (Vec<usize>, Vec<Tap>) {
    let step = match factor {
        Factor::Up(n) => 1.0 / n as f32,
        Factor::Down(n) => n as f32,
    };
    let exact: Vec<_> = wanted
        .iter()
        .map(|&i| {
            let at = ((i as f32 + 0.5) * step - 0.5).max(0.0);
            let low = (at as usize).min(size - 1);
            (low, (low + 1).min(size - 1), at - low as f32)
        })
        .collect();
    // A source row of no weight is not asked for: an odd reduction reads the middle one only.
    let high = |&(low, high, share): &(usize, usize, f32)| if share == 0.0 { low } else { high };
    let mut needed: Vec<usize> = exact.iter().flat_map(|tap| [tap.0, high(tap)]).collect();
    needed.sort_unstable();
    needed.dedup();
    let place = |i: usize| needed.binary_search(&i).expect("every tap is needed");
    let taps = exact
        .iter()
        .map(|tap| Tap {
            low: place(tap.0),
            high: place(high(tap)),
            share: tap.2,
        })
        .collect();
    (needed, taps)
}

pub(super) fn resize(
    x: &Tensor,
    factor: Factor,
    channels: Range<usize>,
    grid: &Grid,
    out: &mut PatchMut<'_>,
) {
    let [_, height, width] = x.shape();
    let (rows, row_taps) = taps(&grid.rows, factor, height);
    let (columns, column_taps) = taps(&grid.columns, factor, width);
    let source_rows = rows.len();
    let from = computed(x, channels.clone(), &Grid { rows, columns });
    let mut wide = vec![0.0; source_rows * column_taps.len()];
    for c in 0..channels.len() {
        for (r, to) in wide.chunks_exact_mut(column_taps.len()).enumerate() {
            let from = from.row(c, r);
            for (v, tap) in to.iter_mut().zip(&column_taps) {
                *v = from[tap.low] * (1.0 - tap.share) + from[tap.high] * tap.share;
            }
        }
        for (r, tap) in row_taps.iter().enumerate() {
            let row = |i: usize| &wide[i * column_taps.len()..][..column_taps.len()];
            let between = row(tap.low).iter().zip(row(tap.high));
            for (v, (low, high)) in out.row(c, r).iter_mut().zip(between) {
                *v = low * (1.0 - tap.share) + high * tap.share;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduction_by_an_even_factor_needs_the_two_middle_rows_of_each_cell() {
        let (needed, taps) = taps(&[0, 1], Factor::Down(8), 16);
        assert_eq!(needed, [3, 4, 11, 12]);
        assert!(taps.iter().all(|tap| tap.share == 0.5));
    }

    #[test]
    fn an_enlargement_repeats_its_edges() {
        let (needed, taps) = taps(&[0, 1, 2, 3], Factor::Up(2), 2);
        assert_eq!(needed, [0, 1]);
        let places: Vec<_> = taps
            .iter()
            .map(|tap| tap.low as f32 + (tap.high - tap.low) as f32 * tap.share)
            .collect();
        assert_eq!(places, [0.0, 0.25, 0.75, 1.0]);
    }
}
