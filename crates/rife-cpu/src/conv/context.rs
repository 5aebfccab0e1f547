//! Context of a convolution: the engine's runtime and kernels.

use super::simd::Kernels;
use crate::runtime::Runtime;

/// Threads, buffers, precision and profile of a runtime, and the kernels of its tier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) kernels: &'a Kernels,
}
