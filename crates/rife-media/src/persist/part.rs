//! Temporary output file: written under a temporary name in the folder of the output, locked, and renamed to its final name
//! when complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{MediaError, Result};

/// The temporary file `.NAME.part.EXT` of an output; removed on drop unless promoted. An existing output stays untouched until
/// then.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    target: PathBuf,
    overwrite: bool,
    /// Open and locked; the operating system releases the lock when the process ends, so files of killed processes are reused.
    file: File,
    finished: bool,
}

impl Part {
    /// Creates the temporary file, after checking that `target` may be written: it does not exist (or `overwrite` is set), is
    /// a regular file, and is none of `inputs`.
    pub(crate) fn create<'a>(
        target: &Path,
        overwrite: bool,
        inputs: impl Iterator<Item = &'a Path>,
    ) -> Result<Self> {
        check_target(target, overwrite, inputs)?;
        let path = part_name(target)?;
        let file = open_locked(&path, target)?;
        Ok(Self {
            path,
            target: target.to_owned(),
            overwrite,
            file,
            finished: false,
        })
    }

    /// Returns the path of the temporary file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the temporary file, open for writing.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Flushes the file to the disk and renames it to its final name; returns its size in bytes.
    pub(crate) fn promote(self) -> Result<u64> {
        self.file
            .sync_all()
            .map_err(|e| MediaError::io("flush", &self.path, e))?;
        self.promote_unsynced()
    }

    /// Renames the file to its final name without flushing it to the disk; returns its size in bytes.
    pub(crate) fn promote_unsynced(mut self) -> Result<u64> {
        let bytes = rename(&self.path, &self.target, self.overwrite)?;
        self.finished = true;
        Ok(bytes)
    }
}

/// Renames a file to `target`; returns its size in bytes. Without `overwrite`, an error where `target` was created meanwhile.
pub(crate) fn rename(path: &Path, target: &Path, overwrite: bool) -> Result<u64> {
    let bytes = fs::metadata(path)
        .map_err(|e| MediaError::io("read", path, e))?
        .len();
    if overwrite {
        fs::rename(path, target).map_err(|e| MediaError::io("rename to", target, e))?;
        return Ok(bytes);
    }
    match fs::hard_link(path, target) {
        Ok(()) => fs::remove_file(path).map_err(|e| MediaError::io("remove", path, e))?,
        // Some file systems have no hard links.
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists && target.symlink_metadata().is_err() => {
            fs::rename(path, target).map_err(|e| MediaError::io("rename to", target, e))?;
        }
        Err(_) => return Err(MediaError::Exists(target.to_owned())),
    }
    Ok(bytes)
}

impl Drop for Part {
    /// Removes the temporary file unless it was renamed.
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A text file that accompanies an output, such as a cut list; written completely at the end or not at all.
#[derive(Debug)]
pub struct TextFile(Part);

impl TextFile {
    /// Checks that `target` can be written and creates its temporary file.
    ///
    /// # Errors
    /// `target` exists and `overwrite` is not set, it is one of `inputs`, or its folder cannot be written to.
    pub fn create<'a>(
        target: &Path,
        overwrite: bool,
        inputs: impl Iterator<Item = &'a Path>,
    ) -> Result<Self> {
        Part::create(target, overwrite, inputs).map(Self)
    }

    /// Writes `text` and renames the file to its final name.
    ///
    /// # Errors
    /// [`MediaError::Io`], and [`MediaError::Exists`] where a file of this name was created meanwhile.
    pub fn finish(self, text: &str) -> Result<()> {
        let mut file = self.0.file();
        file.write_all(text.as_bytes())
            .map_err(|e| MediaError::io("write", self.0.path(), e))?;
        self.0.promote().map(|_| ())
    }
}

/// Returns an error where `target` exists (without `overwrite`), is no regular file or link, or is one of `inputs`.
pub(crate) fn check_target<'a>(
    target: &Path,
    overwrite: bool,
    inputs: impl Iterator<Item = &'a Path>,
) -> Result<()> {
    for input in inputs {
        if same_file(input, target) {
            return Err(MediaError::OutputIsInput(target.to_owned()));
        }
    }
    let Ok(metadata) = target.symlink_metadata() else {
        return Ok(());
    };
    if metadata.is_dir() || !(metadata.is_file() || metadata.is_symlink()) {
        return Err(MediaError::Unsupported(format!(
            "{} exists and is no regular file",
            target.display()
        )));
    }
    if overwrite {
        Ok(())
    } else {
        Err(MediaError::Exists(target.to_owned()))
    }
}

