//! The options of `rife video` and `rife info`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use num_rational::Ratio;

use super::{KeepArgs, ModelArgs};
use crate::parse;

/// Video codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CodecArg {
    /// H.264 by libx264: CRF 18, preset medium
    H264,
    /// H.265 by libx265: CRF 20, preset medium
    H265,
    /// AV1 by SVT-AV1: CRF 28, preset 8
    Av1,
    /// VP9 by libvpx: CRF 24
    Vp9,
    /// ProRes 422 HQ
    Prores,
    /// FFV1, lossless
    Ffv1,
    /// GIF
    Gif,
}

/// What is shown between two frames that a cut parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CutFillArg {
    /// The frame before the cut again
    Repeat,
    /// A mixture of both, as a fade
    Blend,
}

/// Whether overlays are kept still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MaskStaticArg {
    /// Where some are found
    Auto,
    /// Never
    Off,
}

/// What is shown instead of a frame that is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FallbackArg {
    /// A mixture of both neighbours
    Blend,
    /// The neighbour before it
    Hold,
}

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

/// What becomes of frames that only repeat the one before while motion goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DuplicatesArg {
    /// Motion leads evenly through their times, from the distinct frames around them
    Smooth,
    /// They stay as they are
    Keep,
    /// Say what smooth would do, and do nothing
    Report,
}

impl DuplicatesArg {
    /// Whether only a report is asked for, which is of what smooth would do.
    pub(crate) fn take_report(&mut self) -> bool {
        let report = *self == Self::Report;
        if report {
            *self = Self::Smooth;
        }
        report
    }
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
    pub(crate) rate: RateArgs,
    #[command(flatten)]
    pub(crate) scene: SceneArgs,
    #[command(flatten)]
    pub(crate) encode: EncodeArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Time")]
pub(crate) struct RateArgs {
    /// Frames for each one of the source, 1 to 256, such as 2, 2.5 or 7/3 [default: 2]
    #[arg(long, value_name = "N", value_parser = parse::factor, conflicts_with = "exp")]
    pub(crate) factor: Option<Ratio<i64>>,
    /// The factor as a power of two: 1 to 4 for 2x to 16x
    #[arg(long, visible_alias = "passes", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=4))]
    pub(crate) exp: Option<u32>,
    /// A target rate, such as 60, 59.94 or 60000/1001; with --slow-motion the rate at which it is played
    #[arg(long, value_name = "X", value_parser = parse::rate)]
    pub(crate) fps: Option<Ratio<i64>>,
    /// Keep the rate and stretch time by the factor; sound is dropped
    #[arg(long)]
    pub(crate) slow_motion: bool,
    /// With --slow-motion: keep sound, stretched with its pitch kept
    #[arg(long, requires = "slow_motion")]
    pub(crate) stretch_audio: bool,
    /// The rate of a folder of pictures [default: 25]
    #[arg(long, value_name = "X", value_parser = parse::rate)]
    pub(crate) input_fps: Option<Ratio<i64>>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cuts and repeated frames")]
pub(crate) struct SceneArgs {
    /// Frames less alike than this (SSIM of 32x32 miniatures), and less alike than those on both sides, are parted by a
    /// cut; 0 finds none
    #[arg(long, value_name = "S", default_value_t = rife::media::scene::DETECTED_BELOW)]
    pub(crate) cut_threshold: f32,
    /// A list of cuts instead of detection: a frame number (120) or time (5.005) a line, the first frame of the new scene
    #[arg(long, value_name = "FILE", conflicts_with = "cut_threshold")]
    pub(crate) cuts: Option<PathBuf>,
    /// Write the cuts as such a list
    #[arg(long, value_name = "FILE")]
    pub(crate) cuts_out: Option<PathBuf>,
    /// What is shown between the two frames of a cut; they are never morphed
    #[arg(long, value_enum, value_name = "HOW", default_value = "repeat")]
    pub(crate) cut_fill: CutFillArg,
    /// What becomes of frames that only repeat the one before while motion goes on
    #[arg(long, value_enum, value_name = "HOW", default_value = "smooth")]
    pub(crate) duplicates: DuplicatesArg,
    /// Take overlays that stay still while all around them moves (logos, subtitles, black bars) from the source
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto")]
    pub(crate) mask_static: MaskStaticArg,
    /// What is shown instead of made frames that are trusted too little; `rife report` says what that does to a clip
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) fallback: Option<FallbackArg>,
    /// How much confidence a made frame needs, 0 to 1 (see `rife report`)
    #[arg(long, value_name = "X", default_value = "0.3", value_parser = parse::share, requires = "fallback")]
    pub(crate) fallback_below: f64,
    /// De-interlace an interlaced video first
    #[arg(long)]
    pub(crate) deinterlace: bool,
    /// Take the film out of a video of 29.97 or 30 frames a second that it was telecined to; it has 23.976 or 24 again
    #[arg(long, conflicts_with = "deinterlace")]
    pub(crate) inverse_telecine: bool,
    /// Take an interlaced video as if it were progressive
    #[arg(long, conflicts_with_all = ["deinterlace", "inverse_telecine"])]
    pub(crate) allow_interlaced: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Encoding")]
pub(crate) struct EncodeArgs {
    /// The video codec [default: the container's usual one, H.264 for MP4]
    #[arg(long, value_enum, value_name = "CODEC")]
    pub(crate) codec: Option<CodecArg>,
    /// Quality, lower is better [default: the codec's, 18 for H.264]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=63))]
    pub(crate) crf: Option<u32>,
    /// The encoder's preset, such as slow or veryfast [default: medium]
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// An ffmpeg encoder by name, such as h264_nvenc; or auto, nvenc, qsv, vaapi, amf or videotoolbox: hardware where one
    /// frame can be encoded with it, else software
    #[arg(long, value_name = "NAME")]
    pub(crate) encoder: Option<String>,
    /// The container of the default output name [default: the input's, where it holds what comes out, else mp4 or mkv]
    #[arg(long, value_name = "EXT", value_parser = parse::extension)]
    pub(crate) ext: Option<String>,
    /// Decode with hardware: auto, or the name of one that `ffmpeg -hwaccels` lists; software where it does not work
    #[arg(long, value_name = "NAME", default_value = "none")]
    pub(crate) hwaccel: String,
    /// Write pictures instead of a video, into OUT or vid_out/
    #[arg(long)]
    pub(crate) png: bool,
    /// Leave out sound, subtitles, chapters and tags
    #[arg(long, alias = "no-audio")]
    pub(crate) video_only: bool,
    /// Show the source's middle half on the left and the result's on the right
    #[arg(long)]
    pub(crate) montage: bool,
}
