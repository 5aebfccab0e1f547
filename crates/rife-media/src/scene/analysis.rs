//! Lookahead frame analysis: decides for each frame whether a cut precedes it, and whether it is distinct (an anchor of
//! interpolation, at its own or a corrected time) or repeats the previous frame. A decision needs some later frames, so results
//! lag behind the input.

use std::collections::VecDeque;

use super::window::{Edge, Entry};
use super::{CutList, Detail, Miniature, cadence, cuts};
use crate::{RgbImage, Time};

/// Number of frames after a frame that the detection of repeated frames needs in addition to that of cuts.
const REPEATS_AHEAD: usize = cadence::HOLD_AHEAD + cadence::PERIOD_AHEAD;
/// Number of decided frames that are kept as context.
const PAST: usize = 24;

/// The source of cuts.
#[derive(Debug, Clone, PartialEq)]
pub enum CutRule {
    /// Detected where the similarity (SSIM) is below this and clearly lower than that of the frames on both sides; 0
    /// disables detection.
    Detect(f32),
    /// Exactly those of a list.
    Listed(CutList),
}

impl CutRule {
    /// Returns the number of frames after a frame that the rule needs: none for a list and without detection.
    fn ahead(&self) -> usize {
        match self {
            Self::Detect(limit) if *limit > 0.0 => cuts::REACH,
            Self::Detect(_) | Self::Listed(_) => 0,
        }
    }

    /// Returns the similarity below which cuts are detected; 0 where none are.
    fn limit(&self) -> f32 {
        match self {
            Self::Detect(limit) => *limit,
            Self::Listed(_) => 0.0,
        }
    }
}

impl Default for CutRule {
    /// Returns detection with the default similarity threshold.
    fn default() -> Self {
        Self::Detect(super::DETECTED_BELOW)
    }
}

/// Options of an [`Analysis`].
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisOptions {
    /// The source of cuts.
    pub cuts: CutRule,
    /// True to detect frames that repeat the previous one.
    pub duplicates: bool,
}

/// Reduced copies of a frame from which its differences to other frames are computed.
#[derive(Debug, Clone)]
pub struct FrameFeatures {
    miniature: Miniature,
    detail: Detail,
}

impl FrameFeatures {
    /// Computes the features of `image`.
    pub fn new(image: &RgbImage) -> Self {
        Self {
            miniature: Miniature::new(image),
            detail: Detail::new(image),
        }
    }
}

/// The use of a frame for interpolation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A distinct frame, interpolated from at this time in seconds: its own, or, where repeated frames make distinct ones
    /// uneven, a later one at which it is still shown.
    Anchor(Time),
    /// A frame that repeats the previous one during motion; it is replaced by an interpolated frame.
    Held,
}

/// The result of the analysis for one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The frame's presentation time in seconds.
    pub pts: Time,
    /// True where a cut precedes the frame.
    pub cut: bool,
    /// True where a pause precedes the frame.
    pub pause: bool,
    /// SSIM with the previous frame; 1 for the first frame.
    pub similarity: f32,
    /// Use of the frame for interpolation.
    pub role: Role,
}

/// Streaming detector of cuts and repeated frames.
#[derive(Debug)]
pub struct Analysis {
    options: AnalysisOptions,
    /// The last decided frames and all undecided ones.
    frames: VecDeque<Entry>,
    /// Detail of the last frame.
    last_detail: Option<Detail>,
    /// Number of `frames` whose `cut` is decided.
    cuts: usize,
    /// Number of `frames` whose `held` is decided.
    holds: usize,
    /// Number of `frames` whose verdict was returned.
    roles: usize,
}

impl Analysis {
    /// Creates an analysis without frames.
    pub fn new(options: AnalysisOptions) -> Self {
        Self {
            options,
            frames: VecDeque::new(),
            last_detail: None,
            cuts: 0,
            holds: 0,
            roles: 0,
        }
    }

    /// Returns the maximum number of frames that wait for their verdict.
    pub fn look_ahead(options: &AnalysisOptions) -> usize {
        let repeats = if options.duplicates { REPEATS_AHEAD } else { 0 };
        options.cuts.ahead() + repeats
    }

