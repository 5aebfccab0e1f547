//! What is in a weights file, and writing it anew for other programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rife_media::MediaError;
use rife_nets::checkpoint::{self, CheckpointError, Dtype, LoadedCheckpoint, Problem};
use rife_nets::onnx::{OnnxOptions, save_onnx};
use rife_nets::{Version, Weights};
use sha2::{Digest, Sha256};

use crate::models::hexadecimal;
use crate::{Error, ModelChoice, Result, model_choice};

/// What is in a weights file or folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// What kind of file it is.
    pub format: String,
    /// Which network it is taken for.
    pub version: Version,
    /// Every named version that its tensors fit.
    pub candidates: Vec<String>,
    /// How many tensors it holds.
    pub tensors: usize,
    /// How many values they hold.
    pub parameters: usize,
    /// The [`weights_sha256`] of its tensors.
    pub sha256: String,
    /// What the file says about itself.
    pub metadata: BTreeMap<String, String>,
    /// What was left out or assumed on reading.
    pub notes: Vec<String>,
}

/// Reads a weights file or folder of any known kind.
///
/// # Errors
/// [`Error::Checkpoint`].
pub fn read_weights(path: &Path) -> Result<Weights> {
    Ok(checkpoint::load(path)?.weights)
}

/// Looks into a weights file or folder.
///
/// # Errors
/// [`Error::Checkpoint`]; [`Error::Network`] where the tensors are those of no network known, or not whole.
pub fn inspect(path: &Path) -> Result<Inspected> {
    looked_into(checkpoint::load(path)?)
}

/// As [`inspect`], of whatever a model can be chosen by: the built-in one, a pulled one, a path.
///
/// # Errors
/// As there, and [`Error::NoModel`].
pub fn inspect_chosen(choice: &ModelChoice) -> Result<Inspected> {
    looked_into(model_choice::find_weights(choice)?.0)
}

fn looked_into(loaded: LoadedCheckpoint) -> Result<Inspected> {
    let version = Version::of_checkpoint(&loaded)?;
    let LoadedCheckpoint {
        weights,
        format,
        metadata,
        notes,
    } = loaded;
    version.check(&weights, false)?;
    Ok(Inspected {
        format: format.to_string(),
        version,
        candidates: Version::candidates(&weights)
            .into_iter()
            .map(|version| version.name().to_owned())
            .collect(),
        tensors: weights.len(),
        parameters: weights.iter().map(|(_, tensor)| tensor.data.len()).sum(),
        sha256: weights_sha256(&weights),
        metadata,
        notes,
    })
}

/// The SHA-256 of weights whatever file they are in: of each tensor's key and then its values as f32,
/// little-endian, in the keys' order.
pub fn weights_sha256(weights: &Weights) -> String {
    let mut hasher = Sha256::new();
    for (key, tensor) in weights.iter() {
        hasher.update(key);
        tensor
            .data
            .iter()
            .for_each(|value| hasher.update(value.to_le_bytes()));
    }
    hexadecimal(&hasher.finalize())
}

/// What weights are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A `.safetensors` file.
    Safetensors(Dtype),
    /// One file for PyTorch.
    Pkl {
        /// Whether keys begin with `module.`, as in the published files.
        module: bool,
    },
    /// A folder for RIFE's own code: `flownet.pkl`, and `contextnet.pkl` and `unet.pkl` for the networks in three
    /// parts.
    PklFolder {
        /// As in [`Target::Pkl`].
        module: bool,
    },
    /// An ONNX model.
    Onnx(OnnxOptions),
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// Which network it is.
    pub version: Version,
    /// The files.
    pub files: Vec<PathBuf>,
    /// The [`weights_sha256`] of the weights as they were read.
    pub sha256: String,
    /// What was left out or assumed on reading.
    pub notes: Vec<String>,
}

