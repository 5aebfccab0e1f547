//! ffmpeg arguments of the raw frames that an encoder reads from standard input, and of their colour.

use super::VideoParams;
use crate::ffmpeg::args::Args;
use crate::{ColorTags, Matrix};

/// ffmpeg's filter that computes a palette for each frame of a GIF.
pub(super) const PALETTES: &str = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1";

/// Appends ffmpeg's options for raw frames in NUT on standard input.
pub(super) fn raw_input(args: &mut Args, params: &VideoParams) {
    args.all([
        "-y",
        "-protocol_whitelist",
        "pipe",
        "-format_whitelist",
        "nut",
        "-codec_whitelist",
        "rawvideo",
    ]);
    color_options(args, params.tags);
    // ffmpeg probes several frames to estimate the rate, which sets the encoder's level and rate control.
    let frames = 8 * params.format.frame_bytes(params.width, params.height);
    args.all([
        "-f",
        "nut",
        "-probesize",
        &frames.max(5_000_000).to_string(),
        "-i",
        "pipe:0",
    ]);
}

/// Appends ffmpeg's options for colour tags; given to both the raw input and the encoder, so that ffmpeg converts nothing.
pub(super) fn color_options(args: &mut Args, tags: ColorTags) {
    let matrix = if tags.matrix == Matrix::Rgb {
        Some("rgb")
    } else {
        tags.matrix.name()
    };
    let options = [
        ("-color_range", tags.range.name()),
        ("-colorspace", matrix),
        ("-color_primaries", tags.primaries.name()),
        ("-color_trc", tags.transfer.name()),
        ("-chroma_sample_location", tags.chroma_location.name()),
    ];
    for (option, value) in options {
        value.into_iter().for_each(|value| {
            args.all([option, value]);
        });
    }
}
