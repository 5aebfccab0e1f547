//! The fused operations of [`Backend`](crate::Backend) composed of simpler ones: their definitions, and all that an
//! engine without kernels of its own for them needs.

mod dis;
mod warp;

pub use dis::{DisOps, dis_flow, luma, project_flow};
pub use warp::{SampleOps, cubic_residual, warp_obmc};
