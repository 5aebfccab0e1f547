//! `rife serve`: the library's jobs behind an HTTP API, and the page that uses it. Requests become jobs here, jobs become
//! rows; what a job does is the library's business.

mod api;
mod clock;
mod config;
mod error;
mod ids;
mod listen;
mod log;
mod picture;
mod reason;
mod state;
mod work;

pub use config::{Config, ConfigError};
pub use listen::{ServeError, serve};
