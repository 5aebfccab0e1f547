//! Loops over rows of values, compiled for every tier: what the compiler vectorises by itself, given the instructions.

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

    /// `to = low * (1 - share) + high * share`.
    fn between(to: &mut [f32], low: &[f32], high: &[f32], share: f32) {
        for (to, (low, high)) in to.iter_mut().zip(low.iter().zip(high)) {
            *to = low * (1.0 - share) + high * share;
        }
    }

    /// The means of pairs.
    fn halve(to: &mut [f32], from: &[f32]) {
        for (to, pair) in to.iter_mut().zip(from.chunks_exact(2)) {
            *to = pair[0] * 0.5 + pair[1] * 0.5;
        }
    }

    /// For each neighbouring pair in `from`, `shares.len()` values between them: the second's share is given. `to` is of
    /// that many for each pair; `shares` are 2, 4, 8, 16 or 32.
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

    /// `to *= by`.
    fn scale(to: &mut [f32], by: &[f32]) {
        for (to, by) in to.iter_mut().zip(by) {
            *to *= by;
        }
    }

    /// `most = max(most, |a - b|)`.
    fn apart(most: &mut [f32], a: &[f32], b: &[f32]) {
        for (most, (a, b)) in most.iter_mut().zip(a.iter().zip(b)) {
            *most = most.max((a - b).abs());
        }
    }

    /// The share `clamp01(share)` of half the sum, and the rest of what was there.
    fn keep_still(to: &mut [f32], sum: &[f32], share: &[f32]) {
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
