//! Server-sent events (`text/event-stream`) of one job or of all jobs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::api::http::PathParams;
use crate::error::{ApiError, Code, Result};
use crate::state::app::App;
use crate::state::events::Next;

/// Interval of keep-alive comments.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Interval in which a stream checks whether the server is shutting down.
const STOP_POLL: Duration = Duration::from_millis(250);

/// Handles `GET /jobs/{id}/events`: streams the events of one job until it ends.
pub(crate) async fn of_job(
    State(app): State<Arc<App>>,
    PathParams(id): PathParams<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let wanted = id.clone();
    app.blocking(move |app| super::find_job(app, &wanted).map(|_| ()))
        .await?;
    open(app, Some(id), &headers)
}

/// Handles `GET /events`: streams the events of all jobs.
pub(crate) async fn of_all(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response> {
    open(app, None, &headers)
}

/// Opens an event stream of `job`, or of all jobs: after the event in `Last-Event-ID` if it is still in the log, else from the
/// current state.
fn open(app: Arc<App>, job: Option<String>, headers: &HeaderMap) -> Result<Response> {
    let permit = Arc::clone(&app.streams)
        .try_acquire_owned()
        .map_err(|_| ApiError::new(Code::TooMany, "too many event streams").retry_after(5))?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let known = last.and_then(|last| app.events.seq_of(last));
    let mut listener = Subscriber {
        newest: app.events.listen(),
        app,
        job,
        seen: known.unwrap_or(0),
        initial: VecDeque::new(),
        last_sent: Instant::now(),
        ended: false,
        _permit: permit,
    };
    if known.is_none() {
        listener.restart_from_current_state();
    }
    let events = stream::unfold(listener, |mut listener| async {
        let bytes = listener.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), listener))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// Event stream of one client: a cursor into the log of events, without a buffer.
struct Subscriber {
    app: Arc<App>,
    /// The job whose events it receives; all jobs' when absent.
    job: Option<String>,
    newest: watch::Receiver<u64>,
    /// The number of the last event sent.
    seen: u64,
    /// Jobs whose current state is sent first.
    initial: VecDeque<String>,
    /// Time of the last event or comment sent.
    last_sent: Instant,
    /// Whether the stream has ended.
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Subscriber {
    /// Waits for the next event or keep-alive comment; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.ended || self.app.is_stopping() {
                return None;
            }
            if let Some(id) = self.initial.pop_front() {
                if let Some(bytes) = self.current_state(id).await {
                    return Some(self.sent(bytes));
                }
                continue;
            }
            match self.app.events.next(self.seen, self.job.as_deref()) {
                Next::Event(event) => {
                    self.seen = event.seq;
                    self.ended = self.job.is_some() && event.last;
                    return Some(self.sent(event.bytes.clone()));
                }
                Next::UpToDate(newest) => self.seen = newest,
                // The client was too slow: the current state replaces the events that it missed.
                Next::Lost => {
                    self.restart_from_current_state();
                    continue;
                }
            }
            if self.last_sent.elapsed() >= KEEP_ALIVE {
                return Some(self.sent(Bytes::from_static(b":\n\n")));
            }
            let seen = self.seen;
            let _ = tokio::time::timeout(STOP_POLL, self.newest.wait_for(|newest| *newest > seen)).await;
        }
    }

    /// Records the time of sending and returns `bytes`.
    fn sent(&mut self, bytes: Bytes) -> Bytes {
        self.last_sent = Instant::now();
        bytes
    }

    /// Returns an event with the current state of job `id`; `None` if it is gone.
    async fn current_state(&mut self, id: String) -> Option<Bytes> {
        let (seen, one) = (self.seen, self.job.is_some());
        let shown = self.app.blocking(move |app| {
            let job = app.db.job(&id)?;
            let shown = job.map(|job| Ok((app.events.current_state(seen, &app.job_json(&job)?), job.state)));
            shown.transpose()
        });
        let (bytes, state) = shown.await.ok()??;
        self.ended = one && state.is_final();
        Some(bytes)
    }

    /// Moves the cursor to the newest event, and sends the current state first: of the stream's job, or of all queued and
    /// running jobs.
    fn restart_from_current_state(&mut self) {
        self.seen = *self.newest.borrow_and_update();
        self.initial = match &self.job {
            Some(job) => [job.clone()].into(),
            None => self.app.db.unfinished().unwrap_or_default().into(),
        };
    }
}
