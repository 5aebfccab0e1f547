//! JPEG and PNG encoding of frames for thumbnails and previews, with area-averaging downscaling (box filter).

use std::ops::Range;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use rife::media::{ColorTags, Frame, Plane, RgbImage, Samples};

use crate::error::{ApiError, Result};

/// JPEG quality, 1 to 100.
const QUALITY: u8 = 82;
/// Maximum height of a thumbnail in pixels.
const MAX_HEIGHT: u32 = 4096;
/// Rows of a frame that are converted to RGB at a time: a multiple of every vertical chroma subsampling.
const BAND_ROWS: u32 = 256;

/// Converts a frame to RGB in bands of [`BAND_ROWS`] rows, so that a large frame is never held in floats at once.
fn bands(frame: &Frame, tags: &ColorTags) -> impl Iterator<Item = RgbImage> {
    // The default matrix depends on the size of the frame, not of a band.
    let tags = ColorTags {
        matrix: tags.effective_matrix(frame.width, frame.height),
        ..*tags
    };
    let starts = (0..frame.height).step_by(BAND_ROWS as usize);
    starts.map(move |from| rows(frame, from..(from + BAND_ROWS).min(frame.height)).to_rgb(&tags))
}

/// Returns a frame with some rows of `frame`; `rows.start` must be a multiple of the vertical chroma subsampling.
fn rows(frame: &Frame, rows: Range<u32>) -> Frame {
    let planes = frame.planes.iter().map(|plane| {
        // Rows of luma per row of this plane.
        let subsampling = frame.height.div_ceil(plane.height.max(1)).max(1);
        let (from, to) = (
            rows.start / subsampling,
            rows.end.div_ceil(subsampling).min(plane.height),
        );
        let range = from as usize * plane.width as usize..to as usize * plane.width as usize;
        Plane {
            width: plane.width,
            height: to - from,
            samples: match &plane.samples {
                Samples::U8(samples) => Samples::U8(samples[range].to_vec()),
                Samples::U16(samples) => Samples::U16(samples[range].to_vec()),
                Samples::F32(samples) => Samples::F32(samples[range].to_vec()),
            },
        }
    });
    Frame {
        width: frame.width,
        height: rows.end - rows.start,
        format: frame.format,
        planes: planes.collect(),
        pts: frame.pts,
        duration: frame.duration,
    }
}

/// Encodes a frame as a JPEG at most `width` pixels wide and [`MAX_HEIGHT`] high.
pub(crate) fn thumbnail(frame: &Frame, tags: &ColorTags, width: u32) -> Result<Vec<u8>> {
    let mut downscaler = Downscaler::new([frame.width, frame.height], width);
    bands(frame, tags).for_each(|band| downscaler.add(&band));
    jpeg(&downscaler.finish())
}

/// Downscales a picture to at most `width` pixels of width and [`MAX_HEIGHT`] of height by area averaging.
pub(crate) fn downscale(image: &RgbImage, width: u32) -> RgbImage {
    let mut downscaler = Downscaler::new([image.width, image.height], width);
    if downscaler.to == downscaler.from {
        return image.clone();
    }
    downscaler.add(image);
    downscaler.finish()
}

/// Streaming box filter: an output pixel is the mean of the input pixels that it covers, weighted by covered area.
struct Downscaler {
    /// Width and height of the input.
    from: [u32; 2],
    /// Width and height of the output.
    to: [u32; 2],
    /// Number of input rows so far.
    rows: u32,
    /// Output values, planar [3, height, width].
    sums: Vec<f32>,
}

impl Downscaler {
    /// Creates a filter from the size `from` to at most `width` pixels of width, with the same aspect ratio.
    fn new(from: [u32; 2], width: u32) -> Self {
        let scale = [(width, from[0]), (MAX_HEIGHT, from[1])]
            .map(|(max, side)| f64::from(max) / f64::from(side.max(1)));
        let scale = scale[0].min(scale[1]).min(1.0);
        let to = from.map(|side| ((f64::from(side) * scale).round() as u32).max(1));
        Self {
            from,
            to,
            rows: 0,
            sums: vec![0.0; 3 * to[0] as usize * to[1] as usize],
        }
    }

    /// Adds the next rows of the input.
    fn add(&mut self, image: &RgbImage) {
        let width = image.width as usize;
        let ratio = f64::from(self.from[1]) / f64::from(self.to[1]);
        for y in 0..image.height as usize {
            let row = f64::from(self.rows);
            self.rows += 1;
            // The output rows that this input row overlaps.
            let first = (row / ratio).floor() as u32;
            let last = (((row + 1.0) / ratio).ceil() as u32).min(self.to[1]);
            for target in first..last {
                let (from, to) = (f64::from(target) * ratio, f64::from(target + 1) * ratio);
                let weight = ((row + 1.0).min(to) - row.max(from)) / ratio;
                if weight > 0.0 {
                    for (index, channel) in image.channels().into_iter().enumerate() {
                        self.add_row(index, &channel[y * width..][..width], target, weight as f32);
                    }
                }
            }
        }
    }

