//! The real binary on real files, with the real ffmpeg where one is installed.

mod cli {
    pub(crate) mod support;

    mod batch;
    mod benchmark;
    mod chain;
    mod companions;
    mod convert;
    mod documents;
    mod drift;
    mod excerpt;
    #[cfg(unix)]
    mod files;
    #[cfg(feature = "gpu")]
    mod gpu;
    mod help;
    mod image;
    mod live;
    mod log;
    mod models;
    mod pace;
    mod processors;
    mod reencode;
    mod reference;
    mod refusals;
    mod report;
    mod resume;
    mod settings;
    mod shard;
    mod signals;
    mod threats;
    mod tools;
    mod verify;
    mod video;
    mod words;
}
