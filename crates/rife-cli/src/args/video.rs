//! The options of `rife video`, `rife join` and `rife info`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use rife::options::{Duplicate, EncodeOptions, RateOptions, SceneOptions, VideoOptions};

use super::{KeepArgs, ModelArgs, PresetArgs, Table};
use crate::parse;

/// Examples at the end of the help of `rife join`.
const JOIN_EXAMPLES: &str = "\
Examples:
  rife video clip.mp4 -o joined.mkv --shard 1/2     on one machine
  rife video clip.mp4 -o joined.mkv --shard 2/2     on another one
  rife join joined.mkv --wait 2h                    when both shard folders are in one folder, within two hours";

/// Name of the positional argument of `rife join`.
const JOIN_NAME: &str = "OUT|IN";

/// The options of `rife join`, which joins the shards of one job.
#[derive(Debug, Args)]
#[command(
    after_help = JOIN_EXAMPLES,
    group(ArgGroup::new("source").required(true)),
    mut_arg("inputs", |arg| arg.value_name(JOIN_NAME).help(
        "The output, a shard's folder, or the folder of the shards: input and options are those that the shards have \
         recorded. With --output the input: then all options of the shards are to be given again"
    ))
)]
pub(crate) struct JoinArgs {
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// The output; the shards' folders OUT.rife-shard-I-of-N are next to it, and are removed when it is complete
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Wait until all shards are complete, at most this long, such as 90s, 30m or 2h [default: 24h]
    #[arg(long, value_name = "LIMIT", num_args = 0..=1, default_missing_value = "24h", value_parser = parse::duration)]
    pub(crate) wait: Option<std::time::Duration>,
    /// The folder of the shards, where they were made with the same option; the output's own otherwise
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<PathBuf>,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Write a manifest OUT.rife.json, for `rife verify`
    #[arg(long)]
    pub(crate) manifest: bool,
    /// Output frames per segment, as for the shards
    #[arg(long, value_name = "N", default_value_t = rife::media::sink::SEGMENT_FRAMES, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) segment_frames: u64,
    /// Write a line of JSON on standard output for the plan, for progress, and at the end
    #[arg(long)]
    pub(crate) json: bool,
}

/// Examples at the end of the help of `rife video`.
const VIDEO_EXAMPLES: &str = "\
Examples:
  rife video clip.mp4                                  twice the frames: clip_2X_50fps.mp4
  rife video clip.mp4 --fps 60 -o smooth.mkv           any target rate
  rife video clip.mp4 --factor 4 --slow-motion         four times slower, without audio
  rife video frames/ --input-fps 24 -o clip.mp4        a folder of images
  rife video a.mp4 b.mp4 c.mp4 -o smooth/              several videos; a failure does not stop the others
  rife video --watch incoming -o smooth/               every new video in a folder, until Ctrl-C
  rife video clip.mp4 -o - | ffplay -                  Y4M on standard output";

