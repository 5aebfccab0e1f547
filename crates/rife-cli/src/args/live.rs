//! The options of `rife live`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rife::media::source::RawFrames;
use rife::options::{EncodeOptions, RateOptions, SceneOptions, VideoOptions};

use super::{ModelArgs, Table};
use crate::parse;

/// Examples at the end of the help.
const EXAMPLES: &str = "\
Examples:
  ffmpeg -re -i clip.mp4 -f yuv4mpegpipe - | rife live - - | ffplay -
  rife live /dev/video0 --input-format v4l2 camera.mkv
  rife live rtsp://camera/stream --protocol rtsp - --fps 60 | ffplay -
  rife live - out.mkv --raw 1280x720,yuv420p,30

docs/live.md has the delay, how it is measured, and what becomes of sound.";

/// The options of `rife live`.
#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    mut_arg("duplicates", |arg| arg.default_value("keep"))
)]
pub(crate) struct LiveArgs {
    /// - for Y4M on standard input, a named pipe, a device, a network address, or a file, which is played at its own speed
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,
    /// - for Y4M on standard output, or a video file, which is complete at the end of the input or after Ctrl-C
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// The delay from a frame's time in the source to its output, such as 0.8s [default: the shortest that is possible]
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    pub(crate) delay: Option<Duration>,
    /// A faster network for when the machine cannot keep up at the lowest scale; repeatable, fastest last
    #[arg(long, value_name = "PATH|NAME", hide_short_help = true)]
    pub(crate) fast_model: Vec<String>,
    /// Never lower scale, network or factor: frames that cannot be computed in time repeat the one before
    #[arg(long, hide_short_help = true)]
    pub(crate) fixed: bool,
    /// Allow this network protocol for IN: http, https, rtmp, rtp, rtsp, rtsps, srt, tcp or udp; repeatable
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) protocol: Vec<String>,
    /// ffmpeg's input format of a device, such as v4l2, x11grab, avfoundation or dshow
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) input_format: Option<String>,
    /// Standard input or the named pipe has raw frames: WIDTHxHEIGHT,FORMAT,RATE such as 1280x720,yuv420p,30
    #[arg(long, value_name = "FRAMES", hide_short_help = true)]
    pub(crate) raw: Option<RawFrames>,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Write lines of JSON on standard output, or on standard error where frames go to standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) rate: Table<RateOptions>,
    #[command(flatten)]
    pub(crate) scene: Table<SceneOptions>,
    #[command(flatten)]
    pub(crate) encode: Table<EncodeOptions>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

impl LiveArgs {
    /// Returns the options of the tables.
    pub(crate) fn options(&self) -> VideoOptions {
        let mut options = VideoOptions::default();
        options.rate = self.rate.0.clone();
        options.scene = self.scene.0.clone();
        options.encode = self.encode.0.clone();
        options.model = self.model.0.clone();
        options
    }
}
