//! Frame interpolation with the RIFE networks: interpolator, jobs and metrics.

mod engine;
mod error;
mod interpolator;
pub mod metrics;
pub mod models;
pub mod video;

pub use engine::{Device, EngineInfo, ModelChoice, read_weights};
pub use error::{Error, ErrorKind, Result};
pub use interpolator::{Between, Bisection, Interpolator, InterpolatorSpec, Prepared, TimestepMethod};
pub use rife_media as media;
pub use rife_nets as nets;
