//! The ffmpeg on this machine: where it is, its version, and running it as a child with discipline.
//!
//! Arguments are lists, never a shell. Files are always `file:` and an absolute path, so that no name can be
//! taken for an option or a protocol. Inputs are held to allow-lists of protocols, containers and codecs
//! (`args`); children live in their own process group and die with us (`child`).

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::{CancelToken, MediaError, Result};

pub(crate) mod args;
pub(crate) mod child;
mod minterpolate;

use child::{Child, Request};
pub use minterpolate::minterpolate;

/// The ffmpeg and ffprobe of this machine, version checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ffmpeg {
    /// The encoder and decoder.
    pub ffmpeg: PathBuf,
    /// The prober.
    pub ffprobe: PathBuf,
    /// Major and minor version; snapshots without one count as (`u32::MAX`, 0).
    pub version: (u32, u32),
}

/// How long it may take to say its version or what it can do.
const PATIENCE: Duration = Duration::from_secs(20);
/// The oldest version that has every option we use.
const OLDEST: (u32, u32) = (5, 1);

impl Ffmpeg {
    /// Finds both on `PATH`, or where `RIFE_FFMPEG` and `RIFE_FFPROBE` say, of version 5.1 or later. A success is
    /// remembered for the life of the process.
    pub fn find() -> Result<Self> {
        static FOUND: OnceLock<Ffmpeg> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found.clone());
        }
        let place = |variable, name: &str| env::var_os(variable).map_or_else(|| name.into(), PathBuf::from);
        let found = Self::at(place("RIFE_FFMPEG", "ffmpeg"), place("RIFE_FFPROBE", "ffprobe"))?;
        Ok(FOUND.get_or_init(|| found).clone())
    }

    /// Checks the two binaries named: both run, and both are of version 5.1 or later.
    pub fn at(ffmpeg: PathBuf, ffprobe: PathBuf) -> Result<Self> {
        let version = version_of("ffmpeg", "RIFE_FFMPEG", &ffmpeg)?;
        version_of("ffprobe", "RIFE_FFPROBE", &ffprobe)?;
        Ok(Self {
            ffmpeg,
            ffprobe,
            version,
        })
    }

    /// Whether this ffmpeg has the encoder `name`.
    pub fn has_encoder(&self, name: &str) -> Result<bool> {
        self.lists("-encoders", name)
    }

    /// Whether this ffmpeg has the decoder `name`.
    pub(crate) fn has_decoder(&self, name: &str) -> Result<bool> {
        self.lists("-decoders", name)
    }

    /// The names of its hardware decoders.
    pub(crate) fn hwaccels(&self) -> Result<Vec<String>> {
        let text = self.says(&["-hwaccels"])?;
        let names = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.contains(' '));
        Ok(names.map(str::to_owned).collect())
    }

    /// Whether the encoder `name`, which this ffmpeg has, knows the option `-option`.
    pub(crate) fn encoder_has_option(&self, name: &str, option: &str) -> Result<bool> {
        let help = self.says(&["-h", &format!("encoder={name}")])?;
        let option = format!("-{option}");
        Ok(help
            .lines()
            .any(|line| line.split_whitespace().next() == Some(&option)))
    }

    /// Whether a listing has `name` in its second column.
    fn lists(&self, listing: &'static str, name: &str) -> Result<bool> {
        let text = self.says(&[listing])?;
        Ok(text
            .lines()
            .any(|line| line.split_whitespace().nth(1) == Some(name)))
    }

    /// What it says of itself; a binary is asked once a process.
    fn says(&self, question: &[&str]) -> Result<String> {
        static KNOWN: Mutex<BTreeMap<(PathBuf, String), String>> = Mutex::new(BTreeMap::new());
        let key = (self.ffmpeg.clone(), question.join(" "));
        if let Some(text) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(text.clone());
        }
        let args = ["-hide_banner"].iter().chain(question).map(Into::into).collect();
        let request = Request {
            stdout: true,
            stall: PATIENCE,
            ..Request::new("ffmpeg", &self.ffmpeg, args)
        };
        let bytes = child::capture(request, 1 << 20, "while listing what it can do")?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        KNOWN
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, text.clone());
        Ok(text)
    }

    /// Runs ffprobe and returns its output, at most `limit` bytes of it, within `stall`.
    pub(crate) fn run_ffprobe(
        &self,
        args: Vec<OsString>,
        limit: usize,
        stall: Duration,
        cancel: &CancelToken,
        context: &str,
    ) -> Result<Vec<u8>> {
        let request = Request::new("ffprobe", &self.ffprobe, args);
        child::capture(
            Request {
                stdout: true,
                stall,
                cancel: cancel.clone(),
                ..request
            },
            limit,
            context,
        )
    }
}

fn version_of(tool: &'static str, variable: &'static str, path: &Path) -> Result<(u32, u32)> {
    let missing = |reason: String| MediaError::FfmpegMissing {
        tool,
        reason,
        variable,
    };
    let request = Request {
        stdout: true,
        stall: PATIENCE,
        ..Request::new(tool, path, vec!["-version".into()])
    };
    let started = Child::start(request).map_err(|e| child::not_started(tool, path, variable, e))?;
    let text = started
        .capture(1 << 16, "when asked for its version")
        .map_err(|e| match e {
            // It is there, but its libraries are more files than the process may open.
            MediaError::Child { ref tail, .. } if tail.contains("Error 24") => e,
            e => missing(e.to_string()),
        })?;
    let text = String::from_utf8_lossy(&text);
    let prefix = format!("{tool} version ");
    let words = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(prefix.as_str()));
    let found = words
        .and_then(|w| w.split_whitespace().next())
        .unwrap_or("of no readable number")
        .to_owned();
    match parse_version(&found) {
        Some(version) if version >= OLDEST => Ok(version),
        _ => Err(MediaError::FfmpegTooOld {
            path: path.to_owned(),
            found,
        }),
    }
}

/// `5.1.9-0+deb12u1`, `n7.0.2`, `6.0-static`; snapshots such as `N-113007-g8d24a28d06` are newer than any.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    if text.starts_with("N-") || text.starts_with("git-") {
        return Some((u32::MAX, 0));
    }
    let digits = text.trim_start_matches('n');
    let end = digits
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(digits.len());
    let mut parts = digits[..end].split('.').map(str::parse::<u32>);
    let major = parts.next()?.ok()?;
    Some((major, parts.next().and_then(|minor| minor.ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_they_are_printed() {
        assert_eq!(parse_version("5.1.9-0+deb12u1"), Some((5, 1)));
        assert_eq!(parse_version("n7.0.2"), Some((7, 0)));
        assert_eq!(parse_version("9.0-static"), Some((9, 0)));
        assert_eq!(parse_version("4.2.2"), Some((4, 2)));
        assert_eq!(
            parse_version("N-113007-g8d24a28d06-20231206"),
            Some((u32::MAX, 0))
        );
        assert_eq!(parse_version("of no readable number"), None);
    }
}
