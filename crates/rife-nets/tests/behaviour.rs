//! Behaviour of models: frame sizes and padding, reuse of prepared frames, options and errors.

use proptest::prelude::*;
use rife_backend::Backend;
use rife_backend::reference::ReferenceBackend;
use rife_cpu::{CpuBackend, EngineOptions};
use rife_nets::{
    Image, MAX_SIDE, Model, NetworkError, Options, Scale, Version, WeightTensor, Weights, deterministic,
};

fn version(name: &str) -> Version {
    name.parse().unwrap()
}

fn engine() -> CpuBackend {
    CpuBackend::new(EngineOptions::default()).unwrap()
}

fn model(name: &str) -> Model<CpuBackend> {
    let weights = deterministic::weights(version(name));
    Model::from_weights(engine(), &weights, Some(version(name))).unwrap()
}

/// Makes an image of smooth waves; `phase` shifts them.
fn picture(width: usize, height: usize, phase: f32) -> Image {
    let value = |c: usize, y: usize, x: usize| {
        let wave = (x as f32 * 0.21 + phase).sin() * (y as f32 * 0.13 + c as f32).cos();
        0.5 + 0.45 * wave
    };
    let rows = (0..3).flat_map(|c| (0..height).map(move |y| (c, y)));
    let data = rows
        .flat_map(|(c, y)| (0..width).map(move |x| value(c, y, x)))
        .collect();
    Image::new(width, height, data).unwrap()
}

fn between<B: Backend>(model: &Model<B>, images: [&Image; 2], timestep: f32, options: Options) -> Image {
    let [first, second] = images.map(|image| model.prepare_frame(image, &options).unwrap());
    model.interpolate(&first, &second, timestep, &options).unwrap()
}

fn largest_difference(a: &Image, b: &Image) -> f32 {
    a.data()
        .iter()
        .zip(b.data())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_size_comes_back(width in 16usize..120, height in 16usize..120, scale in 0usize..5) {
        let options = Options { scale: Scale::ALL[scale], ..Options::default() };
        let images = [&picture(width, height, 0.0), &picture(width, height, 0.4)];
        let result = between(&model("4.15.lite"), images, 0.3, options);
        prop_assert_eq!((result.width(), result.height()), (width, height));
        prop_assert!(result.data().iter().all(|v| (0.0..=1.0).contains(v)));
    }
}

/// Stored outputs exist for scales 0.5 and 1 only; at the other scales the two engines are compared with each other.
#[test]
fn both_engines_agree_at_the_other_scales() {
    let lite = [Scale::Quarter, Scale::Two, Scale::Four].map(|scale| ("4.15.lite", scale));
    let others = [
        ("4.0", Scale::Two),
        ("4.25", Scale::Quarter),
        ("rife_m", Scale::Two),
        ("rife_hdv2", Scale::Two),
    ];
    for (name, scale) in lite.into_iter().chain(others) {
        let images = [&picture(17, 31, 0.0), &picture(17, 31, 0.4)];
        let weights = deterministic::weights(version(name));
        let plain = Model::from_weights(ReferenceBackend, &weights, Some(version(name))).unwrap();
        let options = Options {
            scale,
            ..Options::default()
        };
        let [fast, plain] = [
            between(&model(name), images, 0.5, options),
            between(&plain, images, 0.5, options),
        ];
        let difference = largest_difference(&fast, &plain);
        assert!(
            difference <= 5e-5,
            "{name} at scale {scale} differs by {difference}"
        );
    }
}

#[test]
fn the_smallest_and_odd_sizes_come_back_from_every_family() {
    for (name, [width, height]) in [
        ("4.25", [16, 16]),
        ("4.25", [17, 33]),
        ("rife_m", [16, 16]),
        ("rife_hdv2", [33, 17]),
        ("4.1", [31, 65]),
    ] {
        let images = [&picture(width, height, 0.0), &picture(width, height, 0.4)];
        let result = between(&model(name), images, 0.5, Options::default());
        assert_eq!([result.width(), result.height()], [width, height], "{name}");
    }
}

