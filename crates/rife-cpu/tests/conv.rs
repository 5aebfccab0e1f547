//! Convolution kernels against their definitions, at sizes at and around their tile edges, on every tier of this machine,
//! with one thread and with several.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rife_backend::{Activation, ConvKind, ConvSpec};
use rife_cpu::{Engine, EngineOptions, Precision, Tier, TierError, reference};

fn value(i: usize) -> f32 {
    (i.wrapping_mul(2_654_435_761) >> 7 & 0xffff) as f32 / 32_768.0 - 1.0
}

fn values(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| value(i + seed * 7919)).collect()
}

fn spec(kind: ConvKind, input: usize, output: usize, groups: usize) -> ConvSpec {
    let taps = if kind == ConvKind::Up { 16 } else { 9 };
    let scale = (3.0 / (input / groups * taps) as f32).sqrt();
    ConvSpec {
        kind,
        input,
        output,
        groups,
        weight: values(input / groups * output * taps, 1)
            .iter()
            .map(|v| v * scale)
            .collect(),
        bias: values(output, 2),
        residual: None,
        activation: Activation::Prelu(values(output, 3)),
    }
}

fn engine(tier: Tier, threads: usize) -> Engine {
    Engine::new(EngineOptions {
        threads: Some(threads),
        tier: Some(tier),
        ..EngineOptions::default()
    })
    .unwrap()
}

/// Applies the layer to planar values, to blocked values and to a lazy expression.
fn run(engine: &Engine, spec: &ConvSpec, data: &[f32], shape: [usize; 3]) -> [Vec<f32>; 3] {
    let layer = engine.conv_layer(spec);
    let planar = engine.upload(shape, data);
    let same = engine.conv_layer(&identity(shape[0]));
    let blocked = engine.conv(&planar, &same);
    let lazy = engine.affine(&engine.affine(&planar, 2.0, 0.0), 0.5, 0.0);
    [planar, blocked, lazy].map(|x| engine.download(&engine.conv(&x, &layer)))
}

fn identity(channels: usize) -> ConvSpec {
    let mut weight = vec![0.0; channels * channels * 9];
    for c in 0..channels {
        weight[(c * channels + c) * 9 + 4] = 1.0;
    }
    ConvSpec {
        weight,
        bias: vec![0.0; channels],
        activation: Activation::None,
        ..spec(ConvKind::Same, channels, channels, 1)
    }
}

fn check(spec: &ConvSpec, [height, width]: [usize; 2]) {
    let shape = [spec.input, height, width];
    let data = values(shape.iter().product(), 4);
    let expected = reference::conv(spec, &data, shape);
    for tier in Tier::available() {
        let one = run(&engine(tier, 1), spec, &data, shape);
        for found in &one {
            assert_eq!(found.len(), expected.len());
            let largest = found
                .iter()
                .zip(&expected)
                .fold(0.0, |m: f32, (a, b)| m.max((a - b).abs()));
            // The transformed kernels, which are for enough tiles of enough channels, round more: their filters and
            // points have values of several sizes.
            let tiles = height.div_ceil(4) * width.div_ceil(4);
            let transformed =
                spec.kind != ConvKind::Down && spec.groups == 1 && spec.input >= 16 && tiles >= 24;
            let allowed = if transformed { 4e-5 } else { 1e-5 };
            assert!(
                largest < allowed,
                "{} {:?} {}->{} in {} groups, {height}x{width}: off by {largest:e}",
                tier.name(),
                spec.kind,
                spec.input,
                spec.output,
                spec.groups
            );
        }
        assert_eq!(
            one,
            run(&engine(tier, 3), spec, &data, shape),
            "bits of three threads"
        );
    }
}

const KINDS: [ConvKind; 3] = [ConvKind::Same, ConvKind::Down, ConvKind::Up];

#[test]
fn widths_around_the_tiles() {
    println!("tiers: {:?}", Tier::available());
    for kind in KINDS {
        for width in [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 15, 16, 17, 24, 25, 29, 48, 49] {
            check(&spec(kind, 5, 33, 1), [3, width]);
        }
    }
}

