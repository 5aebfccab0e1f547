//! Evaluation of frame interpolation: [`metrics`] of images against ground truth, [`benchmark`]s on public data sets,
//! leave-one-out [`report`](mod@report)s on any clip, and a procedurally rendered [`sample`] clip.
//!
//! ```
//! use rife::{Interpolator, InterpolatorSpec};
//! use rife_eval::{metrics, sample};
//!
//! let [first, truth, second] = [0.0, 0.05, 0.1].map(|seconds| sample::render(seconds, 96, 64));
//! let interpolator = Interpolator::new(&InterpolatorSpec::default())?;
//! let between = interpolator.interpolate(&first, &second, 0.5)?;
//! assert!(metrics::psnr(&between.data, &truth.data) > 20.0);
//! # Ok::<(), rife::Error>(())
//! ```

pub mod benchmark;
pub mod metrics;
pub mod report;
pub mod sample;
