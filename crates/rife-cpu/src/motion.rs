//! Motion between two frames without weights: pyramidal Lucas-Kanade (Lucas and Kanade, 1981; Bouguet's pyramid), seen
//! from the frame between them.
//!
//! At every pixel of the frame at t one velocity v is sought for which the first frame at -t v and the second at
//! (1 - t) v look the same. From the smallest level of a pyramid of grey pictures to the largest, three steps each, both
//! frames are moved by what is known, and the difference that is left is explained, in the least squares over 3 x 3
//! pixels, by the slopes of the moved frames. A step begins at the mean of the velocities around, to which it is drawn
//! where there is nothing to see. The last of a level are medians of 3 x 3.
//!
//! A network that begins with it knows within a pixel where most of the picture goes, at a hundredth of its arithmetic,
//! which a small one would have to be trained for long to find.

mod rows;

use std::ops::RangeInclusive;

use crate::buffer::Buffer;
use crate::engine::Engine;
use crate::eval::Patch;
use crate::tensor::{Planes, Tensor};

/// Parts of red, green and blue in grey.
pub const GREY: [f32; 3] = [0.299, 0.587, 0.114];
/// Steps of each level.
pub const STEPS: usize = 3;
/// Pixels to each side over which velocities are averaged before a step.
pub const AROUND: usize = 4;
/// Added to the mean squares of slopes, grey being 0 to 1: what draws a velocity to those around it.
pub const DAMPING: f32 = 1e-3;
/// The most that a step adds to either part of a velocity, in pixels of its level.
pub const FURTHEST: f32 = 2.0;

/// Rows that a thread takes at once: enough that those it needs above and below cost little.
const STRIP: usize = 16;

/// Grey pictures of one level, both of `height` rows of `width`.
struct Level {
    frames: [Buffer; 2],
    height: usize,
    width: usize,
}

impl Level {
    /// Velocities of this level.
    fn field<'a>(&self, data: &'a [f32]) -> Field<'a> {
        Field {
            data,
            height: self.height,
            width: self.width,
        }
    }
}

/// Velocities of a level: of each row all x, then all y.
struct Field<'a> {
    data: &'a [f32],
    height: usize,
    width: usize,
}

impl Field<'_> {
    /// A row, or the nearest there is.
    fn row(&self, row: isize) -> [&[f32]; 2] {
        let row = clamped(row, self.height);
        let both = &self.data[row * 2 * self.width..][..2 * self.width];
        both.split_at(self.width).into()
    }
}

fn clamped(row: isize, height: usize) -> usize {
    row.clamp(0, height as isize - 1) as usize
}

impl Engine {
    /// Velocities `[2, height >> finest, width >> finest]` from the first frame to the second, in pixels of that size,
    /// of what is at each pixel at `timestep`; see [the module](self).
    ///
    /// `frames` are `[3, height, width]`, RGB in 0..1, of sizes that 2 to the power of the coarsest level divides.
    ///
    /// # Panics
    /// Where the frames' shapes are not such, or `levels` is empty.
    pub fn motion(&self, frames: [&Tensor; 2], timestep: f32, levels: RangeInclusive<u32>) -> Tensor {
        let (finest, coarsest) = (*levels.start(), *levels.end());
        let [channels, height, width] = frames[0].shape();
        assert_eq!(frames[1].shape(), [3, height, width], "frames' shapes");
        let cell = 1 << coarsest;
        assert!(channels == 3 && finest <= coarsest && height % cell == 0 && width % cell == 0);
        let mut pyramid = vec![self.grey(frames, finest)];
        for _ in finest..coarsest {
            let smaller = self.halved(pyramid.last().expect("a level"));
            pyramid.push(smaller);
        }
        let mut found: Option<Buffer> = None;
        for level in pyramid.iter().rev() {
            let begin = match &found {
                None => self.resting(level),
                Some(coarser) => self.doubled(coarser, level),
            };
            let last = (0..STEPS).fold(begin, |from, _| self.improved(level, timestep, &from));
            found = Some(self.medians(level, &last));
        }
        let shape = [2, height >> finest, width >> finest];
        self.velocity(&found.expect("a level"), shape)
    }

