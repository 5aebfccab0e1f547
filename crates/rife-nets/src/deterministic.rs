//! Weights made by a rule instead of training, so that any program can make the same ones: for comparing engines
//! and definitions, and for measuring time where no trained weights are at hand. What such a network shows is
//! noise.

use crate::layer::{LayerDesc, TensorDesc, TensorRole};
use crate::version::Version;
use crate::weights::{WeightTensor, Weights};

/// Begins every text that a tensor's seed is the hash of.
const SALT: &str = "rife-reference";

/// Every tensor of a version, training-only ones included, by the rule of [`tensor`].
pub fn weights(version: Version) -> Weights {
    let tensors = version.training_layers();
    let tensors = tensors.iter().flat_map(LayerDesc::tensors);
    tensors.map(|desc| (desc.key.clone(), tensor(&desc))).collect()
}

/// One tensor: SplitMix64 from the FNV-1a hash of `rife-reference/<key>`, brought to -1..1 and to the spread of
/// its role (weights so that sums keep their inputs' variance).
pub fn tensor(desc: &TensorDesc) -> WeightTensor {
    let seed = fnv1a(&format!("{SALT}/{}", desc.key));
    let count: usize = desc.shape.iter().product();
    let data = (1..=count as u64)
        .map(|i| scaled(desc, uniform(seed, i)) as f32)
        .collect();
    WeightTensor {
        shape: desc.shape.clone(),
        data,
    }
}

fn scaled(desc: &TensorDesc, v: f64) -> f64 {
    match desc.role {
        TensorRole::Weight => v * (3.0 / desc.fan_in as f64).sqrt(),
        TensorRole::Bias => v * 0.05,
        TensorRole::Slope => 0.25 + 0.1 * v,
        TensorRole::Beta => 0.5 + 0.25 * v,
    }
}

/// The `i`th value of a seed, in -1..1.
fn uniform(seed: u64, i: u64) -> f64 {
    let mut z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 * (-53f64).exp2() * 2.0 - 1.0
}

fn fnv1a(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}
