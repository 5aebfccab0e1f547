//! Definitions of the fused operations of [`Backend`](crate::Backend) as compositions of simpler tensor operations. An
//! engine without kernels for the fused operations calls these functions.

mod dis;
mod warp;

pub use dis::{DisOps, dis_flow, luma, project_flow};
pub use warp::{SampleOps, cubic_residual, warp_obmc};
