//! Model selection: the built-in weights, a file, a downloaded model, or generated (deterministic random) weights.

use std::collections::BTreeMap;
use std::path::Path;

use rife_nets::checkpoint::{self, Format, LoadedCheckpoint};
use rife_nets::{Version, deterministic};

use crate::models::{installed, models_folder};
use crate::{Error, Result};

/// The weights that an interpolator loads.
// The size does not matter: a job holds one value.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModelChoice {
    /// The network that is embedded in the program (feature `default-weights`).
    #[default]
    Default,
    /// The network for about half the time of the default one, embedded too.
    Fast,
    /// The path of a weights file or ncnn folder, or the name of a downloaded model (see [`crate::models`]).
    Named(String),
    /// Deterministic random weights of this network version, for measuring speed: the frames are noise.
    Random(Version),
}

impl ModelChoice {
    /// Makes a choice of what a user wrote: `default` and `fast` are embedded networks, everything else is
    /// [`ModelChoice::Named`].
    pub fn parse(text: &str) -> Self {
        match text {
            "default" => Self::Default,
            "fast" => Self::Fast,
            name => Self::Named(name.to_owned()),
        }
    }

    /// Returns the network version if it is known without reading a file.
    pub(crate) fn version(&self) -> Option<Version> {
        match self {
            Self::Random(version) => Some(*version),
            Self::Default | Self::Fast | Self::Named(_) => None,
        }
    }
}

/// Loads the chosen weights; returns them with their origin for people (a path, `built in` or `random weights`).
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
        ModelChoice::Default => Ok((built_in("default")?, "built in".to_owned())),
        ModelChoice::Fast => Ok((built_in("fast")?, "built in".to_owned())),
        ModelChoice::Named(name) => {
            let path = find(name)?;
            Ok((checkpoint::load(&path)?, path.display().to_string()))
        }
    }
}

/// Parses the weights of an embedded network; [`Error::NoModel`] in a build without them.
fn built_in(name: &str) -> Result<LoadedCheckpoint> {
    let network = rife_nets::built_in().iter().find(|network| network.name == name);
    let network = network.ok_or_else(|| {
        let text = format!("this build has no {name} network; choose another, or random weights to time");
        Error::NoModel(text)
    })?;
    checkpoint::load_bytes(network.weights)
        .map_err(|error| Error::NoModel(format!("the {name} network built in cannot be read: {error}")))
}

/// Returns `name` if that is an existing path, else the path of the downloaded model of that name.
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
