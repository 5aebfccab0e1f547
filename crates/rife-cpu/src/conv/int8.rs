//! Int8 convolutions, for processors with four-way dot products of bytes (VNNI, AMX): four times the products of f32.
//!
//! Symmetric per-output-channel int8 weights (-127 to 127), asymmetric per-tile uint8 activations: dynamic quantisation, the
//! scale and zero point of a tile are set by its own minimum and maximum, without calibration. Zero is exact, so that the
//! zero border is. Sums are exact int32; bias, residual and activation are f32. See Jacob et al., "Quantization and Training of Neural
//! Networks for Efficient Integer-Arithmetic-Only Inference" (2018), section 2.

use std::ops::Range;

use rife_backend::ConvKind;

use super::kernel::Lanes;
use super::pack::{ConvLayer, Group, Phase};
use super::{Part, Target};
use crate::buffer::Buffer;
use crate::engine::{Engine, Precision};
use crate::tensor::BlockList;

/// A SIMD vector of sixteen int32 sums, or of their operands (sixteen times four bytes), in the registers of a tier.
pub(super) trait Int8Lanes: Copy {
    /// The vector of sixteen f32 of the same tier.
    type Real: Lanes;

    /// # Safety
    /// The tier is available and 16 values can be read.
    unsafe fn load(from: *const i32) -> Self;
    /// Four weights for each of sixteen outputs.
    ///
    /// # Safety
    /// The tier is available and 64 values can be read.
    unsafe fn weights(from: *const i8) -> Self;
    /// Four input values, for each of sixteen outputs the same.
    ///
    /// # Safety
    /// The tier is available and 4 values can be read.
    unsafe fn pixel(from: *const u8) -> Self;
    /// Four-way dot product: adds to each sum the four products of `pixel` and `weights`.
    ///
    /// # Safety
    /// The tier is available.
    unsafe fn dot(self, pixel: Self, weights: Self) -> Self;
    /// # Safety
    /// The tier is available.
    unsafe fn real(self) -> Self::Real;
}

/// The int8 kernels of a tier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Int8Kernels {
    /// Rows of one, or of two, output blocks.
    pub(super) rows: [unsafe fn(&Int8Rows<'_>); 2],
    pub(super) range: unsafe fn(&[f32], &mut [f32; 16], &mut [f32; 16]),
    pub(super) bytes: unsafe fn(&[f32], &mut [u8], f32, f32),
    /// Whether they read weights of sixteen input channels also for blocks with fewer.
    pub(super) full_blocks: bool,
    /// The fewest input and output channels of a layer for which int8 is faster than f32.
    pub(super) min_channels: usize,
}

/// Rows of a tile, one group of output blocks. Offsets and strides of the input are in bytes, of the output in values.
#[derive(Debug)]
pub(super) struct Int8Rows<'a> {
    pub(super) input: *const u8,
    pub(super) channels: usize,
    /// From block to block of sixteen channels of the input.
    pub(super) input_stride: usize,
    /// Offsets of the first output pixel's input pixels; those of a row lie side by side, from left to right.
    pub(super) taps: &'a [usize],
    /// From the input of one output pixel to that of the next one in its row, and in the next row.
    pub(super) pixel: usize,
    pub(super) line: usize,
    /// `[input block][tap][four channels][output channel][channel]`.
    pub(super) weights: *const i8,
    /// For each output channel: the initial sum (zero-point correction), the scale of the sum, and the bias.
    pub(super) start: *const i32,
    pub(super) step: *const f32,
    pub(super) bias: *const f32,
    pub(super) slope: *const f32,
    /// The first output pixel's counterpart in the `f32` input, laid out like the output; null where none is added.
    pub(super) residual: *const f32,
    pub(super) out: *mut f32,
    pub(super) out_pixel: usize,
    pub(super) out_line: usize,
    /// From output block to output block.
    pub(super) block_stride: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// An output pixel's offsets: of its input from the first one's, and its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) input: usize,
    pub(super) out: usize,
}

impl Int8Rows<'_> {
    pub(super) fn place(&self, row: usize, column: usize) -> Place {
        Place {
            input: row * self.line + column * self.pixel,
            out: row * self.out_line + column * self.out_pixel,
        }
    }
}

/// Computes rows in tiles of `WIDE`, then 8, 4 and single columns, `BLOCKS` output blocks at once.
///
/// # Safety
/// The pointers of `job` reach what it describes, and `V`'s tier is available.
#[inline(always)]
pub(super) unsafe fn rows<V: Int8Lanes, const BLOCKS: usize, const WIDE: usize>(job: &Int8Rows<'_>) {
    for row in 0..job.rows {
        let mut column = 0;
        // SAFETY: tiles are within the job's rows and columns; the rest is this function's own contract.
        unsafe {
            while column + WIDE <= job.columns {
                tile::<V, BLOCKS, WIDE>(job, job.place(row, column));
                column += WIDE;
            }
            if column + 8 <= job.columns {
                tile::<V, BLOCKS, 8>(job, job.place(row, column));
                column += 8;
            }
            while column + 4 <= job.columns {
                tile::<V, BLOCKS, 4>(job, job.place(row, column));
                column += 4;
            }
            while column < job.columns {
                tile::<V, BLOCKS, 1>(job, job.place(row, column));
                column += 1;
            }
        }
    }
}

