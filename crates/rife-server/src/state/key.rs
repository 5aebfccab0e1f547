//! Authentication by one shared token: the `Authorization: Bearer` header, or a session cookie derived from it.

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::state::db::Db;
use crate::{clock, ids};

/// Name of the session cookie.
pub(crate) const COOKIE: &str = "rife_session";

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
    pub(crate) fn open_session(&self, db: &Db) -> Result<String> {
        let cookie = ids::random::<32>()?;
        db.open_session(&self.hash(&cookie), clock::now())?;
        Ok(cookie)
    }

    pub(crate) fn hash(&self, cookie: &str) -> String {
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
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
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
