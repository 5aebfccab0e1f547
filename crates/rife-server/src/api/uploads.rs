//! Handlers of `/uploads`: files as a request body, a multipart form, or `Content-Range` chunks into an upload whose space is
//! reserved.

mod form;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncWriteExt, BufWriter};

use form::Form;

use crate::api::http::{self, BodyChunks, Json, PageQuery, PathParams, QueryParams};
use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;
use crate::state::app::{App, UploadLock};
use crate::state::db::{Upload, UploadState};
use crate::state::store;
use crate::work::removal;
use crate::{clock, ids};

/// Size of the write buffer in bytes.
const WRITE_BUFFER: usize = 64 << 10;

/// JSON body of `POST /uploads`: an upload to be filled by ranges.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUpload {
    name: String,
    /// Bytes of the complete file.
    size: u64,
}

/// Query parameters of `POST /uploads`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NameQuery {
    name: Option<String>,
}

/// Handles `POST /uploads`: creates an upload to be filled by ranges (JSON body), or stores a file sent as the body or in a
/// multipart form.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    QueryParams(named): QueryParams<NameQuery>,
    request: Request,
) -> Result<Response> {
    if http::media_type(request.headers()) == Some("application/json") {
        let Json(NewUpload { name, size }) = Json::from_request(request, &app).await?;
        refuse_empty(Some(size))?;
        let upload = app.blocking(move |app| create_row(app, &name, size)).await?;
        return created(&upload, 0);
    }
    let (form, request, size) = if http::media_type(request.headers()) == Some("multipart/form-data") {
        let (form, file) = Form::open(request, app.config.client_timeout).await?;
        // Content-Length is that of the form; the file's length is only known at its end.
        (Some(form), file, None)
    } else {
        require_bytes(request.headers())?;
        let size = content_length(request.headers())?;
        refuse_empty(size)?;
        (None, request, size)
    };
    let form_name = form.as_ref().and_then(|form| form.name.clone());
    let name = named.name.or(form_name).unwrap_or_else(|| "file".into());
    let (upload, available) = app
        .blocking(move |app| Ok((create_row(app, &name, size.unwrap_or(0))?, available_bytes(app)?)))
        .await?;
    let partial = PartialUpload::new(&app, &upload)?;
    // A body of unknown length may use all available space.
    let max = size.unwrap_or(available.min(app.config.max_upload));
    let received = append_body(
        &partial.path,
        BodyChunks::new(request, app.config.client_timeout),
        0,
        max,
    )
    .await?;
    if let Some(form) = form {
        form.end().await?;
    }
    if size.is_some_and(|size| size != received) {
        return Err(ApiError::new(
            Code::BadRequest,
            "the body is shorter than its Content-Length",
        ));
    }
    refuse_empty(Some(received))?;
    app.counters.upload_bytes.add(received);
    let id = upload.id.clone();
    app.blocking(move |app| Ok(app.db.touch_upload(&id, clock::now(), received, true)?))
        .await?;
    partial.keep();
    let upload = Upload {
        size: received,
        state: UploadState::Complete,
        ..upload
    };
    created(&upload, received)
}

/// Returns an error for a file of 0 bytes.
pub(super) fn refuse_empty(size: Option<u64>) -> Result<()> {
    if size == Some(0) {
        return Err(ApiError::because(Code::BadRequest, Reason::FileEmpty, []));
    }
    Ok(())
}

/// Returns the response 201 with the URL and the JSON object of a new upload.
fn created(upload: &Upload, received: u64) -> Result<Response> {
    let location = format!("/api/v1/uploads/{}", upload.id);
    let body = axum::Json(upload_json(upload, received));
    Ok((StatusCode::CREATED, [("location", location)], body).into_response())
}

/// Checks name, size, quota and free space, and creates the row and the empty file of an upload of `size` bytes.
pub(super) fn create_row(app: &App, name: &str, size: u64) -> Result<Upload> {
    let label = store::label(name);
    // Pictures are decoded without ffmpeg.
    if !store::is_picture(&label) {
        app.require_ffmpeg()?;
    }
    if size > app.config.max_upload {
        return Err(too_large(size, app.config.max_upload));
    }
    app.store.check_quota(
        size,
        reserved_bytes(app)?,
        app.config.quota,
        app.config.free_space,
    )?;
    let upload = Upload {
        id: ids::new("up")?,
        extension: store::extension(&label).to_owned(),
        name: label,
        size,
        state: UploadState::Receiving,
        created_at: clock::now(),
    };
    app.db.mark_pending(&upload.file())?;
    std::fs::File::create_new(app.store.upload(&upload.id, &upload.extension))?;
    app.db.add_upload(&upload)?;
    Ok(upload)
}

