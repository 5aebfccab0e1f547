//! Levels of a live job, from the best to the cheapest, and the controller that chooses one by what was late.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rife_media::{RgbImage, Time, TimelineMode, time};
use rife_nets::Scale;

use super::output_ratio;
use crate::{Interpolator, Result};

/// Length of the window in which late frames are counted.
const WINDOW: Duration = Duration::from_millis(700);
/// Minimum number of source frames in a window.
const WINDOW_FRAMES: u32 = 8;
/// Share of late frames in a window above which the job goes to the next level.
const LATE: f64 = 0.1;
/// Time without late frames after which a better level is tried; doubled for each attempt that fails at once.
const HOLD: Duration = Duration::from_secs(3);
/// The longest such time.
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// Share of the time that a better level may be expected to need.
const BUSY: f64 = 0.85;
/// Weight of the last measurement in a mean.
const WEIGHT: f64 = 0.2;
/// Factor of the expected time of a frame for each frame that was not computed, so that a time that was measured too long does
/// not keep the level from being used.
const DECAY: f64 = 0.93;
/// Time of a first frame up to which a second one is measured, since the first one allocates memory.
const WARM_UP: Duration = Duration::from_millis(500);

/// A way to compute.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Level {
    /// The name for people, such as `scale 0.5`.
    pub name: String,
    /// The network with its scale.
    pub interpolator: Arc<Interpolator>,
    /// Of the output frames, every so many are computed; the others show the source frame before them. 0 for none.
    pub every: u32,
}

impl Level {
    /// Reports whether the output frame of this zero-based number is computed.
    pub(super) fn computes(&self, number: u64) -> bool {
        self.every > 0 && number.is_multiple_of(u64::from(self.every))
    }
}

/// Measures the time of a frame of this size at each level, in seconds: 0 where none is computed.
///
/// # Errors
/// Those of the network.
pub(super) fn measured(levels: &[Level], [width, height]: [u32; 2]) -> Result<Vec<f64>> {
    let plain = |value| RgbImage::new(width, height, vec![value; 3 * width as usize * height as usize]);
    let [dark, light] = [0.25, 0.75].map(plain);
    let time = |level: &Level| -> Result<Duration> {
        let begin = Instant::now();
        level.interpolator.interpolate(&dark, &light, 0.5)?;
        Ok(begin.elapsed())
    };
    let of_level = |level: &Level| -> Result<f64> {
        if level.every == 0 {
            return Ok(0.0);
        }
        let first = time(level)?;
        let shortest = match first > WARM_UP {
            true => first,
            false => first.min(time(level)?),
        };
        Ok(shortest.as_secs_f64())
    };
    levels.iter().map(of_level).collect()
}

/// Returns the levels of a job: all frames, then lower scales, the faster networks in `fast`, fewer frames, and source frames only.
/// `rate` is the source's in frames per second.
pub fn levels(
    interpolator: &Arc<Interpolator>,
    fast: &[Arc<Interpolator>],
    mode: TimelineMode,
    rate: Time,
) -> Vec<Level> {
    let level = |name: String, interpolator: &Arc<Interpolator>, every| Level {
        name,
        interpolator: interpolator.clone(),
        every,
    };
    let scale_name = |scale: Scale| format!("scale {}", scale.factor());
    let mut found = vec![level("all frames".to_owned(), interpolator, 1)];
    let lower: Vec<_> = Scale::ALL
        .into_iter()
        .rev()
        .filter(|scale| *scale < interpolator.scale())
        .collect();
    for scale in &lower {
        let scaled = Arc::new(interpolator.rescaled(*scale));
        found.push(level(scale_name(*scale), &scaled, 1));
    }
    for network in fast {
        let scale = lower.last().copied().unwrap_or(network.scale());
        let name = format!("network {} at {}", network.version(), scale_name(scale));
        found.push(level(name, &Arc::new(network.rescaled(scale)), 1));
    }
    let cheapest = found[found.len() - 1].interpolator.clone();
    let ratio = output_ratio(mode, rate);
    let mut every = 2;
    while f64::from(every) < ratio {
        found.push(level(format!("one frame of {every}"), &cheapest, every));
        every *= 2;
    }
    found.push(level("source frames only".to_owned(), &cheapest, 0));
    found
}

