//! Model store: the table of public checkpoints, the models folder with its lock file, and the download from one to the
//! other. Weights files are parsed in `rife-nets`.

mod add;
mod catalog;
#[cfg(feature = "download")]
mod download;
mod lock;

use std::path::{Path, PathBuf};

pub use add::{ADDED, add, remove};
use catalog::usual_name;
pub use catalog::{CATALOG, Checkpoint, Quality, SUGGESTIONS, Suggestion, checkpoint};
#[cfg(feature = "download")]
pub use download::{DEFAULT_MAX_BYTES, Download, Pulled, download};
pub use lock::{LOCK_FILE, Lock, LockEntry, sha256_file};

use crate::{Error, Result};

/// Returns the folder of downloaded models: `RIFE_MODELS_DIR`, else `rife/models` in the user's data folder
/// (`XDG_DATA_HOME`, `~/.local/share`, on Windows `LOCALAPPDATA`). It need not exist.
///
/// # Errors
/// [`Error::NoModel`] if none of these environment variables is set.
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

/// Returns the path of the downloaded model `name` in `folder`, after checking its hash against the lock file.
///
/// # Errors
/// [`Error::NotPulled`] if `name` was never downloaded, [`Error::HashChanged`] if the file has changed since.
pub fn installed(folder: &Path, name: &str) -> Result<PathBuf> {
    let lock = Lock::read(folder)?;
    let entry = lock
        .models
        .get(name)
        .or_else(|| lock.models.get(&usual_name(name)));
    let Some(entry) = entry else {
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
