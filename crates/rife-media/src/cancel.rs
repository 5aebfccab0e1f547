//! Cancellation token: an atomic flag that every blocking read and write checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A cancellation flag whose clones share one state. Once cancelled, ffmpeg child processes are killed and every call that
/// waits for them returns [`MediaError::Cancelled`](crate::MediaError::Cancelled) within about a tenth of a second.
///
/// `cancel` only stores a flag, so it may be called from a signal handler's thread.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Creates a token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels this token and all its clones, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Returns the shared flag (true once cancelled), for code that takes an `Arc<AtomicBool>`.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// Reports whether [`cancel`](Self::cancel) was called on this token or a clone.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
