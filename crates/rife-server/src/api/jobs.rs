//! Handlers of `/jobs` and `/plans`: create, plan, list, cancel, retry, delete and preview jobs.

pub(crate) mod stream;

use std::fs;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rife::media::CancelToken;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::http::{self, Json, PageQuery, PathParams, QueryParams};
use crate::api::uploads;
use crate::error::{ApiError, Code, PathNames, Result};
use crate::reason::Reason;
use crate::state::app::{App, InUse};
use crate::state::db::{Job, JobQuery, NewJob, State as JobState};
use crate::state::kind::Kind;
use crate::state::store;
use crate::work::kinds::{self, JobFiles};
use crate::work::refs::{Ref, StoredFile};
use crate::work::worker::hide_paths;
use crate::work::{inspect, removal};
use crate::{clock, ids};

/// `Retry-After` of a full queue, in seconds.
const RETRY_AFTER: u32 = 30;

/// Body of `POST /jobs` and `POST /plans`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobRequest {
    kind: Kind,
    inputs: Vec<Ref>,
    #[serde(default)]
    options: Value,
}

impl JobRequest {
    /// Checks the options alone.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn check_options(&self) -> Result<()> {
        kinds::parse_options(self.kind, &self.options, self.inputs.len()).map(drop)
    }

    /// Checks the options and returns the input files; an error if one does not exist.
    fn check(&self, app: &App) -> Result<Vec<StoredFile>> {
        kinds::parse_options(self.kind, &self.options, self.inputs.len())?;
        self.inputs.iter().map(|input| app.find(input)).collect()
    }
}

/// Handles `POST /jobs`: checks inputs and options, and queues the job.
pub(crate) async fn create(State(app): State<Arc<App>>, Json(request): Json<JobRequest>) -> Result<Response> {
    if app.is_stopping() {
        return Err(ApiError::new(Code::ShuttingDown, "the server is stopping").retry_after(RETRY_AFTER));
    }
    let _in_use = InUse::new(&app, request.inputs.iter().map(Ref::id).collect());
    app.blocking(check_queue_limit).await?;
    let request = Arc::new(request);
    check_inputs(&app, &request).await?;
    let job = app.blocking(move |app| enqueue(app, &request)).await?;
    let location = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap_or_default());
    Ok((StatusCode::CREATED, [("location", location)], axum::Json(job)).into_response())
}

/// Checks a job before it is queued: returns an error if the queue is full, or if the job's inputs or options cannot be used.
/// Waits for one of the permits that limit concurrent probing; dropping the future cancels the check.
async fn check_inputs(app: &Arc<App>, request: &Arc<JobRequest>) -> Result<()> {
    let _permit = probe_permit(app).await?;
    let guard = CancelOnDrop::default();
    let (request, cancel) = (Arc::clone(request), guard.0.clone());
    app.blocking(move |app| {
        check_queue_limit(app)?;
        inspect::check_inputs(app, request.kind, &request.check(app)?, &cancel)
    })
    .await
}

/// Returns an error if the queue is full.
fn check_queue_limit(app: &App) -> Result<()> {
    if app.db.queue()?.len() >= app.config.queue_limit {
        return Err(queue_full_error(app));
    }
    Ok(())
}

/// Creates the folder and the row of a job, wakes the workers, and returns its JSON object.
fn enqueue(app: &App, request: &JobRequest) -> Result<Value> {
    let found = request.check(app)?;
    check_queue_limit(app)?;
    let (quota, min_free) = (app.config.quota, app.config.free_space);
    app.store
        .check_quota(0, uploads::reserved_bytes(app)?, quota, min_free)?;
    let new = NewJob {
        id: ids::new("job")?,
        kind: request.kind,
        label: found
            .first()
            .map_or_else(String::new, |first| first.input.name.clone()),
        inputs: found.iter().map(|found| found.input.clone()).collect(),
        options: match &request.options {
            Value::Null => json!({}),
            options => options.clone(),
        },
    };
    let queued = link_inputs(app, &new, &found)
        .and_then(|()| Ok(app.db.add_job(&new, app.config.queue_limit, clock::now())?));
    if !matches!(queued, Ok(true)) {
        store::remove(&app.store.job(&new.id))?;
        app.db.clear_pending(&new.id)?;
    }
    if !queued? {
        return Err(queue_full_error(app));
    }
    app.counters.jobs_created.add(1);
    app.publish_job(&new.id)?;
    app.wake.all();
    let job = app.db.job(&new.id)?.ok_or_else(|| ApiError::not_found("job"))?;
    app.job_json(&job)
}

