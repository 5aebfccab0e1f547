//! GPUs as devices: lists the adapters and opens one.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rife_gpu::{Adapter, AdapterChoice, GpuBackend};

use super::kernel_files::KernelFiles;
use super::{Device, EngineInfo, Precision};
use crate::runner::{Convolution, Device as DeviceState, Memory};
use crate::{Error, Result};

/// Number of frames in flight, so that the GPU computes while earlier frames are read and later ones recorded.
const IN_FLIGHT: usize = 3;

/// Lists the adapters of this machine.
pub(crate) fn adapters() -> Vec<rife_gpu::AdapterInfo> {
    let all = rife_gpu::adapters();
    all.into_iter().map(|adapter| adapter.info().clone()).collect()
}

/// Lists the GPUs of this machine with a description for people, after [`Device::Auto`] if that can be one of them.
pub(super) fn available() -> Vec<(Device, String)> {
    static AVAILABLE: OnceLock<Vec<(Device, String)>> = OnceLock::new();
    let list = || {
        if !may_have_driver() {
            return Vec::new();
        }
        let adapters = rife_gpu::adapters();
        let auto = AdapterChoice::Any.find(&adapters).ok().map(|_| {
            let text = "a GPU that passes its self-test, else the processor";
            (Device::Auto, text.to_owned())
        });
        let gpus = adapters.iter().map(|adapter| {
            let info = adapter.info();
            let text = format!("{} ({}, {})", info.name, info.kind, info.api);
            (Device::Gpu(info.index.to_string()), text)
        });
        let all = AdapterChoice::Any.find_alike(&adapters).unwrap_or_default();
        let all = (all.len() > 1).then(|| {
            let text = format!("all {} of {}", all.len(), all[0].info().name);
            (Device::All(String::new()), text)
        });
        auto.into_iter().chain(all).chain(gpus).collect()
    };
    AVAILABLE.get_or_init(list).clone()
}

/// Finds the adapter with an index or a part of its name; the empty text selects any but software adapters.
///
/// # Errors
/// [`Error::Device`] where there is no such adapter.
pub(super) fn find(which: &str) -> Result<Adapter> {
    let choice: AdapterChoice = which.parse().unwrap_or_default();
    choice
        .find(&rife_gpu::adapters())
        .map_err(|error| Error::Device(error.to_string()))
}

/// Finds the adapter that [`find`] finds, and all that are like it.
///
/// # Errors
/// Those of [`find`].
pub(super) fn find_all(name: &str) -> Result<Vec<Adapter>> {
    let choice = match name {
        "" => AdapterChoice::Any,
        name => AdapterChoice::Name(name.to_owned()),
    };
    choice
        .find_alike(&rife_gpu::adapters())
        .map_err(|error| Error::Device(error.to_string()))
}

/// Opens an adapter. [`Precision::Auto`] is f16 if the adapter has it.
///
/// # Errors
/// [`Error::Device`] where its driver fails.
pub(super) fn open(adapter: &Adapter, precision: Precision) -> Result<(GpuBackend, EngineInfo)> {
    let precision = match precision {
        Precision::F16 => rife_gpu::Precision::F16,
        Precision::Auto if adapter.info().f16 => rife_gpu::Precision::F16,
        Precision::F32 | Precision::Int8 | Precision::Auto => rife_gpu::Precision::F32,
    };
    let backend = match KernelFiles::of_user() {
        Some(files) => GpuBackend::with_store(adapter, precision, Arc::new(files)),
        None => GpuBackend::new(adapter, precision),
    };
    let backend = backend.map_err(|error| Error::Device(error.to_string()))?;
    let info = backend.info();
    let info = EngineInfo {
        device: format!("{}, {}, {}", info.name, info.api, info.driver),
        tier: "gpu".to_owned(),
        precision: match precision {
            rife_gpu::Precision::F16 => "f16".to_owned(),
            rife_gpu::Precision::F32 => "f32".to_owned(),
        },
        threads: 1,
        devices: 1,
        gpu_rejected: None,
    };
    Ok((backend, info))
}

/// Returns whether this machine has a GPU, software adapters excepted.
pub(super) fn has_hardware() -> bool {
    may_have_driver() && AdapterChoice::Any.find(&rife_gpu::adapters()).is_ok()
}

/// Returns whether a GPU's driver may be loaded. On Linux it has a device file, or the environment names a Vulkan driver; without
/// either no driver is loaded, which would delay every start.
fn may_have_driver() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let named = |folder: &str, prefix: &str| {
        let mut entries = Path::new(folder).read_dir().into_iter().flatten().flatten();
        entries.any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
    };
    let chosen = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    chosen("VK_DRIVER_FILES")
        || chosen("VK_ICD_FILENAMES")
        || named("/dev/dri", "renderD")
        || named("/dev", "nvidia")
        || Path::new("/dev/dxg").exists()
}

impl DeviceState for GpuBackend {
    fn memory(&self) -> Memory {
        Memory {
            held: self.memory_held(),
            peak: self.memory_peak(),
        }
    }

    fn in_flight(&self) -> usize {
        IN_FLIGHT
    }

    fn tensor_limit(&self) -> Option<[u64; 2]> {
        Some([self.largest_tensor(), self.max_tensor()])
    }

    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        // Kernels are not timed one by one.
        work();
        Vec::new()
    }
}
