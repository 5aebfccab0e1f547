//! Convolution descriptions: kind, shapes, weights, and the operations fused behind the sum.

/// The activation after a convolution's sum and bias.
#[derive(Debug, Clone, PartialEq)]
pub enum Activation {
    /// Identity.
    None,
    /// Leaky ReLU: `x` where positive, `slope * x` elsewhere, one slope for all channels.
    LeakyRelu(f32),
    /// PReLU: as [`Activation::LeakyRelu`] with one slope per output channel.
    Prelu(Vec<f32>),
}

/// Kernel size, stride and padding of a convolution.
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
    /// Height or width of the output for that of the input.
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
    /// Kernel size, stride and padding.
    pub kind: ConvKind,
    /// Input channels, all groups together.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Groups; 1 for [`ConvKind::Up`].
    pub groups: usize,
    /// `[output, input / groups, 3, 3]`, for [`ConvKind::Up`] `[input, output, 4, 4]`.
    pub weight: Vec<f32>,
    /// `[output]`.
    pub bias: Vec<f32>,
    /// ResConv's factor per channel: the result is `activation(conv(x) * factor + x)`. [`ConvKind::Same`] with as many
    /// output as input channels only.
    pub residual: Option<Vec<f32>>,
    /// Applied last.
    pub activation: Activation,
}
