//! Convolutions 3x3, 4x4 with stride 2, and transposed 4x4 with stride 2 ([`ConvSpec`]): packed weights ([`ConvLayer`]), the
//! choice among direct, Winograd and int8 kernels, and the parallel loop over rows or tiles. A direct kernel computes one
//! row of a few blocks of sixteen output channels; see `conv/kernel.rs`.

mod context;
pub(crate) mod int8;
pub(crate) mod kernel;
mod pack;
pub mod reference;
mod simd;
mod target;
mod winograd;

use std::ops::Range;
use std::time::Instant;

use rife_backend::ConvKind;

use crate::runtime::ConvRun;
use crate::tensor::{BlockList, Blocked, Tensor};
pub(crate) use context::Context;
use kernel::{InBlock, Row};
pub use pack::ConvLayer;
use pack::{Group, Phase};
pub(crate) use simd::Kernels;
use target::{Input, PhaseGroup, Target, input_range, stride};

/// Maximum input values of a strip of rows: half of a core's L2 cache.
const STRIP: usize = 128 * 1024;

/// Output rows of a tile of a convolution whose lazy input is evaluated tile by tile (pixels that two tiles read are
/// evaluated twice).
const LAZY_ROWS: usize = 8;
/// Divisor of the output columns of a tile of a convolution with lazy input: the columns of a kernel's register tiles.
const LAZY_COLUMNS: usize = 48;
/// Maximum input values of a tile of a convolution with lazy input: these, intermediate values of about the same size and
/// sampled images should fit the L2 cache.
const LAZY_INPUT: usize = 64 * 1024;

/// Applies a layer to a tensor with the fastest suitable kernel. An expression is evaluated tile by tile into scratch
/// memory and never stored as a tensor.
pub(crate) fn conv(context: Context<'_>, x: &Tensor, layer: &ConvLayer) -> Blocked {
    let [channels, height, width] = x.shape();
    assert_eq!(
        channels, layer.input,
        "a convolution of {} channels was given {channels}",
        layer.input
    );
    let size = [layer.computed(), layer.kind.size(height), layer.kind.size(width)];
    let mut out = Blocked::unset(context.runtime.recycler(), size);
    let target = Target::new(layer, &mut out);
    let strip = STRIP / (channels * width);
    let fair = target
        .rows()
        .div_ceil(context.runtime.threads().count() * 2)
        .max(1);
    let start = Instant::now();
    let kernel = match (BlockList::of(x), x.0.planar.get()) {
        (Some(list), _) if int8::suits(context, layer) => {
            int8::conv(context, &list, &target);
            "int8"
        }
        (Some(list), _) if winograd::suits(layer, x.shape()) => {
            winograd::conv(context, &list, &target);
            "winograd"
        }
        (Some(list), _) => {
            conv_stored(context, Input::Blocked(&list), &target, strip.clamp(1, fair));
            "direct"
        }
        (None, Some(planes)) => {
            conv_stored(context, Input::Planar(planes), &target, strip.clamp(1, fair));
            "direct, planar input"
        }
        (None, None) => {
            conv_lazy(context, x, &target);
            "direct, input evaluated by tile"
        }
    };
    context.runtime.log().record(|| ConvRun {
        kind: layer.kind(),
        input: x.shape(),
        output: layer.output(),
        kernel,
        macs: layer.macs([height, width]),
        time: start.elapsed(),
    });
    out
}

/// Reports whether zero weights of a layer are almost free for this input: with Winograd, whose transformed weights have
/// few zeros anyway, or with int8 kernels that have products to spare.
pub(crate) fn are_zeros_free(context: Context<'_>, x: &Tensor, layer: &ConvLayer) -> bool {
    let is_free = if int8::suits(context, layer) {
        int8::has_spare_products(context)
    } else {
        winograd::suits(layer, x.shape())
    };
    BlockList::of(x).is_some() && is_free
}

/// Runs a direct convolution of stored values in parallel over strips of `strip` rows of one phase and group each.
fn conv_stored(context: Context<'_>, input: Input<'_>, target: &Target<'_>, strip: usize) {
    let rows = target.rows();
    let parts = target.phase_groups();
    let job = Job::new(target, input, [0, 0]);
    context
        .runtime
        .threads()
        .run(rows.div_ceil(strip) * parts.len(), &|item| {
            let first = item / parts.len() * strip;
            // SAFETY: items differ in rows, phase or group, so no two write the same values.
            unsafe {
                job.run(
                    context.kernels,
                    parts[item % parts.len()],
                    first..(first + strip).min(rows),
                )
            };
        });
}

