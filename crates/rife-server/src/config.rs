//! Server configuration ([`Config`]) and its validation.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// Configuration of the server.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// The data folder, with uploads, jobs and the database.
    pub data: PathBuf,
    /// The token that clients must send; `None` to require none.
    pub token: Option<String>,
    /// Whether other addresses than loopback are allowed without a token.
    pub insecure: bool,
    /// Accepted values of a request's `Host` besides `localhost` and loopback addresses.
    pub allowed_hosts: Vec<String>,
    /// Folders of this machine whose files clients may use as inputs.
    pub folders: Vec<PathBuf>,
    /// Whether clients may not add, download and remove models.
    pub fixed_models: bool,
    /// Number of jobs that run at the same time.
    pub workers: usize,
    /// Maximum number of queued jobs.
    pub queue_limit: usize,
    /// Maximum bytes of one upload.
    pub max_upload: u64,
    /// Maximum bytes of all uploads and jobs.
    pub quota: u64,
    /// Minimum free bytes on the disk: nothing is stored that would leave less.
    pub free_space: u64,
    /// Time after which ended jobs and complete uploads are removed.
    pub retention: Duration,
    /// Time without a write after which an incomplete upload is removed.
    pub upload_idle: Duration,
    /// Maximum time for a client to send a request's head, and between two chunks of its body.
    pub client_timeout: Duration,
}

impl Config {
    /// Returns the default configuration with the data folder `data`.
    pub fn new(data: PathBuf) -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 7860,
            data,
            token: None,
            insecure: false,
            allowed_hosts: Vec::new(),
            folders: Vec::new(),
            fixed_models: false,
            workers: 1,
            queue_limit: 100,
            max_upload: 16 << 30,
            quota: 100 << 30,
            free_space: 512 << 20,
            retention: Duration::from_secs(7 * 24 * 3600),
            upload_idle: Duration::from_secs(3600),
            client_timeout: Duration::from_secs(30),
        }
    }

    /// Returns an error for a missing, invalid or weak token, and for an allowed folder that is none.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !self.host.is_loopback() && self.token.is_none() && !self.insecure {
            return Err(ConfigError::Open(self.host));
        }
        if let Some(missing) = self.folders.iter().find(|folder| !folder.is_dir()) {
            return Err(ConfigError::Folder(missing.clone()));
        }
        let printable = |token: &String| token.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.token.as_ref().is_none_or(printable) {
            return Err(ConfigError::Token);
        }
        if self.token.as_ref().is_some_and(|token| is_weak(token)) {
            return Err(ConfigError::Weak);
        }
        Ok(())
    }
}

/// Minimum length of a token in characters.
const MIN_TOKEN_LENGTH: usize = 8;
/// Minimum number of distinct characters of a token.
const MIN_TOKEN_DISTINCT: usize = 5;

/// Reports whether a token is too short or too uniform.
fn is_weak(token: &str) -> bool {
    let different: std::collections::BTreeSet<u8> = token.bytes().collect();
    token.len() < MIN_TOKEN_LENGTH || different.len() < MIN_TOKEN_DISTINCT
}

/// Reason why a configuration is refused.
#[derive(Debug)]
pub enum ConfigError {
    /// The address is reachable from other machines, and there is no token.
    Open(IpAddr),
    /// The token has characters that a header cannot contain.
    Token,
    /// The token can be guessed.
    Weak,
    /// An allowed folder does not exist, or is a file.
    Folder(PathBuf),
}

impl std::fmt::Display for ConfigError {
    /// Writes the reason with its remedy.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(host) => write!(
                f,
                "{host} can be reached from other machines: give a --token (or RIFE_TOKEN) that callers must show, or say --insecure"
            ),
            Self::Folder(path) => write!(
                f,
                "{} is not a folder: --allow-folder names one that exists",
                path.display()
            ),
            Self::Token => write!(f, "a token consists of visible ASCII characters, without spaces"),
            Self::Weak => write!(
                f,
                "this token can be guessed: it has to have {} characters at least, {} of them different; \
                 `openssl rand -hex 16` makes a good one",
                MIN_TOKEN_LENGTH, MIN_TOKEN_DISTINCT
            ),
        }
    }
}

impl std::error::Error for ConfigError {}
