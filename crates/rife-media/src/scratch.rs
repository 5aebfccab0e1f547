//! Temporary directories: unique, readable by this user only, removed on drop; those of killed processes are removed by
//! the next process that creates one. A lock file in each directory distinguishes live from abandoned ones.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::{MediaError, Result};

/// Prefix of the names of temporary directories.
const PREFIX: &str = "rife-scratch-";
/// Prefixes of temporary directories of earlier versions, which have no lock file.
const UNLOCKED_PREFIXES: [&str; 2] = ["rife-image-", "rife-plan-"];
/// Name of the file in each temporary directory that its process keeps locked until it ends.
const LOCK: &str = "lock";
/// Minimum age of an abandoned temporary directory without a lock file.
const ABANDONED_AGE: Duration = Duration::from_secs(24 * 3600);

/// A temporary directory in the system's directory for temporary files; removed with its contents on drop.
#[derive(Debug)]
pub struct Scratch {
    folder: tempfile::TempDir,
    /// The locked file [`LOCK`]; the operating system releases the lock when the process ends, even when it is killed.
    _lock: File,
}

impl Scratch {
    /// Creates a directory that only this user can read, after removing those that killed processes of this user left.
    ///
    /// # Errors
    /// [`MediaError::Io`] where it cannot be created.
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        Self::within(&parent)
    }

    /// Creates such a directory in the folder of the file `path`, for what is to be as large as that file.
    ///
    /// # Errors
    /// [`MediaError::Io`] where it cannot be created.
    pub fn beside(path: &Path) -> Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        remove_abandoned(parent);
        Self::within(parent)
    }

    /// Creates and locks a temporary directory in `parent`.
    fn within(parent: &Path) -> Result<Self> {
        let failed = |error| MediaError::io("create a temporary folder in", parent, error);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o700));
        }
        let folder = builder.tempdir_in(parent).map_err(failed)?;
        let lock = File::create_new(folder.path().join(LOCK)).map_err(failed)?;
        // Fails on file systems without locks, where the directory's age decides whether it is abandoned.
        let _ = lock.try_lock();
        Ok(Self { folder, _lock: lock })
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the abandoned temporary directories in `parent`; failures are ignored.
fn remove_abandoned(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(is_abandoned) {
        let _ = fs::remove_dir_all(path);
    }
}

/// Reports whether `path` is a temporary directory of this user and program whose process has ended.
fn is_abandoned(path: &PathBuf) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ours = name.starts_with(PREFIX);
    let earlier = UNLOCKED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let Some(metadata) = fs::symlink_metadata(path).ok().filter(|_| ours || earlier) else {
        return false;
    };
    if !metadata.is_dir() || !is_mine(&metadata) {
        return false;
    }
    if ours && let Some(lock) = open_lock(&path.join(LOCK)) {
        // An error other than `WouldBlock` does not reveal whether the process lives.
        return match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(_)) => is_old(&metadata),
        };
    }
    is_old(&metadata)
}

/// Opens the lock file `path`; `None` where it is missing, no regular file (a link, a pipe), or unreadable.
fn open_lock(path: &Path) -> Option<File> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file.then(|| File::open(path).ok()).flatten()
}

/// Reports whether the last change is more than [`ABANDONED_AGE`] ago.
fn is_old(metadata: &fs::Metadata) -> bool {
    let changed = metadata.modified().ok();
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    age.is_some_and(|age| age > ABANDONED_AGE)
}

/// Reports whether the file belongs to the effective user of this process.
#[cfg(unix)]
fn is_mine(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Returns true: file owners are not checked on this platform.
#[cfg(not(unix))]
fn is_mine(_metadata: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_private_and_those_of_dead_processes_are_swept() {
        let place = tempfile::tempdir().unwrap();
        let alive = Scratch::within(place.path()).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(alive.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        // What a killed process leaves: the folder and its files, and nobody who holds the lock.
        let dead = place.path().join(format!("{PREFIX}dead"));
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), b"").unwrap();
        fs::write(dead.join("0"), b"a frame").unwrap();
        // One of an earlier version, from a moment ago; and what is not ours.
        for name in ["rife-image-7-0", "rife-scratch-paper", "thesis"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        remove_abandoned(place.path());
        assert!(alive.path().is_dir() && !dead.exists());
        for name in ["rife-image-7-0", "rife-scratch-paper", "thesis"] {
            assert!(place.path().join(name).is_dir(), "{name}");
        }
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }
}
