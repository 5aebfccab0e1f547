//! Error type of the media layer, with messages for users.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A result whose error is [`MediaError`].
pub type Result<T> = std::result::Result<T, MediaError>;

/// An error of the media layer: what was wrong, with which value, and what would be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// A file could not be opened, read, written or renamed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The failed operation as a verb: "open", "read", "write", "rename"...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// ffmpeg or ffprobe is not on this machine, or cannot be run.
    #[error(
        "{tool} was not found ({reason}); install ffmpeg 5.1 or later (Debian and Ubuntu: `apt install ffmpeg`, macOS: `brew install ffmpeg`, Windows: `winget install ffmpeg`) or set {variable} to its path. Y4M and image sequences work without it"
    )]
    FfmpegMissing {
        /// Name of the program: `ffmpeg` or `ffprobe`.
        tool: &'static str,
        /// Why it could not be run.
        reason: String,
        /// The environment variable that sets the program's path, such as `RIFE_FFMPEG`.
        variable: &'static str,
    },
    /// ffmpeg runs but is older than 5.1, or prints no version number.
    #[error(
        "{} is version {found}; 5.1 or later is needed (for its options of exact times). Install a newer one (a static build of https://ffmpeg.org/download.html needs no other files; Debian 12, Ubuntu 23.04 and later have one, macOS: `brew install ffmpeg`, Windows: `winget install ffmpeg`) and set RIFE_FFMPEG and RIFE_FFPROBE to its path where it is not the first on PATH. Y4M and image sequences work without it",
        path.display()
    )]
    FfmpegTooOld {
        /// The binary.
        path: PathBuf,
        /// The version that it printed.
        found: String,
    },
    /// A child process ended with an error.
    #[error("{tool} failed ({status}) {context}: {tail}")]
    Child {
        /// Name of the program: `ffmpeg` or `ffprobe`.
        tool: &'static str,
        /// Its exit status or signal.
        status: String,
        /// The task it was run for, with the frame it had reached, such as "while decoding frame 7".
        context: String,
        /// The last lines of its stderr.
        tail: String,
    },
    /// A child process neither read nor wrote data for too long, and was killed.
    #[error("{tool} stalled: no data for {} s {context}; {tail}", after.as_secs())]
    Stalled {
        /// Name of the program: `ffmpeg` or `ffprobe`.
        tool: &'static str,
        /// The task it was run for.
        context: String,
        /// The time without data after which it was killed.
        after: Duration,
        /// The last lines of its stderr.
        tail: String,
    },
    /// The job's [`CancelToken`](crate::CancelToken) was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The file is not a supported media file, or is damaged.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// The file has no video stream (an audio file, or cover art only).
    #[error("{} has no video stream{detail}", path.display())]
    NoVideo {
        /// The file.
        path: PathBuf,
        /// The streams that it has instead, as the end of the message; empty where there are none.
        detail: String,
    },
    /// Interlaced video, whose combing artifacts interpolation would multiply.
    #[error("{} is interlaced ({order}); ask for de-interlacing, or do it first: ffmpeg -i IN -vf bwdif -c:v libx264 -crf 12 -c:a copy OUT.mkv", path.display())]
    Interlaced {
        /// The file.
        path: PathBuf,
        /// The field order, such as `tt`.
        order: String,
    },
    /// A size, count or amount is beyond a limit.
    #[error("{what} is {value}, outside the accepted {accepted}")]
    Limit {
        /// The quantity, such as "the frame size".
        what: String,
        /// The value found.
        value: String,
        /// The range that is accepted.
        accepted: String,
    },
    /// A frame cannot be used; for example its size differs from that of the first frame.
    #[error("frame {frame}: {reason}")]
    Frame {
        /// Index of the frame, from 0.
        frame: u64,
        /// Why it cannot be used.
        reason: String,
    },
    /// The output exists and overwriting was not asked for.
    #[error("{} exists already; choose another name or allow overwriting", .0.display())]
    Exists(PathBuf),
    /// The output is the input, directly or through a link.
    #[error("the output {} is the input itself (or a link to it)", .0.display())]
    OutputIsInput(PathBuf),
    /// Another run is writing this output.
    #[error("another run is writing {} (its unfinished file {} is locked)", path.display(), part.display())]
    Busy {
        /// The output.
        path: PathBuf,
        /// The temporary file that is locked.
        part: PathBuf,
    },
    /// An unfinished output was begun with another input, model or options.
    #[error("{} holds an unfinished job that is not this one: {changes}. Run it as before and it goes on, or start over", folder.display())]
    Changed {
        /// The folder with the unfinished job's segments.
        folder: PathBuf,
        /// The fields of the job fingerprint that differ, with both values.
        changes: String,
    },
    /// The output was written but does not hold what was sent to it.
    #[error("{} was not written completely: {reason}", path.display())]
    Incomplete {
        /// The output's final name.
        path: PathBuf,
        /// The missing or wrong data.
        reason: String,
    },
    /// An option or combination of options that is not supported; the message.
    #[error("{0}")]
    Unsupported(String),
    /// An encoder whose segments cannot be concatenated.
    #[error(
        "this encoder writes other headers into each segment, so that they cannot be joined: encode in one piece"
    )]
    SegmentHeaders,
}

impl MediaError {
    /// Creates a [`MediaError::Io`] for `path`; `action` is the verb after "cannot".
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.as_ref().to_owned(),
            source,
        }
    }

    /// Creates a [`MediaError::Unreadable`] for `path`.
    pub fn unreadable(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Unreadable {
            path: path.as_ref().to_owned(),
            reason: reason.into(),
        }
    }

    /// Creates a [`MediaError::Limit`]: "`what` is `value`, outside the accepted `accepted`".
    pub fn limit(what: impl Into<String>, value: impl ToString, accepted: impl Into<String>) -> Self {
        Self::Limit {
            what: what.into(),
            value: value.to_string(),
            accepted: accepted.into(),
        }
    }

    /// Returns a stable machine-readable name of the error, such as `ffmpeg_missing`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::FfmpegMissing { .. } => "ffmpeg_missing",
            Self::FfmpegTooOld { .. } => "ffmpeg_too_old",
            Self::Child { .. } => "child_failed",
            Self::Stalled { .. } => "stalled",
            Self::Cancelled => "cancelled",
            Self::Unreadable { .. } => "unreadable",
            Self::NoVideo { .. } => "no_video",
            Self::Interlaced { .. } => "interlaced",
            Self::Limit { .. } => "limit_exceeded",
            Self::Frame { .. } => "bad_frame",
            Self::Exists(_) => "output_exists",
            Self::OutputIsInput(_) => "output_is_input",
            Self::Busy { .. } => "output_busy",
            Self::Changed { .. } => "job_changed",
            Self::Incomplete { .. } => "incomplete",
            Self::Unsupported(_) | Self::SegmentHeaders => "unsupported",
        }
    }
}
