//! ncnn model reader for the models of rife-ncnn-vulkan: a text graph of layers (`.param`) and their weights in the same
//! order (`.bin`). PyTorch's keys are assigned by the order and shapes of the convolutions.

mod assign;
mod param;
mod weights;

pub(super) use assign::assign;
pub(super) use param::{MAX_PARAM_BYTES, is_param, parse};
pub(super) use weights::read;

/// One of the ncnn models that make up a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Submodel {
    /// Name of its files without `.param` and `.bin`.
    pub(super) file: &'static str,
    /// PyTorch key prefix of its tensors.
    pub(super) prefix: &'static str,
}

/// Submodel of an ncnn export of RIFE 4.x: file stem and key prefix of its tensors.
pub(super) const V4_MODELS: [Submodel; 1] = [Submodel {
    file: "flownet",
    prefix: "",
}];

/// Submodels of an ncnn export of RIFE before 4.0: file stems and key prefixes of their tensors.
pub(super) const OLD_MODELS: [Submodel; 3] = [
    Submodel {
        file: "flownet",
        prefix: "flownet.",
    },
    Submodel {
        file: "contextnet",
        prefix: "contextnet.",
    },
    Submodel {
        file: "fusionnet",
        prefix: "unet.",
    },
];

/// Reason why an ncnn model cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NcnnProblem {
    /// The `.param` file is invalid.
    #[error("not a valid ncnn .param file: line {line}: {what}")]
    Param {
        /// The line, counted from 1.
        line: usize,
        /// Reason.
        what: String,
    },
    /// A layer of a kind or with parameters that no RIFE network has.
    #[error("layer {name} of the ncnn model: {what}")]
    Layer {
        /// Name of the layer.
        name: String,
        /// Reason.
        what: String,
    },
    /// The `.bin` file is too short.
    #[error("the ncnn weights are cut off: layer {name} needs {needed} bytes, {left} are left")]
    CutOff {
        /// Name of the layer.
        name: String,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// Weights of an unsupported storage type.
    #[error("layer {name} has weights of kind {tag:#010x}; read are f16 (0x01306b47) and f32 (0)")]
    Tag {
        /// Name of the layer.
        name: String,
        /// Type tag before its weights.
        tag: u32,
    },
    /// Bytes in the `.bin` file after the last layer's weights.
    #[error("{0} bytes follow the last layer's weights: the .bin does not belong to the .param")]
    LeftOver(usize),
    /// A constant (MemoryData) that is no ResConv factor of a convolution.
    #[error("the constant {0} of the ncnn model is not used as any RIFE would")]
    UnusedConstant(String),
    /// A RIFE network that is not supported.
    #[error("this is {0}, a network that is not supported; ncnn folders of RIFE 2.x and 4.x are read")]
    OtherNetwork(&'static str),
    /// A network that is not known.
    #[error("this ncnn model is no RIFE network known here; the nearest is {nearest}, {differs}")]
    Unrecognised {
        /// Name of the version that matches the longest prefix of layers.
        nearest: String,
        /// First difference from it.
        differs: String,
    },
    /// Two copies of one layer with different weights.
    #[error("the two copies of {key} in the ncnn model differ")]
    CopiesDiffer {
        /// PyTorch's key of the layer.
        key: String,
    },
}
