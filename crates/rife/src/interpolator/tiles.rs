//! Tiled inference for images that are too large for the memory limit: each tile is computed with a halo of surrounding
//! pixels, which is cut off afterwards.

use std::ops::Range;
use std::sync::Arc;

use rife_media::RgbImage;

use super::{Interpolator, Prepared};
use crate::runner::Memory;
use crate::{Error, Result, device};

/// Width of the halo around a tile in pixels, at scale 1. Measured on 1080p clips with the built-in network: see
/// docs/performance.md.
const HALO: usize = 128;
/// Number of frames that a job holds outside the network, including what the allocator does not return.
const FRAMES: u64 = 9;
/// Bytes per pixel of such a frame: RGB as f32 and as 8-bit codes.
const FRAME_BYTES_PER_PIXEL: u64 = 15;
/// Bytes per pixel of a tile's copies before upload and after download.
const COPIES_BYTES_PER_PIXEL: u64 = 24;
/// Bytes reserved for the allocator and the threads, measured in runs with limits.
const RESERVE: u64 = 32 << 20;
/// Side in pixels of the square frames on which the network's memory is measured.
const SAMPLE: usize = 512;
/// Minimum side of a tile in pixels: in smaller ones the network does not see enough to estimate motion.
const MIN_TILE: usize = 448;

/// Limits of an interpolator, by which larger images are divided into tiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiling {
    memory: Option<MemoryLimit>,
    tensors: Option<TensorLimit>,
    /// Padded sides are multiples of this many pixels.
    multiple: usize,
    /// Width of the halo in pixels at this scale.
    halo: usize,
}

/// Memory limit and memory model: bytes = `base` + frames + `bytes_per_pixel` * padded pixels of a tile.
#[derive(Debug, Clone, Copy)]
struct MemoryLimit {
    /// Maximum bytes of the process.
    limit: u64,
    /// Bytes independent of the frame size: weights, working memory of the threads.
    base: u64,
    /// Bytes of the network per pixel of a padded tile.
    bytes_per_pixel: u64,
}

/// The largest tensor that a device can hold.
#[derive(Debug, Clone, Copy)]
struct TensorLimit {
    /// Its bytes.
    limit: u64,
    /// Bytes of the network's largest tensor per pixel of a padded tile.
    bytes_per_pixel: u64,
}

/// A tile as ranges of columns and rows: with its halo, as the network gets it, and without, as it is pasted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tile {
    with_halo: [Range<usize>; 2],
    core: [Range<usize>; 2],
}

impl Tiling {
    /// Finds the limits of an interpolator: that of memory, in bytes, if one is given, and that of tensors, if the device has
    /// one. The network's memory is measured by one run on a small frame. Returns `None` where nothing is limited.
    pub(super) fn new(interpolator: &Interpolator, memory: Option<u64>) -> Result<Option<Self>> {
        let scale = interpolator.options.scale;
        let multiple = interpolator.version().size_multiple(scale);
        let tensors = interpolator.runner.tensor_limit().map(|[largest, limit]| {
            // The largest so far is that of the self-test.
            let side = device::self_test_side().next_multiple_of(multiple) as u64;
            TensorLimit {
                limit,
                bytes_per_pixel: largest.div_ceil(side * side),
            }
        });
        let memory = match memory {
            Some(limit) => Some(MemoryLimit::measure(interpolator, limit)?),
            None => None,
        };
        let halo = (HALO as f32 / scale.factor()).ceil() as usize;
        let is_limited = memory.is_some() || tensors.is_some();
        Ok(is_limited.then_some(Self {
            memory,
            tensors,
            multiple,
            halo: halo.next_multiple_of(multiple),
        }))
    }

    /// Reports whether an image of `[width, height]` has to be computed in more than one tile.
    ///
    /// # Errors
    /// [`Error::Usage`] if the smallest tiles exceed a limit.
    pub(super) fn needs_tiles(&self, size: [usize; 2]) -> Result<bool> {
        Ok(self.tile_counts(size)? != [1, 1])
    }

