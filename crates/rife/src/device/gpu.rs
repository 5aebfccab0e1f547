//! GPUs as devices: lists the adapters, opens one, and compares its frames with the CPU engine's in a self-test.

use std::path::Path;

use rife_backend::Backend;
use rife_cpu::CpuBackend;
use rife_gpu::{AdapterChoice, GpuBackend};
use rife_nets::{Image, Model, Options, Version, Weights};

use super::EngineInfo;
use crate::runner::{Convolution, Device as DeviceState, Memory};
use crate::{Error, Result};

/// Width and height of the self-test's frames.
const TEST_SIDE: usize = 128;
/// Largest accepted difference between the two engines' frames, whose values are 0 to 1. Rounding gives about 1e-5, a wrong
/// kernel far more.
const TOLERANCE: f32 = 4e-3;

/// Lists the adapters of this machine.
pub(crate) fn adapters() -> Vec<rife_gpu::AdapterInfo> {
    let all = rife_gpu::adapters();
    all.into_iter().map(|adapter| adapter.info().clone()).collect()
}

/// Opens the adapter with an index or a part of its name; the empty text selects any but software adapters.
///
/// # Errors
/// [`Error::Device`] where there is no such adapter, or its driver fails.
pub(super) fn open(which: &str) -> Result<(GpuBackend, EngineInfo)> {
    let failed = |error: rife_gpu::GpuError| {
        Error::Device(format!(
            "{error}; `rife devices` lists them, and --device cpu uses none"
        ))
    };
    let choice: AdapterChoice = which.parse().unwrap_or_default();
    let adapter = choice.find(&rife_gpu::adapters()).map_err(failed)?;
    let backend = GpuBackend::new(&adapter).map_err(failed)?;
    let info = backend.info();
    let info = EngineInfo {
        device: format!("{}, {}, {}", info.name, info.api, info.driver),
        tier: "gpu".to_owned(),
        precision: "f32".to_owned(),
        threads: 1,
        gpu_rejected: None,
    };
    Ok((backend, info))
}

/// Returns whether this machine has a GPU, software adapters excepted.
pub(super) fn has_hardware() -> bool {
    may_have_driver() && AdapterChoice::Any.find(&rife_gpu::adapters()).is_ok()
}

/// Returns whether a GPU's driver may be loaded. On Linux it has a device file; without one no driver is loaded, which would
/// delay every start.
fn may_have_driver() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let named = |folder: &str, prefix: &str| {
        let mut entries = Path::new(folder).read_dir().into_iter().flatten().flatten();
        entries.any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
    };
    named("/dev/dri", "renderD") || named("/dev", "nvidia") || Path::new("/dev/dxg").exists()
}

/// Interpolates between two small frames on the GPU and on the processor.
///
/// # Errors
/// [`Error::Device`] where the results differ by more than [`TOLERANCE`]; those of either engine.
pub(super) fn test(
    model: &Model<GpuBackend>,
    cpu: CpuBackend,
    weights: &Weights,
    version: Version,
) -> Result<()> {
    let cpu = Model::from_weights(cpu, weights, Some(version))?;
    let [wanted, found] = [middle(&cpu)?, middle(model)?];
    let largest = wanted
        .iter()
        .zip(&found)
        .map(|(wanted, found)| (wanted - found).abs())
        .fold(0.0, |largest: f32, off| {
            if off > largest || off.is_nan() {
                off
            } else {
                largest
            }
        });
    if largest <= TOLERANCE {
        return Ok(());
    }
    let name = &model.backend().info().name;
    Err(Error::Device(format!(
        "{name} computes wrong frames: they differ from the processor's by up to {largest} in the self-test, and {TOLERANCE} \
         is allowed; a newer driver may help, and --device cpu uses none"
    )))
}

/// Interpolates the middle frame of the self-test's pair.
fn middle<B: Backend>(model: &Model<B>) -> Result<Vec<f32>> {
    let options = Options::default();
    let frames = [0.0, 5.0].map(|shift| {
        let image = Image::new(TEST_SIDE, TEST_SIDE, picture(shift))?;
        Ok::<_, Error>(model.prepare_frame(&image, &options)?)
    });
    let [first, second] = frames;
    let pair = model.pair(&first?, &second?, &options)?;
    let output = model.tensors_at(&pair, 0.5, &options)?;
    Ok(model.picture(&output, [TEST_SIDE, TEST_SIDE])?)
}

/// Renders waves of several lengths, shifted to the right by `shift` pixels: planar RGB, [`TEST_SIDE`] squared.
fn picture(shift: f32) -> Vec<f32> {
    let wave = |c: usize, x: f32, y: f32| {
        let phase = c as f32;
        0.5 + 0.2 * (0.23 * x + 0.11 * y + phase).sin() + 0.2 * (0.05 * x - 0.31 * y + phase).cos()
    };
    let mut values = Vec::with_capacity(3 * TEST_SIDE * TEST_SIDE);
    for c in 0..3 {
        for y in 0..TEST_SIDE {
            values.extend((0..TEST_SIDE).map(|x| wave(c, x as f32 - shift, y as f32)));
        }
    }
    values
}

impl DeviceState for GpuBackend {
    fn memory(&self) -> Memory {
        Memory {
            held: self.memory_held(),
            peak: self.memory_peak(),
        }
    }

    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        // Kernels are not timed one by one.
        work();
        Vec::new()
    }
}
