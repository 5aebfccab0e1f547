//! Handlers that analyse a clip: its cuts and its repeated frames, as a `video` job would find them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use rife::media::{Input, Output, open_source, time};
use rife::video::{DuplicateRange, DuplicatesReport, VideoJob};
use serde_json::{Value, json};

use crate::api::http::PathParams;
use crate::api::jobs::{CancelOnDrop, probe_permit};
use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;
use crate::state::app::App;
use crate::work::refs::StoredFile;

/// Maximum number of pixels of all frames: 50 minutes of 640 x 360 at 25 frames a second, or 5 of 1920 x 1080.
const MAX_PIXELS: f64 = 1.8e10;

/// Handles `GET /uploads/{id}/analysis`.
pub(crate) async fn of_upload(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_upload(&id)).await?;
    analyze(&app, found).await
}

/// Handles `GET /jobs/{id}/files/{name}/analysis`.
pub(crate) async fn of_result(
    State(app): State<Arc<App>>,
    PathParams((id, name)): PathParams<(String, String)>,
) -> Result<Response> {
    let found = app.blocking(move |app| app.find_file(&id, &name)).await?;
    analyze(&app, found).await
}

/// Decodes a clip and responds with its cuts and repeated frames; stops when the client disconnects.
async fn analyze(app: &Arc<App>, found: StoredFile) -> Result<Response> {
    let _permit = probe_permit(app).await?;
    let guard = CancelOnDrop::default();
    let cancel = guard.0.clone();
    let body = app
        .blocking(move |_| {
            let refused = |error: &rife::Error| ApiError::from_library(error, &found.names()).for_request();
            // Nothing is written.
            let mut job = VideoJob::new(Input::parse(&found.path), Output::Stdout);
            job.source.allow_interlaced = true;
            job.source.cancel = cancel.clone();
            let opened = open_source(&job.source).map_err(|error| refused(&error.into()))?;
            let info = opened.info().clone();
            drop(opened);
            let seconds = info.duration.map_or(0.0, time::seconds);
            let frames = seconds * info.frame_rate.map_or(0.0, time::seconds);
            let pixels = frames * f64::from(info.width) * f64::from(info.height);
            if pixels > MAX_PIXELS {
                return Err(too_long(pixels));
            }
            let report = job.report_duplicates(&cancel, &mut |_| ());
            Ok(describe(&report.map_err(|error| refused(&error))?))
        })
        .await?;
    let headers = [(header::CACHE_CONTROL, "private, max-age=3600")];
    Ok((headers, axum::Json(body)).into_response())
}

/// Returns the error for a clip of too many pixels.
fn too_long(pixels: f64) -> ApiError {
    let pairs = [
        ("what", "the number of pixels of all frames".into()),
        ("value", format!("{pixels:.2e}").into()),
        (
            "accepted",
            format!("up to {MAX_PIXELS:.2e} for an analysis").into(),
        ),
    ];
    ApiError::because(Code::BadInput, Reason::Limit, pairs)
}

/// Returns the Analysis object of the API; times count from the first frame.
fn describe(report: &DuplicatesReport) -> Value {
    let after = |at| time::seconds(at - report.start);
    let cuts = report.cut_frames.iter();
    let cuts: Vec<Value> = cuts
        .map(|(frame, at)| json!({"frame": frame, "time_s": after(*at)}))
        .collect();
    let range = |range: &DuplicateRange| {
        json!({
            "first": range.frames[0], "last": range.frames[1], "from_s": after(range.times[0]), "to_s": after(range.times[1]),
            "held": range.held, "pattern": range.pattern(),
        })
    };
    let repeated: Vec<Value> = report.ranges.iter().map(range).collect();
    json!({"frames": report.frames, "cuts": cuts, "repeated": repeated})
}
