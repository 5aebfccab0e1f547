//! Training loop ([`Trainer`]): steps, logging, validation, checkpoints.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn_tensor::Device;

use crate::checkpoint::State;
use crate::data::{Loader, Samples, Sources};
use crate::loss::{Term, Terms};
use crate::optimizer::{average, norm};
use crate::recipe::Recipe;
use crate::step::Devices;
use crate::validation::{examples, judge};
use crate::watch::{Meter, Reading, Validation, Watch};
use crate::weights_file::{self, Precision};

/// File name of the checkpoint that training resumes from.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// File names of the averaged weights, in f32 and in f16 as shipped.
pub const WEIGHTS: [(&str, Precision); 2] = [
    ("weights.safetensors", Precision::F32),
    ("weights.f16.safetensors", Precision::F16),
];

/// File name of the checkpoint with the highest validation score so far.
pub const BEST_CHECKPOINT: &str = "best.checkpoint.safetensors";
/// File names of the averaged weights with the highest validation score so far.
pub const BEST_WEIGHTS: [(&str, Precision); 2] = [
    ("best.weights.safetensors", Precision::F32),
    ("best.weights.f16.safetensors", Precision::F16),
];

/// Options of a run that do not affect its weights.
#[derive(Debug, Clone)]
pub struct Run {
    /// Folder of checkpoints and weights.
    pub out: PathBuf,
    /// Step after which to stop; the learning rate schedule is not affected.
    pub last_step: u64,
    /// Number of steps between log readings.
    pub report: u64,
    /// Number of steps between validations, each of which writes checkpoint and weights.
    pub validate: u64,
    /// Number of threads that draw samples; the samples do not depend on it.
    pub loaders: usize,
    /// Provenance for the metadata of checkpoints and weights.
    pub about: BTreeMap<String, String>,
}

/// Results of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Weighted sum of the loss terms.
    pub loss: f32,
    /// Unweighted Laplacian pyramid loss of the merged frame.
    pub laplacian: f32,
    /// All unweighted terms.
    pub terms: Terms,
    /// L2 norm of the gradients before clipping.
    pub norm: f64,
}

/// A network in training.
#[derive(Debug)]
pub struct Trainer {
    /// The recipe.
    pub recipe: Recipe,
    /// State between steps.
    pub state: State,
    devices: Devices,
}

impl Trainer {
    /// Makes a trainer that continues from `state`, splitting each batch over `devices`; they need not have autodiff enabled.
    ///
    /// Errors: no device; weights of the recipe's teacher network that cannot be read or do not fit.
    pub fn new(recipe: Recipe, state: State, devices: Vec<Device>) -> Result<Self> {
        let devices = Devices::new(devices, recipe.teacher.as_ref(), recipe.optimizer.precision)?;
        Ok(Self {
            recipe,
            state,
            devices,
        })
    }

    /// Trains one step on these samples.
    ///
    /// Errors: samples that do not fit the network.
    pub fn step(&mut self, samples: &Samples) -> Result<StepReport> {
        let (o, state) = (&self.recipe.optimizer, &mut self.state);
        let weights = self.recipe.weights_at(state.step);
        let found = self.devices.evaluate(&state.parameters, samples, &weights)?;
        let norm = norm(&found.gradients);
        if state.guard.admit(norm) {
            let scale = (o.clip_norm / (norm + 1e-6)).min(1.0) as f32;
            let rate = o.rate(state.step);
            let (parameters, moments) = (&mut state.parameters, &mut state.moments);
            moments.update(parameters, &found.gradients, scale, rate, o);
        }
        state.step += 1;
        average(&mut state.average, &state.parameters, state.step, o.ema);
        Ok(StepReport {
            loss: found.total,
            laplacian: found.terms[Term::Laplacian],
            terms: found.terms,
            norm,
        })
    }

