//! Axum extractors for path and query parameters and JSON bodies, whose rejections are [`ApiError`]s; media types, entity
//! tags, and pages of listings.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;
use crate::state::app::App;
use crate::state::db::Page;

/// Maximum length of a JSON body in bytes: ten thousand input references fit.
const MAX_BODY: usize = 1 << 20;
/// Length in bytes up to which a body needs no permit of `App::body_memory`.
const SMALL_BODY: usize = 16 << 10;
/// Maximum of the `limit` parameter of listings.
const MAX_PAGE: usize = 200;
/// Default of the `limit` parameter of listings.
const DEFAULT_PAGE: usize = 50;

/// Extractor of path parameters.
#[derive(Debug)]
pub(crate) struct PathParams<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParams<T> {
    type Rejection = ApiError;

    /// Parses the path parameters; a path that does not fit is 404.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let found = Path::from_request_parts(parts, state).await;
        found
            .map(|Path(value)| Self(value))
            .map_err(|_| ApiError::not_found("thing"))
    }
}

/// Extractor of query parameters.
#[derive(Debug)]
pub(crate) struct QueryParams<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    /// Parses the query string; one that does not fit is 400.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let found = Query::from_request_parts(parts, state).await;
        let wrong = |error: axum::extract::rejection::QueryRejection| {
            ApiError::new(Code::BadRequest, error.body_text())
        };
        found.map(|Query(value)| Self(value)).map_err(wrong)
    }
}

/// Extractor of a JSON body of at most [`MAX_BODY`] bytes.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    /// Reads and parses the body; another `Content-Type` is 415, a body that does not fit 400.
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        if media_type(request.headers()) != Some("application/json") {
            let text = "send JSON, with Content-Type: application/json";
            return Err(ApiError::new(Code::UnsupportedType, text));
        }
        let body = BodyChunks::new(request, app.config.client_timeout);
        // Limits the total time, so that a slow client does not occupy memory for long.
        let Ok(bytes) = tokio::time::timeout(4 * app.config.client_timeout, read_body(app, body)).await
        else {
            return Err(ApiError::new(Code::Timeout, "the body took too long"));
        };
        parse(&bytes?).map(Self)
    }
}

