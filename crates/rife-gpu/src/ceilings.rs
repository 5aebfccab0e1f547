//! Ceilings of a device: the rates that kernels are compared with.

use std::time::{Duration, Instant};

use rife_backend::Result;

use crate::GpuBackend;
use crate::engine::{Engine, Kernel};
use crate::memory::Pooled;

/// Rates of a device, as its wall-clock time shows them.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Ceilings {
    /// Bytes that a copy reads and writes in a second.
    pub copy: f64,
    /// Multiply-adds of f32 in a second.
    pub f32_macs: f64,
    /// Multiply-adds of f16 in a second; `None` on a device without f16.
    pub f16_macs: Option<f64>,
    /// Time of a kernel run in a long chain of tiny ones.
    pub dispatch: Duration,
    /// Time from a submission of a tiny kernel until its result is there.
    pub latency: Duration,
    /// Bytes uploaded in a second.
    pub upload: f64,
    /// Bytes downloaded in a second.
    pub download: f64,
}

const COPY: &str = "
@group(0) @binding(0) var<uniform> p: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> input: array<vec4<f32>>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = (group.y * p.y + group.x) * 256u + local;
    if (i < p.x) {
        result[i] = input[i];
    }
}
";

/// Multiply-adds of independent chains in registers.
const MULTIPLY: &str = "
@group(0) @binding(0) var<uniform> p: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> input: array<vec4<f32>>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let by = NUMBER(input[id.x % 16u]);
    var a = by;
    var b = by * by;
    var c = a + b;
    var d = b + c;
    for (var i = 0u; i < p.x; i++) {
        a = fma(a, by, c);
        b = fma(b, by, d);
        c = fma(c, by, a);
        d = fma(d, by, b);
    }
    result[id.x] = vec4<f32>(a + b + c + d);
}
";

/// Threads of a workgroup of these kernels.
const GROUP: usize = 256;
/// Workgroups along x of the copy.
const COLUMNS: usize = 1024;

impl GpuBackend {
    /// Measures the device's ceilings by some milliseconds of work each. `megabytes` is the size of what is copied and
    /// transferred, and `macs` the number of multiply-adds of a run.
    ///
    /// # Errors
    /// Where memory is lacking, or the device is lost.
    pub fn ceilings(&self, megabytes: usize, macs: u64) -> Result<Ceilings> {
        let engine = self.engine();
        let bytes = megabytes << 20;
        let values = vec![0.5f32; bytes / 4];
        let (source, upload) =
            best(|| finished(engine, engine.device.upload(bytemuck::cast_slice(&values))?))?;
        let copied = |input: &Pooled| copy(engine, input, bytes);
        let (target, copy_time) = best(|| finished(engine, copied(&source)?))?;
        let (_, download) = best(|| {
            let read = engine.device.start_read(&target, bytes as u64);
            engine.device.finish_read(read, |bytes| bytes[0])
        })?;
        let (_, latency) = best(|| finished(engine, copy(engine, &source, 4096)?))?;
        let (_, chain) = best(|| {
            let mut last = copy(engine, &source, 4096)?;
            for _ in 0..CHAIN {
                last = copy(engine, &last, 4096)?;
            }
            finished(engine, last)
        })?;
        let f32_macs = multiply(engine, &source, macs, "vec4<f32>")?;
        let f16_macs = match engine.info().f16 {
            true => Some(multiply(engine, &source, macs, "vec4<f16>")?),
            false => None,
        };
        let rate = |bytes: usize, time: Duration| bytes as f64 / time.as_secs_f64();
        Ok(Ceilings {
            copy: rate(2 * bytes, copy_time),
            f32_macs,
            f16_macs,
            dispatch: chain.saturating_sub(latency) / CHAIN,
            latency,
            upload: rate(bytes, upload),
            download: rate(bytes, download),
        })
    }
}

/// Length of the chain of tiny kernels.
const CHAIN: u32 = 1000;

/// Returns the last result of a few runs and the least time of one; the first run, which compiles, is not timed.
fn best<T>(run: impl Fn() -> Result<T>) -> Result<(T, Duration)> {
    let mut last = run()?;
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        last = run()?;
        least = least.min(start.elapsed());
    }
    Ok((last, least))
}

/// Waits until a buffer is computed.
fn finished(engine: &Engine, buffer: Pooled) -> Result<Pooled> {
    let read = engine.device.start_read(&buffer, 4);
    engine.device.finish_read(read, |_| ())?;
    Ok(buffer)
}

/// Records a copy of the first bytes of a buffer.
fn copy(engine: &Engine, input: &Pooled, bytes: usize) -> Result<Pooled> {
    let groups = (bytes / 16).div_ceil(GROUP);
    engine.run_to(
        bytes,
        &Kernel {
            name: format_args!("copy of {bytes} bytes"),
            source: COPY,
            inputs: &[input],
            parameters: &[(bytes / 16) as u32, COLUMNS as u32, 0, 0],
            groups: [COLUMNS.min(groups), groups.div_ceil(COLUMNS), 1],
            work: 0,
            bytes_read: bytes as u64,
        },
    )
}

/// Returns the multiply-adds in a second of a type of four numbers.
fn multiply(engine: &Engine, input: &Pooled, macs: u64, number: &str) -> Result<f64> {
    let enable = if number.contains("f16") { "enable f16;" } else { "" };
    let source = format!("{enable}{}", MULTIPLY.replace("NUMBER", number));
    let threads = GROUP * 1024;
    // Four chains of four numbers.
    let rounds = (macs / (16 * threads as u64)).max(1) as u32;
    let run = || {
        let kernel = Kernel {
            name: format_args!("multiply-adds of {number}"),
            source: &source,
            inputs: &[input],
            parameters: &[rounds, 0, 0, 0],
            groups: [threads / GROUP, 1, 1],
            work: macs,
            bytes_read: 256,
        };
        finished(engine, engine.run_to(threads * 16, &kernel)?)
    };
    let (_, time) = best(run)?;
    Ok(16.0 * f64::from(rounds) * threads as f64 / time.as_secs_f64())
}
