//! Motion made here, so that its truth is known: a layer cut from one picture moves before another, each turning,
//! growing and gliding evenly.

use anyhow::{Result, ensure};

use super::{Field, Picture, Sample};
use crate::rng::Rng;

/// Share of samples whose upper layer stands still, as a caption does.
const STILL: f64 = 0.15;
/// The times of the outer frames; the motion is a change about their middle.
const TIMES: [f64; 2] = [-0.5, 0.5];

/// A point, x before y.
type Point = [f64; 2];

/// A similarity that grows with time: turn and zoom about a centre, and a shift.
#[derive(Debug, Clone, Copy)]
struct Motion {
    centre: Point,
    /// Radians in one unit of time.
    angle: f64,
    /// Logarithm of the growth in one unit of time.
    growth: f64,
    shift: Point,
}

impl Motion {
    fn random(centre: Point, reach: f64, rng: &mut Rng) -> Self {
        let angle = rng.normal(3.0).to_radians();
        let growth = rng.normal(0.04);
        Self {
            centre,
            angle,
            growth,
            shift: [rng.normal(reach), rng.normal(reach)],
        }
    }

    fn none(centre: Point) -> Self {
        Self {
            centre,
            angle: 0.0,
            growth: 0.0,
            shift: [0.0; 2],
        }
    }

    /// Where a point of the layer lies at a time.
    fn place(&self, [x, y]: Point, time: f64) -> Point {
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
    fn source(&self, [x, y]: Point, time: f64) -> Point {
        let (sin, cos) = (self.angle * time).sin_cos();
        let zoom = (-self.growth * time).exp();
        let (x, y) = (
            x - self.centre[0] - self.shift[0] * time,
            y - self.centre[1] - self.shift[1] * time,
        );
        [
            zoom * (cos * x - sin * y) + self.centre[0],
            zoom * (cos * y + sin * x) + self.centre[1],
        ]
    }
}

/// Two layers in motion.
struct Scene<'a> {
    pictures: [&'a Picture; 2],
    motions: [Motion; 2],
    /// The upper layer's parts.
    shapes: Vec<Convex>,
    /// Where the crop begins, x before y.
    origin: Point,
}

/// A sample of `crop` pixels a side from two pictures of one size, the second one's parts before the first.
///
/// Errors: pictures of different sizes, or smaller than the crop.
pub fn sample(below: &Picture, above: &Picture, crop: usize, rng: &mut Rng) -> Result<Sample> {
    let ([height, width], other) = (below.size(), above.size());
    let side = height.min(width).min(other[0]).min(other[1]);
    ensure!(
        side >= crop,
        "pictures of {width}x{height} are smaller than the crop, {crop}"
    );
    let time = [0.25, 0.5, 0.5, 0.75][rng.below(4)];
    let shapes = (0..1 + rng.below(3))
        .map(|_| Convex::random(side as f64, rng))
        .collect();
    let centre = [side as f64 / 2.0; 2];
    let motions = [crop as f64 / 8.0, crop as f64 / 6.0].map(|reach| Motion::random(centre, reach, rng));
    let margin = (side - crop) / 4;
    let mut origin = || (margin + rng.below(side - crop - 2 * margin + 1)) as f64;
    let mut scene = Scene {
        pictures: [below, above],
        motions,
        shapes,
        origin: [origin(), origin()],
    };
    if rng.chance(STILL) {
        scene.motions[1] = Motion::none(centre);
    }
    let middle = time - 0.5;
    let frames = [TIMES[0], middle, TIMES[1]].map(|at| scene.render(at, crop));
    Ok(Sample {
        frames,
        time: time as f32,
        flow: Some(scene.flow(middle, crop)),
    })
}

impl Scene<'_> {
    fn point(&self, y: usize, x: usize) -> Point {
        [x as f64 + self.origin[0], y as f64 + self.origin[1]]
    }

    /// How much of the upper layer covers a point, 0 to 1.
    fn cover(&self, at: Point, time: f64) -> f64 {
        let source = self.motions[1].source(at, time);
        self.shapes
            .iter()
            .map(|shape| shape.cover(source))
            .fold(0.0, f64::max)
    }

    fn render(&self, time: f64, crop: usize) -> Picture {
        Picture::from_fn([crop, crop], |y, x| {
            let at = self.point(y, x);
            let cover = self.cover(at, time);
            let layer = |i: usize| bicubic(self.pictures[i], self.motions[i].source(at, time));
            let (below, above) = match cover {
                0.0 => (layer(0), [0.0; 3]),
                1.0 => ([0.0; 3], layer(1)),
                _ => (layer(0), layer(1)),
            };
            [0, 1, 2].map(|c| (above[c] * cover + below[c] * (1.0 - cover)).round() as u8)
        })
    }

