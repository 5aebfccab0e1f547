//! Frames that only repeat the one before while motion goes on: animation on twos to fives, a rate that was raised by
//! repeating every nth frame, frames that were lost and filled in.
//!
//! A run of repeated frames counts only where motion leads on from it, at most [`MAX_RUN`] frames later, by a step
//! several times as large as what noise does within the run, and motion (or a new scene) leads to it. So a slow pan,
//! whose steps are all alike, a fade, noise, and a picture that rests for longer are left alone.

use num_rational::Ratio;

use super::analysis::Entry;
use crate::Time;
use crate::time::{narrow, widen};
use crate::timeline::{AHEAD, BEHIND, is_long};

/// The most repeats in a row: animation on fives.
const MAX_RUN: usize = 4;
/// The frames after a run's last one that tell whether motion leads on.
pub(super) const HOLD_AHEAD: usize = MAX_RUN + 1 + BEYOND;
/// Steps on each side of a run and the steps around it that tell whether motion is usual there.
const BEYOND: usize = 3;
/// Frames that the next two periods may take.
pub(super) const PERIOD_AHEAD: usize = 2 * PERIODS[0];
/// The periods in which one frame is repeated, longest first: 25 frames shown as 30, 24 as 30 (or 20 as 25).
const PERIODS: [usize; 2] = [6, 5];
/// Motion differs from what is repeated by this ratio...
const STEP_RATIO: f32 = 3.0;
/// ...and by this much in the most changed parts: a step and a half of 8 bits.
const LEAST_STEP: f32 = 1.5 / 255.0;
/// The step after a repeat, against the largest other one of the period, from which on it stands for a frame that was
/// lost: motion then has two frames' way to go.
const LOST_FRAME: f32 = 1.6;

/// Whether frame `i` repeats the one before. Needs [`HOLD_AHEAD`] frames after it, unless there are no more.
pub(super) fn is_held(frames: &[Entry], i: usize) -> bool {
    let found = || {
        let noise = step(frames, i)?;
        let (after, noise) = motion_after(frames, i, noise)?;
        let (before, noise) = motion_before(frames, i, noise)?;
        let moves = |k: usize| step(frames, k).is_none_or(|step| is_motion(step, noise));
        Some(
            after - before - 1 <= MAX_RUN
                && moves(after)
                && moves(before)
                && moves_beyond(frames, before, after, noise)
                && !rests(frames, before, after),
        )
    };
    found().unwrap_or(false)
}

fn is_motion(step: f32, noise: f32) -> bool {
    step > STEP_RATIO * noise && step > LEAST_STEP
}

/// The step into frame `i`, where no new scene starts with it.
fn step(frames: &[Entry], i: usize) -> Option<f32> {
    let frame = frames.get(i).filter(|frame| !frame.starts_scene())?;
    Some(frame.edge?.step)
}

/// The frame after the run that frame `i` is in, and the largest step in the run from there.
fn motion_after(frames: &[Entry], i: usize, mut noise: f32) -> Option<(usize, f32)> {
    for next in i + 1..=i + MAX_RUN {
        let after = step(frames, next)?;
        if is_motion(after, noise) {
            return Some((next, noise));
        }
        noise = noise.max(after);
    }
    None
}

/// The frame that the run repeats, into which motion leads or with which a scene starts, and the largest step in the run.
fn motion_before(frames: &[Entry], i: usize, mut noise: f32) -> Option<(usize, f32)> {
    for k in (i.saturating_sub(MAX_RUN)..i).rev() {
        match step(frames, k) {
            Some(before) if !is_motion(before, noise) => noise = noise.max(before),
            _ => return Some((k, noise)),
        }
    }
    None
}

/// Whether a picture that is shown from frame `before` to frame `after` rests for longer than repeats do where intervals
/// are as long as usual: then nothing was lost in its time.
fn rests(frames: &[Entry], before: usize, after: usize) -> bool {
    let interval = |k: usize| widen(frames[k].pts) - widen(frames[k - 1].pts);
    let from = (before + 1).saturating_sub(BEHIND).max(1);
    let to = frames.len().min(after + 1 + AHEAD);
    let shown = widen(frames[after].pts) - widen(frames[before].pts);
    is_long(shown, (from..to).map(interval).collect(), MAX_RUN as i128 + 2)
}

