//! Jobs: from requests to rows, and back.

pub(crate) mod stream;

use std::fs;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rife::media::CancelToken;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::http::{self, InPath, InQuery, Json, PageQuery};
use crate::api::uploads;
use crate::error::{ApiError, Code, Names, Result};
use crate::reason::Reason;
use crate::state::app::{App, Held};
use crate::state::db::{Job, JobQuery, NewJob, State as JobState};
use crate::state::kind::Kind;
use crate::state::store;
use crate::work::kinds::{self, Place};
use crate::work::refs::{Found, Ref};
use crate::work::worker::hide_paths;
use crate::work::{inspect, removal};
use crate::{clock, ids};

/// When to come back to a full queue, in seconds.
const RETRY_AFTER: u32 = 30;

/// A job as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobRequest {
    kind: Kind,
    inputs: Vec<Ref>,
    #[serde(default)]
    options: Value,
}

impl JobRequest {
    /// Its inputs, all of them there, and its options, checked.
    fn check(&self, app: &App) -> Result<Vec<Found>> {
        kinds::options(self.kind, &self.options, self.inputs.len())?;
        self.inputs.iter().map(|input| app.find(input)).collect()
    }
}

/// `POST /jobs`.
pub(crate) async fn create(State(app): State<Arc<App>>, Json(request): Json<JobRequest>) -> Result<Response> {
    if app.is_stopping() {
        return Err(ApiError::new(Code::ShuttingDown, "the server is about to stop").retry_after(RETRY_AFTER));
    }
    let _held = Held::new(&app, request.inputs.iter().map(Ref::id).collect());
    app.blocking(has_place).await?;
    let request = Arc::new(request);
    look_at(&app, &request).await?;
    let job = app.blocking(move |app| queue(app, &request)).await?;
    let location = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap_or_default());
    Ok((StatusCode::CREATED, [("location", location)], axum::Json(job)).into_response())
}

/// Refuses a job whose inputs cannot be worked on, before it is queued.
async fn look_at(app: &Arc<App>, request: &Arc<JobRequest>) -> Result<()> {
    let _permit = look(app).await?;
    let guard = CancelOnDrop::default();
    let (request, cancel) = (Arc::clone(request), guard.0.clone());
    app.blocking(move |app| {
        has_place(app)?;
        inspect::inputs(app, request.kind, &request.check(app)?, &cancel)
    })
    .await
}

/// Refuses a job where enough are waiting.
fn has_place(app: &App) -> Result<()> {
    if app.db.queue()?.len() >= app.config.queue_limit {
        return Err(full(app));
    }
    Ok(())
}

fn queue(app: &App, request: &JobRequest) -> Result<Value> {
    let found = request.check(app)?;
    has_place(app)?;
    let (quota, floor) = (app.config.quota, app.config.free_space);
    app.store.check_room(0, uploads::promised(app)?, quota, floor)?;
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
    let queued = own_inputs(app, &new, &found)
        .and_then(|()| Ok(app.db.add_job(&new, app.config.queue_limit, clock::now())?));
    if !matches!(queued, Ok(true)) {
        store::remove(&app.store.job(&new.id))?;
        app.db.settle(&new.id)?;
    }
    if !queued? {
        return Err(full(app));
    }
    app.counters.jobs_created.add(1);
    app.announce(&new.id)?;
    app.wake.all();
    let job = app.db.job(&new.id)?.ok_or_else(|| ApiError::not_found("job"))?;
    app.show(&job)
}

fn full(app: &App) -> ApiError {
    let pairs = [("count", app.config.queue_limit.into())];
    ApiError::because(Code::QueueFull, Reason::QueueFull, pairs).retry_after(RETRY_AFTER)
}

/// Links of the job's own to its inputs.
fn own_inputs(app: &App, new: &NewJob, found: &[Found]) -> Result<()> {
    app.db.begin(&new.id)?;
    fs::create_dir_all(app.store.job(&new.id).join("in"))?;
    for (index, found) in found.iter().enumerate() {
        store::link(
            &found.path,
            &app.store.input(&new.id, index, &found.input.extension),
        )?;
    }
    Ok(())
}

/// `POST /plans`.
pub(crate) async fn plan(State(app): State<Arc<App>>, Json(request): Json<JobRequest>) -> Result<Response> {
    let _permit = look(&app).await?;
    // Ends the work when the client goes away.
    let guard = CancelOnDrop::default();
    let cancel = guard.0.clone();
    let plan = app.blocking(move |app| plan_now(app, &request, &cancel)).await?;
    Ok(axum::Json(plan).into_response())
}

fn plan_now(app: &App, request: &JobRequest, cancel: &CancelToken) -> Result<Value> {
    let found = request.check(app)?;
    inspect::inputs(app, request.kind, &found, cancel)?;
    let mut names = Names::default();
    found
        .iter()
        .for_each(|found| names.add(&found.path, &found.input.name));
    let place = Place {
        inputs: found.iter().map(|found| found.path.clone()).collect(),
        label: found.first().map_or("", |found| found.input.name.as_str()),
        // Nothing is written there.
        output: app.store.root().join("plan"),
        watch: None,
    };
    let options = kinds::options(request.kind, &request.options, found.len())?;
    let opened = options.open(&place, cancel)?;
    let run = opened.map_err(|error| ApiError::from_library(&error, &names).into_answer())?;
    Ok(hide_paths(run.plan(), &names))
}

