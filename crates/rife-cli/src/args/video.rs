//! The options of `rife video` and `rife info`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use rife::options::{Duplicate, EncodeOptions, RateOptions, SceneOptions, VideoOptions};

use super::{KeepArgs, ModelArgs, Table};
use crate::parse;

const JOIN_EXAMPLES: &str = "\
Examples:
  rife video clip.mp4 -o joined.mkv --shard 1/2     on one machine
  rife video clip.mp4 -o joined.mkv --shard 2/2     on another one
  rife join clip.mp4 -o joined.mkv                  where both folders are beside each other";

#[derive(Debug, Args)]
#[command(after_help = JOIN_EXAMPLES, group(ArgGroup::new("source").required(true)))]
/// The options of `rife join`, which joins the shards of one job.
pub(crate) struct JoinArgs {
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// The result; beside it are the folders OUT.rife-shard-I-of-N, which go when it is complete
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Write OUT.rife.json beside the result, for `rife verify`
    #[arg(long)]
    pub(crate) manifest: bool,
    /// Frames of the result in a segment, as the shards had them
    #[arg(long, value_name = "N", default_value_t = rife::media::sink::SEGMENT_FRAMES, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) segment_frames: u64,
    /// Write a line of JSON on standard output for the plan, for progress, and at the end
    #[arg(long)]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const VIDEO_EXAMPLES: &str = "\
Examples:
  rife video clip.mp4                                  twice the frames: clip_2X_50fps.mp4
  rife video clip.mp4 --fps 60 -o smooth.mkv           any target rate
  rife video clip.mp4 --factor 4 --slow-motion         four times slower, without sound
  rife video frames/ --input-fps 24 -o clip.mp4        a folder of pictures
  rife video a.mp4 b.mp4 c.mp4 -o smooth/              several; one that fails does not stop the others
  rife video --watch incoming -o smooth/               whatever is put into a folder, until Ctrl-C
  rife video clip.mp4 -o - | ffplay -                  Y4M on standard output";

#[derive(Debug, Args)]
#[command(after_help = VIDEO_EXAMPLES, group(ArgGroup::new("source").required(true)))]
pub(crate) struct VideoArgs {
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Make a video of every one that is put into this folder, until Ctrl-C; those that are done already are known by
    /// their manifests in OUT, which is another folder
    #[arg(long, value_name = "FOLDER", group = "source", requires = "output")]
    pub(crate) watch: Option<PathBuf>,
    /// How often --watch looks, in seconds; a file is taken when it is the same at two looks
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = parse::interval, requires = "watch")]
    pub(crate) poll: std::time::Duration,
    /// The result: a file, a folder (ends in /) for pictures, or - for Y4M on standard output; for several videos the
    /// folder of their results [default: IN_2X_50fps beside the input, in its container]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Write OUT.rife.json beside the result, for `rife verify`: hashes of input, model and result, options, what is
    /// in it (always written for several videos and with --watch)
    #[arg(long)]
    pub(crate) manifest: bool,
    /// Fail (exit code 3) where the result, which is written all the same, comes with a warning: of an input that is cut
    /// off or damaged, for instance
    #[arg(long)]
    pub(crate) strict: bool,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    /// Make only this machine's part: segments I, I+N, I+2N... of the result, kept in OUT.rife-shard-I-of-N. When all
    /// are beside each other, `rife join` with the same options writes OUT, with the bytes of one machine's
    #[arg(long, value_name = "I/N", value_parser = parse::shard, requires = "output", conflicts_with_all = ["no_resume", "watch"])]
    pub(crate) shard: Option<rife::media::sink::Shard>,
    /// Write how far each made frame is to be trusted, as JSON: time in seconds, confidence, whether it was replaced
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    pub(crate) confidence: Option<PathBuf>,
    /// When the result is complete, measure on the input what interpolation does to it, as `rife report` does: a page
    /// here, figures beside it as .json
    #[arg(long, value_name = "OUT.html", conflicts_with_all = ["watch", "shard"])]
    pub(crate) report: Option<PathBuf>,
    /// Write a line of JSON on standard output for the plan, for progress, and at the end
    #[arg(long)]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Accepted for the original's sake: does nothing there either
    #[arg(long, hide = true)]
    pub(crate) skip: bool,
}

const INFO_EXAMPLES: &str = "\
Examples:
  rife info clip.mp4
  rife info clip.mp4 --fps 60 --json";

#[derive(Debug, Args)]
#[command(after_help = INFO_EXAMPLES, group(ArgGroup::new("source").required(true)))]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Also how each layer of the network is computed at the clip's size: kernel, time, speed
    #[arg(long)]
    pub(crate) plan: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Everything that decides what a video job does.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// A video file, a folder or "pattern*.png" of pictures, or - for Y4M on standard input; `rife video` takes several,
    /// and a folder with videos in it for all of them
    #[arg(value_name = "IN", group = "source")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The input, as the original names it
    #[arg(long, value_name = "PATH", group = "source", hide = true, alias = "input")]
    pub(crate) video: Option<PathBuf>,
    /// A folder of pictures, as the original names it; implies --png
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
    /// The options that decide what the job does.
    pub(crate) fn options(&self) -> VideoOptions {
        let mut options = VideoOptions::default();
        options.rate = self.rate.0.clone();
        options.scene = self.scene.0.clone();
        options.encode = self.encode.0.clone();
        options.model = self.model.0.clone();
        options
    }

    /// Whether only a report of repeated frames is asked for.
    pub(crate) fn only_report(&self) -> bool {
        self.scene.0.duplicates == Duplicate::Report
    }
}
