//! Condition variable that workers wait on for queued jobs.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Wakes workers when a job is queued.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    changes: Mutex<u64>,
    changed: Condvar,
}

impl Wake {
    /// Wakes all waiting workers.
    pub(crate) fn all(&self) {
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// Waits until [`Wake::all`] is called, for at most half a second.
    pub(crate) fn wait(&self) {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.changed.wait_timeout(changes, Duration::from_millis(500));
    }
}
