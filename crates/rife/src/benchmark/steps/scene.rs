//! Linear motion with a known position at every time: a texture, drawn at any time and found again in a
//! picture by fitting.

use rife_media::RgbImage;

use crate::sample::noise;

/// Width and height of the pictures.
const SIDE: usize = 256;
/// Left out at the pictures' borders, where what enters is not in both frames.
const MARGIN: usize = 48;
/// A position is looked for over every so many pixels...
const STRIDE: usize = 3;
/// ...from this much before the start to this much after the end.
const OVERSHOOT: f64 = 0.25;
/// Positions tried before the best is refined.
const TRIED: usize = 60;

/// The motions measured: slow and fast, of the whole picture and of a thing before a still ground.
pub(super) const MOTIONS: [Motion; 7] = [
    Motion::pan("pan right 4 px", [4.0, 0.0]),
    Motion::pan("pan down 12 px", [0.0, 12.0]),
    Motion::pan("pan aslant 20 px", [16.0, 12.0]),
    Motion::pan("pan left 32 px", [-32.0, 0.0]),
    Motion::disc("disc right 8 px", [8.0, 0.0]),
    Motion::disc("disc aslant 20 px", [-12.0, 16.0]),
    Motion::disc("disc down 32 px", [0.0, 32.0]),
];

/// A texture that moves along a line.
#[derive(Debug)]
pub(super) struct Motion {
    /// What it is.
    pub(super) name: &'static str,
    /// By how much it moves from time 0 to 1, in pixels.
    by: [f64; 2],
    /// Whether a disc moves over still ground.
    disc: bool,
}

/// Radius of the disc.
const RADIUS: f64 = 56.0;

impl Motion {
    const fn pan(name: &'static str, by: [f64; 2]) -> Self {
        Self {
            name,
            by,
            disc: false,
        }
    }

    const fn disc(name: &'static str, by: [f64; 2]) -> Self {
        Self { name, by, disc: true }
    }

    /// How far it moves, in pixels.
    pub(super) fn distance(&self) -> f64 {
        self.by[0].hypot(self.by[1])
    }

    /// The picture at `time`.
    pub(super) fn draw(&self, time: f64) -> RgbImage {
        let pixels = (0..3).flat_map(|channel| {
            (0..SIDE * SIDE).map(move |i| self.value([i % SIDE, i / SIDE], channel, time) as f32)
        });
        RgbImage::new(SIDE as u32, SIDE as u32, pixels.collect())
    }

    /// The time (0 at the first frame, 1 at the second) whose rendering has the least squared error to `picture`: a grid search
    /// from `-OVERSHOOT` to `1 + OVERSHOOT`, then a golden-section search.
    pub(super) fn estimate_time(&self, picture: &RgbImage) -> f64 {
        let place = |i: usize| -OVERSHOOT + (1.0 + 2.0 * OVERSHOOT) * i as f64 / TRIED as f64;
        let errors: Vec<f64> = (0..=TRIED).map(|i| self.error(picture, place(i))).collect();
        let best = (0..=TRIED)
            .min_by(|a, b| errors[*a].total_cmp(&errors[*b]))
            .unwrap_or_default();
        let step = place(1) - place(0);
        golden(place(best) - step, place(best) + step, |time| {
            self.error(picture, time)
        })
    }

    fn error(&self, picture: &RgbImage, time: f64) -> f64 {
        let inner = || (MARGIN..SIDE - MARGIN).step_by(STRIDE);
        let square = |x: usize, y: usize| {
            // Green alone: the three colours move together.
            let seen = f64::from(picture.data[SIDE * SIDE + y * SIDE + x]);
            (seen - self.value([x, y], 1, time)).powi(2)
        };
        inner().map(|y| inner().map(|x| square(x, y)).sum::<f64>()).sum()
    }

    fn value(&self, [x, y]: [usize; 2], channel: usize, time: f64) -> f64 {
        let at = [x as f64 - self.by[0] * time, y as f64 - self.by[1] * time];
        if !self.disc {
            return texture(at, channel, 0);
        }
        let middle = SIDE as f64 / 2.0;
        // The disc is in the middle of the picture halfway.
        let from_center = [
            at[0] - middle + self.by[0] / 2.0,
            at[1] - middle + self.by[1] / 2.0,
        ];
        let inside = (RADIUS + 0.5 - from_center[0].hypot(from_center[1])).clamp(0.0, 1.0);
        let ground = texture([x as f64, y as f64], channel, 2);
        ground + (texture(at, channel, 0) - ground) * inside
    }
}

/// A texture of soft spots and hard edges, which looks the same nowhere else; `seed` takes another one.
fn texture([x, y]: [f64; 2], channel: usize, seed: usize) -> f64 {
    let soft = noise([x, y], 3 * seed + channel);
    let edges = (24.0 * (noise([0.5 * x, 0.5 * y], 7 * seed + 11) - 0.5)).tanh();
    (0.5 + 0.8 * (soft - 0.5) + 0.18 * edges).clamp(0.0, 1.0)
}

/// The least place of a function between two, by the golden section.
fn golden(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
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
