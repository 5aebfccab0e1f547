//! Measures the time of all new frames of a pair at factors 2, 4 and 8, as in a video: one new frame is prepared, then each
//! timestep is computed. Prints a line of JSON per factor with the median in milliseconds.
//! `cargo run --release -p rife --example factor [WIDTHxHEIGHT] [VERSION]`

use std::sync::Arc;
use std::time::Instant;

use num_rational::Ratio;
use rife::media::RgbImage;
use rife::nets::Version;
use rife::{Interpolator, InterpolatorSpec, ModelChoice};

/// Number of timed rounds.
const ROUNDS: usize = 5;
const FACTORS: [i64; 3] = [2, 4, 8];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let size = arguments.next().unwrap_or_else(|| "1280x768".into());
    let version = arguments.next().unwrap_or_else(|| "4.25.lite".into());
    let (width, height) = size.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
    let (width, height) = (width.parse()?, height.parse()?);
    let mut spec = InterpolatorSpec::default();
    spec.model = ModelChoice::Random(version.parse::<Version>()?);
    let interpolator = Interpolator::new(&spec)?;
    let pictures = [0, 1].map(|index| waves(width, height, index));
    let mut times = FACTORS.map(|_| Vec::new());
    for round in 0..=ROUNDS {
        for (times, factor) in times.iter_mut().zip(FACTORS) {
            let taken = pair(&interpolator, &pictures, factor)?;
            // The first round is a warm-up: it fills the engine's buffer pool.
            times.extend((round > 0).then_some(taken));
        }
    }
    for (mut times, factor) in times.into_iter().zip(FACTORS) {
        times.sort_by(f64::total_cmp);
        println!(
            r#"{{"version": "{version}", "size": "{size}", "factor": {factor}, "ms": {:.2}}}"#,
            times[ROUNDS / 2]
        );
    }
    Ok(())
}

/// Returns the milliseconds for a pair whose first image is prepared already.
fn pair(interpolator: &Interpolator, [a, b]: &[Arc<RgbImage>; 2], factor: i64) -> Result<f64, rife::Error> {
    let first = interpolator.prepare(a.clone())?;
    let start = Instant::now();
    let second = interpolator.prepare(b.clone())?;
    let mut between = interpolator.between(&first, &second);
    for step in 1..factor {
        between.at(Ratio::new(step, factor))?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// Makes an image of sine waves, moved by 3 pixels per `index`.
fn waves(width: u32, height: u32, index: u32) -> Arc<RgbImage> {
    let wave = |x: u32, y: u32, channel: u32| {
        let phase = (x + 3 * index) as f32 * 0.05 + y as f32 * 0.03 + channel as f32;
        0.5 + 0.4 * phase.sin()
    };
    let pixels = (0..3).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| wave(x, y, c))));
    Arc::new(RgbImage::new(width, height, pixels.collect()))
}
