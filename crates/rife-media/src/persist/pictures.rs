//! Fingerprint of an input image sequence: name, size and modification time of each file, with a count of the images read. A
//! resumed job repeats only the work that depends on changed images.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::source::{self, Input, Source, StreamInfo};
use crate::{Frame, MediaError, Result};

/// The input images of a job and the number that have been read.
#[derive(Debug, Clone)]
pub struct Pictures {
    /// Name, size and modification time of each image as text, in order.
    lines: Vec<String>,
    /// Number of images read so far.
    read: Arc<AtomicU64>,
}

impl Pictures {
    /// Lists the images of a folder or pattern; `None` for other inputs.
    ///
    /// # Errors
    /// Errors of reading the folder and the files' metadata.
    pub fn of(input: &Input) -> Result<Option<Self>> {
        match input {
            // The pages of a single file are not separate files.
            Input::Images(path) if path.is_dir() || !path.exists() => {
                let name = |file: &Path| {
                    file.file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned()
                };
                Self::named(&source::image_files(path)?, name).map(Some)
            }
            Input::Images(_) | Input::File(_) | Input::Stdin | Input::Custom(_) => Ok(None),
        }
    }

    /// Creates the fingerprint of a list of image files, which may be in several folders.
    ///
    /// # Errors
    /// Errors of reading the files' metadata.
    pub fn of_files(files: &[PathBuf]) -> Result<Self> {
        Self::named(files, |file| file.display().to_string())
    }

    /// Creates the fingerprint of image files, each under the name that `name` returns.
    fn named(files: &[PathBuf], name: impl Fn(&Path) -> String) -> Result<Self> {
        let lines = files.iter().map(|file| line(file, &name(file)));
        Ok(Self {
            lines: lines.collect::<Result<_>>()?,
            read: Arc::default(),
        })
    }

    /// Wraps `source`, whose frames are these images, so that its reads are counted.
    pub fn counted(&self, source: Box<dyn Source>) -> Box<dyn Source> {
        let read = Arc::clone(&self.read);
        Box::new(Counted { source, read })
    }

    /// Counts one more image as read.
    pub fn count(&self) {
        self.read.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the number of images read so far: frames made now depend on these only.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    /// Returns name, size and modification time of each image as text.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Returns the number of leading images that equal those of `before`; [`u64::MAX`] where all are equal.
    pub(crate) fn unchanged(&self, before: &[String]) -> u64 {
        if self.lines == before {
            return u64::MAX;
        }
        let pairs = self.lines.iter().zip(before);
        pairs.take_while(|(now, before)| now == before).count() as u64
    }
}

/// Formats a file's name as given, and its size and modification time (nanoseconds since 1970).
fn line(file: &Path, name: &str) -> Result<String> {
    let metadata = fs::metadata(file).map_err(|e| MediaError::io("read", file, e))?;
    let changed = metadata.modified().ok();
    let changed = changed.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let changed = changed.map_or(0, |time| time.as_nanos());
    Ok(format!(
        "{name} of {} bytes, changed at {changed}",
        metadata.len()
    ))
}

/// A source that counts the frames it returns.
struct Counted {
    source: Box<dyn Source>,
    read: Arc<AtomicU64>,
}

impl Source for Counted {
    fn info(&self) -> &StreamInfo {
        self.source.info()
    }

    /// Returns the next frame and counts it.
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
