//! Where an output is made in several steps: a folder beside it, `OUT.EXT.rife-work`, that is ours alone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::part;
use crate::{MediaError, Result};

/// The file in the folder that says whose it is, locked for as long as we work.
const LOCK: &str = "lock";

/// Where an output of several steps is made.
pub fn folder(target: &Path) -> PathBuf {
    rife_files::beside(target, "", ".rife-work")
}

/// A folder for the steps towards one output. Dropped, it goes with the files that were asked for by
/// [`Workplace::file`]; an unfinished job's segments in it stay, and the same job finds them again.
#[derive(Debug)]
pub struct Workplace {
    folder: PathBuf,
    target: PathBuf,
    overwrite: bool,
    files: Vec<PathBuf>,
    /// A lock dies with its process, so the place of a killed one is taken over.
    _lock: File,
}

impl Workplace {
    /// Makes the folder beside `target`, after refusing targets that exist, are no file, or are one of `inputs`.
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
                // An empty one is what a process leaves that is killed between two calls.
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

    /// The name of a file in it that lives no longer than this does; anything of that name goes now. It has the
    /// target's extension unless `name` has one.
    pub fn file(&mut self, name: &str) -> PathBuf {
        let mut path = self.folder.join(name);
        if path.extension().is_none() {
            path.set_extension(self.target.extension().unwrap_or_default());
        }
        let _ = fs::remove_file(&path);
        self.files.push(path.clone());
        path
    }

    /// Gives one of the files the target's name; returns its size.
    ///
    /// # Errors
    /// [`MediaError::Exists`] where a target has appeared that is not to be replaced; those of renaming.
    pub fn promote(&self, file: &Path) -> Result<u64> {
        part::rename(file, &self.target, self.overwrite)
    }
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|there| there.is_file())
}

impl Drop for Workplace {
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
