//! Device selection: lists the devices of this machine and loads a model onto one as a [`Runner`]. The only module of this
//! crate that depends on an engine.

use std::str::FromStr;
use std::sync::Arc;

use rife_cpu::{ConvRun, CpuBackend, Engine, EngineOptions, Tier};
use rife_nets::{Model, Version};

use crate::choice::NamedChoice;
use crate::model_choice::find_weights;
use crate::runner::{Convolution, Device as DeviceState, Memory, ModelRunner, Runner};
use crate::{Error, InterpolatorSpec, Result};

/// A device that computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
}

impl Device {
    /// Lists the devices of this machine, the default first.
    pub fn available() -> Vec<Self> {
        vec![Self::Cpu]
    }

    /// Returns the name that [`Device::from_str`] accepts, such as `cpu`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    /// Parses a device's name; the error lists the available devices.
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::available().into_iter().find(|device| device.name() == text);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::available().into_iter().map(Self::name).collect();
            Error::Usage(format!("no device {text:?}; there is: {}", names.join(", ")))
        })
    }
}

/// Number format of the multiplications in the network's wide convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 8-bit integers: faster in large networks, slightly less exact. Needs AVX-512 VNNI.
    Int8,
    /// [`Precision::Int8`] if the processor has AVX-512 VNNI (it was never slower), else [`Precision::F32`].
    Auto,
}

impl Precision {
    /// Lists the formats that this machine supports.
    pub fn available() -> Vec<Self> {
        let int8 = Tier::detect().is_ok_and(Engine::has_int8);
        let all = [Some(Self::F32), int8.then_some(Self::Int8), Some(Self::Auto)];
        all.into_iter().flatten().collect()
    }

    /// Returns the name of the format: `f32`, `int8` or `auto`.
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
            Self::F32 | Self::Auto => rife_cpu::Precision::F32,
        }
    }
}

/// Settings with which a device runs a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// The processor's instruction set in use, such as `avx2`.
    pub tier: String,
    /// Number format of the wide convolutions, such as `f32`.
    pub precision: String,
    /// Number of threads.
    pub threads: usize,
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
    let (backend, info) = match spec.device {
        Device::Cpu => start_cpu(spec)?,
    };
    let model = Model::from_weights(backend, &loaded.weights, Some(version))?;
    Ok(Started {
        runner: Arc::new(ModelRunner::new(model, info)),
        origin,
    })
}

/// Starts the CPU engine with the threads and precision of `spec`.
fn start_cpu(spec: &InterpolatorSpec) -> Result<(CpuBackend, EngineInfo)> {
    let failed = |error: rife_cpu::TierError| Error::Device(error.to_string());
    let tier = Tier::detect().map_err(failed)?;
    let options = EngineOptions {
        threads: spec.threads,
        tier: Some(tier),
        precision: spec.precision.resolve(tier),
    };
    let backend = CpuBackend::new(options).map_err(failed)?;
    backend.engine().stop_on(spec.cancel.flag());
    let info = EngineInfo {
        tier: tier.name().to_owned(),
        precision: backend.engine().precision().name().to_owned(),
        threads: backend.engine().thread_count(),
    };
    Ok((backend, info))
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
