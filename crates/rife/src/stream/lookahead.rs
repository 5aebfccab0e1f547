//! Looking a few frames ahead: source frames wait, as they were decoded, until what comes after them has told what they
//! are.

use std::collections::VecDeque;
use std::sync::Arc;

use rife_media::scene::{Analysis, AnalysisOptions, DetectedCut, FrameFeatures, Role, Verdict};
use rife_media::timeline::Pauses;
use rife_media::{ColorTags, Frame, RgbImage, Time};

/// A source frame of which is known what it is.
#[derive(Debug)]
pub(crate) struct Decided {
    /// Its number among all decoded frames.
    pub(crate) number: u64,
    /// As it came.
    pub(crate) frame: Frame,
    /// As the network sees it; nothing where it is not needed.
    pub(crate) image: Option<Arc<RgbImage>>,
    pub(crate) verdict: Verdict,
    /// Frames right before it whose times did not advance.
    pub(crate) dropped_before: u64,
}

impl Decided {
    /// With its picture, where motion passes through it.
    pub(crate) fn converted(mut self, tags: &ColorTags) -> Self {
        if let Role::Anchor(_) = self.verdict.role
            && self.image.is_none()
        {
            self.image = Some(Arc::new(self.frame.to_rgb(tags)));
        }
        self
    }

    /// The cut before it.
    pub(crate) fn cut(&self) -> DetectedCut {
        DetectedCut {
            frame: self.number,
            pts: self.frame.pts,
            similarity: self.verdict.similarity,
        }
    }
}

/// Decides of frames, as they come, what they are.
#[derive(Debug)]
pub(crate) struct Lookahead {
    pauses: Pauses,
    ahead: Ahead,
}

impl Lookahead {
    pub(crate) fn new(options: AnalysisOptions, tags: ColorTags) -> Self {
        Self {
            pauses: Pauses::default(),
            ahead: Ahead::new(options, tags),
        }
    }

    /// Takes the next frame; gives those that it decides.
    pub(crate) fn push(&mut self, frame: Frame) -> Vec<Decided> {
        let Some((frame, pause)) = self.pauses.push(frame) else {
            return Vec::new();
        };
        self.ahead.push(frame, pause)
    }

    /// After the last frame: takes one of those that wait; nothing when none does.
    pub(crate) fn take_waiting(&mut self) -> Option<Vec<Decided>> {
        let (frame, pause) = self.pauses.pop()?;
        Some(self.ahead.push(frame, pause))
    }

    /// After that, the last frames, and how many were left out after them.
    pub(crate) fn finish(&mut self) -> (Vec<Decided>, u64) {
        self.ahead.finish()
    }
}

/// The frames that wait for their verdict.
#[derive(Debug)]
pub(crate) struct Ahead {
    analysis: Analysis,
    tags: ColorTags,
    /// Whether pictures are kept while their frames wait: only where few do.
    keep_pictures: bool,
    waiting: VecDeque<(u64, Frame, Option<Arc<RgbImage>>, u64)>,
    last: Option<Time>,
    /// Frames since the last one that was kept whose times did not advance.
    dropped: u64,
    count: u64,
}

impl Ahead {
    pub(crate) fn new(options: AnalysisOptions, tags: ColorTags) -> Self {
        Self {
            keep_pictures: Analysis::look_ahead(&options) == 0,
            analysis: Analysis::new(options),
            tags,
            waiting: VecDeque::new(),
            last: None,
            dropped: 0,
            count: 0,
        }
    }

    /// Takes the next frame and whether a pause lies before it; gives those that it decides.
    pub(crate) fn push(&mut self, frame: Frame, pause: bool) -> Vec<Decided> {
        let number = self.count;
        self.count += 1;
        if self.last.is_some_and(|last| frame.pts <= last) {
            self.dropped += 1;
            return Vec::new();
        }
        self.last = Some(frame.pts);
        let image = frame.to_rgb(&self.tags);
        let verdicts = self
            .analysis
            .push(number, frame.pts, pause, FrameFeatures::new(&image));
        let image = self.keep_pictures.then(|| Arc::new(image));
        let dropped = std::mem::take(&mut self.dropped);
        self.waiting.push_back((number, frame, image, dropped));
        decided(&mut self.waiting, verdicts)
    }

    /// The frames that still wait, and how many were left out after them.
    pub(crate) fn finish(&mut self) -> (Vec<Decided>, u64) {
        let verdicts = self.analysis.finish();
        (decided(&mut self.waiting, verdicts), self.dropped)
    }
}

fn decided(
    waiting: &mut VecDeque<(u64, Frame, Option<Arc<RgbImage>>, u64)>,
    verdicts: Vec<Verdict>,
) -> Vec<Decided> {
    let count = verdicts.len().min(waiting.len());
    let frames = waiting.drain(..count).zip(verdicts);
    frames
        .map(|((number, frame, image, dropped_before), verdict)| Decided {
            number,
            frame,
            image,
            verdict,
            dropped_before,
        })
        .collect()
}
