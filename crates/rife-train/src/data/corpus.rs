//! Windows of consecutive frames in a file that stays on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Picture;
use super::npy::Windows;
use crate::weights_file::write_whole;

/// Name of the file of windows for training, as `tools/prepare_corpus.py` writes it.
pub const TRAINING: &str = "windows.npy";
/// Name of the file of windows for validation.
pub const HELD_OUT: &str = "held_out.npy";
/// Name of the file that says what went into them.
pub const INDEX: &str = "corpus.json";

/// The windows of one file.
#[derive(Debug)]
pub struct Corpus {
    path: PathBuf,
    windows: Windows,
}

impl Corpus {
    /// Opens a file of windows.
    ///
    /// Errors: as [`Windows::open`].
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
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

    /// How many consecutive frames a window has.
    pub fn frame_count(&self) -> usize {
        self.windows.shape()[1]
    }

    /// Side lengths of the frames: height and width.
    pub fn frame_size(&self) -> [usize; 2] {
        let [_, _, height, width, _] = self.windows.shape();
        [height, width]
    }

    /// Some frames of a window.
    ///
    /// Errors: where the file cannot be read.
    pub fn frames(&self, index: usize, picks: &[usize]) -> Result<Vec<Picture>> {
        let size = self.frame_size();
        let frame = |at: &usize| Ok(Picture::new(size, self.windows.read(index, *at)?));
        picks.iter().map(frame).collect()
    }

    /// SHA-256 of the file: as it was taken down when the file was written, otherwise by reading the file.
    ///
    /// Errors: where the file cannot be read.
    pub fn hash(&self) -> Result<String> {
        match Index::read(&self.path)? {
            Some(hash) => Ok(hash),
            None => hash(&self.path),
        }
    }
}

/// What is known of a corpus beside its files: their hashes, and what became of each clip.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Index {
    /// The files by name.
    pub files: BTreeMap<String, Content>,
    /// The clips, as the program said it.
    pub clips: Vec<String>,
}

/// A file's size and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its length.
    pub bytes: u64,
    /// Of its content.
    pub sha256: String,
}

impl Index {
    /// The hash of a file whose size is still the one taken down.
    fn read(path: &Path) -> Result<Option<String>> {
        let Ok(text) = rife_files::read_regular(&path.with_file_name(INDEX), 64 << 20) else {
            return Ok(None);
        };
        // tools/prepare_corpus.py and earlier versions write other things or nothing here.
        let index: Self = serde_json::from_slice(&text).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = std::fs::metadata(path)?.len();
        let content = index.files.get(name.as_ref());
        Ok(content
            .filter(|content| content.bytes == bytes)
            .map(|content| content.sha256.clone()))
    }

    /// Writes it beside the corpus' files.
    ///
    /// Errors: where it cannot be written, or the files cannot be read.
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
        write_whole(&folder.join(INDEX), &serde_json::to_vec_pretty(&index)?)
    }
}

/// SHA-256 of a file.
fn hash(path: &Path) -> Result<String> {
    let mut sum = Sha256::new();
    let mut file =
        rife_files::open_regular(path).with_context(|| format!("cannot read {}", path.display()))?;
    std::io::copy(&mut file, &mut sum).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!("{:x}", sum.finalize()))
}
