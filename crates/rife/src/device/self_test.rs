//! Self-test of a device: one frame between two small test pictures, compared with the processor's.

use std::sync::Arc;

use rife_media::RgbImage;
use rife_nets::Options;

use crate::runner::Runner;
use crate::runner::guarded::fault;
use crate::{Error, Result};

/// Width and height of the pictures.
const SIDE: usize = super::self_test_side();
/// Largest accepted difference between the two frames, whose values are 0 to 1. Rounding gives about 1e-5 in f32 and 1e-3 in
/// f16, with random weights 1e-2; a wrong kernel gives far more.
const TOLERANCE: f32 = 4e-3;
const TOLERANCE_F16: f32 = 2e-2;

/// Interpolates between two pictures on `device` and on `processor` with the options of a job.
///
/// # Errors
/// [`Error::Device`] where the device fails, or the results differ by more than rounding; those of the processor.
pub(super) fn run(device: &Arc<dyn Runner>, processor: &Arc<dyn Runner>, options: &Options) -> Result<()> {
    let name = &device.info().device;
    let wanted = middle(processor, options)?;
    let found = middle(device, options).map_err(|error| {
        let cause = fault(&error).map_or_else(|| error.to_string(), |fault| fault.text);
        Error::Device(format!("{name} failed in the self-test: {cause}"))
    })?;
    let differences = wanted.data.iter().zip(&found.data).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0f32, f32::max);
    let allowed = match device.info().precision.as_str() {
        "f16" => TOLERANCE_F16,
        _ => TOLERANCE,
    };
    if largest <= allowed {
        return Ok(());
    }
    Err(Error::Device(format!(
        "{name} computes wrong frames: they differ from the processor's by up to {largest} in the self-test, and {allowed} \
         is allowed; a newer driver may help"
    )))
}

/// Interpolates the middle frame.
fn middle(runner: &Arc<dyn Runner>, options: &Options) -> Result<RgbImage> {
    let [first, second] = [0.0, 5.0].map(|shift| {
        let picture = RgbImage::new(SIDE as u32, SIDE as u32, picture(shift));
        runner.prepare(&picture.view(), options)
    });
    let pair = runner.clone().pair([&first?, &second?], options)?;
    pair.submit(0.5, None)?.wait()
}

/// Renders waves of several lengths, shifted to the right by `shift` pixels: planar RGB, [`SIDE`] squared.
fn picture(shift: f32) -> Vec<f32> {
    let wave = |c: usize, x: f32, y: f32| {
        let phase = c as f32;
        0.5 + 0.2 * (0.23 * x + 0.11 * y + phase).sin() + 0.2 * (0.05 * x - 0.31 * y + phase).cos()
    };
    let mut values = Vec::with_capacity(3 * SIDE * SIDE);
    for c in 0..3 {
        for y in 0..SIDE {
            values.extend((0..SIDE).map(|x| wave(c, x as f32 - shift, y as f32)));
        }
    }
    values
}
