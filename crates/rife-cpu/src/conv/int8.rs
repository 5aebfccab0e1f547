//! Int8 convolutions, for processors with four-way dot products of bytes (VNNI, AMX): four times the products of f32.
//!
//! Symmetric per-output-channel int8 weights (-127 to 127), asymmetric per-tile uint8 activations: dynamic quantisation, the
//! scale and zero point of a tile are set by its own minimum and maximum, without calibration. Zero is exact, so that the
//! zero border is. Sums are exact int32; bias, residual and activation are f32. See Jacob et al., "Quantization and Training of Neural
//! Networks for Efficient Integer-Arithmetic-Only Inference" (2018), section 2.

use std::ops::Range;

use rife_backend::ConvKind;

use super::context::Context;
use super::kernel::int8::{Int8Kernels, Int8Rows};
use super::pack::{ConvLayer, Group, Phase, Quantised};
use super::target::{PhaseGroup, Target, stride};
use crate::runtime::{Buffer, Precision};
use crate::tensor::BlockList;

/// Affine quantisation of a tile: `byte = value * steps + zero`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// Quantisation steps per unit.
    steps: f32,
    /// Zero point: the byte of the value 0.
    zero: f32,
}

impl Scale {
    /// Returns the inverse scale: quantisation steps per unit.
    pub(super) fn steps(self) -> f32 {
        self.steps
    }

    /// Quantises a value and subtracts the zero point.
    pub(super) fn quantise(self, value: f32) -> f32 {
        (value * self.steps + self.zero)
            .round_ties_even()
            .clamp(0.0, 255.0)
            - self.zero
    }

    /// Chooses the quantisation of the range `min..=max`, extended to contain zero.
    pub(super) fn of(min: f32, max: f32) -> Self {
        let (min, max) = (min.min(0.0), max.max(0.0));
        let width = max - min;
        // All values are zero or some are not finite: any scale is as good.
        if !(width > f32::MIN_POSITIVE * 256.0 && width.is_finite()) {
            return Self {
                steps: 1.0,
                zero: 0.0,
            };
        }
        let steps = 255.0 / width;
        Self {
            steps,
            zero: (-min * steps).round_ties_even().clamp(0.0, 255.0),
        }
    }
}

/// Maximum int8 weight; quantisation is symmetric, so that -128 is not used.
const MAX_WEIGHT: f32 = 127.0;

impl Quantised {
    /// Quantises the f32 weights of a group of output blocks; with `full_blocks`, input blocks are zero-padded to sixteen
    /// channels.
    fn new((phase, group): PhaseGroup<'_>, channels: usize, full_blocks: bool) -> Self {
        let wide = 16 * group.blocks.len();
        let mut largest = vec![0.0_f32; wide];
        for row in group.weights.chunks_exact(wide) {
            for (largest, w) in largest.iter_mut().zip(row) {
                *largest = largest.max(w.abs());
            }
        }
        let step: Vec<f32> = largest
            .iter()
            .map(|&w| if w > 0.0 { w / MAX_WEIGHT } else { 1.0 })
            .collect();
        let mut all = Self {
            weights: Vec::new(),
            sum: vec![0; wide],
            step,
        };
        let mut from = group.weights.as_slice();
        for block in 0..channels.div_ceil(16) {
            let lanes = (channels - block * 16).min(16);
            for _ in &phase.taps {
                let (tap, rest) = from.split_at(lanes * wide);
                from = rest;
                all.push(tap, lanes, wide);
                let filled = lanes.div_ceil(4) * 4;
                if full_blocks && filled < 16 {
                    all.weights.resize(all.weights.len() + (16 - filled) * wide, 0);
                }
            }
        }
        all
    }

    /// Appends the weights of one tap of `lanes` input channels, in groups of four channels padded with zeros; `wide` is the
    /// number of output channels.
    fn push(&mut self, tap: &[f32], lanes: usize, wide: usize) {
        for first in (0..lanes).step_by(4) {
            for output in 0..wide {
                for lane in first..first + 4 {
                    let weight = if lane < lanes {
                        tap[lane * wide + output]
                    } else {
                        0.0
                    };
                    let weight = (weight / self.step[output]).round_ties_even() as i8;
                    self.weights.push(weight);
                    self.sum[output] += i32::from(weight);
                }
            }
        }
    }
}

