//! Synthetic samples with exact flow: layers cut from frames move over each other (rotation, zoom, translation, sinusoidal
//! bending), some of them thin, defocused or static; some samples have motion blur or changing brightness.

mod motion;
mod shape;
mod texture;

use std::borrow::Cow;

use anyhow::{Result, ensure};

use self::motion::Motion;
use self::shape::Convex;
use self::texture::{bicubic, softened};
use super::{Field, Picture, Sample};
use crate::rng::Rng;

/// Probability that an upper layer is static.
const STILL: f64 = 0.15;
/// Probability that an upper layer consists of thin bars.
const THIN: f64 = 0.25;
/// Probability that a layer bends.
const BENT: f64 = 0.4;
/// Probability that a layer is defocused.
const SOFT: f64 = 0.2;
/// Probability of motion blur in a sample.
const BLURRED: f64 = 0.2;
/// Probability of changing brightness in a sample.
const LIT: f64 = 0.15;
/// Number of instants that a motion-blurred frame is averaged over.
const MOMENTS: usize = 5;
/// Times of the outer frames; time 0 is the middle, where layers are at their source positions.
const TIMES: [f64; 2] = [-0.5, 0.5];

/// A point in pixels: x, y.
type Point = [f64; 2];

/// A moving layer.
struct Layer<'a> {
    picture: Cow<'a, Picture>,
    motion: Motion,
    /// Shapes that the layer is cut to; `None` for the lowest layer, which covers everything.
    shapes: Option<Vec<Convex>>,
}

/// Change of brightness: at time t code values are multiplied by `1 + gain * t` and shifted by `offset * t`.
#[derive(Debug, Clone, Copy, Default)]
struct Light {
    gain: f64,
    offset: f64,
}

/// A scene of layers, the lowest first.
struct Scene<'a> {
    layers: Vec<Layer<'a>>,
    light: Light,
    /// Exposure time of a frame, in units of the time between the outer frames; 0 without motion blur.
    exposure: f64,
    /// Upper left corner of the crop: x, y.
    origin: Point,
    crop: usize,
}

/// Renders a random sample of side `crop` pixels; shapes cut from later images move over earlier images.
///
/// Errors: no image, or one that is smaller than the crop.
pub fn sample(pictures: &[Picture], crop: usize, rng: &mut Rng) -> Result<Sample> {
    let time = (1 + rng.below(7)) as f64 / 8.0;
    let scene = Scene::random(pictures, crop, rng)?;
    let middle = time - 0.5;
    let frames = [TIMES[0], middle, TIMES[1]].map(|at| scene.render(at));
    Ok(Sample {
        frames,
        time: time as f32,
        flow: Some(scene.flow(middle)),
    })
}

impl<'a> Layer<'a> {
    /// Draws motion, focus and shapes of a layer of a picture of at least `side` pixels a side.
    fn random(picture: &'a Picture, is_lowest: bool, side: f64, crop: usize, rng: &mut Rng) -> Self {
        let centre = [side / 2.0; 2];
        let reach = crop as f64 / if is_lowest { 8.0 } else { 6.0 };
        let motion = if !is_lowest && rng.chance(STILL) {
            Motion::none(centre)
        } else {
            let bends = rng.chance(BENT);
            Motion::random(centre, reach, bends, rng)
        };
        let picture = if rng.chance(SOFT) {
            Cow::Owned(softened(picture, 1 + rng.below(3)))
        } else {
            Cow::Borrowed(picture)
        };
        let shapes = (!is_lowest).then(|| {
            if rng.chance(THIN) {
                Convex::bars(side, rng)
            } else {
                (0..1 + rng.below(3)).map(|_| Convex::random(side, rng)).collect()
            }
        });
        Self {
            picture,
            motion,
            shapes,
        }
    }

    /// Returns the layer's opacity at a point of its source image, 0 to 1.
    fn cover(&self, source: Point) -> f64 {
        let Some(shapes) = &self.shapes else { return 1.0 };
        shapes.iter().map(|shape| shape.cover(source)).fold(0.0, f64::max)
    }
}

