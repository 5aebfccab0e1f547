//! What can be wrong with a checkpoint as a whole; what can be wrong inside a format is beside its reader.

use std::io;
use std::path::{Path, PathBuf};

use super::{NcnnProblem, PickleProblem, SafetensorsProblem, TorchProblem, ZipProblem};
use crate::error::NetworkError;

/// A checkpoint that cannot be read or written, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct CheckpointError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

impl CheckpointError {
    pub(crate) fn new(path: &Path, problem: impl Into<Problem>) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        Self::new(path, Problem::Io(error))
    }
}

/// Why a checkpoint cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A device, pipe or socket.
    #[error("not a plain file")]
    NotAFile,
    /// More bytes than any RIFE needs.
    #[error("{found} bytes are more than the {limit} that are read")]
    TooLong {
        /// Bytes found.
        found: u64,
        /// Bytes accepted.
        limit: u64,
    },
    /// None of the formats that are read.
    #[error(
        "no checkpoint: {found}; accepted are .safetensors, torch.save files (.pkl, .pth) and \
         rife-ncnn-vulkan folders (flownet.param with flownet.bin)"
    )]
    Unknown {
        /// What the content looks like.
        found: String,
    },
    /// A folder without a network in it.
    #[error(
        "no network in this folder; accepted are flownet.param with flownet.bin (before RIFE 4.0 also \
         contextnet and fusionnet), flownet.pkl, or flownet.pkl with contextnet.pkl and unet.pkl; \
         missing: {missing}"
    )]
    Folder {
        /// The files that would make it one.
        missing: String,
    },
    /// Two tensors of one name.
    #[error("the key {0} occurs twice")]
    DuplicateKey(String),
    /// Nothing that could be a weight.
    #[error("there are no floating-point tensors in it")]
    NoTensors,
    /// A value that the type written cannot hold.
    #[error("{key}[{index}] is {value}, beyond what f16 holds (65504); write f32")]
    BeyondF16 {
        /// The tensor.
        key: String,
        /// Its place in row-major order.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A network that cannot be written as it was asked for.
    #[error("{0}")]
    Network(Box<NetworkError>),
    /// A damaged or hostile `.safetensors` file.
    #[error("not a valid .safetensors file: {0}")]
    Safetensors(#[from] SafetensorsProblem),
    /// A damaged or hostile zip archive.
    #[error("not a valid torch.save archive: {0}")]
    Zip(#[from] ZipProblem),
    /// A pickle that holds more than tensors, or is damaged.
    #[error("not a plain state_dict: {0}")]
    Pickle(#[from] PickleProblem),
    /// Tensors that do not fit their storages.
    #[error("not a valid torch.save file: {0}")]
    Torch(#[from] TorchProblem),
    /// A damaged ncnn model, or one of a network that is not known.
    #[error("{0}")]
    Ncnn(#[from] NcnnProblem),
}

impl From<NetworkError> for Problem {
    fn from(error: NetworkError) -> Self {
        Self::Network(Box::new(error))
    }
}

/// Beginnings of files that people offer by mistake.
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

/// Longest piece of a file's text that an error shows.
const SHOWN_CHARS: usize = 80;

/// A file's text made fit for a message: quoted, escaped and cut.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_CHARS).collect();
    let cut = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{cut}")
}

/// Up to five names and the number of the rest, or nothing.
pub(super) fn list(names: &[String]) -> Option<String> {
    const FIRST: usize = 5;
    let first: Vec<_> = names.iter().take(FIRST).map(|name| shown(name)).collect();
    match names.len() {
        0 => None,
        n if n <= FIRST => Some(first.join(", ")),
        n => Some(format!("{} and {} more", first.join(", "), n - FIRST)),
    }
}
