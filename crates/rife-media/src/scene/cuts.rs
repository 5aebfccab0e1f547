//! Shot boundary detection: a cut is a change between two frames that clearly exceeds the changes before and after it. In
//! fades and fast motion all changes are similar, and after a flash the earlier image returns.
//!
//! Where every image is shown for several frames (animation on twos, repeated frames), most changes are those of repeats,
//! which any motion exceeds. There a change is compared with the other changes between distinct images.

use super::window::{Edge, Entry};

/// Number of frames on each side that give the usual change, and in which a flash ends.
const NEIGHBOURS: usize = 3;
/// Maximum number of consecutive frames that show one image: animation of 12 images per second in 60 fps video.
const MAX_SHOWN: usize = 5;
/// Number of frames before and after a possible cut that are examined.
pub(super) const REACH: usize = 2 * MAX_SHOWN;
/// Number of frames before a possible cut on which it depends: [`REACH`] frames, each of which may stand out from as many
/// changes before it, and the frame before the first change.
pub(super) const BEHIND: usize = 2 * REACH + 1;
/// Minimum ratio of the change into an image to the change of its repeats.
const REPEAT_RATIO: f32 = 4.0;
/// Minimum ratio of a cut's change to the usual change on each side.
const CHANGE_RATIO: f32 = 2.0;
/// Minimum ratio of a cut's change to the usual change where similarity drops by [`SIMILARITY_DROP`] (fast motion).
const FAST_CHANGE_RATIO: f32 = 1.25;
/// Drop of SSIM below the usual one from which [`FAST_CHANGE_RATIO`] applies.
const SIMILARITY_DROP: f32 = 0.15;
/// Minimum change of a cut: mean absolute difference of the miniatures, 0 to 1.
const MIN_CHANGE: f32 = 0.02;

/// Reports whether the change between frames `i - 1` and `i` stands out from those on both sides, at most [`REACH`], whatever
/// shots they belong to: their similarity is below `limit` (0: never), and neither is a flash.
pub(super) fn is_outstanding(frames: &[Entry], i: usize, limit: f32) -> bool {
    is_change(frames, i, limit, |_| false)
}

/// Reports whether a cut lies between frames `i - 1` and `i`: as [`is_outstanding`], but of the changes before, only those of
/// the same shot count. Depends on the frames up to [`BEHIND`] before and [`REACH`] after `i`.
pub(super) fn is_cut(frames: &[Entry], i: usize, limit: f32) -> bool {
    is_change(frames, i, limit, Entry::ends_shot)
}

/// Reports whether the change into frame `i` is that of a cut, compared with the changes before it back to the first frame
/// for which `ends` holds.
fn is_change(frames: &[Entry], i: usize, limit: f32, ends: impl Fn(&Entry) -> bool) -> bool {
    let Some(edge) = frames[i]
        .edge
        .filter(|edge| limit > 0.0 && edge.similarity < limit)
    else {
        return false;
    };
    edge.change > MIN_CHANGE
        && stands_out(edge, &edges_before(frames, i, ends))
        && stands_out(edge, &edges_after(frames, i))
        && !is_flash(frames, i, edge.change, limit)
}

/// Reports whether the change `edge` exceeds those of one side, ordered from nearest to farthest; true for an empty side.
fn stands_out(edge: Edge, side: &[Edge]) -> bool {
    let usual = &side[..side.len().min(NEIGHBOURS)];
    exceeds(edge, usual) && (2..=MAX_SHOWN).all(|shown| exceeds_among_repeats(side, shown, edge))
}

/// Reports whether the change `edge` clearly exceeds the median of `usual`; true where `usual` is empty.
fn exceeds(edge: Edge, usual: &[Edge]) -> bool {
    let change = median(usual.iter().map(|edge| edge.change));
    let similarity = median(usual.iter().map(|edge| edge.similarity));
    change.zip(similarity).is_none_or(|(change, similarity)| {
        // In slow fades from black, one code is a large ratio and SSIM is unreliable.
        let drops = change > MIN_CHANGE && edge.similarity + SIMILARITY_DROP < similarity;
        edge.change > CHANGE_RATIO * change || (drops && edge.change > FAST_CHANGE_RATIO * change)
    })
}

/// Reports whether the change `edge` exceeds those between distinct images of a side on which each image is shown for up to
/// `shown` frames; true where images are not repeated.
fn exceeds_among_repeats(side: &[Edge], shown: usize, edge: Edge) -> bool {
    let steps: Option<Vec<Edge>> = side.chunks_exact(shown).take(2).map(step_among_repeats).collect();
    steps
        .filter(|steps| steps.len() == 2)
        .is_none_or(|steps| exceeds(edge, &steps))
}

/// Returns the largest change of `edges` where every other one is about as large or a repeat, and at least one is a repeat;
/// else `None`.
fn step_among_repeats(edges: &[Edge]) -> Option<Edge> {
    let step = *edges.iter().max_by(|a, b| a.change.total_cmp(&b.change))?;
    let repeats = |edge: &Edge| edge.change * REPEAT_RATIO < step.change;
    let as_large = |edge: &Edge| edge.change * CHANGE_RATIO > step.change;
    let clear = edges.iter().all(|edge| repeats(edge) || as_large(edge));
    (clear && edges.iter().any(repeats)).then_some(step)
}

/// Returns the changes before frame `i` back to the first frame for which `ends` holds, nearest first, at most [`REACH`].
fn edges_before(frames: &[Entry], i: usize, ends: impl Fn(&Entry) -> bool) -> Vec<Edge> {
    let steps = frames[..i].iter().rev().take(REACH);
    steps
        .take_while(|frame| !ends(frame))
        .filter_map(|frame| frame.edge)
        .collect()
}

/// Returns the changes after frame `i`, nearest first, at most [`REACH`].
fn edges_after(frames: &[Entry], i: usize) -> Vec<Edge> {
    frames[i + 1..]
        .iter()
        .take(REACH)
        .filter_map(|frame| frame.edge)
        .collect()
}

/// Returns the median, of an even number the lower of both; `None` for no values.
fn median(values: impl Iterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// Reports whether the change into frame `i` begins or ends a flash: a frame within [`NEIGHBOURS`] after it is like the one
/// before it, or it is like an earlier one. Alike frames differ by less than half of `change` and have an SSIM above `limit`.
fn is_flash(frames: &[Entry], i: usize, change: f32, limit: f32) -> bool {
    let alike = |a: usize, b: usize| {
        let (a, b) = (&frames[a].miniature, &frames[b].miniature);
        a.difference(b) * CHANGE_RATIO < change && a.similarity(b) > limit
    };
    let comes_back = (i + 1..frames.len())
        .take(NEIGHBOURS)
        .any(|later| alike(i - 1, later));
    comes_back || (0..i - 1).rev().take(NEIGHBOURS).any(|earlier| alike(earlier, i))
}
