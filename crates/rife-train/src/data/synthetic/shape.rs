//! Shapes of synthetic layers: convex polygons and thin bars with antialiased edges.

use super::Point;
use crate::rng::Rng;

/// Minimum and maximum width of thin bars in pixels.
const THIN: [f64; 2] = [1.0, 4.0];

/// A convex polygon as an intersection of half-planes `normal * point <= offset`.
#[derive(Debug)]
pub(super) struct Convex {
    sides: Vec<(Point, f64)>,
}

impl Convex {
    /// Draws the convex hull of three to six points in the middle half of an image of `side` pixels.
    pub(super) fn random(side: f64, rng: &mut Rng) -> Self {
        let count = 3 + rng.below(4);
        let mut inside = || rng.uniform(0.25 * side, 0.75 * side);
        let points: Vec<Point> = (0..count).map(|_| [inside(), inside()]).collect();
        Self::hull(&points)
    }

    /// Draws one to five parallel thin bars, as of a fence or wires.
    pub(super) fn bars(side: f64, rng: &mut Rng) -> Vec<Self> {
        let (angle, width) = (
            rng.uniform(0.0, std::f64::consts::PI),
            rng.uniform(THIN[0], THIN[1]),
        );
        let (sin, cos) = angle.sin_cos();
        let half = rng.uniform(0.1, 0.5) * side;
        let gap = width * rng.uniform(2.0, 8.0);
        let mut middle = || rng.uniform(0.3, 0.7) * side;
        let centre = [middle(), middle()];
        let bar = |k: usize| {
            let across = k as f64 * gap;
            let at = |along: f64, across: f64| {
                [
                    centre[0] + along * cos - across * sin,
                    centre[1] + along * sin + across * cos,
                ]
            };
            Self::hull(&[
                at(-half, across),
                at(half, across),
                at(half, across + width),
                at(-half, across + width),
            ])
        };
        (0..1 + rng.below(5)).map(bar).collect()
    }

    /// Computes the convex hull: all lines through two of the points with the other points on one side.
    fn hull(points: &[Point]) -> Self {
        let pairs = points.iter().flat_map(|a| points.iter().map(move |b| (a, b)));
        let line = |(a, b): (&Point, &Point)| {
            let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
            let length = dx.hypot(dy);
            let normal = [dy / length, -dx / length];
            let offset = normal[0] * a[0] + normal[1] * a[1];
            let beyond = |p: &Point| normal[0] * p[0] + normal[1] * p[1] > offset + 1e-9;
            (length > 0.0 && !points.iter().any(beyond)).then_some((normal, offset))
        };
        Self {
            sides: pairs.filter_map(line).collect(),
        }
    }

    /// Returns the opacity at a point: 1 inside, 0 outside, linear within half a pixel of the boundary.
    pub(super) fn cover(&self, [x, y]: Point) -> f64 {
        let beyond = self
            .sides
            .iter()
            .map(|(normal, offset)| normal[0] * x + normal[1] * y - offset);
        (0.5 - beyond.fold(f64::NEG_INFINITY, f64::max)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_thin() {
        for draw in 0..20 {
            let bars = Convex::bars(128.0, &mut Rng::new(4, draw));
            for bar in &bars {
                let inside = |i: usize| bar.cover([(i % 512) as f64 - 128.0, (i / 512) as f64 - 128.0]);
                let area: f64 = (0..512 * 512).map(inside).sum();
                assert!(area > 20.0 && area < 128.0 * 5.0, "area {area}");
            }
        }
    }
}
