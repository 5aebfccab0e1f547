//! SHA-256 of inputs and outputs, by which fingerprints and manifests identify them.

use std::fs;
use std::io::Read;
use std::path::Path;

use rife_media::{CancelToken, Input};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Identifies an input: a file by its SHA-256, a folder of images by a hash of names, sizes and modification times (reading
/// all images may take longer than the job). `None` if the input cannot be read twice.
pub(crate) fn input_facts(input: &Input, cancel: &CancelToken) -> Result<Option<String>> {
    match input {
        _ if rife_media::source::is_stream(input) => Ok(None),
        Input::Stdin | Input::Custom(_) => Ok(None),
        Input::File(path) => file_hash(path, cancel).map(Some),
        Input::Images(path) => {
            let folder = if path.is_dir() {
                path.as_path()
            } else {
                path.parent().unwrap_or(Path::new(""))
            };
            folder_hash(folder).map(|hash| Some(format!("{} {hash}", path.display())))
        }
    }
}

/// Computes the SHA-256 of a file in hexadecimal.
pub(crate) fn file_hash(path: &Path, cancel: &CancelToken) -> Result<String> {
    let io = |e| Error::io("read", path, e);
    let mut file = rife_files::open_regular(path).map_err(io)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(hexadecimal(&hasher.finalize())),
            _ if cancel.is_cancelled() => return Err(Error::Cancelled),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Computes the SHA-256 of the sorted names, sizes and modification times of a folder's images.
fn folder_hash(folder: &Path) -> Result<String> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let io = |e| Error::io("read", folder, e);
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let metadata = fs::metadata(entry.path()).map_err(io)?;
        if metadata.is_file() && rife_media::source::is_image_name(&entry.path()) {
            lines.push(format!(
                "{:?} {} {:?}",
                entry.file_name(),
                metadata.len(),
                metadata.modified().ok()
            ));
        }
    }
    lines.sort();
    let mut hasher = Sha256::new();
    lines.iter().for_each(|line| hasher.update(line));
    Ok(hexadecimal(&hasher.finalize()))
}

/// Encodes bytes as lower-case hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
