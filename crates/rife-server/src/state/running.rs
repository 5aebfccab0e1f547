//! Volatile state of running jobs: cancellation, progress and preview, which change too often for the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rife::FrameCallback;
use rife::media::{CancelToken, RgbImage};
use serde_json::{Value, json};

use crate::picture;

/// Maximum width of a preview in pixels.
const PREVIEW_WIDTH: u32 = 640;
/// Minimum time between frames that are sampled for the preview.
const PREVIEW_INTERVAL: Duration = Duration::from_millis(400);

/// Running job.
#[derive(Debug, Default)]
pub(crate) struct RunningJob {
    pub(crate) cancel: CancelToken,
    /// Whether a client cancelled the job, not the server.
    pub(crate) cancelled_by_user: AtomicBool,
    /// Reason for which the server stopped the job.
    pub(crate) stop_reason: Mutex<Option<&'static str>>,
    progress: Mutex<Option<Progress>>,
    preview: Mutex<Preview>,
}

/// Progress of a job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// Frames written.
    pub(crate) done: u64,
    /// Frames to be written in all, if known.
    pub(crate) total: Option<u64>,
    pub(crate) stage: &'static str,
    /// Frames per second, without those of an earlier attempt.
    pub(crate) rate: Option<f64>,
}

/// Newest interpolated frame of a job.
#[derive(Debug, Default)]
struct Preview {
    /// Number of interpolated frames so far.
    frames: u64,
    /// Number, time and downscaled picture of the last sampled frame.
    sample: Option<(u64, Instant, RgbImage)>,
    /// Number and JPEG of the last frame that a client requested.
    encoded: Option<(u64, Bytes)>,
}

/// Locks `mutex`, ignoring poisoning.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunningJob {
    /// Cancels the job on behalf of a client.
    pub(crate) fn cancel_by_user(&self) {
        self.cancelled_by_user.store(true, Ordering::SeqCst);
        self.cancel.cancel();
    }

    /// Cancels the job on behalf of the server; the first `reason` given is kept.
    pub(crate) fn stop(&self, reason: &'static str) {
        locked(&self.stop_reason).get_or_insert(reason);
        self.cancel.cancel();
    }

    /// Stores the current progress.
    pub(crate) fn set_progress(&self, progress: Progress) {
        *locked(&self.progress) = Some(progress);
    }

    /// Returns the JSON object of the progress in the API, with the estimated remaining seconds; `None` before the start.
    pub(crate) fn progress(&self) -> Option<Value> {
        let progress = (*locked(&self.progress))?;
        let left = progress
            .total
            .map(|total| total.saturating_sub(progress.done) as f64);
        let rate = progress.rate.filter(|rate| *rate > 0.0);
        let eta = left.zip(rate).map(|(left, rate)| round(left / rate));
        let preview = locked(&self.preview).sample.as_ref().map(|(number, ..)| *number);
        Some(json!({
            "done": progress.done, "total": progress.total, "unit": "frames", "stage": progress.stage,
            "rate": rate.map(round), "eta_s": eta, "preview": preview,
        }))
    }

    /// Returns a callback that receives each interpolated frame of the job, for the preview.
    pub(crate) fn on_frame(self: &Arc<Self>) -> FrameCallback {
        let running = Arc::clone(self);
        FrameCallback::new(move |image| running.record_preview(image))
    }

    /// Counts an interpolated frame, and keeps a downscaled copy if the last one is older than [`PREVIEW_INTERVAL`].
    fn record_preview(&self, image: &RgbImage) {
        let mut preview = locked(&self.preview);
        preview.frames += 1;
        let due = preview
            .sample
            .as_ref()
            .is_none_or(|(_, at, _)| at.elapsed() >= PREVIEW_INTERVAL);
        if due {
            let small = picture::downscale(image, PREVIEW_WIDTH);
            preview.sample = Some((preview.frames, Instant::now(), small));
        }
    }

    /// Returns the number and the JPEG of the newest sampled frame.
    pub(crate) fn preview(&self) -> Option<(u64, Bytes)> {
        let mut preview = locked(&self.preview);
        let (number, _, image) = preview.sample.as_ref()?;
        if let Some((encoded, bytes)) = &preview.encoded
            && encoded == number
        {
            return Some((*number, bytes.clone()));
        }
        let found = (*number, Bytes::from(picture::jpeg(image).ok()?));
        preview.encoded = Some(found.clone());
        Some(found)
    }
}

/// Rounds to three decimals.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Running jobs by id.
#[derive(Debug, Default)]
pub(crate) struct RunningJobs(Mutex<HashMap<String, Arc<RunningJob>>>);

impl RunningJobs {
    /// Adds job `id`.
    pub(crate) fn start(&self, id: &str) -> Arc<RunningJob> {
        let running = Arc::new(RunningJob::default());
        locked(&self.0).insert(id.to_owned(), Arc::clone(&running));
        running
    }

    /// Returns job `id` if it is running.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<RunningJob>> {
        locked(&self.0).get(id).cloned()
    }

    /// Removes job `id`.
    pub(crate) fn end(&self, id: &str) {
        locked(&self.0).remove(id);
    }

    /// Returns all running jobs.
    pub(crate) fn all(&self) -> Vec<Arc<RunningJob>> {
        locked(&self.0).values().cloned().collect()
    }
}
