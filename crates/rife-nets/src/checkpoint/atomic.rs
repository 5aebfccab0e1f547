//! Files that are whole or not there: written beside their name and renamed when complete.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Removes the unfinished file when writing ends early.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Writes `path` by way of a file beside it: after any failure or kill `path` is what it was before.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let (unfinished, mut file) = create_beside(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&unfinished.0, path)?;
    sync_folder(path)
}

fn create_beside(path: &Path) -> io::Result<(Unfinished, File)> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}-{number}.part", std::process::id()));
    let beside = path.with_file_name(hidden);
    // A part left by a killed process of the same number is ours to replace.
    let _ = fs::remove_file(&beside);
    let file = OpenOptions::new().write(true).create_new(true).open(&beside)?;
    Ok((Unfinished(beside), file))
}

/// Makes the rename last through a power cut, where the system knows how.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