    /// Returns the memory limit of the process in bytes, if there is one.
    pub(super) fn limit(&self) -> Option<u64> {
        self.memory.map(|memory| memory.limit)
    }

    /// Returns the number of tiles of an image of `[width, height]`, and the bytes of the device's largest tensor, where that
    /// is the reason for tiles; `None` where it is not, and where no tiles fit.
    pub(super) fn tiles_of_tensors(&self, size: [usize; 2]) -> Option<(usize, u64)> {
        let tensors = self.tensors?;
        let whole = self.padded(size[0], 1) * self.padded(size[1], 1);
        let [x, y] = self.tile_counts(size).ok()?;
        (!tensors.fits(whole)).then_some((x * y, tensors.limit))
    }

    /// Estimates the bytes of the process for an image of `[width, height]` in the smallest tiles; 0 without a memory limit.
    pub(super) fn min_memory(&self, size: [usize; 2]) -> u64 {
        let [x, y] = size.map(|side| (side / MIN_TILE).max(1));
        let pixels = self.padded(size[0], x) * self.padded(size[1], y);
        self.memory.map_or(0, |memory| memory.bytes(size, pixels))
    }

    /// Returns the padded length, with halo, of the longest of `count` tiles along an axis of `side` pixels.
    fn padded(&self, side: usize, count: usize) -> usize {
        let longest = axis(side, count, self.multiple, self.halo)
            .map(|(with_halo, _)| with_halo.len())
            .max();
        longest.unwrap_or(side).next_multiple_of(self.multiple)
    }

    /// Returns the numbers of tiles along x and y: the fewest tiles that fit into the limits.
    fn tile_counts(&self, size: [usize; 2]) -> Result<[usize; 2]> {
        let max = size.map(|side| (side / MIN_TILE).max(1));
        let pixels = |[x, y]: [usize; 2]| self.padded(size[0], x) * self.padded(size[1], y);
        let all = (1..=max[0]).flat_map(|x| (1..=max[1]).map(move |y| [x, y]));
        let fits = |counts: &[usize; 2]| {
            let pixels = pixels(*counts);
            self.memory.is_none_or(|memory| memory.fits(size, pixels))
                && self.tensors.is_none_or(|tensors| tensors.fits(pixels))
        };
        // Between equal numbers of tiles the one with fewer halo pixels is taken.
        let fewest = all.filter(fits).min_by_key(|[x, y]| (x * y, pixels([*x, *y])));
        fewest.ok_or_else(|| self.too_little(size, pixels(max)))
    }

    /// Returns the error for an image of `[width, height]` whose smallest tiles, of some padded pixels, exceed a limit.
    fn too_little(&self, [width, height]: [usize; 2], pixels: usize) -> Error {
        let memory = self.memory.filter(|memory| !memory.fits([width, height], pixels));
        if let Some(memory) = memory {
            let min = memory.bytes([width, height], pixels).div_ceil(1 << 20);
            return Error::Usage(format!(
                "a memory limit of {} MB is too little for pictures of {width}x{height}; {min} MB would do",
                memory.limit >> 20
            ));
        }
        let (needed, limit) = self.tensors.map_or((0, 0), |tensors| {
            (tensors.bytes_per_pixel * pixels as u64, tensors.limit)
        });
        Error::Device(format!(
            "even in the smallest tiles, pictures of {width}x{height} need a buffer of {} MiB, and one of this GPU holds at \
             most {} MiB",
            needed.div_ceil(1 << 20),
            limit >> 20
        ))
    }

    /// Divides an image of `[width, height]` into tiles, row by row.
    fn tiles(&self, size: [usize; 2]) -> Result<Vec<Tile>> {
        let [x, y] = self.tile_counts(size)?;
        let columns: Vec<_> = axis(size[0], x, self.multiple, self.halo).collect();
        let rows = axis(size[1], y, self.multiple, self.halo);
        let tiles = rows.flat_map(|rows| {
            columns.iter().map(move |columns| Tile {
                with_halo: [columns.0.clone(), rows.0.clone()],
                core: [columns.1.clone(), rows.1.clone()],
            })
        });
        Ok(tiles.collect())
    }
}

