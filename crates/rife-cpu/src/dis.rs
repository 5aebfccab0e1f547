//! Dense inverse search (DIS) optical flow on the CPU: [`Runtime::dis_flow`] finds forward and backward flow between two
//! frames, [`Runtime::project_flow`] projects it to a timestep. The algorithm and its options are those of
//! [`rife_backend::dis`]; a pyramid level is two luma images, a velocity field is stored row by row, all x, then all y.
//!
//! `search` runs one level, `kernel` its work on one row of patches, `rows` the loops over rows of pixels.

mod kernel;
mod rows;
mod search;

use rife_backend::dis::{DisOptions, LUMA, STRIDE};

use crate::eval::{Region, Strips};
use crate::runtime::{Buffer, Runtime, Tier};
use crate::tensor::{Planar, Tensor};

/// Rows per unit of work of a thread.
const STRIP: usize = 16;

/// Values stored per patch: its velocity's x and y, and its cost. Of a row of patches all x, all y, then all costs.
const PATCH_VALUES: usize = 3;

/// A function that computes a row of one of a level's two images: arguments are frame, row and output.
type FillRow<'a> = dyn Fn(usize, usize, &mut [f32]) + Sync + 'a;

/// Luma images of both frames at one pyramid level, `height` rows of `width` pixels, both multiples of [`STRIDE`]: the
/// images are padded by replicating the last row and column.
struct Level {
    /// Luma of the first and the second frame.
    frames: [Buffer; 2],
    height: usize,
    width: usize,
}

impl Level {
    /// Wraps values as a velocity field of this level's size.
    fn field<'a>(&self, data: &'a [f32]) -> Field<'a> {
        Field {
            data,
            height: self.height,
            width: self.width,
        }
    }
}

/// A field of `height` x `width` velocities, one for each pixel of a pyramid level, in that level's pixels; layout
/// `[height, 2, width]`: each row holds all horizontal components, then all vertical ones.
struct Field<'a> {
    data: &'a [f32],
    height: usize,
    width: usize,
}

impl Field<'_> {
    /// Returns x and y of a row; beyond the border those of the nearest row.
    fn row(&self, row: isize) -> [&[f32]; 2] {
        let row = clamped(row, self.height);
        let both = &self.data[row * 2 * self.width..][..2 * self.width];
        both.split_at(self.width).into()
    }
}

/// Clamps a row index to `0..height`.
fn clamped(row: isize, height: usize) -> usize {
    row.clamp(0, height as isize - 1) as usize
}

impl Runtime {
    /// Computes forward and backward flow between two frames, `[4, height >> level, width >> level]`, see
    /// [`rife_backend::Backend::dis_flow`]. `frames` are `[3, height, width]`, RGB in 0..1.
    ///
    /// # Panics
    /// When the frames have other shapes, or sides that are no multiples of `1 << level`.
    pub(crate) fn dis_flow(&self, frames: [&Tensor; 2], level: u32, options: &DisOptions) -> Tensor {
        let [channels, height, width] = frames[0].shape();
        assert_eq!(frames[1].shape(), [3, height, width], "frames' shapes");
        let side = 1 << level;
        assert!(channels == 3 && height % side == 0 && width % side == 0);
        let mut pyramid = vec![self.luma(frames, side)];
        for _ in 0..options.coarser_levels(height / side, width / side) {
            let smaller = self.half(pyramid.last().expect("a level"));
            pyramid.push(smaller);
        }
        let mut coarser: Option<([Buffer; 2], &Level)> = None;
        for (coarseness, level) in pyramid.iter().enumerate().rev() {
            let initial = match &coarser {
                None => [self.zero_velocity(level), self.zero_velocity(level)],
                Some((both, from)) => both
                    .each_ref()
                    .map(|v| self.upsample_velocity(from.field(v), level)),
            };
            let flow = self.search_level(level, initial, options, coarseness == 0);
            coarser = Some((flow.map(|velocity| self.median(level, &velocity)), level));
        }
        let (flow, finest) = coarser.expect("a level");
        self.joined(
            flow.each_ref().map(|data| finest.field(data)),
            [height / side, width / side],
        )
    }