/// Writes a network's weights anew. The network's name and description go into the file's metadata where it has any, for
/// ONNX also the weights' hash.
///
/// # Errors
/// Those of finding, reading and recognising weights; [`MediaError::Exists`] where a file exists and may not be
/// replaced; [`Error::Usage`] for one `.pkl` file of a network in three parts, and for `.pkl` files of a network without a name; [`Error::Io`] for writing; else
/// those of [`checkpoint::save_safetensors`], [`checkpoint::save_pkl`] and [`save_onnx`].
pub fn convert(
    choice: &ModelChoice,
    version: Option<Version>,
    output: &Path,
    target: &Target,
    overwrite: bool,
) -> Result<Converted> {
    let (loaded, _) = model_choice::find_weights(choice)?;
    let version = version.or(choice.version());
    let version = version.map_or_else(|| Version::of_checkpoint(&loaded), Ok)?;
    let LoadedCheckpoint {
        weights,
        mut metadata,
        mut notes,
        ..
    } = loaded;
    version.check(&weights, false)?;
    let sha256 = weights_sha256(&weights);
    version.describe_in(&mut metadata);
    if matches!(target, Target::Pkl { .. } | Target::PklFolder { .. }) {
        notes.extend(ambiguous_without_metadata(version, &weights)?);
    }
    let files = match target {
        Target::Safetensors(dtype) => write(output, overwrite, |path| {
            checkpoint::save_safetensors(path, &weights, *dtype, &metadata)
        })?,
        Target::Pkl { module } => write_pkl(output, version, &weights, *module, overwrite)?,
        Target::PklFolder { module } => write_folder(output, &weights, *module, overwrite)?,
        Target::Onnx(options) => {
            metadata.insert("rife_weights_sha256".into(), sha256.clone());
            write(output, overwrite, |path| {
                save_onnx(path, version, &weights, options, &metadata)
            })?
        }
    };
    Ok(Converted {
        version,
        files,
        sha256,
        notes,
    })
}

/// What a reader of a file without metadata takes these weights for, where that is another network.
///
/// Errors: [`Error::Usage`] for a network without a name, which could not be chosen either.
fn ambiguous_without_metadata(version: Version, weights: &Weights) -> Result<Option<String>> {
    let found = Version::recognise(weights).ok();
    if found.is_some_and(|found| found == version || found.spec().is_some() && found.spec() == version.spec())
    {
        return Ok(None);
    }
    if !version.is_named() {
        return Err(Error::Usage(format!(
            "a file for PyTorch has no place for the description of {version}, a network without a name: give a name that \
             ends in .safetensors or .onnx"
        )));
    }
    Ok(found.map(|found| {
        format!("a file for PyTorch does not say which network it is: these weights are read as {found} unless --model-version {version} is given")
    }))
}

fn write_pkl(
    output: &Path,
    version: Version,
    weights: &Weights,
    module: bool,
    overwrite: bool,
) -> Result<Vec<PathBuf>> {
    let parts = checkpoint::pkl_files(weights);
    if parts.len() > 1 {
        let names: Vec<_> = parts.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Error::Usage(format!(
            "RIFE {version} is {} files in PyTorch ({}): give a folder, a name that ends in /, or a .safetensors file",
            parts.len(),
            names.join(", ")
        )));
    }
    write(output, overwrite, |path| {
        checkpoint::save_pkl(path, &prefixed(weights, module))
    })
}

fn write_folder(folder: &Path, weights: &Weights, module: bool, overwrite: bool) -> Result<Vec<PathBuf>> {
    let parts = checkpoint::pkl_files(weights);
    let parts: Vec<_> = parts
        .into_iter()
        .map(|(name, part)| (folder.join(name), part))
        .collect();
    // All are looked for before the first is written.
    for (path, _) in &parts {
        check_absent(path, overwrite)?;
    }
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let mut files = Vec::new();
    for (path, part) in parts {
        files.extend(write(&path, overwrite, |path| {
            checkpoint::save_pkl(path, &prefixed(&part, module))
        })?);
    }
    Ok(files)
}

fn prefixed(weights: &Weights, module: bool) -> Weights {
    let prefix = if module { checkpoint::DDP_PREFIX } else { "" };
    let named = weights
        .iter()
        .map(|(key, tensor)| (format!("{prefix}{key}"), tensor.clone()));
    named.collect()
}

fn check_absent(path: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(MediaError::Exists(path.to_owned()).into());
    }
    Ok(())
}

/// Writes one file; what the system refuses is the output's fault.
fn write(
    path: &Path,
    overwrite: bool,
    save: impl FnOnce(&Path) -> std::result::Result<(), CheckpointError>,
) -> Result<Vec<PathBuf>> {
    check_absent(path, overwrite)?;
    save(path).map_err(|error| match error.problem {
        Problem::Io(source) => Error::io("write", path, source),
        Problem::Network(error) => Error::Network(*error),
        problem => Error::Checkpoint(CheckpointError {
            problem,
            path: error.path,
        }),
    })?;
    Ok(vec![path.to_owned()])
}
