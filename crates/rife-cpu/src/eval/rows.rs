//! Elementwise operations over rows of f32, auto-vectorised by the compiler for each tier's instruction set.

use std::f32::consts::{LN_2, LOG2_E};

use crate::tier::for_every_tier;

for_every_tier! {
    /// `to += from`.
    fn add(to: &mut [f32], from: &[f32]) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
    }

    /// `to = to * factor + offset`.
    fn affine(to: &mut [f32], factor: f32, offset: f32) {
        to.iter_mut().for_each(|v| *v = *v * factor + offset);
    }

    /// Linear interpolation: `to = low * (1 - share) + high * share`.
    fn between(to: &mut [f32], low: &[f32], high: &[f32], share: f32) {
        for (to, (low, high)) in to.iter_mut().zip(low.iter().zip(high)) {
            *to = low * (1.0 - share) + high * share;
        }
    }

    /// Mean of each two consecutive values: bilinear downscaling by 2 along a row.
    fn halve(to: &mut [f32], from: &[f32]) {
        for (to, pair) in to.iter_mut().zip(from.chunks_exact(2)) {
            *to = pair[0] * 0.5 + pair[1] * 0.5;
        }
    }

    /// Linear upscaling along a row by `shares.len()` (2, 4, 8, 16 or 32): for each two consecutive values of `from`, one
    /// value for each weight of the second.
    fn expand(to: &mut [f32], from: &[f32], shares: &[f32]) {
        /// With the number of shares known to the compiler.
        #[inline(always)]
        fn by<const N: usize>(to: &mut [f32], from: &[f32], shares: &[f32]) {
            let shares: &[f32; N] = shares.try_into().expect("as many shares");
            for (to, pair) in to.chunks_exact_mut(N).zip(from.windows(2)) {
                for (to, share) in to.iter_mut().zip(shares) {
                    *to = pair[0] * (1.0 - share) + pair[1] * share;
                }
            }
        }
        match shares.len() {
            2 => by::<2>(to, from, shares),
            4 => by::<4>(to, from, shares),
            8 => by::<8>(to, from, shares),
            16 => by::<16>(to, from, shares),
            32 => by::<32>(to, from, shares),
            other => unreachable!("{other} values between two"),
        }
    }

    /// The logistic function, within two units in the last place of 1, for numbers.
    fn sigmoid(to: &mut [f32]) {
        // 2^f = sum of (f ln 2)^k / k!, for f to half a whole number off: seven terms leave 2e-7 of it.
        const TERMS: [f32; 7] = [1.540_353e-4, 1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 0.240_226_5, LN_2, 1.0];
        // Numbers beside this one are whole: adding it rounds, and leaves the whole number in the lowest bits.
        const WHOLE: f32 = 12_582_912.0;
        for v in to {
            // Further out it is 0 or 1.
            let power = -LOG2_E * v.clamp(-87.0, 87.0);
            let rounded = power + WHOLE;
            let part = power - (rounded - WHOLE);
            let mut sum = TERMS[0];
            for term in &TERMS[1..] {
                sum = sum * part + term;
            }
            // The whole number goes to the exponent.
            let exponential = f32::from_bits(sum.to_bits().wrapping_add(rounded.to_bits() << 23));
            *v = 1.0 / (1.0 + exponential);
        }
    }

    /// `to += from * by`.
    fn add_product(to: &mut [f32], from: &[f32], by: &[f32]) {
        for (to, (from, by)) in to.iter_mut().zip(from.iter().zip(by)) {
            *to += from * by;
        }
    }

    /// `to *= by`.
    fn scale(to: &mut [f32], by: &[f32]) {
        for (to, by) in to.iter_mut().zip(by) {
            *to *= by;
        }
    }

    /// `max = max(max, |a - b|)`.
    fn max_abs_difference(max: &mut [f32], a: &[f32], b: &[f32]) {
        for (max, (a, b)) in max.iter_mut().zip(a.iter().zip(b)) {
            *max = max.max((a - b).abs());
        }
    }

    /// `to = lerp(to, sum / 2, clamp01(share))`: static pixels become the mean of both frames.
    fn keep_static(to: &mut [f32], sum: &[f32], share: &[f32]) {
        for (to, (sum, share)) in to.iter_mut().zip(sum.iter().zip(share)) {
            *to += (0.5 * sum - *to) * share.clamp(0.0, 1.0);
        }
    }

    /// `to = to * share + other * (1 - share)`.
    fn blend(to: &mut [f32], other: &[f32], share: &[f32]) {
        for ((to, other), share) in to.iter_mut().zip(other).zip(share) {
            *to = *to * share + other * (1.0 - share);
        }
    }
}
