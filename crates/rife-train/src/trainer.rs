//! The training loop.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use burn_tensor::Device;

use crate::checkpoint::State;
use crate::data::{Corpus, Samples, Sources};
use crate::loss::{Term, Terms};
use crate::optimizer::{average, norm};
use crate::recipe::Recipe;
use crate::step::Devices;
use crate::validation::judge;
use crate::weights_file::{self, Precision};

/// Batches that wait ready for use.
const AHEAD: usize = 2;
/// Name of the file that training resumes from.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Names of the averaged weights: as trained, and as shipped.
pub const WEIGHTS: [(&str, Precision); 2] = [
    ("weights.safetensors", Precision::F32),
    ("weights.f16.safetensors", Precision::F16),
];

/// How a run is watched and kept.
#[derive(Debug, Clone)]
pub struct Run {
    /// Folder of the checkpoint and the weights.
    pub out: PathBuf,
    /// Stop after this step; the schedule is the recipe's all the same.
    pub last_step: u64,
    /// Steps between lines of the log.
    pub report: u64,
    /// Steps between validations, each of which writes the checkpoint and the weights.
    pub validate: u64,
    /// Kept in the weights' metadata.
    pub command: String,
}

/// What one step came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// All terms of the loss.
    pub loss: f32,
    /// The merged frame's Laplacian term.
    pub laplacian: f32,
    /// Every term before weighting.
    pub terms: Terms,
    /// Of the gradients, before clipping.
    pub norm: f64,
}

/// A network in training.
#[derive(Debug)]
pub struct Trainer {
    /// What is trained and how.
    pub recipe: Recipe,
    /// Between steps.
    pub state: State,
    devices: Devices,
}

impl Trainer {
    /// Goes on from `state` on devices that share each batch; they need not have autodiff enabled.
    ///
    /// Errors: no device, a larger network's weights that cannot be read or do not fit.
    pub fn new(recipe: Recipe, state: State, devices: Vec<Device>) -> Result<Self> {
        let devices = Devices::new(devices, recipe.teacher.as_ref(), recipe.optimizer.precision)?;
        Ok(Self {
            recipe,
            state,
            devices,
        })
    }

    /// One step on these samples.
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

    /// Trains to the last step, reporting as `run` says.
    ///
    /// Errors: samples that cannot be read, files that cannot be written, a loss that is no number.
    pub fn run(
        &mut self,
        sources: &Sources,
        held_out: Option<&Corpus>,
        run: &Run,
        mut line: impl FnMut(String),
    ) -> Result<()> {
        let recipe = self.recipe.clone();
        std::thread::scope(|scope| {
            let batches = load(scope, sources, &recipe, self.state.step..run.last_step);
            let mut meter = Meter::new();
            while self.state.step < run.last_step {
                let asked = Instant::now();
                let samples = batches.recv().context("the loader stopped")??;
                meter.waited += asked.elapsed();
                let report = self.step(&samples)?;
                if !report.loss.is_finite() && self.state.guard.usual.is_none() {
                    bail!(
                        "the first loss is {}: the weights or the samples are damaged",
                        report.loss
                    );
                }
                meter.add(report);
                if self.state.step.is_multiple_of(run.report) {
                    line(meter.line(self));
                    meter = Meter::new();
                }
                if self.state.step.is_multiple_of(run.validate) || self.state.step == run.last_step {
                    self.keep(held_out, run, &mut line)?;
                    meter.began = Instant::now();
                }
            }
            Ok(())
        })
    }

    /// Validates, then writes the checkpoint and the averaged weights.
    fn keep(&mut self, held_out: Option<&Corpus>, run: &Run, line: &mut impl FnMut(String)) -> Result<()> {
        if let Some(held_out) = held_out {
            let scores = judge(
                &self.state.average,
                held_out,
                self.devices.first(),
                self.state.step,
            )?;
            if let Some(scores) = scores {
                let crate::validation::Scores {
                    step,
                    adjacent,
                    wide,
                    quarter,
                } = scores;
                line(format!(
                    "step {step} PSNR adjacent {adjacent:.3} wide {wide:.3} quarter {quarter:.3} dB"
                ));
                self.state.scores.push(scores);
            }
        }
        self.state.write(&run.out.join(CHECKPOINT), &self.recipe)?;
        let weights = self.state.average.to_weights();
        for (name, precision) in WEIGHTS {
            weights_file::write(&run.out.join(name), &weights, self.metadata(run)?, precision)?;
        }
        Ok(())
    }

    fn metadata(&self, run: &Run) -> Result<HashMap<String, String>> {
        let pairs = [
            ("network", self.recipe.network.version.clone()),
            ("recipe", serde_json::to_string(&self.recipe)?),
            ("step", self.state.step.to_string()),
            ("scores", serde_json::to_string(&self.state.scores)?),
            ("command", run.command.clone()),
            (
                "trainer",
                concat!("rife-train ", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
        ];
        Ok(pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect())
    }
}

/// Starts drawing the batches of these steps, each a function of its step alone.
fn load<'scope>(
    scope: &'scope Scope<'scope, '_>,
    sources: &'scope Sources,
    recipe: &'scope Recipe,
    steps: std::ops::Range<u64>,
) -> Receiver<Result<Samples>> {
    let (sender, receiver) = sync_channel(AHEAD);
    scope.spawn(move || {
        for step in steps {
            let phase = recipe.optimizer.phase(step);
            let size = [phase.batch, phase.crop];
            let samples = sources.batch(&recipe.sampling, recipe.data.seed, step, size);
            let failed = samples.is_err();
            // Nobody listens any more when training has ended early.
            if sender.send(samples).is_err() || failed {
                break;
            }
        }
    });
    receiver
}

/// Means since the last line of the log.
struct Meter {
    began: Instant,
    waited: Duration,
    steps: f64,
    loss: f64,
    terms: [f64; Term::ALL.len()],
}

impl Meter {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            waited: Duration::ZERO,
            steps: 0.0,
            loss: 0.0,
            terms: [0.0; Term::ALL.len()],
        }
    }

    fn add(&mut self, report: StepReport) {
        self.steps += 1.0;
        self.loss += f64::from(report.loss);
        for (sum, (_, value)) in self.terms.iter_mut().zip(report.terms.iter()) {
            *sum += f64::from(value);
        }
    }

    /// The means of the terms that there are.
    fn terms_text(&self) -> String {
        let terms = Term::ALL
            .into_iter()
            .zip(self.terms)
            .filter(|(_, sum)| *sum != 0.0);
        terms
            .map(|(term, sum)| format!(" {} {:.5}", term.name(), sum / self.steps.max(1.0)))
            .collect()
    }

    fn line(&self, trainer: &Trainer) -> String {
        let (state, steps) = (&trainer.state, self.steps.max(1.0));
        format!(
            "step {} loss {:.5}{} data {:.0} ms {:.2} steps/s lr {:.2e} norm {:.2} skipped {}",
            state.step,
            self.loss / steps,
            self.terms_text(),
            self.waited.as_secs_f64() * 1e3 / steps,
            steps / self.began.elapsed().as_secs_f64(),
            trainer.recipe.optimizer.rate(state.step),
            state.guard.usual.unwrap_or_default(),
            state.guard.skipped,
        )
    }
}

/// A run's folder, made where it is not.
///
/// Errors: where it cannot be made.
pub fn prepare_folder(out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))
}
