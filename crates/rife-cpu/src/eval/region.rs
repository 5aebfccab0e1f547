//! Output regions of the evaluation, channels by rows by columns of f32: a scratch buffer of a thread, or a strip of rows of
//! a planar tensor.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;

use crate::tensor::Planar;

thread_local! {
    /// Buffers of the [`Region`]s that this thread dropped; [`Region::new`] takes them before it allocates.
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Maximum number of buffers that a thread keeps for reuse.
const KEPT: usize = 16;

/// A scratch buffer of planar values, `[channels, rows, columns]`.
#[derive(Debug)]
pub(crate) struct Region {
    /// Values; may be longer than the region.
    data: Vec<f32>,
    channels: usize,
    rows: usize,
    columns: usize,
}

impl Drop for Region {
    /// Keeps the buffer for reuse by this thread, at most [`KEPT`].
    fn drop(&mut self) {
        // Fails while the thread is exiting.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < KEPT {
                spare.push(std::mem::take(&mut self.data));
            }
        });
    }
}

impl Region {
    /// Makes a region with arbitrary content.
    pub(crate) fn new(channels: usize, rows: usize, columns: usize) -> Self {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        let mut data = spare.ok().flatten().unwrap_or_default();
        let len = channels * rows * columns;
        if data.len() < len {
            data.resize(len, 0.0);
        }
        Self {
            data,
            channels,
            rows,
            columns,
        }
    }

    /// Returns the number of channels.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Returns a row of a channel.
    pub(crate) fn row(&self, channel: usize, row: usize) -> &[f32] {
        let start = (channel * self.rows + row) * self.columns;
        &self.data[start..start + self.columns]
    }

    /// Returns a channel.
    pub(crate) fn plane(&self, channel: usize) -> &[f32] {
        let size = self.rows * self.columns;
        &self.data[channel * size..][..size]
    }

    /// Returns both channels of a region of two.
    pub(crate) fn planes_mut(&mut self) -> [&mut [f32]; 2] {
        let size = self.rows * self.columns;
        assert_eq!(self.channels, 2, "two planes");
        self.data[..2 * size].split_at_mut(size).into()
    }

    /// Returns a writable view of the region.
    pub(crate) fn view_mut(&mut self) -> RegionMut<'_> {
        let (rows, columns) = (self.rows, self.columns);
        let strides = [rows * columns, columns];
        RegionMut {
            data: self.data.as_mut_ptr(),
            channels: self.channels,
            rows,
            columns,
            strides,
            borrow: PhantomData,
        }
    }
}

/// A writable view of a [`Region`] or of a strip of rows of planar values.
#[derive(Debug)]
pub(crate) struct RegionMut<'a> {
    data: *mut f32,
    channels: usize,
    rows: usize,
    columns: usize,
    /// Strides of channels and rows in values.
    strides: [usize; 2],
    borrow: PhantomData<&'a mut f32>,
}

impl RegionMut<'_> {
    /// Returns a row of a channel.
    pub(crate) fn row(&mut self, channel: usize, row: usize) -> &mut [f32] {
        assert!(
            channel < self.channels && row < self.rows,
            "row {row} of channel {channel} is outside"
        );
        let offset = channel * self.strides[0] + row * self.strides[1];
        // SAFETY: the view has exclusive access to `channels` x `rows` rows of `columns` values at these strides; the
        // indices were just checked.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(offset), self.columns) }
    }

    /// Returns one row of several different channels, given by the second numbers of `picks`.
    pub(crate) fn rows(&mut self, row: usize, picks: &[[usize; 2]]) -> Vec<&mut [f32]> {
        assert!(row < self.rows, "row {row} is outside");
        let start = row * self.strides[1];
        for (i, [_, channel]) in picks.iter().enumerate() {
            let again = picks[..i].iter().any(|[_, other]| other == channel);
            assert!(*channel < self.channels && !again, "channel {channel} of a view");
        }
        let offsets = picks.iter().map(|[_, channel]| start + channel * self.strides[0]);
        // SAFETY: as in `row`; rows of different channels don't overlap.
        let row = |offset| unsafe { std::slice::from_raw_parts_mut(self.data.add(offset), self.columns) };
        offsets.map(row).collect()
    }

    /// Returns a view of a range of channels.
    pub(crate) fn channels(&mut self, range: Range<usize>) -> RegionMut<'_> {
        assert!(range.start <= range.end && range.end <= self.channels);
        // SAFETY: an offset within the view.
        let data = unsafe { self.data.add(range.start * self.strides[0]) };
        RegionMut {
            data,
            channels: range.len(),
            borrow: PhantomData,
            ..*self
        }
    }

    /// Calls `f` with each row of each channel.
    pub(crate) fn map(&mut self, f: impl Fn(&mut [f32])) {
        self.each(|_, _, row| f(row));
    }

    /// Calls `f` with channel, row number and values of each row.
    pub(crate) fn each(&mut self, mut f: impl FnMut(usize, usize, &mut [f32])) {
        for channel in 0..self.channels {
            for row in 0..self.rows {
                f(channel, row, self.row(channel, row));
            }
        }
    }

    /// Calls `f` with each row and the same row of `other`.
    pub(crate) fn zip(&mut self, other: &Region, f: impl Fn(&mut [f32], &[f32])) {
        self.each(|channel, row, values| f(values, other.row(channel, row)));
    }
}

/// Planar values, with a border ([`Planar`]) or without, of which several threads write disjoint strips of rows.
#[derive(Debug)]
pub(crate) struct Strips<'a> {
    /// First value of the first row.
    data: *mut f32,
    shape: [usize; 3],
    strides: [usize; 2],
    borrow: PhantomData<&'a mut f32>,
}

// SAFETY: views of disjoint rows do not alias, and callers of `strip` guarantee that rows are disjoint.
unsafe impl Sync for Strips<'_> {}

impl<'a> Strips<'a> {
    /// Borrows a planar tensor's values, without the border.
    pub(crate) fn new(planes: &'a mut Planar) -> Self {
        let strides = [planes.channel_stride(), planes.row_stride()];
        Self {
            shape: planes.shape,
            strides,
            // After the border's row and column.
            data: planes.data[strides[1] + 1..].as_mut_ptr(),
            borrow: PhantomData,
        }
    }

    /// Borrows planar values of this shape without a border.
    pub(crate) fn of(values: &'a mut [f32], shape: [usize; 3]) -> Self {
        let [channels, height, width] = shape;
        assert_eq!(
            values.len(),
            channels * height * width,
            "values of shape {shape:?}"
        );
        Self {
            shape,
            strides: [height * width, width],
            data: values.as_mut_ptr(),
            borrow: PhantomData,
        }
    }

    /// Returns a view of a range of rows of all channels.
    ///
    /// # Safety
    /// No two views that exist at the same time may contain the same row.
    pub(crate) unsafe fn strip(&self, rows: Range<usize>) -> RegionMut<'_> {
        assert!(rows.start <= rows.end && rows.end <= self.shape[1]);
        // SAFETY: `rows` are within the shape, whose values are there at these strides.
        let data = unsafe { self.data.add(rows.start * self.strides[1]) };
        let [channels, _, columns] = self.shape;
        RegionMut {
            data,
            channels,
            rows: rows.len(),
            columns,
            strides: self.strides,
            borrow: PhantomData,
        }
    }
}
