//! Worker threads: take jobs from the queue, run them, report progress, and store their results.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rife::Error;
use serde_json::{Value, json};

use crate::clock;
use crate::error::{ApiError, Code, Result};
use crate::reason;
use crate::state::app::App;
use crate::state::db::{Finished, Job, State};
use crate::state::running::{Progress, RunningJob};
use crate::state::store;
use crate::work::kinds::{self, JobFiles, Outcome, Step};

/// Minimum time between two progress events of a job.
const REPORT_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two checks of quota and free space during a job.
const SPACE_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Starts the worker threads, which end when the server is stopping.
pub(crate) fn start(app: &Arc<App>) -> std::io::Result<Vec<thread::JoinHandle<()>>> {
    (0..app.config.workers)
        .map(|index| {
            let app = Arc::clone(app);
            let name = format!("worker {index}");
            thread::Builder::new().name(name).spawn(move || work(&app))
        })
        .collect()
}

/// Loop of a worker thread: runs queued jobs until the server is stopping.
fn work(app: &App) {
    while !app.is_stopping() {
        if app.is_paused() {
            app.wake.wait();
            app.db.save_unsaved_ends();
            continue;
        }
        match app.db.start_next(clock::now()) {
            Ok(Some(job)) => run_to_completion(app, &job),
            Ok(None) => {
                app.wake.wait();
                app.db.save_unsaved_ends();
            }
            Err(error) => {
                tracing::error!("the queue cannot be read: {error}");
                app.wake.wait();
                app.db.save_unsaved_ends();
            }
        }
    }
}

/// Runs a job, stores its end, and publishes its states. A panic of the job is caught.
fn run_to_completion(app: &App, job: &Job) {
    let running = app.running.start(&job.id);
    let _span = tracing::info_span!("job", job = job.id, kind = job.kind.name()).entered();
    tracing::info!(attempt = job.attempts, "started");
    let _ = app.publish_job(&job.id);
    let result = catch_unwind(AssertUnwindSafe(|| run(app, job, &running)));
    let result = result.unwrap_or_else(|_| Err(Stopped::Error(ApiError::internal("a job panicked"))));
    let ended = record_end(app, job, &running, result);
    app.running.end(&job.id);
    trim_heap();
    if let Err(error) = ended {
        tracing::error!("the end of the job cannot be stored yet: {error:?}");
    }
    let _ = app.publish_job(&job.id);
}

/// Returns freed memory to the system. glibc keeps freed frames in the arena of every thread that allocated one: without
/// this, twelve consecutive jobs of 640 x 360 left 180 MB, and twice that with a few hundred open connections.
fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim may be called at any time and from any thread, and only releases unused memory.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Reason why a job did not complete.
enum Stopped {
    Cancelled,
    Error(ApiError),
}

impl From<ApiError> for Stopped {
    /// Wraps an error of the server.
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

/// Stores the end of a job by the `result` of its run; puts it back into the queue if the server is stopping.
fn record_end(
    app: &App,
    job: &Job,
    running: &RunningJob,
    result: std::result::Result<Outcome, Stopped>,
) -> Result<()> {
    let mut finished = Finished {
        state: State::Failed,
        summary: None,
        files: json!([]),
        error: None,
    };
    match result {
        Ok(outcome) => {
            match list_results(&app.store.output(&job.id), &unique_label(app, &outcome.label)) {
                Ok(files) => (finished.state, finished.files) = (State::Done, files),
                Err(error) => finished.error = Some(error.body()),
            }
            finished.summary = Some(outcome.summary).filter(|_| finished.state == State::Done);
        }
        Err(Stopped::Cancelled) if running.cancelled_by_user.load(Ordering::SeqCst) => {
            finished.state = State::Cancelled
        }
        Err(Stopped::Cancelled) if app.is_stopping() => return Ok(app.db.requeue(&job.id)?),
        Err(Stopped::Cancelled) => {
            let reason = *running.stop_reason.lock().unwrap_or_else(PoisonError::into_inner);
            let error = ApiError::new(Code::Quota, reason.unwrap_or("stopped"));
            finished.error = Some(error.body());
        }
        Err(Stopped::Error(error)) => finished.error = Some(error.body()),
    }
    tracing::info!(state = finished.state.name(), "ended");
    Ok(app.db.finish_job(&job.id, &finished, clock::now())?)
}

/// Plans a job, stores the plan, and runs it.
fn run(app: &App, job: &Job, running: &Arc<RunningJob>) -> std::result::Result<Outcome, Stopped> {
    let names = app.names(job);
    let stopped = |error: &Error| match error {
        Error::Cancelled => Stopped::Cancelled,
        _ if running.cancel.is_cancelled() => Stopped::Cancelled,
        error => {
            tracing::warn!("{error}");
            Stopped::Error(ApiError::from_library(error, &names))
        }
    };
    let files = prepare(app, job, running)?;
    let options = kinds::parse_options(job.kind, &job.options, job.inputs.len())?;
    let run = options
        .open(&files, &running.cancel)?
        .map_err(|error| stopped(&error))?;
    let plan = hide_paths(run.plan(), &names);
    app.db.set_plan(&job.id, &plan).map_err(ApiError::from)?;
    app.publish_job(&job.id)?;
    let mut reporter = Reporter::new(app, job, running);
    let mut outcome = run
        .run(&mut |step| reporter.step(step))
        .map_err(|error| stopped(&error))?;
    outcome.summary = hide_paths(outcome.summary, &names);
    outcome.summary["warnings"] = reason::notes(&outcome.summary["warnings"]);
    Ok(outcome)
}

/// Creates the output folder of a job, and returns its paths. Files of an earlier attempt stay, and are resumed.
fn prepare<'a>(app: &App, job: &'a Job, running: &Arc<RunningJob>) -> Result<JobFiles<'a>> {
    let output = app.store.output(&job.id);
    fs::create_dir_all(&output)?;
    let inputs = job.inputs.iter().enumerate();
    Ok(JobFiles {
        inputs: inputs
            .map(|(index, input)| app.store.input(&job.id, index, &input.extension))
            .collect(),
        label: &job.label,
        output,
        on_frame: Some(running.on_frame()),
    })
}

