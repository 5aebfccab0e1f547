//! Whether frames lie where they should in time: step sizes over synthetic linear motion, and the quality at
//! quarters beside that at the middle over real sequences.

mod scene;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use num_rational::Ratio;
use rife_media::scene::{PairKind, SceneOptions, similarity};
use rife_media::{CancelToken, Ffmpeg, RgbImage, minterpolate};
use serde::Serialize;

use super::against::Clip;
use crate::interpolator::to_f32;
use crate::metrics::{psnr, round8};
use crate::{Error, Interpolator, Result};
use scene::{MOTIONS, Motion};

/// How evenly a sequence moves over synthetic linear motion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Steps {
    /// Into how many steps each motion was divided.
    pub factor: u32,
    /// Mean over the motions of the spread of step sizes.
    pub spread: f64,
    /// The greatest spread.
    pub spread_max: f64,
    /// Each motion's.
    pub motions: Vec<MotionSteps>,
}

/// The steps of one motion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MotionSteps {
    /// What moves.
    pub name: String,
    /// How far, in pixels.
    pub distance: f64,
    /// The model's.
    #[serde(flatten)]
    pub places: Places,
    /// Those of ffmpeg's minterpolate, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minterpolate: Option<Places>,
}

/// Where the made frames of one motion were found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Places {
    /// Standard deviation of the step sizes over their mean.
    pub spread: f64,
    /// Each made frame's place as a fraction of the whole motion.
    pub positions: Vec<f64>,
}

impl Places {
    fn new(positions: Vec<f64>) -> Self {
        Self {
            spread: spread(&positions),
            positions,
        }
    }
}

/// Divides linear motions that are drawn here into `factor` steps and measures each; with `ffmpeg`, also as its
/// minterpolate divides them.
///
/// # Errors
/// [`Error::Usage`] for a factor outside 2 to 64, those of interpolating, [`Error::Cancelled`].
pub fn steps(
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
            Ok::<_, Error>(Places::new(
                made.iter().map(|picture| motion.find(picture)).collect(),
            ))
        });
        Ok(MotionSteps {
            name: motion.name.to_owned(),
            distance: motion.distance(),
            places: places(motion, interpolator, factor)?,
            minterpolate: minterpolate.transpose()?,
        })
    };
    let motions: Vec<MotionSteps> = MOTIONS.iter().map(motion).collect::<Result<_>>()?;
    let spreads = motions.iter().map(|motion| motion.places.spread);
    Ok(Steps {
        factor,
        spread: spreads.clone().sum::<f64>() / motions.len() as f64,
        spread_max: spreads.fold(0.0, f64::max),
        motions,
    })
}

fn places(motion: &Motion, interpolator: &Interpolator, factor: u32) -> Result<Places> {
    let prepare = |time: f64| interpolator.prepare(Arc::new(motion.draw(time)));
    let (first, second) = (prepare(0.0)?, prepare(1.0)?);
    let mut between = interpolator.between(&first, &second);
    let mut find = |index: u32| Ok(motion.find(&*between.at(Ratio::new(index.into(), factor.into()))?));
    Ok(Places::new((1..factor).map(&mut find).collect::<Result<_>>()?))
}

/// Standard deviation over mean of the steps from 0 by the positions to 1.
fn spread(positions: &[f64]) -> f64 {
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

/// PSNR at a quarter, the middle and three quarters between frames four apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeScores {
    /// Which sequence; empty for the mean.
    pub name: String,
    /// How many pairs.
    pub count: usize,
    /// PSNR in dB at 1/4, 1/2 and 3/4.
    pub psnr: [f64; 3],
    /// That of averaging, weighted by time.
    pub averaging: [f64; 3],
}

impl TimeScores {
    /// By how much the worse quarter is under the middle, in dB; negative where quarters are better.
    pub fn gap(&self) -> f64 {
        self.psnr[1] - self.psnr[0].min(self.psnr[2])
    }
}

