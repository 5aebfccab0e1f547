//! How the server is set up, and what of it is refused.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// Where uploads, jobs and the database are kept.
    pub data: PathBuf,
    /// What callers must show.
    pub token: Option<String>,
    /// Listen on another address than this machine's own without a token.
    pub insecure: bool,
    /// Names beside those of this machine that a request's `Host` may have.
    pub allowed_hosts: Vec<String>,
    /// Jobs that run at the same time.
    pub workers: usize,
    /// Jobs that may wait.
    pub queue_limit: usize,
    /// Bytes of one upload.
    pub max_upload: u64,
    /// Bytes of everything that is kept.
    pub quota: u64,
    /// Bytes that are left free on the disk.
    pub free_space: u64,
    /// How long finished jobs and uploads are kept.
    pub retention: Duration,
    /// How long an upload that is not written to is kept.
    pub upload_idle: Duration,
    /// How long a client may take over its request's head, and pause within its body.
    pub patience: Duration,
}

impl Config {
    /// The defaults, with everything kept in `data`.
    pub fn new(data: PathBuf) -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 7860,
            data,
            token: None,
            insecure: false,
            allowed_hosts: Vec::new(),
            workers: 1,
            queue_limit: 100,
            max_upload: 16 << 30,
            quota: 100 << 30,
            free_space: 512 << 20,
            retention: Duration::from_secs(7 * 24 * 3600),
            upload_idle: Duration::from_secs(3600),
            patience: Duration::from_secs(30),
        }
    }

    /// Refuses what is not safe, or makes no sense.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !self.host.is_loopback() && self.token.is_none() && !self.insecure {
            return Err(ConfigError::Open(self.host));
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

/// Characters that a token has at least, and different ones among them.
const TOKEN: (usize, usize) = (8, 5);

/// Whether a token can be guessed by trying.
fn is_weak(token: &str) -> bool {
    let different: std::collections::BTreeSet<u8> = token.bytes().collect();
    token.len() < TOKEN.0 || different.len() < TOKEN.1
}

/// A set-up that is refused.
#[derive(Debug)]
pub enum ConfigError {
    /// Anybody could call.
    Open(IpAddr),
    /// A token that no header can carry.
    Token,
    /// A token that can be guessed.
    Weak,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(host) => write!(
                f,
                "{host} can be reached from other machines: give a --token (or RIFE_TOKEN) that callers must show, or say --insecure"
            ),
            Self::Token => write!(f, "a token is of visible ASCII characters, without spaces"),
            Self::Weak => write!(
                f,
                "this token can be guessed: it has to have {} characters at least, {} of them different; \
                 `openssl rand -hex 16` makes a good one",
                TOKEN.0, TOKEN.1
            ),
        }
    }
}

impl std::error::Error for ConfigError {}