    /// Computes the finest level: luma of both frames, downsampled by `side`.
    fn luma(&self, frames: [&Tensor; 2], side: usize) -> Level {
        let [_, height, width] = frames[0].shape();
        frames.into_iter().for_each(|frame| self.prepare(frame, true));
        self.level([height / side, width / side], &|i, row, to| {
            let tile = self.tile(frames[i], [row * side..(row + 1) * side, 0..width]);
            luma_row(self.tier(), &tile, 0..side, to);
        })
    }

    /// Computes the next coarser level by 2x2 box averages.
    fn half(&self, level: &Level) -> Level {
        self.level([level.height / 2, level.width / 2], &|i, row, to| {
            let pair = &level.frames[i][2 * row * level.width..][..2 * level.width];
            rows::halve(self.tier(), to, &pair[..level.width], &pair[level.width..]);
        })
    }

    /// Makes a level of images whose rows `fill` computes, padded to multiples of [`STRIDE`].
    fn level(&self, [height, width]: [usize; 2], fill: &FillRow<'_>) -> Level {
        let padded_width = width.next_multiple_of(STRIDE);
        let padded_height = height.next_multiple_of(STRIDE);
        let frames = [0, 1].map(|i| {
            let mut image = self.recycler().take(padded_height * padded_width);
            self.threads().chunks(&mut image, padded_width, &|row, to| {
                fill(i, row.min(height - 1), &mut to[..width]);
                let last = to[width - 1];
                to[width..].fill(last);
            });
            image
        });
        Level {
            frames,
            height: padded_height,
            width: padded_width,
        }
    }

    /// Makes a zero velocity field of a level.
    fn zero_velocity(&self, level: &Level) -> Buffer {
        let mut zero = self.recycler().take(2 * level.height * level.width);
        zero.fill(0.0);
        zero
    }

    /// Upsamples a coarser level's velocities by 2 to this level, in its pixels.
    fn upsample_velocity(&self, from: Field<'_>, level: &Level) -> Buffer {
        let width = from.width;
        let mut to = self.recycler().take(2 * level.height * level.width);
        self.threads().chunks(&mut to, 2 * level.width, &|row, to| {
            let mut between_rows = Region::new(1, 1, width + 2);
            let near = from.row((row / 2) as isize);
            let far = from.row((row / 2) as isize + if row % 2 == 0 { -1 } else { 1 });
            for (axis, to) in to.chunks_exact_mut(level.width).enumerate() {
                let mut view = between_rows.view_mut();
                let between = view.row(0, 0);
                // The weights sum to 2, since a velocity is twice as many pixels of the finer level.
                let inner = &mut between[1..=width];
                rows::weighted(self.tier(), inner, near[axis], far[axis], [1.5, 0.5]);
                replicate_border(between, 1);
                // The coarser level may be padded by more than this one.
                rows::expand(self.tier(), to, &between[..level.width / 2 + 2]);
            }
        });
        to
    }

    /// Applies a 3x3 median filter to both components of a velocity field.
    fn median(&self, level: &Level, from: &Buffer) -> Buffer {
        let width = level.width;
        let from = level.field(from);
        let mut to = self.recycler().take(from.data.len());
        self.threads().chunks(&mut to, 2 * width, &|row, to| {
            let mut sorted = Region::new(3, 1, width + 2);
            let around = [-1, 0, 1].map(|off| from.row(row as isize + off));
            for (axis, to) in to.chunks_exact_mut(width).enumerate() {
                let mut view = sorted.view_mut();
                let mut columns: Vec<_> = view.rows(0, &[[0, 0], [1, 1], [2, 2]]);
                let inner = columns.iter_mut().map(|column| &mut column[1..=width]);
                rows::sort(self.tier(), inner.collect(), around.map(|both| both[axis]));
                columns.iter_mut().for_each(|column| replicate_border(column, 1));
                rows::middle(self.tier(), to, [0, 1, 2].map(|i| &*columns[i]));
            }
        });
        to
    }