    /// Adds an input row of one channel to output row `target`, with the fraction `weight` of its height.
    fn add_row(&mut self, channel: usize, row: &[f32], target: u32, weight: f32) {
        let [width, height] = self.to.map(|side| side as usize);
        let ratio = f64::from(self.from[0]) / f64::from(self.to[0]);
        let sums = &mut self.sums[(channel * height + target as usize) * width..][..width];
        for (x, sum) in sums.iter_mut().enumerate() {
            *sum += weight * mean(row, x as f64 * ratio, (x + 1) as f64 * ratio);
        }
    }

    /// Returns the output after all rows have been added.
    fn finish(self) -> RgbImage {
        RgbImage::new(self.to[0], self.to[1], self.sums)
    }
}

/// Returns the mean of `row` from position `from` to `to`, in pixels, with fractional pixels at both ends.
fn mean(row: &[f32], from: f64, to: f64) -> f32 {
    let first = (from.floor() as usize).min(row.len() - 1);
    let last = (to.ceil() as usize).clamp(first + 1, row.len()) - 1;
    if first == last {
        return row[first];
    }
    let inner: f32 = row[first + 1..last].iter().sum();
    let left = (first as f64 + 1.0 - from) as f32 * row[first];
    let right = (to - last as f64) as f32 * row[last];
    (left + inner + right) / (to - from) as f32
}

/// Converts a picture with values in 0..1 to interleaved 8-bit RGB.
fn to_rgb8(image: &RgbImage) -> Vec<u8> {
    let [red, green, blue] = image.channels();
    let code = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let pixels = red.iter().zip(green).zip(blue);
    pixels
        .flat_map(|((r, g), b)| [code(*r), code(*g), code(*b)])
        .collect()
}

/// Encodes a picture as a JPEG.
pub(crate) fn jpeg(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .write_image(
            &to_rgb8(image),
            image.width,
            image.height,
            ExtendedColorType::Rgb8,
        )
        .map_err(ApiError::internal)?;
    Ok(bytes)
}

/// Encodes a frame as an 8-bit RGB PNG in full size.
pub(crate) fn png(frame: &Frame, tags: &ColorTags) -> Result<Vec<u8>> {
    let codes: Vec<u8> = bands(frame, tags).flat_map(|band| to_rgb8(&band)).collect();
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(&codes, frame.width, frame.height, ExtendedColorType::Rgb8)
        .map_err(ApiError::internal)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use rife::media::PixelFormat;

    use super::*;

    #[test]
    fn shrinking_takes_means_and_never_grows() {
        let image = RgbImage::new(4, 2, (0..24).map(|value| value as f32).collect());
        let small = downscale(&image, 2);
        assert_eq!((small.width, small.height), (2, 1));
        assert_eq!(small.data[..2], [2.5, 4.5]);
        assert_eq!(downscale(&image, 100), image);
        let ratio = downscale(&RgbImage::new(1, 64, vec![0.5; 192]), 1);
        assert_eq!((ratio.width, ratio.height), (1, 64));
    }

    #[test]
    fn any_width_up_to_the_pictures_own_is_made_exactly() {
        for (size, width, expected) in [
            ([640, 360], 480, [480, 270]),
            ([640, 360], 639, [639, 359]),
            ([1000, 3], 16, [16, 1]),
            ([33, 17], 32, [32, 16]),
            ([16, 16384], 16, [4, 4096]),
        ] {
            let count = 3 * (size[0] * size[1]) as usize;
            let small = downscale(&RgbImage::new(size[0], size[1], vec![0.25; count]), width);
            assert_eq!([small.width, small.height], expected);
            assert!(
                small.data.iter().all(|value| (value - 0.25).abs() < 1e-5),
                "{size:?}"
            );
        }
        // A third of the middle pixel goes to either side.
        let small = downscale(&RgbImage::new(3, 1, [0.0, 3.0, 9.0].repeat(3)), 2);
        assert!((small.data[0] - 1.0).abs() < 1e-6 && (small.data[1] - 7.0).abs() < 1e-6);
    }

    #[test]
    fn bands_are_the_rows_of_the_whole() {
        for format in [PixelFormat::YUV420P, PixelFormat::YUV420P10, PixelFormat::RGB8] {
            let mut frame = Frame::zeroed(18, 601, format);
            for plane in &mut frame.planes {
                let width = plane.width as usize;
                let code = |index: usize| (index / width * 7 % 200) + index % width;
                match &mut plane.samples {
                    Samples::U8(samples) => samples
                        .iter_mut()
                        .enumerate()
                        .for_each(|(i, s)| *s = code(i) as u8),
                    Samples::U16(samples) => samples
                        .iter_mut()
                        .enumerate()
                        .for_each(|(i, s)| *s = code(i) as u16),
                    Samples::F32(_) => unreachable!("none of these"),
                }
            }
            let tags = ColorTags::default();
            let whole = to_rgb8(&frame.to_rgb(&tags));
            let banded: Vec<u8> = bands(&frame, &tags).flat_map(|band| to_rgb8(&band)).collect();
            assert!(whole == banded, "{format}");
        }
    }

    #[test]
    fn frames_become_pictures() {
        let image = RgbImage::new(32, 16, vec![0.5; 3 * 32 * 16]);
        assert_eq!(&jpeg(&image).unwrap()[..2], [0xff, 0xd8]);
        let frame = Frame::zeroed(32, 16, PixelFormat::RGB8);
        assert_eq!(&png(&frame, &ColorTags::default()).unwrap()[1..4], b"PNG");
    }
}
