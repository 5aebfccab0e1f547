//! Training samples: two frames, the true frame between them and its timestep, drawn from windows of clips, folders of frames
//! and synthetic motion, then augmented. A batch is a function of the recipe's seed and the step.

pub mod augment;
pub mod clips;
pub mod corpus;
pub mod folders;
pub mod loader;
pub mod npy;
pub mod overlay;
pub mod picture;
pub mod synthetic;

use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};

use crate::recipe::Sampling;
use crate::rng::Rng;
pub use corpus::Corpus;
pub use folders::Folders;
pub use loader::Loader;
pub use picture::{Field, Picture};

/// Maximum distance of the outer frames of [`Kind::Any`], in frame intervals.
const MAX_INTERVALS: usize = 32;
/// Number of images that a synthetic sample's layers are cut from.
const LAYERS: usize = 3;

/// Kind of a sample: which frames of a run it consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Three neighbouring frames.
    Adjacent,
    /// The middle frame between two frames four apart.
    Wide,
    /// The first or last of the three frames between two frames four apart.
    Quarter,
    /// Any of the seven frames between two frames eight apart (fewer if the run is shorter).
    Eighth,
    /// Any frames i, k, j in this order, at most 32 intervals apart: the timestep is (k - i) / (j - i).
    Any,
    /// Synthetic motion of layers cut from frames.
    Synthetic,
}

impl Kind {
    /// All kinds, in the order of [`Sampling::shares`].
    pub const ALL: [Self; 6] = [
        Self::Adjacent,
        Self::Wide,
        Self::Quarter,
        Self::Eighth,
        Self::Any,
        Self::Synthetic,
    ];
}

/// A training sample.
#[derive(Debug, Clone)]
pub struct Sample {
    /// First frame, true middle frame, second frame; of one size.
    pub frames: [Picture; 3],
    /// Timestep of the middle frame, between 0 and 1.
    pub time: f32,
    /// True flow from the middle frame to the outer frames; `None` if it is unknown.
    pub flow: Option<Field>,
}

/// A batch of samples, planar.
#[derive(Debug, Clone)]
pub struct Samples {
    /// Number of samples.
    pub count: usize,
    /// Side of the frames in pixels.
    pub crop: usize,
    /// First, middle and second frames: `[count, 3, crop, crop]` in 0..1.
    pub frames: [Vec<f32>; 3],
    /// Timestep of each sample's middle frame.
    pub times: Vec<f32>,
    /// True flow in pixels, `[count, 4, crop, crop]`, 0 where it is unknown.
    pub flow: Vec<f32>,
    /// 1 where the flow is known, else 0: `[count, 1, crop, crop]`.
    pub known: Vec<f32>,
}

/// Sources of frames: windows of clips (index 0 and up), then folders of frames.
#[derive(Debug)]
pub struct Sources {
    corpus: Option<Corpus>,
    folders: Vec<Folders>,
}

impl From<Corpus> for Sources {
    /// Makes sources of a corpus only, without folders of frames.
    fn from(corpus: Corpus) -> Self {
        Self {
            corpus: Some(corpus),
            folders: Vec::new(),
        }
    }
}

impl Sources {
    /// Combines windows and folders of frames, which are drawn with equal probability each.
    ///
    /// Errors: no window and no folder.
    pub fn new(corpus: Option<Corpus>, folders: impl IntoIterator<Item = Folders>) -> Result<Self> {
        let folders = folders.into_iter().collect();
        let sources = Self { corpus, folders };
        ensure!(
            !sources.is_empty(),
            "there is nothing to train on: no usable window and no folder of frames"
        );
        Ok(sources)
    }

    /// Returns the number of windows and folders of frames.
    pub fn len(&self) -> usize {
        self.windows() + self.folders.iter().map(Folders::len).sum::<usize>()
    }

    /// Reports whether there are no windows and folders.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of windows, which have the first indices.
    pub fn windows(&self) -> usize {
        self.corpus.as_ref().map_or(0, Corpus::len)
    }

    /// Finds the folder of an index after the windows: its root, and its index there.
    fn folder(&self, index: usize) -> (&Folders, usize) {
        let mut left = index - self.windows();
        for folders in &self.folders {
            if left < folders.len() {
                return (folders, left);
            }
            left -= folders.len();
        }
        panic!("there are {} windows and folders, not {index}", self.len());
    }

    /// Returns the number of consecutive frames of a window or folder.
    ///
    /// # Panics
    /// When `index` is not below [`Sources::len`].
    pub fn frame_count(&self, index: usize) -> usize {
        match &self.corpus {
            Some(corpus) if index < corpus.len() => corpus.frame_count(),
            _ => {
                let (folders, at) = self.folder(index);
                folders.sequence(at).len()
            }
        }
    }

    /// Reads the frames with indices `picks` of a window or folder.
    ///
    /// Errors: files that cannot be read.
    ///
    /// # Panics
    /// When `index` is not below [`Sources::len`].
    pub fn frames(&self, index: usize, picks: &[usize]) -> Result<Vec<Picture>> {
        match &self.corpus {
            Some(corpus) if index < corpus.len() => corpus.frames(index, picks),
            _ => {
                let (folders, at) = self.folder(index);
                folders.frames(at, picks)
            }
        }
    }

