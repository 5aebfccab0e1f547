//! PSNR on frames that training never sees, by the network as it is shipped: [`Model`] on a device without autodiff.

use std::fmt;

use anyhow::Result;
use burn_tensor::Device;
use rife_backend::Backend;
use rife_nets::{Image, Model, Options, PreparedFrame};
use serde::{Deserialize, Serialize};

use crate::backend::{Batch, BurnBackend};
use crate::data::{Picture, Sources};
use crate::parameters::Parameters;
use crate::watch::Example;

/// Every so many windows are looked at: neighbours come from the same clip.
const EVERY: usize = 4;
/// No more folders of frames are looked at, evenly spread.
const MOST_FOLDERS: usize = 100;
/// Samples that pictures are made of.
const EXAMPLES: usize = 3;
/// Side of their pictures, at most.
const EXAMPLE_SIDE: usize = 256;
/// The error below which PSNR grows no more.
const LEAST_ERROR: f64 = 1e-6;

/// Mean PSNR in dB after a number of steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Steps of training.
    pub step: u64,
    /// Of the middle of three neighbouring frames.
    pub adjacent: f64,
    /// Of the middle of frames four apart, where there are as many.
    pub wide: Option<f64>,
    /// Of the first of the three frames between them, where the network can make it.
    pub quarter: Option<f64>,
}

impl Scores {
    /// Their mean, by which weights are ranked.
    pub fn mean(&self) -> f64 {
        let all = [Some(self.adjacent), self.wide, self.quarter];
        let (sum, count) = all
            .into_iter()
            .flatten()
            .fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
        sum / count
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} PSNR adjacent {:.3}", self.step, self.adjacent)?;
        for (name, value) in [("wide", self.wide), ("quarter", self.quarter)] {
            if let Some(value) = value {
                write!(f, " {name} {value:.3}")?;
            }
        }
        write!(f, " dB")
    }
}

/// A mean in the making.
#[derive(Default, Clone, Copy)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    fn get(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

/// Judges weights on what was held out: every fourth window and up to a hundred folders; nothing where there is none.
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
    for index in looked_at(held_out) {
        let samples = samples(held_out.frame_count(index), model.version().supports_timestep());
        for (mean, sample) in means.iter_mut().zip(samples) {
            let Some((picks, time)) = sample else { continue };
            let frames = held_out.frames(index, &picks)?;
            mean.add(psnr(&made(&model, &frames, time)?, &frames[1]));
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

/// A few of the samples that [`judge`] looks at, always the same ones, with what the network makes of them.
///
/// Errors: as [`judge`].
pub fn examples(parameters: &Parameters, held_out: &Sources, device: &Device) -> Result<Vec<Example>> {
    let model = model(parameters, device)?;
    let all = looked_at(held_out);
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

fn model(parameters: &Parameters, device: &Device) -> Result<Model<BurnBackend>> {
    let backend = BurnBackend::new(device.clone().inner());
    Ok(Model::from_weights(
        backend,
        &parameters.to_weights(),
        Some(parameters.version()),
    )?)
}

/// The windows and folders that are judged.
fn looked_at(held_out: &Sources) -> Vec<usize> {
    let windows = held_out.windows();
    let folders = held_out.len() - windows;
    let count = folders.min(MOST_FOLDERS);
    let folders = (0..count).map(|k| windows + k * folders / count);
    (0..windows).step_by(EVERY).chain(folders).collect()
}

/// The adjacent, wide and quarter samples of a run of so many frames: which ones, and the middle one's time.
fn samples(count: usize, any_time: bool) -> [Option<([usize; 3], f32)>; 3] {
    let m = count / 2;
    let is_long = count >= 5;
    [
        Some(([m - 1, m, m + 1], 0.5)),
        is_long.then(|| ([m - 2, m, m + 2], 0.5)),
        (is_long && any_time).then(|| ([m - 2, m - 1, m + 2], 0.25)),
    ]
}

/// The network's frame between the outer two, rounded.
fn made(model: &Model<BurnBackend>, frames: &[Picture], time: f32) -> Result<Picture> {
    let options = Options::default();
    let [first, second] = [prepared(model, &frames[0])?, prepared(model, &frames[2])?];
    let found = model.interpolate(&first, &second, time, &options)?;
    Ok(picture(found.data(), frames[0].size()))
}

fn prepared(model: &Model<BurnBackend>, picture: &Picture) -> Result<PreparedFrame<Batch>> {
    let [height, width] = picture.size();
    Ok(model.prepare_frame(&Image::new(width, height, picture.planes())?, &Options::default())?)
}

/// Planes in 0..1 as 8-bit codes.
fn picture(planes: &[f32], [height, width]: [usize; 2]) -> Picture {
    let code = |c: usize, i: usize| (planes[c * height * width + i] * 255.0).round() as u8;
    Picture::from_fn([height, width], |y, x| [0, 1, 2].map(|c| code(c, y * width + x)))
}

/// PSNR of 8-bit pictures.
fn psnr(found: &Picture, truth: &Picture) -> f64 {
    let pairs = found.pixels().iter().zip(truth.pixels());
    let squares = pairs.map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    let error = squares.sum::<f64>() / truth.pixels().len() as f64;
    10.0 * (255.0f64.powi(2) / error.max(LEAST_ERROR)).log10()
}

/// The middle square of a picture, where it is larger.
fn middle(picture: &Picture) -> Picture {
    let [height, width] = picture.size();
    let side = EXAMPLE_SIDE.min(height).min(width);
    picture.crop((height - side) / 2, (width - side) / 2, side)
}

fn example(model: &Model<BurnBackend>, name: String, frames: Vec<Picture>, time: f32) -> Result<Example> {
    let size = frames[1].size();
    let made = made(model, &frames, time)?;
    let [first, second] = [prepared(model, &frames[0])?, prepared(model, &frames[2])?];
    let pair = model.pair(&first, &second, &Options::default())?;
    let output = model.tensors_at(&pair, time, &Options::default())?;
    let share = |x: &f32| 1.0 / (1.0 + (-x).exp());
    let mask = cropped(model.backend(), &output.mask, size)?;
    Ok(Example {
        name,
        psnr: psnr(&made, &frames[1]),
        frames: frames.try_into().expect("a sample has three frames"),
        time,
        made,
        flow: cropped(model.backend(), &output.flow, size)?,
        mask: mask.iter().map(share).collect(),
    })
}

/// Planes without what was padded on the right and below.
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
