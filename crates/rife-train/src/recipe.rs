//! Training recipe (TOML): network, samples, loss and optimizer. `tools/train_twin.py` reads the same file.

mod loss;
mod network;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn_tensor::FloatDType;
use rife_nets::{Scale, Version};
use serde::{Deserialize, Serialize};

use crate::loss::{Term, Terms};
pub use loss::{LossRecipe, TeacherRecipe};
pub use network::NetworkRecipe;

/// A training recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The network to train.
    pub network: NetworkRecipe,
    /// Cutting of clips into windows of frames.
    pub data: DataRecipe,
    /// Frequencies of the kinds of samples.
    pub sampling: Sampling,
    /// Weights of the loss terms.
    pub loss: LossRecipe,
    /// A larger trained network to be distilled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherRecipe>,
    /// Optimizer and schedule.
    pub optimizer: OptimizerRecipe,
}

/// The `[data]` table: cutting of clips into windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// Number of consecutive frames of a window, 5 to 64.
    #[serde(default = "default_window")]
    pub window: usize,
    /// Side of a window's frames in pixels, 32 to 4096.
    pub size: usize,
    /// Maximum number of windows per clip.
    #[serde(default = "default_windows_per_clip")]
    pub windows_per_clip: usize,
    /// Maximum number of frames read of a clip.
    #[serde(default = "default_most_frames")]
    pub most_frames: u64,
    /// Lengths of the shorter side in pixels to which clips are downscaled; smaller clips keep their size.
    #[serde(default = "default_short_sides")]
    pub short_sides: Vec<usize>,
    /// File stems of the clips used only for validation.
    #[serde(default)]
    pub held_out: Vec<String>,
    /// Seed of all random choices.
    pub seed: u64,
}

/// Returns the default of [`DataRecipe::window`].
fn default_window() -> usize {
    5
}

/// Returns the default of [`DataRecipe::windows_per_clip`].
fn default_windows_per_clip() -> usize {
    52
}

/// Returns the default of [`DataRecipe::most_frames`].
fn default_most_frames() -> u64 {
    300
}

/// Returns the default of [`DataRecipe::short_sides`], in pixels.
fn default_short_sides() -> Vec<usize> {
    vec![540, 360]
}

/// The `[sampling]` table: relative frequencies of the kinds of samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Frames i, i + 1, i + 2.
    #[serde(default)]
    pub adjacent: f64,
    /// Frames 0, 2, 4.
    #[serde(default)]
    pub wide: f64,
    /// Frames 0, 1 or 3, 4: t = 0.25 or 0.75.
    #[serde(default)]
    pub quarter: f64,
    /// Frames 0, one of 1 to 7, 8 (fewer if the window is shorter): t is a multiple of 1/8.
    #[serde(default)]
    pub eighth: f64,
    /// Any three frames in order, at most 32 intervals apart.
    #[serde(default)]
    pub any: f64,
    /// Synthetic motion of layers cut from the same frames.
    #[serde(default)]
    pub synthetic: f64,
    /// Fraction of all samples with static captions or logos over all frames, 0 to 1.
    #[serde(default)]
    pub overlay: f64,
    /// Fraction of all samples without motion, 0 to 1.
    #[serde(default)]
    pub still: f64,
}

impl Sampling {
    /// Returns the frequencies in the order of [`crate::data::Kind::ALL`].
    pub fn shares(&self) -> [f64; 6] {
        [
            self.adjacent,
            self.wide,
            self.quarter,
            self.eighth,
            self.any,
            self.synthetic,
        ]
    }
}

/// A phase of training with its crop and batch size; an array `[steps, crop, batch]` in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 3]", into = "[u64; 3]")]
pub struct Phase {
    /// Number of steps.
    pub steps: u64,
    /// Side of the crops in pixels.
    pub crop: usize,
    /// Samples per step.
    pub batch: usize,
}

impl From<[u64; 3]> for Phase {
    /// Makes a phase of the array `[steps, crop, batch]`.
    fn from([steps, crop, batch]: [u64; 3]) -> Self {
        Self {
            steps,
            crop: crop as usize,
            batch: batch as usize,
        }
    }
}

impl From<Phase> for [u64; 3] {
    /// Returns the array `[steps, crop, batch]`.
    fn from(phase: Phase) -> Self {
        [phase.steps, phase.crop as u64, phase.batch as u64]
    }
}

/// Element type in which convolutions are computed; all other operations use f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE single precision.
    #[default]
    F32,
    /// IEEE half precision, with loss scaling against underflow of the gradients.
    F16,
    /// bfloat16.
    Bf16,
}

