//! The folders of the server, and how much they hold. A marker says that they are its own; nothing else is touched.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;

/// Beside a job's result: how far each made frame is to be trusted.
pub(crate) const CONFIDENCE: &str = "confidence.json";

/// Where everything is.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
}

/// The file that says that a folder is a server's.
const MARKER: &str = "rife-server";
const MARKER_TEXT: &str = "This folder belongs to rife serve, which keeps uploads, jobs and its database here and removes \
                           what is old. Other files do not belong here.\n";
/// What a new file system has in it already.
const OF_THE_SYSTEM: [&str; 1] = ["lost+found"];
/// How long another server may take to let go of the folder.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of the file that makes room for the database where the disk is full.
const SPARE: usize = 2 << 20;

impl Store {
    /// Opens `root`, creating what is missing, and locks it: two servers on one folder would run the same jobs.
    ///
    /// # Errors
    /// A folder that has something in it and is no server's; another server that uses it; what the system says.
    pub(crate) fn open(root: &Path) -> io::Result<(Self, File)> {
        create_private(root)?;
        let root = root.canonicalize()?;
        claim(&root)?;
        for folder in ["uploads", "jobs"] {
            create_private(&root.join(folder))?;
        }
        let lock = private_file().truncate(false).open(root.join("lock"))?;
        wait_for(&lock)?;
        // SQLite gives the files beside it the same rights.
        private_file().truncate(false).open(root.join("rife.db"))?;
        let store = Self { root };
        store.keep_spare();
        Ok((store, lock))
    }

    /// The file that is removed where the database finds no room.
    pub(crate) fn spare(&self) -> PathBuf {
        self.root.join("spare")
    }

    /// Makes the spare file, where it is not there and there is room for it.
    pub(crate) fn keep_spare(&self) {
        if self.spare().exists() || self.free() < 4 * SPARE as u64 {
            return;
        }
        let written = private_file()
            .truncate(true)
            .open(self.spare())
            .and_then(|mut file| file.write_all(&vec![0; SPARE]));
        if written.is_err() {
            let _ = fs::remove_file(self.spare());
        }
    }

    /// The names of the entries of a folder in the store, in two lists: those that are ids of this kind (`upload`, `job`), with or
    /// without an extension, and all others.
    pub(crate) fn listing(&self, folder: &str, kind: &str) -> io::Result<(Vec<String>, Vec<String>)> {
        let names = fs::read_dir(self.root.join(folder))?.map(|entry| Ok(entry?.file_name()));
        let names: Vec<_> = names.collect::<io::Result<_>>()?;
        let names = names.iter().map(|name| name.to_string_lossy().into_owned());
        Ok(names.partition(|name| crate::ids::is_valid(name.split('.').next().unwrap_or(""), kind)))
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

    /// What the file of an upload is called, where there is one.
    pub(crate) fn file_of(&self, id: &str) -> io::Result<Option<String>> {
        let (names, _) = self.listing("uploads", "up")?;
        Ok(names.into_iter().find(|name| name.split('.').next() == Some(id)))
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

/// Locks a file. A server that has just ended may hold it for a moment more: a child that it was starting has it too.
fn wait_for(lock: &File) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(PATIENCE / 20),
            Err(fs::TryLockError::WouldBlock) => {
                let text = "another rife serve uses this folder";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Takes a folder for the server's own: one that is marked, one that has its database, or one with nothing in it. The
/// files of anybody else are not to be touched.
fn claim(root: &Path) -> io::Result<()> {
    if root.join(MARKER).is_file() {
        return Ok(());
    }
    let names = fs::read_dir(root)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
    names.retain(|name| !OF_THE_SYSTEM.contains(&name.as_str()));
    names.sort_unstable();
    if !names.is_empty() && !crate::state::db::Db::is_ours(&root.join("rife.db")) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, foreign(&names)));
    }
    private_file()
        .create_new(true)
        .open(root.join(MARKER))?
        .write_all(MARKER_TEXT.as_bytes())
}

fn foreign(names: &[String]) -> String {
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

/// Creates a folder that other users of the machine have no business in. One that is there keeps its rights.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// How files are opened that only the server's user may read.
fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
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

/// Whether a file of this name is a picture.
pub(crate) fn is_picture(name: &str) -> bool {
    matches!(
        extension(name),
        "png" | "jpg" | "jpeg" | "webp" | "tif" | "tiff" | "exr"
    )
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
