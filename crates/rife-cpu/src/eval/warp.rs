//! Backward warp (`grid_sample`: bilinear, border clamped, `align_corners = true`) of an image `[C, H, W]` by a flow
//! `[2, H, W]` in pixels, and overlapped block motion compensation (OBMC).
//!
//! A sample reads all channels of four pixels. Images are therefore sampled in interleaved layout, padded to 4 or 8 channels,
//! or in the blocked layout of convolutions. For all samples of a grid, offsets and bilinear weights are computed first
//! (`locate`), then pixels are interpolated row by row.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod cubic;

use super::{Grid, Region, RegionMut, computed, rows};
use crate::runtime::Tier;
use crate::tensor::{Blocked, Op, Planar, Tensor};
pub(super) use cubic::cubic_residual;

/// An interleaved image of `LANES` channels.
#[derive(Clone, Copy)]
struct Image<'a, const LANES: usize> {
    values: &'a [f32],
    /// Stride of rows in values.
    stride: usize,
    height: usize,
    width: usize,
}

impl<const LANES: usize> Image<'_, LANES> {
    /// Returns the offsets of a pixel's right and lower neighbours; zero if there is a single column or row.
    fn neighbours(&self) -> [usize; 2] {
        let right = if self.width > 1 { LANES } else { 0 };
        let below = if self.height > 1 { self.stride } else { 0 };
        [right, below]
    }
}

/// Sampling positions of a grid.
struct Located {
    /// Offset of the upper left pixel of each sample.
    start: Vec<u32>,
    /// Bilinear weights of the right (channel 0) and lower (channel 1) neighbours.
    weights: Region,
    /// Number of columns of the grid.
    columns: usize,
}

impl Located {
    /// Makes uninitialised positions for a grid of this size.
    fn new([rows, columns]: [usize; 2]) -> Self {
        Self {
            start: vec![0; rows * columns],
            weights: Region::new(2, rows, columns),
            columns,
        }
    }

    /// Computes the positions of samples of an image at coordinates `x` and `y` in pixels.
    #[inline(always)]
    fn locate<const LANES: usize>(&mut self, image: &Image<'_, LANES>, [x, y]: [&[f32]; 2]) {
        let [along, down] = self.weights.planes_mut();
        let samples = self.start.iter_mut().zip(along).zip(down);
        for (((start, along), down), (&x, &y)) in samples.zip(x.iter().zip(y)) {
            let (column, right) = split(x, image.width);
            let (row, below) = split(y, image.height);
            *start = row * image.stride as u32 + column * LANES as u32;
            *along = right;
            *down = below;
        }
    }

    /// Returns a row of positions.
    fn row(&self, row: usize) -> Samples<'_> {
        Samples {
            start: &self.start[row * self.columns..],
            along: self.weights.row(0, row),
            down: self.weights.row(1, row),
        }
    }
}

/// A row of [`Located`]; `start` continues with the offsets of the following rows, for prefetching.
struct Samples<'a> {
    /// Offsets of the upper left pixels.
    start: &'a [u32],
    /// Weights of the right neighbours.
    along: &'a [f32],
    /// Weights of the lower neighbours.
    down: &'a [f32],
}

impl Samples<'_> {
    /// Returns the number of samples.
    fn count(&self) -> usize {
        self.along.len()
    }

    /// Checks what the unsafe kernels rely on; `below` is the offset of the lower neighbour.
    ///
    /// # Panics
    /// When a sample's pixels are outside of `values`, a lane is not below `LANES`, or a row of `out` is shorter than the
    /// samples.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn check<const LANES: usize>(&self, values: &[f32], below: usize, lanes: &[usize], out: &[&mut [f32]]) {
        let count = self.count();
        let last = self.start[..count].iter().copied().max().unwrap_or(0) as usize;
        assert!(
            last + below + 2 * LANES <= values.len(),
            "a sample outside of the image"
        );
        assert!(self.down.len() == count);
        assert!(lanes.iter().all(|&lane| lane < LANES) && out.iter().all(|row| row.len() >= count));
    }
}

