//! Metrics against reference values, computed by `tools/make_metric_reference.py` with PyTorch, NumPy, Pillow and scikit-
//! image (and the original's SSIM) on the same procedural images.

use rife::nets::{WeightTensor, Weights};
use rife_eval::benchmark::FrameFile;
use rife_eval::metrics::{Lpips, interpolation_error, psnr, psnr_luma, round8, ssim, ssimulacra2};
use serde_json::Value;

/// Relative tolerance; absolute for values under 1.
const TOLERANCE: f64 = 1e-4;

fn reference() -> Value {
    serde_json::from_str(include_str!("metrics.json")).unwrap()
}

/// Returns a triangle wave: 0, 1, ... half, ... 1, 0 and so on.
fn triangle(n: i64, half: i64) -> i64 {
    (n.rem_euclid(2 * half) - half).abs()
}

/// Computes the hash function splitmix64.
fn mixed(i: u64) -> u64 {
    scrambled((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn scrambled(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Makes the true image in 8 bits and a prediction in steps of 1/1020.
fn pictures(height: i64, width: i64) -> (Vec<f32>, Vec<f32>) {
    let value = |c: i64, y: i64, x: i64| {
        30 + 2 * triangle(x + 2 * y + 5 * c, 37) + 3 * triangle(3 * x - y + 11 * c + 500, 40)
    };
    let places = (0..3).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| (c, y, x))));
    let pixel = |(index, (c, y, x)): (usize, (i64, i64, i64))| {
        let noise = (mixed(index as u64) % 41) as i64 - 20;
        let made = (4 * value(c, y, x + 1) + noise).clamp(0, 1020);
        (value(c, y, x).min(255) as f32 / 255.0, made as f32 / 1020.0)
    };
    places.enumerate().map(pixel).unzip()
}

/// Makes pseudo-random values in a range by a key's hash and their index.
fn weights(key: &str, shape: &[usize], low: f64, high: f64) -> (String, WeightTensor) {
    let seed = key.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |seed, byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let value = |i: usize| {
        let z = scrambled(seed.wrapping_add((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        (low + (high - low) * ((z >> 40) as f64 / f64::from(1 << 24))) as f32
    };
    let data = (1..=shape.iter().product()).map(value).collect();
    (
        key.to_owned(),
        WeightTensor {
            shape: shape.to_vec(),
            data,
        },
    )
}

fn lpips() -> Lpips {
    let stages: [(usize, [usize; 4]); 5] = [
        (0, [64, 3, 11, 11]),
        (3, [192, 64, 5, 5]),
        (6, [384, 192, 3, 3]),
        (8, [256, 384, 3, 3]),
        (10, [256, 256, 3, 3]),
    ];
    let tensors = stages.iter().enumerate().flat_map(|(index, (layer, shape))| {
        let reach = (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt();
        [
            weights(&format!("features.{layer}.weight"), shape, -reach, reach),
            weights(&format!("features.{layer}.bias"), &shape[..1], -0.1, 0.1),
            weights(
                &format!("lin{index}.model.1.weight"),
                &[1, shape[0], 1, 1],
                0.0,
                0.2,
            ),
        ]
    });
    Lpips::from_weights(&tensors.collect::<Weights>()).unwrap()
}

#[test]
fn metrics_are_those_of_the_definitions() {
    let lpips = lpips();
    for case in reference()["cases"].as_array().unwrap() {
        let side = |name: &str| case[name].as_u64().unwrap() as usize;
        let size = [side("height"), side("width")];
        let (truth, made) = pictures(size[0] as i64, size[1] as i64);
        let mut rounded = made.clone();
        round8(&mut rounded);
        let found = [
            ("psnr", psnr(&rounded, &truth)),
            ("psnr_luma", psnr_luma(&rounded, &truth)),
            ("ie", interpolation_error(&rounded, &truth)),
            ("ssim", ssim(&rounded, &truth, size)),
            ("ssim_unrounded", ssim(&made, &truth, size)),
            ("lpips", lpips.distance(&rounded, &truth, size).unwrap()),
        ];
        for (name, value) in found {
            let expected = case[name].as_f64().unwrap();
            assert!(
                (value - expected).abs() < TOLERANCE * expected.min(1.0),
                "{name} of {size:?}: {value}, not {expected}"
            );
        }
        assert_eq!(lpips.distance(&truth, &truth, size).unwrap(), 0.0);
    }
    assert!(
        lpips
            .distance(&[0.0; 3 * 30 * 40], &[0.0; 3 * 30 * 40], [30, 40])
            .is_err()
    );
}

/// SSIMULACRA 2 falls with the error, and is 100 for equal pictures. For the noisy pair the Python package `ssimulacra2` 0.3.0,
/// whose Gaussian is another, has 24.19.
#[test]
fn ssimulacra2_falls_with_the_error() {
    let size = [256, 320];
    let (truth, made) = pictures(256, 320);
    let mixed = |share: f32| -> Vec<f32> {
        let values = truth.iter().zip(&made);
        values
            .map(|(truth, made)| truth + share * (made - truth))
            .collect()
    };
    let scores: Vec<f64> = [0.0, 0.1, 0.3, 1.0]
        .map(|share| ssimulacra2(&mixed(share), &truth, size).unwrap())
        .into();
    assert_eq!(scores[0], 100.0);
    assert!(scores.is_sorted_by(|better, worse| better > worse), "{scores:?}");
    let mut rounded = made.clone();
    round8(&mut rounded);
    let found = ssimulacra2(&rounded, &truth, size).unwrap();
    assert!((found - 28.175).abs() < 0.05, "{found}");
    let small = [0.5; 3 * 127 * 300];
    assert_eq!(ssimulacra2(&small, &small, [127, 300]), None);
}

#[test]
fn raw_clips_are_read_as_the_hd_script_reads_them() {
    let raw = &reference()["raw"];
    let size = ["width", "height"].map(|name| raw[name].as_u64().unwrap() as u32);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.yuv");
    let codes: Vec<u8> = (0..u64::from(size[0] * size[1] * 3 / 2))
        .map(|i| (mixed(i) >> 56) as u8)
        .collect();
    std::fs::write(&path, codes).unwrap();
    let rgb = FrameFile::Yuv { path, index: 0, size }.read().unwrap();
    let hex: String = rgb
        .data
        .iter()
        .map(|value| format!("{:02x}", (value * 255.0).round() as u8))
        .collect();
    assert_eq!(hex, raw["rgb"].as_str().unwrap());
}
