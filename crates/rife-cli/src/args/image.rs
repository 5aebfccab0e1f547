//! The options of `rife image`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use num_rational::Ratio;

use super::{CodecArg, KeepArgs, ModelArgs};
use crate::parse;

const EXAMPLES: &str = "\
Examples:
  rife image a.png b.png --timestep 0.5 -o between.png     the picture in the middle
  rife image a.png b.png --exp 3 -o steps                  steps/img0.png (a) to steps/img8.png (b)
  rife image a.png b.png --ratio 0.3                       output/img0.png, img1.png, img2.png
  rife image a.png b.png a.png --passes 3 -o morph.mp4     from picture to picture, 25 frames a second
  rife image a.png b.png --passes 2 -o m.gif --fps 10      also .webp, .webm, .mkv, .mov...";

/// Where frames wait for their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemoryArg {
    /// In memory: quicker
    Memory,
    /// In temporary files, exactly: for many passes of large pictures
    Disk,
}

/// What becomes of pictures of another shape than the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FitArg {
    /// All of it is shown; the rest is black, or transparent where there is alpha
    Pad,
    /// The output is filled; what stands over is cut off
    Crop,
    /// Width and height are scaled apart
    Stretch,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("pair").required(true)), group(ArgGroup::new("which")))]
pub(crate) struct ImageArgs {
    /// Two pictures or more: PNG, JPEG, WebP, TIFF, EXR, BMP or PPM
    #[arg(value_names = ["A", "B"], num_args = 2.., group = "pair")]
    pub(crate) pictures: Vec<PathBuf>,
    /// The two pictures, as the original names them
    #[arg(long, value_names = ["A", "B"], num_args = 2, group = "pair", hide = true)]
    pub(crate) img: Vec<PathBuf>,
    /// One picture at this time: 0 is A, 1 is B
    #[arg(long, value_name = "T", group = "which", value_parser = parse::fraction)]
    pub(crate) timestep: Option<Ratio<i64>>,
    /// 2^N - 1 pictures between each two, evenly spaced, 1 to 6 [default: 4]
    #[arg(long, visible_alias = "passes", value_name = "N", group = "which")]
    pub(crate) exp: Option<u32>,
    /// One picture near this time, by middles of middles
    #[arg(long, value_name = "R", group = "which", value_parser = parse::fraction)]
    pub(crate) ratio: Option<Ratio<i64>>,
    /// A picture's name for one picture; a clip's (.mp4, .gif, .webp...); else a folder: it gets img0 (A), img1...,
    /// and last the last picture [default: output]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// The rate of a clip
    #[arg(long, value_name = "X", value_parser = parse::rate, default_value = "25")]
    pub(crate) fps: Ratio<i64>,
    /// The output's size, such as 1280x720 [default: A's]
    #[arg(long, value_name = "WxH", value_parser = parse::size)]
    pub(crate) size: Option<[u32; 2]>,
    /// What becomes of pictures of another shape
    #[arg(long, value_enum, value_name = "HOW", default_value = "pad")]
    pub(crate) fit: FitArg,
    /// Where frames wait for their turn; the frames are the same
    #[arg(long, value_enum, value_name = "WHERE", default_value = "memory")]
    pub(crate) memory: MemoryArg,
    /// The codec of a clip [default: the container's usual one, H.264 for MP4]
    #[arg(long, value_enum, value_name = "CODEC")]
    pub(crate) codec: Option<CodecArg>,
    /// The quality of a clip, lower is better [default: the codec's, 18 for H.264]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=63))]
    pub(crate) crf: Option<u32>,
    /// Replace existing files
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
