//! Portable kernels: plain Rust, for any processor.

use crate::conv::kernel::int8::{self, Int8Kernels, Int8Lanes, Int8Rows, MIN_CHANNELS};
use crate::conv::kernel::winograd::{TransformInput, TransformOutput, transform_input, transform_output};
use crate::conv::kernel::{Lanes, Row, row};

/// Sixteen f32 in an array.
#[derive(Clone, Copy)]
struct Sixteen([f32; 16]);

impl Lanes for Sixteen {
    /// Loads sixteen values.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for 16 readable values.
        Self(unsafe { from.cast::<[f32; 16]>().read_unaligned() })
    }

    /// Stores sixteen values.
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for 16 writable values.
        unsafe { to.cast::<[f32; 16]>().write_unaligned(self.0) }
    }

    /// Broadcasts a value to all lanes.
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 16])
    }

    /// Computes `self + a * b`.
    #[inline(always)]
    unsafe fn multiply_add(self, a: Self, b: Self) -> Self {
        let mut sums = self.0;
        for ((sum, a), b) in sums.iter_mut().zip(a.0).zip(b.0) {
            *sum += a * b;
        }
        Self(sums)
    }

    /// Computes `self + other`.
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        let mut sums = self.0;
        for (sum, other) in sums.iter_mut().zip(other.0) {
            *sum += other;
        }
        Self(sums)
    }

    /// Computes `self - other`.
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        let mut sums = self.0;
        for (sum, other) in sums.iter_mut().zip(other.0) {
            *sum -= other;
        }
        Self(sums)
    }

    /// Applies PReLU: `max(x, 0) + slope * min(x, 0)`.
    #[inline(always)]
    unsafe fn leaky(self, slope: Self) -> Self {
        let mut values = self.0;
        for (v, slope) in values.iter_mut().zip(slope.0) {
            *v = v.max(0.0) + v.min(0.0) * slope;
        }
        Self(values)
    }
}

/// Computes a row of one output block, see [`row`].
pub(super) unsafe fn one(job: &Row<'_>) {
    // SAFETY: the caller's contract; plain Rust runs anywhere.
    unsafe { row::<Sixteen, 1, 2>(job) }
}

/// Computes a row of two output blocks, see [`row`].
pub(super) unsafe fn two(job: &Row<'_>) {
    // SAFETY: as above.
    unsafe { row::<Sixteen, 2, 1>(job) }
}

/// Applies Winograd's input transform to a tile.
pub(super) unsafe fn input_tile(tile: &TransformInput) {
    // SAFETY: the caller's contract; plain Rust runs anywhere.
    unsafe { transform_input::<Sixteen>(tile) }
}

/// Applies Winograd's output transform to a tile.
pub(super) unsafe fn output_tile(tile: &TransformOutput) {
    // SAFETY: as above.
    unsafe { transform_output::<Sixteen>(tile) }
}

/// Sixteen int32 sums, or 64 int8 weights or uint8 inputs.
#[derive(Clone, Copy)]
struct Sums([i32; 16]);

impl Int8Lanes for Sums {
    type Real = Sixteen;

    /// Loads sixteen sums.
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller vouches for 16 readable values.
        Self(unsafe { from.cast::<[i32; 16]>().read_unaligned() })
    }

    /// Loads sixteen groups of four weights.
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self {
        // SAFETY: the caller vouches for 64 readable values.
        Self(unsafe { from.cast::<[i32; 16]>().read_unaligned() })
    }

    /// Broadcasts four inputs of a pixel to all lanes.
    #[inline(always)]
    unsafe fn pixel(from: *const u8) -> Self {
        // SAFETY: the caller vouches for 4 readable values.
        Self([unsafe { from.cast::<i32>().read_unaligned() }; 16])
    }

    /// Adds to each sum the dot product of four inputs and four weights.
    #[inline(always)]
    unsafe fn dot(self, pixel: Self, weights: Self) -> Self {
        let mut sums = self.0;
        for ((sum, pixel), weight) in sums.iter_mut().zip(pixel.0).zip(weights.0) {
            for (p, w) in pixel.to_ne_bytes().into_iter().zip(weight.to_ne_bytes()) {
                *sum += i32::from(p) * i32::from(w as i8);
            }
        }
        Self(sums)
    }

    /// Converts the sums to f32.
    #[inline(always)]
    unsafe fn real(self) -> Sixteen {
        Sixteen(self.0.map(|sum| sum as f32))
    }
}

/// The int8 kernels in plain Rust.
pub(super) const INT8: Int8Kernels = Int8Kernels {
    rows: [one_of_bytes, two_of_bytes],
    range: int8::range,
    bytes: int8::bytes,
    full_blocks: false,
    min_channels: MIN_CHANNELS,
};

/// Computes int8 rows of one output block.
unsafe fn one_of_bytes(job: &Int8Rows<'_>) {
    // SAFETY: the caller's contract; plain Rust runs anywhere.
    unsafe { int8::rows::<Sums, 1, 2>(job) }
}

/// Computes int8 rows of two output blocks.
unsafe fn two_of_bytes(job: &Int8Rows<'_>) {
    // SAFETY: as above.
    unsafe { int8::rows::<Sums, 2, 1>(job) }
}
