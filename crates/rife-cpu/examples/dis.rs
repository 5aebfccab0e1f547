//! Benchmark of the dense inverse search for each tier: `cargo run --release -p rife-cpu --example dis [threads]`.

use std::hint::black_box;
use std::time::Instant;

use rife_backend::DisOptions;
use rife_cpu::{Engine, EngineOptions, Tier};

/// Width and height.
const SIZES: [[usize; 2]; 2] = [[1280, 768], [1920, 1088]];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map(|text| text.parse()).transpose()?;
    for tier in Tier::available() {
        let engine = Engine::new(EngineOptions {
            threads,
            tier: Some(tier),
            ..EngineOptions::default()
        })?;
        for [width, height] in SIZES {
            println!(
                "{:7} {} threads, {width}x{height}: {:5.1} ms",
                tier.name(),
                engine.thread_count(),
                shortest(&engine, [height, width]) * 1e3
            );
        }
    }
    Ok(())
}

/// Measures the shortest time of 15 runs in seconds.
fn shortest(engine: &Engine, [height, width]: [usize; 2]) -> f64 {
    let values = [0, 5].map(|away| {
        let value = |i: usize| {
            let (row, column) = (i / width % height, i % width + away);
            0.5 + 0.3 * (column as f32 * 0.11).sin() * (row as f32 * 0.07).cos()
        };
        (0..3 * height * width).map(value).collect::<Vec<f32>>()
    });
    let time = |_| {
        let frames = [0, 1].map(|i| engine.materialize(&engine.upload([3, height, width], &values[i])));
        let begin = Instant::now();
        black_box(engine.dis_flow(frames.each_ref(), 0, &DisOptions::default()));
        begin.elapsed().as_secs_f64()
    };
    (0..15).map(time).fold(f64::INFINITY, f64::min)
}
