//! Where the weights of a job come from: built in, a file or a pulled model, or made by a rule.

use std::collections::BTreeMap;
use std::path::Path;

use rife_nets::checkpoint::{self, Format, LoadedCheckpoint};
use rife_nets::{Version, deterministic};

use crate::models::{installed, models_folder};
use crate::{Error, Result};

/// Which weights to use.
// A job has one.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModelChoice {
    /// The network that comes with the program.
    #[default]
    Default,
    /// A weights file or ncnn folder, or the name of a pulled model (see [`crate::models`]).
    Named(String),
    /// Weights made by a rule, for measuring time: what such a network shows is noise.
    Random(Version),
}

impl ModelChoice {
    /// The version that the choice itself says.
    pub(crate) fn version(&self) -> Option<Version> {
        match self {
            Self::Random(version) => Some(*version),
            Self::Default | Self::Named(_) => None,
        }
    }
}

/// The weights that are chosen, and where they came from.
pub(crate) fn find_weights(choice: &ModelChoice) -> Result<(LoadedCheckpoint, String)> {
    match choice {
        ModelChoice::Random(version) => {
            let loaded = LoadedCheckpoint {
                weights: deterministic::weights(*version),
                format: Format::Safetensors,
                metadata: BTreeMap::default(),
                notes: Vec::new(),
            };
            Ok((loaded, "random weights".to_owned()))
        }
        ModelChoice::Default => Ok((default_weights()?, "built in".to_owned())),
        ModelChoice::Named(name) => {
            let path = find(name)?;
            Ok((checkpoint::load(&path)?, path.display().to_string()))
        }
    }
}

fn default_weights() -> Result<LoadedCheckpoint> {
    let bytes = rife_nets::default_weights().ok_or_else(|| {
        Error::NoModel("this build has no default network; choose another, or random weights to time".into())
    })?;
    checkpoint::load_bytes(bytes)
        .map_err(|error| Error::NoModel(format!("the network built in cannot be read: {error}")))
}

/// A path where there is one, else a pulled model.
fn find(name: &str) -> Result<std::path::PathBuf> {
    let path = Path::new(name);
    if path.exists() {
        return Ok(path.to_owned());
    }
    if path.components().count() > 1 {
        return Err(Error::NoModel(format!("no model at {name}")));
    }
    installed(&models_folder()?, name)
}
