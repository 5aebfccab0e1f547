//! Convolutions 3x3, 4x4 with stride 2, and transposed 4x4 with stride 2 ([`ConvSpec`]): packed weights ([`ConvLayer`]), the
//! choice among direct, Winograd and int8 kernels, and the parallel loop over rows or tiles. A direct kernel computes one
//! row of a few blocks of sixteen output channels; see `conv/kernel.rs`.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) mod amx;
pub(crate) mod int8;
pub(crate) mod kernel;
mod pack;
pub mod reference;
mod tiers;
mod winograd;

use std::ops::Range;
use std::time::Instant;

use rife_backend::{ConvKind, ConvSpec};

use crate::engine::Engine;
use crate::tensor::{BlockList, Blocked, Planar, Tensor};
use kernel::{InBlock, Row};
pub use pack::ConvLayer;
use pack::{Group, Phase};
pub(crate) use tiers::Kernels;

/// Input pixels from one output pixel (of one phase) to the next.
fn stride(kind: ConvKind) -> usize {
    if kind == ConvKind::Down { 2 } else { 1 }
}

/// The input rows or columns, of `size`, that the output range `wanted` (of one phase) is computed from.
fn input_range(kind: ConvKind, wanted: &Range<usize>, size: usize) -> Range<usize> {
    let last = (wanted.end - 1) * stride(kind) + 2;
    (wanted.start * stride(kind)).saturating_sub(1)..last.min(size)
}

/// The input of a direct kernel, planar or blocked: all rows of an image, or those of a tile.
#[derive(Clone, Copy)]
enum Input<'a> {
    Planar(&'a Planar),
    Blocked(&'a BlockList<'a>),
}

impl Input<'_> {
    fn shape(&self) -> [usize; 3] {
        match self {
            Self::Planar(planes) => planes.shape,
            Self::Blocked(blocks) => blocks.shape,
        }
    }

    /// Values from pixel to pixel, and from row to row.
    fn strides(&self) -> [usize; 2] {
        let width = self.shape()[2] + 2;
        match self {
            Self::Planar(_) => [1, width],
            Self::Blocked(_) => [16, width * 16],
        }
    }

    /// Sixteen channels each (the last fewer).
    fn blocks(&self) -> Vec<InBlock> {
        let channels = self.shape()[0];
        let part = |i: usize| {
            let (data, lane_stride) = match self {
                Self::Planar(planes) => {
                    let stride = planes.channel_stride();
                    (planes.data[i * 16 * stride..].as_ptr(), stride)
                }
                Self::Blocked(list) => (list.blocks[i].as_ptr(), 1),
            };
            InBlock {
                data,
                lanes: (channels - i * 16).min(16),
                lane_stride,
            }
        };
        (0..channels.div_ceil(16)).map(part).collect()
    }
}

/// The most input values of a strip of rows: half of a core's L2 cache.
const STRIP: usize = 128 * 1024;

/// Output rows of a tile whose input is evaluated with it (neighbouring tiles both evaluate the pixels that they share).
const COMPUTED_ROWS: usize = 8;
/// The output columns of such a tile are a multiple of these, which a kernel computes at a time.
const COMPUTED_COLUMNS: usize = 48;
/// The most input values of such a tile: with its intermediate values, of about the same size, and with the images that
/// are sampled it should stay in the L2 cache.
const COMPUTED: usize = 64 * 1024;

/// Applies a layer to a tensor: to its values where it has them, else tile by tile to values that are evaluated for the
/// tile and never stored as a tensor.
pub(crate) fn conv(engine: &Engine, x: &Tensor, layer: &ConvLayer) -> Blocked {
    let [channels, height, width] = x.shape();
    assert_eq!(
        channels, layer.input,
        "a convolution of {} channels was given {channels}",
        layer.input
    );
    let size = [layer.computed(), layer.kind.size(height), layer.kind.size(width)];
    let mut out = Blocked::unset(engine.recycler(), size);
    let target = Target::new(layer, &mut out);
    let strip = STRIP / (channels * width);
    let fair = target.rows().div_ceil(engine.threads().count() * 2).max(1);
    let start = Instant::now();
    let kernel = match (BlockList::of(x), x.0.planar.get()) {
        (Some(list), _) if int8::suits(engine, layer) => {
            int8::conv(engine, &list, &target);
            "int8"
        }
        (Some(list), _) if winograd::suits(layer, x.shape()) => {
            winograd::conv(engine, &list, &target);
            "winograd"
        }
        (Some(list), _) => {
            ready(engine, Input::Blocked(&list), &target, strip.clamp(1, fair));
            "direct"
        }
        (None, Some(planes)) => {
            ready(engine, Input::Planar(planes), &target, strip.clamp(1, fair));
            "direct, planar input"
        }
        (None, None) => {
            computed(engine, x, &target);
            "direct, input evaluated by tile"
        }
    };
    engine.log().note(layer, x.shape(), kernel, start);
    out
}

/// Whether zero weights of a layer cost next to nothing: in Winograd's algorithm, whose transformed weights have few zeros
/// anyway, or in int8 kernels that have products to spare.
pub(crate) fn forgives_zeros(engine: &Engine, x: &Tensor, layer: &ConvLayer) -> bool {
    let forgiving = if int8::suits(engine, layer) {
        int8::has_spare_products(engine)
    } else {
        winograd::suits(layer, x.shape())
    };
    BlockList::of(x).is_some() && forgiving
}

