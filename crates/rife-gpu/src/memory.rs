//! Buffers on the device: allocation, reuse, and how much memory they take.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rife_backend::{BackendError, Result};

/// Locks a mutex. No critical section can panic halfway, so poisoning is ignored.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Storage buffers of a device. Those that are given back are kept for reuse.
pub(crate) struct Pool {
    device: wgpu::Device,
    max_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Idle buffers by their size in bytes.
    idle: BTreeMap<u64, Vec<wgpu::Buffer>>,
    used_bytes: u64,
    idle_bytes: u64,
    peak_bytes: u64,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// A buffer that returns to its pool when dropped. Commands that were recorded before keep their order with those that
/// use it afterwards.
pub(crate) struct Pooled {
    buffer: Option<wgpu::Buffer>,
    /// Bytes that were asked for.
    bytes: u64,
    pool: Arc<Pool>,
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pooled({} bytes)", self.buffer().size())
    }
}

impl Pooled {
    /// Returns the bytes that were asked for, at most the buffer's.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn buffer(&self) -> &wgpu::Buffer {
        self.buffer.as_ref().expect("only dropping takes the buffer")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            let mut state = lock(&self.pool.state);
            let size = buffer.size();
            state.used_bytes -= size;
            state.idle_bytes += size;
            state.idle.entry(size).or_default().push(buffer);
        }
    }
}

/// Usages of storage buffers.
const USAGES: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

impl Pool {
    pub(crate) fn new(device: &wgpu::Device) -> Self {
        let limits = device.limits();
        Self {
            device: device.clone(),
            // A multiple of what buffers' sizes are rounded to.
            max_bytes: limits.max_buffer_size.min(limits.max_storage_buffer_binding_size) & !0xff,
            state: Mutex::default(),
        }
    }

    /// Returns a buffer of at least `bytes` bytes with any content.
    ///
    /// # Errors
    /// [`BackendError::OutOfMemory`] where the device has no such buffer, even without the idle ones.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Result<Pooled> {
        let size = size_class(bytes).min(self.max_bytes);
        if bytes > size {
            return Err(BackendError::OutOfMemory(format!(
                "a tensor of {} MiB, and a buffer of this device holds at most {} MiB",
                bytes >> 20,
                self.max_bytes >> 20
            )));
        }
        let buffer = match self.reuse(size) {
            Some(buffer) => buffer,
            None => self.allocate(size)?,
        };
        let mut state = lock(&self.state);
        state.used_bytes += size;
        state.peak_bytes = state.peak_bytes.max(state.used_bytes + state.idle_bytes);
        drop(state);
        Ok(Pooled {
            buffer: Some(buffer),
            bytes,
            pool: Arc::clone(self),
        })
    }

    fn reuse(&self, size: u64) -> Option<wgpu::Buffer> {
        let mut state = lock(&self.state);
        let buffer = state.idle.get_mut(&size)?.pop()?;
        state.idle_bytes -= size;
        Some(buffer)
    }

    fn allocate(&self, size: u64) -> Result<wgpu::Buffer> {
        if let Ok(buffer) = self.create(size) {
            return Ok(buffer);
        }
        // Other sizes lie idle.
        self.release_idle();
        self.create(size).map_err(|error| {
            let held = lock(&self.state).used_bytes >> 20;
            let asked = size >> 20;
            BackendError::OutOfMemory(format!("{asked} MiB more than the {held} MiB in use ({error})"))
        })
    }

    fn create(&self, size: u64) -> std::result::Result<wgpu::Buffer, wgpu::Error> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: USAGES,
            mapped_at_creation: false,
        });
        match pollster::block_on(scope.pop()) {
            None => Ok(buffer),
            Some(error) => Err(error),
        }
    }

    /// Frees the idle buffers.
    fn release_idle(&self) {
        let mut state = lock(&self.state);
        state.idle.clear();
        state.idle_bytes = 0;
        drop(state);
        // Buffers of finished work are freed when the device is polled.
        let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
    }

    /// Returns the bytes of the largest buffer.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Returns the bytes allocated now, including idle buffers.
    pub(crate) fn held_bytes(&self) -> u64 {
        let state = lock(&self.state);
        state.used_bytes + state.idle_bytes
    }

    /// Returns the maximum number of bytes that were allocated at once.
    pub(crate) fn peak_bytes(&self) -> u64 {
        lock(&self.state).peak_bytes
    }
}

/// Rounds a size up so that buffers can be reused: to a multiple of an eighth of the power of two below it.
fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(256);
    let step = ((1u64 << bytes.ilog2()) / 8).max(256);
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn sizes_are_rounded_up_by_an_eighth_at_most() {
        for bytes in [1, 256, 257, 4096, 5000, 1 << 20, (1 << 20) + 1, 99_999_999] {
            let size = size_class(bytes);
            assert!(size >= bytes && size.is_multiple_of(256), "{bytes}: {size}");
            assert!(size <= bytes.max(256) + bytes / 8 + 256, "{bytes}: {size}");
            assert_eq!(size_class(size), size);
        }
    }
}
