//! Handlers that serve uploads, results and inputs: downloads with ranges and conditional requests (RFC 9110), probes, and
//! single frames as JPEG or PNG.

pub(crate) mod analysis;
pub(crate) mod frames_at;
pub(crate) mod verification;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use rife::media::probe::{MediaStream, StreamKind};
use rife::media::{Input, SourceSpec, StreamInfo, open_source, time};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_http::services::ServeFile;

use crate::api::http::{self, Json, PathParams, QueryParams};
use crate::api::jobs::{CancelOnDrop, probe_permit};
use crate::error::{ApiError, Code, Result};
use crate::state::app::App;
use crate::state::db::{Upload, UploadState};
use crate::state::store;
use crate::work::frames;
use crate::work::frames::FrameSelector;
use crate::work::refs::{Ref, StoredFile};
use crate::{clock, ids, picture};

/// `Cache-Control` of files: a client may cache them but must revalidate.
const CACHE_CONTROL: &str = "private, no-cache";
/// Maximum width of a frame requested with a width, in pixels.
const MAX_WIDTH: u32 = 1920;

/// Query parameters of a download.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DownloadQuery {
    /// 1 for `Content-Disposition: attachment`, else 0.
    download: Option<u8>,
}

/// Handles `GET /uploads/{id}/content`: sends the file of a complete upload.
pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
    QueryParams(query): QueryParams<DownloadQuery>,
    request: Request,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_upload(&id)).await?;
    serve(&found, &query, request).await
}

/// Handles `GET /jobs/{id}/files/{name}`: sends a result of a job.
pub(crate) async fn result(
    State(app): State<Arc<App>>,
    PathParams((id, name)): PathParams<(String, String)>,
    QueryParams(query): QueryParams<DownloadQuery>,
    request: Request,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_file(&id, &name)).await?;
    serve(&found, &query, request).await
}

/// Handles `GET /jobs/{id}/inputs/{index}`: sends an input of a job, counted from 0.
pub(crate) async fn input(
    State(app): State<Arc<App>>,
    PathParams((id, index)): PathParams<(String, usize)>,
    QueryParams(query): QueryParams<DownloadQuery>,
    request: Request,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_input(&id, index)).await?;
    serve(&found, &query, request).await
}

/// Responds with a file: complete, one byte range of it, or 304 where the client's `ETag` or date is current.
async fn serve(found: &StoredFile, query: &DownloadQuery, mut request: Request) -> Result<Response> {
    crate::work::options::check_range("download", query.download.unwrap_or(0), 0, 1)?;
    let metadata = found.path.metadata()?;
    let modified = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let tag = format!(
        "\"{:x}-{:x}\"",
        metadata.len(),
        modified.unwrap_or_default().as_nanos()
    );
    let headers = request.headers_mut();
    if http::matches_etag(headers, header::IF_NONE_MATCH, &tag) {
        let known = [
            (header::ETAG, tag.as_str()),
            (header::CACHE_CONTROL, CACHE_CONTROL),
        ];
        return Ok((StatusCode::NOT_MODIFIED, known).into_response());
    }
    // RFC 9110, section 13.1.3: If-None-Match takes precedence.
    if headers.contains_key(header::IF_NONE_MATCH) {
        headers.remove(header::IF_MODIFIED_SINCE);
    }
    let modified = clock::http_date(modified.unwrap_or_default().as_secs());
    // If-Range names another version of the file: send all of it.
    let other =
        |known: &HeaderValue| known.as_bytes() != tag.as_bytes() && known.as_bytes() != modified.as_bytes();
    if headers.get(header::IF_RANGE).is_some_and(other) {
        headers.remove(header::RANGE);
    }
    if let Some(range) = headers.remove(header::RANGE)
        && let Some(range) = normalize_range(range.to_str().unwrap_or(""), metadata.len())
    {
        headers.insert(header::RANGE, header_value(&range));
    }
    let served = ServeFile::new(&found.path).oneshot(request).await;
    let mut response = match served {
        Ok(response) => response.map(axum::body::Body::new),
        Err(never) => match never {},
    };
    match response.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let text = format!("the file has {} bytes", metadata.len());
            return Err(ApiError::new(Code::Range, text).with_field("size", metadata.len()));
        }
        StatusCode::NOT_FOUND => return Err(ApiError::not_found("file")),
        _ => {}
    }
    let headers = response.headers_mut();
    let media_type = store::media_type(&found.input.extension);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::ETAG, header_value(&tag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL));
    let unknown = media_type == "application/octet-stream";
    let kind = if query.download == Some(1) || unknown {
        "attachment"
    } else {
        "inline"
    };
    headers.insert(
        header::CONTENT_DISPOSITION,
        header_value(&disposition(kind, &found.input.name)),
    );
    Ok(response)
}

