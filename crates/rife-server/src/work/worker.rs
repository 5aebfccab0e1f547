//! Workers: threads that take jobs from the queue and see each to its end.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rife::Error;
use serde_json::{Value, json};

use crate::error::{ApiError, Code, Result};
use crate::state::app::App;
use crate::state::db::{Finished, Job, State};
use crate::state::live::{Live, Progress};
use crate::state::store;
use crate::work::kinds::{self, Outcome, Place, Step};
use crate::{clock, log};

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(200);
/// How often the free space is looked at while a job writes.
const SPACE_EVERY: Duration = Duration::from_secs(2);

/// Starts the workers. They end when the server stops.
pub(crate) fn start(app: &Arc<App>) -> std::io::Result<Vec<thread::JoinHandle<()>>> {
    (0..app.config.workers)
        .map(|index| {
            let app = Arc::clone(app);
            let name = format!("worker {index}");
            thread::Builder::new().name(name).spawn(move || work(&app))
        })
        .collect()
}

fn work(app: &App) {
    while !app.is_stopping() {
        match app.db.start_next(clock::now()) {
            Ok(Some(job)) => see_through(app, &job),
            Ok(None) => {
                app.wake.wait();
                app.db.write_down();
            }
            Err(error) => {
                log::line(&format!("the queue cannot be read: {error}"));
                app.wake.wait();
                app.db.write_down();
            }
        }
    }
}

/// Runs a job and writes down how it ended.
fn see_through(app: &App, job: &Job) {
    let live = app.running.start(&job.id);
    log::line(&format!(
        "{} {} started, attempt {}",
        job.kind.name(),
        job.id,
        job.attempts
    ));
    let _ = app.announce(&job.id);
    let result = catch_unwind(AssertUnwindSafe(|| run(app, job, &live)));
    let result = result.unwrap_or_else(|_| Err(Stopped::Error(ApiError::internal("a job panicked"))));
    let ended = end(app, job, &live, result);
    app.running.end(&job.id);
    give_memory_back();
    if let Err(error) = ended {
        log::line(&format!(
            "{}: its end cannot be written down yet: {error:?}",
            job.id
        ));
    }
    let _ = app.announce(&job.id);
}

/// glibc keeps freed frames in the arena of every thread that ever made one: without this, twelve jobs of 640 x 360 one
/// after another left 180 MB, and twice that with a few hundred connections beside them.
fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time and from any thread, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Why a job did not come to its end.
enum Stopped {
    Cancelled,
    Error(ApiError),
}

impl From<ApiError> for Stopped {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

fn end(app: &App, job: &Job, live: &Live, result: std::result::Result<Outcome, Stopped>) -> Result<()> {
    let mut finished = Finished {
        state: State::Failed,
        summary: None,
        files: json!([]),
        error: None,
    };
    match result {
        Ok(outcome) => {
            match results(&app.store.output(&job.id), &free_label(app, &outcome.label)) {
                Ok(files) => (finished.state, finished.files) = (State::Done, files),
                Err(error) => finished.error = Some(error.body()),
            }
            finished.summary = Some(outcome.summary).filter(|_| finished.state == State::Done);
        }
        Err(Stopped::Cancelled) if live.by_user.load(Ordering::SeqCst) => finished.state = State::Cancelled,
        Err(Stopped::Cancelled) if app.is_stopping() => return Ok(app.db.put_back(&job.id)?),
        Err(Stopped::Cancelled) => {
            let reason = *live.stopped_for.lock().unwrap_or_else(PoisonError::into_inner);
            let error = ApiError::new(Code::Quota, reason.unwrap_or("stopped"));
            finished.error = Some(error.body());
        }
        Err(Stopped::Error(error)) => finished.error = Some(error.body()),
    }
    log::line(&format!(
        "{} {} {}",
        job.kind.name(),
        job.id,
        finished.state.name()
    ));
    Ok(app.db.finish_job(&job.id, &finished, clock::now())?)
}

fn run(app: &App, job: &Job, live: &Arc<Live>) -> std::result::Result<Outcome, Stopped> {
    let names = app.names(job);
    let told = |error: &Error| match error {
        Error::Cancelled => Stopped::Cancelled,
        _ if live.cancel.is_cancelled() => Stopped::Cancelled,
        error => {
            log::line(&format!("{}: {error}", job.id));
            Stopped::Error(ApiError::from_library(error, &names))
        }
    };
    let place = prepare(app, job, live)?;
    let options = kinds::options(job.kind, &job.options, job.inputs.len())?;
    let run = options
        .open(&place, &live.cancel)?
        .map_err(|error| told(&error))?;
    let plan = hide_paths(run.plan(), &names);
    app.db.set_plan(&job.id, &plan).map_err(ApiError::from)?;
    app.announce(&job.id)?;
    let mut reporter = Reporter::new(app, job, live);
    let mut outcome = run
        .run(&mut |step| reporter.step(step))
        .map_err(|error| told(&error))?;
    outcome.summary = hide_paths(outcome.summary, &names);
    Ok(outcome)
}

/// The job's folders; what an attempt before has left is used by kinds that resume, and thrown away by the others.
fn prepare<'a>(app: &App, job: &'a Job, live: &Arc<Live>) -> Result<Place<'a>> {
    let output = app.store.output(&job.id);
    if !job.kind.resumes() {
        store::remove(&output)?;
    }
    fs::create_dir_all(&output)?;
    let inputs = job.inputs.iter().enumerate();
    Ok(Place {
        inputs: inputs
            .map(|(index, input)| app.store.input(&job.id, index, &input.extension))
            .collect(),
        label: &job.label,
        output,
        watch: Some(live.watch()),
    })
}

