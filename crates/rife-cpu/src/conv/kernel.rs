//! Direct convolution kernel, generic over a SIMD vector of sixteen f32: a register tile of a few output blocks by a few
//! columns; each input value is broadcast and multiplied with sixteen weights. Tiers differ in the vector type and in the
//! size of the register tile; see `conv/simd.rs`.

pub(crate) mod int8;
pub(crate) mod winograd;

/// A SIMD vector of sixteen f32 for one tier.
pub(crate) trait Lanes: Copy {
    /// Loads sixteen values.
    ///
    /// # Safety
    /// The tier is available and 16 values can be read.
    unsafe fn load(from: *const f32) -> Self;
    /// Stores sixteen values.
    ///
    /// # Safety
    /// The tier is available and 16 values can be written.
    unsafe fn store(self, to: *mut f32);
    /// Broadcasts a value to all lanes.
    ///
    /// # Safety
    /// The tier is available.
    unsafe fn splat(value: f32) -> Self;
    /// Computes `self + a * b`.
    ///
    /// # Safety
    /// The tier is available.
    unsafe fn multiply_add(self, a: Self, b: Self) -> Self;
    /// Computes `self + other`.
    ///
    /// # Safety
    /// The tier is available.
    unsafe fn add(self, other: Self) -> Self;
    /// Computes `self - other`.
    ///
    /// # Safety
    /// The tier is available.
    unsafe fn subtract(self, other: Self) -> Self;
    /// Prefetches a cache line.
    ///
    /// # Safety
    /// The tier is available; the address may be invalid.
    unsafe fn fetch(_: *const f32) {}
    /// Applies PReLU: `max(x, 0) + slope * min(x, 0)`.
    ///
    /// # Safety
    /// The tier is available.
    unsafe fn leaky(self, slope: Self) -> Self;
}

/// An input block of up to sixteen channels, planar or interleaved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InBlock {
    /// First value, the corner of the zero border.
    pub(crate) data: *const f32,
    /// Number of channels.
    pub(crate) lanes: usize,
    /// Stride of channels in values.
    pub(crate) lane_stride: usize,
}

/// Arguments of a direct kernel: one output row of one group of output blocks. Offsets and strides are in values.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// Input blocks that the output blocks read.
    pub(crate) inputs: &'a [InBlock],
    /// Offsets of the first output pixel's input pixels from [`InBlock::data`].
    pub(crate) taps: &'a [usize],
    /// Stride of the input from one output pixel to the next.
    pub(crate) pixel: usize,
    /// Weights, `[input block][tap][lane][output channel]`.
    pub(crate) weights: *const f32,
    /// Bias of each output channel; null, like the slope, to store plain sums.
    pub(crate) bias: *const f32,
    /// PReLU slope of each output channel.
    pub(crate) slope: *const f32,
    /// Input pixel of the first output pixel, with the strides of the output; null without a residual.
    pub(crate) residual: *const f32,
    /// First output pixel of the first output block.
    pub(crate) out: *mut f32,
    /// Stride of output pixels.
    pub(crate) out_pixel: usize,
    /// Stride of output blocks.
    pub(crate) block_stride: usize,
    /// Number of output pixels.
    pub(crate) columns: usize,
}

/// Prefetch distance of weights in input channels: all weights are read for each row, and those of many channels do not
/// stay in the nearest cache.
const FETCHED: usize = 32;

/// Computes an output row of `BLOCKS` output blocks in register tiles of `WIDE` columns and one of the remaining columns.
///
/// # Safety
/// The pointers of `row` are valid for what it describes, and `V`'s tier is available.
#[inline(always)]
pub(crate) unsafe fn row<V: Lanes, const BLOCKS: usize, const WIDE: usize>(row: &Row<'_>) {
    // SAFETY: this function's own contract.
    unsafe {
        // Planar and blocked input, each with stride 1 and 2. A constant distance becomes an immediate offset; additions would
        // compete with the multiplications for issue slots.
        match row.pixel {
            1 => tiles::<V, BLOCKS, WIDE, 1>(row),
            2 => tiles::<V, BLOCKS, WIDE, 2>(row),
            16 => tiles::<V, BLOCKS, WIDE, 16>(row),
            32 => tiles::<V, BLOCKS, WIDE, 32>(row),
            other => unreachable!("no layout has {other} values from pixel to pixel"),
        }
    }
}

