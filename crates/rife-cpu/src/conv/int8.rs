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
use super::{PhaseGroup, Target};
use crate::buffer::Buffer;
use crate::engine::{Engine, Precision};
use crate::tensor::BlockList;

/// A SIMD vector of sixteen int32 sums, or of 64 int8 weights or uint8 inputs, for one tier.
pub(super) trait Int8Lanes: Copy {
    /// The vector of sixteen f32 of the same tier.
    type Real: Lanes;

    /// Loads sixteen sums.
    ///
    /// # Safety
    /// The tier is available and 16 values can be read.
    unsafe fn load(from: *const i32) -> Self;
    /// Loads weights: four input channels of each of sixteen output channels.
    ///
    /// # Safety
    /// The tier is available and 64 values can be read.
    unsafe fn weights(from: *const i8) -> Self;
    /// Loads four input channels of a pixel and broadcasts them to all sixteen lanes.
    ///
    /// # Safety
    /// The tier is available and 4 values can be read.
    unsafe fn pixel(from: *const u8) -> Self;
    /// Four-way dot product: adds to each sum the four products of `pixel` and `weights`.
    ///
    /// # Safety
    /// The tier is available.
    unsafe fn dot(self, pixel: Self, weights: Self) -> Self;
    /// Converts the sums to f32.
    ///
    /// # Safety
    /// The tier is available.
    unsafe fn real(self) -> Self::Real;
}

/// The int8 kernels of a tier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Int8Kernels {
    /// Computes rows of one output block, or of two: see [`rows`].
    pub(super) rows: [unsafe fn(&Int8Rows<'_>); 2],
    /// Updates minima and maxima per channel: see [`range`].
    pub(super) range: unsafe fn(&[f32], &mut [f32; 16], &mut [f32; 16]),
    /// Quantises values: see [`bytes`].
    pub(super) bytes: unsafe fn(&[f32], &mut [u8], f32, f32),
    /// Whether weights of input blocks with fewer than sixteen channels must be padded with zeros to sixteen.
    pub(super) full_blocks: bool,
    /// Minimum input and output channels of a layer for which int8 is faster than f32.
    pub(super) min_channels: usize,
}

/// Arguments of a kernel: a tile of output rows of one group of output blocks. Offsets and strides of the input are in
/// bytes, of the output in values.
#[derive(Debug)]
pub(super) struct Int8Rows<'a> {
    pub(super) input: *const u8,
    pub(super) channels: usize,
    /// Stride of blocks of sixteen input channels.
    pub(super) input_stride: usize,
    /// Offsets of the first output pixel's input pixels, row by row; those of a row are adjacent in memory.
    pub(super) taps: &'a [usize],
    /// Input strides of neighbouring output pixels in a row (`pixel`) and in a column (`line`).
    pub(super) pixel: usize,
    pub(super) line: usize,
    /// `[input block][tap][four channels][output channel][channel]`.
    pub(super) weights: *const i8,
    /// Initial sum of each output channel (zero-point correction).
    pub(super) start: *const i32,
    /// Scale of the sums of each output channel.
    pub(super) step: *const f32,
    /// Bias of each output channel.
    pub(super) bias: *const f32,
    /// PReLU slope of each output channel.
    pub(super) slope: *const f32,
    /// f32 input pixel of the first output pixel, with the strides of the output; null without a residual.
    pub(super) residual: *const f32,
    pub(super) out: *mut f32,
    /// Stride of output pixels in a row.
    pub(super) out_pixel: usize,
    /// Stride of output rows.
    pub(super) out_line: usize,
    /// Stride of output blocks.
    pub(super) block_stride: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// Offsets of an output pixel, and of its input, from those of the tile's first pixel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) input: usize,
    pub(super) out: usize,
}

impl Int8Rows<'_> {
    /// Returns the offsets of the output pixel at a row and column of the tile.
    pub(super) fn place(&self, row: usize, column: usize) -> Place {
        Place {
            input: row * self.line + column * self.pixel,
            out: row * self.out_line + column * self.out_pixel,
        }
    }
}

/// Computes a tile of output rows in register tiles of `WIDE`, then 8, 4 and 1 columns, of `BLOCKS` output blocks.
///
/// # Safety
/// The pointers of `job` are valid for what it describes, and `V`'s tier is available.
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

/// Computes a register tile of `WIDTH` output pixels of `BLOCKS` output blocks.
///
/// # Safety
/// As [`rows`]; `WIDTH` pixels of the job begin at `place`.
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
    /// Loads scale, bias and slope of an output block.
    ///
    /// # Safety
    /// As [`rows`]; `block` is an output block of the job.
    #[inline(always)]
    pub(super) unsafe fn new(job: &Int8Rows<'_>, block: usize) -> Self {
        // SAFETY: each block has sixteen values of each.
        unsafe {
            Self {
                step: V::Real::load(job.step.add(block * 16)),
                bias: V::Real::load(job.bias.add(block * 16)),
                slope: V::Real::load(job.slope.add(block * 16)),
            }
        }
    }

    /// Dequantises a pixel's sums, adds bias and residual, applies PReLU and writes the result at offset `at`.
    ///
    /// # Safety
    /// As [`rows`]; `at` is the offset of a pixel of the job.
    #[inline(always)]
    pub(super) unsafe fn store(&self, job: &Int8Rows<'_>, at: usize, sums: V) {
        // SAFETY: the output, and the residual if there is one, has sixteen values at this offset.
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

/// Int8 weights of a group of output blocks.
#[derive(Debug, Clone)]
pub(super) struct Quantised {
    /// Weights in the order of [`Int8Rows::weights`].
    weights: Vec<i8>,
    /// Scale of each output channel.
    step: Vec<f32>,
    /// Sum of the int8 weights of each output channel.
    sum: Vec<i32>,
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
pub(super) fn suits(engine: &Engine, layer: &ConvLayer) -> bool {
    let enough = |kernels: Int8Kernels| layer.input.min(layer.output) >= kernels.min_channels;
    engine.precision() == Precision::Int8 && layer.dense && engine.kernels().int8.is_some_and(enough)
}

/// Reports whether products with zero weights are almost free (AMX).
pub(super) fn has_spare_products(engine: &Engine) -> bool {
    engine.kernels().int8.is_some_and(|kernels| kernels.full_blocks)
}

/// An int8 convolution of an image.
struct Tiles<'a> {
    engine: &'a Engine,
    kernels: Int8Kernels,
    input: &'a BlockList<'a>,
    target: &'a Target<'a>,
    parts: Vec<PhaseGroup<'a>>,
    weights: &'a [Quantised],
}

// SAFETY: the input is only read; each tile writes different output pixels.
unsafe impl Sync for Tiles<'_> {}

/// The quantised input of a tile in blocked layout (nChw16c) of uint8.
struct Bytes {
    data: Buffer,
    scale: Scale,
    /// Row and column of the first pixel in the input with its border.
    first: [usize; 2],
    /// Stride of rows in bytes.
    line: usize,
    /// Stride of blocks in bytes.
    block: usize,
}

/// Applies a layer for which [`suits`] is true, in parallel over tiles.
pub(super) fn conv(engine: &Engine, input: &BlockList<'_>, target: &Target<'_>) {
    let Some(kernels) = engine.kernels().int8 else {
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

    /// Computes an output tile for a phase and group, given int8 weights, initial sums and scales.
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
            let position = |at: usize, offset: isize| (at * stride + 1).wrapping_add_signed(offset);
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
