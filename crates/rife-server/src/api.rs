//! HTTP layer (axum): handlers of `/api/v1`, authentication, and the embedded files of the web page.

pub(crate) mod archive;
pub(crate) mod files;
pub(crate) mod folders;
pub(crate) mod guard;
pub(crate) mod http;
pub(crate) mod jobs;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod presets;
pub(crate) mod queue;
pub(crate) mod request_id;
pub(crate) mod routes;
pub(crate) mod session;
pub(crate) mod system;
pub(crate) mod uploads;
pub(crate) mod web;
