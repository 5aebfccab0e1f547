//! Buffer pool for tensors: cache-line aligned f32 buffers that are reused, since page faults of new memory cost more than
//! the values computed into it.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One cache line of values, and one pixel of a blocked tensor.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Buffers that were given back.
#[derive(Debug, Default)]
pub(crate) struct Recycler {
    kept: Mutex<Kept>,
}

/// Idle buffers, the oldest first, and how much memory there is, in lines.
#[derive(Debug, Default)]
struct Kept {
    free: VecDeque<Vec<Line>>,
    idle: usize,
    in_use: usize,
    /// The most that was ever in use.
    peak: usize,
}

impl Kept {
    /// The idle buffer that fits best, if one does without wasting more than it holds.
    fn reuse(&mut self, lines: usize) -> Option<Vec<Line>> {
        let fits = |i: &usize| (lines..=lines.saturating_mul(2)).contains(&self.free[*i].len());
        let best = (0..self.free.len())
            .filter(fits)
            .min_by_key(|i| self.free[*i].len())?;
        let data = self.free.remove(best)?;
        self.idle -= data.len();
        Some(data)
    }

    /// Lets the oldest idle buffers go where there is more memory than three eighths above what is needed at once: each
    /// pair of frames needs the same sizes, so that what then remains unused will not be needed. With a quarter some were
    /// let go and made anew for every pair, at a twentieth of its time; half gained nothing and took 150 MB more at 4K.
    fn trim(&mut self) {
        while self.in_use + self.idle > bound(self.peak) {
            let Some(oldest) = self.free.pop_front() else {
                break;
            };
            self.idle -= oldest.len();
        }
    }
}

/// The most lines that are held, in use and idle, where at most `peak` were in use at once.
fn bound(peak: usize) -> usize {
    peak + peak * 3 / 8
}

impl Recycler {
    /// A buffer of `len` values, whatever they were before.
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

    /// The most bytes of memory held: the peak of those in use, and the idle ones kept.
    pub(crate) fn bound_bytes(&self) -> usize {
        bound(self.lock().peak) * size_of::<Line>()
    }

    /// The memory in use and idle, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let kept = self.lock();
        (kept.in_use + kept.idle) * size_of::<Line>()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// New memory, in large pages where the system has them for those who ask: samples of a picture lie anywhere in it.
fn fresh(lines: usize) -> Vec<Line> {
    let mut data = Vec::with_capacity(lines);
    ask_for_large_pages(&mut data);
    data.resize(lines, Line([0.0; 16]));
    data
}

#[cfg(target_os = "linux")]
fn ask_for_large_pages(data: &mut Vec<Line>) {
    const PAGE: usize = 2 << 20;
    let spare = data.spare_capacity_mut();
    let bytes = size_of_val(spare);
    let begin = spare.as_mut_ptr().cast::<u8>();
    let skipped = begin.align_offset(PAGE);
    if bytes >= skipped.saturating_add(PAGE) {
        // SAFETY: a hint for a part of memory that is ours.
        unsafe {
            libc::madvise(
                begin.add(skipped).cast(),
                (bytes - skipped) / PAGE * PAGE,
                libc::MADV_HUGEPAGE,
            )
        };
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages(_: &mut Vec<Line>) {}

/// Values, aligned to 64 bytes, that go back where they came from.
#[derive(Debug)]
pub(crate) struct Buffer {
    data: Vec<Line>,
    len: usize,
    home: Arc<Recycler>,
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is 16 `f32` without padding, and `len` is at most 16 times the number of lines.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_mut_ptr().cast(), self.len) }
    }
}

impl Buffer {
    /// The values' memory.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: an `f32` is four bytes of any value, and the slice holds `len` of them.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast(), self.len * 4) }
    }

    /// The values' memory; any bytes are values.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_mut_ptr().cast(), self.len * 4) }
    }
}

impl Drop for Buffer {
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
