//! Threads that draw batches ahead of their use. Each batch is a function of the seed and its step alone, so that
//! their number changes nothing but the time that training waits.

use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use anyhow::{Context, Result};

use super::{Samples, Sources};
use crate::recipe::Recipe;

/// Batches that wait ready for use, for each thread.
const AHEAD: usize = 2;

/// The batches of a run's steps, in order.
#[derive(Debug)]
pub struct Loader {
    /// Thread `k` of `n` draws every step whose distance from the first leaves `k` when divided by `n`.
    threads: Vec<Receiver<Result<Samples>>>,
    next: usize,
}

impl Loader {
    /// Starts `threads` (at least one) that draw the batches of these steps.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        sources: &'scope Sources,
        recipe: &'scope Recipe,
        steps: Range<u64>,
        threads: usize,
    ) -> Self {
        let threads = threads.max(1);
        let start = |k: usize| {
            let (sender, receiver) = sync_channel(AHEAD);
            let steps = steps.clone().skip(k).step_by(threads);
            scope.spawn(move || {
                for step in steps {
                    let samples = draw(sources, recipe, step);
                    let failed = samples.is_err();
                    // Nobody listens any more when training has ended early.
                    if sender.send(samples).is_err() || failed {
                        break;
                    }
                }
            });
            receiver
        };
        Self {
            threads: (0..threads).map(start).collect(),
            next: 0,
        }
    }

    /// The next step's batch.
    ///
    /// Errors: samples that cannot be read; no step left.
    pub fn batch(&mut self) -> Result<Samples> {
        let receiver = &self.threads[self.next];
        self.next = (self.next + 1) % self.threads.len();
        receiver.recv().context("the loader stopped")?
    }
}

fn draw(sources: &Sources, recipe: &Recipe, step: u64) -> Result<Samples> {
    let phase = recipe.optimizer.phase(step);
    let size = [phase.batch, phase.crop];
    let samples = sources.batch(&recipe.sampling, recipe.data.seed, step, size);
    samples.with_context(|| format!("while drawing the samples of step {step}"))
}
