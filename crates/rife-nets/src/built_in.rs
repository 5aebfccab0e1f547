//! Networks embedded in the program: names, versions and weights.

use crate::version::Version;

/// A network that the cargo feature `default-weights` embeds.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Name for users: `default` or `fast`.
    pub name: &'static str,
    /// Version of the network.
    pub version: Version,
    /// Bytes of a `.safetensors` file with the version's tensors in f16.
    pub weights: &'static [u8],
}

/// Networks that the feature `default-weights` embeds, the default network first.
#[cfg(feature = "default-weights")]
static BUILT_IN: [BuiltIn; 2] = [
    BuiltIn {
        name: "default",
        version: Version::DEFAULT,
        weights: include_bytes!("../weights/default.safetensors"),
    },
    BuiltIn {
        name: "fast",
        version: Version::FAST,
        weights: include_bytes!("../weights/fast.safetensors"),
    },
];

/// Without the feature no network is embedded.
#[cfg(not(feature = "default-weights"))]
static BUILT_IN: [BuiltIn; 0] = [];

/// Returns the embedded networks, the default network first; none when built without the cargo feature `default-weights`.
pub fn built_in() -> &'static [BuiltIn] {
    &BUILT_IN
}

/// Returns the weights of the default network, see [`BuiltIn::weights`]; `None` when built without the cargo feature
/// `default-weights`.
pub fn default_weights() -> Option<&'static [u8]> {
    BUILT_IN.first().map(|network| network.weights)
}
