//! What requests and workers share: database, files on disk, events, limits and the jobs that run.

pub(crate) mod app;
pub(crate) mod attempts;
pub(crate) mod connections;
pub(crate) mod counters;
pub(crate) mod db;
pub(crate) mod events;
pub(crate) mod key;
pub(crate) mod kind;
pub(crate) mod live;
pub(crate) mod store;
pub(crate) mod thumbnails;
pub(crate) mod wake;
