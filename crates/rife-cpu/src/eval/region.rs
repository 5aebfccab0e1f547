//! Output regions of the evaluation, channels by rows by columns of f32: a scratch buffer of a thread, or a strip of rows of
//! a planar tensor.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;

use crate::tensor::Planar;

thread_local! {
    /// Buffers of this thread's dropped regions, for reuse: each strip needs the same few.
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// The most buffers that a thread keeps for reuse.
const KEPT: usize = 16;

/// A scratch buffer: values of a few channels on a grid, channel after channel, row after row.
#[derive(Debug)]
pub(crate) struct Region {
    /// At least as many values as the region has.
    data: Vec<f32>,
    channels: usize,
    rows: usize,
    columns: usize,
}

impl Drop for Region {
    fn drop(&mut self) {
        // A thread that is ending keeps nothing.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < KEPT {
                spare.push(std::mem::take(&mut self.data));
            }
        });
    }
}

impl Region {
    /// An uninitialised region: it holds whatever its buffer held before.
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

    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    pub(crate) fn row(&self, channel: usize, row: usize) -> &[f32] {
        let start = (channel * self.rows + row) * self.columns;
        &self.data[start..start + self.columns]
    }

    pub(crate) fn plane(&self, channel: usize) -> &[f32] {
        let size = self.rows * self.columns;
        &self.data[channel * size..][..size]
    }

    /// Both planes of a region of two channels.
    pub(crate) fn planes_mut(&mut self) -> [&mut [f32]; 2] {
        let size = self.rows * self.columns;
        assert_eq!(self.channels, 2, "two planes");
        self.data[..2 * size].split_at_mut(size).into()
    }

    pub(crate) fn whole(&mut self) -> RegionMut<'_> {
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

/// A writable view of rows of a [`Region`] or of a strip of [`Planar`] values.
#[derive(Debug)]
pub(crate) struct RegionMut<'a> {
    data: *mut f32,
    channels: usize,
    rows: usize,
    columns: usize,
    /// From channel to channel, from row to row.
    strides: [usize; 2],
    borrow: PhantomData<&'a mut f32>,
}

impl RegionMut<'_> {
    pub(crate) fn row(&mut self, channel: usize, row: usize) -> &mut [f32] {
        assert!(
            channel < self.channels && row < self.rows,
            "row {row} of channel {channel} is outside"
        );
        let offset = channel * self.strides[0] + row * self.strides[1];
        // SAFETY: the view's maker vouches for `channels` x `rows` rows of `columns` values at these strides,
        // which no one else touches while the view lives; the indices were just checked.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(offset), self.columns) }
    }

    /// The same row of some channels: those that come second in `picks`, which are different ones.
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

    /// Some of the channels, as a view of their own.
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

    /// Calls `f` with every row.
    pub(crate) fn map(&mut self, f: impl Fn(&mut [f32])) {
        self.each(|_, _, row| f(row));
    }

    /// Calls `f` with the channel, the row's number and the row, for every row.
    pub(crate) fn each(&mut self, mut f: impl FnMut(usize, usize, &mut [f32])) {
        for channel in 0..self.channels {
            for row in 0..self.rows {
                f(channel, row, self.row(channel, row));
            }
        }
    }

    /// Calls `f` with every row and its counterpart.
    pub(crate) fn zip(&mut self, other: &Region, f: impl Fn(&mut [f32], &[f32])) {
        self.each(|channel, row, values| f(values, other.row(channel, row)));
    }
}

/// Planar values, with a border ([`Planar`]) or without, whose strips of rows several threads write.
#[derive(Debug)]
pub(crate) struct Strips<'a> {
    /// The first row's first value.
    data: *mut f32,
    shape: [usize; 3],
    strides: [usize; 2],
    borrow: PhantomData<&'a mut f32>,
}

// SAFETY: views of disjoint rows don't alias, and that they are disjoint is what `strip` asks of its caller.
unsafe impl Sync for Strips<'_> {}

impl<'a> Strips<'a> {
    pub(crate) fn new(planes: &'a mut Planar) -> Self {
        let strides = [planes.channel_stride(), planes.row_stride()];
        Self {
            shape: planes.shape,
            strides,
            // Past the border's row and column.
            data: planes.data[strides[1] + 1..].as_mut_ptr(),
            borrow: PhantomData,
        }
    }

    /// Of values of this shape, row by row, channel by channel.
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

    /// A view of some rows.
    ///
    /// # Safety
    /// No two views that live at once may share a row.
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
