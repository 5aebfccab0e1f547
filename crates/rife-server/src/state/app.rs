//! Shared application state ([`App`]) of all HTTP handlers, workers and the janitor.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::error::{ApiError, Code, PathNames, Result};
use crate::state::connections::Connections;
use crate::state::counters::Counters;
use crate::state::db::{Db, Job};
use crate::state::events::Events;
use crate::state::failed_logins::FailedLogins;
use crate::state::key::Key;
use crate::state::running::RunningJobs;
use crate::state::store::Store;
use crate::state::wake::Wake;
use crate::{Config, clock, ids};

/// Maximum number of plans, probes and thumbnails computed at the same time: each runs ffmpeg or a network.
const MAX_PROBES: usize = 2;
/// Maximum memory, in MiB, of all frames being decoded for thumbnails; a larger frame is decoded alone.
pub(crate) const PROBE_MEGABYTES: usize = 1024;
/// Maximum memory, in KiB, of all JSON bodies being received.
pub(crate) const BODY_KILOBYTES: usize = 32 << 10;
/// Maximum number of open event streams.
pub(crate) const MAX_STREAMS: usize = 1024;

/// Number of server crashes during a job after which the job fails.
pub(crate) const MAX_CRASHES: u32 = 3;

/// Pairs of the name of a job kind and the path of an input that has been checked for it.
pub(crate) type CheckedInputs = HashSet<(&'static str, PathBuf)>;

/// Time for which a failed search for ffmpeg is cached.
const FFMPEG_RETRY: Duration = Duration::from_secs(5);

/// Shared state of all HTTP handlers, workers and the janitor.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) db: Db,
    pub(crate) events: Events,
    pub(crate) running: RunningJobs,
    pub(crate) counters: Counters,
    /// The token that requests must send; `None` where none is required.
    pub(crate) key: Option<Key>,
    pub(crate) wake: Wake,
    /// A permit for each plan, probe or thumbnail being computed: [`MAX_PROBES`] in all.
    pub(crate) probe_slots: Arc<Semaphore>,
    /// A permit for each MiB of frames being decoded for thumbnails: [`PROBE_MEGABYTES`] in all.
    pub(crate) probe_memory: Arc<Semaphore>,
    /// A permit for each KiB of JSON bodies being received: [`BODY_KILOBYTES`] in all.
    pub(crate) body_memory: Arc<Semaphore>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) failed_logins: FailedLogins,
    /// Time and error message of the last failed search for ffmpeg.
    ffmpeg_error: Mutex<Option<(Instant, String)>>,
    /// Inputs that were accepted for a kind of job, so that they are not checked again.
    checked_inputs: Mutex<CheckedInputs>,
    /// A permit for each open event stream: [`MAX_STREAMS`] in all.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) thumbnails: crate::state::thumbnails::Thumbnails,
    /// Ids of uploads that a request is writing.
    locked_uploads: Mutex<HashSet<String>>,
    /// Number of requests that read each upload or job, by id.
    in_use: Mutex<HashMap<String, usize>>,
    stopping: AtomicBool,
    /// Whether the queue is paused: no job starts, and running ones wait.
    paused: AtomicBool,
    /// The exclusive lock on the data folder.
    _lock: File,
}

impl App {
    /// Opens the data folder and its database, and queues jobs again that ran when the server was killed.
    pub(crate) fn open(
        config: Config,
    ) -> std::result::Result<Arc<Self>, Box<dyn std::error::Error + Send + Sync>> {
        let (store, lock) = Store::open(&config.data)?;
        let db = Db::open(&store.database(), store.spare())?;
        let error = ApiError::new(
            Code::Interrupted,
            "the server was interrupted too often during this job",
        )
        .body();
        db.recover(MAX_CRASHES, &error, clock::now())?;
        let key = config.token.as_deref().map(Key::new);
        let paused = db.is_paused()?;
        let run = ids::random::<4>().map_err(|_| "the system has no random numbers")?;
        let app = Self {
            key,
            events: Events::new(run),
            running: RunningJobs::default(),
            counters: Counters::default(),
            wake: Wake::default(),
            probe_slots: Arc::new(Semaphore::new(MAX_PROBES)),
            probe_memory: Arc::new(Semaphore::new(PROBE_MEGABYTES)),
            body_memory: Arc::new(Semaphore::new(BODY_KILOBYTES)),
            connections: Arc::default(),
            failed_logins: FailedLogins::default(),
            ffmpeg_error: Mutex::default(),
            checked_inputs: Mutex::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            thumbnails: crate::state::thumbnails::Thumbnails::default(),
            locked_uploads: Mutex::default(),
            in_use: Mutex::default(),
            stopping: AtomicBool::new(false),
            paused: AtomicBool::new(paused),
            _lock: lock,
            config,
            store,
            db,
        };
        Ok(Arc::new(app))
    }

