//! Eight numbers at a time, in whatever a tier has for them.

use crate::tier::Tier;

/// Eight numbers.
pub(super) trait Eight: Copy {
    /// # Safety
    /// Eight numbers are there, and the machine has the tier.
    unsafe fn load(from: *const f32) -> Self;
    /// The same number eight times.
    fn splat(value: f32) -> Self;
    /// `self + other`.
    fn add(self, other: Self) -> Self;
    /// `self - other`.
    fn sub(self, other: Self) -> Self;
    /// `self + a * b`.
    fn add_product(self, a: Self, b: Self) -> Self;
    /// One over how large each is, which counts as `least` at least and as one at most, as what is no number counts as `least`.
    fn counted(self, least: f32) -> Self;
    /// In order.
    fn values(self) -> [f32; 8];

    /// All added.
    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.values();
        ((a + e) + (b + f)) + ((c + g) + (d + h))
    }
}

/// What is done with one or another kind of [`Eight`].
pub(super) trait Work {
    /// Does it.
    fn run<E: Eight>(self);
}

/// Does some work with what a tier has, which the machine has.
pub(super) fn run(tier: Tier, work: impl Work) {
    match tier {
        // SAFETY: tiers are those that the machine has.
        #[cfg(target_arch = "x86_64")]
        Tier::Avx2 | Tier::Avx512 | Tier::Amx => unsafe { x86::run(work) },
        _ => work.run::<[f32; 8]>(),
    }
}

impl Eight for [f32; 8] {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        [value; 8]
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] - other[i])
    }

    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] + a[i] * b[i])
    }

    #[inline(always)]
    fn counted(self, least: f32) -> Self {
        self.map(|v| 1.0 / v.abs().max(least).min(1.0))
    }

    #[inline(always)]
    fn values(self) -> [f32; 8] {
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Eight, Work};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn run(work: impl Work) {
        work.run::<Avx>();
    }

    /// Made by [`run`] only.
    #[derive(Clone, Copy)]
    struct Avx(__m256);

    impl Eight for Avx {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's.
            Self(unsafe { _mm256_loadu_ps(from) })
        }

        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: the machine has AVX2.
            Self(unsafe { _mm256_set1_ps(value) })
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_fmadd_ps(a.0, b.0, self.0) })
        }

        #[inline(always)]
        fn counted(self, least: f32) -> Self {
            // SAFETY: as above.
            unsafe {
                let size = _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0);
                // The second of the two where the first is no number.
                let size = _mm256_max_ps(size, _mm256_set1_ps(least));
                let one = _mm256_set1_ps(1.0);
                Self(_mm256_div_ps(one, _mm256_min_ps(size, one)))
            }
        }

        #[inline(always)]
        fn values(self) -> [f32; 8] {
            let mut values = [0.0; 8];
            // SAFETY: as above, and there is room for eight.
            unsafe { _mm256_storeu_ps(values.as_mut_ptr(), self.0) };
            values
        }

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
