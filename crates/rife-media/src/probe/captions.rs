//! Detection of CEA-608 and CEA-708 closed captions: user data (ATSC A/53 part 4) within the coded frames of broadcast
//! video, which the container's stream list does not show.

use std::path::Path;

use serde::Deserialize;

use super::report::SideData;
use super::{MAX_REPORT, MediaStream, PROBE_TIMEOUT};
use crate::ffmpeg::args::Args;
use crate::{CancelToken, Ffmpeg, Limits, Result};

/// Number of packets that are examined. Broadcasts carry caption data, if only padding, with every frame.
const PACKETS: u32 = 8;

/// ffprobe's JSON output for `-show_frames`, restricted to side data.
#[derive(Deserialize, Default)]
struct Report {
    #[serde(default)]
    frames: Vec<Frame>,
}

/// A frame of [`Report`].
#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

/// Sets `captions` of a video stream whose first frames carry closed captions, for codecs that can; false where the
/// frames cannot be read.
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
    let answer = ffmpeg.run_ffprobe(
        args.0,
        MAX_REPORT,
        PROBE_TIMEOUT,
        cancel,
        "while looking for captions",
    );
    let answer = match answer {
        Err(crate::MediaError::Child { .. }) => return Ok(()),
        answer => answer?,
    };
    let report = serde_json::from_slice::<Report>(&answer).unwrap_or_default();
    let mut sides = report.frames.iter().flat_map(|frame| &frame.side_data_list);
    video.captions = sides.any(|side| side.side_data_type.contains("Closed Captions"));
    Ok(())
}
