//! The program `rife`: see the library `rife_cli`.

use std::process::ExitCode;

/// Runs the command line of this process.
fn main() -> ExitCode {
    ExitCode::from(rife_cli::main(std::env::args_os()))
}
