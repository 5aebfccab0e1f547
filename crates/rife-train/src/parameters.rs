//! Trainable parameters: on the host between steps ([`Parameters`]), as autodiff tensors of a network during a step
//! ([`TrackedNetwork`]).

use anyhow::Result;
use burn_tensor::{Device, Tensor, TensorData};
use rife_nets::{ActivationDesc, LayerDesc, Network, TensorDesc, TensorRole, Version, WeightTensor, Weights};

use crate::backend::Conv;
use crate::backend::conv::Nonlinearity;
use crate::rng::Rng;

/// Initial slope of PReLU.
const FIRST_SLOPE: f32 = 0.25;
/// Slope of LeakyReLU in the 4.x networks.
const LEAKY_SLOPE: f32 = 0.2;

/// One trained tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// PyTorch's key.
    pub key: String,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// All trained tensors of a network, in the order of [`Version::training_layers`].
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    version: Version,
    /// The tensors.
    pub tensors: Vec<Parameter>,
}

impl Parameters {
    /// Initialises as PyTorch does: kernels and biases uniform within `±1 / sqrt(fan-in)`, ResConv factors 1, PReLU slopes 0.25.
    pub fn random(version: Version, seed: u64) -> Self {
        let mut rng = Rng::new(seed, 0);
        let mut tensors = Vec::new();
        for layer in version.training_layers() {
            let descs = layer.tensors();
            let bound = (1.0 / descs[0].shape[1..].iter().product::<usize>() as f64).sqrt();
            tensors.extend(descs.into_iter().map(|desc| first_values(desc, bound, &mut rng)));
        }
        Self { version, tensors }
    }

    /// Takes the values of a checkpoint.
    ///
    /// Errors: tensors that are not those of the version.
    pub fn from_weights(version: Version, weights: &Weights) -> Result<Self> {
        version.check(weights, true)?;
        let descs = version
            .training_layers()
            .iter()
            .flat_map(LayerDesc::tensors)
            .collect::<Vec<_>>();
        let take = |desc: TensorDesc| {
            let values = weights
                .get(&desc.key)
                .expect("every key was checked")
                .data
                .clone();
            Parameter {
                key: desc.key,
                shape: desc.shape,
                values,
            }
        };
        Ok(Self {
            version,
            tensors: descs.into_iter().map(take).collect(),
        })
    }

    /// Returns the values by key, without those that only training uses.
    pub fn to_weights(&self) -> Weights {
        let wanted: Vec<_> = self.version.tensors().into_iter().map(|desc| desc.key).collect();
        let kept = self.tensors.iter().filter(|tensor| wanted.contains(&tensor.key));
        let copy = |p: &Parameter| WeightTensor {
            shape: p.shape.clone(),
            data: p.values.clone(),
        };
        kept.map(|tensor| (tensor.key.clone(), copy(tensor))).collect()
    }

    /// Returns the version of the network.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the number of values.
    pub fn count(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.values.len()).sum()
    }

    /// Returns zeros of the same sizes.
    pub fn zeros(&self) -> Vec<Vec<f32>> {
        self.tensors
            .iter()
            .map(|tensor| vec![0.0; tensor.values.len()])
            .collect()
    }

    /// Uploads the values to an autodiff device as tracked leaf tensors and builds the network of them.
    pub fn track(&self, device: &Device) -> TrackedNetwork {
        let leaf = |p: &Parameter| {
            let data = TensorData::new(p.values.clone(), [p.values.len()]);
            Tensor::<1>::from_data(data, device).require_grad()
        };
        let leaves: Vec<_> = self.tensors.iter().map(leaf).collect();
        let mut next = leaves.iter().cloned();
        let network = Network::build(self.version, true, |layer| conv(layer, &mut next));
        TrackedNetwork { network, leaves }
    }
}

/// A network whose parameters autodiff tracks.
#[derive(Debug)]
pub struct TrackedNetwork {
    /// The network.
    pub network: Network<Conv>,
    /// The parameters as flat leaf tensors.
    leaves: Vec<Tensor<1>>,
}

impl TrackedNetwork {
    /// Computes the gradients of a scalar by all parameters, in their order; zeros for parameters that it does not depend on.
    pub fn gradients(&self, loss: &Tensor<1>) -> Vec<Vec<f32>> {
        let mut gradients = loss.backward();
        let gradient = |leaf: &Tensor<1>| match leaf.grad_remove(&mut gradients) {
            Some(gradient) => crate::backend::values(gradient),
            None => vec![0.0; leaf.dims()[0]],
        };
        self.leaves.iter().map(gradient).collect()
    }
}

/// Initialises one tensor, kernels and biases uniformly in `-bound..bound`.
fn first_values(desc: TensorDesc, bound: f64, rng: &mut Rng) -> Parameter {
    let count = desc.shape.iter().product();
    let values = match desc.role {
        TensorRole::Weight | TensorRole::Bias => {
            (0..count).map(|_| rng.uniform(-bound, bound) as f32).collect()
        }
        TensorRole::Slope => vec![FIRST_SLOPE; count],
        TensorRole::Beta => vec![1.0; count],
    };
    Parameter {
        key: desc.key,
        shape: desc.shape,
        values,
    }
}

/// Builds a layer of the next tensors of `leaves`: kernel, bias, PReLU slopes, ResConv factors.
fn conv(layer: &LayerDesc, leaves: &mut impl Iterator<Item = Tensor<1>>) -> Conv {
    let mut next = || leaves.next().expect("a tensor for each that the layers list");
    let shape = layer.weight_shape();
    let weight = next().reshape([shape[0], shape[1], shape[2], shape[3]]);
    let bias = next();
    let activation = match layer.activation {
        ActivationDesc::None => Nonlinearity::None,
        ActivationDesc::Leaky => Nonlinearity::LeakyRelu(LEAKY_SLOPE),
        ActivationDesc::Prelu(_) => Nonlinearity::Prelu(Box::new(next())),
    };
    let beta = layer
        .beta
        .as_ref()
        .map(|_| next().reshape([1, layer.output, 1, 1]));
    Conv {
        kind: layer.kind,
        groups: layer.groups,
        weight,
        bias,
        beta,
        activation,
    }
}
