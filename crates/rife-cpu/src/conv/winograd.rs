//! Winograd convolution F(4x4, 3x3), a quarter of the multiplications of a direct 3x3 convolution: Lavin and Gray, "Fast
//! Algorithms for Convolutional Neural Networks" (2016), section 4.
//!
//! A tile of 4x4 output pixels is computed from 6x6 input pixels. The input transform evaluates the tile at 36 points (0, 1,
//! -1, 2, -2 and infinity along each axis), the Winograd domain, where a convolution is an elementwise product. For a batch
//! of tiles the channels are multiplied at each point by a matrix of transformed weights (a 1x1 convolution over the tiles,
//! done by the direct kernel), and the output transform gives the output pixels.

use std::ops::Range;

use rife_backend::ConvKind;

use super::context::Context;
use super::kernel::winograd::{POINTS, SIDE, TILE, TransformInput, TransformOutput};
use super::kernel::{InBlock, Row};
use super::pack::{ConvLayer, Phase};
use super::target::{PhaseGroup, Target};
use crate::tensor::BlockList;

/// Matrix G of the weight transform along one axis.
const FILTER: [[f64; 3]; SIDE] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// Reports whether a phase's transformed weights at a point are all zero, as at 11 of the 36 points for phases of 2x2 taps.
fn has_no_weights(phase: &Phase, point: usize) -> bool {
    let (fy, fx) = (FILTER[point / SIDE], FILTER[point % SIDE]);
    let factor = |[dy, dx]: &[isize; 2]| fy[(dy + 1) as usize] * fx[(dx + 1) as usize];
    phase.taps.iter().all(|tap| factor(tap) == 0.0)
}

/// Computes the transformed weights G g G^T of a group: `[point][input block][lane][output channel]` from `[input
/// block][tap][lane][output channel]`. Taps that a phase lacks have zero weights.
fn transform_weights((phase, group): PhaseGroup<'_>, channels: usize) -> Vec<f32> {
    let wide = 16 * group.blocks.len();
    let mut all = Vec::with_capacity(POINTS * group.weights.len() / phase.taps.len());
    for (fy, fx) in FILTER.iter().flat_map(|fy| FILTER.iter().map(move |fx| (fy, fx))) {
        let factor = |[dy, dx]: &[isize; 2]| fy[(dy + 1) as usize] * fx[(dx + 1) as usize];
        let factors: Vec<f64> = phase.taps.iter().map(factor).collect();
        let mut from = group.weights.as_slice();
        for block in group.inputs.clone() {
            let values = 16.min(channels - block * 16) * wide;
            let (taps, rest) = from.split_at(factors.len() * values);
            from = rest;
            all.extend((0..values).map(|i| {
                let weights = taps[i..].iter().step_by(values).map(|w| f64::from(*w));
                weights.zip(&factors).map(|(w, f)| w * f).sum::<f64>() as f32
            }));
        }
    }
    all
}

/// Minimum tiles of an image for which Winograd is faster; with fewer, reading the transformed weights dominates.
const MIN_TILES: usize = 24;
/// Approximate number of tiles of a batch. Each batch reads all weights, which for many channels are larger than its
/// points; half as many tiles were 10% slower, more were no faster.
const BATCH: usize = 48;
/// Columns of the direct kernels' register tile.
const TOGETHER: usize = 12;

/// Returns the number of tiles of a batch, balanced over the threads.
fn batch(tiles: usize, threads: usize) -> usize {
    let each = (tiles / (BATCH * threads)).max(1);
    tiles.div_ceil(each * threads).next_multiple_of(TOGETHER)
}

/// Minimum output channels for which the output transform of a block of sixteen is worthwhile.
const MIN_OUTPUTS: usize = 3;

/// Reports whether Winograd is the fastest f32 algorithm of a layer for an input of this shape.
pub(super) fn suits(layer: &ConvLayer, [channels, height, width]: [usize; 3]) -> bool {
    let tiles = height.div_ceil(TILE) * width.div_ceil(TILE);
    // For a transposed convolution these are tiles of each phase, a 3x3 convolution with some zero weights.
    layer.dense
        && layer.kind != ConvKind::Down
        && channels >= 16
        && layer.computed() >= MIN_OUTPUTS
        && tiles >= MIN_TILES
}

