//! The GPU engine: tensors computed by kernels, and the operations of [`rife_backend::Backend`] that are more than a node of
//! an expression.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rife_backend::{Download, Result};

use crate::codegen::{self, GROUP, Generated};
use crate::device::{Device, Dispatch};
use crate::memory::Pooled;
use crate::tensor::{FIXED_BOUND, GpuTensor, Layout, Stored, bound};
use crate::{Adapter, AdapterInfo, GpuError, KernelStore};

/// Maximum number of statements of a generated kernel; parts of longer ones get kernels of their own, because drivers take
/// seconds to compile them.
const MAX_STATEMENTS: usize = 400;

/// A GPU engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) device: Arc<Device>,
    /// Layout of what convolutions read and write.
    pub(crate) features: Layout,
    /// Bytes of the largest tensor that a kernel wrote.
    largest: AtomicU64,
}

/// Number format in which the inputs and outputs of convolutions are stored. All sums, flows and coordinates are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16-bit floating point: half the memory, on adapters that have it ([`AdapterInfo::f16`]).
    F16,
}

/// How much a device computed since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Number of kernel runs.
    pub dispatches: u64,
    /// Bytes that kernel runs read and write, weights included. Of a tensor that a generated kernel reads in part, 32 bytes
    /// are counted for each load, the smallest transfer of common GPUs, and at most the whole tensor.
    pub bytes: u64,
    /// Number of batches of kernels that were submitted to the driver.
    pub submissions: u64,
    /// Number of kernels that were compiled.
    pub kernels: u64,
}

impl Engine {
    pub(crate) fn open(
        adapter: &Adapter,
        precision: Precision,
        counts_only: bool,
        store: Option<Arc<dyn KernelStore>>,
    ) -> std::result::Result<Self, GpuError> {
        let features = match precision {
            Precision::F32 => Layout::Quads,
            Precision::F16 if adapter.info().f16 => Layout::Halves,
            Precision::F16 => {
                let lacks = "its driver stores no 16-bit floating-point numbers".to_owned();
                return Err(GpuError::Unsuitable(adapter.info().name.clone(), lacks));
            }
        };
        Device::open(adapter, counts_only, store).map(|device| Self {
            device: Arc::new(device),
            features,
            largest: AtomicU64::new(0),
        })
    }

    pub(crate) fn info(&self) -> &AdapterInfo {
        &self.device.info
    }

    /// Returns a buffer for what a kernel writes.
    fn output(&self, bytes: usize) -> Result<Pooled> {
        self.largest.fetch_max(bytes as u64, Ordering::Relaxed);
        self.device.pool.take(bytes as u64)
    }

    /// Returns the bytes of the largest tensor that a kernel wrote, or should have written.
    pub(crate) fn largest_tensor(&self) -> u64 {
        self.largest.load(Ordering::Relaxed)
    }

    pub(crate) fn max_inputs(&self) -> usize {
        self.device.max_inputs()
    }

    pub(crate) fn work(&self) -> Work {
        let counters = self.device.counters();
        Work {
            dispatches: counters.dispatches,
            bytes: counters.bytes,
            submissions: counters.submissions,
            kernels: self.device.sources().len() as u64,
        }
    }

    /// Uploads planar values.
    pub(crate) fn upload(&self, shape: [usize; 3], data: &[f32]) -> Result<GpuTensor> {
        assert_eq!(
            data.len(),
            shape.iter().product::<usize>(),
            "values of shape {shape:?}"
        );
        let buffer = self.device.upload(bytemuck::cast_slice(data))?;
        let stored = Stored {
            buffer: Arc::new(buffer),
            layout: Layout::Planar,
        };
        Ok(GpuTensor::from_stored(shape, Ok(stored)))
    }

    /// Submits the computation of the upper left `[height, width]` of a tensor and starts its transfer to the host.
    ///
    /// # Errors
    /// Where memory is lacking, or the device is lost.
    pub(crate) fn start_download(&self, x: &GpuTensor, size: [usize; 2]) -> Result<Download> {
        let [channels, rows, columns] = x.shape();
        let [height, width] = size;
        assert!(
            height <= rows && width <= columns,
            "{width}x{height} of {columns}x{rows}"
        );
        let buffer = self.write(x, Layout::Planar, size)?;
        let read = self
            .device
            .start_read(&buffer, (channels * height * width * 4) as u64);
        let device = Arc::clone(&self.device);
        Ok(Download::new(move || {
            device.finish_read(read, bytemuck::pod_collect_to_vec)
        }))
    }

