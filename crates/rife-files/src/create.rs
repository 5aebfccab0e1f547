//! Atomic file replacement: content is written to a temporary file, created exclusively in the same folder, flushed, and then
//! renamed. An existing link or file with the temporary name is never followed or written to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::name::beside;

/// Maximum number of temporary names that are tried; those left by killed processes of the same id are skipped.
const TRIES: usize = 1000;

/// Replaces the file `path` by `content` atomically: after a failure or kill, `path` is unchanged. A link at `path` is
/// replaced, not followed.
///
/// # Errors
/// Errors of the file system.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_with(path, |file| file.write_all(content))
}

/// Replaces the file `path` atomically by the content that `write` writes to the given file; after an error of `write`,
/// `path` is unchanged.
///
/// # Errors
/// Errors of the file system, and what `write` returns.
pub fn replace_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = NewFile::create(path)?;
    write(&mut file.file)?;
    file.finish()
}

/// A file that is written under the temporary name `.NAME.PID-N.part` in the folder of its final name, and removed on drop
/// unless finished.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    unfinished: Temporary,
    /// The final path.
    path: PathBuf,
}

impl NewFile {
    /// Creates the temporary file for the final path `path`.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn create(path: &Path) -> io::Result<Self> {
        if path.file_name().is_none() {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let (unfinished, file) = Temporary::create(|name| beside(path, ".", &format!(".{name}.part")))?;
        let path = path.to_owned();
        Ok(Self {
            file,
            unfinished,
            path,
        })
    }

    /// Flushes the file to the disk and renames it to its final path, replacing an existing file.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        drop(self.file);
        fs::rename(&self.unfinished.0, &self.path)?;
        // From now on the temporary name may belong to another process.
        self.unfinished.0 = PathBuf::new();
        sync_folder(&self.path)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The path of an exclusively created temporary file, which is removed on drop.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// Creates a file, open for reading and writing, under an unused name. `name` builds the path from a unique text of at
    /// most 21 bytes, another one at each attempt.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn create(name: impl Fn(&str) -> PathBuf) -> io::Result<(Self, File)> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let mut options = OpenOptions::new();
        // `create_new` never follows a link.
        options.read(true).write(true).create_new(true);
        for _ in 0..TRIES {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = name(&format!("{}-{number}", std::process::id()));
            match options.open(&path) {
                Ok(file) => return Ok((Self(path), file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    /// Removes the file.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Flushes the folder of `path` to the disk, so that a rename survives a power failure; only on Unix.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a".repeat(250));
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let failed = replace_with(&path, |file| {
            file.write_all(b"thr")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()).len(), 1, "nothing unfinished is left");
    }

    #[cfg(unix)]
    #[test]
    fn planted_links_are_neither_followed_nor_in_the_way() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let [path, victim] = ["out.json", "victim"].map(|name| folder.path().join(name));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &path).unwrap();
        let process = std::process::id();
        for number in 0..200 {
            let planted = folder.path().join(format!(".out.json.{process}-{number}.part"));
            symlink(&victim, planted).unwrap();
        }
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert!(!path.symlink_metadata().unwrap().is_symlink());
        assert_eq!(names(folder.path()).len(), 202, "what was there is left alone");
    }
}
