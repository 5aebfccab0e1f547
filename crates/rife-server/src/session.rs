//! Who may call: a token in a header, or, for what a browser asks for by itself, a cookie that stands for it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::error::{ApiError, Code, Result};
use crate::http::Json;
use crate::ids;
use crate::reason::Reason;

const COOKIE: &str = "rife_session";
/// How long a wrong token is left waiting.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(300);

/// What callers must show. The token itself is not kept.
#[derive(Debug)]
pub(crate) struct Key {
    token: [u8; 32],
    cookie: String,
}

impl Key {
    /// The cookie is made of the token and a secret of this folder: it outlives the server, and is worth nothing
    /// elsewhere or with another token.
    pub(crate) fn open(root: &Path, token: &str) -> io::Result<Self> {
        let path = root.join("secret");
        let secret = match fs::read(&path) {
            Ok(secret) if secret.len() == 64 => secret,
            _ => new_secret(&path)?,
        };
        let cookie = Sha256::new().chain_update(&secret).chain_update(token).finalize();
        Ok(Self {
            token: digest(token),
            cookie: ids::hexadecimal(&cookie),
        })
    }

    /// Whether a request shows it.
    pub(crate) fn opens(&self, headers: &HeaderMap) -> bool {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(|value| value.split(';')).filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE).then_some(value)
        });
        bearer.is_some_and(|token| self.is_token(token))
            || cookies.any(|cookie| same(&digest(cookie), &digest(&self.cookie)))
    }

    fn is_token(&self, token: &str) -> bool {
        same(&digest(token), &self.token)
    }
}

fn new_secret(path: &Path) -> io::Result<Vec<u8>> {
    let secret = ids::random::<32>().map_err(|_| io::Error::other("the system has no random numbers"))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(secret.as_bytes())?;
    Ok(secret.into_bytes())
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Whether both are the same, in a time that does not tell where they differ.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b))) == 0
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    token: String,
}

/// `POST /session`.
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(credentials): Json<Credentials>,
) -> Result<Response> {
    let Some(key) = &app.key else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    if !key.is_token(&credentials.token) {
        tokio::time::sleep(PAUSE).await;
        return Err(ApiError::because(Code::Unauthorized, Reason::WrongToken, []));
    }
    Ok((
        StatusCode::NO_CONTENT,
        [(header::SET_COOKIE, cookie(&key.cookie, &headers, ""))],
    )
        .into_response())
}

/// `DELETE /session`.
pub(crate) async fn close(headers: HeaderMap) -> Response {
    (
        StatusCode::NO_CONTENT,
        [(header::SET_COOKIE, cookie("", &headers, "; Max-Age=0"))],
    )
        .into_response()
}

fn cookie(value: &str, headers: &HeaderMap, more: &str) -> String {
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    let secure = if origin.is_some_and(|origin| origin.starts_with("https://")) {
        "; Secure"
    } else {
        ""
    };
    format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/{secure}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_or_cookie_open_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::open(folder.path(), "s3cret").unwrap();
        let opens = |name, value: &str| key.opens(&HeaderMap::from_iter([(name, value.parse().unwrap())]));
        assert!(opens(header::AUTHORIZATION, "Bearer s3cret"));
        assert!(opens(header::COOKIE, &format!("a=b; {COOKIE}={}", key.cookie)));
        for wrong in [
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer ",
            "s3cret",
            "Basic s3cret",
        ] {
            assert!(!opens(header::AUTHORIZATION, wrong), "{wrong}");
        }
        let again = Key::open(folder.path(), "s3cret").unwrap();
        assert_eq!(again.cookie, key.cookie, "a session outlives the server");
        assert_ne!(Key::open(folder.path(), "other").unwrap().cookie, key.cookie);
    }
}
