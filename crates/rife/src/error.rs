//! Error type of the crate: a message for people, an [`ErrorKind`] (who has to act) and a stable code for programs.

use std::io;
use std::path::{Path, PathBuf};

use rife_backend::BackendError;
use rife_media::MediaError;
use rife_nets::NetworkError;
use rife_nets::checkpoint::CheckpointError;

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The cause of an [`Error`] by who has to act; each kind has an exit code of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An option or a combination of options is invalid.
    Usage,
    /// The input cannot be read, is damaged, or is of an unsupported kind.
    Input,
    /// The output cannot be written, or writing it would lose something.
    Output,
    /// The model cannot be found, fetched or used.
    Model,
    /// The user stopped the job.
    Cancelled,
    /// Anything else: ffmpeg is missing or died, the disk is full...
    Failure,
}

/// An error of this library; its text says what was wrong, with which value, and what would be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A failure of reading or writing media.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A failure of building or running a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A weights file that cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A GPU that does not exist, or cannot be used.
    #[error("{0}")]
    Device(String),
    /// A model name or path that does not exist.
    #[error("{0}")]
    NoModel(String),
    /// A model name that is neither a file nor a downloaded ("pulled") model.
    #[error("no model {name:?}: no such file, and none pulled; {}", match known {
        true => "it is a public checkpoint that can be pulled".to_owned(),
        false => format!("pulled are: {pulled}"),
    })]
    NotPulled {
        /// The requested model name.
        name: String,
        /// Whether the name is in the table of public checkpoints, and can be downloaded.
        known: bool,
        /// Names of the downloaded models, separated by commas, or `none`.
        pulled: String,
    },
    /// An I/O failure on a file that is neither media nor weights: a lock file, an unfinished download, a list.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The verb of the failed operation: "open", "read", "write", "rename"...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A failed download.
    #[error("cannot download {url}: {reason}")]
    Download {
        /// The requested address.
        url: String,
        /// The cause, human-readable.
        reason: String,
    },
    /// A downloaded or stored model file whose hash is not the pinned one.
    #[error(
        "{name} has changed: its SHA-256 is {found}, but {pinned_by} has {expected}. It is not used; if you trust the new file, {remedy}"
    )]
    HashChanged {
        /// The model's name.
        name: String,
        /// The pinned SHA-256 in hexadecimal.
        expected: String,
        /// The file's SHA-256 in hexadecimal.
        found: String,
        /// What holds the pinned hash: the lock file's name or the command-line option.
        pinned_by: String,
        /// Instruction that tells the user how to accept the new file.
        remedy: String,
    },
    /// An option with an invalid value.
    #[error("{0}")]
    Usage(String),
    /// Both a target frame rate and a factor, without slow motion.
    #[error(
        "both a target frame rate and a factor: give one of them; together they are for slow motion, where the rate is the playback rate"
    )]
    RateAndFactor,
    /// A data set, sequence or manifest with invalid content.
    #[error("{0}")]
    Data(String),
    /// Warnings of a job that treats them as failures ([`VideoJob::strict`](crate::video::VideoJob::strict)); the result is
    /// written all the same.
    #[error("the result is written, but warnings count as failures: {0}")]
    Warnings(String),
    /// A summary of several failures that were reported one by one before: failed jobs of a batch, failed checks.
    #[error("{message}")]
    Several {
        /// The summary, such as "2 of 5 videos failed".
        message: String,
        /// The kind that all failures have in common, else [`ErrorKind::Failure`].
        kind: ErrorKind,
    },
    /// A thread of a job, named by its stage, ended without a result or an error.
    #[error("the {0} stage stopped unexpectedly")]
    Stage(&'static str),
    /// A resource that the operating system refuses: an address to listen on, a thread.
    #[error("{0}")]
    Failure(String),
    /// A job that the user stopped.
    #[error("cancelled")]
    Cancelled,
}

impl From<BackendError> for Error {
    /// Wraps a backend's error in [`NetworkError`].
    fn from(error: BackendError) -> Self {
        Self::Network(error.into())
    }
}

impl Error {
    /// Makes an [`Error::Io`]; `action` is the verb of the failed operation, such as "read".
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.as_ref().to_owned(),
            source,
        }
    }

    /// Returns who has to act; media errors are classified by their variant.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Media(error) => media_kind(error),
            Self::Network(NetworkError::Scale(_) | NetworkError::Timestep(_))
            | Self::Usage(_)
            | Self::RateAndFactor
            | Self::Device(_) => ErrorKind::Usage,
            Self::Network(NetworkError::ImageSize { .. } | NetworkError::FramesDiffer { .. })
            | Self::Data(_)
            | Self::Warnings(_) => ErrorKind::Input,
            Self::Network(NetworkError::Backend(_)) => ErrorKind::Failure,
            Self::Network(_) | Self::Checkpoint(_) | Self::NoModel(_) | Self::NotPulled { .. } => {
                ErrorKind::Model
            }
            Self::Download { .. } | Self::HashChanged { .. } => ErrorKind::Model,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Io {
                action: "open" | "read",
                ..
            } => ErrorKind::Input,
            Self::Io { .. } => ErrorKind::Output,
            Self::Stage(_) | Self::Failure(_) => ErrorKind::Failure,
            Self::Several { kind, .. } => *kind,
        }
    }

    /// Returns a short stable identifier for programs, such as `output_exists`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Media(error) => error.code(),
            Self::Network(NetworkError::Backend(_)) => "device",
            Self::Network(_) => "network",
            Self::Checkpoint(_) => "bad_weights",
            Self::NoModel(_) | Self::NotPulled { .. } => "no_model",
            Self::Io { .. } => "io",
            Self::Download { .. } => "download",
            Self::HashChanged { .. } => "hash_changed",
            Self::Usage(_) | Self::RateAndFactor | Self::Device(_) => "usage",
            Self::Data(_) | Self::Warnings(_) => "bad_data",
            Self::Several { .. } => "several",
            Self::Stage(_) => "stage",
            Self::Failure(_) => "failure",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Classifies an error of the media crate.
fn media_kind(error: &MediaError) -> ErrorKind {
    match error {
        MediaError::Io {
            action: "open" | "read",
            ..
        } => ErrorKind::Input,
        MediaError::Io { .. } | MediaError::Incomplete { .. } => ErrorKind::Output,
        MediaError::Exists(_)
        | MediaError::OutputIsInput(_)
        | MediaError::Busy { .. }
        | MediaError::Changed { .. } => ErrorKind::Output,
        MediaError::Unreadable { .. } | MediaError::NoVideo { .. } | MediaError::Interlaced { .. } => {
            ErrorKind::Input
        }
        MediaError::Limit { .. } | MediaError::Frame { .. } => ErrorKind::Input,
        MediaError::Cancelled => ErrorKind::Cancelled,
        MediaError::Unsupported(_) | MediaError::SegmentHeaders => ErrorKind::Usage,
        _ => ErrorKind::Failure,
    }
}