#[test]
fn sizes_outside_the_limits_are_refused() {
    for (width, height) in [
        (15, 16),
        (16, 15),
        (1, 1080),
        (0, 0),
        (MAX_SIDE + 1, 16),
        (usize::MAX, usize::MAX),
    ] {
        let error = Image::new(width, height, Vec::new()).unwrap_err();
        assert_eq!(error, NetworkError::ImageSize { width, height });
    }
    let text = Image::new(15, 40, Vec::new()).unwrap_err().to_string();
    assert_eq!(text, "a picture of 15x40 is outside 16x16 to 16384x16384");
    let text = Image::new(16, 16, vec![0.0; 5]).unwrap_err().to_string();
    assert_eq!(text, "a picture of 16x16 needs 768 values, not 5");
}

/// Results for a 40x36 image equal the upper left corner of those for the image padded to 64x64 by replication.
#[test]
fn padding_replicates_right_and_down() {
    let (small, large) = ([40, 36], [64, 64]);
    let extend = |image: &Image| {
        let at = |c: usize, y: usize, x: usize| {
            image.data()[(c * small[1] + y.min(small[1] - 1)) * small[0] + x.min(small[0] - 1)]
        };
        let rows = (0..3).flat_map(|c| (0..large[1]).map(move |y| (c, y)));
        let data = rows
            .flat_map(|(c, y)| (0..large[0]).map(move |x| at(c, y, x)))
            .collect();
        Image::new(large[0], large[1], data).unwrap()
    };
    let (first, second) = (picture(40, 36, 0.0), picture(40, 36, 0.5));
    let model = model("4.15.lite");
    let result = between(&model, [&first, &second], 0.5, Options::default());
    let whole = between(
        &model,
        [&extend(&first), &extend(&second)],
        0.5,
        Options::default(),
    );
    for c in 0..3 {
        for y in 0..small[1] {
            let row = |image: &Image, [width, height]: [usize; 2]| {
                image.data()[(c * height + y) * width..][..small[0]].to_vec()
            };
            assert_eq!(row(&result, small), row(&whole, large), "channel {c}, row {y}");
        }
    }
}

#[test]
fn a_prepared_frame_serves_any_pair_and_timestep_with_the_same_bits() {
    for name in ["4.15.lite", "rife_m"] {
        let model = model(name);
        let options = Options::default();
        let images = [0.0, 0.3, 0.7].map(|phase| picture(40, 32, phase));
        let prepared = images
            .each_ref()
            .map(|image| model.prepare_frame(image, &options).unwrap());
        for (pair, timestep) in [([0, 1], 0.5), ([1, 2], 0.25), ([0, 2], 0.75), ([1, 0], 0.5)] {
            let reused = model
                .interpolate(&prepared[pair[0]], &prepared[pair[1]], timestep, &options)
                .unwrap();
            let fresh = between(&model, pair.map(|i| &images[i]), timestep, options);
            assert_eq!(reused, fresh, "{name}, pair {pair:?} at {timestep}");
        }
    }
}

/// With test-time augmentation, rotating both frames by 180 degrees rotates the result.
#[test]
fn tta_treats_both_orientations_alike() {
    let model = model("rife_m");
    let options = Options {
        tta: true,
        ..Options::default()
    };
    let turned = |image: &Image| {
        let planes = image.data().chunks_exact(image.width() * image.height());
        let data = planes.flat_map(|plane| plane.iter().rev().copied()).collect();
        Image::new(image.width(), image.height(), data).unwrap()
    };
    let (first, second) = (picture(32, 64, 0.0), picture(32, 64, 0.5));
    let upright = between(&model, [&first, &second], 0.5, options);
    let rotated = between(&model, [&turned(&first), &turned(&second)], 0.5, options);
    let largest = largest_difference(&turned(&rotated), &upright);
    assert!(largest < 1e-6, "differs by {largest}");
    assert_ne!(
        upright,
        between(&model, [&first, &second], 0.5, Options::default())
    );
}

#[test]
fn timesteps_outside_the_open_interval_are_refused() {
    let model = model("4.15.lite");
    let options = Options::default();
    let frame = model.prepare_frame(&picture(32, 32, 0.0), &options).unwrap();
    for timestep in [0.0, 1.0, -0.1, 1.5, f32::NAN, f32::INFINITY] {
        let error = model.interpolate(&frame, &frame, timestep, &options).unwrap_err();
        assert!(matches!(error, NetworkError::Timestep(_)), "{timestep}: {error}");
    }
}

