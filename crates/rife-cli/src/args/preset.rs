//! The option `--preset-file`, of every command that makes a kind of job of `rife serve`.

use std::path::PathBuf;

use clap::Args;

/// The option `--preset-file`.
#[derive(Debug, Args)]
pub(crate) struct PresetArgs {
    /// Take options from this JSON file, as the page of `rife serve` exports presets; options of the command line come first
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    preset_file: Option<PathBuf>,
}
