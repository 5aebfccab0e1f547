//! Sampling an image where a flow points: bilinear, border clamped, `align_corners = true`.
//!
//! A sample reads four pixels, all channels of each; so the sampled image is kept with its channels side by side:
//! four of them, or the sixteen of a convolution's output. A row of samples is located first, then mixed.

#[cfg(target_arch = "x86_64")]
mod avx512;

use std::ops::Range;

use super::{Grid, PatchMut, computed};
use crate::tensor::{Op, Planes, Tensor};
use crate::tier::Tier;

/// An image whose `LANES` channels lie side by side.
#[derive(Clone, Copy)]
struct Image<'a, const LANES: usize> {
    values: &'a [f32],
    /// From row to row.
    stride: usize,
    height: usize,
    width: usize,
}

impl<const LANES: usize> Image<'_, LANES> {
    /// How far a pixel's right and lower neighbours are; a single column or row is its own neighbour.
    fn neighbours(&self) -> [usize; 2] {
        let right = if self.width > 1 { LANES } else { 0 };
        let below = if self.height > 1 { self.stride } else { 0 };
        [right, below]
    }
}

/// Where a row of samples falls: the top left pixel's place in memory, and the shares of its four.
struct Samples {
    start: Vec<u32>,
    shares: [Vec<f32>; 4],
}

impl Samples {
    fn new(count: usize) -> Self {
        Self {
            start: vec![0; count],
            shares: [(); 4].map(|()| vec![0.0; count]),
        }
    }

    /// Locates samples of an image, at columns `x` (those of the row plus the flow) and rows `y`.
    fn locate<const LANES: usize>(&mut self, image: &Image<'_, LANES>, x: &[f32], y: &[f32]) {
        let [top_left, top_right, left, right] = &mut self.shares;
        let shares = top_left.iter_mut().zip(top_right).zip(left).zip(right);
        let samples = self.start.iter_mut().zip(shares).zip(x).zip(y);
        for (((start, (((top_left, top_right), left), right)), &x), &y) in samples {
            let (column, along) = split(x, image.width);
            let (row, down) = split(y, image.height);
            *start = row * image.stride as u32 + column * LANES as u32;
            *top_left = (1.0 - along) * (1.0 - down);
            *top_right = along * (1.0 - down);
            *left = (1.0 - along) * down;
            *right = along * down;
        }
    }
}

/// Splits a coordinate, clamped to `0..size`, into the pixel before it and the rest. The last pixel counts as the
/// one before it and a whole step, so that the pixel after always exists (where there are two).
fn split(at: f32, size: usize) -> (u32, f32) {
    // Not `clamp`: a flow that is not a number must give a place too.
    let at = at.max(0.0).min((size - 1) as f32);
    let pixel = (at as i32).min(size as i32 - 2).max(0);
    (pixel as u32, at - pixel as f32)
}

pub(super) fn warp(
    tier: Tier,
    [x, flow]: [&Tensor; 2],
    channels: Range<usize>,
    grid: &Grid,
    out: &mut PatchMut<'_>,
) {
    let [_, height, width] = x.shape();
    let targets = Targets::new(tier, flow, grid);
    if let Op::Blocks(blocks) = &x.0.op {
        for block in channels.start / 16..channels.end.div_ceil(16) {
            let image = Image::<16> {
                values: &blocks.data[blocks.at(block, 0, 0)..],
                stride: (width + 2) * 16,
                height,
                width,
            };
            let own = channels.start.max(block * 16)..channels.end.min(block * 16 + 16);
            let lanes = own.start - block * 16..own.end - block * 16;
            let mut out = out.channels(own.start - channels.start..own.end - channels.start);
            targets.sample(image, lanes, &mut out);
        }
    } else if let Some(quads) = x.0.quads.get() {
        let image = Image::<4> {
            values: quads,
            stride: width * 4,
            height,
            width,
        };
        targets.sample(image, channels, out);
    } else {
        // Wide images that no convolution made: plane by plane, computed in full on this thread.
        let all = computed(tier, x, channels.clone(), &Grid::rows(0..height, width));
        for channel in 0..channels.len() {
            let image = Image::<1> {
                values: all.plane(channel),
                stride: width,
                height,
                width,
            };
            targets.sample(image, 0..1, &mut out.channels(channel..channel + 1));
        }
    }
}

