//! The options of `rife report`, which interpolates frames of a clip from their neighbours, compares them with the frames that
//! are there, and writes a page (HTML) and metrics (JSON).

use std::path::PathBuf;

use clap::Args;

use super::ModelArgs;

/// Examples at the end of the help.
const EXAMPLES: &str = "\
Examples:
  rife report clip.mp4                              clip_report.html and clip_report.json
  rife report clip.mp4 --samples 10 -o quick.html   fewer frames, sooner";

/// The options of `rife report`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// A video file, a folder or "pattern*.png" of pictures, or - for Y4M on standard input
    #[arg(value_name = "CLIP")]
    pub(crate) input: PathBuf,
    /// The page (HTML); the metrics are written next to it as JSON [default: CLIP_report.html beside the clip]
    #[arg(short, long, value_name = "OUT.html")]
    pub(crate) output: Option<PathBuf>,
    /// Maximum number of frames that are interpolated from their neighbours and compared, spread evenly over the clip
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) samples: u64,
    /// Number of the worst frames that are shown as thumbnails
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(0..=100))]
    pub(crate) worst: u16,
    /// Replace an existing report
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Print the metrics as one JSON object too
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