    /// Concatenates two fields to a tensor `[4, height, width]`, cropped to that size.
    fn joined(&self, fields: [Field<'_>; 2], [height, width]: [usize; 2]) -> Tensor {
        let mut planes = Planar::unset(self.recycler(), [4, height, width]);
        let strips = Strips::new(&mut planes);
        self.threads().run(height.div_ceil(STRIP), &|i| {
            let rows = i * STRIP..(i * STRIP + STRIP).min(height);
            // SAFETY: the loop's items have different rows.
            let mut out = unsafe { strips.strip(rows.clone()) };
            out.each(|channel, row, to| {
                let from = fields[channel / 2].row((rows.start + row) as isize)[channel % 2];
                to.copy_from_slice(&from[..width]);
            });
        });
        Tensor::from_planar(planes)
    }

    /// Projects the flow of [`Runtime::dis_flow`] to a timestep, see [`rife_backend::Backend::project_flow`].
    ///
    /// # Panics
    /// When `flow` does not have four channels.
    pub(crate) fn project_flow(&self, flow: &Tensor, timestep: f32) -> Tensor {
        let [channels, height, width] = flow.shape();
        assert_eq!(channels, 4, "channels of a flow");
        let flow = self.planes(flow);
        let mut planes = Planar::unset(self.recycler(), flow.shape);
        let strips = Strips::new(&mut planes);
        self.threads().run(height.div_ceil(STRIP), &|i| {
            let rows = i * STRIP..(i * STRIP + STRIP).min(height);
            // SAFETY: the loop's items have different rows.
            let mut out = unsafe { strips.strip(rows.clone()) };
            for (i, row) in rows.enumerate() {
                let mut mean = Region::new(2, 1, width);
                let mut view = mean.view_mut();
                for axis in 0..2 {
                    let [forward, backward] = [axis, axis + 2].map(|channel| flow.row(channel, row));
                    let weights = [1.0 - timestep, -timestep];
                    rows::weighted(self.tier(), view.row(axis, 0), forward, backward, weights);
                }
                let velocity = [0, 1].map(|axis| mean.row(axis, 0));
                for (direction, factor) in [-timestep, 1.0 - timestep].into_iter().enumerate() {
                    let sampled = self.sampled_flow(flow, 2 * direction, velocity, factor, row);
                    for axis in 0..2 {
                        // The backward flow goes from the second frame to the first.
                        let sign = if direction == 0 { 1.0 } else { -1.0 };
                        let to = out.row(2 * direction + axis, i);
                        let from = sampled.row(axis, 0);
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = sign * from);
                    }
                }
            }
        });
        Tensor::from_planar(planes)
    }

    /// Samples two channels of a flow along a row, each pixel displaced by `factor` times its velocity; returns a region of
    /// two channels and one row.
    fn sampled_flow(
        &self,
        flow: &Planar,
        first_channel: usize,
        velocity: [&[f32]; 2],
        factor: f32,
        row: usize,
    ) -> Region {
        let [_, height, width] = flow.shape;
        let mut fractions = Region::new(2, 1, width);
        let mut indices = vec![0; width];
        let mut view = fractions.view_mut();
        let mut both = view.rows(0, &[[0, 0], [1, 1]]);
        let [right, below] = &mut both[..] else {
            unreachable!("two rows")
        };
        let samples = rows::Samples {
            indices: &mut indices,
            right,
            below,
        };
        let stride = flow.row_stride();
        rows::locate(
            self.tier(),
            samples,
            velocity,
            factor,
            row,
            [height, width, stride],
        );
        let neighbours = [usize::from(width > 1), if height > 1 { stride } else { 0 }];
        let mut sampled = Region::new(2, 1, width);
        let mut view = sampled.view_mut();
        for axis in 0..2 {
            // After the border of one pixel.
            let plane = &flow.channel(first_channel + axis)[stride + 1..];
            let to = view.row(axis, 0);
            rows::sample(self.tier(), to, &indices, [right, below], plane, neighbours);
        }
        sampled
    }
}

/// Computes a row of luma, downsampled by box averages over the rows `from` of the tile and as many columns.
fn luma_row(tier: Tier, tile: &Planar, from: std::ops::Range<usize>, to: &mut [f32]) {
    let side = from.len();
    let width = to.len() * side;
    let mut sum = Region::new(1, 1, width);
    let mut sum = sum.view_mut();
    let sum = sum.row(0, 0);
    sum.fill(0.0);
    for row in from {
        for (channel, weight) in LUMA.into_iter().enumerate() {
            rows::accumulate(tier, sum, tile.row(channel, row), weight / (side * side) as f32);
        }
    }
    rows::gather(tier, to, sum);
}

/// Replicates the first and last values of the row into the `count` values before and after them.
fn replicate_border(row: &mut [f32], count: usize) {
    let end = row.len() - count;
    let (first, last) = (row[count], row[end - 1]);
    row[..count].fill(first);
    row[end..].fill(last);
}