impl Precision {
    /// Returns Burn's type for the 16-bit precisions; `None` for f32.
    pub fn half(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::F16 => Some(FloatDType::F16),
            Self::Bf16 => Some(FloatDType::BF16),
        }
    }

    /// Returns the factor by which the loss is multiplied before the backward pass (and gradients divided after it): a pixel's
    /// contribution to a mean underflows in f16.
    pub fn loss_scale(self) -> f32 {
        match self {
            Self::F32 | Self::Bf16 => 1.0,
            Self::F16 => 4096.0,
        }
    }
}

/// The `[optimizer]` table: AdamW with linear warm-up and cosine decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerRecipe {
    /// AdamW's weight decay.
    pub weight_decay: f64,
    /// AdamW's decays of the two moments.
    #[serde(default = "default_betas")]
    pub betas: [f64; 2],
    /// Maximum learning rate, after warm-up.
    pub learning_rate: f64,
    /// Learning rate at the last step.
    pub final_learning_rate: f64,
    /// Number of steps of linear warm-up.
    pub warmup: u64,
    /// Phases of training in order.
    pub stages: Vec<Phase>,
    /// Total number of steps, to which the phases are scaled in proportion; `None`: the sum of their steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Element type in which convolutions are computed.
    #[serde(default)]
    pub precision: Precision,
    /// Maximum L2 norm of the gradients; larger gradients are scaled down to it.
    pub clip_norm: f64,
    /// Decay of the exponential moving average of the weights; the averaged weights are the trained network.
    pub ema: f64,
}

/// Returns the default of [`OptimizerRecipe::betas`].
fn default_betas() -> [f64; 2] {
    [0.9, 0.99]
}

impl OptimizerRecipe {
    /// Returns the total number of steps.
    pub fn steps(&self) -> u64 {
        self.steps.unwrap_or(self.listed_steps())
    }

    /// Returns the sum of the phases' steps.
    fn listed_steps(&self) -> u64 {
        self.stages.iter().map(|phase| phase.steps).sum()
    }

    /// Returns the phase of a step counted from 0; the last phase for steps beyond the total.
    ///
    /// # Panics
    /// When there are no phases, which [`Recipe::parse`] refuses.
    pub fn phase(&self, step: u64) -> Phase {
        let (steps, listed) = (u128::from(self.steps().max(1)), u128::from(self.listed_steps()));
        let mut step = (u128::from(step) * listed / steps) as u64;
        for phase in &self.stages {
            if step < phase.steps {
                return *phase;
            }
            step -= phase.steps;
        }
        *self.stages.last().expect("a checked recipe has phases")
    }

    /// Returns the learning rate of a step counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.learning_rate * (step + 1) as f64 / self.warmup as f64;
        }
        let left = self.steps().saturating_sub(self.warmup).max(1);
        let done = ((step - self.warmup) as f64 / left as f64).min(1.0);
        let low = self.final_learning_rate;
        low + (self.learning_rate - low) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

impl Recipe {
    /// Reads and checks a recipe file; the teacher's weights path becomes relative to the file's folder.
    ///
    /// Errors: a file that cannot be read; a key, which is named, that is missing, unknown or out of range.
    pub fn read(path: &Path) -> Result<Self> {
        let text = rife_files::read_regular(path, 1 << 20);
        let text = text.with_context(|| format!("cannot read the recipe {}", path.display()))?;
        let parsed = Self::parse(&String::from_utf8_lossy(&text));
        let mut recipe = parsed.with_context(|| format!("in the recipe {}", path.display()))?;
        if let (Some(teacher), Some(folder)) = (&mut recipe.teacher, path.parent()) {
            teacher.resolve_in(folder);
        }
        Ok(recipe)
    }

    /// Parses and checks a recipe.
    ///
    /// Errors: a key, which is named, that is missing, unknown or out of range.
    pub fn parse(text: &str) -> Result<Self> {
        let recipe: Self = toml::from_str(text)?;
        recipe.check()?;
        Ok(recipe)
    }

    /// Returns the version of the network to train.
    ///
    /// Errors: an unknown name, a description out of range.
    pub fn version(&self) -> Result<Version> {
        self.network.version()
    }

    /// Returns the weights of the loss terms at a step counted from 0.
    pub fn weights_at(&self, step: u64) -> Terms {
        let mut weights = self.loss.weights_at(step, self.optimizer.steps());
        if let Some(teacher) = &self.teacher {
            weights[Term::LargerFrame] = teacher.frame_weight;
            weights[Term::LargerFlow] = teacher.flow_weight;
        }
        weights
    }

