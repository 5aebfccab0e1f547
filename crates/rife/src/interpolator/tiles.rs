//! Pictures too large for the memory that the network may take, in tiles: each is made with a halo of what surrounds
//! it, which is cut off again.

use std::ops::Range;
use std::sync::Arc;

use rife_media::RgbImage;

use super::{Interpolator, Prepared};
use crate::runner::Memory;
use crate::{Error, Result};

/// How far around a tile the network sees, in pixels at scale 1. Measured on 1080p clips with the built-in network: see
/// docs/performance.md.
const HALO: usize = 128;
/// Frames in flight in a job beside the network's own memory, some room for what the allocator holds back among
/// them, and what each takes a pixel: RGB floats and codes.
const FRAMES: u64 = 9;
const FRAME_BYTES_A_PIXEL: u64 = 15;
/// Copies of a picture on its way into the network and out of it.
const COPIES_BYTES_A_PIXEL: u64 = 24;
/// What the allocator and the threads take beside, as runs with limits have shown.
const RESERVE: u64 = 32 << 20;
/// A side of the pictures on which the network's memory is measured.
const SAMPLE: usize = 512;
/// Tiles are no smaller than this along an axis: what the network sees in smaller ones is too little to know a motion by.
const LEAST: usize = 448;

/// What may be taken, and what is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiling {
    /// Bytes of the whole process.
    limit: u64,
    /// Bytes that it takes beside pictures and what is computed of them: weights, the threads' own memory.
    base: u64,
    /// Bytes of the network for each pixel of a padded picture.
    a_pixel: u64,
    /// Sides are padded to multiples of this.
    multiple: usize,
    halo: usize,
}

/// A part of a picture: columns and rows of what the network sees, and of what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tile {
    seen: [Range<usize>; 2],
    kept: [Range<usize>; 2],
}

impl Tiling {
    /// Measures what the network takes.
    pub(super) fn new(interpolator: &Interpolator, limit: u64) -> Result<Self> {
        let scale = interpolator.options.scale;
        let multiple = interpolator.version().size_multiple(scale);
        let side = SAMPLE.next_multiple_of(multiple);
        let picture = RgbImage::new(side as u32, side as u32, vec![0.5; 3 * side * side]);
        let [first, second] = [picture.clone(), picture].map(|picture| prepared(interpolator, picture));
        interpolator.run_once(&first?, &second?, 0.5)?;
        let Memory { held, peak } = interpolator.runner.memory();
        let base = (resident_bytes() + RESERVE).saturating_sub(held);
        let halo = (HALO as f32 / scale.factor()).ceil() as usize;
        Ok(Self {
            limit,
            base,
            a_pixel: peak.div_ceil((side * side) as u64) + COPIES_BYTES_A_PIXEL,
            multiple,
            halo: halo.next_multiple_of(multiple),
        })
    }

