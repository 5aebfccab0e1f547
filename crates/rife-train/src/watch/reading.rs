//! Readings of a training run: means over the steps since the last reading.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Means over the steps since the last reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Number of steps done.
    pub step: u64,
    /// Weighted sum of the loss terms.
    pub loss: f64,
    /// Unweighted loss terms by name.
    pub terms: BTreeMap<String, f64>,
    /// Learning rate.
    pub rate: f64,
    /// Moving average of the gradient norm.
    pub norm: f64,
    /// Number of batches skipped for outlying gradients since the start of the run.
    pub skipped: u64,
    /// Mean wait for data per step, in milliseconds.
    pub wait_ms: f64,
    /// Steps per second.
    pub speed: f64,
    /// Estimated seconds to the last step, without validations.
    pub seconds_left: f64,
}

impl fmt::Display for Reading {
    /// Writes all values in one line of the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} loss {:.5}", self.step, self.loss)?;
        for (name, value) in &self.terms {
            write!(f, " {name} {value:.5}")?;
        }
        write!(
            f,
            " wait {:.0} ms {:.2} steps/s lr {:.2e} norm {:.2} skipped {} left {}",
            self.wait_ms,
            self.speed,
            self.rate,
            self.norm,
            self.skipped,
            clock(self.seconds_left)
        )
    }
}

/// Formats seconds as hours:minutes:seconds.
pub(super) fn clock(seconds: f64) -> String {
    // Clamped to a century.
    let seconds = if seconds.is_finite() {
        seconds.clamp(0.0, 3.2e9) as u64
    } else {
        0
    };
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
