//! Frame interpolation with the RIFE networks: interpolator, jobs and metrics.

pub mod batch;
pub mod benchmark;
pub mod chain;
mod device;
mod error;
mod gamut;
pub mod image;
mod interpolator;
pub mod manifest;
mod memory;
pub mod metrics;
mod model_choice;
pub mod models;
pub mod reencode;
pub mod report;
mod runner;
pub mod sample;
pub mod verify;
pub mod video;
mod watch;
pub mod weights;

pub use device::{Device, EngineInfo, Precision};
pub use error::{Error, ErrorKind, Result};
pub use interpolator::{Between, Bisection, Interpolator, InterpolatorSpec, Prepared, TimestepMethod};
pub use model_choice::ModelChoice;
pub use rife_media as media;
pub use rife_nets as nets;
pub use watch::Watch;
