//! Comparison with PyTorch: loss and gradients of `tools/train_twin.py` on a fixed batch (`twin.json`), all loss terms,
//! AdamW, and the paper's networks in training (`terms.json`). `tools/make_training_fixture.py` wrote both files.

use std::collections::BTreeMap;

use burn_tensor::Device;
use rife_backend::{Backend, Resize};
use rife_nets::{Version, deterministic};
use rife_train::backend::{Batch, BurnBackend, values};
use rife_train::data::Samples;
use rife_train::loss::{KnownFlow, Term, Terms, census, charbonnier, decibels, flow_loss, l1, laplacian};
use rife_train::optimizer::{Moments, average, norm};
use rife_train::parameters::{Parameter, Parameters};
use rife_train::recipe::{OptimizerRecipe, Recipe};
use rife_train::step::{evaluate, known_pixels};
use rife_train::threads;
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
    networks: BTreeMap<String, Trained>,
    operations: Operations,
}

/// Loss and gradients of a network.
#[derive(Deserialize)]
struct Trained {
    total: f64,
    laplacian: f64,
    gradients: BTreeMap<String, Summary>,
}

/// Weights after some steps of AdamW, and their exponential moving average.
#[derive(Deserialize)]
struct AdamW {
    values: Vec<Vec<f32>>,
    average: Vec<Vec<f32>>,
}

/// Loss terms of one of the paper's networks in training, and the gradients of its kernels.
#[derive(Deserialize)]
struct Paper {
    phase: f64,
    laplacian: f64,
    teacher_block: f64,
    distillation: f64,
    gradients: BTreeMap<String, Summary>,
}

#[derive(Deserialize)]
struct Rest {
    terms: BTreeMap<String, f64>,
    adamw: AdamW,
    rife: Paper,
    rife_m: Paper,
}

fn rest() -> Rest {
    serde_json::from_str(include_str!("terms.json")).unwrap()
}

/// Panics if two numbers differ by more than the fraction `part` of the second.
fn assert_near(name: &str, found: f64, expected: f64, part: f64) {
    let off = (found - expected).abs() / expected.abs();
    println!("{name}: {found}, PyTorch {expected}, off by {off:.1e}");
    assert!(off < part, "{name} is {found}, PyTorch's {expected}");
}

fn twin() -> Twin {
    serde_json::from_str(include_str!("twin.json")).unwrap()
}

impl Summary {
    /// Returns the largest difference of these values from PyTorch's in five values, the norm and a projection, relative to
    /// PyTorch's norm.
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

/// Makes `[2, channels, CROP, CROP]` values of a function of sample, channel, row and column.
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
    assert_same("r3.lite", &twin.networks["r3.lite"], 1e-6);
    // Motion without weights divides by next to nothing where there is little to see: rounding to 32 bits by itself
    // moves PyTorch's total by 3e-5 from what it is in 64.
    assert_same("r7.lite", &twin.networks["r7.lite"], 1e-5);
}

