//! Frames by time: the one that is shown so many seconds after the first, for files whose intervals vary, and for two
//! files that are looked at in step.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::frame;
use crate::api::http::{InPath, InQuery};
use crate::error::{ApiError, Code, Result};
use crate::state::app::App;
use crate::work::frames::Which;

/// When, and how large.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moment {
    time_s: f64,
    width: Option<u32>,
}

impl Moment {
    fn which(&self) -> Result<Which> {
        if self.time_s.is_finite() && self.time_s >= 0.0 {
            return Ok(Which::At(self.time_s));
        }
        let text = format!("time_s {} is no time: it is seconds, 0 or more", self.time_s);
        Err(ApiError::new(Code::BadRequest, text))
    }
}

/// `GET /uploads/{id}/frames/at`.
pub(crate) async fn of_upload(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    InQuery(moment): InQuery<Moment>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_upload(&id)).await?;
    frame(&app, found, moment.which()?, moment.width).await
}

/// `GET /jobs/{id}/files/{name}/frames/at`.
pub(crate) async fn of_result(
    State(app): State<Arc<App>>,
    InPath((id, name)): InPath<(String, String)>,
    InQuery(moment): InQuery<Moment>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_file(&id, &name)).await?;
    frame(&app, found, moment.which()?, moment.width).await
}

/// `GET /jobs/{id}/inputs/{index}/frames/at`.
pub(crate) async fn of_input(
    State(app): State<Arc<App>>,
    InPath((id, index)): InPath<(String, usize)>,
    InQuery(moment): InQuery<Moment>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_input(&id, index)).await?;
    frame(&app, found, moment.which()?, moment.width).await
}