/// Clamps a coordinate to `0..=size - 1` and splits it into an integer pixel and a fraction of 0 to 1. The last pixel is
/// returned as the one before with fraction 1, so that the next pixel always exists (unless `size` is 1).
#[inline(always)]
pub(crate) fn split(at: f32, size: usize) -> (u32, f32) {
    // Not `clamp`, since NaN must give a valid pixel too.
    let at = at.max(0.0).min((size - 1) as f32);
    // SAFETY: `at` is a number from 0 to `size - 1`. A plain `as` is not vectorised.
    let pixel = unsafe { at.to_int_unchecked::<i32>() };
    let pixel = pixel.min(size as i32 - 2).max(0);
    (pixel as u32, at - pixel as f32)
}

/// A channel of a sampled image, and the channel of the result that it is written to.
pub(super) type Pick = [usize; 2];

/// Evaluates the backward warp of some channels of `x` by `flow` on a grid.
pub(super) fn warp(
    tier: Tier,
    [x, flow]: [&Tensor; 2],
    picks: &[Pick],
    grid: &Grid,
    out: &mut RegionMut<'_>,
) {
    sample(tier, x, &Targets::new(tier, flow, grid), picks, out);
}

/// Evaluates OBMC with two neighbours on a grid: the mean of two warps of `x`, each by `factor` times the velocity of a
/// neighbour of each pixel.
pub(super) fn warp_obmc(
    tier: Tier,
    [x, velocity]: [&Tensor; 2],
    factor: f32,
    near: &[[isize; 2]; 2],
    picks: &[Pick],
    grid: &Grid,
    out: &mut RegionMut<'_>,
) {
    let [_, height, width] = x.shape();
    let targets = |[down, right]: [isize; 2]| {
        // Complete rows are copied, then shifted, which is faster than reading shifted columns one by one.
        let is_complete = grid.run() == Some(0..width);
        let picked = if is_complete { 0 } else { right };
        let mut flow = computed(
            tier,
            velocity,
            0..2,
            &grid.shifted([down, picked], [height, width]),
        );
        flow.view_mut().map(|row| {
            shift(row, right - picked);
            rows::affine(tier, row, factor, 0.0);
        });
        Targets::of(tier, flow, grid)
    };
    let count = picks.len();
    let mut other = grid.region(count);
    let others: Vec<Pick> = picks
        .iter()
        .enumerate()
        .map(|(i, [from, _])| [*from, i])
        .collect();
    sample(tier, x, &targets(near[0]), picks, out);
    sample(tier, x, &targets(near[1]), &others, &mut other.view_mut());
    for (i, [_, to]) in picks.iter().enumerate() {
        for r in 0..grid.rows.len() {
            let row = out.row(*to, r);
            rows::add(tier, row, other.row(i, r));
            rows::affine(tier, row, 0.5, 0.0);
        }
    }
}

/// Shifts a row left by `by` values (right if negative), replicating the edge value.
fn shift(row: &mut [f32], by: isize) {
    let Some(end) = row.len().checked_sub(1) else {
        return;
    };
    let off = by.unsigned_abs().min(end);
    let [first, last] = [row[0], row[end]];
    if by > 0 {
        row.copy_within(off.., 0);
        row[end + 1 - off..].fill(last);
    } else {
        row.copy_within(..=end - off, off);
        row[..off].fill(first);
    }
}

/// Samples some channels of a tensor in any layout at the given coordinates.
fn sample(tier: Tier, x: &Tensor, targets: &Targets, picks: &[Pick], out: &mut RegionMut<'_>) {
    let [_, height, width] = x.shape();
    if let Op::Blocked(blocks) = &x.0.op {
        for of_block in picks.chunk_by(|a, b| a[0] / 16 == b[0] / 16) {
            let image = sixteen(blocks, of_block[0][0] / 16);
            let picks: Vec<Pick> = of_block.iter().map(|[from, to]| [from % 16, *to]).collect();
            targets.sample(image, &picks, out);
        }
    } else if let Some(values) = x.0.interleaved.get() {
        match lanes(x.shape()[0]) {
            4 => targets.sample(interleaved::<4>(values, [height, width]), picks, out),
            _ => targets.sample(interleaved::<8>(values, [height, width]), picks, out),
        }
    } else {
        // Images of more than 8 channels that are not blocked: plane by plane, each evaluated completely on this thread.
        for &[from, to] in picks {
            let all = computed(tier, x, from..from + 1, &Grid::rows(0..height, width));
            let image = Image::<1> {
                values: all.plane(0),
                stride: width,
                height,
                width,
            };
            targets.sample(image, &[[0, to]], out);
        }
    }
}

