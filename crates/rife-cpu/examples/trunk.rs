//! Benchmark of chains of eight 3x3 convolutions with PReLU and a skip connection, relative to the machine's measured f32
//! throughput: `cargo run --release -p rife-cpu --example trunk [threads] [int8]`.

use std::hint::black_box;

use limits::{dots_limit, multiply_adds_limit, shortest, together};
use rife_backend::{Activation, ConvKind, ConvSpec};
use rife_cpu::{Engine, EngineOptions, Precision};

#[path = "common/limits.rs"]
mod limits;

/// Channels, width and height.
const SHAPES: [[usize; 3]; 3] = [[90, 320, 180], [150, 160, 90], [240, 80, 45]];
const LAYERS: usize = 8;

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
    let limit = together(count, multiply_adds_limit);
    println!(
        "tier {}, {}, {count} threads, limit {:.0} GFLOP/s, VNNI {:.0} GOP/s",
        engine.tier().name(),
        precision.name(),
        limit / 1e9,
        together(count, dots_limit) / 1e9
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

/// Measures the shortest time in seconds of one chain with `c` channels.
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
    // The first convolution converts the input to the layout that it has inside a network.
    let input = engine.conv(&engine.upload([c, height, width], &data), &layers[0]);
    shortest(|| {
        let last = layers
            .iter()
            .fold(input.clone(), |x, layer| engine.conv(&x, layer));
        black_box(engine.add(&last, &input));
    })
}
