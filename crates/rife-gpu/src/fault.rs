//! Fault injection for tests: in builds with debug assertions, `RIFE_TEST_GPU_FAULT=KIND:FIRST-LAST` makes the reads with these
//! numbers, counted from 0 for each device, return wrong values or fail.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a read returns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// This byte everywhere: 255 is NaN, 0 is black.
    Bytes(u8),
    /// An error: no memory.
    Memory,
    /// An error: the device is destroyed before the read.
    Lost,
}

/// The faults of a device.
#[derive(Debug)]
pub(crate) struct Faults {
    wanted: Option<(Fault, RangeInclusive<u64>)>,
    reads: AtomicU64,
}

impl Faults {
    /// Reads the environment variable; without it, and in builds without debug assertions, nothing fails.
    pub(crate) fn from_env() -> Self {
        let text = cfg!(debug_assertions).then(|| std::env::var("RIFE_TEST_GPU_FAULT").ok());
        Self {
            wanted: text
                .flatten()
                .map(|text| parse(&text).expect("RIFE_TEST_GPU_FAULT: KIND:FIRST-LAST")),
            reads: AtomicU64::new(0),
        }
    }

    /// Returns the fault of the next read.
    pub(crate) fn of_next_read(&self) -> Option<Fault> {
        let number = self.reads.fetch_add(1, Ordering::Relaxed);
        let (fault, range) = self.wanted.as_ref()?;
        range.contains(&number).then_some(*fault)
    }
}

fn parse(text: &str) -> Option<(Fault, RangeInclusive<u64>)> {
    let (kind, range) = text.split_once(':')?;
    let (first, last) = range.split_once('-')?;
    let fault = match kind {
        "nan" => Fault::Bytes(255),
        "black" => Fault::Bytes(0),
        "memory" => Fault::Memory,
        "lost" => Fault::Lost,
        _ => return None,
    };
    Some((fault, first.parse().ok()?..=last.parse().ok()?))
}