/// A Winograd convolution of an image in batches of tiles.
struct Batches<'a> {
    context: Context<'a>,
    input: &'a BlockList<'a>,
    target: &'a Target<'a>,
    /// All phases and groups of output blocks.
    parts: Vec<PhaseGroup<'a>>,
    /// Transformed weights of each of `parts`.
    weights: &'a [Vec<f32>],
    /// Number of rows and columns of tiles.
    tiles: [usize; 2],
    /// Number of tiles of a batch.
    batch: usize,
}

/// Applies a layer for which [`suits`] is true, in parallel over batches.
pub(super) fn conv(context: Context<'_>, input: &BlockList<'_>, target: &Target<'_>) {
    let layer = target.layer;
    let parts = target.phase_groups();
    let weights = layer.winograd_weights.get_or_init(|| {
        parts
            .iter()
            .map(|part| transform_weights(*part, layer.input))
            .collect()
    });
    let [_, height, width] = input.shape;
    let tiles = [height.div_ceil(TILE), width.div_ceil(TILE)];
    let count = tiles[0] * tiles[1];
    let batch = batch(count, context.runtime.threads().count());
    let work = Batches {
        context,
        input,
        target,
        parts,
        weights,
        tiles,
        batch,
    };
    context.runtime.threads().run(count.div_ceil(batch), &|item| {
        let first = item * batch;
        work.run(first..(first + batch).min(count));
    });
}

// SAFETY: the input is only read; each batch writes different output pixels.
unsafe impl Sync for Batches<'_> {}

