//! The recipe file: what is trained, on which samples, with which losses and optimiser. `tools/train_twin.py` reads
//! the same file.

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

/// A whole recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What is trained.
    pub network: NetworkRecipe,
    /// How clips are cut into samples.
    pub data: DataRecipe,
    /// Shares of the kinds of samples.
    pub sampling: Sampling,
    /// Weights of the losses.
    pub loss: LossRecipe,
    /// A larger network to be imitated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherRecipe>,
    /// Optimiser and schedule.
    pub optimizer: OptimizerRecipe,
}

/// The `[data]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// Consecutive frames that a sample is drawn from.
    #[serde(default = "default_window")]
    pub window: usize,
    /// Side of the stored crops in pixels.
    pub size: usize,
    /// At most so many windows a clip.
    #[serde(default = "default_windows_per_clip")]
    pub windows_per_clip: usize,
    /// At most so many frames of a clip are looked at.
    #[serde(default = "default_most_frames")]
    pub most_frames: u64,
    /// Short sides in pixels that clips are reduced to, where they are larger.
    #[serde(default = "default_short_sides")]
    pub short_sides: Vec<usize>,
    /// File stems of the clips that only validation sees.
    #[serde(default)]
    pub held_out: Vec<String>,
    /// Of every random choice.
    pub seed: u64,
}

fn default_window() -> usize {
    5
}

fn default_windows_per_clip() -> usize {
    52
}

fn default_most_frames() -> u64 {
    300
}

fn default_short_sides() -> Vec<usize> {
    vec![540, 360]
}

/// The `[sampling]` table: shares of the kinds of samples, in any unit.
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
    /// Frames 0, one of 1 to 7, 8, or as far apart as there are frames: every eighth of the time.
    #[serde(default)]
    pub eighth: f64,
    /// Any three frames in order, up to 32 intervals apart.
    #[serde(default)]
    pub any: f64,
    /// Layers in motion, cut from the same frames.
    #[serde(default)]
    pub synthetic: f64,
    /// The part of all samples that captions and logos are laid over, which stay still.
    #[serde(default)]
    pub overlay: f64,
    /// The part of all samples in which nothing moves.
    #[serde(default)]
    pub still: f64,
}

impl Sampling {
    /// The shares in the order of [`crate::data::Kind::ALL`].
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

/// A part of training: steps, side of the crops in pixels, samples a step. An array in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 3]", into = "[u64; 3]")]
pub struct Phase {
    /// How many steps it lasts.
    pub steps: u64,
    /// Side of the crops in pixels.
    pub crop: usize,
    /// Samples a step.
    pub batch: usize,
}

impl From<[u64; 3]> for Phase {
    fn from([steps, crop, batch]: [u64; 3]) -> Self {
        Self {
            steps,
            crop: crop as usize,
            batch: batch as usize,
        }
    }
}

impl From<Phase> for [u64; 3] {
    fn from(phase: Phase) -> Self {
        [phase.steps, phase.crop as u64, phase.batch as u64]
    }
}

/// What convolutions are computed in; all else is f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats, the gradients scaled so that they do not vanish.
    F16,
    /// 16-bit floats of the range of 32-bit ones.
    Bf16,
}

impl Precision {
    /// The type of half the size, where it is one.
    pub fn half(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::F16 => Some(FloatDType::F16),
            Self::Bf16 => Some(FloatDType::BF16),
        }
    }

    /// What the loss is multiplied by before its gradients are taken: a pixel's part of a mean is below what f16
    /// can hold.
    pub fn loss_scale(self) -> f32 {
        match self {
            Self::F32 | Self::Bf16 => 1.0,
            Self::F16 => 4096.0,
        }
    }
}

/// The `[optimizer]` table: AdamW, linear warm-up, cosine to the last step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerRecipe {
    /// AdamW's decay.
    pub weight_decay: f64,
    /// AdamW's two averages.
    #[serde(default = "default_betas")]
    pub betas: [f64; 2],
    /// The highest rate.
    pub learning_rate: f64,
    /// The rate at the last step.
    pub final_learning_rate: f64,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// Parts of training, one after the other.
    pub stages: Vec<Phase>,
    /// All steps, which the stages then share in proportion to theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// What convolutions are computed in.
    #[serde(default)]
    pub precision: Precision,
    /// Gradients are scaled down to this norm.
    pub clip_norm: f64,
    /// Decay of the averaged weights, which are the ones kept.
    pub ema: f64,
}

fn default_betas() -> [f64; 2] {
    [0.9, 0.99]
}

impl OptimizerRecipe {
    /// Steps of all phases together.
    pub fn steps(&self) -> u64 {
        self.steps.unwrap_or(self.listed_steps())
    }

    fn listed_steps(&self) -> u64 {
        self.stages.iter().map(|phase| phase.steps).sum()
    }

    /// The phase that a step lies in; the last one for steps beyond.
    ///
    /// # Panics
    /// Without phases, which [`Recipe::parse`] refuses.
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

    /// The learning rate of a step, counted from 0.
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
    /// Reads a recipe file.
    ///
    /// Errors: a file that cannot be read, a key that is missing, unknown or out of range; each is named.
    pub fn read(path: &Path) -> Result<Self> {
        let text = rife_files::read_regular(path, 1 << 20);
        let text = text.with_context(|| format!("cannot read the recipe {}", path.display()))?;
        let parsed = Self::parse(&String::from_utf8_lossy(&text));
        let mut recipe = parsed.with_context(|| format!("in the recipe {}", path.display()))?;
        if let (Some(teacher), Some(folder)) = (&mut recipe.teacher, path.parent()) {
            teacher.seen_from(folder);
        }
        Ok(recipe)
    }

    /// Reads and checks a recipe.
    ///
    /// Errors: as [`Recipe::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let recipe: Self = toml::from_str(text)?;
        recipe.check()?;
        Ok(recipe)
    }

    /// Which network is trained.
    ///
    /// Errors: an unknown name, a description out of range.
    pub fn version(&self) -> Result<Version> {
        self.network.version()
    }

    /// The weights of the loss's terms at a step.
    pub fn weights_at(&self, step: u64) -> Terms {
        let mut weights = self.loss.weights_at(step, self.optimizer.steps());
        if let Some(teacher) = &self.teacher {
            weights[Term::LargerFrame] = teacher.frame_weight;
            weights[Term::LargerFlow] = teacher.flow_weight;
        }
        weights
    }

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
        for (name, part) in [("overlay", self.sampling.overlay), ("still", self.sampling.still)] {
            ensure!(
                (0.0..=1.0).contains(&part),
                "sampling.{name} is {part}, expected 0 to 1"
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

    /// A network that knows only the middle has no use for samples at other times, and nothing to teach about them.
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

    /// What crops must be multiples of, for the network and for a larger one that it imitates.
    fn size_multiple(&self) -> Result<usize> {
        let own = self.version()?.size_multiple(Scale::One);
        let teacher = self.teacher.as_ref().map(TeacherRecipe::version).transpose()?;
        Ok(teacher.map_or(own, |teacher| own.max(teacher.size_multiple(Scale::One))))
    }

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
    /// One that stays as it is, for changes to its text.
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

    /// Every recipe that comes with the project.
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

    /// The fixed recipe with this as its network.
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
