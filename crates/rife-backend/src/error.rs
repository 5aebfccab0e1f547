//! Failures of an engine at run time.

use std::fmt;

/// Shorthand for results of an engine.
pub type Result<T> = std::result::Result<T, BackendError>;

/// Why an engine could not compute. The CPU engine never fails this way; a device may.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendError {
    /// The device has not enough memory; the text says for what.
    OutOfMemory(String),
    /// The device was reset, removed, or its driver failed; the text is the driver's.
    DeviceLost(String),
    /// Any other failure, in the engine's words.
    Failed(String),
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory(what) => write!(f, "the device is out of memory: {what}"),
            Self::DeviceLost(why) => write!(f, "the device was lost: {why}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for BackendError {}
