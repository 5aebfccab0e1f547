//! Error type of tensor engines: failures of the device at run time.

use std::fmt;

/// Result of an engine's fallible operations.
pub type Result<T> = std::result::Result<T, BackendError>;

/// Failure of an engine at run time. The CPU engine never fails; a GPU may.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendError {
    /// The device is out of memory; the text names the allocation that failed.
    OutOfMemory(String),
    /// The device was reset or removed, or its driver failed; the text is the driver's message.
    DeviceLost(String),
    /// Any other failure; the text is the engine's message.
    Failed(String),
}

impl fmt::Display for BackendError {
    /// Writes the failure as one line of English.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory(what) => write!(f, "the device is out of memory: {what}"),
            Self::DeviceLost(why) => write!(f, "the device was lost: {why}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for BackendError {}
