//! Decoding of a single frame of a media file, selected by number or time, for thumbnails and saved frames.

use std::path::Path;

use rife::media::{
    CancelToken, ColorTags, Frame, Input, MediaError, Orientation, Source, SourceSpec, open_source, time,
};

use crate::error::{ApiError, Code, PathNames, Result};
use crate::reason::Reason;
use crate::state::app::App;

/// Seconds by which a frame may begin after the requested time: a browser's times are rounded to milliseconds.
const TIME_TOLERANCE: f64 = 0.0005;
/// Bytes of memory per pixel to decode a picture: the decoder's output and the planes.
const BYTES_PER_PIXEL: u64 = 16;

/// Waits for a permit of `App::probe_memory` to decode a frame of `path`; an error after the client timeout. Blocks the
/// calling thread, which must belong to the blocking thread pool.
pub(crate) fn reserve_memory(app: &App, path: &Path) -> Result<tokio::sync::OwnedSemaphorePermit> {
    let pixels = picture_size(path).map_or(0, |[width, height]| u64::from(width) * u64::from(height));
    let wanted = (pixels * BYTES_PER_PIXEL).div_ceil(1 << 20);
    // A larger picture takes all permits, so that it is decoded alone.
    let wanted = wanted.clamp(1, crate::state::app::PROBE_MEGABYTES as u64) as u32;
    let waiting = std::sync::Arc::clone(&app.probe_memory).acquire_many_owned(wanted);
    let waiting = tokio::time::timeout(app.config.client_timeout, waiting);
    match tokio::runtime::Handle::current().block_on(waiting) {
        Ok(permit) => permit.map_err(ApiError::internal),
        Err(_) => {
            Err(ApiError::new(Code::TooMany, "too many large pictures are being decoded").retry_after(5))
        }
    }
}

/// Returns width and height in the header of a still picture; `None` for other files.
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

/// Selection of a frame in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FrameSelector {
    /// The frame with this number, counted from 1.
    Number(u64),
    /// The frame shown this many seconds after the first frame's time; after the end the last frame.
    Time(f64),
}

/// Decodes the selected frame of `path`, rotated as displayed, and returns it with its colour tags. `names` replaces paths in
/// error messages.
pub(crate) fn read(
    path: &Path,
    selector: FrameSelector,
    cancel: &CancelToken,
    names: &PathNames,
) -> Result<(Frame, ColorTags)> {
    let mut spec = SourceSpec::new(Input::parse(path));
    spec.orientation = Orientation::Apply;
    spec.allow_interlaced = true;
    spec.cancel = cancel.clone();
    let refused = |error: MediaError| ApiError::from_library(&error.into(), names);
    let mut source = open_source(&spec).map_err(refused)?;
    let tags = source.info().tags;
    let found = match selector {
        FrameSelector::Number(number) => frame_by_number(source.as_mut(), number),
        FrameSelector::Time(time) => frame_at_time(source.as_mut(), time),
    };
    match found.map_err(refused)? {
        Ok(frame) => Ok((frame, tags)),
        Err(seen) => Err(no_frame_error(selector, seen)),
    }
}

/// Returns frame `number`, counted from 1, or as the inner error the number of frames of the file.
fn frame_by_number(
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

/// Returns the last frame that begins at most `wanted` seconds after the first one; the inner error is 0 for a file without
/// frames.
fn frame_at_time(
    source: &mut dyn Source,
    wanted: f64,
) -> std::result::Result<std::result::Result<Frame, u64>, MediaError> {
    let mut found: Option<(f64, Frame)> = None;
    while let Some(frame) = source.next_frame()? {
        let start = time::seconds(frame.pts);
        let first = found.as_ref().map_or(start, |(first, _)| *first);
        if found.is_some() && start - first > wanted + TIME_TOLERANCE {
            break;
        }
        found = Some((first, frame));
    }
    Ok(found.map(|(_, frame)| frame).ok_or(0))
}

/// Returns the error for a frame that does not exist in a file of `seen` frames.
fn no_frame_error(selector: FrameSelector, seen: u64) -> ApiError {
    let FrameSelector::Number(number) = selector else {
        return ApiError::because(Code::NoFrame, Reason::NoFrames, []);
    };
    let pairs = [("number", number.into()), ("frames", seen.into())];
    ApiError::because(Code::NoFrame, Reason::NoFrame, pairs).with_field("frames", seen)
}
