//! Profile of convolutions: shape, kernel and time of each one that ran.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rife_backend::ConvKind;

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

    /// Records the convolution that `run` describes, if recording; else `run` is not called.
    pub(crate) fn record(&self, run: impl FnOnce() -> ConvRun) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runs) = runs.as_mut() {
            runs.push(run());
        }
    }
}
