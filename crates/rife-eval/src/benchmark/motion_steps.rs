//! Evenness of motion: positions of interpolated frames along synthetic linear motion, and PSNR at timesteps 1/4, 1/2 and 3/4
//! over real sequences.

mod synthetic_motion;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use num_rational::Ratio;
use rife::media::scene::{SceneOptions, similarity};
use rife::media::{CancelToken, Ffmpeg, RgbImage, minterpolate};
use serde::Serialize;

use super::clip_comparison::Clip;
use super::protocol::Protocol;
use crate::metrics::{psnr, round8};
use rife::media::time::seconds;
use rife::{Error, Interpolator, Result};
use synthetic_motion::{MOTIONS, Motion};

/// Evenness of motion over synthetic linear motions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Steps {
    /// Number of steps into which each motion was divided.
    pub factor: u32,
    /// Mean over the motions of [`StepPositions::variation`].
    #[serde(rename = "spread")]
    pub variation: f64,
    /// Maximum over the motions of [`StepPositions::variation`].
    #[serde(rename = "spread_max")]
    pub max_variation: f64,
    /// The result of each motion.
    pub motions: Vec<MotionSteps>,
}

/// Evenness of one motion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MotionSteps {
    /// The motion's name, for people.
    pub name: String,
    /// Length of the motion in pixels.
    pub distance: f64,
    /// The model's result.
    #[serde(flatten)]
    pub positions: StepPositions,
    /// The result of ffmpeg's minterpolate, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minterpolate: Option<StepPositions>,
}

/// Measured positions of the interpolated frames of one motion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepPositions {
    /// Coefficient of variation of the step sizes: standard deviation divided by mean; 0 is even.
    #[serde(rename = "spread")]
    pub variation: f64,
    /// Position of each frame as a fraction of the motion, ideally 1/factor, 2/factor...
    pub positions: Vec<f64>,
}

impl StepPositions {
    /// Computes the variation of the step sizes of `positions`.
    fn new(positions: Vec<f64>) -> Self {
        Self {
            variation: variation(&positions),
            positions,
        }
    }
}

/// Interpolates `factor - 1` frames of synthetic linear motions and measures their positions; with `ffmpeg`, also for its
/// minterpolate filter.
///
/// # Errors
/// [`Error::Usage`] for a factor outside 2 to 64, those of interpolating, [`Error::Cancelled`].
pub fn measure_steps(
    interpolator: &Interpolator,
    factor: u32,
    ffmpeg: Option<&Ffmpeg>,
    cancel: &CancelToken,
) -> Result<Steps> {
    if !(2..=64).contains(&factor) {
        return Err(Error::Usage(format!("factor {factor} is not between 2 and 64")));
    }
    let motion = |motion: &Motion| {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let minterpolate = ffmpeg.map(|ffmpeg| {
            let made = minterpolate(ffmpeg, [&motion.draw(0.0), &motion.draw(1.0)], factor, cancel)?;
            Ok::<_, Error>(StepPositions::new(
                made.iter().map(|picture| motion.estimate_time(picture)).collect(),
            ))
        });
        Ok(MotionSteps {
            name: motion.name.to_owned(),
            distance: motion.distance(),
            positions: positions(motion, interpolator, factor)?,
            minterpolate: minterpolate.transpose()?,
        })
    };
    let motions: Vec<MotionSteps> = MOTIONS.iter().map(motion).collect::<Result<_>>()?;
    let variations = motions.iter().map(|motion| motion.positions.variation);
    Ok(Steps {
        factor,
        variation: variations.clone().sum::<f64>() / motions.len() as f64,
        max_variation: variations.fold(0.0, f64::max),
        motions,
    })
}

/// Interpolates `factor - 1` frames of a motion and measures their positions.
fn positions(motion: &Motion, interpolator: &Interpolator, factor: u32) -> Result<StepPositions> {
    let prepare = |time: f64| interpolator.prepare(Arc::new(motion.draw(time)));
    let (first, second) = (prepare(0.0)?, prepare(1.0)?);
    let mut between = interpolator.between(&first, &second);
    let mut find =
        |index: u32| Ok(motion.estimate_time(&*between.at(Ratio::new(index.into(), factor.into()))?));
    Ok(StepPositions::new(
        (1..factor).map(&mut find).collect::<Result<_>>()?,
    ))
}