#[test]
fn networks_without_a_timestep_refuse_all_but_the_middle() {
    for name in ["rife", "rife_2r", "rife_hdv2"] {
        assert!(!version(name).supports_timestep());
        assert_eq!(version(name).check_timestep(0.5), Ok(()));
        let error = version(name).check_timestep(0.25).unwrap_err();
        assert_eq!(
            error,
            NetworkError::OnlyMiddle {
                version: name.to_owned(),
                timestep: 0.25
            }
        );
    }
}

#[test]
fn ensemble_is_refused_with_the_versions_that_have_it() {
    let model = model("4.25");
    let options = Options {
        ensemble: true,
        ..Options::default()
    };
    let frame = model.prepare_frame(&picture(32, 32, 0.0), &options).unwrap();
    let error = model
        .interpolate(&frame, &frame, 0.5, &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("RIFE 4.25 has no ensemble; these have: 4.0, 4.1, "),
        "{error}"
    );
    assert!(error.contains("4.20, 4.24"), "{error}");
}

#[test]
fn frames_of_different_sizes_or_another_scale_are_refused() {
    let model = model("4.15.lite");
    let options = Options::default();
    let first = model.prepare_frame(&picture(32, 32, 0.0), &options).unwrap();
    let second = model.prepare_frame(&picture(32, 30, 0.0), &options).unwrap();
    let error = model.interpolate(&first, &second, 0.5, &options).unwrap_err();
    assert_eq!(
        error,
        NetworkError::FramesDiffer {
            first: [32, 32],
            second: [32, 30]
        }
    );
    let half = Options {
        scale: Scale::Half,
        ..options
    };
    let error = model.interpolate(&first, &first, 0.5, &half).unwrap_err();
    assert!(
        matches!(error, NetworkError::NotMultiple { multiple: 64, .. }),
        "{error}"
    );
}

#[test]
fn every_version_is_recognised_from_its_tensors() {
    for version in Version::all() {
        let weights = deterministic::weights(version);
        let candidates = Version::candidates(&weights);
        assert!(candidates.contains(&version), "{version}: {candidates:?}");
        let recognised = Version::recognise(&weights).unwrap();
        assert_eq!(recognised, *candidates.last().unwrap(), "{version}");
    }
    let names = |name| Version::candidates(&deterministic::weights(version(name)));
    assert_eq!(names("4.7"), ["4.7", "4.8", "4.9"].map(version));
    assert_eq!(names("rife"), ["rife_2r", "rife"].map(version));
    assert_eq!(names("r1.lite"), ["r1.lite"].map(version));
}

#[test]
fn an_explicit_version_decides_where_two_share_their_tensors() {
    let weights = deterministic::weights(version("rife"));
    let load = |chosen| Model::from_weights(engine(), &weights, chosen).unwrap();
    assert_eq!(load(None).version(), version("rife"));
    let (plain, twice) = (load(Some(version("rife"))), load(Some(version("rife_2r"))));
    let images = [&picture(32, 32, 0.0), &picture(32, 32, 0.4)];
    let results = [&plain, &twice].map(|model| between(model, images, 0.5, Options::default()));
    assert_ne!(results[0], results[1]);
}

#[test]
fn versions_are_named_in_many_ways() {
    for (text, name) in [
        ("4.25.lite", "4.25.lite"),
        ("v4.25-lite", "4.25.lite"),
        ("rife-v4.25_lite", "4.25.lite"),
        ("RIFE 4.6", "4.6"),
        ("IFNet_m", "rife_m"),
        ("rife", "rife"),
        ("ifnet", "rife"),
        ("hdv2", "rife_hdv2"),
    ] {
        assert_eq!(version(text).name(), name, "{text}");
    }
    for text in ["", "v", "4", "4.27", "4.25.liter", "rife_x"] {
        let error = text.parse::<Version>().unwrap_err().to_string();
        assert!(
            error.contains(&format!("{text:?}")) && error.contains("4.26.heavy"),
            "{error}"
        );
    }
}

fn refused(weights: &Weights, chosen: Option<&str>) -> String {
    Model::from_weights(engine(), weights, chosen.map(version))
        .unwrap_err()
        .to_string()
}

fn tensor(shape: &[usize]) -> WeightTensor {
    WeightTensor {
        shape: shape.to_vec(),
        data: vec![0.0; shape.iter().product()],
    }
}

