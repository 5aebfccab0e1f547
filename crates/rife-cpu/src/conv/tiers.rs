//! SIMD vectors of sixteen f32 or int32 for each tier (portable, AVX2, AVX-512, VNNI, NEON), and the kernels compiled for
//! them.

use super::int8::{self, Int8Kernels, Int8Lanes, Int8Rows};
use super::kernel::{Lanes, Row, row};
use super::winograd::{TransformInput, TransformOutput, transform_input, transform_output};
use crate::tier::Tier;

/// Minimum channels for which int8 kernels with 64 products per instruction are faster than f32.
const MIN_CHANNELS: usize = 24;

/// The convolution kernels of a tier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernels {
    /// Direct convolution of a row of one output block, or of two: see [`row`].
    pub(super) row: [unsafe fn(&Row<'_>); 2],
    /// Winograd's input transform.
    pub(super) transform_input: unsafe fn(&TransformInput),
    /// Winograd's output transform.
    pub(super) transform_output: unsafe fn(&TransformOutput),
    /// Int8 kernels; `None` if this tier has none on this machine.
    pub(crate) int8: Option<Int8Kernels>,
    /// Number of output blocks that direct kernels compute together.
    pub(crate) together: usize,
}

impl Kernels {
    /// Selects the kernels of a tier.
    ///
    /// # Panics
    /// When the tier is not available on this machine.
    pub(crate) fn new(tier: Tier) -> Self {
        assert!(tier.is_available(), "the machine lacks {}", tier.name());
        match tier {
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2 => Self {
                row: [avx2::one, avx2::two],
                transform_input: avx2::input_tile,
                transform_output: avx2::output_tile,
                int8: None,
                together: 1,
            },
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512 | Tier::Amx => Self {
                row: [avx512::one, avx512::two],
                transform_input: avx512::input_tile,
                transform_output: avx512::output_tile,
                int8: vnni::kernels(tier),
                together: 2,
            },
            #[cfg(target_arch = "aarch64")]
            Tier::Neon => Self {
                row: [neon::one, neon::two],
                transform_input: neon::input_tile,
                transform_output: neon::output_tile,
                int8: None,
                together: 1,
            },
            _ => Self {
                row: [scalar::one, scalar::two],
                transform_input: scalar::input_tile,
                transform_output: scalar::output_tile,
                int8: Some(scalar::INT8),
                together: 1,
            },
        }
    }
}

/// Portable kernels in plain Rust.
mod scalar {
    use super::{
        Int8Kernels, Int8Lanes, Int8Rows, Lanes, MIN_CHANNELS, Row, TransformInput, TransformOutput, int8,
        row, transform_input, transform_output,
    };

    /// Sixteen f32 in an array.
    #[derive(Clone, Copy)]
    struct Sixteen([f32; 16]);

    impl Lanes for Sixteen {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for 16 readable values.
            Self(unsafe { from.cast::<[f32; 16]>().read_unaligned() })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for 16 writable values.
            unsafe { to.cast::<[f32; 16]>().write_unaligned(self.0) }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Self([value; 16])
        }

        #[inline(always)]
        unsafe fn multiply_add(self, a: Self, b: Self) -> Self {
            let mut sums = self.0;
            for ((sum, a), b) in sums.iter_mut().zip(a.0).zip(b.0) {
                *sum += a * b;
            }
            Self(sums)
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            let mut sums = self.0;
            for (sum, other) in sums.iter_mut().zip(other.0) {
                *sum += other;
            }
            Self(sums)
        }

        #[inline(always)]
        unsafe fn subtract(self, other: Self) -> Self {
            let mut sums = self.0;
            for (sum, other) in sums.iter_mut().zip(other.0) {
                *sum -= other;
            }
            Self(sums)
        }

        #[inline(always)]
        unsafe fn leaky(self, slope: Self) -> Self {
            let mut values = self.0;
            for (v, slope) in values.iter_mut().zip(slope.0) {
                *v = v.max(0.0) + v.min(0.0) * slope;
            }
            Self(values)
        }
    }

    pub(super) unsafe fn one(job: &Row<'_>) {
        // SAFETY: the caller's contract; plain Rust runs anywhere.
        unsafe { row::<Sixteen, 1, 2>(job) }
    }

    pub(super) unsafe fn two(job: &Row<'_>) {
        // SAFETY: as above.
        unsafe { row::<Sixteen, 2, 1>(job) }
    }

    pub(super) unsafe fn input_tile(tile: &TransformInput) {
        // SAFETY: the caller's contract; plain Rust runs anywhere.
        unsafe { transform_input::<Sixteen>(tile) }
    }

    pub(super) unsafe fn output_tile(tile: &TransformOutput) {
        // SAFETY: as above.
        unsafe { transform_output::<Sixteen>(tile) }
    }

    /// Sixteen int32 sums, or 64 int8 weights or uint8 inputs.
    #[derive(Clone, Copy)]
    struct Sums([i32; 16]);

    impl Int8Lanes for Sums {
        type Real = Sixteen;

        #[inline(always)]
        unsafe fn load(from: *const i32) -> Self {
            // SAFETY: the caller vouches for 16 readable values.
            Self(unsafe { from.cast::<[i32; 16]>().read_unaligned() })
        }

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self {
            // SAFETY: the caller vouches for 64 readable values.
            Self(unsafe { from.cast::<[i32; 16]>().read_unaligned() })
        }

        #[inline(always)]
        unsafe fn pixel(from: *const u8) -> Self {
            // SAFETY: the caller vouches for 4 readable values.
            Self([unsafe { from.cast::<i32>().read_unaligned() }; 16])
        }

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

    unsafe fn one_of_bytes(job: &Int8Rows<'_>) {
        // SAFETY: the caller's contract; plain Rust runs anywhere.
        unsafe { int8::rows::<Sums, 1, 2>(job) }
    }

    unsafe fn two_of_bytes(job: &Int8Rows<'_>) {
        // SAFETY: as above.
        unsafe { int8::rows::<Sums, 2, 1>(job) }
    }
}

/// AVX2 and FMA kernels.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Lanes, Row, TransformInput, TransformOutput, row, transform_input, transform_output};

    /// Sixteen f32 in two registers.
    #[derive(Clone, Copy)]
    struct Sixteen([__m256; 2]);

    impl Lanes for Sixteen {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for the tier and 16 readable values.
            Self(unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for the tier and 16 writable values.
            unsafe {
                _mm256_storeu_ps(to, self.0[0]);
                _mm256_storeu_ps(to.add(8), self.0[1]);
            }
        }

        #[inline(always)]
        unsafe fn fetch(from: *const f32) {
            // SAFETY: the caller vouches for the tier; a fetch never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller vouches for the tier.
            Self([unsafe { _mm256_set1_ps(value) }; 2])
        }

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

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn one(job: &Row<'_>) {
        // SAFETY: the caller's contract; this function runs where the tier is available.
        unsafe { row::<Sixteen, 1, 6>(job) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn two(job: &Row<'_>) {
        // SAFETY: as above.
        unsafe { row::<Sixteen, 2, 3>(job) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn input_tile(tile: &TransformInput) {
        // SAFETY: the caller's contract; this function runs where the tier is available.
        unsafe { transform_input::<Sixteen>(tile) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn output_tile(tile: &TransformOutput) {
        // SAFETY: as above.
        unsafe { transform_output::<Sixteen>(tile) }
    }
}

/// AVX-512F kernels.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{Lanes, Row, TransformInput, TransformOutput, row, transform_input, transform_output};

    /// Sixteen f32 in one register.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Sixteen(pub(super) __m512);

    impl Lanes for Sixteen {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for the tier and 16 readable values.
            Self(unsafe { _mm512_loadu_ps(from) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for the tier and 16 writable values.
            unsafe { _mm512_storeu_ps(to, self.0) }
        }

        #[inline(always)]
        unsafe fn fetch(from: *const f32) {
            // SAFETY: the caller vouches for the tier; a fetch never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller vouches for the tier.
            Self(unsafe { _mm512_set1_ps(value) })
        }

        #[inline(always)]
        unsafe fn multiply_add(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller vouches for the tier.
            Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller vouches for the tier.
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        unsafe fn subtract(self, other: Self) -> Self {
            // SAFETY: the caller vouches for the tier.
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
        }

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

    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn one(job: &Row<'_>) {
        // SAFETY: the caller's contract; this function runs where the tier is available.
        unsafe { row::<Sixteen, 1, 16>(job) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn two(job: &Row<'_>) {
        // SAFETY: as above.
        unsafe { row::<Sixteen, 2, 12>(job) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn input_tile(tile: &TransformInput) {
        // SAFETY: the caller's contract; this function runs where the tier is available.
        unsafe { transform_input::<Sixteen>(tile) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn output_tile(tile: &TransformOutput) {
        // SAFETY: as above.
        unsafe { transform_output::<Sixteen>(tile) }
    }
}

/// AVX-512 VNNI int8 kernels.
#[cfg(target_arch = "x86_64")]
pub(super) mod vnni {
    use std::arch::x86_64::*;

    #[cfg(target_os = "linux")]
    use super::super::amx;
    use super::avx512::Sixteen;
    use super::{Int8Kernels, Int8Lanes, Int8Rows, MIN_CHANNELS, Tier, int8};

    /// Sixteen int32 sums, or 64 int8 weights or uint8 inputs, in one register.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Sums(__m512i);

    impl Int8Lanes for Sums {
        type Real = Sixteen;

        #[inline(always)]
        unsafe fn load(from: *const i32) -> Self {
            // SAFETY: the caller vouches for the tier and 16 readable values.
            Self(unsafe { _mm512_loadu_si512(from.cast()) })
        }

        #[inline(always)]
        unsafe fn weights(from: *const i8) -> Self {
            // SAFETY: the caller vouches for the tier and 64 readable values.
            Self(unsafe { _mm512_loadu_si512(from.cast()) })
        }

        #[inline(always)]
        unsafe fn pixel(from: *const u8) -> Self {
            // SAFETY: the caller vouches for the tier and 4 readable values.
            Self(unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) })
        }

        #[inline(always)]
        unsafe fn dot(self, pixel: Self, weights: Self) -> Self {
            // SAFETY: the caller vouches for the tier.
            Self(unsafe { _mm512_dpbusd_epi32(self.0, pixel.0, weights.0) })
        }

        #[inline(always)]
        unsafe fn real(self) -> Sixteen {
            // SAFETY: the caller vouches for the tier.
            Sixteen(unsafe { _mm512_cvtepi32_ps(self.0) })
        }
    }

    /// Returns the int8 kernels of an AVX-512 tier; `None` if the processor lacks VNNI.
    pub(super) fn kernels(tier: Tier) -> Option<Int8Kernels> {
        let here = is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bw");
        here.then_some(Int8Kernels {
            rows: match tier {
                #[cfg(target_os = "linux")]
                Tier::Amx => [amx::rows::<1>, amx::rows::<2>],
                _ => [one, two],
            },
            range,
            bytes,
            full_blocks: tier == Tier::Amx,
            min_channels: if tier == Tier::Amx { 16 } else { MIN_CHANNELS },
        })
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn one(job: &Int8Rows<'_>) {
        // SAFETY: the caller's contract; this function runs where the tier is available.
        unsafe { int8::rows::<Sums, 1, 16>(job) }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn two(job: &Int8Rows<'_>) {
        // SAFETY: as above.
        unsafe { int8::rows::<Sums, 2, 12>(job) }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn range(values: &[f32], min: &mut [f32; 16], max: &mut [f32; 16]) {
        int8::range(values, min, max);
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn bytes(values: &[f32], to: &mut [u8], steps: f32, zero: f32) {
        int8::bytes(values, to, steps, zero);
    }
}

/// NEON kernels.
#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::{Lanes, Row, TransformInput, TransformOutput, row, transform_input, transform_output};

    /// Sixteen f32 in four registers.
    #[derive(Clone, Copy)]
    struct Sixteen([float32x4_t; 4]);

    impl Lanes for Sixteen {
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

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            for (i, quarter) in self.0.into_iter().enumerate() {
                // SAFETY: the caller vouches for 16 writable values.
                unsafe { vst1q_f32(to.add(4 * i), quarter) }
            }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: every aarch64 has NEON.
            Self([unsafe { vdupq_n_f32(value) }; 4])
        }

        #[inline(always)]
        unsafe fn multiply_add(self, a: Self, b: Self) -> Self {
            let mut sums = self.0;
            for ((sum, a), b) in sums.iter_mut().zip(a.0).zip(b.0) {
                // SAFETY: every aarch64 has NEON.
                *sum = unsafe { vfmaq_f32(*sum, a, b) };
            }
            Self(sums)
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            let mut sums = self.0;
            for (sum, other) in sums.iter_mut().zip(other.0) {
                // SAFETY: every aarch64 has NEON.
                *sum = unsafe { vaddq_f32(*sum, other) };
            }
            Self(sums)
        }

        #[inline(always)]
        unsafe fn subtract(self, other: Self) -> Self {
            let mut sums = self.0;
            for (sum, other) in sums.iter_mut().zip(other.0) {
                // SAFETY: every aarch64 has NEON.
                *sum = unsafe { vsubq_f32(*sum, other) };
            }
            Self(sums)
        }

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

    pub(super) unsafe fn one(job: &Row<'_>) {
        // SAFETY: the caller's contract; every aarch64 has NEON.
        unsafe { row::<Sixteen, 1, 6>(job) }
    }

    pub(super) unsafe fn two(job: &Row<'_>) {
        // SAFETY: as above.
        unsafe { row::<Sixteen, 2, 3>(job) }
    }

    pub(super) unsafe fn input_tile(tile: &TransformInput) {
        // SAFETY: the caller's contract; every aarch64 has NEON.
        unsafe { transform_input::<Sixteen>(tile) }
    }

    pub(super) unsafe fn output_tile(tile: &TransformOutput) {
        // SAFETY: as above.
        unsafe { transform_output::<Sixteen>(tile) }
    }
}
