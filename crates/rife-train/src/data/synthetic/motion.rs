//! How a layer moves: turning, growing and gliding evenly, and bending as cloth or water does.

use super::Point;
use crate::rng::Rng;

/// The steepest a bend gets: pixels of shift a pixel in one unit of time.
const STEEP: f64 = 0.3;
/// Rounds of [`Motion::source`]'s search. Each brings it closer by more than six times at the times met here.
const ROUNDS: usize = 8;

/// A motion, by time: 0 is where the layer's own coordinates are.
#[derive(Debug, Clone)]
pub(super) struct Motion {
    pub(super) centre: Point,
    /// Radians in one unit of time.
    pub(super) angle: f64,
    /// Logarithm of the growth in one unit of time.
    pub(super) growth: f64,
    pub(super) shift: Point,
    pub(super) waves: Vec<Wave>,
}

/// A bend: points are shifted by the sine of where they lie.
#[derive(Debug, Clone)]
pub(super) struct Wave {
    /// Radians a pixel.
    across: Point,
    phase: f64,
    /// Pixels in one unit of time.
    shift: Point,
}

impl Wave {
    /// Bends of a fifth of `side` and longer.
    fn random(side: f64, rng: &mut Rng) -> Self {
        let mut turn = || rng.uniform(0.0, std::f64::consts::TAU);
        let (along, direction, phase) = (turn(), turn(), turn());
        let frequency = std::f64::consts::TAU / (side * rng.uniform(0.2, 1.5));
        // Two waves together stay under the steepest.
        let reach = rng.uniform(0.2, 0.5) * STEEP / frequency;
        Self {
            across: [frequency * along.cos(), frequency * along.sin()],
            phase,
            shift: [reach * direction.cos(), reach * direction.sin()],
        }
    }

    fn at(&self, [x, y]: Point) -> Point {
        let wave = (self.across[0] * x + self.across[1] * y + self.phase).sin();
        [self.shift[0] * wave, self.shift[1] * wave]
    }
}

impl Motion {
    pub(super) fn random(centre: Point, reach: f64, bends: bool, rng: &mut Rng) -> Self {
        let side = 2.0 * centre[0];
        let waves = if bends { 2 } else { 0 };
        Self {
            centre,
            angle: rng.normal(3.0).to_radians(),
            growth: rng.normal(0.04),
            shift: [rng.normal(reach), rng.normal(reach)],
            waves: (0..waves).map(|_| Wave::random(side, rng)).collect(),
        }
    }

    pub(super) fn none(centre: Point) -> Self {
        Self {
            centre,
            angle: 0.0,
            growth: 0.0,
            shift: [0.0; 2],
            waves: Vec::new(),
        }
    }

    /// Where a point of the layer lies at a time.
    pub(super) fn place(&self, source: Point, time: f64) -> Point {
        let [x, y] = self.bent(source, time);
        let (sin, cos) = (self.angle * time).sin_cos();
        let zoom = (self.growth * time).exp();
        let (x, y) = (zoom * (x - self.centre[0]), zoom * (y - self.centre[1]));
        let (along, across) = (cos * x + sin * y, cos * y - sin * x);
        [
            along + self.centre[0] + self.shift[0] * time,
            across + self.centre[1] + self.shift[1] * time,
        ]
    }

    /// Which point of the layer lies there at a time.
    pub(super) fn source(&self, [x, y]: Point, time: f64) -> Point {
        let (sin, cos) = (self.angle * time).sin_cos();
        let zoom = (-self.growth * time).exp();
        let (x, y) = (
            x - self.centre[0] - self.shift[0] * time,
            y - self.centre[1] - self.shift[1] * time,
        );
        self.unbent(
            [
                zoom * (cos * x - sin * y) + self.centre[0],
                zoom * (cos * y + sin * x) + self.centre[1],
            ],
            time,
        )
    }

    fn bent(&self, at: Point, time: f64) -> Point {
        self.waves.iter().fold(at, |sum, wave| {
            let shift = wave.at(at);
            [sum[0] + shift[0] * time, sum[1] + shift[1] * time]
        })
    }

    /// The point that [`Motion::bent`] brings to `at`, by fixed-point search.
    fn unbent(&self, at: Point, time: f64) -> Point {
        let rounds = if self.waves.is_empty() { 0 } else { ROUNDS };
        (0..rounds).fold(at, |found, _| {
            let there = self.bent(found, time);
            [found[0] + at[0] - there[0], found[1] + at[1] - there[1]]
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
                let [x, y] = motion.source(motion.place(at, time), time);
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
        let shift = |x: f64| motion.place([x, 64.0], 0.5)[0] - x;
        let shifts: Vec<_> = (0..128).map(|x| shift(f64::from(x))).collect();
        let spread =
            shifts.iter().cloned().fold(f64::MIN, f64::max) - shifts.iter().cloned().fold(f64::MAX, f64::min);
        assert!(spread > 0.5, "{spread}");
    }
}
