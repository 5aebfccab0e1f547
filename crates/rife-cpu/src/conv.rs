//! Convolutions: what they are ([`ConvSpec`]), their weights packed for the kernels ([`ConvLayer`]), and the loop
//! over a layer's rows. The kernels compute one row of a few output channels each; see `conv/kernel.rs`.

pub(crate) mod kernel;
mod pack;
pub mod reference;
mod tiers;

use std::ops::Range;

use crate::engine::Engine;
use crate::tensor::{Blocks, Planes};
use kernel::{InBlock, Row};
pub use pack::ConvLayer;
use pack::{Group, Phase};
pub(crate) use tiers::Kernels;

/// What follows a convolution's sum and bias.
#[derive(Debug, Clone, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `x` where positive, `slope * x` elsewhere, one slope for all channels.
    LeakyRelu(f32),
    /// As [`Activation::LeakyRelu`] with one slope an output channel.
    Prelu(Vec<f32>),
}

/// How the kernel moves over its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvKind {
    /// 3x3, stride 1, zero padding 1: the size stays.
    Same,
    /// 3x3, stride 2, zero padding 1: the size halves, rounded up.
    Down,
    /// Transposed 4x4, stride 2, padding 1: the size doubles.
    Up,
}

impl ConvKind {
    /// Height or width of the output.
    pub fn size(self, input: usize) -> usize {
        match self {
            Self::Same => input,
            Self::Down => input.div_ceil(2),
            Self::Up => input * 2,
        }
    }
}

/// One convolution with everything that is fused into it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvSpec {
    /// Stride and direction.
    pub kind: ConvKind,
    /// Channels in, all groups together.
    pub input: usize,
    /// Channels out.
    pub output: usize,
    /// Groups; 1 for [`ConvKind::Up`].
    pub groups: usize,
    /// `[output, input / groups, 3, 3]`, for [`ConvKind::Up`] `[input, output, 4, 4]`.
    pub weight: Vec<f32>,
    /// `[output]`.
    pub bias: Vec<f32>,
    /// A factor a channel: the result is `activation(conv(x) * factor + x)`. [`ConvKind::Same`] with as many
    /// channels out as in only.
    pub residual: Option<Vec<f32>>,
    /// Applied last.
    pub activation: Activation,
}

/// What a convolution reads: either layout.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    Planes(&'a Planes),
    Blocks(&'a Blocks),
}

impl Input<'_> {
    fn shape(&self) -> [usize; 3] {
        match self {
            Self::Planes(planes) => planes.shape,
            Self::Blocks(blocks) => blocks.shape,
        }
    }

    /// From pixel to pixel, from row to row.
    fn strides(&self) -> [usize; 2] {
        let width = self.shape()[2] + 2;
        match self {
            Self::Planes(_) => [1, width],
            Self::Blocks(_) => [16, width * 16],
        }
    }

    /// Sixteen channels each (the last fewer).
    fn blocks(&self) -> Vec<InBlock> {
        let channels = self.shape()[0];
        let (data, stride, lane) = match self {
            Self::Planes(planes) => (
                &planes.data,
                planes.channel_stride() * 16,
                planes.channel_stride(),
            ),
            Self::Blocks(blocks) => (&blocks.data, blocks.block_stride(), 1),
        };
        let part = |i: usize| InBlock {
            data: data[i * stride..].as_ptr(),
            lanes: (channels - i * 16).min(16),
            lane_stride: lane,
        };
        (0..channels.div_ceil(16)).map(part).collect()
    }
}

/// The most input (in values) that a strip of rows should take: half of a core's second-level cache.
const STRIP: usize = 128 * 1024;