/// Returns the error for a full queue.
fn queue_full_error(app: &App) -> ApiError {
    let pairs = [("count", app.config.queue_limit.into())];
    ApiError::because(Code::QueueFull, Reason::QueueFull, pairs).retry_after(RETRY_AFTER)
}

/// Creates the folder of a job with hard links to its inputs.
fn link_inputs(app: &App, new: &NewJob, found: &[StoredFile]) -> Result<()> {
    app.db.mark_pending(&new.id)?;
    fs::create_dir_all(app.store.job(&new.id).join("in"))?;
    for (index, found) in found.iter().enumerate() {
        store::link(
            &found.path,
            &app.store.input(&new.id, index, &found.input.extension),
        )?;
    }
    Ok(())
}

/// Handles `POST /plans`: plans a job without queueing it.
pub(crate) async fn plan(State(app): State<Arc<App>>, Json(request): Json<JobRequest>) -> Result<Response> {
    let _permit = probe_permit(&app).await?;
    // Cancels planning when the client disconnects.
    let guard = CancelOnDrop::default();
    let cancel = guard.0.clone();
    let plan = app
        .blocking(move |app| build_plan(app, &request, &cancel))
        .await?;
    Ok(axum::Json(plan).into_response())
}

/// Checks inputs and options, loads the model, and returns the plan as JSON without paths.
fn build_plan(app: &App, request: &JobRequest, cancel: &CancelToken) -> Result<Value> {
    let found = request.check(app)?;
    inspect::check_inputs(app, request.kind, &found, cancel)?;
    let mut names = PathNames::default();
    found
        .iter()
        .for_each(|found| names.add(&found.path, &found.input.name));
    let files = JobFiles {
        inputs: found.iter().map(|found| found.path.clone()).collect(),
        label: found.first().map_or("", |found| found.input.name.as_str()),
        // Nothing is written there.
        output: app.store.root().join("plan"),
        on_frame: None,
    };
    let options = kinds::parse_options(request.kind, &request.options, found.len())?;
    let opened = options.open(&files, cancel)?;
    let run = opened.map_err(|error| ApiError::from_library(&error, &names).for_request())?;
    Ok(hide_paths(run.plan(), &names))
}

/// Waits for a permit to run ffmpeg or a network within a request; an error after the client timeout.
pub(crate) async fn probe_permit(app: &Arc<App>) -> Result<tokio::sync::OwnedSemaphorePermit> {
    let waiting = Arc::clone(&app.probe_slots).acquire_owned();
    match tokio::time::timeout(app.config.client_timeout, waiting).await {
        Ok(permit) => permit.map_err(ApiError::internal),
        Err(_) => {
            Err(ApiError::new(Code::TooMany, "too many plans, probes and thumbnails at once").retry_after(5))
        }
    }
}

/// Cancels its token when dropped, for example when the client of a request disconnects.
#[derive(Debug, Default)]
pub(crate) struct CancelOnDrop(pub(crate) CancelToken);

impl Drop for CancelOnDrop {
    /// Cancels the token.
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Query parameters that filter a job listing.
#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    state: Option<String>,
    kind: Option<String>,
}

impl Filter {
    /// Parses the names of state and kind; an error if one is unknown.
    fn query(&self) -> Result<JobQuery> {
        let unknown = |what: &str| ApiError::new(Code::BadRequest, format!("no such {what}"));
        let state = self
            .state
            .as_deref()
            .map(|name| JobState::parse(name).ok_or_else(|| unknown("state")));
        let kind = self
            .kind
            .as_deref()
            .map(|name| Kind::parse(name).ok_or_else(|| unknown("kind")));
        Ok(JobQuery {
            state: state.transpose()?,
            kind: kind.transpose()?,
        })
    }
}

