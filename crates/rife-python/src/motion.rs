//! Dense inverse search (DIS) on batches of images, by the CPU engine: the prior of a network for tools/train_twin.py.

use std::sync::OnceLock;

use numpy::{PyArray1, PyArray4, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray4, PyUntypedArrayMethods};
use pyo3::prelude::*;
use rife::nets::{NetworkSpec, Prior, Version};
use rife_backend::{Backend, BackendError, DisOptions, Resize};
use rife_cpu::{CpuBackend, EngineOptions};

use crate::error::usage;

/// Computes the velocities, in pixels from the first image to the second, of the scene points at timestep `times[i]` between the
/// images `first[i]` and `second[i]`, RGB in 0..=1, `[n, 3, height, width]`: `[n, 4, height, width]`, from the forward search,
/// then from the backward search. `options` is the JSON of a network's `prior.dis`.
#[pyfunction]
pub(crate) fn dis_prior<'py>(
    py: Python<'py>,
    first: PyReadonlyArray4<'py, f32>,
    second: PyReadonlyArray4<'py, f32>,
    times: PyReadonlyArray1<'py, f32>,
    options: &str,
) -> PyResult<Bound<'py, PyArray4<f32>>> {
    let options = checked(options).map_err(|text| usage(py, text))?;
    let shape = first.shape();
    let &[n, channels, height, width] = shape else {
        unreachable!("an array of four dimensions")
    };
    let multiple = 1 << options.finest_level;
    let divides = |side: usize| side > 0 && side.is_multiple_of(multiple);
    if channels != 3 || second.shape() != shape || times.len() != n || !divides(height) || !divides(width) {
        let text = format!(
            "images of shapes {shape:?} and {:?} with {} times; needed are two of [n, 3, height, width], sides in multiples of \
             {multiple}, with n times",
            second.shape(),
            times.len()
        );
        return Err(usage(py, text));
    }
    let (first, second, times) = (first.as_slice()?, second.as_slice()?, times.as_slice()?);
    let found = py.detach(|| velocities([first, second], times, [height, width], &options));
    let found = found.map_err(|error| usage(py, error.to_string()))?;
    PyArray1::from_vec(py, found).reshape([n, 4, height, width])
}

/// Parses the options of a search and checks their ranges as a network's description does.
fn checked(json: &str) -> Result<DisOptions, String> {
    let options: DisOptions = serde_json::from_str(json).map_err(|error| format!("prior.dis: {error}"))?;
    let mut network: NetworkSpec = *Version::DEFAULT
        .spec()
        .ok_or("the default network has no description")?;
    network.prior = Some(Prior::Dis(options));
    network.check().map_err(|error| error.to_string())?;
    Ok(options)
}

/// Searches and projects each pair of a batch, see [`dis_prior`].
fn velocities(
    images: [&[f32]; 2],
    times: &[f32],
    [height, width]: [usize; 2],
    options: &DisOptions,
) -> Result<Vec<f32>, BackendError> {
    static ENGINE: OnceLock<CpuBackend> = OnceLock::new();
    let b = ENGINE.get_or_init(|| {
        CpuBackend::new(EngineOptions::default()).expect("the machine's own instruction set")
    });
    let factor = 1 << options.finest_level;
    let mut all = Vec::with_capacity(times.len() * 4 * height * width);
    for (i, time) in times.iter().enumerate() {
        let size = 3 * height * width;
        let [first, second] = images.map(|values| b.upload([3, height, width], &values[i * size..][..size]));
        let flow = b.dis_flow([&first?, &second?], options.finest_level, options);
        let projected = b.project_flow(&flow, time);
        let velocities = b.affine(&b.resize(&projected, Resize::Up(factor)), factor as f32, 0.0);
        all.extend(b.download(&velocities)?);
    }
    Ok(all)
}
