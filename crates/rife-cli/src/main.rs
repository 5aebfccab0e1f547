//! Command line `rife`: converts arguments to jobs of the library, results to text or JSON, and errors to exit codes.

mod args;
mod commands;
mod exit;
mod output;
mod parse;
mod progress;
mod shortcut;
mod signal;
mod spelling;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

/// Parses the arguments, runs the command and returns the exit code.
fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(shortcut::with_command(std::env::args_os().collect())) {
        Ok(cli) => cli,
        Err(error) => return exit::parsing(error),
    };
    output::set_verbosity(cli.verbosity());
    let json = cli.command.json();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error, json),
    }
}

/// Runs a command; Ctrl-C and SIGTERM cancel it.
fn run(command: Command) -> rife::Result<()> {
    let cancel = signal::install();
    match command {
        Command::Video(args) => commands::video(*args, &cancel),
        Command::Image(args) => commands::image::run(*args, &cancel),
        Command::Chain(args) => commands::chain::run(*args, &cancel),
        Command::Reencode(args) => commands::reencode::run(&args, &cancel),
        Command::Join(args) => commands::video::join(*args, &cancel),
        Command::Verify(args) => commands::verify::run(args, &cancel),
        Command::Report(args) => commands::report::run(args, &cancel),
        Command::Info(args) => commands::info::run(*args, &cancel),
        Command::Devices(args) => commands::devices::run(&args),
        Command::Models(args) => commands::models::run(args.command, &cancel),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Benchmark(args) => commands::benchmark::run(args, &cancel),
        Command::Sample(args) => commands::sample::run(args, &cancel),
        Command::Serve(args) => commands::serve::run(*args, &cancel),
    }
}