/// Compares a network's loss and gradients with PyTorch's; `accuracy` is the relative tolerance of the loss.
fn assert_same(name: &str, twin: &Trained, accuracy: f64) {
    let version: Version = name.parse().unwrap();
    let parameters = Parameters::from_weights(version, &deterministic::weights(version)).unwrap();
    let device = Device::flex().autodiff();
    let tracked = parameters.track(&device);
    let backend = BurnBackend::new(device);
    let weights = Terms::from([
        (Term::Laplacian, 1.0),
        (Term::Psnr, 0.005),
        (Term::Stages, 0.25),
        (Term::Flow, 0.02),
    ]);
    let (samples, network) = (samples(), &tracked.network);
    let known = Some(known_pixels(&samples));
    let loss = evaluate(&backend, network, None, &samples, known, &weights).unwrap();
    let total = f64::from(values(loss.total.clone())[0]);
    let laplacian = f64::from(loss.terms()[Term::Laplacian]);
    println!(
        "{name}: total {total} (twin {}), laplacian {laplacian} (twin {})",
        twin.total, twin.laplacian
    );
    assert!(
        (total - twin.total).abs() < accuracy,
        "{total}, the twin has {}",
        twin.total
    );
    assert!(
        (laplacian - twin.laplacian).abs() < accuracy,
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
    let warped = || b.warp(&image, &b.narrow(&batch(4, flow()), 0..2));
    let cases: [(&str, Batch); 5] = [
        ("warp", warped()),
        (
            "detail",
            b.cubic_residual(&b.narrow(&image, 0..1), &b.narrow(&batch(4, flow()), 0..2)),
        ),
        ("warp_down4", b.resize(&warped(), Resize::Down(4))),
        ("down8", b.resize(&image, Resize::Down(8))),
        ("up4", b.resize(&image, Resize::Up(4))),
    ];
    for (name, found) in cases {
        let distance = results[name].distance(&values(found.tensor()));
        assert!(distance < 1e-5, "{name}: {distance}");
    }
}

#[test]
fn every_term_is_pytorchs() {
    threads::start(0).unwrap();
    let expected = rest().terms;
    let b = BurnBackend::new(Device::flex());
    let batch = |channels: usize, data: Vec<f32>| b.batch([2, channels, CROP, CROP], data);
    let (first, second) = (batch(3, pictures(0.0)).tensor(), batch(3, pictures(1.0)).tensor());
    let off = || first.clone() - second.clone();
    let exchanged = |x: Vec<f32>| -> Vec<f32> {
        let planes = x.chunks(4 * PLANE).flat_map(|sample| sample.chunks(PLANE).rev());
        planes.flatten().map(|x| 9.0 * x).collect()
    };
    let known = |n: f64, _: f64, y: f64, x: f64| ((x / 8.0).floor() + (y / 8.0).floor() + n) % 2.0;
    let truth = KnownFlow {
        flow: batch(4, exchanged(flow())),
        known: batch(1, field(1, known)),
        count: field(1, known).iter().sum(),
    };
    let found = [
        ("laplacian", laplacian(off())),
        ("l1", l1(off())),
        ("charbonnier", charbonnier(off())),
        ("decibels", decibels(off())),
        ("census", census(first.clone(), second.clone())),
        ("flow", flow_loss(&batch(4, flow()), &truth)),
    ];
    assert_eq!(found.len(), expected.len());
    for (name, value) in found {
        assert_near(name, f64::from(values(value)[0]), expected[name], 1e-5);
    }
}

/// Six steps of AdamW with clipped gradients and averaged weights give PyTorch's weights.
#[test]
fn adamw_is_pytorchs() {
    threads::start(0).unwrap();
    let expected = rest().adamw;
    let wave = |n: usize, f: &dyn Fn(f32) -> f32| (0..n).map(|i| f(i as f32)).collect::<Vec<f32>>();
    let sizes = [7, 4];
    let mut parameters = Parameters::random(Version::DEFAULT, 1);
    parameters.tensors = sizes
        .map(|n| Parameter {
            key: String::new(),
            shape: vec![n],
            values: wave(n, &|i| (i + n as f32).sin()),
        })
        .to_vec();
    let (mut mean, mut moments) = (parameters.clone(), Moments::new(&parameters));
    let recipe = OptimizerRecipe {
        weight_decay: 0.01,
        betas: [0.9, 0.99],
        ..Recipe::parse(include_str!("../../../recipes/default.toml"))
            .unwrap()
            .optimizer
    };
    for step in 0..6u8 {
        let turn = f32::from(step) + 2.0;
        let size = 0.2 * (f32::from(step) + 1.0);
        let gradients = sizes.map(|n| wave(n, &|i| size * (i * turn + n as f32).cos()));
        let scale = (1.0 / (norm(&gradients) + 1e-6)).min(1.0) as f32;
        let rate = 1e-2 / (f64::from(step) + 1.0);
        moments.update(&mut parameters, &gradients, scale, rate, &recipe);
        average(&mut mean, &parameters, u64::from(step) + 1, 0.9);
    }
    for (found, expected) in [(&parameters, expected.values), (&mean, expected.average)] {
        for (tensor, expected) in found.tensors.iter().zip(expected) {
            let off = tensor.values.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            let worst = off.fold(0.0, f32::max);
            assert!(worst < 1e-6, "{:?}, PyTorch has {expected:?}", tensor.values);
        }
    }
}

fn is_pytorchs_paper(name: &str, times: [f32; 2], expected: &Paper) {
    threads::start(0).unwrap();
    let version: Version = name.parse().unwrap();
    let parameters = Parameters::from_weights(version, &deterministic::weights(version)).unwrap();
    let device = Device::flex().autodiff();
    let tracked = parameters.track(&device);
    let weights = Terms::from([
        (Term::Laplacian, 1.0),
        (Term::TeacherBlock, 1.0),
        (Term::Distillation, 0.01),
    ]);
    let mut samples = samples();
    samples.times = times.to_vec();
    samples.frames[2] = pictures(expected.phase);
    let b = BurnBackend::new(device);
    let loss = evaluate(&b, &tracked.network, None, &samples, None, &weights).unwrap();
    let terms = loss.terms();
    let near = |term: Term, expected| assert_near(term.name(), f64::from(terms[term]), expected, 1e-5);
    near(Term::Laplacian, expected.laplacian);
    near(Term::TeacherBlock, expected.teacher_block);
    near(Term::Distillation, expected.distillation);
    let gradients = tracked.gradients(&loss.total);
    let mut compared = 0;
    for (tensor, gradient) in parameters.tensors.iter().zip(&gradients) {
        let Some(summary) = expected.gradients.get(&tensor.key) else {
            continue;
        };
        let distance = summary.distance(gradient);
        assert!(distance < 1e-3, "{name}, {}: {distance}", tensor.key);
        compared += 1;
    }
    assert_eq!(compared, expected.gradients.len());
}

#[test]
fn ifnet_trains_as_in_pytorch() {
    is_pytorchs_paper("rife", [0.5, 0.5], &rest().rife);
}

#[test]
fn ifnet_m_trains_as_in_pytorch() {
    is_pytorchs_paper("rife_m", [0.5, 0.25], &rest().rife_m);
}