/// Reports whether two paths refer to the same file, following links.
pub fn same_file(a: &Path, b: &Path) -> bool {
    let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (a.dev(), a.ino()) == (b.dev(), b.ino())
    }
    #[cfg(not(unix))]
    {
        a.len() == b.len() && a.modified().ok() == b.modified().ok() && a.created().ok() == b.created().ok()
    }
}

/// Returns the path `.NAME.part.EXT` in the folder of `target`; long names are shortened.
fn part_name(target: &Path) -> Result<PathBuf> {
    let bad = || MediaError::Unsupported(format!("{} is no name of a file", target.display()));
    let stem = target.file_stem().ok_or_else(bad)?;
    let mut name = std::ffi::OsString::from(".");
    let text = stem.to_string_lossy();
    if stem.len() > 200 {
        let end = (0..=200).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        name.push(&text[..end]);
    } else {
        name.push(stem);
    }
    name.push(".part");
    if let Some(extension) = target.extension() {
        name.push(".");
        name.push(extension);
    }
    Ok(target.with_file_name(name))
}

/// Opens or creates the file `path`, locks it and empties it; [`MediaError::Busy`] for the output `target` where another
/// process holds the lock.
pub(crate) fn open_locked(path: &Path, target: &Path) -> Result<File> {
    // Another process may remove the file between opening and locking; then it is created again.
    for _ in 0..8 {
        let file = rife_files::open_own(path).map_err(|e| MediaError::io("create", path, e))?;
        if !lock(&file) {
            return Err(MediaError::Busy {
                path: target.to_owned(),
                part: path.to_owned(),
            });
        }
        if is_at(&file, path) {
            file.set_len(0).map_err(|e| MediaError::io("create", path, e))?;
            return Ok(file);
        }
    }
    Err(MediaError::Busy {
        path: target.to_owned(),
        part: path.to_owned(),
    })
}

/// Locks a file exclusively without waiting; returns false where another process holds the lock.
#[cfg(unix)]
fn lock(file: &File) -> bool {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Returns true: files are not locked on this platform.
#[cfg(not(unix))]
fn lock(_file: &File) -> bool {
    true
}

/// Reports whether `path` still refers to the open file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

/// Returns true: not checked on this platform.
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn none() -> std::iter::Empty<&'static Path> {
        std::iter::empty()
    }

    #[test]
    fn only_a_promoted_part_has_the_final_name() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let part = Part::create(&target, false, none()).unwrap();
        assert_eq!(part.path(), folder.path().join(".out.part.mp4"));
        assert!(matches!(
            Part::create(&target, false, none()),
            Err(MediaError::Busy { .. })
        ));
        drop(part);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            0,
            "an abandoned part is removed"
        );
        let part = Part::create(&target, false, none()).unwrap();
        part.file().write_all(b"whole").unwrap();
        assert_eq!(part.promote().unwrap(), 5);
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert!(matches!(
            Part::create(&target, false, none()),
            Err(MediaError::Exists(_))
        ));
        assert!(Part::create(&target, true, none()).is_ok());
        assert_eq!(
            fs::read(&target).unwrap(),
            b"whole",
            "an abandoned overwrite leaves the old output"
        );
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let part = Part::create(&target, false, none()).unwrap();
        fs::write(&target, b"other").unwrap();
        assert!(matches!(part.promote(), Err(MediaError::Exists(_))));
        assert_eq!(fs::read(&target).unwrap(), b"other");
    }

    #[cfg(unix)]
    #[test]
    fn the_input_is_refused_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in.mp4");
        fs::write(&input, b"input").unwrap();
        let (hard, soft) = (folder.path().join("hard.mp4"), folder.path().join("soft.mp4"));
        fs::hard_link(&input, &hard).unwrap();
        std::os::unix::fs::symlink(&input, &soft).unwrap();
        for target in [&input, &hard, &soft] {
            let result = Part::create(target, true, std::iter::once(input.as_path()));
            assert!(
                matches!(result, Err(MediaError::OutputIsInput(_))),
                "{}",
                target.display()
            );
        }
        let elsewhere = folder.path().join("elsewhere.mp4");
        std::os::unix::fs::symlink(&input, folder.path().join(".elsewhere.part.mp4")).unwrap();
        assert!(
            Part::create(&elsewhere, true, none()).is_err(),
            "a planted link is not followed"
        );
        assert_eq!(fs::read(&input).unwrap(), b"input");
    }
}
