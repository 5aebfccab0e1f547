//! A clip whose every Nth frame came from a source, compared with the truth at the same rate: the frames between, as
//! they are and as blending their neighbours would have made them.

use std::path::Path;

use rife_media::{CancelToken, Input, RgbImage, Source, SourceSpec, open_source};
use serde::Serialize;

use super::Scores;
use super::protocol::Protocol;
use crate::{Error, Result};

/// Mean scores of the frames between source frames.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Against {
    /// How many frames were compared.
    pub count: usize,
    /// The result's.
    #[serde(flatten)]
    pub scores: Scores,
    /// Those of blending the result's source frames.
    pub blending: Scores,
}

/// Compares `result` with `truth`, which has the same frames at the same rate; every `factor`th frame of `result` is
/// a source frame. Frames after the last source frame are not compared: they are its hold.
///
/// # Errors
/// Those of reading; [`Error::Data`] where sizes differ or there is nothing to compare; [`Error::Cancelled`].
pub fn against(truth: &Path, result: &Path, factor: u32, cancel: &CancelToken) -> Result<Against> {
    let (mut truth, mut result) = (Clip::open(truth, cancel)?, Clip::open(result, cancel)?);
    let (mut ours, mut blended) = (Vec::new(), Vec::new());
    let Some(mut left) = truth.next()?.and(result.next()?) else {
        return Err(nothing());
    };
    loop {
        let steps = factor as usize;
        let (truths, results) = (truth.take(steps)?, result.take(steps)?);
        if truths.len() < steps || results.len() < steps {
            break;
        }
        for (index, (truth, made)) in truths.iter().zip(&results).take(steps - 1).enumerate() {
            if (truth.width, truth.height) != (made.width, made.height) {
                return Err(Error::Data(format!(
                    "the truth is {}x{} and the result {}x{}",
                    truth.width, truth.height, made.width, made.height
                )));
            }
            let blend = left.blend(&results[steps - 1], (index + 1) as f32 / factor as f32);
            ours.push(Scores::of(made.data.clone(), truth, Protocol::PLAIN, None)?);
            blended.push(Scores::of(blend.data, truth, Protocol::PLAIN, None)?);
        }
        left = results[steps - 1].clone();
    }
    match ours.len() {
        0 => Err(nothing()),
        count => Ok(Against {
            count,
            scores: Scores::mean(ours.iter()),
            blending: Scores::mean(blended.iter()),
        }),
    }
}

fn nothing() -> Error {
    Error::Data("the two clips have no frame between source frames in common".into())
}

/// A clip's frames as pictures.
pub(super) struct Clip(Box<dyn Source>);

impl Clip {
    pub(super) fn open(path: &Path, cancel: &CancelToken) -> Result<Self> {
        let spec = SourceSpec {
            cancel: cancel.clone(),
            ..SourceSpec::new(Input::parse(path))
        };
        Ok(Self(open_source(&spec)?))
    }

    pub(super) fn next(&mut self) -> Result<Option<RgbImage>> {
        let tags = self.0.info().tags;
        let frame = self.0.next_frame()?;
        Ok(frame.map(|frame| RgbImage {
            alpha: None,
            ..frame.to_rgb(&tags)
        }))
    }

    pub(super) fn take(&mut self, count: usize) -> Result<Vec<RgbImage>> {
        let mut frames = Vec::with_capacity(count);
        while let Some(frame) = if frames.len() < count { self.next()? } else { None } {
            frames.push(frame);
        }
        Ok(frames)
    }
}