#[test]
fn wrong_weights_are_one_error_that_names_keys_and_shapes() {
    let whole = deterministic::weights(version("4.6"));
    let mut weights: Weights = whole
        .iter()
        .filter(|(key, _)| !key.starts_with("block3.convblock"))
        .map(|(key, tensor)| (key.to_owned(), tensor.clone()))
        .collect();
    weights.insert("extra.weight", tensor(&[2, 3]));
    weights.insert("block0.conv0.0.0.weight", tensor(&[96, 9, 3, 3]));
    let expected = "24 missing (block3.convblock.0.beta [1, 64, 1, 1], block3.convblock.0.conv.bias [64], \
                    block3.convblock.0.conv.weight [64, 64, 3, 3], ...); 1 left over (extra.weight [2, 3]); \
                    1 misshapen (block0.conv0.0.0.weight is [96, 9, 3, 3], needed [96, 7, 3, 3])";
    assert_eq!(
        refused(&weights, Some("4.6")),
        format!("these weights are not RIFE 4.6: {expected}")
    );
    let unknown = refused(&weights, None);
    assert_eq!(
        unknown,
        format!("these weights are no RIFE network known here; the nearest is 4.6: {expected}")
    );
    assert_eq!(
        refused(&Weights::new(), None),
        "there are no tensors in these weights"
    );
    assert!(refused(&whole, Some("4.7")).ends_with("; they fit 4.6"));
}

#[test]
fn a_shape_without_its_values_is_refused() {
    let mut weights = deterministic::weights(version("4.15.lite"));
    weights.insert(
        "block0.conv0.0.0.bias",
        WeightTensor {
            shape: vec![64],
            data: vec![0.0; 3],
        },
    );
    assert!(refused(&weights, None).contains("1 misshapen (block0.conv0.0.0.bias"));
}

#[test]
fn training_only_keys_are_ignored() {
    let mut weights = deterministic::weights(version("4.26"));
    weights.insert("teacher.block0.conv0.0.0.weight", tensor(&[4]));
    weights.insert("caltime.0.bias", tensor(&[4]));
    let model = Model::from_weights(engine(), &weights, None).unwrap();
    assert_eq!(model.version(), version("4.26"));
    assert!(
        deterministic::weights(version("rife_m"))
            .keys()
            .any(|key| key.starts_with("block_tea."))
    );
    assert_eq!(self::model("rife_m").parameter_count(), 10_073_710);
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut weights = deterministic::weights(version("4.15.lite"));
        let mut bias = weights.get("encode.cnn2.bias").unwrap().clone();
        bias.data[7] = value;
        weights.insert("encode.cnn2.bias", bias);
        let error = refused(&weights, None);
        assert!(
            error.ends_with(&format!("encode.cnn2.bias[7] is {value}")),
            "{error}"
        );
    }
}

#[test]
fn published_parameter_counts_hold() {
    for (name, inference, training) in [
        ("rife", 10_071_550, 10_708_215),
        ("rife_m", 10_073_710, 10_710_780),
        ("4.6", 5_306_256, 5_306_256),
    ] {
        assert_eq!(version(name).parameter_count(), inference, "{name}");
        let weights = deterministic::weights(version(name));
        assert_eq!(
            weights.iter().map(|(_, tensor)| tensor.data.len()).sum::<usize>(),
            training,
            "{name}"
        );
    }
}

#[test]
fn a_model_describes_itself() {
    let text = model("4.25.lite").describe();
    assert_eq!(
        text,
        "RIFE 4.25.lite: 5.62 million parameters, 10.7 thousand multiply-adds a pixel, any timestep, \
         sizes padded to multiples of 128"
    );
}

#[test]
fn every_version_is_in_the_documentation_with_its_size_rule() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/networks.md");
    let page = std::fs::read_to_string(page).unwrap();
    for version in Version::all() {
        let named = page.lines().any(|line| {
            let first = line.trim_start_matches("| ").split(" | ").next().unwrap();
            first
                .split([',', ' ', '`', '('])
                .any(|word| word == version.name())
        });
        assert!(named, "{version} has no row");
    }
    let rule = |name, scale| version(name).size_multiple(scale);
    assert_eq!(
        [rule("4.25.lite", Scale::One), rule("4.25.lite", Scale::Half)],
        [128, 256]
    );
    assert_eq!([rule("4.25", Scale::One), rule("4.25", Scale::Two)], [64, 32]);
    assert_eq!([rule("4.6", Scale::One), rule("4.6", Scale::Quarter)], [32, 128]);
    assert_eq!([rule("rife", Scale::Half), rule("rife", Scale::Four)], [64, 32]);
}
