//! Handlers of `.../frames/at`: the frame of a file that is shown at a time, for variable frame rates and for comparing two
//! files in sync.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::frame;
use crate::api::http::{PathParams, QueryParams};
use crate::error::{ApiError, Code, Result};
use crate::state::app::App;
use crate::work::frames::FrameSelector;

/// Query parameters of `.../frames/at`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeQuery {
    /// Seconds after the first frame's time, 0 or more.
    time_s: f64,
    /// Width of a JPEG in pixels; `None` for a PNG in full size.
    width: Option<u32>,
}

impl TimeQuery {
    /// Returns the selected frame; an error for a negative or infinite time.
    fn selector(&self) -> Result<FrameSelector> {
        if self.time_s.is_finite() && self.time_s >= 0.0 {
            return Ok(FrameSelector::Time(self.time_s));
        }
        let text = format!(
            "time_s is {}; it must be a number of seconds, 0 or more",
            self.time_s
        );
        Err(ApiError::new(Code::BadRequest, text))
    }
}

/// Handles `GET /uploads/{id}/frames/at`: sends the frame of an upload shown at `time_s`.
pub(crate) async fn of_upload(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
    QueryParams(query): QueryParams<TimeQuery>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_upload(&id)).await?;
    frame(&app, found, query.selector()?, query.width).await
}

/// Handles `GET /jobs/{id}/files/{name}/frames/at`: sends the frame of a result shown at `time_s`.
pub(crate) async fn of_result(
    State(app): State<Arc<App>>,
    PathParams((id, name)): PathParams<(String, String)>,
    QueryParams(query): QueryParams<TimeQuery>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_file(&id, &name)).await?;
    frame(&app, found, query.selector()?, query.width).await
}

/// Handles `GET /jobs/{id}/inputs/{index}/frames/at`: sends the frame of an input shown at `time_s`.
pub(crate) async fn of_input(
    State(app): State<Arc<App>>,
    PathParams((id, index)): PathParams<(String, usize)>,
    QueryParams(query): QueryParams<TimeQuery>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_input(&id, index)).await?;
    frame(&app, found, query.selector()?, query.width).await
}
