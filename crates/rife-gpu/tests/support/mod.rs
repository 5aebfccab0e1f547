//! The adapter that tests run on.

use rife_gpu::{AdapterChoice, GpuBackend, Precision, adapters};
use rife_testing::Need;

/// Opens an engine on the adapter that `RIFE_TEST_GPU` names, or on the first one. Returns `None`, and prints why, where there
/// is no adapter and `RIFE_TEST_GPU` is not set.
///
/// # Panics
/// Where `RIFE_TEST_GPU` is set and no adapter is found.
pub(crate) fn backend() -> Option<GpuBackend> {
    backend_in(Precision::F32)
}

/// As [`backend`], in a number format.
pub(crate) fn backend_in(precision: Precision) -> Option<GpuBackend> {
    let asked = std::env::var("RIFE_TEST_GPU").ok();
    let choice = match asked.as_deref() {
        None | Some("") => AdapterChoice::Index(0),
        Some(text) => text.parse().unwrap(),
    };
    let found = choice.find(&adapters());
    if let (Some(_), Err(error)) = (&asked, &found) {
        panic!("RIFE_TEST_GPU is set, and there is {error}");
    }
    let adapter = Need::Vulkan.met(found)?;
    println!("adapter: {} ({})", adapter.info().name, adapter.info().driver);
    Some(GpuBackend::new(&adapter, precision).unwrap())
}
