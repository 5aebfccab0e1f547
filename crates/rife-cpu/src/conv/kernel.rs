//! Direct convolution kernel, generic over a SIMD vector of sixteen f32: a register tile of a few output blocks by a few
//! columns; each input value is broadcast and multiplied with sixteen weights. Tiers differ in the vector type and in the
//! size of the register tile; see `conv/tiers.rs`.

/// A SIMD vector of sixteen f32, in the registers of a tier.
pub(super) trait Lanes: Copy {
    /// # Safety
    /// The tier is available and 16 values can be read.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// The tier is available and 16 values can be written.
    unsafe fn store(self, to: *mut f32);
    /// # Safety
    /// The tier is available.
    unsafe fn splat(value: f32) -> Self;
    /// `self + a * b`.
    ///
    /// # Safety
    /// The tier is available.
    unsafe fn multiply_add(self, a: Self, b: Self) -> Self;
    /// # Safety
    /// The tier is available.
    unsafe fn add(self, other: Self) -> Self;
    /// # Safety
    /// The tier is available.
    unsafe fn subtract(self, other: Self) -> Self;
    /// Prefetches a cache line.
    ///
    /// # Safety
    /// The tier is available; any address will do.
    unsafe fn fetch(_: *const f32) {}
    /// PReLU: `max(x, 0) + slope * min(x, 0)`.
    ///
    /// # Safety
    /// The tier is available.
    unsafe fn leaky(self, slope: Self) -> Self;
}

/// An input block of up to sixteen channels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InBlock {
    /// The corner of the border.
    pub(crate) data: *const f32,
    /// Channels in use.
    pub(crate) lanes: usize,
    /// Values from channel to channel.
    pub(crate) lane_stride: usize,
}

/// One row of one group of output blocks. All offsets and strides are in values.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) inputs: &'a [InBlock],
    /// Offsets of the first output pixel's input pixels from [`InBlock::data`].
    pub(crate) taps: &'a [usize],
    /// From the input of one output pixel to the next one's.
    pub(crate) pixel: usize,
    /// `[input block][tap][lane][output channel]`.
    pub(crate) weights: *const f32,
    /// Null, like the slope, where neither bias nor activation is applied.
    pub(crate) bias: *const f32,
    pub(crate) slope: *const f32,
    /// The first output pixel's counterpart in the input, laid out like the output; null where none is added.
    pub(crate) residual: *const f32,
    pub(crate) out: *mut f32,
    /// From output pixel to output pixel.
    pub(crate) out_pixel: usize,
    /// From output block to output block.
    pub(crate) block_stride: usize,
    pub(crate) columns: usize,
}

/// How many lanes ahead weights are fetched: those of many channels come from far away, and all of them are read for
/// each row.
const FETCHED: usize = 32;

/// Computes a row in tiles of `WIDE` and one of the columns that remain, `BLOCKS` output blocks at once.
///
/// # Safety
/// The pointers of `row` reach what it describes, and `V`'s tier is available.
#[inline(always)]
pub(super) unsafe fn row<V: Lanes, const BLOCKS: usize, const WIDE: usize>(row: &Row<'_>) {
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

/// # Safety
/// As [`row`], with `PIXEL` being the row's.
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

/// Fewer columns than `WIDE`, from one on to the end, at once: each tile reads all weights.
///
/// # Safety
/// As [`tiles`].
#[inline(always)]
unsafe fn rest<V: Lanes, const BLOCKS: usize, const WIDE: usize, const PIXEL: usize>(
    row: &Row<'_>,
    column: usize,
) {
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

/// # Safety
/// As [`tiles`], with `column + WIDTH` at most the row's columns.
#[inline(always)]
unsafe fn tile<V: Lanes, const BLOCKS: usize, const WIDTH: usize, const PIXEL: usize>(
    row: &Row<'_>,
    column: usize,
) {
    // SAFETY: the whole body is pointer arithmetic within what the caller vouches for.
    unsafe {
        // Loops, not closures (as of `array::from_fn`): a closure does not inherit the features that its function
        // is compiled for, so that every operation in it would be a call.
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
                    // After the last lane this may lie past the block, where nothing is read.
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