    /// Trains to `run.last_step` on `sources`, validates on `held_out` and reports to `watch`.
    ///
    /// Errors: samples that cannot be read, files that cannot be written, a first loss that is not finite.
    pub fn run(
        &mut self,
        sources: &Sources,
        held_out: Option<&Sources>,
        run: &Run,
        mut watch: impl Watch,
    ) -> Result<()> {
        let recipe = self.recipe.clone();
        std::thread::scope(|scope| {
            let steps = self.state.step..run.last_step;
            let mut batches = Loader::start(scope, sources, &recipe, steps, run.loaders);
            let mut meter = Meter::default();
            while self.state.step < run.last_step {
                let asked = Instant::now();
                let samples = batches.batch()?;
                let waited = asked.elapsed();
                let report = self.step(&samples)?;
                if !report.loss.is_finite() && self.state.guard.usual.is_none() {
                    bail!(
                        "the first loss is {}: the weights or the samples are damaged",
                        report.loss
                    );
                }
                let terms = report.terms.iter().map(|(term, value)| (term.name(), value));
                meter.add(waited, report.loss, terms);
                watch.step(self.state.step);
                if self.state.step.is_multiple_of(run.report) {
                    watch.reading(&self.read(&mut meter, run.last_step))?;
                }
                if self.state.step.is_multiple_of(run.validate) || self.state.step == run.last_step {
                    let began = Instant::now();
                    self.validate_and_save(held_out, run, &mut watch)?;
                    meter.pause(began.elapsed());
                }
            }
            Ok(())
        })
    }

    /// Takes a reading of the meter.
    fn read(&self, meter: &mut Meter, last_step: u64) -> Reading {
        let state = &self.state;
        let usual = state.guard.usual.unwrap_or_default();
        let rate = self.recipe.optimizer.rate(state.step);
        meter.read(state.step, last_step, rate, usual, state.guard.skipped)
    }

    /// Validates, writes the checkpoint and the averaged weights, and copies of both under other names if the score is the best
    /// so far.
    fn validate_and_save(
        &mut self,
        held_out: Option<&Sources>,
        run: &Run,
        watch: &mut impl Watch,
    ) -> Result<()> {
        let device = self.devices.first();
        let judged = held_out.map(|held_out| judge(&self.state.average, held_out, device, self.state.step));
        let scores = judged.transpose()?.flatten();
        self.state.scores.extend(scores);
        let is_best = scores.is_some_and(|last| {
            let before = &self.state.scores;
            before.iter().all(|scores| scores.mean() <= last.mean())
        });
        for (checkpoint, weights) in [(CHECKPOINT, WEIGHTS), (BEST_CHECKPOINT, BEST_WEIGHTS)]
            .into_iter()
            .take(if is_best { 2 } else { 1 })
        {
            let about = run.about.clone();
            self.state.write(&run.out.join(checkpoint), &self.recipe, about)?;
            for (name, precision) in weights {
                let average = self.state.average.to_weights();
                weights_file::write(&run.out.join(name), &average, self.metadata(run)?, precision)?;
            }
        }
        let pictures = || match held_out {
            Some(held_out) => examples(&self.state.average, held_out, device),
            None => Ok(Vec::new()),
        };
        watch.validated(Validation {
            scores,
            is_best,
            examples: &pictures,
        })
    }

    /// Collects the metadata of the weights: provenance, network, recipe, step and scores.
    fn metadata(&self, run: &Run) -> Result<HashMap<String, String>> {
        let mut metadata = run.about.clone();
        self.state.parameters.version().describe_in(&mut metadata);
        let pairs = [
            ("recipe", serde_json::to_string(&self.recipe)?),
            ("step", self.state.step.to_string()),
            ("scores", serde_json::to_string(&self.state.scores)?),
        ];
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
        Ok(metadata.into_iter().chain(pairs).collect())
    }
}

/// Creates a run's folder if it does not exist.
///
/// Errors: a folder that cannot be created.
pub fn prepare_folder(out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))
}
