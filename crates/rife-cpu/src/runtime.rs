//! Runtime of the CPU engine: thread pool, instruction set, buffer reuse, precision and profile. Convolutions, evaluation
//! and motion search run on it; it knows none of them.

mod buffer;
mod log;
mod threads;
mod tier;

use std::sync::Arc;

pub(crate) use buffer::{Buffer, Recycler};
pub use log::ConvRun;
pub(crate) use log::Log;
pub(crate) use threads::Threads;
pub(crate) use tier::for_every_tier;
pub use tier::{Tier, TierError};

/// Precision of the products in convolutions with many channels; everything else is computed in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// Eight-bit integers, see [`crate::Engine::has_int8`].
    Int8,
}

impl Precision {
    /// Returns `f32` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

/// State shared by all operations of an engine.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// Thread pool.
    threads: Threads,
    /// Buffer pool.
    recycler: Arc<Recycler>,
    /// Instruction set of the kernels.
    tier: Tier,
    /// Precision of products in convolutions with many channels.
    precision: Precision,
    /// Profile of convolutions.
    log: Log,
}

impl Runtime {
    /// Starts `threads` threads, at least one, for kernels of `tier`, which the machine has.
    pub(crate) fn new(threads: usize, tier: Tier, precision: Precision) -> Self {
        Self {
            threads: Threads::new(threads),
            recycler: Arc::default(),
            tier,
            precision,
            log: Log::default(),
        }
    }

    /// Returns the thread pool.
    pub(crate) fn threads(&self) -> &Threads {
        &self.threads
    }

    /// Returns the buffer pool.
    pub(crate) fn recycler(&self) -> &Arc<Recycler> {
        &self.recycler
    }

    /// Returns the tier of the kernels.
    pub(crate) fn tier(&self) -> Tier {
        self.tier
    }

    /// Returns the precision of products in convolutions with many channels.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns the profile of convolutions.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }
}
