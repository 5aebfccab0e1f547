//! Options of `rife devices`.

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  rife devices
  rife devices --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DevicesArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