    /// Checks ranges and combinations.
    fn check(&self) -> Result<()> {
        self.loss.check(self.version()?)?;
        self.check_times()?;
        let (data, shares) = (&self.data, self.sampling.shares());
        ensure!(
            data.window >= 5,
            "data.window is {}, 5 frames are needed",
            data.window
        );
        ensure!(
            data.window <= 64,
            "data.window is {}, at most 64 frames are stored",
            data.window
        );
        ensure!(
            (32..=4096).contains(&data.size),
            "data.size is {}, expected 32 to 4096",
            data.size
        );
        let usable = shares.iter().all(|share| share.is_finite() && *share >= 0.0);
        ensure!(
            usable && shares.iter().sum::<f64>() > 0.0,
            "sampling: shares must be 0 or more, one of them more"
        );
        for (name, fraction) in [("overlay", self.sampling.overlay), ("still", self.sampling.still)] {
            ensure!(
                (0.0..=1.0).contains(&fraction),
                "sampling.{name} is {fraction}, expected 0 to 1"
            );
        }
        let sides = &data.short_sides;
        ensure!(
            !sides.is_empty() && sides.iter().all(|side| (1..=8192).contains(side)),
            "data.short_sides are {sides:?}, expected one or more of 1 to 8192"
        );
        ensure!(data.most_frames > 0, "data.most_frames is 0, expected 1 or more");
        self.check_optimizer()
    }

    /// Checks that networks (trained or teacher) that make only middle frames get no samples at other timesteps.
    fn check_times(&self) -> Result<()> {
        let mut versions = vec![self.version()?];
        if let Some(teacher) = &self.teacher {
            teacher.check()?;
            versions.push(teacher.version()?);
        }
        for version in versions
            .into_iter()
            .filter(|version| !version.supports_timestep())
        {
            let shares = [
                ("quarter", self.sampling.quarter),
                ("eighth", self.sampling.eighth),
                ("any", self.sampling.any),
                ("synthetic", self.sampling.synthetic),
            ];
            for (kind, share) in shares {
                ensure!(
                    share == 0.0,
                    "sampling.{kind} is {share}, but {version} makes middle frames only: 0 is expected"
                );
            }
        }
        Ok(())
    }

    /// Returns the number that crops must be multiples of, for the network and the teacher network.
    fn size_multiple(&self) -> Result<usize> {
        let own = self.version()?.size_multiple(Scale::One);
        let teacher = self.teacher.as_ref().map(TeacherRecipe::version).transpose()?;
        Ok(teacher.map_or(own, |teacher| own.max(teacher.size_multiple(Scale::One))))
    }

    /// Checks the `[optimizer]` table.
    fn check_optimizer(&self) -> Result<()> {
        let o = &self.optimizer;
        ensure!(o.listed_steps() > 0 && o.steps() > 0, "optimizer: no steps");
        let multiple = self.size_multiple()?;
        for phase in &o.stages {
            let Phase { crop, batch, .. } = *phase;
            ensure!(
                (1..=4096).contains(&batch),
                "optimizer.stages: batch {batch}, expected 1 to 4096"
            );
            ensure!(
                crop > 0 && crop % multiple == 0 && crop <= self.data.size,
                "optimizer.stages: crop {crop}, expected a multiple of {multiple} up to data.size ({})",
                self.data.size
            );
        }
        let rates = [
            o.learning_rate,
            o.final_learning_rate,
            o.weight_decay,
            o.clip_norm,
        ];
        ensure!(
            rates.iter().all(|x| x.is_finite() && *x >= 0.0),
            "optimizer: negative or infinite values"
        );
        let averages = [o.betas[0], o.betas[1], o.ema];
        ensure!(
            averages.iter().all(|x| (0.0..1.0).contains(x)),
            "optimizer.betas and ema must lie in 0..1"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = include_str!("../../../recipes/default.toml");
    /// A recipe whose text does not change, for tests that edit it.
    const FIXED: &str = include_str!("../../../recipes/r1.lite.toml");

    #[test]
    fn the_default_recipe_is_read() {
        let recipe = Recipe::parse(DEFAULT).unwrap();
        assert_eq!(recipe.version().unwrap(), Version::DEFAULT);
    }

    #[test]
    fn the_rate_warms_up_and_falls_to_its_end() {
        let o = Recipe::parse(DEFAULT).unwrap().optimizer;
        assert!((o.rate(0) - o.learning_rate / o.warmup as f64).abs() < 1e-12);
        assert!((o.rate(o.warmup) - o.learning_rate).abs() < 1e-12);
        assert!((o.rate(o.steps()) - o.final_learning_rate).abs() < 1e-12);
    }

    /// All recipes in the folder `recipes` are valid.
    #[test]
    fn the_other_recipes_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let recipe = Recipe::read(&path).unwrap();
            println!(
                "{}: {} steps of {}",
                path.display(),
                recipe.optimizer.steps(),
                recipe.version().unwrap()
            );
        }
    }

