//! Device selection: lists the devices of this machine and loads a model onto one as a [`Runner`]. The only module of this
//! crate that depends on an engine.

#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "gpu")]
mod kernel_files;
#[cfg(feature = "gpu")]
mod self_test;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rife_cpu::{ConvRun, CpuBackend, Engine, EngineOptions, Tier};
#[cfg(feature = "gpu")]
pub use rife_gpu::{AdapterInfo, AdapterKind};
use rife_nets::{Model, Version, Weights};

use crate::choice::NamedChoice;
use crate::model_choice::find_weights;
#[cfg(feature = "gpu")]
use crate::runner::guarded::GuardedRunner;
#[cfg(feature = "gpu")]
use crate::runner::several::SeveralRunner;
use crate::runner::{Convolution, Device as DeviceState, Memory, ModelRunner, Runner};
use crate::{Error, InterpolatorSpec, Result};

/// A device that computes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU: its index in `rife devices`, or a part of its name; the empty text selects the first discrete GPU, else the
    /// first integrated one, never a software adapter.
    Gpu(String),
    /// The GPU that `Gpu` selects and all others of the same name, interface and driver, which compute the same values; pairs of
    /// frames are dealt to them in turn. The text is a part of the name, or empty.
    All(String),
    /// The GPU that `Gpu("")` selects, if it passes its self-test; otherwise the processor.
    Auto,
}

impl Device {
    /// Lists the texts that [`Device::from_str`] accepts in this build, for people.
    pub fn accepted() -> &'static str {
        if cfg!(feature = "gpu") {
            "cpu, gpu, gpu:NAME, gpu:INDEX, all, all:NAME, auto"
        } else {
            "cpu, auto (this build has no GPU support)"
        }
    }

    /// Lists the devices of this machine with a description for people: the processor, [`Device::Auto`] if it can be a GPU, and
    /// the GPUs, software adapters included. The first call loads the drivers, which takes 10 to 500 ms; later calls return the
    /// same list. On Linux no driver is loaded where no GPU has a device file and the environment names no Vulkan driver.
    pub fn available() -> Vec<(Self, String)> {
        #[cfg(feature = "gpu")]
        let gpus = gpu::available();
        #[cfg(not(feature = "gpu"))]
        let gpus = Vec::new();
        let processor = (Self::Cpu, "the processor".to_owned());
        [processor].into_iter().chain(gpus).collect()
    }

    /// Checks that this machine has the device, without opening it.
    ///
    /// # Errors
    /// [`Error::Device`] for a GPU that does not exist; it lists those that do.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Cpu | Self::Auto => Ok(()),
            #[cfg(feature = "gpu")]
            Self::Gpu(which) | Self::All(which) => gpu::find(which).map(|_| ()),
            #[cfg(not(feature = "gpu"))]
            Self::Gpu(_) | Self::All(_) => Err(no_gpu_support()),
        }
    }
}

impl fmt::Display for Device {
    /// Writes the text that [`Device::from_str`] accepts, such as `cpu` or `gpu:0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Auto => f.write_str("auto"),
            Self::Gpu(which) if which.is_empty() => f.write_str("gpu"),
            Self::Gpu(which) => write!(f, "gpu:{which}"),
            Self::All(which) if which.is_empty() => f.write_str("all"),
            Self::All(which) => write!(f, "all:{which}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    /// Parses a device; the error lists what is accepted. Whether such a GPU exists is checked when it is started.
    fn from_str(text: &str) -> Result<Self> {
        let (kind, which) = text
            .split_once(':')
            .map_or((text, None), |(kind, which)| (kind, Some(which)));
        match (kind, which) {
            ("cpu", None) => Ok(Self::Cpu),
            ("auto", None) => Ok(Self::Auto),
            ("gpu", None) if cfg!(feature = "gpu") => Ok(Self::Gpu(String::new())),
            ("all", None) if cfg!(feature = "gpu") => Ok(Self::All(String::new())),
            ("all", Some(which)) if cfg!(feature = "gpu") && !which.is_empty() => {
                Ok(Self::All(which.to_owned()))
            }
            ("gpu", Some(which)) if cfg!(feature = "gpu") && !which.is_empty() => {
                Ok(Self::Gpu(which.to_owned()))
            }
            _ => Err(Error::Usage(format!(
                "no device {text:?}; accepted are: {}",
                Self::accepted()
            ))),
        }
    }
}

/// Lists the GPUs of this machine, including software adapters. Loads the drivers, which takes 10 to 500 ms.
#[cfg(feature = "gpu")]
pub fn adapters() -> Vec<AdapterInfo> {
    gpu::adapters()
}

/// Number format of the network's convolutions: of the multiplications of wide ones on the processor, of memory on GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 8-bit integers: faster in large networks, slightly less exact. Needs AVX-512 VNNI.
    Int8,
    /// 16-bit floating point in memory, on GPUs only: half the memory, slightly less exact. Sums, motion and coordinates are
    /// 32-bit.
    F16,
    /// On the processor [`Precision::Int8`] if it has AVX-512 VNNI (it was never slower); on a GPU [`Precision::F16`] if its
    /// driver has it; else [`Precision::F32`].
    Auto,
}

