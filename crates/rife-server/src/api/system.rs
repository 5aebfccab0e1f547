//! Handler of `/health`, and the devices of this machine.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use rife::Device;
use rife::media::Ffmpeg;
use serde_json::{Value, json};

use crate::api::guard;
use crate::error::Result;
use crate::state::app::App;
use crate::state::connections::Client;
use crate::state::db::State as JobState;

/// Handles `GET /health`: status and version; to authenticated clients also problems, queue and limits.
pub(crate) async fn health(
    State(app): State<Arc<App>>,
    client: Option<Extension<Client>>,
    headers: HeaderMap,
) -> Result<Response> {
    let auth = if app.key.is_some() { "token" } else { "none" };
    let mut body = json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "auth": auth});
    if guard::authenticate(&app, client.as_deref(), &headers).is_ok() {
        let more = app.blocking(details).await?;
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
    }
    Ok(axum::Json(body).into_response())
}

/// Returns the fields of `/health` for authenticated clients.
fn details(app: &App) -> Result<Value> {
    let counts = app.db.count_jobs()?;
    let count = |wanted: JobState| {
        counts
            .iter()
            .find(|(state, _)| *state == wanted)
            .map_or(0, |(_, count)| *count)
    };
    let ffmpeg = Ffmpeg::find().ok().map(|found| match found.version {
        (u32::MAX, _) => "snapshot".to_owned(),
        (major, minor) => format!("{major}.{minor}"),
    });
    let config = &app.config;
    let problems: Vec<String> = app
        .require_ffmpeg()
        .err()
        .map(|error| error.message().to_owned())
        .into_iter()
        .collect();
    Ok(json!({
        "problems": problems, "devices": all_devices(),
        "ffmpeg": ffmpeg, "workers": config.workers, "queued": count(JobState::Queued),
        "running": count(JobState::Running), "queue_limit": config.queue_limit, "max_upload": config.max_upload,
        "quota": config.quota, "used": app.store.used_bytes(), "free": app.store.free_bytes(), "retention_s": config.retention.as_secs(),
    }))
}

/// Returns the devices of this machine, by the names that jobs can choose.
pub(super) fn all_devices() -> Vec<Value> {
    let devices = Device::available().into_iter();
    devices
        .map(|(device, description)| json!({"name": device.to_string(), "description": description}))
        .collect()
}
