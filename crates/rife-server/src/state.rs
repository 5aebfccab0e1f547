//! Server state shared by request handlers and workers: database, data folder, events, limits and running jobs.

pub(crate) mod app;
pub(crate) mod connections;
pub(crate) mod counters;
pub(crate) mod db;
pub(crate) mod events;
pub(crate) mod failed_logins;
pub(crate) mod key;
pub(crate) mod kind;
pub(crate) mod running;
pub(crate) mod store;
pub(crate) mod thumbnails;
pub(crate) mod wake;
