//! How long the network takes for one frame between a pair.

use std::sync::Arc;
use std::time::{Duration, Instant};

use num_rational::Ratio;
use rife_backend::ConvKind;
use rife_media::{CancelToken, RgbImage};
use serde::Serialize;

use crate::runner::Convolution;
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

/// What one convolution of a pair took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerTime {
    /// `same`, `down` (half the size) or `up` (twice the size).
    pub kind: &'static str,
    /// `[channels, height, width]` that it reads.
    pub input: [usize; 3],
    /// Channels that it makes.
    pub output: usize,
    /// The kernels' family.
    pub kernel: &'static str,
    /// Milliseconds, with the computing of an input that is not kept.
    pub ms: f64,
    /// Multiply-adds of its definition in thousand millions a second.
    pub gmacs_a_second: f64,
}

/// Each convolution of one new frame and the middle between it and the frame before, in the order in which they run,
/// at its second run.
///
/// # Errors
/// As [`measure`].
pub fn layers(interpolator: &Interpolator, [width, height]: [u32; 2]) -> Result<Vec<LayerTime>> {
    let first = interpolator.prepare(gradient(width, height, 0))?;
    let run = |index: usize| -> Result<()> {
        let second = interpolator.prepare(gradient(width, height, index))?;
        interpolator
            .between(&first, &second)
            .at(Ratio::new(1, 2))
            .map(|_| ())
    };
    run(1)?;
    let mut done = Ok(());
    let runs = interpolator.profile(&mut || done = run(2));
    done?;
    Ok(runs.into_iter().map(LayerTime::from).collect())
}

impl From<Convolution> for LayerTime {
    fn from(run: Convolution) -> Self {
        let seconds = run.time.as_secs_f64();
        Self {
            kind: match run.kind {
                ConvKind::Same => "same",
                ConvKind::Down => "down",
                ConvKind::Up => "up",
            },
            input: run.input,
            output: run.output,
            kernel: run.kernel,
            ms: 1e3 * seconds,
            gmacs_a_second: run.macs as f64 / seconds.max(1e-9) / 1e9,
        }
    }
}

/// What the original's `testtime.py` measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestTime {
    /// The network's version.
    pub version: String,
    /// Width of the frames.
    pub width: u32,
    /// Height of the frames.
    pub height: u32,
    /// Runs before the clock starts.
    pub warm: usize,
    /// Timed runs.
    pub runs: usize,
    /// Mean time of a run in milliseconds.
    pub mean_ms: f64,
    /// The processor's tier.
    pub tier: String,
    /// What the engine computes with.
    pub precision: String,
    /// Threads.
    pub threads: usize,
}

/// As the original's `testtime.py`: two random pictures of 640x480, `runs` runs that are not counted and as many
/// that are (100 in the original), the mean of which is taken. Each run starts from both pictures anew.
///
/// # Errors
/// Those of running the network, [`Error::Usage`] for no runs, [`Error::Cancelled`].
pub fn testtime(interpolator: &Interpolator, runs: usize, cancel: &CancelToken) -> Result<TestTime> {
    const SIZE: [u32; 2] = [640, 480];
    if runs == 0 {
        return Err(Error::Usage("at least one run is needed to time".into()));
    }
    let pictures = [1, 2].map(|seed| random(SIZE, seed));
    let run = || {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let [a, b] = pictures.clone().map(|picture| interpolator.prepare(picture));
        interpolator.between(&a?, &b?).at(Ratio::new(1, 2)).map(|_| ())
    };
    (0..runs).try_for_each(|_| run())?;
    let start = Instant::now();
    (0..runs).try_for_each(|_| run())?;
    let mean_ms = start.elapsed().as_secs_f64() * 1e3 / runs as f64;
    let engine = interpolator.engine().clone();
    Ok(TestTime {
        version: interpolator.version().name().into(),
        width: SIZE[0],
        height: SIZE[1],
        warm: runs,
        runs,
        mean_ms,
        tier: engine.tier,
        precision: engine.precision,
        threads: engine.threads,
    })
}

/// A picture of noise.
fn random([width, height]: [u32; 2], seed: u32) -> Arc<RgbImage> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    Arc::new(RgbImage::new(
        width,
        height,
        (0..3 * width * height).map(|_| next()).collect(),
    ))
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
