//! Motion between two frames without weights: dense inverse search (Kroeger et al., "Fast Optical Flow using Dense
//! Inverse Search", 2016), both ways, seen from a frame between them.
//!
//! From the smallest level of a pyramid of grey pictures to the largest, patches of 8 x 8 pixels, one every 4, look for
//! where in the other frame they are, by their own steps and by what those beside them have found. Every pixel takes the
//! mean of what the patches over it found, each counted by how alike it makes this pixel, then the median of 3 x 3 such.
//! What is found from the first frame and what is found from the second are two opinions with errors of their own, each
//! taken where the motion passes through the frame between. Their mean is better than either by more than any constant
//! of a single one gives, and the mean of what both make of a frame is better still.
//!
//! A network that begins with it knows within a pixel where most of the picture goes, at a fraction of its arithmetic,
//! which a small one would have to be trained for long to find.

mod kernel;
mod rows;
mod search;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::buffer::Buffer;
use crate::engine::Engine;
use crate::eval::Patch;
use crate::tensor::{Node, Planes, Tensor};

/// Parts of red, green and blue in grey.
pub const GREY: [f32; 3] = [0.299, 0.587, 0.114];
/// Pixels from a patch to the next, along rows and columns; patches have twice as many along either.
pub const STRIDE: usize = 4;
/// Steps of Gauss-Newton of a patch on every level.
pub const STEPS: usize = 3;
/// How often, after these, a patch tries what its four neighbours have found, on every level but the finest. What is
/// known there of a whole object has to come from the few patches that see its texture.
pub const ROUNDS: usize = 8;
/// The same on the finest level, which has as many patches as three times all others.
pub const LAST_ROUNDS: usize = 3;
/// Added to the mean squares of slopes, grey being 0 to 1: what keeps a velocity where there is nothing to see.
pub const DAMPING: f32 = 1e-4;
/// Differences of a pixel are at least this where what the patches over it found is averaged by one over them.
pub const DOUBT: f32 = 1.0 / 255.0;
/// The most that a step adds to either part of a velocity, in pixels of its level.
pub const FURTHEST: f32 = 2.0;

/// How many levels there are beside the finest, whose pictures are of this size: the coarsest's are 23 to 45 pixels long.
///
/// How far things move goes with the size of the picture. On small pictures deeper levels find what is not there: with
/// two more, 256 x 256 lost 0.03 to 0.06 dB; on pictures of 480 to 960 pixels one less lost 0.07 to 0.14.
pub fn depth(height: usize, width: usize) -> u32 {
    let long = height.max(width);
    (long * long / 512).max(1).ilog2() / 2
}

/// Rows that a thread takes at once.
const STRIP: usize = 16;

/// Makes a row of a picture: of which frame, and which row.
type Fill<'a> = dyn Fn(usize, usize, &mut [f32]) + Sync + 'a;

/// Grey pictures of one level, both of `height` rows of `width`, multiples of [`STRIDE`]: extended by their last rows
/// and columns where they had not such sizes.
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

/// What was found between two frames, whatever the timestep: velocities from the first and from the second.
#[derive(Debug)]
struct Found {
    fields: [Buffer; 2],
    height: usize,
    width: usize,
}

impl Found {
    fn fields(&self) -> [Field<'_>; 2] {
        self.fields.each_ref().map(|data| Field {
            data,
            height: self.height,
            width: self.width,
        })
    }
}

/// The last pair's, for its other timesteps: the search takes a fourth of a pair's time.
#[derive(Debug, Default)]
pub(crate) struct Memo(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    frames: [Weak<Node>; 2],
    finest: u32,
    found: Arc<Found>,
}

