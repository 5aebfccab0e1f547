//! Jobs that run: what of them is in no row, since it changes with every frame.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rife::FrameCallback;
use rife::media::{CancelToken, RgbImage};
use serde_json::{Value, json};

use crate::picture;

/// The widest that a preview is.
const PREVIEW_WIDTH: u32 = 640;
/// How often a frame is kept for the preview.
const PREVIEW_EVERY: Duration = Duration::from_millis(400);

/// A job that runs.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) cancel: CancelToken,
    /// Whether somebody asked for the end, and not the server's own.
    pub(crate) by_user: AtomicBool,
    /// Why the server ended it, where it did.
    pub(crate) stopped_for: Mutex<Option<&'static str>>,
    progress: Mutex<Option<Progress>>,
    preview: Mutex<Preview>,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
    pub(crate) stage: &'static str,
    /// Frames a second, of those made now.
    pub(crate) rate: Option<f64>,
}

#[derive(Debug, Default)]
struct Preview {
    made: u64,
    kept: Option<(u64, Instant, RgbImage)>,
    encoded: Option<(u64, Bytes)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// Asks the job to end.
    pub(crate) fn cancel_by_user(&self) {
        self.by_user.store(true, Ordering::SeqCst);
        self.cancel.cancel();
    }

    /// Ends it for a reason of the server's.
    pub(crate) fn stop(&self, reason: &'static str) {
        lock(&self.stopped_for).get_or_insert(reason);
        self.cancel.cancel();
    }

    pub(crate) fn set_progress(&self, progress: Progress) {
        *lock(&self.progress) = Some(progress);
    }

    /// The progress as the API shows it.
    pub(crate) fn progress(&self) -> Option<Value> {
        let progress = (*lock(&self.progress))?;
        let left = progress
            .total
            .map(|total| total.saturating_sub(progress.done) as f64);
        let rate = progress.rate.filter(|rate| *rate > 0.0);
        let eta = left.zip(rate).map(|(left, rate)| round(left / rate));
        let preview = lock(&self.preview).kept.as_ref().map(|(number, ..)| *number);
        Some(json!({
            "done": progress.done, "total": progress.total, "unit": "frames", "stage": progress.stage,
            "rate": rate.map(round), "eta_s": eta, "preview": preview,
        }))
    }

    /// What shows this job its frames.
    pub(crate) fn watch(self: &Arc<Self>) -> FrameCallback {
        let live = Arc::clone(self);
        FrameCallback::new(move |image| live.look(image))
    }

    fn look(&self, image: &RgbImage) {
        let mut preview = lock(&self.preview);
        preview.made += 1;
        let due = preview
            .kept
            .as_ref()
            .is_none_or(|(_, at, _)| at.elapsed() >= PREVIEW_EVERY);
        if due {
            let small = picture::shrink(image, PREVIEW_WIDTH);
            preview.kept = Some((preview.made, Instant::now(), small));
        }
    }

    /// The number of the newest kept frame, and it as a JPEG.
    pub(crate) fn preview(&self) -> Option<(u64, Bytes)> {
        let mut preview = lock(&self.preview);
        let (number, _, image) = preview.kept.as_ref()?;
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

/// To three digits after the point.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The jobs that run, by id.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashMap<String, Arc<Live>>>);

impl Running {
    pub(crate) fn start(&self, id: &str) -> Arc<Live> {
        let live = Arc::new(Live::default());
        lock(&self.0).insert(id.to_owned(), Arc::clone(&live));
        live
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Live>> {
        lock(&self.0).get(id).cloned()
    }

    pub(crate) fn end(&self, id: &str) {
        lock(&self.0).remove(id);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        lock(&self.0).values().cloned().collect()
    }
}
