//! Profile of convolutions: shape, kernel and time of each one that ran.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rife_backend::ConvKind;

use crate::conv::ConvLayer;

/// Profile of one convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvRun {
    /// Kernel size, stride and direction.
    pub kind: ConvKind,
    /// Shape of the input, `[channels, height, width]`.
    pub input: [usize; 3],
    /// Output channels.
    pub output: usize,
    /// The kernel family, such as `winograd`.
    pub kernel: &'static str,
    /// Multiply-adds by the definition, even if the kernel needs fewer.
    pub macs: u64,
    /// Duration, with the evaluation of a lazy input.
    pub time: Duration,
}

/// Recorder of convolutions; `None` while not recording.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Option<Vec<ConvRun>>>);

impl Log {
    /// Starts recording, dropping earlier records.
    pub(crate) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Stops recording and returns the convolutions in order.
    pub(crate) fn end(&self) -> Vec<ConvRun> {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.take().unwrap_or_default()
    }

    /// Records a convolution that began at `start`, if recording.
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
