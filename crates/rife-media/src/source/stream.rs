//! Cancellable reader of standard input, named pipes and files: a blocked read ends when its token is cancelled.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::CancelToken;

/// An input that is read sequentially; reads fail once `cancel` is cancelled.
pub(super) struct Stream {
    file: File,
    cancel: CancelToken,
}

/// Reports whether `path` is a named pipe or a link to one (such as `/dev/fd/63` of a shell's `<(command)`).
pub(super) fn is_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

impl Stream {
    /// Opens a regular file or a named pipe, which need not have a writer yet; an error for anything else.
    pub(super) fn open(path: &Path, cancel: &CancelToken) -> io::Result<Self> {
        let file = match is_pipe(path) {
            true => open_pipe(path)?,
            false => rife_files::open_regular(path)?,
        };
        let cancel = cancel.clone();
        Ok(Self { file, cancel })
    }

    /// Opens a duplicate handle of standard input.
    pub(super) fn stdin(cancel: &CancelToken) -> io::Result<Self> {
        #[cfg(unix)]
        let own = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?;
        #[cfg(windows)]
        let own = std::os::windows::io::AsHandle::as_handle(&io::stdin()).try_clone_to_owned()?;
        let (file, cancel) = (own.into(), cancel.clone());
        Ok(Self { file, cancel })
    }

    /// Waits until a read does not block; an error once cancelled. Polls every 50 ms.
    #[cfg(unix)]
    fn wait(&self) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let moment = Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        while !self.cancel.is_cancelled() {
            let mut watched = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut watched, Some(&moment)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        // Readers retry on `ErrorKind::Interrupted`, so the kind is `Other`.
        Err(io::Error::other("cancelled"))
    }

    /// Returns at once: reads are not cancellable on this platform.
    #[cfg(not(unix))]
    fn wait(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a named pipe without waiting for a writer; [`Stream::wait`] waits.
#[cfg(unix)]
fn open_pipe(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    options.open(path)
}

/// Opens a file.
#[cfg(not(unix))]
fn open_pipe(path: &Path) -> io::Result<File> {
    File::open(path)
}

impl Read for Stream {
    /// Reads bytes; an error once cancelled.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.wait()?;
            match self.file.read(buffer) {
                // Another reader of the same pipe took the data.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}