impl Memo {
    /// What was found between these very frames, if they were the last; else it is forgotten.
    fn get(&self, frames: [&Tensor; 2], finest: u32) -> Option<Arc<Found>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.take_if(|known| {
            let same = |i: usize| known.frames[i].as_ptr() == Arc::as_ptr(&frames[i].0);
            known.finest != finest || !same(0) || !same(1)
        });
        drop(known);
        last.as_ref().map(|known| known.found.clone())
    }

    /// Frames are known by where they are, which no other can be while what is left of them is held here.
    fn keep(&self, frames: [&Tensor; 2], finest: u32, found: &Arc<Found>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known {
            frames: frames.map(|frame| Arc::downgrade(&frame.0)),
            finest,
            found: found.clone(),
        });
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
    /// Velocities from the first frame to the second, in pixels of that size, of what is at each pixel at `timestep`: two
    /// opinions of them, `[4, height >> finest, width >> finest]`, that of the search from the first frame and that of
    /// the search from the second; see [the module](self).
    ///
    /// `frames` are `[3, height, width]`, RGB in 0..1, of sizes that 2 to the power of `finest` divides.
    ///
    /// # Panics
    /// Where the frames' shapes are not such.
    pub fn motion(&self, frames: [&Tensor; 2], timestep: f32, finest: u32) -> Tensor {
        let [channels, height, width] = frames[0].shape();
        assert_eq!(frames[1].shape(), [3, height, width], "frames' shapes");
        let side = 1 << finest;
        assert!(channels == 3 && height % side == 0 && width % side == 0);
        let found = self.memo().get(frames, finest).unwrap_or_else(|| {
            let found = Arc::new(self.found(frames, side));
            self.memo().keep(frames, finest, &found);
            found
        });
        let between = self.between(&found, timestep);
        self.opinions(&between, found.width, [4, height / side, width / side])
    }

    /// The search both ways, at one `side`th of the frames' size.
    fn found(&self, frames: [&Tensor; 2], side: usize) -> Found {
        let [_, height, width] = frames[0].shape();
        let (height, width) = (height / side, width / side);
        let mut pyramid = vec![self.grey(frames, side)];
        for _ in 0..depth(height, width) {
            let smaller = self.halved(pyramid.last().expect("a level"));
            pyramid.push(smaller);
        }
        let mut found: Option<([Buffer; 2], &Level)> = None;
        for (above, level) in pyramid.iter().enumerate().rev() {
            let begin = match &found {
                None => [self.resting(level), self.resting(level)],
                Some((both, coarser)) => both.each_ref().map(|v| self.doubled(coarser.field(v), level)),
            };
            let rounds = if above > 0 { ROUNDS } else { LAST_ROUNDS };
            let moved = self.searched(level, begin, rounds);
            found = Some((moved.map(|velocities| self.medians(level, &velocities)), level));
        }
        let (fields, &Level { height, width, .. }) = found.expect("a level");
        Found {
            fields,
            height,
            width,
        }
    }

    /// Both frames in grey, reduced by `side`: the finest level.
    fn grey(&self, frames: [&Tensor; 2], side: usize) -> Level {
        let [_, height, width] = frames[0].shape();
        frames.into_iter().for_each(|frame| self.prepare(frame, true));
        self.level([height / side, width / side], &|i, row, to| {
            let tile = self.tile(frames[i], [row * side..(row + 1) * side, 0..width]);
            grey_row(self.tier(), &tile, 0..side, to);
        })
    }

    /// The next level.
    fn halved(&self, level: &Level) -> Level {
        self.level([level.height / 2, level.width / 2], &|i, row, to| {
            let pair = &level.frames[i][2 * row * level.width..][..2 * level.width];
            rows::halve(self.tier(), to, &pair[..level.width], &pair[level.width..]);
        })
    }

    /// Pictures of a size of which `fill` makes the rows, given which frame and which row.
    fn level(&self, [height, width]: [usize; 2], fill: &Fill<'_>) -> Level {
        let wide = width.next_multiple_of(STRIDE);
        let high = height.next_multiple_of(STRIDE);
        let frames = [0, 1].map(|i| {
            let mut picture = self.recycler().take(high * wide);
            self.threads().chunks(&mut picture, wide, &|row, to| {
                fill(i, row.min(height - 1), &mut to[..width]);
                let last = to[width - 1];
                to[width..].fill(last);
            });
            picture
        });
        Level {
            frames,
            height: high,
            width: wide,
        }
    }

    fn resting(&self, level: &Level) -> Buffer {
        let mut none = self.recycler().take(2 * level.height * level.width);
        none.fill(0.0);
        none
    }

    /// The coarser level's velocities at this one's size, in its pixels.
    fn doubled(&self, from: Field<'_>, level: &Level) -> Buffer {
        let width = from.width;
        let mut to = self.recycler().take(2 * level.height * level.width);
        self.threads().chunks(&mut to, 2 * level.width, &|row, to| {
            let mut mixed = Patch::new(1, 1, width + 2);
            let near = from.row((row / 2) as isize);
            let far = from.row((row / 2) as isize + if row % 2 == 0 { -1 } else { 1 });
            for (part, to) in to.chunks_exact_mut(level.width).enumerate() {
                let mut mixed = mixed.whole();
                let mixed = mixed.row(0, 0);
                // Twice the velocity, as the pixels are half as large.
                let inner = &mut mixed[1..=width];
                rows::weighted(self.tier(), inner, near[part], far[part], [1.5, 0.5]);
                repeat_edges(mixed, 1);
                // The coarser level may have been extended by more than this one.
                rows::expand(self.tier(), to, &mixed[..level.width / 2 + 2]);
            }
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

    /// What was found from the first frame and, backwards, from the second, each where the motion passes through what is
    /// seen at `timestep`: four rows for every row of the level.
    fn between(&self, found: &Found, timestep: f32) -> Buffer {
        let (height, width) = (found.height, found.width);
        let shares = [1.0 - timestep, -timestep];
        let fields = found.fields();
        let mut to = self.recycler().take(4 * height * width);
        self.threads().chunks(&mut to, 4 * width, &|row, to| {
            let here = fields.each_ref().map(|field| field.row(row as isize));
            // A first guess, by what was found at this very place.
            let mut guess = Patch::new(2, 1, width);
            let mut whole = guess.whole();
            for (part, (first, second)) in here[0].into_iter().zip(here[1]).enumerate() {
                rows::weighted(self.tier(), whole.row(part, 0), first, second, shares);
            }
            let guess = [0, 1].map(|part| guess.row(part, 0));
            let passed = [-timestep, 1.0 - timestep];
            let seen: [Patch; 2] = std::array::from_fn(|i| self.seen(&fields[i], guess, passed[i], row));
            for (part, to) in to.chunks_exact_mut(width).enumerate() {
                let from = seen[part / 2].row(part % 2, 0);
                // What was found backwards goes from the second frame to the first.
                let sign = if part < 2 { 1.0 } else { -1.0 };
                to.iter_mut().zip(from).for_each(|(to, from)| *to = sign * from);
            }
        });
        to
    }

    /// A row of a field's velocities, each taken where `factor` times a velocity leads to.
    fn seen(&self, field: &Field<'_>, velocity: [&[f32]; 2], factor: f32, row: usize) -> Patch {
        let (width, height) = (field.width, field.height);
        let mut shares = Patch::new(2, 1, width);
        let mut places = vec![0; width];
        let mut whole = shares.whole();
        let mut both = whole.rows(0, &[[0, 0], [1, 1]]);
        let [along, down] = &mut both[..] else {
            unreachable!("two rows")
        };
        let located = rows::Located {
            places: &mut places,
            along,
            down,
        };
        rows::locate(self.tier(), located, velocity, factor, row, [height, width]);
        let neighbours = [usize::from(width > 1), if height > 1 { 2 * width } else { 0 }];
        let mut seen = Patch::new(2, 1, width);
        let mut whole = seen.whole();
        for part in 0..2 {
            let plane = &field.data[part * width..(2 * height - 1 + part) * width];
            rows::sample(
                self.tier(),
                whole.row(part, 0),
                &places,
                [along, down],
                plane,
                neighbours,
            );
        }
        seen
    }

    /// Rows of every channel of `wide` values each as a tensor, without those by which the level was extended.
    fn opinions(&self, from: &[f32], wide: usize, shape: [usize; 3]) -> Tensor {
        let [channels, height, width] = shape;
        let mut planes = Planes::unset(self.recycler(), shape);
        let [channel, line] = [planes.channel_stride(), planes.row_stride()];
        for (row, values) in from.chunks_exact(channels * wide).take(height).enumerate() {
            for (part, values) in values.chunks_exact(wide).enumerate() {
                let start = part * channel + (row + 1) * line + 1;
                planes.data[start..][..width].copy_from_slice(&values[..width]);
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