    /// Runs blocking or CPU-bound `work` on tokio's blocking thread pool and returns its result.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let app = Arc::clone(self);
        // The log of the work belongs to the request.
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| work(&app)))
            .await
            .map_err(ApiError::internal)?
    }

    /// Returns an error that says how to install ffmpeg where none is found. A failed search is cached for
    /// [`FFMPEG_RETRY`].
    pub(crate) fn require_ffmpeg(&self) -> Result<()> {
        let mut missing = self.ffmpeg_error.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = |text: &str| Err(ApiError::new(Code::NoFfmpeg, text));
        match &*missing {
            Some((at, text)) if at.elapsed() < FFMPEG_RETRY => return refused(text),
            _ => {}
        }
        let found = rife::media::Ffmpeg::find();
        *missing = found.err().map(|error| {
            let text = PathNames::default().hide(&error.to_string());
            (Instant::now(), text)
        });
        missing.as_ref().map_or(Ok(()), |(_, text)| refused(text))
    }

    /// Locks and returns the set of inputs that have passed the check for a kind of job.
    pub(crate) fn checked_inputs(&self) -> MutexGuard<'_, CheckedInputs> {
        self.checked_inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports whether the server is shutting down.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Reports whether the queue is paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }

    /// Pauses or resumes the queue, and publishes it.
    pub(crate) fn set_paused(&self, paused: bool) -> Result<()> {
        self.db.set_paused(paused)?;
        self.paused.store(paused, Ordering::SeqCst);
        self.wake.all();
        self.publish_queue()
    }

    /// Begins the shutdown: stops running jobs and wakes all workers.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.running
            .all()
            .iter()
            .for_each(|running| running.stop("the server is stopping"));
        self.wake.all();
    }

    /// Returns the JSON object of a job in the API, with its position where it is queued.
    pub(crate) fn job_json(&self, job: &Job) -> Result<Value> {
        let queue = match job.state {
            crate::state::db::State::Queued => self.db.queue()?,
            _ => Vec::new(),
        };
        Ok(self.job_json_in(job, &queue))
    }

    /// Returns the JSON object of a job in the API; `queue` has the ids of the queued jobs in order.
    pub(crate) fn job_json_in(&self, job: &Job, queue: &[String]) -> Value {
        let inputs: Vec<Value> = job
            .inputs
            .iter()
            .map(|input| json!({"name": input.name, "bytes": input.bytes, "upload": input.upload, "job": input.job}))
            .collect();
        let running = self.running.get(&job.id);
        json!({
            "id": job.id, "kind": job.kind.name(), "state": job.state.name(), "label": job.label,
            "inputs": inputs, "options": job.options,
            "created_at": clock::text(job.created_at), "started_at": job.started_at.map(clock::text),
            "finished_at": job.finished_at.map(clock::text),
            "position": queue.iter().position(|id| *id == job.id).map(|at| at + 1),
            "attempts": job.attempts, "resumed": job.resumed, "plan": job.plan,
            "progress": running.and_then(|running| running.progress()),
            "summary": job.summary, "files": job.files, "error": job.error,
        })
    }

    /// Publishes an event with the current state of job `id`, and one with the queue if its order has changed.
    pub(crate) fn publish_job(&self, id: &str) -> Result<()> {
        if let Some(job) = self.db.job(id)? {
            self.events.job(id, &self.job_json(&job)?, job.state.is_final());
        }
        self.publish_queue()
    }

    /// Publishes an event with the order of the queue and its pause if one has changed.
    pub(crate) fn publish_queue(&self) -> Result<()> {
        Ok(self
            .events
            .queue(|| Ok::<_, rusqlite::Error>((self.db.queue()?, self.is_paused())))?)
    }

    /// Returns the client's names of the input files of a job, to replace their paths in messages.
    pub(crate) fn names(&self, job: &Job) -> PathNames {
        let mut names = PathNames::default();
        for (index, input) in job.inputs.iter().enumerate() {
            names.add(&self.store.input(&job.id, index, &input.extension), &input.name);
        }
        names
    }

    /// Locks upload `id` for writing until the result is dropped; `None` if another request has locked it.
    pub(crate) fn lock_upload(self: &Arc<Self>, id: &str) -> Option<UploadLock> {
        let mut locked = self.locked_uploads.lock().unwrap_or_else(PoisonError::into_inner);
        locked.insert(id.to_owned()).then(|| UploadLock {
            app: Arc::clone(self),
            id: id.to_owned(),
        })
    }

    /// Reports whether a request is reading the upload or job `id`.
    pub(crate) fn is_in_use(&self, id: &str) -> bool {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.contains_key(id)
    }

    /// Reports whether a request is writing upload `id`.
    pub(crate) fn is_upload_locked(&self, id: &str) -> bool {
        self.locked_uploads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }
}

/// Guard of uploads and jobs that a request reads: until it is dropped, the janitor does not remove them.
#[derive(Debug)]
pub(crate) struct InUse {
    app: Arc<App>,
    ids: Vec<String>,
}

impl InUse {
    /// Marks the uploads and jobs `ids` as in use.
    pub(crate) fn new(app: &Arc<App>, ids: Vec<String>) -> Self {
        let mut in_use = app.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter()
            .for_each(|id| *in_use.entry(id.clone()).or_default() += 1);
        let app = Arc::clone(app);
        Self { app, ids }
    }
}

impl Drop for InUse {
    /// Ends the use of the uploads and jobs.
    fn drop(&mut self) {
        let mut in_use = self.app.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        for id in &self.ids {
            if let Some(count) = in_use.get_mut(id) {
                *count -= 1;
            }
        }
        in_use.retain(|_, count| *count > 0);
    }
}

/// Write lock of one upload, released when dropped.
#[derive(Debug)]
pub(crate) struct UploadLock {
    app: Arc<App>,
    id: String,
}

impl Drop for UploadLock {
    /// Releases the write lock of the upload.
    fn drop(&mut self) {
        let mut locked = self
            .app
            .locked_uploads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        locked.remove(&self.id);
    }
}
