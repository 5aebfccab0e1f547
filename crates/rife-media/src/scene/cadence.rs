//! Cadence detection: frames that repeat the previous one during motion, as in animation on twos to fives, rates raised by
//! repeating every nth frame, and lost frames that were filled in.
//!
//! A run of repeated frames counts only where motion follows within [`MAX_RUN`] frames, with a change several times the
//! noise within the run, and where motion or a new scene precedes it. Slow pans (all changes alike), fades, noise and
//! longer pauses are therefore not taken for repeats. Changes are values of [`Edge::step`](super::window::Edge).

use num_rational::Ratio;

use super::window::Entry;
use crate::Time;
use crate::time::{narrow, widen};
use crate::timeline::{AHEAD, BEHIND, is_long};

/// Maximum number of consecutive repeats: animation on fives.
const MAX_RUN: usize = 4;
/// Maximum number of frames from one distinct frame to the next.
pub const MAX_APART: usize = MAX_RUN + 1;
/// Number of frames after a frame that [`is_held`] needs.
pub(super) const HOLD_AHEAD: usize = MAX_RUN + 1 + BEYOND;
/// Number of changes before and after a run, beyond the adjacent ones, of which one must be motion.
const BEYOND: usize = 3;
/// Number of frames after a frame that [`retimed_pts`] needs: two periods.
pub(super) const PERIOD_AHEAD: usize = 2 * PERIODS[0];
/// Periods in frames within which one frame is repeated, longest first: 25 fps shown as 30, 24 as 30 (or 20 as 25).
const PERIODS: [usize; 2] = [6, 5];
/// Minimum ratio of motion to the noise of repeats.
const STEP_RATIO: f32 = 3.0;
/// Minimum change of motion in the most changed tiles: 1.5 codes of 8 bits.
const MIN_STEP: f32 = 1.5 / 255.0;
/// Minimum ratio of the change after a repeat to the largest other change of the period at which the repeat replaces a lost
/// frame, since motion then covers two frame intervals.
const LOST_FRAME: f32 = 1.6;

/// Reports whether frame `i` repeats the previous one during motion. Needs [`HOLD_AHEAD`] frames after it, unless the
/// stream ends.
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

/// Reports whether the change `step` is motion against changes of `noise` between repeats.
fn is_motion(step: f32, noise: f32) -> bool {
    step > STEP_RATIO * noise && step > MIN_STEP
}

/// Returns the change from the previous frame to frame `i`; `None` where a scene starts with it or it does not exist.
fn step(frames: &[Entry], i: usize) -> Option<f32> {
    let frame = frames.get(i).filter(|frame| !frame.starts_scene())?;
    Some(frame.edge?.step)
}

/// Returns the first frame after the run of repeats at frame `i`, and the largest change within the run; `None` where no
/// motion follows within [`MAX_RUN`] frames. `noise` is the change into frame `i`.
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

/// Returns the frame that the run at frame `i` repeats, which follows motion or starts a scene, and the largest change
/// within the run; `None` where it is more than [`MAX_RUN`] frames before.
fn motion_before(frames: &[Entry], i: usize, mut noise: f32) -> Option<(usize, f32)> {
    for k in (i.saturating_sub(MAX_RUN)..i).rev() {
        match step(frames, k) {
            Some(before) if !is_motion(before, noise) => noise = noise.max(before),
            _ => return Some((k, noise)),
        }
    }
    None
}

/// Reports whether the image shown from frame `before` to frame `after` rests for too long to be a repeated frame, relative
/// to the usual frame interval around it.
fn rests(frames: &[Entry], before: usize, after: usize) -> bool {
    let interval = |k: usize| widen(frames[k].pts) - widen(frames[k - 1].pts);
    let from = (before + 1).saturating_sub(BEHIND).max(1);
    let to = frames.len().min(after + 1 + AHEAD);
    let shown = widen(frames[after].pts) - widen(frames[before].pts);
    is_long(shown, (from..to).map(interval).collect(), MAX_RUN as i128 + 2)
}

/// Reports whether there is motion beyond the changes adjacent to the run (frames `before` to `after`), so that these are
/// not a flash.
fn moves_beyond(frames: &[Entry], before: usize, after: usize, noise: f32) -> bool {
    let earlier = before.saturating_sub(BEYOND)..before;
    let mut around = earlier.chain(after + 1..=after + BEYOND).map(|k| step(frames, k));
    around.any(|step| step.is_some_and(|step| is_motion(step, noise)))
}

/// Returns the corrected PTS, in seconds, of the distinct frame `i`: where one frame in every period is a repeat, the
/// distinct frames of the period are spaced evenly over it. It is never before the frame's own PTS and always before the
/// next distinct frame's; without such a cadence it is the own PTS.
pub(super) fn retimed_pts(frames: &[Entry], i: usize) -> Time {
    let own = frames[i].pts;
    let even = PERIODS.iter().find_map(|&period| in_period(frames, i, period));
    even.and_then(narrow).filter(|time| *time > own).unwrap_or(own)
}

/// Returns the evenly spaced PTS of the distinct frame `i`, where one frame in every `period` frames is a repeat; `None`
/// where repeats do not have this period.
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
    let distinct = period as i128 - 1;
    match (held_before, held_after) {
        // Between two repeats a period apart, with a third a period before or after.
        (Some(h), Some(next)) if next - h == period => {
            let known =
                (h >= scene + period && lone(h - period) && lone(h)) || (lone(next) && lone(next + period));
            (known && is_even(frames, h + 1, next + 1))
                .then(|| pts(h + 1) + (pts(next + 1) - pts(h + 1)) * (i - h - 1) as i128 / distinct)
        }
        // The first frames of a scene, before the first repeat.
        (None, Some(next)) if i > scene && next - scene < period && lone(next) && lone(next + period) => {
            let length = pts(next + period + 1) - pts(next + 1);
            is_even(frames, scene, next + 1).then(|| pts(next + 1) - length * (next - i) as i128 / distinct)
        }
        // The last frames of a scene that ends with a cut, after the last repeat.
        (Some(h), None) if h >= scene + period && scene_end <= h + period && lone(h) && lone(h - period) => {
            let cut = frames.get(scene_end).filter(|frame| frame.cut)?;
            let time = pts(h + 1) + (pts(h + 1) - pts(h + 1 - period)) * (i - h - 1) as i128 / distinct;
            (is_even(frames, h, scene_end - 1) && time < widen(cut.pts)).then_some(time)
        }
        _ => None,
    }
}

/// Reports whether frame `k` is the only repeated frame of its period (in frames) and does not replace a lost frame: motion
/// after a lost frame is about twice the usual. `scene` is the index of the scene's first frame.
fn is_lone_repeat(frames: &[Entry], scene: usize, k: usize, period: usize) -> bool {
    let from = (k + 1).saturating_sub(period).max(scene);
    let Some(next) = frames.get(k + 1).and_then(|frame| frame.edge) else {
        return false;
    };
    let lone = frames[k].held && frames[from..k].iter().all(|frame| !frame.held) && !frames[k + 1].held;
    let usual = (from + 1..k).filter_map(|k| step(frames, k)).fold(0.0, f32::max);
    lone && next.step < LOST_FRAME * usual
}

/// Reports whether the longest interval between frames `from` and `to` is less than 1.5 times the shortest.
fn is_even(frames: &[Entry], from: usize, to: usize) -> bool {
    let intervals = frames[from..=to].windows(2).map(|pair| pair[1].pts - pair[0].pts);
    let (min, max) = (intervals.clone().min(), intervals.max());
    min.zip(max).is_some_and(|(min, max)| max * 2 < min * 3)
}
