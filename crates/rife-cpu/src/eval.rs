//! Evaluation of lazy tensors on a grid (a list of rows by a list of columns); each operand is evaluated only at the rows and
//! columns that are read.
//!
//! Bilinear downsampling by an even factor reads the four centre pixels of each cell, so that its operand is evaluated only
//! on those rows and columns, and so on down the expression: of a warped image downsampled by 16, one pixel in 64 is warped.

mod materialize;
mod region;
mod resize;
mod rows;
mod warp;

use std::ops::Range;
use std::sync::Arc;

use crate::runtime::Tier;
use crate::tensor::{Blocked, Op, Planar, Tensor};
pub(crate) use region::{Region, RegionMut, Strips};
pub(crate) use warp::{MAX_INTERLEAVED, concat_interleaved, interleave_row, lanes, split, warp_block};

/// Rows of a strip, the unit of work of a thread: enough to amortise its setup, few enough to stay in the cache.
pub(crate) const STRIP: usize = 8;

/// A list of rows and a list of columns, in any order and possibly repeated; values are computed at each pair.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    pub(crate) rows: Vec<usize>,
    pub(crate) columns: Vec<usize>,
}

impl Grid {
    /// Makes a grid of a range of rows and all columns.
    pub(crate) fn rows(rows: Range<usize>, width: usize) -> Self {
        Self {
            rows: rows.collect(),
            columns: (0..width).collect(),
        }
    }

    /// Shifts the grid by rows down and columns right, clamped to an image of `height` by `width`.
    fn shifted(&self, [down, right]: [isize; 2], [height, width]: [usize; 2]) -> Self {
        let clamped = |at: &usize, off: isize, side: usize| at.saturating_add_signed(off).min(side - 1);
        Self {
            rows: self.rows.iter().map(|at| clamped(at, down, height)).collect(),
            columns: self.columns.iter().map(|at| clamped(at, right, width)).collect(),
        }
    }

    /// Makes an uninitialised region of the grid's size.
    fn region(&self, channels: usize) -> Region {
        Region::new(channels, self.rows.len(), self.columns.len())
    }

    /// Returns the columns as a range if they are consecutive, else `None`.
    fn run(&self) -> Option<Range<usize>> {
        let (first, last) = (*self.columns.first()?, *self.columns.last()?);
        let run = first <= last && last - first + 1 == self.columns.len();
        // First, last and length may fit though some columns are repeated and others missing.
        (run && self.columns.windows(2).all(|pair| pair[1] == pair[0] + 1)).then_some(first..last + 1)
    }

    /// Returns the range of indices of consecutive columns that form complete runs of length `of`, each beginning at a
    /// multiple of it; empty if the columns are not consecutive.
    fn aligned_runs(&self, of: usize) -> Range<usize> {
        let Some(run) = self.run() else { return 0..0 };
        let first = run.start.next_multiple_of(of).min(run.end);
        let end = (run.end / of * of).max(first);
        first - run.start..end - run.start
    }
}