    /// Whether a picture of `[width, height]` is to be made in tiles.
    ///
    /// # Errors
    /// [`Error::Usage`] where the smallest tiles take more than there is.
    pub(super) fn applies(&self, size: [usize; 2]) -> Result<bool> {
        Ok(self.parts(size)? != [1, 1])
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes taken with the smallest tiles.
    pub(super) fn least(&self, size: [usize; 2]) -> u64 {
        let [x, y] = size.map(|side| (side / LEAST).max(1));
        self.bytes(size, self.padded(size[0], x) * self.padded(size[1], y))
    }

    /// Bytes taken with tiles of so many padded pixels.
    fn bytes(&self, [width, height]: [usize; 2], pixels: usize) -> u64 {
        let frames = FRAMES * FRAME_BYTES_A_PIXEL * (width * height) as u64;
        self.base + frames + self.a_pixel * pixels as u64
    }

    /// Padded length along an axis of the longest of `parts` tiles.
    fn padded(&self, side: usize, parts: usize) -> usize {
        let longest = axis(side, parts, self.multiple, self.halo)
            .map(|(seen, _)| seen.len())
            .max();
        longest.unwrap_or(side).next_multiple_of(self.multiple)
    }

    /// Into how many tiles along both axes: as few as fit.
    fn parts(&self, size: [usize; 2]) -> Result<[usize; 2]> {
        let most = size.map(|side| (side / LEAST).max(1));
        let pixels = |[x, y]: [usize; 2]| self.padded(size[0], x) * self.padded(size[1], y);
        let all = (1..=most[0]).flat_map(|x| (1..=most[1]).map(move |y| [x, y]));
        let fitting = all.filter(|parts| self.bytes(size, pixels(*parts)) <= self.limit);
        // The halos' cost decides between as many tiles.
        fitting.min_by_key(|[x, y]| (x * y, pixels([*x, *y]))).ok_or_else(|| {
            let least = self.bytes(size, pixels(most)).div_ceil(1 << 20);
            let [width, height] = size;
            Error::Usage(format!(
                "a memory limit of {} MB is too little for pictures of {width}x{height}; {least} MB would do",
                self.limit >> 20
            ))
        })
    }

    fn tiles(&self, size: [usize; 2]) -> Result<Vec<Tile>> {
        let [x, y] = self.parts(size)?;
        let columns: Vec<_> = axis(size[0], x, self.multiple, self.halo).collect();
        let rows = axis(size[1], y, self.multiple, self.halo);
        let tiles = rows.flat_map(|(seen, kept)| {
            columns.iter().map(move |(columns_seen, columns_kept)| Tile {
                seen: [columns_seen.clone(), seen.clone()],
                kept: [columns_kept.clone(), kept.clone()],
            })
        });
        Ok(tiles.collect())
    }
}

/// The parts of a side: what is seen and what is kept. They begin at multiples of what the network's coarsest cells
/// measure, so that a tile's cells are the whole picture's.
fn axis(
    side: usize,
    parts: usize,
    multiple: usize,
    halo: usize,
) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let cells = side.div_ceil(multiple);
    let border = move |part: usize| (cells * part / parts * multiple).min(side);
    (0..parts).map(move |part| {
        let kept = border(part)..border(part + 1);
        (kept.start.saturating_sub(halo)..(kept.end + halo).min(side), kept)
    })
}

/// The picture at `timestep` between two, tile by tile.
pub(super) fn run(
    interpolator: &Interpolator,
    tiling: &Tiling,
    [first, second]: [&RgbImage; 2],
    timestep: f32,
) -> Result<RgbImage> {
    let [width, height] = [first.width as usize, first.height as usize];
    let mut whole = RgbImage::new(first.width, first.height, vec![0.0; first.data.len()]);
    whole.alpha = first.alpha.as_ref().map(|alpha| vec![0.0; alpha.len()]);
    for tile in tiling.tiles([width, height])? {
        let [first, second] =
            [first, second].map(|picture| prepared(interpolator, part(picture, &tile.seen)));
        let made = interpolator.run_once(&first?, &second?, timestep)?;
        paste(&mut whole, &made, &tile);
    }
    Ok(whole)
}

/// A picture prepared as a whole.
fn prepared(interpolator: &Interpolator, picture: RgbImage) -> Result<Prepared> {
    let frame = Some(interpolator.prepare_whole(&picture)?);
    Ok(Prepared {
        image: Arc::new(picture),
        frame,
    })
}

/// Some columns and rows of a picture.
fn part(picture: &RgbImage, [columns, rows]: &[Range<usize>; 2]) -> RgbImage {
    let [width, height] = [picture.width as usize, picture.height as usize];
    let cut = |planes: &[f32]| -> Vec<f32> {
        let planes = planes.chunks_exact(width * height);
        let rows = planes.flat_map(|plane| plane.chunks_exact(width).take(rows.end).skip(rows.start));
        rows.flat_map(|row| &row[columns.clone()]).copied().collect()
    };
    let mut part = RgbImage::new(columns.len() as u32, rows.len() as u32, cut(&picture.data));
    part.alpha = picture.alpha.as_deref().map(cut);
    part
}

