//! Text to standard output and standard error that survives closed pipes and hostile file names.

use std::io::{self, Write};

use rife::Error;
use rife::media::MediaError;

/// The name that standard output has in errors.
const STDOUT: &str = "standard output";

/// A line on standard output.
///
/// # Errors
/// [`Error::Io`], also for a reader that went away: see [`is_broken_pipe`].
pub(crate) fn line(text: &str) -> rife::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Error::io("write", STDOUT, error))
}

/// A line on standard error; nobody reading it changes nothing.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether the reader of our standard output went away.
pub(crate) fn is_broken_pipe(error: &Error) -> bool {
    match error {
        Error::Io { path, source, .. } => {
            path.as_os_str() == STDOUT && source.kind() == io::ErrorKind::BrokenPipe
        }
        Error::Media(MediaError::Io { source, .. }) => source.kind() == io::ErrorKind::BrokenPipe,
        _ => false,
    }
}

/// Text without control characters, which a file name may hold and a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{FFFD}'
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(super::plain("a\u{1b}[2Jb\nc"), "a\u{FFFD}[2Jb\nc");
    }
}