/// Returns one block of a blocked tensor as an interleaved image of sixteen channels.
fn sixteen(blocks: &Blocked, block: usize) -> Image<'_, 16> {
    let [_, height, width] = blocks.shape;
    Image {
        values: &blocks.data[blocks.at(block, 0, 0)..],
        stride: (width + 2) * 16,
        height,
        width,
    }
}

/// Warps one row of a block of sixteen channels.
pub(crate) fn warp_block(tier: Tier, x: &Blocked, block: usize, flow: &Tensor, row: usize, out: &mut [f32]) {
    let image = sixteen(x, block);
    let located = Targets::new(tier, flow, &Grid::rows(row..row + 1, image.width)).located(&image);
    let samples = located.row(0);
    match tier {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: tiers are those that the machine has.
        Tier::Avx512 | Tier::Amx => unsafe { avx512::pixels(&image, &samples, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Tier::Avx2 => unsafe { avx2::pixels(&image, &samples, out) },
        _ => pixels(&image, &samples, out),
    }
}

/// Interpolates a row of samples of all channels, interleaved.
#[inline(always)]
fn pixels<const LANES: usize>(image: &Image<'_, LANES>, samples: &Samples<'_>, out: &mut [f32]) {
    for (c, to) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        *to = pixel(image, samples, c);
    }
}

/// Wraps interleaved values without a border as an image.
fn interleaved<const LANES: usize>(values: &[f32], [height, width]: [usize; 2]) -> Image<'_, LANES> {
    Image {
        values,
        stride: width * LANES,
        height,
        width,
    }
}

/// Coordinates to sample for each pixel of a grid: pixel plus flow.
struct Targets {
    tier: Tier,
    /// Channels x and y.
    coordinates: Region,
    /// Rows and columns of the grid.
    size: [usize; 2],
}

impl Targets {
    /// Evaluates a flow on a grid and adds the pixel coordinates.
    fn new(tier: Tier, flow: &Tensor, grid: &Grid) -> Self {
        Self::of(tier, computed(tier, flow, 0..2, grid), grid)
    }

    /// Adds the pixel coordinates to the flow on the grid.
    fn of(tier: Tier, mut coordinates: Region, grid: &Grid) -> Self {
        let columns: Vec<f32> = grid.columns.iter().map(|&c| c as f32).collect();
        coordinates.view_mut().each(|direction, r, row| match direction {
            0 => rows::add(tier, row, &columns),
            _ => rows::affine(tier, row, 1.0, grid.rows[r] as f32),
        });
        Self {
            tier,
            coordinates,
            size: [grid.rows.len(), grid.columns.len()],
        }
    }

    /// Computes the sampling positions in an image.
    fn located<const LANES: usize>(&self, image: &Image<'_, LANES>) -> Located {
        let mut located = Located::new(self.size);
        locate(
            self.tier,
            &mut located,
            image,
            [0, 1].map(|direction| self.coordinates.plane(direction)),
        );
        located
    }

    /// Samples some channels of an image.
    fn sample<const LANES: usize>(&self, image: Image<'_, LANES>, picks: &[Pick], out: &mut RegionMut<'_>) {
        let located = self.located(&image);
        let lanes: Vec<usize> = picks.iter().map(|pick| pick[0]).collect();
        for r in 0..self.size[0] {
            mix(
                self.tier,
                &image,
                &located.row(r),
                &lanes,
                &mut out.rows(r, picks),
            );
        }
    }
}

