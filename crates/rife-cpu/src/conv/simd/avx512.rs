//! AVX-512F kernels (x86-64): sixteen f32 in a register.

use std::arch::x86_64::*;

use crate::conv::kernel::winograd::{TransformInput, TransformOutput, transform_input, transform_output};
use crate::conv::kernel::{Lanes, Row, row};

/// Sixteen f32 in one register.
#[derive(Clone, Copy)]
pub(super) struct Sixteen(pub(super) __m512);

impl Lanes for Sixteen {
    /// Loads sixteen values.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for the tier and 16 readable values.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    /// Stores sixteen values.
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for the tier and 16 writable values.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    /// Prefetches a cache line into the first-level cache.
    #[inline(always)]
    unsafe fn fetch(from: *const f32) {
        // SAFETY: the caller vouches for the tier; a fetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }

    /// Broadcasts a value to all lanes.
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller vouches for the tier.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    /// Computes `self + a * b`.
    #[inline(always)]
    unsafe fn multiply_add(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller vouches for the tier.
        Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
    }

    /// Computes `self + other`.
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the tier.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    /// Computes `self - other`.
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the tier.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    /// Applies PReLU: `max(x, 0) + slope * min(x, 0)`.
    #[inline(always)]
    unsafe fn leaky(self, slope: Self) -> Self {
        // SAFETY: the caller vouches for the tier.
        unsafe {
            let zero = _mm512_setzero_ps();
            Self(_mm512_fmadd_ps(
                _mm512_min_ps(self.0, zero),
                slope.0,
                _mm512_max_ps(self.0, zero),
            ))
        }
    }
}

/// Computes a row of one output block, see [`row`].
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn one(job: &Row<'_>) {
    // SAFETY: the caller's contract; this function runs where the tier is available.
    unsafe { row::<Sixteen, 1, 16>(job) }
}

/// Computes a row of two output blocks, see [`row`].
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn two(job: &Row<'_>) {
    // SAFETY: as above.
    unsafe { row::<Sixteen, 2, 12>(job) }
}

/// Applies Winograd's input transform to a tile.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn input_tile(tile: &TransformInput) {
    // SAFETY: the caller's contract; this function runs where the tier is available.
    unsafe { transform_input::<Sixteen>(tile) }
}

/// Applies Winograd's output transform to a tile.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn output_tile(tile: &TransformOutput) {
    // SAFETY: as above.
    unsafe { transform_output::<Sixteen>(tile) }
}
