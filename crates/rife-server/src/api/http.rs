//! Requests to values: parameters, bodies, pages. What does not fit is an error of the one table.

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

/// The most that a JSON body may have: ten thousand refs fit.
const BODY: usize = 1 << 20;
/// Bodies up to this length are not counted.
const SMALL: usize = 16 << 10;
/// The most items of a page, and how many it has unless asked.
const PAGE: (usize, usize) = (200, 50);

/// What stands in the path.
#[derive(Debug)]
pub(crate) struct InPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let found = Path::from_request_parts(parts, state).await;
        found
            .map(|Path(value)| Self(value))
            .map_err(|_| ApiError::not_found("thing"))
    }
}

/// What stands after the question mark.
#[derive(Debug)]
pub(crate) struct InQuery<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for InQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let found = Query::from_request_parts(parts, state).await;
        let wrong = |error: axum::extract::rejection::QueryRejection| {
            ApiError::new(Code::BadRequest, error.body_text())
        };
        found.map(|Query(value)| Self(value)).map_err(wrong)
    }
}

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        if media_type(request.headers()) != Some("application/json") {
            let text = "send JSON, with Content-Type: application/json";
            return Err(ApiError::new(Code::UnsupportedType, text));
        }
        let body = Chunks::new(request, app.config.patience);
        // A client that sends a byte now and then does not hold others' memory for long.
        let Ok(bytes) = tokio::time::timeout(4 * app.config.patience, gather(app, body)).await else {
            return Err(ApiError::new(Code::Timeout, "the body took too long"));
        };
        parse(&bytes?).map(Self)
    }
}

/// A body as a whole. All bodies together take no more than so many bytes: a large one waits until there is room.
async fn gather(app: &App, mut body: Chunks) -> Result<BytesMut> {
    let mut bytes = BytesMut::new();
    let mut room = None;
    while let Some(chunk) = body.next().await? {
        if bytes.len() + chunk.len() > BODY {
            let text = format!("the body is above {BODY} bytes");
            return Err(ApiError::new(Code::TooLarge, text));
        }
        if room.is_none() && bytes.len() + chunk.len() > SMALL {
            let wanted = Arc::clone(&app.body_memory).acquire_many_owned((BODY >> 10) as u32);
            room = Some(wanted.await.map_err(ApiError::internal)?);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let wrong = |error: serde_path_to_error::Error<serde_json::Error>| {
        let field = error.path().to_string();
        misfit(error.inner(), &field).with("field", field)
    };
    let value = serde_path_to_error::deserialize(&mut reader).map_err(wrong)?;
    reader.end().map_err(|error| misfit(&error, "."))?;
    Ok(value)
}

/// Why a body was refused, in words for who sent it.
fn misfit(error: &serde_json::Error, field: &str) -> ApiError {
    let refused = |reason, pairs: [(&str, Value); 2]| ApiError::because(Code::BadRequest, reason, pairs);
    if !error.is_data() {
        let place = [("line", error.line().into()), ("column", error.column().into())];
        return refused(Reason::BodyJson, place);
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
            [("field", field.into()), ("cause", accepted(field).into())],
        ),
    }
}

/// What stands at a place of a body.
fn accepted(field: &str) -> &'static str {
    match field.split(['[', '.']).next() {
        Some("kind") => "one of video, images, chain, reencode",
        Some("inputs" | "input") => {
            "{\"upload\": \"up_…\"} or {\"job\": \"job_…\", \"file\": \"result.mp4\"}; inputs are a list of them"
        }
        Some("size" | "frame") => "a whole number",
        Some("name" | "token") => "a text",
        _ => "an object with the fields of docs/api.md",
    }
}

/// The media type of a body, without its parameters.
pub(crate) fn media_type(headers: &axum::http::HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

/// Whether `If-None-Match` or its like names a state of what is asked for: a list of tags, or any. Weak tags are as good.
pub(crate) fn names_tag(headers: &HeaderMap, name: HeaderName, tag: &str) -> bool {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// A body, a piece at a time. A client that pauses too long is given up.
pub(crate) struct Chunks {
    stream: axum::body::BodyDataStream,
    patience: Duration,
}

impl Chunks {
    pub(crate) fn new(request: Request, patience: Duration) -> Self {
        Self {
            stream: request.into_body().into_data_stream(),
            patience,
        }
    }

    /// The next piece; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Ok(next) = tokio::time::timeout(self.patience, self.stream.next()).await else {
            let text = format!("nothing came for {} s", self.patience.as_secs());
            return Err(ApiError::new(Code::Timeout, text));
        };
        let broken = |_| ApiError::new(Code::BadRequest, "the body broke off");
        next.transpose().map_err(broken)
    }
}

/// Which page.
#[derive(Debug, Deserialize)]
pub(crate) struct PageQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl PageQuery {
    pub(crate) fn limit(&self) -> Result<usize> {
        let limit = self.limit.unwrap_or(PAGE.1);
        if (1..=PAGE.0).contains(&limit) {
            return Ok(limit);
        }
        Err(ApiError::new(
            Code::BadRequest,
            format!("limit {limit} is not from 1 to {}", PAGE.0),
        ))
    }

    /// The number of the row before which the page begins.
    pub(crate) fn before(&self) -> Result<i64> {
        let Some(cursor) = &self.cursor else {
            return Ok(i64::MAX);
        };
        let number = cursor
            .strip_prefix('c')
            .and_then(|digits| i64::from_str_radix(digits, 16).ok());
        number.ok_or_else(|| ApiError::new(Code::BadRequest, "this cursor is none of ours"))
    }
}

/// A page as the API shows it.
pub(crate) fn page<T>(page: Page<T>, show: impl FnMut(&T) -> Value) -> Value {
    let items: Vec<Value> = page.items.iter().map(show).collect();
    json!({"items": items, "next": page.next.map(|seq| format!("c{seq:x}"))})
}