/// Chooses the level.
#[derive(Debug)]
pub(super) struct Controller {
    /// Of each level: the share of output frames between source frames that are computed.
    shares: Vec<f64>,
    /// Of each level: the time of a computed frame before the first one, in seconds.
    before: Vec<f64>,
    /// Expected time of a computed frame at the current level, in seconds: a mean of measured ones, less for frames that were not
    /// computed since; `None` before the first.
    cost: Option<f64>,
    /// Of each level, how many times the cost of the next one its cost was, when it was left.
    ratios: Vec<Option<f64>>,
    /// Cost of the level that was left for this one, until the cost of this one is known.
    left: Option<f64>,
    /// Mean time that each source frame needs beside the network, in seconds.
    base: f64,
    /// Output frames per source frame, less one.
    between: f64,
    /// Frame interval of the source in seconds.
    interval: f64,
    level: usize,
    /// Time at each level.
    seconds: Vec<f64>,
    /// The last decision.
    last: Option<Instant>,
    /// Start of the window, and its counts.
    window: Option<Instant>,
    frames: u32,
    made: u32,
    late: u32,
    /// Since when nothing was late at this level.
    calm: Option<Instant>,
    hold: Duration,
    /// When the job went up last.
    rose: Option<Instant>,
}

impl Controller {
    /// Makes a controller at the first level; `before` are the times of [`measured`].
    pub(super) fn new(levels: &[Level], before: Vec<f64>, mode: TimelineMode, rate: Time) -> Self {
        let shares = levels.iter().map(|level| match level.every {
            0 => 0.0,
            every => 1.0 / f64::from(every),
        });
        Self::with(
            shares.collect(),
            before,
            output_ratio(mode, rate) - 1.0,
            time::seconds(rate.recip()),
        )
    }

    /// Makes a controller of levels that compute these shares of the frames between source frames.
    fn with(shares: Vec<f64>, before: Vec<f64>, between: f64, interval: f64) -> Self {
        Self {
            before,
            cost: None,
            ratios: vec![None; shares.len()],
            left: None,
            seconds: vec![0.0; shares.len()],
            shares,
            base: 0.0,
            between,
            interval,
            level: 0,
            last: None,
            window: None,
            frames: 0,
            made: 0,
            late: 0,
            calm: None,
            hold: HOLD,
            rose: None,
        }
    }

    /// Returns the current level.
    pub(super) fn level(&self) -> usize {
        self.level
    }

    /// Returns the seconds at each level.
    pub(super) fn seconds(&self) -> Vec<f64> {
        self.seconds.clone()
    }

    /// Returns the expected time of a frame at the current level.
    pub(super) fn cost(&self) -> Duration {
        Duration::from_secs_f64(self.cost.unwrap_or(self.before[self.level]))
    }

    /// Takes note of the time that a source frame needed beside the network.
    pub(super) fn base(&mut self, time: Duration) {
        self.base += WEIGHT * (time.as_secs_f64() - self.base);
        self.frames += 1;
    }

    /// Takes note of a computed frame.
    pub(super) fn computed(&mut self, time: Duration) {
        let time = time.as_secs_f64();
        self.cost = Some(self.cost.map_or(time, |cost| cost + WEIGHT * (time - cost)));
        self.made += 1;
    }

    /// Takes note of a frame that could not be computed in time.
    pub(super) fn late(&mut self) {
        self.late += 1;
        self.cost = Some(DECAY * self.cost.unwrap_or(self.before[self.level]));
    }

    /// Decides at the end of a source frame; returns whether the new level is a cheaper one, where it changes.
    pub(super) fn decide(&mut self, now: Instant) -> Option<bool> {
        let before = self.last.replace(now).unwrap_or(now);
        self.seconds[self.level] += (now - before).as_secs_f64();
        let begin = *self.window.get_or_insert(now);
        if now - begin < WINDOW || self.frames < WINDOW_FRAMES {
            return None;
        }
        let wanted = f64::from(self.made + self.late);
        let overloaded = self.late >= 2 && f64::from(self.late) > LATE * wanted;
        let late = self.late > 0;
        (self.window, self.frames, self.made, self.late) = (Some(now), 0, 0, 0);
        if let (Some(left), Some(cost)) = (self.left, self.cost) {
            self.ratios[self.level - 1] = Some(left / cost.max(1e-6));
            self.left = None;
        }
        if overloaded && self.level + 1 < self.shares.len() {
            return Some(self.go_down(now));
        }
        if late {
            self.calm = None;
            return None;
        }
        let calm = *self.calm.get_or_insert(begin);
        if self.rose.is_some_and(|rose| now - rose > 2 * self.hold) {
            (self.rose, self.hold) = (None, HOLD);
        }
        if self.level > 0 && now - calm >= self.hold && self.expected(self.level - 1) < BUSY {
            let cost = self
                .cost
                .zip(self.ratios[self.level - 1])
                .map(|(cost, ratio)| cost * ratio);
            self.level -= 1;
            self.left = None;
            self.reset(now);
            self.cost = cost;
            self.rose = Some(now);
            return Some(false);
        }
        None
    }

