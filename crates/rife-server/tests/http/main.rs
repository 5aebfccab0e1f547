//! The server over real sockets: requests as bytes, answers as they come.

mod docs;
mod errors;
mod events;
mod folder;
mod guard;
mod jobs;
mod limits;
mod openapi;
mod page;
mod support;
mod uploads;
