//! A device: compiled kernels, recorded dispatches, submission and read-back.

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rife_backend::{BackendError, Result};

use crate::fault::{Fault, Faults};
use crate::kernel_cache::{KernelCache, KernelStore};
use crate::memory::{Pool, Pooled, lock};
use crate::{Adapter, AdapterInfo, AdapterKind, GpuError};

/// Maximum work of one submission in operations, roughly multiply-adds. Drivers reset a GPU that computes for seconds.
const WORK_OF_SUBMISSION: u64 = 2_000_000_000;

/// Maximum bytes of kernel parameters of one submission.
const PARAMETER_BYTES: u64 = 256 * 1024;

/// Time after which a GPU that does not answer counts as lost. A software adapter may take any time.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A compiled kernel.
pub(crate) struct Kernel {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// One run of a kernel.
pub(crate) struct Dispatch<'a> {
    /// What it computes, for people.
    pub(crate) name: fmt::Arguments<'a>,
    /// WGSL with the entry point `main`: parameters at binding 0, the output at 1, inputs from 2 on.
    pub(crate) source: &'a str,
    pub(crate) output: &'a Pooled,
    pub(crate) inputs: &'a [&'a Pooled],
    pub(crate) parameters: &'a [u32],
    /// Workgroups along x, y and z.
    pub(crate) groups: [u32; 3],
    /// Operations, roughly multiply-adds.
    pub(crate) work: u64,
    /// Bytes read and written.
    pub(crate) bytes: u64,
}

/// Dispatches that are recorded and not submitted yet.
#[derive(Default)]
struct Recorder {
    dispatches: Vec<Recorded>,
    parameters: Vec<u8>,
    work: u64,
}

struct Recorded {
    kernel: Arc<Kernel>,
    bindings: wgpu::BindGroup,
    offset: u32,
    groups: [u32; 3],
}

/// A kernel run that was timed or counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelRun {
    /// What it computes, for people.
    pub name: String,
    /// Operations, roughly multiply-adds.
    pub work: u64,
    /// Bytes read and written, see [`crate::Work::bytes`].
    pub bytes: u64,
    /// Its time on the device; zero where it was counted only.
    pub time: Duration,
}

/// Timestamps around one kernel run.
struct Clock {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

/// Bytes of two timestamps.
const TIMESTAMPS: u64 = 16;

/// Counts of what a device computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counters {
    pub(crate) dispatches: u64,
    pub(crate) submissions: u64,
    pub(crate) bytes: u64,
}

/// An open device.
pub(crate) struct Device {
    pub(crate) pool: Arc<Pool>,
    pub(crate) info: AdapterInfo,
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// The first failure that leaves the device unusable.
    failure: Arc<Mutex<Option<BackendError>>>,
    kernels: Mutex<HashMap<String, Arc<Kernel>>>,
    kernel_cache: Option<KernelCache>,
    recorder: Mutex<Recorder>,
    parameters: wgpu::Buffer,
    parameter_alignment: usize,
    readback: Mutex<Vec<wgpu::Buffer>>,
    counters: Mutex<Counters>,
    /// The kernel runs of [`Device::profile`], while it runs.
    profile: Mutex<Option<Vec<KernelRun>>>,
    /// `None` where the driver has no timestamps.
    clock: Option<Clock>,
    /// Whether kernels are counted only, and not compiled or run.
    counts_only: bool,
    faults: Faults,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("adapter", &self.info.name)
            .finish_non_exhaustive()
    }
}

/// Values on their way to the processor.
pub(crate) struct Readback {
    buffer: wgpu::Buffer,
    bytes: u64,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

impl Device {
    /// Opens an adapter with all limits that it has; with `counts_only`, kernels are counted and not compiled or run. Compiled
    /// kernels are kept in `store`.
    ///
    /// # Errors
    /// Where the adapter lacks what the kernels need, or the driver refuses.
    pub(crate) fn open(
        adapter: &Adapter,
        counts_only: bool,
        store: Option<Arc<dyn KernelStore>>,
    ) -> std::result::Result<Self, GpuError> {
        adapter.check()?;
        let wanted =
            wgpu::Features::SHADER_F16 | wgpu::Features::PIPELINE_CACHE | wgpu::Features::TIMESTAMP_QUERY;
        let descriptor = wgpu::DeviceDescriptor {
            label: None,
            required_features: adapter.inner.features() & wanted,
            required_limits: adapter.inner.limits(),
            ..Default::default()
        };
        let info = adapter.info().clone();
        let opened = pollster::block_on(adapter.inner.request_device(&descriptor));
        let (device, queue) =
            opened.map_err(|error| GpuError::Refused(info.name.clone(), error.to_string()))?;
        let failure = watch(&device);
        let parameters = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: PARAMETER_BYTES,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let clock = clock(&device);
        Ok(Self {
            pool: Arc::new(Pool::new(&device)),
            kernel_cache: store.and_then(|store| KernelCache::open(&device, &info, store)),
            parameter_alignment: device.limits().min_uniform_buffer_offset_alignment as usize,
            info,
            device,
            queue,
            failure,
            kernels: Mutex::default(),
            recorder: Mutex::default(),
            parameters,
            readback: Mutex::default(),
            counters: Mutex::default(),
            profile: Mutex::default(),
            clock,
            counts_only,
            faults: Faults::from_env(),
        })
    }

