//! AVX2 and FMA kernels (x86-64): sixteen f32 in two registers.

use std::arch::x86_64::*;

use crate::conv::kernel::winograd::{TransformInput, TransformOutput, transform_input, transform_output};
use crate::conv::kernel::{Lanes, Row, row};

/// Sixteen f32 in two registers.
#[derive(Clone, Copy)]
struct Sixteen([__m256; 2]);

impl Lanes for Sixteen {
    /// Loads sixteen values.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for the tier and 16 readable values.
        Self(unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] })
    }

    /// Stores sixteen values.
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for the tier and 16 writable values.
        unsafe {
            _mm256_storeu_ps(to, self.0[0]);
            _mm256_storeu_ps(to.add(8), self.0[1]);
        }
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
        Self([unsafe { _mm256_set1_ps(value) }; 2])
    }

    /// Computes `self + a * b`.
    #[inline(always)]
    unsafe fn multiply_add(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller vouches for the tier.
        Self(unsafe {
            [
                _mm256_fmadd_ps(a.0[0], b.0[0], self.0[0]),
                _mm256_fmadd_ps(a.0[1], b.0[1], self.0[1]),
            ]
        })
    }

    /// Computes `self + other`.
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the tier.
        Self(unsafe {
            [
                _mm256_add_ps(self.0[0], other.0[0]),
                _mm256_add_ps(self.0[1], other.0[1]),
            ]
        })
    }

    /// Computes `self - other`.
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        // SAFETY: the caller vouches for the tier.
        Self(unsafe {
            [
                _mm256_sub_ps(self.0[0], other.0[0]),
                _mm256_sub_ps(self.0[1], other.0[1]),
            ]
        })
    }

    /// Applies PReLU: `max(x, 0) + slope * min(x, 0)`.
    #[inline(always)]
    unsafe fn leaky(self, slope: Self) -> Self {
        // SAFETY: the caller vouches for the tier.
        unsafe {
            let zero = _mm256_setzero_ps();
            let mut halves = self.0;
            for (v, slope) in halves.iter_mut().zip(slope.0) {
                *v = _mm256_fmadd_ps(_mm256_min_ps(*v, zero), slope, _mm256_max_ps(*v, zero));
            }
            Self(halves)
        }
    }
}

/// Computes a row of one output block, see [`row`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn one(job: &Row<'_>) {
    // SAFETY: the caller's contract; this function runs where the tier is available.
    unsafe { row::<Sixteen, 1, 6>(job) }
}

/// Computes a row of two output blocks, see [`row`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn two(job: &Row<'_>) {
    // SAFETY: as above.
    unsafe { row::<Sixteen, 2, 3>(job) }
}

/// Applies Winograd's input transform to a tile.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn input_tile(tile: &TransformInput) {
    // SAFETY: the caller's contract; this function runs where the tier is available.
    unsafe { transform_input::<Sixteen>(tile) }
}

/// Applies Winograd's output transform to a tile.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn output_tile(tile: &TransformOutput) {
    // SAFETY: as above.
    unsafe { transform_output::<Sixteen>(tile) }
}
