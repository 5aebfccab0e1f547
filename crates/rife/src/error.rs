//! What can go wrong in a job, in words for the person who asked for it, and the kind of failure for programs.

use std::io;
use std::path::{Path, PathBuf};

use rife_backend::BackendError;
use rife_media::MediaError;
use rife_nets::NetworkError;
use rife_nets::checkpoint::CheckpointError;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Whose fault a failure is: what a program decides by, and what the command line's exit codes follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Something that was asked for makes no sense.
    Usage,
    /// The input cannot be read, or is of a kind that is refused.
    Input,
    /// The output cannot be written, or writing it would lose something.
    Output,
    /// The model cannot be found, fetched or used.
    Model,
    /// The user stopped it.
    Cancelled,
    /// Anything else: ffmpeg is missing or died, the disk is full...
    Failure,
}

/// An error of this library: what was wrong, with which value, and what would be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing media.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Building or running a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A weights file that cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The device cannot run as it was asked to.
    #[error("{0}")]
    Device(String),
    /// No model of this name or path.
    #[error("{0}")]
    NoModel(String),
    /// A name that is neither a file nor a model that was pulled.
    #[error("no model {name:?}: no such file, and none pulled; {}", match known {
        true => "it is a public checkpoint that can be pulled".to_owned(),
        false => format!("pulled are: {pulled}"),
    })]
    NotPulled {
        /// The name.
        name: String,
        /// Whether it is in the table of public checkpoints, and can be pulled.
        known: bool,
        /// The models that were pulled, for people.
        pulled: String,
    },
    /// A file that is neither media nor weights: a lock file, a downloaded part, a list.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The verb: "open", "read", "write", "rename"...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A download that did not arrive.
    #[error("cannot download {url}: {reason}")]
    Download {
        /// Where from.
        url: String,
        /// Why not.
        reason: String,
    },
    /// A downloaded or stored file is not the one that was pinned.
    #[error(
        "{name} has changed: its SHA-256 is {found}, but {pinned_by} has {expected}. It is not used; if you trust the new file, {remedy}"
    )]
    HashChanged {
        /// The model's name.
        name: String,
        /// The pinned hash.
        expected: String,
        /// The hash of what came.
        found: String,
        /// What pinned it.
        pinned_by: String,
        /// How to accept the new file.
        remedy: String,
    },
    /// An option whose value makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A data set or sequence that is not as it should be.
    #[error("{0}")]
    Data(String),
    /// A result that is written, but with warnings, of a job that takes them for failures
    /// ([`VideoJob::strict`](crate::video::VideoJob::strict)).
    #[error("the result is written, but warnings count as failures: {0}")]
    Warnings(String),
    /// Some of several jobs failed, each of which has been told of; or a check found something wrong.
    #[error("{message}")]
    Several {
        /// How many of how many.
        message: String,
        /// The kind that all of them share, else [`ErrorKind::Failure`].
        kind: ErrorKind,
    },
    /// A part of a job stopped without saying why.
    #[error("the {0} stage stopped unexpectedly")]
    Stage(&'static str),
    /// The system does not give what is needed: an address to listen on, a thread.
    #[error("{0}")]
    Failure(String),
    /// The user asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Self {
        Self::Network(error.into())
    }
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.as_ref().to_owned(),
            source,
        }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Media(error) => media_kind(error),
            Self::Network(NetworkError::Scale(_) | NetworkError::Timestep(_))
            | Self::Usage(_)
            | Self::Device(_) => ErrorKind::Usage,
            Self::Network(NetworkError::ImageSize { .. } | NetworkError::FramesDiffer { .. })
            | Self::Data(_)
            | Self::Warnings(_) => ErrorKind::Input,
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

    /// A short stable word for programs, such as `output_exists`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Media(error) => error.code(),
            Self::Network(_) => "network",
            Self::Checkpoint(_) => "bad_weights",
            Self::NoModel(_) | Self::NotPulled { .. } => "no_model",
            Self::Io { .. } => "io",
            Self::Download { .. } => "download",
            Self::HashChanged { .. } => "hash_changed",
            Self::Usage(_) | Self::Device(_) => "usage",
            Self::Data(_) | Self::Warnings(_) => "bad_data",
            Self::Several { .. } => "several",
            Self::Stage(_) => "stage",
            Self::Failure(_) => "failure",
            Self::Cancelled => "cancelled",
        }
    }
}

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
        MediaError::Unsupported(_) => ErrorKind::Usage,
        _ => ErrorKind::Failure,
    }
}