/// The options of `rife video`.
#[derive(Debug, Args)]
#[command(after_help = VIDEO_EXAMPLES, group(ArgGroup::new("source").required(true)))]
pub(crate) struct VideoArgs {
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Process every video that is put into this folder, until Ctrl-C; results that exist are recognised by their manifests
    /// in OUT, which must be another folder
    #[arg(
        long,
        value_name = "FOLDER",
        group = "source",
        requires = "output",
        hide_short_help = true
    )]
    pub(crate) watch: Option<PathBuf>,
    /// Polling interval of --watch in seconds; a file is complete when two successive scans find it unchanged
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = parse::interval, requires = "watch", hide_short_help = true)]
    pub(crate) poll: std::time::Duration,
    /// The output: a file, a folder (ends in /) for images, or - for Y4M on standard output; for several videos the
    /// folder of the results [default: IN_2X_50fps in the input's folder, with its extension]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Write a manifest OUT.rife.json, for `rife verify`: hashes of input, model and result, options, streams (always
    /// written for several videos and with --watch)
    #[arg(long, hide_short_help = true)]
    pub(crate) manifest: bool,
    /// Fail (exit code 3) after writing a result with warnings, such as of an input that is cut off or damaged
    #[arg(long, hide_short_help = true)]
    pub(crate) strict: bool,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    preset: PresetArgs,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    /// Keep unfinished work and shards in this folder instead of the output's own, such as on a faster disk
    #[arg(long, value_name = "DIR", hide_short_help = true, conflicts_with_all = ["no_resume", "watch"])]
    pub(crate) work_dir: Option<PathBuf>,
    /// Compute only shard I of N: segments I, I+N, I+2N... of the result, in the folder OUT.rife-shard-I-of-N. When all
    /// folders are in one place, `rife join OUT` writes OUT, equal to the output of one machine. With auto,
    /// I and N are those of the job array of Slurm, AWS Batch or Kubernetes (see docs/scale.md)
    #[arg(long, hide_short_help = true, value_name = "I/N|auto", value_parser = parse::shard, requires = "output", conflicts_with_all = ["no_resume", "watch"])]
    pub(crate) shard: Option<rife::media::sink::Shard>,
    /// Write the confidence of each computed frame as JSON: time in seconds, confidence, whether the frame was replaced
    #[arg(long, value_name = "FILE", conflicts_with = "watch", hide_short_help = true)]
    pub(crate) confidence: Option<PathBuf>,
    /// When the result is complete, run `rife report` on the input: write this HTML page, and a JSON file of the same name
    #[arg(long, hide_short_help = true, value_name = "OUT.html", conflicts_with_all = ["watch", "shard"])]
    pub(crate) report: Option<PathBuf>,
    /// Write a line of JSON on standard output for the plan, for progress, and at the end
    #[arg(long)]
    pub(crate) json: bool,
    /// Accepted for compatibility with the original script, where it does nothing either
    #[arg(long, hide = true)]
    pub(crate) skip: bool,
    /// The arguments after the program's name, which a shard records for the join.
    #[arg(skip)]
    pub(crate) words: Vec<String>,
}

/// Examples at the end of the help of `rife info`.
const INFO_EXAMPLES: &str = "\
Examples:
  rife info clip.mp4
  rife info clip.mp4 --fps 60 --json
  rife info a.mp4 b.mp4                                a summary of each; a folder for all videos in it";

/// The options of `rife info`.
#[derive(Debug, Args)]
#[command(after_help = INFO_EXAMPLES, group(ArgGroup::new("source").required(true)))]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Show kernel, time and speed of each layer of the network at the clip's size
    #[arg(long)]
    pub(crate) plan: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The input and all options of a video job except its output.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// A video file, a folder or "pattern*.png" of images, or - for Y4M on standard input; `rife video` accepts several,
    /// and a folder of videos for all of them
    #[arg(value_name = "IN", group = "source")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The input, as in the original script
    #[arg(
        short = 'i',
        long,
        value_name = "PATH",
        group = "source",
        hide = true,
        alias = "input"
    )]
    pub(crate) video: Option<PathBuf>,
    /// A folder of images, as in the original script; implies --png
    #[arg(long, value_name = "DIR", group = "source", hide = true)]
    pub(crate) img: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rate: Table<RateOptions>,
    #[command(flatten)]
    pub(crate) scene: Table<SceneOptions>,
    #[command(flatten)]
    pub(crate) encode: Table<EncodeOptions>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

impl TaskArgs {
    /// Returns the options of the job.
    pub(crate) fn options(&self) -> VideoOptions {
        let mut options = VideoOptions::default();
        options.rate = self.rate.0.clone();
        options.scene = self.scene.0.clone();
        options.encode = self.encode.0.clone();
        options.model = self.model.0.clone();
        options
    }

    /// Reports whether `--duplicates report` is given: a report instead of a job.
    pub(crate) fn only_report(&self) -> bool {
        self.scene.0.duplicates == Duplicate::Report
    }
}
