//! `rife serve`: the library's jobs behind an HTTP API, and the page that uses it. Requests become jobs here, jobs become
//! rows; what a job does is the library's business.

mod app;
mod attempts;
mod clock;
mod config;
mod connections;
mod db;
mod error;
mod events;
mod files;
mod frames;
mod guard;
mod http;
mod ids;
mod inspect;
mod janitor;
mod jobs;
mod kinds;
mod listen;
mod live;
mod log;
mod metrics;
mod options;
mod reason;
mod refs;
mod routes;
mod session;
mod store;
mod system;
mod uploads;
mod web;
mod worker;

pub use config::{Config, ConfigError};
pub use listen::{ServeError, serve};
