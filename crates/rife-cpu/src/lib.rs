//! CPU engine for convolutional image networks: lazy tensors, SIMD convolution kernels (direct, Winograd, int8), dense inverse
//! search, a thread pool.
//!
//! A [`Tensor`] of `[channels, height, width]` holds values or an expression. Convolutions are computed immediately; the
//! operations between them (resize, warp, concatenation, arithmetic) are evaluated when a convolution or a download reads
//! them, only at the rows and columns read.

mod backend;
mod conv;
mod dis;
mod engine;
mod eval;
mod runtime;
mod tensor;

pub use backend::CpuBackend;
pub use conv::{ConvLayer, reference};
pub use engine::{Engine, EngineOptions};
pub use runtime::{ConvRun, Precision, Tier, TierError};
pub use tensor::Tensor;
