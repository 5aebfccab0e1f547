//! Execution of jobs: options and inputs, worker threads, and the janitor, which removes expired jobs and uploads.

pub(crate) mod frames;
pub(crate) mod inspect;
pub(crate) mod janitor;
pub(crate) mod kinds;
pub(crate) mod options;
pub(crate) mod refs;
pub(crate) mod removal;
pub(crate) mod worker;
