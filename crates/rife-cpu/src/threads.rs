//! Thread pool: one parallel loop at a time over numbered items. An idle thread polls for the next loop for about as long as
//! a wake-up takes, since within a network it nearly always follows at once, then sleeps: threads that poll longer slow
//! down other processes of a busy machine.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

/// A loop's body, called once with each item's number.
type Body<'a> = &'a (dyn Fn(usize) + Sync);

/// State shared with the workers: the current loop, or the end.
struct Orders {
    /// Counts the loops, so that a worker joins each at most once.
    round: u64,
    job: Option<Job>,
    /// Workers inside the current job.
    inside: usize,
    stop: bool,
}

#[derive(Clone)]
struct Job {
    body: Body<'static>,
    next: Arc<AtomicUsize>,
    panic: Arc<Mutex<Option<Box<dyn std::any::Any + Send>>>>,
    stop: Option<Arc<AtomicBool>>,
    items: usize,
}

/// Whether cancellation has been requested.
fn is_set(stop: Option<&Arc<AtomicBool>>) -> bool {
    stop.is_some_and(|flag| flag.load(Ordering::Relaxed))
}

impl Job {
    /// Takes items until none is left or all is to stop; a panic ends the loop and is kept for the caller.
    fn work(&self) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let item = self.next.fetch_add(1, Ordering::Relaxed);
                if item >= self.items || is_set(self.stop.as_ref()) {
                    break;
                }
                (self.body)(item);
            }
        }));
        if let Err(panic) = result {
            self.next.store(self.items, Ordering::Relaxed);
            *lock(&self.panic) = Some(panic);
        }
    }
}

struct Shared {
    orders: Mutex<Orders>,
    /// [`Orders::round`], to look at without the lock.
    round: AtomicU64,
    /// [`Orders::inside`], likewise.
    inside: AtomicUsize,
    begun: Condvar,
    left: Condvar,
}

/// How often a thread looks before it sleeps: some 20 microseconds.
const LOOKS: usize = 400;

/// Whether something happens soon.
fn soon(happens: impl Fn() -> bool) -> bool {
    (0..LOOKS).any(|_| {
        std::hint::spin_loop();
        happens()
    })
}

/// More threads than this are not started: no loop here has use for them.
const MOST: usize = 256;