    /// Goes to the next level.
    fn go_down(&mut self, now: Instant) -> bool {
        // An attempt to rise that failed is not repeated soon.
        if self.rose.take().is_some_and(|rose| now - rose < 3 * WINDOW) {
            self.hold = (self.hold * 2).min(LONGEST_HOLD);
        }
        self.level += 1;
        self.left = self.cost;
        self.reset(now);
        true
    }

    /// Begins a window at a new level.
    fn reset(&mut self, now: Instant) {
        self.window = Some(now);
        (self.calm, self.cost) = (None, None);
    }

    /// Returns the share of the time that the level above the current one is expected to need; 0 where nothing is known.
    fn expected(&self, level: usize) -> f64 {
        let Some((cost, ratio)) = self.cost.zip(self.ratios[level]) else {
            return 0.0;
        };
        (self.base + cost * ratio * self.between * self.shares[level]) / self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a controller over `seconds` of 25 frames a second, where a frame takes `cost` of its level and second; returns the
    /// level after each second.
    fn run(seconds: u32, cost: impl Fn(usize, u32) -> f64) -> Vec<usize> {
        let mut controller = Controller::with(vec![1.0, 1.0, 0.0], vec![0.0; 3], 1.0, 0.04);
        let begin = Instant::now();
        let mut levels = Vec::new();
        for frame in 0..seconds * 25 {
            let now = begin + Duration::from_secs_f64(f64::from(frame) * 0.04);
            controller.base(Duration::from_millis(2));
            let level = controller.level();
            if controller.shares[level] > 0.0 {
                let time = cost(level, frame / 25);
                match time > 0.038 && frame % 2 == 0 {
                    true => controller.late(),
                    false => controller.computed(Duration::from_secs_f64(time)),
                }
            }
            controller.decide(now);
            if frame % 25 == 24 {
                levels.push(controller.level());
            }
        }
        levels
    }

    #[test]
    fn a_machine_that_keeps_up_stays_at_the_first_level() {
        assert!(run(20, |_, _| 0.02).iter().all(|level| *level == 0));
    }

    #[test]
    fn a_slow_machine_goes_down_and_comes_back() {
        // Too slow for both networks from the third second to the ninth.
        let levels = run(40, |level, second| match (level, second) {
            (_, 3..9) => 0.1,
            (0, _) => 0.02,
            _ => 0.01,
        });
        assert_eq!(levels[..3], [0, 0, 0]);
        assert_eq!(levels[6], 2, "{levels:?}");
        assert_eq!(levels[39], 0, "{levels:?}");
    }

    /// A first frame that takes long, as when memory is allocated, does not keep later frames from being computed.
    #[test]
    fn a_long_first_frame_is_forgotten() {
        let mut controller = Controller::with(vec![1.0, 0.0], vec![0.0; 2], 1.0, 0.04);
        let begin = Instant::now();
        let (mut computed, slack) = (0, Duration::from_millis(100));
        for frame in 0..20 * 25 {
            controller.base(Duration::from_millis(2));
            if controller.shares[controller.level()] > 0.0 {
                match controller.cost() > slack {
                    true => controller.late(),
                    false => {
                        controller.computed(Duration::from_millis(if computed == 0 { 2000 } else { 20 }));
                        computed += 1;
                    }
                }
            }
            controller.decide(begin + Duration::from_millis(40 * frame));
        }
        assert!(computed > 300, "{computed} of 500");
    }

    #[test]
    fn times_measured_before_the_first_frame_are_expected() {
        let controller = Controller::with(vec![1.0, 0.0], vec![3.0, 0.0], 1.0, 0.04);
        assert_eq!(controller.cost(), Duration::from_secs(3));
    }

    #[test]
    fn a_level_that_fails_at_once_is_tried_less_and_less_often() {
        let levels = run(120, |level, _| if level == 0 { 0.1 } else { 0.01 });
        let tries = levels
            .windows(2)
            .filter(|pair| pair[0] == 1 && pair[1] == 0)
            .count();
        assert!(
            levels.iter().filter(|level| **level == 1).count() > 110,
            "{levels:?}"
        );
        assert!(tries <= 6, "{tries}");
    }
}
