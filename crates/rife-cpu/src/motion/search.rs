//! The search of one level: where the patches of a frame are in the other, by their own steps and by those of their
//! neighbours; and from patches to pixels.

use super::kernel::{self, MORE, Patches, Picture, SIDE};
use super::{Level, STRIDE, STRIP, rows};
use crate::buffer::Buffer;
use crate::engine::Engine;
use crate::eval::Patch;

/// Values kept of a patch: both parts of its velocity, and by how much what it leads to differs.
pub(super) const KEPT: usize = 3;

/// A frame whose patches are sought in another, both extended.
struct Search<'a> {
    engine: &'a Engine,
    from: Picture<'a>,
    to: Picture<'a>,
    /// Height and width.
    size: [usize; 2],
    /// Patches of a row.
    columns: usize,
}

impl Engine {
    /// Velocities of a level from the first frame and from the second, better than those to `begin` with; patches ask
    /// those beside them in so many rounds.
    pub(super) fn searched(&self, level: &Level, begin: [Buffer; 2], rounds: usize) -> [Buffer; 2] {
        let size = [level.height, level.width];
        let extended = level.frames.each_ref().map(|frame| self.extended(frame, size));
        let [first, second] = extended.each_ref().map(|data| Picture::new(data, size));
        let columns = level.width / STRIDE;
        let search = |from, to, begin| {
            let search = Search {
                engine: self,
                from,
                to,
                size,
                columns,
            };
            let found = search.found(begin);
            let best = (0..rounds).fold(found, |found, _| search.spread(&found));
            search.dense(&best)
        };
        let [forth, back] = begin;
        [search(first, second, forth), search(second, first, back)]
    }

    /// A picture with its edges repeated, so that patches may lie beside it.
    fn extended(&self, picture: &Buffer, [height, width]: [usize; 2]) -> Buffer {
        let stride = width + 2 * MORE;
        let mut extended = self.recycler().take((height + 2 * MORE) * stride);
        self.threads().chunks(&mut extended, stride, &|row, to| {
            let row = super::clamped(row as isize - MORE as isize, height);
            to[MORE..][..width].copy_from_slice(&picture[row * width..][..width]);
            super::repeat_edges(to, MORE);
        });
        extended
    }
}

impl Search<'_> {
    /// Where every patch's own steps lead to from the mean velocity in its middle.
    fn found(&self, begin: Buffer) -> Buffer {
        let [height, width] = self.size;
        let mut to = self.buffer(height / STRIDE);
        self.engine
            .threads()
            .chunks(&mut to, KEPT * self.columns, &|row, to| {
                let begin = &begin[row * STRIDE * 2 * width..][..STRIDE * 2 * width];
                rows::cells(self.engine.tier(), to, begin);
                kernel::find(self.engine.tier(), to, self.patches(row));
            });
        to
    }

    /// The best of what every patch and those beside it have found.
    fn spread(&self, found: &Buffer) -> Buffer {
        let line = KEPT * self.columns;
        let last = found.len() / line - 1;
        let mut to = self.buffer(last + 1);
        self.engine.threads().chunks(&mut to, line, &|row, to| {
            let rows = [row.saturating_sub(1), row, (row + 1).min(last)];
            let around = rows.map(|row| &found[row * line..][..line]);
            kernel::spread(self.engine.tier(), to, around, self.patches(row));
        });
        to
    }

    /// Every pixel's mean of the patches over it.
    fn dense(&self, found: &Buffer) -> Buffer {
        let [height, width] = self.size;
        let (line, last) = (KEPT * self.columns, height / STRIDE - 1);
        let mut to = self.engine.recycler().take(2 * height * width);
        self.engine
            .threads()
            .chunks(&mut to, STRIP * 2 * width, &|i, to| {
                let rows = i * STRIP..i * STRIP + to.len() / (2 * width);
                // Of the weights and of the velocities' parts by them; beside the picture as well.
                let mut sums = Patch::new(3, rows.len(), width + SIDE);
                sums.whole().map(|row| row.fill(0.0));
                let patches = (rows.start / STRIDE).saturating_sub(1)..=(rows.end / STRIDE).min(last);
                for row in patches {
                    let found = &found[row * line..][..line];
                    for inner in 0..SIDE {
                        // Patches begin half a stride above and left of the pixels they are counted by.
                        let pixels = (row * STRIDE + inner).wrapping_sub(STRIDE / 2);
                        if rows.contains(&pixels) {
                            let mut whole = sums.whole();
                            let sums = whole.rows(pixels - rows.start, &[[0, 0], [1, 1], [2, 2]]);
                            let sums = sums.try_into().expect("three rows");
                            kernel::count(self.engine.tier(), sums, found, self.patches(row), inner);
                        }
                    }
                }
                for (row, to) in to.chunks_exact_mut(2 * width).enumerate() {
                    let sums = [0, 1, 2].map(|i| &sums.row(i, row)[STRIDE / 2..]);
                    rows::divide(self.engine.tier(), to, sums);
                }
            });
        to
    }

    fn patches(&self, row: usize) -> Patches<'_> {
        Patches {
            from: self.from,
            to: self.to,
            row,
        }
    }

    fn buffer(&self, rows: usize) -> Buffer {
        self.engine.recycler().take(rows * KEPT * self.columns)
    }
}
