//! The options of `rife sample`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::ModelArgs;
use crate::parse;

/// Examples at the end of the help.
const EXAMPLES: &str = "\
Examples:
  rife sample sample.mp4 --truth truth.mp4
  rife video sample.mp4 -o smooth.mp4
  rife sample --compare smooth.mp4 --truth truth.mp4
  rife sample --picture between.png";

/// The options of `rife sample`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("task").required(true).args(["output", "compare", "picture"])))]
pub(crate) struct SampleArgs {
    /// Render the sample clip into this file
    #[arg(value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// The true clip, with the same motion at twice the rate: written with OUT, read with --compare
    #[arg(long, value_name = "TRUTH")]
    pub(crate) truth: Option<PathBuf>,
    /// Compare a result with the true clip; also scores blending
    #[arg(long, value_name = "RESULT", requires = "truth")]
    pub(crate) compare: Option<PathBuf>,
    /// Write an image of two successive frames with the network's frame between them, side by side
    #[arg(long, value_name = "PNG")]
    pub(crate) picture: Option<PathBuf>,
    /// The clip's size
    #[arg(long, value_name = "WxH", default_value = "640x360", value_parser = parse::size)]
    pub(crate) size: [u32; 2],
    /// The clip's length in seconds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) seconds: u32,
    /// Replace existing files
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
