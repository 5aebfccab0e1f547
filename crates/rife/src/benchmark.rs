//! The quality of a model over a data set, by the protocols of the paper's scripts, beside other ways of making the
//! same frames; and its speed, the evenness of its steps, and whether still things stay still.
//!
//! Here: what is measured of a set, and the reports. Which folders are data sets is in `layout`, how each treats its
//! pictures in `protocol`, who else competes in `rivals`.

mod against;
mod layout;
mod picture;
mod protocol;
mod rivals;
mod speed;
mod steps;
mod still;
mod worst;

use rife_media::{CancelToken, RgbImage};
use serde::{Serialize, Serializer};

pub use against::{Against, against};
pub use layout::{Choice, DataSet, Layout, Sample, Target};
pub use picture::Picture;
pub use rivals::Rival;
pub use speed::{LayerTime, Speed, TestTime, layers, measure, testtime};
pub use steps::{MotionSteps, Places, Quartering, Quarters, Steps, TimeScores, steps};
pub use still::{Still, StillItem, StillScores, still};
pub use worst::worst;

use crate::metrics::{Lpips, interpolation_error, psnr, psnr_luma, round8, ssim};
use crate::{Error, Interpolator, Result};
use protocol::Protocol;
use rivals::Maker;

/// What a benchmark measures of one or of many frames (means over them).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct Scores {
    /// Peak signal-to-noise ratio in dB; of luma in the HD sets.
    pub psnr: f64,
    /// Structural similarity.
    pub ssim: f64,
    /// Interpolation error: mean absolute difference in 8-bit levels.
    pub ie: f64,
    /// LPIPS, where its weights were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lpips: Option<f64>,
}

impl Scores {
    /// Scores of a picture in 0..=1 against the truth by a layout's protocol.
    fn of(
        mut picture: Vec<f32>,
        truth: &RgbImage,
        protocol: Protocol,
        lpips: Option<&Lpips>,
    ) -> Result<Self> {
        let size = [truth.height as usize, truth.width as usize];
        let unrounded = protocol
            .ssim_of_unrounded
            .then(|| ssim(&picture, &truth.data, size));
        round8(&mut picture);
        let psnr = if protocol.luma { psnr_luma } else { psnr };
        let distance = lpips.map(|lpips| lpips.distance(&picture, &truth.data, size));
        Ok(Self {
            psnr: psnr(&picture, &truth.data),
            ssim: unrounded.unwrap_or_else(|| ssim(&picture, &truth.data, size)),
            ie: interpolation_error(&picture, &truth.data),
            lpips: distance.transpose()?,
        })
    }

    fn mean<'a>(scores: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let count = scores.clone().count().max(1) as f64;
        let mean = |value: fn(&Self) -> f64| scores.clone().map(value).sum::<f64>() / count;
        let has_lpips = scores.clone().any(|s| s.lpips.is_some());
        Self {
            psnr: mean(|s| s.psnr),
            ssim: mean(|s| s.ssim),
            ie: mean(|s| s.ie),
            lpips: has_lpips.then(|| mean(|s| s.lpips.unwrap_or_default())),
        }
    }
}

/// Scores of others by their names, in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Beside(pub Vec<(String, Scores)>);

impl Beside {
    /// The scores of `name`.
    pub fn get(&self, name: &str) -> Option<Scores> {
        self.0
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, scores)| *scores)
    }
}

impl Serialize for Beside {
    /// As an object.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, scores)| (name, scores)))
    }
}

/// The scores of the model and of the others on the same frames.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Figures {
    /// The model's.
    #[serde(flatten)]
    pub scores: Scores,
    /// The others'.
    pub beside: Beside,
}

impl Figures {
    /// The mean over clips of the means over each clip's frames.
    fn mean(items: &[&Item]) -> Self {
        let mut clips: Vec<(&str, Vec<&Figures>)> = Vec::new();
        for item in items {
            match clips.iter_mut().find(|(clip, _)| *clip == item.clip) {
                Some((_, figures)) => figures.push(&item.figures),
                None => clips.push((&item.clip, vec![&item.figures])),
            }
        }
        let means: Vec<Self> = clips
            .iter()
            .map(|(_, figures)| Self::flat_mean(figures))
            .collect();
        Self::flat_mean(&means.iter().collect::<Vec<_>>())
    }