/// Normalizes a `Range` header for a file of `size` bytes: numbers above 64 bits become the maximum, a suffix longer than the
/// file becomes the file. `None`, for the complete file, where it has several ranges, another unit, or is invalid.
fn normalize_range(range: &str, size: u64) -> Option<String> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    // Numbers above 64 bits become the maximum.
    let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true if !digits.is_empty() => Some(digits.parse().unwrap_or(u64::MAX)),
        _ => None,
    };
    Some(match (first.is_empty(), last.is_empty()) {
        (true, false) => format!("bytes=-{}", number(last)?.min(size)),
        (false, true) => format!("bytes={}-", number(first)?),
        _ => format!("bytes={}-{}", number(first)?, number(last)?),
    })
}

/// Converts text to a header value; empty if it has characters that a header cannot contain.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Returns a `Content-Disposition` (RFC 6266) of `kind` (`inline` or `attachment`) with a file name in ASCII and in UTF-8.
pub(crate) fn disposition(kind: &str, name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._- ".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut full = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => full.push(char::from(byte)),
            _ => full += &format!("%{byte:02X}"),
        }
    }
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{full}")
}

/// Handles `GET /uploads/{id}/probe`: describes the streams of an upload.
pub(crate) async fn probe_upload(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_upload(&id)).await?;
    probe(&app, found).await
}

/// Handles `GET /jobs/{id}/files/{name}/probe`: describes the streams of a result.
pub(crate) async fn probe_result(
    State(app): State<Arc<App>>,
    PathParams((id, name)): PathParams<(String, String)>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_file(&id, &name)).await?;
    probe(&app, found).await
}

/// Handles `GET /jobs/{id}/inputs/{index}/probe`: describes the streams of an input.
pub(crate) async fn probe_input(
    State(app): State<Arc<App>>,
    PathParams((id, index)): PathParams<(String, usize)>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_input(&id, index)).await?;
    probe(&app, found).await
}

