//! Images of an example in the report: frames, flow as colours, mask and error, as `data:` URLs.

use std::io::Cursor;

use anyhow::Result;
use base64::Engine;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};

use crate::data::Picture;

/// Factor by which errors are amplified.
const ERROR_GAIN: u16 = 4;
/// JPEG quality of frames, 1 to 100.
const QUALITY: u8 = 90;

/// A held-out sample with the network's outputs.
#[derive(Debug, Clone)]
pub struct Example {
    /// Name of the sample.
    pub name: String,
    /// First frame, true middle frame, second frame.
    pub frames: [Picture; 3],
    /// Timestep of the middle frame.
    pub time: f32,
    /// The interpolated frame.
    pub made: Picture,
    /// Flow in pixels, `[4, height, width]`: x and y to the first frame, x and y to the second.
    pub flow: Vec<f32>,
    /// Weight of the first warped frame, 0 to 1: `[height, width]`.
    pub mask: Vec<f32>,
    /// PSNR of the interpolated frame in dB.
    pub psnr: f64,
}

impl Example {
    /// Encodes the images as captions and `data:` URLs.
    ///
    /// Errors: an image that cannot be encoded.
    pub fn pictures(&self) -> Result<Vec<(String, String)>> {
        let [first, truth, second] = &self.frames;
        let flows = self.flow.split_at(self.flow.len() / 2);
        let reach = reach(&self.flow);
        let size = truth.size();
        let flow = |flow| data_address(&flow_colours(flow, size, reach), ImageFormat::Png);
        let frame = |picture| data_address(picture, ImageFormat::Jpeg);
        let pictures = [
            ("both frames, laid over each other", frame(&mean(first, second))?),
            ("truth", frame(truth)?),
            ("made (the blend)", frame(&self.made)?),
            ("error, 4 times", frame(&error(&self.made, truth))?),
            ("flow to the first", flow(flows.0)?),
            ("flow to the second", flow(flows.1)?),
            (
                "mask: white is the first frame",
                data_address(&grey(&self.mask, size), ImageFormat::Png)?,
            ),
        ];
        let mut pictures = pictures
            .map(|(caption, address)| (caption.to_owned(), address))
            .to_vec();
        pictures[4].0 = format!("flow to the first, full colour at {reach:.1} pixels");
        Ok(pictures)
    }
}

/// Returns the 98th percentile of the flow's length in pixels, at least 0.5.
fn reach(flow: &[f32]) -> f32 {
    let plane = flow.len() / 4;
    let length = |i: usize| {
        let at = |channel: usize| flow[channel * plane + i];
        at(0).hypot(at(1)).max(at(2).hypot(at(3)))
    };
    let mut lengths: Vec<_> = (0..plane).map(length).collect();
    lengths.sort_by(f32::total_cmp);
    let high = lengths.get(plane * 98 / 100).copied().unwrap_or(0.0);
    if high.is_finite() { high.max(0.5) } else { 0.5 }
}

/// Colours a flow `[2, height, width]`: direction as hue, length as saturation (full at `reach` pixels), no motion as white.
fn flow_colours(flow: &[f32], [height, width]: [usize; 2], reach: f32) -> Picture {
    Picture::from_fn([height, width], |y, x| {
        let i = y * width + x;
        let (dx, dy) = (flow[i], flow[height * width + i]);
        let length = (dx.hypot(dy) / reach).min(1.0);
        let turn = dy.atan2(dx) / std::f32::consts::TAU;
        [0.0, 1.0 / 3.0, 2.0 / 3.0].map(|hue| {
            let distance = ((turn - hue).rem_euclid(1.0) - 0.5).abs() * 6.0;
            let full = (distance - 1.0).clamp(0.0, 1.0);
            (255.0 * (1.0 - length * (1.0 - full))).round() as u8
        })
    })
}

/// Converts a plane in 0..1 to a grey image.
fn grey(values: &[f32], [height, width]: [usize; 2]) -> Picture {
    Picture::from_fn([height, width], |y, x| {
        [(values[y * width + x] * 255.0).round() as u8; 3]
    })
}

/// Averages two images.
fn mean(a: &Picture, b: &Picture) -> Picture {
    paired(a, b, |a, b| a.midpoint(b))
}

/// Computes the amplified absolute difference of two images.
fn error(a: &Picture, b: &Picture) -> Picture {
    paired(a, b, |a, b| {
        (u16::from(a.abs_diff(b)) * ERROR_GAIN).min(255) as u8
    })
}

/// Applies `f` to each pair of code values of two images of one size.
fn paired(a: &Picture, b: &Picture, f: impl Fn(u8, u8) -> u8) -> Picture {
    let pixels = a.pixels().iter().zip(b.pixels()).map(|(a, b)| f(*a, *b));
    Picture::new(a.size(), pixels.collect())
}

/// Encodes an image as a `data:` URL.
fn data_address(picture: &Picture, format: ImageFormat) -> Result<String> {
    let [height, width] = picture.size();
    let image = RgbImage::from_raw(width as u32, height as u32, picture.pixels().to_vec())
        .expect("a picture has as many pixels as its size says");
    let mut bytes = Vec::new();
    if format == ImageFormat::Jpeg {
        image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
    } else {
        image.write_to(&mut Cursor::new(&mut bytes), format)?;
    }
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    Ok(format!("data:{};base64,{text}", format.to_mime_type()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::watch) fn example() -> Example {
        let frame = |grey: u8| Picture::new([2, 2], vec![grey; 12]);
        Example {
            name: "window 0".to_owned(),
            frames: [frame(0), frame(50), frame(100)],
            time: 0.5,
            made: frame(60),
            flow: [3.0, -3.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0].repeat(2),
            mask: vec![0.0, 0.25, 0.5, 1.0],
            psnr: 28.13,
        }
    }

    #[test]
    fn flow_has_a_colour_for_each_direction_and_white_for_none() {
        let plane = 4;
        let flow: Vec<f32> = [[2.0, -2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]].concat();
        let picture = flow_colours(&flow, [1, plane], 2.0);
        assert_eq!(picture.at(0, 0), [255, 0, 0], "to the right");
        assert_eq!(picture.at(0, 1), [0, 255, 255], "to the left");
        assert_eq!(picture.at(0, 2), [255, 255, 255], "nowhere");
        let [red, green, blue] = picture.at(0, 3);
        assert!(green == 255 && blue == 0 && (120..=135).contains(&red), "down");
    }

    #[test]
    fn every_picture_can_be_decoded_again() {
        for (caption, address) in example().pictures().unwrap() {
            let (_, text) = address.split_once("base64,").unwrap();
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
            let image = image::load_from_memory(&bytes).unwrap();
            assert_eq!((image.width(), image.height()), (2, 2), "{caption}");
        }
        assert_eq!(error(&example().made, &example().frames[1]).at(0, 0), [40; 3]);
    }
}
