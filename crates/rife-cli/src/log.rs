//! Log (`tracing`) on standard error: a line for each event of the library and the server, as text or as a JSON object.

use std::io::{self, Write};

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::output::{self, Verbosity};

/// Least severe level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Form of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Time, level, message, fields.
    Text,
    /// A JSON object.
    Json,
}

impl LogLevel {
    /// Returns the level of a command without `--log-level`: a server logs what happens, other commands say it themselves.
    pub(crate) fn of(verbosity: Verbosity, server: bool) -> Self {
        match verbosity {
            Verbosity::Quiet => Self::Error,
            Verbosity::Normal if server => Self::Info,
            Verbosity::Normal => Self::Warn,
            Verbosity::Verbose => Self::Debug,
        }
    }

    /// Returns the level as `tracing` has it.
    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// Starts the log of this process, unless the program that contains it has one already. Other crates log nothing.
pub(crate) fn start(level: LogLevel, format: LogFormat) {
    let ours = Targets::new().with_target("rife", level.filter());
    let lines = fmt::layer()
        .with_writer(Stderr)
        .with_target(false)
        .with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(ours))
        .try_init();
}

/// Standard error without the control characters that a client or a file name could put into a line, above the progress bar.
#[derive(Debug, Clone, Copy)]
struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    /// Returns the writer of one line.
    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for Stderr {
    /// Writes one line, which `tracing-subscriber` passes as a whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        output::to_stderr(&escape(String::from_utf8_lossy(line).trim_end_matches('\n')));
        Ok(line.len())
    }

    /// Does nothing: standard error has no buffer.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Escapes control characters, line separators and bidirectional formatting characters.
fn escape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_cannot_forge_a_line() {
        assert_eq!(super::escape("a\nb\x1b[2J\u{202e}c"), "a\\nb\\u{1b}[2J\\u{202e}c");
    }
}
