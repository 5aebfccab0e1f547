//! Commands, options and help texts (clap). Their effects are in `commands`.

mod benchmark;
mod chain;
mod convert;
mod devices;
mod image;
mod keep;
mod live;
mod models;
mod preset;
mod reencode;
mod report;
mod sample;
mod serve;
mod table;
mod tools;
mod verify;
mod video;

use clap::{Parser, Subcommand};
use rife::options::ModelOptions;

use crate::log::{LogFormat, LogLevel};
use crate::output::Verbosity;

pub(crate) use benchmark::{BenchmarkArgs, QualityArgs};
pub(crate) use chain::ChainArgs;
pub(crate) use convert::{ConvertArgs, OnnxArgs};
pub(crate) use devices::DevicesArgs;
pub(crate) use image::ImageArgs;
pub(crate) use keep::KeepArgs;
pub(crate) use live::LiveArgs;
pub(crate) use models::{ModelsArgs, ModelsCommand};
pub(crate) use preset::PresetArgs;
pub(crate) use reencode::ReencodeArgs;
pub(crate) use report::ReportArgs;
pub(crate) use sample::SampleArgs;
pub(crate) use serve::ServeArgs;
pub(crate) use table::{Table, long};
pub(crate) use tools::{CompletionsArgs, ConfigArgs, ManArgs};
pub(crate) use verify::VerifyArgs;
pub(crate) use video::{InfoArgs, JoinArgs, TaskArgs, VideoArgs};

/// The options of model and network, of every command that runs a network.
pub(crate) type ModelArgs = Table<ModelOptions>;

/// End of the help of `rife`: exit codes and examples.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    another failure (ffmpeg is missing or died, the disk is full, `verify` found something wrong,
       several videos failed for different reasons...)
  2    the command line is invalid
  3    the input cannot be read, or is of an unsupported kind
  4    the output cannot be written, exists, or is the input
  5    the model cannot be found, downloaded, or used
  130  stopped by Ctrl-C (or SIGTERM); there is no output file then

Examples:
  rife clip.mp4 smooth.mp4                   the same as rife video clip.mp4 -o smooth.mp4
  rife video clip.mp4
  rife image a.png b.png --timestep 0.5 -o between.png
  rife info clip.mp4
  rife models list";

/// Raises the frame rate of videos by frame interpolation with the RIFE networks.
#[derive(Debug, Parser)]
#[command(name = "rife", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print the whole plan of a job, and log the commands of ffmpeg
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Colours in help and errors; auto: on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true
    )]
    pub(crate) color: clap::ColorChoice,
    /// Least severe level of the log on standard error [default: debug with --verbose, error with --quiet, else info for serve
    /// and warn for other commands]
    #[arg(long, global = true, value_name = "LEVEL", hide_short_help = true)]
    log_level: Option<LogLevel>,
    /// Form of the log: lines of text, or of JSON
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        hide_short_help = true
    )]
    pub(crate) log_format: LogFormat,
}

impl Cli {
    /// Returns how much the command says on standard error.
    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        }
    }

    /// Returns the least severe level that is logged.
    pub(crate) fn log_level(&self) -> LogLevel {
        let server = matches!(self.command, Command::Serve(_));
        self.log_level
            .unwrap_or_else(|| LogLevel::of(self.verbosity(), server))
    }
}

/// The commands of `rife`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Raise a video's frame rate, or turn it to slow motion
    Video(Box<VideoArgs>),
    /// Raise the frame rate of a live stream with a short delay, as far as the machine keeps up
    Live(Box<LiveArgs>),
    /// Interpolate between images: write one image, a folder of images, or a clip
    Image(Box<ImageArgs>),
    /// Join clips with interpolated transitions from the last frame of one to the first of the next
    Chain(Box<ChainArgs>),
    /// Re-encode a video to a widely supported format, and check its colours against the source
    Reencode(ReencodeArgs),
    /// Join the shards of a job that several machines have computed
    Join(Box<JoinArgs>),
    /// Verify a result against its manifest: hash, frames, duration, audio sync, tags, input and weights
    Verify(VerifyArgs),
    /// Measure the quality of interpolation on a clip: an HTML page with plots, and JSON
    Report(ReportArgs),
    /// Show the streams of a file, what `rife video` would do with it, and how long that would take
    Info(Box<InfoArgs>),
    /// List the GPUs that `--device` accepts
    Devices(DevicesArgs),
    /// List, inspect, convert and download networks
    Models(ModelsArgs),
    /// Convert a network for other programs: .safetensors, PyTorch, ONNX
    #[command(visible_alias = "export")]
    Convert(ConvertArgs),
    /// Measure a network's quality over a data set, or its speed
    Benchmark(BenchmarkArgs),
    /// Render the project's sample clip and its true frames, or compare a result with them
    Sample(SampleArgs),
    /// Serve a web page and an HTTP API for all of this
    Serve(Box<ServeArgs>),
    /// Show the configuration file, and where the value of each option comes from
    Config(ConfigArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Write manual pages
    Man(ManArgs),
}

impl Command {
    /// Reports whether `--json` is given.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Video(args) => args.json,
            Self::Join(args) => args.json,
            Self::Live(args) => args.json,
            Self::Verify(args) => args.json,
            Self::Report(args) => args.json,
            Self::Info(args) => args.json,
            Self::Image(args) => args.json,
            Self::Chain(args) => args.json,
            Self::Reencode(args) => args.json,
            Self::Devices(args) => args.json,
            Self::Models(args) => args.json(),
            Self::Convert(args) => args.json,
            Self::Benchmark(args) => args.json,
            Self::Sample(args) => args.json,
            Self::Config(args) => args.json,
            Self::Serve(_) | Self::Completions(_) | Self::Man(_) => false,
        }
    }
}