    /// Returns the values of a tensor in a buffer. Records the kernel that computes them in `layout`, unless they are stored
    /// already, in whichever layout.
    pub(crate) fn store(&self, x: &GpuTensor, layout: Layout) -> Result<Stored> {
        let compute = || {
            let buffer = self.write(x, layout, [x.shape()[1], x.shape()[2]])?;
            Ok(Stored {
                buffer: Arc::new(buffer),
                layout,
            })
        };
        x.0.stored.get_or_init(compute).clone()
    }

    /// Returns the smallest layout that stores a tensor without an error that counts: in f16, values that are known to lie
    /// between -1 and 1 are stored as fixed-point numbers.
    pub(crate) fn exact_layout(&self, x: &GpuTensor) -> Layout {
        match self.features {
            Layout::Halves if bound(x) <= FIXED_BOUND => Layout::Fixed,
            _ => Layout::Quads,
        }
    }

    /// Records the kernel that writes the upper left `[height, width]` of `x` to a new buffer.
    fn write(&self, x: &GpuTensor, layout: Layout, size: [usize; 2]) -> Result<Pooled> {
        self.plan(x, self.max_inputs());
        let kernel = self.generate(x, layout, size)?;
        let [height, width] = size;
        let bytes = layout.bytes([x.shape()[0], height, width]);
        let output = self.output(bytes)?;
        let inputs: Vec<_> = kernel.inputs.iter().map(|input| &*input.buffer).collect();
        let [channels, ..] = x.shape();
        self.device.dispatch(&Dispatch {
            name: format_args!("generated, {channels} channels of {width}x{height}"),
            source: &kernel.source,
            output: &output,
            inputs: &inputs,
            parameters: &kernel.parameters,
            groups: [
                width.div_ceil(GROUP[0]) as u32,
                height.div_ceil(GROUP[1]) as u32,
                1,
            ],
            work: (height * width * kernel.size) as u64,
            bytes: bytes as u64 + kernel.bytes_read(height * width),
        });
        Ok(output)
    }

    /// Generates the kernel of a tensor. While it is longer than [`MAX_STATEMENTS`], the operand that takes most statements
    /// gets a kernel of its own.
    fn generate(&self, x: &GpuTensor, layout: Layout, size: [usize; 2]) -> Result<Generated> {
        loop {
            let kernel = codegen::generate(x, layout, size)?;
            match &kernel.largest {
                Some(largest) if kernel.size > MAX_STATEMENTS && largest.id() != x.id() => {
                    self.store(largest, self.exact_layout(largest))?;
                }
                _ => return Ok(kernel),
            }
        }
    }

    /// Records a hand-written kernel that writes a tensor of `shape` in `layout`.
    pub(crate) fn run(&self, shape: [usize; 3], layout: Layout, kernel: &Kernel<'_>) -> Result<GpuTensor> {
        let stored = Stored {
            buffer: Arc::new(self.run_to(layout.bytes(shape), kernel)?),
            layout,
        };
        Ok(GpuTensor::from_stored(shape, Ok(stored)))
    }

    /// Records a hand-written kernel that writes `bytes` bytes to a new buffer.
    pub(crate) fn run_to(&self, bytes: usize, kernel: &Kernel<'_>) -> Result<Pooled> {
        let output = self.output(bytes)?;
        self.device.dispatch(&Dispatch {
            name: kernel.name,
            source: kernel.source,
            output: &output,
            inputs: kernel.inputs,
            parameters: kernel.parameters,
            groups: kernel.groups.map(|groups| groups as u32),
            work: kernel.work,
            bytes: bytes as u64 + kernel.bytes_read,
        });
        Ok(output)
    }

    /// Checks that the device is usable.
    ///
    /// # Errors
    /// The first failure that made it unusable.
    pub(crate) fn check(&self) -> Result<()> {
        self.device.check()
    }
}

/// A hand-written kernel and what it runs on.
#[derive(Debug)]
pub(crate) struct Kernel<'a> {
    /// What it computes, for people.
    pub(crate) name: fmt::Arguments<'a>,
    pub(crate) source: &'a str,
    pub(crate) inputs: &'a [&'a Pooled],
    /// A multiple of 4 words.
    pub(crate) parameters: &'a [u32],
    pub(crate) groups: [usize; 3],
    /// Operations, roughly multiply-adds.
    pub(crate) work: u64,
    /// Bytes that it reads.
    pub(crate) bytes_read: u64,
}