/// Puts what is kept of a tile in its place.
fn paste(whole: &mut RgbImage, made: &RgbImage, tile: &Tile) {
    let [width, height] = [whole.width as usize, whole.height as usize];
    let [columns, rows] = &tile.kept;
    let [left, top] = [0, 1].map(|i| tile.kept[i].start - tile.seen[i].start);
    let size = [made.width as usize, made.height as usize];
    let copy = |to: &mut [f32], from: &[f32]| {
        let planes = to
            .chunks_exact_mut(width * height)
            .zip(from.chunks_exact(size[0] * size[1]));
        for (to, from) in planes {
            for (i, row) in rows.clone().enumerate() {
                let from = &from[(top + i) * size[0] + left..][..columns.len()];
                to[row * width..][columns.clone()].copy_from_slice(from);
            }
        }
    };
    copy(&mut whole.data, &made.data);
    if let (Some(to), Some(from)) = (&mut whole.alpha, &made.alpha) {
        copy(to, from);
    }
}

/// What the process takes now: its resident memory where the system tells, else nothing.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiling(limit: u64) -> Tiling {
        Tiling {
            limit,
            base: 50 << 20,
            a_pixel: 250,
            multiple: 64,
            halo: 128,
        }
    }

    #[test]
    fn tiles_cover_every_pixel_once_and_fit() {
        for (size, limit) in [
            ([1920, 1080], 650),
            ([1920, 1080], 500),
            ([3840, 2160], 1500),
            ([50, 4000], 200),
        ] {
            let tiling = tiling(limit << 20);
            let mut count = vec![0; size[0] * size[1]];
            for Tile { seen, kept } in tiling.tiles(size).unwrap() {
                let padded = [0, 1].map(|i| seen[i].len().next_multiple_of(64));
                assert!(tiling.bytes(size, padded[0] * padded[1]) <= limit << 20);
                for y in kept[1].clone() {
                    count[y * size[0]..][kept[0].clone()]
                        .iter_mut()
                        .for_each(|n| *n += 1);
                }
            }
            assert!(count.iter().all(|n| *n == 1), "{size:?} in {limit} MB");
        }
        assert!(!tiling(900 << 20).applies([1920, 1080]).unwrap());
    }

    #[test]
    fn too_little_memory_is_refused_with_what_would_do() {
        let error = tiling(100 << 20).applies([1920, 1080]).unwrap_err().to_string();
        let least: u64 = error
            .split("; ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(tiling(least << 20).applies([1920, 1080]).unwrap(), "{error}");
        assert!(
            tiling((least - 1) << 20).applies([1920, 1080]).is_err(),
            "{error}"
        );
    }

    #[test]
    fn a_tile_is_cut_out_and_put_back() {
        let data = (0..3 * 20 * 10).map(|i| i as f32).collect();
        let mut picture = RgbImage::new(20, 10, data);
        picture.alpha = Some((0..200).map(|i| i as f32).collect());
        let tile = Tile {
            seen: [3..17, 2..9],
            kept: [5..15, 4..9],
        };
        let part = part(&picture, &tile.seen);
        assert_eq!((part.width, part.height, part.data[0]), (14, 7, 43.0));
        let mut whole = RgbImage::new(20, 10, vec![0.0; 600]);
        whole.alpha = Some(vec![0.0; 200]);
        paste(&mut whole, &part, &tile);
        assert_eq!(
            whole.data[4 * 20 + 5..4 * 20 + 15],
            picture.data[4 * 20 + 5..4 * 20 + 15]
        );
        assert_eq!(whole.data.iter().filter(|v| **v != 0.0).count(), 3 * 50);
        assert_eq!(whole.alpha.unwrap()[8 * 20 + 14], 174.0);
    }
}
