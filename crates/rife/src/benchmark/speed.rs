//! How long the network takes for one frame between a pair.

use std::sync::Arc;
use std::time::{Duration, Instant};

use num_rational::Ratio;
use rife_media::{CancelToken, RgbImage};
use serde::Serialize;

use crate::{Error, Interpolator, Result};

/// What a speed measurement found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speed {
    /// The network's version.
    pub version: String,
    /// Width of the frames.
    pub width: u32,
    /// Height of the frames.
    pub height: u32,
    /// Timed runs.
    pub runs: usize,
    /// Median time of a run in milliseconds.
    pub median_ms: f64,
    /// The fastest run in milliseconds.
    pub min_ms: f64,
    /// The slowest run in milliseconds.
    pub max_ms: f64,
    /// The processor's tier.
    pub tier: String,
    /// What the engine computes with.
    pub precision: String,
    /// Threads.
    pub threads: usize,
}

/// Times `runs` pairs of `width` x `height` after one that is not counted. A run prepares one new frame and makes
/// the middle between it and the frame before, as in a video.
///
/// # Errors
/// Those of running the network, [`Error::Usage`] for no runs, [`Error::Cancelled`].
pub fn measure(
    interpolator: &Interpolator,
    [width, height]: [u32; 2],
    runs: usize,
    cancel: &CancelToken,
) -> Result<Speed> {
    if runs == 0 {
        return Err(Error::Usage("at least one run is needed to time".into()));
    }
    let mut last = interpolator.prepare(gradient(width, height, 0))?;
    let mut times = Vec::with_capacity(runs + 1);
    for run in 0..=runs {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let picture = gradient(width, height, run + 1);
        let start = Instant::now();
        let next = interpolator.prepare(picture)?;
        interpolator.between(&last, &next).at(Ratio::new(1, 2))?;
        times.push(start.elapsed());
        last = next;
    }
    times.remove(0);
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let engine = interpolator.engine().clone();
    Ok(Speed {
        version: interpolator.version().name().into(),
        width,
        height,
        runs,
        median_ms: (ms(times[(runs - 1) / 2]) + ms(times[runs / 2])) / 2.0,
        min_ms: ms(times[0]),
        max_ms: ms(times[runs - 1]),
        tier: engine.tier,
        precision: engine.precision,
        threads: engine.threads,
    })
}

/// A picture of soft waves, each `index` a little further on.
fn gradient(width: u32, height: u32, index: usize) -> Arc<RgbImage> {
    let wave = |x: u32, y: u32, channel: u32| {
        let phase = (x + 3 * index as u32) as f32 * 0.05 + y as f32 * 0.03 + channel as f32;
        0.5 + 0.4 * phase.sin()
    };
    let pixels = (0..3).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| wave(x, y, c))));
    Arc::new(RgbImage::new(width, height, pixels.collect()))
}
