//! Network descriptions: stored in checkpoints, checked, and run for networks that are not in the registry.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rife_backend::reference::ReferenceBackend;
use rife_backend::{Backend, DisOptions};
use rife_cpu::{CpuBackend, EngineOptions};
use rife_nets::checkpoint::{self, Dtype, Format, LoadedCheckpoint};
use rife_nets::{
    BlendPrior, BlockSpec, Blocks, EncoderKeys, EncoderSpec, FlowModel, Head, Image, MaskUpdate, Model,
    NAME_KEY, NetworkError, NetworkSpec, Options, Prior, SPEC_KEY, Scale, Synthesis, Trunk, Version, Weights,
    deterministic,
};
use serde_json::{Value, json};

fn version(name: &str) -> Version {
    name.parse().unwrap()
}

fn spec(name: &str) -> NetworkSpec {
    *version(name).spec().unwrap()
}

fn blocks(list: &[(usize, usize)]) -> Blocks {
    let list: Vec<_> = list
        .iter()
        .map(|&(channels, scale)| BlockSpec { channels, scale })
        .collect();
    Blocks::try_from(list).unwrap()
}

/// Returns the description of a small network that is not in the registry.
fn small() -> NetworkSpec {
    NetworkSpec {
        blocks: blocks(&[(24, 8), (20, 4), (12, 1)]),
        encoder: Some(EncoderSpec {
            layers: 4,
            keys: EncoderKeys::Named,
            inner: 10,
            features: 3,
        }),
        features: 5,
        ..spec("r7.lite")
    }
}

fn checkpoint(weights: Weights, metadata: &[(&str, &str)]) -> LoadedCheckpoint {
    LoadedCheckpoint {
        weights,
        format: Format::Safetensors,
        metadata: metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        notes: Vec::new(),
    }
}

fn frames(size: [usize; 2]) -> [Image; 2] {
    [0.0, 2.5].map(|phase| {
        let [width, height] = size;
        let value = |i: usize| {
            let (c, y, x) = (i / (width * height), i / width % height, i % width);
            let wave = (x as f32 * 0.23 + phase).sin() * (y as f32 * 0.17 + c as f32).cos();
            let grain = (i.wrapping_mul(2_654_435_761) >> 7) % 256;
            0.5 + 0.35 * wave + 0.1 * (grain as f32 / 255.0 - 0.5)
        };
        Image::new(width, height, (0..3 * width * height).map(value).collect()).unwrap()
    })
}

fn middle<B: Backend>(backend: B, version: Version, weights: &Weights, size: [usize; 2]) -> Image {
    run(backend, version, weights, &frames(size), &Options::default())
}

fn engine() -> CpuBackend {
    CpuBackend::new(EngineOptions::default()).unwrap()
}

fn largest_difference(a: &Image, b: &Image) -> f32 {
    let off = a.data().iter().zip(b.data()).map(|(a, b)| (a - b).abs());
    off.fold(0.0, f32::max)
}

#[test]
fn a_network_that_no_table_has_is_written_read_and_run() {
    let own = Version::from_spec(small()).unwrap();
    assert_eq!(own.name(), format!("custom-{}", &small().sha256()[..8]));
    let weights = deterministic::weights(own);
    let mut metadata = BTreeMap::new();
    own.describe_in(&mut metadata);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.safetensors");
    checkpoint::save_safetensors(&path, &weights, Dtype::F32, &metadata).unwrap();
    let loaded = checkpoint::load(&path).unwrap();
    let found = Version::of_checkpoint(&loaded).unwrap();
    assert_eq!((found, found.spec()), (own, Some(&small())));
    assert!(
        Version::recognise(&loaded.weights).is_err(),
        "no name has these tensors"
    );
    let of_engine = middle(engine(), found, &loaded.weights, [72, 50]);
    let of_reference = middle(ReferenceBackend, found, &loaded.weights, [72, 50]);
    let off = largest_difference(&of_engine, &of_reference);
    assert!(off < 1e-3, "off by {off}");
}

