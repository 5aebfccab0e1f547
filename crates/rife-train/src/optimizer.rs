//! AdamW with clipped gradients and averaged weights, on the host: the values are few beside the activations, and
//! the same bits come out on every machine with the same gradients.

use rayon::prelude::*;

use crate::parameters::Parameters;
use crate::recipe::OptimizerRecipe;

/// Keeps AdamW's quotient finite.
const EPSILON: f64 = 1e-8;
/// A batch whose gradient is so many times the usual one is left out: blocks without normalisation can run away on
/// a single one.
const RUNAWAY: f64 = 8.0;

/// AdamW's averages of the gradients and of their squares.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Of the gradients.
    pub first: Vec<Vec<f32>>,
    /// Of their squares.
    pub second: Vec<Vec<f32>>,
    /// Updates so far.
    pub updates: u64,
}

impl Moments {
    /// None yet.
    pub fn new(parameters: &Parameters) -> Self {
        Self {
            first: parameters.zeros(),
            second: parameters.zeros(),
            updates: 0,
        }
    }

    /// One update as PyTorch's AdamW makes it, with the gradients times `scale`.
    pub fn update(
        &mut self,
        parameters: &mut Parameters,
        gradients: &[Vec<f32>],
        scale: f32,
        rate: f64,
        o: &OptimizerRecipe,
    ) {
        self.updates += 1;
        let update = Update::new(self.updates, scale, rate, o);
        let tensors = parameters.tensors.par_iter_mut().zip(gradients);
        let moments = self.first.par_iter_mut().zip(&mut self.second);
        tensors
            .zip(moments)
            .for_each(|((tensor, gradients), (first, second))| {
                let values = tensor.values.iter_mut().zip(gradients);
                for ((value, gradient), (m, v)) in values.zip(first.iter_mut().zip(second)) {
                    update.apply(value, *gradient, m, v);
                }
            });
    }
}

/// The numbers of one update.
struct Update {
    scale: f32,
    keep: f32,
    betas: [f32; 2],
    step: f32,
    root: f32,
}

impl Update {
    fn new(count: u64, scale: f32, rate: f64, o: &OptimizerRecipe) -> Self {
        let [first, second] = o.betas.map(|beta| 1.0 - beta.powf(count as f64));
        Self {
            scale,
            keep: (1.0 - rate * o.weight_decay) as f32,
            betas: o.betas.map(|beta| beta as f32),
            step: (rate / first) as f32,
            root: second.sqrt() as f32,
        }
    }

    fn apply(&self, value: &mut f32, gradient: f32, m: &mut f32, v: &mut f32) {
        let gradient = gradient * self.scale;
        *m += (gradient - *m) * (1.0 - self.betas[0]);
        *v = *v * self.betas[1] + gradient * gradient * (1.0 - self.betas[1]);
        *value = *value * self.keep - self.step * *m / (v.sqrt() / self.root + EPSILON as f32);
    }
}

/// The norm of all gradients together.
pub fn norm(gradients: &[Vec<f32>]) -> f64 {
    let squares = |values: &Vec<f32>| values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
    // Summed in order, so that threads cannot change it.
    let sums: Vec<f64> = gradients.par_iter().map(squares).collect();
    sums.iter().sum::<f64>().sqrt()
}

/// What gradients are usual, and how many batches were not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Guard {
    /// Moving average of the norms; nothing before the first step.
    pub usual: Option<f64>,
    /// Batches left out.
    pub skipped: u64,
}

impl Guard {
    /// Whether a batch with gradients of this norm may be used. The average follows.
    pub fn admit(&mut self, norm: f64) -> bool {
        let usual = self.usual.or(norm.is_finite().then_some(norm));
        let limit = RUNAWAY * usual.unwrap_or(0.0);
        let admitted = norm < limit;
        self.skipped += u64::from(!admitted);
        let counted = if norm.is_finite() { norm.min(limit) } else { limit };
        self.usual = usual.map(|usual| 0.99 * usual + 0.01 * counted);
        admitted
    }
}

/// Moves the averaged weights towards the trained ones; after `step` steps. Early on the average is short.
pub fn average(average: &mut Parameters, parameters: &Parameters, step: u64, ema: f64) {
    let decay = ema.min(step as f64 / (step as f64 + 10.0));
    let part = (1.0 - decay) as f32;
    let pairs = average.tensors.par_iter_mut().zip(&parameters.tensors);
    pairs.for_each(|(average, tensor)| {
        for (mean, value) in average.values.iter_mut().zip(&tensor.values) {
            *mean += (value - *mean) * part;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runaway_batches_are_left_out_and_hardly_move_the_average() {
        let mut guard = Guard::default();
        assert!(guard.admit(1.0));
        assert!(!guard.admit(1e9));
        assert!(!guard.admit(f64::NAN));
        assert!(guard.usual.unwrap() < 1.2, "{guard:?}");
        assert!(guard.admit(1.1));
        assert_eq!(guard.skipped, 2);
    }

    #[test]
    fn the_norm_is_of_all_tensors() {
        crate::threads::start(0).unwrap();
        assert_eq!(norm(&[vec![3.0], vec![0.0, 4.0]]), 5.0);
    }
}
