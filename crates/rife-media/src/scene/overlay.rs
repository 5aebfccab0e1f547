//! Detection of static overlays: connected regions of unchanged pixels surrounded by motion, such as logos, burnt-in
//! subtitles and black bars. Interpolation tends to distort them, so they are copied from the source frames.
//!
//! A pixel is static while its luma changes by coding noise only. A connected component (8-neighbourhood) of static pixels
//! is an overlay where more than half of its surroundings moves. A static background touches the image border and is
//! excluded, since a fast object may pass in front of it between two frames; of components at the border only black bars
//! count.

use std::ops::Range;

use crate::{Frame, RgbImage, Samples};

/// Maximum luma change of a static pixel in 8-bit codes.
const NOISE: u8 = 4;
/// Minimum number of frames for which an overlay's pixels have been static: one second of film.
const MIN_STATIC: u8 = 24;
/// A pixel moves where it was static for fewer frames.
const MAX_MOVING: u8 = 4;
/// Number of source frames between two searches for overlays; pixels that change in between are excluded at once.
const SEARCH_INTERVAL: u64 = 8;
/// Distance in pixels outside a region's border at which motion is checked, beyond edges and codec ringing.
const MARGIN: isize = 4;
/// Minimum fraction, as numerator and denominator, of the surroundings that moves.
const MIN_SURROUNDING_MOTION: (u32, u32) = (3, 5);
/// Minimum number of pixels of an overlay.
const MIN_PIXELS: usize = 16;
/// Maximum luma of black bars in 8-bit codes.
const BLACK: u8 = 32;

/// A horizontal run of pixels: row, range of columns.
type Run = (usize, Range<usize>);

/// The overlay pixels between two consecutive frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    runs: Vec<Run>,
}

impl Overlay {
    /// Returns the number of pixels.
    pub fn pixels(&self) -> usize {
        self.runs.iter().map(|(_, columns)| columns.len()).sum()
    }

    /// Replaces the overlay pixels of the interpolated image `made` by the linear blend of source frames `a` and `b` at
    /// timestep `t` (0 to 1). All three have the size of the frames in which the overlay was detected.
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

/// Writes the linear blend `a + (b - a) * t` to `made`.
fn mix(made: &mut [f32], a: &[f32], b: &[f32], t: f32) {
    let pairs = a.iter().zip(b);
    made.iter_mut()
        .zip(pairs)
        .for_each(|(made, (a, b))| *made = a + (b - a) * t);
}

/// Streaming detector of overlays.
#[derive(Debug, Default)]
pub struct Overlays {
    /// Width of the frames in pixels.
    width: usize,
    /// Luma of the last frame in 8-bit codes, row by row.
    codes: Vec<u8>,
    /// Number of frames for which each pixel has been static, up to 255.
    age: Vec<u8>,
    /// True for each pixel that belonged to an overlay in the last search.
    found: Vec<bool>,
    /// Number of the last frame in the source.
    number: u64,
}

impl Overlays {
    /// Number of pushed frames, and of source frames before a frame in addition, on which the overlay at it depends: a
    /// detector that begins so many frames before comes to the same.
    pub const REACH: [u64; 2] = [MIN_STATIC as u64 + 1, SEARCH_INTERVAL];

    /// Adds the next frame and returns the overlay pixels between the previous frame and this one; `None` where there are
    /// none. `number` is the frame's in the source, where frames may have been left out in between; `cut` tells whether a
    /// cut precedes it.
    pub fn push(&mut self, frame: &Frame, number: u64, cut: bool) -> Option<Overlay> {
        let searches = number / SEARCH_INTERVAL != self.number / SEARCH_INTERVAL;
        let codes = codes(frame);
        self.width = frame.width as usize;
        if cut || codes.len() != self.codes.len() {
            *self = Self {
                width: self.width,
                age: vec![0; codes.len()],
                found: vec![false; codes.len()],
                codes,
                number,
            };
            return None;
        }
        for ((age, old), new) in self.age.iter_mut().zip(&self.codes).zip(&codes) {
            let still = old.abs_diff(*new) <= NOISE;
            *age = if still { age.saturating_add(1) } else { 0 };
        }
        self.codes = codes;
        self.number = number;
        if searches {
            self.search();
        }
        let runs: Vec<Run> = self.runs(|at| self.found[at] && self.age[at] >= MIN_STATIC);
        (!runs.is_empty()).then_some(Overlay { runs })
    }

    /// Searches for overlays among all static pixels and updates `found`.
    fn search(&mut self) {
        let runs = self.runs(|at| self.age[at] >= MIN_STATIC);
        let mut components = Components::of(&runs);
        let mut statistics = vec![RegionStatistics::default(); runs.len()];
        for (index, run) in runs.iter().enumerate() {
            let root = components.root(index);
            self.add(run, &mut statistics[root]);
        }
        self.found.fill(false);
        let height = self.codes.len() / self.width;
        for (index, (row, columns)) in runs.into_iter().enumerate() {
            if statistics[components.root(index)].is_overlay(self.width, height) {
                self.found[row * self.width..][columns].fill(true);
            }
        }
    }

