//! Counter-based random numbers (SplitMix64): a generator is a function of a seed and a stream number (a step, a clip), so
//! that a resumed run draws the same numbers as an uninterrupted one.

/// A SplitMix64 generator.
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// SplitMix64's increment.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Rng {
    /// Makes the generator of stream number `stream` under `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(mix(mix(seed.wrapping_add(STEP)) ^ stream.wrapping_mul(STEP)))
    }

    /// Draws 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Draws a number uniformly from `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (-53f64).exp2()
    }

    /// Draws a number uniformly from `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Draws an integer uniformly from `0..count`.
    ///
    /// # Panics
    /// When `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        assert!(count > 0, "nothing to choose from");
        // The bias of this multiplication is below 2^-40 for counts below 2^24.
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// Returns true with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Draws from a normal distribution with mean 0 and this standard deviation (Box-Muller).
    pub fn normal(&mut self, deviation: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        deviation * radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Draws an index with probability proportional to its weight.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        for (i, weight) in weights.iter().enumerate() {
            if left < *weight {
                return i;
            }
            left -= weight;
        }
        weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0)
    }
}

/// Applies SplitMix64's output function.
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_and_place_only() {
        let first = Rng::new(1, 7).bits();
        assert_eq!(first, Rng::new(1, 7).bits());
        assert_ne!(first, Rng::new(1, 8).bits());
        assert_ne!(first, Rng::new(2, 7).bits());
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut rng = Rng::new(3, 0);
        let count = 20_000;
        let normal: Vec<f64> = (0..count).map(|_| rng.normal(2.0)).collect();
        let mean = normal.iter().sum::<f64>() / count as f64;
        let variance = normal.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
        assert!(
            mean.abs() < 0.06 && (variance - 4.0).abs() < 0.2,
            "{mean} {variance}"
        );
        let picks: Vec<usize> = (0..count).map(|_| rng.weighted(&[1.0, 0.0, 3.0])).collect();
        let third = picks.iter().filter(|i| **i == 2).count() as f64 / count as f64;
        assert!(!picks.contains(&1) && (third - 0.75).abs() < 0.02, "{third}");
    }
}
