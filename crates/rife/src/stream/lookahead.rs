//! Lookahead buffer: holds decoded source frames until the analysis of the frames after them has classified them (cut,
//! pause, repeated frame or anchor).

use std::collections::VecDeque;
use std::sync::Arc;

use rife_media::scene::{Analysis, AnalysisOptions, DetectedCut, FrameFeatures, Role, Verdict};
use rife_media::timeline::Pauses;
use rife_media::{ColorTags, Frame, RgbImage, Time};

/// A classified source frame.
#[derive(Debug)]
pub(crate) struct Decided {
    /// Zero-based number among all decoded frames.
    pub(crate) number: u64,
    /// The frame as it was decoded.
    pub(crate) frame: Frame,
    /// The frame as RGB; `None` if not converted yet or not needed.
    pub(crate) image: Option<Arc<RgbImage>>,
    /// The classification.
    pub(crate) verdict: Verdict,
    /// Number of frames directly before that were left out because their times did not advance.
    pub(crate) dropped_before: u64,
}

impl Decided {
    /// Converts the frame to RGB if it is an anchor.
    pub(crate) fn converted(mut self, tags: &ColorTags) -> Self {
        if let Role::Anchor(_) = self.verdict.role
            && self.image.is_none()
            && !self.frame.is_blank()
        {
            self.image = Some(Arc::new(self.frame.to_rgb(tags)));
        }
        self
    }

    /// Describes the cut before this frame.
    pub(crate) fn cut(&self) -> DetectedCut {
        DetectedCut {
            frame: self.number,
            pts: self.frame.pts,
            similarity: self.verdict.similarity,
        }
    }
}

/// Classifier of source frames that reads some frames ahead: detects pauses (intervals much longer than the typical one, across
/// which nothing is interpolated), then cuts and repeated frames between them.
#[derive(Debug)]
pub(crate) struct Lookahead {
    pauses: Pauses,
    analyzer: Analyzer,
}

impl Lookahead {
    /// Makes a classifier; `tags` are the colour tags of the frames.
    pub(crate) fn new(options: AnalysisOptions, tags: ColorTags) -> Self {
        Self {
            pauses: Pauses::default(),
            analyzer: Analyzer::new(options, tags),
        }
    }

    /// Takes the next frame; returns the frames that can be classified now.
    pub(crate) fn push(&mut self, frame: Frame) -> Vec<Decided> {
        let Some((frame, pause)) = self.pauses.push(frame) else {
            return Vec::new();
        };
        self.analyzer.push(frame, pause)
    }

    /// After the last frame: passes one held frame from pause detection to the analyzer and returns the frames that can be
    /// classified now; `None` when no frame is held.
    pub(crate) fn flush_one(&mut self) -> Option<Vec<Decided>> {
        let (frame, pause) = self.pauses.pop()?;
        Some(self.analyzer.push(frame, pause))
    }

    /// Returns the last frames, and how many were left out after them; call it when [`Lookahead::flush_one`] returns `None`.
    pub(crate) fn finish(&mut self) -> (Vec<Decided>, u64) {
        self.analyzer.finish()
    }
}

/// A source frame that is not classified yet.
#[derive(Debug)]
struct Undecided {
    /// Zero-based number among all decoded frames.
    number: u64,
    frame: Frame,
    /// The frame as RGB, if kept.
    image: Option<Arc<RgbImage>>,
    /// Number of frames directly before that were left out because their times did not advance.
    dropped_before: u64,
}

/// Detector of cuts and repeated frames; holds the frames that are not classified yet.
#[derive(Debug)]
pub(crate) struct Analyzer {
    analysis: Analysis,
    tags: ColorTags,
    /// Whether RGB images are kept with undecided frames: only without lookahead, since they take much memory.
    keep_images: bool,
    undecided: VecDeque<Undecided>,
    /// Time of the last frame that was not left out.
    last: Option<Time>,
    /// Number of frames left out since then.
    dropped: u64,
    /// Number of all frames pushed.
    count: u64,
}

impl Analyzer {
    /// Makes a detector with an empty buffer; `tags` are the colour tags of the frames.
    pub(crate) fn new(options: AnalysisOptions, tags: ColorTags) -> Self {
        Self {
            keep_images: Analysis::look_ahead(&options) == 0,
            analysis: Analysis::new(options),
            tags,
            undecided: VecDeque::new(),
            last: None,
            dropped: 0,
            count: 0,
        }
    }

    /// Takes the next frame, and whether a pause lies before it; returns the frames that can be classified now.
    pub(crate) fn push(&mut self, frame: Frame, pause: bool) -> Vec<Decided> {
        let number = self.count;
        self.count += 1;
        if self.last.is_some_and(|last| frame.pts <= last) {
            self.dropped += 1;
            return Vec::new();
        }
        self.last = Some(frame.pts);
        if frame.is_blank() {
            return self.pass(number, frame, pause);
        }
        let image = frame.to_rgb(&self.tags);
        let verdicts = self
            .analysis
            .push(number, frame.pts, pause, FrameFeatures::new(&image));
        self.undecided.push_back(Undecided {
            number,
            frame,
            image: self.keep_images.then(|| Arc::new(image)),
            dropped_before: std::mem::take(&mut self.dropped),
        });
        self.decide(verdicts)
    }

    /// Passes a blank frame on as distinct, after all frames before it; the next frame with content is a first one.
    fn pass(&mut self, number: u64, frame: Frame, pause: bool) -> Vec<Decided> {
        let verdicts = self.analysis.restart();
        let mut decided = self.decide(verdicts);
        decided.push(Decided {
            number,
            image: None,
            verdict: Verdict {
                pts: frame.pts,
                cut: false,
                pause,
                similarity: 1.0,
                role: Role::Anchor(frame.pts),
            },
            frame,
            dropped_before: std::mem::take(&mut self.dropped),
        });
        decided
    }

    /// Returns the remaining frames, and how many were left out after them.
    pub(crate) fn finish(&mut self) -> (Vec<Decided>, u64) {
        let verdicts = self.analysis.finish();
        (self.decide(verdicts), self.dropped)
    }

    /// Pairs the oldest undecided frames with their classifications.
    fn decide(&mut self, verdicts: Vec<Verdict>) -> Vec<Decided> {
        let count = verdicts.len().min(self.undecided.len());
        let frames = self.undecided.drain(..count).zip(verdicts);
        frames
            .map(|(frame, verdict)| Decided {
                number: frame.number,
                frame: frame.frame,
                image: frame.image,
                verdict,
                dropped_before: frame.dropped_before,
            })
            .collect()
    }
}
