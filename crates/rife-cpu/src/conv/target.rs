//! Operands of a convolution: the input, planar or blocked, and the layer with the output that it writes.

use std::ops::Range;

use rife_backend::ConvKind;

use super::kernel::InBlock;
use super::pack::{ConvLayer, Group, Phase};
use crate::tensor::{BlockList, Blocked, Planar};

/// Returns the distance in input pixels of neighbouring output pixels (of one phase).
pub(crate) fn stride(kind: ConvKind) -> usize {
    if kind == ConvKind::Down { 2 } else { 1 }
}

/// Returns the range of input rows (or columns), of `size`, that the output range `wanted` (of one phase) is computed from.
pub(crate) fn input_range(kind: ConvKind, wanted: &Range<usize>, size: usize) -> Range<usize> {
    let last = (wanted.end - 1) * stride(kind) + 2;
    (wanted.start * stride(kind)).saturating_sub(1)..last.min(size)
}

/// The input of a direct kernel, planar or blocked: all rows of an image, or those of a tile.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    Planar(&'a Planar),
    Blocked(&'a BlockList<'a>),
}

impl Input<'_> {
    /// Returns the shape `[channels, height, width]`.
    pub(crate) fn shape(&self) -> [usize; 3] {
        match self {
            Self::Planar(planes) => planes.shape,
            Self::Blocked(blocks) => blocks.shape,
        }
    }

    /// Returns the strides in values from pixel to pixel and from row to row.
    pub(crate) fn strides(&self) -> [usize; 2] {
        let width = self.shape()[2] + 2;
        match self {
            Self::Planar(_) => [1, width],
            Self::Blocked(_) => [16, width * 16],
        }
    }

    /// Lists the input as blocks of sixteen channels (the last may have fewer).
    pub(crate) fn blocks(&self) -> Vec<InBlock> {
        let channels = self.shape()[0];
        let block = |i: usize| {
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
        (0..channels.div_ceil(16)).map(block).collect()
    }
}

/// A phase of a layer (one of the four of a transposed convolution) and one of its groups of output blocks.
pub(crate) type PhaseGroup<'a> = (&'a Phase, &'a Group);

/// A layer and the blocked tensor that it writes.
pub(crate) struct Target<'a> {
    pub(crate) layer: &'a ConvLayer,
    pub(crate) out: *mut f32,
    /// `[channels, height, width]` of the output.
    pub(crate) shape: [usize; 3],
    /// Distance of output blocks in values.
    pub(crate) block_stride: usize,
    borrow: std::marker::PhantomData<&'a mut Blocked>,
}

// SAFETY: the pointer is written through at positions that the callers of `Job::run` keep apart.
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    /// Borrows the output of a layer.
    pub(crate) fn new(layer: &'a ConvLayer, out: &'a mut Blocked) -> Self {
        Self {
            layer,
            shape: out.shape,
            block_stride: out.block_stride(),
            out: out.data.as_mut_ptr(),
            borrow: std::marker::PhantomData,
        }
    }

    /// Returns the number of output rows of one phase.
    pub(crate) fn rows(&self) -> usize {
        if self.layer.kind == ConvKind::Up {
            self.shape[1] / 2
        } else {
            self.shape[1]
        }
    }

    /// Returns the number of output columns of one phase.
    pub(crate) fn columns(&self) -> usize {
        if self.layer.kind == ConvKind::Up {
            self.shape[2] / 2
        } else {
            self.shape[2]
        }
    }

    /// Lists all phases with each of their groups of output blocks.
    pub(crate) fn phase_groups(&self) -> Vec<PhaseGroup<'a>> {
        let phases = self.layer.phases.iter();
        phases
            .flat_map(|phase| phase.groups.iter().map(move |group| (phase, group)))
            .collect()
    }
}