    /// Checks that the device is usable.
    ///
    /// # Errors
    /// The first failure that made it unusable.
    pub(crate) fn check(&self) -> Result<()> {
        lock(&self.failure).clone().map_or(Ok(()), Err)
    }

    /// Declares the device lost.
    pub(crate) fn lose(&self, why: &str) {
        lock(&self.failure).get_or_insert_with(|| BackendError::DeviceLost(why.to_owned()));
    }

    pub(crate) fn counters(&self) -> Counters {
        *lock(&self.counters)
    }

    /// Returns how many input buffers a kernel can have.
    pub(crate) fn max_inputs(&self) -> usize {
        self.info.max_bindings as usize - 1
    }

    /// Copies bytes to a new buffer.
    ///
    /// # Errors
    /// Where the device has no memory for it, or is lost.
    pub(crate) fn upload(&self, bytes: &[u8]) -> Result<Pooled> {
        let buffer = self.pool.take(bytes.len() as u64)?;
        // A reused buffer may be read by what is recorded, and writes come before all that is submitted later.
        self.submit();
        self.queue.write_buffer(buffer.buffer(), 0, bytes);
        self.check()?;
        Ok(buffer)
    }

    /// Records a run of a kernel.
    pub(crate) fn dispatch(&self, dispatch: &Dispatch<'_>) {
        if self.check().is_err() {
            return;
        }
        let mut counters = lock(&self.counters);
        counters.dispatches += 1;
        counters.bytes += dispatch.bytes;
        drop(counters);
        if self.counts_only {
            self.log(dispatch, Duration::ZERO);
            return;
        }
        let kernel = self.kernel(dispatch.source, dispatch.inputs.len());
        let bytes: &[u8] = bytemuck::cast_slice(dispatch.parameters);
        let parameters = wgpu::BufferBinding {
            buffer: &self.parameters,
            offset: 0,
            size: Some((bytes.len() as u64).try_into().expect("kernels have parameters")),
        };
        let storage = [dispatch.output]
            .into_iter()
            .chain(dispatch.inputs.iter().copied());
        let bound = [parameters]
            .into_iter()
            .chain(storage.map(|pooled| pooled.buffer().as_entire_buffer_binding()));
        let entries: Vec<_> = (0..)
            .zip(bound)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(buffer),
            })
            .collect();
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &kernel.layout,
            entries: &entries,
        });
        let mut recorder = lock(&self.recorder);
        if recorder.parameters.len() + bytes.len() > PARAMETER_BYTES as usize {
            self.submit_recorded(&mut recorder);
        }
        let offset = recorder.parameters.len() as u32;
        recorder.parameters.extend_from_slice(bytes);
        let padded = recorder
            .parameters
            .len()
            .next_multiple_of(self.parameter_alignment);
        recorder.parameters.resize(padded, 0);
        recorder.dispatches.push(Recorded {
            kernel,
            bindings,
            offset,
            groups: dispatch.groups,
        });
        recorder.work += dispatch.work;
        if lock(&self.profile).is_some() {
            let time = self.submit_timed(&mut recorder);
            self.log(dispatch, time);
        }
        if recorder.work >= WORK_OF_SUBMISSION {
            self.submit_recorded(&mut recorder);
        }
    }

    /// Runs `work` and returns the kernel runs that it recorded. Each is submitted and waited for alone, so that `work` takes
    /// longer than usual; their times are the device's. A device that only counts returns times of zero, as does one without
    /// timestamps.
    pub(crate) fn profile(&self, work: &mut dyn FnMut()) -> Vec<KernelRun> {
        self.submit();
        *lock(&self.profile) = Some(Vec::new());
        work();
        lock(&self.profile).take().unwrap_or_default()
    }

    fn log(&self, dispatch: &Dispatch<'_>, time: Duration) {
        if let Some(runs) = &mut *lock(&self.profile) {
            runs.push(KernelRun {
                name: dispatch.name.to_string(),
                work: dispatch.work,
                bytes: dispatch.bytes,
                time,
            });
        }
    }

    /// Submits what is recorded, waits for it and returns its time by the device's clock; zero without one.
    fn submit_timed(&self, recorder: &mut Recorder) -> Duration {
        let Some(clock) = &self.clock else {
            self.submit_recorded(recorder);
            return Duration::ZERO;
        };
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.encode(recorder, &mut encoder, Some(&clock.queries));
        let read = self.readback_buffer(TIMESTAMPS);
        encoder.resolve_query_set(&clock.queries, 0..2, &clock.resolved, 0);
        encoder.copy_buffer_to_buffer(&clock.resolved, 0, &read, 0, TIMESTAMPS);
        let readback = self.map(read, TIMESTAMPS, self.queue.submit([encoder.finish()]));
        let times = self.wait(readback, |bytes| {
            [0, 8].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")))
        });
        let ticks = times.map_or(0, |[begin, end]| end.saturating_sub(begin));
        Duration::from_nanos((ticks as f64 * f64::from(self.queue.get_timestamp_period())) as u64)
    }

    /// Submits what is recorded.
    pub(crate) fn submit(&self) {
        self.submit_recorded(&mut lock(&self.recorder));
    }

    fn submit_recorded(&self, recorder: &mut Recorder) {
        if recorder.dispatches.is_empty() {
            return;
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.encode(recorder, &mut encoder, None);
        self.queue.submit([encoder.finish()]);
        lock(&self.counters).submissions += 1;
    }

    /// Moves what is recorded into an encoder, which has to be submitted next, with timestamps before and after it in the first
    /// two of `queries`.
    fn encode(
        &self,
        recorder: &mut Recorder,
        encoder: &mut wgpu::CommandEncoder,
        queries: Option<&wgpu::QuerySet>,
    ) {
        self.queue.write_buffer(&self.parameters, 0, &recorder.parameters);
        let timestamp_writes = queries.map(|query_set| wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes,
        });
        for recorded in recorder.dispatches.drain(..) {
            pass.set_pipeline(&recorded.kernel.pipeline);
            pass.set_bind_group(0, &recorded.bindings, &[recorded.offset]);
            let [x, y, z] = recorded.groups;
            pass.dispatch_workgroups(x, y, z);
        }
        recorder.parameters.clear();
        recorder.work = 0;
    }

    /// Submits what is recorded, then begins to read the first `bytes` bytes, a multiple of 4, of a buffer.
    pub(crate) fn start_read(&self, from: &Pooled, bytes: u64) -> Readback {
        let buffer = self.readback_buffer(bytes);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut recorder = lock(&self.recorder);
        if !recorder.dispatches.is_empty() {
            self.encode(&mut recorder, &mut encoder, None);
        }
        encoder.copy_buffer_to_buffer(from.buffer(), 0, &buffer, 0, bytes);
        let submission = self.queue.submit([encoder.finish()]);
        drop(recorder);
        lock(&self.counters).submissions += 1;
        self.map(buffer, bytes, submission)
    }

    /// Begins to map the first `bytes` bytes of a buffer that a submission writes.
    fn map(&self, buffer: wgpu::Buffer, bytes: u64, submission: wgpu::SubmissionIndex) -> Readback {
        let (sender, mapped) = channel();
        buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
            // Nobody waits any more where the receiver is gone.
            let _ = sender.send(result);
        });
        Readback {
            buffer,
            bytes,
            submission,
            mapped,
        }
    }

    /// Waits for bytes that are being read, and returns what `take` makes of them.
    ///
    /// # Errors
    /// Where the device failed.
    pub(crate) fn finish_read<T>(&self, read: Readback, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let fault = self.faults.of_next_read();
        match fault {
            Some(Fault::Memory) => return Err(BackendError::OutOfMemory("a test's fault".to_owned())),
            Some(Fault::Lost) => {
                self.device.destroy();
                self.lose("a test's fault");
            }
            Some(Fault::Bytes(_)) | None => {}
        }
        self.wait(read, |view| match fault {
            Some(Fault::Bytes(byte)) => take(&vec![byte; view.len()]),
            _ => take(view),
        })
    }

    /// Waits for bytes that are being read, and returns what `take` makes of them.
    fn wait<T>(&self, read: Readback, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let timeout = (self.info.kind != AdapterKind::Software).then_some(TIMEOUT);
        let waited = self.device.poll(wgpu::PollType::Wait {
            submission_index: Some(read.submission),
            timeout,
        });
        match waited {
            Err(wgpu::PollError::Timeout) => {
                self.lose(&format!("no answer for {} seconds", TIMEOUT.as_secs()))
            }
            Err(error) => self.lose(&error.to_string()),
            Ok(_) => {}
        }
        self.check()?;
        // Another thread's poll may be the one that runs the callback.
        match read.mapped.recv_timeout(TIMEOUT) {
            Ok(Ok(())) => {}
            _ => return Err(BackendError::DeviceLost("a buffer could not be read".to_owned())),
        }
        let view = read.buffer.get_mapped_range(0..read.bytes);
        let view = view.map_err(|error| BackendError::Failed(error.to_string()))?;
        let taken = take(&view);
        drop(view);
        read.buffer.unmap();
        lock(&self.readback).push(read.buffer);
        Ok(taken)
    }

    /// Returns a buffer that the processor can read; up to 8 idle ones are kept.
    fn readback_buffer(&self, bytes: u64) -> wgpu::Buffer {
        let mut idle = lock(&self.readback);
        let fits = |buffer: &wgpu::Buffer| (bytes..=bytes * 2).contains(&buffer.size());
        if let Some(found) = idle.iter().position(fits) {
            return idle.swap_remove(found);
        }
        if idle.len() >= 8 {
            idle.remove(0);
        }
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    /// Returns the kernel of a source text with `inputs` input buffers, compiled at its first use.
    fn kernel(&self, source: &str, inputs: usize) -> Arc<Kernel> {
        if let Some(kernel) = lock(&self.kernels).get(source) {
            return Arc::clone(kernel);
        }
        let kernel = Arc::new(self.compile(source, inputs));
        lock(&self.kernels)
            .entry(source.to_owned())
            .or_insert(kernel)
            .clone()
    }

    /// Compiles a kernel: parameters at binding 0, the output at 1, `inputs` inputs from 2 on.
    fn compile(&self, source: &str, inputs: usize) -> Kernel {
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(source.into()),
        };
        // SAFETY: all kernels are this crate's. They clamp every position to the tensor that they read or return where it
        // lies outside, buffers are at least as large as their tensors, and all loops end.
        let module = unsafe {
            self.device
                .create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
        };
        let entry = |binding: usize, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset,
                min_binding_size: None,
            },
            count: None,
        };
        let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
        let mut entries = vec![
            entry(0, wgpu::BufferBindingType::Uniform, true),
            entry(1, storage(false), false),
        ];
        entries.extend((0..inputs).map(|i| entry(2 + i, storage(true), false)));
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: None,
                entries: &entries,
            });
        let pipeline_layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: self.kernel_cache.as_ref().map(KernelCache::driver_cache),
            });
        Kernel { pipeline, layout }
    }

    /// Saves the compiled kernels, if there is a store for them.
    pub(crate) fn save_kernels(&self) {
        if let Some(cache) = &self.kernel_cache {
            cache.save(lock(&self.kernels).len());
        }
    }

    /// Returns the source of every kernel that was compiled.
    pub(crate) fn sources(&self) -> Vec<String> {
        lock(&self.kernels).keys().cloned().collect()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.check().is_ok() {
            self.save_kernels();
        }
    }
}

