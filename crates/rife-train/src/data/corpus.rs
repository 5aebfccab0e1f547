//! Corpus of windows: windows of consecutive frames in `.npy` files, read from disk on demand, and their index.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Picture;
use super::npy::Windows;
use crate::weights_file::write_atomic;

/// File name of the windows for training, which `tools/prepare_corpus.py` writes too.
pub const TRAINING: &str = "windows.npy";
/// File name of the windows for validation.
pub const HELD_OUT: &str = "held_out.npy";
/// File name of the index.
pub const INDEX: &str = "corpus.json";

/// An open file of windows.
#[derive(Debug)]
pub struct Corpus {
    path: PathBuf,
    windows: Windows,
}

impl Corpus {
    /// Opens a file of windows.
    ///
    /// Errors: a file that cannot be read or is no array of windows.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            windows: Windows::open(path)?,
        })
    }

    /// Returns the number of windows.
    pub fn len(&self) -> usize {
        self.windows.shape()[0]
    }

    /// Reports whether there are no windows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of consecutive frames of a window.
    pub fn frame_count(&self) -> usize {
        self.windows.shape()[1]
    }

    /// Returns height and width of the frames.
    pub fn frame_size(&self) -> [usize; 2] {
        let [_, _, height, width, _] = self.windows.shape();
        [height, width]
    }

    /// Reads the frames with indices `picks` of window `index`.
    ///
    /// Errors: a file that cannot be read.
    pub fn frames(&self, index: usize, picks: &[usize]) -> Result<Vec<Picture>> {
        let size = self.frame_size();
        let frame = |at: &usize| Ok(Picture::new(size, self.windows.read(index, *at)?));
        picks.iter().map(frame).collect()
    }

    /// Returns the SHA-256 of the file: from the index if it has the file's size, else by reading the file.
    ///
    /// Errors: a file that cannot be read.
    pub fn hash(&self) -> Result<String> {
        match Index::read(&self.path)? {
            Some(hash) => Ok(hash),
            None => hash(&self.path),
        }
    }
}

/// Index of a corpus: hashes of its files and summaries of its clips.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Index {
    /// Files by name.
    pub files: BTreeMap<String, Content>,
    /// Summaries of the clips' extraction.
    pub clips: Vec<String>,
}

/// Size and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, hexadecimal.
    pub sha256: String,
}

impl Index {
    /// Returns the indexed hash of a file; `None` if it is absent or the file's size has changed.
    fn read(path: &Path) -> Result<Option<String>> {
        let Ok(text) = rife_files::read_regular(&path.with_file_name(INDEX), 64 << 20) else {
            return Ok(None);
        };
        // tools/prepare_corpus.py and earlier versions write another format or no index.
        let index: Self = serde_json::from_slice(&text).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = std::fs::metadata(path)?.len();
        let content = index.files.get(name.as_ref());
        Ok(content
            .filter(|content| content.bytes == bytes)
            .map(|content| content.sha256.clone()))
    }

    /// Hashes the corpus' files in a folder and writes the index there.
    ///
    /// Errors: files that cannot be read, an index that cannot be written.
    pub fn write(folder: &Path, clips: Vec<String>) -> Result<()> {
        let content = |name: &str| {
            let path = folder.join(name);
            let bytes = std::fs::metadata(&path)?.len();
            Ok((
                name.to_owned(),
                Content {
                    bytes,
                    sha256: hash(&path)?,
                },
            ))
        };
        let index = Self {
            files: [TRAINING, HELD_OUT]
                .into_iter()
                .map(content)
                .collect::<Result<_>>()?,
            clips,
        };
        write_atomic(&folder.join(INDEX), &serde_json::to_vec_pretty(&index)?)
    }
}

/// Computes the SHA-256 of a file in hexadecimal.
fn hash(path: &Path) -> Result<String> {
    let mut sum = Sha256::new();
    let mut file =
        rife_files::open_regular(path).with_context(|| format!("cannot read {}", path.display()))?;
    std::io::copy(&mut file, &mut sum).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!("{:x}", sum.finalize()))
}
