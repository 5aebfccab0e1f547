//! The class `_rife.Model`: an interpolator on numpy arrays.

use std::sync::Arc;

use num_rational::Ratio;
use numpy::PyUntypedArray;
use pyo3::prelude::*;
use rife::Interpolator;
use rife::media::FrameViewMut;
use rife::options::ModelOptions;

use crate::array::{view, view_mut};
use crate::error::{exception, usage};
use crate::options::{Pair, set, unknown};

/// A model on a device. Threads may share it.
#[pyclass(frozen, module = "rife._rife")]
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) interpolator: Arc<Interpolator>,
}

#[pymethods]
impl Model {
    /// Loads a model; `options` are pairs of a name and a value as text.
    #[new]
    fn new(py: Python<'_>, options: Vec<Pair>) -> PyResult<Self> {
        let mut given = ModelOptions::default();
        for pair in &options {
            if !set(py, &mut given, pair)? {
                return Err(unknown(py, &pair.0));
            }
        }
        let interpolator = py
            .detach(|| Interpolator::new(&given.spec()))
            .map_err(|error| exception(py, &error))?;
        Ok(Self {
            interpolator: Arc::new(interpolator),
        })
    }

    /// Writes the frames at `times` (fractions as numerator and denominator, 0 to 1) between two arrays to `results`, arrays of
    /// the same shape.
    fn interpolate(
        &self,
        py: Python<'_>,
        first: &Bound<'_, PyUntypedArray>,
        second: &Bound<'_, PyUntypedArray>,
        times: Vec<(i64, i64)>,
        results: Vec<Bound<'_, PyUntypedArray>>,
        bgr: bool,
    ) -> PyResult<()> {
        if times.len() != results.len() || times.iter().any(|&(_, denominator)| denominator < 1) {
            return Err(usage(py, "each time needs a result, and a denominator above 0"));
        }
        let (first, second) = (view(first, bgr)?, view(second, bgr)?);
        let mut targets: Vec<FrameViewMut<'_>> = results
            .iter()
            .map(|array| view_mut(array, bgr))
            .collect::<PyResult<_>>()?;
        py.detach(|| {
            let [first, second] = [first, second].map(|view| {
                self.interpolator
                    .prepare(Arc::new(view.to_rgb_image().premultiplied()))
            });
            let (first, second) = (first?, second?);
            let mut between = self.interpolator.between(&first, &second);
            for (&(numerator, denominator), target) in times.iter().zip(&mut targets) {
                let made = between.at(Ratio::new(numerator, denominator))?;
                match made.alpha {
                    Some(_) => target.write(&Arc::unwrap_or_clone(made).unpremultiplied())?,
                    None => target.write(&made)?,
                }
            }
            Ok(())
        })
        .map_err(|error: rife::Error| exception(py, &error))
    }

    /// Describes the model and its options in one line.
    fn describe(&self) -> String {
        self.interpolator.describe()
    }

    /// The network's version, such as `4.25`.
    #[getter]
    fn version(&self) -> String {
        self.interpolator.version().name().to_owned()
    }

    /// The engine: device, instruction set, precision and number of threads.
    #[getter]
    fn engine(&self) -> String {
        self.interpolator.engine().to_string()
    }
}
