//! Temporary directories: each unique, for this user alone, removed when it is no longer needed, and after a killed run
//! by the next one.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::{MediaError, Result};

/// What the names of our folders begin with.
const PREFIX: &str = "rife-scratch-";
/// What they began with in earlier versions, which did not lock them.
const EARLIER: [&str; 2] = ["rife-image-", "rife-plan-"];
/// The file in each folder that its process holds locked for as long as it lives.
const LOCK: &str = "lock";
/// How old a folder without a lock must be to have been left behind.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// A folder of our own in the system's folder for temporary files. Dropped, it is removed with what is in it.
#[derive(Debug)]
pub struct Scratch {
    folder: tempfile::TempDir,
    /// Locked; the system lets go of it when the process ends, however that ends.
    _lock: File,
}

impl Scratch {
    /// Makes a folder that no one else can read, after removing those that killed runs of this user have left behind.
    ///
    /// # Errors
    /// [`MediaError::Io`] where none can be made.
    pub fn new() -> Result<Self> {
        let place = std::env::temp_dir();
        sweep(&place);
        Self::within(&place)
    }

    fn within(place: &Path) -> Result<Self> {
        let failed = |error| MediaError::io("create a temporary folder in", place, error);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o700));
        }
        let folder = builder.tempdir_in(place).map_err(failed)?;
        let lock = File::create_new(folder.path().join(LOCK)).map_err(failed)?;
        // File systems without locks have none to offer; the folder's age tells there.
        let _ = lock.try_lock();
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes folders that were left behind.
fn sweep(place: &Path) {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(left_behind) {
        let _ = fs::remove_dir_all(path);
    }
}

/// Whether `path` is a folder of ours whose process is no more.
fn left_behind(path: &PathBuf) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ours = name.starts_with(PREFIX);
    let earlier = EARLIER.iter().any(|prefix| name.starts_with(prefix));
    let Some(metadata) = fs::symlink_metadata(path).ok().filter(|_| ours || earlier) else {
        return false;
    };
    if !metadata.is_dir() || !is_mine(&metadata) {
        return false;
    }
    if ours && let Some(lock) = open_lock(&path.join(LOCK)) {
        // Another error than being held says nothing of the process.
        return match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(_)) => is_old(&metadata),
        };
    }
    is_old(&metadata)
}

fn open_lock(path: &Path) -> Option<File> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file.then(|| File::open(path).ok()).flatten()
}

fn is_old(metadata: &fs::Metadata) -> bool {
    let changed = metadata.modified().ok();
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    age.is_some_and(|age| age > OLD)
}

#[cfg(unix)]
fn is_mine(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

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
        sweep(place.path());
        assert!(alive.path().is_dir() && !dead.exists());
        for name in ["rife-image-7-0", "rife-scratch-paper", "thesis"] {
            assert!(place.path().join(name).is_dir(), "{name}");
        }
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }
}
