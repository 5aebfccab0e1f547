//! Metrics in Prometheus text format (`GET /metrics`).

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::error::Result;
use crate::state::app::App;

/// Handles `GET /metrics`.
pub(crate) async fn get(State(app): State<Arc<App>>) -> Result<Response> {
    let text = app.blocking(text).await?;
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response())
}

/// Returns all counters and gauges in Prometheus text format.
fn text(app: &App) -> Result<String> {
    let mut text = String::new();
    let counters = &app.counters;
    for (name, help, counter) in [
        (
            "rife_http_requests_total",
            "Requests answered.",
            &counters.requests,
        ),
        (
            "rife_http_errors_total",
            "Requests answered with a status of 400 and above.",
            &counters.errors,
        ),
        ("rife_jobs_created_total", "Jobs created.", &counters.jobs_created),
        (
            "rife_upload_bytes_total",
            "Bytes of uploads received.",
            &counters.upload_bytes,
        ),
        ("rife_frames_total", "Frames written by jobs.", &counters.frames),
    ] {
        let value = counter.get();
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}"
        );
    }
    let streams = crate::state::app::MAX_STREAMS - app.streams.available_permits();
    for (name, help, value) in [
        (
            "rife_used_bytes",
            "Bytes that uploads and jobs take.",
            app.store.used_bytes(),
        ),
        ("rife_quota_bytes", "Bytes that they may take.", app.config.quota),
        (
            "rife_free_bytes",
            "Bytes free on the disk.",
            app.store.free_bytes(),
        ),
        (
            "rife_event_streams",
            "Event streams that are open.",
            streams as u64,
        ),
    ] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    text += "# HELP rife_jobs Jobs by state.\n# TYPE rife_jobs gauge\n";
    let counts = app.db.count_jobs()?;
    for state in crate::state::db::State::ALL {
        let count = counts
            .iter()
            .find(|(known, _)| *known == state)
            .map_or(0, |(_, count)| *count);
        let _ = writeln!(text, "rife_jobs{{state=\"{}\"}} {count}", state.name());
    }
    Ok(text)
}
