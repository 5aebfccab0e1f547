//! Sampling an image where a flow points: bilinear, border clamped, `align_corners = true`.
//!
//! A sample reads four pixels, all channels of each; so the sampled image is kept with its channels side by side:
//! four of them, or the sixteen of a convolution's output.

use std::ops::Range;

use super::{Grid, PatchMut, computed};
use crate::tensor::{Op, Planes, Tensor};

/// Where one sample falls: its top left pixel and the shares of the next column and row.
struct Place {
    row: usize,
    column: usize,
    right: f32,
    below: f32,
}

/// Splits a coordinate, clamped to `0..size`, into the pixel before it and the rest. The last pixel counts as the
/// one before it and a whole step, so that the pixel after always exists (where there are two).
fn split(at: f32, size: usize) -> (usize, f32) {
    // Not `clamp`: a flow that is not a number must give a place too.
    let at = at.max(0.0).min((size - 1) as f32);
    let pixel = (at as usize).min(size.saturating_sub(2));
    (pixel, at - pixel as f32)
}

pub(super) fn warp(x: &Tensor, flow: &Tensor, channels: Range<usize>, grid: &Grid, out: &mut PatchMut<'_>) {
    let flow = computed(flow, 0..2, grid);
    let [_, height, width] = x.shape();
    let place = |r: usize, c: usize| {
        let (column, right) = split(grid.columns[c] as f32 + flow.row(0, r)[c], width);
        let (row, below) = split(grid.rows[r] as f32 + flow.row(1, r)[c], height);
        Place {
            row,
            column,
            right,
            below,
        }
    };
    if let Op::Blocks(blocks) = &x.0.op {
        let stride = (width + 2) * 16;
        for block in channels.start / 16..channels.end.div_ceil(16) {
            let base = &blocks.data[blocks.at(block, 0, 0)..];
            let own = channels.start.max(block * 16)..channels.end.min(block * 16 + 16);
            let lanes = own.start - block * 16..own.end - block * 16;
            let mut out = out.channels(own.start - channels.start..own.end - channels.start);
            sample::<16>(base, [stride, height, width], lanes, grid, place, &mut out);
        }
    } else if let Some(quads) = x.0.quads.get() {
        sample::<4>(quads, [width * 4, height, width], channels, grid, place, out);
    } else {
        plain(x, channels, grid, place, out);
    }
}

/// Samples some lanes of an image whose `LANES` channels are side by side; `layout` is the row stride and size.
fn sample<const LANES: usize>(
    image: &[f32],
    [stride, height, width]: [usize; 3],
    lanes: Range<usize>,
    grid: &Grid,
    place: impl Fn(usize, usize) -> Place,
    out: &mut PatchMut<'_>,
) {
    let (next, below) = (
        if width > 1 { LANES } else { 0 },
        if height > 1 { stride } else { 0 },
    );
    for r in 0..grid.rows.len() {
        for c in 0..grid.columns.len() {
            let at = place(r, c);
            let start = at.row * stride + at.column * LANES;
            let pixel = |offset: usize| -> &[f32; LANES] {
                image[start + offset..start + offset + LANES]
                    .try_into()
                    .expect("a pixel has LANES values")
            };
            let corners = [pixel(0), pixel(next), pixel(below), pixel(below + next)];
            let value = mixed(corners, &at);
            for (channel, lane) in lanes.clone().enumerate() {
                out.row(channel, r)[c] = value[lane];
            }
        }
    }
}

fn mixed<const LANES: usize>(corners: [&[f32; LANES]; 4], at: &Place) -> [f32; LANES] {
    let shares = [
        (1.0 - at.right) * (1.0 - at.below),
        at.right * (1.0 - at.below),
        (1.0 - at.right) * at.below,
        at.right * at.below,
    ];
    std::array::from_fn(|i| (0..4).map(|k| corners[k][i] * shares[k]).sum())
}

/// Any image, through values computed in full on this thread.
fn plain(
    x: &Tensor,
    channels: Range<usize>,
    grid: &Grid,
    place: impl Fn(usize, usize) -> Place,
    out: &mut PatchMut<'_>,
) {
    let [_, height, width] = x.shape();
    let all = computed(x, channels.clone(), &Grid::rows(0..height, width));
    for channel in 0..channels.len() {
        for r in 0..grid.rows.len() {
            for c in 0..grid.columns.len() {
                let at = place(r, c);
                let (row, column) = ((at.row + 1).min(height - 1), (at.column + 1).min(width - 1));
                let pixel = |row: usize, column: usize| [all.row(channel, row)[column]];
                let corners = [
                    &pixel(at.row, at.column),
                    &pixel(at.row, column),
                    &pixel(row, at.column),
                    &pixel(row, column),
                ];
                out.row(channel, r)[c] = mixed(corners, &at)[0];
            }
        }
    }
}

/// Up to four channels side by side, the missing ones zero.
pub(crate) fn fill_quads(planes: &Planes, to: &mut [f32]) {
    let [channels, height, width] = planes.shape;
    for row in 0..height {
        let to = &mut to[row * width * 4..(row + 1) * width * 4];
        to.fill(0.0);
        for channel in 0..channels {
            for (pixel, v) in to.chunks_exact_mut(4).zip(planes.row(channel, row)) {
                pixel[channel] = *v;
            }
        }
    }
}
