//! Uploads: bodies to files, a range at a time, with the space reserved before.

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

use crate::api::http::{self, Chunks, InPath, InQuery, Json, PageQuery};
use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;
use crate::state::app::{App, Writing};
use crate::state::db::{Upload, UploadState};
use crate::state::store;
use crate::work::removal;
use crate::{clock, ids};

/// Bytes that are gathered before they go to the disk.
const BUFFER: usize = 64 << 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUpload {
    name: String,
    size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    name: Option<String>,
}

/// `POST /uploads`: name and size as JSON, or the file itself, as the body or in a form.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    InQuery(named): InQuery<Named>,
    request: Request,
) -> Result<Response> {
    if http::media_type(request.headers()) == Some("application/json") {
        let Json(NewUpload { name, size }) = Json::from_request(request, &app).await?;
        refuse_empty(Some(size))?;
        let upload = app.blocking(move |app| reserve(app, &name, size)).await?;
        return created(&upload, 0);
    }
    let (form, request, size) = if http::media_type(request.headers()) == Some("multipart/form-data") {
        let (form, file) = Form::open(request, app.config.patience).await?;
        // The length is that of the whole form: the file is counted as it comes.
        (Some(form), file, None)
    } else {
        require_bytes(request.headers())?;
        let size = content_length(request.headers())?;
        refuse_empty(size)?;
        (None, request, size)
    };
    let told = form.as_ref().and_then(|form| form.name.clone());
    let name = named.name.or(told).unwrap_or_else(|| "file".into());
    let (upload, room) = app
        .blocking(move |app| Ok((reserve(app, &name, size.unwrap_or(0))?, room(app)?)))
        .await?;
    let partial = Partial::new(&app, &upload)?;
    // A body of unknown length is counted as it comes.
    let most = size.unwrap_or(room.min(app.config.max_upload));
    let received = receive(&partial.path, Chunks::new(request, app.config.patience), 0, most).await?;
    if let Some(form) = form {
        form.end().await?;
    }
    if size.is_some_and(|size| size != received) {
        return Err(ApiError::new(
            Code::BadRequest,
            "the body is shorter than it said",
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

fn refuse_empty(size: Option<u64>) -> Result<()> {
    if size == Some(0) {
        return Err(ApiError::because(Code::BadRequest, Reason::FileEmpty, []));
    }
    Ok(())
}

fn created(upload: &Upload, received: u64) -> Result<Response> {
    let location = format!("/api/v1/uploads/{}", upload.id);
    let body = axum::Json(show(upload, received));
    Ok((StatusCode::CREATED, [("location", location)], body).into_response())
}

/// A row and an empty file, with room for `size` bytes.
fn reserve(app: &App, name: &str, size: u64) -> Result<Upload> {
    let label = store::label(name);
    // Pictures become pictures without it.
    if !store::is_picture(&label) {
        app.need_ffmpeg()?;
    }
    if size > app.config.max_upload {
        return Err(too_large(size, app.config.max_upload));
    }
    app.store
        .check_room(size, promised(app)?, app.config.quota, app.config.free_space)?;
    let upload = Upload {
        id: ids::new("up")?,
        extension: store::extension(&label).to_owned(),
        name: label,
        size,
        state: UploadState::Receiving,
        created_at: clock::now(),
    };
    app.db.begin(&upload.file())?;
    std::fs::File::create_new(app.store.upload(&upload.id, &upload.extension))?;
    app.db.add_upload(&upload)?;
    Ok(upload)
}

fn too_large(size: u64, limit: u64) -> ApiError {
    let pairs = [("size", size.into()), ("limit", limit.into())];
    ApiError::because(Code::TooLarge, Reason::FileTooLarge, pairs).with("limit", limit)
}

/// Bytes that have been promised to uploads and have not come yet.
pub(crate) fn promised(app: &App) -> Result<u64> {
    let uploads = app.db.receiving()?;
    let left = uploads
        .iter()
        .map(|upload| upload.size.saturating_sub(received(app, upload)));
    Ok(left.sum())
}

/// Bytes that an upload of unknown length may have.
fn room(app: &App) -> Result<u64> {
    let (quota, floor) = (app.config.quota, app.config.free_space);
    Ok(app.store.room(promised(app)?, quota, floor))
}

/// How much of it is here.
fn received(app: &App, upload: &Upload) -> u64 {
    let path = app.store.upload(&upload.id, &upload.extension);
    path.metadata().map_or(0, |metadata| metadata.len())
}

pub(crate) fn show(upload: &Upload, received: u64) -> Value {
    json!({
        "id": upload.id, "name": upload.name, "size": upload.size, "received": received,
        "state": upload.state.name(), "created_at": clock::text(upload.created_at),
    })
}

fn require_bytes(headers: &HeaderMap) -> Result<()> {
    match http::media_type(headers) {
        Some("application/octet-stream") => Ok(()),
        _ => {
            let text = "send the file's bytes, with Content-Type: application/octet-stream";
            Err(ApiError::new(Code::UnsupportedType, text))
        }
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get(CONTENT_LENGTH) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| ApiError::new(Code::BadRequest, "Content-Length is not a number"))
}

/// An upload in one go, which is removed again unless it comes to its end.
struct Partial {
    app: Arc<App>,
    upload: Upload,
    path: PathBuf,
    _writing: Writing,
    kept: bool,
}

impl Partial {
    fn new(app: &Arc<App>, upload: &Upload) -> Result<Self> {
        Ok(Self {
            app: Arc::clone(app),
            upload: upload.clone(),
            path: app.store.upload(&upload.id, &upload.extension),
            _writing: app.write_upload(&upload.id).ok_or_else(busy)?,
            kept: false,
        })
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            let _ = removal::upload(&self.app, &self.upload);
        }
    }
}

fn busy() -> ApiError {
    ApiError::new(Code::Busy, "somebody else is writing this upload")
}

/// Appends a body of at most `most` bytes in all to a file that has `start`; returns what it has then. What came
/// before an error stays.
async fn receive(path: &Path, mut body: Chunks, start: u64, most: u64) -> Result<u64> {
    let file = OpenOptions::new().append(true).open(path).await?;
    let mut writer = BufWriter::with_capacity(BUFFER, file);
    let mut received = start;
    let result = loop {
        let chunk = match body.next().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        if received + chunk.len() as u64 > most {
            break Err(too_large(received + chunk.len() as u64, most));
        }
        if let Err(error) = writer.write_all(&chunk).await {
            break Err(error.into());
        }
        received += chunk.len() as u64;
    };
    finish(writer).await?;
    result.map(|()| received)
}

async fn finish(mut writer: BufWriter<File>) -> io::Result<()> {
    writer.flush().await?;
    writer.into_inner().sync_data().await
}

/// `PUT /uploads/{id}`: bytes are added.
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    request: Request,
) -> Result<Response> {
    require_bytes(request.headers())?;
    let upload = get_row(&app, &id).await?;
    let _writing = app.write_upload(&id).ok_or_else(busy)?;
    let have = received(&app, &upload);
    let end = range(request.headers(), &upload, have)?;
    if upload.state == UploadState::Complete {
        return Err(offset(upload.size, upload.size));
    }
    let path = app.store.upload(&upload.id, &upload.extension);
    let result = receive(&path, Chunks::new(request, app.config.patience), have, end).await;
    let now = received(&app, &upload);
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
    Ok(axum::Json(show(&Upload { state, ..upload }, now)).into_response())
}

fn offset(begins: u64, received: u64) -> ApiError {
    let text = format!("the range begins at {begins}; the next byte is {received}");
    ApiError::new(Code::UploadOffset, text).with("received", received)
}

/// Where the body of a request ends, as its headers say.
fn range(headers: &HeaderMap, upload: &Upload, received: u64) -> Result<u64> {
    let Some(value) = headers.get(CONTENT_RANGE) else {
        return Ok(upload.size);
    };
    let wrong = || ApiError::new(Code::BadRequest, "Content-Range is not as in: bytes 0-1023/4096");
    let text = value.to_str().map_err(|_| wrong())?;
    let (first, last, size) = parse_range(text).ok_or_else(wrong)?;
    if size != upload.size || last >= size || first > last {
        return Err(wrong());
    }
    if first != received {
        return Err(offset(first, received));
    }
    let length = content_length(headers)?
        .ok_or_else(|| ApiError::new(Code::LengthRequired, "a range needs Content-Length"))?;
    if length != last - first + 1 {
        return Err(wrong());
    }
    Ok(last + 1)
}

/// First and last byte, and size, of `bytes 0-1023/4096`.
fn parse_range(text: &str) -> Option<(u64, u64, u64)> {
    let (bytes, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = bytes.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size.parse().ok()?))
}

async fn get_row(app: &Arc<App>, id: &str) -> Result<Upload> {
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

/// `GET /uploads/{id}`.
pub(crate) async fn get(State(app): State<Arc<App>>, InPath(id): InPath<String>) -> Result<Response> {
    let upload = get_row(&app, &id).await?;
    let have = received(&app, &upload);
    Ok(axum::Json(show(&upload, have)).into_response())
}

/// `GET /uploads`.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    InQuery(query): InQuery<PageQuery>,
) -> Result<Response> {
    let (before, limit) = (query.before()?, query.limit()?);
    let body = app
        .blocking(move |app| {
            let page = app.db.uploads(before, limit)?;
            Ok(http::page(page, |upload| show(upload, received(app, upload))))
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

/// `DELETE /uploads/{id}`, also of one whose row cannot be read.
pub(crate) async fn delete(State(app): State<Arc<App>>, InPath(id): InPath<String>) -> Result<StatusCode> {
    let _writing = app.write_upload(&id).ok_or_else(busy)?;
    app.blocking(move |app| {
        if !ids::is_valid(&id, "up") || !app.db.has_upload(&id)? {
            return Err(ApiError::not_found("upload"));
        }
        match app.db.upload(&id) {
            Ok(Some(upload)) => removal::upload(app, &upload),
            _ => removal::upload_file(app, &id, &app.store.file_of(&id)?.unwrap_or_else(|| id.clone())),
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