impl Precision {
    /// Lists the formats that this machine supports.
    pub fn available() -> Vec<Self> {
        let int8 = Tier::detect().is_ok_and(Engine::has_int8);
        let f16 = Device::available()
            .iter()
            .any(|(device, _)| matches!(device, Device::Gpu(_)));
        let all = [
            Some(Self::F32),
            int8.then_some(Self::Int8),
            f16.then_some(Self::F16),
            Some(Self::Auto),
        ];
        all.into_iter().flatten().collect()
    }

    /// Returns the name of the format: `f32`, `int8`, `f16` or `auto`.
    pub fn name(self) -> &'static str {
        self.option_name()
    }

    /// Chooses the CPU engine's precision for an instruction set.
    fn resolve(self, tier: Tier) -> rife_cpu::Precision {
        // The scalar kernels have int8 too, but are slow.
        let fast = tier != Tier::Scalar && Engine::has_int8(tier);
        match self {
            Self::Int8 => rife_cpu::Precision::Int8,
            Self::Auto if fast => rife_cpu::Precision::Int8,
            Self::F32 | Self::F16 | Self::Auto => rife_cpu::Precision::F32,
        }
    }
}

/// Settings with which a device runs a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// `cpu`, or a GPU's name, interface and driver.
    pub device: String,
    /// The processor's instruction set in use, such as `avx2`; `gpu` on a GPU.
    pub tier: String,
    /// Number format of the wide convolutions, such as `f32`.
    pub precision: String,
    /// Number of threads of the processor.
    pub threads: usize,
    /// Number of GPUs of this name that compute; 1 on the processor.
    pub devices: usize,
    /// Reason why [`Device::Auto`] rejected a GPU of this machine.
    pub gpu_rejected: Option<String>,
}

impl EngineInfo {
    /// Returns what the values of frames depend on: a job can be resumed on an engine with the same text only.
    pub(crate) fn fingerprint(&self) -> String {
        match self.device.as_str() {
            CPU => format!("{} {}", self.tier, self.precision),
            device => format!("{device} {}", self.precision),
        }
    }
}

impl fmt::Display for EngineInfo {
    /// Writes one line for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.device.as_str() {
            CPU => {
                let threads = rife_media::counted(self.threads as u64, "thread");
                write!(f, "cpu ({}, {}, {threads})", self.tier, self.precision)?;
                self.gpu_rejected
                    .as_ref()
                    .map_or(Ok(()), |why| write!(f, "; the GPU was rejected: {why}"))
            }
            device if self.devices > 1 => write!(f, "{} gpus ({device}, {})", self.devices, self.precision),
            device => write!(f, "gpu ({device}, {})", self.precision),
        }
    }
}

/// [`EngineInfo::device`] of the processor.
const CPU: &str = "cpu";

/// Returns the side in pixels of the square frames on which a GPU is tested when it is started.
pub(crate) const fn self_test_side() -> usize {
    128
}

/// A model that was loaded onto a device.
pub(crate) struct Started {
    pub(crate) runner: Arc<dyn Runner>,
    /// Origin of the weights, for people: a path, `built in` or `random weights`.
    pub(crate) origin: String,
}

/// Loads the model of `spec` onto its device.
pub(crate) fn start(spec: &InterpolatorSpec) -> Result<Started> {
    let (loaded, origin) = find_weights(&spec.model)?;
    let version = match spec.version.or(spec.model.version()) {
        Some(version) => version,
        None => Version::of_checkpoint(&loaded)?,
    };
    let weights = &loaded.weights;
    let runner = match &spec.device {
        Device::Cpu if spec.precision == Precision::F16 => {
            let text = "f16 is a precision of GPUs; the processor computes in f32 or int8";
            return Err(Error::Usage(text.to_owned()));
        }
        Device::Cpu => start_cpu(spec, weights, version, None)?,
        Device::Gpu(which) => start_gpu(which, spec, weights, version)?,
        Device::All(which) => start_all(which, spec, weights, version)?,
        Device::Auto => start_auto(spec, weights, version)?,
    };
    let info = runner.info();
    tracing::debug!(
        device = info.device,
        precision = info.precision,
        threads = info.threads,
        network = version.name(),
        weights = origin,
        "model loaded"
    );
    Ok(Started { runner, origin })
}

fn start_cpu(
    spec: &InterpolatorSpec,
    weights: &Weights,
    version: Version,
    gpu_rejected: Option<String>,
) -> Result<Arc<dyn Runner>> {
    let backend = open_cpu(spec)?;
    let engine = backend.engine();
    let info = EngineInfo {
        device: CPU.to_owned(),
        tier: engine.tier().name().to_owned(),
        precision: engine.precision().name().to_owned(),
        threads: engine.thread_count(),
        devices: 1,
        gpu_rejected,
    };
    let model = Model::from_weights(backend, weights, Some(version))?;
    Ok(Arc::new(ModelRunner::new(model, info)))
}

