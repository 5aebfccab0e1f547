//! Monotonic counters since the start of the server, exported by `GET /metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Monotonic counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns the current value.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters since the start of the server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: Counter,
    /// Responses with a status of 400 and above.
    pub(crate) errors: Counter,
    pub(crate) jobs_created: Counter,
    pub(crate) upload_bytes: Counter,
    /// Frames written by jobs.
    pub(crate) frames: Counter,
}
