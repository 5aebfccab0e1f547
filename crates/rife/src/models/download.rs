//! Fetching a file over HTTPS: resumed where it stopped, bounded in size, checked by SHA-256 before it is used.

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
use crate::{Error, Result};

/// Largest file that is fetched unless another limit is given: 1 GiB, forty times the largest RIFE checkpoint.
pub const DEFAULT_MAX_BYTES: u64 = 1 << 30;

/// How often a broken transfer is taken up again before giving up.
const ATTEMPTS: usize = 4;

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The name it gets in the lock file, and by which `--model` finds it.
    pub name: String,
    /// The file's name in the models folder.
    pub file: String,
    /// Its address: https, or http on this machine only.
    pub url: String,
    /// The SHA-256 it must have, in hexadecimal; without one the lock file's entry must match, where there is one.
    pub sha256: Option<String>,
    /// The most bytes it may have.
    pub max_bytes: u64,
}

impl Download {
    /// A checkpoint of the built-in table.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            name: checkpoint.name.into(),
            file: checkpoint.file(),
            url: checkpoint.url(),
            sha256: checkpoint.sha256.map(str::to_owned),
            max_bytes: DEFAULT_MAX_BYTES,
        }
    }

    /// A name of the built-in table, or an address, whose last part becomes file and name.
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

fn unknown(name: &str) -> Error {
    let names: Vec<_> = super::CATALOG.iter().map(|entry| entry.name).collect();
    Error::NoModel(format!(
        "no public checkpoint is known as {name:?}; known are {}, or give its https:// address",
        names.join(", ")
    ))
}

/// A model that is in the models folder now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The file.
    pub path: PathBuf,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether it was there already, and nothing was fetched.
    pub unchanged: bool,
}

