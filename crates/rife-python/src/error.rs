//! Conversion of the library's errors to the exceptions of `rife.errors`.

use pyo3::prelude::*;
use rife::{Error, ErrorKind};

/// Returns the name of a kind's exception class.
fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Usage => "UsageError",
        ErrorKind::Input => "InputError",
        ErrorKind::Output => "OutputError",
        ErrorKind::Model => "ModelError",
        ErrorKind::Cancelled => "Cancelled",
        ErrorKind::Failure => "Failure",
    }
}

/// Makes the exception of an error.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let make = || {
        let class = py.import("rife.errors")?.getattr(class(error.kind()))?;
        class.call1((error.to_string(), error.code(), rife_cli::hint(error)))
    };
    match make() {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// Makes a `rife.UsageError`.
pub(crate) fn usage(py: Python<'_>, text: impl Into<String>) -> PyErr {
    exception(py, &Error::Usage(text.into()))
}
