//! Procedural test scene, rendered at any time: a panning textured background, a rotating wheel, moving cards, thin swinging
//! lines and small bouncing balls. Coordinates are in pixels of a 640x360 frame.

use std::f64::consts::TAU;
use std::sync::OnceLock;
use std::thread;

use rife::media::RgbImage;

/// Side of the seamless noise texture in pixels, a power of two.
const SIDE: usize = 512;
/// Samples per pixel on each axis (antialiasing).
const OVERSAMPLE: usize = 2;
/// Height in pixels of the scene's coordinate system; frames of other sizes are scaled.
const HEIGHT: f64 = 360.0;

/// Red, green and blue, 0..=1.
type Color = [f64; 3];

/// Renders the scene at `time` in seconds as an image of any size.
pub fn render(time: f64, width: u32, height: u32) -> RgbImage {
    let (columns, rows) = (width as usize, height as usize);
    let mut pixels = vec![[0.0_f32; 3]; columns * rows];
    let stage = Stage::at(time);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let band = rows.div_ceil(workers).max(1);
    thread::scope(|scope| {
        for (index, chunk) in pixels.chunks_mut(band * columns).enumerate() {
            let stage = &stage;
            scope.spawn(move || {
                for (line, row) in chunk.chunks_mut(columns).enumerate() {
                    for (x, pixel) in row.iter_mut().enumerate() {
                        *pixel = stage.pixel(x, index * band + line, HEIGHT / f64::from(height));
                    }
                }
            });
        }
    });
    let data = (0..3)
        .flat_map(|channel| pixels.iter().map(move |pixel| pixel[channel]))
        .collect();
    RgbImage::new(width, height, data)
}

/// A moving, rotating card with a checkerboard pattern.
struct Card {
    center: [f64; 2],
    /// Half of width and height.
    half: [f64; 2],
    /// Sine and cosine of the rotation.
    turn: (f64, f64),
    color: Color,
}

/// Positions of all objects at one time.
struct Stage {
    /// Displacement of the background.
    pan: [f64; 2],
    /// Sine and cosine of the wheel's rotation.
    wheel: (f64, f64),
    cards: [Card; 2],
    /// Sine and cosine of the directions of the swinging lines.
    lines: Vec<(f64, f64)>,
    /// Centres of the balls.
    balls: Vec<[f64; 2]>,
}

/// Centre and radius of the wheel.
const WHEEL: ([f64; 2], f64) = ([185.0, 195.0], 105.0);
/// Pivot of the swinging lines.
const HOOK: [f64; 2] = [470.0, -20.0];

impl Stage {
    /// Computes the positions of all objects at `time` in seconds.
    fn at(time: f64) -> Self {
        let card = |phase: f64, half: [f64; 2], color: Color| Card {
            center: [
                330.0 + 170.0 * (0.7 * time + phase).sin(),
                180.0 + 90.0 * (0.9 * time + 2.0 * phase).cos(),
            ],
            half,
            turn: (0.5 * (0.9 * time + phase).sin()).sin_cos(),
            color,
        };
        let line =
            |i: usize| (0.35 * (1.4 * time + 0.25 * i as f64).sin() + 0.06 * (i as f64 - 2.0)).sin_cos();
        let ball = |i: usize| {
            let bounce = (time * 0.4 + 0.21 * i as f64).fract() * 2.0 - 1.0;
            let x = (40.0 + 83.0 * i as f64 + 70.0 * time).rem_euclid(680.0) - 20.0;
            [x, 335.0 - 130.0 * (1.0 - bounce * bounce)]
        };
        Self {
            pan: [70.0 * time, 14.0 * (0.9 * time).sin()],
            wheel: (1.1 * time).sin_cos(),
            cards: [
                card(0.0, [62.0, 40.0], [0.93, 0.75, 0.28]),
                card(2.4, [40.0, 54.0], [0.35, 0.66, 0.9]),
            ],
            lines: (0..5).map(line).collect(),
            balls: (0..8).map(ball).collect(),
        }
    }

