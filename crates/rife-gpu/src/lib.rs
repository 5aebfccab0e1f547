//! A GPU engine for small convolutional image networks on `wgpu`: Vulkan, Metal and DirectX 12.
//!
//! [`adapters`] lists the GPUs of the machine, [`AdapterChoice`] names one of them, and [`GpuBackend`] runs a network's
//! operations on it.
//!
//! A [`GpuTensor`] is an expression of `[channels, height, width]`. Convolutions compute theirs at once; everything between
//! convolutions (resizing, warping, joining, arithmetic) is compiled into one generated WGSL kernel for each tensor that a
//! convolution, a download or [`rife_backend::Backend::materialize`] asks for.

mod adapter;
mod backend;
mod ceilings;
mod codegen;
mod conv;
mod device;
mod dis;
mod engine;
mod error;
mod fault;
mod kernel_cache;
mod memory;
mod plan;
mod tensor;

pub use adapter::{Adapter, AdapterChoice, AdapterInfo, AdapterKind, adapters};
pub use backend::GpuBackend;
pub use ceilings::Ceilings;
pub use conv::ConvLayer;
pub use device::KernelRun;
pub use engine::{Precision, Work};
pub use error::GpuError;
pub use kernel_cache::KernelStore;
pub use tensor::GpuTensor;