impl<'a> Scene<'a> {
    /// Draws a scene of two or more layers.
    fn random(pictures: &'a [Picture], crop: usize, rng: &mut Rng) -> Result<Self> {
        let side = pictures.iter().flat_map(Picture::size).min().unwrap_or(0);
        ensure!(
            side >= crop,
            "pictures of {side} pixels a side are smaller than the crop, {crop}"
        );
        let count = 2 + rng.below(pictures.len().max(2) - 1);
        let layers = pictures.iter().take(count).enumerate();
        let layers = layers.map(|(i, picture)| Layer::random(picture, i == 0, side as f64, crop, rng));
        let layers = layers.collect();
        let light = if rng.chance(LIT) {
            Light {
                gain: rng.uniform(-0.3, 0.3),
                offset: rng.uniform(-20.0, 20.0),
            }
        } else {
            Light::default()
        };
        let exposure = if rng.chance(BLURRED) {
            rng.uniform(0.1, 0.5)
        } else {
            0.0
        };
        let margin = (side - crop) / 4;
        let mut origin = || (margin + rng.below(side - crop - 2 * margin + 1)) as f64;
        Ok(Self {
            layers,
            light,
            exposure,
            origin: [origin(), origin()],
            crop,
        })
    }

    /// Returns the scene's point at row `y` and column `x` of the crop.
    fn point(&self, y: usize, x: usize) -> Point {
        [x as f64 + self.origin[0], y as f64 + self.origin[1]]
    }

    /// Renders the frame at a time, with motion blur and brightness.
    fn render(&self, time: f64) -> Picture {
        let moments = if self.exposure > 0.0 { MOMENTS } else { 1 };
        let moment = |k: usize| time + self.exposure * ((k as f64 + 0.5) / moments as f64 - 0.5);
        let (gain, offset) = (1.0 + self.light.gain * time, self.light.offset * time);
        Picture::from_fn([self.crop; 2], |y, x| {
            let at = self.point(y, x);
            let mut sum = [0.0; 3];
            for k in 0..moments {
                let colour = self.colour(at, moment(k));
                sum.iter_mut().zip(colour).for_each(|(sum, value)| *sum += value);
            }
            sum.map(|sum| (sum / moments as f64 * gain + offset).round().clamp(0.0, 255.0) as u8)
        })
    }

    /// Composites all layers at a point and time; returns code values.
    fn colour(&self, at: Point, time: f64) -> [f64; 3] {
        let (mut sum, mut open) = ([0.0; 3], 1.0);
        for layer in self.layers.iter().rev() {
            let source = layer.motion.source(at, time);
            let weight = open * layer.cover(source);
            if weight > 0.0 {
                let colour = bicubic(&layer.picture, source);
                sum.iter_mut()
                    .zip(colour)
                    .for_each(|(sum, value)| *sum += weight * value);
            }
            open -= weight;
            if open <= 0.0 {
                break;
            }
        }
        sum
    }

    /// Returns the index of the highest layer with an opacity above 0.5 at a point and time, and the source point there.
    fn visible(&self, at: Point, time: f64) -> Option<(usize, Point)> {
        (0..self.layers.len()).rev().find_map(|i| {
            let source = self.layers[i].motion.source(at, time);
            (self.layers[i].cover(source) > 0.5).then_some((i, source))
        })
    }