    /// The visible layer's motion from `time` to the outer frames.
    fn flow(&self, time: f64, crop: usize) -> Field {
        let plane = crop * crop;
        let mut flow = vec![0.0; 4 * plane];
        for i in 0..plane {
            let at = self.point(i / crop, i % crop);
            let motion = &self.motions[usize::from(self.cover(at, time) > 0.5)];
            let source = motion.source(at, time);
            for (frame, outer) in TIMES.into_iter().enumerate() {
                let there = motion.place(source, outer);
                flow[2 * frame * plane + i] = (there[0] - at[0]) as f32;
                flow[(2 * frame + 1) * plane + i] = (there[1] - at[1]) as f32;
            }
        }
        Field {
            side: crop,
            flow,
            known: vec![1.0; plane],
        }
    }
}

/// A convex polygon as the lines that bound it: inside where every `normal * point <= offset`.
#[derive(Debug)]
struct Convex {
    sides: Vec<(Point, f64)>,
}

impl Convex {
    /// The hull of three to six points in the middle half of a picture.
    fn random(side: f64, rng: &mut Rng) -> Self {
        let count = 3 + rng.below(4);
        let mut inside = || rng.uniform(0.25 * side, 0.75 * side);
        let points: Vec<Point> = (0..count).map(|_| [inside(), inside()]).collect();
        Self::hull(&points)
    }

    /// Every line through two of the points that has all the others on one side.
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

    /// 1 inside, 0 outside, in between within half a pixel of the boundary.
    fn cover(&self, [x, y]: Point) -> f64 {
        let beyond = self
            .sides
            .iter()
            .map(|(normal, offset)| normal[0] * x + normal[1] * y - offset);
        (0.5 - beyond.fold(f64::NEG_INFINITY, f64::max)).clamp(0.0, 1.0)
    }
}

/// Cubic convolution (a = -0.75) over 4x4 pixels, edges reflected about the last pixel.
fn bicubic(picture: &Picture, [x, y]: Point) -> [f64; 3] {
    let [height, width] = picture.size();
    let (columns, rows) = (taps(x, width), taps(y, height));
    let mut sum = [0.0; 3];
    for (row, down) in rows {
        for (column, across) in columns {
            let pixel = picture.at(row, column);
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += down * across * f64::from(value);
            }
        }
    }
    sum.map(|value| value.clamp(0.0, 255.0))
}

/// Four samples and their weights.
fn taps(at: f64, size: usize) -> [(usize, f64); 4] {
    const A: f64 = -0.75;
    let near = |d: f64| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    let far = |d: f64| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
    let (floor, part) = (at.floor(), at - at.floor());
    let weights = [far(1.0 + part), near(part), near(1.0 - part), far(2.0 - part)];
    [0, 1, 2, 3].map(|k| (reflected(floor as isize + k as isize - 1, size), weights[k]))
}

fn reflected(at: isize, size: usize) -> usize {
    let period = (2 * (size as isize - 1)).max(1);
    let at = at.rem_euclid(period);
    at.min(period - at).min(size as isize - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(seed: f64) -> Picture {
        Picture::from_fn([128, 128], |y, x| {
            let wave =
                |k: f64| (127.0 + 120.0 * ((x as f64 * 0.13 + seed) * k + y as f64 * 0.09).sin()) as u8;
            [wave(1.0), wave(0.7), wave(1.3)]
        })
    }

    /// Following the flow from the middle frame finds the same colour in both outer frames, where nothing covers it.
    #[test]
    fn the_flow_is_the_motion() {
        let (below, above) = (picture(0.0), picture(2.0));
        let (mut close, mut count) = (0, 0);
        for draw in 0..8 {
            let sample = sample(&below, &above, 64, &mut Rng::new(5, draw)).unwrap();
            let flow = sample.flow.as_ref().unwrap();
            for (i, frame) in (0..64 * 64).flat_map(|i| [(i, 0), (i, 2)]) {
                let vector = [0, 1].map(|axis| f64::from(flow.flow[(frame + axis) * 4096 + i]));
                let (x, y) = ((i % 64) as f64 + vector[0], (i / 64) as f64 + vector[1]);
                if (1.0..62.0).contains(&x) && (1.0..62.0).contains(&y) {
                    let there = bicubic(&sample.frames[frame], [x, y]);
                    let here = sample.frames[1].at(i / 64, i % 64);
                    let off = (0..3)
                        .map(|c| (there[c] - f64::from(here[c])).abs())
                        .fold(0.0, f64::max);
                    count += 1;
                    close += usize::from(off < 4.0);
                }
            }
        }
        assert!(
            close as f64 > 0.85 * count as f64,
            "{close} of {count} agree; the rest may be covered"
        );
    }

    #[test]
    fn source_and_place_are_inverse() {
        let motion = Motion {
            centre: [10.0, 20.0],
            angle: 0.3,
            growth: 0.2,
            shift: [3.0, -4.0],
        };
        let [x, y] = motion.source(motion.place([1.0, 2.0], 0.7), 0.7);
        assert!((x - 1.0).abs() < 1e-12 && (y - 2.0).abs() < 1e-12);
    }
}
