//! One batch: the network's output, its loss and the gradients, on one device or shared out to several.
//!
//! Burn's own collective operations exist for CUDA and remote devices only; here every device has a thread that
//! works on its part of the batch, and the host, where the optimiser runs anyway, adds the gradients up in the
//! devices' order.

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

/// Training looks at every stage.
const OPTIONS: Options = Options {
    keep_stages: true,
    scale: rife_nets::Scale::One,
    tta: false,
    ensemble: false,
};

/// What a batch came to.
#[derive(Debug, Clone)]
pub struct Found {
    /// All terms, weighted.
    pub total: f32,
    /// Every term before weighting.
    pub terms: Terms,
    /// In the order of the parameters.
    pub gradients: Vec<Vec<f32>>,
}

/// The devices that share a batch.
#[derive(Debug)]
pub struct Devices {
    seats: Vec<Seat>,
    precision: Precision,
}

/// One device, with the larger network where one is imitated.
#[derive(Debug)]
struct Seat {
    device: Device,
    larger: Option<Network<Conv>>,
}

/// A device's part of a batch.
struct Part {
    samples: Samples,
    /// Its share of the whole batch.
    share: f32,
    /// See [`KnownFlow::count`].
    known: f32,
}

impl Devices {
    /// At least one device; autodiff need not be enabled.
    ///
    /// Errors: no device, one that lacks the precision, a larger network's weights that cannot be read or do not
    /// fit.
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
        let seat = |device: Device| {
            let device = device.autodiff();
            let b = BurnBackend::new(device.clone());
            let load = |(teacher, weights): (&TeacherRecipe, _)| -> Result<_> {
                let loaded = Network::load(&b, teacher.version()?, weights);
                loaded.with_context(|| format!("in the teacher's weights {}", teacher.weights.display()))
            };
            let larger = teacher.zip(weights.as_ref()).map(load).transpose()?;
            Ok(Seat { device, larger })
        };
        let seats = devices.into_iter().map(seat).collect::<Result<_>>()?;
        Ok(Self { seats, precision })
    }

    /// The first device, where validation runs.
    pub fn first(&self) -> &Device {
        &self.seats[0].device
    }

    /// Loss and gradients of a batch, each device taking as equal a part of it as whole samples allow.
    ///
    /// Errors: samples that do not fit the network.
    pub fn evaluate(&self, parameters: &Parameters, samples: &Samples, weights: &Terms) -> Result<Found> {
        let count = self.seats.len().min(samples.count);
        let parts = split(samples, count);
        if count == 1 {
            return self.seats[0].evaluate(parameters, &parts[0], weights, self.precision);
        }
        std::thread::scope(|scope| {
            let work = |(seat, part): (&'_ Seat, &'_ Part)| {
                threads::flush_denormals();
                seat.evaluate(parameters, part, weights, self.precision)
            };
            let pairs = self.seats.iter().zip(&parts);
            let running: Vec<_> = pairs.map(|pair| scope.spawn(move || work(pair))).collect();
            let found = running.into_iter().map(|thread| match thread.join() {
                Ok(found) => found,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            let found = found.collect::<Result<Vec<_>>>()?;
            Ok(mean(&found, &parts))
        })
    }
}

impl Seat {
    fn evaluate(
        &self,
        parameters: &Parameters,
        part: &Part,
        weights: &Terms,
        precision: Precision,
    ) -> Result<Found> {
        let tracked = parameters.track(&self.device);
        let backend = BurnBackend::new(self.device.clone()).with_half(precision.half());
        let known = (weights[Term::Flow] > 0.0).then_some(part.known);
        let larger = self.larger.as_ref();
        let found = evaluate(&backend, &tracked.network, larger, &part.samples, known, weights)?;
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

/// The loss of a network on samples. `larger` is a network to be imitated; `known` how many pixels' flow counts as
/// known (see [`KnownFlow::count`]), where known flow is looked at.
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

/// A network's output between the outer frames, and its teacher block's where it is wanted.
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

/// How many pixels' flow is known.
pub fn known_pixels(samples: &Samples) -> f32 {
    samples.known.iter().sum()
}

/// As many parts as there are devices, of sizes that differ by one sample at most.
fn split(samples: &Samples, parts: usize) -> Vec<Part> {
    let known = known_pixels(samples);
    let bound = |i: usize| samples.count * i / parts;
    let part = |i: usize| {
        let range = bound(i)..bound(i + 1);
        let share = range.len() as f32 / samples.count as f32;
        Part {
            samples: pick(samples, range),
            share,
            known: known * share,
        }
    };
    (0..parts).map(part).collect()
}

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

/// What the parts came to together: every term is a mean over samples.
fn mean(found: &[Found], parts: &[Part]) -> Found {
    let weighed = |of: &dyn Fn(&Found) -> f32| found.iter().zip(parts).map(|(f, p)| of(f) * p.share).sum();
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
