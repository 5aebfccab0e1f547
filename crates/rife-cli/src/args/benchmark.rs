//! The options of `rife benchmark`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use rife_eval::benchmark::Layout;

use super::ModelArgs;
use crate::parse;

/// Examples at the end of the help.
const EXAMPLES: &str = "\
Examples:
  rife benchmark ucf101 --json
  rife benchmark ucf101 --minterpolate --beside dis=dis_pictures
  rife benchmark ucf101 --worst 1 --pictures worst
  rife benchmark --still ucf101
  rife benchmark --triplets-of clips cut --json
  rife benchmark --steps frames
  rife benchmark --time --size 1280x768 --model-version 4.25.lite --random-weights --runs 7
  rife benchmark --testtime --runs 7
  rife benchmark --against truth_30fps.mp4 result_2X_30fps.mp4";

/// Returns the end of the help: the supported data sets and examples.
fn after_help() -> String {
    let rows = Layout::TABLE
        .iter()
        .map(|row| format!("  {:<11} {}\n", row.1, row.2));
    let rows: String = rows.collect();
    format!("Data sets are recognised by their files:\n{rows}\n{EXAMPLES}")
}

/// The options of `rife benchmark`.
#[derive(Debug, Args)]
#[command(
    after_help = after_help(),
    group(ArgGroup::new("task").required(true).multiple(true).args(["folder", "time", "testtime", "against", "steps"]))
)]
pub(crate) struct BenchmarkArgs {
    /// A data set; with --steps a clip, a folder of images, or a folder of several of these
    #[arg(value_name = "DIR", conflicts_with_all = ["time", "testtime", "against"])]
    pub(crate) folder: Option<PathBuf>,
    /// Cut the data set DIR from a clip or a folder of clips first, unless that was done before; repeatable
    #[arg(long, value_name = "CLIPS", requires = "folder", conflicts_with_all = ["steps", "limit"])]
    pub(crate) triplets_of: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) triplets: TripletArgs,
    /// Only the first N pairs of each subset or clip of a data set
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Print the scores of every frame too
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Distance of the input frames in frames: N - 1 are interpolated between two [default: HD 2 (4 is HD multi 4x),
    /// X-TEST 8, --steps 8, --against 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=256))]
    pub(crate) factor: Option<u32>,
    /// Reduce X-TEST to half its size (2K)
    #[arg(long)]
    pub(crate) half: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) quality: QualityArgs,
    /// Measure static content instead: a static overlay on moving frames, and the frame between two equal frames
    #[arg(long, requires = "folder", conflicts_with_all = ["steps", "beside", "lpips", "worst"])]
    pub(crate) still: bool,
    /// Measure evenness of motion instead: step sizes over synthetic motion; with DIR also PSNR at timesteps 1/4, 1/2, 3/4
    #[arg(long, conflicts_with_all = ["beside", "lpips", "worst"])]
    pub(crate) steps: bool,
    /// Measure speed instead
    #[arg(long, conflicts_with_all = ["testtime", "against", "steps"])]
    pub(crate) time: bool,
    /// Measure speed as the original's testtime.py: 640x480, mean of --runs (100) after as many warm-up runs
    #[arg(long, conflicts_with_all = ["against", "steps"])]
    pub(crate) testtime: bool,
    /// Size of the frames to measure speed with
    #[arg(long, value_name = "WxH", default_value = "1280x768", value_parser = parse::size)]
    pub(crate) size: [u32; 2],
    /// Number of timed runs [default: 7]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) runs: Option<u16>,
    /// Compare the clip OUT, made with --factor, with the true clip TRUTH frame by frame; also scores blending
    #[arg(long, num_args = 2, value_names = ["TRUTH", "OUT"], conflicts_with = "steps")]
    pub(crate) against: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

/// Options of `--triplets-of`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Triplets cut from clips")]
pub(crate) struct TripletArgs {
    /// Triplets per clip and set
    #[arg(long, value_name = "N", default_value_t = 1, requires = "triplets_of", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) per_clip: u16,
    /// Halve frames until their shorter side has at most N pixels (half as many in the set `small`)
    #[arg(long, value_name = "N", default_value_t = 540, requires = "triplets_of", value_parser = clap::value_parser!(u32).range(64..=16384))]
    pub(crate) lines: u32,
    /// Also write the frames before and after each pair (frame09.png and frame12.png)
    #[arg(long, requires = "triplets_of")]
    pub(crate) context: bool,
}

/// Options of the quality benchmark: baselines, LPIPS, images of the worst frames.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data sets")]
pub(crate) struct QualityArgs {
    /// Also score ffmpeg's minterpolate (motion compensated, its best settings)
    #[arg(long)]
    pub(crate) minterpolate: bool,
    /// Also score another program's image files: FOLDER/NAME.png for each frame NAME of the data set; repeatable
    #[arg(long, value_name = "NAME=FOLDER", value_parser = named_folder)]
    pub(crate) beside: Vec<(String, PathBuf)>,
    /// Also measure LPIPS (AlexNet) with the weights in FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) lpips: Option<PathBuf>,
    /// Write images of the N worst frames: interpolated frame, truth and difference side by side
    #[arg(long, value_name = "N", requires = "pictures", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) worst: Option<u32>,
    /// Folder of the images of --worst
    #[arg(long, value_name = "FOLDER", requires = "worst")]
    pub(crate) pictures: Option<PathBuf>,
}

/// Parses `NAME=FOLDER`.
fn named_folder(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
            Ok((name.to_owned(), folder.into()))
        }
        _ => Err(format!("{text:?} is not NAME=FOLDER")),
    }
}
