//! Static overlay augmentation: captions, logos and letterbox bars over all frames of a sample.

use super::{Field, Picture, Sample};
use crate::rng::Rng;

/// Bitmap font of digits, capitals and some small letters: 7 rows of 5 pixels, the leftmost pixel being bit 4.
const GLYPHS: [[u8; 7]; 28] = [
    [14, 17, 19, 21, 25, 17, 14],
    [4, 12, 4, 4, 4, 4, 14],
    [14, 17, 1, 2, 4, 8, 31],
    [31, 2, 4, 2, 1, 17, 14],
    [2, 6, 10, 18, 31, 2, 2],
    [31, 16, 30, 1, 1, 17, 14],
    [6, 8, 16, 30, 17, 17, 14],
    [31, 1, 2, 4, 8, 8, 8],
    [14, 17, 17, 14, 17, 17, 14],
    [14, 17, 17, 15, 1, 2, 12],
    [14, 17, 17, 31, 17, 17, 17],
    [30, 17, 17, 30, 17, 17, 30],
    [14, 17, 16, 16, 16, 17, 14],
    [30, 17, 17, 17, 17, 17, 30],
    [31, 16, 16, 30, 16, 16, 31],
    [17, 17, 17, 31, 17, 17, 17],
    [14, 4, 4, 4, 4, 4, 14],
    [17, 18, 20, 24, 20, 18, 17],
    [17, 27, 21, 21, 17, 17, 17],
    [17, 25, 21, 19, 17, 17, 17],
    [30, 17, 17, 30, 20, 18, 17],
    [31, 4, 4, 4, 4, 4, 4],
    [0, 0, 14, 1, 15, 17, 15],
    [0, 0, 14, 17, 31, 16, 14],
    [0, 0, 22, 25, 17, 17, 17],
    [0, 0, 14, 17, 17, 17, 14],
    [0, 0, 15, 16, 14, 1, 30],
    [0, 0, 0, 0, 0, 12, 12],
];
/// Distance of letters in columns and of lines in rows.
const PITCH: [usize; 2] = [6, 9];

/// A square RGBA image.
struct Layer {
    /// Side in pixels.
    side: usize,
    /// Colour and opacity (0 to 1) of each pixel.
    pixels: Vec<([u8; 3], f32)>,
}

/// Draws a random caption, logo or bars over all frames of a sample. The flow becomes known and 0 at opaque pixels, unknown
/// at translucent ones.
pub fn lay(sample: &mut Sample, rng: &mut Rng) {
    let [side, _] = sample.frames[0].size();
    let layer = Layer::random(side, rng);
    for frame in &mut sample.frames {
        *frame = layer.over(frame);
    }
    layer.update_flow(&mut sample.flow);
}

impl Layer {
    /// Draws a random caption, logo or bars.
    fn random(side: usize, rng: &mut Rng) -> Self {
        let mut layer = Self {
            side,
            pixels: vec![([0; 3], 0.0); side * side],
        };
        match rng.below(4) {
            0 | 1 => layer.caption(rng),
            2 => layer.logo(rng),
            _ => layer.bars(rng),
        }
        layer
    }

    /// Sets a pixel's colour and opacity, if it is inside.
    fn paint(&mut self, y: usize, x: usize, colour: [u8; 3], cover: f32) {
        if y < self.side && x < self.side {
            self.pixels[y * self.side + x] = (colour, cover);
        }
    }

    /// Fills a rectangle, clipped to the layer.
    fn fill(&mut self, [y, x]: [usize; 2], [height, width]: [usize; 2], colour: [u8; 3], cover: f32) {
        for row in y..(y + height).min(self.side) {
            for column in x..(x + width).min(self.side) {
                self.paint(row, column, colour, cover);
            }
        }
    }

    /// Draws one to three lines of letters with a dark shadow, sometimes on a box.
    fn caption(&mut self, rng: &mut Rng) {
        let zoom = 1 + rng.below((self.side / 48).clamp(1, 4));
        let (lines, letters) = (1 + rng.below(3), 4 + rng.below(14));
        let [y, x] = [rng.below(self.side), rng.below(self.side / 2)];
        let colour = colour(rng);
        if rng.chance(0.4) {
            let size = [PITCH[1] * zoom * lines, PITCH[0] * zoom * letters];
            let cover = if rng.chance(0.5) { 1.0 } else { 0.5 };
            self.fill(
                [y.saturating_sub(zoom), x.saturating_sub(zoom)],
                size,
                [16; 3],
                cover,
            );
        }
        let position = |i: usize| {
            [
                y + PITCH[1] * zoom * (i / letters),
                x + PITCH[0] * zoom * (i % letters),
            ]
        };
        let letter = |i: usize| rng.chance(0.85).then(|| (position(i), rng.below(GLYPHS.len())));
        let letters: Vec<_> = (0..lines * letters).filter_map(letter).collect();
        for (shift, ink) in [(zoom.div_ceil(2), [0; 3]), (0, colour)] {
            for ([y, x], glyph) in &letters {
                self.glyph([y + shift, x + shift], *glyph, zoom, ink);
            }
        }
    }