/// Reads a complete body. One above [`SMALL_BODY`] waits for a permit of `App::body_memory`, which bounds the memory of all
/// bodies together.
async fn read_body(app: &App, mut body: BodyChunks) -> Result<BytesMut> {
    let mut bytes = BytesMut::new();
    let mut permit = None;
    while let Some(chunk) = body.next().await? {
        if bytes.len() + chunk.len() > MAX_BODY {
            let text = format!("the body has more than {MAX_BODY} bytes");
            return Err(ApiError::new(Code::TooLarge, text));
        }
        if permit.is_none() && bytes.len() + chunk.len() > SMALL_BODY {
            let wanted = Arc::clone(&app.body_memory).acquire_many_owned((MAX_BODY >> 10) as u32);
            permit = Some(wanted.await.map_err(ApiError::internal)?);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Parses a JSON body; an error names the field that does not fit.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let wrong = |error: serde_path_to_error::Error<serde_json::Error>| {
        let field = error.path().to_string();
        body_error(error.inner(), &field).with_field("field", field)
    };
    let value = serde_path_to_error::deserialize(&mut reader).map_err(wrong)?;
    reader.end().map_err(|error| body_error(&error, "."))?;
    Ok(value)
}

/// Converts an error of serde at the path `field` to an API error.
fn body_error(error: &serde_json::Error, field: &str) -> ApiError {
    let refused = |reason, pairs: [(&str, Value); 2]| ApiError::because(Code::BadRequest, reason, pairs);
    if !error.is_data() {
        let position = [("line", error.line().into()), ("column", error.column().into())];
        return refused(Reason::BodyJson, position);
    }
    let text = error.to_string();
    let quoted = text.split('`').nth(1).unwrap_or(field);
    match text.split(' ').next() {
        Some("missing") => refused(
            Reason::BodyMissing,
            [("field", quoted.into()), ("at", field.into())],
        ),
        Some("unknown") if text.starts_with("unknown field") => refused(
            Reason::BodyUnknown,
            [("field", quoted.into()), ("at", field.into())],
        ),
        _ => refused(
            Reason::BodyValue,
            [("field", field.into()), ("cause", expected_at(field).into())],
        ),
    }
}

/// Returns a description of the values accepted at the path `field` of a body.
fn expected_at(field: &str) -> &'static str {
    match field.split(['[', '.']).next() {
        Some("kind") => "one of video, images, chain, reencode, report",
        Some("inputs" | "input") => {
            "{\"upload\": \"up_…\"} or {\"job\": \"job_…\", \"file\": \"result.mp4\"}; inputs are a list of them"
        }
        Some("size" | "frame") => "a whole number",
        Some("name" | "token" | "path") => "a text",
        Some("jobs") => "a list of ids of jobs",
        Some("paused") => "true or false",
        _ => "an object with the fields of docs/api.md",
    }
}

/// Returns the media type in `Content-Type`, without parameters.
pub(crate) fn media_type(headers: &axum::http::HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

/// Reports whether the header `name` (such as `If-None-Match`), a list of entity tags or `*`, contains `tag`, by weak
/// comparison.
pub(crate) fn matches_etag(headers: &HeaderMap, name: HeaderName, tag: &str) -> bool {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// Request body as a stream of chunks, with a timeout for each.
pub(crate) struct BodyChunks {
    stream: axum::body::BodyDataStream,
    client_timeout: Duration,
}

impl BodyChunks {
    /// Takes the body of `request`; `client_timeout` is the maximum pause between two chunks.
    pub(crate) fn new(request: Request, client_timeout: Duration) -> Self {
        Self {
            stream: request.into_body().into_data_stream(),
            client_timeout,
        }
    }

    /// Returns the next chunk; `None` at the end of the body.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Ok(next) = tokio::time::timeout(self.client_timeout, self.stream.next()).await else {
            let text = format!("no data was received for {} s", self.client_timeout.as_secs());
            return Err(ApiError::new(Code::Timeout, text));
        };
        let broken = |_| {
            ApiError::new(
                Code::BadRequest,
                "the connection broke before the end of the body",
            )
        };
        next.transpose().map_err(broken)
    }
}

/// Query parameters of a listing.
#[derive(Debug, Deserialize)]
pub(crate) struct PageQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl PageQuery {
    /// Returns the maximum number of items, 1 to [`MAX_PAGE`].
    pub(crate) fn limit(&self) -> Result<usize> {
        let limit = self.limit.unwrap_or(DEFAULT_PAGE);
        if (1..=MAX_PAGE).contains(&limit) {
            return Ok(limit);
        }
        Err(ApiError::new(
            Code::BadRequest,
            format!("limit is {limit}; it must be from 1 to {}", MAX_PAGE),
        ))
    }

    /// Decodes the cursor: the sequence number of the row before which the page begins.
    pub(crate) fn before(&self) -> Result<i64> {
        let Some(cursor) = &self.cursor else {
            return Ok(i64::MAX);
        };
        let number = cursor
            .strip_prefix('c')
            .and_then(|digits| i64::from_str_radix(digits, 16).ok());
        number.ok_or_else(|| ApiError::new(Code::BadRequest, "the cursor is invalid"))
    }
}

/// Returns the JSON object of a page in the API; `show` converts an item.
pub(crate) fn page<T>(page: Page<T>, show: impl FnMut(&T) -> Value) -> Value {
    let items: Vec<Value> = page.items.iter().map(show).collect();
    json!({"items": items, "next": page.next.map(|seq| format!("c{seq:x}"))})
}
