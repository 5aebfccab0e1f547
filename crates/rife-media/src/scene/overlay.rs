//! Overlays: what stays where it is while everything around it moves, such as logos, burnt-in subtitles and black bars.
//! A network that has learnt motion tends to bend them, so that they are better taken from the source.
//!
//! A pixel is still while its luma changes by coding noise only. Still pixels that hang together are an overlay where
//! most of what lies around them moves. A background that is still touches the picture's border somewhere, and is left
//! alone, since something fast may pass before it between two frames; of what touches the border only black bars count.

use std::ops::Range;

use crate::{Frame, RgbImage, Samples};

/// Changes of luma of so many 8-bit codes are coding noise.
const NOISE: u8 = 4;
/// So many steps must a pixel have been still, one second of film.
const LONG: u8 = 24;
/// What has changed within so many steps moves.
const LATELY: u8 = 4;
/// Overlays are looked for every so many steps; what has moved since is left out at once.
const EVERY: u32 = 8;
/// How far outside a border motion is looked for: edges and the ringing of codecs are nearer.
const OUTSIDE: isize = 4;
/// Parts of the surroundings that must move.
const SURROUNDED: (u32, u32) = (3, 5);
/// Fewer pixels are chance.
const LEAST: usize = 16;
/// The lightest code of black bars.
const BLACK: u8 = 32;

/// Where pixels of an overlay are: row, columns.
type Run = (usize, Range<usize>);

/// The overlays between two frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    runs: Vec<Run>,
}

impl Overlay {
    /// How many pixels.
    pub fn pixels(&self) -> usize {
        self.runs.iter().map(|(_, columns)| columns.len()).sum()
    }

    /// Puts the overlays of frames `a` and `b`, mixed as of time `t`, into a picture that was made between them. All
    /// three have the size of the frames that the overlay was found in.
    pub fn restore(&self, made: &mut RgbImage, a: &RgbImage, b: &RgbImage, t: f32) {
        let width = a.width as usize;
        for (row, columns) in &self.runs {
            let at = row * width + columns.start..row * width + columns.end;
            for plane in 0..3 {
                let start = plane * a.data.len() / 3;
                let at = start + at.start..start + at.end;
                mix(&mut made.data[at.clone()], &a.data[at.clone()], &b.data[at], t);
            }
            if let (Some(made), Some(a), Some(b)) = (&mut made.alpha, &a.alpha, &b.alpha) {
                mix(&mut made[at.clone()], &a[at.clone()], &b[at], t);
            }
        }
    }
}

fn mix(made: &mut [f32], a: &[f32], b: &[f32], t: f32) {
    let pairs = a.iter().zip(b);
    made.iter_mut()
        .zip(pairs)
        .for_each(|(made, (a, b))| *made = a + (b - a) * t);
}

/// Finds overlays in a stream of frames.
#[derive(Debug, Default)]
pub struct Overlays {
    width: usize,
    /// The last frame's luma.
    codes: Vec<u8>,
    /// For how many steps each pixel has been still.
    age: Vec<u8>,
    /// Whether it belonged to an overlay when that was last looked for.
    found: Vec<bool>,
    steps: u32,
}

impl Overlays {
    /// Takes the next frame, and whether a cut lies before it; gives the overlays between the last frame and this one.
    pub fn push(&mut self, frame: &Frame, cut: bool) -> Option<Overlay> {
        let codes = codes(frame);
        self.width = frame.width as usize;
        if cut || codes.len() != self.codes.len() {
            *self = Self {
                width: self.width,
                age: vec![0; codes.len()],
                found: vec![false; codes.len()],
                codes,
                steps: 0,
            };
            return None;
        }
        for ((age, old), new) in self.age.iter_mut().zip(&self.codes).zip(&codes) {
            let still = old.abs_diff(*new) <= NOISE;
            *age = if still { age.saturating_add(1) } else { 0 };
        }
        self.codes = codes;
        self.steps += 1;
        if self.steps.is_multiple_of(EVERY) {
            self.look();
        }
        let runs: Vec<Run> = self.runs(|at| self.found[at] && self.age[at] >= LONG);
        (!runs.is_empty()).then_some(Overlay { runs })
    }

    /// Looks for overlays among all pixels that have long been still.
    fn look(&mut self) {
        let runs = self.runs(|at| self.age[at] >= LONG);
        let mut parts = Parts::of(&runs);
        let mut looks = vec![Look::default(); runs.len()];
        for (index, run) in runs.iter().enumerate() {
            let part = parts.root(index);
            self.add(run, &mut looks[part]);
        }
        self.found.fill(false);
        let height = self.codes.len() / self.width;
        for (index, (row, columns)) in runs.into_iter().enumerate() {
            if looks[parts.root(index)].is_overlay(self.width, height) {
                self.found[row * self.width..][columns].fill(true);
            }
        }
    }