#[test]
fn heights_around_the_strips() {
    for kind in KINDS {
        for height in [1, 2, 3, 7, 8, 9, 17, 50] {
            check(&spec(kind, 3, 16, 1), [height, 14]);
        }
    }
}

#[test]
fn channels_around_the_blocks() {
    for kind in KINDS {
        for channels in [1, 2, 3, 4, 5, 15, 16, 17, 24, 31, 32, 33, 48, 90] {
            check(&spec(kind, channels, 17, 1), [5, 13]);
            check(&spec(kind, 17, channels, 1), [5, 13]);
        }
    }
}

#[test]
fn groups_that_do_and_do_not_fill_blocks() {
    for (channels, groups) in [(32, 2), (64, 2), (48, 2), (48, 3), (40, 2), (24, 4)] {
        check(&spec(ConvKind::Same, channels, channels, groups), [6, 14]);
        check(&spec(ConvKind::Down, channels, channels, groups), [6, 14]);
    }
}

#[test]
fn residuals_and_activations() {
    for channels in [5, 16, 24, 40] {
        for activation in [
            Activation::None,
            Activation::LeakyRelu(0.2),
            Activation::Prelu(values(channels, 5)),
        ] {
            for residual in [None, Some(values(channels, 6))] {
                let spec = ConvSpec {
                    residual,
                    activation: activation.clone(),
                    ..spec(ConvKind::Same, channels, channels, 1)
                };
                check(&spec, [9, 26]);
            }
        }
    }
}

/// Sizes with enough 4x4 tiles for Winograd, with every remainder on the right and at the bottom, and numbers of tiles
/// around the size of a batch.
#[test]
fn sizes_around_the_transformed_tiles() {
    for (height, width) in [
        (24, 16),
        (17, 20),
        (18, 21),
        (19, 22),
        (20, 23),
        (16, 49),
        (5, 200),
        (33, 45),
        (4, 96),
    ] {
        for (input, output) in [(16, 16), (17, 33), (40, 24), (90, 16)] {
            check(&spec(ConvKind::Same, input, output, 1), [height, width]);
            check(&spec(ConvKind::Up, input, output, 1), [height, width]);
        }
        check(&spec(ConvKind::Up, 16, 4, 1), [height, width]);
        let residual = ConvSpec {
            residual: Some(values(24, 6)),
            ..spec(ConvKind::Same, 24, 24, 1)
        };
        check(&residual, [height, width]);
    }
}

/// Values of both signs and of the magnitudes of a network's features: Winograd's transforms keep their precision.
#[test]
fn the_transforms_keep_their_precision() {
    let spec = spec(ConvKind::Same, 192, 192, 1);
    let shape = [192, 24, 24];
    let data: Vec<f32> = values(shape.iter().product(), 4)
        .iter()
        .map(|v| v * 100.0)
        .collect();
    let expected = reference::conv(&spec, &data, shape);
    let typical = (expected.iter().map(|v| v * v).sum::<f32>() / expected.len() as f32).sqrt();
    for tier in Tier::available() {
        let found = &run(&engine(tier, 2), &spec, &data, shape)[1];
        let off = found
            .iter()
            .zip(&expected)
            .fold(0.0, |m: f32, (a, b)| m.max((a - b).abs()));
        println!("{}: off by {:e} of the typical value", tier.name(), off / typical);
        assert!(
            off < 1.5e-4 * typical,
            "{}: off by {off:e}, typical {typical:e}",
            tier.name()
        );
    }
}

/// Layers read no values that an earlier tensor left in the border or unused lanes of a reused buffer.
#[test]
fn recycled_memory_leaves_no_trace() {
    for tier in Tier::available() {
        let engine = engine(tier, 2);
        let shape = [20, 9, 21];
        let layer = engine.conv_layer(&spec(ConvKind::Same, 20, 20, 1));
        let data = values(shape.iter().product(), 8);
        let twice = || {
            let x = engine.conv(&engine.upload(shape, &data), &layer);
            engine.download(&engine.conv(&x, &layer))
        };
        let first = twice();
        for size in [18, 20, 22, 24] {
            let waste = engine.upload([24, 9, size], &vec![f32::NAN; 24 * 9 * size]);
            let layer = engine.conv_layer(&spec(ConvKind::Same, 24, 24, 1));
            engine.download(&engine.conv(&waste, &layer));
        }
        assert_eq!(twice(), first, "{}", tier.name());
    }
}

