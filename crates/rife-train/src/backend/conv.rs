//! Convolution layer on Burn tensors: convolution or transposed convolution, ResConv residual, activation.

use burn_tensor::module::{conv_transpose2d, conv2d};
use burn_tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn_tensor::{Device, FloatDType, Tensor, TensorData, activation};
use rife_backend::{Activation, ConvKind, ConvSpec};
use rife_nets::LayerDesc;

/// Activation of a layer.
#[derive(Debug, Clone)]
pub(crate) enum Nonlinearity {
    /// Identity.
    None,
    /// LeakyReLU of this slope.
    LeakyRelu(f32),
    /// PReLU with one slope per channel.
    Prelu(Box<Tensor<1>>),
}

/// A convolution layer; its tensors are trainable if autodiff tracks them.
#[derive(Debug, Clone)]
pub struct Conv {
    pub(crate) kind: ConvKind,
    pub(crate) groups: usize,
    pub(crate) weight: Tensor<4>,
    pub(crate) bias: Tensor<1>,
    /// ResConv's factors, `[1, channels, 1, 1]`.
    pub(crate) beta: Option<Tensor<4>>,
    pub(crate) activation: Nonlinearity,
}

impl Conv {
    /// Makes a layer of constant tensors, for inference.
    pub(crate) fn constant(spec: ConvSpec, device: &Device) -> Self {
        let taps = if spec.kind == ConvKind::Up { 4 } else { 3 };
        let shape = match spec.kind {
            ConvKind::Up => [spec.input, spec.output / spec.groups, taps, taps],
            ConvKind::Same | ConvKind::Down => [spec.output, spec.input / spec.groups, taps, taps],
        };
        let vector = |data: Vec<f32>| Tensor::<1>::from_data(TensorData::from(data.as_slice()), device);
        let beta = |data: Vec<f32>| vector(data).reshape([1, spec.output, 1, 1]);
        Self {
            kind: spec.kind,
            groups: spec.groups,
            weight: vector(spec.weight).reshape(shape),
            bias: vector(spec.bias),
            beta: spec.residual.map(beta),
            activation: match spec.activation {
                Activation::None => Nonlinearity::None,
                Activation::LeakyRelu(slope) => Nonlinearity::LeakyRelu(slope),
                Activation::Prelu(slopes) => Nonlinearity::Prelu(Box::new(vector(slopes))),
            },
        }
    }

    /// Makes a layer without activation from its tensors: kernel, bias `[1, channels, 1, 1]` and, for a ResConv, factors
    /// `[1, channels, 1, 1]`.
    ///
    /// # Panics
    /// When tensors are missing.
    pub fn linear(layer: &LayerDesc, tensors: &[Tensor<4>]) -> Self {
        Self {
            kind: layer.kind,
            groups: layer.groups,
            weight: tensors[0].clone(),
            bias: tensors[1].clone().reshape([layer.output]),
            beta: layer.beta.as_ref().map(|_| tensors[2].clone()),
            activation: Nonlinearity::None,
        }
    }

    /// Applies the layer to `[batch, channels, height, width]`; with `half`, the convolution is computed in that type.
    pub fn apply(&self, x: &Tensor<4>, half: Option<FloatDType>) -> Tensor<4> {
        let sum = match half {
            None => self.sum(x.clone(), self.weight.clone(), self.bias.clone()),
            Some(half) => {
                let (weight, bias) = (self.weight.clone().cast(half), self.bias.clone().cast(half));
                self.sum(x.clone().cast(half), weight, bias).cast(FloatDType::F32)
            }
        };
        let sum = match &self.beta {
            None => sum,
            Some(beta) => sum * beta.clone() + x.clone(),
        };
        match &self.activation {
            Nonlinearity::None => sum,
            Nonlinearity::LeakyRelu(slope) => activation::leaky_relu(sum, f64::from(*slope)),
            Nonlinearity::Prelu(slopes) => activation::prelu(sum, slopes.as_ref().clone()),
        }
    }

    /// Computes the convolution with bias, without residual and activation.
    fn sum(&self, x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
        let bias = Some(bias);
        let forward = |stride| ConvOptions::new([stride; 2], [1; 2], [1; 2], self.groups);
        match self.kind {
            ConvKind::Same => conv2d(x, weight, bias, forward(1)),
            ConvKind::Down => conv2d(x, weight, bias, forward(2)),
            ConvKind::Up => {
                let options = ConvTransposeOptions::new([2; 2], [1; 2], [0; 2], [1; 2], self.groups);
                conv_transpose2d(x, weight, bias, options)
            }
        }
    }
}
