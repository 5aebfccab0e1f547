//! Weights files of the user in the models folder: written as `.safetensors`, and recorded in the lock file.

use std::path::Path;

use rife_nets::checkpoint::Dtype;

use super::lock::is_plain_name;
use super::{Lock, LockEntry, sha256_file};
use crate::weights::{Target, convert, inspect};
use crate::{Error, ModelChoice, Result};

/// Origin in the lock file of a model that [`add`] has written.
pub const ADDED: &str = "added";

/// Reads a weights file or folder of any supported format, writes it to `folder` as `NAME.safetensors`, and records it in the
/// lock file. Nothing in the file is executed.
///
/// # Errors
/// [`Error::Usage`] for a name that is not made of ASCII letters, digits and `._-+`, or is taken; [`Error::Checkpoint`] and
/// [`Error::Network`] for a file that is no known network; [`Error::Io`].
pub fn add(folder: &Path, name: &str, source: &Path) -> Result<LockEntry> {
    if !is_plain_name(name) || !matches!(ModelChoice::parse(name), ModelChoice::Named(_)) {
        return Err(Error::Usage(format!(
            "{name:?} is no name of a model; one has 1 to 128 letters, digits, dots, dashes, underscores and plus signs"
        )));
    }
    // The models folder is only created for a model.
    let version = inspect(source)?.version;
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let mut lock = Lock::read(folder)?;
    let file = format!("{name}.safetensors");
    if lock.models.contains_key(name) || folder.join(&file).exists() {
        return Err(Error::Usage(format!(
            "there is a model {name} already; give another name"
        )));
    }
    let path = folder.join(&file);
    let choice = ModelChoice::Named(source.display().to_string());
    convert(
        &choice,
        Some(version),
        &path,
        &Target::Safetensors(Dtype::F32),
        false,
    )?;
    let metadata = path.metadata();
    let bytes = metadata.map_err(|error| Error::io("read", &path, error))?.len();
    let entry = LockEntry {
        file,
        url: ADDED.into(),
        sha256: sha256_file(&path)?,
        bytes,
        version: Some(version.name().to_owned()),
    };
    lock.models.insert(name.to_owned(), entry.clone());
    lock.write(folder)?;
    Ok(entry)
}

/// Removes a model from the lock file and its file from `folder`; returns whether there was one.
///
/// # Errors
/// [`Error::Io`].
pub fn remove(folder: &Path, name: &str) -> Result<bool> {
    let mut lock = Lock::read(folder)?;
    let Some(entry) = lock.models.remove(name) else {
        return Ok(false);
    };
    lock.write(folder)?;
    let path = folder.join(&entry.file);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path, error)),
        _ => Ok(true),
    }
}

#[cfg(all(test, feature = "default-weights"))]
mod tests {
    use super::*;
    use crate::models::installed;

    #[test]
    fn weights_become_a_model_with_a_name_and_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (models, source) = (folder.path().join("models"), folder.path().join("mine.bin"));
        std::fs::write(&source, rife_nets::default_weights().unwrap()).unwrap();
        let entry = add(&models, "mine", &source).unwrap();
        assert_eq!(entry.version.as_deref(), Some(rife_nets::Version::DEFAULT.name()));
        let path = installed(&models, "mine").unwrap();
        assert_eq!(path, models.join("mine.safetensors"));
        assert_eq!(inspect(&path).unwrap().sha256, inspect(&source).unwrap().sha256);
        for (name, wrong) in [
            ("mine", "already"),
            ("default", "no name"),
            ("fast", "no name"),
            ("../x", "no name"),
            ("", "no name"),
        ] {
            let error = add(&models, name, &source).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
        assert!(remove(&models, "mine").unwrap());
        assert!(!remove(&models, "mine").unwrap() && !path.exists());
    }

    #[test]
    fn a_file_that_is_no_network_leaves_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (models, source) = (folder.path().join("models"), folder.path().join("text.pkl"));
        std::fs::write(&source, "cos\nsystem\n(S'true'\ntR.").unwrap();
        assert!(add(&models, "text", &source).is_err());
        assert!(!models.exists());
    }
}
