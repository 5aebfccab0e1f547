//! Validation: PSNR on held-out frames, with the averaged weights in a [`Model`] on a device without autodiff.

use anyhow::Result;
use burn_tensor::Device;
use rife_backend::Backend;
use rife_nets::{Image, Model, Options, PreparedFrame};

use crate::backend::{Batch, BurnBackend};
use crate::data::{Picture, Sources};
use crate::parameters::Parameters;
use crate::scores::Scores;
use crate::watch::Example;

/// Every fourth window is used, since neighbouring windows come from the same clip.
const WINDOW_STRIDE: usize = 4;
/// Maximum number of folders of frames that a validation uses, evenly spaced over all.
const MAX_FOLDERS: usize = 100;
/// Maximum number of samples shown as images in the report.
const EXAMPLES: usize = 3;
/// Maximum side of these images in pixels.
const EXAMPLE_SIDE: usize = 256;
/// Minimum mean square error in code values, which bounds PSNR.
const MIN_MSE: f64 = 1e-6;

/// A running mean.
#[derive(Default, Clone, Copy)]
struct Mean {
    /// Sum of the values.
    sum: f64,
    /// Number of values.
    count: f64,
}

impl Mean {
    /// Adds a value.
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    /// Returns the mean of the added values; `None` without any.
    fn get(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

/// Computes the PSNR of weights on held-out data: every fourth window and up to 100 folders; `None` without data. `step` is
/// copied into the result.
///
/// Errors: files that cannot be read, weights that do not fit.
pub fn judge(
    parameters: &Parameters,
    held_out: &Sources,
    device: &Device,
    step: u64,
) -> Result<Option<Scores>> {
    let model = model(parameters, device)?;
    let mut means = [Mean::default(); 3];
    for index in selected(held_out) {
        let samples = samples(held_out.frame_count(index), model.version().supports_timestep());
        for (mean, sample) in means.iter_mut().zip(samples) {
            let Some((picks, time)) = sample else { continue };
            let frames = held_out.frames(index, &picks)?;
            mean.add(psnr(&interpolated(&model, &frames, time)?, &frames[1]));
        }
    }
    let [adjacent, wide, quarter] = means.map(Mean::get);
    Ok(adjacent.map(|adjacent| Scores {
        step,
        adjacent,
        wide,
        quarter,
    }))
}

/// Interpolates a few fixed samples of those that [`judge`] uses, for the images of the report.
///
/// Errors: files that cannot be read, weights that do not fit.
pub fn examples(parameters: &Parameters, held_out: &Sources, device: &Device) -> Result<Vec<Example>> {
    let model = model(parameters, device)?;
    let all = selected(held_out);
    let count = EXAMPLES.min(all.len());
    let example = |k: usize| {
        let index = all[(2 * k + 1) * all.len() / (2 * count)];
        let [adjacent, wide, _] = samples(held_out.frame_count(index), false);
        let (picks, time) = wide.or(adjacent).expect("three frames make a sample");
        let frames = held_out.frames(index, &picks)?;
        let frames: Vec<_> = frames.iter().map(middle).collect();
        example(&model, format!("Held-out sample {}", index + 1), frames, time)
    };
    (0..count).map(example).collect()
}

/// Builds the model of these parameters on a device, without autodiff.
fn model(parameters: &Parameters, device: &Device) -> Result<Model<BurnBackend>> {
    let backend = BurnBackend::new(device.clone().inner());
    Ok(Model::from_weights(
        backend,
        &parameters.to_weights(),
        Some(parameters.version()),
    )?)
}

/// Returns the indices of the windows and folders that validation uses.
fn selected(held_out: &Sources) -> Vec<usize> {
    let windows = held_out.windows();
    let folders = held_out.len() - windows;
    let count = folders.min(MAX_FOLDERS);
    let folders = (0..count).map(|k| windows + k * folders / count);
    (0..windows).step_by(WINDOW_STRIDE).chain(folders).collect()
}

/// Returns the adjacent, wide and quarter sample of a run of `count` frames: indices of first, middle and last frame, and
/// the middle frame's timestep.
fn samples(count: usize, any_time: bool) -> [Option<([usize; 3], f32)>; 3] {
    let m = count / 2;
    let is_long = count >= 5;
    [
        Some(([m - 1, m, m + 1], 0.5)),
        is_long.then(|| ([m - 2, m, m + 2], 0.5)),
        (is_long && any_time).then(|| ([m - 2, m - 1, m + 2], 0.25)),
    ]
}

/// Makes the frame at timestep `time` between the first and the third of three frames, rounded to 8 bits.
fn interpolated(model: &Model<BurnBackend>, frames: &[Picture], time: f32) -> Result<Picture> {
    let options = Options::default();
    let [first, second] = [prepared(model, &frames[0])?, prepared(model, &frames[2])?];
    let found = model.interpolate(&first, &second, time, &options)?;
    Ok(picture(found.data(), frames[0].size()))
}

/// Uploads and encodes a frame.
fn prepared(model: &Model<BurnBackend>, picture: &Picture) -> Result<PreparedFrame<Batch>> {
    let [height, width] = picture.size();
    Ok(model.prepare_frame(&Image::new(width, height, picture.planes())?, &Options::default())?)
}

/// Converts planes `[3, height, width]` in 0..1 to 8 bits.
fn picture(planes: &[f32], [height, width]: [usize; 2]) -> Picture {
    let code = |c: usize, i: usize| (planes[c * height * width + i] * 255.0).round() as u8;
    Picture::from_fn([height, width], |y, x| [0, 1, 2].map(|c| code(c, y * width + x)))
}

/// Computes the PSNR in dB of 8-bit images.
fn psnr(found: &Picture, truth: &Picture) -> f64 {
    let pairs = found.pixels().iter().zip(truth.pixels());
    let squares = pairs.map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    let error = squares.sum::<f64>() / truth.pixels().len() as f64;
    10.0 * (255.0f64.powi(2) / error.max(MIN_MSE)).log10()
}

/// Crops the centre square of an image, of side [`EXAMPLE_SIDE`] or the image's shorter side.
fn middle(picture: &Picture) -> Picture {
    let [height, width] = picture.size();
    let side = EXAMPLE_SIDE.min(height).min(width);
    picture.crop((height - side) / 2, (width - side) / 2, side)
}

/// Interpolates one sample and collects frame, flow and mask.
fn example(model: &Model<BurnBackend>, name: String, frames: Vec<Picture>, time: f32) -> Result<Example> {
    let size = frames[1].size();
    let made = interpolated(model, &frames, time)?;
    let [first, second] = [prepared(model, &frames[0])?, prepared(model, &frames[2])?];
    let pair = model.pair(&first, &second, &Options::default())?;
    let output = model.tensors_at(&pair, time, &Options::default())?;
    let sigmoid = |x: &f32| 1.0 / (1.0 + (-x).exp());
    let mask = cropped(model.backend(), &output.mask, size)?;
    Ok(Example {
        name,
        psnr: psnr(&made, &frames[1]),
        frames: frames.try_into().expect("a sample has three frames"),
        time,
        made,
        flow: cropped(model.backend(), &output.flow, size)?,
        mask: mask.iter().map(sigmoid).collect(),
    })
}

/// Downloads a tensor cropped to `[height, width]`, without its padding.
fn cropped(b: &BurnBackend, x: &Batch, [height, width]: [usize; 2]) -> Result<Vec<f32>> {
    Ok(b.download_cropped(x, [height, width])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_around_the_middle() {
        assert_eq!(samples(3, true), [Some(([0, 1, 2], 0.5)), None, None]);
        let all = [
            Some(([1, 2, 3], 0.5)),
            Some(([0, 2, 4], 0.5)),
            Some(([0, 1, 4], 0.25)),
        ];
        assert_eq!(samples(5, true), all);
        assert_eq!(samples(5, false)[2], None, "middle frames only");
        assert_eq!(samples(7, true)[1], Some(([1, 3, 5], 0.5)));
    }

    #[test]
    fn psnr_of_known_errors() {
        let grey = |grey: u8| Picture::new([4, 4], vec![grey; 48]);
        assert!((psnr(&grey(100), &grey(101)) - 48.130_803_608_679).abs() < 1e-9);
        assert!(psnr(&grey(100), &grey(100)) > 100.0, "equal pictures");
    }

    #[test]
    fn scores_of_before_are_read() {
        let text = r#"{"step":5,"adjacent":30.0,"wide":26.0,"quarter":28.0}"#;
        let scores: Scores = serde_json::from_str(text).unwrap();
        assert_eq!((scores.wide, scores.mean()), (Some(26.0), 28.0));
    }
}