/// Output rows of a tile, for large and for small images (which would have too few tiles).
const ROWS: [usize; 2] = [8, 4];
/// Minimum output pixels of a large image.
const LARGE: usize = 8192;
/// Output columns of a tile: a multiple of the kernels' register tiles.
const COLUMNS: usize = 48;
/// Bytes past a tile's input that kernels may read, since they compute sixteen pixels even if fewer are left.
const SPARE: usize = 16 * 2 * 16 + 64;

/// Reports whether a layer is computed in int8: in an engine of that precision, for layers with many channels; the last
/// layers (flow, mask, colours) have few and stay f32.
pub(super) fn suits(context: Context<'_>, layer: &ConvLayer) -> bool {
    let enough = |kernels: Int8Kernels| layer.input.min(layer.output) >= kernels.min_channels;
    context.runtime.precision() == Precision::Int8 && layer.dense && context.kernels.int8.is_some_and(enough)
}

/// Reports whether products with zero weights are almost free (AMX).
pub(super) fn has_spare_products(context: Context<'_>) -> bool {
    context.kernels.int8.is_some_and(|kernels| kernels.full_blocks)
}

/// An int8 convolution of an image.
struct Tiles<'a> {
    context: Context<'a>,
    kernels: Int8Kernels,
    input: &'a BlockList<'a>,
    target: &'a Target<'a>,
    /// All phases and groups of output blocks.
    parts: Vec<PhaseGroup<'a>>,
    /// Int8 weights of each of `parts`.
    weights: &'a [Quantised],
}

// SAFETY: the input is only read; each tile writes different output pixels.
unsafe impl Sync for Tiles<'_> {}

/// The quantised input of a tile in blocked layout (nChw16c) of uint8.
struct Bytes {
    /// The bytes, and [`SPARE`] more.
    data: Buffer,
    /// Quantisation of the tile.
    scale: Scale,
    /// Row and column of the first pixel in the input with its border.
    first: [usize; 2],
    /// Stride of rows in bytes.
    line: usize,
    /// Stride of blocks in bytes.
    block: usize,
}

/// Applies a layer for which [`suits`] is true, in parallel over tiles.
pub(super) fn conv(context: Context<'_>, input: &BlockList<'_>, target: &Target<'_>) {
    let Some(kernels) = context.kernels.int8 else {
        unreachable!("an engine of this precision has its kernels");
    };
    let layer = target.layer;
    let parts = target.phase_groups();
    let weights = layer.quantised.get_or_init(|| {
        parts
            .iter()
            .map(|part| Quantised::new(*part, layer.input, kernels.full_blocks))
            .collect()
    });
    let work = Tiles {
        context,
        kernels,
        input,
        target,
        parts,
        weights,
    };
    let tiles = tiles(target.rows(), target.columns());
    context
        .runtime
        .threads()
        .run(tiles.len(), &|i| work.run(&tiles[i]));
}

/// Returns the rows and columns of all tiles of an output; they do not depend on the number of threads, since each tile has
/// its own quantisation.
pub(super) fn tiles(height: usize, width: usize) -> Vec<[Range<usize>; 2]> {
    let rows = ROWS[usize::from(height * width < LARGE)];
    let part = |first: usize, step: usize, size: usize| first..(first + step).min(size);
    (0..height)
        .step_by(rows)
        .flat_map(|y| (0..width).step_by(COLUMNS).map(move |x| (y, x)))
        .map(|(y, x)| [part(y, rows, height), part(x, COLUMNS, width)])
        .collect()
}