/// Leave to run ffmpeg or a network for an answer.
pub(crate) async fn look(app: &Arc<App>) -> Result<tokio::sync::OwnedSemaphorePermit> {
    let waiting = Arc::clone(&app.looks).acquire_owned();
    match tokio::time::timeout(app.config.patience, waiting).await {
        Ok(permit) => permit.map_err(ApiError::internal),
        Err(_) => {
            Err(ApiError::new(Code::TooMany, "too many plans and pictures are being made").retry_after(5))
        }
    }
}

/// Cancels when it goes out of scope.
#[derive(Debug, Default)]
pub(crate) struct CancelOnDrop(pub(crate) CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Filters of a listing.
#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    state: Option<String>,
    kind: Option<String>,
}

impl Filter {
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

/// `GET /jobs`.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    InQuery(query): InQuery<PageQuery>,
    InQuery(filter): InQuery<Filter>,
) -> Result<Response> {
    let (before, limit, filter) = (query.before()?, query.limit()?, filter.query()?);
    let body = app
        .blocking(move |app| {
            let (page, queue) = (app.db.jobs(&filter, before, limit)?, app.db.queue()?);
            Ok(http::page(page, |job| app.show_in(job, &queue)))
        })
        .await?;
    Ok(axum::Json(body).into_response())
}

/// The job of this id.
fn row(app: &App, id: &str) -> Result<Job> {
    let known = if ids::is_valid(id, "job") {
        app.db.job(id)?
    } else {
        None
    };
    known.ok_or_else(|| ApiError::not_found("job"))
}

fn shown(app: &App, id: &str) -> Result<Value> {
    app.show(&row(app, id)?)
}

/// `GET /jobs/{id}`.
pub(crate) async fn get(State(app): State<Arc<App>>, InPath(id): InPath<String>) -> Result<Response> {
    let job = app.blocking(move |app| shown(app, &id)).await?;
    Ok(axum::Json(job).into_response())
}

/// `POST /jobs/{id}/cancel`.
pub(crate) async fn cancel(State(app): State<Arc<App>>, InPath(id): InPath<String>) -> Result<Response> {
    let job = app
        .blocking(move |app| {
            row(app, &id)?;
            app.db.write_down();
            if app.db.cancel_queued(&id, clock::now())? {
                app.announce(&id)?;
            } else if let Some(live) = app.running.get(&id) {
                live.cancel_by_user();
            }
            shown(app, &id)
        })
        .await?;
    Ok(axum::Json(job).into_response())
}

/// `POST /jobs/{id}/retry`.
pub(crate) async fn retry(State(app): State<Arc<App>>, InPath(id): InPath<String>) -> Result<Response> {
    let job = app
        .blocking(move |app| {
            app.db.write_down();
            if app.db.is_unwritten(&id) {
                let text = "the end of this job cannot be written down: is the disk full?";
                return Err(ApiError::new(Code::Quota, text));
            }
            let job = row(app, &id)?;
            if !matches!(job.state, JobState::Failed | JobState::Cancelled) {
                let pairs = [("state", job.state.name().into())];
                return Err(ApiError::because(Code::Busy, Reason::JobState, pairs));
            }
            if !app.db.retry(&id, app.config.queue_limit)? {
                return Err(full(app));
            }
            app.announce(&id)?;
            app.wake.all();
            shown(app, &id)
        })
        .await?;
    Ok(axum::Json(job).into_response())
}

/// `DELETE /jobs/{id}`.
pub(crate) async fn delete(State(app): State<Arc<App>>, InPath(id): InPath<String>) -> Result<StatusCode> {
    let wanted = id.clone();
    app.blocking(move |app| {
        // Also one whose row cannot be read.
        if !ids::is_valid(&wanted, "job") || !app.db.has_job(&wanted)? {
            return Err(ApiError::not_found("job"));
        }
        app.db.cancel_queued(&wanted, clock::now())?;
        if let Some(live) = app.running.get(&wanted) {
            live.cancel_by_user();
        }
        Ok(())
    })
    .await?;
    let until = tokio::time::Instant::now() + app.config.patience;
    while app.running.get(&id).is_some() {
        if tokio::time::Instant::now() > until {
            return Err(ApiError::new(Code::Busy, "the job is being cancelled; try again").retry_after(1));
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    app.blocking(move |app| removal::job(app, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /jobs/{id}/preview`.
pub(crate) async fn preview(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let found = app
        .blocking(move |app| {
            row(app, &id)?;
            Ok(app.running.get(&id).and_then(|live| live.preview()))
        })
        .await?;
    let (number, bytes) =
        found.ok_or_else(|| ApiError::new(Code::NoPreview, "no frame has been made yet"))?;
    let tag = format!("\"{number}\"");
    let fresh = http::names_tag(&headers, header::IF_NONE_MATCH, &tag);
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
