//! Command line `rife`: converts arguments to jobs of the library, results to text or JSON, and errors to exit codes. A library
//! for programs that contain the command line, such as the Python package: [`main`] is the program, [`run`] one command
//! as a function.

mod args;
mod commands;
mod exit;
mod output;
mod parse;
mod preset;
mod progress;
mod shortcut;
mod signal;
mod spelling;

use std::ffi::OsString;

use clap::{CommandFactory, Parser};
use rife::media::CancelToken;

use args::{Cli, Command};

pub use exit::{code as exit_code, hint};
pub use output::Said;

/// Runs the program with `args`, the first of which is its name; returns the exit code. Ctrl-C and SIGTERM cancel the
/// command: their handlers are installed in the process.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let expanded = match preset::expand(shortcut::with_command(args.clone())) {
        Ok(expanded) => expanded,
        Err(error) => return exit::failed(&error, false),
    };
    let cli = match Cli::try_parse_from(expanded) {
        Ok(cli) => cli,
        Err(error) => return exit::parsing(error, args.into_iter().skip(1)),
    };
    output::set_verbosity(cli.verbosity());
    let json = cli.command.json();
    match dispatch(cli.command, &signal::install()) {
        Ok(()) => 0,
        Err(error) => exit::failed(&error, json),
    }
}

/// Runs one command with `args`, the first of which is the program's name. What it would write to standard output and standard
/// error, and its progress as lines of JSON, goes to `said` on this thread.
///
/// # Errors
/// [`rife::Error::Usage`] for invalid arguments, and those of the command.
pub fn run(
    args: &[OsString],
    cancel: &CancelToken,
    said: impl FnMut(Said<'_>) + 'static,
) -> rife::Result<()> {
    let cli = Cli::try_parse_from(preset::expand(args.to_vec())?).map_err(|mut error| {
        spelling::suggest(&mut error);
        let text = error.render().to_string();
        let text = text.split("\n\nUsage:").next().unwrap_or(&text);
        rife::Error::Usage(text.trim_start_matches("error: ").trim().to_owned())
    })?;
    output::captured(said, || dispatch(cli.command, cancel))
}

/// Returns the commands with their arguments.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs a command.
fn dispatch(command: Command, cancel: &CancelToken) -> rife::Result<()> {
    match command {
        Command::Video(args) => commands::video(*args, cancel),
        Command::Image(args) => commands::image::run(*args, cancel),
        Command::Chain(args) => commands::chain::run(*args, cancel),
        Command::Reencode(args) => commands::reencode::run(&args, cancel),
        Command::Join(args) => commands::video::join(*args, cancel),
        Command::Verify(args) => commands::verify::run(args, cancel),
        Command::Report(args) => commands::report::run(args, cancel),
        Command::Info(args) => commands::info::run(*args, cancel),
        Command::Devices(args) => commands::devices::run(&args),
        Command::Models(args) => commands::models::run(args.command, cancel),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Benchmark(args) => commands::benchmark::run(args, cancel),
        Command::Sample(args) => commands::sample::run(args, cancel),
        Command::Serve(args) => commands::serve::run(*args, cancel),
    }
}