/// Constants without tensors are read from the checkpoint's metadata, and the frame depends on them.
#[test]
fn constants_in_the_metadata_are_used() {
    let named = spec("r7.lite");
    let changed = NetworkSpec {
        prior: Some(Prior::Dis(DisOptions {
            propagation_rounds: 1,
            max_step: 0.5,
            ..DisOptions::default()
        })),
        ..named
    };
    let weights = deterministic::weights(Version::DEFAULT);
    let load = |spec: &NetworkSpec| {
        let loaded = checkpoint(weights.clone(), &[(SPEC_KEY, &spec.to_json())]);
        Version::of_checkpoint(&loaded).unwrap()
    };
    assert_eq!(load(&named), Version::DEFAULT);
    let own = load(&changed);
    assert!(own.name().starts_with("custom-"), "{own}");
    let [of_named, of_own] =
        [Version::DEFAULT, own].map(|version| middle(engine(), version, &weights, [128, 128]));
    assert_ne!(of_named, of_own);
    for synthesis in [
        Synthesis {
            keep_static: Some(100.0),
            ..named.synthesis
        },
        Synthesis {
            cubic_residual: Some(0.5),
            ..named.synthesis
        },
        Synthesis {
            blend_prior: Some(BlendPrior { obmc_distance: 1 }),
            ..named.synthesis
        },
    ] {
        let own = load(&NetworkSpec { synthesis, ..named });
        assert_ne!(
            middle(engine(), own, &weights, [128, 128]),
            of_named,
            "{synthesis:?}"
        );
    }
}

#[test]
fn metadata_says_which_of_networks_with_the_same_tensors() {
    let of = |name: &str, metadata: &[(&str, &str)]| {
        Version::of_checkpoint(&checkpoint(deterministic::weights(version(name)), metadata))
    };
    // By tensors alone, as before.
    assert_eq!(of("rife_2r", &[]), Ok(version("rife")));
    assert_eq!(of("r2.lite", &[]), Ok(version("r3.lite")));
    assert_eq!(of("rife_2r", &[(NAME_KEY, "rife_2r")]), Ok(version("rife_2r")));
    assert_eq!(of("4.25", &[("version", "4.25")]), Ok(version("4.25")));
    assert_eq!(of("r2.lite", &[("version", "r2.lite")]), Ok(version("r2.lite")));
    assert_eq!(of("r1.lite", &[("network", "r1.lite")]), Ok(version("r1.lite")));
    let both = [(NAME_KEY, "4.22"), (SPEC_KEY, &*spec("4.21").to_json())];
    assert_eq!(of("4.21", &both), Ok(version("4.22")));
    // What other programs write there, and a name of other tensors, means nothing.
    assert_eq!(of("4.6", &[("version", "1.0")]), Ok(version("4.6")));
    assert_eq!(of("4.6", &[("version", "4.25")]), Ok(version("4.6")));
    assert_eq!(
        of("4.6", &[(NAME_KEY, "4.25"), (SPEC_KEY, &*spec("4.6").to_json())]),
        Ok(version("4.6"))
    );
    let retired = of("r3.lite", &[("version", "r5.lite")]).unwrap_err();
    assert!(
        matches!(retired, NetworkError::Retired { name: "r5.lite", .. }),
        "{retired}"
    );
    let other = of("4.6", &[(SPEC_KEY, &*spec("4.7").to_json())]).unwrap_err();
    assert!(matches!(other, NetworkError::WrongWeights { .. }), "{other}");
}

#[test]
fn the_metadata_of_another_network_is_replaced() {
    let mut metadata = BTreeMap::from([("author".to_owned(), "a".to_owned())]);
    version("4.6").describe_in(&mut metadata);
    assert_eq!(metadata[NAME_KEY], "4.6");
    assert_eq!(NetworkSpec::from_json(&metadata[SPEC_KEY]).unwrap(), spec("4.6"));
    version("rife").describe_in(&mut metadata);
    let pairs: Vec<_> = metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(pairs, [("author", "a"), (NAME_KEY, "rife")]);
}

/// Returns the error for the description of `r7.lite` with the value at a JSON pointer replaced.
fn refused(pointer: &str, value: &Value) -> String {
    let mut json: Value = serde_json::from_str(&spec("r7.lite").to_json()).unwrap();
    match json.pointer_mut(pointer) {
        Some(old) => *old = value.clone(),
        None => {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            json.pointer_mut(parent).unwrap()[key] = value.clone();
        }
    }
    NetworkSpec::from_json(&json.to_string()).unwrap_err().to_string()
}

