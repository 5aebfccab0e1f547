//! Memory for tensors: aligned, and recycled, since fresh pages cost more than what is computed into them.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// One cache line of values, and one pixel of a blocked tensor.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Buffers that were given back.
#[derive(Debug, Default)]
pub(crate) struct Recycler {
    free: Mutex<Vec<Vec<Line>>>,
}

/// How many idle buffers are kept.
const KEPT: usize = 48;

impl Recycler {
    /// A buffer of `len` values, whatever they were before.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        let lines = len.div_ceil(16);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let best = (0..free.len())
            .filter(|&i| (lines..=lines.saturating_mul(2)).contains(&free[i].len()))
            .min_by_key(|&i| free[i].len());
        let data = best.map(|i| free.swap_remove(i));
        drop(free);
        let data = data.unwrap_or_else(|| vec![Line([0.0; 16]); lines]);
        Buffer {
            data,
            len,
            home: Arc::clone(self),
        }
    }
}

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

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = self.home.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(std::mem::take(&mut self.data));
        if free.len() > KEPT {
            free.remove(0);
        }
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
}
