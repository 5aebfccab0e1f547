//! Error reporting: exit codes, error text with hints for people, and JSON for programs.

use std::ffi::OsString;

use rife::media::MediaError;
use rife::{Error, ErrorKind};
use serde_json::json;

use crate::{output, spelling};

/// Returns the exit code of a kind of failure.
pub fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Failure => 1,
        ErrorKind::Usage => 2,
        ErrorKind::Input => 3,
        ErrorKind::Output => 4,
        ErrorKind::Model => 5,
        ErrorKind::Cancelled => 130,
    }
}

/// Prints clap's error on `arguments`, help or version; returns the exit code (0 for help and version).
pub(crate) fn parsing(mut error: clap::Error, arguments: impl Iterator<Item = OsString>) -> u8 {
    spelling::suggest(&mut error);
    let text = error.render().to_string();
    let plain = output::plain(&arguments.fold(text.clone(), without_forgeries));
    if plain == text {
        let _ = error.print();
    } else {
        output::note(plain.trim_end());
    }
    if error.use_stderr() { 2 } else { 0 }
}

/// Replaces, in an error text, an argument that the text repeats by a single-line form, so that line breaks in it cannot
/// imitate other messages.
fn without_forgeries(text: String, argument: OsString) -> String {
    let argument = argument.to_string_lossy();
    let option = argument.split('=').next().unwrap_or_default();
    [&*argument, option].into_iter().fold(text, |text, word| {
        let line = output::one_line(word);
        if line == word {
            text
        } else {
            text.replace(word, &line)
        }
    })
}

/// Prints an error with a hint, and with `json` as an object too; returns its exit code. A closed pipe of standard output is
/// no failure.
pub(crate) fn failed(error: &Error, json: bool) -> u8 {
    if output::is_broken_pipe(error) {
        return 0;
    }
    if json {
        let _ = output::line(
            &json!({"event": "error", "code": error.code(), "message": error.to_string()}).to_string(),
        );
    }
    let prefix = output::error_prefix();
    output::note(&format!("{prefix} {}", output::one_line(&error.to_string())));
    if let Some(hint) = hint(error) {
        output::note(&format!("{prefix} {}", output::one_line(&hint)));
    }
    code(error.kind())
}

/// Returns a hint on the option or command that helps; the library's errors do not name any.
pub fn hint(error: &Error) -> Option<String> {
    let text = match error {
        Error::Media(MediaError::Interlaced { .. }) => {
            "--deinterlace does it here, --inverse-telecine for film in it; --allow-interlaced takes the video as it is"
        }
        Error::Device(_) => "rife devices lists GPUs, and --device cpu uses none",
        Error::Media(MediaError::Unsupported(text)) if text.contains("is a network address") => {
            "--protocol NAME allows one, such as --protocol rtsp"
        }
        Error::Media(MediaError::SegmentHeaders) => "--no-resume encodes in one piece",
        Error::Media(MediaError::Changed { .. }) => "--restart starts over",
        Error::RateAndFactor => "--slow-motion plays the frames of --factor at the rate of --fps",
        Error::Warnings(_) => "without --strict warnings are told and are no failure",
        Error::Media(MediaError::Limit { what, .. }) if what == "the memory of this job" => {
            "--memory-limit makes large pictures in tiles"
        }
        Error::NotPulled {
            name, known: true, ..
        } => return Some(format!("rife models pull {name} fetches it")),
        Error::HashChanged { found, remedy, .. } if remedy.starts_with("pull it with") => {
            return Some(format!("--sha256 {found} accepts it"));
        }
        _ => return None,
    };
    Some(text.to_owned())
}