/// Evaluates `channels` of `x` on the grid into `out`, which has the grid's size, with the kernels of a tier.
pub(crate) fn eval(tier: Tier, x: &Tensor, channels: Range<usize>, grid: &Grid, out: &mut RegionMut<'_>) {
    if let Some(planes) = x.0.planar.get() {
        return copy(planes, channels, grid, out);
    }
    match &x.0.op {
        Op::Planar => unreachable!("planes have values"),
        Op::Blocked(blocks) => deblock(blocks, channels, grid, out),
        Op::Shuffled4(blocks) => pixel_shuffle_4(blocks, channels, grid, out),
        Op::Interleaved => deinterleave(x, channels, grid, out),
        Op::Constant(value) => out.map(|row| row.fill(*value)),
        Op::Cat(parts) => cat(tier, parts, channels, grid, out),
        Op::Narrow(x, first) => eval(tier, x, channels.start + first..channels.end + first, grid, out),
        Op::Add(a, b) => {
            eval(tier, a, channels.clone(), grid, out);
            let b = computed(tier, b, channels, grid);
            out.zip(&b, |a, b| rows::add(tier, a, b));
        }
        Op::Affine(x, factor, offset) => {
            eval(tier, x, channels, grid, out);
            out.map(|row| rows::affine(tier, row, *factor, *offset));
        }
        Op::Clamp01(x) => {
            eval(tier, x, channels, grid, out);
            out.map(|row| row.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0)));
        }
        Op::Sigmoid(x) => {
            eval(tier, x, channels, grid, out);
            out.map(|row| rows::sigmoid(tier, row));
        }
        Op::Resize(x, factor) => resize::resize(tier, x, *factor, channels, grid, out),
        Op::Warp(x, flow) => {
            let picks: Vec<_> = channels.enumerate().map(|(to, from)| [from, to]).collect();
            warp::warp(tier, [x, flow], &picks, grid, out);
        }
        Op::WarpObmc(x, velocity, factor, near) => {
            let picks: Vec<_> = channels.enumerate().map(|(to, from)| [from, to]).collect();
            warp::warp_obmc(tier, [x, velocity], *factor, near, &picks, grid, out);
        }
        Op::CubicResidual(x, flow) => {
            let planes = x.0.planar.get().expect("sampled planes were computed");
            warp::cubic_residual(tier, planes, flow, channels.start, grid, out);
        }
        Op::AddLastChannel(x, by) => add_last_channel(tier, [x, by], channels, grid, out),
        Op::Blend(a, b, mask) => blend(tier, [a, b, mask], channels, grid, out),
        Op::Mul(x, by) => {
            eval(tier, x, channels, grid, out);
            let by = computed(tier, by, 0..1, grid);
            out.each(|_, r, row| rows::scale(tier, row, by.row(0, r)));
        }
        Op::KeepStatic(frames, made, threshold) => {
            eval(tier, made, channels.clone(), grid, out);
            keep_static(tier, frames, *threshold, channels, grid, out);
        }
        Op::PixelShuffle(x) => shuffle(tier, x, channels, grid, out),
        Op::Rotate180(x) => {
            let [_, height, width] = x.shape();
            let turned = Grid {
                rows: grid.rows.iter().map(|r| height - 1 - r).collect(),
                columns: grid.columns.iter().map(|c| width - 1 - c).collect(),
            };
            eval(tier, x, channels, &turned, out);
        }
    }
}

/// Evaluates `channels` of `x` on the grid into a new region.
fn computed(tier: Tier, x: &Tensor, channels: Range<usize>, grid: &Grid) -> Region {
    let mut region = grid.region(channels.len());
    eval(tier, x, channels, grid, &mut region.view_mut());
    region
}

/// Copies planar values on a grid.
fn copy(planes: &Planar, channels: Range<usize>, grid: &Grid, out: &mut RegionMut<'_>) {
    let run = grid.run();
    for (c, channel) in channels.enumerate() {
        for (r, &row) in grid.rows.iter().enumerate() {
            let from = planes.row(channel, row);
            let to = out.row(c, r);
            match &run {
                Some(run) => to.copy_from_slice(&from[run.clone()]),
                None => to
                    .iter_mut()
                    .zip(&grid.columns)
                    .for_each(|(v, &column)| *v = from[column]),
            }
        }
    }
}

/// Copies blocked values (nChw16c) on a grid.
fn deblock(blocks: &Blocked, channels: Range<usize>, grid: &Grid, out: &mut RegionMut<'_>) {
    for (c, channel) in channels.enumerate() {
        for (r, &row) in grid.rows.iter().enumerate() {
            let start = blocks.at(channel / 16, row, 0) + channel % 16;
            let from = &blocks.data[start..];
            match grid.run() {
                Some(run) => {
                    let from = from[run.start * 16..].iter().step_by(16);
                    out.row(c, r)
                        .iter_mut()
                        .zip(from)
                        .for_each(|(v, from)| *v = *from);
                }
                None => {
                    for (v, &column) in out.row(c, r).iter_mut().zip(&grid.columns) {
                        *v = from[column * 16];
                    }
                }
            }
        }
    }
}

