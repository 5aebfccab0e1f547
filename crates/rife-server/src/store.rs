//! The folders of the server, and how much they hold. Every name in them is the server's own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;

/// Beside a job's result: how far each made frame is to be trusted.
pub(crate) const CONFIDENCE: &str = "confidence.json";

/// Where everything is.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens `root`, creating what is missing, and locks it: two servers on one folder would run the same jobs.
    pub(crate) fn open(root: &Path) -> io::Result<(Self, File)> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        for folder in ["uploads", "jobs"] {
            fs::create_dir_all(root.join(folder))?;
        }
        private(&root)?;
        let lock = File::create(root.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::WouldBlock, "another rife serve uses this folder")
            }
            fs::TryLockError::Error(error) => error,
        })?;
        Ok((Self { root }, lock))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("rife.db")
    }

    pub(crate) fn upload(&self, id: &str, extension: &str) -> PathBuf {
        self.root.join("uploads").join(format!("{id}.{extension}"))
    }

    pub(crate) fn job(&self, id: &str) -> PathBuf {
        self.root.join("jobs").join(id)
    }

    /// The job's own link to its input, by place.
    pub(crate) fn input(&self, id: &str, index: usize, extension: &str) -> PathBuf {
        self.job(id).join("in").join(format!("{index:05}.{extension}"))
    }

    pub(crate) fn output(&self, id: &str) -> PathBuf {
        self.job(id).join("out")
    }

    /// Bytes that uploads and jobs take; what several of them share counts once.
    pub(crate) fn used(&self) -> u64 {
        let mut seen = std::collections::HashSet::new();
        ["uploads", "jobs"]
            .iter()
            .map(|folder| bytes_in(&self.root.join(folder), &mut seen))
            .sum()
    }

    /// Bytes that are free on the disk.
    pub(crate) fn free(&self) -> u64 {
        free(&self.root)
    }

    /// How many bytes may still come, with `promised` bytes to come already.
    pub(crate) fn room(&self, promised: u64, quota: u64, floor: u64) -> u64 {
        let quota = quota.saturating_sub(self.used());
        quota
            .min(self.free().saturating_sub(floor))
            .saturating_sub(promised)
    }

    /// Refuses what does not fit, with `more` bytes to come beside what is there and promised.
    pub(crate) fn check_room(&self, more: u64, promised: u64, quota: u64, floor: u64) -> Result<()> {
        let used = self.used().saturating_add(promised);
        if used.saturating_add(more) > quota {
            let pairs = [("used", used.into()), ("quota", quota.into())];
            return Err(ApiError::because(Code::Quota, Reason::QuotaUsed, pairs));
        }
        if self.free() < floor.saturating_add(promised).saturating_add(more) {
            return Err(ApiError::because(Code::Quota, Reason::DiskFull, []));
        }
        Ok(())
    }
}

fn bytes_in(folder: &Path, seen: &mut std::collections::HashSet<(u64, u64)>) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path(), seen),
            Ok(metadata) if is_new(&metadata, seen) => metadata.len(),
            _ => 0,
        })
        .sum()
}

#[cfg(unix)]
fn is_new(metadata: &fs::Metadata, seen: &mut std::collections::HashSet<(u64, u64)>) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.nlink() == 1 || seen.insert((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn is_new(_: &fs::Metadata, _: &mut std::collections::HashSet<(u64, u64)>) -> bool {
    true
}

#[cfg(unix)]
fn free(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> u64 {
    u64::MAX
}

/// Other users of the machine have no business in it.
#[cfg(unix)]
fn private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A second name for a file, or a copy where the file system has no links.
pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

/// Removes a folder with everything in it; one that is not there is removed already.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Extensions that a stored file may have: what the media layer goes by. All else is `bin`, and known by its content.
const EXTENSIONS: [&str; 30] = [
    "mp4", "m4v", "mov", "qt", "mkv", "webm", "avi", "ts", "m2ts", "mts", "gif", "nut", "y4m", "flv", "ogv",
    "ogg", "mpg", "mpeg", "wmv", "asf", "mxf", "3gp", "3g2", "png", "jpg", "jpeg", "webp", "tif", "tiff",
    "exr",
];

/// The extension that a file called `name` is stored with.
pub(crate) fn extension(name: &str) -> &'static str {
    let given = name
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_ascii_lowercase();
    EXTENSIONS
        .iter()
        .find(|known| **known == given)
        .copied()
        .unwrap_or("bin")
}

/// The extension of a job's own file called `name`.
pub(crate) fn own_extension(name: &str) -> &'static str {
    if name == CONFIDENCE {
        "json"
    } else {
        extension(name)
    }
}

/// The media type of a stored file; never one that a browser runs.
pub(crate) fn media_type(extension: &str) -> &'static str {
    match extension {
        "mp4" | "m4v" => "video/mp4",
        "mov" | "qt" => "video/quicktime",
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        "ogv" | "ogg" => "video/ogg",
        "avi" => "video/x-msvideo",
        "ts" | "m2ts" | "mts" => "video/mp2t",
        "mpg" | "mpeg" => "video/mpeg",
        "flv" => "video/x-flv",
        "wmv" | "asf" => "video/x-ms-wmv",
        "3gp" | "3g2" => "video/3gpp",
        "mxf" => "application/mxf",
        "gif" => "image/gif",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "tif" | "tiff" => "image/tiff",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

/// A client's name for a file as a label: no folders, no control characters, no more than 120 characters.
pub(crate) fn label(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or("");
    let kept: String = last.chars().filter(|c| !c.is_control()).collect();
    let kept = kept.trim().trim_matches('.');
    if kept.is_empty() {
        return "file".into();
    }
    let count = kept.chars().count();
    // The end has the extension.
    kept.chars().skip(count.saturating_sub(120)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_and_nothing_else() {
        assert_eq!(label("../../etc/passwd"), "passwd");
        assert_eq!(label("C:\\a\\b\u{1b}[2J.mp4"), "b[2J.mp4");
        assert_eq!(
            (label(""), label(".."), label("/")),
            ("file".into(), "file".into(), "file".into())
        );
        assert_eq!(label(&("a".repeat(500) + ".mp4")).len(), 120);
        assert_eq!(extension("x.MP4"), "mp4");
        assert_eq!(
            (extension("x.html"), extension("mp4"), extension("a.mp4/../x")),
            ("bin", "bin", "bin")
        );
        assert_eq!(media_type("html"), "application/octet-stream");
    }
}
