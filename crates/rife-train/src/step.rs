//! Forward and backward pass of a batch: loss and gradients, on one device or data-parallel on several.
//!
//! Burn's collective operations exist only for CUDA and remote devices; here each device has a thread that evaluates a chunk
//! of the batch, and the host, where the optimizer runs, sums the gradients in the order of the devices.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use burn_tensor::{Device, Tensor};
use rayon::prelude::*;
use rife_nets::{Network, Options, Output};

use crate::backend::{Batch, BurnBackend, Conv};
use crate::data::Samples;
use crate::loss::{KnownFlow, Loss, Predicted, Term, Terms, Truth, loss, number};
use crate::parameters::Parameters;
use crate::recipe::{Precision, TeacherRecipe};
use crate::{threads, weights_file};

/// Options of the network in training: all stages are kept for the loss.
const OPTIONS: Options = Options {
    keep_stages: true,
    scale: rife_nets::Scale::One,
    tta: false,
    ensemble: false,
};

/// Loss and gradients of a batch.
#[derive(Debug, Clone)]
pub struct Found {
    /// Weighted sum of the loss terms.
    pub total: f32,
    /// Unweighted terms.
    pub terms: Terms,
    /// Gradients of all parameters, in their order.
    pub gradients: Vec<Vec<f32>>,
}

/// Devices that evaluate a batch data-parallel.
#[derive(Debug)]
pub struct Devices {
    workers: Vec<Worker>,
    precision: Precision,
}

/// One device, with the recipe's teacher network loaded on it.
#[derive(Debug)]
struct Worker {
    device: Device,
    /// Larger teacher network for distillation; `None` without one.
    larger: Option<Network<Conv>>,
}

/// A device's chunk of a batch.
struct Chunk {
    samples: Samples,
    /// Fraction of the batch's samples.
    fraction: f32,
    /// Value of [`KnownFlow::count`].
    known: f32,
}

impl Devices {
    /// Prepares at least one device; autodiff need not be enabled. `precision` is that of the convolutions.
    ///
    /// Errors: no device, a device that lacks the precision, teacher weights that cannot be read or do not fit.
    pub fn new(devices: Vec<Device>, teacher: Option<&TeacherRecipe>, precision: Precision) -> Result<Self> {
        ensure!(!devices.is_empty(), "no device to train on");
        for device in &devices {
            let lacks = precision.half().filter(|half| !device.supports_dtype(*half));
            ensure!(
                lacks.is_none(),
                "optimizer.precision is {precision:?}, which {device:?} cannot compute with: \"f32\" is expected"
            );
        }
        let weights = teacher
            .map(|teacher| weights_file::read(&teacher.weights))
            .transpose()?;
        let worker = |device: Device| {
            let device = device.autodiff();
            let b = BurnBackend::new(device.clone());
            let load = |(teacher, weights): (&TeacherRecipe, _)| -> Result<_> {
                let loaded = Network::load(&b, teacher.version()?, weights);
                loaded.with_context(|| format!("in the teacher's weights {}", teacher.weights.display()))
            };
            let larger = teacher.zip(weights.as_ref()).map(load).transpose()?;
            Ok(Worker { device, larger })
        };
        let workers = devices.into_iter().map(worker).collect::<Result<_>>()?;
        Ok(Self { workers, precision })
    }

    /// Returns the first device, which also runs validation.
    pub fn first(&self) -> &Device {
        &self.workers[0].device
    }

