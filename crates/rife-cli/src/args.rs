//! Every command, option and help text, as data. What they lead to is in `commands`.

mod benchmark;
mod chain;
mod convert;
mod image;
mod keep;
mod model;
mod models;
mod reencode;
mod report;
mod sample;
mod serve;
mod verify;
mod video;

use clap::{Parser, Subcommand};

pub(crate) use benchmark::{BenchmarkArgs, OthersArgs};
pub(crate) use chain::{ChainArgs, SoundArg};
pub(crate) use convert::{ConvertArgs, OnnxArgs};
pub(crate) use image::{FitArg, ImageArgs, MemoryArg};
pub(crate) use keep::KeepArgs;
pub(crate) use model::ModelArgs;
pub(crate) use models::{ModelsArgs, ModelsCommand};
pub(crate) use reencode::{ProfileArg, ReencodeArgs};
pub(crate) use report::ReportArgs;
pub(crate) use sample::SampleArgs;
pub(crate) use serve::ServeArgs;
pub(crate) use verify::VerifyArgs;
pub(crate) use video::{
    CodecArg, CutFillArg, DuplicatesArg, FallbackArg, InfoArgs, JoinArgs, MaskStaticArg, TaskArgs, VideoArgs,
};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    it failed (ffmpeg is missing or died, the machine is out of something, `verify` found something wrong,
       several videos failed for different reasons...)
  2    the command line makes no sense
  3    the input cannot be read, or is of a kind that is refused
  4    the output cannot be written, exists, or is the input
  5    the model cannot be found, fetched, or used
  130  stopped by Ctrl-C (or SIGTERM); nothing is left under the output's name

Examples:
  rife video clip.mp4
  rife image a.png b.png --timestep 0.5 -o between.png
  rife info clip.mp4
  rife models list";

/// Makes video smoother: new frames between the frames, by the RIFE networks.
#[derive(Debug, Parser)]
#[command(name = "rife", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Raise a video's frame rate, or turn it to slow motion
    Video(Box<VideoArgs>),
    /// Make the pictures between pictures: one, a folder of them, or a clip
    Image(Box<ImageArgs>),
    /// Join clips by transitions from the last frame of one to the first of the next
    Chain(Box<ChainArgs>),
    /// Write a video in a form that everything plays, and check its colours against the source
    Reencode(ReencodeArgs),
    /// Write the result of shards that several machines have made
    Join(Box<JoinArgs>),
    /// Check a result again: content, count, duration, sync, tags, and what it was made of
    Verify(VerifyArgs),
    /// Measure on the clip itself what interpolation does to it: a page with plots, and figures
    Report(ReportArgs),
    /// Show what is in a file, what `rife video` would do with it, and how long that would take
    Info(Box<InfoArgs>),
    /// List, inspect, convert and fetch networks
    Models(ModelsArgs),
    /// Write a network for other programs: .safetensors, PyTorch, ONNX
    #[command(visible_alias = "export")]
    Convert(ConvertArgs),
    /// Measure a network's quality over a folder of triplets, or its speed
    Benchmark(BenchmarkArgs),
    /// Render the project's own sample clip with its truth, and compare a result with it
    Sample(SampleArgs),
    /// Serve a page and an HTTP API that do all of this in a browser
    Serve(Box<ServeArgs>),
}

impl Command {
    /// Whether the output is for programs.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Video(args) => args.json,
            Self::Join(args) => args.json,
            Self::Verify(args) => args.json,
            Self::Report(args) => args.json,
            Self::Info(args) => args.json,
            Self::Image(args) => args.json,
            Self::Chain(args) => args.json,
            Self::Reencode(args) => args.json,
            Self::Models(args) => args.json(),
            Self::Convert(args) => args.json,
            Self::Benchmark(args) => args.json,
            Self::Sample(args) => args.json,
            Self::Serve(_) => false,
        }
    }
}
