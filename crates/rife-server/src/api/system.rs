//! Handlers of `/health` and `/models`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use rife::media::Ffmpeg;
use rife::models::{Lock, models_folder};
use rife::nets::{Scale, Version};
use rife::{Device, Interpolator, InterpolatorSpec, Precision};
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

/// Handles `GET /models`: available networks, devices, precisions, scales and containers.
pub(crate) async fn models(State(app): State<Arc<App>>) -> Result<Response> {
    let (items, devices) = app.blocking(|_| Ok((all_models(), all_devices()))).await?;
    let precisions: Vec<_> = Precision::available().into_iter().map(Precision::name).collect();
    let scales = Scale::ALL.map(|scale| scale.factor());
    let body = json!({
        "default": "default", "containers": crate::work::options::containers(), "precisions": precisions, "scales": scales, "devices": devices, "items": items,
    });
    Ok(axum::Json(body).into_response())
}

/// Returns the devices of this machine, by the names that jobs can choose.
fn all_devices() -> Vec<Value> {
    let devices = Device::available().into_iter();
    devices
        .map(|(device, description)| json!({"name": device.to_string(), "description": description}))
        .collect()
}

/// Returns the built-in model, unless built without it, and all downloaded models.
fn all_models() -> Vec<Value> {
    let mut built_in = InterpolatorSpec::default();
    built_in.threads = Some(1);
    let mut items: Vec<Value> = Interpolator::new(&built_in)
        .ok()
        .map(|model| item("default", model.version(), "built in"))
        .into_iter()
        .collect();
    let lock = models_folder().ok().and_then(|folder| Lock::read(&folder).ok());
    for name in lock.iter().flat_map(|lock| lock.models.keys()) {
        if let Ok(version) = name.parse::<Version>() {
            items.push(item(name, version, "pulled"));
        }
    }
    items
}

/// Returns the JSON object of one model.
fn item(name: &str, version: Version, origin: &str) -> Value {
    json!({
        "name": name, "version": version.name(), "origin": origin, "timestep": version.supports_timestep(),
        "ensemble": version.supports_ensemble(), "tta": true,
    })
}
