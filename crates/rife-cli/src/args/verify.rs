//! The options of `rife verify`.

use std::path::PathBuf;

use clap::Args;

/// Examples at the end of the help.
const EXAMPLES: &str = "\
Examples:
  rife video clip.mp4 -o smooth.mkv --manifest             leaves smooth.mkv.rife.json too
  rife verify smooth.mkv                                   decodes it all and compares
  rife verify smooth.mkv --input clip.mp4 --json           with another path of the input";

/// The options of `rife verify`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// A result of `rife video`
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Its manifest [default: OUT.rife.json; without one, the frames are compared with what the container declares]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// The input, if it is no longer at the path in the manifest
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
