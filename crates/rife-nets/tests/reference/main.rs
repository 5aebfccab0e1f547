//! Every network against the outputs of its published definition, on weights made by the shared rule.

mod parity;
mod stored;

use std::collections::{BTreeMap, BTreeSet};

use rife_backend::Backend;
use rife_cpu::{CpuBackend, EngineOptions, Tier};
use rife_gpu::{AdapterChoice, GpuBackend, Precision, adapters};
use rife_nets::{LayerDesc, Model, Options, Scale, TensorRole, Version, deterministic};
use rife_testing::Need;
use stored::Stored;

/// Largest and mean difference that counts as the same network.
const LARGEST: f32 = 5e-5;
const MEAN: f32 = 1e-5;

/// One run of a network, named as in `s0.5_t0.5` or `s1.0_t0.25_ensemble`.
struct Run {
    options: Options,
    timestep: f32,
}

impl Run {
    fn parse(name: &str) -> Self {
        let mut words = name.split('_');
        let mut word = |prefix| words.next().unwrap().strip_prefix(prefix).unwrap();
        let scale: Scale = word("s").parse().unwrap();
        let timestep = word("t").parse().unwrap();
        let ensemble = words.next() == Some("ensemble");
        Self {
            options: Options {
                scale,
                ensemble,
                ..Options::default()
            },
            timestep,
        }
    }

    /// The outputs `merged`, `flow` and `mask`, or `tta` alone, by name.
    fn outputs<B: Backend>(
        &self,
        model: &Model<B>,
        stored: &Stored,
        tta: bool,
    ) -> Vec<(&'static str, Vec<f32>)> {
        let b = model.backend();
        let options = Options { tta, ..self.options };
        let frames = ["img0", "img1"].map(|key| model.prepare_frame(&stored.image(key), &options).unwrap());
        let [first, second] = &frames;
        let pair = model.pair(first, second, &options).unwrap();
        let output = model.tensors_at(&pair, self.timestep, &options).unwrap();
        if tta {
            return vec![("tta", b.download(&output.merged).unwrap())];
        }
        let mask = b.sigmoid(&output.mask);
        let all = [("merged", output.merged), ("flow", output.flow), ("mask", mask)];
        all.map(|(what, tensor)| (what, b.download(&tensor).unwrap()))
            .to_vec()
    }
}

/// Compares every stored output of a version whose key `wanted` accepts, and says how far off they are.
fn compare<B: Backend>(backend: B, engine: &str, name: &str, wanted: impl Fn(&str) -> bool) {
    let Some(dir) = stored::reference_dir() else {
        return;
    };
    let stored = Stored::open(&dir.join(format!("{name}.safetensors")));
    let version: Version = name.parse().unwrap();
    let model = Model::from_weights(backend, &deterministic::weights(version), Some(version)).unwrap();
    let wanted: BTreeSet<&str> = stored
        .keys()
        .filter(|key| key.contains('/') && wanted(key))
        .collect();
    let runs: BTreeSet<(&str, bool)> = wanted
        .iter()
        .map(|key| (key.split_once('/').unwrap().0, key.ends_with("/tta")))
        .collect();
    let mut compared = 0;
    for (run, tta) in runs {
        for (what, found) in Run::parse(run).outputs(&model, &stored, tta) {
            let key = format!("{run}/{what}");
            if wanted.contains(key.as_str()) {
                assert_close(&format!("{engine} {name} {key}"), &found, &stored.values(&key));
                compared += 1;
            }
        }
    }
    assert_eq!(
        compared,
        wanted.len(),
        "{engine} {name}: not every stored output was compared"
    );
}

fn assert_close(case: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{case}");
    let differences = || found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let largest = differences().fold(0.0, f32::max);
    let mean = differences().sum::<f32>() / expected.len() as f32;
    println!("{case}: largest {largest:.1e}, mean {mean:.1e}");
    assert!(
        largest <= LARGEST && mean <= MEAN,
        "{case}: largest {largest}, mean {mean}"
    );
}

/// A few outputs for slow engines: between them they hold every operation.
const PLAIN: [(&str, &str); 6] = [
    ("4.0", "s0.5_t0.5/merged"),
    ("4.14.lite", "s0.5_t0.5/merged"),
    ("4.15.lite", "s1.0_t0.25_ensemble/merged"),
    ("4.25", "s1.0_t0.25/merged"),
    ("rife_m", "s0.5_t0.5/tta"),
    ("rife_hdv2", "s0.5_t0.5/merged"),
];

