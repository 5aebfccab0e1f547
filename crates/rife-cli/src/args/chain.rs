//! The options of `rife chain`.

use std::path::PathBuf;

use clap::Args;
use rife::options::ChainOptions;

use super::{KeepArgs, ModelArgs, PresetArgs, Table};

/// Examples at the end of the help.
const EXAMPLES: &str = "\
Examples:
  rife chain a.mp4 b.mp4 -o joined.mp4                       3 new frames from a to b
  rife chain a.mp4 b.mp4 c.mp4 --passes 3 --fps 25           7 new frames each time: a_chain.mp4
  rife chain a.mp4 b.mp4 --size 64x64 --fit crop -o c.webm   clips of any size, rate and codec";

/// The options of `rife chain`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ChainArgs {
    /// The clips in order, two or more
    #[arg(required = true, num_args = 2.., value_name = "CLIP")]
    pub(crate) clips: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) options: Table<ChainOptions>,
    /// The output [default: A_chain.mp4 in the first clip's folder]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Write a line of JSON on standard output for the plan, for progress, and at the end
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    preset: PresetArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
