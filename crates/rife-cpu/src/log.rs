//! Profile of convolutions: shape, kernel and time of each that ran.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rife_backend::ConvKind;

use crate::conv::ConvLayer;

/// A convolution that ran.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvRun {
    /// What it does to the size.
    pub kind: ConvKind,
    /// `[channels, height, width]` that it read.
    pub input: [usize; 3],
    /// Channels that it made.
    pub output: usize,
    /// The kernel family, such as `winograd`.
    pub kernel: &'static str,
    /// Multiply-adds of its definition, whatever the kernel saves.
    pub macs: u64,
    /// Time it took, with the evaluation of its input where that was an expression.
    pub time: Duration,
}

/// The convolutions since the log was begun.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Option<Vec<ConvRun>>>);

impl Log {
    /// Begins, or begins again.
    pub(crate) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Ends recording; returns the convolutions in their order.
    pub(crate) fn end(&self) -> Vec<ConvRun> {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.take().unwrap_or_default()
    }

    /// Notes a run that began at `start`, where the log was begun.
    pub(crate) fn note(&self, layer: &ConvLayer, input: [usize; 3], kernel: &'static str, start: Instant) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runs) = runs.as_mut() {
            runs.push(ConvRun {
                kind: layer.kind(),
                input,
                output: layer.output(),
                kernel,
                macs: layer.macs([input[1], input[2]]),
                time: start.elapsed(),
            });
        }
    }
}
