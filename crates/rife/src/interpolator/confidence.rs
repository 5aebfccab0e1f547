//! How far a made frame is to be trusted, from what the network itself says: it moves both pictures to the wanted time,
//! and where it has understood the motion, both come out alike.

use num_rational::Ratio;
use rife_media::RgbImage;
use rife_nets::Options;

use super::{Interpolator, to_f32};
use crate::Result;

/// Longest side at which the agreement is measured: what a network gets wrong for all to see is large, and the measure
/// costs a sixteenth of a 1080p frame.
const SIDE: u32 = 480;
/// Shortest side that pictures are reduced to.
const LEAST: u32 = 64;
/// The mean difference of the moved pictures, in parts of the range, at which confidence is 1/e.
const TOLERANCE: f64 = 0.05;
/// What pixels of both pictures may differ by and be the same: where nothing moves, networks that keep what is still may
/// say any motion.
const SAME: f32 = 1.5 / 255.0;

impl Interpolator {
    /// How far the frame at `timestep` between two pictures of one size is to be trusted, 0 to 1.
    ///
    /// It is `exp(-d / 0.05)`, where d is the mean absolute difference between both pictures as the network's flow moves
    /// them to that time, and none where they are the same, at a longest side of 480 pixels at most. Rank it, or compare it within a clip: it is no
    /// probability. Networks that know only the middle are asked for the middle.
    ///
    /// # Errors
    /// Those of running the network.
    pub fn confidence(&self, first: &RgbImage, second: &RgbImage, timestep: Ratio<i64>) -> Result<f64> {
        let direct = self.version().supports_timestep();
        let timestep = if direct { to_f32(timestep) } else { 0.5 };
        let options = Options {
            scale: self.options.scale,
            ..Options::default()
        };
        let factor = factor(first.width, first.height);
        let [a, b] = [first, second].map(|image| -> Result<_> {
            let small = image.reduced(factor);
            self.runner.prepare(&small, &options)
        });
        let pair = self.checked(self.runner.clone().pair([&a?, &b?], &options))?;
        let warped = pair.warped_at(timestep.clamp(1e-3, 1.0 - 1e-3));
        let [moved, held] = self.checked(warped)?;
        let differences = |[a, b]: &[RgbImage; 2]| -> Vec<f32> {
            a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).collect()
        };
        let (moved, held) = (differences(&moved), differences(&held));
        let apart = moved.iter().zip(&held).filter(|(_, held)| **held > SAME);
        let mean = apart.map(|(moved, _)| f64::from(*moved)).sum::<f64>() / moved.len().max(1) as f64;
        Ok((-mean / TOLERANCE).exp())
    }
}

/// By how much pictures of this size are reduced.
fn factor(width: u32, height: u32) -> u32 {
    let wanted = width.max(height).div_ceil(SIDE);
    wanted.min(width.min(height) / LEAST).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InterpolatorSpec, ModelChoice};

    #[test]
    fn sizes_are_reduced_to_what_can_be_measured() {
        assert_eq!(
            [
                factor(1920, 1080),
                factor(640, 360),
                factor(96, 64),
                factor(4000, 100)
            ],
            [4, 2, 1, 1]
        );
    }

    #[test]
    fn unrelated_pictures_are_trusted_less_than_equal_ones() {
        if rife_nets::default_weights().is_none() {
            return eprintln!("skipped: no network is built in");
        }
        let interpolator = Interpolator::new(&InterpolatorSpec {
            model: ModelChoice::Default,
            ..InterpolatorSpec::default()
        })
        .unwrap();
        let waves = |shift: f32, step: f32| {
            let value = move |i: usize| {
                let (x, y) = ((i % 64) as f32, (i / 64 % 64) as f32);
                0.5 + 0.4 * ((x - shift) * step).sin() * (y * 0.1).cos()
            };
            RgbImage::new(64, 64, (0..3 * 64 * 64).map(value).collect())
        };
        let trust = |a: &RgbImage, b: &RgbImage| interpolator.confidence(a, b, Ratio::new(1, 2)).unwrap();
        let still = trust(&waves(0.0, 0.2), &waves(0.0, 0.2));
        let moved = trust(&waves(0.0, 0.2), &waves(2.0, 0.2));
        let other = trust(&waves(0.0, 0.2), &waves(13.0, 0.7));
        assert!(
            still > 0.9 && still >= moved && moved > other,
            "{still} {moved} {other}"
        );
    }
}
