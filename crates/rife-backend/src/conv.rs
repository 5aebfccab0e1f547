//! Convolution layer description: kernel, shapes and weights, and the bias, residual connection and activation fused
//! into the layer.

/// Activation function of a convolution layer, applied last.
#[derive(Debug, Clone, PartialEq)]
pub enum Activation {
    /// Identity.
    None,
    /// Leaky ReLU: `x` where positive, `slope * x` elsewhere, one slope for all channels.
    LeakyRelu(f32),
    /// PReLU: `x` where positive, `slope[channel] * x` elsewhere, one slope per output channel.
    Prelu(Vec<f32>),
}

/// Kernel size, stride and padding of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvKind {
    /// 3x3, stride 1, zero padding 1: height and width stay.
    Same,
    /// 3x3, stride 2, zero padding 1: height and width halve, rounded up.
    Down,
    /// Transposed 4x4, stride 2, padding 1: height and width double.
    Up,
}

impl ConvKind {
    /// Returns the height (or width) of the output for an input of height (or width) `input`.
    pub fn size(self, input: usize) -> usize {
        match self {
            Self::Same => input,
            Self::Down => input.div_ceil(2),
            Self::Up => input * 2,
        }
    }
}

/// Convolution layer: weights, bias, residual connection and activation.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvSpec {
    /// Kernel size, stride and padding.
    pub kind: ConvKind,
    /// Number of input channels, all groups together.
    pub input: usize,
    /// Number of output channels, all groups together.
    pub output: usize,
    /// Number of groups; 1 for [`ConvKind::Up`].
    pub groups: usize,
    /// Kernel, `[output, input / groups, 3, 3]` in row-major order, for [`ConvKind::Up`] `[input, output, 4, 4]`.
    pub weight: Vec<f32>,
    /// Bias, one value per output channel.
    pub bias: Vec<f32>,
    /// Residual connection (RIFE's `ResConv`): a factor per channel; the result is `activation(conv(x) * factor + x)`, where
    /// `conv` includes the bias. Only for [`ConvKind::Same`] with as many output as input channels.
    pub residual: Option<Vec<f32>>,
    /// Activation function of the result.
    pub activation: Activation,
}
