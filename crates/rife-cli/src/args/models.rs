//! The options of `rife models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConvertArgs;

/// Examples at the end of the help.
const EXAMPLES: &str = "\
Examples:
  rife models list
  rife models info flownet.pkl
  rife models convert flownet.pkl net.safetensors
  rife models pull 4.25 && rife video clip.mp4 --model 4.25";

/// The arguments of `rife models`: a subcommand.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

/// The subcommands of `rife models`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List all networks that rife knows, and which of them are downloaded; first those to choose from, by purpose
    List {
        /// Measure the time that those to choose from take here for a frame of this size [default: 320x180]
        #[arg(long, value_name = "WxH", num_args = 0..=1, default_missing_value = "320x180", value_parser = crate::parse::size)]
        time: Option<[u32; 2]>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show format, version, size, hash and metadata of a weights file or folder
    Info {
        /// A file or folder, the name of a downloaded model, or `default` for the built-in one
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// The same as `rife convert`
    Convert(Box<ConvertArgs>),
    /// Download a public checkpoint into the models folder (RIFE_MODELS_DIR) and record its SHA-256 in models.lock
    Pull {
        /// A version of `rife models list`, or an https:// address
        #[arg(value_name = "NAME|URL")]
        name: String,
        /// The SHA-256 that the file must have
        #[arg(long, value_name = "HEX", value_parser = crate::parse::sha256)]
        sha256: Option<String>,
        /// The name by which --model finds it [default: the version, or the file name of the address]
        #[arg(long = "as", value_name = "NAME")]
        rename: Option<String>,
        /// Maximum size of the file in bytes
        #[arg(long, value_name = "BYTES", default_value_t = rife::models::DEFAULT_MAX_BYTES)]
        max_bytes: u64,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

impl ModelsArgs {
    /// Reports whether `--json` is given.
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            ModelsCommand::List { json, .. }
            | ModelsCommand::Info { json, .. }
            | ModelsCommand::Pull { json, .. } => *json,
            ModelsCommand::Convert(args) => args.json,
        }
    }
}
