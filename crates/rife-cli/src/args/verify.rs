//! The options of `rife verify`.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  rife video clip.mp4 -o smooth.mkv --manifest             leaves smooth.mkv.rife.json too
  rife verify smooth.mkv                                   decodes it all and compares
  rife verify smooth.mkv --input clip.mp4 --json           with the input at another place";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// A result of `rife video`
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Its manifest [default: OUT.rife.json; without one, what the file says of itself is checked]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// The input, where it is not where it was
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
