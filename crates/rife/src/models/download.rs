//! HTTPS download of model files: resumable by range requests (RFC 9110, `If-Range`), limited in size, checked by SHA-256
//! before the file gets its final name.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rife_media::CancelToken;
use serde::{Deserialize, Serialize};
use ureq::http::header;
use ureq::{Agent, Body, http::Response};

use super::lock::is_plain_name;
use super::{Checkpoint, LOCK_FILE, Lock, LockEntry, checkpoint, sha256_file};
use crate::{Error, ModelChoice, Result};

/// Default of [`Download::max_bytes`]: 1 GiB, forty times the largest RIFE checkpoint.
pub const DEFAULT_MAX_BYTES: u64 = 1 << 30;

/// Maximum number of requests of one download, the first included.
const MAX_ATTEMPTS: usize = 4;

/// A model file to download.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Download {
    /// The model's name in the lock file, by which `--model` finds it.
    pub name: String,
    /// The file's name in the models folder.
    pub file: String,
    /// The address: `https://`, or `http://` on the local host only.
    pub url: String,
    /// Expected SHA-256 in hexadecimal; if `None`, the hash in the lock file is expected, if there is one.
    pub sha256: Option<String>,
    /// Maximum size of the file in bytes.
    pub max_bytes: u64,
}

impl Download {
    /// Makes the download of a checkpoint of the built-in table.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            name: checkpoint.name.into(),
            file: checkpoint.file(),
            url: checkpoint.url(),
            sha256: checkpoint.sha256.map(str::to_owned),
            max_bytes: DEFAULT_MAX_BYTES,
        }
    }

    /// Makes a download of a name in the built-in table, or of an address, whose last path segment becomes the file name
    /// and, without its extension, the model's name.
    ///
    /// # Errors
    /// [`Error::NoModel`] for a name that is not in the table, [`Error::Usage`] for an address without a plain
    /// file name at its end.
    pub fn parse(name_or_url: &str) -> Result<Self> {
        if !name_or_url.contains("://") {
            let found = checkpoint(name_or_url).ok_or_else(|| unknown(name_or_url))?;
            return Ok(Self::of(found));
        }
        let path = name_or_url.split(['?', '#']).next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        if !is_plain_name(file) {
            return Err(Error::Usage(format!(
                "{name_or_url} does not end in a file name of letters, digits, dots and dashes"
            )));
        }
        let name = file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned();
        Ok(Self {
            name,
            file: file.into(),
            url: name_or_url.into(),
            sha256: None,
            max_bytes: DEFAULT_MAX_BYTES,
        })
    }
}

/// Makes the error for a name that is not in the table.
fn unknown(name: &str) -> Error {
    let names: Vec<_> = super::CATALOG.iter().map(|entry| entry.name).collect();
    Error::NoModel(format!(
        "no public checkpoint is known as {name:?}; known are {}, or give its https:// address",
        names.join(", ")
    ))
}

/// A file in the models folder, as [`download`] leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The file's path.
    pub path: PathBuf,
    /// The file's SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// The file's size in bytes.
    pub bytes: u64,
    /// Whether the file existed before, and nothing was downloaded.
    pub unchanged: bool,
}

/// Downloads `wanted` into `folder` (created if missing) and records its hash in the lock file.
///
/// An interrupted transfer is resumed from the last byte, by this call and by later ones, if the server's validator (ETag or
/// Last-Modified) is unchanged. `accept` can refuse the complete file before it gets its final name; `progress` is called
/// with the bytes received and, if the server sends it, the total.
///
/// # Errors
/// [`Error::Usage`] for the name of an embedded network; [`Error::Download`], [`Error::HashChanged`], [`Error::Io`],
/// [`Error::Cancelled`], or what `accept` returns.
pub fn download(
    folder: &Path,
    wanted: &Download,
    accept: &dyn Fn(&Path) -> Result<()>,
    progress: &mut dyn FnMut(u64, Option<u64>),
    cancel: &CancelToken,
) -> Result<Pulled> {
    if !matches!(ModelChoice::parse(&wanted.name), ModelChoice::Named(_)) {
        return Err(Error::Usage(format!(
            "{} is the name of a network of this program; give the model another name",
            wanted.name
        )));
    }
    fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let mut lock = Lock::read(folder)?;
    let path = folder.join(&wanted.file);
    if let Some(pulled) = find_unchanged(&lock, wanted, &path)? {
        return Ok(pulled);
    }
    let partial = PartialFile::new(folder, wanted);
    partial.fetch(wanted, progress, cancel)?;
    let sha256 = sha256_file(&partial.path)?;
    if let Err(error) = check_hash(&lock, wanted, &sha256).and_then(|()| accept(&partial.path)) {
        partial.discard();
        return Err(error);
    }
    let bytes = partial.length();
    fs::rename(&partial.path, &path).map_err(|error| Error::io("rename", &path, error))?;
    partial.discard();
    let entry = LockEntry {
        file: wanted.file.clone(),
        url: wanted.url.clone(),
        sha256: sha256.clone(),
        bytes,
        version: None,
    };
    lock.models.insert(wanted.name.clone(), entry);
    lock.write(folder)?;
    Ok(Pulled {
        path,
        sha256,
        bytes,
        unchanged: false,
    })
}