impl Tiles<'_> {
    /// Quantises the input of an output tile and computes it for all phases and groups.
    fn run(&self, tile: &[Range<usize>; 2]) {
        let step = stride(self.target.layer.kind);
        let read = |range: &Range<usize>| range.start * step..(range.end - 1) * step + 3;
        let bytes = self.bytes(read(&tile[0]), read(&tile[1]));
        for (part, weights) in self.parts.iter().zip(self.weights) {
            let start: Vec<i32> = (weights.sum.iter())
                .map(|sum| -(bytes.scale.zero as i32) * sum)
                .collect();
            let steps: Vec<f32> = weights.step.iter().map(|step| step / bytes.scale.steps).collect();
            self.part(&bytes, *part, (&weights.weights, &start, &steps), tile);
        }
    }

    /// Quantises a range of input rows and columns (counted with the border) by the range of their values.
    fn bytes(&self, rows: Range<usize>, columns: Range<usize>) -> Bytes {
        let blocks = self.input.shape[0].div_ceil(16);
        let width = self.input.shape[2] + 2;
        let wide = columns.len() * 16;
        let lines = |block: usize| {
            let at = move |row: usize| (row * width + columns.start) * 16;
            rows.clone()
                .map(move |row| &self.input.blocks[block][at(row)..][..wide])
        };
        let (mut min, mut max) = ([0.0; 16], [0.0; 16]);
        for line in (0..blocks).flat_map(lines) {
            // SAFETY: the kernels are of a tier the machine has.
            unsafe { (self.kernels.range)(line, &mut min, &mut max) };
        }
        let scale = Scale::of(
            min.into_iter().fold(0.0, f32::min),
            max.into_iter().fold(0.0, f32::max),
        );
        let mut data = self
            .context
            .runtime
            .recycler()
            .take((blocks * rows.len() * wide + SPARE).div_ceil(4));
        for (line, to) in (0..blocks)
            .flat_map(lines)
            .zip(data.bytes_mut().chunks_exact_mut(wide))
        {
            // SAFETY: as above.
            unsafe { (self.kernels.bytes)(line, to, scale.steps, scale.zero) };
        }
        Bytes {
            data,
            scale,
            first: [rows.start, columns.start],
            line: wide,
            block: rows.len() * wide,
        }
    }

    /// Computes an output tile for a phase and group, given int8 weights, initial sums and scales.
    fn part(
        &self,
        bytes: &Bytes,
        (phase, group): (&Phase, &Group),
        (weights, start, scale): (&[i8], &[i32], &[f32]),
        [rows, columns]: &[Range<usize>; 2],
    ) {
        let Target { layer, shape, .. } = self.target;
        let step = stride(layer.kind);
        let mut taps = [0; 9];
        for (tap, [dy, dx]) in taps.iter_mut().zip(&phase.taps) {
            let position = |at: usize, offset: isize| (at * step + 1).wrapping_add_signed(offset);
            *tap = (position(rows.start, *dy) - bytes.first[0]) * bytes.line
                + (position(columns.start, *dx) - bytes.first[1]) * 16;
        }
        let block = group.blocks.start;
        let up = if layer.kind == ConvKind::Up { 2 } else { 1 };
        let [row, column] = [rows, columns].map(|range| range.start * up + 1);
        let width = shape[2] + 2;
        let at = ((row + phase.offset[0]) * width + column + phase.offset[1]) * 16;
        let residual = if layer.residual {
            self.input.blocks[block][at..].as_ptr()
        } else {
            std::ptr::null()
        };
        let job = Int8Rows {
            input: bytes.data.bytes().as_ptr(),
            channels: layer.input,
            input_stride: bytes.block,
            taps: &taps[..phase.taps.len()],
            pixel: 16 * step,
            line: bytes.line * step,
            weights: weights.as_ptr(),
            start: start.as_ptr(),
            step: scale.as_ptr(),
            bias: layer.bias[block * 16..].as_ptr(),
            slope: layer.slope[block * 16..].as_ptr(),
            residual,
            out: self
                .target
                .out
                .wrapping_add(block * self.target.block_stride + at),
            out_pixel: 16 * up,
            out_line: 16 * up * width,
            block_stride: self.target.block_stride,
            rows: rows.len(),
            columns: columns.len(),
        };
        // SAFETY: taps reach the rows and columns that `bytes` holds; weights, sums and steps are the group's; no
        // other thread has this tile's pixels; the kernels are of a tier the machine has.
        unsafe { (self.kernels.rows[group.blocks.len() - 1])(&job) }
    }
}