/// Fetches `wanted` into `folder` (made when absent), pins it in the lock file and says what came.
///
/// A transfer that breaks is resumed where it stopped, by this call and by later ones, as long as the server says
/// that the file is still the same. `accept` looks at the complete file before it gets its name and may refuse it;
/// `progress` is told bytes so far and, where the server said, the total.
///
/// # Errors
/// [`Error::Download`], [`Error::HashChanged`], [`Error::Io`], [`Error::Cancelled`], or what `accept` returns.
pub fn download(
    folder: &Path,
    wanted: &Download,
    accept: &dyn Fn(&Path) -> Result<()>,
    progress: &mut dyn FnMut(u64, Option<u64>),
    cancel: &CancelToken,
) -> Result<Pulled> {
    fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let mut lock = Lock::read(folder)?;
    let path = folder.join(&wanted.file);
    if let Some(pulled) = already_there(&lock, wanted, &path)? {
        return Ok(pulled);
    }
    let part = Part::new(folder, wanted);
    part.fetch(wanted, progress, cancel)?;
    let sha256 = sha256_file(&part.path)?;
    if let Err(error) = check_pins(&lock, wanted, &sha256).and_then(|()| accept(&part.path)) {
        part.discard();
        return Err(error);
    }
    let bytes = part.length();
    fs::rename(&part.path, &path).map_err(|error| Error::io("rename", &path, error))?;
    part.discard();
    let entry = LockEntry {
        file: wanted.file.clone(),
        url: wanted.url.clone(),
        sha256: sha256.clone(),
        bytes,
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

/// The pulled file, where it is there and as it was pinned.
fn already_there(lock: &Lock, wanted: &Download, path: &Path) -> Result<Option<Pulled>> {
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

/// Refuses a file that is not the one asked for, or not the one that this name was pinned to before.
fn check_pins(lock: &Lock, wanted: &Download, found: &str) -> Result<()> {
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

/// What must be true of the server's file for a part of it to be continued.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    url: String,
    /// ETag or, without one, Last-Modified.
    validator: String,
}

/// The unfinished file and the note beside it that says of what it is a part.
struct Part {
    path: PathBuf,
    note: PathBuf,
}

impl Part {
    fn new(folder: &Path, wanted: &Download) -> Self {
        let beside = |suffix: &str| folder.join(format!("{}.{suffix}", wanted.file));
        Self {
            path: beside("part"),
            note: beside("part.json"),
        }
    }

    fn length(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }

    fn discard(&self) {
        for path in [&self.path, &self.note] {
            let _ = fs::remove_file(path);
        }
    }

    /// Transfers until the whole file is there; a broken transfer is taken up again a few times.
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
                Err(Broken::Final(error)) => return Err(error),
                Err(Broken::Interrupted(reason)) if attempt == ATTEMPTS => {
                    let reason = format!(
                        "{reason} ({attempt} attempts; run it again to go on from {} bytes)",
                        self.length()
                    );
                    return Err(Error::Download {
                        url: wanted.url.clone(),
                        reason,
                    });
                }
                Err(Broken::Interrupted(_)) => attempt += 1,
            }
        }
    }

    /// One request for the rest of the file.
    fn transfer(
        &self,
        agent: &Agent,
        wanted: &Download,
        progress: &mut dyn FnMut(u64, Option<u64>),
        cancel: &CancelToken,
    ) -> std::result::Result<(), Broken> {
        let refuse = |reason: String| {
            Broken::Final(Error::Download {
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
            .map_err(|error| Broken::from_ureq(error, &wanted.url))?;
        let start = match response.status().as_u16() {
            200 => 0,
            206 if range_start(&response) == Some(have) => have,
            206 => return Err(refuse("the server sent another range than was asked for".into())),
            416 => {
                self.discard();
                return Err(Broken::Interrupted("the server has no such range".into()));
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
        self.note_origin(&wanted.url, &response).map_err(Broken::Final)?;
        let file = self.open_at(start).map_err(Broken::Final)?;
        self.receive(
            file,
            response,
            Extent {
                start,
                total,
                max: wanted.max_bytes,
            },
            progress,
            cancel,
            &refuse,
        )
    }

    fn receive(
        &self,
        mut file: File,
        response: Response<Body>,
        extent: Extent,
        progress: &mut dyn FnMut(u64, Option<u64>),
        cancel: &CancelToken,
        refuse: &dyn Fn(String) -> Broken,
    ) -> std::result::Result<(), Broken> {
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        let mut have = extent.start;
        loop {
            progress(have, extent.total);
            if cancel.is_cancelled() {
                return Err(Broken::Final(Error::Cancelled));
            }
            let count = body
                .read(&mut buffer)
                .map_err(|error| Broken::Interrupted(error.to_string()))?;
            if count == 0 {
                break;
            }
            have += count as u64;
            if have > extent.max {
                self.discard();
                return Err(refuse(format!(
                    "it is longer than the limit of {} bytes",
                    extent.max
                )));
            }
            let wrote = file.write_all(&buffer[..count]);
            wrote.map_err(|error| Broken::Final(Error::io("write", &self.path, error)))?;
        }
        match extent.total {
            Some(total) if total != have => Err(Broken::Interrupted(format!(
                "it broke off at {have} of {total} bytes"
            ))),
            _ => file
                .sync_all()
                .map_err(|error| Broken::Final(Error::io("write", &self.path, error))),
        }
    }

    fn open_at(&self, start: u64) -> Result<File> {
        let io = |error| Error::io("write", &self.path, error);
        let mut file = rife_files::open_own(&self.path).map_err(io)?;
        file.set_len(start).map_err(io)?;
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        Ok(file)
    }

    /// The note of an earlier transfer from the same address.
    fn origin(&self, url: &str) -> Option<Origin> {
        let text = rife_files::read_regular(&self.note, 1 << 16).ok()?;
        serde_json::from_slice::<Origin>(&text)
            .ok()
            .filter(|origin| origin.url == url)
    }

    /// Remembers what the part is a part of; without a validator it will be fetched anew.
    fn note_origin(&self, url: &str, response: &Response<Body>) -> Result<()> {
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let validator = text(header::ETAG)
            .filter(|tag| !tag.starts_with("W/"))
            .or_else(|| text(header::LAST_MODIFIED));
        let Some(validator) = validator else {
            let _ = fs::remove_file(&self.note);
            return Ok(());
        };
        let origin = Origin {
            url: url.into(),
            validator: validator.into(),
        };
        let note = serde_json::to_string(&origin).unwrap_or_default();
        rife_files::replace(&self.note, note.as_bytes())
            .map_err(|error| Error::io("write", &self.note, error))
    }
}

/// Where a response's bytes go, and how many there may be.
struct Extent {
    start: u64,
    total: Option<u64>,
    max: u64,
}

/// Why a transfer ended.
enum Broken {
    /// Trying again may help.
    Interrupted(String),
    /// It will not.
    Final(Error),
}

impl Broken {
    fn from_ureq(error: ureq::Error, url: &str) -> Self {
        match error {
            ureq::Error::Io(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                Self::Interrupted(error.to_string())
            }
            ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed => Self::Interrupted(error.to_string()),
            other => Self::Final(Error::Download {
                url: url.into(),
                reason: other.to_string(),
            }),
        }
    }
}

/// An agent that speaks https only, except to this machine.
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

/// The first byte of a `Content-Range: bytes a-b/c`.
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