/// Returns the file at `path` if it exists with the hash of the lock file and of the request.
fn find_unchanged(lock: &Lock, wanted: &Download, path: &Path) -> Result<Option<Pulled>> {
    let Some(entry) = lock
        .models
        .get(&wanted.name)
        .filter(|entry| entry.file == wanted.file && path.is_file())
    else {
        return Ok(None);
    };
    let sha256 = sha256_file(path)?;
    let as_wanted = wanted
        .sha256
        .as_ref()
        .is_none_or(|wanted| wanted.eq_ignore_ascii_case(&sha256));
    let unchanged = sha256 == entry.sha256 && as_wanted;
    Ok(unchanged.then(|| Pulled {
        path: path.into(),
        sha256,
        bytes: entry.bytes,
        unchanged: true,
    }))
}

/// Refuses a file whose hash `found` is not the one in the request or, without one there, in the lock file.
fn check_hash(lock: &Lock, wanted: &Download, found: &str) -> Result<()> {
    let locked = lock
        .models
        .get(&wanted.name)
        .map(|entry| (entry.sha256.as_str(), LOCK_FILE));
    let asked = wanted.sha256.as_deref().map(|hash| (hash, "the request"));
    match asked.or(locked) {
        Some((expected, pinned_by)) if !expected.eq_ignore_ascii_case(found) => Err(Error::HashChanged {
            name: wanted.name.clone(),
            expected: expected.into(),
            found: found.into(),
            pinned_by: pinned_by.into(),
            remedy: format!("pull it with the SHA-256 {found}"),
        }),
        _ => Ok(()),
    }
}

/// Identity of the server's file that a partial file belongs to; a transfer is resumed only if both fields match.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    url: String,
    /// HTTP validator: a strong ETag or, without one, Last-Modified.
    validator: String,
}

/// An unfinished download: the bytes so far in `FILE.part`, their [`Origin`] in `FILE.part.json`.
struct PartialFile {
    path: PathBuf,
    origin_path: PathBuf,
}

impl PartialFile {
    /// Names the partial file of the download `wanted` in the models folder; nothing is created.
    fn new(folder: &Path, wanted: &Download) -> Self {
        let with_suffix = |suffix: &str| folder.join(format!("{}.{suffix}", wanted.file));
        Self {
            path: with_suffix("part"),
            origin_path: with_suffix("part.json"),
        }
    }

    /// Returns the number of bytes received so far.
    fn length(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }

    /// Removes both files if they exist.
    fn discard(&self) {
        for path in [&self.path, &self.origin_path] {
            let _ = fs::remove_file(path);
        }
    }

    /// Downloads the rest of the file; an interrupted transfer is resumed up to [`MAX_ATTEMPTS`] times.
    fn fetch(
        &self,
        wanted: &Download,
        progress: &mut dyn FnMut(u64, Option<u64>),
        cancel: &CancelToken,
    ) -> Result<()> {
        let agent = agent(&wanted.url)?;
        let mut attempt = 1;
        loop {
            match self.transfer(&agent, wanted, progress, cancel) {
                Ok(()) => return Ok(()),
                Err(TransferError::Permanent(error)) => return Err(error),
                Err(TransferError::Interrupted(reason)) if attempt == MAX_ATTEMPTS => {
                    let reason = format!(
                        "{reason} ({attempt} attempts; run it again to go on from {} bytes)",
                        self.length()
                    );
                    return Err(Error::Download {
                        url: wanted.url.clone(),
                        reason,
                    });
                }
                Err(TransferError::Interrupted(_)) => attempt += 1,
            }
        }
    }

    /// Sends one request for the rest of the file and appends the response's body.
    fn transfer(
        &self,
        agent: &Agent,
        wanted: &Download,
        progress: &mut dyn FnMut(u64, Option<u64>),
        cancel: &CancelToken,
    ) -> std::result::Result<(), TransferError> {
        let refuse = |reason: String| {
            TransferError::Permanent(Error::Download {
                url: wanted.url.clone(),
                reason,
            })
        };
        let known = self.origin(&wanted.url);
        let have = if known.is_some() { self.length() } else { 0 };
        let mut request = agent.get(&wanted.url);
        if let Some(origin) = known.filter(|_| have > 0) {
            request = request
                .header(header::RANGE, format!("bytes={have}-"))
                .header(header::IF_RANGE, origin.validator);
        }
        let response = request
            .call()
            .map_err(|error| TransferError::from_ureq(error, &wanted.url))?;
        let start = match response.status().as_u16() {
            200 => 0,
            206 if range_start(&response) == Some(have) => have,
            206 => return Err(refuse("the server sent another range than was asked for".into())),
            416 => {
                self.discard();
                return Err(TransferError::Interrupted("the server has no such range".into()));
            }
            status => return Err(refuse(format!("the server answered {status}"))),
        };
        let total = content_length(&response).map(|rest| start + rest);
        if total.is_some_and(|total| total > wanted.max_bytes) {
            return Err(refuse(format!(
                "it has {} bytes, more than the limit of {}",
                total.unwrap_or(0),
                wanted.max_bytes
            )));
        }
        self.write_origin(&wanted.url, &response)
            .map_err(TransferError::Permanent)?;
        let file = self.open_at(start).map_err(TransferError::Permanent)?;
        self.receive(
            file,
            response,
            BodyRange {
                start,
                total,
                max: wanted.max_bytes,
            },
            progress,
            cancel,
            &refuse,
        )
    }