/// Evaluates [`Op::Shuffled4`] on a grid.
fn pixel_shuffle_4(blocks: &Blocked, channels: Range<usize>, grid: &Grid, out: &mut RegionMut<'_>) {
    let aligned = grid.aligned_runs(4);
    for (c, channel) in channels.enumerate() {
        for (r, &row) in grid.rows.iter().enumerate() {
            let from = &blocks.data[blocks.at(channel, row / 4, 0) + row % 4 * 4..];
            pick_runs::<4>(from, &grid.columns, aligned.clone(), out.row(c, r));
        }
    }
}

/// Copies the values of some columns from a row in which runs of `RUN` consecutive columns are stored sixteen values apart;
/// `aligned` is the range of [`Grid::aligned_runs`].
fn pick_runs<const RUN: usize>(from: &[f32], columns: &[usize], aligned: Range<usize>, to: &mut [f32]) {
    let first = columns.get(aligned.start).map_or(0, |column| column / RUN * 16);
    for (to, from) in to[aligned.clone()]
        .as_chunks_mut::<RUN>()
        .0
        .iter_mut()
        .zip(from[first..].chunks(16))
    {
        to.copy_from_slice(&from[..RUN]);
    }
    for i in (0..aligned.start).chain(aligned.end..columns.len()) {
        to[i] = from[columns[i] / RUN * 16 + columns[i] % RUN];
    }
}

/// Copies interleaved values (HWC) on a grid.
fn deinterleave(x: &Tensor, channels: Range<usize>, grid: &Grid, out: &mut RegionMut<'_>) {
    let interleaved = x.0.interleaved.get().expect("interleaved values are there");
    let [of, _, width] = x.shape();
    let lanes = lanes(of);
    let run = grid.run();
    for (c, channel) in channels.enumerate() {
        for (r, &row) in grid.rows.iter().enumerate() {
            let from = &interleaved[row * width * lanes..][..width * lanes];
            let to = out.row(c, r);
            match &run {
                Some(run) if lanes == 4 => pick::<4>(&from[run.start * 4..], channel, to),
                Some(run) => pick::<8>(&from[run.start * 8..], channel, to),
                None => {
                    for (v, &column) in to.iter_mut().zip(&grid.columns) {
                        *v = from[column * lanes + channel];
                    }
                }
            }
        }
    }
}

/// Copies one channel of consecutive interleaved pixels.
fn pick<const LANES: usize>(from: &[f32], lane: usize, to: &mut [f32]) {
    for (v, pixel) in to.iter_mut().zip(from.as_chunks::<LANES>().0) {
        *v = pixel[lane];
    }
}

/// Evaluates a concatenation operand by operand; operands that are channels of one warped image are evaluated together,
/// since sampling reads all channels of a pixel.
fn cat(tier: Tier, parts: &[Tensor], channels: Range<usize>, grid: &Grid, out: &mut RegionMut<'_>) {
    let (mut first, mut done) = (0, 0);
    let mut warped: Vec<(&Tensor, Vec<warp::Pick>)> = Vec::new();
    for part in parts {
        let own = part.shape()[0];
        let from = channels.start.max(first) - first;
        let to = channels.end.min(first + own).saturating_sub(first);
        if from < to {
            match &part.0.op {
                Op::Narrow(x, start) if matches!(x.0.op, Op::Warp(..)) && x.0.planar.get().is_none() => {
                    let picks = (from..to).map(|channel| [start + channel, done + channel - from]);
                    match warped.iter_mut().find(|(image, _)| Arc::ptr_eq(&image.0, &x.0)) {
                        Some((_, all)) => all.extend(picks),
                        None => warped.push((x, picks.collect())),
                    }
                }
                _ => eval(
                    tier,
                    part,
                    from..to,
                    grid,
                    &mut out.channels(done..done + to - from),
                ),
            }
            done += to - from;
        }
        first += own;
    }
    for (x, picks) in &warped {
        if let Op::Warp(image, flow) = &x.0.op {
            warp::warp(tier, [image, flow], picks, grid, out);
        }
    }
}