impl MemoryLimit {
    /// Measures the network's memory by one run on a small frame. `limit` is in bytes.
    fn measure(interpolator: &Interpolator, limit: u64) -> Result<Self> {
        let multiple = interpolator.version().size_multiple(interpolator.options.scale);
        let side = SAMPLE.next_multiple_of(multiple);
        let picture = RgbImage::new(side as u32, side as u32, vec![0.5; 3 * side * side]);
        let [first, second] = [picture.clone(), picture].map(|picture| prepared(interpolator, picture));
        interpolator.run_once(&first?, &second?, 0.5)?;
        let Memory { held, peak } = interpolator.runner.memory();
        let base = (resident_bytes() + RESERVE).saturating_sub(held);
        Ok(Self {
            limit,
            base,
            bytes_per_pixel: peak.div_ceil((side * side) as u64) + COPIES_BYTES_PER_PIXEL,
        })
    }

    /// Estimates the bytes of the process for an image of `[width, height]` in tiles of `pixels` padded pixels each.
    fn bytes(&self, [width, height]: [usize; 2], pixels: usize) -> u64 {
        let frames = FRAMES * FRAME_BYTES_PER_PIXEL * (width * height) as u64;
        self.base + frames + self.bytes_per_pixel * pixels as u64
    }

    fn fits(&self, size: [usize; 2], pixels: usize) -> bool {
        self.bytes(size, pixels) <= self.limit
    }
}

impl TensorLimit {
    /// Whether the largest tensor of a tile of this many padded pixels fits.
    fn fits(&self, pixels: usize) -> bool {
        self.bytes_per_pixel * pixels as u64 <= self.limit
    }
}

/// Divides an axis of `side` pixels into `count` ranges; returns each with its halo and without. All begin at multiples of
/// `multiple`, so that the network's coarsest grid lies as in the untiled image.
fn axis(
    side: usize,
    count: usize,
    multiple: usize,
    halo: usize,
) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let cells = side.div_ceil(multiple);
    let border = move |i: usize| (cells * i / count * multiple).min(side);
    (0..count).map(move |i| {
        let core = border(i)..border(i + 1);
        (core.start.saturating_sub(halo)..(core.end + halo).min(side), core)
    })
}

/// Computes the image at `timestep` between two images, tile by tile.
pub(super) fn run(
    interpolator: &Interpolator,
    tiling: &Tiling,
    [first, second]: [&RgbImage; 2],
    timestep: f32,
) -> Result<RgbImage> {
    let [width, height] = [first.width as usize, first.height as usize];
    let mut output = RgbImage::new(first.width, first.height, vec![0.0; first.data.len()]);
    output.alpha = first.alpha.as_ref().map(|alpha| vec![0.0; alpha.len()]);
    for tile in tiling.tiles([width, height])? {
        let [first, second] =
            [first, second].map(|image| prepared(interpolator, crop(image, &tile.with_halo)));
        let made = interpolator.run_once(&first?, &second?, timestep)?;
        paste(&mut output, &made, &tile);
    }
    Ok(output)
}

/// Prepares an image at its full size, without tiles.
fn prepared(interpolator: &Interpolator, image: RgbImage) -> Result<Prepared> {
    let frame = Some(interpolator.prepare_untiled(&image)?);
    Ok(Prepared {
        image: Arc::new(image),
        frame,
    })
}

/// Copies a range of columns and rows of an image, with alpha.
fn crop(image: &RgbImage, [columns, rows]: &[Range<usize>; 2]) -> RgbImage {
    let [width, height] = [image.width as usize, image.height as usize];
    let cut = |planes: &[f32]| -> Vec<f32> {
        let planes = planes.chunks_exact(width * height);
        let rows = planes.flat_map(|plane| plane.chunks_exact(width).take(rows.end).skip(rows.start));
        rows.flat_map(|row| &row[columns.clone()]).copied().collect()
    };
    let mut cropped = RgbImage::new(columns.len() as u32, rows.len() as u32, cut(&image.data));
    cropped.alpha = image.alpha.as_deref().map(cut);
    cropped
}