/// Opens a media file and responds with its description; stops when the client disconnects.
async fn probe(app: &Arc<App>, found: StoredFile) -> Result<Response> {
    let _permit = probe_permit(app).await?;
    let guard = CancelOnDrop::default();
    let mut spec = SourceSpec::new(Input::parse(&found.path));
    spec.allow_interlaced = true;
    spec.cancel = guard.0.clone();
    let body = app
        .blocking(move |_| {
            let source = open_source(&spec);
            let refused = |error: rife::media::MediaError| {
                ApiError::from_library(&error.into(), &found.names()).for_request()
            };
            let source = source.map_err(refused)?;
            Ok(describe(source.info(), &spec.input, found.input.bytes))
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

/// Returns the Probe object of the API for a media file of `bytes` bytes. The number of frames is computed from duration and
/// rate where the file does not have it.
fn describe(info: &StreamInfo, input: &Input, bytes: u64) -> Value {
    let still = matches!(input, Input::Images(_));
    let duration = info.duration.map(time::seconds);
    let rate = info.frame_rate.map(time::seconds);
    let counted = duration
        .zip(rate)
        .map(|(duration, rate)| (duration * rate).round() as u64);
    let media = info.media.as_ref();
    json!({
        "kind": if still { "image" } else { "video" },
        "container": media.map(|media| media.container.clone()),
        "width": info.width, "height": info.height,
        "frames": info.frames.or(counted).or(still.then_some(1)),
        "rate": if still { None } else { info.frame_rate.map(|rate| rate.to_string()) },
        "fps": if still { None } else { rate },
        "variable_rate": info.variable_rate,
        "duration_s": if still { None } else { duration },
        "bytes": bytes,
        "streams": media.map_or_else(Vec::new, |media| media.streams.iter().map(stream).collect()),
        "chapters": media.map_or(0, |media| media.chapters.len()),
    })
}

/// Returns one item of the Probe object's `streams`.
fn stream(stream: &MediaStream) -> Value {
    let kind = match stream.kind {
        StreamKind::Video => "video",
        StreamKind::CoverArt => "cover_art",
        StreamKind::Audio => "audio",
        StreamKind::Subtitle => "subtitle",
        StreamKind::Attachment => "attachment",
        StreamKind::Data => "data",
    };
    let video = stream.video.as_ref().map(|video| {
        let rate = video
            .frame_rate
            .map_or(String::new(), |rate| format!(", {:.3} fps", time::seconds(rate)));
        format!("{}x{} {}{rate}", video.width, video.height, video.pixel_format)
    });
    let audio = stream
        .audio
        .map(|(channels, rate)| format!("{channels} channels, {rate} Hz"));
    json!({
        "index": stream.index, "kind": kind, "codec": stream.codec, "language": stream.language,
        "title": stream.title, "detail": video.or(audio).unwrap_or_default(),
    })
}

/// Query parameters of a frame.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SizeQuery {
    /// Width of a JPEG in pixels; `None` for a PNG in full size.
    width: Option<u32>,
}

/// Handles `GET /uploads/{id}/frames/{n}`: sends frame `n` of an upload, counted from 1.
pub(crate) async fn frame_of_upload(
    State(app): State<Arc<App>>,
    PathParams((id, number)): PathParams<(String, u64)>,
    QueryParams(size): QueryParams<SizeQuery>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_upload(&id)).await?;
    frame(&app, found, FrameSelector::Number(number), size.width).await
}

/// Handles `GET /jobs/{id}/files/{name}/frames/{n}`: sends frame `n` of a result, counted from 1.
pub(crate) async fn frame_of_result(
    State(app): State<Arc<App>>,
    PathParams((id, name, number)): PathParams<(String, String, u64)>,
    QueryParams(size): QueryParams<SizeQuery>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_file(&id, &name)).await?;
    frame(&app, found, FrameSelector::Number(number), size.width).await
}

/// Handles `GET /jobs/{id}/inputs/{index}/frames/{n}`: sends frame `n` of an input, counted from 1.
pub(crate) async fn frame_of_input(
    State(app): State<Arc<App>>,
    PathParams((id, index, number)): PathParams<(String, usize, u64)>,
    QueryParams(size): QueryParams<SizeQuery>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_input(&id, index)).await?;
    frame(&app, found, FrameSelector::Number(number), size.width).await
}

