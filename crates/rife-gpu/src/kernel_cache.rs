//! Pipeline cache: the driver's compiled kernels, kept between runs of a program. This crate touches no files; a
//! [`KernelStore`] of the caller does.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::AdapterInfo;

/// A store of compiled kernels.
pub trait KernelStore: fmt::Debug + Send + Sync {
    /// Returns the bytes that were saved for an adapter; `None` where there are none, or where they may not be the same.
    fn load(&self, adapter: &AdapterInfo) -> Option<Vec<u8>>;
    /// Saves bytes for an adapter. Where that fails, kernels are compiled again at the next start.
    fn save(&self, adapter: &AdapterInfo, bytes: &[u8]);
}

/// The driver's cache of a device, and the store that it is saved to.
#[derive(Debug)]
pub(crate) struct KernelCache {
    cache: wgpu::PipelineCache,
    store: Arc<dyn KernelStore>,
    info: AdapterInfo,
    /// Number of compiled kernels when it was saved last.
    saved: AtomicUsize,
    /// Hash of the bytes in the store.
    hash: AtomicU64,
}

impl KernelCache {
    /// Opens the cache of a device whose driver has one, with what the store has.
    pub(crate) fn open(
        device: &wgpu::Device,
        info: &AdapterInfo,
        store: Arc<dyn KernelStore>,
    ) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let data = store.load(info);
        // SAFETY: stores return the bytes that were saved for this adapter and driver, or none; the interface and the driver
        // check their headers again, and begin anew where another version wrote them.
        let cache = unsafe {
            device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                label: None,
                data: data.as_deref(),
                fallback: true,
            })
        };
        Some(Self {
            cache,
            store,
            info: info.clone(),
            saved: AtomicUsize::new(0),
            hash: AtomicU64::new(data.as_deref().map_or(0, hash)),
        })
    }

    pub(crate) fn driver_cache(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Saves the cache of a device that compiled `kernels` kernels, unless the store has it.
    pub(crate) fn save(&self, kernels: usize) {
        if self.saved.swap(kernels, Ordering::Relaxed) == kernels {
            return;
        }
        if let Some(bytes) = self.cache.get_data() {
            let hash = hash(&bytes);
            if self.hash.swap(hash, Ordering::Relaxed) != hash {
                self.store.save(&self.info, &bytes);
            }
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