#[test]
fn a_log_holds_what_ran_while_it_was_kept() {
    let engine = engine(Tier::Scalar, 1);
    let spec = spec(ConvKind::Down, 3, 5, 1);
    let data = values(3 * 8 * 12, 1);
    let (_, runs) = engine.logged(|| run(&engine, &spec, &data, [3, 8, 12]));
    let down: Vec<_> = runs.iter().filter(|ran| ran.kind == ConvKind::Down).collect();
    assert!(!down.is_empty());
    for ran in down {
        assert_eq!((ran.input, ran.output), ([3, 8, 12], 5));
        assert_eq!(ran.macs, 4 * 6 * 5 * 3 * 9);
    }
    run(&engine, &spec, &data, [3, 8, 12]);
    assert!(
        engine.logged(|| ()).1.is_empty(),
        "only what ran since it was begun"
    );
}

#[test]
fn a_wrong_number_of_channels_is_refused() {
    let engine = engine(Tier::Scalar, 1);
    let layer = engine.conv_layer(&spec(ConvKind::Same, 4, 4, 1));
    let data = engine.upload([3, 2, 2], &[0.0; 12]);
    let here = std::thread::current().id();
    let usual = std::panic::take_hook();
    // An expected panic reads like a failure in a log.
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() != here {
            usual(info);
        }
    }));
    let refused = catch_unwind(AssertUnwindSafe(|| engine.conv(&data, &layer)));
    let message = refused.err().and_then(|said| said.downcast::<String>().ok());
    assert!(message.is_some_and(|said| said.contains("a convolution of 4 channels was given 3")));
}

/// Starts int8 engines with `threads` threads for all tiers of this machine that have int8 kernels.
fn int8_engines(threads: usize) -> Vec<(Tier, Engine)> {
    let (with, without): (Vec<_>, Vec<_>) = Tier::available()
        .into_iter()
        .partition(|tier| Engine::has_int8(*tier));
    println!("int8 on {with:?}, not on {without:?}");
    let options = |tier| EngineOptions {
        threads: Some(threads),
        tier: Some(tier),
        precision: Precision::Int8,
    };
    for tier in without {
        assert_eq!(Engine::new(options(tier)).err(), Some(TierError::NoInt8(tier)));
    }
    with.into_iter()
        .map(|tier| (tier, Engine::new(options(tier)).unwrap()))
        .collect()
}

/// Applies the layer to blocked values; returns the result and the names of the kernels that ran.
fn run_blocked(
    engine: &Engine,
    spec: &ConvSpec,
    data: &[f32],
    shape: [usize; 3],
) -> (Vec<f32>, &'static str) {
    let f32 = self::engine(engine.tier(), 1);
    let blocked = f32.conv(&f32.upload(shape, data), &f32.conv_layer(&identity(shape[0])));
    let layer = engine.conv_layer(spec);
    let (out, runs) = engine.logged(|| engine.conv(&blocked, &layer));
    (engine.download(&out), runs[0].kernel)
}

fn check_int8(spec: &ConvSpec, [height, width]: [usize; 2]) {
    let shape = [spec.input, height, width];
    let data = values(shape.iter().product(), 4);
    let expected = reference::conv_int8(spec, &data, shape);
    for ((tier, engine), (_, engines)) in int8_engines(1).into_iter().zip(int8_engines(3)) {
        let (found, kernel) = run_blocked(&engine, spec, &data, shape);
        assert_eq!(kernel, "int8", "{spec:?}");
        let (threads, _) = run_blocked(&engines, spec, &data, shape);
        assert_eq!(found, threads, "bits of three threads");
        assert_eq!(found.len(), expected.len());
        for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
            assert!(
                (a - b).abs() < 2e-5 * b.abs().max(1.0),
                "{tier:?} {:?} {}->{} {height}x{width}: {a} for {b} at {i}",
                spec.kind,
                spec.input,
                spec.output
            );
        }
    }
}