    #[test]
    fn stages_share_all_steps_where_these_are_given() {
        let text = DEFAULT.replace(
            "stages = [",
            "steps = 1000\nstages = [[10, 64, 2], [30, 128, 1]] #",
        );
        let o = Recipe::parse(&text).unwrap().optimizer;
        let batches = [0, 249, 250, 999, 10_000].map(|step| o.phase(step).batch);
        assert_eq!((o.steps(), batches), (1000, [2, 2, 1, 1, 1]));
        assert!((o.rate(1000) - o.final_learning_rate).abs() < 1e-12);
    }

    #[test]
    fn the_flows_weight_falls_to_nothing() {
        let weight = |key: &str, step| {
            let recipe = Recipe::parse(&FIXED.replace("flow_steps = 3000", key)).unwrap();
            recipe.weights_at(step)[Term::Flow] / recipe.loss.flow_weight
        };
        let steps = Recipe::parse(FIXED).unwrap().optimizer.steps();
        for (key, step, left) in [
            ("flow_steps = 100", 50, 0.5),
            ("flow_steps = 100", 200, 0.0),
            ("flow_until = 0.5", steps / 4, 0.5),
            ("flow_until = 0.5", steps / 2, 0.0),
            ("", steps, 1.0),
        ] {
            assert!((weight(key, step) - left).abs() < 1e-3, "{key} at {step}");
        }
    }

    /// Returns [`FIXED`] with another `[network]` table.
    fn with_network(keys: &str) -> String {
        let (before, rest) = FIXED.split_once("[network]").unwrap();
        let (_, after) = rest.split_once("[data]").unwrap();
        format!("{before}[network]\n{keys}\n[data]{after}")
    }

    #[test]
    fn a_network_is_described_or_named() {
        let described = Recipe::parse(FIXED).unwrap();
        let named = Recipe::parse(&with_network("version = \"r1.lite\"")).unwrap();
        assert_eq!(described.version().unwrap(), named.version().unwrap());
        let wider = FIXED.replace("channels = 160", "channels = 144");
        let recipe = Recipe::parse(&wider).unwrap();
        let NetworkRecipe::Described(spec) = &recipe.network else {
            panic!("{:?}", recipe.network)
        };
        assert_eq!(spec.blocks[0].channels, 144);
        assert!(!recipe.version().unwrap().is_named());
        // As it is kept in checkpoints.
        let json = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
    }

    #[test]
    fn wrong_networks_are_refused_with_the_key() {
        for (keys, named) in [
            ("version = \"5.0\"", "5.0"),
            ("version = \"r4.lite\"", "Lucas-Kanade"),
            ("version = 4.25", "version"),
            (
                "version = \"r1.lite\"\nresidual = true",
                "unknown field `residual`",
            ),
            ("version = \"r1.lite\"\nencoder = 8", "unknown field `encoder`"),
            ("", "missing field `trunk`"),
        ] {
            let error = format!("{:?}", Recipe::parse(&with_network(keys)).unwrap_err());
            assert!(error.contains(named), "{keys}: {error}");
        }
    }

    #[test]
    fn wrong_recipes_are_refused_with_the_key() {
        let cases = [
            ("scale = 16 }", "scale = 15 }", "network.blocks[0].scale is 15"),
            (
                "channels = 160,",
                "channels = \"wide\",",
                "network.blocks[0].channels",
            ),
            (
                "features = 8",
                "features = 8\nchoice = true",
                "unknown field `choice`",
            ),
            (
                "features = 8",
                "restart = nan\nfeatures = 8",
                "network.restart is NaN",
            ),
            ("flow_weight = 0.02", "flow_weigth = 0.02", "flow_weigth"),
            ("flow_weight = 0.02", "flow_weight = -0.02", "of flow is -0.02"),
            ("[loss]", "[loss]\ncensus_weight = inf", "of census is inf"),
            (
                "[loss]",
                "[loss]\nteacher_block_weight = 1.0",
                "r1.lite has no teacher block",
            ),
            ("[loss]", "[loss]\nflow_until = 0.5", "loss.flow_until"),
            (
                "[loss]",
                "[teacher]\nversion = \"4.25\"\nweights = \"t\"\n[loss]",
                "teacher.frame_weight",
            ),
            ("warmup =", "warmups =", "warmups"),
            ("warmup =", "precision = \"f8\"\nwarmup =", "f8"),
            ("128, 8]", "100, 8]", "100"),
            ("window = 5", "window = 2", "data.window"),
        ];
        for (from, to, named) in cases {
            assert!(FIXED.contains(from), "the recipe has {from}");
            let error = format!("{:?}", Recipe::parse(&FIXED.replace(from, to)).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
    }
}
