//! Where scenes change: a step that is unlike what comes before it and unlike what comes after it. In a fade every step
//! is like its neighbours, in fast motion too, and after a flash the picture from before it comes back.

use super::analysis::{Edge, Entry};

/// How many frames on each side are looked at.
pub(super) const NEIGHBOURS: usize = 3;
/// A cut changes this much more than the usual step of each side...
const TIMES_USUAL: f32 = 2.0;
/// ...or, amid fast motion, this much more...
const TIMES_FAST: f32 = 1.25;
/// ...with a similarity that is lower by this.
const LESS_ALIKE: f32 = 0.15;
/// And it changes by this at least, in parts of the whole range.
const LEAST_CHANGE: f32 = 0.02;

/// Whether there is a cut between frames `i - 1` and `i` of `frames`, by similarity below `limit` and evidence from both
/// sides.
pub(super) fn is_cut(frames: &[Entry], i: usize, limit: f32) -> bool {
    let Some(edge) = frames[i]
        .edge
        .filter(|edge| limit > 0.0 && edge.similarity < limit)
    else {
        return false;
    };
    edge.change > LEAST_CHANGE
        && stands_out(edge, &edges_before(frames, i))
        && stands_out(edge, &edges_after(frames, i))
        && !is_flash(frames, i, edge.change, limit)
}

/// Whether a step is unlike the usual ones of a side; where there are none, nothing speaks against it.
fn stands_out(edge: Edge, usual: &[Edge]) -> bool {
    let change = median(usual.iter().map(|edge| edge.change));
    let similarity = median(usual.iter().map(|edge| edge.similarity));
    change.zip(similarity).is_none_or(|(change, similarity)| {
        // In slow fades from black a step of one code more is so much more, and similarity means little there.
        let less_alike = change > LEAST_CHANGE && edge.similarity + LESS_ALIKE < similarity;
        edge.change > TIMES_USUAL * change || (less_alike && edge.change > TIMES_FAST * change)
    })
}

/// The steps since the last cut.
fn edges_before(frames: &[Entry], i: usize) -> Vec<Edge> {
    let steps = frames[..i].iter().rev().take(NEIGHBOURS);
    steps
        .take_while(|frame| !frame.starts_scene())
        .filter_map(|frame| frame.edge)
        .collect()
}

fn edges_after(frames: &[Entry], i: usize) -> Vec<Edge> {
    frames[i + 1..]
        .iter()
        .take(NEIGHBOURS)
        .filter_map(|frame| frame.edge)
        .collect()
}

/// The middle one, of two the lower.
fn median(values: impl Iterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// Whether the picture from before this step comes back soon, or this step is where it does.
fn is_flash(frames: &[Entry], i: usize, change: f32, limit: f32) -> bool {
    let alike = |a: usize, b: usize| {
        let (a, b) = (&frames[a].miniature, &frames[b].miniature);
        a.difference(b) * TIMES_USUAL < change && a.similarity(b) > limit
    };
    let comes_back = (i + 1..frames.len())
        .take(NEIGHBOURS)
        .any(|later| alike(i - 1, later));
    comes_back || (0..i - 1).rev().take(NEIGHBOURS).any(|earlier| alike(earlier, i))
}
