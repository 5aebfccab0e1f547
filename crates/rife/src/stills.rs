//! Reading and writing single pictures for the jobs that need no clip.

use std::path::Path;

use rife_media::{Frame, MediaError};

use crate::Result;

/// Writes one picture; its extension names the format.
pub(crate) fn write_image(path: &Path, frame: &Frame) -> Result<()> {
    let _ = (path, frame);
    Err(MediaError::Unsupported("writing pictures follows".into()).into())
}
