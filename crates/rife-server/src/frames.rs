//! Single frames of a file, for thumbnails and as pictures to go on with.

use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use rife::media::{
    CancelToken, ColorTags, Frame, Input, MediaError, Orientation, RgbImage, Source, SourceSpec, open_source,
    time,
};

use crate::error::{ApiError, Code, Names, Result};
use crate::reason::Reason;

/// Seconds by which a frame may begin after the time that is asked for: clocks of a page count in thousandths.
const EARLY: f64 = 0.0005;
/// Quality of thumbnails and previews.
const QUALITY: u8 = 82;

/// Which frame of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    /// By number, counted from 1.
    Number(u64),
    /// The one that is shown so many seconds after the first one's time; the last one after its end.
    At(f64),
}

/// A frame of a file as it is displayed.
pub(crate) fn read(
    path: &Path,
    which: Which,
    cancel: &CancelToken,
    names: &Names,
) -> Result<(Frame, ColorTags)> {
    let spec = SourceSpec {
        orientation: Orientation::Apply,
        allow_interlaced: true,
        cancel: cancel.clone(),
        ..SourceSpec::new(Input::parse(path))
    };
    let refused = |error: MediaError| ApiError::from_library(&error.into(), names);
    let mut source = open_source(&spec).map_err(refused)?;
    let tags = source.info().tags;
    let found = match which {
        Which::Number(number) => numbered(source.as_mut(), number),
        Which::At(time) => shown_at(source.as_mut(), time),
    };
    match found.map_err(refused)? {
        Ok(frame) => Ok((frame, tags)),
        Err(seen) => Err(missing(which, seen)),
    }
}

/// The frame of a number, else how many there are.
fn numbered(
    source: &mut dyn Source,
    number: u64,
) -> std::result::Result<std::result::Result<Frame, u64>, MediaError> {
    let mut seen = 0;
    while let Some(frame) = source.next_frame()? {
        seen += 1;
        if seen == number {
            return Ok(Ok(frame));
        }
    }
    Ok(Err(seen))
}

/// The last frame that begins no later than `wanted` seconds after the first one.
fn shown_at(
    source: &mut dyn Source,
    wanted: f64,
) -> std::result::Result<std::result::Result<Frame, u64>, MediaError> {
    let mut found: Option<(f64, Frame)> = None;
    while let Some(frame) = source.next_frame()? {
        let start = time::seconds(frame.pts);
        let first = found.as_ref().map_or(start, |(first, _)| *first);
        if found.is_some() && start - first > wanted + EARLY {
            break;
        }
        found = Some((first, frame));
    }
    Ok(found.map(|(_, frame)| frame).ok_or(0))
}

fn missing(which: Which, seen: u64) -> ApiError {
    let Which::Number(number) = which else {
        return ApiError::because(Code::NoFrame, Reason::NoFrames, []);
    };
    let pairs = [("number", number.into()), ("frames", seen.into())];
    ApiError::because(Code::NoFrame, Reason::NoFrame, pairs).with("frames", seen)
}

/// `image` at most `width` wide, by the means of blocks.
pub(crate) fn shrink(image: &RgbImage, width: u32) -> RgbImage {
    let step = image.width.div_ceil(width.max(1)).max(1);
    if step == 1 {
        return image.clone();
    }
    let (width, height) = ((image.width / step).max(1), (image.height / step).max(1));
    let mut data = Vec::with_capacity(3 * (width * height) as usize);
    for channel in image.channels() {
        for y in 0..height {
            data.extend((0..width).map(|x| mean(channel, image, [x, y], step)));
        }
    }
    RgbImage::new(width, height, data)
}

fn mean(channel: &[f32], image: &RgbImage, [x, y]: [u32; 2], step: u32) -> f32 {
    let (columns, rows) = (step.min(image.width), step.min(image.height));
    let mut sum = 0.0;
    for row in y * step..y * step + rows {
        let from = (row * image.width + x * step) as usize;
        sum += channel[from..from + columns as usize].iter().sum::<f32>();
    }
    sum / (columns * rows) as f32
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
pub(crate) fn png(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(&codes(image), image.width, image.height, ExtendedColorType::Rgb8)
        .map_err(ApiError::internal)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
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
    fn frames_become_pictures() {
        let image = RgbImage::new(32, 16, vec![0.5; 3 * 32 * 16]);
        assert_eq!(&jpeg(&image).unwrap()[..2], [0xff, 0xd8]);
        assert_eq!(&png(&image).unwrap()[1..4], b"PNG");
    }
}
