//! JPEG and PNG pictures of frames for thumbnails and previews, scaled down by the mean over each pixel's area.

use std::ops::Range;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use rife::media::{ColorTags, Frame, Plane, RgbImage, Samples};

use crate::error::{ApiError, Result};

/// Quality of thumbnails and previews.
const QUALITY: u8 = 82;
/// The tallest thumbnail: a narrow picture may be as tall as it likes.
const TALLEST: u32 = 4096;
/// Rows that are converted at a time: a multiple of all that chroma is halved by.
const BAND: u32 = 256;

/// Some rows of a frame as a picture, so that a large one is never held in floats as a whole.
fn bands(frame: &Frame, tags: &ColorTags) -> impl Iterator<Item = RgbImage> {
    // A matrix that is not told goes by the size of the whole.
    let tags = ColorTags {
        matrix: tags.effective_matrix(frame.width, frame.height),
        ..*tags
    };
    let starts = (0..frame.height).step_by(BAND as usize);
    starts.map(move |from| rows(frame, from..(from + BAND).min(frame.height)).to_rgb(&tags))
}

fn rows(frame: &Frame, rows: Range<u32>) -> Frame {
    let planes = frame.planes.iter().map(|plane| {
        // Chroma rows are those of several rows of luma; bands begin at multiples of that.
        let shared = frame.height.div_ceil(plane.height.max(1)).max(1);
        let (from, to) = (rows.start / shared, rows.end.div_ceil(shared).min(plane.height));
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

/// A JPEG of a frame, `width` wide where the frame is wider.
pub(crate) fn thumbnail(frame: &Frame, tags: &ColorTags, width: u32) -> Result<Vec<u8>> {
    let mut shrinker = Shrinker::new([frame.width, frame.height], width);
    bands(frame, tags).for_each(|band| shrinker.add(&band));
    jpeg(&shrinker.finish())
}

/// `image` at most `width` wide, by the means of what each pixel covers.
pub(crate) fn shrink(image: &RgbImage, width: u32) -> RgbImage {
    let mut shrinker = Shrinker::new([image.width, image.height], width);
    if shrinker.to == shrinker.from {
        return image.clone();
    }
    shrinker.add(image);
    shrinker.finish()
}

/// Makes a picture smaller as its rows come: a pixel is the mean of what it covers, parts of pixels by their area.
struct Shrinker {
    from: [u32; 2],
    to: [u32; 2],
    /// Rows that have come.
    rows: u32,
    sums: Vec<f32>,
}

impl Shrinker {
    fn new(from: [u32; 2], width: u32) -> Self {
        let scale = [(width, from[0]), (TALLEST, from[1])]
            .map(|(most, side)| f64::from(most) / f64::from(side.max(1)));
        let scale = scale[0].min(scale[1]).min(1.0);
        let to = from.map(|side| ((f64::from(side) * scale).round() as u32).max(1));
        Self {
            from,
            to,
            rows: 0,
            sums: vec![0.0; 3 * to[0] as usize * to[1] as usize],
        }
    }

    /// Adds rows.
    fn add(&mut self, image: &RgbImage) {
        let width = image.width as usize;
        let tall = f64::from(self.from[1]) / f64::from(self.to[1]);
        for y in 0..image.height as usize {
            let row = f64::from(self.rows);
            self.rows += 1;
            // The rows of the result that this one is a part of: two where it lies across a border.
            let first = (row / tall).floor() as u32;
            let last = (((row + 1.0) / tall).ceil() as u32).min(self.to[1]);
            for target in first..last {
                let (from, to) = (f64::from(target) * tall, f64::from(target + 1) * tall);
                let share = ((row + 1.0).min(to) - row.max(from)) / tall;
                if share > 0.0 {
                    for (index, channel) in image.channels().into_iter().enumerate() {
                        self.add_row(index, &channel[y * width..][..width], target, share as f32);
                    }
                }
            }
        }
    }

    fn add_row(&mut self, channel: usize, row: &[f32], target: u32, share: f32) {
        let [width, height] = self.to.map(|side| side as usize);
        let wide = f64::from(self.from[0]) / f64::from(self.to[0]);
        let sums = &mut self.sums[(channel * height + target as usize) * width..][..width];
        for (x, sum) in sums.iter_mut().enumerate() {
            *sum += share * mean(row, x as f64 * wide, (x + 1) as f64 * wide);
        }
    }

    fn finish(self) -> RgbImage {
        RgbImage::new(self.to[0], self.to[1], self.sums)
    }
}

/// The mean of a row between two places in it.
fn mean(row: &[f32], from: f64, to: f64) -> f32 {
    let first = (from.floor() as usize).min(row.len() - 1);
    let last = (to.ceil() as usize).clamp(first + 1, row.len()) - 1;
    if first == last {
        return row[first];
    }
    let whole: f32 = row[first + 1..last].iter().sum();
    let left = (first as f64 + 1.0 - from) as f32 * row[first];
    let right = (to - last as f64) as f32 * row[last];
    (left + whole + right) / (to - from) as f32
}

/// Codes of 8 bits, red, green and blue of each pixel.
fn codes(image: &RgbImage) -> Vec<u8> {
    let [red, green, blue] = image.channels();
    let code = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let pixels = red.iter().zip(green).zip(blue);
    pixels
        .flat_map(|((r, g), b)| [code(*r), code(*g), code(*b)])
        .collect()
}

/// A JPEG.
pub(crate) fn jpeg(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .write_image(&codes(image), image.width, image.height, ExtendedColorType::Rgb8)
        .map_err(ApiError::internal)?;
    Ok(bytes)
}

/// A PNG of 8 bits.
pub(crate) fn png(frame: &Frame, tags: &ColorTags) -> Result<Vec<u8>> {
    let codes: Vec<u8> = bands(frame, tags).flat_map(|band| codes(&band)).collect();
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
        let small = shrink(&image, 2);
        assert_eq!((small.width, small.height), (2, 1));
        assert_eq!(small.data[..2], [2.5, 4.5]);
        assert_eq!(shrink(&image, 100), image);
        let tall = shrink(&RgbImage::new(1, 64, vec![0.5; 192]), 1);
        assert_eq!((tall.width, tall.height), (1, 64));
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
            let small = shrink(&RgbImage::new(size[0], size[1], vec![0.25; count]), width);
            assert_eq!([small.width, small.height], expected);
            assert!(
                small.data.iter().all(|value| (value - 0.25).abs() < 1e-5),
                "{size:?}"
            );
        }
        // A third of the middle pixel goes to either side.
        let small = shrink(&RgbImage::new(3, 1, [0.0, 3.0, 9.0].repeat(3)), 2);
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
            let whole = codes(&frame.to_rgb(&tags));
            let banded: Vec<u8> = bands(&frame, &tags).flat_map(|band| codes(&band)).collect();
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
