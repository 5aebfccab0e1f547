//! The options of `rife config`, `rife completions` and `rife man`.

use std::path::PathBuf;

use clap::Args;

/// Examples at the end of the help of `rife config`.
const CONFIG_EXAMPLES: &str = "\
Examples:
  rife config                       the file, and what it and variables set
  rife config video                 all options of rife video with their values and where these come from

The command line precedes RIFE_* variables (RIFE_CUT_THRESHOLD=0.3), these the file, and this the defaults. The file is
rife/config.toml in XDG_CONFIG_HOME (~/.config) or APPDATA, or the one in RIFE_CONFIG. Options of all commands stand at its top,
those of one below its name:

  crf = 20
  [video]
  fps = 60
  codec = \"h265\"";

/// The options of `rife config`.
#[derive(Debug, Args)]
#[command(after_help = CONFIG_EXAMPLES)]
pub(crate) struct ConfigArgs {
    /// A command, for all of its options
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Examples at the end of the help of `rife completions`.
const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  rife completions bash > ~/.local/share/bash-completion/completions/rife
  rife completions zsh > ~/.zfunc/_rife
  rife completions fish > ~/.config/fish/completions/rife.fish";

/// The options of `rife completions`.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// The options of `rife man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder, such as ~/.local/share/man/man1; created if missing
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