/// Every text of `value` without paths.
pub(crate) fn hide_paths(value: Value, names: &crate::error::Names) -> Value {
    match value {
        Value::String(text) => Value::String(names.hide(&text)),
        Value::Array(values) => values.into_iter().map(|value| hide_paths(value, names)).collect(),
        Value::Object(values) => {
            let values = values.into_iter();
            Value::Object(
                values
                    .map(|(name, value)| (name, hide_paths(value, names)))
                    .collect(),
            )
        }
        other => other,
    }
}

/// What the result is called: no two of the same name, so that none replaces another where they are saved.
fn free_label(app: &App, label: &str) -> String {
    app.db.free_label(label).unwrap_or_else(|_| label.to_owned())
}

/// The files of a job that is done. What unfinished work has left is not among them.
pub(crate) fn results(folder: &Path, label: &str) -> Result<Value> {
    let mut found: Vec<(String, u64)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (name, metadata) = (
            entry.file_name().to_string_lossy().into_owned(),
            entry.metadata()?,
        );
        if metadata.is_file() && !name.starts_with('.') {
            found.push((name, metadata.len()));
        }
    }
    let beside = |name: &str| name == store::CONFIDENCE;
    found.sort_by_key(|(name, _)| (beside(name), natural(name)));
    let several = found.iter().filter(|(name, _)| !beside(name)).count() > 1;
    let files = found.iter().map(|(name, bytes)| {
        let label = if several || beside(name) { name } else { label };
        json!({
            "name": name, "label": label, "bytes": bytes, "media_type": store::media_type(store::own_extension(name)),
        })
    });
    Ok(files.collect())
}

/// `img10` after `img9`.
fn natural(name: &str) -> (String, u64) {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    (
        name.replace(|c: char| c.is_ascii_digit(), ""),
        digits.parse().unwrap_or(0),
    )
}

/// Tells how far a job is, not with every frame.
struct Reporter<'a> {
    app: &'a App,
    job: &'a Job,
    live: &'a Live,
    /// When frames began to be made in this stage, and how many there were then.
    from: Option<(Instant, u64, &'static str)>,
    told: Option<Instant>,
    looked: Instant,
    resumed: bool,
    done: u64,
}

impl<'a> Reporter<'a> {
    fn new(app: &'a App, job: &'a Job, live: &'a Live) -> Self {
        Self {
            app,
            job,
            live,
            from: None,
            told: None,
            looked: Instant::now(),
            resumed: false,
            done: 0,
        }
    }

    fn step(&mut self, step: Step) {
        let fresh = step.done >= step.resumed;
        let (start, first, _) = match self.from {
            Some(from) if from.2 == step.stage && fresh => from,
            _ => *self.from.insert((Instant::now(), step.done, step.stage)),
        };
        self.app.counters.frames.add(step.done.saturating_sub(self.done));
        self.done = step.done;
        let elapsed = start.elapsed().as_secs_f64();
        let made = step.done.saturating_sub(first) as f64;
        self.live.set_progress(Progress {
            done: step.done,
            total: step.total,
            stage: step.stage,
            rate: (made > 0.0 && elapsed > 0.0).then(|| made / elapsed),
        });
        if step.resumed > 0 && !self.resumed {
            self.resumed = true;
            let _ = self.app.db.set_resumed(&self.job.id);
        }
        self.tell();
        self.look();
    }

    fn tell(&mut self) {
        if self.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        if let Some(progress) = self.live.progress() {
            self.app.events.progress(&self.job.id, &progress);
        }
    }

    /// A job must not fill the disk.
    fn look(&mut self) {
        if self.looked.elapsed() < SPACE_EVERY {
            return;
        }
        self.looked = Instant::now();
        if self.app.store.free() < self.app.config.free_space {
            self.live.stop("the disk is nearly full");
        } else if self.app.store.used() > self.app.config.quota {
            self.live.stop("the quota is used up");
        }
    }
}