/// The coordinates that a grid's pixels point at.
struct Targets {
    tier: Tier,
    x: Vec<f32>,
    y: Vec<f32>,
    columns: usize,
}

impl Targets {
    fn new(tier: Tier, flow: &Tensor, grid: &Grid) -> Self {
        let flow = computed(tier, flow, 0..2, grid);
        let columns: Vec<f32> = grid.columns.iter().map(|&c| c as f32).collect();
        let (mut x, mut y) = (flow.plane(0).to_vec(), flow.plane(1).to_vec());
        for row in x.chunks_exact_mut(columns.len()) {
            row.iter_mut().zip(&columns).for_each(|(x, c)| *x += c);
        }
        for (row, &r) in y.chunks_exact_mut(columns.len()).zip(&grid.rows) {
            row.iter_mut().for_each(|y| *y += r as f32);
        }
        Self {
            tier,
            x,
            y,
            columns: columns.len(),
        }
    }

    fn sample<const LANES: usize>(
        &self,
        image: Image<'_, LANES>,
        lanes: Range<usize>,
        out: &mut PatchMut<'_>,
    ) {
        let mut samples = Samples::new(self.columns);
        let rows = self
            .x
            .chunks_exact(self.columns)
            .zip(self.y.chunks_exact(self.columns));
        for (r, (x, y)) in rows.enumerate() {
            samples.locate(&image, x, y);
            mix(self.tier, &image, &samples, lanes.start, &mut out.rows(r));
        }
    }
}

/// Mixes a row of samples into a row each of some lanes from `first` on.
fn mix<const LANES: usize>(
    tier: Tier,
    image: &Image<'_, LANES>,
    samples: &Samples,
    first: usize,
    out: &mut [&mut [f32]],
) {
    let whole = samples.start.len() / 4 * 4;
    let done = if mix_by_tier(tier, image, samples, first, out) {
        whole
    } else {
        0
    };
    for c in (done..whole).step_by(4) {
        // Not `array::map`: it stays a call.
        let mut four = [[0.0; LANES]; 4];
        for (i, one) in four.iter_mut().enumerate() {
            *one = pixel(image, samples, c + i);
        }
        for (lane, row) in out.iter_mut().enumerate() {
            let lane = first + lane;
            row[c..c + 4].copy_from_slice(&[four[0][lane], four[1][lane], four[2][lane], four[3][lane]]);
        }
    }
    for c in whole..samples.start.len() {
        let one = pixel(image, samples, c);
        for (lane, row) in out.iter_mut().enumerate() {
            row[c] = one[first + lane];
        }
    }
}

/// All samples but the last few by the tier's own kernel; false where it has none for such an image.
fn mix_by_tier<const LANES: usize>(
    tier: Tier,
    image: &Image<'_, LANES>,
    samples: &Samples,
    first: usize,
    out: &mut [&mut [f32]],
) -> bool {
    match tier {
        #[cfg(target_arch = "x86_64")]
        Tier::Avx512 if LANES == 4 && image.width > 1 => {
            // SAFETY: tiers are those that the machine has.
            unsafe { avx512::mix_quads(image.values, image.neighbours()[1], samples, first, out) };
            true
        }
        _ => false,
    }
}

#[inline(always)]
fn pixel<const LANES: usize>(image: &Image<'_, LANES>, samples: &Samples, c: usize) -> [f32; LANES] {
    let start = samples.start[c] as usize;
    let [right, below] = image.neighbours();
    let mut sum = [0.0; LANES];
    for (corner, shares) in [0, right, below, below + right].into_iter().zip(&samples.shares) {
        let from = &image.values[start + corner..][..LANES];
        for (sum, from) in sum.iter_mut().zip(from) {
            *sum += from * shares[c];
        }
    }
    sum
}

/// Up to four channels of a row side by side, the missing ones zero.
pub(crate) fn fill_quads(planes: &Planes, row: usize, to: &mut [f32]) {
    to.fill(0.0);
    for channel in 0..planes.shape[0] {
        for (pixel, v) in to.chunks_exact_mut(4).zip(planes.row(channel, row)) {
            pixel[channel] = *v;
        }
    }
}
