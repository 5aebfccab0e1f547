//! Folder of an unfinished job, `OUT.EXT.rife-part`: its name, the names of its files, their SHA-256, and crash injection.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{MediaError, Result};

/// Name of the log file in the folder of an unfinished job.
pub(crate) const FRAME_LOG: &str = "unfinished.frames";

/// Name of the log file in the folder of an unfinished job.
pub(crate) const IMAGE_LOG: &str = "pictures";

/// Name of the file that is locked while the job runs.
pub(crate) const LOCK: &str = "lock";

/// Returns the folder of an unfinished job with the output `target`.
pub fn folder(target: &Path) -> PathBuf {
    rife_files::beside(target, "", ".rife-part")
}

/// Reports whether the folder exists; an error where its name belongs to something else.
pub(crate) fn is_folder(folder: &Path) -> Result<bool> {
    match folder.symlink_metadata() {
        Ok(there) if there.is_dir() => Ok(true),
        Ok(_) => Err(refused(
            folder,
            "it is in the way: an unfinished job is kept in a folder of this name",
        )),
        Err(_) => Ok(false),
    }
}

/// Returns the error for a folder that cannot be used.
pub(crate) fn refused(folder: &Path, reason: &str) -> MediaError {
    let reason = format!("{reason}; remove the folder, or choose another output");
    MediaError::unreadable(folder, reason)
}

/// Returns the SHA-256 of a file in hexadecimal, and its size in bytes.
pub(crate) fn sha256(path: &Path) -> Result<(String, u64)> {
    let io = |e| MediaError::io("read", path, e);
    let mut file = rife_files::open_regular(path).map_err(io)?;
    let mut hasher = Sha256::new();
    let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0);
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => break,
            count => {
                hasher.update(&buffer[..count]);
                bytes += count as u64;
            }
        }
    }
    Ok((hexadecimal(hasher), bytes))
}

/// Returns the SHA-256 of bytes in hexadecimal.
pub(crate) fn sha256_of(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

/// Finishes a hash and formats it in hexadecimal.
fn hexadecimal(hasher: Sha256) -> String {
    let bytes = hasher.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Crash injection for tests, called after every write that a job's state depends on: builds with debug assertions kill their
/// process after the write whose number is in `RIFE_TEST_KILL_AT_WRITE`.
pub(crate) fn wrote() {
    #[cfg(all(debug_assertions, unix))]
    {
        use std::sync::atomic::{AtomicU64, Ordering};
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let number = WRITES.fetch_add(1, Ordering::SeqCst) + 1;
        let fatal = std::env::var("RIFE_TEST_KILL_AT_WRITE").ok();
        if fatal.and_then(|text| text.parse().ok()) == Some(number) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
}