/// Direct convolution of stored values: a unit of work is a strip of rows of one part of the output.
fn ready(engine: &Engine, input: Input<'_>, target: &Target<'_>, strip: usize) {
    let rows = target.rows();
    let parts = target.parts();
    let job = Job::new(target, input, [0, 0]);
    engine.threads().run(rows.div_ceil(strip) * parts.len(), &|item| {
        let first = item / parts.len() * strip;
        // SAFETY: items differ in rows or part, so no two write the same pixels.
        unsafe {
            job.run(
                engine.kernels(),
                parts[item % parts.len()],
                first..(first + strip).min(rows),
            )
        };
    });
}

/// Direct convolution of an expression: each unit of work evaluates the input that its output tile reads.
fn computed(engine: &Engine, x: &Tensor, target: &Target<'_>) {
    engine.prepare(x, true);
    let [channels, height, width] = x.shape();
    let size = [target.rows(), target.columns()];
    let kind = target.layer.kind;
    let lines = channels * input_range(kind, &(0..COMPUTED_ROWS), usize::MAX).len();
    let columns = (COMPUTED / lines / stride(kind) / COMPUTED_COLUMNS).max(1) * COMPUTED_COLUMNS;
    let across = size[1].div_ceil(columns);
    let parts = target.parts();
    let range = |i: usize, step: usize, size: usize| i * step..((i + 1) * step).min(size);
    engine
        .threads()
        .run(size[0].div_ceil(COMPUTED_ROWS) * across, &|item| {
            let rows = range(item / across, COMPUTED_ROWS, size[0]);
            let columns = range(item % across, columns, size[1]);
            let read = [
                input_range(kind, &rows, height),
                input_range(kind, &columns, width),
            ];
            let first = [read[0].start, read[1].start];
            let input = engine.tile(x, read);
            let job = Job {
                columns,
                ..Job::new(target, Input::Planar(&input), first)
            };
            for &part in &parts {
                // SAFETY: items differ in rows or columns, so no two write the same pixels.
                unsafe { job.run(engine.kernels(), part, rows.clone()) };
            }
        });
}

/// A phase of a layer (one of the four of a transposed convolution) and some of its output blocks.
type Part<'a> = (&'a Phase, &'a Group);

/// A layer and its output buffer.
struct Target<'a> {
    layer: &'a ConvLayer,
    out: *mut f32,
    shape: [usize; 3],
    block_stride: usize,
    borrow: std::marker::PhantomData<&'a mut Blocked>,
}

// SAFETY: the pointer is written through at places that the callers of `Job::run` keep apart.
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    fn new(layer: &'a ConvLayer, out: &'a mut Blocked) -> Self {
        Self {
            layer,
            shape: out.shape,
            block_stride: out.block_stride(),
            out: out.data.as_mut_ptr(),
            borrow: std::marker::PhantomData,
        }
    }

    /// Rows of one phase.
    fn rows(&self) -> usize {
        if self.layer.kind == ConvKind::Up {
            self.shape[1] / 2
        } else {
            self.shape[1]
        }
    }

    /// Columns of one phase.
    fn columns(&self) -> usize {
        if self.layer.kind == ConvKind::Up {
            self.shape[2] / 2
        } else {
            self.shape[2]
        }
    }

    /// Every phase with each of its groups of output blocks.
    fn parts(&self) -> Vec<Part<'a>> {
        let phases = self.layer.phases.iter();
        phases
            .flat_map(|phase| phase.groups.iter().map(move |group| (phase, group)))
            .collect()
    }
}

/// A layer applied to an input tile whose first pixel is at row and column `first` of the image; computes some columns.
struct Job<'a> {
    target: &'a Target<'a>,
    input: Input<'a>,
    blocks: Vec<InBlock>,
    first: [usize; 2],
    /// Of one phase of the output.
    columns: Range<usize>,
}

// SAFETY: the input's pointers are only read through; for the output's see `Target`.
unsafe impl Sync for Job<'_> {}

impl<'a> Job<'a> {
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

    /// Computes some rows of a part.
    ///
    /// # Safety
    /// The input has every row that they read, and no other thread may compute the same rows of the same part.
    unsafe fn run(&self, kernels: &Kernels, (phase, group): Part<'_>, rows: Range<usize>) {
        for row in rows {
            // SAFETY: the caller's contract.
            unsafe { self.row(kernels, phase, group, row) };
        }
    }

    /// # Safety
    /// As [`Job::run`].
    unsafe fn row(&self, kernels: &Kernels, phase: &Phase, group: &Group, row: usize) {
        let Target { layer, shape, .. } = self.target;
        let [pixel, line] = self.input.strides();
        let step = stride(layer.kind);
        let column = self.columns.start;
        let mut taps = [0; 9];
        for (tap, [dy, dx]) in taps.iter_mut().zip(&phase.taps) {
            // Past the border of one pixel, which a tap may step back into.
            let place = |at: usize, step_back: isize| (at * step + 1).wrapping_add_signed(step_back);
            *tap = (place(row, *dy) - self.first[0]) * line + (place(column, *dx) - self.first[1]) * pixel;
        }
        let (up, out_row) = if layer.kind == ConvKind::Up {
            (2, row * 2 + phase.place[0])
        } else {
            (1, row)
        };
        let at = ((out_row + 1) * (shape[2] + 2) + 1 + column * up + phase.place[1]) * 16;
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
        // image, which is the border, or past a strip's own rows into those that it has beside; the caller keeps
        // writers apart; the kernels are of a tier the machine has.
        unsafe { (kernels.row[group.blocks.len() - 1])(&job) }
    }
}

/// The input blocks (of sixteen channels) that a range of output channels of a grouped convolution reads.
fn inputs_of(outputs: Range<usize>, spec: &ConvSpec) -> Range<usize> {
    let (of, from) = (spec.output / spec.groups, spec.input / spec.groups);
    let first = outputs.start / of * from;
    let last = (outputs.end.min(spec.output) - 1) / of * from + from;
    first / 16..last.div_ceil(16)
}