/// Whether there is motion farther away too, so that the steps around the run are not a flash of light.
fn moves_beyond(frames: &[Entry], before: usize, after: usize, noise: f32) -> bool {
    let earlier = before.saturating_sub(BEYOND)..before;
    let mut around = earlier.chain(after + 1..=after + BEYOND).map(|k| step(frames, k));
    around.any(|step| step.is_some_and(|step| is_motion(step, noise)))
}

/// The corrected PTS, in seconds, of frame `i`, which repeats no other: where one frame in every period repeats the one
/// before, the distinct frames of the period are spaced evenly over it. Never before the frame's own PTS, and before the next
/// distinct frame's; the own PTS where there is no such cadence.
pub(super) fn retimed_pts(frames: &[Entry], i: usize) -> Time {
    let own = frames[i].pts;
    let even = PERIODS.iter().find_map(|&period| in_period(frames, i, period));
    even.and_then(narrow).filter(|time| *time > own).unwrap_or(own)
}

fn in_period(frames: &[Entry], i: usize, period: usize) -> Option<Ratio<i128>> {
    let scene = (0..=i).rev().find(|&k| frames[k].starts_scene()).unwrap_or(0);
    let held_before = (scene..i).rev().find(|&k| frames[k].held);
    let rest = &frames[i + 1..];
    let scene_end = rest
        .iter()
        .position(Entry::starts_scene)
        .map_or(frames.len(), |k| i + 1 + k);
    let held_after = (i + 1..scene_end).find(|&k| frames[k].held);
    let lone = |k: usize| is_lone_repeat(&frames[..scene_end], scene, k, period);
    let pts = |k: usize| widen(frames[k].pts);
    let parts = period as i128 - 1;
    match (held_before, held_after) {
        // Between two repeats a period apart, with a third a period before or after.
        (Some(h), Some(next)) if next - h == period => {
            let known =
                (h >= scene + period && lone(h - period) && lone(h)) || (lone(next) && lone(next + period));
            (known && is_even(frames, h + 1, next + 1))
                .then(|| pts(h + 1) + (pts(next + 1) - pts(h + 1)) * (i - h - 1) as i128 / parts)
        }
        // The first frames of a scene, before the first repeat.
        (None, Some(next)) if i > scene && next - scene < period && lone(next) && lone(next + period) => {
            let length = pts(next + period + 1) - pts(next + 1);
            is_even(frames, scene, next + 1).then(|| pts(next + 1) - length * (next - i) as i128 / parts)
        }
        // The last ones of a scene that ends with a cut, after the last repeat.
        (Some(h), None) if h >= scene + period && scene_end <= h + period && lone(h) && lone(h - period) => {
            let cut = frames.get(scene_end).filter(|frame| frame.cut)?;
            let time = pts(h + 1) + (pts(h + 1) - pts(h + 1 - period)) * (i - h - 1) as i128 / parts;
            (is_even(frames, h, scene_end - 1) && time < widen(cut.pts)).then_some(time)
        }
        _ => None,
    }
}

/// Whether frame `k` is the only repeat of a period, and none that stands for a lost frame: then the step after it
/// would be about twice the usual one.
fn is_lone_repeat(frames: &[Entry], scene: usize, k: usize, period: usize) -> bool {
    let from = (k + 1).saturating_sub(period).max(scene);
    let Some(next) = frames.get(k + 1).and_then(|frame| frame.edge) else {
        return false;
    };
    let lone = frames[k].held && frames[from..k].iter().all(|frame| !frame.held) && !frames[k + 1].held;
    let usual = (from + 1..k).filter_map(|k| step(frames, k)).fold(0.0, f32::max);
    lone && next.step < LOST_FRAME * usual
}

/// Whether the intervals between frames `from` and `to` are about alike.
fn is_even(frames: &[Entry], from: usize, to: usize) -> bool {
    let intervals = frames[from..=to].windows(2).map(|pair| pair[1].pts - pair[0].pts);
    let (least, most) = (intervals.clone().min(), intervals.max());
    least.zip(most).is_some_and(|(least, most)| most * 2 < least * 3)
}