/// # Safety
/// As [`rows`], with `WIDTH` pixels of the job's from `place` on.
#[inline(always)]
unsafe fn tile<V: Int8Lanes, const BLOCKS: usize, const WIDTH: usize>(job: &Int8Rows<'_>, place: Place) {
    // SAFETY: the whole body is pointer arithmetic within what the caller vouches for.
    unsafe {
        let mut first = [V::load(job.start); BLOCKS];
        for (b, first) in first.iter_mut().enumerate() {
            *first = V::load(job.start.add(b * 16));
        }
        let mut sums = [first; WIDTH];
        let mut weights = job.weights;
        for block in 0..job.channels.div_ceil(16) {
            let quads = (job.channels - block * 16).min(16).div_ceil(4);
            for &tap in job.taps {
                let mut input = job.input.add(block * job.input_stride + tap + place.input);
                for _ in 0..quads {
                    let mut w = first;
                    for (b, w) in w.iter_mut().enumerate() {
                        *w = V::weights(weights.add(b * 64));
                    }
                    for (t, sums) in sums.iter_mut().enumerate() {
                        let pixel = V::pixel(input.add(t * job.pixel));
                        for (sum, w) in sums.iter_mut().zip(w) {
                            *sum = sum.dot(pixel, w);
                        }
                    }
                    weights = weights.add(64 * BLOCKS);
                    input = input.add(4);
                }
            }
        }
        for b in 0..BLOCKS {
            let last = Last::<V>::new(job, b);
            for (t, sums) in sums.iter().enumerate() {
                last.store(job, place.out + b * job.block_stride + t * job.out_pixel, sums[b]);
            }
        }
    }
}

/// Dequantisation of the sums of an output block: scale, bias and PReLU slope.
pub(super) struct Last<V: Int8Lanes> {
    step: V::Real,
    bias: V::Real,
    slope: V::Real,
}

impl<V: Int8Lanes> Last<V> {
    /// # Safety
    /// As [`rows`], for an output block of the job's.
    #[inline(always)]
    pub(super) unsafe fn new(job: &Int8Rows<'_>, block: usize) -> Self {
        // SAFETY: each block has sixteen of them.
        unsafe {
            Self {
                step: V::Real::load(job.step.add(block * 16)),
                bias: V::Real::load(job.bias.add(block * 16)),
                slope: V::Real::load(job.slope.add(block * 16)),
            }
        }
    }

    /// Writes the result of a pixel's sums.
    ///
    /// # Safety
    /// As [`rows`], `at` being the offset of one of the job's pixels.
    #[inline(always)]
    pub(super) unsafe fn store(&self, job: &Int8Rows<'_>, at: usize, sums: V) {
        // SAFETY: the output has sixteen values there, as has the residual where there is one.
        unsafe {
            let mut sum = self.bias.multiply_add(sums.real(), self.step);
            if !job.residual.is_null() {
                sum = sum.add(V::Real::load(job.residual.add(at)));
            }
            sum.leaky(self.slope).store(job.out.add(at));
        }
    }
}

/// Updates the minimum and maximum of each of sixteen channels.
#[inline(always)]
pub(super) fn range(values: &[f32], min: &mut [f32; 16], max: &mut [f32; 16]) {
    for pixel in values.chunks_exact(16) {
        for ((v, min), max) in pixel.iter().zip(min.iter_mut()).zip(max.iter_mut()) {
            *min = if *v < *min { *v } else { *min };
            *max = if *v > *max { *v } else { *max };
        }
    }
}

/// 1.5 * 2^23: added to a value of 0 to 255, the sum's lowest bits are that value rounded to nearest even.
const ROUNDED: f32 = 12_582_912.0;

/// Quantises: `values * steps + zero`, rounded and clamped to 0..=255.
#[inline(always)]
pub(super) fn bytes(values: &[f32], to: &mut [u8], steps: f32, zero: f32) {
    for (to, v) in to.iter_mut().zip(values) {
        let v = *v * steps + zero;
        let v = if v > 0.0 { v } else { 0.0 };
        let v = if v < 255.0 { v } else { 255.0 };
        *to = (v + ROUNDED).to_bits() as u8;
    }
}

/// Affine quantisation of a tile: `byte = value * steps + zero`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    steps: f32,
    zero: f32,
}

impl Scale {
    /// Quantisation steps in 1.0, the inverse scale.
    pub(super) fn steps(self) -> f32 {
        self.steps
    }

    /// A value quantised, less the zero point.
    pub(super) fn whole(self, value: f32) -> f32 {
        (value * self.steps + self.zero)
            .round_ties_even()
            .clamp(0.0, 255.0)
            - self.zero
    }

