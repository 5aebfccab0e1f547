//! Scores of a validation: mean PSNR in dB by kind of sample.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Mean PSNR in dB of a validation, by kind of sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Number of training steps done.
    pub step: u64,
    /// Middle of three neighbouring frames.
    pub adjacent: f64,
    /// Middle frame between frames four apart; `None` if all runs of frames are shorter.
    pub wide: Option<f64>,
    /// Frame at timestep 0.25 between frames four apart; `None` if the network makes only middle frames.
    pub quarter: Option<f64>,
}

impl Scores {
    /// Returns the mean of the present values, by which weights are ranked.
    pub fn mean(&self) -> f64 {
        let all = [Some(self.adjacent), self.wide, self.quarter];
        let (sum, count) = all
            .into_iter()
            .flatten()
            .fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
        sum / count
    }
}

impl fmt::Display for Scores {
    /// Writes step and PSNR values in dB in one line, without absent values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} PSNR adjacent {:.3}", self.step, self.adjacent)?;
        for (name, value) in [("wide", self.wide), ("quarter", self.quarter)] {
            if let Some(value) = value {
                write!(f, " {name} {value:.3}")?;
            }
        }
        write!(f, " dB")
    }
}
