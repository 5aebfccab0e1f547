//! Jobs: their options, the worker threads that run them, and the janitor that removes what has expired.

pub(crate) mod frames;
pub(crate) mod inspect;
pub(crate) mod janitor;
pub(crate) mod kinds;
pub(crate) mod options;
pub(crate) mod refs;
pub(crate) mod removal;
pub(crate) mod worker;
