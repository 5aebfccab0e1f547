//! The one place that says which engine runs the networks, and where their weights come from.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use rife_cpu::{EngineOptions, Tier};
use rife_nets::checkpoint::{self, Format, LoadedCheckpoint};
use rife_nets::{Model, Version, deterministic};

use crate::models::{installed, models_folder};
use crate::{Error, InterpolatorSpec, Result};

/// The engine that the networks run on.
pub(crate) type Engine = rife_nets::CpuBackend;

/// A tensor of the engine.
pub(crate) type Tensor = <Engine as rife_nets::Backend>::Tensor;

/// Which device computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
}

impl FromStr for Device {
    type Err = Error;

    /// Takes `cpu`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "cpu" => Ok(Self::Cpu),
            other => Err(Error::Usage(format!("no device {other:?}; there is: cpu"))),
        }
    }
}

/// Which weights to use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModelChoice {
    /// The network that comes with the program.
    #[default]
    Default,
    /// A weights file or ncnn folder, or the name of a pulled model (see [`crate::models`]).
    Named(String),
    /// Weights made by a rule, for measuring time: what such a network shows is noise.
    Random(Version),
}

impl ModelChoice {
    /// The version that the choice itself says.
    pub(crate) fn version(&self) -> Option<Version> {
        match self {
            Self::Random(version) => Some(*version),
            Self::Default | Self::Named(_) => None,
        }
    }
}

/// What the network's wide convolutions multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// Eight-bit integers: faster in large networks, a little less exact. Needs AVX-512 VNNI.
    Int8,
    /// [`Precision::Int8`] where the processor has it, which was never slower, else [`Precision::F32`].
    Auto,
}

impl Precision {
    /// Those that this machine can compute with.
    pub fn available() -> Vec<Self> {
        let int8 = Tier::detect().is_ok_and(rife_cpu::Engine::has_int8);
        let all = [Some(Self::F32), int8.then_some(Self::Int8), Some(Self::Auto)];
        all.into_iter().flatten().collect()
    }

    /// `f32`, `int8` or `auto`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
            Self::Auto => "auto",
        }
    }

    fn resolve(self, tier: Tier) -> rife_cpu::Precision {
        // Plain Rust has it too, but slowly.
        let fast = tier != Tier::Scalar && rife_cpu::Engine::has_int8(tier);
        match self {
            Self::Int8 => rife_cpu::Precision::Int8,
            Self::Auto if fast => rife_cpu::Precision::Int8,
            Self::F32 | Self::Auto => rife_cpu::Precision::F32,
        }
    }
}

/// How the engine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// The processor's tier in use, such as `avx2`.
    pub tier: String,
    /// The numbers it computes with, such as `f32`.
    pub precision: String,
    /// Threads.
    pub threads: usize,
}

/// What an engine was started with.
pub(crate) struct Started {
    pub(crate) model: Model<Engine>,
    pub(crate) engine: EngineInfo,
    /// Where the weights came from.
    pub(crate) origin: String,
}

/// Loads a model onto an engine that is started for it.
pub(crate) fn start(spec: &InterpolatorSpec) -> Result<Started> {
    let Device::Cpu = spec.device;
    let (loaded, origin) = find_weights(&spec.model)?;
    let version = spec.version.or(spec.model.version());
    let tier = Tier::detect()?;
    let backend = Engine::new(EngineOptions {
        threads: spec.threads,
        tier: Some(tier),
        precision: spec.precision.resolve(tier),
    })?;
    backend.engine().stop_on(spec.cancel.flag());
    let engine = EngineInfo {
        tier: tier.name().to_owned(),
        precision: backend.engine().precision().name().to_owned(),
        threads: backend.engine().thread_count(),
    };
    Ok(Started {
        model: Model::from_weights(backend, &loaded.weights, version)?,
        engine,
        origin,
    })
}

/// The weights that are chosen, and where they came from.
pub(crate) fn find_weights(choice: &ModelChoice) -> Result<(LoadedCheckpoint, String)> {
    match choice {
        ModelChoice::Random(version) => {
            let loaded = LoadedCheckpoint {
                weights: deterministic::weights(*version),
                format: Format::Safetensors,
                metadata: BTreeMap::default(),
                notes: Vec::new(),
            };
            Ok((loaded, "random weights".to_owned()))
        }
        ModelChoice::Default => Ok((default_weights()?, "built in".to_owned())),
        ModelChoice::Named(name) => {
            let path = find(name)?;
            Ok((checkpoint::load(&path)?, path.display().to_string()))
        }
    }
}

fn default_weights() -> Result<LoadedCheckpoint> {
    let bytes = rife_nets::default_weights().ok_or_else(|| {
        Error::NoModel(
            "this build has no default network; choose one with --model, or --random-weights to time".into(),
        )
    })?;
    checkpoint::load_bytes(bytes)
        .map_err(|error| Error::NoModel(format!("the network built in cannot be read: {error}")))
}

/// A path where there is one, else a pulled model.
fn find(name: &str) -> Result<std::path::PathBuf> {
    let path = Path::new(name);
    if path.exists() {
        return Ok(path.to_owned());
    }
    if path.components().count() > 1 {
        return Err(Error::NoModel(format!("no model at {name}")));
    }
    installed(&models_folder()?, name)
}
