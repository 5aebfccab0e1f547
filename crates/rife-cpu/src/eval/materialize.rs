//! Materialisation of lazy tensors: values of a tensor or of a tile of it, and the operands that an expression reads at
//! arbitrary positions.

use std::ops::Range;

use rife_backend::Resize;

use super::{Grid, MAX_INTERLEAVED, STRIP, Strips, concat_interleaved, eval, interleave_row, lanes};
use crate::runtime::{Buffer, Runtime};
use crate::tensor::{Op, Planar, Tensor};

impl Runtime {
    /// Returns the values of a tensor in planar layout, evaluating it in parallel at the first call.
    pub(crate) fn planes<'a>(&self, x: &'a Tensor) -> &'a Planar {
        if let Some(planes) = x.0.planar.get() {
            return planes;
        }
        self.prepare(x, true);
        let [channels, height, width] = x.shape();
        let mut planes = Planar::unset(self.recycler(), x.shape());
        let strips = Strips::new(&mut planes);
        self.threads().run(height.div_ceil(STRIP), &|i| {
            let rows = i * STRIP..(i * STRIP + STRIP).min(height);
            // SAFETY: the loop's items have different rows.
            let mut out = unsafe { strips.strip(rows.clone()) };
            eval(self.tier(), x, 0..channels, &Grid::rows(rows, width), &mut out);
        });
        x.0.planar.get_or_init(|| planes)
    }

    /// Evaluates a range of rows and columns of a tensor on this thread; [`Runtime::prepare`] must have been called for it.
    pub(crate) fn tile(&self, x: &Tensor, [rows, columns]: [Range<usize>; 2]) -> Planar {
        let channels = x.shape()[0];
        let mut planes = Planar::unset(self.recycler(), [channels, rows.len(), columns.len()]);
        let strips = Strips::new(&mut planes);
        // SAFETY: the only view.
        let mut out = unsafe { strips.strip(0..rows.len()) };
        let grid = Grid {
            rows: rows.collect(),
            columns: columns.collect(),
        };
        eval(self.tier(), x, 0..channels, &grid, &mut out);
        planes
    }

    /// Materialises the operands that an expression reads at arbitrary positions: images to be warped, and the flows that
    /// warp them where `full` says that (nearly) every pixel will be read.
    pub(crate) fn prepare(&self, x: &Tensor, full: bool) {
        if x.0.planar.get().is_some() {
            return;
        }
        match &x.0.op {
            Op::Planar | Op::Blocked(_) | Op::Shuffled4(_) | Op::Interleaved | Op::Constant(_) => {}
            Op::Cat(parts) => parts.iter().for_each(|part| self.prepare(part, full)),
            Op::Narrow(x, _) | Op::Affine(x, ..) | Op::Clamp01(x) | Op::Sigmoid(x) => self.prepare(x, full),
            Op::PixelShuffle(x) | Op::Rotate180(x) => self.prepare(x, full),
            Op::Add(a, b) | Op::Mul(a, b) | Op::AddLastChannel(a, b) => {
                [a, b].into_iter().for_each(|x| self.prepare(x, full))
            }
            Op::Blend(a, b, c) | Op::KeepStatic([a, b], c, _) => {
                [a, b, c].into_iter().for_each(|x| self.prepare(x, full));
            }
            Op::Resize(x, factor) => self.prepare(x, full && !matches!(factor, Resize::Down(by) if *by > 2)),
            Op::Warp(image, flow) | Op::WarpObmc(image, flow, ..) => {
                self.sampled(image);
                self.prepare_flow(flow, full);
            }
            Op::CubicResidual(image, flow) => {
                self.planes(image);
                self.prepare_flow(flow, full);
            }
        }
    }

    /// Prepares a flow; evaluates it, with the tensor that it is a slice of, if nearly all pixels will be read.
    fn prepare_flow(&self, flow: &Tensor, full: bool) {
        self.prepare(flow, full);
        if full {
            self.planes(unsliced(flow));
        }
    }

    /// Evaluates an image in the layout that `warp` samples: interleaved, planar for more than 8 channels.
    fn sampled(&self, x: &Tensor) {
        let channels = x.shape()[0];
        if matches!(x.0.op, Op::Blocked(_) | Op::Interleaved) {
            return;
        }
        if channels > MAX_INTERLEAVED {
            self.planes(x);
            return;
        }
        x.0.interleaved.get_or_init(|| self.interleaved(x));
    }

    /// Evaluates a tensor in interleaved layout (HWC, padded to 4 or 8 channels).
    pub(crate) fn interleaved(&self, x: &Tensor) -> Buffer {
        let [channels, height, width] = x.shape();
        let line = width * lanes(channels);
        let mut interleaved = self.recycler().take(height * line);
        if let Some(parts) = to_join(x) {
            self.threads().chunks(&mut interleaved, line, &|row, to| {
                concat_interleaved(parts, row, to)
            });
            return interleaved;
        }
        self.prepare(x, true);
        self.threads().chunks(&mut interleaved, STRIP * line, &|i, to| {
            let rows = i * STRIP..(i * STRIP + STRIP).min(height);
            let strip = self.tile(x, [rows, 0..width]);
            for (row, to) in to.chunks_exact_mut(line).enumerate() {
                interleave_row(&strip, row, to);
            }
        });
        interleaved
    }
}

/// Returns the operands of a concatenation of two interleaved tensors of up to four channels each; `None` for others.
fn to_join(x: &Tensor) -> Option<[&Tensor; 2]> {
    let narrow = |part: &&Tensor| matches!(part.0.op, Op::Interleaved) && part.shape()[0] <= 4;
    match &x.0.op {
        Op::Cat(parts) if lanes(x.shape()[0]) == 8 => {
            let [a, b] = parts.as_slice() else { return None };
            (narrow(&a) && narrow(&b)).then_some([a, b])
        }
        _ => None,
    }
}

/// Returns the tensor that a (nested) channel slice is a slice of, or the tensor itself.
fn unsliced(x: &Tensor) -> &Tensor {
    match &x.0.op {
        Op::Narrow(x, _) => unsliced(x),
        _ => x,
    }
}
