//! Working folder of an output that is made in several steps: `OUT.EXT.rife-work` in the folder of the output, locked by one
//! process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::part;
use crate::{MediaError, Result};

/// Name of the file in the folder that its process keeps locked.
const LOCK: &str = "lock";

/// Returns the path of the working folder for the output `target`.
pub fn folder(target: &Path) -> PathBuf {
    rife_files::beside(target, "", ".rife-work")
}

/// A locked working folder for the intermediate files of one output. Dropped, it is removed with the files from
/// [`Workplace::file`]; segments of an unfinished job in it remain for resuming.
#[derive(Debug)]
pub struct Workplace {
    folder: PathBuf,
    target: PathBuf,
    overwrite: bool,
    files: Vec<PathBuf>,
    /// The locked file; the operating system releases the lock when the process ends.
    _lock: File,
}

impl Workplace {
    /// Creates or takes over the working folder of `target`, after checking that `target` may be written: it does not exist
    /// (or `overwrite` is set), is a regular file, and is none of `inputs`.
    ///
    /// # Errors
    /// [`MediaError::Exists`], [`MediaError::OutputIsInput`], [`MediaError::Unsupported`] for a target or folder that
    /// is something else, [`MediaError::Busy`] where another process works in it.
    pub fn beside<'a>(
        target: &Path,
        overwrite: bool,
        inputs: impl Iterator<Item = &'a Path>,
    ) -> Result<Self> {
        part::check_target(target, overwrite, inputs)?;
        let folder = folder(target);
        let lock = folder.join(LOCK);
        match fs::create_dir(&folder) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                // A process killed between two calls leaves an empty folder.
                let empty = || fs::read_dir(&folder).is_ok_and(|entries| entries.count() == 0);
                let is_folder = folder.symlink_metadata().is_ok_and(|there| there.is_dir());
                let ours = is_folder && (is_file(&lock) || empty());
                if !ours {
                    let text = format!("{} is in the way: it is not ours", folder.display());
                    return Err(MediaError::Unsupported(text));
                }
            }
            Err(e) => return Err(MediaError::io("create", &folder, e)),
        }
        let lock = part::open_locked(&lock, target)?;
        Ok(Self {
            folder,
            target: target.to_owned(),
            overwrite,
            files: Vec::new(),
            _lock: lock,
        })
    }

    /// Returns the path of an intermediate file, which is removed on drop; an existing one is removed now. It has the target's
    /// extension unless `name` has one.
    pub fn file(&mut self, name: &str) -> PathBuf {
        let mut path = self.folder.join(name);
        if path.extension().is_none() {
            path.set_extension(self.target.extension().unwrap_or_default());
        }
        let _ = fs::remove_file(&path);
        self.files.push(path.clone());
        path
    }

    /// Renames one of the files to the target; returns its size in bytes.
    ///
    /// # Errors
    /// [`MediaError::Exists`] where the target was created meanwhile and `overwrite` is not set; those of renaming.
    pub fn promote(&self, file: &Path) -> Result<u64> {
        part::rename(file, &self.target, self.overwrite)
    }
}

/// Reports whether `path` is a regular file and not a link.
fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|there| there.is_file())
}

impl Drop for Workplace {
    /// Removes the intermediate files, and the folder unless it holds other files.
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        let kept = fs::read_dir(&self.folder).is_ok_and(|entries| entries.count() > 1);
        if !kept {
            let _ = fs::remove_file(self.folder.join(LOCK));
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(target: &Path, overwrite: bool) -> Result<Workplace> {
        Workplace::beside(target, overwrite, std::iter::empty())
    }

    #[test]
    fn it_goes_with_its_files_and_stays_with_others() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let mut place = make(&target, false).unwrap();
        let inside = place.file("pictures");
        assert_eq!(inside, folder.path().join("out.mp4.rife-work/pictures.mp4"));
        assert!(matches!(make(&target, false), Err(MediaError::Busy { .. })));
        fs::write(&inside, "whole").unwrap();
        assert_eq!(place.promote(&inside).unwrap(), 5);
        drop(place);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(matches!(make(&target, false), Err(MediaError::Exists(_))));
        let mut place = make(&target, true).unwrap();
        fs::write(place.file("step.wav"), "half").unwrap();
        fs::write(folder.path().join("out.mp4.rife-work/journal"), "kept").unwrap();
        drop(place);
        let names: Vec<_> = fs::read_dir(folder.path().join("out.mp4.rife-work"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(make(&target, true).is_ok(), "and is taken up again");
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let theirs = folder.path().join("out.mp4.rife-work");
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("notes.txt"), "theirs").unwrap();
        assert!(
            make(&target, false)
                .unwrap_err()
                .to_string()
                .contains("in the way")
        );
        assert!(theirs.join("notes.txt").exists());
    }
}
