//! Handlers of `/queue`: order of the queued jobs, pause and resume.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::http::Json;
use crate::error::{ApiError, Code, Result};
use crate::ids;
use crate::state::app::App;

/// Body of `PUT /queue`; what is absent stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueRequest {
    /// Ids of jobs that move to the front, in this order.
    #[serde(default)]
    jobs: Vec<String>,
    /// Whether the queue is paused.
    paused: Option<bool>,
}

/// Handles `GET /queue`: returns the ids of the queued jobs in order, and whether the queue is paused.
pub(crate) async fn get(State(app): State<Arc<App>>) -> Result<Response> {
    let body = app.blocking(queue_json).await?;
    Ok(axum::Json(body).into_response())
}

/// Handles `PUT /queue`: moves jobs to the front, pauses or resumes.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Json(request): Json<QueueRequest>,
) -> Result<Response> {
    if let Some(wrong) = request.jobs.iter().find(|id| !ids::is_valid(id, "job")) {
        let shown: String = wrong.chars().take(40).collect();
        let text = format!("jobs has {shown:?}, which is not the id of a job");
        return Err(ApiError::new(Code::BadRequest, text).with_field("field", "jobs"));
    }
    let body = app
        .blocking(move |app| {
            if !request.jobs.is_empty() {
                app.db.reorder_queue(&request.jobs)?;
                app.publish_queue()?;
            }
            if let Some(paused) = request.paused {
                app.set_paused(paused)?;
            }
            queue_json(app)
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

/// Returns the Queue object of the API.
fn queue_json(app: &App) -> Result<Value> {
    Ok(json!({"jobs": app.db.queue()?, "paused": app.is_paused()}))
}
