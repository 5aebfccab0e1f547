//! Precision of the GPU engine on real frames, and its memory in a long run. Minutes on a software adapter, so not part of
//! `make test`: `cargo test --release -p rife --features gpu --test gpu_quality -- --ignored --nocapture --test-threads 1` prints
//! every figure.
#![cfg(feature = "gpu")]

use std::path::{Path, PathBuf};

use rife::{Device, Interpolator, InterpolatorSpec, Precision, RgbImage};
use rife_backend::{Backend, DisOptions};
use rife_cpu::{CpuBackend, EngineOptions};
use rife_gpu::{AdapterChoice, GpuBackend, adapters};
use rife_testing::Need;

/// The adapter that `RIFE_TEST_GPU` names, or the first one.
fn which() -> String {
    let asked = std::env::var("RIFE_TEST_GPU").ok();
    asked.filter(|text| !text.is_empty()).unwrap_or("0".to_owned())
}

/// The folder of real pairs; `None`, and the reason printed, where it or a GPU is absent.
fn pairs() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("RIFE_SHARED")
        .map_or_else(beside, PathBuf::from)
        .join("eval/davis");
    let is_there = Need::Clips.is_met(folder.is_dir(), format!("no {}", folder.display()));
    (is_there && has_gpu()).then_some(folder)
}

fn has_gpu() -> bool {
    let choice: AdapterChoice = which().parse().unwrap();
    Need::Vulkan.met(choice.find(&adapters())).is_some()
}

fn on(device: Device, precision: Precision) -> Interpolator {
    let mut spec = InterpolatorSpec::default();
    (spec.device, spec.precision) = (device, precision);
    Interpolator::new(&spec).unwrap()
}

fn on_gpu(precision: Precision) -> Interpolator {
    on(Device::Gpu(which()), precision)
}

fn frame(path: &Path) -> RgbImage {
    let picture = image::open(path).unwrap().to_rgb8();
    RgbImage::from_rgb8(picture.width(), picture.height(), &picture).unwrap()
}

fn pair(folder: &Path) -> [RgbImage; 2] {
    ["frame10.png", "frame11.png"].map(|name| frame(&folder.join(name)))
}

/// Peak signal-to-noise ratio in dB.
fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
    let squares = a.data.iter().zip(&b.data).map(|(a, b)| f64::from(a - b).powi(2));
    -10.0 * (squares.sum::<f64>() / a.data.len() as f64).log10()
}

#[test]
#[ignore = "minutes on a software adapter"]
fn f16_is_near_f32() {
    let Some(folder) = pairs() else { return };
    let [exact, halves, processor] = [
        on_gpu(Precision::F32),
        on_gpu(Precision::F16),
        on(Device::Cpu, Precision::F32),
    ];
    let mut found = Vec::new();
    for name in ["hurdles", "kids-turning", "bike-trial"] {
        let [first, second] = pair(&folder.join(name));
        let made = [&exact, &halves, &processor].map(|i| i.interpolate(&first, &second, 0.5).unwrap());
        let (to_f32, to_cpu) = (psnr(&made[1], &made[0]), psnr(&made[0], &made[2]));
        println!("{name}: f16 to f32 {to_f32:.1} dB, f32 to the processor {to_cpu:.1} dB");
        found.push([to_f32, to_cpu]);
    }
    let squares = |shown: usize| {
        let value = move |i: usize| ((i % 512 / 8 + i / 512 % 512 / 8 + shown) % 2) as f32;
        RgbImage::new(512, 512, (0..3 * 512 * 512).map(value).collect())
    };
    let made = [&exact, &halves].map(|i| i.interpolate(&squares(0), &squares(1), 0.5).unwrap());
    let checkerboard = psnr(&made[1], &made[0]);
    println!("a checkerboard against its negative: f16 to f32 {checkerboard:.1} dB");
    assert!(checkerboard >= 60.0);
    assert!(
        found
            .iter()
            .all(|[to_f32, to_cpu]| *to_f32 >= 88.0 && *to_cpu >= 60.0),
        "{found:?}"
    );
}

#[test]
#[ignore = "minutes on a software adapter"]
fn motion_is_the_processors() {
    fn flow<B: Backend>(b: &B, frames: &[RgbImage; 2]) -> Vec<f32> {
        let [first, second] = frames.each_ref().map(|frame| {
            b.upload([3, frame.height as usize, frame.width as usize], &frame.data)
                .unwrap()
        });
        b.download(&b.dis_flow([&first, &second], 0, &DisOptions::default()))
            .unwrap()
    }
    let Some(folder) = pairs() else { return };
    let choice: AdapterChoice = which().parse().unwrap();
    let gpu = GpuBackend::new(&choice.find(&adapters()).unwrap(), rife_gpu::Precision::F32).unwrap();
    let processor = CpuBackend::new(EngineOptions::default()).unwrap();
    let mut names: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let mut least = 100.0f64;
    for path in names {
        let frames = pair(&path);
        let (found, expected) = (flow(&gpu, &frames), flow(&processor, &frames));
        let near = found
            .iter()
            .zip(&expected)
            .filter(|(a, b)| (*a - *b).abs() <= 1e-3)
            .count();
        let share = 100.0 * near as f64 / expected.len() as f64;
        println!(
            "{}: {share:.3}% of velocities within 0.001 pixels",
            path.display()
        );
        least = least.min(share);
    }
    assert!(least >= 99.5, "{least}");
}

/// Resident memory of this process in megabytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or(0, |line| {
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1000
    })
}

#[test]
#[ignore = "two minutes on a software adapter"]
fn memory_does_not_grow_in_500_pairs() {
    if !has_gpu() {
        return;
    }
    let gpu = on_gpu(Precision::F16);
    let shifted = |shift: usize| {
        let value = move |i: usize| 0.5 + 0.4 * (((i + shift) % 96) as f32 * 0.2).sin();
        RgbImage::new(96, 64, (0..3 * 96 * 64).map(value).collect())
    };
    let mut early = 0;
    for number in 0..500 {
        gpu.interpolate(&shifted(number), &shifted(number + 2), 0.5)
            .unwrap();
        if number == 100 {
            early = resident();
        }
    }
    let late = resident();
    println!("resident memory after 100 pairs {early} MB, after 500 pairs {late} MB");
    assert!(late <= early + 20, "{early} MB, then {late} MB");
    assert_eq!(gpu.faults(), None);
}
