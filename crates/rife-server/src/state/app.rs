//! What every handler and worker shares.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::error::{ApiError, Code, Names, Result};
use crate::state::attempts::Attempts;
use crate::state::connections::Connections;
use crate::state::counters::Counters;
use crate::state::db::{Db, Job};
use crate::state::events::Events;
use crate::state::key::Key;
use crate::state::live::Running;
use crate::state::store::Store;
use crate::state::wake::Wake;
use crate::{Config, clock, ids};

/// Plans, probes and thumbnails that are made at the same time: each runs ffmpeg or a network.
const LOOKS: usize = 2;
/// Megabytes that frames may take while they are read for thumbnails; a larger one is read alone.
pub(crate) const LOOK_MEGABYTES: usize = 1024;
/// Kilobytes that bodies of JSON may take while they are received.
pub(crate) const BODY_KILOBYTES: usize = 32 << 10;
/// Event streams at the same time.
pub(crate) const STREAMS: usize = 1024;

/// How often the server may die during a job before the job is given up.
pub(crate) const MAX_CRASHES: u32 = 3;

/// Kinds of jobs and paths.
pub(crate) type GoodInputs = HashSet<(&'static str, PathBuf)>;

/// How long it is believed that there is no ffmpeg.
const NO_FFMPEG: Duration = Duration::from_secs(5);

/// What every handler and worker shares.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) db: Db,
    pub(crate) events: Events,
    pub(crate) running: Running,
    pub(crate) counters: Counters,
    pub(crate) key: Option<Key>,
    pub(crate) wake: Wake,
    pub(crate) looks: Arc<Semaphore>,
    pub(crate) look_memory: Arc<Semaphore>,
    pub(crate) body_memory: Arc<Semaphore>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) attempts: Attempts,
    ffmpeg: Mutex<Option<(Instant, String)>>,
    /// Inputs that are good for a kind of job.
    good_inputs: Mutex<GoodInputs>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) thumbnails: crate::state::thumbnails::Thumbnails,
    /// Uploads that somebody is writing.
    writing: Mutex<HashSet<String>>,
    /// Uploads and jobs that requests are looking into, and how many do.
    held: Mutex<HashMap<String, usize>>,
    stopping: AtomicBool,
    /// Held as long as the server lives.
    _lock: File,
}

impl App {
    /// Opens folder and database, and puts right what a killed server has left.
    pub(crate) fn open(
        config: Config,
    ) -> std::result::Result<Arc<Self>, Box<dyn std::error::Error + Send + Sync>> {
        let (store, lock) = Store::open(&config.data)?;
        let db = Db::open(&store.database(), store.spare())?;
        let error = ApiError::new(Code::Interrupted, "the server died too often while this job ran").body();
        db.recover(MAX_CRASHES, &error, clock::now())?;
        let key = config.token.as_deref().map(Key::new);
        let run = ids::random::<4>().map_err(|_| "the system has no random numbers")?;
        let app = Self {
            key,
            events: Events::new(run),
            running: Running::default(),
            counters: Counters::default(),
            wake: Wake::default(),
            looks: Arc::new(Semaphore::new(LOOKS)),
            look_memory: Arc::new(Semaphore::new(LOOK_MEGABYTES)),
            body_memory: Arc::new(Semaphore::new(BODY_KILOBYTES)),
            connections: Arc::default(),
            attempts: Attempts::default(),
            ffmpeg: Mutex::default(),
            good_inputs: Mutex::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
            thumbnails: crate::state::thumbnails::Thumbnails::default(),
            writing: Mutex::default(),
            held: Mutex::default(),
            stopping: AtomicBool::new(false),
            _lock: lock,
            config,
            store,
            db,
        };
        Ok(Arc::new(app))
    }

