//! Confidence of an interpolated frame, from the photometric consistency of the network's flow: both frames are warped to
//! the timestep, and where the flow is right, the warped frames agree.

use num_rational::Ratio;
use rife_media::RgbImage;
use rife_nets::Options;

use super::{Interpolator, to_f32};
use crate::Result;

/// Maximum longer side in pixels to which frames are reduced before: visible errors are large, and the network then takes
/// a sixteenth of its time for a 1080p frame.
const MAX_SIDE: u32 = 480;
/// Minimum shorter side in pixels of reduced frames.
const MIN_SIDE: u32 = 64;
/// Mean absolute difference of the warped frames (values 0..=1) at which confidence is 1/e.
const TOLERANCE: f64 = 0.05;
/// Maximum difference (values 0..=1) of static pixels, which are left out of the mean: networks with `keep_static` may
/// output any flow there.
const STATIC_DIFFERENCE: f32 = 1.5 / 255.0;

impl Interpolator {
    /// Estimates the confidence, 0..=1, of the frame at `timestep` between two images of the same size.
    ///
    /// It is `exp(-d / 0.05)`, where d is the mean absolute difference of both images after warping to `timestep` by the
    /// network's flow, with static pixels counted as 0, at a longer side of at most 480 pixels. It ranks frames of one clip
    /// and is not a probability. Networks without a timestep input are evaluated at 1/2.
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
            self.runner.prepare(&small.view(), &options)
        });
        let pair = self.checked(self.runner.clone().pair([&a?, &b?], &options))?;
        let warped = pair.warped_at(timestep.clamp(1e-3, 1.0 - 1e-3));
        let [moved, held] = self.checked(warped)?;
        let differences = |[a, b]: &[RgbImage; 2]| -> Vec<f32> {
            a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).collect()
        };
        let (moved, held) = (differences(&moved), differences(&held));
        let changing = moved
            .iter()
            .zip(&held)
            .filter(|(_, held)| **held > STATIC_DIFFERENCE);
        let mean = changing.map(|(moved, _)| f64::from(*moved)).sum::<f64>() / moved.len().max(1) as f64;
        Ok((-mean / TOLERANCE).exp())
    }
}

/// Returns the integer factor by which frames of this size are reduced.
fn factor(width: u32, height: u32) -> u32 {
    let wanted = width.max(height).div_ceil(MAX_SIDE);
    wanted.min(width.min(height) / MIN_SIDE).max(1)
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
        let found = rife_nets::default_weights().is_some();
        if !rife_testing::Need::Weights.is_met(found, "no network is built in") {
            return;
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