/// Returns the error for a file of `size` bytes, above `limit`.
fn too_large(size: u64, limit: u64) -> ApiError {
    let pairs = [("size", size.into()), ("limit", limit.into())];
    ApiError::because(Code::TooLarge, Reason::FileTooLarge, pairs).with_field("limit", limit)
}

/// Returns the bytes that all incomplete uploads may still receive.
pub(crate) fn reserved_bytes(app: &App) -> Result<u64> {
    let uploads = app.db.receiving()?;
    let left = uploads
        .iter()
        .map(|upload| upload.size.saturating_sub(received_bytes(app, upload)));
    Ok(left.sum())
}

/// Returns the bytes that an upload of unknown length may use.
fn available_bytes(app: &App) -> Result<u64> {
    let (quota, min_free) = (app.config.quota, app.config.free_space);
    Ok(app.store.available_bytes(reserved_bytes(app)?, quota, min_free))
}

/// Returns the received bytes of an upload: the length of its file.
fn received_bytes(app: &App, upload: &Upload) -> u64 {
    let path = app.store.upload(&upload.id, &upload.extension);
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// Returns the JSON object of an upload in the API.
pub(crate) fn upload_json(upload: &Upload, received: u64) -> Value {
    json!({
        "id": upload.id, "name": upload.name, "size": upload.size, "received": received,
        "state": upload.state.name(), "created_at": clock::text(upload.created_at),
    })
}

/// Returns an error unless the body is `application/octet-stream`.
fn require_bytes(headers: &HeaderMap) -> Result<()> {
    match http::media_type(headers) {
        Some("application/octet-stream") => Ok(()),
        _ => {
            let text = "send the file's bytes, with Content-Type: application/octet-stream";
            Err(ApiError::new(Code::UnsupportedType, text))
        }
    }
}

/// Parses `Content-Length`; `None` if it is absent.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get(CONTENT_LENGTH) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| ApiError::new(Code::BadRequest, "Content-Length is not a number"))
}

/// Upload in a single request, whose row and file are removed on drop unless it completes.
struct PartialUpload {
    app: Arc<App>,
    upload: Upload,
    path: PathBuf,
    _lock: UploadLock,
    kept: bool,
}

impl PartialUpload {
    /// Locks `upload` for writing.
    fn new(app: &Arc<App>, upload: &Upload) -> Result<Self> {
        Ok(Self {
            app: Arc::clone(app),
            upload: upload.clone(),
            path: app.store.upload(&upload.id, &upload.extension),
            _lock: app.lock_upload(&upload.id).ok_or_else(busy_error)?,
            kept: false,
        })
    }

    /// Keeps row and file: the upload is complete.
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for PartialUpload {
    /// Removes the row and the file of an upload that did not complete.
    fn drop(&mut self) {
        if !self.kept {
            let _ = removal::upload(&self.app, &self.upload);
        }
    }
}

/// Returns the error for an upload that another request is writing.
fn busy_error() -> ApiError {
    ApiError::new(Code::Busy, "another request is writing this upload")
}

/// Appends a body to a file that has `start` bytes, up to a length of `max`, and returns its new length. Bytes received before
/// an error stay in the file.
async fn append_body(path: &Path, mut body: BodyChunks, start: u64, max: u64) -> Result<u64> {
    let file = OpenOptions::new().append(true).open(path).await?;
    let mut writer = BufWriter::with_capacity(WRITE_BUFFER, file);
    let mut received = start;
    let result = loop {
        let chunk = match body.next().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        if received + chunk.len() as u64 > max {
            break Err(too_large(received + chunk.len() as u64, max));
        }
        if let Err(error) = writer.write_all(&chunk).await {
            break Err(error.into());
        }
        received += chunk.len() as u64;
    };
    finish(writer).await?;
    result.map(|()| received)
}

/// Flushes a file to disk.
async fn finish(mut writer: BufWriter<File>) -> io::Result<()> {
    writer.flush().await?;
    writer.into_inner().sync_data().await
}

/// Handles `PUT /uploads/{id}`: appends the body at the offset in `Content-Range`, or without it at the end.
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
    request: Request,
) -> Result<Response> {
    require_bytes(request.headers())?;
    let upload = find_upload_row(&app, &id).await?;
    let _lock = app.lock_upload(&id).ok_or_else(busy_error)?;
    let have = received_bytes(&app, &upload);
    let end = range_end(request.headers(), &upload, have)?;
    if upload.state == UploadState::Complete {
        return Err(offset_error(upload.size, upload.size));
    }
    let path = app.store.upload(&upload.id, &upload.extension);
    let result = append_body(
        &path,
        BodyChunks::new(request, app.config.client_timeout),
        have,
        end,
    )
    .await;
    let now = received_bytes(&app, &upload);
    app.counters.upload_bytes.add(now.saturating_sub(have));
    let complete = now == upload.size && result.is_ok();
    let size = upload.size;
    app.blocking(move |app| Ok(app.db.touch_upload(&id, clock::now(), size, complete)?))
        .await?;
    result?;
    let state = if complete {
        UploadState::Complete
    } else {
        UploadState::Receiving
    };
    Ok(axum::Json(upload_json(&Upload { state, ..upload }, now)).into_response())
}

