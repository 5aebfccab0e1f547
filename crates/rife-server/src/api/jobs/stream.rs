//! Events as a stream (SSE), of one job or of all.

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

use crate::api::http::InPath;
use crate::error::{ApiError, Code, Result};
use crate::state::app::App;
use crate::state::events::Next;

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
    let known = last.and_then(|last| app.events.known(last));
    let mut listener = Subscriber {
        newest: app.events.listen(),
        app,
        job,
        seen: known.unwrap_or(0),
        present: VecDeque::new(),
        last_sent: Instant::now(),
        ended: false,
        _permit: permit,
    };
    if known.is_none() {
        listener.catch_up();
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

/// One connection of server-sent events: a cursor into the log of events; it buffers none.
struct Subscriber {
    app: Arc<App>,
    /// The job whose events it receives; all jobs' when absent.
    job: Option<String>,
    newest: watch::Receiver<u64>,
    /// The number of the last event sent.
    seen: u64,
    /// Jobs whose current state is sent first.
    present: VecDeque<String>,
    /// When anything was sent last, for keep-alive comments.
    last_sent: Instant,
    /// Whether the stream has ended.
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Subscriber {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.ended || self.app.is_stopping() {
                return None;
            }
            if let Some(id) = self.present.pop_front() {
                if let Some(bytes) = self.state(id).await {
                    return Some(self.tell(bytes));
                }
                continue;
            }
            match self.app.events.next(self.seen, self.job.as_deref()) {
                Next::Event(event) => {
                    self.seen = event.seq;
                    self.ended = self.job.is_some() && event.last;
                    return Some(self.tell(event.bytes.clone()));
                }
                Next::Nothing(newest) => self.seen = newest,
                // Too slow: what it missed is made good by the present state.
                Next::Lost => {
                    self.catch_up();
                    continue;
                }
            }
            if self.last_sent.elapsed() >= ALIVE {
                return Some(self.tell(Bytes::from_static(b":\n\n")));
            }
            let seen = self.seen;
            let _ = tokio::time::timeout(LOOK, self.newest.wait_for(|newest| *newest > seen)).await;
        }
    }

    fn tell(&mut self, bytes: Bytes) -> Bytes {
        self.last_sent = Instant::now();
        bytes
    }

    /// The present state of a job.
    async fn state(&mut self, id: String) -> Option<Bytes> {
        let (seen, one) = (self.seen, self.job.is_some());
        let shown = self.app.blocking(move |app| {
            let job = app.db.job(&id)?;
            let shown = job.map(|job| Ok((app.events.present(seen, &app.show(&job)?), job.state)));
            shown.transpose()
        });
        let (bytes, state) = shown.await.ok()??;
        self.ended = one && state.is_final();
        Some(bytes)
    }

    /// The present state comes next: of the one job, or of all that are not finished.
    fn catch_up(&mut self) {
        self.seen = *self.newest.borrow_and_update();
        self.present = match &self.job {
            Some(job) => [job.clone()].into(),
            None => self.app.db.unfinished().unwrap_or_default().into(),
        };
    }
}
