//! Lazy tensors `[channels, height, width]`: values in a buffer, or an expression over other tensors.

use std::sync::{Arc, OnceLock};

use rife_backend::{BackendError, Resize};

use crate::memory::Pooled;

/// A lazy tensor `[channels, height, width]` on a GPU. Cloning copies a reference.
#[derive(Debug, Clone)]
pub struct GpuTensor(pub(crate) Arc<Node>);

/// A value of the graph.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) shape: [usize; 3],
    pub(crate) op: Op,
    /// The values once a kernel is recorded that writes them, or the error that prevented it.
    pub(crate) stored: OnceLock<Result<Stored, BackendError>>,
}

/// Values in a buffer.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) buffer: Arc<Pooled>,
    pub(crate) layout: Layout,
}

/// How values lie in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// Channels last, padded with zeros to a multiple of 4: a pixel is quads, four channels each, as f32.
    Quads,
    /// As [`Layout::Quads`], as f16.
    Halves,
    /// Channel after channel, row after row, as f32.
    Planar,
}

impl Layout {
    /// Returns the WGSL type of an element of the buffer.
    pub(crate) fn element(self) -> &'static str {
        match self {
            Self::Quads => "vec4<f32>",
            Self::Halves => "vec4<f16>",
            Self::Planar => "f32",
        }
    }

    /// Returns the bytes of a tensor of a shape.
    pub(crate) fn bytes(self, [channels, height, width]: [usize; 3]) -> usize {
        let of_pixel = match self {
            Self::Quads => quads(channels) * 16,
            Self::Halves => quads(channels) * 8,
            Self::Planar => channels * 4,
        };
        of_pixel * height * width
    }
}

/// The operation that defines a tensor.
#[derive(Debug)]
pub(crate) enum Op {
    /// The values are in [`Node::stored`].
    Stored,
    /// All values are this one.
    Constant(f32),
    Cat(Vec<GpuTensor>),
    /// From this channel on.
    Narrow(GpuTensor, usize),
    Add(GpuTensor, GpuTensor),
    Mul(GpuTensor, GpuTensor),
    Affine(GpuTensor, f32, f32),
    Clamp01(GpuTensor),
    Sigmoid(GpuTensor),
    Resize(GpuTensor, Resize),
    /// Image and flow.
    Warp(GpuTensor, GpuTensor),
    /// Image, velocity, its factor, and the two neighbours (rows down, columns right) whose velocities are used.
    WarpObmc(GpuTensor, GpuTensor, f32, [[isize; 2]; 2]),
    /// Image and flow.
    CubicResidual(GpuTensor, GpuTensor),
    AddLastChannel(GpuTensor, GpuTensor),
    /// First, second, and the mask before the sigmoid.
    Blend(GpuTensor, GpuTensor, GpuTensor),
    KeepStatic([GpuTensor; 2], GpuTensor, f32),
    PixelShuffle(GpuTensor),
    Rotate180(GpuTensor),
    /// Another size: cropped at the right and bottom, or padded there by replicating the last column and row.
    Window(GpuTensor),
}

impl GpuTensor {
    pub(crate) fn new(shape: [usize; 3], op: Op) -> Self {
        assert!(
            shape.iter().all(|&n| n > 0),
            "a tensor of shape {shape:?} has no values"
        );
        Self(Arc::new(Node {
            shape,
            op,
            stored: OnceLock::new(),
        }))
    }

    pub(crate) fn from_stored(shape: [usize; 3], stored: Result<Stored, BackendError>) -> Self {
        let tensor = Self::new(shape, Op::Stored);
        // The cell is new, so it is empty.
        let _ = tensor.0.stored.set(stored);
        tensor
    }

    /// Returns `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.0.shape
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.0.stored.get().is_some()
    }

    /// Returns a number that no other existing tensor has.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// Returns the operands of its operation; none where its values are stored.
    pub(crate) fn operands(&self) -> Vec<&Self> {
        if self.is_stored() {
            return Vec::new();
        }
        match &self.0.op {
            Op::Stored | Op::Constant(_) => Vec::new(),
            Op::Cat(parts) => parts.iter().collect(),
            Op::Narrow(x, _) | Op::Affine(x, ..) | Op::Clamp01(x) | Op::Sigmoid(x) | Op::Resize(x, _) => {
                vec![x]
            }
            Op::PixelShuffle(x) | Op::Rotate180(x) | Op::Window(x) => vec![x],
            Op::Add(a, b) | Op::Mul(a, b) | Op::Warp(a, b) | Op::WarpObmc(a, b, ..) => vec![a, b],
            Op::CubicResidual(a, b) | Op::AddLastChannel(a, b) => vec![a, b],
            Op::Blend(a, b, c) | Op::KeepStatic([a, b], c, _) => vec![a, b, c],
        }
    }
}

/// Returns the number of quads of `channels` channels.
pub(crate) fn quads(channels: usize) -> usize {
    channels.div_ceil(4)
}