/// Returns the error for a range that does not begin at the upload's next byte, `received`.
fn offset_error(begins: u64, received: u64) -> ApiError {
    let text = format!("the range begins at {begins}; the next byte is {received}");
    ApiError::new(Code::UploadOffset, text).with_field("received", received)
}

/// Returns the length of the upload's file after the request, by `Content-Range`; an error if the range does not fit the
/// upload or the body.
fn range_end(headers: &HeaderMap, upload: &Upload, received: u64) -> Result<u64> {
    let Some(value) = headers.get(CONTENT_RANGE) else {
        return Ok(upload.size);
    };
    let wrong = || {
        ApiError::new(
            Code::BadRequest,
            "Content-Range must have the form: bytes 0-1023/4096",
        )
    };
    let text = value.to_str().map_err(|_| wrong())?;
    let (first, last, size) = parse_range(text).ok_or_else(wrong)?;
    if size != upload.size || last >= size || first > last {
        return Err(wrong());
    }
    if first != received {
        return Err(offset_error(first, received));
    }
    let length = content_length(headers)?
        .ok_or_else(|| ApiError::new(Code::LengthRequired, "a range needs Content-Length"))?;
    if length != last - first + 1 {
        return Err(wrong());
    }
    Ok(last + 1)
}

/// Parses a `Content-Range` such as `bytes 0-1023/4096` into first byte, last byte, and size of the file.
fn parse_range(text: &str) -> Option<(u64, u64, u64)> {
    let (bytes, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = bytes.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size.parse().ok()?))
}

/// Returns the row of upload `id`; an error if there is none.
async fn find_upload_row(app: &Arc<App>, id: &str) -> Result<Upload> {
    let id = id.to_owned();
    app.blocking(move |app| {
        let known = if ids::is_valid(&id, "up") {
            app.db.upload(&id)?
        } else {
            None
        };
        known.ok_or_else(|| ApiError::not_found("upload"))
    })
    .await
}

/// Handles `GET /uploads/{id}`: returns an upload.
pub(crate) async fn get(State(app): State<Arc<App>>, PathParams(id): PathParams<String>) -> Result<Response> {
    let upload = find_upload_row(&app, &id).await?;
    let have = received_bytes(&app, &upload);
    Ok(axum::Json(upload_json(&upload, have)).into_response())
}

/// Handles `GET /uploads`: lists uploads, newest first.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Response> {
    let (before, limit) = (query.before()?, query.limit()?);
    let body = app
        .blocking(move |app| {
            let page = app.db.uploads(before, limit)?;
            Ok(http::page(page, |upload| {
                upload_json(upload, received_bytes(app, upload))
            }))
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

/// Handles `DELETE /uploads/{id}`: removes an upload, even one with an unreadable row.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
) -> Result<StatusCode> {
    let _lock = app.lock_upload(&id).ok_or_else(busy_error)?;
    app.blocking(move |app| {
        if !ids::is_valid(&id, "up") || !app.db.has_upload(&id)? {
            return Err(ApiError::not_found("upload"));
        }
        match app.db.upload(&id) {
            Ok(Some(upload)) => removal::upload(app, &upload),
            _ => removal::upload_file(
                app,
                &id,
                &app.store.find_upload_file(&id)?.unwrap_or_else(|| id.clone()),
            ),
        }
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_strictly() {
        assert_eq!(parse_range("bytes 0-1023/4096"), Some((0, 1023, 4096)));
        for bad in [
            "bytes 0-1023",
            "bytes */4096",
            "bytes -5/10",
            "0-1/2",
            "bytes 0-18446744073709551616/5",
            "",
        ] {
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }
}
