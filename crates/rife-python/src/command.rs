//! The command line as a program (`main`) and as functions (`run`), and the table of its options.

use std::ffi::OsString;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use clap::ArgAction;
use pyo3::prelude::*;
use rife::{Error, media};
use rife_cli::Said;
use serde_json::{Value, json};

use crate::error::exception;

/// Interval at which a running command looks for Python's signals (Ctrl-C).
const SIGNALS: Duration = Duration::from_millis(50);

/// The commands that the package has as functions.
const COMMANDS: [&str; 8] = [
    "video", "image", "chain", "reencode", "report", "verify", "info", "join",
];

/// A token that stops a job from any thread.
#[pyclass(frozen, module = "rife")]
#[derive(Debug, Default)]
pub(crate) struct CancelToken(media::CancelToken);

#[pymethods]
impl CancelToken {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Stops the jobs that have this token: they raise `rife.Cancelled`.
    fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether `cancel` was called.
    #[getter]
    fn cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Runs the program `rife` with `args`, the first of which is its name; returns the exit code.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| rife_cli::main(args))
}

/// Runs one command with `args`, the first of which is the program's name, in a thread of its own; `listener` is called on
/// this thread with every line and whether it is for standard output. An exception of `listener`, and Ctrl-C, stop the
/// command and are raised.
#[pyfunction]
pub(crate) fn run(
    py: Python<'_>,
    args: Vec<OsString>,
    cancel: &CancelToken,
    listener: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (sender, mut lines) = channel();
    let token = cancel.0.clone();
    let work = move || {
        rife_cli::run(&args, &token, move |said| {
            // The receiver is there until the command ends.
            let _ = sender.send(match said {
                Said::Line(text) => (text.to_owned(), true),
                Said::Note(text) => (text.to_owned(), false),
            });
        })
    };
    let failed = |what: &str| exception(py, &Error::Failure(what.to_owned()));
    let thread = std::thread::Builder::new()
        .name("rife-job".to_owned())
        .spawn(work)
        .map_err(|error| failed(&format!("no thread can be started: {error}")))?;
    let mut stopped = None;
    loop {
        let got;
        (got, lines) = py.detach(move || wait(lines));
        let heard = match got {
            Ok((text, standard)) if stopped.is_none() => listener.call1((text, standard)).map(drop),
            Ok(_) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if let Err(error) = heard.and_then(|()| py.check_signals()) {
            cancel.cancel();
            stopped.get_or_insert(error);
        }
    }
    let result = py.detach(move || thread.join());
    match (stopped, result) {
        (Some(error), _) => Err(error),
        (None, Ok(result)) => result.map_err(|error| exception(py, &error)),
        (None, Err(_)) => Err(failed("the job stopped unexpectedly")),
    }
}

/// Waits for a line; returns the receiver too, since threads cannot share it.
fn wait<T>(lines: Receiver<T>) -> (Result<T, RecvTimeoutError>, Receiver<T>) {
    (lines.recv_timeout(SIGNALS), lines)
}

/// Returns the options of the commands as JSON: an object of lists of objects with `name`, `help`, `flag`, `choices` and
/// `default`.
#[pyfunction]
pub(crate) fn commands() -> String {
    let program = rife_cli::command();
    let table: serde_json::Map<String, Value> = program
        .get_subcommands()
        .filter(|command| COMMANDS.contains(&command.get_name()))
        .map(|command| {
            let options: Vec<_> = command.get_arguments().filter_map(option).collect();
            (command.get_name().to_owned(), Value::from(options))
        })
        .collect();
    Value::from(table).to_string()
}

/// Describes an option; `None` for positional arguments, hidden ones and those that the functions set.
fn option(arg: &clap::Arg) -> Option<Value> {
    let long = arg.get_long().filter(|_| !arg.is_hide_set())?;
    if matches!(long, "json" | "quiet" | "output" | "help" | "version") {
        return None;
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let flag = matches!(arg.get_action(), ArgAction::SetTrue);
    let choices: Vec<_> = match flag {
        true => Vec::new(),
        false => arg
            .get_possible_values()
            .iter()
            .map(|value| value.get_name().to_owned())
            .collect(),
    };
    Some(json!({"name": long.replace('-', "_"), "help": help, "flag": flag, "choices": choices}))
}
