//! Lazy tensors `[channels, height, width]` of f32: values in a memory layout (planar CHW, interleaved HWC or blocked
//! nChw16c), or an expression over other tensors that is evaluated where its values are read.

use std::sync::{Arc, OnceLock};

use rife_backend::Resize;

use crate::runtime::{Buffer, Recycler};

/// A lazy tensor `[channels, height, width]` of f32: values, or an expression. Cloning copies a reference.
#[derive(Debug, Clone)]
pub struct Tensor(pub(crate) Arc<Node>);

/// A node of the expression graph with its cached values.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) shape: [usize; 3],
    pub(crate) op: Op,
    /// Values in planar layout, once evaluated.
    pub(crate) planar: OnceLock<Planar>,
    /// Values in interleaved layout (HWC, padded to 4 or 8 channels: `eval::lanes`), once evaluated for sampling.
    pub(crate) interleaved: OnceLock<Buffer>,
}

/// Layout of a tensor's values, or the operation that computes them; operands are in the order of the arguments of the
/// method of the same name of [`crate::Engine`].
#[derive(Debug)]
pub(crate) enum Op {
    /// Values in [`Node::planar`].
    Planar,
    Blocked(Blocked),
    /// PixelShuffle(4) of blocked values: block c becomes channel c, and its sixteen values at (y, x) the 4x4 output pixels
    /// from (4y, 4x) on, row by row.
    Shuffled4(Blocked),
    /// Values in [`Node::interleaved`].
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
    /// Image, velocity, factor of the velocity, and the two neighbours (rows down, columns right) whose velocities are used.
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
    /// Makes a node of a non-empty shape.
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

    /// Makes a tensor of planar values.
    pub(crate) fn from_planar(planes: Planar) -> Self {
        let tensor = Self::new(planes.shape, Op::Planar);
        // The cell is new, so it is empty.
        let _ = tensor.0.planar.set(planes);
        tensor
    }

    /// Makes a tensor of blocked values.
    pub(crate) fn from_blocked(blocks: Blocked) -> Self {
        Self::new(blocks.shape, Op::Blocked(blocks))
    }

    /// Makes a tensor of values in interleaved layout (HWC, padded to 4 or 8 channels: `eval::lanes`).
    pub(crate) fn from_interleaved(shape: [usize; 3], mixed: Buffer) -> Self {
        let tensor = Self::new(shape, Op::Interleaved);
        // The cell is new, so it is empty.
        let _ = tensor.0.interleaved.set(mixed);
        tensor
    }

    /// Returns the shape `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.0.shape
    }
}

/// Values in planar layout (CHW); each plane has a zero border of one pixel.
#[derive(Debug)]
pub(crate) struct Planar {
    pub(crate) shape: [usize; 3],
    pub(crate) data: Buffer,
}

impl Planar {
    /// Takes a buffer for values of a shape: border zero, interior arbitrary.
    pub(crate) fn unset(home: &Arc<Recycler>, shape: [usize; 3]) -> Self {
        let [channels, height, width] = shape;
        let stride = plane_stride(height, width);
        let mut data = home.take(channels * stride);
        for plane in data.chunks_exact_mut(stride) {
            zero_border(plane, height, width, 1);
        }
        Self { shape, data }
    }

    /// Returns the stride of planes in values.
    pub(crate) fn channel_stride(&self) -> usize {
        plane_stride(self.shape[1], self.shape[2])
    }

    /// Returns a plane with its border.
    pub(crate) fn channel(&self, channel: usize) -> &[f32] {
        &self.data[channel * self.channel_stride()..][..self.channel_stride()]
    }

    /// Returns the stride of rows in values: width and border.
    pub(crate) fn row_stride(&self) -> usize {
        self.shape[2] + 2
    }

    /// Returns a row of a plane without its border.
    pub(crate) fn row(&self, channel: usize, row: usize) -> &[f32] {
        let start = channel * self.channel_stride() + (row + 1) * self.row_stride() + 1;
        &self.data[start..start + self.shape[2]]
    }
}

/// Returns the number of values of a plane with its border, rounded up to a cache line.
fn plane_stride(height: usize, width: usize) -> usize {
    ((height + 2) * (width + 2)).next_multiple_of(16)
}

/// Values in blocked layout (nChw16c), which convolutions write: blocks of sixteen channels, each interleaved (HWC) with a
/// zero border of one pixel. Channels past the last are zero.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) shape: [usize; 3],
    pub(crate) data: Buffer,
}

impl Blocked {
    /// Takes a buffer for values of a shape: border zero, interior arbitrary.
    pub(crate) fn unset(home: &Arc<Recycler>, shape: [usize; 3]) -> Self {
        let [channels, height, width] = shape;
        let stride = (height + 2) * (width + 2) * 16;
        let mut data = home.take(channels.div_ceil(16) * stride);
        for block in data.chunks_exact_mut(stride) {
            zero_border(block, height, width, 16);
        }
        Self { shape, data }
    }

    /// Returns the stride of blocks in values.
    pub(crate) fn block_stride(&self) -> usize {
        (self.shape[1] + 2) * (self.shape[2] + 2) * 16
    }

    /// Appends the blocks, each with its border, to `to`.
    fn list<'a>(&'a self, to: &mut Vec<&'a [f32]>) {
        to.extend(self.data.chunks_exact(self.block_stride()));
    }

    /// Returns the offset in [`Blocked::data`] of a pixel of a block.
    pub(crate) fn at(&self, block: usize, row: usize, column: usize) -> usize {
        block * self.block_stride() + ((row + 1) * (self.shape[2] + 2) + column + 1) * 16
    }
}

/// The channel blocks of a blocked tensor, or of a concatenation of blocked tensors of which all but the last have a
/// multiple of sixteen channels.
pub(crate) struct BlockList<'a> {
    pub(crate) shape: [usize; 3],
    /// Blocks with their borders.
    pub(crate) blocks: Vec<&'a [f32]>,
}

impl<'a> BlockList<'a> {
    /// Lists the blocks of a tensor; `None` for tensors of another kind.
    pub(crate) fn of(x: &'a Tensor) -> Option<Self> {
        let mut blocks = Vec::new();
        match &x.0.op {
            Op::Blocked(tensor) => tensor.list(&mut blocks),
            Op::Cat(parts) => {
                let (last, others) = parts.split_last()?;
                for part in others.iter().chain([last]) {
                    let Op::Blocked(tensor) = &part.0.op else {
                        return None;
                    };
                    tensor.list(&mut blocks);
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

/// Zeroes the border of one pixel, of `pixel` values, around a plane of `height` by `width` pixels.
fn zero_border(plane: &mut [f32], height: usize, width: usize, pixel: usize) {
    let stride = (width + 2) * pixel;
    plane[..stride].fill(0.0);
    plane[(height + 1) * stride..].fill(0.0);
    for row in plane[stride..(height + 1) * stride].chunks_exact_mut(stride) {
        row[..pixel].fill(0.0);
        row[stride - pixel..].fill(0.0);
    }
}
