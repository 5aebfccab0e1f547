//! Benchmarks of a model: quality over public data sets (PSNR, SSIM, IE, LPIPS) by the protocols of the RIFE paper's
//! scripts, compared with baselines on the same frames; speed; evenness of motion; stability of static content.
//!
//! This file scores a data set. `layout` recognises data sets by their files, `protocol` pads and rounds frames as each set's
//! script does, `baselines` are the other methods, `clip_comparison` compares two clips,
//! `triplets` cuts data sets from clips.

mod baselines;
mod clip_comparison;
mod frame_file;
mod layout;
mod motion_steps;
mod protocol;
mod speed;
mod static_content;
mod triplets;
mod worst_frames;

use rife::media::{CancelToken, RgbImage};
use serde::{Serialize, Serializer};

pub use baselines::Baseline;
pub use clip_comparison::{ClipComparison, compare_clips};
pub use frame_file::FrameFile;
pub use layout::{DataSet, DataSetOptions, Layout, Sample, Target};
pub use motion_steps::{
    MotionSteps, QuarterBenchmark, Quarters, StepPositions, Steps, TimeScores, measure_steps,
};
pub use speed::{LayerTime, Speed, TestTime, measure_layers, measure_speed, testtime};
pub use static_content::{Still, StillItem, StillScores, measure_still};
pub use triplets::{ClipTriplets, TripletOptions, cut_triplets};
pub use worst_frames::write_worst;

use crate::metrics::{Lpips, interpolation_error, psnr, psnr_luma, round8, ssim, ssimulacra2};
use baselines::FrameMaker;
use protocol::Protocol;
use rife::{Error, Interpolator, Result};

/// Quality metrics of one frame, or their means over several.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct Scores {
    /// Peak signal-to-noise ratio in dB; of luma in the HD sets.
    pub psnr: f64,
    /// Structural similarity, at most 1.
    pub ssim: f64,
    /// Interpolation error: mean absolute difference in 8-bit levels.
    pub ie: f64,
    /// LPIPS distance (lower is better), if its weights are available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lpips: Option<f64>,
    /// SSIMULACRA 2 (100 is equal, higher is better), if no side is shorter than 128 pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssimulacra2: Option<f64>,
}

impl Scores {
    /// Compares a frame, planar RGB in 0..=1, with the truth by a data set's protocol.
    fn of(mut frame: Vec<f32>, truth: &RgbImage, protocol: Protocol, lpips: Option<&Lpips>) -> Result<Self> {
        let size = [truth.height as usize, truth.width as usize];
        let unrounded = protocol
            .ssim_of_unrounded
            .then(|| ssim(&frame, &truth.data, size));
        round8(&mut frame);
        let psnr = if protocol.luma { psnr_luma } else { psnr };
        let distance = lpips.map(|lpips| lpips.distance(&frame, &truth.data, size));
        Ok(Self {
            psnr: psnr(&frame, &truth.data),
            ssim: unrounded.unwrap_or_else(|| ssim(&frame, &truth.data, size)),
            ie: interpolation_error(&frame, &truth.data),
            lpips: distance.transpose()?,
            ssimulacra2: ssimulacra2(&frame, &truth.data, size),
        })
    }

    /// Returns the mean of each metric.
    fn mean<'a>(scores: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let count = scores.clone().count().max(1) as f64;
        let mean = |value: fn(&Self) -> f64| scores.clone().map(value).sum::<f64>() / count;
        let mean_of = |value: fn(&Self) -> Option<f64>| {
            let values: Option<Vec<f64>> = scores.clone().map(value).collect();
            values
                .filter(|values| !values.is_empty())
                .map(|values| values.iter().sum::<f64>() / count)
        };
        Self {
            psnr: mean(|s| s.psnr),
            ssim: mean(|s| s.ssim),
            ie: mean(|s| s.ie),
            lpips: mean_of(|s| s.lpips),
            ssimulacra2: mean_of(|s| s.ssimulacra2),
        }
    }
}

/// Scores of the baselines by name, in the order of [`QualityBenchmark::baselines`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BaselineScores(pub Vec<(String, Scores)>);

impl BaselineScores {
    /// Returns the scores of the baseline `name`.
    pub fn get(&self, name: &str) -> Option<Scores> {
        self.0
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, scores)| *scores)
    }
}

impl Serialize for BaselineScores {
    /// Serializes the scores as an object with the names as keys.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, scores)| (name, scores)))
    }
}

/// Scores of the model and of the baselines on the same frames.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Comparison {
    /// The model's scores.
    #[serde(flatten)]
    pub scores: Scores,
    /// The baselines' scores.
    #[serde(rename = "beside")]
    pub baselines: BaselineScores,
}

impl Comparison {
    /// Returns the mean over clips of the means over each clip's frames.
    fn mean(items: &[&Item]) -> Self {
        let mut clips: Vec<(&str, Vec<&Comparison>)> = Vec::new();
        for item in items {
            match clips.iter_mut().find(|(clip, _)| *clip == item.clip) {
                Some((_, frames)) => frames.push(&item.comparison),
                None => clips.push((&item.clip, vec![&item.comparison])),
            }
        }
        let means: Vec<Self> = clips.iter().map(|(_, frames)| Self::flat_mean(frames)).collect();
        Self::flat_mean(&means.iter().collect::<Vec<_>>())
    }

    /// Returns the mean of each method's scores; all elements must have the same baselines.
    fn flat_mean(comparisons: &[&Self]) -> Self {
        let names = comparisons
            .first()
            .map(|first| first.baselines.0.as_slice())
            .unwrap_or_default();
        let other = |index: usize| Scores::mean(comparisons.iter().map(|c| &c.baselines.0[index].1));
        let baselines = names
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (name.clone(), other(index)));
        Self {
            scores: Scores::mean(comparisons.iter().map(|c| &c.scores)),
            baselines: BaselineScores(baselines.collect()),
        }
    }
}

