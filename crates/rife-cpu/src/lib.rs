//! A CPU engine for small convolutional image networks: lazy tensors, convolutions by tier, one thread pool.
//!
//! A [`Tensor`] is an expression of `[channels, height, width]`. Convolutions compute theirs at once; everything
//! between convolutions (resizing, warping, joining, arithmetic) is computed where and when a convolution or a
//! download asks for it, on the rows and columns that are needed and no others.

mod buffer;
mod conv;
mod engine;
mod eval;
mod log;
pub mod motion;
mod tensor;
mod threads;
mod tier;

pub use conv::{Activation, ConvKind, ConvLayer, ConvSpec, reference};
pub use engine::{Engine, EngineOptions, Precision};
pub use log::ConvRun;
pub use tensor::{Factor, Tensor};
pub use tier::{Tier, TierError};
