//! Options from Python: pairs of a name and a text, parsed by the library's option tables.

use pyo3::prelude::*;
use rife::options::{ModelOptions, OptionSet};
use serde_json::json;

use crate::error::usage;

/// An option's name and its value as text, as the command line has it.
pub(crate) type Pair = (String, String);

/// Sets the option in `options` if its table has the name; reports whether it has.
///
/// # Errors
/// `rife.UsageError` for a value that is not accepted.
pub(crate) fn set<T: OptionSet>(py: Python<'_>, options: &mut T, (name, text): &Pair) -> PyResult<bool> {
    let Some(opt) = T::TABLE.iter().find(|opt| opt.name == name) else {
        return Ok(false);
    };
    let parsed = opt.kind.parse(text).and_then(|value| options.set(name, &value));
    match parsed {
        Ok(()) => Ok(true),
        Err(refusal) => Err(usage(py, format!("{name} is {text:?}: {refusal}"))),
    }
}

/// Makes the error of a name that no table has.
pub(crate) fn unknown(py: Python<'_>, name: &str) -> PyErr {
    usage(py, format!("there is no option {name}"))
}

/// Returns the model's options as JSON: a list of objects with `name`, `help`, `flag` and `choices`.
#[pyfunction]
pub(crate) fn model_options() -> String {
    let options: Vec<_> = ModelOptions::TABLE
        .iter()
        .map(|opt| {
            let choices: Vec<_> = match opt.kind {
                rife::options::Kind::Choice(names) => names.iter().map(|choice| choice.name).collect(),
                _ => Vec::new(),
            };
            let flag = opt.kind == rife::options::Kind::Flag;
            json!({"name": opt.name, "help": opt.help().replace('`', ""), "flag": flag, "choices": choices})
        })
        .collect();
    json!(options).to_string()
}
