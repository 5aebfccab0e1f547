//! ncnn models as rife-ncnn-vulkan ships them: a text of layers (`.param`) and their weights in the layers' order
//! (`.bin`), brought back to PyTorch's keys by the order and shapes of the convolutions.

mod assign;
mod param;
mod weights;

pub(super) use assign::assign;
pub(super) use param::{MAX_PARAM_BYTES, is_param, parse};
pub(super) use weights::read;

/// One of the models that make up a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Its files' name without `.param` and `.bin`.
    pub(super) file: &'static str,
    /// What the keys of its tensors begin with.
    pub(super) prefix: &'static str,
}

/// RIFE 4.x: one model.
pub(super) const WHOLE: [Part; 1] = [Part {
    file: "flownet",
    prefix: "",
}];

/// RIFE before 4.0: three.
pub(super) const PARTS: [Part; 3] = [
    Part {
        file: "flownet",
        prefix: "flownet.",
    },
    Part {
        file: "contextnet",
        prefix: "contextnet.",
    },
    Part {
        file: "fusionnet",
        prefix: "unet.",
    },
];

/// What is wrong with an ncnn model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NcnnProblem {
    /// The `.param` is no text of this format.
    #[error("not a valid ncnn .param file: line {line}: {what}")]
    Param {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A kind of layer that no RIFE has, or with settings that none has.
    #[error("layer {name} of the ncnn model: {what}")]
    Layer {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// The `.bin` ends too early.
    #[error("the ncnn weights are cut off: layer {name} needs {needed} bytes, {left} are left")]
    CutOff {
        /// The layer.
        name: String,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// Weights in a form that is not read.
    #[error("layer {name} has weights of kind {tag:#010x}; read are f16 (0x01306b47) and f32 (0)")]
    Tag {
        /// The layer.
        name: String,
        /// The number before its weights.
        tag: u32,
    },
    /// The `.bin` goes on after the last layer.
    #[error("{0} bytes follow the last layer's weights: the .bin does not belong to the .param")]
    LeftOver(usize),
    /// A constant that is not the factor of a convolution.
    #[error("the constant {0} of the ncnn model is not used as any RIFE would")]
    UnusedConstant(String),
    /// A network that is not among the known ones, though it is a RIFE.
    #[error("this is {0}, a network that is not supported; ncnn folders of RIFE 2.x and 4.x are read")]
    OtherNetwork(&'static str),
    /// A network that is not among the known ones.
    #[error("this ncnn model is no RIFE network known here; the nearest is {nearest}, {differs}")]
    Unrecognised {
        /// The version that fits the most layers.
        nearest: String,
        /// Where it differs.
        differs: String,
    },
    /// A layer that an export holds twice, with different weights.
    #[error("the two copies of {key} in the ncnn model differ")]
    CopiesDiffer {
        /// PyTorch's key of the layer.
        key: String,
    },
}
