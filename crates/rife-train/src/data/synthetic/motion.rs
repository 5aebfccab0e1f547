//! Motion of a synthetic layer: rotation, zoom, translation and sinusoidal bending, all linear in time.

use super::Point;
use crate::rng::Rng;

/// Maximum slope of bending: displacement in pixels per pixel and unit of time.
const MAX_SLOPE: f64 = 0.3;
/// Fixed-point iterations of [`Motion::unbent`]. For times within ±0.5 each reduces the error by a factor above six.
const ITERATIONS: usize = 8;

/// A motion over time; at time 0 points are at their source positions.
#[derive(Debug, Clone)]
pub(super) struct Motion {
    /// Centre of rotation and zoom in pixels.
    pub(super) centre: Point,
    /// Rotation in radians per unit of time, about `centre`.
    pub(super) angle: f64,
    /// Logarithm of the zoom per unit of time.
    pub(super) log_zoom: f64,
    /// Translation in pixels per unit of time.
    pub(super) translation: Point,
    /// Components of the bending.
    pub(super) waves: Vec<Wave>,
}

/// A component of bending: displacement of a point by the sine of its position.
#[derive(Debug, Clone)]
pub(super) struct Wave {
    /// Wave vector in radians per pixel.
    across: Point,
    /// Phase in radians.
    phase: f64,
    /// Amplitude in pixels per unit of time.
    amplitude: Point,
}

impl Wave {
    /// Draws a wave with a wavelength of 0.2 to 1.5 times `side`.
    fn random(side: f64, rng: &mut Rng) -> Self {
        let mut turn = || rng.uniform(0.0, std::f64::consts::TAU);
        let (along, direction, phase) = (turn(), turn(), turn());
        let frequency = std::f64::consts::TAU / (side * rng.uniform(0.2, 1.5));
        // The sum of two waves stays below the maximum slope.
        let amplitude = rng.uniform(0.2, 0.5) * MAX_SLOPE / frequency;
        Self {
            across: [frequency * along.cos(), frequency * along.sin()],
            phase,
            amplitude: [amplitude * direction.cos(), amplitude * direction.sin()],
        }
    }

    /// Returns the displacement of a point per unit of time.
    fn at(&self, [x, y]: Point) -> Point {
        let wave = (self.across[0] * x + self.across[1] * y + self.phase).sin();
        [self.amplitude[0] * wave, self.amplitude[1] * wave]
    }
}

impl Motion {
    /// Draws a random motion. `translation_sigma` is the standard deviation of the translation in pixels per unit of time;
    /// `bends` adds two waves.
    pub(super) fn random(centre: Point, translation_sigma: f64, bends: bool, rng: &mut Rng) -> Self {
        let side = 2.0 * centre[0];
        let waves = if bends { 2 } else { 0 };
        Self {
            centre,
            angle: rng.normal(3.0).to_radians(),
            log_zoom: rng.normal(0.04),
            translation: [rng.normal(translation_sigma), rng.normal(translation_sigma)],
            waves: (0..waves).map(|_| Wave::random(side, rng)).collect(),
        }
    }

    /// Returns the motion of a static layer.
    pub(super) fn none(centre: Point) -> Self {
        Self {
            centre,
            angle: 0.0,
            log_zoom: 0.0,
            translation: [0.0; 2],
            waves: Vec::new(),
        }
    }

    /// Returns the position of a source point at a time.
    pub(super) fn position(&self, source: Point, time: f64) -> Point {
        let [x, y] = self.bent(source, time);
        let (sin, cos) = (self.angle * time).sin_cos();
        let zoom = (self.log_zoom * time).exp();
        let (x, y) = (zoom * (x - self.centre[0]), zoom * (y - self.centre[1]));
        let (along, across) = (cos * x + sin * y, cos * y - sin * x);
        [
            along + self.centre[0] + self.translation[0] * time,
            across + self.centre[1] + self.translation[1] * time,
        ]
    }

    /// Returns the source point that is at a position at a time, the inverse of [`Motion::position`].
    pub(super) fn source(&self, [x, y]: Point, time: f64) -> Point {
        let (sin, cos) = (self.angle * time).sin_cos();
        let zoom = (-self.log_zoom * time).exp();
        let (x, y) = (
            x - self.centre[0] - self.translation[0] * time,
            y - self.centre[1] - self.translation[1] * time,
        );
        self.unbent(
            [
                zoom * (cos * x - sin * y) + self.centre[0],
                zoom * (cos * y + sin * x) + self.centre[1],
            ],
            time,
        )
    }

    /// Displaces a point by all waves at a time.
    fn bent(&self, at: Point, time: f64) -> Point {
        self.waves.iter().fold(at, |sum, wave| {
            let shift = wave.at(at);
            [sum[0] + shift[0] * time, sum[1] + shift[1] * time]
        })
    }

    /// Returns the point that [`Motion::bent`] displaces to `at`, by fixed-point iteration.
    fn unbent(&self, at: Point, time: f64) -> Point {
        let iterations = if self.waves.is_empty() { 0 } else { ITERATIONS };
        (0..iterations).fold(at, |found, _| {
            let bent = self.bent(found, time);
            [found[0] + at[0] - bent[0], found[1] + at[1] - bent[1]]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_and_place_are_inverse() {
        for draw in 0..50 {
            let mut rng = Rng::new(9, draw);
            let motion = Motion::random([64.0; 2], 20.0, draw % 2 == 0, &mut rng);
            for time in [-0.5, 0.25, 0.5] {
                let at = [rng.uniform(0.0, 128.0), rng.uniform(0.0, 128.0)];
                let [x, y] = motion.source(motion.position(at, time), time);
                assert!(
                    (x - at[0]).abs() < 1e-4 && (y - at[1]).abs() < 1e-4,
                    "{at:?} {x} {y}"
                );
            }
        }
    }

    #[test]
    fn bends_move_neighbours_differently() {
        let motion = Motion::random([64.0; 2], 0.0, true, &mut Rng::new(1, 1));
        let shift = |x: f64| motion.position([x, 64.0], 0.5)[0] - x;
        let shifts: Vec<_> = (0..128).map(|x| shift(f64::from(x))).collect();
        let spread =
            shifts.iter().cloned().fold(f64::MIN, f64::max) - shifts.iter().cloned().fold(f64::MAX, f64::min);
        assert!(spread > 0.5, "{spread}");
    }
}
