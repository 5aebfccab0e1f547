//! Weights files: inspection (format, network version, hash) and conversion to safetensors, PyTorch and ONNX files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rife_media::MediaError;
use rife_nets::checkpoint::{self, CheckpointError, Dtype, LoadedCheckpoint, Problem};
use rife_nets::onnx::{OnnxOptions, save_onnx};
use rife_nets::{Version, Weights};
use sha2::{Digest, Sha256};

use crate::hash::hexadecimal;
use crate::{Error, ModelChoice, Result, model_choice};

/// Description of a weights file or folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// The file format, for people.
    pub format: String,
    /// The network version that the file is loaded as.
    pub version: Version,
    /// Names of all versions whose tensors have these names and shapes.
    pub candidates: Vec<String>,
    /// Number of tensors.
    pub tensors: usize,
    /// Number of values in all tensors.
    pub parameters: usize,
    /// The [`weights_sha256`] of the tensors.
    pub sha256: String,
    /// The file's own metadata, by key.
    pub metadata: BTreeMap<String, String>,
    /// Notes for people on tensors that were left out and on assumptions that were made while reading.
    pub notes: Vec<String>,
}

/// Reads the tensors of a weights file or folder of any supported format.
///
/// # Errors
/// [`Error::Checkpoint`] if it cannot be read.
pub fn read_weights(path: &Path) -> Result<Weights> {
    Ok(checkpoint::load(path)?.weights)
}

/// Reads and describes a weights file or folder.
///
/// # Errors
/// [`Error::Checkpoint`] if it cannot be read; [`Error::Network`] if the tensors fit no known network or are incomplete.
pub fn inspect(path: &Path) -> Result<Inspected> {
    describe(checkpoint::load(path)?)
}

/// Describes the weights of a model choice: built-in, downloaded, or a path.
///
/// # Errors
/// Those of [`inspect`], and [`Error::NoModel`] if there is no such model.
pub fn inspect_chosen(choice: &ModelChoice) -> Result<Inspected> {
    describe(model_choice::find_weights(choice)?.0)
}

/// Recognises the network of loaded weights, checks that they are complete, and describes them.
fn describe(loaded: LoadedCheckpoint) -> Result<Inspected> {
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

/// Returns the SHA-256 (hexadecimal) of weights independent of their file format: of each tensor's key followed by its
/// values as little-endian f32, in the keys' order.
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

/// The file format that [`convert`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A `.safetensors` file with values of this type.
    Safetensors(Dtype),
    /// One PyTorch state dictionary (`.pkl`).
    Pkl {
        /// Whether keys are prefixed with `module.` (saved from `DistributedDataParallel`), as in the published files.
        module: bool,
    },
    /// A folder that the original RIFE code loads: `flownet.pkl`, and for networks of three modules also
    /// `contextnet.pkl` and `unet.pkl`.
    PklFolder {
        /// Whether keys are prefixed with `module.`, as in the published files.
        module: bool,
    },
    /// An ONNX model.
    Onnx(OnnxOptions),
}

/// Result of [`convert`].
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// The network version of the weights.
    pub version: Version,
    /// The files that were written.
    pub files: Vec<PathBuf>,
    /// The [`weights_sha256`] of the weights as they were read.
    pub sha256: String,
    /// Notes for people: tensors that were left out, assumptions made while reading, ambiguities of the written format.
    pub notes: Vec<String>,
}

/// Writes the weights of `choice` to `output` in another format. `version` overrides the recognised network version. The
/// network's name and description go into the file's metadata if the format has any, for ONNX also the weights' hash.
///
/// # Errors
/// Those of finding, reading and recognising weights; [`MediaError::Exists`] if a file exists and `overwrite` is false;
/// [`Error::Usage`] for one `.pkl` file of a network of three modules, and for `.pkl` files of a network without a name;
/// [`Error::Io`] for writing; else those of [`checkpoint::save_safetensors`], [`checkpoint::save_pkl`] and [`save_onnx`].
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

/// Returns a note for people if these weights, in a file without metadata, are recognised as another network than `version`.
///
/// Errors: [`Error::Usage`] if `version` has no name either, so that a reader could not select it.
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

/// Writes one `.pkl` file; refuses networks that the original code keeps in several.
fn write_pkl(
    output: &Path,
    version: Version,
    weights: &Weights,
    module: bool,
    overwrite: bool,
) -> Result<Vec<PathBuf>> {
    let modules = checkpoint::pkl_files(weights);
    if modules.len() > 1 {
        let names: Vec<_> = modules.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Error::Usage(format!(
            "RIFE {version} is {} files in PyTorch ({}): give a folder, a name that ends in /, or a .safetensors file",
            modules.len(),
            names.join(", ")
        )));
    }
    write(output, overwrite, |path| {
        checkpoint::save_pkl(path, &prefixed(weights, module))
    })
}

/// Writes one `.pkl` file per module of the network into `folder`, which is created; returns the files.
fn write_folder(folder: &Path, weights: &Weights, module: bool, overwrite: bool) -> Result<Vec<PathBuf>> {
    let modules: Vec<_> = checkpoint::pkl_files(weights)
        .into_iter()
        .map(|(name, weights)| (folder.join(name), weights))
        .collect();
    // All paths are checked before the first file is written.
    for (path, _) in &modules {
        check_absent(path, overwrite)?;
    }
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let mut files = Vec::new();
    for (path, weights) in modules {
        files.extend(write(&path, overwrite, |path| {
            checkpoint::save_pkl(path, &prefixed(&weights, module))
        })?);
    }
    Ok(files)
}

/// Returns a copy of the weights with `module.` before each key if `module` is set.
fn prefixed(weights: &Weights, module: bool) -> Weights {
    let prefix = if module { checkpoint::DDP_PREFIX } else { "" };
    let named = weights
        .iter()
        .map(|(key, tensor)| (format!("{prefix}{key}"), tensor.clone()));
    named.collect()
}

/// Refuses an existing file unless `overwrite` is set.
fn check_absent(path: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(MediaError::Exists(path.to_owned()).into());
    }
    Ok(())
}

/// Writes one file with `save`, mapping I/O failures to output errors; returns its path.
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
