//! Lazy tensors `[channels, height, width]`: values in a buffer, or an expression over other tensors.

use std::collections::HashMap;
use std::ops::Range;
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

/// Steps from 0 to 1 of WGSL's snorm.
const SNORM_STEPS: f32 = 32767.0;
/// Steps from 0 to 1 of [`Layout::Fixed`], a multiple of 255.
const FIXED_STEPS: f32 = 32640.0;

/// How values lie in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// Channels last, padded with zeros to a multiple of 4: a pixel is quads, four channels each, as f32.
    Quads,
    /// As [`Layout::Quads`], as f16.
    Halves,
    /// As [`Layout::Quads`], as 16-bit fixed-point numbers of -1 to 1 (snorm) in steps of 1 / [`FIXED_STEPS`], whose error is at
    /// most 1.6e-5; that of multiples of 1/255, the values of 8-bit frames, is at most 2e-7.
    Fixed,
    /// Channel after channel, row after row, as f32.
    Planar,
}

impl Layout {
    /// Returns the WGSL type of an element of the buffer.
    pub(crate) fn element(self) -> &'static str {
        match self {
            Self::Quads => "vec4<f32>",
            Self::Halves => "vec4<f16>",
            Self::Fixed => "vec2<u32>",
            Self::Planar => "f32",
        }
    }

    /// Returns the WGSL expression of an element of the buffer as f32: a quad, or a value of [`Layout::Planar`].
    pub(crate) fn unpacked(self, element: &str) -> String {
        match self {
            Self::Quads | Self::Planar => element.to_owned(),
            Self::Halves => format!("vec4<f32>({element})"),
            Self::Fixed => {
                let factor = SNORM_STEPS / FIXED_STEPS;
                format!("vec4<f32>(unpack2x16snorm({element}.x), unpack2x16snorm({element}.y)) * {factor:?}")
            }
        }
    }

    /// Returns the WGSL expression of the element of the buffer that holds a quad, a variable of f32.
    pub(crate) fn packed(self, quad: &str) -> String {
        match self {
            Self::Quads | Self::Planar => quad.to_owned(),
            Self::Halves => format!("vec4<f16>({quad})"),
            Self::Fixed => {
                let factor = FIXED_STEPS / SNORM_STEPS;
                format!(
                    "vec2<u32>(pack2x16snorm({quad}.xy * {factor:?}), pack2x16snorm({quad}.zw * {factor:?}))"
                )
            }
        }
    }

    /// Returns the bytes of a tensor of a shape.
    pub(crate) fn bytes(self, [channels, height, width]: [usize; 3]) -> usize {
        let of_pixel = match self {
            Self::Quads => quads(channels) * 16,
            Self::Halves | Self::Fixed => quads(channels) * 8,
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
    /// The values are in [`Node::stored`], rounded to [`Layout::Fixed`] from those of an uploaded frame.
    Rounded(GpuTensor),
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

    /// Returns the tensor of an uploaded frame's values that are stored with rounding.
    pub(crate) fn rounded(frame: Self, stored: Stored) -> Self {
        let tensor = Self::new(frame.shape(), Op::Rounded(frame));
        // The cell is new, so it is empty.
        let _ = tensor.0.stored.set(Ok(stored));
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
            Op::Stored | Op::Rounded(_) | Op::Constant(_) => Vec::new(),
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

/// Returns the frame that `x` is as it was uploaded, without the rounding of [`Layout::Fixed`]; `None` where `x` is computed
/// by more than what moves and limits the values of an uploaded frame.
pub(crate) fn unrounded(x: &GpuTensor) -> Option<GpuTensor> {
    let again =
        |of: &GpuTensor, op: fn(GpuTensor) -> Op| unrounded(of).map(|of| GpuTensor::new(x.shape(), op(of)));
    match (&x.0.op, x.0.stored.get()) {
        (Op::Rounded(of), _) => Some(of.clone()),
        (_, Some(Ok(stored))) => (stored.layout == Layout::Planar).then(|| x.clone()),
        (_, Some(Err(_))) => None,
        (Op::Clamp01(of), None) => again(of, Op::Clamp01),
        (Op::Rotate180(of), None) => again(of, Op::Rotate180),
        (Op::Window(of), None) => again(of, Op::Window),
        (Op::Narrow(of, first), None) => match &of.0.op {
            Op::Cat(parts) if !of.is_stored() => {
                let (part, channels) = parts_of(parts, *first..first + x.shape()[0]).next()?;
                (channels == (0..part.shape()[0]) && part.shape() == x.shape())
                    .then(|| unrounded(part))
                    .flatten()
            }
            _ => None,
        },
        _ => None,
    }
}

/// Bound of the absolute values of tensors that [`Layout::Fixed`] can store: 1, and what rounding adds.
pub(crate) const FIXED_BOUND: f32 = 1.0001;

/// Returns a bound of the absolute values of a tensor that follows from its operations; infinity where none does.
pub(crate) fn bound(x: &GpuTensor) -> f32 {
    Bounds::default().of(x, 0..x.shape()[0])
}

/// Bounds found so far, by a tensor's id and its channels.
#[derive(Default)]
struct Bounds(HashMap<(usize, Range<usize>), f32>);

impl Bounds {
    fn of(&mut self, x: &GpuTensor, channels: Range<usize>) -> f32 {
        let key = (x.id(), channels.clone());
        if let Some(found) = self.0.get(&key) {
            return *found;
        }
        let found = match x.0.stored.get() {
            Some(Ok(stored)) if stored.layout == Layout::Fixed => 1.0,
            Some(_) => f32::INFINITY,
            None => self.of_operation(&x.0.op, channels),
        };
        // Infinity times zero.
        let found = if found.is_nan() { f32::INFINITY } else { found };
        self.0.insert(key, found);
        found
    }

    fn of_operation(&mut self, op: &Op, channels: Range<usize>) -> f32 {
        match op {
            Op::Stored | Op::Rounded(_) => f32::INFINITY,
            Op::Constant(value) => value.abs(),
            Op::Clamp01(_) | Op::Sigmoid(_) => 1.0,
            Op::Cat(parts) => parts_of(parts, channels)
                .map(|(part, channels)| self.of(part, channels))
                .fold(0.0, f32::max),
            Op::Narrow(x, first) => self.of(x, channels.start + first..channels.end + first),
            Op::Add(a, b) => self.of(a, channels.clone()) + self.of(b, channels),
            Op::Mul(a, b) => self.of(a, channels) * self.of(b, 0..1),
            Op::Affine(x, factor, offset) => self.of(x, channels) * factor.abs() + offset.abs(),
            Op::AddLastChannel(x, by) => {
                let last = x.shape()[0] - 1;
                self.of(x, channels) + self.of(x, last..last + 1) * self.of(by, 0..1)
            }
            Op::Blend(a, b, _) => self.of(a, channels.clone()).max(self.of(b, channels)),
            Op::KeepStatic([a, b], made, _) => {
                let frames = self.of(a, channels.clone()).max(self.of(b, channels.clone()));
                frames.max(self.of(made, channels))
            }
            // The cubic residual is at most 2 * f * (1 - f) of the image for each axis.
            Op::CubicResidual(x, _) | Op::Resize(x, _) | Op::Warp(x, _) | Op::WarpObmc(x, ..) => {
                self.of(x, channels)
            }
            Op::Rotate180(x) | Op::Window(x) => self.of(x, channels),
            Op::PixelShuffle(x) => self.of(x, 4 * channels.start..4 * channels.end),
        }
    }
}

/// Returns the parts of a concatenation that hold some of its channels, each with its own channels among them.
pub(crate) fn parts_of(
    parts: &[GpuTensor],
    channels: Range<usize>,
) -> impl Iterator<Item = (&GpuTensor, Range<usize>)> {
    let mut first = 0;
    parts.iter().filter_map(move |part| {
        let end = first + part.shape()[0];
        let range = channels.start.max(first)..channels.end.min(end);
        let own = (!range.is_empty()).then(|| (part, range.start - first..range.end - first));
        first = end;
        own
    })
}

/// Returns the number of quads of `channels` channels.
pub(crate) fn quads(channels: usize) -> usize {
    channels.div_ceil(4)
}
