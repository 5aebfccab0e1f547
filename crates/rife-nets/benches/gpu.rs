//! Measurements of a GPU, which `bench/gpu.sh` runs stage by stage. Each prints JSON, a line for each figure.
//!
//! `gpu STAGE ADAPTER [small]` with the stages `parity`, `ceilings`, `kernels` and `networks`, and an adapter by index or name;
//! `gpu clip FILE WIDTH HEIGHT FRAMES` writes a clip as Y4M. `small` takes tiny sizes, for a software adapter.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::time::{Duration, Instant};

use rife_backend::conformance::cases;
use rife_backend::{Backend, DisOptions};
use rife_cpu::{CpuBackend, EngineOptions};
use rife_gpu::{Adapter, AdapterChoice, GpuBackend, KernelRun, Precision, adapters};
use rife_nets::{Image, Model, Options, Version, Weights, checkpoint, deterministic};
use serde_json::json;

/// The networks of the stages `kernels` and `networks`.
const NETWORKS: [&str; 5] = ["r7.lite", "4.25.lite", "4.26", "4.6", "rife_m"];
/// One version of each definition of a published network.
const DEFINITIONS: [&str; 19] = [
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
];
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::F16];

fn main() {
    // Cargo passes `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["clip", file, width, height, frames] => {
            let number = |text: &str| text.parse().expect("a number");
            clip(file, [number(width), number(height)], number(frames));
        }
        [stage, adapter] => run(stage, adapter, false),
        [stage, adapter, "small"] => run(stage, adapter, true),
        _ => println!(
            "usage: gpu parity|ceilings|kernels|networks ADAPTER [small], gpu clip FILE WIDTH HEIGHT FRAMES"
        ),
    }
}

fn run(stage: &str, adapter: &str, small: bool) {
    let choice: AdapterChoice = adapter.parse().expect("any text is a choice");
    let adapter = choice.find(&adapters()).expect("an adapter");
    match stage {
        "parity" => parity(&adapter, small),
        "ceilings" => ceilings(&adapter, small),
        "kernels" => kernels(&adapter, small),
        "networks" => networks(&adapter, small),
        other => panic!("no stage {other}"),
    }
}

/// Opens the adapter in a format; prints a line and returns `None` where it has not the format.
fn open(adapter: &Adapter, precision: Precision) -> Option<GpuBackend> {
    GpuBackend::new(adapter, precision)
        .map_err(|error| {
            println!(
                "{}",
                json!({"left_out": format!("{precision:?}"), "why": error.to_string()})
            )
        })
        .ok()
}

/// The built-in weights of the default network, otherwise weights made by rule.
fn weights(version: Version) -> Weights {
    let built_in = rife_nets::default_weights().filter(|_| version == Version::DEFAULT);
    built_in.map_or_else(
        || deterministic::weights(version),
        |bytes| checkpoint::load_bytes(bytes).expect("built-in weights").weights,
    )
}

/// A frame of waves that move to the right by `shift` pixels.
fn frame([width, height]: [usize; 2], shift: f32) -> Image {
    let value = |c: usize, y: usize, x: usize| {
        let (x, y, c) = (x as f32 - shift, y as f32, c as f32);
        0.5 + 0.2 * (0.23 * x + 0.11 * y + c).sin() + 0.2 * (0.05 * x - 0.31 * y + c).cos()
    };
    let rows = (0..3 * height).flat_map(|row| (0..width).map(move |x| value(row / height, row % height, x)));
    Image::new(width, height, rows.collect()).expect("a frame")
}

/// The middle frame between two frames, with the largest and the mean squared difference to another one's values.
fn middle<B: Backend>(backend: B, version: Version, size: [usize; 2]) -> Result<Vec<f32>, String> {
    let text = |error: rife_nets::NetworkError| error.to_string();
    let model = Model::from_weights(backend, &weights(version), Some(version)).map_err(text)?;
    let options = Options::default();
    let [first, second] = [0.0, 3.0].map(|shift| model.prepare_frame(&frame(size, shift), &options));
    let made = model.interpolate(&first.map_err(text)?, &second.map_err(text)?, 0.5, &options);
    Ok(made.map_err(text)?.data().to_vec())
}

fn processor() -> CpuBackend {
    CpuBackend::new(EngineOptions::default()).expect("the CPU engine")
}

fn psnr(found: &[f32], expected: &[f32]) -> (f32, f64) {
    let differences = || found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let squares: f64 = differences().map(|off| f64::from(off).powi(2)).sum();
    (
        differences().fold(0.0, f32::max),
        -10.0 * (squares / expected.len() as f64).log10(),
    )
}

