//! Events as a stream (SSE), of one job or of all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, broadcast};

use crate::app::App;
use crate::db::{JobQuery, State as JobState};
use crate::error::{ApiError, Code, Result};
use crate::events::{Event, Start};
use crate::http::InPath;

/// How often a comment says that the stream is alive.
const ALIVE: Duration = Duration::from_secs(15);
/// How often a stream looks whether the server stops.
const LOOK: Duration = Duration::from_millis(250);

/// `GET /jobs/{id}/events`.
pub(crate) async fn of_job(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let wanted = id.clone();
    app.blocking(move |app| super::row(app, &wanted).map(|_| ()))
        .await?;
    open(app, Some(id), &headers)
}

/// `GET /events`.
pub(crate) async fn of_all(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response> {
    open(app, None, &headers)
}

fn open(app: Arc<App>, job: Option<String>, headers: &HeaderMap) -> Result<Response> {
    let permit = Arc::clone(&app.streams)
        .try_acquire_owned()
        .map_err(|_| ApiError::new(Code::TooMany, "too many event streams").retry_after(5))?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let (receiver, start) = app.events.listen(last);
    let mut listener = Listener {
        app,
        job,
        receiver,
        ready: VecDeque::new(),
        ended: false,
        _permit: permit,
    };
    match start {
        Start::Missed(events) => events.iter().for_each(|event| listener.take(event)),
        Start::Anew => listener.catch_up(),
    }
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), listener))
    });
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::new().interval(ALIVE))
        .into_response())
}

/// One client.
struct Listener {
    app: Arc<App>,
    /// The job that it wants to hear of; all when absent.
    job: Option<String>,
    receiver: broadcast::Receiver<Arc<Event>>,
    ready: VecDeque<sse::Event>,
    /// Whether no more is to come.
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended || self.app.is_stopping() {
                return None;
            }
            match tokio::time::timeout(LOOK, self.receiver.recv()).await {
                Ok(Ok(event)) => self.take(&event),
                // Too slow: what it missed is made good by the present state.
                Ok(Err(broadcast::error::RecvError::Lagged(_))) => self.catch_up(),
                Ok(Err(broadcast::error::RecvError::Closed)) => return None,
                Err(_) => {}
            }
        }
    }

    fn take(&mut self, event: &Event) {
        if self.ended || self.job.as_ref().is_some_and(|job| !event.concerns(job)) {
            return;
        }
        let id = self.app.events.id(event.seq);
        self.ready
            .push_back(sse::Event::default().id(id).event(event.name).data(&event.data));
        self.ended = self.job.is_some() && event.last;
    }

    /// The present state: of the one job, or of all that are not finished.
    fn catch_up(&mut self) {
        let id = self.app.events.newest();
        let jobs = match &self.job {
            Some(job) => self.app.db.job(job).map(|job| job.into_iter().collect()),
            None => unfinished(&self.app),
        };
        let queue = self.app.db.queue().unwrap_or_default();
        for job in jobs.unwrap_or_default() {
            let data = self.app.show_in(&job, &queue).to_string();
            self.ready
                .push_back(sse::Event::default().id(&id).event("job").data(data));
            self.ended = self.job.is_some() && job.state.is_final();
        }
    }
}

fn unfinished(app: &App) -> rusqlite::Result<Vec<crate::db::Job>> {
    let mut found = Vec::new();
    for state in [JobState::Queued, JobState::Running] {
        let query = JobQuery {
            state: Some(state),
            kind: None,
        };
        found.extend(app.db.jobs(&query, i64::MAX, 1000)?.items);
    }
    found.sort_by_key(|job| job.seq);
    Ok(found)
}