/// Makes the clock of a device that has timestamps.
fn clock(device: &wgpu::Device) -> Option<Clock> {
    let has_timestamps = device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
    has_timestamps.then(|| Clock {
        queries: device.create_query_set(&wgpu::QuerySetDescriptor {
            label: None,
            ty: wgpu::QueryType::Timestamp,
            count: 2,
        }),
        resolved: device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: TIMESTAMPS,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        }),
    })
}

/// Registers callbacks that store the first failure of a device.
fn watch(device: &wgpu::Device) -> Arc<Mutex<Option<BackendError>>> {
    let failure = Arc::new(Mutex::new(None));
    let record = |to: &Mutex<Option<BackendError>>, error| {
        lock(to).get_or_insert(error);
    };
    let to = Arc::clone(&failure);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let error = match error {
            wgpu::Error::OutOfMemory { source } => BackendError::OutOfMemory(source.to_string()),
            other => {
                let text = other.to_string();
                let line: Vec<_> = text.split_whitespace().collect();
                BackendError::Failed(format!("the GPU interface refused a command: {}", line.join(" ")))
            }
        };
        record(&to, error);
    }));
    let to = Arc::clone(&failure);
    device.set_device_lost_callback(move |reason, message| {
        // Destroying is what dropping does.
        if reason != wgpu::DeviceLostReason::Destroyed {
            record(&to, BackendError::DeviceLost(message));
        }
    });
    failure
}