    /// Appends the response's body to the file, up to the maximum size; `refuse` makes the error for a larger body.
    fn receive(
        &self,
        mut file: File,
        response: Response<Body>,
        range: BodyRange,
        progress: &mut dyn FnMut(u64, Option<u64>),
        cancel: &CancelToken,
        refuse: &dyn Fn(String) -> TransferError,
    ) -> std::result::Result<(), TransferError> {
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        let mut have = range.start;
        loop {
            progress(have, range.total);
            if cancel.is_cancelled() {
                return Err(TransferError::Permanent(Error::Cancelled));
            }
            let count = body
                .read(&mut buffer)
                .map_err(|error| TransferError::Interrupted(error.to_string()))?;
            if count == 0 {
                break;
            }
            have += count as u64;
            if have > range.max {
                self.discard();
                return Err(refuse(format!(
                    "it is longer than the limit of {} bytes",
                    range.max
                )));
            }
            let wrote = file.write_all(&buffer[..count]);
            wrote.map_err(|error| TransferError::Permanent(Error::io("write", &self.path, error)))?;
        }
        match range.total {
            Some(total) if total != have => Err(TransferError::Interrupted(format!(
                "it broke off at {have} of {total} bytes"
            ))),
            _ => file
                .sync_all()
                .map_err(|error| TransferError::Permanent(Error::io("write", &self.path, error))),
        }
    }

    /// Opens the file for writing from byte `start` and cuts off what follows.
    fn open_at(&self, start: u64) -> Result<File> {
        let io = |error| Error::io("write", &self.path, error);
        let mut file = rife_files::open_own(&self.path).map_err(io)?;
        file.set_len(start).map_err(io)?;
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        Ok(file)
    }

    /// Reads the origin of an earlier transfer; `None` if there is none or it was from another address than `url`.
    fn origin(&self, url: &str) -> Option<Origin> {
        let text = rife_files::read_regular(&self.origin_path, 1 << 16).ok()?;
        serde_json::from_slice::<Origin>(&text)
            .ok()
            .filter(|origin| origin.url == url)
    }

    /// Stores the response's validator for a later resumption; removes the stored one if the response has none.
    fn write_origin(&self, url: &str, response: &Response<Body>) -> Result<()> {
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let validator = text(header::ETAG)
            .filter(|tag| !tag.starts_with("W/"))
            .or_else(|| text(header::LAST_MODIFIED));
        let Some(validator) = validator else {
            let _ = fs::remove_file(&self.origin_path);
            return Ok(());
        };
        let origin = Origin {
            url: url.into(),
            validator: validator.into(),
        };
        let text = serde_json::to_string(&origin).unwrap_or_default();
        rife_files::replace(&self.origin_path, text.as_bytes())
            .map_err(|error| Error::io("write", &self.origin_path, error))
    }
}

/// Byte range of the file that a response's body covers.
struct BodyRange {
    /// Offset of the body's first byte in the file.
    start: u64,
    /// Size of the complete file in bytes, if the server sends it.
    total: Option<u64>,
    /// Maximum size of the complete file in bytes.
    max: u64,
}

/// The cause of a failed transfer.
enum TransferError {
    /// A failure after which another request may succeed: the connection broke or timed out.
    Interrupted(String),
    /// A failure that another request would meet again.
    Permanent(Error),
}

impl TransferError {
    /// Classifies an error of the HTTP client: broken connections and timeouts are interruptions, others are permanent.
    fn from_ureq(error: ureq::Error, url: &str) -> Self {
        match error {
            ureq::Error::Io(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                Self::Interrupted(error.to_string())
            }
            ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed => Self::Interrupted(error.to_string()),
            other => Self::Permanent(Error::Download {
                url: url.into(),
                reason: other.to_string(),
            }),
        }
    }
}

/// Makes an HTTP client that accepts `https://` only, and `http://` on the local host.
fn agent(url: &str) -> Result<Agent> {
    let local = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"]
        .iter()
        .any(|start| url.starts_with(start));
    if !local && !url.starts_with("https://") {
        let reason = "only https:// addresses are fetched (http:// on this machine alone)".to_owned();
        return Err(Error::Download {
            url: url.into(),
            reason,
        });
    }
    let config = Agent::config_builder()
        .https_only(!local)
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .user_agent(concat!("rife/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(config.into())
}

/// Returns the length of the response's body in bytes, if the server sends it.
fn content_length(response: &Response<Body>) -> Option<u64> {
    response
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Returns the first offset `a` of the header `Content-Range: bytes a-b/c`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range
        .trim()
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .trim()
        .parse()
        .ok()
}
