//! AdamW optimizer (Loshchilov and Hutter, 2019) with gradient clipping, outlier rejection and an exponential moving average
//! of the weights; computed on the host, so that equal gradients give equal bits on every machine.

use rayon::prelude::*;

use crate::parameters::Parameters;
use crate::recipe::OptimizerRecipe;

/// AdamW's epsilon in the denominator.
const EPSILON: f64 = 1e-8;
/// Ratio of a batch's gradient norm to the moving average from which on the batch is skipped: networks without normalisation
/// layers may diverge on a single outlier.
const MAX_NORM_RATIO: f64 = 8.0;

/// AdamW's moments.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Moving averages of the gradients, per tensor.
    pub first: Vec<Vec<f32>>,
    /// Moving averages of the squared gradients, per tensor.
    pub second: Vec<Vec<f32>>,
    /// Number of updates so far.
    pub updates: u64,
}

impl Moments {
    /// Makes zero moments for these parameters.
    pub fn new(parameters: &Parameters) -> Self {
        Self {
            first: parameters.zeros(),
            second: parameters.zeros(),
            updates: 0,
        }
    }

    /// Updates the parameters by one step of AdamW as PyTorch defines it, with the gradients times `scale` and learning rate
    /// `rate`.
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

/// Constants of one update.
struct Update {
    /// Factor of the gradients.
    scale: f32,
    /// Factor of the weights by weight decay.
    keep: f32,
    /// Decays of the two moments.
    betas: [f32; 2],
    /// Learning rate with bias correction of the first moment.
    step: f32,
    /// Square root of the bias correction of the second moment.
    root: f32,
}

impl Update {
    /// Computes the constants of update number `count`, from 1.
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

    /// Updates one weight and its moments.
    fn apply(&self, value: &mut f32, gradient: f32, m: &mut f32, v: &mut f32) {
        let gradient = gradient * self.scale;
        *m += (gradient - *m) * (1.0 - self.betas[0]);
        *v = *v * self.betas[1] + gradient * gradient * (1.0 - self.betas[1]);
        *value = *value * self.keep - self.step * *m / (v.sqrt() / self.root + EPSILON as f32);
    }
}

/// Computes the L2 norm of all gradients.
pub fn norm(gradients: &[Vec<f32>]) -> f64 {
    let squares = |values: &Vec<f32>| values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
    // Summed in order, so that the number of threads does not change the result.
    let sums: Vec<f64> = gradients.par_iter().map(squares).collect();
    sums.iter().sum::<f64>().sqrt()
}

/// Rejects batches with outlying gradients.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Guard {
    /// Moving average of the gradient norms; `None` before the first step.
    pub usual: Option<f64>,
    /// Number of batches skipped.
    pub skipped: u64,
}

impl Guard {
    /// Reports whether a batch with this gradient norm may be used, and updates the moving average.
    pub fn admit(&mut self, norm: f64) -> bool {
        let usual = self.usual.or(norm.is_finite().then_some(norm));
        let limit = MAX_NORM_RATIO * usual.unwrap_or(0.0);
        let admitted = norm < limit;
        self.skipped += u64::from(!admitted);
        let counted = if norm.is_finite() { norm.min(limit) } else { limit };
        self.usual = usual.map(|usual| 0.99 * usual + 0.01 * counted);
        admitted
    }
}

/// Updates the exponential moving average of the weights after `step` steps, with decay `ema`, less early in training.
pub fn average(average: &mut Parameters, parameters: &Parameters, step: u64, ema: f64) {
    let decay = ema.min(step as f64 / (step as f64 + 10.0));
    let rate = (1.0 - decay) as f32;
    let pairs = average.tensors.par_iter_mut().zip(&parameters.tensors);
    pairs.for_each(|(average, tensor)| {
        for (mean, value) in average.values.iter_mut().zip(&tensor.values) {
            *mean += (value - *mean) * rate;
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
