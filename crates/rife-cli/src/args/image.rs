//! The options of `rife image`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use num_rational::Ratio;

use super::ModelArgs;
use crate::parse;

const EXAMPLES: &str = "\
Examples:
  rife image a.png b.png --timestep 0.5 -o between.png     the picture in the middle
  rife image a.png b.png --exp 3 -o steps                  steps/img0.png (a) to steps/img8.png (b)
  rife image a.png b.png --ratio 0.3                       output/img0.png, img1.png, img2.png";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("pair").required(true)), group(ArgGroup::new("which")))]
pub(crate) struct ImageArgs {
    /// Two pictures of one size: PNG, JPEG, WebP, TIFF or EXR
    #[arg(value_names = ["A", "B"], num_args = 2, group = "pair")]
    pub(crate) pictures: Vec<PathBuf>,
    /// The two pictures, as the original names them
    #[arg(long, value_names = ["A", "B"], num_args = 2, group = "pair", hide = true)]
    pub(crate) img: Vec<PathBuf>,
    /// One picture at this time: 0 is A, 1 is B
    #[arg(long, value_name = "T", group = "which", value_parser = parse::fraction)]
    pub(crate) timestep: Option<Ratio<i64>>,
    /// 2^N - 1 pictures, evenly spaced [default: 4]
    #[arg(long, value_name = "N", group = "which")]
    pub(crate) exp: Option<u32>,
    /// One picture near this time, by middles of middles
    #[arg(long, value_name = "R", group = "which", value_parser = parse::fraction)]
    pub(crate) ratio: Option<Ratio<i64>>,
    /// A picture's name for one picture, else a folder: it gets img0 (A), img1..., and last B [default: output]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Replace existing pictures
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
