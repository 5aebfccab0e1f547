//! Single frames of a file, for thumbnails and as pictures to go on with.

use std::path::Path;

use rife::media::{
    CancelToken, ColorTags, Frame, Input, MediaError, Orientation, Source, SourceSpec, open_source, time,
};

use crate::error::{ApiError, Code, Names, Result};
use crate::reason::Reason;
use crate::state::app::App;

/// Seconds by which a frame may begin after the time that is asked for: clocks of a page count in thousandths.
const EARLY: f64 = 0.0005;
/// Bytes that a frame takes for each pixel while it is read: what the decoder gives, and its planes.
const BYTES_A_PIXEL: u64 = 16;

/// Waits until there is memory to read a frame of `path`, and holds it as long as the result lives. Called where waiting
/// is allowed.
pub(crate) fn reserve(app: &App, path: &Path) -> Result<tokio::sync::OwnedSemaphorePermit> {
    let pixels = picture_size(path).map_or(0, |[width, height]| u64::from(width) * u64::from(height));
    let wanted = (pixels * BYTES_A_PIXEL).div_ceil(1 << 20);
    // One that takes more than all of it waits until it is alone.
    let wanted = wanted.clamp(1, crate::state::app::LOOK_MEGABYTES as u64) as u32;
    let waiting = std::sync::Arc::clone(&app.look_memory).acquire_many_owned(wanted);
    let waiting = tokio::time::timeout(app.config.patience, waiting);
    match tokio::runtime::Handle::current().block_on(waiting) {
        Ok(permit) => permit.map_err(ApiError::internal),
        Err(_) => Err(ApiError::new(Code::TooMany, "too many large pictures are being read").retry_after(5)),
    }
}

/// The size that a still image announces.
fn picture_size(path: &Path) -> Option<[u32; 2]> {
    if !matches!(Input::parse(path), Input::Images(_)) {
        return None;
    }
    let reader = image::ImageReader::open(path).ok()?.with_guessed_format().ok()?;
    reader
        .into_dimensions()
        .ok()
        .map(|(width, height)| [width, height])
}

/// Which frame of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    /// By number, counted from 1.
    Number(u64),
    /// The one that is shown so many seconds after the first one's time; the last one after its end.
    At(f64),
}

/// A frame of a file as it is displayed.
pub(crate) fn read(
    path: &Path,
    which: Which,
    cancel: &CancelToken,
    names: &Names,
) -> Result<(Frame, ColorTags)> {
    let spec = SourceSpec {
        orientation: Orientation::Apply,
        allow_interlaced: true,
        cancel: cancel.clone(),
        ..SourceSpec::new(Input::parse(path))
    };
    let refused = |error: MediaError| ApiError::from_library(&error.into(), names);
    let mut source = open_source(&spec).map_err(refused)?;
    let tags = source.info().tags;
    let found = match which {
        Which::Number(number) => numbered(source.as_mut(), number),
        Which::At(time) => shown_at(source.as_mut(), time),
    };
    match found.map_err(refused)? {
        Ok(frame) => Ok((frame, tags)),
        Err(seen) => Err(missing(which, seen)),
    }
}

/// The frame of a number, else how many there are.
fn numbered(
    source: &mut dyn Source,
    number: u64,
) -> std::result::Result<std::result::Result<Frame, u64>, MediaError> {
    let mut seen = 0;
    while let Some(frame) = source.next_frame()? {
        seen += 1;
        if seen == number {
            return Ok(Ok(frame));
        }
    }
    Ok(Err(seen))
}

/// The last frame that begins no later than `wanted` seconds after the first one.
fn shown_at(
    source: &mut dyn Source,
    wanted: f64,
) -> std::result::Result<std::result::Result<Frame, u64>, MediaError> {
    let mut found: Option<(f64, Frame)> = None;
    while let Some(frame) = source.next_frame()? {
        let start = time::seconds(frame.pts);
        let first = found.as_ref().map_or(start, |(first, _)| *first);
        if found.is_some() && start - first > wanted + EARLY {
            break;
        }
        found = Some((first, frame));
    }
    Ok(found.map(|(_, frame)| frame).ok_or(0))
}

fn missing(which: Which, seen: u64) -> ApiError {
    let Which::Number(number) = which else {
        return ApiError::because(Code::NoFrame, Reason::NoFrames, []);
    };
    let pairs = [("number", number.into()), ("frames", seen.into())];
    ApiError::because(Code::NoFrame, Reason::NoFrame, pairs).with("frames", seen)
}
