//! Thread pool for parallel loops over numbered items, one loop at a time. Idle threads spin for about the time of a wake-up,
//! since the next loop of a network usually follows immediately, then sleep.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

/// Body of a loop, called once with each item's number.
type Body<'a> = &'a (dyn Fn(usize) + Sync);

/// State under the lock: the current loop, or the end of the pool.
struct Orders {
    /// Number of loops so far, so that a worker joins each at most once.
    round: u64,
    /// The current loop; `None` once workers may no longer join it.
    job: Option<Job>,
    /// Number of workers in the current loop.
    inside: usize,
    /// Whether the workers must exit.
    stop: bool,
}

/// Parallel loop: its body, items and progress.
#[derive(Clone)]
struct Job {
    body: Body<'static>,
    /// Next item.
    next: Arc<AtomicUsize>,
    /// Payload of a panic in the body.
    panic: Arc<Mutex<Option<Box<dyn std::any::Any + Send>>>>,
    /// Cancellation flag.
    stop: Option<Arc<AtomicBool>>,
    /// Number of items.
    items: usize,
}

/// Reports whether cancellation has been requested.
fn is_set(stop: Option<&Arc<AtomicBool>>) -> bool {
    stop.is_some_and(|flag| flag.load(Ordering::Relaxed))
}

impl Job {
    /// Processes items until none is left or the loop is cancelled; a panic ends the loop and is stored for the caller.
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

/// State shared by the pool and its workers.
struct Shared {
    orders: Mutex<Orders>,
    /// Copy of [`Orders::round`], readable without the lock.
    round: AtomicU64,
    /// Copy of [`Orders::inside`], readable without the lock.
    inside: AtomicUsize,
    /// Signalled when a loop begins or the pool ends.
    begun: Condvar,
    /// Signalled when a worker leaves a loop.
    left: Condvar,
}

/// Spin iterations before a thread sleeps: about 20 microseconds.
const SPINS: usize = 400;

/// Spins until a condition holds, at most [`SPINS`] times; reports whether it held.
fn spin_until(condition: impl Fn() -> bool) -> bool {
    (0..SPINS).any(|_| {
        std::hint::spin_loop();
        condition()
    })
}

/// Maximum number of threads.
const MAX_THREADS: usize = 256;

/// The thread pool; the thread that calls [`Threads::run`] takes part in its loop.
pub(crate) struct Threads {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Locked during a loop, so that loops started by several threads run one after another.
    turn: Mutex<()>,
    /// Cancellation flag, see [`Threads::stop_on`].
    stop: OnceLock<Arc<AtomicBool>>,
}

impl std::fmt::Debug for Threads {
    /// Writes the number of threads.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Threads({})", self.count())
    }
}

/// Locks a mutex, ignoring poisoning.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Threads {
    /// Starts a pool of `count` threads, the calling one included: at most [`MAX_THREADS`], fewer if the system refuses more.
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
        let workers = (1..count.min(MAX_THREADS))
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

    /// Registers a cancellation flag: once it is set, no loop starts another item. Only the first call has an effect.
    pub(crate) fn stop_on(&self, flag: Arc<AtomicBool>) {
        let _ = self.stop.set(flag);
    }

    /// Returns the number of threads, the calling one included.
    pub(crate) fn count(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `body` with each of `0..items` on any thread and in any order; returns when all calls have returned (after
    /// cancellation, those already started). Resumes a panic of `body`.
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
            spin_until(|| self.shared.inside.load(Ordering::Acquire) == 0);
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

/// A pointer to a slice that threads access in disjoint chunks.
struct Chunks<T>(*mut T);

// SAFETY: `Threads::chunks` passes each chunk to one item only.
unsafe impl<T: Send> Sync for Chunks<T> {}

impl Threads {
    /// Calls `body` in parallel with the number of each chunk of `size` values (the last may be shorter) and the chunk.
    pub(crate) fn chunks<T: Send>(
        &self,
        data: &mut [T],
        size: usize,
        body: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        let len = data.len();
        let chunks = Chunks(data.as_mut_ptr());
        let chunks = &chunks;
        self.run(len.div_ceil(size), &|i| {
            let start = i * size;
            // SAFETY: within the slice, which is borrowed until all items are done; chunks don't overlap.
            let chunk = unsafe { std::slice::from_raw_parts_mut(chunks.0.add(start), size.min(len - start)) };
            body(i, chunk);
        });
    }
}

/// Runs a worker thread: joins loops until the pool ends.
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
                spin_until(|| shared.round.load(Ordering::Acquire) != seen);
                orders = lock(&shared.orders);
            }
            _ => orders = shared.begun.wait(orders).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Drop for Threads {
    /// Ends the workers and waits for them.
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
        assert!((1..=MAX_THREADS).contains(&threads.count()));
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
