//! Handlers of `/folders`: files in folders of this machine that the operator allows (`--allow-folder`) become uploads without
//! being sent.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::http::{Json, PathParams, QueryParams};
use crate::api::uploads;
use crate::clock;
use crate::error::{ApiError, Code, Result};
use crate::state::app::App;
use crate::state::db::{Upload, UploadState};
use crate::state::store;
use crate::work::removal;

/// Maximum number of entries of a listing.
const MAX_ENTRIES: usize = 2000;

/// Query parameters of a listing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FolderQuery {
    /// The path of a folder, relative to the allowed one; empty for that itself.
    path: Option<String>,
}

/// Body of `POST /folders/{index}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileRequest {
    /// The path of a file, relative to the allowed folder.
    path: String,
}

/// Handles `GET /folders`: lists the allowed folders.
pub(crate) async fn roots(State(app): State<Arc<App>>) -> Response {
    let name = |path: &PathBuf| {
        path.file_name()
            .map_or("/".into(), |name| name.to_string_lossy().into_owned())
    };
    let folders = app.config.folders.iter().enumerate();
    let items: Vec<Value> = folders
        .map(|(index, path)| json!({"index": index, "name": name(path)}))
        .collect();
    axum::Json(json!({"items": items})).into_response()
}

/// Handles `GET /folders/{index}?path=…`: lists folders, clips and pictures in a folder, without hidden ones.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    PathParams(index): PathParams<usize>,
    QueryParams(query): QueryParams<FolderQuery>,
) -> Result<Response> {
    let body = app
        .blocking(move |app| listing(&find(app, index, query.path.as_deref().unwrap_or_default())?))
        .await?;
    Ok(axum::Json(body).into_response())
}

/// Returns the FolderListing object of the API.
fn listing(folder: &Path) -> Result<Value> {
    if !folder.is_dir() {
        return Err(ApiError::not_found("folder"));
    }
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder)?.flatten() {
        // Names that are not UTF-8 cannot be requested.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let Ok(metadata) = entry.metadata() else { continue };
        if name.starts_with('.') {
            continue;
        } else if metadata.is_dir() {
            folders.push(name);
        } else if metadata.is_file() && store::extension(&name) != "bin" {
            files.push((name, metadata.len()));
        }
    }
    let truncated = folders.len() > MAX_ENTRIES || files.len() > MAX_ENTRIES;
    folders.sort_unstable();
    files.sort_unstable();
    folders.truncate(MAX_ENTRIES);
    files.truncate(MAX_ENTRIES);
    let files: Vec<Value> = files
        .into_iter()
        .map(|(name, bytes)| json!({"name": name, "bytes": bytes}))
        .collect();
    Ok(json!({"folders": folders, "files": files, "truncated": truncated}))
}

/// Handles `POST /folders/{index}`: makes a file an upload, as a hard link where that is possible, else as a copy.
pub(crate) async fn take(
    State(app): State<Arc<App>>,
    PathParams(index): PathParams<usize>,
    Json(request): Json<FileRequest>,
) -> Result<Response> {
    let body = app
        .blocking(move |app| {
            let path = find(app, index, &request.path)?;
            let metadata = path.metadata()?;
            if !metadata.is_file() {
                return Err(ApiError::not_found("file"));
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            uploads::refuse_empty(Some(metadata.len()))?;
            let upload = uploads::create_row(app, &name, metadata.len())?;
            let linked = link(app, &upload, &path);
            if linked.is_err() {
                let _ = removal::upload(app, &upload);
            }
            linked?;
            let state = UploadState::Complete;
            Ok(uploads::upload_json(&Upload { state, ..upload }, metadata.len()))
        })
        .await?;
    let location = format!("/api/v1/uploads/{}", body["id"].as_str().unwrap_or_default());
    Ok((StatusCode::CREATED, [("location", location)], axum::Json(body)).into_response())
}

/// Replaces the empty file of an upload by a link to `path`, and completes it.
fn link(app: &App, upload: &Upload, path: &Path) -> Result<()> {
    let to = app.store.upload(&upload.id, &upload.extension);
    std::fs::remove_file(&to)?;
    store::link(path, &to)?;
    Ok(app.db.touch_upload(&upload.id, clock::now(), upload.size, true)?)
}

/// Returns the path of an entry of an allowed folder; an error if it does not exist, or is a link to the outside.
fn find(app: &App, index: usize, path: &str) -> Result<PathBuf> {
    let root = app
        .config
        .folders
        .get(index)
        .ok_or_else(|| ApiError::not_found("folder"))?;
    let inside = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !inside || path.contains('\0') {
        let text = "path is relative to the folder, without . and ..";
        return Err(ApiError::new(Code::BadRequest, text).with_field("field", "path"));
    }
    let missing = |_| ApiError::not_found("file");
    let root = root.canonicalize().map_err(missing)?;
    let found = root.join(path).canonicalize().map_err(missing)?;
    if found.starts_with(&root) {
        Ok(found)
    } else {
        Err(ApiError::not_found("file"))
    }
}