    fn flat_mean(figures: &[&Self]) -> Self {
        let names = figures
            .first()
            .map(|first| first.beside.0.as_slice())
            .unwrap_or_default();
        let other = |index: usize| Scores::mean(figures.iter().map(|f| &f.beside.0[index].1));
        let beside = names
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (name.clone(), other(index)));
        Self {
            scores: Scores::mean(figures.iter().map(|f| &f.scores)),
            beside: Beside(beside.collect()),
        }
    }
}

/// The scores of one frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Its name in the set.
    pub name: String,
    /// The clip that it is of; empty in sets of triplets.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub clip: String,
    /// The part of the set that it is of, such as `hard`; empty where there is one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Scores.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The mean scores of a part of a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many frames were made.
    pub count: usize,
    /// Mean scores.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The scores of a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The layout found.
    pub layout: Layout,
    /// How its pictures were treated, in a line for people.
    pub protocol: String,
    /// The model and its options.
    pub model: String,
    /// How many frames were made.
    pub count: usize,
    /// Mean scores: over clips where the set has clips, else over all frames.
    #[serde(flatten)]
    pub figures: Figures,
    /// The parts of the set, where it has several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// Each frame's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

impl Report {
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
                figures: Figures::mean(&items),
            }
        };
        Self {
            layout: set.layout,
            protocol: set.describe(),
            model,
            count: items.len(),
            figures: Figures::mean(&items.iter().collect::<Vec<_>>()),
            groups: if names.len() > 1 {
                names.into_iter().map(group).collect()
            } else {
                Vec::new()
            },
            items,
        }
    }
}

/// What is measured over a set, and beside whom.
#[derive(Debug)]
pub struct Contest<'a> {
    /// The model.
    pub interpolator: &'a Interpolator,
    /// Who else makes the same frames.
    pub rivals: Vec<Rival>,
    /// LPIPS, where its weights were given.
    pub lpips: Option<Lpips>,
}

impl Contest<'_> {
    /// Scores everyone over a data set; `progress` is told each item when it is done.
    ///
    /// # Errors
    /// Those of reading and interpolating, [`Error::Data`] for pictures of unequal sizes or missing ones,
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

    fn score(&self, set: &DataSet, sample: &Sample, cancel: &CancelToken) -> Result<Vec<Item>> {
        let [first, second] = set.ends(sample)?;
        let protocol = set.protocol();
        let rivals = self
            .rivals
            .iter()
            .map(|rival| rival.maker(sample, [&first, &second], cancel));
        let rivals: Vec<Maker> = rivals.collect::<Result<_>>()?;
        let mut items = Vec::new();
        let take = |index: usize, made: RgbImage| {
            let target = &sample.targets[index];
            let truth = set.truth(sample, target, &first)?;
            let scores = |made: RgbImage| Scores::of(made.data, &truth, protocol, self.lpips.as_ref());
            let other =
                |(rival, make): (&Rival, &Maker)| Ok((rival.name().to_owned(), scores(make(index)?)?));
            let beside = self
                .rivals
                .iter()
                .zip(&rivals)
                .map(other)
                .collect::<Result<_>>()?;
            items.push(Item {
                name: target.name.clone(),
                clip: sample.clip.clone(),
                group: sample.group.clone(),
                figures: Figures {
                    scores: scores(made)?,
                    beside: Beside(beside),
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
        };
        Item {
            name: String::new(),
            clip: clip.into(),
            group: String::new(),
            figures: Figures {
                scores,
                beside: Beside(vec![("other".into(), scores)]),
            },
        }
    }

    #[test]
    fn means_are_over_clips_of_means_over_frames() {
        let items = [item("a", 30.0), item("a", 40.0), item("b", 20.0)];
        let mean = Figures::mean(&items.iter().collect::<Vec<_>>());
        assert_eq!(mean.scores.psnr, 27.5);
        assert_eq!(mean.beside.get("other").map(|s| s.psnr), Some(27.5));
        let flat = [item("", 30.0), item("", 40.0), item("", 20.0)];
        assert_eq!(Figures::mean(&flat.iter().collect::<Vec<_>>()).scores.psnr, 30.0);
    }

    #[test]
    fn names_of_others_cannot_hide_ours() {
        let figures = item("", 30.0).figures;
        let json = serde_json::to_value(&figures).unwrap();
        assert_eq!(
            (json["psnr"].as_f64(), json["beside"]["other"]["psnr"].as_f64()),
            (Some(30.0), Some(30.0))
        );
    }
}