/// Returns the coefficient of variation of the steps from 0 over the positions to 1.
fn variation(positions: &[f64]) -> f64 {
    let ends = || positions.iter().copied().chain([1.0]);
    let steps: Vec<f64> = [0.0]
        .into_iter()
        .chain(positions.iter().copied())
        .zip(ends())
        .map(|(a, b)| b - a)
        .collect();
    let mean = 1.0 / steps.len() as f64;
    let variance = steps.iter().map(|step| (step - mean).powi(2)).sum::<f64>() * mean;
    variance.sqrt() / mean
}

/// PSNR in dB at timesteps 1/4, 1/2 and 3/4 between frames 0 and 4 of a sequence.
pub type Quarters = [f64; 3];

/// Mean PSNR of a sequence at timesteps 1/4, 1/2 and 3/4.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeScores {
    /// The sequence's name; empty for the mean over all sequences.
    pub name: String,
    /// Number of pairs.
    pub count: usize,
    /// The model's PSNR.
    pub psnr: Quarters,
    /// The PSNR of averaging both frames, weighted by time.
    pub averaging: Quarters,
    /// The PSNR of ffmpeg's minterpolate, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minterpolate: Option<Quarters>,
}

impl TimeScores {
    /// Returns the model's PSNR at 1/2 minus the lower one of 1/4 and 3/4, in dB.
    pub fn gap(&self) -> f64 {
        self.psnr[1] - self.psnr[0].min(self.psnr[2])
    }

    /// Returns the mean of several; `None` if there are none.
    fn mean(name: String, scores: &[Self]) -> Option<Self> {
        let mean = |of: &dyn Fn(&Self) -> Quarters| {
            [0, 1, 2].map(|at| scores.iter().map(|s| of(s)[at]).sum::<f64>() / scores.len() as f64)
        };
        let first = scores.first()?;
        Some(Self {
            name,
            count: scores.iter().map(|s| s.count).sum(),
            psnr: mean(&|s| s.psnr),
            averaging: mean(&|s| s.averaging),
            minterpolate: first
                .minterpolate
                .map(|_| mean(&|s| s.minterpolate.unwrap_or_default())),
        })
    }
}

/// Benchmark of quality at timesteps 1/4, 1/2 and 3/4 over real sequences.
#[derive(Debug, Clone, Copy)]
pub struct QuarterBenchmark<'a> {
    /// The model.
    pub interpolator: &'a Interpolator,
    /// The ffmpeg for the baseline minterpolate, if requested.
    pub ffmpeg: Option<&'a Ffmpeg>,
    /// Maximum number of pairs per sequence; unlimited when absent.
    pub limit: Option<usize>,
}

impl QuarterBenchmark<'_> {
    /// Interpolates frames 1, 2 and 3 between frames 0 and 4 (4 and 8...) of each sequence and scores them. `path` is a clip,
    /// a folder of images, or a folder of several of these. Pairs with a cut or a repeated frame are left out. Returns the
    /// scores of each sequence, followed by their mean.
    ///
    /// # Errors
    /// Those of reading and interpolating; [`Error::Data`] if there is nothing to score; [`Error::Cancelled`].
    pub fn run(&self, path: &Path, cancel: &CancelToken) -> Result<Vec<TimeScores>> {
        let mut found = Vec::new();
        for (name, path) in sequences(path)? {
            found.extend(TimeScores::mean(name, &self.sequence(&path, cancel)?));
        }
        let mean = TimeScores::mean(String::new(), &found).ok_or_else(|| {
            Error::Data(format!(
                "{} has no five frames in a row without a cut or a repeat; accepted are a clip, a folder of pictures, \
                 and a folder of such",
                path.display()
            ))
        })?;
        found.push(mean);
        Ok(found)
    }

    /// Scores the pairs of one sequence.
    fn sequence(&self, path: &Path, cancel: &CancelToken) -> Result<Vec<TimeScores>> {
        let mut clip = Clip::open(path, cancel)?;
        let mut scores = Vec::new();
        let Some(mut first) = clip.next()? else {
            return Ok(scores);
        };
        while scores.len() < self.limit.unwrap_or(usize::MAX) {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let mut frames = vec![first];
            frames.extend(clip.take(4)?);
            if frames.len() < 5 {
                break;
            }
            if frames.windows(2).all(|pair| moves(&pair[0], &pair[1])) {
                scores.push(self.pair(&frames, cancel)?);
            }
            first = frames.remove(4);
        }
        Ok(scores)
    }

    /// Interpolates between the first and the last of five frames and scores against the others.
    fn pair(&self, frames: &[RgbImage], cancel: &CancelToken) -> Result<TimeScores> {
        let ends = [&frames[0], &frames[4]];
        let times = [1, 2, 3].map(|index| Ratio::new(index, 4));
        let mut psnr = [0.0; 3];
        Protocol::PLAIN.interpolate_each(self.interpolator, ends, &times, |index, made| {
            psnr[index] = rounded_psnr(made, &frames[index + 1]);
            Ok(())
        })?;
        let blend = |index: usize| ends[0].blend(ends[1], seconds(times[index]) as f32);
        let minterpolate = self.ffmpeg.map(|ffmpeg| {
            let made = minterpolate(ffmpeg, ends, 4, cancel)?;
            Ok::<_, Error>([0, 1, 2].map(|index| rounded_psnr(made[index].clone(), &frames[index + 1])))
        });
        Ok(TimeScores {
            name: String::new(),
            count: 1,
            psnr,
            averaging: [0, 1, 2].map(|index| rounded_psnr(blend(index), &frames[index + 1])),
            minterpolate: minterpolate.transpose()?,
        })
    }
}

