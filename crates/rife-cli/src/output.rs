//! Output of text to standard output and standard error, or to a function where a command is called as one; robust against
//! closed pipes and control characters in file names.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use clap::ColorChoice;
use indicatif::{ProgressBar, WeakProgressBar};
use rife::Error;
use rife::media::{MediaError, Output};

/// A line of a captured command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// For standard output: a line of JSON with `--json`.
    Line(&'a str),
    /// For standard error.
    Note(&'a str),
}

/// The function that gets a command's lines.
type Listener = Box<dyn FnMut(Said<'_>)>;

thread_local! {
    /// The function that gets the lines of this thread's command.
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

/// Runs `work`; what it would print on this thread goes to `listener`.
pub(crate) fn captured<T>(listener: impl FnMut(Said<'_>) + 'static, work: impl FnOnce() -> T) -> T {
    /// Restores printing, also if the work panics.
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            LISTENER.set(None);
        }
    }
    LISTENER.set(Some(Box::new(listener)));
    let _restore = Restore;
    work()
}

/// Reports whether this thread's command is captured.
pub(crate) fn is_captured() -> bool {
    LISTENER.with_borrow(Option::is_some)
}

/// Passes a line to the listener; reports whether there is one.
fn tell(said: Said<'_>) -> bool {
    LISTENER.with_borrow_mut(|listener| listener.as_mut().map(|listener| listener(said)).is_some())
}

/// Name of standard output in errors.
const STDOUT: &str = "standard output";

/// How much a command says on standard error besides errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Verbosity {
    /// Nothing.
    Quiet,
    /// The plan in short, progress, and the result.
    #[default]
    Normal,
    /// The plan with all details, too.
    Verbose,
}

/// The verbosity of this process; [`Verbosity::Normal`] until it is set.
static VERBOSITY: OnceLock<Verbosity> = OnceLock::new();

/// Sets the verbosity of this process, once.
pub(crate) fn set_verbosity(verbosity: Verbosity) {
    let _ = VERBOSITY.set(verbosity);
}

/// Returns the verbosity of this process.
pub(crate) fn verbosity() -> Verbosity {
    VERBOSITY.get().copied().unwrap_or_default()
}

/// The progress bar on the terminal, if there is one.
static BAR: LazyLock<Mutex<WeakProgressBar>> = LazyLock::new(Mutex::default);

/// Sets the progress bar above which lines are written.
pub(crate) fn set_bar(bar: &ProgressBar) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar.downgrade();
}

/// Whether errors on standard error are coloured.
static COLOR: AtomicBool = AtomicBool::new(false);

/// Returns the choice of `--color` in arguments that are not parsed yet, else that of `RIFE_COLOR`.
pub(crate) fn color_of(args: &[OsString]) -> ColorChoice {
    let mut found = std::env::var("RIFE_COLOR").ok();
    for (index, arg) in args.iter().enumerate() {
        match arg.to_str() {
            Some("--") => break,
            Some("--color") => {
                found = args
                    .get(index + 1)
                    .and_then(|word| Some(word.to_str()?.to_owned()))
            }
            Some(arg) => found = arg.strip_prefix("--color=").map(str::to_owned).or(found),
            None => {}
        }
    }
    found.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Sets whether errors are coloured.
pub(crate) fn set_color(choice: ColorChoice) {
    let no_color = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let on = match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => io::stderr().is_terminal() && !no_color(),
    };
    COLOR.store(on, Ordering::Relaxed);
}

/// Returns the name of the program in front of an error, in red where colours are on.
pub(crate) fn error_prefix() -> &'static str {
    match COLOR.load(Ordering::Relaxed) {
        true => "\u{1b}[1;31mrife:\u{1b}[0m",
        false => "rife:",
    }
}

/// Reports whether only errors are printed to standard error.
pub(crate) fn is_quiet() -> bool {
    verbosity() == Verbosity::Quiet
}

/// Writes a line to standard error unless [quiet](is_quiet); failures are ignored.
pub(crate) fn say(text: &str) {
    if !is_quiet() {
        note(text);
    }
}

/// Writes a line to standard output.
///
/// # Errors
/// [`Error::Io`], also if the reader has closed the pipe: see [`is_broken_pipe`].
pub(crate) fn line(text: &str) -> rife::Result<()> {
    if tell(Said::Line(text)) {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Error::io("write", STDOUT, error))
}

/// Refuses standard output as the destination of frames if it is a terminal.
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

/// Writes a line to standard error, also where [quiet](is_quiet): an error or a warning; failures are ignored.
pub(crate) fn note(text: &str) {
    if tell(Said::Note(text)) {
        return;
    }
    to_stderr(text);
}

/// Writes a line to standard error, above the progress bar if there is one; failures are ignored.
pub(crate) fn to_stderr(text: &str) {
    let write = || {
        let _ = writeln!(io::stderr(), "{text}");
    };
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    match bar.filter(|bar| !bar.is_finished()) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Reports whether an error is due to the reader of standard output having closed the pipe.
pub(crate) fn is_broken_pipe(error: &Error) -> bool {
    match error {
        Error::Io { path, source, .. } => {
            path.as_os_str() == STDOUT && source.kind() == io::ErrorKind::BrokenPipe
        }
        Error::Media(MediaError::Io { source, .. }) => source.kind() == io::ErrorKind::BrokenPipe,
        _ => false,
    }
}

/// Replaces control characters other than line feeds (see [`rife_files::one_line`]). File names in the text must be single
/// lines already: see [`rife_files::shown`].
pub(crate) fn plain(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(rife_files::one_line).collect();
    lines.join("\n")
}

/// Replaces control characters including line feeds, for errors that contain file names.
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
