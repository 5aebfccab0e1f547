//! Every network family and option against `outputs.safetensors`, frames that the plain engine made and whose equality with the
//! published definitions the other tests of this binary show where those are at hand. Weights and frames are made by rules, so
//! the file holds outputs alone, as 16-bit fractions of 1. `RIFE_WRITE_OUTPUTS=1 cargo test -p rife-nets --test reference parity`
//! writes the file anew.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rife_backend::Backend;
use rife_backend::reference::ReferenceBackend;
use rife_cpu::{CpuBackend, EngineOptions};
use rife_nets::{Image, Model, Version, deterministic};

use super::stored::Stored;
use super::{LARGEST, MEAN, Run};

/// Width and height of the frames, which no network's size multiple divides.
const SIZE: [usize; 2] = [44, 36];
/// One version of each definition of a published network.
const VERSIONS: [&str; 20] = [
    "rife",
    "rife_2r",
    "rife_m",
    "rife_hdv2",
    "4.0",
    "4.2",
    "4.5",
    "4.6",
    "4.7",
    "4.10",
    "4.12.lite",
    "4.13",
    "4.14.lite",
    "4.15.lite",
    "4.20",
    "4.22",
    "4.25",
    "4.25.lite",
    "4.26.heavy",
    "4.25.heavy",
];

/// The runs of a version: its middle frame, and every option that it supports.
fn runs(version: Version) -> Vec<&'static str> {
    let mut runs = vec!["s1.0_t0.5", "s0.5_t0.5"];
    if version.supports_timestep() {
        runs.push("s1.0_t0.25");
    }
    if version.supports_ensemble() {
        runs.push("s1.0_t0.5_ensemble");
    }
    if version.spec().is_none() {
        runs.push("s1.0_t0.5_tta");
    }
    runs
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/outputs.safetensors")
}

/// A frame of waves and a disk that moves by four pixels from frame 0 to frame 1.
fn frame(number: usize) -> Image {
    let [width, height] = SIZE;
    let value = |c: usize, y: usize, x: usize| {
        let (x, y) = (x as f32 - 4.0 * number as f32, y as f32);
        let inside = (x - 20.0).powi(2) + (y - 16.0).powi(2) < 81.0;
        // Multiples of 1/256 are the same numbers on every machine, whatever its sine.
        let wave = 0.5 + 0.4 * (0.3 * x + 0.2 * y + c as f32).sin() * if inside { -1.0 } else { 1.0 };
        (wave * 256.0).round() / 256.0
    };
    let pixels = (0..3 * height).flat_map(|row| (0..width).map(move |x| (row / height, row % height, x)));
    Image::new(width, height, pixels.map(|(c, y, x)| value(c, y, x)).collect()).unwrap()
}

/// Runs every case on the engine that `engine` opens; returns the frames by case.
fn frames<B: Backend>(engine: impl Fn() -> B) -> BTreeMap<String, Vec<f32>> {
    let images = [0, 1].map(frame);
    let mut made = BTreeMap::new();
    for name in VERSIONS {
        let version: Version = name.parse().unwrap();
        let model = Model::from_weights(engine(), &deterministic::weights(version), Some(version)).unwrap();
        for run in runs(version) {
            let parsed = Run::parse(run.trim_end_matches("_tta"));
            let mut options = parsed.options;
            options.tta = run.ends_with("_tta");
            let [first, second] = images
                .each_ref()
                .map(|image| model.prepare_frame(image, &options).unwrap());
            let frame = model
                .interpolate(&first, &second, parsed.timestep, &options)
                .unwrap();
            made.insert(format!("{name}/{run}"), frame.data().to_vec());
        }
    }
    made
}

/// Writes frames as `.safetensors` of 16-bit fractions of 1.
fn write(frames: &BTreeMap<String, Vec<f32>>) {
    let [width, height] = SIZE;
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, values) in frames {
        let begin = data.len();
        data.extend(
            values
                .iter()
                .flat_map(|value| ((value * 65535.0).round() as u16).to_le_bytes()),
        );
        let entry = serde_json::json!({
            "dtype": "U16", "shape": [3, height, width], "data_offsets": [begin, data.len()]
        });
        header.insert(name.clone(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let header = format!("{header:<width$}", width = header.len().next_multiple_of(8));
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
    std::fs::write(file(), bytes).unwrap();
}

#[test]
fn parity_of_every_network_with_the_stored_frames() {
    if std::env::var_os("RIFE_WRITE_OUTPUTS").is_some() {
        write(&frames(|| ReferenceBackend));
    }
    let stored = Stored::open(&file());
    let made = frames(|| CpuBackend::new(EngineOptions::default()).unwrap());
    assert!(
        stored.keys().eq(made.keys().map(String::as_str)),
        "the stored cases are {:?}",
        stored.keys().collect::<Vec<_>>()
    );
    for (name, found) in made {
        let expected = stored.values(&name);
        let differences = || found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let largest = differences().fold(0.0, f32::max);
        let mean = differences().sum::<f32>() / expected.len() as f32;
        // The stored frames are rounded to multiples of 1/65535.
        let rounding = 0.5 / 65535.0;
        assert!(
            largest <= LARGEST + rounding && mean <= MEAN + rounding,
            "{name}: largest {largest}, mean {mean}"
        );
    }
}