/// Decodes one frame and responds with a JPEG at most `width` pixels wide, or without `width` with a PNG. JPEGs are cached.
async fn frame(
    app: &Arc<App>,
    found: StoredFile,
    selector: FrameSelector,
    width: Option<u32>,
) -> Result<Response> {
    if let Some(width) = width.filter(|width| !(16..=MAX_WIDTH).contains(width)) {
        return Err(ApiError::new(
            Code::BadRequest,
            format!("width is {width}; it must be from 16 to {MAX_WIDTH}"),
        ));
    }
    let key = format!("{} {selector:?} {width:?}", found.path.display());
    let kept = app.thumbnails.get(&key);
    let bytes = match kept {
        Some(bytes) => bytes,
        None => {
            let _permit = probe_permit(app).await?;
            let guard = CancelOnDrop::default();
            let cancel = guard.0.clone();
            app.blocking(move |app| {
                let _memory = frames::reserve_memory(app, &found.path)?;
                let (frame, tags) = frames::read(&found.path, selector, &cancel, &found.names())?;
                let Some(width) = width else {
                    return picture::png(&frame, &tags).map(Bytes::from);
                };
                let bytes = Bytes::from(picture::thumbnail(&frame, &tags, width)?);
                app.thumbnails.put(key, bytes.clone());
                Ok(bytes)
            })
            .await?
        }
    };
    let kind = if width.is_some() {
        "image/jpeg"
    } else {
        "image/png"
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, max-age=3600"),
    ];
    Ok((headers, bytes).into_response())
}

/// Body of `POST /frames`: a file and the number of a frame in it, counted from 1.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrameRequest {
    input: Ref,
    frame: u64,
}

/// Handles `POST /frames`: saves a frame as a PNG upload that can be a job's input.
pub(crate) async fn save_frame(
    State(app): State<Arc<App>>,
    Json(request): Json<FrameRequest>,
) -> Result<Response> {
    let _permit = probe_permit(&app).await?;
    let guard = CancelOnDrop::default();
    let cancel = guard.0.clone();
    let body = app
        .blocking(move |app| {
            let found = app.find(&request.input)?;
            let reserved = crate::api::uploads::reserved_bytes(app)?;
            app.store
                .check_quota(0, reserved, app.config.quota, app.config.free_space)?;
            let _memory = frames::reserve_memory(app, &found.path)?;
            let (frame, tags) = frames::read(
                &found.path,
                FrameSelector::Number(request.frame),
                &cancel,
                &found.names(),
            )?;
            let upload = Upload {
                id: ids::new("up")?,
                name: frame_name(&found.input.name, request.frame),
                extension: "png".into(),
                size: 0,
                state: UploadState::Complete,
                created_at: clock::now(),
            };
            let path = app.store.upload(&upload.id, "png");
            app.db.mark_pending(&upload.file())?;
            let written = rife::media::write_image(&path, &frame, &tags, false);
            written.map_err(|error| ApiError::from_library(&error.into(), &found.names()))?;
            let size = path.metadata()?.len();
            let upload = Upload { size, ..upload };
            app.db.add_upload(&upload)?;
            Ok(crate::api::uploads::upload_json(&upload, size))
        })
        .await?;
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

/// Returns the label of the upload with frame `number` of the file called `name`.
fn frame_name(name: &str, number: u64) -> String {
    let stem = std::path::Path::new(name)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    store::label(&format!("{stem}_frame{number}.png"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn ranges_are_cut_to_the_file() {
        let one = |range| super::normalize_range(range, 100);
        for (range, wanted) in [
            ("bytes=0-9", "bytes=0-9"),
            ("Bytes = 5-", "bytes=5-"),
            ("bytes=-100", "bytes=-100"),
            ("bytes=-101", "bytes=-100"),
            ("bytes=-99999999999999999999999", "bytes=-100"),
            (
                "bytes=90-99999999999999999999999",
                "bytes=90-18446744073709551615",
            ),
            ("bytes=200-", "bytes=200-"),
        ] {
            assert_eq!(one(range).as_deref(), Some(wanted), "{range}");
        }
        for whole in [
            "lines=1-2",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=0-1,2-3",
            "bytes=+1-2",
        ] {
            assert_eq!(one(whole), None, "{whole}");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_header() {
        let header = super::disposition("attachment", "a\"; b\r\nc é.mp4");
        assert_eq!(
            header,
            "attachment; filename=\"a__ b__c _.mp4\"; filename*=UTF-8''a%22%3B%20b%0D%0Ac%20%C3%A9.mp4"
        );
    }
}