#[test]
fn descriptions_out_of_range_are_refused_by_field_value_and_range() {
    let many: Vec<_> = (0..100_000).map(|_| json!({"channels": 2, "scale": 1})).collect();
    for (pointer, value, parts) in [
        (
            "/blocks/1/channels",
            json!(97),
            "blocks[1].channels is 97; accepted: even numbers from 2 to 1024",
        ),
        (
            "/blocks/0/channels",
            json!(1u64 << 40),
            "blocks[0].channels is 1099511627776",
        ),
        ("/blocks/0/channels", json!(0), "blocks[0].channels is 0"),
        (
            "/blocks/0/channels",
            json!(-2),
            "blocks[0].channels: invalid value: integer `-2`",
        ),
        (
            "/blocks/2/scale",
            json!(3),
            "blocks[2].scale is 3; accepted: powers of 2 from 1 to 8",
        ),
        ("/blocks/2/scale", json!(16), "blocks[2].scale is 16"),
        (
            "/blocks/0/scale",
            json!(128),
            "blocks[0].scale is 128; accepted: powers of 2 from 1 to 64",
        ),
        ("/blocks", json!(many), "100000 blocks, at most 8"),
        (
            "/blocks",
            json!([{"channels": 8, "scale": 1}]),
            "blocks is a list of 1; accepted: 2 to 8",
        ),
        ("/blocks/0/depth", json!(9), "unknown field `depth`"),
        (
            "/trunk",
            json!({"res_conv": {"groups": 7}}),
            "trunk.res_conv.groups is 7; accepted: divisors of",
        ),
        (
            "/trunk",
            json!({"res_conv": {"groups": 0}}),
            "trunk.res_conv.groups is 0",
        ),
        (
            "/trunk",
            json!("gelu"),
            "trunk: unknown variant `gelu`, expected one of `prelu`, `leaky_relu`, `res_conv`",
        ),
        ("/head", json!("transposed"), "head is \"transposed\""),
        (
            "/head",
            json!({"pixel_shuffle": {"unused": 17}}),
            "head.pixel_shuffle.unused is 17; accepted: 0 to 16",
        ),
        ("/features", json!(65), "features is 65; accepted: 0 to 64"),
        (
            "/encoder/layers",
            json!(3),
            "encoder.layers is 3; accepted: 2 and 4",
        ),
        ("/encoder/layers", json!(2), "encoder.keys is \"named\""),
        (
            "/encoder/inner",
            json!(1025),
            "encoder.inner is 1025; accepted: 1 to 1024",
        ),
        (
            "/encoder/features",
            json!(0),
            "encoder.features is 0; accepted: 1 to 256",
        ),
        ("/mask", json!("max"), "mask: unknown variant `max`"),
        (
            "/flow",
            json!("cubic"),
            "flow: unknown variant `cubic`, expected `free` or `linear`",
        ),
        (
            "/prior/dis/propagation_rounds",
            json!(1_000_000),
            "prior.dis.propagation_rounds is 1000000; accepted: 0 to 64",
        ),
        (
            "/prior/dis/gauss_newton_steps",
            json!(65),
            "prior.dis.gauss_newton_steps is 65",
        ),
        (
            "/prior/dis/finest_propagation_rounds",
            json!(65),
            "prior.dis.finest_propagation_rounds is 65",
        ),
        (
            "/prior/dis/min_coarsest_area",
            json!(0),
            "prior.dis.min_coarsest_area is 0; accepted: 64 to",
        ),
        (
            "/prior/dis/damping",
            json!(0.0),
            "prior.dis.damping is 0; accepted: numbers above 0",
        ),
        ("/prior/dis/damping", json!(-1.0), "prior.dis.damping is -1"),
        (
            "/prior/dis/zero_start",
            json!(1.5),
            "prior.dis.zero_start is 1.5; accepted: numbers above 0, at most 1",
        ),
        (
            "/prior/dis/finest_level",
            json!(4),
            "prior.dis.finest_level is 4; accepted: 0 to 3",
        ),
        // The number itself, or that it is out of range, by the features of `serde_json`.
        ("/prior/dis/damping", json!(1e300), "prior.dis.damping"),
        ("/prior/dis/damping", json!(-1.0), "prior.dis.damping is -1"),
        (
            "/prior/dis/min_residual",
            json!(1.5),
            "prior.dis.min_residual is 1.5; accepted: numbers above 0, at most 1",
        ),
        (
            "/prior/dis/max_step",
            json!("far"),
            "prior.dis.max_step: invalid type: string \"far\"",
        ),
        ("/prior/dis/stride", json!(8), "unknown field `stride`"),
        ("/prior", json!({"dis": {}}), "missing field `min_coarsest_area`"),
        (
            "/prior",
            Value::Null,
            "synthesis.blend_prior is set; accepted: nothing in a network without a prior",
        ),
        (
            "/ensemble",
            json!(true),
            "ensemble is true; accepted: false in a network with a prior",
        ),
        (
            "/restart",
            json!(32.0),
            "restart is set; accepted: nothing in a network with a prior",
        ),
        (
            "/synthesis/blend_prior/obmc_distance",
            json!(65),
            "synthesis.blend_prior.obmc_distance is 65",
        ),
        (
            "/synthesis/cubic_residual",
            json!(17.0),
            "synthesis.cubic_residual is 17; accepted: numbers above 0, at most 16",
        ),
        (
            "/synthesis/keep_static",
            json!(0),
            "synthesis.keep_static is 0; accepted: numbers above 0, at most 255",
        ),
        ("/still", json!(true), "unknown field `still`"),
    ] {
        let error = refused(pointer, &value);
        assert!(error.contains(parts), "{pointer}: {error}");
    }
    let wide: Vec<_> = (0..8).map(|_| json!({"channels": 1024, "scale": 1})).collect();
    let error = refused("/blocks", &json!(wide));
    assert!(
        error.contains("parameters together") && error.contains("at most 268435456"),
        "{error}"
    );
    for text in [
        "",
        "{}",
        "[]",
        "{\"trunk\": \"prelu\"",
        &"[".repeat(100_000),
        "null",
    ] {
        let error = NetworkSpec::from_json(text).unwrap_err();
        assert!(matches!(error, NetworkError::SpecSyntax(_)), "{error}");
    }
    let twice = format!("{0} {0}", spec("4.6").to_json());
    assert!(NetworkSpec::from_json(&twice).is_err(), "two descriptions");
}