/// Handles `GET /jobs`: lists jobs, newest first.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    QueryParams(query): QueryParams<PageQuery>,
    QueryParams(filter): QueryParams<Filter>,
) -> Result<Response> {
    let (before, limit, filter) = (query.before()?, query.limit()?, filter.query()?);
    let body = app
        .blocking(move |app| {
            let (page, queue) = (app.db.jobs(&filter, before, limit)?, app.db.queue()?);
            Ok(http::page(page, |job| app.job_json_in(job, &queue)))
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

/// Returns the row of job `id`; an error if there is none.
fn find_job(app: &App, id: &str) -> Result<Job> {
    let known = if ids::is_valid(id, "job") {
        app.db.job(id)?
    } else {
        None
    };
    known.ok_or_else(|| ApiError::not_found("job"))
}

/// Returns the JSON object of job `id`; an error if there is none.
fn job_json(app: &App, id: &str) -> Result<Value> {
    app.job_json(&find_job(app, id)?)
}

/// Handles `GET /jobs/{id}`: returns a job.
pub(crate) async fn get(State(app): State<Arc<App>>, PathParams(id): PathParams<String>) -> Result<Response> {
    let job = app.blocking(move |app| job_json(app, &id)).await?;
    Ok(axum::Json(job).into_response())
}

/// Handles `POST /jobs/{id}/cancel`: cancels a queued or running job.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
) -> Result<Response> {
    let job = app
        .blocking(move |app| {
            find_job(app, &id)?;
            app.db.save_unsaved_ends();
            if app.db.cancel_queued(&id, clock::now())? {
                app.publish_job(&id)?;
            } else if let Some(running) = app.running.get(&id) {
                running.cancel_by_user();
            }
            job_json(app, &id)
        })
        .await?;
    Ok(axum::Json(job).into_response())
}

/// Handles `POST /jobs/{id}/retry`: queues a failed or cancelled job again.
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
) -> Result<Response> {
    let job = app
        .blocking(move |app| {
            app.db.save_unsaved_ends();
            if app.db.is_end_unsaved(&id) {
                let text = "the end of this job cannot be stored; the disk may be full";
                return Err(ApiError::new(Code::Quota, text));
            }
            let job = find_job(app, &id)?;
            if !matches!(job.state, JobState::Failed | JobState::Cancelled) {
                let pairs = [("state", job.state.name().into())];
                return Err(ApiError::because(Code::Busy, Reason::JobState, pairs));
            }
            if !app.db.retry(&id, app.config.queue_limit)? {
                return Err(queue_full_error(app));
            }
            app.publish_job(&id)?;
            app.wake.all();
            job_json(app, &id)
        })
        .await?;
    Ok(axum::Json(job).into_response())
}

/// Handles `DELETE /jobs/{id}`: cancels a job if it is running, and removes it with its files.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
) -> Result<StatusCode> {
    let wanted = id.clone();
    app.blocking(move |app| {
        // Unreadable rows can be deleted, too.
        if !ids::is_valid(&wanted, "job") || !app.db.has_job(&wanted)? {
            return Err(ApiError::not_found("job"));
        }
        app.db.cancel_queued(&wanted, clock::now())?;
        if let Some(running) = app.running.get(&wanted) {
            running.cancel_by_user();
        }
        Ok(())
    })
    .await?;
    let until = tokio::time::Instant::now() + app.config.client_timeout;
    while app.running.get(&id).is_some() {
        if tokio::time::Instant::now() > until {
            return Err(ApiError::new(Code::Busy, "the job is being cancelled; try again").retry_after(1));
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    app.blocking(move |app| removal::job(app, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Handles `GET /jobs/{id}/preview`: sends the newest interpolated frame of a running job as a JPEG.
pub(crate) async fn preview(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let found = app
        .blocking(move |app| {
            find_job(app, &id)?;
            Ok(app.running.get(&id).and_then(|running| running.preview()))
        })
        .await?;
    let (number, bytes) =
        found.ok_or_else(|| ApiError::new(Code::NoPreview, "no frame has been generated yet"))?;
    let tag = format!("\"{number}\"");
    let fresh = http::matches_etag(&headers, header::IF_NONE_MATCH, &tag);
    let headers = [
        (header::ETAG, tag.as_str()),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_TYPE, "image/jpeg"),
    ];
    Ok(match fresh {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, bytes).into_response(),
    })
}
