//! Motion between two frames without weights: pyramidal Lucas-Kanade (Lucas and Kanade, 1981; Bouguet's pyramid), seen
//! from the frame between them.
//!
//! At every pixel of the frame at t one velocity v is sought for which the first frame at -t v and the second at
//! (1 - t) v look the same. From the smallest level of a pyramid of grey pictures to the largest, three steps each but
//! one on the largest, both frames are moved by what is known, and the difference that is left is explained, in the
//! least squares over 5 x 5 pixels, by the slopes of the moved frames. Before the next level every velocity becomes the
//! mean of those around it, each counted by how alike it makes the frames: so what is found where there is much to see
//! goes to where there is little, and not across an edge beyond which it is wrong. The last of a level are medians of
//! 3 x 3.
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
/// Steps of each level but the finest.
pub const STEPS: usize = 3;
/// Steps of the finest level: it has as many pixels as three times all others, and little is left to find.
pub const LAST_STEPS: usize = 1;
/// Pixels to each side over which a step's least squares are.
pub const WINDOW: usize = 2;
/// Pixels to each side over which velocities are averaged before the next level.
pub const AROUND: usize = 4;
/// Added to the mean squares of slopes, grey being 0 to 1: what keeps a velocity where there is nothing to see.
pub const DAMPING: f32 = 3e-4;
/// Added to the difference that is left where a velocity is averaged with those around: it counts by one over the sum.
pub const DOUBT: f32 = 0.005;
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
        for (above, level) in pyramid.iter().enumerate().rev() {
            let begin = match &found {
                None => self.resting(level),
                Some(coarser) => self.doubled(coarser, level),
            };
            let steps = if above > 0 { STEPS } else { LAST_STEPS };
            let mut last = (0..steps).fold(begin, |from, _| self.improved(level, timestep, &from));
            if above > 0 {
                last = self.agreed(level, timestep, &last);
            }
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
        let look = Look::new(self, level, timestep, from);
        let mut to = self.recycler().take(from.len());
        self.threads().chunks(&mut to, STRIP * 2 * level.width, &|i, to| {
            look.improve(i * STRIP, to);
        });
        to
    }

    /// Means of the velocities around, counted by how alike they make the frames.
    fn agreed(&self, level: &Level, timestep: f32, from: &Buffer) -> Buffer {
        let look = Look::new(self, level, timestep, from);
        let mut apart = self.recycler().take(level.height * level.width);
        self.threads().chunks(&mut apart, STRIP * level.width, &|i, to| {
            look.compare(i * STRIP, to);
        });
        let mut to = self.recycler().take(from.len());
        self.threads().chunks(&mut to, STRIP * 2 * level.width, &|i, to| {
            look.agree(&apart, i * STRIP, to);
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

/// Two frames of one level and the velocities found so far.
struct Look<'a> {
    engine: &'a Engine,
    level: &'a Level,
    timestep: f32,
    from: Field<'a>,
}

impl<'a> Look<'a> {
    fn new(engine: &'a Engine, level: &'a Level, timestep: f32, from: &'a Buffer) -> Self {
        let from = level.field(from);
        Self {
            engine,
            level,
            timestep,
            from,
        }
    }

    /// Better velocities of the rows from `first` on, as many as `to` holds.
    fn improve(&self, first: usize, to: &mut [f32]) {
        let (width, height) = (self.level.width, self.level.height);
        let end = first + to.len() / (2 * width);
        // Slopes look a pixel farther than the sums.
        let summed = first.saturating_sub(WINDOW)..(end + WINDOW).min(height);
        let sloped = first.saturating_sub(WINDOW + 1)..(end + WINDOW + 1).min(height);
        let mut moved = Patch::new(2, sloped.len(), width + 2);
        let mut products = Patch::new(5, summed.len(), width + 2 * WINDOW);
        for row in sloped.clone() {
            let mut whole = moved.whole();
            let at = row - sloped.start;
            let mut both = whole.rows(at, &[[0, 0], [1, 1]]);
            self.shift(row, both.iter_mut().map(|row| &mut row[1..=width]));
            both.iter_mut().for_each(|row| repeat_edges(row, 1));
        }
        for row in summed.clone() {
            let around = [-1, 0, 1].map(|off| clamped(row as isize + off, height) - sloped.start);
            self.multiply(&moved, around, &mut products, row - summed.start);
        }
        for (row, to) in (first..end).zip(to.chunks_exact_mut(2 * width)) {
            let around = [-2, -1, 0, 1, 2].map(|off| clamped(row as isize + off, height) - summed.start);
            self.solve(&products, around, row, to);
        }
    }

    /// A row of both frames moved by their part of the velocity.
    fn shift<'t>(&self, row: usize, to: impl Iterator<Item = &'t mut [f32]>) {
        let (width, height) = (self.level.width, self.level.height);
        let velocity = self.from.row(row as isize);
        let mut shares = Patch::new(2, 1, width);
        let mut places = vec![0; width];
        let parts = [-self.timestep, 1.0 - self.timestep];
        for ((factor, image), to) in parts.into_iter().zip(&self.level.frames).zip(to) {
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
            let neighbours = [usize::from(width > 1), if height > 1 { width } else { 0 }];
            let image = &image[..height * width];
            rows::sample(self.engine.tier(), to, &places, [along, down], image, neighbours);
        }
    }

    /// A row of products of slopes and differences; `around` are the rows above, at and below in what was moved.
    fn multiply(&self, moved: &Patch, around: [usize; 3], products: &mut Patch, at: usize) {
        let moved = |frame| around.map(|row| moved.row(frame, row));
        let mut whole = products.whole();
        let mut products = whole.rows(at, &[0, 1, 2, 3, 4].map(|i| [i, i]));
        let inner = products
            .iter_mut()
            .map(|row| &mut row[WINDOW..][..self.level.width]);
        rows::multiply(
            self.engine.tier(),
            inner.collect(),
            [moved(0), moved(1)],
            self.timestep,
        );
        products.iter_mut().for_each(|row| repeat_edges(row, WINDOW));
    }

    /// A row of velocities; `around` are the rows of products that are summed.
    fn solve(&self, products: &Patch, around: [usize; 2 * WINDOW + 1], row: usize, to: &mut [f32]) {
        let width = self.level.width;
        let mut sums = Patch::new(5, 1, width + 2 * WINDOW);
        let mut whole = sums.whole();
        for i in 0..5 {
            let products = around.map(|row| products.row(i, row));
            rows::sum_five(self.engine.tier(), whole.row(i, 0), products);
        }
        let (x, y) = to.split_at_mut(width);
        rows::solve(
            self.engine.tier(),
            [x, y],
            std::array::from_fn(|i| sums.row(i, 0)),
            self.from.row(row as isize),
        );
    }

    /// How far the moved frames are apart, in the rows from `first` on.
    fn compare(&self, first: usize, to: &mut [f32]) {
        let width = self.level.width;
        let mut moved = Patch::new(2, 1, width);
        for (i, to) in to.chunks_exact_mut(width).enumerate() {
            let mut whole = moved.whole();
            let mut both = whole.rows(0, &[[0, 0], [1, 1]]);
            self.shift(first + i, both.iter_mut().map(|row| &mut row[..]));
            rows::apart(self.engine.tier(), to, both[0], both[1]);
        }
    }

    /// Means of the velocities around the rows from `first` on; `apart` are the frames' differences.
    fn agree(&self, apart: &[f32], first: usize, to: &mut [f32]) {
        let (width, height) = (self.level.width, self.level.height);
        let end = first + to.len() / (2 * width);
        let counted = first.saturating_sub(AROUND)..(end + AROUND).min(height);
        // The weights, and the velocities' parts by them.
        let mut weighted = Patch::new(3, counted.len(), width);
        let mut column = Patch::new(1, 1, width + 2);
        for row in counted.clone() {
            let around = [-1, 0, 1].map(|off| &apart[clamped(row as isize + off, height) * width..][..width]);
            let mut whole = column.whole();
            let column = whole.row(0, 0);
            rows::sum_three(self.engine.tier(), &mut column[1..=width], around);
            repeat_edges(column, 1);
            let mut whole = weighted.whole();
            let at = row - counted.start;
            let to = whole.rows(at, &[[0, 0], [1, 1], [2, 2]]);
            rows::weigh(self.engine.tier(), to, column, self.from.row(row as isize));
        }
        let mut sums = Patch::new(3, 1, width + 2 * AROUND);
        for (row, to) in (first..end).zip(to.chunks_exact_mut(2 * width)) {
            let mut whole = sums.whole();
            for i in 0..3 {
                let around: [&[f32]; 2 * AROUND + 1] = std::array::from_fn(|off| {
                    let row = clamped((row + off) as isize - AROUND as isize, height);
                    weighted.row(i, row - counted.start)
                });
                let sum = whole.row(i, 0);
                rows::sum_nine(self.engine.tier(), &mut sum[AROUND..][..width], around);
                repeat_edges(sum, AROUND);
            }
            let (x, y) = to.split_at_mut(width);
            rows::mean_of_nine(
                self.engine.tier(),
                [x, y],
                std::array::from_fn(|i| sums.row(i, 0)),
            );
        }
    }
}