/// Scores frames 1, 2 and 3 between every frame 0 and 4 of the sequences in `path`: a clip, a folder of pictures, or
/// a folder of such. At most `limit` pairs of each. Pairs with a cut or a repeated frame are left out. Returns each
/// sequence's and their mean, last.
///
/// # Errors
/// Those of reading and interpolating; [`Error::Data`] where there is nothing to score; [`Error::Cancelled`].
pub fn times(
    path: &Path,
    interpolator: &Interpolator,
    limit: Option<usize>,
    cancel: &CancelToken,
) -> Result<Vec<TimeScores>> {
    let mut found = Vec::new();
    for (name, path) in sequences(path)? {
        let scores = times_of(&path, interpolator, limit.unwrap_or(usize::MAX), cancel)?;
        found.extend(mean_of(name, &scores));
    }
    if found.is_empty() {
        return Err(Error::Data(format!(
            "{} has no five frames in a row without a cut or a repeat; accepted are a clip, a folder of pictures, and a \
             folder of such",
            path.display()
        )));
    }
    let pairs = found.iter().map(|scores| scores.count).sum();
    let every: Vec<[[f64; 3]; 2]> = found
        .iter()
        .map(|scores| [scores.psnr, scores.averaging])
        .collect();
    found.extend(mean_of(String::new(), &every).map(|mean| TimeScores { count: pairs, ..mean }));
    Ok(found)
}

/// The mean of PSNRs of the model and of averaging, where there are any.
fn mean_of(name: String, scores: &[[[f64; 3]; 2]]) -> Option<TimeScores> {
    let mean =
        |who: usize| [0, 1, 2].map(|at| scores.iter().map(|s| s[who][at]).sum::<f64>() / scores.len() as f64);
    let all = TimeScores {
        name,
        count: scores.len(),
        psnr: mean(0),
        averaging: mean(1),
    };
    (!scores.is_empty()).then_some(all)
}

fn times_of(
    path: &Path,
    interpolator: &Interpolator,
    limit: usize,
    cancel: &CancelToken,
) -> Result<Vec<[[f64; 3]; 2]>> {
    let mut clip = Clip::open(path, cancel)?;
    let mut scores = Vec::new();
    let Some(mut first) = clip.next()? else {
        return Ok(scores);
    };
    while scores.len() < limit {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let mut frames = vec![first];
        frames.extend(clip.take(4)?);
        if frames.len() < 5 {
            break;
        }
        if frames.windows(2).all(|pair| moves(&pair[0], &pair[1])) {
            scores.push(quarters(&frames, interpolator)?);
        }
        first = frames.remove(4);
    }
    Ok(scores)
}

/// Whether the second frame is neither a repeat of the first nor of another scene.
fn moves(a: &RgbImage, b: &RgbImage) -> bool {
    const REPEAT_DB: f64 = 50.0;
    let cut = SceneOptions::default().classify(similarity(a, b)) == PairKind::Cut;
    !cut && psnr(&a.data, &b.data) < REPEAT_DB
}

fn quarters(frames: &[RgbImage], interpolator: &Interpolator) -> Result<[[f64; 3]; 2]> {
    let prepare = |index: usize| interpolator.prepare(Arc::new(frames[index].clone()));
    let (first, second) = (prepare(0)?, prepare(4)?);
    let mut between = interpolator.between(&first, &second);
    let score = |mut data: Vec<f32>, index: usize| {
        round8(&mut data);
        psnr(&data, &frames[index].data)
    };
    let mut scores = [[0.0; 3]; 2];
    for index in 1..4 {
        let time = Ratio::new(index as i64, 4);
        scores[0][index - 1] = score(between.at(time)?.data.clone(), index);
        scores[1][index - 1] = score(frames[0].blend(&frames[4], to_f32(time)).data, index);
    }
    Ok(scores)
}

/// The clips at `path`: itself where it is a file or a folder of pictures, else what is in it.
fn sequences(path: &Path) -> Result<Vec<(String, PathBuf)>> {
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
    let pictures = |path: &PathBuf| path.is_file() && crate::image::names_a_picture(path);
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
        assert!(spread(&[0.25, 0.5, 0.75]) < 1e-12);
        let uneven = spread(&[0.4, 0.5, 0.6]);
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
        let Ok(ffmpeg) = Ffmpeg::find() else {
            println!("skipped: ffmpeg is not installed");
            return;
        };
        // A whole number of pixels a step, which block matching meets exactly.
        let pan = MOTIONS.iter().find(|motion| motion.distance() == 32.0).unwrap();
        let made = minterpolate(&ffmpeg, [&pan.draw(0.0), &pan.draw(1.0)], 4, &CancelToken::new()).unwrap();
        let found: Vec<f64> = made.iter().map(|picture| pan.find(picture)).collect();
        assert!(
            found
                .iter()
                .zip([0.25, 0.5, 0.75])
                .all(|(found, at)| (found - at).abs() < 0.01),
            "{found:?}"
        );
    }
}