    /// Both frames in grey, reduced by 2 to the power of `log2`: the finest level.
    fn grey(&self, frames: [&Tensor; 2], log2: u32) -> Level {
        let [_, height, width] = frames[0].shape();
        let side = 1 << log2;
        let (height, width) = (height / side, width / side);
        let frames = frames.map(|frame| {
            self.prepare(frame, true);
            let mut grey = self.recycler().take(height * width);
            self.threads().chunks(&mut grey, STRIP * width, &|i, to| {
                let first = i * STRIP;
                let rows = first * side..(first + to.len() / width) * side;
                let tile = self.tile(frame, [rows, 0..width * side]);
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    grey_row(self.tier(), &tile, row * side..(row + 1) * side, to);
                }
            });
            grey
        });
        Level {
            frames,
            height,
            width,
        }
    }

    /// The next level.
    fn halved(&self, level: &Level) -> Level {
        let (height, width) = (level.height / 2, level.width / 2);
        let frames = level.frames.each_ref().map(|from| {
            let mut half = self.recycler().take(height * width);
            self.threads().chunks(&mut half, STRIP * width, &|i, to| {
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    let pair = &from[2 * (i * STRIP + row) * level.width..][..2 * level.width];
                    rows::halve(self.tier(), to, &pair[..level.width], &pair[level.width..]);
                }
            });
            half
        });
        Level {
            frames,
            height,
            width,
        }
    }

    fn resting(&self, level: &Level) -> Buffer {
        let mut none = self.recycler().take(2 * level.height * level.width);
        none.fill(0.0);
        none
    }

    /// The coarser level's velocities at this one's size, in its pixels.
    fn doubled(&self, coarser: &Buffer, level: &Level) -> Buffer {
        let (height, width) = (level.height / 2, level.width / 2);
        let from = Field {
            data: coarser,
            height,
            width,
        };
        let mut to = self.recycler().take(2 * level.height * level.width);
        self.threads().chunks(&mut to, 2 * level.width, &|row, to| {
            let mut mixed = Patch::new(1, 1, width + 2);
            let near = from.row((row / 2) as isize);
            let far = from.row((row / 2) as isize + if row % 2 == 0 { -1 } else { 1 });
            for (part, to) in to.chunks_exact_mut(level.width).enumerate() {
                let mut mixed = mixed.whole();
                let mixed = mixed.row(0, 0);
                // Twice the velocity, as the pixels are half as large.
                rows::weighted(
                    self.tier(),
                    &mut mixed[1..=width],
                    near[part],
                    far[part],
                    [1.5, 0.5],
                );
                repeat_edges(mixed, 1);
                rows::expand(self.tier(), to, mixed);
            }
        });
        to
    }

    /// A step of every velocity of a level.
    fn improved(&self, level: &Level, timestep: f32, from: &Buffer) -> Buffer {
        let width = level.width;
        let from = level.field(from);
        let mut to = self.recycler().take(from.data.len());
        self.threads().chunks(&mut to, STRIP * 2 * width, &|i, to| {
            let step = Step {
                engine: self,
                level,
                timestep,
                from: &from,
            };
            step.strip(i * STRIP, to);
        });
        to
    }

    /// Medians of 3 x 3 velocities, of either part.
    fn medians(&self, level: &Level, from: &Buffer) -> Buffer {
        let width = level.width;
        let from = level.field(from);
        let mut to = self.recycler().take(from.data.len());
        self.threads().chunks(&mut to, 2 * width, &|row, to| {
            let mut sorted = Patch::new(3, 1, width + 2);
            let around = [-1, 0, 1].map(|off| from.row(row as isize + off));
            for (part, to) in to.chunks_exact_mut(width).enumerate() {
                let mut whole = sorted.whole();
                let mut columns: Vec<_> = whole.rows(0, &[[0, 0], [1, 1], [2, 2]]);
                let inner = columns.iter_mut().map(|column| &mut column[1..=width]);
                rows::sort(self.tier(), inner.collect(), around.map(|both| both[part]));
                columns.iter_mut().for_each(|column| repeat_edges(column, 1));
                rows::middle(self.tier(), to, [0, 1, 2].map(|i| &*columns[i]));
            }
        });
        to
    }

    /// The velocities as a tensor.
    fn velocity(&self, from: &Buffer, shape: [usize; 3]) -> Tensor {
        let [_, height, width] = shape;
        let mut planes = Planes::unset(self.recycler(), shape);
        let [channel, line] = [planes.channel_stride(), planes.row_stride()];
        for row in 0..height {
            for part in 0..2 {
                let start = part * channel + (row + 1) * line + 1;
                planes.data[start..][..width].copy_from_slice(&from[(2 * row + part) * width..][..width]);
            }
        }
        Tensor::from_planes(planes)
    }
}

/// The grey means of some rows' squares.
fn grey_row(tier: crate::tier::Tier, tile: &Planes, from: std::ops::Range<usize>, to: &mut [f32]) {
    let side = from.len();
    let width = to.len() * side;
    let mut sum = Patch::new(1, 1, width);
    let mut sum = sum.whole();
    let sum = sum.row(0, 0);
    sum.fill(0.0);
    for row in from {
        for (channel, part) in GREY.into_iter().enumerate() {
            rows::accumulate(tier, sum, tile.row(channel, row), part / (side * side) as f32);
        }
    }
    rows::gather(tier, to, sum);
}

/// The first and last values into the `count` before and after them.
fn repeat_edges(row: &mut [f32], count: usize) {
    let end = row.len() - count;
    let (first, last) = (row[count], row[end - 1]);
    row[..count].fill(first);
    row[end..].fill(last);
}

/// A step on one level.
struct Step<'a> {
    engine: &'a Engine,
    level: &'a Level,
    timestep: f32,
    from: &'a Field<'a>,
}

