//! Errors of reading and writing checkpoints ([`CheckpointError`], [`Problem`]); errors inside a format are defined in the
//! format's module.

use std::io;
use std::path::{Path, PathBuf};

use super::{NcnnProblem, PickleProblem, SafetensorsProblem, TorchProblem, ZipProblem};
use crate::error::NetworkError;

/// Error of reading or writing a checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct CheckpointError {
    /// The file or folder.
    pub path: PathBuf,
    /// Reason.
    #[source]
    pub problem: Problem,
}

impl CheckpointError {
    /// Makes the error of a file or folder.
    pub(crate) fn new(path: &Path, problem: impl Into<Problem>) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    /// Wraps an I/O error.
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        Self::new(path, Problem::Io(error))
    }
}

/// Reason why a checkpoint cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// An I/O error of the system.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A device, pipe or socket.
    #[error("not a plain file")]
    NotAFile,
    /// A file longer than the limit.
    #[error("{found} bytes are more than the {limit} that are read")]
    TooLong {
        /// Bytes found.
        found: u64,
        /// Bytes accepted.
        limit: u64,
    },
    /// A file of an unknown format.
    #[error(
        "no checkpoint: {found}; accepted are .safetensors, torch.save files (.pkl, .pth) and \
         rife-ncnn-vulkan folders (flownet.param with flownet.bin)"
    )]
    Unknown {
        /// Description of the content.
        found: String,
    },
    /// A folder that holds no network.
    #[error(
        "no network in this folder; accepted are flownet.param with flownet.bin (before RIFE 4.0 also \
         contextnet and fusionnet), flownet.pkl, or flownet.pkl with contextnet.pkl and unet.pkl; \
         missing: {missing}"
    )]
    Folder {
        /// Name of a missing file.
        missing: String,
    },
    /// Two tensors with the same key.
    #[error("the key {0} occurs twice")]
    DuplicateKey(String),
    /// A checkpoint without floating-point tensors.
    #[error("there are no floating-point tensors in it")]
    NoTensors,
    /// A value beyond the range of f16, which is to be written.
    #[error("{key}[{index}] is {value}, beyond what f16 holds (65504); write f32")]
    BeyondF16 {
        /// Key of the tensor.
        key: String,
        /// Index in the tensor, in row-major order.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A network that cannot be exported with these options.
    #[error("{0}")]
    Network(Box<NetworkError>),
    /// An invalid `.safetensors` file.
    #[error("not a valid .safetensors file: {0}")]
    Safetensors(#[from] SafetensorsProblem),
    /// An invalid zip archive.
    #[error("not a valid torch.save archive: {0}")]
    Zip(#[from] ZipProblem),
    /// A pickle that is damaged or holds objects other than tensors.
    #[error("not a plain state_dict: {0}")]
    Pickle(#[from] PickleProblem),
    /// Tensors or storages of a `torch.save` file that contradict each other.
    #[error("not a valid torch.save file: {0}")]
    Torch(#[from] TorchProblem),
    /// An ncnn model that is damaged or of an unknown network.
    #[error("{0}")]
    Ncnn(#[from] NcnnProblem),
}

impl From<NetworkError> for Problem {
    /// Wraps an error of a network.
    fn from(error: NetworkError) -> Self {
        Self::Network(Box::new(error))
    }
}

/// Magic bytes of other file formats that users often pass, and their names.
const MISTAKES: [(&[u8], &str); 8] = [
    (b"\x80", "a bare Python pickle, not written by torch.save"),
    (b"<", "a web page or XML (did the download ask for a login?)"),
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file itself",
    ),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"GGUF", "a GGUF model"),
    (b"\x89HDF", "an HDF5 file"),
];

impl Problem {
    /// Makes the error for content of an unknown format, naming the format if it is a common one.
    pub(super) fn unknown(bytes: &[u8]) -> Self {
        let trimmed = bytes.trim_ascii_start();
        if matches!(bytes, [0x08, 3..=32, 0x12, ..]) {
            let found = "it looks like an ONNX model".to_owned();
            return Self::Unknown { found };
        }
        let mistake = MISTAKES.iter().find(|(start, _)| trimmed.starts_with(start));
        let found = match (mistake, bytes.len()) {
            (Some((_, name)), _) => format!("it looks like {name}"),
            (None, 0) => "it is empty".to_owned(),
            (None, length) => {
                let first: Vec<_> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
                format!("{length} bytes that begin with {}", first.join(" "))
            }
        };
        Self::Unknown { found }
    }
}

/// Maximum characters of a file's text in an error message.
const SHOWN_CHARS: usize = 80;

/// Formats text of a file for an error message: quoted, escaped, truncated to [`SHOWN_CHARS`].
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_CHARS).collect();
    let cut = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{cut}")
}

/// Formats up to five names and the number of remaining ones; `None` if there are none.
pub(super) fn quoted_list(names: &[String]) -> Option<String> {
    /// Maximum number of names listed.
    const FIRST: usize = 5;
    let first: Vec<_> = names.iter().take(FIRST).map(|name| quoted(name)).collect();
    match names.len() {
        0 => None,
        n if n <= FIRST => Some(first.join(", ")),
        n => Some(format!("{} and {} more", first.join(", "), n - FIRST)),
    }
}