/// Runs a direct convolution of an expression in parallel over output tiles, evaluating each tile's input first.
fn conv_lazy(context: Context<'_>, x: &Tensor, target: &Target<'_>) {
    context.runtime.prepare(x, true);
    let [channels, height, width] = x.shape();
    let size = [target.rows(), target.columns()];
    let kind = target.layer.kind;
    let lines = channels * input_range(kind, &(0..LAZY_ROWS), usize::MAX).len();
    let columns = (LAZY_INPUT / lines / stride(kind) / LAZY_COLUMNS).max(1) * LAZY_COLUMNS;
    let across = size[1].div_ceil(columns);
    let parts = target.phase_groups();
    let range = |i: usize, step: usize, size: usize| i * step..((i + 1) * step).min(size);
    context
        .runtime
        .threads()
        .run(size[0].div_ceil(LAZY_ROWS) * across, &|item| {
            let rows = range(item / across, LAZY_ROWS, size[0]);
            let columns = range(item % across, columns, size[1]);
            let read = [
                input_range(kind, &rows, height),
                input_range(kind, &columns, width),
            ];
            let first = [read[0].start, read[1].start];
            let input = context.runtime.tile(x, read);
            let job = Job {
                columns,
                ..Job::new(target, Input::Planar(&input), first)
            };
            for &part in &parts {
                // SAFETY: items differ in rows or columns, so no two write the same pixels.
                unsafe { job.run(context.kernels, part, rows.clone()) };
            }
        });
}

/// A direct convolution of an input tile; computes a range of output columns.
struct Job<'a> {
    target: &'a Target<'a>,
    input: Input<'a>,
    /// Blocks of the input.
    blocks: Vec<InBlock>,
    /// Row and column in the image of the input tile's first pixel.
    first: [usize; 2],
    /// Output columns of one phase.
    columns: Range<usize>,
}

// SAFETY: the input's pointers are only read through; for the output's see `Target`.
unsafe impl Sync for Job<'_> {}

impl<'a> Job<'a> {
    /// Prepares all output columns for an input tile that begins at row and column `first` of the image.
    fn new(target: &'a Target<'a>, input: Input<'a>, first: [usize; 2]) -> Self {
        let residual_in_blocks = !target.layer.residual || matches!(input, Input::Blocked(_));
        assert!(residual_in_blocks, "a residual convolution reads blocks");
        Self {
            target,
            blocks: input.blocks(),
            input,
            first,
            columns: 0..target.columns(),
        }
    }

    /// Computes a range of output rows of a phase and group.
    ///
    /// # Safety
    /// The input has all rows that are read, and no other thread computes the same rows of the same phase and group.
    unsafe fn run(&self, kernels: &Kernels, (phase, group): PhaseGroup<'_>, rows: Range<usize>) {
        for row in rows {
            // SAFETY: the caller's contract.
            unsafe { self.row(kernels, phase, group, row) };
        }
    }

    /// Computes one output row of a phase and group.
    ///
    /// # Safety
    /// As [`Job::run`].
    unsafe fn row(&self, kernels: &Kernels, phase: &Phase, group: &Group, row: usize) {
        let Target { layer, shape, .. } = self.target;
        let [pixel, line] = self.input.strides();
        let step = stride(layer.kind);
        let column = self.columns.start;
        let mut taps = [0; 9];
        for (tap, [dy, dx]) in taps.iter_mut().zip(&phase.taps) {
            // Coordinates with the border of one pixel, which a tap of -1 may read.
            let position = |at: usize, offset: isize| (at * step + 1).wrapping_add_signed(offset);
            *tap =
                (position(row, *dy) - self.first[0]) * line + (position(column, *dx) - self.first[1]) * pixel;
        }
        let (up, out_row) = if layer.kind == ConvKind::Up {
            (2, row * 2 + phase.offset[0])
        } else {
            (1, row)
        };
        let at = ((out_row + 1) * (shape[2] + 2) + 1 + column * up + phase.offset[1]) * 16;
        let block = group.blocks.start;
        let out = self
            .target
            .out
            .wrapping_add(block * self.target.block_stride + at);
        let residual = if layer.residual {
            self.blocks[block]
                .data
                .wrapping_add((row + 1) * line + (column + 1) * pixel)
        } else {
            std::ptr::null()
        };
        let job = Row {
            inputs: &self.blocks[group.inputs.clone()],
            taps: &taps[..phase.taps.len()],
            pixel: pixel * step,
            weights: group.weights.as_ptr(),
            bias: layer.bias[block * 16..].as_ptr(),
            slope: layer.slope[block * 16..].as_ptr(),
            residual,
            out,
            out_pixel: 16 * up,
            block_stride: self.target.block_stride,
            columns: self.columns.len(),
        };
        // SAFETY: every pointer is into buffers of the sizes that `conv` gave them: taps reach one pixel past the
        // image, which is the border, or past a strip's rows into the image's rows above and below it; the caller
        // guarantees that no two threads write the same rows; the kernels are of a tier the machine has.
        unsafe { (kernels.row[group.blocks.len() - 1])(&job) }
    }
}
