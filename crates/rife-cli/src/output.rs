//! Text to standard output and standard error that survives closed pipes and hostile file names.

use std::io::{self, IsTerminal, Write};

use rife::Error;
use rife::media::{MediaError, Output};

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

/// Refuses to write frames to a terminal.
///
/// # Errors
/// [`Error::Usage`].
pub(crate) fn check_stdout(output: &Output) -> rife::Result<()> {
    if *output == Output::Stdout && io::stdout().is_terminal() {
        let text = "frames are not written to a terminal: pipe them to a program, as in -o - | ffplay -, or name a file";
        return Err(Error::Usage(text.into()));
    }
    Ok(())
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

/// Lines without what a terminal would obey (see [`rife_files::one_line`]). Names in them are to be single lines already:
/// see [`rife_files::shown`].
pub(crate) fn plain(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(rife_files::one_line).collect();
    lines.join("\n")
}

/// One line of it: for errors, which hold names.
pub(crate) fn one_line(text: &str) -> String {
    rife_files::one_line(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(super::plain("a\u{1b}[2Jb\nc"), "a\u{FFFD}[2Jb\nc");
    }
}
