//! The ffmpeg on this machine: where it is, its version, and running it as a child with discipline.

use std::path::PathBuf;

use crate::{MediaError, Result};

/// The ffmpeg and ffprobe of this machine, version checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ffmpeg {
    /// The encoder and decoder.
    pub ffmpeg: PathBuf,
    /// The prober.
    pub ffprobe: PathBuf,
    /// Major and minor version; snapshots without one count as (u32::MAX, 0).
    pub version: (u32, u32),
}

impl Ffmpeg {
    /// Finds both on `PATH` (or `RIFE_FFMPEG` and `RIFE_FFPROBE`), of version 5.1 or later. Asked once a process.
    pub fn find() -> Result<&'static Self> {
        Err(MediaError::Unsupported("follows".to_owned()))
    }
}