/// Computes a row for a constant input stride `PIXEL`.
///
/// # Safety
/// As [`row`]; `PIXEL` equals [`Row::pixel`].
#[inline(always)]
unsafe fn tiles<V: Lanes, const BLOCKS: usize, const WIDE: usize, const PIXEL: usize>(row: &Row<'_>) {
    let mut column = 0;
    // SAFETY: tiles are within the row's columns; the rest is this function's own contract.
    unsafe {
        while column + WIDE <= row.columns {
            tile::<V, BLOCKS, WIDE, PIXEL>(row, column);
            column += WIDE;
        }
        rest::<V, BLOCKS, WIDE, PIXEL>(row, column);
    }
}

/// Computes the columns from `column` to the end of the row, fewer than `WIDE`, as one register tile, since each tile reads
/// all weights.
///
/// # Safety
/// As [`tiles`].
#[inline(always)]
unsafe fn rest<V: Lanes, const BLOCKS: usize, const WIDE: usize, const PIXEL: usize>(
    row: &Row<'_>,
    column: usize,
) {
    /// Calls [`tile`] with the number of remaining columns as a constant.
    macro_rules! widths {
        ($($width:literal)*) => {
            match row.columns - column {
                // SAFETY: the caller's contract; widths that never remain are compiled away.
                $($width if $width < WIDE => unsafe { tile::<V, BLOCKS, $width, PIXEL>(row, column) },)*
                _ => {}
            }
        };
    }
    widths!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
}

/// Computes a register tile of `WIDTH` columns, from `column` on, by `BLOCKS` output blocks.
///
/// # Safety
/// As [`tiles`]; `column + WIDTH` is at most the row's columns.
#[inline(always)]
unsafe fn tile<V: Lanes, const BLOCKS: usize, const WIDTH: usize, const PIXEL: usize>(
    row: &Row<'_>,
    column: usize,
) {
    // SAFETY: all pointers are valid by the caller's contract.
    unsafe {
        // Loops instead of closures (`array::from_fn`): a closure does not inherit the target features of its function, so
        // that each operation in it would be a call.
        let mut first = [V::splat(0.0); BLOCKS];
        let sums_alone = row.bias.is_null();
        if !sums_alone {
            for (b, first) in first.iter_mut().enumerate() {
                *first = V::load(row.bias.add(b * 16));
            }
        }
        let mut sums = [first; WIDTH];
        let mut weights = row.weights;
        for block in row.inputs {
            for &tap in row.taps {
                let mut input = block.data.add(tap + column * PIXEL);
                for t in 0..WIDTH {
                    V::fetch(input.wrapping_add((WIDTH + t) * PIXEL));
                }
                for _ in 0..block.lanes {
                    let mut w = [V::splat(0.0); BLOCKS];
                    for (b, w) in w.iter_mut().enumerate() {
                        *w = V::load(weights.add(b * 16));
                        V::fetch(weights.wrapping_add(b * 16 + FETCHED * 16 * BLOCKS));
                    }
                    for (t, sums) in sums.iter_mut().enumerate() {
                        let value = V::splat(*input.add(t * PIXEL));
                        for (sum, w) in sums.iter_mut().zip(w) {
                            *sum = sum.multiply_add(value, w);
                        }
                    }
                    weights = weights.add(16 * BLOCKS);
                    // After the last channel this may point past the block, where nothing is read.
                    input = input.wrapping_add(block.lane_stride);
                }
            }
        }
        if sums_alone {
            for (t, sums) in sums.iter().enumerate() {
                for (b, sum) in sums.iter().enumerate() {
                    sum.store(row.out.add(b * row.block_stride + (column + t) * row.out_pixel));
                }
            }
            return;
        }
        for b in 0..BLOCKS {
            let slope = V::load(row.slope.add(b * 16));
            for (t, sums) in sums.iter().enumerate() {
                let offset = b * row.block_stride + (column + t) * row.out_pixel;
                let sum = if row.residual.is_null() {
                    sums[b]
                } else {
                    sums[b].add(V::load(row.residual.add(offset)))
                };
                sum.leaky(slope).store(row.out.add(offset));
            }
        }
    }
}
