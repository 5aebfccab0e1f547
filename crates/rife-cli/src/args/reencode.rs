//! The options of `rife reencode`.

use std::path::PathBuf;

use clap::Args;
use rife::options::ReencodeOptions;

use super::{KeepArgs, PresetArgs, Table};

/// Examples at the end of the help.
const EXAMPLES: &str = "\
Examples:
  rife reencode clip.mp4 --force                          H.264 High, yuv420p, BT.709: clip_reencoded.mp4
  rife reencode clip.mp4 --preset-profile latentsync -o ls.mp4
  rife reencode clip.mp4 --preset-profile archive -o clip.mkv
  rife reencode clip.mp4 --check clip.mkv                 compare two files, write nothing";

/// The options of `rife reencode`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReencodeArgs {
    /// The video
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,
    /// The output [default: IN_reencoded.mp4 in the input's folder, .mkv for an archive]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: Table<ReencodeOptions>,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Compare the input's colours with those of this file, and write nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "force", "overwrite"])]
    pub(crate) check: Option<PathBuf>,
    /// Write a line of JSON on standard output for the analysis, for progress, and at the end
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    preset: PresetArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
}
