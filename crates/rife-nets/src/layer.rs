//! Description of one convolution layer: keys and shapes of its tensors in a checkpoint, channels, activation. A network's
//! tensor list, the check of a checkpoint and the prepared layers are derived from it.

use rife_backend::{Activation, ConvKind, ConvSpec};

use crate::weights::Weights;

/// Slope of every LeakyReLU in the 4.x networks.
const LEAKY_SLOPE: f32 = 0.2;

/// Role of a checkpoint's tensor in its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorRole {
    /// A convolution's kernel.
    Weight,
    /// A convolution's bias.
    Bias,
    /// PReLU's slopes, one per channel.
    Slope,
    /// ResConv's factors, one per channel.
    Beta,
}

/// One tensor that a network reads from a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorDesc {
    /// Key in the published checkpoints, without DDP's prefix `module.`.
    pub key: String,
    /// Shape in PyTorch's order.
    pub shape: Vec<usize>,
    /// Role in its layer.
    pub role: TensorRole,
    /// For kernels the number of input values that one output value depends on; else 0.
    pub fan_in: usize,
}

/// Activation after a layer's convolution (and its residual, for a ResConv).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActivationDesc {
    /// Nothing.
    None,
    /// LeakyReLU with slope 0.2.
    Leaky,
    /// PReLU with one slope per channel, stored under this key.
    Prelu(String),
}

/// One convolution of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDesc {
    /// The key of the kernel without its `.weight`, and of the bias without its `.bias`.
    pub key: String,
    /// Kernel size, stride and direction.
    pub kind: ConvKind,
    /// Input channels of all groups together.
    pub input: usize,
    /// Output channels in the checkpoint.
    pub output: usize,
    /// Number of groups.
    pub groups: usize,
    /// The key of a ResConv's factors; `None` for a plain convolution.
    pub beta: Option<String>,
    /// The activation, applied last.
    pub activation: ActivationDesc,
    /// Number of output channels that are computed, the first of `output`; the checkpoint holds all.
    pub used: usize,
}

impl LayerDesc {
    /// Describes a convolution without activation, with keys `key.weight` and `key.bias`.
    pub fn plain(kind: ConvKind, key: impl Into<String>, input: usize, output: usize) -> Self {
        let key = key.into();
        Self {
            key,
            kind,
            input,
            output,
            groups: 1,
            beta: None,
            activation: ActivationDesc::None,
            used: output,
        }
    }

    /// Describes a convolution with LeakyReLU, with keys `key.weight` and `key.bias`.
    pub fn leaky(kind: ConvKind, key: impl Into<String>, input: usize, output: usize) -> Self {
        Self {
            activation: ActivationDesc::Leaky,
            ..Self::plain(kind, key, input, output)
        }
    }

    /// Describes a convolution with PReLU, with the keys of PyTorch's `Sequential`: `key.0.weight`, `key.0.bias`,
    /// `key.1.weight` (slopes).
    pub fn prelu(kind: ConvKind, key: &str, input: usize, output: usize) -> Self {
        let activation = ActivationDesc::Prelu(format!("{key}.1.weight"));
        Self {
            activation,
            ..Self::plain(kind, format!("{key}.0"), input, output)
        }
    }

    /// Describes a ResConv, `LeakyReLU(conv(x) * beta + x)`, with keys `key.conv.weight`, `key.conv.bias` and `key.beta`.
    pub fn res_conv(key: &str, channels: usize, groups: usize) -> Self {
        let conv = Self::leaky(ConvKind::Same, format!("{key}.conv"), channels, channels);
        Self {
            groups,
            beta: Some(format!("{key}.beta")),
            ..conv
        }
    }

    /// Returns the kernel's shape in PyTorch's order: `[output, input / groups, 3, 3]`, transposed
    /// `[input, output / groups, 4, 4]`.
    pub fn weight_shape(&self) -> Vec<usize> {
        match self.kind {
            ConvKind::Up => vec![self.input, self.output / self.groups, 4, 4],
            ConvKind::Same | ConvKind::Down => vec![self.output, self.input / self.groups, 3, 3],
        }
    }

    /// Returns the number of input values that one output value depends on: 3x3 per channel of a group, 2x2 for a stride-2
    /// transposed 4x4 kernel.
    pub fn fan_in(&self) -> usize {
        let taps = if self.kind == ConvKind::Up { 4 } else { 9 };
        self.input / self.groups * taps
    }

    /// Lists the layer's tensors: kernel, bias, then PReLU slopes and ResConv factors if it has them.
    pub fn tensors(&self) -> Vec<TensorDesc> {
        let tensor = |key: String, shape, role| TensorDesc {
            key,
            shape,
            role,
            fan_in: 0,
        };
        let mut tensors = vec![
            TensorDesc {
                fan_in: self.fan_in(),
                ..tensor(self.weight_key(), self.weight_shape(), TensorRole::Weight)
            },
            tensor(self.bias_key(), vec![self.output], TensorRole::Bias),
        ];
        if let ActivationDesc::Prelu(key) = &self.activation {
            tensors.push(tensor(key.clone(), vec![self.output], TensorRole::Slope));
        }
        if let Some(key) = &self.beta {
            tensors.push(tensor(key.clone(), vec![1, self.output, 1, 1], TensorRole::Beta));
        }
        tensors
    }

    /// Collects the layer's values from `weights`, of the computed channels only; `None` when a tensor is absent.
    pub fn spec(&self, weights: &Weights) -> Option<ConvSpec> {
        let data = |key: &str| weights.get(key).map(|tensor| tensor.data.clone());
        let activation = match &self.activation {
            ActivationDesc::None => Activation::None,
            ActivationDesc::Leaky => Activation::LeakyRelu(LEAKY_SLOPE),
            ActivationDesc::Prelu(key) => Activation::Prelu(data(key)?),
        };
        let residual = match &self.beta {
            None => None,
            Some(key) => Some(data(key)?),
        };
        let mut bias = data(&self.bias_key())?;
        bias.truncate(self.used);
        Some(ConvSpec {
            kind: self.kind,
            input: self.input,
            output: self.used,
            groups: self.groups,
            weight: self.used_kernel(data(&self.weight_key())?),
            bias,
            residual,
            activation,
        })
    }

    /// Returns the slice of a kernel that belongs to the computed output channels.
    fn used_kernel(&self, kernel: Vec<f32>) -> Vec<f32> {
        if self.used == self.output {
            return kernel;
        }
        assert!(self.groups == 1, "a layer in groups is used as a whole");
        let each = kernel.len() / self.weight_shape()[0];
        match self.kind {
            ConvKind::Up => {
                let inputs = kernel.chunks_exact(each);
                inputs
                    .flat_map(|of_input| &of_input[..self.used * 16])
                    .copied()
                    .collect()
            }
            ConvKind::Same | ConvKind::Down => kernel[..self.used * each].to_vec(),
        }
    }

    /// Returns PyTorch's key of the layer's kernel.
    fn weight_key(&self) -> String {
        format!("{}.weight", self.key)
    }

    /// Returns PyTorch's key of the layer's bias.
    fn bias_key(&self) -> String {
        format!("{}.bias", self.key)
    }
}
