//! Cancellable reads: from standard input, from named pipes, and from files, none of which waits longer than until the
//! user asks to stop.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::CancelToken;

/// Something that is read from start to end.
pub(super) struct Stream {
    file: File,
    cancel: CancelToken,
}

/// Whether `path` is a named pipe, through links too (as `/dev/fd/63` of a shell's `<(command)` is).
pub(super) fn is_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        std::fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

impl Stream {
    /// A regular file or a named pipe, which need not have a writer yet; all else is refused.
    pub(super) fn open(path: &Path, cancel: &CancelToken) -> io::Result<Self> {
        let file = match is_pipe(path) {
            true => open_pipe(path)?,
            false => rife_files::open_regular(path)?,
        };
        let cancel = cancel.clone();
        Ok(Self { file, cancel })
    }

    /// Standard input.
    pub(super) fn stdin(cancel: &CancelToken) -> io::Result<Self> {
        #[cfg(unix)]
        let own = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?;
        #[cfg(windows)]
        let own = std::os::windows::io::AsHandle::as_handle(&io::stdin()).try_clone_to_owned()?;
        let (file, cancel) = (own.into(), cancel.clone());
        Ok(Self { file, cancel })
    }

    /// Waits until there is something to read, or the end.
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
        // Another kind would be tried again.
        Err(io::Error::other("cancelled"))
    }

    #[cfg(not(unix))]
    fn wait(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a pipe without waiting for somebody to write to it; [`Stream::wait`] does that.
#[cfg(unix)]
fn open_pipe(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    options.open(path)
}

#[cfg(not(unix))]
fn open_pipe(path: &Path) -> io::Result<File> {
    File::open(path)
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.wait()?;
            match self.file.read(buffer) {
                // Another reader of the same pipe was quicker.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}