/// The restart limit must be a positive number of pixels.
#[test]
fn a_restart_is_a_length() {
    let json = |value: &str| {
        spec("4.0")
            .to_json()
            .replace("\"restart\":32.0", &format!("\"restart\":{value}"))
    };
    assert!(NetworkSpec::from_json(&json("16.5")).is_ok());
    for value in ["0", "-1", "1e9"] {
        let error = NetworkSpec::from_json(&json(value)).unwrap_err().to_string();
        assert!(error.contains("restart is"), "{error}");
    }
}

fn synthesis() -> impl Strategy<Value = Synthesis> {
    (
        any::<bool>(),
        proptest::option::of(0usize..6),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(residual, blend, cubic, keep)| Synthesis {
            residual,
            blend_prior: blend.map(|obmc_distance| BlendPrior { obmc_distance }),
            cubic_residual: cubic.then_some(0.7),
            keep_static: keep.then_some(2.5),
        })
}

fn any_prior() -> impl Strategy<Value = Option<Prior>> {
    let areas = prop::sample::select(vec![64usize, 512, 1 << 28]);
    proptest::option::of((areas, 0usize..4, 0usize..4, 0usize..4, 0u32..4)).prop_map(|options| {
        let (
            min_coarsest_area,
            gauss_newton_steps,
            propagation_rounds,
            finest_propagation_rounds,
            finest_level,
        ) = options?;
        Some(Prior::Dis(DisOptions {
            min_coarsest_area,
            gauss_newton_steps,
            propagation_rounds,
            finest_propagation_rounds,
            finest_level,
            ..DisOptions::default()
        }))
    })
}

