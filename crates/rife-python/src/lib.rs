//! Native module `rife._rife` of the Python package `rife` (pyo3, stable ABI of Python 3.10 and later): the interpolator and
//! streams on numpy arrays, the motion search of the training script, and the command line as a program and as functions. The package's Python code, in `python/rife`,
//! checks shapes, makes the results' arrays and has the documented interface.

mod array;
mod command;
mod error;
mod model;
mod motion;
mod options;
mod stream;

use pyo3::prelude::*;

/// The native part of the package.
#[pymodule]
mod _rife {
    #[pymodule_export]
    use super::command::{CancelToken, commands, main, run};
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::motion::dis_prior;
    #[pymodule_export]
    use super::options::model_options;
    #[pymodule_export]
    use super::stream::Stream;

    /// Version of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
