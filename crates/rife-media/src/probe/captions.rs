//! CEA-608 and CEA-708 closed captions: user data (ATSC A/53 part 4) within the coded frames of broadcast video, of
//! which no stream of the container tells.

use std::path::Path;

use serde::Deserialize;

use super::report::SideData;
use super::{MAX_REPORT, MediaStream, PATIENCE};
use crate::ffmpeg::args::Args;
use crate::{CancelToken, Ffmpeg, Limits, Result};

/// How many packets are looked at. Broadcasts carry caption data, if only padding, with every frame.
const PACKETS: u32 = 8;

#[derive(Deserialize, Default)]
struct Report {
    #[serde(default)]
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

/// Looks for captions in the first frames of `stream`, where its codec can carry them. A stream that cannot be read has
/// none.
pub(super) fn examine(
    ffmpeg: &Ffmpeg,
    path: &Path,
    limits: &Limits,
    cancel: &CancelToken,
    stream: &mut MediaStream,
) -> Result<()> {
    let Some(video) = stream.video.as_mut() else {
        return Ok(());
    };
    if !matches!(stream.codec.as_str(), "h264" | "hevc" | "mpeg2video") {
        return Ok(());
    }
    let mut args = Args::default();
    args.all(["-hide_banner", "-loglevel", "quiet", "-of", "json"]);
    args.all(["-select_streams", &stream.index.to_string()]);
    args.all([
        "-show_frames",
        "-show_entries",
        "frame=side_data_list:frame_side_data",
    ]);
    args.all(["-read_intervals", &format!("%+#{PACKETS}")])
        .input(path, limits)?;
    let answer = ffmpeg.run_ffprobe(args.0, MAX_REPORT, PATIENCE, cancel, "while looking for captions");
    let answer = match answer {
        Err(crate::MediaError::Child { .. }) => return Ok(()),
        answer => answer?,
    };
    let report = serde_json::from_slice::<Report>(&answer).unwrap_or_default();
    let mut sides = report.frames.iter().flat_map(|frame| &frame.side_data_list);
    video.captions = sides.any(|side| side.side_data_type.contains("Closed Captions"));
    Ok(())
}
