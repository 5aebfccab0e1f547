//! What happens to jobs, told to everybody who listens. The newest events are kept, up to a number of bytes, so that a
//! client that comes back gets what it missed. All listeners share them: one that does not read holds nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Events that are kept, and bytes of them.
const KEPT: usize = 1024;
const KEPT_BYTES: usize = 8 << 20;
/// The longest that a job is in an event; a longer one is told in brief.
const EVENT_BYTES: usize = 64 << 10;
/// Items of lists, and characters of texts, of a job told in brief.
const BRIEF: (usize, usize) = (20, 300);

/// The name of events about the order of the queue.
const QUEUE: &str = "queue";

/// Something that happened.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    /// The job; none where it is about the queue.
    job: String,
    /// The jobs of the queue that it tells of.
    queue: Vec<String>,
    /// The state that ends the stream of this one job.
    pub(crate) last: bool,
    /// The event as it is sent.
    pub(crate) bytes: Bytes,
}

impl Event {
    /// Whether it says something of this job.
    fn concerns(&self, job: &str) -> bool {
        self.job == job || self.queue.iter().any(|queued| queued == job)
    }
}

/// What comes after an event.
#[derive(Debug)]
pub(crate) enum Next {
    Event(Arc<Event>),
    /// Nothing yet; the newest event is of this number.
    Nothing(u64),
    /// More than is known.
    Lost,
}

/// The events.
#[derive(Debug)]
pub(crate) struct Events {
    /// Tells ids of this run of the server from those of another.
    run: String,
    inner: Mutex<Inner>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    seq: u64,
    /// The order of the queue that was told last.
    queue: Vec<String>,
    kept: VecDeque<Arc<Event>>,
    bytes: usize,
}

impl Events {
    pub(crate) fn new(run: String) -> Self {
        Self {
            run,
            inner: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

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

    fn push(&self, inner: &mut Inner, event: Event) {
        inner.seq = event.seq;
        inner.bytes += event.bytes.len();
        inner.kept.push_back(Arc::new(event));
        while inner.kept.len() > KEPT || inner.bytes > KEPT_BYTES {
            let oldest = inner.kept.pop_front();
            inner.bytes -= oldest.map_or(0, |event| event.bytes.len());
        }
        self.newest.send_replace(inner.seq);
    }

    /// An event as it is sent. JSON has no line breaks.
    fn text(&self, seq: u64, name: &str, data: &str) -> Bytes {
        Bytes::from(format!("id: {}\nevent: {name}\ndata: {data}\n\n", self.id(seq)))
    }

    /// A job as it is now.
    pub(crate) fn job(&self, id: &str, job: &Value, last: bool) {
        self.publish("job", id, last, &in_brief(job));
    }

    /// A job as it is now, for one listener who has seen everything up to `seq`.
    pub(crate) fn present(&self, seq: u64, job: &Value) -> Bytes {
        self.text(seq, "job", &in_brief(job))
    }

    /// How far a job is.
    pub(crate) fn progress(&self, id: &str, progress: &Value) {
        let data = json!({"id": id, "progress": progress});
        self.publish("progress", id, false, &data.to_string());
    }

    /// The order of the queue, where `read` finds another than was told last. It is read under the lock: of two changes
    /// at once the later one is told last.
    pub(crate) fn queue<E>(
        &self,
        read: impl FnOnce() -> std::result::Result<Vec<String>, E>,
    ) -> std::result::Result<(), E> {
        let mut inner = self.lock();
        let queue = read()?;
        if inner.queue != queue {
            let data = json!({"jobs": queue}).to_string();
            let event = Event {
                seq: inner.seq + 1,
                job: String::new(),
                queue: queue.clone(),
                last: false,
                bytes: self.text(inner.seq + 1, QUEUE, &data),
            };
            self.push(&mut inner, event);
            inner.queue = queue;
        }
        Ok(())
    }

    /// A job is gone.
    pub(crate) fn deleted(&self, id: &str) {
        self.publish("deleted", id, true, &json!({"id": id}).to_string());
    }

    /// The id of an event, as clients send it back.
    fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.run)
    }

    /// The number of the newest event, now and when there are others.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The number of an event by its id, where it is known what came after it.
    pub(crate) fn known(&self, id: &str) -> Option<u64> {
        let seq = id.strip_prefix(&self.run)?.strip_prefix('-')?.parse().ok()?;
        let inner = self.lock();
        (seq <= inner.seq && !inner.lost(seq)).then_some(seq)
    }

    /// The first event after `seq`, of one job where one is given.
    pub(crate) fn next(&self, seq: u64, job: Option<&str>) -> Next {
        let inner = self.lock();
        if inner.lost(seq) {
            return Next::Lost;
        }
        let mut after = inner.kept.iter().filter(|event| event.seq > seq);
        match after.find(|event| job.is_none_or(|job| event.concerns(job))) {
            Some(event) => Next::Event(Arc::clone(event)),
            None => Next::Nothing(inner.seq),
        }
    }
}

impl Inner {
    /// Whether an event after `seq` is no longer kept.
    fn lost(&self, seq: u64) -> bool {
        let oldest = self.kept.front().map_or(self.seq + 1, |event| event.seq);
        seq.saturating_add(1) < oldest
    }
}

/// A job as JSON: whole where it is short, else with the first of its lists and `"truncated": true`.
fn in_brief(job: &Value) -> String {
    let whole = job.to_string();
    if whole.len() <= EVENT_BYTES {
        return whole;
    }
    let mut brief = cut(job);
    brief["truncated"] = json!(true);
    brief.to_string()
}

fn cut(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.chars().take(BRIEF.1).collect()),
        Value::Array(values) => values.iter().take(BRIEF.0).map(cut).collect(),
        Value::Object(values) => {
            let values = values.iter().map(|(name, value)| (name.clone(), cut(value)));
            Value::Object(values.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(events: &Events, last: &str) -> Option<usize> {
        let mut seq = events.known(last)?;
        let mut count = 0;
        while let Next::Event(event) = events.next(seq, None) {
            (seq, count) = (event.seq, count + 1);
        }
        Some(count)
    }

    #[test]
    fn what_was_missed_is_told_once_and_the_unknown_is_not_guessed() {
        let events = Events::new("r".into());
        for index in 0..KEPT + 5 {
            events.progress("job_1", &json!(index));
        }
        let newest = KEPT as u64 + 5;
        let missed = |last: &str| missed(&events, last);
        assert_eq!(missed(&events.id(newest)), Some(0));
        assert_eq!(missed(&events.id(newest - 3)), Some(3));
        assert_eq!(missed(&events.id(5)), Some(KEPT));
        assert_eq!(missed(&events.id(4)), None, "it is no longer known");
        assert_eq!(
            (missed(&events.id(newest + 1)), missed("other-3"), missed("r-x")),
            (None, None, None)
        );
        assert!(matches!(events.next(4, None), Next::Lost));
        assert!(matches!(events.next(9, Some("job_2")), Next::Nothing(seq) if seq == newest));
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
        assert!(inner.bytes <= KEPT_BYTES && inner.kept.len() > 100);
        let text = String::from_utf8_lossy(&inner.kept[0].bytes).into_owned();
        assert!(text.len() < EVENT_BYTES && text.contains("\"truncated\":true"));
        assert!(text.starts_with("id: r-") && text.ends_with("\n\n"));
        assert_eq!(
            inner.bytes,
            inner.kept.iter().map(|event| event.bytes.len()).sum::<usize>()
        );
    }
}