/// Evaluates a blend on a grid.
fn blend(
    tier: Tier,
    [a, b, mask]: [&Tensor; 3],
    channels: Range<usize>,
    grid: &Grid,
    out: &mut RegionMut<'_>,
) {
    eval(tier, a, channels.clone(), grid, out);
    let b = computed(tier, b, channels.clone(), grid);
    let mut weight = computed(tier, mask, 0..1, grid);
    weight.view_mut().map(|row| rows::sigmoid(tier, row));
    for c in 0..channels.len() {
        for r in 0..grid.rows.len() {
            rows::blend(tier, out.row(c, r), b.row(c, r), weight.row(0, r));
        }
    }
}

/// Evaluates `x[c] + x[last] * by` for each channel c but the last. All channels of `x` are evaluated together, so that a
/// blend computes its sigmoid once.
fn add_last_channel(
    tier: Tier,
    [x, by]: [&Tensor; 2],
    channels: Range<usize>,
    grid: &Grid,
    out: &mut RegionMut<'_>,
) {
    let x = computed(tier, x, channels.start..x.shape()[0], grid);
    let by = computed(tier, by, 0..1, grid);
    let last = x.channels() - 1;
    out.each(|c, r, row| {
        row.copy_from_slice(x.row(c, r));
        rows::add_product(tier, row, x.row(last, r), by.row(0, r));
    });
}

/// Replaces static pixels of `out` by the mean of the frames.
fn keep_static(
    tier: Tier,
    frames: &[Tensor; 2],
    threshold: f32,
    channels: Range<usize>,
    grid: &Grid,
    out: &mut RegionMut<'_>,
) {
    // All channels decide whether a pixel is static.
    let [mut first, second] = [0, 1].map(|i| computed(tier, &frames[i], 0..frames[i].shape()[0], grid));
    let mut difference = grid.region(1);
    difference.view_mut().map(|row| row.fill(0.0));
    first.view_mut().each(|c, r, row| {
        rows::max_abs_difference(tier, difference.view_mut().row(0, r), row, second.row(c, r));
        rows::add(tier, row, second.row(c, r));
    });
    difference
        .view_mut()
        .map(|row| rows::affine(tier, row, -255.0, threshold));
    out.each(|c, r, row| {
        rows::keep_static(tier, row, first.row(channels.start + c, r), difference.row(0, r));
    });
}

/// Evaluates PixelShuffle(2): output channel c at (2y + i, 2x + j) is input channel 4c + 2i + j at (y, x).
fn shuffle(tier: Tier, x: &Tensor, channels: Range<usize>, grid: &Grid, out: &mut RegionMut<'_>) {
    if let Op::Blocked(blocks) = &x.0.op {
        return shuffle_blocks(blocks, channels, grid, out);
    }
    let half = |v: &[usize]| {
        let mut halves: Vec<usize> = v.iter().map(|i| i / 2).collect();
        halves.sort_unstable();
        halves.dedup();
        halves
    };
    let source = Grid {
        rows: half(&grid.rows),
        columns: half(&grid.columns),
    };
    let from = computed(tier, x, channels.start * 4..channels.end * 4, &source);
    let index = |sorted: &[usize], i: usize| sorted.binary_search(&(i / 2)).expect("every half is there");
    let columns: Vec<_> = grid
        .columns
        .iter()
        .map(|&c| (index(&source.columns, c), c % 2))
        .collect();
    for c in 0..channels.len() {
        for (r, &row) in grid.rows.iter().enumerate() {
            let source_row = index(&source.rows, row);
            let rows = [0, 1].map(|j| from.row(4 * c + 2 * (row % 2) + j, source_row));
            for (v, &(column, j)) in out.row(c, r).iter_mut().zip(&columns) {
                *v = rows[j][column];
            }
        }
    }
}

/// Evaluates PixelShuffle(2) of blocked values on a grid.
fn shuffle_blocks(blocks: &Blocked, channels: Range<usize>, grid: &Grid, out: &mut RegionMut<'_>) {
    let aligned = grid.aligned_runs(2);
    for (c, channel) in channels.enumerate() {
        for (r, &row) in grid.rows.iter().enumerate() {
            let lane = 4 * (channel % 4) + 2 * (row % 2);
            let from = &blocks.data[blocks.at(channel / 4, row / 2, 0) + lane..];
            pick_runs::<2>(from, &grid.columns, aligned.clone(), out.row(c, r));
        }
    }
}