#[test]
fn the_plain_engine_agrees_with_the_published_definitions() {
    for (name, key) in PLAIN {
        compare(
            rife_backend::reference::ReferenceBackend,
            "plain",
            name,
            |found| found == key,
        );
    }
}

/// Every version on every tier that this machine has: on the fastest all outputs, on the others (which differ in
/// their kernels only, and take minutes for everything) the half-scale ones, or all with `RIFE_REFERENCE_ALL` set.
#[test]
fn the_cpu_engine_agrees_with_the_published_definitions_on_every_tier() {
    let Some(dir) = stored::reference_dir() else {
        return;
    };
    let tiers = Tier::available();
    let fastest = *tiers.last().unwrap();
    for tier in tiers {
        let all = tier == fastest || std::env::var_os("RIFE_REFERENCE_ALL").is_some();
        let begun = std::time::Instant::now();
        for name in stored::versions(&dir) {
            let options = EngineOptions {
                tier: Some(tier),
                ..EngineOptions::default()
            };
            let wanted = |key: &str| all || (key.starts_with("s0.5") && !key.ends_with("/tta"));
            compare(CpuBackend::new(options).unwrap(), tier.name(), &name, wanted);
        }
        println!("tier {} agrees, {:.1?}", tier.name(), begun.elapsed());
    }
}

/// The adapter that `RIFE_TEST_GPU` names, or the first one, software included: the outputs of [`PLAIN`], or all outputs of
/// every version with `RIFE_REFERENCE_ALL` set. A software adapter compiles kernels for minutes.
#[test]
fn the_gpu_engine_agrees_with_the_published_definitions() {
    let Some(dir) = stored::reference_dir() else {
        return;
    };
    let asked = std::env::var("RIFE_TEST_GPU").ok();
    let choice = match asked.as_deref() {
        None | Some("") => AdapterChoice::Index(0),
        Some(text) => text.parse().unwrap(),
    };
    let adapter = match choice.find(&adapters()) {
        Err(error) if asked.is_some() => panic!("RIFE_TEST_GPU is set, and there is {error}"),
        found => found,
    };
    let Some(adapter) = Need::Vulkan.met(adapter) else {
        return;
    };
    let all = std::env::var_os("RIFE_REFERENCE_ALL").is_some();
    if all {
        for name in stored::versions(&dir) {
            compare(
                GpuBackend::new(&adapter, Precision::F32).unwrap(),
                "gpu",
                &name,
                |_| true,
            );
        }
        return;
    }
    for (name, key) in PLAIN {
        let backend = GpuBackend::new(&adapter, Precision::F32).unwrap();
        compare(backend, "gpu", name, |found| found == key);
    }
}

#[test]
fn tensors_are_those_of_the_published_definitions() {
    let Some(dir) = stored::reference_dir() else {
        return;
    };
    for name in stored::versions(&dir) {
        let text = std::fs::read_to_string(dir.join(format!("{name}.json"))).unwrap();
        let published: serde_json::Value = serde_json::from_str(&text).unwrap();
        let role = |role| match role {
            TensorRole::Weight => "weight",
            TensorRole::Bias => "bias",
            TensorRole::Slope => "slope",
            TensorRole::Beta => "beta",
        };
        let layers = name.parse::<Version>().unwrap().training_layers();
        let ours = layers.iter().flat_map(LayerDesc::tensors).map(|tensor| {
            let fan_in = tensor.fan_in;
            serde_json::json!({"key": tensor.key, "shape": tensor.shape, "kind": role(tensor.role), "fan_in": fan_in})
        });
        let sorted = |mut list: Vec<serde_json::Value>| {
            list.sort_by_key(|tensor| tensor["key"].as_str().unwrap().to_owned());
            list
        };
        let published = sorted(published["tensors"].as_array().unwrap().clone());
        assert_eq!(sorted(ours.collect()), published, "{name}");
    }
}

#[test]
fn arithmetic_is_that_of_the_published_definitions() {
    let Some(dir) = stored::reference_dir() else {
        return;
    };
    let text = std::fs::read_to_string(dir.join("macs.json")).unwrap();
    let published: BTreeMap<String, f64> = serde_json::from_str(&text).unwrap();
    for (name, macs) in published {
        let ours = name.parse::<Version>().unwrap().macs_per_pixel();
        assert!(
            (ours - macs).abs() <= 1.0,
            "{name}: {ours} multiply-adds a pixel, published {macs}"
        );
    }
}
