//! What is in a weights file, and writing it anew as `.safetensors`.

use std::collections::BTreeMap;
use std::path::Path;

use rife_nets::checkpoint::{self, Dtype, LoadedCheckpoint};
use rife_nets::{Version, Weights};

use crate::Result;

/// What is in a weights file or folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// What kind of file it is.
    pub format: String,
    /// Which network it is taken for.
    pub version: Version,
    /// Every version that its tensors fit.
    pub candidates: Vec<&'static str>,
    /// How many tensors it holds.
    pub tensors: usize,
    /// How many values they hold.
    pub parameters: usize,
    /// What the file says about itself.
    pub metadata: BTreeMap<String, String>,
    /// What was left out or assumed on reading.
    pub notes: Vec<String>,
}

/// Reads a weights file or folder of any known kind.
///
/// # Errors
/// [`Error::Checkpoint`](crate::Error::Checkpoint).
pub fn read_weights(path: &Path) -> Result<Weights> {
    load(path).map(|loaded| loaded.weights)
}

/// Looks into a weights file or folder.
///
/// # Errors
/// [`Error::Checkpoint`](crate::Error::Checkpoint), [`Error::Network`](crate::Error::Network) where the tensors are those of no network known, or not whole.
pub fn inspect(path: &Path) -> Result<Inspected> {
    let LoadedCheckpoint {
        weights,
        format,
        metadata,
        notes,
    } = load(path)?;
    let version = Version::recognise(&weights)?;
    version.check(&weights, false)?;
    Ok(Inspected {
        format: format.to_string(),
        version,
        candidates: Version::candidates(&weights)
            .into_iter()
            .map(Version::name)
            .collect(),
        tensors: weights.len(),
        parameters: weights.iter().map(|(_, tensor)| tensor.data.len()).sum(),
        metadata,
        notes,
    })
}

/// Writes a weights file or folder as a `.safetensors` file of f32 values and returns what was left out or assumed.
/// The version goes into the file's metadata.
///
/// # Errors
/// As [`inspect`]; [`Error::Media`](crate::Error::Media) where `output` exists and may not be replaced; [`Error::Checkpoint`](crate::Error::Checkpoint) for writing.
pub fn convert(
    input: &Path,
    output: &Path,
    version: Option<Version>,
    overwrite: bool,
) -> Result<Vec<String>> {
    if output.exists() && !overwrite {
        return Err(rife_media::MediaError::Exists(output.to_owned()).into());
    }
    let loaded = load(input)?;
    let version = version.map_or_else(|| Version::recognise(&loaded.weights), Ok)?;
    version.check(&loaded.weights, false)?;
    let mut metadata = loaded.metadata;
    metadata.insert("rife_version".into(), version.name().into());
    checkpoint::save_safetensors(output, &loaded.weights, Dtype::F32, &metadata)?;
    Ok(loaded.notes)
}

fn load(path: &Path) -> Result<LoadedCheckpoint> {
    Ok(checkpoint::load(path)?)
}
