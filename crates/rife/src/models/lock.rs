//! Lock file `models.lock` of the models folder (JSON): file name, origin and SHA-256 of each downloaded model. It is
//! replaced atomically.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hash::hexadecimal;
use crate::{Error, Result};

/// The lock file's name in the models folder.
pub const LOCK_FILE: &str = "models.lock";

/// Maximum number of bytes of a lock file that are read.
const MAX_BYTES: u64 = 1 << 20;

/// The lock file's contents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The downloaded models by name.
    pub models: BTreeMap<String, LockEntry>,
}

/// One downloaded model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockEntry {
    /// The file's name in the models folder.
    pub file: String,
    /// The address it was downloaded from, or [`ADDED`](super::ADDED) for a file of the user.
    pub url: String,
    /// The file's SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// The file's size in bytes.
    pub bytes: u64,
    /// The network's version, where the model's name is not that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Lock {
    /// Reads the lock file of the models folder; a missing file gives an empty lock.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::NoModel`] if its content is invalid.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK_FILE);
        let file = match rife_files::open_regular(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let mut text = String::new();
        file.take(MAX_BYTES)
            .read_to_string(&mut text)
            .map_err(|error| Error::io("read", &path, error))?;
        let broken = |reason: String| {
            Error::NoModel(format!(
                "{} is damaged: {reason}; delete it to start afresh",
                path.display()
            ))
        };
        let lock: Self = serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
        match lock.models.values().find(|entry| !is_plain_name(&entry.file)) {
            Some(entry) => Err(broken(format!("{:?} is no plain file name", entry.file))),
            None => Ok(lock),
        }
    }

    /// Writes the lock file of the models folder atomically.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(LOCK_FILE);
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        rife_files::replace(&path, text.as_bytes()).map_err(|error| Error::io("write", &path, error))
    }

    /// Returns the models' names separated by commas, or `none`.
    pub fn names(&self) -> String {
        match self.models.is_empty() {
            true => "none".into(),
            false => self
                .models
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

/// Reports whether `name` is a file name of 1 to 128 ASCII letters, digits and `._-+` that does not begin with a dot.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.chars().all(plain)
}

/// Computes a file's SHA-256 in lower-case hexadecimal.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    let read = |error| Error::io("read", path, error);
    let mut hasher = Sha256::new();
    io::copy(&mut rife_files::open_regular(path).map_err(read)?, &mut hasher).map_err(read)?;
    Ok(hexadecimal(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_lock_round_trips_and_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Lock::read(folder.path()).unwrap(), Lock::default());
        let entry = LockEntry {
            file: "a.pkl".into(),
            url: "u".into(),
            sha256: "00".into(),
            bytes: 3,
            version: None,
        };
        let lock = Lock {
            models: [("a".to_owned(), entry)].into(),
        };
        lock.write(folder.path()).unwrap();
        assert_eq!(Lock::read(folder.path()).unwrap(), lock);
        let escape = fs::read_to_string(folder.path().join(LOCK_FILE))
            .unwrap()
            .replace("a.pkl", "../a.pkl");
        fs::write(folder.path().join(LOCK_FILE), escape).unwrap();
        assert!(
            Lock::read(folder.path())
                .unwrap_err()
                .to_string()
                .contains("no plain file name")
        );
        fs::write(folder.path().join(LOCK_FILE), "{").unwrap();
        assert!(
            Lock::read(folder.path())
                .unwrap_err()
                .to_string()
                .contains("damaged")
        );
    }

    #[test]
    fn sha256_of_abc_is_the_standard_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_file(&path).unwrap(), expected);
    }
}
