//! Global rayon thread pool, which Burn's CPU backend uses, with denormals flushed to zero.

use std::sync::OnceLock;

use anyhow::{Context, Result};

/// Result of building the pool, once.
static POOL: OnceLock<Result<(), String>> = OnceLock::new();

/// Starts `count` worker threads (0: one per core), once per process. They and the calling thread flush denormal numbers to
/// zero: early in training many values are denormal, which makes steps 30 times slower.
///
/// Errors: threads that cannot be started.
pub fn start(count: usize) -> Result<()> {
    flush_denormals();
    let build = || {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(count);
        builder
            .start_handler(|_| flush_denormals())
            .build_global()
            .map_err(|error| error.to_string())
    };
    POOL.get_or_init(build)
        .clone()
        .map_err(anyhow::Error::msg)
        .context("cannot start worker threads")
}

/// Sets flush-to-zero and denormals-are-zero for the calling thread.
#[cfg(target_arch = "x86_64")]
pub(crate) fn flush_denormals() {
    let mut control = 0u32;
    // SAFETY: stmxcsr and ldmxcsr store and load the calling thread's SSE control word, through a pointer to a live
    // u32; the two bits set are defined on every x86-64 processor, and no code here relies on denormals.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack));
        control |= 0x8040;
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack));
    }
}

/// Sets flush-to-zero for the calling thread.
#[cfg(target_arch = "aarch64")]
pub(crate) fn flush_denormals() {
    // SAFETY: FPCR is the calling thread's own; bit 24 is flush-to-zero on every AArch64 processor.
    unsafe {
        let mut control: u64;
        std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack));
        control |= 1 << 24;
        std::arch::asm!("msr fpcr, {}", in(reg) control, options(nomem, nostack));
    }
}

/// Does nothing on other processors.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn flush_denormals() {}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use std::hint::black_box;

    #[test]
    fn workers_flush_denormals() {
        let halve = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
        super::start(0).unwrap();
        assert_eq!(halve(), 0.0, "on the calling thread");
        let (first, second) = rayon::join(halve, halve);
        assert_eq!((first, second), (0.0, 0.0), "on the workers");
    }
}