    /// Computes the SHA-256 of the data in hexadecimal: content of the windows, names and file sizes of images in folders.
    ///
    /// Errors: files that cannot be read.
    pub fn hash(&self) -> Result<String> {
        let mut sum = Sha256::new();
        if let Some(corpus) = &self.corpus {
            sum.update(corpus.hash()?);
        }
        for folders in &self.folders {
            folders.hash(&mut sum)?;
        }
        Ok(format!("{:x}", sum.finalize()))
    }

    /// Draws the samples of a step: `count` samples of side `crop`.
    ///
    /// Errors: files that cannot be read, frames smaller than the crop.
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
            let mut sample = self.sample(kind, crop, &mut rng)?;
            if rng.chance(sampling.still) {
                sample = sample.stilled();
            }
            if rng.chance(sampling.overlay) {
                overlay::lay(&mut sample, &mut rng);
            }
            samples.push(augment::augment(sample, &mut rng));
        }
        Ok(Samples::join(&samples, crop))
    }

    /// Draws one sample of a kind, without augmentation.
    fn sample(&self, kind: Kind, crop: usize, rng: &mut Rng) -> Result<Sample> {
        if kind == Kind::Synthetic {
            let textures = (0..LAYERS).map(|_| self.texture(rng));
            return synthetic::sample(&textures.collect::<Result<Vec<_>>>()?, crop, rng);
        }
        let index = rng.below(self.len());
        let (picks, time) = picks(kind, self.frame_count(index), rng);
        let frames = self.frames(index, &picks)?;
        let [height, width] = frames[0].size();
        ensure!(
            height >= crop && width >= crop,
            "pictures of {width}x{height} are smaller than the crop, {crop}"
        );
        let (y, x) = (rng.below(height - crop + 1), rng.below(width - crop + 1));
        let cropped = |i: usize| frames[i].crop(y, x, crop);
        Ok(Sample {
            frames: [cropped(0), cropped(1), cropped(2)],
            time,
            flow: None,
        })
    }

    /// Reads a random frame, to cut a synthetic layer from.
    fn texture(&self, rng: &mut Rng) -> Result<Picture> {
        let index = rng.below(self.len());
        let pick = rng.below(self.frame_count(index));
        Ok(self.frames(index, &[pick])?.remove(0))
    }
}

/// Draws the indices of first, middle and last frame of a sample among `count` consecutive frames, and the middle frame's
/// timestep. Runs too short for the kind give the widest possible sample.
fn picks(kind: Kind, count: usize, rng: &mut Rng) -> ([usize; 3], f32) {
    let max = count - 1;
    let intervals = match kind {
        Kind::Adjacent | Kind::Synthetic => 2,
        Kind::Wide | Kind::Quarter if max < 4 => 2,
        Kind::Wide | Kind::Quarter => 4,
        Kind::Eighth => max.min(8),
        Kind::Any => 2 + rng.below(max.min(MAX_INTERVALS) - 1),
    };
    let first = rng.below(count - intervals);
    let middle = match kind {
        Kind::Eighth | Kind::Any => 1 + rng.below(intervals - 1),
        Kind::Quarter if intervals == 4 => [1, 3][rng.below(2)],
        _ => intervals / 2,
    };
    (
        [first, first + middle, first + intervals],
        middle as f32 / intervals as f32,
    )
}

impl Sample {
    /// Replaces all frames by the first, with zero flow: a sample without motion.
    fn stilled(self) -> Self {
        let [first, ..] = self.frames;
        let [side, _] = first.size();
        Self {
            frames: [first.clone(), first.clone(), first],
            time: self.time,
            flow: Some(Field {
                side,
                flow: vec![0.0; 4 * side * side],
                known: vec![1.0; side * side],
            }),
        }
    }
}

impl Samples {
    /// Concatenates samples to a batch.
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
        for kind in Kind::ALL {
            for count in [3, 5, 7, 9, 65] {
                let (mut times, mut spans) =
                    (std::collections::HashSet::new(), std::collections::HashSet::new());
                for _ in 0..2000 {
                    let ([a, b, c], time) = picks(kind, count, &mut rng);
                    assert!(a < b && b < c && c < count, "{a} {b} {c} of {count}");
                    assert_eq!((b - a) as f32 / (c - a) as f32, time);
                    times.insert(time.to_bits());
                    spans.insert(c - a);
                }
                let expected = match (kind, count) {
                    (Kind::Adjacent | Kind::Synthetic, _) | (_, 3) => (1, 1),
                    (Kind::Wide, _) => (1, 1),
                    (Kind::Quarter, _) => (2, 1),
                    (Kind::Eighth, _) => ((count - 2).min(7), 1),
                    (Kind::Any, 7) => (11, 5),
                    (Kind::Any, _) => (times.len(), (count - 2).min(MAX_INTERVALS - 1)),
                };
                assert_eq!((times.len(), spans.len()), expected, "{kind:?} of {count}");
            }
        }
    }
}