    /// Runs something that waits for the disk, or computes, away from the threads that serve.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let app = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&app))
            .await
            .map_err(ApiError::internal)?
    }

    /// Refuses what cannot be done without ffmpeg, with what to do about it.
    pub(crate) fn need_ffmpeg(&self) -> Result<()> {
        let mut missing = self.ffmpeg.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = |text: &str| Err(ApiError::new(Code::NoFfmpeg, text));
        match &*missing {
            Some((at, text)) if at.elapsed() < NO_FFMPEG => return refused(text),
            _ => {}
        }
        let found = rife::media::Ffmpeg::find();
        *missing = found.err().map(|error| {
            let text = Names::default().hide(&error.to_string());
            (Instant::now(), text)
        });
        missing.as_ref().map_or(Ok(()), |(_, text)| refused(text))
    }

    /// Inputs that have been looked at and are good, by kind of job and path.
    pub(crate) fn good_inputs(&self) -> MutexGuard<'_, GoodInputs> {
        self.good_inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server is coming to its end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.running
            .all()
            .iter()
            .for_each(|live| live.stop("the server stops"));
        self.wake.all();
    }

    /// A job as the API shows it.
    pub(crate) fn show(&self, job: &Job) -> Result<Value> {
        let queue = match job.state {
            crate::state::db::State::Queued => self.db.queue()?,
            _ => Vec::new(),
        };
        Ok(self.show_in(job, &queue))
    }

    /// As [`App::show`], with the ids of the queued jobs in order.
    pub(crate) fn show_in(&self, job: &Job, queue: &[String]) -> Value {
        let inputs: Vec<Value> = job
            .inputs
            .iter()
            .map(|input| json!({"name": input.name, "bytes": input.bytes, "upload": input.upload, "job": input.job}))
            .collect();
        let live = self.running.get(&job.id);
        json!({
            "id": job.id, "kind": job.kind.name(), "state": job.state.name(), "label": job.label,
            "inputs": inputs, "options": job.options,
            "created_at": clock::text(job.created_at), "started_at": job.started_at.map(clock::text),
            "finished_at": job.finished_at.map(clock::text),
            "position": queue.iter().position(|id| *id == job.id).map(|at| at + 1),
            "attempts": job.attempts, "resumed": job.resumed, "plan": job.plan,
            "progress": live.and_then(|live| live.progress()),
            "summary": job.summary, "files": job.files, "error": job.error,
        })
    }

    /// Tells everybody how a job is now.
    pub(crate) fn announce(&self, id: &str) -> Result<()> {
        if let Some(job) = self.db.job(id)? {
            self.events.job(id, &self.show(&job)?, job.state.is_final());
        }
        self.announce_queue()
    }

    /// Tells everybody the order of the queue, where it has changed.
    pub(crate) fn announce_queue(&self) -> Result<()> {
        Ok(self.events.queue(|| self.db.queue())?)
    }

    /// The names by which a client knows the files of a job.
    pub(crate) fn names(&self, job: &Job) -> Names {
        let mut names = Names::default();
        for (index, input) in job.inputs.iter().enumerate() {
            names.add(&self.store.input(&job.id, index, &input.extension), &input.name);
        }
        names
    }

    /// The right to write an upload, for one at a time.
    pub(crate) fn write_upload(self: &Arc<Self>, id: &str) -> Option<Writing> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.insert(id.to_owned()).then(|| Writing {
            app: Arc::clone(self),
            id: id.to_owned(),
        })
    }

    /// Whether a request looks into it.
    pub(crate) fn is_held(&self, id: &str) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains_key(id)
    }

    /// Whether somebody is writing it.
    pub(crate) fn is_written(&self, id: &str) -> bool {
        self.writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }
}

/// Uploads and jobs that a request looks into: they do not grow too old meanwhile.
#[derive(Debug)]
pub(crate) struct Held {
    app: Arc<App>,
    ids: Vec<String>,
}

impl Held {
    pub(crate) fn new(app: &Arc<App>, ids: Vec<String>) -> Self {
        let mut held = app.held.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter()
            .for_each(|id| *held.entry(id.clone()).or_default() += 1);
        let app = Arc::clone(app);
        Self { app, ids }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.app.held.lock().unwrap_or_else(PoisonError::into_inner);
        for id in &self.ids {
            if let Some(count) = held.get_mut(id) {
                *count -= 1;
            }
        }
        held.retain(|_, count| *count > 0);
    }
}

/// The right to write an upload; given back when dropped.
#[derive(Debug)]
pub(crate) struct Writing {
    app: Arc<App>,
    id: String,
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut writing = self.app.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.remove(&self.id);
    }
}
