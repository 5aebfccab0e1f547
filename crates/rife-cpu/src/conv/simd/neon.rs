//! NEON kernels (AArch64): sixteen f32 in four registers.

use std::arch::aarch64::*;

use crate::conv::kernel::winograd::{TransformInput, TransformOutput, transform_input, transform_output};
use crate::conv::kernel::{Lanes, Row, row};

/// Sixteen f32 in four registers.
#[derive(Clone, Copy)]
struct Sixteen([float32x4_t; 4]);

impl Lanes for Sixteen {
    /// Loads sixteen values.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for 16 readable values; every aarch64 has NEON.
        Self(unsafe {
            [
                vld1q_f32(from),
                vld1q_f32(from.add(4)),
                vld1q_f32(from.add(8)),
                vld1q_f32(from.add(12)),
            ]
        })
    }

    /// Stores sixteen values.
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        for (i, quarter) in self.0.into_iter().enumerate() {
            // SAFETY: the caller vouches for 16 writable values.
            unsafe { vst1q_f32(to.add(4 * i), quarter) }
        }
    }

    /// Broadcasts a value to all lanes.
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: every aarch64 has NEON.
        Self([unsafe { vdupq_n_f32(value) }; 4])
    }

    /// Computes `self + a * b`.
    #[inline(always)]
    unsafe fn multiply_add(self, a: Self, b: Self) -> Self {
        let mut sums = self.0;
        for ((sum, a), b) in sums.iter_mut().zip(a.0).zip(b.0) {
            // SAFETY: every aarch64 has NEON.
            *sum = unsafe { vfmaq_f32(*sum, a, b) };
        }
        Self(sums)
    }

    /// Computes `self + other`.
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        let mut sums = self.0;
        for (sum, other) in sums.iter_mut().zip(other.0) {
            // SAFETY: every aarch64 has NEON.
            *sum = unsafe { vaddq_f32(*sum, other) };
        }
        Self(sums)
    }

    /// Computes `self - other`.
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        let mut sums = self.0;
        for (sum, other) in sums.iter_mut().zip(other.0) {
            // SAFETY: every aarch64 has NEON.
            *sum = unsafe { vsubq_f32(*sum, other) };
        }
        Self(sums)
    }

    /// Applies PReLU: `max(x, 0) + slope * min(x, 0)`.
    #[inline(always)]
    unsafe fn leaky(self, slope: Self) -> Self {
        let mut values = self.0;
        for (v, slope) in values.iter_mut().zip(slope.0) {
            // SAFETY: every aarch64 has NEON.
            *v = unsafe {
                let zero = vdupq_n_f32(0.0);
                vfmaq_f32(vmaxq_f32(*v, zero), vminq_f32(*v, zero), slope)
            };
        }
        Self(values)
    }
}

/// Computes a row of one output block, see [`row`].
pub(super) unsafe fn one(job: &Row<'_>) {
    // SAFETY: the caller's contract; every aarch64 has NEON.
    unsafe { row::<Sixteen, 1, 6>(job) }
}

/// Computes a row of two output blocks, see [`row`].
pub(super) unsafe fn two(job: &Row<'_>) {
    // SAFETY: as above.
    unsafe { row::<Sixteen, 2, 3>(job) }
}

/// Applies Winograd's input transform to a tile.
pub(super) unsafe fn input_tile(tile: &TransformInput) {
    // SAFETY: the caller's contract; every aarch64 has NEON.
    unsafe { transform_input::<Sixteen>(tile) }
}

/// Applies Winograd's output transform to a tile.
pub(super) unsafe fn output_tile(tile: &TransformOutput) {
    // SAFETY: as above.
    unsafe { transform_output::<Sixteen>(tile) }
}
