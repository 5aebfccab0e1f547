//! The options of `rife chain`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use num_rational::Ratio;

use super::{CodecArg, FitArg, KeepArgs, ModelArgs};
use crate::parse;

const EXAMPLES: &str = "\
Examples:
  rife chain a.mp4 b.mp4 -o joined.mp4                       3 new frames from a to b
  rife chain a.mp4 b.mp4 c.mp4 --passes 3 --fps 25           7 new frames each time: a_chain.mp4
  rife chain a.mp4 b.mp4 --size 64x64 --fit crop -o c.webm   clips of any size, rate and codec";

/// What is heard of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SoundArg {
    /// Each clip's own, the end of one fading into the start of the next
    Crossfade,
    /// Each clip's own, silence in the transitions
    Silence,
    /// Nothing
    Drop,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ChainArgs {
    /// The clips in order, two or more
    #[arg(required = true, num_args = 2.., value_name = "CLIP")]
    pub(crate) clips: Vec<PathBuf>,
    /// Transitions of 2^N - 1 new frames, 1 to 6
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=6))]
    pub(crate) passes: u32,
    /// The output's rate [default: the first clip's]
    #[arg(long, value_name = "X", value_parser = parse::rate)]
    pub(crate) fps: Option<Ratio<i64>>,
    /// The output's size [default: the first clip's]
    #[arg(long, value_name = "WxH", value_parser = parse::size)]
    pub(crate) size: Option<[u32; 2]>,
    /// What becomes of clips of another shape
    #[arg(long, value_enum, value_name = "HOW", default_value = "pad")]
    pub(crate) fit: FitArg,
    /// What is heard
    #[arg(long, value_enum, value_name = "HOW", default_value = "crossfade")]
    pub(crate) sound: SoundArg,
    /// The result [default: A_chain.mp4 beside the first clip]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Write a line of JSON on standard output for the plan, for progress, and at the end
    #[arg(long)]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// The video codec [default: the container's usual one, H.264 for MP4]
    #[arg(long, value_enum, value_name = "CODEC")]
    pub(crate) codec: Option<CodecArg>,
    /// Quality, lower is better [default: the codec's, 18 for H.264]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=63))]
    pub(crate) crf: Option<u32>,
    /// The encoder's preset, such as slow or veryfast [default: medium]
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// De-interlace interlaced clips first
    #[arg(long)]
    pub(crate) deinterlace: bool,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
