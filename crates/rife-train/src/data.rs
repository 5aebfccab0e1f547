//! Samples for training: two frames, the true one between them and its time, drawn from windows of frames, folders
//! of frames and synthetic motion, and augmented. A batch is a function of the recipe's seed and the step.

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

/// The longest run of [`Kind::Any`], in intervals.
const LONGEST: usize = 32;
/// Pictures that a synthetic sample's layers are cut from.
const LAYERS: usize = 3;

/// Kinds of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Three neighbouring frames.
    Adjacent,
    /// Frames two apart.
    Wide,
    /// The first of three frames between two four apart, or the last.
    Quarter,
    /// Any of the seven frames between two eight apart, or as far apart as the run allows.
    Eighth,
    /// Any frames i, k, j in this order, up to 32 intervals apart: the time is (k - i) / (j - i).
    Any,
    /// Layers in motion.
    Synthetic,
}

impl Kind {
    /// Every kind, in the order of [`Sampling::shares`].
    pub const ALL: [Self; 6] = [
        Self::Adjacent,
        Self::Wide,
        Self::Quarter,
        Self::Eighth,
        Self::Any,
        Self::Synthetic,
    ];
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
    folders: Vec<Folders>,
}

impl From<Corpus> for Sources {
    fn from(corpus: Corpus) -> Self {
        Self {
            corpus: Some(corpus),
            folders: Vec::new(),
        }
    }
}

impl Sources {
    /// Windows, folders of frames or both; drawn from in proportion to their numbers.
    ///
    /// Errors: where there are neither.
    pub fn new(corpus: Option<Corpus>, folders: impl IntoIterator<Item = Folders>) -> Result<Self> {
        let folders = folders.into_iter().collect();
        let sources = Self { corpus, folders };
        ensure!(
            !sources.is_empty(),
            "there is nothing to train on: no usable window and no folder of frames"
        );
        Ok(sources)
    }

    /// How many windows and folders of frames there are.
    pub fn len(&self) -> usize {
        self.windows() + self.folders.iter().map(Folders::len).sum::<usize>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many windows of clips there are; they come first.
    pub fn windows(&self) -> usize {
        self.corpus.as_ref().map_or(0, Corpus::len)
    }

    /// The folder that an index beyond the windows lies in.
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

    /// How many consecutive frames a window or folder has.
    ///
    /// # Panics
    /// Where `index` is not under [`Sources::len`].
    pub fn frame_count(&self, index: usize) -> usize {
        match &self.corpus {
            Some(corpus) if index < corpus.len() => corpus.frame_count(),
            _ => {
                let (folders, at) = self.folder(index);
                folders.run(at).len()
            }
        }
    }

    /// Some frames of a window or folder.
    ///
    /// Errors: files that cannot be read.
    ///
    /// # Panics
    /// Where `index` is not under [`Sources::len`].
    pub fn frames(&self, index: usize, picks: &[usize]) -> Result<Vec<Picture>> {
        match &self.corpus {
            Some(corpus) if index < corpus.len() => corpus.frames(index, picks),
            _ => {
                let (folders, at) = self.folder(index);
                folders.frames(at, picks)
            }
        }
    }

    /// What the data was, as SHA-256: the windows' content, and the names and sizes of pictures in folders.
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

    /// A frame to cut layers from.
    fn texture(&self, rng: &mut Rng) -> Result<Picture> {
        let index = rng.below(self.len());
        let pick = rng.below(self.frame_count(index));
        Ok(self.frames(index, &[pick])?.remove(0))
    }
}

/// Which of `count` consecutive frames make a sample, and the middle one's time. Runs that are too short for the
/// kind give what is nearest to it.
fn picks(kind: Kind, count: usize, rng: &mut Rng) -> ([usize; 3], f32) {
    let most = count - 1;
    let intervals = match kind {
        Kind::Adjacent | Kind::Synthetic => 2,
        Kind::Wide | Kind::Quarter if most < 4 => 2,
        Kind::Wide | Kind::Quarter => 4,
        Kind::Eighth => most.min(8),
        Kind::Any => 2 + rng.below(most.min(LONGEST) - 1),
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
    /// The first frame three times: nothing moves.
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
                    (Kind::Any, _) => (times.len(), (count - 2).min(LONGEST - 1)),
                };
                assert_eq!((times.len(), spans.len()), expected, "{kind:?} of {count}");
            }
        }
    }
}
