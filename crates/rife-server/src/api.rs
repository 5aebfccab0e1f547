//! HTTP handlers of `/api/v1`, authentication, and the page's files.

pub(crate) mod files;
pub(crate) mod guard;
pub(crate) mod http;
pub(crate) mod jobs;
pub(crate) mod metrics;
pub(crate) mod routes;
pub(crate) mod session;
pub(crate) mod system;
pub(crate) mod uploads;
pub(crate) mod web;
