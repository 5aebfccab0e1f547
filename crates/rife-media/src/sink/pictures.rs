//! An input of pictures in files of their own, as a job that goes on knows it again: one that has changed since costs
//! the work that depends on it, and no more.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::source::{self, Input, Source, StreamInfo};
use crate::{Frame, MediaError, Result};

/// The pictures of an input, and how many of them have been read.
#[derive(Debug, Clone)]
pub struct Pictures {
    /// What tells each from another, in order: its name, size and time.
    lines: Vec<String>,
    read: Arc<AtomicU64>,
}

impl Pictures {
    /// Those of a folder or a pattern; nothing of other inputs.
    ///
    /// # Errors
    /// Those of reading the folder, and what the file system knows of each.
    pub fn of(input: &Input) -> Result<Option<Self>> {
        match input {
            // The pages of one file are no files.
            Input::Images(path) if path.is_dir() || !path.exists() => {
                Self::of_files(&source::image_files(path)?).map(Some)
            }
            Input::Images(_) | Input::File(_) | Input::Stdin | Input::Custom(_) => Ok(None),
        }
    }

    /// Those of a list.
    ///
    /// # Errors
    /// Those of asking the file system about each.
    pub fn of_files(files: &[PathBuf]) -> Result<Self> {
        Ok(Self {
            lines: files.iter().map(|file| line(file)).collect::<Result<_>>()?,
            read: Arc::default(),
        })
    }

    /// `source`, whose frames are these pictures, with a count of those that have been read.
    pub fn counted(&self, source: Box<dyn Source>) -> Box<dyn Source> {
        let read = Arc::clone(&self.read);
        Box::new(Counted { source, read })
    }

    /// Counts one more that has been read.
    pub fn count(&self) {
        self.read.fetch_add(1, Ordering::SeqCst);
    }

    /// How many have been read by now: what is made now depends on no other.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// How many of the first ones are those of `before`; [`u64::MAX`] where all are.
    pub(super) fn unchanged(&self, before: &[String]) -> u64 {
        if self.lines == before {
            return u64::MAX;
        }
        let pairs = self.lines.iter().zip(before);
        pairs.take_while(|(now, before)| now == before).count() as u64
    }
}

fn line(file: &Path) -> Result<String> {
    let metadata = fs::metadata(file).map_err(|e| MediaError::io("read", file, e))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let changed = metadata.modified().ok();
    let changed = changed.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let changed = changed.map_or(0, |time| time.as_nanos());
    Ok(format!(
        "{name} of {} bytes, changed at {changed}",
        metadata.len()
    ))
}

struct Counted {
    source: Box<dyn Source>,
    read: Arc<AtomicU64>,
}

impl Source for Counted {
    fn info(&self) -> &StreamInfo {
        self.source.info()
    }

    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let frame = self.source.next_frame()?;
        self.read.fetch_add(u64::from(frame.is_some()), Ordering::SeqCst);
        Ok(frame)
    }

    fn notes(&self) -> Vec<String> {
        self.source.notes()
    }

    fn warnings(&self) -> Vec<String> {
        self.source.warnings()
    }
}