/// Scores of one frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// The frame's name in the data set.
    pub name: String,
    /// The name of the frame's clip; empty in sets of triplets.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub clip: String,
    /// The subset that the frame belongs to, such as `hard`; empty if the set has no subsets.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The scores.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// Mean scores of a subset of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The subset's name.
    pub name: String,
    /// Number of frames.
    pub count: usize,
    /// Mean scores.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// Scores of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The data set that was recognised.
    pub layout: Layout,
    /// The protocol by which frames were scored, in a line for people.
    pub protocol: String,
    /// The model and its options, for people.
    pub model: String,
    /// Number of frames.
    pub count: usize,
    /// Mean scores: over clips if the set has clips, else over all frames.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Mean scores of the subsets, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// Scores of each frame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

impl Report {
    /// Computes the means of a data set's scores.
    fn new(set: &DataSet, model: String, items: Vec<Item>) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for item in &items {
            if !names.contains(&item.group.as_str()) {
                names.push(&item.group);
            }
        }
        let group = |name: &str| {
            let items: Vec<&Item> = items.iter().filter(|item| item.group == name).collect();
            Group {
                name: name.to_owned(),
                count: items.len(),
                comparison: Comparison::mean(&items),
            }
        };
        Self {
            layout: set.layout,
            protocol: set.describe(),
            model,
            count: items.len(),
            comparison: Comparison::mean(&items.iter().collect::<Vec<_>>()),
            groups: if names.len() > 1 {
                names.into_iter().map(group).collect()
            } else {
                Vec::new()
            },
            items,
        }
    }
}

/// Quality benchmark: a model and baselines that interpolate the same frames.
#[derive(Debug)]
pub struct QualityBenchmark<'a> {
    /// The model.
    pub interpolator: &'a Interpolator,
    /// The other methods.
    pub baselines: Vec<Baseline>,
    /// The LPIPS metric, if its weights are available.
    pub lpips: Option<Lpips>,
}

impl QualityBenchmark<'_> {
    /// Scores model and baselines over a data set; `progress` is called with each frame's scores.
    ///
    /// # Errors
    /// Those of reading and interpolating, [`Error::Data`] for missing frames and frames of unequal sizes,
    /// [`Error::Cancelled`].
    pub fn run(
        &self,
        set: &DataSet,
        progress: &mut dyn FnMut(&Item),
        cancel: &CancelToken,
    ) -> Result<Report> {
        let mut items = Vec::new();
        for sample in &set.samples {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            for item in self.score(set, sample, cancel)? {
                progress(&item);
                items.push(item);
            }
        }
        Ok(Report::new(set, self.interpolator.describe(), items))
    }

    /// Scores all target frames of a sample.
    fn score(&self, set: &DataSet, sample: &Sample, cancel: &CancelToken) -> Result<Vec<Item>> {
        let [first, second] = set.ends(sample)?;
        let protocol = set.protocol();
        let makers = self
            .baselines
            .iter()
            .map(|baseline| baseline.maker(sample, [&first, &second], cancel));
        let makers: Vec<FrameMaker> = makers.collect::<Result<_>>()?;
        let mut items = Vec::new();
        let take = |index: usize, made: RgbImage| {
            let target = &sample.targets[index];
            let truth = set.truth(sample, target, &first)?;
            let scores = |made: RgbImage| Scores::of(made.data, &truth, protocol, self.lpips.as_ref());
            let other = |(baseline, make): (&Baseline, &FrameMaker)| {
                Ok((baseline.name().to_owned(), scores(make(index)?)?))
            };
            let baselines = self
                .baselines
                .iter()
                .zip(&makers)
                .map(other)
                .collect::<Result<_>>()?;
            items.push(Item {
                name: target.name.clone(),
                clip: sample.clip.clone(),
                group: sample.group.clone(),
                comparison: Comparison {
                    scores: scores(made)?,
                    baselines: BaselineScores(baselines),
                },
            });
            Ok(())
        };
        protocol.interpolate_each(self.interpolator, [&first, &second], &sample.times(), take)?;
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(clip: &str, psnr: f64) -> Item {
        let scores = Scores {
            psnr,
            ssim: 0.5,
            ie: 1.0,
            lpips: None,
            ssimulacra2: None,
        };
        Item {
            name: String::new(),
            clip: clip.into(),
            group: String::new(),
            comparison: Comparison {
                scores,
                baselines: BaselineScores(vec![("other".into(), scores)]),
            },
        }
    }

    #[test]
    fn means_are_over_clips_of_means_over_frames() {
        let items = [item("a", 30.0), item("a", 40.0), item("b", 20.0)];
        let mean = Comparison::mean(&items.iter().collect::<Vec<_>>());
        assert_eq!(mean.scores.psnr, 27.5);
        assert_eq!(mean.baselines.get("other").map(|s| s.psnr), Some(27.5));
        let flat = [item("", 30.0), item("", 40.0), item("", 20.0)];
        assert_eq!(
            Comparison::mean(&flat.iter().collect::<Vec<_>>()).scores.psnr,
            30.0
        );
    }

    #[test]
    fn names_of_others_cannot_hide_ours() {
        let comparison = item("", 30.0).comparison;
        let json = serde_json::to_value(&comparison).unwrap();
        assert_eq!(
            (json["psnr"].as_f64(), json["beside"]["other"]["psnr"].as_f64()),
            (Some(30.0), Some(30.0))
        );
    }
}
