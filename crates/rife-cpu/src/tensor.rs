//! Tensors: values laid out in memory, and expressions over them that are computed where they are needed.

use std::sync::{Arc, OnceLock};

use rife_backend::Resize;

use crate::buffer::{Buffer, Recycler};

/// `[channels, height, width]` values, or what they are to be computed from. Cloning copies a reference.
#[derive(Debug, Clone)]
pub struct Tensor(pub(crate) Arc<Node>);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) shape: [usize; 3],
    pub(crate) op: Op,
    /// The values, once something has asked for all of them.
    pub(crate) planar: OnceLock<Planar>,
    /// Up to eight channels side by side, once something has sampled them; see `eval::lanes`.
    pub(crate) interleaved: OnceLock<Buffer>,
}

#[derive(Debug)]
pub(crate) enum Op {
    /// The values are in [`Node::planar`].
    Planar,
    Blocked(Blocked),
    /// Each block is a channel: the sixteen values of a pixel are four by four pixels of it, row by row.
    Shuffled4(Blocked),
    /// The values are in [`Node::interleaved`].
    Interleaved,
    Constant(f32),
    Cat(Vec<Tensor>),
    Narrow(Tensor, usize),
    Add(Tensor, Tensor),
    Affine(Tensor, f32, f32),
    Clamp01(Tensor),
    Sigmoid(Tensor),
    Resize(Tensor, Resize),
    Warp(Tensor, Tensor),
    /// Image, velocity, its factor, rows down and columns right of the neighbours whose velocities count.
    WarpObmc(Tensor, Tensor, f32, [[isize; 2]; 2]),
    CubicResidual(Tensor, Tensor),
    AddLastChannel(Tensor, Tensor),
    Blend(Tensor, Tensor, Tensor),
    Mul(Tensor, Tensor),
    KeepStatic([Tensor; 2], Tensor, f32),
    PixelShuffle(Tensor),
    Rotate180(Tensor),
}

impl Tensor {
    pub(crate) fn new(shape: [usize; 3], op: Op) -> Self {
        assert!(
            shape.iter().all(|&n| n > 0),
            "a tensor of shape {shape:?} has no values"
        );
        Self(Arc::new(Node {
            shape,
            op,
            planar: OnceLock::new(),
            interleaved: OnceLock::new(),
        }))
    }

    pub(crate) fn from_planar(planes: Planar) -> Self {
        let tensor = Self::new(planes.shape, Op::Planar);
        // The cell is new, so it is empty.
        let _ = tensor.0.planar.set(planes);
        tensor
    }

    pub(crate) fn from_blocked(blocks: Blocked) -> Self {
        Self::new(blocks.shape, Op::Blocked(blocks))
    }

    /// Up to eight channels side by side, see `eval::lanes`.
    pub(crate) fn from_interleaved(shape: [usize; 3], mixed: Buffer) -> Self {
        let tensor = Self::new(shape, Op::Interleaved);
        // The cell is new, so it is empty.
        let _ = tensor.0.interleaved.set(mixed);
        tensor
    }

    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.0.shape
    }
}

/// Channel after channel, row after row, each plane inside a border of one zero.
#[derive(Debug)]
pub(crate) struct Planar {
    pub(crate) shape: [usize; 3],
    pub(crate) data: Buffer,
}

impl Planar {
    /// Planar of the given shape: zero in the border, unset within.
    pub(crate) fn unset(home: &Arc<Recycler>, shape: [usize; 3]) -> Self {
        let [channels, height, width] = shape;
        let stride = plane_stride(height, width);
        let mut data = home.take(channels * stride);
        for plane in data.chunks_exact_mut(stride) {
            zero_border(plane, height, width, 1);
        }
        Self { shape, data }
    }

    pub(crate) fn channel_stride(&self) -> usize {
        plane_stride(self.shape[1], self.shape[2])
    }

    /// A plane with its border.
    pub(crate) fn channel(&self, channel: usize) -> &[f32] {
        &self.data[channel * self.channel_stride()..][..self.channel_stride()]
    }

    pub(crate) fn row_stride(&self) -> usize {
        self.shape[2] + 2
    }

    pub(crate) fn row(&self, channel: usize, row: usize) -> &[f32] {
        let start = channel * self.channel_stride() + (row + 1) * self.row_stride() + 1;
        &self.data[start..start + self.shape[2]]
    }
}

/// Values of a plane with its border, up to whole cache lines.
fn plane_stride(height: usize, width: usize) -> usize {
    ((height + 2) * (width + 2)).next_multiple_of(16)
}

/// Sixteen channels side by side at each pixel, block of channels after block, each block inside a border of one
/// zero pixel: the layout convolutions write. Channels past the last are zero.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) shape: [usize; 3],
    pub(crate) data: Buffer,
}

impl Blocked {
    /// Blocked of the given shape: zero in the border, unset within.
    pub(crate) fn unset(home: &Arc<Recycler>, shape: [usize; 3]) -> Self {
        let [channels, height, width] = shape;
        let stride = (height + 2) * (width + 2) * 16;
        let mut data = home.take(channels.div_ceil(16) * stride);
        for block in data.chunks_exact_mut(stride) {
            zero_border(block, height, width, 16);
        }
        Self { shape, data }
    }

    pub(crate) fn block_stride(&self) -> usize {
        (self.shape[1] + 2) * (self.shape[2] + 2) * 16
    }

    fn list<'a>(&'a self, to: &mut Vec<&'a [f32]>) {
        to.extend(self.data.chunks_exact(self.block_stride()));
    }

    /// Where a block's pixel begins.
    pub(crate) fn at(&self, block: usize, row: usize, column: usize) -> usize {
        block * self.block_stride() + ((row + 1) * (self.shape[2] + 2) + column + 1) * 16
    }
}

/// The blocks of a tensor that convolutions wrote, or of several one after another, where all but the last have
/// whole blocks.
pub(crate) struct BlockList<'a> {
    pub(crate) shape: [usize; 3],
    /// Each with its border.
    pub(crate) blocks: Vec<&'a [f32]>,
}

impl<'a> BlockList<'a> {
    /// Nothing where the tensor is something else.
    pub(crate) fn of(x: &'a Tensor) -> Option<Self> {
        let mut blocks = Vec::new();
        match &x.0.op {
            Op::Blocked(whole) => whole.list(&mut blocks),
            Op::Cat(parts) => {
                let (last, others) = parts.split_last()?;
                for part in others.iter().chain([last]) {
                    let Op::Blocked(whole) = &part.0.op else {
                        return None;
                    };
                    whole.list(&mut blocks);
                }
                if others.iter().any(|part| part.shape()[0] % 16 != 0) {
                    return None;
                }
            }
            _ => return None,
        }
        Some(Self {
            shape: x.shape(),
            blocks,
        })
    }
}

fn zero_border(plane: &mut [f32], height: usize, width: usize, pixel: usize) {
    let stride = (width + 2) * pixel;
    plane[..stride].fill(0.0);
    plane[(height + 1) * stride..].fill(0.0);
    for row in plane[stride..(height + 1) * stride].chunks_exact_mut(stride) {
        row[..pixel].fill(0.0);
        row[stride - pixel..].fill(0.0);
    }
}
