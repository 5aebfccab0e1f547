//! Authentication by one shared token: the `Authorization: Bearer` header, or a session cookie derived from it.

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::state::db::Db;
use crate::{clock, ids};

/// Name of the session cookie.
pub(crate) const COOKIE: &str = "rife_session";

/// Token that clients must send. Neither token nor cookies are stored, only their SHA-256.
#[derive(Debug)]
pub(crate) struct Key {
    /// SHA-256 of the token.
    token: [u8; 32],
}

impl Key {
    /// Creates a key from the token in plain text.
    pub(crate) fn new(token: &str) -> Self {
        Self { token: digest(token) }
    }

    /// Creates a session and returns the value of its cookie, which authenticates until it is revoked, also after a
    /// restart of the server, but not with another token.
    pub(crate) fn open_session(&self, db: &Db) -> Result<String> {
        let cookie = ids::random::<32>()?;
        db.open_session(&self.hash(&cookie), clock::now())?;
        Ok(cookie)
    }

    /// Returns the hash under which the session of a cookie is stored: SHA-256 over the token's hash and the cookie, in
    /// hexadecimal.
    pub(crate) fn hash(&self, cookie: &str) -> String {
        let hash = Sha256::new().chain_update(self.token).chain_update(cookie);
        ids::hexadecimal(&hash.finalize())
    }

    /// Reports whether a request has the cookie of an open session.
    pub(crate) fn has_session(&self, headers: &HeaderMap, db: &Db) -> bool {
        cookies(headers).any(|cookie| db.has_session(&self.hash(cookie)).unwrap_or(false))
    }

    /// Reports whether `token` is the right one, in constant time.
    pub(crate) fn is_token(&self, token: &str) -> bool {
        constant_time_eq(&digest(token), &self.token)
    }
}

/// Returns the token in a request's `Authorization: Bearer` header, right or wrong.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ")
}

/// Returns the values of the first four session cookies of a request; a browser sends one.
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

/// Returns the SHA-256 of `text`.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Reports whether both hashes are equal, in a time that does not depend on where they differ.
fn constant_time_eq(a: &[u8; 32], b: &[u8; 32]) -> bool {
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