/// Threads that share the items of a loop with the one that asks.
pub(crate) struct Threads {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held during a loop: loops of several threads run one after another.
    turn: Mutex<()>,
    /// See [`Threads::stop_on`].
    stop: OnceLock<Arc<AtomicBool>>,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Threads({})", self.count())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Threads {
    /// `count` threads, the calling one among them: at most [`MOST`], fewer where the system starts no more.
    pub(crate) fn new(count: usize) -> Self {
        let orders = Orders {
            round: 0,
            job: None,
            inside: 0,
            stop: false,
        };
        let shared = Arc::new(Shared {
            orders: Mutex::new(orders),
            round: AtomicU64::new(0),
            inside: AtomicUsize::new(0),
            begun: Condvar::new(),
            left: Condvar::new(),
        });
        let workers = (1..count.min(MOST))
            .map_while(|i| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("engine-{i}"))
                    .spawn(move || worker(&shared))
                    .ok()
            })
            .collect();
        Self {
            shared,
            workers,
            turn: Mutex::new(()),
            stop: OnceLock::new(),
        }
    }

    /// From when `flag` is set, no loop begins another item, now or later. Only the first flag counts.
    pub(crate) fn stop_on(&self, flag: Arc<AtomicBool>) {
        let _ = self.stop.set(flag);
    }

    pub(crate) fn count(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `body` with each of `0..items`, on any thread and in any order, and returns when all are done, or none is
    /// in work after a stop.
    pub(crate) fn run(&self, items: usize, body: Body<'_>) {
        if self.workers.is_empty() || items < 2 {
            (0..items).take_while(|_| !is_set(self.stop.get())).for_each(body);
            return;
        }
        let _turn = lock(&self.turn);
        // SAFETY: the reference is used by workers that have entered this job only; this function returns after
        // the job is withdrawn and the last of them has left.
        let body = unsafe { std::mem::transmute::<Body<'_>, Body<'static>>(body) };
        let job = Job {
            body,
            next: Arc::default(),
            panic: Arc::default(),
            stop: self.stop.get().cloned(),
            items,
        };
        {
            let mut orders = lock(&self.shared.orders);
            orders.round += 1;
            orders.job = Some(job.clone());
            self.shared.round.store(orders.round, Ordering::Release);
        }
        self.shared.begun.notify_all();
        job.work();
        let mut orders = lock(&self.shared.orders);
        orders.job = None;
        if orders.inside > 0 {
            drop(orders);
            soon(|| self.shared.inside.load(Ordering::Acquire) == 0);
            orders = lock(&self.shared.orders);
        }
        while orders.inside > 0 {
            orders = self
                .shared
                .left
                .wait(orders)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(orders);
        let panic = lock(&job.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// A pointer that threads may share, each using a part of its own.
struct Parts<T>(*mut T);

// SAFETY: `chunks` gives every part to one item only.
unsafe impl<T: Send> Sync for Parts<T> {}

impl Threads {
    /// Calls `body` with each chunk of `size` values (the last may be shorter) and its number.
    pub(crate) fn chunks<T: Send>(
        &self,
        data: &mut [T],
        size: usize,
        body: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        let len = data.len();
        let parts = Parts(data.as_mut_ptr());
        let parts = &parts;
        self.run(len.div_ceil(size), &|i| {
            let start = i * size;
            // SAFETY: within the slice, which is borrowed until all items are done; chunks don't overlap.
            let chunk = unsafe { std::slice::from_raw_parts_mut(parts.0.add(start), size.min(len - start)) };
            body(i, chunk);
        });
    }
}

fn worker(shared: &Shared) {
    let mut seen = 0;
    let mut orders = lock(&shared.orders);
    loop {
        if orders.stop {
            return;
        }
        match orders.job.clone() {
            Some(job) if orders.round != seen => {
                seen = orders.round;
                orders.inside += 1;
                shared.inside.store(orders.inside, Ordering::Release);
                drop(orders);
                job.work();
                orders = lock(&shared.orders);
                orders.inside -= 1;
                shared.inside.store(orders.inside, Ordering::Release);
                shared.left.notify_one();
                drop(orders);
                soon(|| shared.round.load(Ordering::Acquire) != seen);
                orders = lock(&shared.orders);
            }
            _ => orders = shared.begun.wait(orders).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        lock(&self.shared.orders).stop = true;
        self.shared.begun.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches its panics.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once() {
        for count in [1, 2, 5] {
            let threads = Threads::new(count);
            for items in [0, 1, 2, 1000] {
                let done: Vec<AtomicUsize> = (0..items).map(|_| AtomicUsize::new(0)).collect();
                threads.run(items, &|i| {
                    done[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|d| d.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn after_a_stop_no_item_is_begun() {
        for count in [1, 3] {
            let (threads, flag) = (Threads::new(count), Arc::<AtomicBool>::default());
            threads.stop_on(flag.clone());
            let done = AtomicUsize::new(0);
            threads.run(1000, &|_| {
                flag.store(done.fetch_add(1, Ordering::Relaxed) >= 9, Ordering::Relaxed);
                std::thread::yield_now();
            });
            threads.run(1000, &|_| {
                done.fetch_add(1, Ordering::Relaxed);
            });
            let done = done.into_inner();
            assert!((10..10 + count).contains(&done), "{done} by {count} threads");
        }
    }

    #[test]
    fn absurd_numbers_of_threads_are_not_started() {
        let threads = Threads::new(usize::MAX);
        assert!((1..=MOST).contains(&threads.count()));
        let sum = AtomicUsize::new(0);
        threads.run(10, &|i| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }

    #[test]
    fn every_value_is_in_one_chunk() {
        let mut data = vec![0; 1003];
        Threads::new(3).chunks(&mut data, 10, &|i, chunk| {
            chunk.iter_mut().for_each(|v| *v += i + 1)
        });
        assert!(data.iter().enumerate().all(|(i, v)| *v == i / 10 + 1));
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let threads = Threads::new(3);
        let result = catch_unwind(AssertUnwindSafe(|| {
            threads.run(100, &|i| {
                if i == 50 {
                    // As a panic, but without its message, which reads like a failure in a log.
                    std::panic::resume_unwind(Box::new("item 50"));
                }
            })
        }));
        assert!(result.is_err());
        let sum = AtomicUsize::new(0);
        threads.run(10, &|i| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }
}
