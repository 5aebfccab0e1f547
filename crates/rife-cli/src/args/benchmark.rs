//! The options of `rife benchmark`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::ModelArgs;
use crate::parse;

const EXAMPLES: &str = "\
Data sets are recognised by their files:
  UCF101      NAME/frame_00.png, frame_01_gt.png, frame_02.png
  Middlebury  other-data/NAME/frame10.png, frame11.png; other-gt-interp/NAME/frame10i11.png
  triplets    NAME/frame10.png, frame10i11.png, frame11.png
  Vimeo90K    tri_testlist.txt; sequences/NAME/im1.png, im2.png, im3.png

Examples:
  rife benchmark ucf101 --json
  rife benchmark --time --size 1280x768 --model-version 4.25.lite --random-weights --runs 7
  rife benchmark --against truth_30fps.mp4 result_2X_30fps.mp4";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("task").required(true).args(["folder", "time", "against"])))]
pub(crate) struct BenchmarkArgs {
    /// A folder of triplets
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Only the first N triplets
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Also every triplet's figures
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Measure speed instead
    #[arg(long)]
    pub(crate) time: bool,
    /// Size of the frames to measure speed with
    #[arg(long, value_name = "WxH", default_value = "1280x768", value_parser = parse::size)]
    pub(crate) size: [u32; 2],
    /// How often to measure speed
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) runs: u16,
    /// Compare a result with its truth, frame by frame, beside blending the result's source frames
    #[arg(long, num_args = 2, value_names = ["TRUTH", "OUT"])]
    pub(crate) against: Vec<PathBuf>,
    /// With --against: which frames of OUT are source frames, every Nth
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..=256))]
    pub(crate) factor: u32,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
