//! Samples for training: two frames, the true one between them and its time, drawn from windows of frames, folders
//! of triplets and synthetic motion, and augmented. A batch is a function of the recipe's seed and the step.

pub mod augment;
pub mod clips;
pub mod corpus;
pub mod npy;
pub mod picture;
pub mod synthetic;
pub mod triplets;

use anyhow::{Result, ensure};

use crate::recipe::Sampling;
use crate::rng::Rng;
pub use corpus::Corpus;
pub use picture::{Field, Picture};
pub use triplets::Triplets;

/// Kinds of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Three neighbouring frames.
    Adjacent,
    /// Frames two apart.
    Wide,
    /// The first of three frames between two four apart, or the last.
    Quarter,
    /// Layers in motion.
    Synthetic,
}

impl Kind {
    /// Every kind, in the order of [`Sampling::shares`].
    pub const ALL: [Self; 4] = [Self::Adjacent, Self::Wide, Self::Quarter, Self::Synthetic];
}

/// One sample.
#[derive(Debug, Clone)]
pub struct Sample {
    /// First frame, true middle frame, second frame; of one size.
    pub frames: [Picture; 3],
    /// The middle frame's time, between 0 and 1.
    pub time: f32,
    /// The flow from the middle frame, where it is known.
    pub flow: Option<Field>,
}

/// Samples of one step, as planes.
#[derive(Debug, Clone)]
pub struct Samples {
    /// How many.
    pub count: usize,
    /// Side in pixels.
    pub crop: usize,
    /// First, middle and second frames: `[count, 3, crop, crop]` in 0..1.
    pub frames: [Vec<f32>; 3],
    /// A time for each sample.
    pub times: Vec<f32>,
    /// Flow `[count, 4, crop, crop]`, zero where unknown.
    pub flow: Vec<f32>,
    /// Where the flow is known, `[count, 1, crop, crop]` of 0 and 1.
    pub known: Vec<f32>,
}

/// Where frames come from.
#[derive(Debug)]
pub struct Sources {
    corpus: Option<Corpus>,
    triplets: Option<Triplets>,
}

impl Sources {
    /// Windows, triplets or both; drawn from in proportion to their numbers.
    ///
    /// Errors: where there are neither.
    pub fn new(corpus: Option<Corpus>, triplets: Option<Triplets>) -> Result<Self> {
        let sources = Self { corpus, triplets };
        ensure!(
            !sources.is_empty(),
            "there is nothing to train on: no usable window and no triplet"
        );
        Ok(sources)
    }

    /// How many windows and triplets there are.
    pub fn len(&self) -> usize {
        let triplets = self.triplets.as_ref().map_or(0, Triplets::len);
        self.corpus.as_ref().map_or(0, Corpus::len) + triplets
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Consecutive frames: a window or a triplet.
    fn frames(&self, rng: &mut Rng) -> Result<Vec<Picture>> {
        let at = rng.below(self.len());
        let windows = self.corpus.as_ref().map_or(0, Corpus::len);
        match (&self.corpus, &self.triplets) {
            (Some(corpus), _) if at < windows => corpus.window(at),
            (_, Some(triplets)) => triplets.triplet(at - windows),
            _ => unreachable!("the index lies in one of them"),
        }
    }

    /// The samples of a step.
    ///
    /// Errors: files that cannot be read, or pictures smaller than the crop.
    pub fn batch(
        &self,
        sampling: &Sampling,
        seed: u64,
        step: u64,
        [count, crop]: [usize; 2],
    ) -> Result<Samples> {
        let mut rng = Rng::new(seed, step + 1);
        let mut samples = Vec::with_capacity(count);
        for _ in 0..count {
            let kind = Kind::ALL[rng.weighted(&sampling.shares())];
            let sample = self.sample(kind, crop, &mut rng)?;
            samples.push(augment::augment(sample, &mut rng));
        }
        Ok(Samples::join(&samples, crop))
    }

    fn sample(&self, kind: Kind, crop: usize, rng: &mut Rng) -> Result<Sample> {
        let frames = self.frames(rng)?;
        if kind == Kind::Synthetic {
            let other = self.frames(rng)?;
            return synthetic::sample(&frames[0], &other[0], crop, rng);
        }
        let (picks, time) = picks(kind, frames.len(), rng);
        let [height, width] = frames[0].size();
        ensure!(
            height >= crop && width >= crop,
            "pictures of {width}x{height} are smaller than the crop, {crop}"
        );
        let (y, x) = (rng.below(height - crop + 1), rng.below(width - crop + 1));
        let frames = picks.map(|i| frames[i].crop(y, x, crop));
        Ok(Sample {
            frames,
            time,
            flow: None,
        })
    }
}

/// Which frames of a window make a sample, and the middle one's time.
fn picks(kind: Kind, count: usize, rng: &mut Rng) -> ([usize; 3], f32) {
    if count < 5 {
        return ([0, 1, 2], 0.5);
    }
    match kind {
        Kind::Wide => ([0, 2, 4], 0.5),
        Kind::Quarter if rng.chance(0.5) => ([0, 1, 4], 0.25),
        Kind::Quarter => ([0, 3, 4], 0.75),
        Kind::Adjacent | Kind::Synthetic => {
            let first = rng.below(count - 2);
            ([first, first + 1, first + 2], 0.5)
        }
    }
}

impl Samples {
    fn join(samples: &[Sample], crop: usize) -> Self {
        let plane = crop * crop;
        let planes = |i: usize| {
            samples
                .iter()
                .flat_map(|sample| sample.frames[i].planes())
                .collect()
        };
        let flow = |sample: &Sample| match &sample.flow {
            Some(field) => field.flow.clone(),
            None => vec![0.0; 4 * plane],
        };
        let known = |sample: &Sample| match &sample.flow {
            Some(field) => field.known.clone(),
            None => vec![0.0; plane],
        };
        Self {
            count: samples.len(),
            crop,
            frames: [planes(0), planes(1), planes(2)],
            times: samples.iter().map(|sample| sample.time).collect(),
            flow: samples.iter().flat_map(flow).collect(),
            known: samples.iter().flat_map(known).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_are_where_their_time_says() {
        let mut rng = Rng::new(1, 1);
        for kind in [Kind::Adjacent, Kind::Wide, Kind::Quarter] {
            for _ in 0..50 {
                let ([a, b, c], time) = picks(kind, 5, &mut rng);
                assert!(a < b && b < c && c < 5, "{a} {b} {c}");
                assert_eq!((b - a) as f32 / (c - a) as f32, time);
            }
        }
    }
}
