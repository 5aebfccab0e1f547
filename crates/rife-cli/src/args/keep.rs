//! The options of resumable jobs.

use clap::Args;
use rife::media::sink::SEGMENT_FRAMES;
use rife::video::Keep;

/// The options of keeping and resuming an unfinished job.
#[derive(Debug, Args)]
pub(crate) struct KeepArgs {
    /// Remove the unfinished work of an earlier run of this or another command for OUT, and start over
    #[arg(long, hide_short_help = true)]
    restart: bool,
    /// Encode without segments, and keep nothing of an interrupted run
    #[arg(long, hide_short_help = true, conflicts_with_all = ["restart", "segment_frames"])]
    no_resume: bool,
    /// Output frames per segment: at most these are lost by an interruption
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = SEGMENT_FRAMES, value_parser = clap::value_parser!(u64).range(1..))]
    segment_frames: u64,
}

impl KeepArgs {
    /// Converts the options to the library's.
    pub(crate) fn keep(&self) -> Keep {
        let mut keep = Keep::default();
        keep.on = !self.no_resume;
        keep.restart = self.restart;
        keep.segment_frames = self.segment_frames;
        keep
    }
}
