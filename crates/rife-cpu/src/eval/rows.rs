//! Elementwise operations over rows of f32, auto-vectorised by the compiler for each tier's instruction set.

use std::f32::consts::{LN_2, LOG2_E};

use crate::runtime::for_every_tier;

for_every_tier! {
    /// Computes `to += from`.
    fn add(to: &mut [f32], from: &[f32]) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
    }

    /// Computes `to = to * factor + offset`.
    fn affine(to: &mut [f32], factor: f32, offset: f32) {
        to.iter_mut().for_each(|v| *v = *v * factor + offset);
    }

    /// Interpolates linearly: `to = low * (1 - weight) + high * weight`.
    fn between(to: &mut [f32], low: &[f32], high: &[f32], weight: f32) {
        for (to, (low, high)) in to.iter_mut().zip(low.iter().zip(high)) {
            *to = low * (1.0 - weight) + high * weight;
        }
    }

    /// Averages pairs of consecutive values: bilinear downsampling by 2 along a row.
    fn halve(to: &mut [f32], from: &[f32]) {
        for (to, pair) in to.iter_mut().zip(from.chunks_exact(2)) {
            *to = pair[0] * 0.5 + pair[1] * 0.5;
        }
    }

    /// Upsamples linearly along a row by `weights.len()` (2, 4, 8, 16 or 32): between two consecutive values of `from`, one
    /// value for each weight of the second.
    fn expand(to: &mut [f32], from: &[f32], weights: &[f32]) {
        /// Upsamples by a factor known to the compiler.
        #[inline(always)]
        fn by<const N: usize>(to: &mut [f32], from: &[f32], weights: &[f32]) {
            let weights: &[f32; N] = weights.try_into().expect("as many weights");
            for (to, pair) in to.chunks_exact_mut(N).zip(from.windows(2)) {
                for (to, weight) in to.iter_mut().zip(weights) {
                    *to = pair[0] * (1.0 - weight) + pair[1] * weight;
                }
            }
        }
        match weights.len() {
            2 => by::<2>(to, from, weights),
            4 => by::<4>(to, from, weights),
            8 => by::<8>(to, from, weights),
            16 => by::<16>(to, from, weights),
            32 => by::<32>(to, from, weights),
            other => unreachable!("{other} values between two"),
        }
    }

    /// Computes the logistic function in place, with an error of at most two units in the last place of 1; not for NaN.
    fn sigmoid(to: &mut [f32]) {
        // Taylor series 2^f = sum of (f ln 2)^k / k! for |f| <= 1/2: seven terms have a relative error of 2e-7.
        const TERMS: [f32; 7] = [1.540_353e-4, 1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 0.240_226_5, LN_2, 1.0];
        // 1.5 * 2^23: adding it rounds to an integer, which is then in the lowest bits.
        const ROUNDING: f32 = 12_582_912.0;
        for v in to {
            // Beyond this range the result is 0 or 1.
            let power = -LOG2_E * v.clamp(-87.0, 87.0);
            let rounded = power + ROUNDING;
            let fraction = power - (rounded - ROUNDING);
            let mut sum = TERMS[0];
            for term in &TERMS[1..] {
                sum = sum * fraction + term;
            }
            // The integer is added to the exponent.
            let exponential = f32::from_bits(sum.to_bits().wrapping_add(rounded.to_bits() << 23));
            *v = 1.0 / (1.0 + exponential);
        }
    }

    /// Computes `to += from * by` elementwise.
    fn add_product(to: &mut [f32], from: &[f32], by: &[f32]) {
        for (to, (from, by)) in to.iter_mut().zip(from.iter().zip(by)) {
            *to += from * by;
        }
    }

    /// Computes `to *= by` elementwise.
    fn scale(to: &mut [f32], by: &[f32]) {
        for (to, by) in to.iter_mut().zip(by) {
            *to *= by;
        }
    }

    /// Computes `max = max(max, |a - b|)` elementwise.
    fn max_abs_difference(max: &mut [f32], a: &[f32], b: &[f32]) {
        for (max, (a, b)) in max.iter_mut().zip(a.iter().zip(b)) {
            *max = max.max((a - b).abs());
        }
    }

    /// Computes `to = lerp(to, sum / 2, clamp01(weight))`: static pixels become the mean of both frames, whose sum is `sum`.
    fn keep_static(to: &mut [f32], sum: &[f32], weight: &[f32]) {
        for (to, (sum, weight)) in to.iter_mut().zip(sum.iter().zip(weight)) {
            *to += (0.5 * sum - *to) * weight.clamp(0.0, 1.0);
        }
    }

    /// Computes `to = to * weight + other * (1 - weight)`.
    fn blend(to: &mut [f32], other: &[f32], weight: &[f32]) {
        for ((to, other), weight) in to.iter_mut().zip(other).zip(weight) {
            *to = *to * weight + other * (1.0 - weight);
        }
    }
}
