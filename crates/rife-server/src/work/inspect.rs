//! Check of a job's inputs before it is queued: files that cannot be decoded, and clips of a single frame, are errors of the
//! request instead of failed jobs.

use rife::media::{CancelToken, Input, Limits, MediaError, SourceSpec, open_source, read_image, time};

use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;
use crate::state::app::App;
use crate::state::kind::Kind;
use crate::work::frames;
use crate::work::refs::StoredFile;

/// Maximum number of pictures of a job that are checked; with more, the job checks them itself when it starts.
const MAX_PICTURES: usize = 50;
/// Maximum size of the cache of accepted inputs.
const MAX_CHECKED: usize = 10_000;

/// Returns an error if an input of a job cannot be used. Accepted inputs are cached.
pub(crate) fn check_inputs(app: &App, kind: Kind, inputs: &[StoredFile], cancel: &CancelToken) -> Result<()> {
    if kind == Kind::Images && inputs.len() > MAX_PICTURES {
        return Ok(());
    }
    for found in inputs {
        let key = (kind.name(), found.path.clone());
        if app.checked_inputs().contains(&key) {
            continue;
        }
        check_input(app, kind, found, cancel)?;
        let mut known = app.checked_inputs();
        if known.len() >= MAX_CHECKED {
            known.clear();
        }
        known.insert(key);
    }
    Ok(())
}

/// Returns an error if one input cannot be opened, or for a `video` or `report` job has a single frame.
fn check_input(app: &App, kind: Kind, found: &StoredFile, cancel: &CancelToken) -> Result<()> {
    let refused = |error: MediaError| ApiError::from_library(&error.into(), &found.names()).for_request();
    let _memory = frames::reserve_memory(app, &found.path)?;
    if kind == Kind::Images {
        return read_image(&found.path, &Limits::default())
            .map(|_| ())
            .map_err(refused);
    }
    let mut spec = SourceSpec::new(Input::parse(&found.path));
    spec.allow_interlaced = true;
    spec.cancel = cancel.clone();
    let source = open_source(&spec).map_err(refused)?;
    let info = source.info();
    let counted = info.duration.zip(info.frame_rate);
    let counted =
        counted.map(|(duration, rate)| (time::seconds(duration) * time::seconds(rate)).round() as u64);
    match info.frames.or(counted) {
        Some(1) if matches!(kind, Kind::Video | Kind::Report) => Err(single_picture_error(found)),
        _ => Ok(()),
    }
}

/// Returns the error for a clip of a single frame.
fn single_picture_error(found: &StoredFile) -> ApiError {
    let pairs = [("name", found.input.name.clone().into())];
    ApiError::because(Code::BadInput, Reason::SinglePicture, pairs)
}
