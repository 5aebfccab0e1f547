//! HTTP server of `rife serve` (axum, SQLite): a JSON API for interpolation jobs, and a web page that uses it. Requests
//! become rows of the database, from which worker threads run the jobs of the `rife` crate.

mod api;
mod clock;
mod config;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod ids;
mod listen;
mod picture;
mod reason;
mod state;
mod work;

pub use config::{Config, ConfigError};
pub use listen::{ServeError, serve};
