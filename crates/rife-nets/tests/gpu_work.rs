//! Work of the built-in network on a GPU, counted by the plan of its kernels: nothing is computed.

use rife_gpu::{AdapterChoice, GpuBackend, KernelRun, Precision, adapters};
use rife_nets::{Image, Model, Options, checkpoint};
use rife_testing::Need;

/// Size of a 720p frame.
const SIZE: [usize; 2] = [1280, 720];
/// Kernel runs that are allowed; 124 were counted.
const MAX_DISPATCHES: usize = 140;
/// Megabytes read and written that are allowed; 744 and 1115 were counted, and 500 are aimed at in f16.
const MAX_MEGABYTES: [(Precision, u64); 2] = [(Precision::F16, 745), (Precision::F32, 1120)];

/// Returns the kernel runs of one new frame and the middle between it and the frame before.
fn work(backend: GpuBackend) -> Option<Vec<KernelRun>> {
    let weights = checkpoint::load_bytes(rife_nets::default_weights()?)
        .unwrap()
        .weights;
    let model = Model::from_weights(backend, &weights, None).unwrap();
    let options = Options::default();
    let [width, height] = SIZE;
    let frame = || {
        let image = Image::new(width, height, vec![0.5; 3 * width * height]).unwrap();
        model.prepare_frame(&image, &options).unwrap()
    };
    let first = frame();
    Some(model.backend().profile(&mut || {
        let pair = model.pair(&first, &frame(), &options).unwrap();
        let output = model.tensors_at(&pair, 0.5, &options).unwrap();
        drop(model.start_picture(&output, [height, width]).unwrap());
    }))
}

#[test]
fn a_frame_takes_few_kernels_and_bytes() {
    let choice: AdapterChoice = std::env::var("RIFE_TEST_GPU")
        .unwrap_or("0".to_owned())
        .parse()
        .unwrap();
    let Some(adapter) = Need::Vulkan.met(choice.find(&adapters()).map_err(|error| error.to_string())) else {
        return;
    };
    for (precision, max_megabytes) in MAX_MEGABYTES {
        if precision == Precision::F16 && !adapter.info().f16 {
            println!("skipped: the adapter has no f16");
            continue;
        }
        let backend = GpuBackend::new_counting(&adapter, precision).unwrap();
        let Some(runs) = work(backend) else {
            Need::Weights.is_met(false, "no network is built in");
            return;
        };
        for run in &runs {
            println!("{:9.2} MB, {}", run.bytes as f64 / 1e6, run.name);
        }
        let megabytes = runs.iter().map(|run| run.bytes).sum::<u64>() / 1_000_000;
        let count = runs.len();
        println!("{SIZE:?} in {precision:?}: {count} kernel runs, {megabytes} MB");
        assert!(count <= MAX_DISPATCHES, "{count} kernel runs");
        assert!(megabytes <= max_megabytes, "{megabytes} MB");
    }
}