#[test]
fn eight_bits_at_and_around_tiles_and_blocks() {
    for kind in KINDS {
        for size in [[1, 1], [4, 13], [7, 47], [8, 48], [9, 49], [17, 97]] {
            check_int8(&spec(kind, 24, 32, 1), size);
        }
        for (input, output) in [(24, 24), (25, 33), (31, 47), (48, 65)] {
            check_int8(&spec(kind, input, output, 1), [5, 21]);
        }
    }
    let large = spec(ConvKind::Same, 24, 24, 1);
    check_int8(
        &ConvSpec {
            residual: Some(values(24, 5)),
            ..large.clone()
        },
        [9, 20],
    );
    check_int8(&large, [86, 97]);
}

/// Sums of the largest possible products do not saturate.
#[test]
fn eight_bits_are_exact_where_values_are_whole() {
    let plain = ConvSpec {
        bias: vec![0.0; 32],
        activation: Activation::None,
        ..spec(ConvKind::Same, 64, 32, 1)
    };
    for (weight, value) in [(127.0, 255.0), (-127.0, 255.0), (127.0, -255.0), (-127.0, -255.0)] {
        let spec = ConvSpec {
            weight: vec![weight; plain.weight.len()],
            ..plain.clone()
        };
        let shape = [64, 6, 14];
        let data = vec![value; shape.iter().product()];
        for (tier, engine) in int8_engines(1) {
            let (found, _) = run_blocked(&engine, &spec, &data, shape);
            assert_eq!(
                found,
                reference::conv(&spec, &data, shape),
                "{tier:?} {weight} {value}"
            );
        }
    }
}

#[test]
fn eight_bits_lose_little_and_survive_anything() {
    let spec = spec(ConvKind::Same, 64, 64, 1);
    let shape = [64, 24, 60];
    let mut data = values(shape.iter().product(), 6);
    let exact = reference::conv(&spec, &data, shape);
    let square = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    for (tier, engine) in int8_engines(1) {
        let (found, _) = run_blocked(&engine, &spec, &data, shape);
        let off: Vec<f32> = found.iter().zip(&exact).map(|(a, b)| a - b).collect();
        let lost = (square(&off) / square(&exact)).sqrt();
        assert!(
            lost > 1e-4 && lost < 1e-2,
            "{tier:?} is off by {lost} of the values"
        );
    }
    for odd in [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE / 2.0,
    ] {
        data[777] = odd;
        for (_, engine) in int8_engines(1) {
            assert_eq!(run_blocked(&engine, &spec, &data, shape).0.len(), data.len());
        }
    }
}

/// Concatenated results of convolutions are read without a copy if only the last has an incomplete block.
#[test]
fn joined_results_are_read_where_they_are() {
    let shape = |channels: usize| [channels, 24, 40];
    for (parts, direct) in [([32, 20], true), ([20, 32], false)] {
        let all: Vec<f32> = values(52 * 24 * 40, 7);
        let data = all.split_at(parts[0] * 24 * 40);
        for tier in Tier::available() {
            let engine = engine(tier, 2);
            let part = |channels: usize, data: &[f32]| {
                let same = engine.conv_layer(&identity(channels));
                engine.conv(&engine.upload(shape(channels), data), &same)
            };
            let joined = engine.cat(&[&part(parts[0], data.0), &part(parts[1], data.1)]);
            for (kind, kernel) in [(ConvKind::Same, "winograd"), (ConvKind::Down, "direct")] {
                let spec = spec(kind, 52, 20, 1);
                let layer = engine.conv_layer(&spec);
                let (out, runs) = engine.logged(|| engine.conv(&joined, &layer));
                assert_eq!(runs[0].kernel == kernel, direct, "{}", runs[0].kernel);
                let expected = reference::conv(&spec, &all, shape(52));
                let off = (engine.download(&out).iter().zip(&expected))
                    .fold(0.0, |m: f32, (a, b)| m.max((a - b).abs()));
                assert!(
                    off < 4e-5,
                    "{} {kind:?} of {parts:?}: off by {off:e}",
                    tier.name()
                );
            }
        }
    }
}
