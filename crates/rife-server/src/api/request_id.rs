//! Request ids: each request has an id, which is in its response (`X-Request-Id`) and in the log lines of its processing.

use std::time::Instant;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use crate::ids;

/// Name of the header in request and response.
const NAME: &str = "x-request-id";
/// Maximum length of a client's id in bytes.
const MAX_LENGTH: usize = 128;

/// Middleware that processes a request in a `tracing` span with its id, method and path (without the query), and logs its status
/// and duration: as a warning for 5xx, else at the level `debug`.
pub(crate) async fn trace(request: Request, next: Next) -> Response {
    let id = id_of(&request);
    let span =
        tracing::info_span!("request", request = id, method = %request.method(), path = request.uri().path());
    let start = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, ms) = (response.status(), start.elapsed().as_millis());
    span.in_scope(|| match status.is_server_error() {
        true => tracing::warn!(status = status.as_u16(), ms, "answered"),
        false => tracing::debug!(status = status.as_u16(), ms, "answered"),
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(NAME, id);
    }
    response
}

/// Returns the id that a proxy or the client gave, if it consists of at most [`MAX_LENGTH`] letters, digits and `-_.`, else a
/// random one.
fn id_of(request: &Request) -> String {
    let given = request.headers().get(NAME).and_then(|id| id.to_str().ok());
    let valid = |id: &&str| {
        (1..=MAX_LENGTH).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    match given.filter(valid) {
        Some(id) => id.to_owned(),
        None => ids::random::<8>().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn ids_of_clients_are_taken_if_they_are_plain() {
        let id = |given: &str| {
            let request = Request::builder()
                .header(NAME, given)
                .body(Body::empty())
                .unwrap();
            id_of(&request)
        };
        for plain in ["7", "3f2c-77.a_B", &"a".repeat(MAX_LENGTH)] {
            assert_eq!(id(plain), plain);
        }
        for other in ["", "a b", "a\tb", "ä", "a=\"b\"", &"a".repeat(MAX_LENGTH + 1)] {
            let id = id(other);
            assert!(id.len() == 16 && id != other, "{other}: {id}");
        }
    }
}
