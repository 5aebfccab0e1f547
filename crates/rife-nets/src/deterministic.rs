//! Deterministic pseudorandom weights (SplitMix64 seeded by FNV-1a of a tensor's key), reproducible in any language: for
//! comparing engines and for measuring speed without trained weights. The frames of such a network are noise.

use crate::layer::{LayerDesc, TensorDesc, TensorRole};
use crate::version::Version;
use crate::weights::{WeightTensor, Weights};

/// Prefix of the text whose FNV-1a hash seeds a tensor: `rife-reference/<key>`.
const SALT: &str = "rife-reference";

/// Generates all tensors of a network, those used only in training included, each by [`tensor`].
pub fn weights(version: Version) -> Weights {
    let tensors = version.training_layers();
    let tensors = tensors.iter().flat_map(LayerDesc::tensors);
    tensors.map(|desc| (desc.key.clone(), tensor(&desc))).collect()
}

/// Generates one tensor of the given key and shape: SplitMix64 numbers seeded by the FNV-1a hash of
/// `rife-reference/<key>`, scaled by role (kernels to a variance of 1 / fan-in, so that sums keep their inputs' variance).
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

/// Scales a uniform number `v` in -1..1 to the range of a tensor's role: kernels by `sqrt(3 / fan_in)`, biases to ±0.05,
/// PReLU slopes to 0.15..0.35, ResConv factors to 0.25..0.75.
fn scaled(desc: &TensorDesc, v: f64) -> f64 {
    match desc.role {
        TensorRole::Weight => v * (3.0 / desc.fan_in as f64).sqrt(),
        TensorRole::Bias => v * 0.05,
        TensorRole::Slope => 0.25 + 0.1 * v,
        TensorRole::Beta => 0.5 + 0.25 * v,
    }
}

/// Returns the `i`th SplitMix64 output of a seed as a number in -1..1 (53 bits).
fn uniform(seed: u64, i: u64) -> f64 {
    let mut z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 * (-53f64).exp2() * 2.0 - 1.0
}

/// Computes the 64-bit FNV-1a hash of a text's UTF-8 bytes.
fn fnv1a(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}
