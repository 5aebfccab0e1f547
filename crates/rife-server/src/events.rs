//! What happens to jobs, told to everybody who listens. The newest events are kept, so that a client that comes back
//! gets what it missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::broadcast;

/// Events that are kept.
const KEPT: usize = 1024;
/// Events that a slow listener may be behind before it is given the present state instead.
const BEHIND: usize = 256;

/// The name of events about the order of the queue.
const QUEUE: &str = "queue";

/// Something that happened.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) name: &'static str,
    /// The job; none where it is about the queue.
    pub(crate) job: String,
    /// The state that ends the stream of this one job.
    pub(crate) last: bool,
    pub(crate) data: String,
}

impl Event {
    /// Whether it says something of this job.
    pub(crate) fn concerns(&self, job: &str) -> bool {
        self.job == job || (self.name == QUEUE && self.data.contains(job))
    }
}

/// What a new listener starts from.
#[derive(Debug)]
pub(crate) enum Start {
    /// Everything it missed.
    Missed(Vec<Arc<Event>>),
    /// It has missed more than is known, or was never here.
    Anew,
}

/// The events.
#[derive(Debug)]
pub(crate) struct Events {
    /// Tells ids of this run of the server from those of another.
    run: String,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    seq: u64,
    /// The order of the queue that was told last.
    queue: Vec<String>,
    kept: VecDeque<Arc<Event>>,
    sender: broadcast::Sender<Arc<Event>>,
}

impl Inner {
    fn publish(&mut self, name: &'static str, job: &str, last: bool, data: &Value) {
        self.seq += 1;
        let event = Arc::new(Event {
            seq: self.seq,
            name,
            job: job.to_owned(),
            last,
            data: data.to_string(),
        });
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Arc::clone(&event));
        let _ = self.sender.send(event);
    }
}

impl Events {
    pub(crate) fn new(run: String) -> Self {
        let (sender, _) = broadcast::channel(BEHIND);
        let inner = Inner {
            seq: 0,
            queue: Vec::new(),
            kept: VecDeque::new(),
            sender,
        };
        Self {
            run,
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, name: &'static str, job: &str, last: bool, data: &Value) {
        self.lock().publish(name, job, last, data);
    }

    /// A job as it is now.
    pub(crate) fn job(&self, id: &str, job: &Value, last: bool) {
        self.publish("job", id, last, job);
    }

    /// How far a job is.
    pub(crate) fn progress(&self, id: &str, progress: &Value) {
        self.publish("progress", id, false, &json!({"id": id, "progress": progress}));
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
            inner.publish(QUEUE, "", false, &json!({"jobs": queue}));
            inner.queue = queue;
        }
        Ok(())
    }

    /// A job is gone.
    pub(crate) fn deleted(&self, id: &str) {
        self.publish("deleted", id, true, &json!({"id": id}));
    }

    /// The id of an event, as clients send it back.
    pub(crate) fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.run)
    }

    /// The id of the newest event, for states that are no event.
    pub(crate) fn newest(&self) -> String {
        let seq = self.lock().seq;
        self.id(seq)
    }

    /// Listens from now on, and says what came after `last`.
    pub(crate) fn listen(&self, last: Option<&str>) -> (broadcast::Receiver<Arc<Event>>, Start) {
        let inner = self.lock();
        let receiver = inner.sender.subscribe();
        let seq = last.and_then(|last| {
            last.strip_prefix(&self.run)?
                .strip_prefix('-')?
                .parse::<u64>()
                .ok()
        });
        let oldest = inner.kept.front().map_or(inner.seq + 1, |event| event.seq);
        let start = match seq {
            Some(seq) if seq + 1 >= oldest && seq <= inner.seq => Start::Missed(
                inner
                    .kept
                    .iter()
                    .filter(|event| event.seq > seq)
                    .cloned()
                    .collect(),
            ),
            _ => Start::Anew,
        };
        (receiver, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_told_once_and_the_unknown_is_not_guessed() {
        let events = Events::new("r".into());
        for index in 0..KEPT + 5 {
            events.progress("job_1", &json!(index));
        }
        let missed = |last: &str| match events.listen(Some(last)).1 {
            Start::Missed(events) => Some(events.len()),
            Start::Anew => None,
        };
        let newest = KEPT as u64 + 5;
        assert_eq!(missed(&events.id(newest)), Some(0));
        assert_eq!(missed(&events.id(newest - 3)), Some(3));
        assert_eq!(missed(&events.id(5)), Some(KEPT));
        assert_eq!(missed(&events.id(4)), None, "it is no longer known");
        assert_eq!(
            (missed(&events.id(newest + 1)), missed("other-3"), missed("r-x")),
            (None, None, None)
        );
    }
}