    /// The quantisation of a range of values, widened to contain zero.
    pub(super) fn of(min: f32, max: f32) -> Self {
        let (min, max) = (min.min(0.0), max.max(0.0));
        let width = max - min;
        // All zeros, or not finite: any scale will do.
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

/// Int8 weights of a group of output blocks.
#[derive(Debug, Clone)]
pub(super) struct Quantised {
    /// As [`Int8Rows::weights`].
    weights: Vec<i8>,
    /// For each output channel: the scale, and the sum of its weights.
    step: Vec<f32>,
    sum: Vec<i32>,
}

/// The largest int8 weight; symmetric, so -128 is not used.
const MAX_WEIGHT: f32 = 127.0;

impl Quantised {
    /// From `[input block][tap][lane][output channel]`; of blocks that are not full, whole ones if so asked.
    fn new((phase, group): Part<'_>, channels: usize, full_blocks: bool) -> Self {
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

    /// The weights of a tap of some input channels, four by four; those past the last are zero.
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

/// Rows of a tile of output of a large image and of a small one, which would have too few tiles.
const ROWS: [usize; 2] = [8, 4];
/// Pixels of output of a large image.
const LARGE: usize = 8192;
/// Columns of a tile: a multiple of what the kernels compute at once.
const COLUMNS: usize = 48;
/// Bytes past a tile's input that kernels may read: they compute sixteen pixels where fewer are left.
const SPARE: usize = 16 * 2 * 16 + 64;
/// Whether a layer is computed in int8: in an engine of that precision, for layers with many channels; not for the last
/// layers (flow, mask, colours), whose few channels are the result.
pub(super) fn suits(engine: &Engine, layer: &ConvLayer) -> bool {
    let enough = |kernels: Int8Kernels| layer.input.min(layer.output) >= kernels.min_channels;
    engine.precision() == Precision::Int8 && layer.dense && engine.kernels().int8.is_some_and(enough)
}

/// Whether products with zero weights cost next to nothing.
pub(super) fn has_spare_products(engine: &Engine) -> bool {
    engine.kernels().int8.is_some_and(|kernels| kernels.full_blocks)
}

/// A layer over an image.
struct Tiles<'a> {
    engine: &'a Engine,
    kernels: Int8Kernels,
    input: &'a BlockList<'a>,
    target: &'a Target<'a>,
    parts: Vec<Part<'a>>,
    weights: &'a [Quantised],
}

// SAFETY: the input is only read; each tile writes its own output pixels.
unsafe impl Sync for Tiles<'_> {}

/// The quantised input of a tile in blocked layout (nChw16c) of uint8.
struct Bytes {
    data: Buffer,
    scale: Scale,
    /// Row and column, in the input with its border, of the first pixel.
    first: [usize; 2],
    line: usize,
    block: usize,
}

/// Applies a layer that [`suits`].
pub(super) fn conv(engine: &Engine, input: &BlockList<'_>, target: &Target<'_>) {
    let Some(kernels) = engine.kernels().int8 else {
        unreachable!("an engine of this precision has its kernels");
    };
    let layer = target.layer;
    let parts = target.parts();
    let weights = layer.quantised.get_or_init(|| {
        parts
            .iter()
            .map(|part| Quantised::new(*part, layer.input, kernels.full_blocks))
            .collect()
    });
    let work = Tiles {
        engine,
        kernels,
        input,
        target,
        parts,
        weights,
    };
    let tiles = tiles(target.rows(), target.columns());
    engine.threads().run(tiles.len(), &|i| work.run(&tiles[i]));
}

/// Rows and columns of the tiles of an output of a size, whatever the number of threads.
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
    fn run(&self, tile: &[Range<usize>; 2]) {
        let step = super::stride(self.target.layer.kind);
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

    /// The input's pixels, counted from its border's corner, by a scale of their own.
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
            .engine
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

    /// Computes a tile for a part, with its weights, their sums' beginning and their steps.
    fn part(
        &self,
        bytes: &Bytes,
        (phase, group): (&Phase, &Group),
        (weights, start, step): (&[i8], &[i32], &[f32]),
        [rows, columns]: &[Range<usize>; 2],
    ) {
        let Target { layer, shape, .. } = self.target;
        let stride = super::stride(layer.kind);
        let mut taps = [0; 9];
        for (tap, [dy, dx]) in taps.iter_mut().zip(&phase.taps) {
            let place = |at: usize, step_back: isize| (at * stride + 1).wrapping_add_signed(step_back);
            *tap = (place(rows.start, *dy) - bytes.first[0]) * bytes.line
                + (place(columns.start, *dx) - bytes.first[1]) * 16;
        }
        let block = group.blocks.start;
        let up = if layer.kind == ConvKind::Up { 2 } else { 1 };
        let [row, column] = [rows, columns].map(|range| range.start * up + 1);
        let width = shape[2] + 2;
        let at = ((row + phase.place[0]) * width + column + phase.place[1]) * 16;
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
            pixel: 16 * stride,
            line: bytes.line * stride,
            weights: weights.as_ptr(),
            start: start.as_ptr(),
            step: step.as_ptr(),
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
