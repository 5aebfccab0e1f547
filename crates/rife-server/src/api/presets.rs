//! Handlers of `/presets`: named options of jobs, which all clients of the server share.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::http::{Json, PathParams};
use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;
use crate::state::app::App;
use crate::state::db::Preset;
use crate::state::kind::Kind;
use crate::work::kinds;

/// Maximum number of presets.
const MAX_PRESETS: usize = 200;
/// Maximum length of a preset's name in characters.
const MAX_NAME: usize = 60;

/// Body of `PUT /presets/{name}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresetRequest {
    kind: Kind,
    #[serde(default)]
    options: Map<String, Value>,
}

/// Handles `GET /presets`: lists all presets by name.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Response> {
    let presets = app.blocking(|app| Ok(app.db.presets()?)).await?;
    let items: Vec<Value> = presets.iter().map(preset_json).collect();
    Ok(axum::Json(json!({"items": items})).into_response())
}

/// Handles `PUT /presets/{name}`: checks and stores a preset, replacing one of that name.
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    PathParams(name): PathParams<String>,
    Json(request): Json<PresetRequest>,
) -> Result<Response> {
    check_name(&name)?;
    let PresetRequest { kind, options } = request;
    // In a job null is the default; a preset has only what it sets.
    if let Some((field, value)) = options.iter().find(|(_, value)| value.is_null()) {
        return Err(ApiError::option(
            field,
            Reason::OptionForm,
            [("value", value.clone())],
        ));
    }
    let options = Value::Object(options);
    kinds::parse_options(kind, &options, *kind.inputs().start())?;
    let preset = Preset { name, kind, options };
    let body = app
        .blocking(move |app| {
            if !app.db.save_preset(&preset, MAX_PRESETS)? {
                let text = format!("there are {MAX_PRESETS} presets; delete one first");
                return Err(ApiError::new(Code::BadRequest, text));
            }
            Ok(preset_json(&preset))
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

/// Handles `DELETE /presets/{name}`: deletes a preset.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    PathParams(name): PathParams<String>,
) -> Result<StatusCode> {
    let found = app.blocking(move |app| Ok(app.db.delete_preset(&name)?)).await?;
    if found {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::not_found("preset"))
}

/// Returns an error for a name that is empty, too long, or has control characters.
fn check_name(name: &str) -> Result<()> {
    let good = (1..=MAX_NAME).contains(&name.chars().count())
        && name.trim() == name
        && !name.contains(char::is_control);
    if good {
        return Ok(());
    }
    let text = format!(
        "a preset's name has 1 to {MAX_NAME} characters, without control characters and spaces around it"
    );
    Err(ApiError::new(Code::BadRequest, text).with_field("field", "name"))
}

/// Returns the Preset object of the API, which is also a file for `--preset-file`.
fn preset_json(preset: &Preset) -> Value {
    json!({"name": preset.name, "kind": preset.kind.name(), "options": preset.options})
}