/// What a strip of a step is computed in; rows are those of the strip and some around it, as far as there are.
struct Scratch {
    /// Both frames moved, with a pixel on either side.
    moved: Patch,
    /// Mean velocities.
    mean: Patch,
    /// Squares and products of slopes, and of slopes and what they are to explain; with a pixel on either side.
    products: Patch,
}

impl Step<'_> {
    /// The rows from `first` on, as many as `to` holds.
    fn strip(&self, first: usize, to: &mut [f32]) {
        let (width, height) = (self.level.width, self.level.height);
        let end = first + to.len() / (2 * width);
        // Products are summed over 3 x 3 pixels, slopes look as far again.
        let summed = first.saturating_sub(1)..(end + 1).min(height);
        let sloped = first.saturating_sub(2)..(end + 2).min(height);
        let mut scratch = Scratch {
            moved: Patch::new(2, sloped.len(), width + 2),
            mean: Patch::new(2, summed.len(), width),
            products: Patch::new(5, summed.len(), width + 2),
        };
        for row in sloped.clone() {
            self.shift(row, &mut scratch.moved, row - sloped.start);
        }
        for row in summed.clone() {
            let at = row - summed.start;
            self.average(row, &mut scratch.mean, at);
            let around = [-1, 0, 1].map(|off| clamped(row as isize + off, height) - sloped.start);
            self.multiply(row, &mut scratch, around, at);
        }
        for (row, to) in (first..end).zip(to.chunks_exact_mut(2 * width)) {
            let around = [-1, 0, 1].map(|off| clamped(row as isize + off, height) - summed.start);
            self.solve(&scratch, around, row - summed.start, to);
        }
    }

    /// A row of both frames moved by their part of the velocity.
    fn shift(&self, row: usize, moved: &mut Patch, at: usize) {
        let (width, height) = (self.level.width, self.level.height);
        let velocity = self.from.row(row as isize);
        let mut shares = Patch::new(2, 1, width);
        let mut places = vec![0; width];
        for (i, factor) in [-self.timestep, 1.0 - self.timestep].into_iter().enumerate() {
            let mut whole = shares.whole();
            let mut both = whole.rows(0, &[[0, 0], [1, 1]]);
            let [along, down] = &mut both[..] else {
                unreachable!("two rows")
            };
            rows::locate(
                self.engine.tier(),
                rows::Located {
                    places: &mut places,
                    along,
                    down,
                },
                velocity,
                factor,
                row,
                [height, width],
            );
            let mut whole = moved.whole();
            let to = whole.row(i, at);
            let neighbours = [usize::from(width > 1), if height > 1 { width } else { 0 }];
            let image = &self.level.frames[i][..height * width];
            rows::sample(
                self.engine.tier(),
                &mut to[1..=width],
                &places,
                [along, down],
                image,
                neighbours,
            );
            repeat_edges(to, 1);
        }
    }

    /// A row of mean velocities.
    fn average(&self, row: usize, mean: &mut Patch, at: usize) {
        let width = self.level.width;
        let mut sum = Patch::new(1, 1, width + 2 * AROUND);
        let reach = AROUND as isize;
        for part in 0..2 {
            let mut whole = sum.whole();
            let sum = whole.row(0, 0);
            let around: [&[f32]; 2 * AROUND + 1] =
                std::array::from_fn(|i| self.from.row(row as isize + i as isize - reach)[part]);
            rows::sum_nine(self.engine.tier(), &mut sum[AROUND..][..width], around);
            repeat_edges(sum, AROUND);
            rows::mean_of_nine(self.engine.tier(), mean.whole().row(part, at), sum);
        }
    }

    /// A row of products; `around` are the rows above, at and below in what was moved.
    fn multiply(&self, row: usize, scratch: &mut Scratch, around: [usize; 3], at: usize) {
        let moved = |frame| around.map(|row| scratch.moved.row(frame, row));
        let mut whole = scratch.products.whole();
        let mut products = whole.rows(at, &[[0, 0], [1, 1], [2, 2], [3, 3], [4, 4]]);
        rows::multiply(
            self.engine.tier(),
            products
                .iter_mut()
                .map(|row| &mut row[1..=self.level.width])
                .collect(),
            [moved(0), moved(1)],
            self.timestep,
            [scratch.mean.row(0, at), scratch.mean.row(1, at)],
            self.from.row(row as isize),
        );
        products.iter_mut().for_each(|row| repeat_edges(row, 1));
    }

    /// A row of velocities; `around` are the rows above, at and below of the products.
    fn solve(&self, scratch: &Scratch, around: [usize; 3], at: usize, to: &mut [f32]) {
        let width = self.level.width;
        let mut sums = Patch::new(5, 1, width + 2);
        let mut whole = sums.whole();
        for i in 0..5 {
            let products = around.map(|row| scratch.products.row(i, row));
            rows::sum_three(self.engine.tier(), whole.row(i, 0), products);
        }
        let (x, y) = to.split_at_mut(width);
        rows::solve(
            self.engine.tier(),
            [x, y],
            std::array::from_fn(|i| sums.row(i, 0)),
            [scratch.mean.row(0, at), scratch.mean.row(1, at)],
        );
    }
}
