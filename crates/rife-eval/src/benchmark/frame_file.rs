//! Frame files of data sets: image files, and frames of raw 8-bit 4:2:0 clips, converted to RGB as the RIFE paper's HD script
//! does.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rife::media::{Limits, RgbImage, read_image};

use rife::{Error, Result};

/// The file of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameFile {
    /// An image file.
    Image(PathBuf),
    /// A frame of a raw 8-bit 4:2:0 clip.
    Yuv {
        /// The clip.
        path: PathBuf,
        /// Zero-based number of the frame.
        index: u64,
        /// Width and height in pixels, both even.
        size: [u32; 2],
    },
}

impl FrameFile {
    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Image(path) | Self::Yuv { path, .. } => path,
        }
    }

    /// Reads the frame as RGB without alpha.
    ///
    /// # Errors
    /// Those of opening and decoding.
    pub fn read(&self) -> Result<RgbImage> {
        match self {
            Self::Image(path) => {
                let (frame, tags) = read_image(path, &Limits::default())?;
                Ok(RgbImage {
                    alpha: None,
                    ..frame.to_rgb(&tags)
                })
            }
            Self::Yuv { path, index, size } => read_yuv(path, *index, *size),
        }
    }
}

/// Returns the bytes of an 8-bit 4:2:0 frame.
pub(super) fn yuv_bytes([width, height]: [u32; 2]) -> u64 {
    u64::from(width) * u64::from(height) * 3 / 2
}

/// Reads the frame `index` of a raw clip.
fn read_yuv(path: &Path, index: u64, size: [u32; 2]) -> Result<RgbImage> {
    let mut bytes = vec![0; yuv_bytes(size) as usize];
    let mut file = rife_files::open_regular(path).map_err(|error| Error::io("open", path, error))?;
    file.seek(SeekFrom::Start(index * yuv_bytes(size)))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|error| Error::io("read", path, error))?;
    Ok(yuv_to_rgb(&bytes, size))
}

/// Converts raw 4:2:0 to RGB as the paper's HD script does: chroma upsampled by Catmull-Rom in 8 bits, BT.601 coefficients
/// without an offset for luma (limited range is not expanded), and truncation, not rounding, to 8 bits.
fn yuv_to_rgb(bytes: &[u8], [width, height]: [u32; 2]) -> RgbImage {
    let (width, height) = (width as usize, height as usize);
    let (luma, chroma) = bytes.split_at(width * height);
    let (u, v) = chroma.split_at(chroma.len() / 2);
    let [u, v] = [u, v].map(|plane| doubled(plane, width / 2, height / 2));
    let mut data = vec![0.0; 3 * width * height];
    let (red, rest) = data.split_at_mut(width * height);
    let (green, blue) = rest.split_at_mut(width * height);
    for (i, luma) in luma.iter().enumerate() {
        let [y, u, v] = [f64::from(*luma), f64::from(u[i]) - 127.5, f64::from(v[i]) - 127.5];
        let levels = [
            y + 1.139_883_025_203 * v,
            y - 0.394_642_233_974 * u - 0.580_621_847_591 * v,
            y + 2.032_061_872_219 * u,
        ];
        let [r, g, b] = levels.map(|level| level.clamp(0.0, 255.0).floor() as f32 / 255.0);
        (red[i], green[i], blue[i]) = (r, g, b);
    }
    RgbImage::new(width as u32, height as u32, data)
}

/// Upsamples a plane to twice its size: Catmull-Rom along rows, then along columns, rounded to 8 bits after each.
fn doubled(plane: &[u8], width: usize, height: usize) -> Vec<u8> {
    let wide: Vec<u8> = plane
        .chunks_exact(width)
        .flat_map(|row| (0..2 * width).map(|x| sample(row, x)))
        .collect();
    let mut tall = vec![0; 4 * width * height];
    for x in 0..2 * width {
        let column: Vec<u8> = wide.iter().skip(x).step_by(2 * width).copied().collect();
        for y in 0..2 * height {
            tall[y * 2 * width + x] = sample(&column, y);
        }
    }
    tall
}

/// Returns the value at `index` of a line upsampled by 2. Taps beyond an end are left out, and the weights of the others are
/// normalised.
fn sample(line: &[u8], index: usize) -> u8 {
    let (pixel, odd) = (index / 2, index % 2 == 1);
    // Weights of the four neighbours of a point a quarter of a pixel to the right of the second one.
    const WEIGHTS: [f64; 4] = [-9.0 / 128.0, 111.0 / 128.0, 29.0 / 128.0, -3.0 / 128.0];
    let (mut sum, mut total) = (0.0, 0.0);
    for (tap, weight) in WEIGHTS.iter().enumerate() {
        let position = if odd {
            (pixel + tap).checked_sub(1)
        } else {
            (pixel + 1).checked_sub(tap)
        };
        if let Some(value) = position.and_then(|position| line.get(position)) {
            sum += weight * f64::from(*value);
            total += weight;
        }
    }
    (sum / total + 0.5).floor().clamp(0.0, 255.0) as u8
}

/// Reduces an image to half its size by the mean of each 2x2 pixels; an odd last row or column is left out.
pub(super) fn halved(image: &RgbImage) -> RgbImage {
    let stride = image.width as usize;
    let (width, height) = (stride / 2, image.height as usize / 2);
    let planes = image.data.chunks_exact(stride * image.height as usize);
    let data = planes.flat_map(|plane| {
        let at = move |x: usize, y: usize| plane[y * stride + x];
        let mean = move |x: usize, y: usize| {
            (at(2 * x, 2 * y) + at(2 * x + 1, 2 * y) + at(2 * x, 2 * y + 1) + at(2 * x + 1, 2 * y + 1)) / 4.0
        };
        (0..height).flat_map(move |y| (0..width).map(move |x| mean(x, y)))
    });
    RgbImage::new(width as u32, height as u32, data.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_frames_become_rgb() {
        let size = [4, 2];
        let gray = [[100; 8].as_slice(), &[128; 4]].concat();
        let rgb = yuv_to_rgb(&gray, size);
        let level = |value: f32| (value * 255.0).round();
        assert_eq!(level(rgb.data[0]), 100.0, "100 + 1.14 * 0.5, cut down");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.yuv");
        std::fs::write(&path, [[50; 12], [90; 12]].concat()).unwrap();
        let read = |index| {
            FrameFile::Yuv {
                path: path.clone(),
                index,
                size,
            }
            .read()
        };
        assert_ne!(read(0).unwrap(), read(1).unwrap());
        assert!(read(2).unwrap_err().to_string().contains("clip.yuv"));
    }

    #[test]
    fn chroma_is_enlarged_smoothly() {
        assert_eq!(doubled(&[7; 6], 3, 2), [7; 24]);
        let row: Vec<u8> = (0..8).map(|x| sample(&[0, 100, 100, 0], x)).collect();
        assert!(
            row[0] < 5 && row[3] > 100 && row[4] > 100 && row[7] < 5,
            "{row:?}"
        );
        assert!(row.iter().eq(row.iter().rev()), "symmetric: {row:?}");
    }

    #[test]
    fn halving_takes_means() {
        let image = RgbImage::new(2, 2, (0..12).map(|v| v as f32).collect());
        assert_eq!(halved(&image).data, [1.5, 5.5, 9.5]);
    }
}
