//! PSNR on windows that training never sees, by the network as it is shipped: [`Model`] on a device without
//! autodiff.

use anyhow::Result;
use burn_tensor::Device;
use rife_nets::{Image, Model, Options};
use serde::{Deserialize, Serialize};

use crate::backend::BurnBackend;
use crate::data::{Corpus, Picture};
use crate::parameters::Parameters;

/// Every so many windows are looked at: neighbours come from the same clip.
const EVERY: usize = 4;
/// The error below which PSNR grows no more.
const LEAST_ERROR: f64 = 1e-6;

/// Mean PSNR in dB after a number of steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Steps of training.
    pub step: u64,
    /// Of the middle of three neighbouring frames.
    pub adjacent: f64,
    /// Of the middle of frames four apart.
    pub wide: f64,
    /// Of the first of the three frames between them.
    pub quarter: f64,
}

/// Judges weights on every fourth window of a corpus; nothing where it has none.
///
/// Errors: a corpus that cannot be read, weights that do not fit.
pub fn judge(
    parameters: &Parameters,
    held_out: &Corpus,
    device: &Device,
    step: u64,
) -> Result<Option<Scores>> {
    let backend = BurnBackend::new(device.clone().inner());
    let model = Model::from_weights(backend, &parameters.to_weights(), Some(parameters.version()))?;
    let (mut sums, mut count) = ([0.0; 3], 0.0);
    for index in (0..held_out.len()).step_by(EVERY) {
        let frames = held_out.window(index)?;
        for (sum, (picks, time)) in
            sums.iter_mut()
                .zip([([1, 2, 3], 0.5), ([0, 2, 4], 0.5), ([0, 1, 4], 0.25)])
        {
            *sum += psnr(&model, picks.map(|i| &frames[i]), time)?;
        }
        count += 1.0;
    }
    let [adjacent, wide, quarter] = sums.map(|sum| sum / count);
    Ok((count > 0.0).then_some(Scores {
        step,
        adjacent,
        wide,
        quarter,
    }))
}

/// PSNR of the rounded frame between the outer two against the middle one.
fn psnr(model: &Model<BurnBackend>, [first, truth, second]: [&Picture; 3], time: f32) -> Result<f64> {
    let options = Options::default();
    let prepared = |picture: &Picture| {
        let [height, width] = picture.size();
        model.prepare_frame(&Image::new(width, height, picture.planes())?, &options)
    };
    let found = model.interpolate(&prepared(first)?, &prepared(second)?, time, &options)?;
    let codes = truth.planes().into_iter().map(|x| f64::from(x) * 255.0);
    let squares = found
        .data()
        .iter()
        .zip(codes)
        .map(|(x, code)| ((f64::from(*x) * 255.0).round() - code).powi(2));
    let error = squares.sum::<f64>() / found.data().len() as f64;
    Ok(10.0 * (255.0f64.powi(2) / error.max(LEAST_ERROR)).log10())
}