    /// Adds a run to the statistics of its connected component.
    fn add(&self, (row, columns): &Run, region: &mut RegionStatistics) {
        let (width, height) = (self.width, self.codes.len() / self.width);
        let codes = &self.codes[row * width..][columns.clone()];
        region.lightest = codes.iter().copied().fold(region.lightest, u8::max);
        region.pixels += columns.len();
        region.border_columns += if *row == 0 || row + 1 == height {
            columns.len()
        } else {
            0
        };
        region.border_rows += usize::from(columns.start == 0) + usize::from(columns.end == width);
        let row = *row as isize;
        self.check_outside(row, columns.start as isize - 1, (0, -1), region);
        self.check_outside(row, columns.end as isize, (0, 1), region);
        for column in columns.clone() {
            self.check_outside(row - 1, column as isize, (-1, 0), region);
            self.check_outside(row + 1, column as isize, (1, 0), region);
        }
    }

    /// Counts whether there is motion [`MARGIN`] pixels beyond the pixel `(row, column)` just outside a region, in the
    /// direction `step` (rows, columns); static pixels are not counted.
    fn check_outside(&self, row: isize, column: isize, step: (isize, isize), region: &mut RegionStatistics) {
        let is_static = |age: u8| age >= MIN_STATIC;
        if self.age_at(row, column).is_none_or(is_static) {
            return;
        }
        let beyond = self.age_at(row + MARGIN * step.0, column + MARGIN * step.1);
        if let Some(age) = beyond.filter(|age| !is_static(*age)) {
            region.around += 1;
            region.moving += u32::from(age < MAX_MOVING);
        }
    }

    /// Returns the number of frames for which a pixel has been static; `None` outside the image.
    fn age_at(&self, row: isize, column: isize) -> Option<u8> {
        let column = usize::try_from(column)
            .ok()
            .filter(|column| *column < self.width)?;
        self.age
            .get(usize::try_from(row).ok()? * self.width + column)
            .copied()
    }

    /// Returns the runs of pixels whose index satisfies `is`, in order of rows and columns.
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

/// Returns the luma plane of a frame in 8-bit codes; for RGB the green plane.
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

/// Statistics of a connected component of static pixels.
#[derive(Debug, Clone, Default)]
struct RegionStatistics {
    /// Number of pixels checked around it.
    around: u32,
    /// Number of those that move.
    moving: u32,
    /// Number of pixels.
    pixels: usize,
    /// Maximum luma in 8-bit codes.
    lightest: u8,
    /// Number of pixels in the first and last row of the image.
    border_columns: usize,
    /// Number of pixels in the first and last column of the image.
    border_rows: usize,
}

impl RegionStatistics {
    /// Reports whether the component is an overlay in an image of this size: surrounded by motion, and inside the image or a
    /// black bar along a side.
    fn is_overlay(&self, width: usize, height: usize) -> bool {
        let bar = self.lightest <= BLACK && (self.border_columns >= width || self.border_rows >= height);
        let inside = self.border_columns + self.border_rows == 0;
        let (numerator, denominator) = MIN_SURROUNDING_MOTION;
        let surrounded = self.around > 0 && self.moving * denominator >= self.around * numerator;
        (inside || bar) && surrounded && self.pixels >= MIN_PIXELS
    }
}

/// Connected components of runs as a union-find forest: the element of each run is the index of its parent, a root's is its
/// own.
struct Components(Vec<usize>);

impl Components {
    /// Computes the components (8-neighbourhood) of runs in order of rows and columns.
    fn of(runs: &[Run]) -> Self {
        let mut components = Self((0..runs.len()).collect());
        let mut above = 0;
        for (index, (row, columns)) in runs.iter().enumerate() {
            let before = |run: &Run| run.0 + 1 < *row || (run.0 + 1 == *row && run.1.end < columns.start);
            while before(&runs[above]) {
                above += 1;
            }
            let touching = |run: &&Run| run.0 + 1 == *row && run.1.start <= columns.end;
            for other in (above..).zip(runs[above..].iter().take_while(touching)) {
                let (a, b) = (components.root(other.0), components.root(index));
                components.0[a.max(b)] = a.min(b);
            }
        }
        components
    }

    /// Returns the root of run `index`, with path halving.
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
            .map(|time| overlays.push(&frame(|x, y| shade(time, x, y)), time as u64, false))
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
            overlays.push(&frame(shade(time)), time as u64, false);
        }
        assert!(overlays.push(&frame(shade(40)), 40, false).is_some());
        let moved = frame(|x, y| texture(x + 123, y + 7));
        let left = overlays
            .push(&moved, 41, false)
            .map_or(0, |overlay| overlay.pixels());
        assert!(left < 30, "{left} pixels that happen to be alike");
        assert_eq!(overlays.push(&moved, 42, true), None);
        assert_eq!(overlays.push(&moved, 43, false), None);
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