    /// Computes the flow from `time` to the outer frames, of the visible layer at each pixel.
    fn flow(&self, time: f64) -> Field {
        let plane = self.crop * self.crop;
        let mut flow = vec![0.0; 4 * plane];
        for i in 0..plane {
            let at = self.point(i / self.crop, i % self.crop);
            let Some((layer, source)) = self.visible(at, time) else {
                continue;
            };
            let layer = &self.layers[layer];
            for (frame, outer) in TIMES.into_iter().enumerate() {
                let target = layer.motion.position(source, outer);
                flow[2 * frame * plane + i] = (target[0] - at[0]) as f32;
                flow[(2 * frame + 1) * plane + i] = (target[1] - at[1]) as f32;
            }
        }
        Field {
            side: self.crop,
            flow,
            known: vec![1.0; plane],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures() -> Vec<Picture> {
        let picture = |seed: f64| {
            Picture::from_fn([128, 128], |y, x| {
                let wave =
                    |k: f64| (127.0 + 120.0 * ((x as f64 * 0.13 + seed) * k + y as f64 * 0.09).sin()) as u8;
                [wave(1.0), wave(0.7), wave(1.3)]
            })
        };
        [0.0, 2.0, 4.0].map(picture).to_vec()
    }

    impl Scene<'_> {
        /// Returns the index of the layer that is visible at a point of the crop and within three pixels of it; `None` if there are
        /// several.
        fn inner(&self, [x, y]: Point, time: f64) -> Option<usize> {
            let around = (0..25).map(|k| [f64::from(k % 5 - 2) * 1.5, f64::from(k / 5 - 2) * 1.5]);
            let place = |[dx, dy]: Point| [x + dx + self.origin[0], y + dy + self.origin[1]];
            let mut layers = around.map(|off| self.visible(place(off), time).map(|(layer, _)| layer));
            let first = layers.next().flatten();
            first.filter(|_| layers.all(|layer| layer == first))
        }
    }

    /// Counts the pixels of the middle frame whose colour is also at the flow's target in an outer frame, and all pixels that
    /// are not occluded there.
    fn found_again(scene: &Scene<'_>, time: f64) -> (usize, usize) {
        let frames = [TIMES[0], time, TIMES[1]].map(|at| scene.render(at));
        let flow = scene.flow(time).flow;
        let (mut close, mut count) = (0, 0);
        for (i, frame) in (0..64 * 64).flat_map(|i| [(i, 0), (i, 2)]) {
            let vector = [0, 1].map(|axis| f64::from(flow[(frame + axis) * 4096 + i]));
            let (x, y) = ((i % 64) as f64 + vector[0], (i / 64) as f64 + vector[1]);
            let here = [(i % 64) as f64, (i / 64) as f64];
            let is_open = match (scene.inner(here, time), scene.inner([x, y], TIMES[frame / 2])) {
                (Some(here), Some(there)) => here == there,
                _ => false,
            };
            if is_open && (1.0..62.0).contains(&x) && (1.0..62.0).contains(&y) {
                let there = bicubic(&frames[frame], [x, y]);
                let here = frames[1].at(i / 64, i % 64);
                let off = (0..3).map(|c| (there[c] - f64::from(here[c])).abs());
                count += 1;
                close += usize::from(off.fold(0.0, f64::max) < 4.0);
            }
        }
        (close, count)
    }

    /// The flow leads from the middle frame to pixels of equal colour in both outer frames, except at occlusions.
    #[test]
    fn the_flow_is_the_motion() {
        let pictures = pictures();
        let (mut close, mut count) = (0, 0);
        for draw in 0..16 {
            let mut scene = Scene::random(&pictures, 64, &mut Rng::new(5, draw)).unwrap();
            (scene.light, scene.exposure) = (Light::default(), 0.0);
            let (some, of) = found_again(&scene, 0.25);
            (close, count) = (close + some, count + of);
        }
        assert!(
            count > 40_000 && close as f64 > 0.97 * count as f64,
            "{close} of {count} agree; the rest lie by bars too thin to be told"
        );
    }

    #[test]
    fn bent_layers_alone_are_found_again_everywhere() {
        let pictures = pictures();
        let mut rng = Rng::new(6, 1);
        let mut scene = Scene::random(&pictures[..1], 64, &mut rng).unwrap();
        scene.layers.truncate(1);
        scene.layers[0].motion = Motion::random([64.0; 2], 4.0, true, &mut rng);
        (scene.light, scene.exposure) = (Light::default(), 0.0);
        let (close, count) = found_again(&scene, -0.25);
        assert!(close as f64 > 0.99 * count as f64, "{close} of {count}");
    }

    #[test]
    fn light_and_exposure_change_the_frames_as_they_should() {
        let pictures = pictures();
        let mut scene = Scene::random(&pictures, 64, &mut Rng::new(7, 2)).unwrap();
        (scene.light, scene.exposure) = (Light::default(), 0.0);
        let sharp = scene.render(0.5);
        let mean = |picture: &Picture| picture.pixels().iter().map(|x| f64::from(*x)).sum::<f64>() / 12288.0;
        scene.light = Light {
            gain: -0.2,
            offset: 10.0,
        };
        let lit = mean(&scene.render(0.5));
        assert!(
            (lit - (mean(&sharp) * 0.9 + 5.0)).abs() < 1.0,
            "{lit} from {}",
            mean(&sharp)
        );
        (scene.light, scene.exposure) = (Light::default(), 0.5);
        let contrast = |picture: &Picture| {
            let rows = (0..64).flat_map(|y| (1..64).map(move |x| (y, x)));
            rows.map(|(y, x)| u64::from(picture.at(y, x)[0].abs_diff(picture.at(y, x - 1)[0])))
                .sum::<u64>()
        };
        assert!(contrast(&scene.render(0.5)) < contrast(&sharp), "motion blurs");
    }

    #[test]
    fn pictures_smaller_than_the_crop_are_refused() {
        let error = sample(&pictures(), 129, &mut Rng::new(1, 1)).unwrap_err();
        assert!(error.to_string().contains("129"), "{error}");
    }
}
