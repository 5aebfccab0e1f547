//! Log of server-sent events about jobs. The newest events are kept in one bounded ring buffer, which all event streams read
//! with a cursor each, so that a reconnecting client gets what it missed and a slow client holds no memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Maximum number of events in the log.
const MAX_EVENTS: usize = 1024;
/// Maximum bytes of all events in the log.
const MAX_BYTES: usize = 8 << 20;
/// Maximum length of a job's JSON in an event, in bytes; a longer one is truncated.
const MAX_EVENT_BYTES: usize = 64 << 10;
/// Items to which the lists of a truncated job are cut.
const MAX_ITEMS: usize = 20;
/// Characters to which the strings of a truncated job are cut.
const MAX_CHARS: usize = 300;

/// Name of events about the order of the queue.
const QUEUE_EVENT: &str = "queue";

/// Event in the log.
#[derive(Debug)]
pub(crate) struct Event {
    /// Number of the event, counted from 1 in each run of the server.
    pub(crate) seq: u64,
    /// Id of the job; empty for an event about the queue.
    job: String,
    /// Ids of the queued jobs, for an event about the queue.
    queue: Vec<String>,
    /// Whether the event ends the stream of this job.
    pub(crate) last: bool,
    /// The event in the format of `text/event-stream`.
    pub(crate) bytes: Bytes,
}

impl Event {
    /// Reports whether the stream of this job includes the event.
    fn is_about(&self, job: &str) -> bool {
        self.job == job || self.queue.iter().any(|queued| queued == job)
    }
}

/// Result of reading the log after a given event.
#[derive(Debug)]
pub(crate) enum Next {
    Event(Arc<Event>),
    /// There is no later event; the newest one in the log has this number.
    UpToDate(u64),
    /// Later events have been evicted from the log.
    Lost,
}

/// Log of events.
#[derive(Debug)]
pub(crate) struct Events {
    /// Random prefix of event ids that distinguishes runs of the server.
    run: String,
    inner: Mutex<Inner>,
    /// Number of the newest event.
    newest: watch::Sender<u64>,
}

/// Content of the log.
#[derive(Debug, Default)]
struct Inner {
    /// Number of the newest event.
    seq: u64,
    /// The order of the queue, and whether it was paused, as published last.
    queue: (Vec<String>, bool),
    /// The newest events, oldest first.
    log: VecDeque<Arc<Event>>,
    /// Total bytes of `log`.
    bytes: usize,
}

impl Events {
    /// Creates an empty log; `run` is a random prefix of event ids that distinguishes runs of the server.
    pub(crate) fn new(run: String) -> Self {
        Self {
            run,
            inner: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }

    /// Locks the log.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an event called `name` about `job` with the JSON `data`.
    fn publish(&self, name: &str, job: &str, last: bool, data: &str) {
        let mut inner = self.lock();
        let event = Event {
            seq: inner.seq + 1,
            job: job.to_owned(),
            queue: Vec::new(),
            last,
            bytes: self.text(inner.seq + 1, name, data),
        };
        self.push(&mut inner, event);
    }

    /// Appends an event, evicts the oldest above the limits, and wakes the event streams.
    fn push(&self, inner: &mut Inner, event: Event) {
        inner.seq = event.seq;
        inner.bytes += event.bytes.len();
        inner.log.push_back(Arc::new(event));
        while inner.log.len() > MAX_EVENTS || inner.bytes > MAX_BYTES {
            let oldest = inner.log.pop_front();
            inner.bytes -= oldest.map_or(0, |event| event.bytes.len());
        }
        self.newest.send_replace(inner.seq);
    }

    /// Formats an event for `text/event-stream`; `data` is JSON without line breaks.
    fn text(&self, seq: u64, name: &str, data: &str) -> Bytes {
        Bytes::from(format!("id: {}\nevent: {name}\ndata: {data}\n\n", self.id(seq)))
    }

    /// Publishes the state of a job; `last` ends the streams of this job.
    pub(crate) fn job(&self, id: &str, job: &Value, last: bool) {
        self.publish("job", id, last, &bounded_json(job));
    }

    /// Formats the state of a job as an event with number `seq`, for a single stream, without publishing it.
    pub(crate) fn current_state(&self, seq: u64, job: &Value) -> Bytes {
        self.text(seq, "job", &bounded_json(job))
    }

    /// Publishes the progress of a job.
    pub(crate) fn progress(&self, id: &str, progress: &Value) {
        let data = json!({"id": id, "progress": progress});
        self.publish("progress", id, false, &data.to_string());
    }

    /// Publishes the order of the queue and whether it is paused, as `read` returns them, if they differ from those published last. `read` is called
    /// under the log's lock, so that concurrent changes are published in order.
    pub(crate) fn queue<E>(
        &self,
        read: impl FnOnce() -> std::result::Result<(Vec<String>, bool), E>,
    ) -> std::result::Result<(), E> {
        let mut inner = self.lock();
        let queue = read()?;
        if inner.queue != queue {
            let data = json!({"jobs": queue.0, "paused": queue.1}).to_string();
            let event = Event {
                seq: inner.seq + 1,
                job: String::new(),
                queue: queue.0.clone(),
                last: false,
                bytes: self.text(inner.seq + 1, QUEUE_EVENT, &data),
            };
            self.push(&mut inner, event);
            inner.queue = queue;
        }
        Ok(())
    }

    /// Publishes the deletion of a job.
    pub(crate) fn deleted(&self, id: &str) {
        self.publish("deleted", id, true, &json!({"id": id}).to_string());
    }

    /// Returns the id of an event, which clients send back in `Last-Event-ID`.
    fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.run)
    }

    /// Returns a receiver of the number of the newest event.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Returns the number of the event with this id, if all later events are still in the log.
    pub(crate) fn seq_of(&self, id: &str) -> Option<u64> {
        let seq = id.strip_prefix(&self.run)?.strip_prefix('-')?.parse().ok()?;
        let inner = self.lock();
        (seq <= inner.seq && !inner.is_evicted(seq)).then_some(seq)
    }

    /// Returns the first event after number `seq`, only of `job` if given.
    pub(crate) fn next(&self, seq: u64, job: Option<&str>) -> Next {
        let inner = self.lock();
        if inner.is_evicted(seq) {
            return Next::Lost;
        }
        let mut after = inner.log.iter().filter(|event| event.seq > seq);
        match after.find(|event| job.is_none_or(|job| event.is_about(job))) {
            Some(event) => Next::Event(Arc::clone(event)),
            None => Next::UpToDate(inner.seq),
        }
    }
}