/// Generates accepted descriptions of networks with few channels.
fn any_spec() -> impl Strategy<Value = NetworkSpec> {
    let list = proptest::collection::vec((1usize..9, 0u32..5), 2..5);
    let encoder = proptest::option::of((any::<bool>(), any::<bool>(), 1usize..20, 1usize..9));
    let rest = (
        0usize..6,
        any::<bool>(),
        any::<bool>(),
        any_prior(),
        any::<bool>(),
        any::<bool>(),
    );
    let shape = (0usize..4, 0usize..3, 1usize..3);
    (list, encoder, synthesis(), rest, shape)
        .prop_map(|(mut list, encoder, synthesis, rest, (trunk, unused, groups))| {
            let (features, sum, linear, prior, ensemble, restart) = rest;
            list.sort_by_key(|(_, log2)| std::cmp::Reverse(*log2));
            let list: Vec<_> = list.iter().map(|(half, log2)| (2 * half, 1 << log2)).collect();
            NetworkSpec {
                trunk: match trunk {
                    0 => Trunk::Prelu,
                    1 => Trunk::LeakyRelu,
                    _ => Trunk::ResConv { groups },
                },
                head: Head::PixelShuffle { unused },
                encoder: encoder.map(|(four, named, inner, features)| EncoderSpec {
                    layers: if four { 4 } else { 2 },
                    keys: if named && four {
                        EncoderKeys::Named
                    } else {
                        EncoderKeys::Numbered
                    },
                    inner,
                    features,
                }),
                blocks: blocks(&list),
                features,
                mask: if sum { MaskUpdate::Sum } else { MaskUpdate::Replace },
                flow: if linear {
                    FlowModel::Linear
                } else {
                    FlowModel::Free
                },
                prior,
                synthesis,
                ensemble,
                restart: restart.then_some(0.5),
            }
        })
        .prop_filter("what excludes each other", |spec| spec.check().is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    /// Every accepted description is of a network that runs, with the same results on the CPU engine and the reference engine.
    #[test]
    fn any_accepted_network_runs(spec in any_spec(), scale in 0usize..5, ensemble: bool) {
        let version = Version::from_spec(NetworkSpec::from_json(&spec.to_json()).unwrap()).unwrap();
        let weights = deterministic::weights(version);
        let options = Options { scale: Scale::ALL[scale], ensemble: ensemble && spec.ensemble, tta: false, keep_stages: true };
        let differences = |images: &[Image; 2]| {
            let of_engine = run(engine(), version, &weights, images, &options);
            let of_reference = run(ReferenceBackend, version, &weights, images, &options);
            let pairs = of_engine.data().iter().zip(of_reference.data());
            let mut off: Vec<_> = pairs.map(|(a, b)| (a - b).abs()).collect();
            off.sort_by(f32::total_cmp);
            off
        };
        let [a, b] = frames([40, 24]);
        let off = differences(&[a.clone(), b]);
        prop_assert!(off.iter().all(|v| v.is_finite()), "{spec:?}");
        if spec.prior.is_some() {
            // Propagation takes the candidate of lower cost: where two are equal but for rounding, the search goes another way
            // from there on. Each option of the search is compared with its definition in the tests of the engine.
            let mean = off.iter().sum::<f32>() / off.len() as f32;
            prop_assert!(mean < 0.05, "off by {mean} on average: {spec:?}");
            // Of one frame twice, no candidate is as good as no motion.
            let off = differences(&[a.clone(), a]);
            let usual = off[off.len() * 9 / 10];
            prop_assert!(usual < 1e-3, "off by {usual} without motion: {spec:?}");
        } else {
            let usual = off[off.len() * 9 / 10];
            prop_assert!(usual < 1e-3, "off by {usual}: {spec:?}");
        }
        prop_assert!(version.macs_per_pixel() > 0.0);
    }
}

fn run<B: Backend>(
    backend: B,
    version: Version,
    weights: &Weights,
    images: &[Image; 2],
    options: &Options,
) -> Image {
    let model = Model::from_weights(backend, weights, Some(version)).unwrap();
    let [a, b] = images
        .each_ref()
        .map(|image| model.prepare_frame(image, options).unwrap());
    model.interpolate(&a, &b, 0.4, options).unwrap()
}
