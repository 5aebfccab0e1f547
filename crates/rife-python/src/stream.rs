//! The class `_rife.Stream`: the library's stream on numpy arrays.

use std::sync::{Mutex, MutexGuard, PoisonError};

use num_rational::Ratio;
use numpy::PyUntypedArray;
use pyo3::prelude::*;
use rife::media::{Input, Output, TimelineMode, TimelineOptions};
use rife::options::VideoOptions;
use rife::stream::{StreamFrame, StreamOptions};
use rife::video::{Motion, Rate, VideoJob};

use crate::array::{view, view_mut};
use crate::error::{exception, usage};
use crate::model::Model;
use crate::options::{Pair, set, unknown};

/// Time and duration in seconds as fractions, whether the frame was computed, and its confidence if measured.
type Facts = ((i64, i64), (i64, i64), bool, Option<f64>);

/// A stream; its calls wait for each other.
#[pyclass(frozen, module = "rife._rife")]
#[derive(Debug)]
pub(crate) struct Stream(Mutex<State>);

#[derive(Debug)]
struct State {
    stream: rife::stream::Stream,
    /// The frame that [`Stream::next`] has computed and [`Stream::take`] has not written yet.
    next: Option<StreamFrame>,
}

#[pymethods]
impl Stream {
    /// Makes a stream with a model; `options` are pairs of a name of the rate's or scene's options and a value as text.
    #[new]
    fn new(py: Python<'_>, model: &Model, options: Vec<Pair>, confidence: bool) -> PyResult<Self> {
        let mut given = VideoOptions::default();
        for pair in &options {
            if !set(py, &mut given.rate, pair)? && !set(py, &mut given.scene, pair)? {
                return Err(unknown(py, &pair.0));
            }
        }
        let made = stream_options(&given).and_then(|mut options| {
            options.confidence = confidence;
            rife::stream::Stream::new(model.interpolator.clone(), options)
        });
        let stream = made.map_err(|error| exception(py, &error))?;
        Ok(Self(Mutex::new(State { stream, next: None })))
    }

    /// Takes the next frame, shown from a time in seconds on.
    fn push(
        &self,
        py: Python<'_>,
        frame: &Bound<'_, PyUntypedArray>,
        time: (i64, i64),
        bgr: bool,
    ) -> PyResult<()> {
        if time.1 < 1 {
            return Err(usage(py, "a time's denominator is above 0"));
        }
        let frame = view(frame, bgr)?;
        py.detach(|| {
            self.lock()
                .stream
                .push_image(&frame.to_rgb_image(), Ratio::new(time.0, time.1))
        })
        .map_err(|error| exception(py, &error))
    }

    /// Ends the input.
    fn finish(&self, py: Python<'_>) {
        py.detach(|| self.lock().stream.finish());
    }

    /// Computes the next frame, which [`Stream::take`] writes; `None` if frames must be pushed first, and at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Facts>> {
        py.detach(|| {
            let mut state = self.lock();
            state.next = state.stream.next_frame()?;
            Ok(state.next.as_ref().map(facts))
        })
        .map_err(|error: rife::Error| exception(py, &error))
    }

    /// Writes the frame that `next` computed to `result`.
    fn take(&self, py: Python<'_>, result: &Bound<'_, PyUntypedArray>, bgr: bool) -> PyResult<()> {
        let mut target = view_mut(result, bgr)?;
        py.detach(|| match self.lock().next.take() {
            Some(frame) => target.write(frame.image()).map_err(rife::Error::from),
            None => Err(rife::Error::Usage("no frame was computed".to_owned())),
        })
        .map_err(|error| exception(py, &error))
    }
}

impl Stream {
    /// Waits for other calls. A panic in one leaves a stream that can be used or reports its error.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Describes a frame.
fn facts(frame: &StreamFrame) -> Facts {
    let parts = |time: Ratio<i64>| (*time.numer(), *time.denom());
    let confidence = frame.confidence.map(|confidence| confidence.confidence);
    (
        parts(frame.pts),
        parts(frame.duration),
        frame.made.is_some(),
        confidence,
    )
}

/// Converts the options of a video job to a stream's.
fn stream_options(given: &VideoOptions) -> rife::Result<StreamOptions> {
    // Neither file is opened.
    let mut job = VideoJob::new(Input::File("".into()), Output::File("".into()));
    given.apply(&mut job)?;
    let mut options = StreamOptions::default();
    options.timeline = match (job.rate, job.motion) {
        (Rate::Fps(rate), Motion::Normal) => TimelineOptions::new(TimelineMode::TargetRate(rate)),
        (rate, motion) => {
            let factor = match rate {
                Rate::Factor(factor) => Ratio::from(i64::from(factor)),
                Rate::Multiple(factor) | Rate::Fps(factor) => factor,
            };
            match motion {
                Motion::Normal => TimelineOptions::new(TimelineMode::times(factor)),
                Motion::Slow { fps: None, .. } => TimelineOptions::slowed(factor),
                Motion::Slow { .. } => {
                    let text = "slow motion of a stream keeps the source's rate: fps is not accepted with it";
                    return Err(rife::Error::Usage(text.to_owned()));
                }
            }
        }
    };
    options.cuts = job.cuts;
    (options.cut_fill, options.duplicates) = (job.cut_fill, job.duplicates);
    (options.mask_static, options.fallback) = (job.mask_static, job.fallback);
    Ok(options)
}
