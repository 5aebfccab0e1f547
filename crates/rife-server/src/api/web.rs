//! Static files of the web page, embedded in the binary.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::http;
use crate::error::{ApiError, Code};
use crate::ids;

/// Embedded files of the folder `web/`.
#[derive(rust_embed::RustEmbed)]
#[folder = "web/"]
struct Files;

/// Handles every path outside the API's routes: sends a file of the page, or 404.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return ApiError::not_found("route").into_response();
    }
    let name = if path.is_empty() { "index.html" } else { path };
    let Some(file) = Files::get(name) else {
        return ApiError::not_found("page").into_response();
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return ApiError::new(Code::MethodNotAllowed, "the page supports only GET and HEAD").into_response();
    }
    let tag = format!("\"{}\"", ids::hexadecimal(&file.metadata.sha256_hash()[..8]));
    let fresh = http::matches_etag(request.headers(), header::IF_NONE_MATCH, &tag);
    let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type(name))),
        // Revalidated by ETag, since a new version of the program has new files.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag),
    ];
    match fresh {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, file.data.into_owned()).into_response(),
    }
}

/// Returns the media type of a file of the page by its extension.
fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