    /// Adds a run to what is known of the part it belongs to.
    fn add(&self, (row, columns): &Run, look: &mut Look) {
        let (width, height) = (self.width, self.codes.len() / self.width);
        let codes = &self.codes[row * width..][columns.clone()];
        look.lightest = codes.iter().copied().fold(look.lightest, u8::max);
        look.pixels += columns.len();
        look.border_columns += if *row == 0 || row + 1 == height {
            columns.len()
        } else {
            0
        };
        look.border_rows += usize::from(columns.start == 0) + usize::from(columns.end == width);
        let row = *row as isize;
        self.around(row, columns.start as isize - 1, (0, -1), look);
        self.around(row, columns.end as isize, (0, 1), look);
        for column in columns.clone() {
            self.around(row - 1, column as isize, (-1, 0), look);
            self.around(row + 1, column as isize, (1, 0), look);
        }
    }

    /// Looks outside over a part's border, in the direction of `step`.
    fn around(&self, row: isize, column: isize, step: (isize, isize), look: &mut Look) {
        let long = |age: u8| age >= LONG;
        if self.age_at(row, column).is_none_or(long) {
            return;
        }
        let beyond = self.age_at(row + OUTSIDE * step.0, column + OUTSIDE * step.1);
        if let Some(age) = beyond.filter(|age| !long(*age)) {
            look.around += 1;
            look.moving += u32::from(age < LATELY);
        }
    }

    fn age_at(&self, row: isize, column: isize) -> Option<u8> {
        let column = usize::try_from(column)
            .ok()
            .filter(|column| *column < self.width)?;
        self.age
            .get(usize::try_from(row).ok()? * self.width + column)
            .copied()
    }

    /// The pixels of which `is` holds, row by row.
    fn runs(&self, is: impl Fn(usize) -> bool) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for row in 0..self.codes.len() / self.width.max(1) {
            let first = runs.len();
            for column in (0..self.width).filter(|column| is(row * self.width + column)) {
                match runs[first..].last_mut() {
                    Some((_, columns)) if columns.end == column => columns.end += 1,
                    _ => runs.push((row, column..column + 1)),
                }
            }
        }
        runs
    }
}

/// A frame's luma in 8-bit codes; of RGB green, which is most of it.
fn codes(frame: &Frame) -> Vec<u8> {
    let plane = usize::from(frame.format.layout == crate::Layout::Rgb);
    match &frame.planes[plane].samples {
        Samples::U8(codes) => codes.clone(),
        Samples::U16(codes) => codes
            .iter()
            .map(|code| (code >> (frame.format.depth - 8)) as u8)
            .collect(),
        Samples::F32(values) => values.iter().map(|value| (value * 255.0) as u8).collect(),
    }
}

/// What is known of pixels that hang together.
#[derive(Debug, Clone, Default)]
struct Look {
    /// Places looked at around it, and those of them that move.
    around: u32,
    moving: u32,
    pixels: usize,
    lightest: u8,
    /// Pixels in the picture's first and last row, and in its first and last column.
    border_columns: usize,
    border_rows: usize,
}

impl Look {
    fn is_overlay(&self, width: usize, height: usize) -> bool {
        let bar = self.lightest <= BLACK && (self.border_columns >= width || self.border_rows >= height);
        let inside = self.border_columns + self.border_rows == 0;
        let (share, of) = SURROUNDED;
        let surrounded = self.around > 0 && self.moving * of >= self.around * share;
        (inside || bar) && surrounded && self.pixels >= LEAST
    }
}

/// Which runs hang together: each points to another of its part, or to itself.
struct Parts(Vec<usize>);