/// Calls [`Located::locate`], compiled for the tier.
fn locate<const LANES: usize>(tier: Tier, located: &mut Located, image: &Image<'_, LANES>, at: [&[f32]; 2]) {
    match tier {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: tiers are those that the machine has.
        Tier::Avx512 | Tier::Amx => unsafe { avx512::locate(located, image, at) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Tier::Avx2 => unsafe { avx2::locate(located, image, at) },
        _ => located.locate(image, at),
    }
}

/// Interpolates a row of samples bilinearly; channel `lanes[i]` is written to `out[i]`.
fn mix<const LANES: usize>(
    tier: Tier,
    image: &Image<'_, LANES>,
    samples: &Samples<'_>,
    lanes: &[usize],
    out: &mut [&mut [f32]],
) {
    let done = mix_by_tier(tier, image, samples, lanes, out);
    for c in done..samples.count() {
        let one = pixel(image, samples, c);
        for (&lane, row) in lanes.iter().zip(out.iter_mut()) {
            row[c] = one[lane];
        }
    }
}

/// Interpolates samples from the first on by the tier's SIMD kernel; returns how many were done (0 if the tier has no
/// kernel for the image).
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(unused_variables, reason = "only x86-64 has such kernels")
)]
fn mix_by_tier<const LANES: usize>(
    tier: Tier,
    image: &Image<'_, LANES>,
    samples: &Samples<'_>,
    lanes: &[usize],
    out: &mut [&mut [f32]],
) -> usize {
    if image.width < 2 || !matches!(LANES, 4 | 8) {
        return 0;
    }
    let below = image.neighbours()[1];
    match tier {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: tiers are those that the machine has.
        Tier::Avx512 | Tier::Amx => unsafe { avx512::mix::<LANES>(image.values, below, samples, lanes, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Tier::Avx2 => unsafe { avx2::mix::<LANES>(image.values, below, samples, lanes, out) },
        _ => 0,
    }
}

/// Interpolates all channels of sample number `c`.
#[inline(always)]
fn pixel<const LANES: usize>(image: &Image<'_, LANES>, samples: &Samples<'_>, c: usize) -> [f32; LANES] {
    let start = samples.start[c] as usize;
    let (along, down) = (samples.along[c], samples.down[c]);
    let weights = [
        (1.0 - along) * (1.0 - down),
        along * (1.0 - down),
        (1.0 - along) * down,
        along * down,
    ];
    let [right, below] = image.neighbours();
    let mut sum = [0.0; LANES];
    for (corner, weight) in [0, right, below, below + right].into_iter().zip(weights) {
        let from = &image.values[start + corner..][..LANES];
        for (sum, from) in sum.iter_mut().zip(from) {
            *sum += from * weight;
        }
    }
    sum
}

/// Returns the number of values per pixel, 4 or 8, of the interleaved layout of up to [`MAX_INTERLEAVED`] channels.
pub(crate) fn lanes(channels: usize) -> usize {
    if channels <= 4 { 4 } else { 8 }
}

/// Maximum channels of an interleaved image.
pub(crate) const MAX_INTERLEAVED: usize = 8;

/// Interleaves a row of planar values, zero-padded to [`lanes`] channels.
pub(crate) fn interleave_row(planes: &Planar, row: usize, to: &mut [f32]) {
    match lanes(planes.shape[0]) {
        4 => fill::<4>(planes, row, to),
        _ => fill::<8>(planes, row, to),
    }
}

/// Concatenates a row of two interleaved tensors of up to four channels each into one of up to eight.
pub(crate) fn concat_interleaved([a, b]: [&Tensor; 2], row: usize, to: &mut [f32]) {
    let [first, _, width] = a.shape();
    let [a, b] = [a, b].map(|x| {
        let interleaved = x.0.interleaved.get().expect("interleaved values are there");
        interleaved[row * width * 4..][..width * 4].as_chunks::<4>().0
    });
    for (pixel, (a, b)) in to.as_chunks_mut::<8>().0.iter_mut().zip(a.iter().zip(b)) {
        pixel[..4].copy_from_slice(a);
        pixel[4..].fill(0.0);
        pixel[first..first + 4].copy_from_slice(b);
    }
}

/// Interleaves a row of planar values, zero-padded to `LANES` channels.
fn fill<const LANES: usize>(planes: &Planar, row: usize, to: &mut [f32]) {
    let [channels, _, width] = planes.shape;
    let none = vec![0.0; width];
    let mut rows = [none.as_slice(); LANES];
    for (channel, of_channel) in rows.iter_mut().enumerate().take(channels) {
        *of_channel = planes.row(channel, row);
    }
    for (i, pixel) in to.chunks_exact_mut(LANES).enumerate().take(width) {
        for (lane, row) in pixel.iter_mut().zip(&rows) {
            *lane = row[i];
        }
    }
}
