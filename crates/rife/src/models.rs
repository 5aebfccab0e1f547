//! Where weights come from: the built-in table of public checkpoints, the models folder with its lock file, and
//! the download between them. What is inside a weights file is `rife-nets`' business.

mod catalog;
#[cfg(feature = "download")]
mod download;
mod lock;

use std::path::{Path, PathBuf};

pub use catalog::{CATALOG, Checkpoint, checkpoint};
#[cfg(feature = "download")]
pub use download::{DEFAULT_MAX_BYTES, Download, Pulled, download};
pub(crate) use lock::hexadecimal;
pub use lock::{LOCK_FILE, Lock, LockEntry, sha256_file};

use crate::{Error, Result};

/// The models folder: `RIFE_MODELS_DIR`, else `rife/models` in the user's data folder (`XDG_DATA_HOME`,
/// `~/.local/share`, on Windows `LOCALAPPDATA`).
///
/// # Errors
/// [`Error::NoModel`] where none of these is set.
pub fn models_folder() -> Result<PathBuf> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = variable("RIFE_MODELS_DIR") {
        return Ok(folder);
    }
    let data = variable("XDG_DATA_HOME")
        .or_else(|| variable("LOCALAPPDATA"))
        .or_else(|| Some(variable("HOME")?.join(".local/share")));
    let data = data.ok_or_else(|| Error::NoModel("no models folder: set RIFE_MODELS_DIR or HOME".into()))?;
    Ok(data.join("rife").join("models"))
}

/// The file of a model that was pulled into `folder`, its hash checked against the lock file.
///
/// # Errors
/// [`Error::NotPulled`] where `name` was never pulled, [`Error::HashChanged`] where the file is another one now.
pub fn installed(folder: &Path, name: &str) -> Result<PathBuf> {
    let lock = Lock::read(folder)?;
    let Some(entry) = lock.models.get(name) else {
        return Err(Error::NotPulled {
            name: name.to_owned(),
            known: checkpoint(name).is_some(),
            pulled: lock.names(),
        });
    };
    let path = folder.join(&entry.file);
    let found = sha256_file(&path)?;
    if found != entry.sha256 {
        return Err(Error::HashChanged {
            name: name.into(),
            expected: entry.sha256.clone(),
            found,
            pinned_by: LOCK_FILE.into(),
            remedy: format!("delete {} and pull it again", path.display()),
        });
    }
    Ok(path)
}