impl Parts {
    /// Of runs in order of rows and columns; corners that touch count.
    fn of(runs: &[Run]) -> Self {
        let mut parts = Self((0..runs.len()).collect());
        let mut above = 0;
        for (index, (row, columns)) in runs.iter().enumerate() {
            let before = |run: &Run| run.0 + 1 < *row || (run.0 + 1 == *row && run.1.end < columns.start);
            while before(&runs[above]) {
                above += 1;
            }
            let touching = |run: &&Run| run.0 + 1 == *row && run.1.start <= columns.end;
            for other in (above..).zip(runs[above..].iter().take_while(touching)) {
                let (a, b) = (parts.root(other.0), parts.root(index));
                parts.0[a.max(b)] = a.min(b);
            }
        }
        parts
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PixelFormat;

    const SIZE: (usize, usize) = (96, 64);

    /// A frame of textures: `shade` gives the luma of a column and a row.
    fn frame(shade: impl Fn(usize, usize) -> u8) -> Frame {
        let mut frame = Frame::zeroed(
            SIZE.0 as u32,
            SIZE.1 as u32,
            PixelFormat::new(crate::Layout::Gray, 8),
        );
        let rows = (0..SIZE.1).flat_map(|y| (0..SIZE.0).map(move |x| (x, y)));
        frame.planes[0].samples = Samples::U8(rows.map(|(x, y)| shade(x, y)).collect());
        frame
    }

    /// Noise that is the same at the same place.
    fn texture(x: usize, y: usize) -> u8 {
        (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)).wrapping_mul(2_654_435_761) as u8
    }

    /// What is found at the end of 40 frames.
    fn found(shade: impl Fn(usize, usize, usize) -> u8) -> Option<Overlay> {
        let mut overlays = Overlays::default();
        (0..40)
            .map(|time| overlays.push(&frame(|x, y| shade(time, x, y)), false))
            .last()
            .flatten()
    }

    fn logo(x: usize, y: usize) -> bool {
        (30..50).contains(&x) && (20..34).contains(&y) && !(36..40).contains(&x)
    }

    #[test]
    fn a_logo_before_what_moves_is_found_whole() {
        let overlay = found(|time, x, y| {
            if logo(x, y) {
                texture(x, y)
            } else {
                texture(x + 3 * time, y)
            }
        })
        .unwrap();
        let inside = (0..SIZE.1)
            .flat_map(|y| (0..SIZE.0).map(move |x| (x, y)))
            .filter(|(x, y)| logo(*x, *y))
            .count();
        let share = overlay.pixels() as f32 / inside as f32;
        assert!((1.0..1.02).contains(&share), "{share}");
    }

    #[test]
    fn black_bars_are_found_and_skies_are_not() {
        let bars = |light: u8| {
            move |time: usize, x: usize, y: usize| if y < 10 { light } else { texture(x + 3 * time, y) }
        };
        assert!(found(bars(16)).unwrap().pixels() >= 960);
        assert_eq!(found(bars(200)), None);
    }

    #[test]
    fn a_background_is_left_alone_whatever_moves_before_it() {
        let ball = |time: usize, x: usize, y: usize| x.abs_diff(5 + 13 * time % 90) < 5 && y.abs_diff(30) < 5;
        assert_eq!(
            found(|time, x, y| if ball(time, x, y) { 255 } else { texture(x, y) }),
            None
        );
        assert_eq!(found(|_, x, y| texture(x, y)), None, "all of it still");
        assert_eq!(
            found(|time, x, y| texture(x + 3 * time, y)),
            None,
            "none of it still"
        );
    }

    #[test]
    fn what_begins_to_move_is_let_go_at_once_and_a_cut_forgets_all() {
        let mut overlays = Overlays::default();
        let shade = |time: usize| {
            move |x: usize, y: usize| {
                if logo(x, y) {
                    texture(x, y)
                } else {
                    texture(x + 3 * time, y)
                }
            }
        };
        for time in 0..40 {
            overlays.push(&frame(shade(time)), false);
        }
        assert!(overlays.push(&frame(shade(40)), false).is_some());
        let moved = frame(|x, y| texture(x + 123, y + 7));
        let left = overlays.push(&moved, false).map_or(0, |overlay| overlay.pixels());
        assert!(left < 30, "{left} pixels that happen to be alike");
        assert_eq!(overlays.push(&moved, true), None);
        assert_eq!(overlays.push(&moved, false), None);
    }

    #[test]
    fn restored_pixels_are_mixed_by_time_and_others_stay() {
        let overlay = Overlay {
            runs: vec![(1, 1..2)],
        };
        let picture = |value: f32| RgbImage {
            alpha: Some(vec![value; 4]),
            ..RgbImage::new(2, 2, vec![value; 12])
        };
        let mut made = picture(9.0);
        overlay.restore(&mut made, &picture(0.0), &picture(1.0), 0.25);
        assert_eq!(made.data, [9.0, 9.0, 9.0, 0.25].repeat(3));
        assert_eq!(made.alpha.unwrap(), [9.0, 9.0, 9.0, 0.25]);
    }
}
