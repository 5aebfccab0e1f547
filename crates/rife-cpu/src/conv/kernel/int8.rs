//! Int8 kernels, generic over the SIMD vector: rows of blocked (nChw16c) uint8 activations times int8 weights, int32 sums,
//! dequantised to f32.

use super::Lanes;

/// Input and output channels from which on int8 is faster than f32 where an instruction multiplies 64 bytes.
pub(crate) const MIN_CHANNELS: usize = 24;

/// A SIMD vector of sixteen int32 sums, or of 64 int8 weights or uint8 inputs, for one tier.
pub(crate) trait Int8Lanes: Copy {
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
    /// Adds to each sum the four products of `pixel` and `weights` (four-way dot product).
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
    pub(crate) rows: [unsafe fn(&Int8Rows<'_>); 2],
    /// Updates minima and maxima per channel: see [`range`].
    pub(crate) range: unsafe fn(&[f32], &mut [f32; 16], &mut [f32; 16]),
    /// Quantises values: see [`bytes`].
    pub(crate) bytes: unsafe fn(&[f32], &mut [u8], f32, f32),
    /// Whether weights of input blocks with fewer than sixteen channels must be padded with zeros to sixteen.
    pub(crate) full_blocks: bool,
    /// Minimum input and output channels of a layer for which int8 is faster than f32.
    pub(crate) min_channels: usize,
}

/// Arguments of a kernel: a tile of output rows of one group of output blocks. Offsets and strides of the input are in
/// bytes, of the output in values.
#[derive(Debug)]
pub(crate) struct Int8Rows<'a> {
    /// First quantised input value.
    pub(crate) input: *const u8,
    /// Number of input channels.
    pub(crate) channels: usize,
    /// Stride of blocks of sixteen input channels.
    pub(crate) input_stride: usize,
    /// Offsets of the first output pixel's input pixels, row by row; those of a row are adjacent in memory.
    pub(crate) taps: &'a [usize],
    /// Stride of the input from one output pixel to the next in a row.
    pub(crate) pixel: usize,
    /// Stride of the input from one output row to the next.
    pub(crate) line: usize,
    /// Weights, `[input block][tap][four channels][output channel][channel]`.
    pub(crate) weights: *const i8,
    /// Initial sum of each output channel (zero-point correction).
    pub(crate) start: *const i32,
    /// Scale of the sums of each output channel.
    pub(crate) step: *const f32,
    /// Bias of each output channel.
    pub(crate) bias: *const f32,
    /// PReLU slope of each output channel.
    pub(crate) slope: *const f32,
    /// f32 input pixel of the first output pixel, with the strides of the output; null without a residual.
    pub(crate) residual: *const f32,
    /// First output pixel of the first output block.
    pub(crate) out: *mut f32,
    /// Stride of output pixels in a row.
    pub(crate) out_pixel: usize,
    /// Stride of output rows.
    pub(crate) out_line: usize,
    /// Stride of output blocks.
    pub(crate) block_stride: usize,
    /// Number of output rows.
    pub(crate) rows: usize,
    /// Number of output pixels per row.
    pub(crate) columns: usize,
}

/// Offsets of an output pixel, and of its input, from those of the tile's first pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offsets {
    /// Offset of the input in bytes.
    pub(crate) input: usize,
    /// Offset of the output in values.
    pub(crate) out: usize,
}

impl Int8Rows<'_> {
    /// Returns the offsets of the output pixel at a row and column of the tile.
    pub(crate) fn offsets(&self, row: usize, column: usize) -> Offsets {
        Offsets {
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
pub(crate) unsafe fn rows<V: Int8Lanes, const BLOCKS: usize, const WIDE: usize>(job: &Int8Rows<'_>) {
    for row in 0..job.rows {
        let mut column = 0;
        // SAFETY: tiles are within the job's rows and columns; the rest is this function's own contract.
        unsafe {
            while column + WIDE <= job.columns {
                tile::<V, BLOCKS, WIDE>(job, job.offsets(row, column));
                column += WIDE;
            }
            if column + 8 <= job.columns {
                tile::<V, BLOCKS, 8>(job, job.offsets(row, column));
                column += 8;
            }
            while column + 4 <= job.columns {
                tile::<V, BLOCKS, 4>(job, job.offsets(row, column));
                column += 4;
            }
            while column < job.columns {
                tile::<V, BLOCKS, 1>(job, job.offsets(row, column));
                column += 1;
            }
        }
    }
}

/// Computes a register tile of `WIDTH` output pixels of `BLOCKS` output blocks.
///
/// # Safety
/// As [`rows`]; `WIDTH` pixels of the job begin at `at`.
#[inline(always)]
unsafe fn tile<V: Int8Lanes, const BLOCKS: usize, const WIDTH: usize>(job: &Int8Rows<'_>, at: Offsets) {
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
                let mut input = job.input.add(block * job.input_stride + tap + at.input);
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
            let dequantiser = Dequantiser::<V>::new(job, b);
            for (t, sums) in sums.iter().enumerate() {
                dequantiser.store(job, at.out + b * job.block_stride + t * job.out_pixel, sums[b]);
            }
        }
    }
}

/// Dequantisation of the sums of an output block: scale, bias and PReLU slope.
pub(crate) struct Dequantiser<V: Int8Lanes> {
    /// Scale of the sums of each channel.
    step: V::Real,
    /// Bias of each channel.
    bias: V::Real,
    /// PReLU slope of each channel.
    slope: V::Real,
}

impl<V: Int8Lanes> Dequantiser<V> {
    /// Loads scale, bias and slope of an output block.
    ///
    /// # Safety
    /// As [`rows`]; `block` is an output block of the job.
    #[inline(always)]
    pub(crate) unsafe fn new(job: &Int8Rows<'_>, block: usize) -> Self {
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
    pub(crate) unsafe fn store(&self, job: &Int8Rows<'_>, at: usize, sums: V) {
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
pub(crate) fn range(values: &[f32], min: &mut [f32; 16], max: &mut [f32; 16]) {
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
pub(crate) fn bytes(values: &[f32], to: &mut [u8], steps: f32, zero: f32) {
    for (to, v) in to.iter_mut().zip(values) {
        let v = *v * steps + zero;
        let v = if v > 0.0 { v } else { 0.0 };
        let v = if v < 255.0 { v } else { 255.0 };
        *to = (v + ROUNDED).to_bits() as u8;
    }
}
