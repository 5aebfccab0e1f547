//! The same loss and gradients as `tools/train_twin.py` on a fixed batch: `twin.json` is what
//! `tools/make_training_fixture.py` wrote with PyTorch.

use std::collections::BTreeMap;

use burn_tensor::{Device, Tensor};
use rife_nets::{Backend, Factor, Version, deterministic};
use rife_train::backend::{Batch, BurnBackend, values};
use rife_train::data::Samples;
use rife_train::loss::{LossWeights, laplacian};
use rife_train::parameters::Parameters;
use rife_train::threads;
use rife_train::trainer::evaluate;
use serde::Deserialize;

const CROP: usize = 64;
const PLANE: usize = CROP * CROP;

#[derive(Deserialize)]
struct Summary {
    norm: f64,
    projection: f64,
    values: [f64; 5],
}

#[derive(Deserialize)]
struct Operations {
    laplacian: f64,
    #[serde(flatten)]
    results: BTreeMap<String, Summary>,
}

#[derive(Deserialize)]
struct Twin {
    total: f64,
    laplacian: f64,
    gradients: BTreeMap<String, Summary>,
    operations: Operations,
}

fn twin() -> Twin {
    serde_json::from_str(include_str!("twin.json")).unwrap()
}

impl Summary {
    /// How far these values are from the twin's, relative to their norm.
    fn distance(&self, values: &[f32]) -> f64 {
        let flat: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
        let norm = flat.iter().map(|x| x * x).sum::<f64>().sqrt();
        let projection: f64 = flat
            .iter()
            .enumerate()
            .map(|(i, x)| x * (i as f64 * 0.7).cos())
            .sum();
        let place = |k: usize| flat[(k as f64 * (flat.len() - 1) as f64 / 4.0) as usize];
        let off = (0..5)
            .map(|k| (place(k) - self.values[k]).abs())
            .fold(0.0, f64::max);
        off.max((norm - self.norm).abs())
            .max((projection - self.projection).abs() / 4.0)
            / self.norm.max(1e-12)
    }
}

/// `[2, channels, CROP, CROP]` from a function of sample, channel, row and column.
fn field(channels: usize, f: impl Fn(f64, f64, f64, f64) -> f64) -> Vec<f32> {
    let value = |i: usize| {
        let (n, c, y, x) = (
            i / (channels * PLANE),
            i / PLANE % channels,
            i / CROP % CROP,
            i % CROP,
        );
        f(n as f64, c as f64, y as f64, x as f64) as f32
    };
    (0..2 * channels * PLANE).map(value).collect()
}

fn pictures(phase: f64) -> Vec<f32> {
    field(3, |n, c, y, x| {
        let first = (0.23 * (x + phase) + 0.5 * c + n).sin();
        let second = (0.17 * (y - 2.0 * phase) + 0.31 * x * (c + 1.0) / 3.0 + 2.0 * n).sin();
        0.5 + 0.2 * (first + second)
    })
}

fn flow() -> Vec<f32> {
    field(4, |n, c, y, x| 6.0 * (0.05 * x + 0.07 * y + c + n).sin())
}

fn samples() -> Samples {
    Samples {
        count: 2,
        crop: CROP,
        frames: [pictures(0.0), pictures(1.0), pictures(2.0)],
        times: vec![0.5, 0.25],
        flow: flow(),
        known: vec![1.0; 2 * PLANE],
    }
}

#[test]
fn loss_and_gradients_are_the_twins() {
    threads::start(0).unwrap();
    let twin = twin();
    let version = Version::DEFAULT;
    let parameters = Parameters::from_weights(version, &deterministic::weights(version)).unwrap();
    let device = Device::flex().autodiff();
    let tracked = parameters.track(&device);
    let backend = BurnBackend::new(device);
    let weights = LossWeights {
        stage: 0.25,
        flow: 0.02,
    };
    let loss = evaluate(&backend, &tracked.network, &samples(), &[16, 8, 4, 1], weights).unwrap();
    let number = |x: &Tensor<1>| f64::from(values(x.clone())[0]);
    let (total, laplacian) = (number(&loss.total), number(&loss.laplacian));
    println!(
        "total {total} (twin {}), laplacian {laplacian} (twin {})",
        twin.total, twin.laplacian
    );
    assert!(
        (total - twin.total).abs() < 1e-6,
        "{total}, the twin has {}",
        twin.total
    );
    assert!(
        (laplacian - twin.laplacian).abs() < 1e-6,
        "{laplacian}, the twin has {}",
        twin.laplacian
    );

    let gradients = tracked.gradients(&loss.total);
    assert_eq!(parameters.tensors.len(), twin.gradients.len());
    let mut worst = (0.0, "");
    for (tensor, gradient) in parameters.tensors.iter().zip(&gradients) {
        let distance = twin.gradients[&tensor.key].distance(gradient);
        worst = if distance > worst.0 {
            (distance, &tensor.key)
        } else {
            worst
        };
    }
    println!("largest relative distance of a gradient: {worst:?}");
    assert!(worst.0 < 1e-3, "{worst:?}");
}

#[test]
fn operations_are_the_twins() {
    threads::start(0).unwrap();
    let Operations {
        laplacian: expected,
        results,
    } = twin().operations;
    let b = BurnBackend::new(Device::flex());
    let batch = |channels: usize, data: Vec<f32>| b.batch([2, channels, CROP, CROP], data);
    let difference = batch(3, pictures(0.0)).tensor() - batch(3, pictures(1.0)).tensor();
    let found = f64::from(values(laplacian(difference))[0]);
    assert!(
        (found - expected).abs() < 1e-6,
        "{found}, the twin has {expected}"
    );

    let image = batch(3, pictures(1.0));
    let warped = || b.warp(&image, &b.channels(&batch(4, flow()), 0..2));
    let cases: [(&str, Batch); 4] = [
        ("warp", warped()),
        ("warp_down4", b.resize(&warped(), Factor::Down(4))),
        ("down8", b.resize(&image, Factor::Down(8))),
        ("up4", b.resize(&image, Factor::Up(4))),
    ];
    for (name, found) in cases {
        let distance = results[name].distance(&values(found.tensor()));
        assert!(distance < 1e-5, "{name}: {distance}");
    }
}
