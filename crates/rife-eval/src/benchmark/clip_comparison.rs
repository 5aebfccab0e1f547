//! Comparison of an interpolated clip with the true clip at the same rate: scores of the interpolated frames, and of
//! blending the source frames as a baseline.

use std::path::Path;

use rife::media::{CancelToken, Input, RgbImage, Source, SourceSpec, open_source};
use serde::Serialize;

use super::Scores;
use super::protocol::Protocol;
use rife::{Error, Result};

/// Mean scores of the frames of a clip that lie between source frames.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClipComparison {
    /// Number of frames compared.
    pub count: usize,
    /// The clip's scores.
    #[serde(flatten)]
    pub scores: Scores,
    /// Scores of a linear blend of the source frames.
    pub blending: Scores,
}

/// Compares the clip `result`, of which every `factor`th frame is a source frame, with the clip `truth`, frame by frame.
/// Source frames themselves and frames after the last of them (its repeats) are not compared.
///
/// # Errors
/// Those of reading; [`Error::Data`] if sizes differ or there is nothing to compare; [`Error::Cancelled`].
pub fn compare_clips(
    truth: &Path,
    result: &Path,
    factor: u32,
    cancel: &CancelToken,
) -> Result<ClipComparison> {
    let (mut truth, mut result) = (Clip::open(truth, cancel)?, Clip::open(result, cancel)?);
    let (mut ours, mut blended) = (Vec::new(), Vec::new());
    let Some(mut left) = truth.next()?.and(result.next()?) else {
        return Err(no_frames());
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
        0 => Err(no_frames()),
        count => Ok(ClipComparison {
            count,
            scores: Scores::mean(ours.iter()),
            blending: Scores::mean(blended.iter()),
        }),
    }
}

/// Makes the error for clips without a frame to compare.
fn no_frames() -> Error {
    Error::Data("the two clips have no frame between source frames in common".into())
}

/// Reader of a clip's frames as RGB without alpha.
pub(super) struct Clip(Box<dyn Source>);

impl Clip {
    /// Opens a clip: a video file, or a folder of images.
    pub(super) fn open(path: &Path, cancel: &CancelToken) -> Result<Self> {
        let mut spec = SourceSpec::new(Input::parse(path));
        spec.cancel = cancel.clone();
        Ok(Self(open_source(&spec)?))
    }

    /// Reads the next frame; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<RgbImage>> {
        let tags = self.0.info().tags;
        let frame = self.0.next_frame()?;
        Ok(frame.map(|frame| RgbImage {
            alpha: None,
            ..frame.to_rgb(&tags)
        }))
    }

    /// Reads up to `count` frames; fewer at the end.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<RgbImage>> {
        let mut frames = Vec::with_capacity(count);
        while let Some(frame) = if frames.len() < count { self.next()? } else { None } {
            frames.push(frame);
        }
        Ok(frames)
    }
}
