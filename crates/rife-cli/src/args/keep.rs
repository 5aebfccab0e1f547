//! The options of jobs that go on where an earlier run was stopped.

use clap::Args;
use rife::media::sink::SEGMENT_FRAMES;
use rife::video::Keep;

#[derive(Debug, Args)]
pub(crate) struct KeepArgs {
    /// Start over where an unfinished run of this or another command has left its work beside OUT
    #[arg(long)]
    restart: bool,
    /// Encode in one piece and keep nothing of a run that is interrupted
    #[arg(long, conflicts_with_all = ["restart", "segment_frames"])]
    no_resume: bool,
    /// Frames of the result in a segment, the most that an interruption can cost
    #[arg(long, value_name = "N", default_value_t = SEGMENT_FRAMES, value_parser = clap::value_parser!(u64).range(1..))]
    segment_frames: u64,
}

impl KeepArgs {
    /// As a job takes it.
    pub(crate) fn keep(&self) -> Keep {
        let mut keep = Keep::default();
        keep.on = !self.no_resume;
        keep.restart = self.restart;
        keep.segment_frames = self.segment_frames;
        keep
    }
}
