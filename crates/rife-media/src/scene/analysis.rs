//! The stream of frames, looked at a few frames ahead: for each frame whether a cut lies before it, and whether it is
//! an anchor of motion, at which time, or only repeats the one before.

use std::collections::VecDeque;

use super::{CutList, Detail, Miniature, cadence, cuts};
use crate::{RgbImage, Time};

/// Frames that are known ahead of the one that is decided.
const AHEAD: usize = cuts::REACH + cadence::HOLD_AHEAD + cadence::PERIOD_AHEAD;
/// Decided frames that are remembered.
const PAST: usize = 24;

/// Where scenes change.
#[derive(Debug, Clone, PartialEq)]
pub enum CutRule {
    /// Where the similarity is below this, and lower than that of the frames on both sides; 0 finds none.
    Detect(f32),
    /// Where the list says, and nowhere else.
    Listed(CutList),
}

impl Default for CutRule {
    fn default() -> Self {
        Self::Detect(super::DETECTED_BELOW)
    }
}

/// What an [`Analysis`] is to find.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisOptions {
    /// Where scenes change.
    pub cuts: CutRule,
    /// Whether to look for frames that repeat the one before.
    pub duplicates: bool,
}

/// What is seen of a frame.
#[derive(Debug, Clone)]
pub struct Look {
    miniature: Miniature,
    detail: Detail,
}

impl Look {
    /// Looks at `image`.
    pub fn new(image: &RgbImage) -> Self {
        Self {
            miniature: Miniature::new(image),
            detail: Detail::new(image),
        }
    }
}

/// What a frame is to motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Motion passes through it at this time: its own, or, where distinct frames stand unevenly among repeated ones, a
    /// later one at which it is still shown.
    Anchor(Time),
    /// It repeats the frame before while motion goes on: motion passes through its time without it.
    Held,
}

/// What was found of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Its own time.
    pub pts: Time,
    /// Whether a cut lies before it.
    pub cut: bool,
    /// Whether a pause lies before it.
    pub pause: bool,
    /// How like the frame before it is; 1 for the first one.
    pub similarity: f32,
    /// What it is to motion.
    pub role: Role,
}

/// What lies between a frame and the one before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    /// SSIM of the miniatures.
    pub(super) similarity: f32,
    /// Mean difference of the miniatures.
    pub(super) change: f32,
    /// Difference of the most changed parts.
    pub(super) step: f32,
    /// Whether the interval is a pause, through which no motion leads.
    pub(super) pause: bool,
}

/// A frame with what is known of it by now.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) pts: Time,
    pub(super) miniature: Miniature,
    /// Nothing for the first frame.
    pub(super) edge: Option<Edge>,
    pub(super) cut: bool,
    pub(super) held: bool,
}

impl Entry {
    /// Whether no motion leads here from the frame before.
    pub(super) fn starts_scene(&self) -> bool {
        self.cut || self.edge.is_none_or(|edge| edge.pause)
    }
}

/// Finds cuts and repeated frames as frames come in.
#[derive(Debug)]
pub struct Analysis {
    options: AnalysisOptions,
    frames: VecDeque<Entry>,
    last_detail: Option<Detail>,
    /// How many of `frames` have been decided: cuts, then holds, then roles.
    cuts: usize,
    holds: usize,
    roles: usize,
}

impl Analysis {
    /// Nothing has been seen yet.
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

    /// How many frames may be pending at most.
    pub fn look_ahead(options: &AnalysisOptions) -> usize {
        match (&options.cuts, options.duplicates) {
            (_, true) => AHEAD,
            (CutRule::Detect(_), false) => cuts::REACH,
            (CutRule::Listed(_), false) => 0,
        }
    }

    /// Takes the next frame, whose time must advance, and whether a [pause](crate::timeline::is_pause) lies before it;
    /// `number` counts all frames of the stream from 0. Verdicts come in order of the frames, late by
    /// [`Self::look_ahead`].
    pub fn push(&mut self, number: u64, pts: Time, pause: bool, look: Look) -> Vec<Verdict> {
        let edge = self
            .frames
            .back()
            .zip(self.last_detail.as_ref())
            .map(|(before, detail)| Edge {
                similarity: before.miniature.similarity(&look.miniature),
                change: before.miniature.difference(&look.miniature),
                step: detail.step(&look.detail),
                pause,
            });
        self.last_detail = Some(look.detail);
        self.frames.push_back(Entry {
            number,
            pts,
            miniature: look.miniature,
            edge,
            cut: false,
            held: false,
        });
        self.decide(false)
    }

    /// The verdicts on all frames that are still pending.
    pub fn finish(&mut self) -> Vec<Verdict> {
        self.decide(true)
    }

    fn decide(&mut self, ended: bool) -> Vec<Verdict> {
        let seen = self.frames.len();
        let frames = self.frames.make_contiguous();
        let ahead = |frames: usize, wanted: bool| if wanted && !ended { frames } else { 0 };
        let find = self.options.duplicates;
        let detect = matches!(self.options.cuts, CutRule::Detect(_));
        while self.cuts + ahead(cuts::REACH, detect) < seen {
            frames[self.cuts].cut = self.cuts > 0 && is_cut(&self.options.cuts, frames, self.cuts);
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
        self.forget();
        verdicts
    }

    fn forget(&mut self) {
        let old = self.roles.saturating_sub(PAST);
        self.frames.drain(..old);
        self.cuts -= old;
        self.holds -= old;
        self.roles -= old;
    }
}

fn is_cut(rule: &CutRule, frames: &[Entry], i: usize) -> bool {
    match rule {
        CutRule::Detect(limit) => cuts::is_cut(frames, i, *limit),
        CutRule::Listed(list) => list.contains(frames[i].number, frames[i - 1].pts, frames[i].pts),
    }
}

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