/// Applies a layer. `residual` is the input once more, in blocks, for layers that add it.
pub(crate) fn conv(engine: &Engine, input: Input<'_>, layer: &ConvLayer) -> Blocks {
    let [channels, height, width] = input.shape();
    assert_eq!(
        channels, layer.input,
        "a convolution of {} channels was given {channels}",
        layer.input
    );
    let size = [layer.computed(), layer.kind.size(height), layer.kind.size(width)];
    let mut out = Blocks::unset(engine.recycler(), size);
    let job = Job::new(input, layer, &mut out);
    let rows = job.rows();
    let strip = (STRIP / (channels * width)).clamp(1, rows.div_ceil(engine.threads().count() * 2).max(1));
    let strips = rows.div_ceil(strip);
    let work = job.parts();
    engine.threads().run(strips * work.len(), &|item| {
        let (phase, group) = work[item % work.len()];
        let first = item / work.len() * strip;
        for row in first..(first + strip).min(rows) {
            // SAFETY: items differ in phase, group or rows, so no two write the same pixels.
            unsafe { job.row(engine.kernels(), phase, group, row) };
        }
    });
    drop(job);
    out
}

/// A layer over an input into an output.
struct Job<'a> {
    input: Input<'a>,
    blocks: Vec<InBlock>,
    layer: &'a ConvLayer,
    out: *mut f32,
    shape: [usize; 3],
    block_stride: usize,
    borrow: std::marker::PhantomData<&'a mut Blocks>,
}

// SAFETY: the pointers are read through (input) or written at places that `row`'s callers keep apart (output).
unsafe impl Sync for Job<'_> {}

impl<'a> Job<'a> {
    fn new(input: Input<'a>, layer: &'a ConvLayer, out: &'a mut Blocks) -> Self {
        let residual_in_blocks = !layer.residual || matches!(input, Input::Blocks(_));
        assert!(residual_in_blocks, "a residual convolution reads blocks");
        Self {
            blocks: input.blocks(),
            input,
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

    /// Every phase with each of its groups of output blocks.
    fn parts(&self) -> Vec<(&'a Phase, &'a Group)> {
        let phases = self.layer.phases.iter();
        phases
            .flat_map(|phase| phase.groups.iter().map(move |group| (phase, group)))
            .collect()
    }

    /// Computes one row.
    ///
    /// # Safety
    /// No two threads may compute the same row of the same phase and group at once.
    unsafe fn row(&self, kernels: &Kernels, phase: &Phase, group: &Group, row: usize) {
        let [pixel, line] = self.input.strides();
        let step = if self.layer.kind == ConvKind::Down { 2 } else { 1 };
        let mut taps = [0; 9];
        for (tap, [dy, dx]) in taps.iter_mut().zip(&phase.taps) {
            // Past the border of one pixel, which a tap may step back into.
            *tap = (row * step + 1).wrapping_add_signed(*dy) * line + 1usize.wrapping_add_signed(*dx) * pixel;
        }
        let (up, out_row) = if self.layer.kind == ConvKind::Up {
            (2, row * 2 + phase.place[0])
        } else {
            (1, row)
        };
        let at = ((out_row + 1) * (self.shape[2] + 2) + 1 + phase.place[1]) * 16;
        let first = group.blocks.start;
        let out = self.out.wrapping_add(first * self.block_stride + at);
        let residual = if self.layer.residual {
            self.blocks[first].data.wrapping_add((row + 1) * line + pixel)
        } else {
            std::ptr::null()
        };
        let job = Row {
            inputs: &self.blocks[group.inputs.clone()],
            taps: &taps[..phase.taps.len()],
            pixel: pixel * step,
            weights: group.weights.as_ptr(),
            bias: self.layer.bias[first * 16..].as_ptr(),
            slope: self.layer.slope[first * 16..].as_ptr(),
            residual,
            out,
            out_pixel: 16 * up,
            block_stride: self.block_stride,
            columns: self.shape[2] / up,
        };
        // SAFETY: every pointer is into buffers of the sizes that `conv` gave them: taps reach one pixel past the
        // image, which is the border; the caller keeps writers apart; the kernels are of a tier the machine has.
        unsafe { (kernels.row[group.blocks.len() - 1])(&job) }
    }
}

/// The blocks of input channels that a range of output channels reads.
fn inputs_of(outputs: Range<usize>, spec: &ConvSpec) -> Range<usize> {
    let (of, from) = (spec.output / spec.groups, spec.input / spec.groups);
    let first = outputs.start / of * from;
    let last = (outputs.end.min(spec.output) - 1) / of * from + from;
    first / 16..last.div_ceil(16)
}
