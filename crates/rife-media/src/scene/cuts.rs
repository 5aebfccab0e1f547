//! Shot boundary detection: a cut is a step that is unlike what comes before it and unlike what comes after it. In a fade
//! every step is like its neighbours, in fast motion too, and after a flash the picture from before it comes back.
//!
//! Where every picture is shown for several frames, as in animation on twos or a rate raised by repeating frames, the
//! neighbours of a step are repeats, beside which any motion stands out. There it is compared with the other steps
//! between distinct pictures.

use super::analysis::{Edge, Entry};

/// How many frames on each side tell the usual step, and whether the picture from before comes back.
const NEIGHBOURS: usize = 3;
/// The most frames in a row that show one picture: animation of 12 pictures a second in video of 60.
const MAX_SHOWN: usize = 5;
/// How many frames on each side are looked at.
pub(super) const REACH: usize = 2 * MAX_SHOWN;
/// A repeat changes this much less than the step into the picture that it repeats.
const TIMES_REPEAT: f32 = 4.0;
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

/// Whether a step is unlike the usual ones of a side, whose edges come nearest first; where there are none, nothing speaks
/// against it.
fn stands_out(edge: Edge, side: &[Edge]) -> bool {
    let usual = &side[..side.len().min(NEIGHBOURS)];
    is_unlike(edge, usual) && (2..=MAX_SHOWN).all(|shown| among_repeats(side, shown, edge))
}

/// Whether a step is unlike the middle one of `usual`.
fn is_unlike(edge: Edge, usual: &[Edge]) -> bool {
    let change = median(usual.iter().map(|edge| edge.change));
    let similarity = median(usual.iter().map(|edge| edge.similarity));
    change.zip(similarity).is_none_or(|(change, similarity)| {
        // In slow fades from black a step of one code more is so much more, and similarity means little there.
        let less_alike = change > LEAST_CHANGE && edge.similarity + LESS_ALIKE < similarity;
        edge.change > TIMES_USUAL * change || (less_alike && edge.change > TIMES_FAST * change)
    })
}

/// Whether a step is unlike those of a side where pictures are shown for up to `shown` frames; true where they are not.
fn among_repeats(side: &[Edge], shown: usize, edge: Edge) -> bool {
    let steps: Option<Vec<Edge>> = side.chunks_exact(shown).take(2).map(step_among_repeats).collect();
    steps
        .filter(|steps| steps.len() == 2)
        .is_none_or(|steps| is_unlike(edge, &steps))
}

/// The largest of some edges, where all others are about as large or repeats, and one of them is a repeat.
fn step_among_repeats(edges: &[Edge]) -> Option<Edge> {
    let step = *edges.iter().max_by(|a, b| a.change.total_cmp(&b.change))?;
    let repeats = |edge: &Edge| edge.change * TIMES_REPEAT < step.change;
    let as_large = |edge: &Edge| edge.change * TIMES_USUAL > step.change;
    let clear = edges.iter().all(|edge| repeats(edge) || as_large(edge));
    (clear && edges.iter().any(repeats)).then_some(step)
}

/// The steps since the last cut, the last first.
fn edges_before(frames: &[Entry], i: usize) -> Vec<Edge> {
    let steps = frames[..i].iter().rev().take(REACH);
    steps
        .take_while(|frame| !frame.starts_scene())
        .filter_map(|frame| frame.edge)
        .collect()
}

fn edges_after(frames: &[Entry], i: usize) -> Vec<Edge> {
    frames[i + 1..]
        .iter()
        .take(REACH)
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
