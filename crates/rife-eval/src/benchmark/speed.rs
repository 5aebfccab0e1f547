//! Speed benchmark: time of the network for one frame between a pair, by pairs of a video, by convolution, and by the method
//! of the original's `testtime.py`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use num_rational::Ratio;
use rife::media::{CancelToken, RgbImage};
use rife_backend::ConvKind;
use serde::Serialize;

use rife::Convolution;
use rife::{Error, Interpolator, Result};

/// Result of [`measure_speed`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speed {
    /// The network's version.
    pub version: String,
    /// Width of the frames.
    pub width: u32,
    /// Height of the frames.
    pub height: u32,
    /// Number of timed runs.
    pub runs: usize,
    /// Median time of a run in milliseconds.
    pub median_ms: f64,
    /// The fastest run in milliseconds.
    pub min_ms: f64,
    /// The slowest run in milliseconds.
    pub max_ms: f64,
    /// The processor's instruction set in use, such as `avx2`.
    pub tier: String,
    /// Number format of the wide convolutions, such as `f32`.
    pub precision: String,
    /// Number of threads.
    pub threads: usize,
}

/// Times `runs` pairs of frames of `width` x `height` after one that is not counted. A run prepares one new frame and
/// computes the middle between it and the frame before, as in a video.
///
/// # Errors
/// Those of running the network, [`Error::Usage`] for no runs, [`Error::Cancelled`].
pub fn measure_speed(
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
    if let Some(faults) = interpolator.faults() {
        return Err(Error::Failure(faults));
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

/// Time of one convolution of the network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerTime {
    /// The output's size relative to the input's: `same`, `down` (half) or `up` (twice).
    pub kind: &'static str,
    /// Input shape: `[channels, height, width]`.
    pub input: [usize; 3],
    /// Number of output channels.
    pub output: usize,
    /// The kernel family, such as `winograd`.
    pub kernel: &'static str,
    /// Time in milliseconds, including the computation of a fused input.
    pub ms: f64,
    /// Speed in 10^9 multiply-adds (of the convolution's definition) per second.
    pub gmacs_a_second: f64,
}

/// Times each convolution of encoding one new frame and interpolating the middle between it and the frame before, in order of
/// execution, at the second run.
///
/// # Errors
/// Those of running the network.
pub fn measure_layers(interpolator: &Interpolator, [width, height]: [u32; 2]) -> Result<Vec<LayerTime>> {
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
    /// Converts a device's measurement of a convolution to units for people.
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

/// Result of [`testtime`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestTime {
    /// The network's version.
    pub version: String,
    /// Width of the frames.
    pub width: u32,
    /// Height of the frames.
    pub height: u32,
    /// Number of warm-up runs.
    pub warm: usize,
    /// Number of timed runs.
    pub runs: usize,
    /// Mean time of a run in milliseconds.
    pub mean_ms: f64,
    /// The processor's instruction set in use, such as `avx2`.
    pub tier: String,
    /// Number format of the wide convolutions, such as `f32`.
    pub precision: String,
    /// Number of threads.
    pub threads: usize,
}

/// Times pairs as the original's `testtime.py` does: two random images of 640x480, `runs` warm-up runs and as many timed ones
/// (100 in the original). Each run prepares both images again.
///
/// # Errors
/// Those of running the network, [`Error::Usage`] for no runs, [`Error::Cancelled`].
pub fn testtime(interpolator: &Interpolator, runs: usize, cancel: &CancelToken) -> Result<TestTime> {
    /// Width and height of the images in the original script.
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

/// Makes an image of uniform noise.
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

/// Makes an image of sine waves, moved by 3 pixels per `index`.
fn gradient(width: u32, height: u32, index: usize) -> Arc<RgbImage> {
    let wave = |x: u32, y: u32, channel: u32| {
        let phase = (x + 3 * index as u32) as f32 * 0.05 + y as f32 * 0.03 + channel as f32;
        0.5 + 0.4 * phase.sin()
    };
    let pixels = (0..3).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| wave(x, y, c))));
    Arc::new(RgbImage::new(width, height, pixels.collect()))
}
