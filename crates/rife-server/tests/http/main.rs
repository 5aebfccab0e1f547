//! Tests of the server over real TCP connections.

mod docs;
mod editor;
mod errors;
mod events;
mod folder;
mod fuzz;
mod guard;
mod jobs;
mod limits;
mod models;
mod openapi;
mod page;
mod support;
mod uploads;
