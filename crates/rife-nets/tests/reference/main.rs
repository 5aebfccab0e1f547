//! Every network against the outputs of its published definition, on weights made by the shared rule.

mod stored;

use rife_nets::{Backend, LayerDesc, Model, Options, Scale, TensorRole, Version, deterministic};
use stored::Stored;

/// Largest and mean difference that counts as the same network.
const LARGEST: f32 = 5e-5;
const MEAN: f32 = 1e-5;

/// A stored output's name, as in `s0.5_t0.5/merged` or `s1.0_t0.25_ensemble/merged`.
struct Case<'a> {
    options: Options,
    timestep: f32,
    what: &'a str,
}

impl<'a> Case<'a> {
    fn parse(key: &'a str) -> Option<Self> {
        let (run, what) = key.split_once('/')?;
        let mut words = run.split('_');
        let scale: Scale = words.next()?.strip_prefix('s')?.parse().ok()?;
        let timestep = words.next()?.strip_prefix('t')?.parse().ok()?;
        let ensemble = words.next() == Some("ensemble");
        let options = Options {
            scale,
            ensemble,
            tta: what == "tta",
            ..Options::default()
        };
        Some(Self {
            options,
            timestep,
            what,
        })
    }

    fn run<B: Backend>(&self, model: &Model<B>, stored: &Stored) -> Vec<f32> {
        let b = model.backend();
        let frames =
            ["img0", "img1"].map(|key| model.prepare_frame(&stored.image(key), &self.options).unwrap());
        let [first, second] = &frames;
        let output = model
            .interpolate_tensors(first, second, self.timestep, &self.options)
            .unwrap();
        b.download(&match self.what {
            "flow" => output.flow,
            "mask" => b.sigmoid(&output.mask),
            _ => output.merged,
        })
    }
}

/// Compares every stored output of a version whose name `wanted` accepts.
fn compare<B: Backend>(backend: B, engine: &str, name: &str, wanted: impl Fn(&str) -> bool) {
    let Some(dir) = stored::reference_dir() else {
        return;
    };
    let stored = Stored::open(&dir.join(format!("{name}.safetensors")));
    let version: Version = name.parse().unwrap();
    let model = Model::from_weights(backend, &deterministic::weights(version), Some(version)).unwrap();
    for key in stored.keys().filter(|key| wanted(key)) {
        let Some(case) = Case::parse(key) else { continue };
        let found = case.run(&model, &stored);
        let expected = stored.values(key);
        assert_eq!(found.len(), expected.len(), "{engine} {name} {key}");
        let differences = || found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let largest = differences().fold(0.0, f32::max);
        let mean = differences().sum::<f32>() / expected.len() as f32;
        // Flow is in pixels and an input of the frame; the tolerance is one of frames.
        let unit = if case.what == "flow" {
            expected.iter().fold(1.0, |m: f32, v| m.max(v.abs()))
        } else {
            1.0
        };
        println!("{engine} {name} {key}: largest {largest:.1e}, mean {mean:.1e}");
        assert!(
            largest <= LARGEST * unit && mean <= MEAN * unit,
            "{engine} {name} {key}: {largest} {mean}"
        );
    }
}

/// A few outputs for the slow engine: between them they hold every operation.
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
        compare(rife_nets::reference::ReferenceBackend, "plain", name, |found| {
            found == key
        });
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
    let published: std::collections::BTreeMap<String, f64> = serde_json::from_str(&text).unwrap();
    for (name, macs) in published {
        let ours = name.parse::<Version>().unwrap().macs_per_pixel();
        assert!(
            (ours - macs).abs() <= 1.0,
            "{name}: {ours} multiply-adds a pixel, published {macs}"
        );
    }
}
