//! Detection of cuts at random access: whether a cut lies before a frame is decided from a fixed window of frames around it, so
//! that it does not depend on which frames were requested before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rife::media::Time;
use rife::media::scene::{Analysis, AnalysisOptions, CutRule, FrameFeatures, Verdict};

/// Number of frames whose features are kept: about 60 kB each.
const FEATURES: usize = 256;
/// Number of decisions that are kept.
const DECISIONS: usize = 4096;

/// The detector of a clip.
pub(crate) struct CutDetector {
    options: AnalysisOptions,
    /// Similarity (SSIM) below which there may be a cut.
    similarity: f32,
    /// Number of the clip's frames.
    count: u32,
    known: Mutex<Known>,
}

/// What was found so far.
struct Known {
    features: Bounded<Arc<FrameFeatures>>,
    cuts: Bounded<bool>,
}

/// A decision that waits for frames.
pub(crate) struct Open {
    /// The frame before which a cut is looked for.
    frame: u32,
    /// The first frame of the window.
    start: u32,
    features: BTreeMap<u32, Arc<FrameFeatures>>,
    /// The frames of the window whose features are not known.
    pub(crate) missing: Vec<u32>,
}

/// Answer to whether there is a cut.
pub(crate) enum Answer {
    Known(bool),
    Open(Open),
}

impl CutDetector {
    /// Makes the detector of a clip of `count` frames; `similarity` is the threshold of [`CutRule::Detect`].
    pub(crate) fn new(similarity: f32, count: u32) -> Self {
        Self {
            options: AnalysisOptions {
                cuts: CutRule::Detect(similarity),
                duplicates: false,
            },
            similarity,
            count,
            known: Mutex::new(Known {
                features: Bounded::new(FEATURES),
                cuts: Bounded::new(DECISIONS),
            }),
        }
    }

    /// Looks for a cut before `frame`; `read` returns the features of this frame or the one before. Most frames are alike, and
    /// need no others.
    pub(crate) fn ask(&self, frame: u32, read: impl Fn(u32) -> FrameFeatures) -> Answer {
        if let Some(cut) = self.known().cuts.get(frame) {
            return Answer::Known(*cut);
        }
        let pair = [frame - 1, frame].map(|number| {
            let found = self.known().features.get(number).cloned();
            let features = found.unwrap_or_else(|| Arc::new(read(number)));
            self.known().features.insert(number, features.clone());
            (number, features)
        });
        let verdicts = self.verdicts(pair);
        let mut known = self.known();
        if verdicts
            .last()
            .is_none_or(|verdict| verdict.similarity >= self.similarity)
        {
            known.cuts.insert(frame, false);
            return Answer::Known(false);
        }
        let ahead = Analysis::look_ahead(&self.options) as u32;
        let behind = Analysis::look_behind(&self.options) as u32;
        let (start, end) = (frame.saturating_sub(behind), self.count.min(frame + ahead + 1));
        let mut open = Open {
            frame,
            start,
            features: BTreeMap::new(),
            missing: Vec::new(),
        };
        for number in start..end {
            match known.features.get(number) {
                Some(features) => drop(open.features.insert(number, features.clone())),
                None => open.missing.push(number),
            }
        }
        Answer::Open(open)
    }

    /// Classifies successive frames.
    fn verdicts(&self, frames: impl IntoIterator<Item = (u32, Arc<FrameFeatures>)>) -> Vec<Verdict> {
        let mut analysis = Analysis::new(self.options.clone());
        let mut verdicts = Vec::new();
        for (number, features) in frames {
            let time = Time::from(i64::from(number));
            verdicts.extend(analysis.push(number.into(), time, false, features.as_ref().clone()));
        }
        verdicts.extend(analysis.finish());
        verdicts
    }

    /// Waits for other threads.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides; `read` returns the features of the frames that were missing.
    pub(crate) fn decide(
        &self,
        mut open: Open,
        mut read: impl FnMut(u32) -> Result<FrameFeatures, String>,
    ) -> Result<bool, String> {
        let mut read_now = Vec::new();
        for number in std::mem::take(&mut open.missing) {
            let features = Arc::new(read(number)?);
            open.features.insert(number, features.clone());
            read_now.push((number, features));
        }
        let verdicts = self.verdicts(open.features);
        let verdict = verdicts.get((open.frame - open.start) as usize);
        let cut = verdict.is_some_and(|verdict| verdict.cut);
        let mut known = self.known();
        for (number, features) in read_now {
            known.features.insert(number, features);
        }
        known.cuts.insert(open.frame, cut);
        Ok(cut)
    }
}

/// A map that forgets the oldest entries.
struct Bounded<T> {
    entries: BTreeMap<u32, T>,
    order: VecDeque<u32>,
    capacity: usize,
}

impl<T> Bounded<T> {
    fn new(capacity: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            order: VecDeque::new(),
            capacity,
        }
    }

    fn get(&self, key: u32) -> Option<&T> {
        self.entries.get(&key)
    }

    fn insert(&mut self, key: u32, value: T) {
        if self.entries.insert(key, value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}
