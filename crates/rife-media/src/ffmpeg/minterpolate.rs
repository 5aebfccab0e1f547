//! ffmpeg's filter `minterpolate` (motion-compensated frame interpolation) between two images, as a baseline for
//! comparison.

use super::Ffmpeg;
use super::args::Args;
use super::child::{self, Request};
use crate::{CancelToken, ColorTags, Frame, MediaError, PixelFormat, Result, RgbImage};

/// Filter settings that scored best on small and large motion: bidirectional search, overlapped block motion compensation
/// with variable block sizes from 8 pixels, and no scene change detection.
const SETTINGS: &str =
    "scd=none:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1:me=umh:mb_size=8:search_param=64";
/// Scaler flags for an accurate conversion between RGB and the full-range YUV 4:4:4 that the filter requires.
const EXACT: &str = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";

/// Interpolates `factor - 1` evenly spaced images between two of equal size with ffmpeg's filter `minterpolate`, in 8 bits.
///
/// # Errors
/// [`MediaError::Limit`] for pictures of unequal sizes and a factor outside 2 to 64; those of running ffmpeg.
pub fn minterpolate(
    ffmpeg: &Ffmpeg,
    [first, second]: [&RgbImage; 2],
    factor: u32,
    cancel: &CancelToken,
) -> Result<Vec<RgbImage>> {
    const CONTEXT: &str = "while interpolating with minterpolate";
    let (width, height) = (first.width, first.height);
    if (second.width, second.height) != (width, height) {
        let value = format!("{}x{}", second.width, second.height);
        return Err(MediaError::limit(
            "the second picture",
            value,
            format!("{width}x{height}"),
        ));
    }
    if !(2..=64).contains(&factor) {
        return Err(MediaError::limit("the factor", factor, "2 to 64"));
    }
    let mut child = child::start(Request {
        stdin: true,
        stdout: true,
        cancel: cancel.clone(),
        ..Request::new("ffmpeg", &ffmpeg.ffmpeg, arguments(width, height, factor).0)
    })?;
    for picture in [first, second] {
        let mut raw = Vec::new();
        Frame::from_rgb(picture, PixelFormat::RGB8, &ColorTags::SRGB).to_raw(&mut raw);
        child.write(&raw, || CONTEXT.to_owned())?;
    }
    child.end_input();
    let count = factor as usize - 1;
    let size = PixelFormat::RGB8.frame_bytes(width, height);
    let raw = child.capture(count * size, CONTEXT)?;
    if raw.len() != count * size {
        let made = format!("{} pictures of {width}x{height}", raw.len() / size);
        return Err(MediaError::limit(
            "the answer of minterpolate",
            made,
            count.to_string(),
        ));
    }
    let picture =
        |bytes| Ok(Frame::from_raw(width, height, PixelFormat::RGB8, bytes)?.to_rgb(&ColorTags::SRGB));
    raw.chunks_exact(size).map(picture).collect()
}

/// Returns the arguments of ffmpeg for raw `gbrp` frames from stdin to stdout. The filter needs a frame before and after
/// the pair, so each of both is repeated; output starts after both were read.
fn arguments(width: u32, height: u32, factor: u32) -> Args {
    let mut args = Args::ffmpeg();
    let size = format!("{width}x{height}");
    args.all([
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gbrp",
        "-video_size",
        &size,
        "-framerate",
        "1",
        "-i",
        "pipe:0",
    ]);
    let last = 2 * factor - 1;
    let filter = format!(
        "tpad=start=1:start_mode=clone:stop=1:stop_mode=clone,\
         scale=out_color_matrix=bt601:out_range=full:{EXACT},format=yuvj444p,\
         minterpolate=fps={factor}:{SETTINGS},select='between(n,{},{last})',\
         scale=in_color_matrix=bt601:in_range=full:{EXACT},format=gbrp",
        factor + 1
    );
    args.all([
        "-vf",
        &filter,
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "pipe:1",
    ]);
    args
}
