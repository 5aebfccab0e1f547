//! A look at the inputs of a job before it is queued: what cannot be read, or has nothing to make frames between, is refused
//! while whoever asks is still there.

use rife::media::{CancelToken, Input, Limits, MediaError, SourceSpec, open_source, read_image, time};

use crate::error::{ApiError, Code, Result};
use crate::reason::Reason;
use crate::state::app::App;
use crate::state::kind::Kind;
use crate::work::frames;
use crate::work::refs::Found;

/// Pictures of a job that are looked at; with more, the job itself reads them all before it begins.
const PICTURES: usize = 50;
/// Inputs that are known to be good.
const KNOWN: usize = 10_000;

/// Looks at all inputs of a job, at each once.
pub(crate) fn inputs(app: &App, kind: Kind, inputs: &[Found], cancel: &CancelToken) -> Result<()> {
    if kind == Kind::Images && inputs.len() > PICTURES {
        return Ok(());
    }
    for found in inputs {
        let key = (kind.name(), found.path.clone());
        if app.good_inputs().contains(&key) {
            continue;
        }
        input(app, kind, found, cancel)?;
        let mut known = app.good_inputs();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(key);
    }
    Ok(())
}

fn input(app: &App, kind: Kind, found: &Found, cancel: &CancelToken) -> Result<()> {
    let refused = |error: MediaError| ApiError::from_library(&error.into(), &found.names()).into_answer();
    let _room = frames::reserve(app, &found.path)?;
    if kind == Kind::Images {
        return read_image(&found.path, &Limits::default())
            .map(|_| ())
            .map_err(refused);
    }
    let spec = SourceSpec {
        allow_interlaced: true,
        cancel: cancel.clone(),
        ..SourceSpec::new(Input::parse(&found.path))
    };
    let source = open_source(&spec).map_err(refused)?;
    let info = source.info();
    let counted = info.duration.zip(info.frame_rate);
    let counted =
        counted.map(|(duration, rate)| (time::seconds(duration) * time::seconds(rate)).round() as u64);
    match info.frames.or(counted) {
        Some(1) if kind == Kind::Video => Err(single(found)),
        _ => Ok(()),
    }
}

fn single(found: &Found) -> ApiError {
    let pairs = [("name", found.input.name.clone().into())];
    ApiError::because(Code::BadInput, Reason::SinglePicture, pairs)
}