    /// Computes loss and gradients of a batch; devices evaluate chunks whose sizes differ by at most one sample.
    ///
    /// Errors: samples that do not fit the network.
    pub fn evaluate(&self, parameters: &Parameters, samples: &Samples, weights: &Terms) -> Result<Found> {
        let count = self.workers.len().min(samples.count);
        let chunks = split(samples, count);
        if count == 1 {
            return self.workers[0].evaluate(parameters, &chunks[0], weights, self.precision);
        }
        std::thread::scope(|scope| {
            let work = |(worker, chunk): (&'_ Worker, &'_ Chunk)| {
                threads::flush_denormals();
                worker.evaluate(parameters, chunk, weights, self.precision)
            };
            let pairs = self.workers.iter().zip(&chunks);
            let running: Vec<_> = pairs.map(|pair| scope.spawn(move || work(pair))).collect();
            let found = running.into_iter().map(|thread| match thread.join() {
                Ok(found) => found,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            let found = found.collect::<Result<Vec<_>>>()?;
            Ok(mean(&found, &chunks))
        })
    }
}

impl Worker {
    /// Computes loss and gradients of a chunk on this device.
    fn evaluate(
        &self,
        parameters: &Parameters,
        chunk: &Chunk,
        weights: &Terms,
        precision: Precision,
    ) -> Result<Found> {
        let tracked = parameters.track(&self.device);
        let backend = BurnBackend::new(self.device.clone()).with_half(precision.half());
        let known = (weights[Term::Flow] > 0.0).then_some(chunk.known);
        let larger = self.larger.as_ref();
        let found = evaluate(&backend, &tracked.network, larger, &chunk.samples, known, weights)?;
        let scale = precision.loss_scale();
        let mut gradients = tracked.gradients(&(found.total.clone() * scale));
        for gradient in gradients.iter_mut().flatten().filter(|_| scale != 1.0) {
            *gradient /= scale;
        }
        Ok(Found {
            total: number(&found.total),
            terms: found.terms(),
            gradients,
        })
    }
}

/// Computes the loss of a network on samples. `larger` is the recipe's teacher network; `known` is [`KnownFlow::count`],
/// `None` to leave out the flow loss.
///
/// Errors: samples that do not fit the networks.
pub fn evaluate(
    b: &BurnBackend,
    network: &Network<Conv>,
    larger: Option<&Network<Conv>>,
    samples: &Samples,
    known: Option<f32>,
    weights: &Terms,
) -> Result<Loss> {
    let planes = |channels: usize, data: &Vec<f32>| {
        b.batch(
            [samples.count, channels, samples.crop, samples.crop],
            data.clone(),
        )
    };
    let frames = [0, 1, 2].map(|i| planes(3, &samples.frames[i]));
    let time = b.timesteps(&samples.times);
    let teaches = weights[Term::TeacherBlock] > 0.0;
    let found = predict(b, network, &frames, (samples, &time), teaches)?;
    let imitated = |larger| -> Result<Output<Batch>> {
        Ok(predict(b, larger, &frames, (samples, &time), false)?.output)
    };
    let known = known.filter(|count| *count > 0.0).map(|count| KnownFlow {
        flow: planes(4, &samples.flow),
        known: planes(1, &samples.known),
        count,
    });
    let truth = Truth {
        frame: frames[1].clone(),
        flow: known,
        larger: larger.map(imitated).transpose()?,
    };
    let scales = network.version().block_scales();
    Ok(loss(b, &found, &truth, &scales, weights))
}

/// Runs a network between the outer frames and, if `teaches`, its teacher block.
fn predict(
    b: &BurnBackend,
    network: &Network<Conv>,
    [first, truth, second]: &[Batch; 3],
    (samples, time): (&Samples, &Tensor<4>),
    teaches: bool,
) -> Result<Predicted> {
    for time in &samples.times {
        network.version().check_timestep(*time)?;
    }
    let frames = [
        network.encode(b, first, &OPTIONS)?,
        network.encode(b, second, &OPTIONS)?,
    ];
    let pair = network.pair(b, frames.each_ref(), &OPTIONS)?;
    let output = network.interpolate_at(b, &pair, time, &OPTIONS)?;
    let last = output.stages.last().filter(|_| teaches);
    let taught = last.and_then(|last| network.teach(b, frames.each_ref(), time, truth, last));
    Ok(Predicted { output, taught })
}

/// Counts the pixels with known flow.
pub fn known_pixels(samples: &Samples) -> f32 {
    samples.known.iter().sum()
}

/// Splits a batch into `chunks` chunks whose sizes differ by at most one sample.
fn split(samples: &Samples, chunks: usize) -> Vec<Chunk> {
    let known = known_pixels(samples);
    let bound = |i: usize| samples.count * i / chunks;
    let chunk = |i: usize| {
        let range = bound(i)..bound(i + 1);
        let fraction = range.len() as f32 / samples.count as f32;
        Chunk {
            samples: pick(samples, range),
            fraction,
            known: known * fraction,
        }
    };
    (0..chunks).map(chunk).collect()
}

/// Copies a range of samples.
fn pick(samples: &Samples, range: Range<usize>) -> Samples {
    let slice = |values: &Vec<f32>| {
        let each = values.len() / samples.count;
        values[range.start * each..range.end * each].to_vec()
    };
    Samples {
        count: range.len(),
        crop: samples.crop,
        frames: samples.frames.each_ref().map(slice),
        times: slice(&samples.times),
        flow: slice(&samples.flow),
        known: slice(&samples.known),
    }
}

/// Combines the results of all chunks: means weighted by the number of samples.
fn mean(found: &[Found], chunks: &[Chunk]) -> Found {
    let weighed =
        |of: &dyn Fn(&Found) -> f32| found.iter().zip(chunks).map(|(f, p)| of(f) * p.fraction).sum();
    let mut terms = Terms::default();
    for term in Term::ALL {
        terms[term] = weighed(&|found| found.terms[term]);
    }
    let gradient = |tensor: usize| -> Vec<f32> {
        let count = found[0].gradients[tensor].len();
        (0..count)
            .map(|i| weighed(&|found| found.gradients[tensor][i]))
            .collect()
    };
    Found {
        total: weighed(&|found| found.total),
        terms,
        gradients: (0..found[0].gradients.len())
            .into_par_iter()
            .map(gradient)
            .collect(),
    }
}
