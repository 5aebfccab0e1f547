//! Data folder of the server on disk: `uploads/`, `jobs/ID/{in,out}/`, `rife.db` and a marker file; its lock, quota and free
//! space, and names and media types of stored files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;

/// Name of a second result file of `video` jobs: the confidence of each interpolated frame.
pub(crate) const CONFIDENCE: &str = "confidence.json";
/// Name of a second result file of `report` jobs: the measurements.
pub(crate) const REPORT: &str = "report.json";
/// Name of a third result file of `report` jobs: pictures of the worst frames.
pub(crate) const WORST: &str = "worst.json";

/// Reports whether a result file is listed beside a main one.
pub(crate) fn is_side_file(name: &str) -> bool {
    [CONFIDENCE, REPORT, WORST].contains(&name)
}

/// Data folder of the server.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
}

/// Name of the marker file of a data folder.
const MARKER: &str = "rife-server";
/// Content of the marker file.
const MARKER_TEXT: &str = "This folder belongs to rife serve, which keeps uploads, jobs and its database here and removes \
                           what is old. Other files do not belong here.\n";
/// Entries of a new file system, which may be in an empty data folder.
const IGNORED_ENTRIES: [&str; 1] = ["lost+found"];
/// Time to wait for another server's lock on the folder.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of the spare file, which is removed for the database when the disk is full.
const SPARE_BYTES: usize = 2 << 20;

impl Store {
    /// Opens the data folder `root`, creating what is missing, and returns it with its exclusive lock: two servers on one
    /// folder would run the same jobs.
    ///
    /// # Errors
    /// A folder that is not empty and not a data folder; a folder that another server uses; an I/O error.
    pub(crate) fn open(root: &Path) -> io::Result<(Self, File)> {
        create_private(root)?;
        let root = root.canonicalize()?;
        claim(&root)?;
        for folder in ["uploads", "jobs"] {
            create_private(&root.join(folder))?;
        }
        let lock = private_file().truncate(false).open(root.join("lock"))?;
        lock_with_timeout(&lock)?;
        // SQLite creates its write-ahead log with the permissions of this file.
        private_file().truncate(false).open(root.join("rife.db"))?;
        let store = Self { root };
        store.ensure_spare();
        Ok((store, lock))
    }

    /// Returns the folder in which files of a model are read, and which exists only meanwhile.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    /// Returns the path of the spare file, which is removed when the database finds the disk full.
    pub(crate) fn spare(&self) -> PathBuf {
        self.root.join("spare")
    }

    /// Creates the spare file if it is missing and the disk has enough free space.
    pub(crate) fn ensure_spare(&self) {
        if self.spare().exists() || self.free_bytes() < 4 * SPARE_BYTES as u64 {
            return;
        }
        let written = private_file()
            .truncate(true)
            .open(self.spare())
            .and_then(|mut file| file.write_all(&vec![0; SPARE_BYTES]));
        if written.is_err() {
            let _ = fs::remove_file(self.spare());
        }
    }

    /// Returns the names of the entries of `folder` in two lists: valid ids with the prefix `kind` (`up`, `job`), with or
    /// without an extension, and all others.
    pub(crate) fn listing(&self, folder: &str, kind: &str) -> io::Result<(Vec<String>, Vec<String>)> {
        let names = fs::read_dir(self.root.join(folder))?.map(|entry| Ok(entry?.file_name()));
        let names: Vec<_> = names.collect::<io::Result<_>>()?;
        let names = names.iter().map(|name| name.to_string_lossy().into_owned());
        Ok(names.partition(|name| crate::ids::is_valid(name.split('.').next().unwrap_or(""), kind)))
    }

    /// Returns the path of the data folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the database.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("rife.db")
    }

    /// Returns the path of the file of upload `id`.
    pub(crate) fn upload(&self, id: &str, extension: &str) -> PathBuf {
        self.root.join("uploads").join(format!("{id}.{extension}"))
    }

    /// Searches the file of upload `id` on disk and returns its name.
    pub(crate) fn find_upload_file(&self, id: &str) -> io::Result<Option<String>> {
        let (names, _) = self.listing("uploads", "up")?;
        Ok(names.into_iter().find(|name| name.split('.').next() == Some(id)))
    }

    /// Returns the path of the folder of job `id`.
    pub(crate) fn job(&self, id: &str) -> PathBuf {
        self.root.join("jobs").join(id)
    }

    /// Returns the path of the hard link of job `id` to its input `index`, counted from 0.
    pub(crate) fn input(&self, id: &str, index: usize, extension: &str) -> PathBuf {
        self.job(id).join("in").join(format!("{index:05}.{extension}"))
    }

    /// Returns the path of the folder with the results of job `id`.
    pub(crate) fn output(&self, id: &str) -> PathBuf {
        self.job(id).join("out")
    }

    /// Returns the bytes on disk of all uploads and jobs; hard links to the same file count once.
    pub(crate) fn used_bytes(&self) -> u64 {
        let mut seen = std::collections::HashSet::new();
        ["uploads", "jobs"]
            .iter()
            .map(|folder| disk_usage(&self.root.join(folder), &mut seen))
            .sum()
    }

    /// Returns the free bytes of the file system.
    pub(crate) fn free_bytes(&self) -> u64 {
        free(&self.root)
    }

    /// Returns the bytes that can still be stored within `quota` and with `min_free` bytes left on the disk, after `reserved`
    /// bytes that incomplete uploads may still receive.
    pub(crate) fn available_bytes(&self, reserved: u64, quota: u64, min_free: u64) -> u64 {
        let quota = quota.saturating_sub(self.used_bytes());
        quota
            .min(self.free_bytes().saturating_sub(min_free))
            .saturating_sub(reserved)
    }

    /// Returns an error if `more` bytes, besides those stored and the `reserved` ones of incomplete uploads, would exceed
    /// `quota` or leave less than `min_free` bytes on the disk.
    pub(crate) fn check_quota(&self, more: u64, reserved: u64, quota: u64, min_free: u64) -> Result<()> {
        let used = self.used_bytes().saturating_add(reserved);
        if used.saturating_add(more) > quota {
            let pairs = [("used", used.into()), ("quota", quota.into())];
            return Err(ApiError::because(Code::Quota, Reason::QuotaUsed, pairs));
        }
        if self.free_bytes() < min_free.saturating_add(reserved).saturating_add(more) {
            return Err(ApiError::because(Code::Quota, Reason::DiskFull, []));
        }
        Ok(())
    }
}

