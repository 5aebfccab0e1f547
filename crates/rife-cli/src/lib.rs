//! Command line `rife`: converts arguments to jobs of the library, results to text or JSON, and errors to exit codes. A library
//! for programs that contain the command line, such as the Python package: [`main`] is the program, [`run`] one command
//! as a function.

mod args;
mod commands;
mod exit;
mod log;
mod output;
mod parse;
mod preset;
mod progress;
mod settings;
mod shortcut;
mod signal;
mod spelling;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser};
use rife::media::CancelToken;

use args::{Cli, Command};

pub use exit::{code as exit_code, hint};
pub use output::Said;

/// Runs the program with `args`, the first of which is its name; returns the exit code. Ctrl-C and SIGTERM cancel the
/// command: their handlers are installed in the process.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let color = output::color_of(&args);
    output::set_color(color);
    let program = Cli::command().color(color);
    let words = preset::expand(shortcut::with_command(args.clone()))
        .and_then(|words| settings::apply(&program, words, |name| std::env::var_os(name)));
    let words = match words {
        Ok(words) => words,
        Err(error) => return exit::failed(&error, false),
    };
    let parsed = program
        .try_get_matches_from(&words)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => with_words(cli, &words),
        Err(error) => return exit::parsing(error, args.into_iter().skip(1)),
    };
    output::set_verbosity(cli.verbosity());
    output::set_color(cli.color);
    log::start(cli.log_level(), cli.log_format);
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
    let words = preset::expand(args.to_vec())?;
    let cli = Cli::try_parse_from(&words).map_err(|mut error| {
        spelling::suggest(&mut error);
        let text = error.render().to_string();
        let text = text.split("\n\nUsage:").next().unwrap_or(&text);
        rife::Error::Usage(text.trim_start_matches("error: ").trim().to_owned())
    })?;
    let cli = with_words(cli, &words);
    output::captured(said, || dispatch(cli.command, cancel))
}

/// Adds the arguments, the first of which is the program's name, to those of `rife video`, unless one is no UTF-8.
fn with_words(mut cli: Cli, words: &[OsString]) -> Cli {
    if let Command::Video(args) = &mut cli.command {
        let words: Option<Vec<_>> = words
            .iter()
            .skip(1)
            .map(|word| Some(word.to_str()?.to_owned()))
            .collect();
        args.words = words.unwrap_or_default();
    }
    cli
}

/// Returns the commands with their arguments.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs a command.
fn dispatch(command: Command, cancel: &CancelToken) -> rife::Result<()> {
    match command {
        Command::Video(args) => commands::video(*args, cancel),
        Command::Live(args) => commands::live::run(*args, cancel),
        Command::Image(args) => commands::image::run(*args, cancel),
        Command::Chain(args) => commands::chain::run(*args, cancel),
        Command::Reencode(args) => commands::reencode::run(&args, cancel),
        Command::Join(args) => commands::join::run(*args, cancel),
        Command::Verify(args) => commands::verify::run(args, cancel),
        Command::Report(args) => commands::report::run(args, cancel),
        Command::Info(args) => commands::info::run(*args, cancel),
        Command::Devices(args) => commands::devices::run(&args),
        Command::Models(args) => commands::models::run(args.command, cancel),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Benchmark(args) => commands::benchmark::run(args, cancel),
        Command::Sample(args) => commands::sample::run(args, cancel),
        Command::Serve(args) => commands::serve::run(*args, cancel),
        Command::Config(args) => commands::tools::config(&args),
        Command::Completions(args) => commands::tools::completions(&args),
        Command::Man(args) => commands::tools::man(&args),
    }
}