fn parity(adapter: &Adapter, small: bool) {
    println!("{}", json!({"adapter": format!("{:?}", adapter.info())}));
    for (precision, tolerance) in PRECISIONS.into_iter().zip([2e-4, 2e-2]) {
        let Some(backend) = open(adapter, precision) else {
            continue;
        };
        let all = cases(if small { 0 } else { 150 });
        let chosen: Vec<_> = all
            .iter()
            .filter(|case| !small || case.name.contains("at 8x16"))
            .collect();
        let wrong: Vec<_> = chosen
            .iter()
            .filter_map(|case| case.check(&backend, tolerance).err())
            .collect();
        println!(
            "{}",
            json!({"conformance": format!("{precision:?}"), "cases": chosen.len(), "wrong": wrong.len(),
                   "first": wrong.first()})
        );
    }
    let size = [128, 96];
    let names: &[&str] = if small { &["4.25.lite"] } else { &DEFINITIONS };
    for name in names.iter().chain(["r7.lite"].iter()) {
        let version: Version = name.parse().expect("a version");
        let expected = middle(processor(), version, size).expect("the CPU engine computes");
        for precision in PRECISIONS {
            let Some(backend) = open(adapter, precision) else {
                continue;
            };
            let line = match middle(backend, version, size) {
                Ok(found) => {
                    let (largest, psnr) = psnr(&found, &expected);
                    json!({"largest": largest, "psnr": psnr})
                }
                Err(error) => json!({"error": error}),
            };
            println!(
                "{}",
                json!({"network": name, "precision": format!("{precision:?}"), "to_cpu": line})
            );
        }
    }
    motion(adapter, if small { [128, 96] } else { [1280, 720] });
}

/// The share of velocities of the dense inverse search that lie within 0.001 pixels of the CPU engine's.
fn motion(adapter: &Adapter, size: [usize; 2]) {
    fn flow<B: Backend>(b: &B, [width, height]: [usize; 2]) -> Vec<f32> {
        let [first, second] = [0.0, 3.0].map(|shift| {
            let frame = frame([width, height], shift);
            b.upload([3, height, width], frame.data()).expect("memory")
        });
        let flow = b.dis_flow([&first, &second], 0, &DisOptions::default());
        b.download(&flow).expect("a flow")
    }
    let Some(backend) = open(adapter, Precision::F32) else {
        return;
    };
    let (found, expected) = (flow(&backend, size), flow(&processor(), size));
    let near = found
        .iter()
        .zip(&expected)
        .filter(|(a, b)| (*a - *b).abs() <= 1e-3)
        .count();
    println!(
        "{}",
        json!({"motion": size, "within_0.001": near as f64 / expected.len() as f64})
    );
}

fn ceilings(adapter: &Adapter, small: bool) {
    let Some(backend) = open(
        adapter,
        if adapter.info().f16 {
            Precision::F16
        } else {
            Precision::F32
        },
    ) else {
        return;
    };
    let (megabytes, macs) = if small { (4, 1 << 26) } else { (96, 1 << 37) };
    let found = backend.ceilings(megabytes, macs).expect("ceilings");
    println!(
        "{}",
        json!({"copy_gb_s": found.copy / 1e9, "f32_gmac_s": found.f32_macs / 1e9,
               "f16_gmac_s": found.f16_macs.map(|macs| macs / 1e9),
               "dispatch_us": found.dispatch.as_secs_f64() * 1e6, "latency_us": found.latency.as_secs_f64() * 1e6,
               "upload_gb_s": found.upload / 1e9, "download_gb_s": found.download / 1e9})
    );
}

fn sizes(small: bool) -> Vec<[usize; 2]> {
    match small {
        true => vec![[128, 96]],
        false => vec![[1280, 720], [1920, 1080], [3840, 2160]],
    }
}

fn versions(small: bool) -> impl Iterator<Item = Version> {
    let names = if small { &NETWORKS[..1] } else { &NETWORKS[..] };
    names.iter().map(|name| name.parse().expect("a version"))
}

fn kernels(adapter: &Adapter, small: bool) {
    for version in versions(small) {
        let precision = if adapter.info().f16 {
            Precision::F16
        } else {
            Precision::F32
        };
        let Some(backend) = open(adapter, precision) else {
            return;
        };
        let size = sizes(small)[0];
        let model = Model::from_weights(backend, &weights(version), Some(version)).expect("a model");
        let mut job = Job::new(&model, size);
        job.submit();
        job.finish(0);
        let runs = model.backend().profile(&mut || job.submit());
        job.finish(0);
        let mut kinds: BTreeMap<&str, (u32, Vec<&KernelRun>)> = BTreeMap::new();
        for run in &runs {
            let kind = kinds.entry(&run.name).or_default();
            kind.0 += 1;
            kind.1.push(run);
        }
        let total: Duration = runs.iter().map(|run| run.time).sum();
        println!(
            "{}",
            json!({"network": version.name(), "size": size, "precision": format!("{precision:?}"), "kernel_runs": runs.len(),
                   "kernels": model.backend().work().kernels,
                   "ms": total.as_secs_f64() * 1e3, "megabytes": runs.iter().map(|run| run.bytes).sum::<u64>() / 1_000_000})
        );
        for (name, (count, runs)) in kinds {
            let seconds: f64 = runs.iter().map(|run| run.time.as_secs_f64()).sum();
            let rate = |amount: u64| (seconds > 0.0).then(|| amount as f64 / seconds / 1e9);
            println!(
                "{}",
                json!({"kernel": name, "runs": count, "ms": seconds * 1e3,
                       "gb_s": rate(runs.iter().map(|run| run.bytes).sum()),
                       "gmac_s": rate(runs.iter().map(|run| run.work).sum())})
            );
        }
    }
}