impl Inner {
    /// Reports whether an event after number `seq` has been evicted.
    fn is_evicted(&self, seq: u64) -> bool {
        let oldest = self.log.front().map_or(self.seq + 1, |event| event.seq);
        seq.saturating_add(1) < oldest
    }
}

/// Serializes a job; above [`MAX_EVENT_BYTES`] with shortened lists and strings and `"truncated": true`.
fn bounded_json(job: &Value) -> String {
    let full = job.to_string();
    if full.len() <= MAX_EVENT_BYTES {
        return full;
    }
    let mut short = truncate(job);
    short["truncated"] = json!(true);
    short.to_string()
}

/// Cuts all strings in `value` to [`MAX_CHARS`] characters and all arrays to [`MAX_ITEMS`] items.
fn truncate(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.chars().take(MAX_CHARS).collect()),
        Value::Array(values) => values.iter().take(MAX_ITEMS).map(truncate).collect(),
        Value::Object(values) => {
            let values = values.iter().map(|(name, value)| (name.clone(), truncate(value)));
            Value::Object(values.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(events: &Events, last: &str) -> Option<usize> {
        let mut seq = events.seq_of(last)?;
        let mut count = 0;
        while let Next::Event(event) = events.next(seq, None) {
            (seq, count) = (event.seq, count + 1);
        }
        Some(count)
    }

    #[test]
    fn what_was_missed_is_told_once_and_the_unknown_is_not_guessed() {
        let events = Events::new("r".into());
        for index in 0..MAX_EVENTS + 5 {
            events.progress("job_1", &json!(index));
        }
        let newest = MAX_EVENTS as u64 + 5;
        let missed = |last: &str| missed(&events, last);
        assert_eq!(missed(&events.id(newest)), Some(0));
        assert_eq!(missed(&events.id(newest - 3)), Some(3));
        assert_eq!(missed(&events.id(5)), Some(MAX_EVENTS));
        assert_eq!(missed(&events.id(4)), None, "it is no longer known");
        assert_eq!(
            (missed(&events.id(newest + 1)), missed("other-3"), missed("r-x")),
            (None, None, None)
        );
        assert!(matches!(events.next(4, None), Next::Lost));
        assert!(matches!(events.next(9, Some("job_2")), Next::UpToDate(seq) if seq == newest));
    }

    #[test]
    fn events_are_bounded_by_bytes() {
        let events = Events::new("r".into());
        let input = json!({"name": "a".repeat(400), "bytes": 1});
        let job = json!({"id": "job_1", "inputs": vec![input; 10_000], "files": []});
        for _ in 0..500 {
            events.job("job_1", &job, false);
        }
        let inner = events.lock();
        assert!(inner.bytes <= MAX_BYTES && inner.log.len() > 100);
        let text = String::from_utf8_lossy(&inner.log[0].bytes).into_owned();
        assert!(text.len() < MAX_EVENT_BYTES && text.contains("\"truncated\":true"));
        assert!(text.starts_with("id: r-") && text.ends_with("\n\n"));
        assert_eq!(
            inner.bytes,
            inner.log.iter().map(|event| event.bytes.len()).sum::<usize>()
        );
    }
}
