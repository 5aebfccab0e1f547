//! Every RIFE network as one description generic over a [`Backend`], and the readers of their checkpoints.

mod backend;
mod weights;

pub use backend::{Activation, Backend, ConvKind, ConvSpec, Factor};
pub use weights::{WeightTensor, Weights};
