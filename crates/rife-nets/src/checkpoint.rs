//! Checkpoint readers and writers (`.safetensors`, `torch.save`, ncnn): the format is detected by content, and tensors are
//! returned as [`Weights`] under PyTorch's keys. Files are untrusted: nothing in them is executed, every length is checked,
//! and a damaged file is refused as a unit.

mod bytes;
mod element;
mod error;
mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
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

/// Maximum size of a checkpoint file in bytes. The largest RIFE network has 30 million parameters, 120 MB.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// Maximum number of tensors of a checkpoint; the largest RIFE network has 275.
const MAX_TENSORS: usize = 10_000;

/// Maximum number of dimensions of a tensor; a convolution's kernel has 4.
const MAX_RANK: usize = 8;

/// Prefix of all keys saved from PyTorch's DistributedDataParallel, as in the published files.
pub const DDP_PREFIX: &str = "module.";

/// File format of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A `.safetensors` file.
    Safetensors,
    /// `torch.save` of PyTorch 1.6 and later: a zip archive with a pickle.
    TorchZip,
    /// `torch.save` before PyTorch 1.6, or with `_use_new_zipfile_serialization=False`: a sequence of pickles.
    TorchLegacy,
    /// A folder of `flownet.pkl`, `contextnet.pkl` and `unet.pkl`, as RIFE before 4.0 was published.
    TorchFolder,
    /// A folder of rife-ncnn-vulkan: `flownet.param` with `flownet.bin`; before RIFE 4.0 also `contextnet` and `fusionnet`.
    Ncnn,
}

impl fmt::Display for Format {
    /// Writes the format's English name.
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

/// The content of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedCheckpoint {
    /// The tensors under PyTorch's keys, without [`DDP_PREFIX`].
    pub weights: Weights,
    /// Format of the file or folder.
    pub format: Format,
    /// The `__metadata__` of a `.safetensors` file; empty for other formats.
    pub metadata: BTreeMap<String, String>,
    /// Notes for the user about entries left out and assumptions made, one sentence each.
    pub notes: Vec<String>,
}

/// Output of a format's reader, before [`finish`].
#[derive(Debug, Default)]
struct Raw {
    /// Keys, which may have [`DDP_PREFIX`], and tensors.
    tensors: Vec<(String, WeightTensor)>,
    metadata: BTreeMap<String, String>,
    notes: Vec<String>,
    /// Keys of entries that are no floating-point tensors, such as counters.
    skipped: Vec<String>,
}

/// Reads a checkpoint: a file, or a folder of rife-ncnn-vulkan or of `.pkl` files of RIFE before 4.0. The format of a file
/// is detected by its content, not by its name.
///
/// # Errors
/// [`CheckpointError`] with the file and the problem. Memory stays below 100 MB plus five times the file's size, which is at
/// most [`MAX_FILE_BYTES`].
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

/// Reads a checkpoint from the content of one file, of any format except ncnn (two files).
///
/// # Errors
/// A [`Problem`] for an unknown format or a damaged file.
pub fn load_bytes(bytes: &[u8]) -> Result<LoadedCheckpoint, Problem> {
    let (format, raw) = match sniff(bytes) {
        Some(Format::TorchZip) => (Format::TorchZip, torch::read_zip(bytes)?),
        Some(Format::TorchLegacy) => (Format::TorchLegacy, torch::read_legacy(bytes)?),
        Some(Format::Safetensors) => (Format::Safetensors, safetensors::read(bytes)?),
        _ => return Err(Problem::unknown(bytes)),
    };
    finish(format, raw)
}

/// Detects the format of a file by its first bytes; `None` for an unknown one.
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

/// Reads a regular file of at most `limit` bytes.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, CheckpointError> {
    let io = |error| CheckpointError::io(path, error);
    let metadata = std::fs::metadata(path).map_err(io)?;
    // Opening a FIFO blocks, and a device has no end.
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

/// Strips DDP's prefix from the keys and refuses duplicate keys and checkpoints without tensors; common to all formats.
fn finish(format: Format, raw: Raw) -> Result<LoadedCheckpoint, Problem> {
    let mut weights = Weights::new();
    for (key, tensor) in raw.tensors {
        let plain = key.strip_prefix(DDP_PREFIX).unwrap_or(&key).to_owned();
        if weights.insert(plain, tensor).is_some() {
            return Err(Problem::DuplicateKey(error::quoted(&key)));
        }
    }
    if weights.is_empty() {
        return Err(Problem::NoTensors);
    }
    let mut notes = raw.notes;
    if let Some(note) = error::quoted_list(&raw.skipped) {
        notes.push(format!("left out, being no floating-point tensors: {note}"));
    }
    Ok(LoadedCheckpoint {
        weights,
        format,
        metadata: raw.metadata,
        notes,
    })
}