fn open_cpu(spec: &InterpolatorSpec) -> Result<CpuBackend> {
    let failed = |error: rife_cpu::TierError| Error::Usage(error.to_string());
    let tier = Tier::detect().map_err(failed)?;
    let options = EngineOptions {
        threads: spec.threads,
        tier: Some(tier),
        precision: spec.precision.resolve(tier),
    };
    let backend = CpuBackend::new(options).map_err(failed)?;
    backend.engine().stop_on(spec.cancel.flag());
    Ok(backend)
}

/// Loads a model onto a GPU that passes its self-test, software adapters excepted; without one, onto the processor.
fn start_auto(spec: &InterpolatorSpec, weights: &Weights, version: Version) -> Result<Arc<dyn Runner>> {
    #[cfg(feature = "gpu")]
    let gpu_rejected = match gpu::has_hardware() {
        false => None,
        true => match start_gpu("", spec, weights, version) {
            Ok(runner) => return Ok(runner),
            Err(error) => Some(error.to_string()),
        },
    };
    #[cfg(not(feature = "gpu"))]
    let gpu_rejected = None;
    start_cpu(spec, weights, version, gpu_rejected)
}

#[cfg(feature = "gpu")]
fn start_gpu(
    which: &str,
    spec: &InterpolatorSpec,
    weights: &Weights,
    version: Version,
) -> Result<Arc<dyn Runner>> {
    let adapter = gpu::find(which)?;
    let processor = start_cpu(spec, weights, version, None)?;
    start_adapter(&adapter, spec, weights, version, &processor)
}

/// Loads a model onto all adapters that are like the chosen one.
#[cfg(feature = "gpu")]
fn start_all(
    which: &str,
    spec: &InterpolatorSpec,
    weights: &Weights,
    version: Version,
) -> Result<Arc<dyn Runner>> {
    let adapters = gpu::find_all(which)?;
    let processor = start_cpu(spec, weights, version, None)?;
    let start = |adapter| start_adapter(adapter, spec, weights, version, &processor);
    let mut runners = adapters.iter().map(start).collect::<Result<Vec<_>>>()?;
    Ok(match runners.len() {
        1 => runners.remove(0),
        _ => Arc::new(SeveralRunner::new(runners)),
    })
}

/// Loads a model onto an adapter, and tests it against the processor.
#[cfg(feature = "gpu")]
fn start_adapter(
    adapter: &rife_gpu::Adapter,
    spec: &InterpolatorSpec,
    weights: &Weights,
    version: Version,
    processor: &Arc<dyn Runner>,
) -> Result<Arc<dyn Runner>> {
    if spec.precision == Precision::Int8 {
        let text = "int8 is a precision of the processor; a GPU computes in f32 or f16";
        return Err(Error::Usage(text.to_owned()));
    }
    let runner = open_gpu(adapter, spec.precision, weights, version)?;
    let device: Arc<dyn Runner> = runner.clone();
    self_test::run(&device, processor, &spec.network_options())?;
    runner.backend().save_kernels();
    let guarded = GuardedRunner::new(device, processor.clone());
    if runner.info().precision == Precision::F32.name() {
        return Ok(Arc::new(guarded));
    }
    let (adapter, weights) = (adapter.clone(), weights.clone());
    let open_exact =
        move || -> Result<Arc<dyn Runner>> { Ok(open_gpu(&adapter, Precision::F32, &weights, version)?) };
    Ok(Arc::new(guarded.with_exact(Box::new(open_exact))))
}

/// Loads a model onto an adapter.
#[cfg(feature = "gpu")]
fn open_gpu(
    adapter: &rife_gpu::Adapter,
    precision: Precision,
    weights: &Weights,
    version: Version,
) -> Result<Arc<ModelRunner<rife_gpu::GpuBackend>>> {
    let (backend, info) = gpu::open(adapter, precision)?;
    let model = Model::from_weights(backend, weights, Some(version))?;
    Ok(Arc::new(ModelRunner::new(model, info)))
}

#[cfg(not(feature = "gpu"))]
fn start_gpu(_: &str, _: &InterpolatorSpec, _: &Weights, _: Version) -> Result<Arc<dyn Runner>> {
    Err(no_gpu_support())
}

#[cfg(not(feature = "gpu"))]
fn start_all(_: &str, _: &InterpolatorSpec, _: &Weights, _: Version) -> Result<Arc<dyn Runner>> {
    Err(no_gpu_support())
}

#[cfg(not(feature = "gpu"))]
fn no_gpu_support() -> Error {
    Error::Usage("this build has no GPU support".to_owned())
}

impl DeviceState for CpuBackend {
    fn memory(&self) -> Memory {
        let engine = self.engine();
        Memory {
            held: engine.memory_held() as u64,
            peak: engine.memory_bound() as u64,
        }
    }

    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        let ((), runs) = self.engine().logged(work);
        runs.into_iter().map(Convolution::from).collect()
    }
}

impl From<ConvRun> for Convolution {
    fn from(run: ConvRun) -> Self {
        Self {
            kind: run.kind,
            input: run.input,
            output: run.output,
            kernel: run.kernel,
            macs: run.macs,
            time: run.time,
        }
    }
}
