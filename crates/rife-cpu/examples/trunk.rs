//! Times chains of eight 3x3 convolutions with PReLU and one residual, as percent of this machine's measured limit
//! for 32-bit multiply-adds: `cargo run --release -p rife-cpu --example trunk [threads] [int8]`.

use std::hint::black_box;
use std::time::Instant;

use rife_cpu::{Activation, ConvKind, ConvSpec, Engine, EngineOptions, Precision};

/// Channels, width and height.
const SHAPES: [[usize; 3]; 3] = [[90, 320, 180], [150, 160, 90], [240, 80, 45]];
const LAYERS: usize = 8;
const RUNS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map(|text| text.parse()).transpose()?;
    let precision = match std::env::args().nth(2).as_deref() {
        Some("int8") => Precision::Int8,
        Some(other) => return Err(format!("no precision {other:?}: int8, or nothing for f32").into()),
        None => Precision::F32,
    };
    let engine = Engine::new(EngineOptions {
        threads,
        precision,
        tier: None,
    })?;
    let count = engine.thread_count();
    let limit = multiply_adds_limit() * count as f64;
    println!(
        "tier {}, {}, {count} threads, limit {:.0} GFLOP/s",
        engine.tier().name(),
        precision.name(),
        limit / 1e9
    );
    for shape in SHAPES {
        let seconds = trunk(&engine, shape);
        let [c, width, height] = shape;
        let flops = (2 * 9 * c * c * width * height * LAYERS) as f64;
        println!(
            "c={c:<3} {width}x{height}: {:6.1} ms, {:4.0} GFLOP/s, {:3.0}% of the limit",
            seconds * 1e3,
            flops / seconds / 1e9,
            flops / seconds / limit * 100.0
        );
    }
    Ok(())
}

/// The shortest of a few runs: others' work on the machine only adds.
fn shortest(mut run: impl FnMut()) -> f64 {
    run();
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(|_| time(&mut run)).fold(f64::INFINITY, f64::min)
}

fn trunk(engine: &Engine, [c, width, height]: [usize; 3]) -> f64 {
    let value = |i: usize| (i * 7919 % 1009) as f32 / 1009.0 - 0.5;
    let spec = ConvSpec {
        kind: ConvKind::Same,
        input: c,
        output: c,
        groups: 1,
        weight: (0..c * c * 9)
            .map(|i| value(i) / (c as f32 * 9.0).sqrt())
            .collect(),
        bias: vec![0.01; c],
        residual: None,
        activation: Activation::Prelu(vec![0.25; c]),
    };
    let layers: Vec<_> = (0..LAYERS).map(|_| engine.conv_layer(&spec)).collect();
    let data: Vec<f32> = (0..c * width * height).map(value).collect();
    // Through a layer first, so that the input has the layout that it has inside a network.
    let input = engine.conv(&engine.upload([c, height, width], &data), &layers[0]);
    shortest(|| {
        let last = layers
            .iter()
            .fold(input.clone(), |x, layer| engine.conv(&x, layer));
        black_box(engine.add(&last, &input));
    })
}

/// Multiplications and additions a second of one thread that does nothing else.
fn multiply_adds_limit() -> f64 {
    const ROUNDS: usize = 1_000_000;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature was just found.
        let seconds = shortest(|| unsafe { avx512_rounds(ROUNDS) });
        return (ROUNDS * 24 * 16 * 2) as f64 / seconds;
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features were just found.
        let seconds = shortest(|| unsafe { avx2_rounds(ROUNDS) });
        return (ROUNDS * 12 * 8 * 2) as f64 / seconds;
    }
    let seconds = shortest(|| plain_rounds(ROUNDS));
    (ROUNDS * 64 * 2) as f64 / seconds
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512_rounds(rounds: usize) {
    use std::arch::x86_64::*;
    let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
    let mut sums = [_mm512_set1_ps(1.0); 24];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2_rounds(rounds: usize) {
    use std::arch::x86_64::*;
    let (a, b) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
    let mut sums = [_mm256_set1_ps(1.0); 12];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums);
}

fn plain_rounds(rounds: usize) {
    let (a, b) = (black_box(0.999f32), black_box(0.001f32));
    let mut sums = [1.0f32; 64];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = sum.mul_add(a, b);
        }
    }
    black_box(sums);
}
