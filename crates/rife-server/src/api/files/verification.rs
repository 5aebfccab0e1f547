//! Handler that verifies a result: decodes it and compares it with its manifest (`rife verify`).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use rife::verify::{Check, Verdict, VerifyJob};
use serde_json::{Value, json};

use crate::api::http::PathParams;
use crate::api::jobs::{CancelOnDrop, probe_permit};
use crate::error::{ApiError, PathNames, Result};
use crate::reason::note;
use crate::state::app::App;

/// Handles `GET /jobs/{id}/files/{name}/verification`; stops when the client disconnects.
pub(crate) async fn of_result(
    State(app): State<Arc<App>>,
    PathParams((id, name)): PathParams<(String, String)>,
) -> Result<Response> {
    let (found, mut names) = app
        .blocking(move |app| {
            let found = app.find_file(&id, &name)?;
            let job = app.db.job(&id)?.ok_or_else(|| ApiError::not_found("job"))?;
            Ok((found, app.names(&job)))
        })
        .await?;
    names.add(&found.path, &found.input.name);
    let _permit = probe_permit(&app).await?;
    let guard = CancelOnDrop::default();
    let cancel = guard.0.clone();
    let body = app
        .blocking(move |_| {
            let verified = VerifyJob::new(&found.path).run(&mut |_, _| (), &cancel);
            let verified = verified.map_err(|error| ApiError::from_library(&error, &names).for_request())?;
            let right = verified.check().is_ok();
            let checks: Vec<Value> = verified.checks.iter().map(|one| check(one, &names)).collect();
            Ok(json!({"right": right, "manifest": verified.manifest, "checks": checks}))
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

/// Returns the JSON object of one check, whose values are notes.
fn check(check: &Check, names: &PathNames) -> Value {
    let verdict = match check.verdict {
        Verdict::Right => "right",
        Verdict::Wrong => "wrong",
        Verdict::Unknown => "unknown",
    };
    let value = |text: &str| note(&names.hide(text));
    json!({"name": check.name, "verdict": verdict, "expected": value(&check.expected), "found": value(&check.found)})
}
