//! One pyramid level of the dense inverse search: Gauss-Newton descent of every patch, propagation rounds, densification.

use rife_backend::DisOptions;

use super::kernel::{self, BORDER, Bordered, PatchRow, SIDE};
use super::{Level, PATCH_VALUES, STRIDE, STRIP, rows};
use crate::eval::Region;
use crate::runtime::{Buffer, Runtime};

/// The search of one direction: patches of the image `from` in the image `to`.
struct Search<'a> {
    runtime: &'a Runtime,
    /// The search's options; without [`DisOptions::zero_start`] on levels that have none.
    options: &'a DisOptions,
    from: Bordered<'a>,
    to: Bordered<'a>,
    /// Height and width of both images without the border.
    size: [usize; 2],
    /// Number of patches in a row.
    columns: usize,
}

impl Runtime {
    /// Refines initial forward and backward velocities of a level.
    pub(super) fn search_level(
        &self,
        level: &Level,
        initial: [Buffer; 2],
        options: &DisOptions,
        is_finest: bool,
    ) -> [Buffer; 2] {
        let size = [level.height, level.width];
        let bordered = level.frames.each_ref().map(|image| self.with_border(image, size));
        let [first, second] = bordered.each_ref().map(|data| Bordered::new(data, size));
        let columns = level.width / STRIDE;
        let (rounds, zero_start) = match is_finest {
            true => (options.finest_propagation_rounds, options.zero_start),
            false => (options.propagation_rounds, None),
        };
        let options = &DisOptions {
            zero_start,
            ..*options
        };
        let search = |from, to, initial| {
            let search = Search {
                runtime: self,
                options,
                from,
                to,
                size,
                columns,
            };
            let descended = search.descend(initial);
            let best = (0..rounds).fold(descended, |best, _| search.propagate(&best));
            search.densify(&best)
        };
        let [forward, backward] = initial;
        [search(first, second, forward), search(second, first, backward)]
    }

    /// Copies an image into memory with a replicated border of [`BORDER`] pixels, for patches displaced outside of it.
    fn with_border(&self, image: &Buffer, [height, width]: [usize; 2]) -> Buffer {
        let stride = width + 2 * BORDER;
        let mut bordered = self.recycler().take((height + 2 * BORDER) * stride);
        self.threads().chunks(&mut bordered, stride, &|row, to| {
            let row = super::clamped(row as isize - BORDER as isize, height);
            to[BORDER..][..width].copy_from_slice(&image[row * width..][..width]);
            super::replicate_border(to, BORDER);
        });
        bordered
    }
}

impl Search<'_> {
    /// Runs Gauss-Newton descent for all patches, each from the mean of the initial velocities over the 4x4 cell at its
    /// centre; returns velocities and costs of the patches.
    fn descend(&self, initial: Buffer) -> Buffer {
        let [height, width] = self.size;
        let mut to = self.buffer(height / STRIDE);
        self.runtime
            .threads()
            .chunks(&mut to, PATCH_VALUES * self.columns, &|row, to| {
                let initial = &initial[row * STRIDE * 2 * width..][..STRIDE * 2 * width];
                rows::cell_means(self.runtime.tier(), to, initial);
                kernel::descend(self.runtime.tier(), to, self.patch_row(row), self.options);
            });
        to
    }

    /// Runs one propagation round: each patch takes the velocity of lowest cost among its own and its four neighbours'.
    fn propagate(&self, best: &Buffer) -> Buffer {
        let line = PATCH_VALUES * self.columns;
        let last = best.len() / line - 1;
        let mut to = self.buffer(last + 1);
        self.runtime.threads().chunks(&mut to, line, &|row, to| {
            let rows = [row.saturating_sub(1), row, (row + 1).min(last)];
            let around = rows.map(|row| &best[row * line..][..line]);
            kernel::propagate(self.runtime.tier(), to, around, self.patch_row(row));
        });
        to
    }

    /// Densifies: computes for each pixel the weighted mean velocity of the patches that cover it.
    fn densify(&self, best: &Buffer) -> Buffer {
        let [height, width] = self.size;
        let (line, last) = (PATCH_VALUES * self.columns, height / STRIDE - 1);
        let mut to = self.runtime.recycler().take(2 * height * width);
        self.runtime
            .threads()
            .chunks(&mut to, STRIP * 2 * width, &|i, to| {
                let rows = i * STRIP..i * STRIP + to.len() / (2 * width);
                // Sums of weights, weighted x and weighted y; half a stride wider than the image on either side.
                let mut sums = Region::new(3, rows.len(), width + SIDE);
                sums.view_mut().map(|row| row.fill(0.0));
                let patch_rows = (rows.start / STRIDE).saturating_sub(1)..=(rows.end / STRIDE).min(last);
                for row in patch_rows {
                    let patches = &best[row * line..][..line];
                    for inner in 0..SIDE {
                        // A patch begins half a stride above and left of its cell.
                        let pixels = (row * STRIDE + inner).wrapping_sub(STRIDE / 2);
                        if rows.contains(&pixels) {
                            let mut view = sums.view_mut();
                            let sums = view.rows(pixels - rows.start, &[[0, 0], [1, 1], [2, 2]]);
                            let sums = sums.try_into().expect("three rows");
                            let min_residual = self.options.min_residual;
                            let patch_row = self.patch_row(row);
                            kernel::accumulate(
                                self.runtime.tier(),
                                sums,
                                patches,
                                patch_row,
                                inner,
                                min_residual,
                            );
                        }
                    }
                }
                for (row, to) in to.chunks_exact_mut(2 * width).enumerate() {
                    let sums = [0, 1, 2].map(|i| &sums.row(i, row)[STRIDE / 2..]);
                    rows::divide(self.runtime.tier(), to, sums);
                }
            });
        to
    }

    /// Returns a row of patches.
    fn patch_row(&self, row: usize) -> PatchRow<'_> {
        PatchRow {
            from: self.from,
            to: self.to,
            row,
        }
    }

    /// Takes a buffer for the values of some rows of patches.
    fn buffer(&self, rows: usize) -> Buffer {
        self.runtime.recycler().take(rows * PATCH_VALUES * self.columns)
    }
}
