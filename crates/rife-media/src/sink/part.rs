//! A file that is written beside its final name and takes that name only when it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{MediaError, Result};

/// An unfinished output `.NAME.part.EXT`. Dropped, it is removed; what had the final name is untouched.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    target: PathBuf,
    overwrite: bool,
    /// Open and locked for as long as we write; a lock dies with its process, so stale parts are taken over.
    file: File,
    finished: bool,
}

impl Part {
    /// Creates the unfinished file, after refusing targets that exist, are no file, or are one of `inputs`.
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

    /// The unfinished file's name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The unfinished file, open for writing at its start.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Flushes the file to the disk and gives it its final name; returns its size.
    pub(crate) fn promote(self) -> Result<u64> {
        self.file
            .sync_all()
            .map_err(|e| MediaError::io("flush", &self.path, e))?;
        self.promote_unsynced()
    }

    /// Gives the file its final name without waiting for the disk.
    pub(crate) fn promote_unsynced(mut self) -> Result<u64> {
        let bytes = rename(&self.path, &self.target, self.overwrite)?;
        self.finished = true;
        Ok(bytes)
    }
}

/// Gives a file its final name; returns its size. Without `overwrite` a file that has appeared there in the meantime
/// is not replaced.
pub(super) fn rename(path: &Path, target: &Path, overwrite: bool) -> Result<u64> {
    let bytes = fs::metadata(path)
        .map_err(|e| MediaError::io("read", path, e))?
        .len();
    if overwrite {
        fs::rename(path, target).map_err(|e| MediaError::io("rename to", target, e))?;
        return Ok(bytes);
    }
    match fs::hard_link(path, target) {
        Ok(()) => fs::remove_file(path).map_err(|e| MediaError::io("remove", path, e))?,
        // Not every file system has links.
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists && target.symlink_metadata().is_err() => {
            fs::rename(path, target).map_err(|e| MediaError::io("rename to", target, e))?;
        }
        Err(_) => return Err(MediaError::Exists(target.to_owned())),
    }
    Ok(bytes)
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A text beside the output, such as a list: written whole at the end, or not at all.
#[derive(Debug)]
pub struct TextFile(Part);

impl TextFile {
    /// Makes sure that `target` can be written.
    ///
    /// # Errors
    /// Those of an output: it exists and `overwrite` is off, it is one of `inputs`, its folder cannot be written to.
    pub fn create<'a>(
        target: &Path,
        overwrite: bool,
        inputs: impl Iterator<Item = &'a Path>,
    ) -> Result<Self> {
        Part::create(target, overwrite, inputs).map(Self)
    }

    /// Writes `text` and gives the file its name.
    ///
    /// # Errors
    /// [`MediaError::Io`], and [`MediaError::Exists`] where a file of this name has appeared in the meantime.
    pub fn finish(self, text: &str) -> Result<()> {
        let mut file = self.0.file();
        file.write_all(text.as_bytes())
            .map_err(|e| MediaError::io("write", self.0.path(), e))?;
        self.0.promote().map(|_| ())
    }
}

/// Refuses targets that exist, are no file, or are one of `inputs`.
pub(super) fn check_target<'a>(
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

/// Whether two names lead to one file, through links too.
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

/// `.NAME.part.EXT` in the same folder; long names are cut to what file systems take.
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

pub(super) fn open_locked(path: &Path, target: &Path) -> Result<File> {
    // A part that its owner removes between our opening and locking it is opened again.
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

#[cfg(unix)]
fn lock(file: &File) -> bool {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

#[cfg(not(unix))]
fn lock(_file: &File) -> bool {
    true
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

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
