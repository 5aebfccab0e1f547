//! Files to clients: whole or in ranges, what is in them, and single frames of them.

pub(crate) mod at;

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

use crate::api::http::{self, InPath, InQuery, Json};
use crate::api::jobs::{CancelOnDrop, look};
use crate::error::{ApiError, Code, Result};
use crate::state::app::App;
use crate::state::db::{Upload, UploadState};
use crate::state::store;
use crate::work::frames;
use crate::work::frames::Which;
use crate::work::refs::{Found, Ref};
use crate::{clock, ids, picture};

/// How clients may keep files: they ask whether theirs is the present one.
const CACHING: &str = "private, no-cache";
/// The widest thumbnail.
const WIDEST: u32 = 1920;

/// Whether to save it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saving {
    download: Option<u8>,
}

/// `GET /uploads/{id}/content`.
pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    InQuery(saving): InQuery<Saving>,
    request: Request,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_upload(&id)).await?;
    serve(&found, &saving, request).await
}

/// `GET /jobs/{id}/files/{name}`.
pub(crate) async fn result(
    State(app): State<Arc<App>>,
    InPath((id, name)): InPath<(String, String)>,
    InQuery(saving): InQuery<Saving>,
    request: Request,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_file(&id, &name)).await?;
    serve(&found, &saving, request).await
}

/// `GET /jobs/{id}/inputs/{index}`.
pub(crate) async fn input(
    State(app): State<Arc<App>>,
    InPath((id, index)): InPath<(String, usize)>,
    InQuery(saving): InQuery<Saving>,
    request: Request,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_input(&id, index)).await?;
    serve(&found, &saving, request).await
}

/// The bytes of a file, whole or in part.
async fn serve(found: &Found, saving: &Saving, mut request: Request) -> Result<Response> {
    crate::work::options::check_range("download", saving.download.unwrap_or(0), 0, 1)?;
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
    if http::names_tag(headers, header::IF_NONE_MATCH, &tag) {
        let known = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, CACHING)];
        return Ok((StatusCode::NOT_MODIFIED, known).into_response());
    }
    // It tells more than a date does.
    if headers.contains_key(header::IF_NONE_MATCH) {
        headers.remove(header::IF_MODIFIED_SINCE);
    }
    let modified = clock::http_date(modified.unwrap_or_default().as_secs());
    // A part of another state of the file is of no use to the client.
    let other =
        |known: &HeaderValue| known.as_bytes() != tag.as_bytes() && known.as_bytes() != modified.as_bytes();
    if headers.get(header::IF_RANGE).is_some_and(other) {
        headers.remove(header::RANGE);
    }
    if let Some(range) = headers.remove(header::RANGE)
        && let Some(range) = one_range(range.to_str().unwrap_or(""), metadata.len())
    {
        headers.insert(header::RANGE, value(&range));
    }
    let served = ServeFile::new(&found.path).oneshot(request).await;
    let mut response = match served {
        Ok(response) => response.map(axum::body::Body::new),
        Err(never) => match never {},
    };
    match response.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let text = format!("the file has {} bytes", metadata.len());
            return Err(ApiError::new(Code::Range, text).with("size", metadata.len()));
        }
        StatusCode::NOT_FOUND => return Err(ApiError::not_found("file")),
        _ => {}
    }
    let headers = response.headers_mut();
    let media_type = store::media_type(&found.input.extension);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::ETAG, value(&tag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHING));
    let unknown = media_type == "application/octet-stream";
    let how = if saving.download == Some(1) || unknown {
        "attachment"
    } else {
        "inline"
    };
    headers.insert(
        header::CONTENT_DISPOSITION,
        value(&disposition(how, &found.input.name)),
    );
    Ok(response)
}

/// A range within a file of `size` bytes, as RFC 9110 has it: what goes beyond the end is cut, a suffix longer than the file
/// is the file. Many ranges in one request, and units that are not known, are answered by the whole.
fn one_range(range: &str, size: u64) -> Option<String> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    // Numbers beyond all files are the largest one.
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

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// `attachment` with a name: in ASCII, and in full as RFC 6266 has it.
fn disposition(how: &str, name: &str) -> String {
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
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{full}")
}

/// `GET /uploads/{id}/probe`.
pub(crate) async fn probe_upload(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_upload(&id)).await?;
    probe(&app, found).await
}

/// `GET /jobs/{id}/files/{name}/probe`.
pub(crate) async fn probe_result(
    State(app): State<Arc<App>>,
    InPath((id, name)): InPath<(String, String)>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_file(&id, &name)).await?;
    probe(&app, found).await
}