    /// Renders a pixel: the mean of its samples. `scale` is the scene's units per pixel.
    fn pixel(&self, x: usize, y: usize, scale: f64) -> [f32; 3] {
        let offset = |i: usize| (i as f64 + 0.5) / OVERSAMPLE as f64;
        let mut sum = [0.0; 3];
        for i in 0..OVERSAMPLE * OVERSAMPLE {
            let at = [
                (x as f64 + offset(i % OVERSAMPLE)) * scale,
                (y as f64 + offset(i / OVERSAMPLE)) * scale,
            ];
            sum.iter_mut()
                .zip(self.color(at))
                .for_each(|(sum, value)| *sum += value);
        }
        sum.map(|sum| (sum / (OVERSAMPLE * OVERSAMPLE) as f64) as f32)
    }

    /// Returns the colour at a point: that of the front object there, else the background's.
    fn color(&self, at: [f64; 2]) -> Color {
        let ball = self
            .balls
            .iter()
            .find(|ball| length([at[0] - ball[0], at[1] - ball[1]]) < 9.0);
        if let Some(ball) = ball {
            let light = 1.0 - length([at[0] - ball[0] + 3.0, at[1] - ball[1] + 3.0]) / 16.0;
            return [0.95 * light, 0.3 * light, 0.25 * light];
        }
        if self.lines.iter().any(|line| on_line(at, *line)) {
            return [0.96, 0.96, 0.92];
        }
        let card = self.cards.iter().find_map(|card| card.color(at));
        card.or_else(|| self.wheel(at)).unwrap_or_else(|| self.ground(at))
    }

    /// Returns the wheel's colour at a point; `None` outside and between spokes.
    fn wheel(&self, at: [f64; 2]) -> Option<Color> {
        let (center, radius) = WHEEL;
        let local = turned([at[0] - center[0], at[1] - center[1]], self.wheel);
        let (distance, angle) = (length(local), local[1].atan2(local[0]) / TAU);
        let spoke = ((angle * 12.0).rem_euclid(1.0) - 0.5).abs() * distance * TAU / 12.0;
        match distance {
            d if d > radius || (d > 22.0 && d < radius - 20.0 && spoke > 1.8) => None,
            d if d > radius - 20.0 => {
                let dark = ((angle * 24.0).floor() as i64).rem_euclid(2) as f64;
                let grain = 0.25 * noise([local[0] * 2.0, local[1] * 2.0], 1);
                Some([
                    0.75 - 0.5 * dark + grain,
                    0.3 + 0.1 * dark + grain,
                    0.22 + 0.2 * dark + grain,
                ])
            }
            _ => Some([0.82, 0.8, 0.74]),
        }
    }

    /// Returns the background's colour at a point.
    fn ground(&self, at: [f64; 2]) -> Color {
        let point = [at[0] + self.pan[0], at[1] + self.pan[1]];
        let (coarse, fine) = (noise([point[0] * 0.25, point[1] * 0.25], 0), noise(point, 2));
        let light = 0.35 + 0.45 * coarse + 0.25 * fine - 0.1 * at[1] / HEIGHT;
        [0.55 * light, 0.8 * light, (0.45 + 0.3 * coarse) * light + 0.1]
    }
}

impl Card {
    /// Returns the card's colour at a point; `None` outside.
    fn color(&self, at: [f64; 2]) -> Option<Color> {
        let local = turned([at[0] - self.center[0], at[1] - self.center[1]], self.turn);
        let inside = local[0].abs() < self.half[0] && local[1].abs() < self.half[1];
        let border = local[0].abs() > self.half[0] - 4.0 || local[1].abs() > self.half[1] - 4.0;
        let squares = (local[0] / 12.0).floor() + (local[1] / 12.0).floor();
        let shade = if squares.rem_euclid(2.0) < 1.0 { 1.0 } else { 0.6 }
            - 0.3 * noise([local[0] * 1.5, local[1] * 1.5], 3);
        let color = if border {
            [0.08, 0.08, 0.1]
        } else {
            self.color.map(|channel| channel * shade)
        };
        inside.then_some(color)
    }
}

