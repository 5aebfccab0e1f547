//! Windows of consecutive frames in a file that stays on disk.

use std::path::Path;

use anyhow::Result;

use super::Picture;
use super::npy::Windows;

/// Name of the file of windows for training, as `tools/prepare_corpus.py` writes it.
pub const TRAINING: &str = "windows.npy";
/// Name of the file of windows for validation.
pub const HELD_OUT: &str = "held_out.npy";

/// The windows of one file.
#[derive(Debug)]
pub struct Corpus {
    windows: Windows,
}

impl Corpus {
    /// Opens a file of windows.
    ///
    /// Errors: as [`Windows::open`].
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            windows: Windows::open(path)?,
        })
    }

    /// How many windows there are.
    pub fn len(&self) -> usize {
        self.windows.shape()[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frames of a window.
    ///
    /// Errors: where the file cannot be read.
    pub fn window(&self, index: usize) -> Result<Vec<Picture>> {
        let [_, _, height, width, _] = self.windows.shape();
        let bytes = self.windows.read(index)?;
        let frames = bytes.chunks_exact(3 * height * width);
        Ok(frames
            .map(|frame| Picture::new([height, width], frame.to_vec()))
            .collect())
    }
}