/// A sequence of frames between neighbours of which the middle is computed.
struct Job<'a> {
    model: &'a Model<GpuBackend>,
    frames: [Image; 2],
    before: rife_nets::PreparedFrame<rife_gpu::GpuTensor>,
    size: [usize; 2],
    pairs: usize,
    pending: VecDeque<rife_nets::PictureDownload>,
}

impl<'a> Job<'a> {
    fn new(model: &'a Model<GpuBackend>, size: [usize; 2]) -> Self {
        let frames = [0.0, 3.0].map(|shift| frame(size, shift));
        let before = model
            .prepare_frame(&frames[0], &Options::default())
            .expect("memory");
        Self {
            model,
            frames,
            before,
            size,
            pairs: 0,
            pending: VecDeque::new(),
        }
    }

    /// Submits the next frame, and the middle between it and the one before.
    fn submit(&mut self) {
        let options = Options::default();
        self.pairs += 1;
        let next = self
            .model
            .prepare_frame(&self.frames[self.pairs % 2], &options)
            .expect("memory");
        let pair = self.model.pair(&self.before, &next, &options).expect("memory");
        let output = self.model.tensors_at(&pair, 0.5, &options).expect("memory");
        let [width, height] = self.size;
        let picture = self
            .model
            .start_picture(&output, [height, width])
            .expect("memory");
        self.pending.push_back(picture);
        self.before = next;
    }

    /// Waits until at most `left` frames are pending.
    fn finish(&mut self, left: usize) {
        while self.pending.len() > left {
            let picture = self.pending.pop_front().expect("a pending frame");
            picture.wait().expect("a frame");
        }
    }
}

fn networks(adapter: &Adapter, small: bool) {
    for version in versions(small) {
        for precision in PRECISIONS {
            for size in sizes(small) {
                let Some(backend) = open(adapter, precision) else {
                    continue;
                };
                let model = Model::from_weights(backend, &weights(version), Some(version)).expect("a model");
                let line = |more: serde_json::Value| {
                    println!(
                        "{}",
                        json!({"network": version.name(), "precision": format!("{precision:?}"), "size": size, "found": more})
                    );
                };
                let padded =
                    size.map(|side| side.next_multiple_of(version.size_multiple(Default::default())));
                if 52 * (padded[0] * padded[1]) as u64 > model.backend().max_tensor() {
                    line(json!("left out: the adapter's buffers are too small"));
                    continue;
                }
                for in_flight in 1..=3 {
                    let mut job = Job::new(&model, size);
                    job.submit();
                    job.finish(0);
                    let (start, first) = (Instant::now(), job.pairs);
                    let (least, enough) = if small { (2, 0.0) } else { (6, 0.7) };
                    while job.pairs - first < least || start.elapsed().as_secs_f64() < enough {
                        job.submit();
                        job.finish(in_flight - 1);
                    }
                    job.finish(0);
                    let ms = start.elapsed().as_secs_f64() * 1e3 / (job.pairs - first) as f64;
                    line(json!({"in_flight": in_flight, "ms_a_pair": ms,
                                "memory_mb": model.backend().memory_peak() / 1_000_000}));
                }
            }
        }
    }
}

/// Writes moving waves as Y4M, 4:2:0.
fn clip(file: &str, [width, height]: [usize; 2], frames: usize) {
    let file = std::fs::File::create(file).expect("a file to write to");
    let mut out = std::io::BufWriter::new(file);
    writeln!(out, "YUV4MPEG2 W{width} H{height} F24:1 Ip A1:1 C420jpeg").expect("space");
    for number in 0..frames {
        let luma = frame([width, height], number as f32 * 3.0);
        out.write_all(b"FRAME\n").expect("space");
        let codes: Vec<u8> = luma.data()[..width * height]
            .iter()
            .map(|v| (v * 255.0) as u8)
            .collect();
        out.write_all(&codes).expect("space");
        out.write_all(&vec![128; width.div_ceil(2) * height.div_ceil(2) * 2])
            .expect("space");
    }
    out.flush().expect("space");
}