    /// Returns the number of frames before a frame on which its verdict depends: an analysis that begins so many frames
    /// before it comes to the same.
    pub fn look_behind(options: &AnalysisOptions) -> usize {
        let repeats = if options.duplicates {
            PAST + cadence::HOLD_AHEAD
        } else {
            0
        };
        let cuts = if options.cuts.ahead() > 0 { cuts::BEHIND } else { 1 };
        repeats + cuts
    }

    /// Returns the results of all frames that still wait for lookahead, and forgets all frames: the next one is a first frame.
    pub fn restart(&mut self) -> Vec<Verdict> {
        let verdicts = self.decide(true);
        self.frames.clear();
        self.last_detail = None;
        (self.cuts, self.holds, self.roles) = (0, 0, 0);
        verdicts
    }

    /// Adds the next frame and returns the verdicts that are now decided, in frame order; they lag by
    /// [`Self::look_ahead`] frames. `number` is the frame's index in the stream from 0, `pts` its time in seconds, which
    /// must increase; `pause` tells whether a [pause](crate::timeline::is_pause) precedes it.
    pub fn push(&mut self, number: u64, pts: Time, pause: bool, features: FrameFeatures) -> Vec<Verdict> {
        let edge = self
            .frames
            .back()
            .zip(self.last_detail.as_ref())
            .map(|(before, detail)| Edge {
                similarity: before.miniature.similarity(&features.miniature),
                change: before.miniature.difference(&features.miniature),
                step: detail.step(&features.detail),
                pause,
            });
        self.last_detail = Some(features.detail);
        self.frames.push_back(Entry {
            number,
            pts,
            miniature: features.miniature,
            edge,
            stands_out: false,
            cut: false,
            held: false,
        });
        self.decide(false)
    }

    /// Returns the results of all frames that still wait for lookahead, after the last frame was added.
    pub fn finish(&mut self) -> Vec<Verdict> {
        self.decide(true)
    }

    /// Decides as many frames as the lookahead allows, or all where the stream has `ended`, and returns their verdicts.
    fn decide(&mut self, ended: bool) -> Vec<Verdict> {
        let seen = self.frames.len();
        let frames = self.frames.make_contiguous();
        let ahead = |frames: usize, wanted: bool| if wanted && !ended { frames } else { 0 };
        let find = self.options.duplicates;
        let reach = self.options.cuts.ahead();
        while self.cuts + ahead(reach, true) < seen {
            if self.cuts > 0 {
                let limit = self.options.cuts.limit();
                frames[self.cuts].stands_out = cuts::is_outstanding(frames, self.cuts, limit);
                frames[self.cuts].cut = is_cut(&self.options.cuts, frames, self.cuts);
            }
            self.cuts += 1;
        }
        while self.holds + ahead(cadence::HOLD_AHEAD, find) < self.cuts {
            frames[self.holds].held = find && cadence::is_held(&frames[..self.cuts], self.holds);
            self.holds += 1;
        }
        let mut verdicts = Vec::new();
        while self.roles + ahead(cadence::PERIOD_AHEAD, find) < self.holds {
            verdicts.push(verdict(&frames[..self.holds], self.roles, find));
            self.roles += 1;
        }
        self.drop_old();
        verdicts
    }

    /// Removes decided frames beyond the last [`PAST`].
    fn drop_old(&mut self) {
        let old = self.roles.saturating_sub(PAST);
        self.frames.drain(..old);
        self.cuts -= old;
        self.holds -= old;
        self.roles -= old;
    }
}

/// Reports whether a cut precedes frame `i` (1 or more), by detection or list.
fn is_cut(rule: &CutRule, frames: &[Entry], i: usize) -> bool {
    match rule {
        CutRule::Detect(limit) => cuts::is_cut(frames, i, *limit),
        CutRule::Listed(list) => list.contains(frames[i].number, frames[i - 1].pts, frames[i].pts),
    }
}

/// Builds the result for frame `i` from its decided cut and repeat flags; with `find`, a distinct frame gets its corrected
/// time among repeated frames.
fn verdict(frames: &[Entry], i: usize, find: bool) -> Verdict {
    let frame = &frames[i];
    let role = match frame.held {
        true => Role::Held,
        false if find => Role::Anchor(cadence::retimed_pts(frames, i)),
        false => Role::Anchor(frame.pts),
    };
    Verdict {
        pts: frame.pts,
        cut: frame.cut,
        pause: frame.edge.is_some_and(|edge| edge.pause),
        similarity: frame.edge.map_or(1.0, |edge| edge.similarity),
        role,
    }
}