/// Replaces paths in all strings of a JSON value.
pub(crate) fn hide_paths(value: Value, names: &crate::error::PathNames) -> Value {
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

/// Returns `label`, made unique among all results, so that downloads do not replace each other.
fn unique_label(app: &App, label: &str) -> String {
    app.db.unique_label(label).unwrap_or_else(|_| label.to_owned())
}

/// Lists the result files in `folder` as the `files` of a job in the API, in natural order, without hidden files. A single
/// result gets `label`, several keep their names.
pub(crate) fn list_results(folder: &Path, label: &str) -> Result<Value> {
    let mut found: Vec<(String, u64)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (name, metadata) = (
            entry.file_name().to_string_lossy().into_owned(),
            entry.metadata()?,
        );
        // A result's manifest is for its verification.
        if metadata.is_file() && !name.starts_with('.') && !name.ends_with(".rife.json") {
            found.push((name, metadata.len()));
        }
    }
    found.sort_by_key(|(name, _)| (store::is_side_file(name), natural_key(name)));
    let several = found
        .iter()
        .filter(|(name, _)| !store::is_side_file(name))
        .count()
        > 1;
    let files = found.iter().map(|(name, bytes)| {
        let label = if several || store::is_side_file(name) { name } else { label };
        json!({
            "name": name, "label": label, "bytes": bytes, "media_type": store::media_type(store::result_extension(name)),
        })
    });
    Ok(files.collect())
}

/// Returns a key for natural order: `img10` after `img9`.
fn natural_key(name: &str) -> (String, u64) {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    (
        name.replace(|c: char| c.is_ascii_digit(), ""),
        digits.parse().unwrap_or(0),
    )
}

/// Reports the progress of a job at most every [`REPORT_INTERVAL`], and stops it when the disk or the quota is full.
struct Reporter<'a> {
    app: &'a App,
    job: &'a Job,
    running: &'a RunningJob,
    /// Time, number of frames and name at the start of the current stage, from which the rate is computed.
    stage_start: Option<(Instant, u64, &'static str)>,
    last_report: Option<Instant>,
    last_space_check: Instant,
    /// Whether the attempt has been recorded as resumed.
    resumed: bool,
    /// Frames written at the last step.
    done: u64,
}

impl<'a> Reporter<'a> {
    /// Creates a reporter for a job that starts now.
    fn new(app: &'a App, job: &'a Job, running: &'a RunningJob) -> Self {
        Self {
            app,
            job,
            running,
            stage_start: None,
            last_report: None,
            last_space_check: Instant::now(),
            resumed: false,
            done: 0,
        }
    }

    /// Updates progress, rate and counters after a frame.
    fn step(&mut self, step: Step) {
        let fresh = step.done >= step.resumed;
        let (start, first, _) = match self.stage_start {
            Some(from) if from.2 == step.stage && fresh => from,
            _ => *self.stage_start.insert((Instant::now(), step.done, step.stage)),
        };
        self.app.counters.frames.add(step.done.saturating_sub(self.done));
        self.done = step.done;
        let elapsed = start.elapsed().as_secs_f64();
        let made = step.done.saturating_sub(first) as f64;
        self.running.set_progress(Progress {
            done: step.done,
            total: step.total,
            stage: step.stage,
            rate: (made > 0.0 && elapsed > 0.0).then(|| made / elapsed),
        });
        if step.resumed > 0 && !self.resumed {
            self.resumed = true;
            let _ = self.app.db.set_resumed(&self.job.id);
            let _ = self.app.publish_job(&self.job.id);
        }
        self.report();
        self.check_space();
        self.wait_while_paused();
    }

    /// Blocks while the queue is paused, unless the job is cancelled; the time does not count for the rate.
    fn wait_while_paused(&mut self) {
        if !self.app.is_paused() {
            return;
        }
        let paused = Instant::now();
        while self.app.is_paused() && !self.app.is_stopping() && !self.running.cancel.is_cancelled() {
            self.app.wake.wait();
        }
        if let Some((start, ..)) = &mut self.stage_start {
            *start += paused.elapsed();
        }
    }

    /// Publishes a progress event if the last one is old enough.
    fn report(&mut self) {
        if self.last_report.is_some_and(|at| at.elapsed() < REPORT_INTERVAL) {
            return;
        }
        self.last_report = Some(Instant::now());
        if let Some(progress) = self.running.progress() {
            self.app.events.progress(&self.job.id, &progress);
        }
    }

    /// Stops the job if the quota is exceeded or the disk nearly full; checks every [`SPACE_CHECK_INTERVAL`].
    fn check_space(&mut self) {
        if self.last_space_check.elapsed() < SPACE_CHECK_INTERVAL {
            return;
        }
        self.last_space_check = Instant::now();
        if self.app.store.free_bytes() < self.app.config.free_space {
            self.running.stop("the disk is nearly full");
        } else if self.app.store.used_bytes() > self.app.config.quota {
            self.running.stop("the quota is used up");
        }
    }
}
