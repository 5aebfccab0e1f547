//! A CPU engine for small convolutional image networks: lazy tensors, convolutions by tier, one thread pool.
//!
//! A [`Tensor`] is an expression of `[channels, height, width]`. Convolutions compute theirs at once; everything
//! between convolutions (resizing, warping, joining, arithmetic) is computed where and when a convolution or a
//! download asks for it, on the rows and columns that are needed and no others.

mod backend;
mod buffer;
mod conv;
mod dis;
mod engine;
mod eval;
mod log;
mod tensor;
mod threads;
mod tier;

pub use backend::CpuBackend;
pub use conv::{ConvLayer, reference};
pub use engine::{Engine, EngineOptions, Precision};
pub use log::ConvRun;
pub use tensor::Tensor;
pub use tier::{Tier, TierError};
