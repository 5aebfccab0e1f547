//! SIMD vectors of eight f32: portable, and AVX2 with FMA.

use crate::runtime::Tier;

/// A SIMD vector of eight f32.
pub(super) trait Vector8: Copy {
    /// Loads eight values.
    ///
    /// # Safety
    /// Eight values are readable at `from`, and the machine has the tier.
    unsafe fn load(from: *const f32) -> Self;
    /// Broadcasts a value.
    fn splat(value: f32) -> Self;
    /// Computes `self + other`.
    fn add(self, other: Self) -> Self;
    /// Computes `self - other`.
    fn sub(self, other: Self) -> Self;
    /// Computes `self + a * b`.
    fn add_product(self, a: Self, b: Self) -> Self;
    /// Computes `1 / clamp(|v|, min, 1)` of each value v; NaN counts as `min`.
    fn densification_weight(self, min: f32) -> Self;
    /// Returns the eight values.
    fn values(self) -> [f32; 8];

    /// Sums the eight values pairwise.
    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.values();
        ((a + e) + (b + f)) + ((c + g) + (d + h))
    }
}

/// A computation generic over the vector type.
pub(super) trait Kernel {
    /// Runs the computation with a vector type.
    fn run<E: Vector8>(self);
}

/// Runs a kernel with the vector type of an available tier.
pub(super) fn run(tier: Tier, kernel: impl Kernel) {
    match tier {
        // SAFETY: tiers are those that the machine has.
        #[cfg(target_arch = "x86_64")]
        Tier::Avx2 | Tier::Avx512 | Tier::Amx => unsafe { x86::run(kernel) },
        _ => kernel.run::<[f32; 8]>(),
    }
}

impl Vector8 for [f32; 8] {
    /// Loads eight values.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    /// Broadcasts a value.
    #[inline(always)]
    fn splat(value: f32) -> Self {
        [value; 8]
    }

    /// Computes `self + other`.
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }

    /// Computes `self - other`.
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] - other[i])
    }

    /// Computes `self + a * b`.
    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] + a[i] * b[i])
    }

    /// Computes `1 / clamp(|v|, min, 1)` of each value v; NaN counts as `min`.
    #[inline(always)]
    fn densification_weight(self, min: f32) -> Self {
        self.map(|v| 1.0 / v.abs().max(min).min(1.0))
    }

    /// Returns the eight values.
    #[inline(always)]
    fn values(self) -> [f32; 8] {
        self
    }
}

/// Vector of eight f32 with AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, Vector8};

    /// Runs a kernel compiled for AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn run(kernel: impl Kernel) {
        kernel.run::<Avx>();
    }

    /// Eight f32 in one register; used only inside of [`run`], where AVX2 is available.
    #[derive(Clone, Copy)]
    struct Avx(__m256);

    impl Vector8 for Avx {
        /// Loads eight values.
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's.
            Self(unsafe { _mm256_loadu_ps(from) })
        }

        /// Broadcasts a value.
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: the machine has AVX2.
            Self(unsafe { _mm256_set1_ps(value) })
        }

        /// Computes `self + other`.
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }

        /// Computes `self - other`.
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }

        /// Computes `self + a * b`.
        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_fmadd_ps(a.0, b.0, self.0) })
        }

        /// Computes `1 / clamp(|v|, min, 1)` of each value v; NaN counts as `min`.
        #[inline(always)]
        fn densification_weight(self, min: f32) -> Self {
            // SAFETY: as above.
            unsafe {
                let magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0);
                // `max` returns its second operand where the first is NaN.
                let magnitude = _mm256_max_ps(magnitude, _mm256_set1_ps(min));
                let one = _mm256_set1_ps(1.0);
                Self(_mm256_div_ps(one, _mm256_min_ps(magnitude, one)))
            }
        }

        /// Returns the eight values.
        #[inline(always)]
        fn values(self) -> [f32; 8] {
            let mut values = [0.0; 8];
            // SAFETY: as above, and there is room for eight.
            unsafe { _mm256_storeu_ps(values.as_mut_ptr(), self.0) };
            values
        }

        /// Sums the eight values pairwise.
        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: as above.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let two = _mm_add_ps(four, _mm_movehdup_ps(four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_movehl_ps(two, two)))
            }
        }
    }
}
