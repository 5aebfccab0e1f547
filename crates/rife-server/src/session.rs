//! Who may call: a token in a header, or, for what a browser asks for by itself, a cookie that stands for it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::connections::Client;
use crate::db::Db;
use crate::error::{ApiError, Code, Result};
use crate::http::Json;
use crate::reason::Reason;
use crate::{clock, guard, ids};

const COOKIE: &str = "rife_session";
/// How long a wrong token is left waiting.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(300);

/// What callers must show. Neither the token nor a cookie is kept, only what they hash to.
#[derive(Debug)]
pub(crate) struct Key {
    token: [u8; 32],
}

impl Key {
    pub(crate) fn new(token: &str) -> Self {
        Self { token: digest(token) }
    }

    /// A cookie that stands for the token until it is taken back. It outlives the server, and is worth nothing elsewhere
    /// or with another token.
    fn open_session(&self, db: &Db) -> Result<String> {
        let cookie = ids::random::<32>()?;
        db.open_session(&self.hash(&cookie), clock::now())?;
        Ok(cookie)
    }

    fn hash(&self, cookie: &str) -> String {
        let hash = Sha256::new().chain_update(self.token).chain_update(cookie);
        ids::hexadecimal(&hash.finalize())
    }

    /// Whether a request shows the cookie of a session.
    pub(crate) fn has_session(&self, headers: &HeaderMap, db: &Db) -> bool {
        cookies(headers).any(|cookie| db.has_session(&self.hash(cookie)).unwrap_or(false))
    }

    pub(crate) fn is_token(&self, token: &str) -> bool {
        same(&digest(token), &self.token)
    }
}

/// The token that a request shows, right or wrong.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ")
}

/// The cookies of sessions that a request shows. The first few: a browser sends one.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';'));
    let ours = pairs.filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    });
    ours.take(4)
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
    client: Option<Extension<Client>>,
    headers: HeaderMap,
    Json(credentials): Json<Credentials>,
) -> Result<Response> {
    let Some(key) = &app.key else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let client = guard::caller(client.as_deref(), &headers);
    guard::may_try(&app, client)?;
    if !key.is_token(&credentials.token) {
        app.attempts.wrong(client);
        tokio::time::sleep(PAUSE).await;
        return Err(ApiError::because(Code::Unauthorized, Reason::WrongToken, []));
    }
    let opened = app
        .blocking(|app| app.key.as_ref().map(|key| key.open_session(&app.db)).transpose())
        .await?;
    let cookie = cookie(&opened.unwrap_or_default(), &headers, "");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// `DELETE /session`: the cookie opens nothing any more.
pub(crate) async fn close(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response> {
    let shown: Vec<String> = cookies(&headers).map(str::to_owned).collect();
    app.blocking(move |app| {
        for (key, cookie) in app
            .key
            .iter()
            .flat_map(|key| shown.iter().map(move |cookie| (key, cookie)))
        {
            app.db.close_session(&key.hash(cookie))?;
        }
        Ok(())
    })
    .await?;
    let cookie = cookie("", &headers, "; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
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
        let open = || Db::open(&folder.path().join("rife.db"), folder.path().join("spare")).unwrap();
        let (db, key) = (open(), Key::new("s3cret"));
        let headers = |name, value: &str| HeaderMap::from_iter([(name, value.parse().unwrap())]);
        let opens = |key: &Key, name, value: &str| {
            let headers = headers(name, value);
            key.has_session(&headers, &db) || bearer(&headers).is_some_and(|token| key.is_token(token))
        };
        let cookie = key.open_session(&db).unwrap();
        let shown = format!("a=b; {COOKIE}={cookie}");
        assert!(opens(&key, header::AUTHORIZATION, "Bearer s3cret"));
        assert!(opens(&key, header::COOKIE, &shown));
        for wrong in [
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer ",
            "s3cret",
            "Basic s3cret",
        ] {
            assert!(!opens(&key, header::AUTHORIZATION, wrong), "{wrong}");
        }
        let again = Key::new("s3cret");
        assert!(
            again.has_session(&headers(header::COOKIE, &shown), &open()),
            "a session outlives the server"
        );
        let other = Key::new("other");
        assert!(!opens(&other, header::COOKIE, &shown));
        assert_ne!(key.open_session(&db).unwrap(), cookie);
        db.close_session(&key.hash(&cookie)).unwrap();
        assert!(!opens(&key, header::COOKIE, &shown), "it was taken back");
    }
}