/// Reports whether a point is on the line from the pivot in the direction given by sine and cosine.
fn on_line(at: [f64; 2], (sin, cos): (f64, f64)) -> bool {
    let local = [at[0] - HOOK[0], at[1] - HOOK[1]];
    let (along, across) = (local[0] * sin + local[1] * cos, local[0] * cos - local[1] * sin);
    across.abs() < 0.9 && (0.0..290.0).contains(&along)
}

/// Rotates a vector by an angle given by sine and cosine.
fn turned([x, y]: [f64; 2], (sin, cos): (f64, f64)) -> [f64; 2] {
    [x * cos + y * sin, y * cos - x * sin]
}

/// Returns the length of a vector.
fn length([x, y]: [f64; 2]) -> f64 {
    x.hypot(y)
}

/// Returns smooth noise in 0..=1 at a point of the plane; each `layer` is another region of the noise.
pub(crate) fn noise(at: [f64; 2], layer: usize) -> f64 {
    static TEXTURE: OnceLock<Vec<f32>> = OnceLock::new();
    let texture = TEXTURE.get_or_init(texture);
    let (x, y) = (at[0] + 131.0 * layer as f64, at[1] + 71.0 * layer as f64);
    let (x0, y0) = (x.floor(), y.floor());
    let value = |dx: i64, dy: i64| {
        let wrap = |v: f64, d: i64| (v as i64 + d) as usize & (SIDE - 1);
        f64::from(texture[wrap(y0, dy) * SIDE + wrap(x0, dx)])
    };
    let (fx, fy) = (x - x0, y - y0);
    let top = value(0, 0) * (1.0 - fx) + value(1, 0) * fx;
    let bottom = value(0, 1) * (1.0 - fx) + value(1, 1) * fx;
    top * (1.0 - fy) + bottom * fy
}

/// Makes the noise texture: four octaves of periodic value noise, `SIDE` x `SIDE`, 0..=1.
fn texture() -> Vec<f32> {
    let mut sum = vec![0.0_f32; SIDE * SIDE];
    for (octave, cell) in [64, 32, 16, 8].into_iter().enumerate() {
        let cells = SIDE / cell;
        let corner = |x: usize, y: usize| hash((y % cells * cells + x % cells) as u32 + 7919 * octave as u32);
        for (index, value) in sum.iter_mut().enumerate() {
            let (x, y) = (index % SIDE, index / SIDE);
            let ease = |v: usize| {
                let f = (v % cell) as f32 / cell as f32;
                f * f * (3.0 - 2.0 * f)
            };
            let (fx, fy, cx, cy) = (ease(x), ease(y), x / cell, y / cell);
            let top = corner(cx, cy) * (1.0 - fx) + corner(cx + 1, cy) * fx;
            let bottom = corner(cx, cy + 1) * (1.0 - fx) + corner(cx + 1, cy + 1) * fx;
            *value += (top * (1.0 - fy) + bottom * fy) / 4.0;
        }
    }
    sum
}

/// Hashes a number to a pseudo-random value in 0..=1.
fn hash(seed: u32) -> f32 {
    let mut z = seed.wrapping_mul(0x9E37_79B9) ^ 0x85EB_CA6B;
    z = (z ^ (z >> 15)).wrapping_mul(0x2C1B_3C6D);
    z = (z ^ (z >> 12)).wrapping_mul(0x297A_2D39);
    (z ^ (z >> 15)) as f32 / u32::MAX as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::psnr;

    #[test]
    fn the_scene_moves_and_is_the_same_every_time() {
        let at = |time| render(time, 160, 90);
        assert_eq!(at(1.0), at(1.0));
        let (near, far) = (
            psnr(&at(1.0).data, &at(1.01).data),
            psnr(&at(1.0).data, &at(1.2).data),
        );
        assert!(
            near > far && far < 25.0,
            "{near} dB after 10 ms, {far} dB after 200 ms"
        );
        assert!(at(2.0).data.iter().all(|value| (0.0..=1.2).contains(value)));
    }
}
