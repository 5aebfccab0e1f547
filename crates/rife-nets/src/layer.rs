//! One convolution of a network as data: its keys in a checkpoint, its shapes and what it computes. The list of
//! a network's tensors, the check of a checkpoint and the building of layers all come from here.

use rife_backend::{Activation, ConvKind, ConvSpec};

use crate::weights::Weights;

/// Slope of every LeakyReLU in the 4.x networks.
const LEAKY_SLOPE: f32 = 0.2;

/// What a tensor of a checkpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorRole {
    /// A convolution's kernel.
    Weight,
    /// A convolution's bias.
    Bias,
    /// PReLU's slope a channel.
    Slope,
    /// ResConv's factor a channel.
    Beta,
}

/// One tensor that a network reads from a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorDesc {
    /// Its name in the published checkpoints, without DDP's `module.` prefix.
    pub key: String,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
    /// What it is.
    pub role: TensorRole,
    /// Input values that one output value depends on; 0 for all but weights.
    pub fan_in: usize,
}

/// What follows a layer's sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActivationDesc {
    /// Nothing.
    None,
    /// LeakyReLU with slope 0.2.
    Leaky,
    /// PReLU with a slope a channel, stored under this key.
    Prelu(String),
}

/// One convolution of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDesc {
    /// The key of the kernel without its `.weight`, and of the bias without its `.bias`.
    pub key: String,
    /// Stride and direction.
    pub kind: ConvKind,
    /// Channels in, all groups together.
    pub input: usize,
    /// Channels out.
    pub output: usize,
    /// Groups.
    pub groups: usize,
    /// The key of ResConv's factors, where the layer is a ResConv.
    pub beta: Option<String>,
    /// Applied last.
    pub activation: ActivationDesc,
    /// How many of the channels out, the first ones, inference has use for; the checkpoint has all.
    pub used: usize,
}

impl LayerDesc {
    /// A convolution alone: no activation, keys `key.weight` and `key.bias`.
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

    /// A convolution with LeakyReLU, keys `key.weight` and `key.bias`.
    pub fn leaky(kind: ConvKind, key: impl Into<String>, input: usize, output: usize) -> Self {
        Self {
            activation: ActivationDesc::Leaky,
            ..Self::plain(kind, key, input, output)
        }
    }

    /// A convolution with PReLU as PyTorch's `Sequential` names them: `key.0` and `key.1`.
    pub fn prelu(kind: ConvKind, key: &str, input: usize, output: usize) -> Self {
        let activation = ActivationDesc::Prelu(format!("{key}.1.weight"));
        Self {
            activation,
            ..Self::plain(kind, format!("{key}.0"), input, output)
        }
    }

    /// A ResConv: LeakyReLU of `conv(x) * beta + x`, keys `key.conv` and `key.beta`.
    pub fn res_conv(key: &str, channels: usize, groups: usize) -> Self {
        let conv = Self::leaky(ConvKind::Same, format!("{key}.conv"), channels, channels);
        Self {
            groups,
            beta: Some(format!("{key}.beta")),
            ..conv
        }
    }

    /// Shape of the kernel in PyTorch's order.
    pub fn weight_shape(&self) -> Vec<usize> {
        match self.kind {
            ConvKind::Up => vec![self.input, self.output / self.groups, 4, 4],
            ConvKind::Same | ConvKind::Down => vec![self.output, self.input / self.groups, 3, 3],
        }
    }

    /// Input values that one output value depends on (a stride-2 transposed 4x4 kernel touches 2x2 of them).
    pub fn fan_in(&self) -> usize {
        let taps = if self.kind == ConvKind::Up { 4 } else { 9 };
        self.input / self.groups * taps
    }

    /// Every tensor of this layer: kernel, bias, then slope and factors where it has them.
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

    /// The layer with its values from `weights`, of the channels that are used; `None` where one is absent.
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

    /// The part of a kernel that gives the channels in use.
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

    fn weight_key(&self) -> String {
        format!("{}.weight", self.key)
    }

    fn bias_key(&self) -> String {
        format!("{}.bias", self.key)
    }
}
