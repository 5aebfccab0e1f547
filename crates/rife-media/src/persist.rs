//! Crash-safe persistence of unfinished outputs: the journal of segments with the job fingerprint, the write-ahead log of
//! frames, the log of images, and temporary files that are renamed when complete. What is encoded and how is not known here.

pub(crate) mod folder;
pub(crate) mod frame_log;
pub(crate) mod journal;
pub(crate) mod ledger;
pub(crate) mod part;
pub(crate) mod pictures;
pub(crate) mod workplace;