impl Batches<'_> {
    /// Computes a batch: input transform, product at each point, output transform.
    fn run(&self, tiles: Range<usize>) {
        let [inputs, outputs] = [self.input.shape[0], self.target.layer.computed()].map(|c| c.div_ceil(16));
        let blocks = [inputs, outputs * self.target.layer.phases.len()];
        let plane = self.batch * 16;
        // Padded by a cache line, since a tile's 36 points would otherwise map to a few cache sets.
        let strides = blocks.map(|blocks| plane * blocks + 16);
        let mut points = self.context.runtime.recycler().take(POINTS * strides[0]);
        let mut products = self.context.runtime.recycler().take(POINTS * strides[1]);
        for block in 0..inputs {
            for (i, tile) in tiles.clone().enumerate() {
                self.transform_input(tile, block, &mut points[block * plane + i * 16..], strides[0]);
            }
        }
        for point in 0..POINTS {
            let from = &points[point * strides[0]..][..plane * blocks[0]];
            let to = &mut products[point * strides[1]..][..plane * blocks[1]];
            self.multiply(point, tiles.len(), from, to);
        }
        for (n, phase) in self.target.layer.phases.iter().enumerate() {
            for block in 0..outputs {
                let from = &products[(n * outputs + block) * plane..];
                for (i, tile) in tiles.clone().enumerate() {
                    self.transform_output(tile, phase.offset, block, &from[i * 16..], strides[1]);
                }
            }
        }
    }

    /// Returns row and column of a tile's first output pixel (of one phase).
    fn first_pixel(&self, tile: usize) -> [usize; 2] {
        [tile / self.tiles[1] * TILE, tile % self.tiles[1] * TILE]
    }

    /// Transforms one tile of one input block to `to`, with points `point` values apart.
    fn transform_input(&self, tile: usize, block: usize, to: &mut [f32], point: usize) {
        let [y, x] = self.first_pixel(tile);
        let [_, height, width] = self.input.shape;
        let line = (width + 2) * 16;
        let corner = y * line + x * 16;
        assert!(to.len() >= (POINTS - 1) * point + 16, "room for the points");
        let padded;
        let inside = y + SIDE <= height + 2 && x + SIDE <= width + 2;
        let (from, line) = if inside {
            (self.input.blocks[block][corner..].as_ptr(), line)
        } else {
            padded = self.edge(block, corner, [height + 2 - y, width + 2 - x]);
            (padded.as_ptr(), SIDE * 16)
        };
        let job = TransformInput {
            from,
            line,
            to: to.as_mut_ptr(),
            point,
        };
        // SAFETY: 6x6 pixels are within the image and its border or the padded, the points within `to`; the kernels
        // are of a tier the machine has.
        unsafe { (self.context.kernels.transform_input)(&job) }
    }

    /// Copies the 6x6 input pixels of a tile at the right or bottom edge, zero-padded past the image's border.
    fn edge(&self, block: usize, corner: usize, [rows, columns]: [usize; 2]) -> [f32; POINTS * 16] {
        let line = (self.input.shape[2] + 2) * 16;
        let across = columns.min(SIDE) * 16;
        let mut padded = [0.0; POINTS * 16];
        for (row, to) in padded.chunks_exact_mut(SIDE * 16).take(rows).enumerate() {
            to[..across].copy_from_slice(&self.input.blocks[block][corner + row * line..][..across]);
        }
        padded
    }

    /// Multiplies the input channels of all tiles of a batch by the transformed weights, at one point.
    fn multiply(&self, point: usize, tiles: usize, from: &[f32], to: &mut [f32]) {
        let plane = self.batch * 16;
        let channels = self.input.shape[0];
        let inputs: Vec<InBlock> = (from.chunks_exact(plane).enumerate())
            .map(|(i, block)| InBlock {
                data: block.as_ptr(),
                lanes: (channels - i * 16).min(16),
                lane_stride: 1,
            })
            .collect();
        let outputs = self.target.layer.computed().div_ceil(16);
        for (i, (part, weights)) in self.parts.iter().zip(self.weights).enumerate() {
            let group = part.1;
            let size = weights.len() / POINTS;
            let group_out = |first: usize| first * plane..(first + group.blocks.len()) * plane;
            // Groups are listed phase by phase, the same number for each.
            let phase = i * self.target.layer.phases.len() / self.parts.len();
            let first = phase * outputs + group.blocks.start;
            if has_no_weights(part.0, point) {
                to[group_out(first)].fill(0.0);
                continue;
            }
            let job = Row {
                inputs: &inputs[group.inputs.clone()],
                taps: &[0],
                pixel: 16,
                weights: weights[point * size..][..size].as_ptr(),
                bias: std::ptr::null(),
                slope: std::ptr::null(),
                residual: std::ptr::null(),
                out: to[group_out(first)].as_mut_ptr(),
                out_pixel: 16,
                block_stride: plane,
                columns: tiles,
            };
            // SAFETY: the pointers are to slices of the sizes described; the tier is available.
            unsafe { (self.context.kernels.row[group.blocks.len() - 1])(&job) }
        }
    }

    /// Transforms one tile of one output block from `from`, with points `point` values apart, and writes its pixels; `offset`
    /// is that of the phase.
    fn transform_output(&self, tile: usize, offset: [usize; 2], block: usize, from: &[f32], point: usize) {
        let Target { layer, shape, .. } = self.target;
        let [y, x] = self.first_pixel(tile);
        let up = if layer.kind == ConvKind::Up { 2 } else { 1 };
        let line = (shape[2] + 2) * 16;
        let at = (y * up + offset[0] + 1) * line + (x * up + offset[1] + 1) * 16;
        assert!(from.len() >= (POINTS - 1) * point + 16, "the points are there");
        let residual = if layer.residual {
            self.input.blocks[block][at..].as_ptr()
        } else {
            std::ptr::null()
        };
        let job = TransformOutput {
            from: from.as_ptr(),
            point,
            bias: layer.bias[block * 16..][..16].as_ptr(),
            slope: layer.slope[block * 16..][..16].as_ptr(),
            residual,
            out: self
                .target
                .out
                .wrapping_add(block * self.target.block_stride + at),
            pixel: 16 * up,
            line: line * up,
            rows: (self.target.rows() - y).min(TILE),
            columns: (self.target.columns() - x).min(TILE),
        };
        // SAFETY: the points are within `from`; rows and columns end with the image, and no other thread computes this
        // tile; the tier is available.
        unsafe { (self.context.kernels.transform_output)(&job) }
    }
}
