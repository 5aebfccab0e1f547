//! Analysis window: frames with their differences to the previous frame, from which cuts and repeats are decided.

use super::Miniature;
use crate::Time;

/// The differences between a frame and the previous one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    /// SSIM of the miniatures.
    pub(super) similarity: f32,
    /// Mean absolute difference of the miniatures, 0 to 1.
    pub(super) change: f32,
    /// Mean absolute luma difference of the most changed tiles, 0 to 1 ([`Detail::step`](super::Detail::step)).
    pub(super) step: f32,
    /// True where the interval is a pause, which is not interpolated.
    pub(super) pause: bool,
}

/// A frame of the analysis window.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Index of the frame in the stream, from 0.
    pub(super) number: u64,
    /// Presentation time in seconds.
    pub(super) pts: Time,
    pub(super) miniature: Miniature,
    /// Differences to the previous frame; `None` for the first frame.
    pub(super) edge: Option<Edge>,
    /// True where the change into the frame stands out from all changes around it; false until decided.
    pub(super) stands_out: bool,
    /// True where a cut precedes the frame; false until decided.
    pub(super) cut: bool,
    /// True where the frame repeats the previous one; false until decided.
    pub(super) held: bool,
}

impl Entry {
    /// Reports whether a cut, a pause or the start of the stream precedes the frame, so that nothing is interpolated there.
    pub(super) fn starts_scene(&self) -> bool {
        self.cut || self.edge.is_none_or(|edge| edge.pause)
    }

    /// Reports whether the changes before the frame belong to another shot, as far as the changes around it tell.
    pub(super) fn ends_shot(&self) -> bool {
        self.stands_out || self.edge.is_none_or(|edge| edge.pause)
    }
}