/// Returns the bytes of all files below `folder`; `seen` has the device and inode of files with several hard links that have
/// been counted.
fn disk_usage(folder: &Path, seen: &mut std::collections::HashSet<(u64, u64)>) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_usage(&entry.path(), seen),
            Ok(metadata) if is_first_link(&metadata, seen) => metadata.len(),
            _ => 0,
        })
        .sum()
}

/// Reports whether no hard link to the same file has been counted before.
#[cfg(unix)]
fn is_first_link(metadata: &fs::Metadata, seen: &mut std::collections::HashSet<(u64, u64)>) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.nlink() == 1 || seen.insert((metadata.dev(), metadata.ino()))
}

/// Reports `true`: hard links are not recognised here.
#[cfg(not(unix))]
fn is_first_link(_: &fs::Metadata, _: &mut std::collections::HashSet<(u64, u64)>) -> bool {
    true
}

/// Returns the bytes that the file system of `path` has available for this user.
#[cfg(unix)]
fn free(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Returns `u64::MAX`: free space is not measured on systems other than Unix, and never limits what is stored.
#[cfg(not(unix))]
fn free(_: &Path) -> u64 {
    u64::MAX
}

/// Locks a file exclusively, waiting up to [`LOCK_TIMEOUT`]: a child process of a server that has just ended may still hold
/// the lock.
fn lock_with_timeout(lock: &File) -> io::Result<()> {
    let until = Instant::now() + LOCK_TIMEOUT;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(LOCK_TIMEOUT / 20)
            }
            Err(fs::TryLockError::WouldBlock) => {
                let text = "another rife serve uses this folder";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Marks a folder as a data folder if it is empty or has a database of the server; returns an error for any other folder that
/// is not marked, whose files must not be touched.
fn claim(root: &Path) -> io::Result<()> {
    if root.join(MARKER).is_file() {
        return Ok(());
    }
    let names = fs::read_dir(root)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
    names.retain(|name| !IGNORED_ENTRIES.contains(&name.as_str()));
    names.sort_unstable();
    if !names.is_empty() && !crate::state::db::Db::is_database(&root.join("rife.db")) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            not_a_data_folder(&names),
        ));
    }
    private_file()
        .create_new(true)
        .open(root.join(MARKER))?
        .write_all(MARKER_TEXT.as_bytes())
}

/// Returns the error message for a folder with the entries `names`.
fn not_a_data_folder(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(3).map(|name| format!("{name:?}")).collect();
    let more = match names.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "it is no folder of rife serve (there is neither its file \"{MARKER}\" nor its database in it) and it is not \
         empty: it has {}{more}; name a new folder, or an empty one",
        shown.join(", ")
    )
}

/// Creates a folder with mode 0700; an existing one keeps its permissions.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Returns options that create a file with mode 0600 and open it for reading and writing.
fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a hard link, or a copy if the file system does not support links.
pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

/// Removes a folder with its content; a missing folder is not an error.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Extensions that the media crate recognises; files with any other are stored as `bin` and recognised by content.
const STORED_EXTENSIONS: [&str; 30] = [
    "mp4", "m4v", "mov", "qt", "mkv", "webm", "avi", "ts", "m2ts", "mts", "gif", "nut", "y4m", "flv", "ogv",
    "ogg", "mpg", "mpeg", "wmv", "asf", "mxf", "3gp", "3g2", "png", "jpg", "jpeg", "webp", "tif", "tiff",
    "exr",
];

/// Returns the extension with which a file called `name` is stored.
pub(crate) fn extension(name: &str) -> &'static str {
    let given = name
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_ascii_lowercase();
    STORED_EXTENSIONS
        .iter()
        .find(|known| **known == given)
        .copied()
        .unwrap_or("bin")
}

/// Reports whether `name` has the extension of a picture.
pub(crate) fn is_picture(name: &str) -> bool {
    matches!(
        extension(name),
        "png" | "jpg" | "jpeg" | "webp" | "tif" | "tiff" | "exr"
    )
}

/// Returns the extension of a job's result file called `name`.
pub(crate) fn result_extension(name: &str) -> &'static str {
    if is_side_file(name) {
        "json"
    } else {
        extension(name)
    }
}

/// Returns the media type of a stored file; never one whose content a browser executes.
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

/// Returns a client's file name without folders and control characters, cut to its last 120 characters.
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
