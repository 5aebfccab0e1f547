//! Synthetic linear motion: a procedural texture rendered at any time, and estimation of the time of a given image by least
//! squares.

use rife::media::RgbImage;

use crate::sample::noise;

/// Width and height of the images in pixels.
const SIDE: usize = 256;
/// Margin in pixels that is left out of the error: content that enters there is not in both frames.
const MARGIN: usize = 48;
/// Distance in pixels, on both axes, of the samples over which the error is summed.
const STRIDE: usize = 3;
/// Range of the grid search beyond times 0 and 1.
const OVERSHOOT: f64 = 0.25;
/// Number of intervals of the grid search.
const GRID: usize = 60;

/// The motions that are measured: slow and fast, of the full image and of a disc before a static background.
pub(super) const MOTIONS: [Motion; 7] = [
    Motion::pan("pan right 4 px", [4.0, 0.0]),
    Motion::pan("pan down 12 px", [0.0, 12.0]),
    Motion::pan("pan aslant 20 px", [16.0, 12.0]),
    Motion::pan("pan left 32 px", [-32.0, 0.0]),
    Motion::disc("disc right 8 px", [8.0, 0.0]),
    Motion::disc("disc aslant 20 px", [-12.0, 16.0]),
    Motion::disc("disc down 32 px", [0.0, 32.0]),
];

/// A linear motion of a texture.
#[derive(Debug)]
pub(super) struct Motion {
    /// The motion's name, for people.
    pub(super) name: &'static str,
    /// Displacement from time 0 to 1, x and y in pixels.
    by: [f64; 2],
    /// Whether a disc moves before a static background, instead of the full image.
    disc: bool,
}

/// Radius of the disc in pixels.
const RADIUS: f64 = 56.0;

impl Motion {
    /// Makes a motion of the full image by a displacement in pixels.
    const fn pan(name: &'static str, by: [f64; 2]) -> Self {
        Self {
            name,
            by,
            disc: false,
        }
    }

    /// Makes a motion of a disc by a displacement in pixels.
    const fn disc(name: &'static str, by: [f64; 2]) -> Self {
        Self { name, by, disc: true }
    }

    /// Returns the length of the motion in pixels.
    pub(super) fn distance(&self) -> f64 {
        self.by[0].hypot(self.by[1])
    }

    /// Renders the image at `time` (0..=1).
    pub(super) fn draw(&self, time: f64) -> RgbImage {
        let pixels = (0..3).flat_map(|channel| {
            (0..SIDE * SIDE).map(move |i| self.value([i % SIDE, i / SIDE], channel, time) as f32)
        });
        RgbImage::new(SIDE as u32, SIDE as u32, pixels.collect())
    }

    /// Estimates the time (0 at the first frame, 1 at the second) whose rendering has the least squared error to `picture`: a
    /// grid search from `-OVERSHOOT` to `1 + OVERSHOOT`, then a golden-section search.
    pub(super) fn estimate_time(&self, picture: &RgbImage) -> f64 {
        let time = |i: usize| -OVERSHOOT + (1.0 + 2.0 * OVERSHOOT) * i as f64 / GRID as f64;
        let errors: Vec<f64> = (0..=GRID).map(|i| self.error(picture, time(i))).collect();
        let best = (0..=GRID)
            .min_by(|a, b| errors[*a].total_cmp(&errors[*b]))
            .unwrap_or_default();
        let step = time(1) - time(0);
        golden_section(time(best) - step, time(best) + step, |time| {
            self.error(picture, time)
        })
    }

    /// Returns the sum of squared differences between `picture` and the rendering at `time`.
    fn error(&self, picture: &RgbImage, time: f64) -> f64 {
        let inner = || (MARGIN..SIDE - MARGIN).step_by(STRIDE);
        let square = |x: usize, y: usize| {
            // Green only: the three channels move together.
            let value = f64::from(picture.data[SIDE * SIDE + y * SIDE + x]);
            (value - self.value([x, y], 1, time)).powi(2)
        };
        inner().map(|y| inner().map(|x| square(x, y)).sum::<f64>()).sum()
    }

    /// Returns the value, 0..=1, of a pixel's channel at `time`.
    fn value(&self, [x, y]: [usize; 2], channel: usize, time: f64) -> f64 {
        let at = [x as f64 - self.by[0] * time, y as f64 - self.by[1] * time];
        if !self.disc {
            return texture(at, channel, 0);
        }
        let middle = SIDE as f64 / 2.0;
        // The disc is at the image's centre at time 1/2.
        let from_center = [
            at[0] - middle + self.by[0] / 2.0,
            at[1] - middle + self.by[1] / 2.0,
        ];
        let inside = (RADIUS + 0.5 - from_center[0].hypot(from_center[1])).clamp(0.0, 1.0);
        let ground = texture([x as f64, y as f64], channel, 2);
        ground + (texture(at, channel, 0) - ground) * inside
    }
}

/// Returns the value, 0..=1, of an aperiodic texture with soft spots and hard edges at a point in pixels; `seed` selects one of
/// several textures.
fn texture([x, y]: [f64; 2], channel: usize, seed: usize) -> f64 {
    let soft = noise([x, y], 3 * seed + channel);
    let edges = (24.0 * (noise([0.5 * x, 0.5 * y], 7 * seed + 11) - 0.5)).tanh();
    (0.5 + 0.8 * (soft - 0.5) + 0.18 * edges).clamp(0.0, 1.0)
}

/// Finds the minimum of a unimodal function between two arguments by golden-section search.
fn golden_section(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    /// The inverse of the golden ratio.
    const RATIO: f64 = 0.618_033_988_749_894_8;
    let inner = |low: f64, high: f64| [high - RATIO * (high - low), low + RATIO * (high - low)];
    for _ in 0..18 {
        let [a, b] = inner(low, high);
        if f(a) < f(b) { high = b } else { low = a }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_found_again() {
        for motion in &MOTIONS {
            for time in [0.1, 0.5, 0.875] {
                let found = motion.estimate_time(&motion.draw(time));
                assert!((found - time).abs() < 1e-3, "{}: {found} for {time}", motion.name);
            }
        }
    }

    #[test]
    fn a_blend_is_found_at_neither_place() {
        let motion = &MOTIONS[0];
        let found = motion.estimate_time(&motion.draw(0.0).blend(&motion.draw(1.0), 0.5));
        assert!((0.0..1.0).contains(&found), "{found}");
    }
}
