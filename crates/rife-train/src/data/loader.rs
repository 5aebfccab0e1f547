//! Data loader: threads that prefetch batches. A batch is a function of seed and step, so that results do not depend on the
//! number of threads.

use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use anyhow::{Context, Result};

use super::{Samples, Sources};
use crate::recipe::Recipe;

/// Prefetched batches per thread.
const AHEAD: usize = 2;

/// A running loader, which returns the batches of a run's steps in order.
#[derive(Debug)]
pub struct Loader {
    /// Queue of each thread; thread `k` of `n` draws steps `k`, `k + n`, `k + 2n` and so on, counted from the first.
    threads: Vec<Receiver<Result<Samples>>>,
    /// Thread of the next batch.
    next: usize,
}

impl Loader {
    /// Starts threads (at least one) that draw the batches of these steps.
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
                    // The receiver is gone when training has ended early.
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

    /// Returns the batch of the next step, waiting for it.
    ///
    /// Errors: samples that cannot be read; no steps left.
    pub fn batch(&mut self) -> Result<Samples> {
        let receiver = &self.threads[self.next];
        self.next = (self.next + 1) % self.threads.len();
        receiver.recv().context("the loader stopped")?
    }
}

/// Draws the batch of a step by the recipe.
fn draw(sources: &Sources, recipe: &Recipe, step: u64) -> Result<Samples> {
    let phase = recipe.optimizer.phase(step);
    let size = [phase.batch, phase.crop];
    let samples = sources.batch(&recipe.sampling, recipe.data.seed, step, size);
    samples.with_context(|| format!("while drawing the samples of step {step}"))
}
