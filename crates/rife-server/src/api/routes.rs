//! Table of API routes, and the router with its middleware.

use std::sync::{Arc, LazyLock};

use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Router, middleware};
use serde_json::Value;

use crate::api::{
    archive, files, folders, guard, jobs, metrics, models, presets, queue, request_id, session, system,
    uploads, web,
};
use crate::error::{ApiError, Code};
use crate::state::app::App;
use crate::state::kind::Kind;
use crate::work::options;

/// Returns all routes of the API with their handlers, without the prefix `/api/v1`.
fn table() -> Vec<(&'static str, MethodRouter<Arc<App>>)> {
    vec![
        ("/health", get(system::health)),
        ("/session", post(session::open).delete(session::close)),
        ("/openapi.json", get(openapi)),
        ("/metrics", get(metrics::get)),
        ("/models", get(models::list).post(models::create)),
        ("/models/{name}", put(models::pull).delete(models::delete)),
        ("/uploads", get(uploads::list).post(uploads::create)),
        (
            "/uploads/{id}",
            get(uploads::get)
                .merge(put(uploads::add))
                .merge(delete(uploads::delete)),
        ),
        ("/uploads/{id}/content", get(files::upload)),
        ("/uploads/{id}/probe", get(files::probe_upload)),
        ("/uploads/{id}/analysis", get(files::analysis::of_upload)),
        ("/uploads/{id}/frames/{number}", get(files::frame_of_upload)),
        ("/uploads/{id}/frames/at", get(files::frames_at::of_upload)),
        ("/folders", get(folders::roots)),
        ("/folders/{index}", get(folders::list).post(folders::take)),
        ("/frames", post(files::save_frame)),
        ("/plans", post(jobs::plan)),
        ("/queue", get(queue::get).put(queue::change)),
        ("/presets", get(presets::list)),
        ("/presets/{name}", put(presets::save).delete(presets::delete)),
        ("/files.zip", get(archive::results)),
        ("/jobs", get(jobs::list).post(jobs::create)),
        ("/jobs/{id}", get(jobs::get).delete(jobs::delete)),
        ("/jobs/{id}/cancel", post(jobs::cancel)),
        ("/jobs/{id}/retry", post(jobs::retry)),
        ("/jobs/{id}/events", get(jobs::stream::of_job)),
        ("/jobs/{id}/preview", get(jobs::preview)),
        ("/jobs/{id}/files/{name}", get(files::result)),
        ("/jobs/{id}/files/{name}/probe", get(files::probe_result)),
        (
            "/jobs/{id}/files/{name}/analysis",
            get(files::analysis::of_result),
        ),
        (
            "/jobs/{id}/files/{name}/verification",
            get(files::verification::of_result),
        ),
        (
            "/jobs/{id}/files/{name}/frames/{number}",
            get(files::frame_of_result),
        ),
        (
            "/jobs/{id}/files/{name}/frames/at",
            get(files::frames_at::of_result),
        ),
        ("/jobs/{id}/inputs/{index}", get(files::input)),
        ("/jobs/{id}/inputs/{index}/probe", get(files::probe_input)),
        (
            "/jobs/{id}/inputs/{index}/frames/{number}",
            get(files::frame_of_input),
        ),
        (
            "/jobs/{id}/inputs/{index}/frames/at",
            get(files::frames_at::of_input),
        ),
        ("/events", get(jobs::stream::of_all)),
    ]
}

/// Builds the router of API and page, behind [`guard::check`] and [`request_id::trace`].
pub(crate) fn router(app: &Arc<App>) -> Router {
    let api = table().into_iter().fold(Router::new(), |router, (path, route)| {
        router.route(&format!("/api/v1{path}"), route.fallback(wrong_method))
    });
    api.fallback(web::serve)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard::check))
        .layer(middleware::from_fn(request_id::trace))
        .with_state(Arc::clone(app))
}

/// Responds with 405 to a method that a route does not have.
async fn wrong_method() -> Response {
    ApiError::new(Code::MethodNotAllowed, "this route does not support this method").into_response()
}

/// Handles `GET /openapi.json`: sends the embedded OpenAPI document.
async fn openapi() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    ([("content-type", "application/json")], TEXT.as_str()).into_response()
}

/// Returns the OpenAPI document: `openapi.json`, completed with the options of each job kind from the option tables.
fn document() -> Value {
    let mut document: Value = serde_json::from_str(include_str!("openapi.json")).unwrap_or_default();
    for kind in Kind::ALL {
        let name = match kind {
            Kind::Video => "VideoOptions",
            Kind::Images => "ImagesOptions",
            Kind::Chain => "ChainOptions",
            Kind::Reencode => "ReencodeOptions",
            Kind::Report => "ReportOptions",
        };
        document["components"]["schemas"][name]["properties"] = options::schema(kind);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_these_paths() {
        let document = document();
        let mut served: Vec<_> = table().into_iter().map(|(path, _)| path).collect();
        let mut documented: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        served.sort_unstable();
        documented.sort_unstable();
        assert_eq!(served, documented);
    }
}
