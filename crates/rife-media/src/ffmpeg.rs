//! ffmpeg and ffprobe as child processes: discovery, version check and capabilities.
//!
//! Arguments are lists, never a shell command. Files are always `file:` and an absolute path, so that no name is
//! taken for an option or a protocol. Inputs are restricted to allow-lists of protocols, containers and codecs
//! (`args`); children run in their own process group and end with this process (`child`).

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

/// The ffmpeg and ffprobe programs of this machine, with checked versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ffmpeg {
    /// Path of ffmpeg.
    pub ffmpeg: PathBuf,
    /// Path of ffprobe.
    pub ffprobe: PathBuf,
    /// Major and minor version of ffmpeg; (`u32::MAX`, 0) for development snapshots.
    pub version: (u32, u32),
}

/// Timeout for printing the version or a listing.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);
/// The minimum supported version, major and minor.
const MIN_VERSION: (u32, u32) = (5, 1);

impl Ffmpeg {
    /// Finds both programs on `PATH`, or at the paths in `RIFE_FFMPEG` and `RIFE_FFPROBE`, and checks their versions. A
    /// success is cached for the life of the process.
    ///
    /// # Errors
    /// [`MediaError::FfmpegMissing`] where one cannot be run, [`MediaError::FfmpegTooOld`] before version 5.1.
    pub fn find() -> Result<Self> {
        static FOUND: OnceLock<Ffmpeg> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found.clone());
        }
        let path = |variable, name: &str| env::var_os(variable).map_or_else(|| name.into(), PathBuf::from);
        let found = Self::at(path("RIFE_FFMPEG", "ffmpeg"), path("RIFE_FFPROBE", "ffprobe"))?;
        Ok(FOUND.get_or_init(|| found).clone())
    }

    /// Checks that the programs at these two paths run and are of version 5.1 or later.
    pub fn at(ffmpeg: PathBuf, ffprobe: PathBuf) -> Result<Self> {
        let version = version_of("ffmpeg", "RIFE_FFMPEG", &ffmpeg)?;
        version_of("ffprobe", "RIFE_FFPROBE", &ffprobe)?;
        Ok(Self {
            ffmpeg,
            ffprobe,
            version,
        })
    }

    /// Reports whether this ffmpeg has the encoder `name`.
    pub fn has_encoder(&self, name: &str) -> Result<bool> {
        self.lists("-encoders", name)
    }

    /// Reports whether this ffmpeg has the decoder `name`.
    pub(crate) fn has_decoder(&self, name: &str) -> Result<bool> {
        self.lists("-decoders", name)
    }

    /// Returns the names of the hardware acceleration methods that this ffmpeg was built with, such as `vaapi`.
    pub(crate) fn hwaccels(&self) -> Result<Vec<String>> {
        let text = self.query(&["-hwaccels"])?;
        let names = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.contains(' '));
        Ok(names.map(str::to_owned).collect())
    }

    /// Reports whether the encoder `name`, which this ffmpeg has, accepts the option `-option`.
    pub(crate) fn encoder_has_option(&self, name: &str, option: &str) -> Result<bool> {
        let help = self.query(&["-h", &format!("encoder={name}")])?;
        let option = format!("-{option}");
        Ok(help
            .lines()
            .any(|line| line.split_whitespace().next() == Some(&option)))
    }

    /// Reports whether ffmpeg's `listing`, such as `-encoders`, has `name` in its second column.
    fn lists(&self, listing: &'static str, name: &str) -> Result<bool> {
        let text = self.query(&[listing])?;
        Ok(text
            .lines()
            .any(|line| line.split_whitespace().nth(1) == Some(name)))
    }

    /// Returns what ffmpeg prints for the arguments `query`, such as `-encoders`; cached per program for the life of the
    /// process.
    fn query(&self, query: &[&str]) -> Result<String> {
        static CACHE: Mutex<BTreeMap<(PathBuf, String), String>> = Mutex::new(BTreeMap::new());
        let key = (self.ffmpeg.clone(), query.join(" "));
        if let Some(text) = CACHE.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(text.clone());
        }
        let args = ["-hide_banner"].iter().chain(query).map(Into::into).collect();
        let request = Request {
            stdout: true,
            stall: QUERY_TIMEOUT,
            ..Request::new("ffmpeg", &self.ffmpeg, args)
        };
        let bytes = child::capture(request, 1 << 20, "while listing what it can do")?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        CACHE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, text.clone());
        Ok(text)
    }

    /// Runs ffprobe with `args` and returns its stdout; an error beyond `limit` bytes and where it gives no data for
    /// `stall`. `context` describes the task in errors.
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

/// Runs `path -version` and returns major and minor version; an error where it cannot be run or is too old. `tool` and
/// `variable` name the program and its environment variable in errors.
fn version_of(tool: &'static str, variable: &'static str, path: &Path) -> Result<(u32, u32)> {
    let missing = |reason: String| MediaError::FfmpegMissing {
        tool,
        reason,
        variable,
    };
    let request = Request {
        stdout: true,
        stall: QUERY_TIMEOUT,
        ..Request::new(tool, path, vec!["-version".into()])
    };
    let started = Child::start(request).map_err(|e| child::not_started(tool, path, variable, e))?;
    let text = started
        .capture(1 << 16, "when asked for its version")
        .map_err(|e| match e {
            // EMFILE (24): ffmpeg exists, but its shared libraries exceed the process's limit of open files.
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
        Some(version) if version >= MIN_VERSION => Ok(version),
        _ => Err(MediaError::FfmpegTooOld {
            path: path.to_owned(),
            found,
        }),
    }
}

/// Parses major and minor version of `5.1.9-0+deb12u1`, `n7.0.2` or `6.0-static`; development snapshots such as
/// `N-113007-g8d24a28d06` count as (`u32::MAX`, 0).
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