/// Returns the PSNR in dB of a frame rounded to 8 bits.
fn rounded_psnr(mut made: RgbImage, truth: &RgbImage) -> f64 {
    round8(&mut made.data);
    psnr(&made.data, &truth.data)
}

/// Reports whether there is motion from the first frame to the second: neither a repeated frame nor a cut.
fn moves(a: &RgbImage, b: &RgbImage) -> bool {
    /// PSNR in dB from which two frames count as equal.
    const REPEAT_DB: f64 = 50.0;
    let cut = SceneOptions::default().is_cut(similarity(a, b));
    !cut && psnr(&a.data, &b.data) < REPEAT_DB
}

/// Lists names and paths of the sequences at `path`: itself if it is a file or a folder of images, else the folder's entries.
pub(super) fn sequences(path: &Path) -> Result<Vec<(String, PathBuf)>> {
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    if path.is_file() {
        return Ok(vec![(name(path), path.to_owned())]);
    }
    let mut inner = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| Error::io("open", path, error))? {
        let entry = entry.map_err(|error| Error::io("read", path, error))?.path();
        inner.push((name(&entry), entry));
    }
    inner.sort();
    let pictures = |path: &PathBuf| path.is_file() && rife::image::names_a_picture(path);
    if inner.iter().any(|(_, path)| pictures(path)) {
        return Ok(vec![(name(path), path.to_owned())]);
    }
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_steps_have_no_spread() {
        assert!(variation(&[0.25, 0.5, 0.75]) < 1e-12);
        let uneven = variation(&[0.4, 0.5, 0.6]);
        assert!(
            (uneven - 0.6).abs() < 1e-12,
            "steps of 0.4, 0.1, 0.1, 0.4: {uneven}"
        );
    }

    #[test]
    fn repeats_and_cuts_do_not_move() {
        let waves = |shift: f64| MOTIONS[0].draw(shift);
        assert!(!moves(&waves(0.0), &waves(0.0)) && moves(&waves(0.0), &waves(0.5)));
        let checks = |v: usize| ((v / 32 % 8 + v / 8192) % 2) as f32;
        let other = RgbImage::new(256, 256, (0..3 << 16).map(checks).collect());
        assert!(similarity(&waves(0.0), &other) < 0.2 && !moves(&waves(0.0), &other));
    }
    #[test]
    fn another_program_is_found_where_it_should_be() {
        let Some(ffmpeg) = rife_testing::Need::Ffmpeg.met(Ffmpeg::find()) else {
            return;
        };
        // A whole number of pixels a step, which block matching meets exactly.
        let pan = MOTIONS.iter().find(|motion| motion.distance() == 32.0).unwrap();
        let made = minterpolate(&ffmpeg, [&pan.draw(0.0), &pan.draw(1.0)], 4, &CancelToken::new()).unwrap();
        let found: Vec<f64> = made.iter().map(|picture| pan.estimate_time(picture)).collect();
        assert!(
            found
                .iter()
                .zip([0.25, 0.5, 0.75])
                .all(|(found, at)| (found - at).abs() < 0.01),
            "{found:?}"
        );
    }
}
