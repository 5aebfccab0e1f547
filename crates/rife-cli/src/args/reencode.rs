//! The options of `rife reencode`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::KeepArgs;

const EXAMPLES: &str = "\
Examples:
  rife reencode clip.mp4 --force                          H.264 High, yuv420p, BT.709: clip_reencoded.mp4
  rife reencode clip.mp4 --preset-profile latentsync -o ls.mp4
  rife reencode clip.mp4 --preset-profile archive -o clip.mkv
  rife reencode clip.mp4 --check clip.mkv                 compare two files, write nothing";

/// What the result is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileArg {
    /// H.264 High, yuv420p, BT.709, AAC, in MP4
    Web,
    /// The same at 25 frames a second, sound at 16 kHz
    Latentsync,
    /// FFV1 in Matroska: lossless, pixel format, tags and streams as they are
    Archive,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReencodeArgs {
    /// The video
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,
    /// The result [default: IN_reencoded.mp4 beside the input, .mkv for an archive]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// What the result is for
    #[arg(long, value_enum, value_name = "PROFILE", default_value = "web")]
    pub(crate) preset_profile: ProfileArg,
    /// Write it even where the source is in that form already
    #[arg(long)]
    pub(crate) force: bool,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Only compare the input's colours with those of this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "force", "overwrite"])]
    pub(crate) check: Option<PathBuf>,
    /// The least PSNR of a colour channel that the check accepts, in dB
    #[arg(long, value_name = "DB", default_value_t = 25.0)]
    pub(crate) min_psnr: f64,
    /// The most that a channel's mean may be off, in codes of 255
    #[arg(long, value_name = "CODES", default_value_t = 1.0)]
    pub(crate) max_bias: f64,
    /// The most that the means of 16x16 blocks may be off (root mean square), in codes of 255
    #[arg(long, value_name = "CODES", default_value_t = 2.0)]
    pub(crate) max_shift: f64,
    /// Quality, lower is better [default: 18]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=51))]
    pub(crate) crf: Option<u32>,
    /// The encoder's preset, such as slow or veryfast [default: medium]
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// De-interlace an interlaced video first
    #[arg(long)]
    pub(crate) deinterlace: bool,
    /// Write a line of JSON on standard output for the analysis, for progress, and at the end
    #[arg(long)]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
}