/// Copies the computed tile without its halo to its position in the output.
fn paste(output: &mut RgbImage, made: &RgbImage, tile: &Tile) {
    let [width, height] = [output.width as usize, output.height as usize];
    let [columns, rows] = &tile.core;
    let [left, top] = [0, 1].map(|i| tile.core[i].start - tile.with_halo[i].start);
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
    copy(&mut output.data, &made.data);
    if let (Some(to), Some(from)) = (&mut output.alpha, &made.alpha) {
        copy(to, from);
    }
}

/// Returns the resident memory of this process in bytes; 0 where `/proc` does not exist.
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
            memory: Some(MemoryLimit {
                limit,
                base: 50 << 20,
                bytes_per_pixel: 250,
            }),
            tensors: None,
            multiple: 64,
            halo: 128,
        }
    }

    #[test]
    fn the_largest_tensor_limits_tiles() {
        let tiling = |limit| Tiling {
            memory: None,
            tensors: Some(TensorLimit {
                limit,
                bytes_per_pixel: 52,
            }),
            multiple: 64,
            halo: 128,
        };
        let of_128 = tiling(128 << 20);
        assert!(!of_128.needs_tiles([1920, 1080]).unwrap());
        assert_eq!(of_128.tiles_of_tensors([1920, 1080]), None);
        // A half is 2048x2176 with its halo: 221 MiB; a quarter 2048x1216: 124 MiB.
        assert!(of_128.needs_tiles([3840, 2160]).unwrap());
        assert_eq!(of_128.tiles_of_tensors([3840, 2160]), Some((4, 128 << 20)));
        let error = tiling(1 << 20).needs_tiles([1920, 1080]).unwrap_err();
        assert!(
            error.to_string().contains("one of this GPU holds at most 1 MiB"),
            "{error}"
        );
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
            for Tile { with_halo, core } in tiling.tiles(size).unwrap() {
                let padded = [0, 1].map(|i| with_halo[i].len().next_multiple_of(64));
                assert!(tiling.memory.unwrap().fits(size, padded[0] * padded[1]));
                for y in core[1].clone() {
                    count[y * size[0]..][core[0].clone()]
                        .iter_mut()
                        .for_each(|n| *n += 1);
                }
            }
            assert!(count.iter().all(|n| *n == 1), "{size:?} in {limit} MB");
        }
        assert!(!tiling(900 << 20).needs_tiles([1920, 1080]).unwrap());
    }

    #[test]
    fn too_little_memory_is_refused_with_what_would_do() {
        let error = tiling(100 << 20)
            .needs_tiles([1920, 1080])
            .unwrap_err()
            .to_string();
        let least: u64 = error
            .split("; ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(tiling(least << 20).needs_tiles([1920, 1080]).unwrap(), "{error}");
        assert!(
            tiling((least - 1) << 20).needs_tiles([1920, 1080]).is_err(),
            "{error}"
        );
    }

    #[test]
    fn a_tile_is_cut_out_and_put_back() {
        let data = (0..3 * 20 * 10).map(|i| i as f32).collect();
        let mut picture = RgbImage::new(20, 10, data);
        picture.alpha = Some((0..200).map(|i| i as f32).collect());
        let tile = Tile {
            with_halo: [3..17, 2..9],
            core: [5..15, 4..9],
        };
        let cropped = crop(&picture, &tile.with_halo);
        assert_eq!((cropped.width, cropped.height, cropped.data[0]), (14, 7, 43.0));
        let mut whole = RgbImage::new(20, 10, vec![0.0; 600]);
        whole.alpha = Some(vec![0.0; 200]);
        paste(&mut whole, &cropped, &tile);
        assert_eq!(
            whole.data[4 * 20 + 5..4 * 20 + 15],
            picture.data[4 * 20 + 5..4 * 20 + 15]
        );
        assert_eq!(whole.data.iter().filter(|v| **v != 0.0).count(), 3 * 50);
        assert_eq!(whole.alpha.unwrap()[8 * 20 + 14], 174.0);
    }
}
