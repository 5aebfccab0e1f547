//! Recipe table `[network]`: the network to train, by name or by description.

use anyhow::Result;
use rife_nets::{NetworkSpec, Version};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// The `[network]` table: a network's description, or its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NetworkRecipe {
    /// The one key `version`.
    Named {
        /// Name of the network, see [`Version::names`].
        version: String,
    },
    /// The keys of [`NetworkSpec`].
    Described(Box<NetworkSpec>),
}

impl NetworkRecipe {
    /// Refers to a network by name.
    pub fn named(version: &str) -> Self {
        Self::Named {
            version: version.to_owned(),
        }
    }

    /// Returns the version of the network.
    ///
    /// Errors: an unknown name, a description out of range.
    pub fn version(&self) -> Result<Version> {
        match self {
            Self::Named { version } => Ok(version.parse()?),
            Self::Described(spec) => Ok(Version::from_spec(**spec)?),
        }
    }
}

impl<'de> Deserialize<'de> for NetworkRecipe {
    /// Reads a table with the key `version` as a named network, any other as a description; errors name the key's path.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// The table of a named network.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Named {
            version: String,
        }
        let table = toml::Table::deserialize(deserializer)?;
        let is_named = table.contains_key("version");
        let value = toml::Value::Table(table);
        if is_named {
            let Named { version } = serde_path_to_error::deserialize(value).map_err(in_network)?;
            return Ok(Self::Named { version });
        }
        let spec = serde_path_to_error::deserialize(value).map_err(in_network)?;
        Ok(Self::Described(Box::new(spec)))
    }
}

/// Converts a parse error to one with the path of its key, such as `network.blocks[0].scale`.
fn in_network<E: Error>(error: serde_path_to_error::Error<toml::de::Error>) -> E {
    let inner = error.inner().message().to_owned();
    match error.path().to_string().as_str() {
        "." => E::custom(format!("network: {inner}")),
        path => E::custom(format!("network.{path}: {inner}")),
    }
}
