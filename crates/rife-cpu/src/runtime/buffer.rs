//! Buffer pool for tensors: cache-line aligned f32 buffers that are reused, since page faults of new memory cost more than
//! the values computed into it.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One cache line of values, and one pixel of a blocked tensor.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A pool of idle buffers, which buffers return to when dropped.
#[derive(Debug, Default)]
pub(crate) struct Recycler {
    kept: Mutex<Kept>,
}

/// Idle buffers and memory statistics; sizes are in lines of 64 bytes.
#[derive(Debug, Default)]
struct Kept {
    /// Idle buffers, the oldest first.
    free: VecDeque<Vec<Line>>,
    /// Lines of all idle buffers.
    idle: usize,
    /// Lines of all buffers in use.
    in_use: usize,
    /// Maximum of `in_use` so far.
    peak: usize,
}

impl Kept {
    /// Takes the smallest idle buffer of at least `lines` and at most twice as many lines; `None` if there is none.
    fn reuse(&mut self, lines: usize) -> Option<Vec<Line>> {
        let fits = |i: &usize| (lines..=lines.saturating_mul(2)).contains(&self.free[*i].len());
        let best = (0..self.free.len())
            .filter(fits)
            .min_by_key(|i| self.free[*i].len())?;
        let data = self.free.remove(best)?;
        self.idle -= data.len();
        Some(data)
    }

    /// Frees the oldest idle buffers while all memory exceeds 11/8 of the peak in use. Each pair of frames needs the same
    /// sizes, so that these buffers will not be needed. A limit of 10/8 freed and reallocated some buffers for each pair (5%
    /// of its time); 12/8 was no faster and took 150 MB more at 4K.
    fn trim(&mut self) {
        while self.in_use + self.idle > bound(self.peak) {
            let Some(oldest) = self.free.pop_front() else {
                break;
            };
            self.idle -= oldest.len();
        }
    }
}

/// Returns the maximum number of lines held, in use and idle, for a peak of lines in use.
fn bound(peak: usize) -> usize {
    peak + peak * 3 / 8
}

impl Recycler {
    /// Takes a buffer of `len` values with arbitrary content, an idle one or a new one.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        let lines = len.div_ceil(16);
        let mut kept = self.lock();
        let data = kept.reuse(lines);
        kept.in_use += data.as_ref().map_or(lines, Vec::len);
        kept.peak = kept.peak.max(kept.in_use);
        kept.trim();
        drop(kept);
        let data = data.unwrap_or_else(|| fresh(lines));
        Buffer {
            data,
            len,
            home: Arc::clone(self),
        }
    }

    /// Returns the upper bound of the memory held, in bytes.
    pub(crate) fn bound_bytes(&self) -> usize {
        bound(self.lock().peak) * size_of::<Line>()
    }

    /// Returns the memory held, in use and idle, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let kept = self.lock();
        (kept.in_use + kept.idle) * size_of::<Line>()
    }

    /// Locks the pool, ignoring poisoning.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Allocates memory, in huge pages if the system provides them, which reduce TLB misses of random access.
fn fresh(lines: usize) -> Vec<Line> {
    let mut data = Vec::with_capacity(lines);
    advise_huge_pages(&mut data);
    data.resize(lines, Line([0.0; 16]));
    data
}

/// Asks Linux for transparent huge pages (2 MiB) for allocated, still unused memory.
#[cfg(target_os = "linux")]
fn advise_huge_pages(data: &mut Vec<Line>) {
    /// Size of a huge page in bytes.
    const PAGE: usize = 2 << 20;
    let spare = data.spare_capacity_mut();
    let bytes = size_of_val(spare);
    let begin = spare.as_mut_ptr().cast::<u8>();
    let skipped = begin.align_offset(PAGE);
    if bytes >= skipped.saturating_add(PAGE) {
        // SAFETY: a hint for a range of memory that is ours.
        unsafe {
            libc::madvise(
                begin.add(skipped).cast(),
                (bytes - skipped) / PAGE * PAGE,
                libc::MADV_HUGEPAGE,
            )
        };
    }
}

/// Does nothing on other systems.
#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_: &mut Vec<Line>) {}

/// A buffer of f32 values, aligned to 64 bytes, that returns to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    data: Vec<Line>,
    /// Number of values, at most 16 per line.
    len: usize,
    /// The pool.
    home: Arc<Recycler>,
}

impl Deref for Buffer {
    type Target = [f32];

    /// Returns the values.
    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is 16 `f32` without padding, and `len` is at most 16 times the number of lines.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    /// Returns the writable values.
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_mut_ptr().cast(), self.len) }
    }
}

impl Buffer {
    /// Returns the memory of the values as bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: an `f32` is four bytes of any value, and the slice holds `len` of them.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast(), self.len * 4) }
    }

    /// Returns the memory of the values as writable bytes; all bit patterns are valid.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_mut_ptr().cast(), self.len * 4) }
    }
}

impl Drop for Buffer {
    /// Returns the memory to the pool.
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        let mut kept = self.home.lock();
        kept.in_use -= data.len();
        kept.idle += data.len();
        kept.free.push_back(data);
        kept.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_comes_again() {
        let home = Arc::<Recycler>::default();
        let mut first = home.take(1000);
        first.fill(3.0);
        assert_eq!((first.len(), first.as_ptr() as usize % 64), (1000, 0));
        let place = first.as_ptr();
        drop(first);
        assert_eq!(home.take(900).as_ptr(), place);
        assert_ne!(home.take(10_000).as_ptr(), place);
    }

    #[test]
    fn idle_memory_is_bounded_by_what_was_needed_at_once() {
        let home = Arc::<Recycler>::default();
        for size in 1..100 {
            drop(home.take(size * 1600));
        }
        let kept = home.lock();
        assert_eq!((kept.in_use, kept.peak), (0, 9900));
        assert!(
            (9900..=9900 + 9900 * 3 / 8).contains(&kept.idle),
            "{} lines",
            kept.idle
        );
    }
}
