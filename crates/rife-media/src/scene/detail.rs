//! Local frame difference: the luma change of the most changed tiles, which distinguishes a repeated frame from one in which
//! only a small region moves.

use crate::RgbImage;

/// Approximate number of cells along the shorter side of an image.
const CELLS: usize = 90;
/// Width and height of a tile in cells.
const TILE: usize = 8;

/// Luma of an image averaged over square cells of a ninetieth of its shorter side: coding noise averages out, motion of a
/// small region does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// Number of cells per row.
    columns: usize,
    /// Mean BT.709 luma of each cell, 0 to 1, row by row.
    cells: Vec<f32>,
}

impl Detail {
    /// Averages the luma of `image` over cells; values are clamped to 0 to 1.
    pub fn new(image: &RgbImage) -> Self {
        let (width, height) = (image.width as usize, image.height as usize);
        let side = (width.min(height) / CELLS).max(1);
        let columns = width.div_ceil(side);
        let mut cells = Vec::with_capacity(columns * height.div_ceil(side));
        let mut row_sums = vec![0.0_f32; columns];
        for top in (0..height).step_by(side) {
            let bottom = (top + side).min(height);
            row_sums.fill(0.0);
            for (channel, weight) in image.channels().into_iter().zip([0.2126, 0.7152, 0.0722]) {
                for row in channel[top * width..bottom * width].chunks_exact(width) {
                    for (sum, cell) in row_sums.iter_mut().zip(row.chunks(side)) {
                        *sum += weight * cell.iter().map(|v| v.clamp(0.0, 1.0)).sum::<f32>();
                    }
                }
            }
            let count = |column: usize| ((width - column * side).min(side) * (bottom - top)) as f32;
            cells.extend(
                row_sums
                    .iter()
                    .enumerate()
                    .map(|(column, sum)| sum / count(column)),
            );
        }
        Self { columns, cells }
    }

    /// Computes the mean absolute difference, 0 to 1, of the 2 % of tiles that differ most (at least two tiles). Both images
    /// must have the same size.
    pub fn step(&self, other: &Self) -> f32 {
        let mut tiles = self.tile_differences(other);
        tiles.sort_by(|a, b| b.total_cmp(a));
        let count = (tiles.len() / 50).max(2).min(tiles.len());
        tiles[..count].iter().sum::<f32>() / count.max(1) as f32
    }

    /// Computes the mean absolute cell difference of each 8x8 tile, row by row.
    fn tile_differences(&self, other: &Self) -> Vec<f32> {
        let across = self.columns.div_ceil(TILE);
        let mut tiles = Vec::new();
        let rows = self
            .cells
            .chunks(self.columns)
            .zip(other.cells.chunks(self.columns));
        for (y, (a, b)) in rows.enumerate() {
            if y % TILE == 0 {
                tiles.resize(tiles.len() + across, (0.0, 0));
            }
            let row = tiles.len() - across;
            for (x, (a, b)) in a.chunks(TILE).zip(b.chunks(TILE)).enumerate() {
                let tile: &mut (f32, usize) = &mut tiles[row + x];
                tile.0 += a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>();
                tile.1 += a.len();
            }
        }
        tiles.into_iter().map(|(sum, count)| sum / count as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, value: impl Fn(u32, u32) -> f32) -> RgbImage {
        let plane: Vec<f32> = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| value(x, y))
            .collect();
        RgbImage::new(width, height, plane.repeat(3))
    }

    #[test]
    fn a_small_part_that_moves_counts_and_noise_does_not() {
        let noise = |seed: u32| {
            move |x: u32, y: u32| {
                let hash = (x.wrapping_mul(0x9E37_79B1)
                    ^ y.wrapping_mul(0x85EB_CA6B)
                    ^ seed.wrapping_mul(0xC2B2_AE35))
                .wrapping_mul(0x27D4_EB2F);
                0.5 + ((hash >> 16) as f32 / 65536.0 - 0.5) * 0.03
            }
        };
        let ball = |at: u32| {
            move |x: u32, y: u32| {
                if x.abs_diff(at) < 20 && y.abs_diff(100) < 20 {
                    0.9
                } else {
                    0.5
                }
            }
        };
        let step = |a: &RgbImage, b: &RgbImage| Detail::new(a).step(&Detail::new(b));
        let noisy = step(&picture(640, 360, noise(1)), &picture(640, 360, noise(2)));
        let moving = step(&picture(640, 360, ball(300)), &picture(640, 360, ball(308)));
        assert!(
            noisy < 0.01 && moving > 8.0 * noisy,
            "noise {noisy}, motion {moving}"
        );
        assert_eq!(
            step(&picture(640, 360, ball(300)), &picture(640, 360, ball(300))),
            0.0
        );
    }

    #[test]
    fn any_size_has_cells() {
        for (width, height) in [(1, 1), (7, 300), (1921, 1081)] {
            let (a, b) = (
                picture(width, height, |_, _| 0.25),
                picture(width, height, |_, _| 0.75),
            );
            let step = Detail::new(&a).step(&Detail::new(&b));
            assert!((step - 0.5).abs() < 1e-4, "{width}x{height}: {step}");
        }
    }
}
