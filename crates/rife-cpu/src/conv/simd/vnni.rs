//! AVX-512 VNNI int8 kernels (x86-64): `VPDPBUSD`, sixteen four-way dot products.

use std::arch::x86_64::*;

use super::avx512::Sixteen;
use crate::conv::kernel::int8::{self, Int8Kernels, Int8Lanes, Int8Rows, MIN_CHANNELS};

/// Sixteen int32 sums, or 64 int8 weights or uint8 inputs, in one register.
#[derive(Clone, Copy)]
pub(super) struct Sums(__m512i);

impl Int8Lanes for Sums {
    type Real = Sixteen;

    /// Loads sixteen sums.
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller vouches for the tier and 16 readable values.
        Self(unsafe { _mm512_loadu_si512(from.cast()) })
    }

    /// Loads sixteen groups of four weights.
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self {
        // SAFETY: the caller vouches for the tier and 64 readable values.
        Self(unsafe { _mm512_loadu_si512(from.cast()) })
    }

    /// Broadcasts four inputs of a pixel to all lanes.
    #[inline(always)]
    unsafe fn pixel(from: *const u8) -> Self {
        // SAFETY: the caller vouches for the tier and 4 readable values.
        Self(unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) })
    }

    /// Adds to each sum the dot product of four inputs and four weights.
    #[inline(always)]
    unsafe fn dot(self, pixel: Self, weights: Self) -> Self {
        // SAFETY: the caller vouches for the tier.
        Self(unsafe { _mm512_dpbusd_epi32(self.0, pixel.0, weights.0) })
    }

    /// Converts the sums to f32.
    #[inline(always)]
    unsafe fn real(self) -> Sixteen {
        // SAFETY: the caller vouches for the tier.
        Sixteen(unsafe { _mm512_cvtepi32_ps(self.0) })
    }
}

/// Returns the VNNI int8 kernels; `None` if the processor lacks AVX-512 VNNI or BW.
pub(super) fn kernels() -> Option<Int8Kernels> {
    let here = is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bw");
    here.then_some(Int8Kernels {
        rows: [one, two],
        range,
        bytes,
        full_blocks: false,
        min_channels: MIN_CHANNELS,
    })
}

/// Computes int8 rows of one output block.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn one(job: &Int8Rows<'_>) {
    // SAFETY: the caller's contract; this function runs where the tier is available.
    unsafe { int8::rows::<Sums, 1, 16>(job) }
}

/// Computes int8 rows of two output blocks.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn two(job: &Int8Rows<'_>) {
    // SAFETY: as above.
    unsafe { int8::rows::<Sums, 2, 12>(job) }
}

/// Extends the minimum and maximum of each lane by the values.
#[target_feature(enable = "avx512f")]
unsafe fn range(values: &[f32], min: &mut [f32; 16], max: &mut [f32; 16]) {
    int8::range(values, min, max);
}

/// Quantises values to bytes, `value * steps + zero` rounded and clamped to 0..=255.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn bytes(values: &[f32], to: &mut [u8], steps: f32, zero: f32) {
    int8::bytes(values, to, steps, zero);
}
