//! Checkpoint files in and out: what kind of file this is, by its content, and its tensors as [`Weights`] under
//! PyTorch's keys. Nothing in a file is run, trusted for a length, or loaded in part. Which network the tensors
//! are is not decided here.

mod bytes;
mod element;
mod error;
mod folder;
mod ncnn;
mod pickle;
mod safetensors;
mod torch;
mod zip;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

pub use error::{CheckpointError, Problem};
pub use folder::pkl_files;
pub use ncnn::NcnnProblem;
pub use pickle::PickleProblem;
pub(crate) use safetensors::check_range;
pub use safetensors::{Dtype, SafetensorsProblem, save_safetensors};
pub use torch::{TorchProblem, save_pkl};
pub use zip::ZipProblem;

use crate::weights::{WeightTensor, Weights};

/// Longest checkpoint file that is read. The largest RIFE has 30 million parameters, 120 MB.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// Most tensors a checkpoint may hold; the largest RIFE has 275.
const MAX_TENSORS: usize = 10_000;

/// Most dimensions of a tensor; a convolution's weight has 4.
const MAX_RANK: usize = 8;

/// The prefix that PyTorch's DistributedDataParallel gives to every key. The published files have it.
pub const DDP_PREFIX: &str = "module.";

/// What kind of file the weights came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A `.safetensors` file.
    Safetensors,
    /// `torch.save` of PyTorch 1.6 and later: a zip archive.
    TorchZip,
    /// `torch.save` before PyTorch 1.6, or with `_use_new_zipfile_serialization=False`.
    TorchLegacy,
    /// A folder of `flownet.pkl`, `contextnet.pkl` and `unet.pkl`, as RIFE before 4.0 was published.
    TorchFolder,
    /// A folder of rife-ncnn-vulkan: `flownet.param` with `flownet.bin`, before 4.0 two more pairs.
    Ncnn,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "torch.save (zip)",
            Self::TorchLegacy => "torch.save (before PyTorch 1.6)",
            Self::TorchFolder => "folder of torch.save files",
            Self::Ncnn => "rife-ncnn-vulkan folder",
        })
    }
}

/// A checkpoint's tensors and what there is to say about them.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedCheckpoint {
    /// The tensors under PyTorch's keys, without `module.`.
    pub weights: Weights,
    /// What kind of file they came from.
    pub format: Format,
    /// The `__metadata__` of a `.safetensors` file; empty for the others.
    pub metadata: BTreeMap<String, String>,
    /// What was left out or assumed, a sentence each, for the user to read.
    pub notes: Vec<String>,
}

/// Tensors as a reader found them, before what all readers share.
#[derive(Debug, Default)]
struct Raw {
    tensors: Vec<(String, WeightTensor)>,
    metadata: BTreeMap<String, String>,
    notes: Vec<String>,
    /// Entries that are no floating-point tensor: counters, epochs.
    skipped: Vec<String>,
}

/// Reads a checkpoint: a file, or a folder of rife-ncnn-vulkan or of an old RIFE's `.pkl` files. What it is, is
/// decided by content; names and extensions of files mean nothing.
///
/// # Errors
/// [`CheckpointError`] names the file and what is wrong with it. Memory stays below five times the file's
/// length, which is at most [`MAX_FILE_BYTES`], and 100 MB.
pub fn load(path: &Path) -> Result<LoadedCheckpoint, CheckpointError> {
    let metadata = std::fs::metadata(path).map_err(|error| CheckpointError::io(path, error))?;
    if metadata.is_dir() {
        return folder::load(path);
    }
    let bytes = read_file(path, MAX_FILE_BYTES)?;
    if ncnn::is_param(&bytes) {
        return folder::load(path.parent().unwrap_or(Path::new(".")));
    }
    load_bytes(&bytes).map_err(|problem| CheckpointError::new(path, problem))
}

/// As [`load`], for the content of one file (any format but ncnn's, which is two files).
///
/// # Errors
/// [`Problem`] says what is wrong.
pub fn load_bytes(bytes: &[u8]) -> Result<LoadedCheckpoint, Problem> {
    let (format, raw) = match sniff(bytes) {
        Some(Format::TorchZip) => (Format::TorchZip, torch::read_zip(bytes)?),
        Some(Format::TorchLegacy) => (Format::TorchLegacy, torch::read_legacy(bytes)?),
        Some(Format::Safetensors) => (Format::Safetensors, safetensors::read(bytes)?),
        _ => return Err(Problem::unknown(bytes)),
    };
    finish(format, raw)
}

fn sniff(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(zip::LOCAL_SIGNATURE) {
        Some(Format::TorchZip)
    } else if bytes.starts_with(torch::LEGACY_MAGIC) {
        Some(Format::TorchLegacy)
    } else if bytes.get(8) == Some(&b'{') {
        Some(Format::Safetensors)
    } else {
        None
    }
}

/// The content of a plain file of at most `limit` bytes.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, CheckpointError> {
    let io = |error| CheckpointError::io(path, error);
    let metadata = std::fs::metadata(path).map_err(io)?;
    // Opening a FIFO would wait for ever, and a device never ends.
    if !metadata.is_file() {
        return Err(CheckpointError::new(path, Problem::NotAFile));
    }
    let mut bytes = Vec::new();
    if metadata.len() <= limit {
        let file = rife_files::open_regular(path).map_err(io)?;
        file.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    }
    let found = metadata.len().max(bytes.len() as u64);
    if found > limit {
        return Err(CheckpointError::new(path, Problem::TooLong { found, limit }));
    }
    Ok(bytes)
}

/// What every format needs: keys without DDP's prefix, each once, and at least one.
fn finish(format: Format, raw: Raw) -> Result<LoadedCheckpoint, Problem> {
    let mut weights = Weights::new();
    for (key, tensor) in raw.tensors {
        let plain = key.strip_prefix(DDP_PREFIX).unwrap_or(&key).to_owned();
        if weights.insert(plain, tensor).is_some() {
            return Err(Problem::DuplicateKey(error::shown(&key)));
        }
    }
    if weights.is_empty() {
        return Err(Problem::NoTensors);
    }
    let mut notes = raw.notes;
    if let Some(note) = error::list(&raw.skipped) {
        notes.push(format!("left out, being no floating-point tensors: {note}"));
    }
    Ok(LoadedCheckpoint {
        weights,
        format,
        metadata: raw.metadata,
        notes,
    })
}