/// `GET /jobs/{id}/inputs/{index}/probe`.
pub(crate) async fn probe_input(
    State(app): State<Arc<App>>,
    InPath((id, index)): InPath<(String, usize)>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_input(&id, index)).await?;
    probe(&app, found).await
}

async fn probe(app: &Arc<App>, found: Found) -> Result<Response> {
    let _permit = look(app).await?;
    let guard = CancelOnDrop::default();
    let spec = SourceSpec {
        allow_interlaced: true,
        cancel: guard.0.clone(),
        ..SourceSpec::new(Input::parse(&found.path))
    };
    let body = app
        .blocking(move |_| {
            let source = open_source(&spec);
            let refused = |error: rife::media::MediaError| {
                ApiError::from_library(&error.into(), &found.names()).into_answer()
            };
            let source = source.map_err(refused)?;
            Ok(describe(source.info(), &spec.input, found.input.bytes))
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

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

/// How large.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sized {
    width: Option<u32>,
}

/// `GET /uploads/{id}/frames/{n}`.
pub(crate) async fn frame_of_upload(
    State(app): State<Arc<App>>,
    InPath((id, number)): InPath<(String, u64)>,
    InQuery(size): InQuery<Sized>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_upload(&id)).await?;
    frame(&app, found, Which::Number(number), size.width).await
}

/// `GET /jobs/{id}/files/{name}/frames/{n}`.
pub(crate) async fn frame_of_result(
    State(app): State<Arc<App>>,
    InPath((id, name, number)): InPath<(String, String, u64)>,
    InQuery(size): InQuery<Sized>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_file(&id, &name)).await?;
    frame(&app, found, Which::Number(number), size.width).await
}

/// `GET /jobs/{id}/inputs/{index}/frames/{n}`.
pub(crate) async fn frame_of_input(
    State(app): State<Arc<App>>,
    InPath((id, index, number)): InPath<(String, usize, u64)>,
    InQuery(size): InQuery<Sized>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_input(&id, index)).await?;
    frame(&app, found, Which::Number(number), size.width).await
}

async fn frame(app: &Arc<App>, found: Found, which: Which, width: Option<u32>) -> Result<Response> {
    if let Some(width) = width.filter(|width| !(16..=WIDEST).contains(width)) {
        return Err(ApiError::new(
            Code::BadRequest,
            format!("width {width} is not from 16 to {WIDEST}"),
        ));
    }
    let key = format!("{} {which:?} {width:?}", found.path.display());
    let kept = app.thumbnails.get(&key);
    let bytes = match kept {
        Some(bytes) => bytes,
        None => {
            let _permit = look(app).await?;
            let guard = CancelOnDrop::default();
            let cancel = guard.0.clone();
            app.blocking(move |app| {
                let _room = frames::reserve(app, &found.path)?;
                let (frame, tags) = frames::read(&found.path, which, &cancel, &found.names())?;
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

/// A frame to be kept as a picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrameRequest {
    input: Ref,
    frame: u64,
}

/// `POST /frames`.
pub(crate) async fn keep_frame(
    State(app): State<Arc<App>>,
    Json(request): Json<FrameRequest>,
) -> Result<Response> {
    let _permit = look(&app).await?;
    let guard = CancelOnDrop::default();
    let cancel = guard.0.clone();
    let body = app
        .blocking(move |app| {
            let found = app.find(&request.input)?;
            let promised = crate::api::uploads::promised(app)?;
            app.store
                .check_room(0, promised, app.config.quota, app.config.free_space)?;
            let _room = frames::reserve(app, &found.path)?;
            let (frame, tags) =
                frames::read(&found.path, Which::Number(request.frame), &cancel, &found.names())?;
            let upload = Upload {
                id: ids::new("up")?,
                name: frame_name(&found.input.name, request.frame),
                extension: "png".into(),
                size: 0,
                state: UploadState::Complete,
                created_at: clock::now(),
            };
            let path = app.store.upload(&upload.id, "png");
            app.db.begin(&upload.file())?;
            let written = rife::media::write_image(&path, &frame, &tags, false);
            written.map_err(|error| ApiError::from_library(&error.into(), &found.names()))?;
            let size = path.metadata()?.len();
            let upload = Upload { size, ..upload };
            app.db.add_upload(&upload)?;
            Ok(crate::api::uploads::show(&upload, size))
        })
        .await?;
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

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
        let one = |range| super::one_range(range, 100);
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
