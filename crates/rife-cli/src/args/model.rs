//! The options that say what to interpolate with, shared by every command that runs a network.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use rife::nets::{Scale, Version};
use rife::{Device, InterpolatorSpec, ModelChoice, Precision, Result, TimestepMethod};

use crate::parse;

/// How frames at other times than the middle are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Directly where the network takes a timestep, else recursively
    Auto,
    /// Directly, each frame at its own time
    Direct,
    /// By middles of middles, as the original scripts do
    Recursive,
}

/// What wide convolutions multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PrecisionArg {
    F32,
    Int8,
    Auto,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// The network: `default`, a weights file or folder (.safetensors, .pkl, ncnn), or the name of a pulled model
    #[arg(long, default_value = "default", value_name = "default|PATH|NAME")]
    model: String,
    /// The network's version, where the file's tensors fit several (see `rife models list`)
    #[arg(long, value_name = "VERSION")]
    model_version: Option<Version>,
    /// Weights made by a rule, to measure time: what such a network shows is noise
    #[arg(long, conflicts_with = "model")]
    random_weights: bool,
    /// At which size motion is estimated: 0.25, 0.5 (for 4K), 1, 2 or 4 (for small pictures)
    #[arg(long, default_value = "1", value_name = "F")]
    scale: Scale,
    /// For pictures of 4K and more: `--scale 0.5`, unless a scale is given
    #[arg(long = "UHD", alias = "uhd")]
    uhd: bool,
    /// Threads to compute with [default: all processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// What computes: cpu
    #[arg(long, default_value = "cpu", value_parser = parse_device)]
    device: Device,
    /// What wide convolutions multiply: int8 is up to a fifth faster and hardly less exact, and needs a processor with
    /// AVX-512 VNNI; auto is int8 where that is there, f32 elsewhere
    #[arg(long, value_enum, default_value = "f32", value_name = "WHAT")]
    precision: PrecisionArg,
    /// Test-time augmentation: also for the pictures turned by 180 degrees; twice the time
    #[arg(long)]
    tta: bool,
    /// Look both ways in every block, in the versions that know it; about twice the time
    #[arg(long)]
    ensemble: bool,
    /// How frames at other times than the middle are made
    #[arg(long, value_enum, default_value = "auto", value_name = "HOW")]
    timestep_method: Method,
    /// Recursion: a time is met when nearer than half of this
    #[arg(long, default_value_t = 0.02, value_name = "F")]
    rthreshold: f64,
    /// Recursion: most halvings
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    rmaxcycles: u32,
    /// The most memory that rife itself may take, such as 2G or 700M: large pictures are then made in tiles, which
    /// takes longer (ffmpeg's own memory comes on top)
    #[arg(long, value_name = "SIZE", value_parser = parse::bytes)]
    memory_limit: Option<u64>,
    /// Accepted for the original's sake: half precision is for GPUs, and ignored on the CPU
    #[arg(long)]
    pub(crate) fp16: bool,
}

fn parse_device(text: &str) -> Result<Device> {
    text.parse()
}

/// The file in the folders that the original's `--model` takes.
const CHECKPOINT: &str = "flownet.pkl";

impl ModelArgs {
    /// What the library is to interpolate with.
    pub(crate) fn spec(&self) -> InterpolatorSpec {
        let model = match self.model.as_str() {
            _ if self.random_weights => ModelChoice::Random(self.model_version.unwrap_or(Version::DEFAULT)),
            "default" => ModelChoice::Default,
            name => ModelChoice::Named(checkpoint_in(name)),
        };
        let mut spec = InterpolatorSpec::default();
        spec.model = model;
        spec.version = self.model_version;
        spec.scale = if self.uhd && self.scale == Scale::One {
            Scale::Half
        } else {
            self.scale
        };
        spec.tta = self.tta;
        spec.ensemble = self.ensemble;
        spec.threads = self.threads.map(usize::from);
        spec.device = self.device;
        spec.precision = match self.precision {
            PrecisionArg::F32 => Precision::F32,
            PrecisionArg::Int8 => Precision::Int8,
            PrecisionArg::Auto => Precision::Auto,
        };
        spec.method = match self.timestep_method {
            Method::Auto => TimestepMethod::Auto,
            Method::Direct => TimestepMethod::Direct,
            Method::Recursive => TimestepMethod::Recursive,
        };
        spec.bisection.threshold = self.rthreshold;
        spec.bisection.max_cycles = self.rmaxcycles;
        spec.memory_limit = self.memory_limit;
        spec
    }

    /// As [`ModelArgs::spec`], by middles of middles.
    pub(crate) fn recursive_spec(&self) -> InterpolatorSpec {
        let mut spec = self.spec();
        spec.method = TimestepMethod::Recursive;
        spec
    }
}

/// A folder with one network in one file (`train_log`) stands for that file.
fn checkpoint_in(name: &str) -> String {
    let file: PathBuf = Path::new(name).join(CHECKPOINT);
    let others = ["contextnet.pkl", "unet.pkl"]
        .iter()
        .any(|other| Path::new(name).join(other).exists());
    match file.to_str() {
        Some(file) if Path::new(file).is_file() && !others => file.to_owned(),
        _ => name.to_owned(),
    }
}
