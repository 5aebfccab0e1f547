//! RIFE networks (Huang et al., ECCV 2022), written once over the [`Backend`](rife_backend::Backend) trait; readers and
//! writers of their checkpoints (`.safetensors`, `torch.save`, ncnn); export to ONNX. Engines are in other crates.

mod built_in;
pub mod checkpoint;
mod cost;
mod count;
pub mod deterministic;
mod error;
mod family;
mod image;
mod layer;
mod model;
mod network;
pub mod onnx;
mod recognise;
mod registry;
mod scale;
mod spec;
mod version;
mod weights;

pub use built_in::{BuiltIn, built_in, default_weights};
pub use error::{Mismatch, NetworkError};
pub use image::{Image, MAX_SIDE, MIN_SIDE};
pub use layer::{ActivationDesc, LayerDesc, TensorDesc, TensorRole};
pub use model::{Model, PictureDownload, PreparedFrame, PreparedPair};
pub use network::{Encoded, EncodedPair, Network, Options, Output, Stage};
pub use recognise::{NAME_KEY, SPEC_KEY};
pub use scale::Scale;
pub use spec::{
    BlendPrior, BlockSpec, Blocks, EncoderKeys, EncoderSpec, FlowModel, Head, MAX_BLOCKS, MaskUpdate,
    NetworkSpec, Prior, Synthesis, Trunk,
};
pub use version::Version;
pub use weights::{WeightTensor, Weights};
