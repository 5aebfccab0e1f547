//! Work of the built-in network on a GPU, counted by the plan of its kernels: nothing is computed.

use rife_gpu::{AdapterChoice, GpuBackend, Precision, Work, adapters};
use rife_nets::{Image, Model, Options, checkpoint};
use rife_testing::Need;

/// Size of a 720p frame.
const SIZE: [usize; 2] = [1280, 720];
/// Kernel runs that are allowed; 133 were counted.
const MAX_DISPATCHES: u64 = 140;
/// Megabytes read and written that are allowed; 1893 were counted, and 500 are aimed at.
const MAX_MEGABYTES: u64 = 1900;

/// Returns the work of one new frame and the middle between it and the frame before.
fn work(backend: GpuBackend) -> Option<Work> {
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
    let before = model.backend().work();
    let pair = model.pair(&first, &frame(), &options).unwrap();
    let output = model.tensors_at(&pair, 0.5, &options).unwrap();
    drop(model.start_picture(&output, [height, width]).unwrap());
    let after = model.backend().work();
    Some(Work {
        dispatches: after.dispatches - before.dispatches,
        bytes: after.bytes - before.bytes,
        ..after
    })
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
    if !adapter.info().f16 {
        return println!("skipped: the adapter has no f16");
    }
    let Some(work) = work(GpuBackend::new_counting(&adapter, Precision::F16).unwrap()) else {
        Need::Weights.is_met(false, "no network is built in");
        return;
    };
    let megabytes = work.bytes / 1_000_000;
    println!("{SIZE:?} in f16: {} kernel runs, {megabytes} MB", work.dispatches);
    assert!(
        work.dispatches <= MAX_DISPATCHES,
        "{} kernel runs",
        work.dispatches
    );
    assert!(megabytes <= MAX_MEGABYTES, "{megabytes} MB");
}
