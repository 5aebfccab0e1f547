//! Opening of regular files only: reading a named pipe could block forever, reading a device might never end.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file for reading without blocking; follows links.
///
/// # Errors
/// Errors of the file system; [`io::ErrorKind::InvalidInput`] for anything but a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    check(&std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe that has replaced the file since the check must not block either.
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32);
    }
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Opens or creates a file that this program keeps under a fixed name, for reading and writing. A symbolic link is an error;
/// anything else but a regular file without further hard links is replaced by a new file.
///
/// # Errors
/// Errors of the file system, such as that of too many links for a symbolic link.
pub fn open_own(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32);
    }
    for _ in 0..8 {
        let file = options.open(path)?;
        if is_alone(&file.metadata()?) {
            return Ok(file);
        }
        std::fs::remove_file(path)?;
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Reports whether the metadata are those of a regular file without further hard links.
fn is_alone(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    let names = std::os::unix::fs::MetadataExt::nlink(metadata);
    #[cfg(not(unix))]
    let names = 1;
    // 0 where the file was removed after it was opened.
    metadata.is_file() && names <= 1
}

/// Reads a regular file of at most `max_bytes` bytes without blocking; follows links.
///
/// # Errors
/// Errors of the file system; [`io::ErrorKind::InvalidInput`] for anything but a regular file,
/// [`io::ErrorKind::FileTooLarge`] for a longer file.
pub fn read_regular(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let mut content = Vec::new();
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > max_bytes {
        let text = format!("it has more than the {max_bytes} bytes that are read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(content)
}

/// Reads a regular file of at most `max_bytes` bytes as [`read_regular`] does, if it belongs to the user and nobody else can
/// write to it. On Windows every file counts as such.
///
/// # Errors
/// Those of [`read_regular`]; [`io::ErrorKind::PermissionDenied`] for a file that others can write to.
pub fn read_private(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::symlink_metadata(path)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    read_regular(path, max_bytes)
}

/// Returns an error unless the metadata are those of a regular file.
fn check(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let text = format!("it is {}, not a regular file", kind(metadata.file_type()));
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Returns the name of a file type that is not a regular file, for messages.
fn kind(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_dir() {
        "a folder"
    } else {
        "something else"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn pipes_devices_folders_and_links_to_them_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for (name, to) in [("a", "pipe"), ("b", "/dev/zero"), ("c", "."), ("d", "socket")] {
            std::os::unix::fs::symlink(to, path(name)).unwrap();
        }
        for (name, said) in [
            ("pipe", "a named pipe"),
            ("a", "a named pipe"),
            ("b", "a device"),
            ("c", "a folder"),
            ("d", "a socket"),
        ] {
            let error = open_regular(&path(name)).unwrap_err().to_string();
            assert!(error.contains(said), "{name}: {error}");
        }
        std::fs::write(path("file"), "four").unwrap();
        std::fs::hard_link(path("file"), path("hard")).unwrap();
        for name in ["hard", "pipe"] {
            open_own(&path(name)).unwrap().set_len(0).unwrap();
            assert!(path(name).symlink_metadata().unwrap().is_file());
        }
        assert_eq!(std::fs::read(path("file")).unwrap(), b"four");
        assert!(open_own(&path("b")).is_err(), "a link");
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        assert_eq!(read_regular(&path("link"), 4).unwrap(), b"four");
        let error = read_regular(&path("link"), 3).unwrap_err().to_string();
        assert!(error.contains("more than the 3 bytes"), "{error}");
    }
}