    /// Draws a letter magnified `zoom` times.
    fn glyph(&mut self, [y, x]: [usize; 2], glyph: usize, zoom: usize, colour: [u8; 3]) {
        for (row, bits) in GLYPHS[glyph].iter().enumerate() {
            for column in (0..5).filter(|column| bits >> (4 - column) & 1 == 1) {
                self.fill([y + row * zoom, x + column * zoom], [zoom; 2], colour, 1.0);
            }
        }
    }

    /// Draws a disc, ring, square or square frame at a random position, opaque or translucent.
    fn logo(&mut self, rng: &mut Rng) {
        let radius = rng.uniform(4.0, self.side as f64 / 5.0);
        let hole = if rng.chance(0.5) {
            radius * rng.uniform(0.3, 0.8)
        } else {
            -1.0
        };
        let mut middle = || rng.uniform(0.0, self.side as f64);
        let (row, column) = (middle(), middle());
        let is_square = rng.chance(0.4);
        let (colour, cover) = (colour(rng), if rng.chance(0.7) { 1.0 } else { 0.6 });
        for i in 0..self.side * self.side {
            let (dy, dx) = ((i / self.side) as f64 - row, (i % self.side) as f64 - column);
            let distance = if is_square {
                dy.abs().max(dx.abs())
            } else {
                dy.hypot(dx)
            };
            if distance <= radius && distance > hole {
                self.paint(i / self.side, i % self.side, colour, cover);
            }
        }
    }

    /// Draws letterbox or pillarbox bars at two opposite edges.
    fn bars(&mut self, rng: &mut Rng) {
        let thick = 2 + rng.below(self.side / 6);
        let far = self.side - thick;
        let (colour, is_tall) = ([rng.below(20) as u8; 3], rng.chance(0.5));
        let size = if is_tall {
            [self.side, thick]
        } else {
            [thick, self.side]
        };
        let second = if is_tall { [0, far] } else { [far, 0] };
        self.fill([0, 0], size, colour, 1.0);
        self.fill(second, size, colour, 1.0);
    }

    /// Composites the layer over an image of its size.
    fn over(&self, picture: &Picture) -> Picture {
        Picture::from_fn(picture.size(), |y, x| {
            let (colour, cover) = self.pixels[y * self.side + x];
            let below = picture.at(y, x);
            [0, 1, 2]
                .map(|c| (f32::from(below[c]) * (1.0 - cover) + f32::from(colour[c]) * cover).round() as u8)
        })
    }

    /// Sets the flow at covered pixels to 0, known where the layer is opaque; creates an unknown flow if there is none.
    fn update_flow(&self, flow: &mut Option<Field>) {
        let plane = self.side * self.side;
        let field = flow.get_or_insert_with(|| Field {
            side: self.side,
            flow: vec![0.0; 4 * plane],
            known: vec![0.0; plane],
        });
        for (i, (_, cover)) in self
            .pixels
            .iter()
            .enumerate()
            .filter(|(_, (_, cover))| *cover > 0.0)
        {
            field.known[i] = f32::from(u8::from(*cover == 1.0));
            for channel in 0..4 {
                field.flow[channel * plane + i] = 0.0;
            }
        }
    }
}

/// Draws a colour: white, yellow or any.
fn colour(rng: &mut Rng) -> [u8; 3] {
    match rng.below(3) {
        0 => [235; 3],
        1 => [240, 220, 40],
        _ => [0; 3].map(|_: u8| rng.below(256) as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlays_are_the_same_on_all_frames_and_known_to_stay() {
        let mut covered = 0;
        for draw in 0..60 {
            let frames = [20, 120, 220].map(|grey| Picture::new([64, 64], vec![grey; 3 * 64 * 64]));
            let mut sample = Sample {
                frames,
                time: 0.5,
                flow: None,
            };
            lay(&mut sample, &mut Rng::new(3, draw));
            let field = sample.flow.unwrap();
            assert!(field.flow.iter().all(|x| *x == 0.0));
            for i in 0..64 * 64 {
                let [a, b, c] = [0, 1, 2].map(|k: usize| sample.frames[k].at(i / 64, i % 64));
                let same = a == b && b == c;
                assert_eq!(same, field.known[i] == 1.0, "draw {draw}, pixel {i}");
                covered += usize::from(same);
            }
        }
        assert!(covered > 60 * 20, "{covered} pixels in 60 draws");
    }

    #[test]
    fn glyphs_are_five_wide_and_all_differ() {
        assert!(GLYPHS.iter().flatten().all(|row| *row < 32));
        let all: std::collections::HashSet<_> = GLYPHS.iter().collect();
        assert_eq!(all.len(), GLYPHS.len());
    }
}
