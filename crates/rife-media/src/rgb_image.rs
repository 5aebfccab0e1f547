//! Planar RGB image (CHW) of 32-bit floats, the input and output of networks and metrics; reads and writes image files.
//! Conversion from and to interleaved integer buffers is in `interleaved`, the sRGB curve in `srgb`.

mod interleaved;
mod srgb;

use std::path::Path;

pub use srgb::{srgb_decode, srgb_encode};

use crate::{ColorTags, Frame, Limits, PixelFormat, Result, Transfer, read_image, write_image};

/// An RGB image of planar floats, [3, height, width], nominally 0 to 1 and not clamped, with optional alpha.
///
/// Values are gamma-encoded as in image files (sRGB for a PNG), not linear light.
///
/// ```
/// use rife_media::RgbImage;
///
/// // Two pixels of interleaved 8-bit codes: red and white.
/// let image = RgbImage::from_rgb8(2, 1, &[255, 0, 0, 255, 255, 255])?;
/// assert_eq!(image.channels(), [&[1.0, 1.0], &[0.0, 1.0], &[0.0, 1.0]]);
/// assert_eq!(image.to_rgb8(), [255, 0, 0, 255, 255, 255]);
/// # Ok::<(), rife_media::MediaError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RgbImage {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `3 * width * height` values: the red plane, the green plane, the blue plane, rows without padding.
    pub data: Vec<f32>,
    /// `width * height` values of straight alpha, 0 to 1; `None` for an opaque image.
    pub alpha: Option<Vec<f32>>,
}

impl RgbImage {
    /// Creates an image without alpha from planar `data`, [3, height, width].
    ///
    /// # Panics
    /// Panics where the length of `data` is not `3 * width * height`.
    pub fn new(width: u32, height: u32, data: Vec<f32>) -> Self {
        assert_eq!(
            data.len(),
            3 * width as usize * height as usize,
            "planar RGB of {width}x{height}"
        );
        Self {
            width,
            height,
            data,
            alpha: None,
        }
    }

    /// Reads an image file: PNG, JPEG, WebP, TIFF, EXR, BMP or PNM, recognised by content. A file of linear light (EXR) is
    /// encoded with the sRGB curve; its values above 1 become 1.
    ///
    /// # Errors
    /// [`MediaError::Io`](crate::MediaError::Io) where the file cannot be opened,
    /// [`MediaError::Unreadable`](crate::MediaError::Unreadable) where its format is unknown or it is damaged,
    /// [`MediaError::Limit`](crate::MediaError::Limit) where it is too large.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let (frame, tags) = read_image(path.as_ref(), &Limits::default())?;
        let mut image = frame.to_rgb(&tags);
        if tags.transfer == Transfer::Linear {
            image
                .data
                .iter_mut()
                .for_each(|value| *value = srgb_encode(*value));
        }
        Ok(image)
    }

    /// Writes the image with 8 bits per channel, in the format of the path's extension: png, jpg, webp, tiff, or exr (linear
    /// light, 32-bit floats). An existing file is replaced once the new one is complete. JPEG drops alpha.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`](crate::MediaError::Unsupported) for another extension,
    /// [`MediaError::Io`](crate::MediaError::Io) where the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_codes(path.as_ref(), PixelFormat::RGB8)
    }

    /// Writes the image as [`RgbImage::save`] does, but with 16 bits per channel in PNG and TIFF.
    ///
    /// # Errors
    /// [`MediaError::Unsupported`](crate::MediaError::Unsupported) for another extension,
    /// [`MediaError::Io`](crate::MediaError::Io) where the file cannot be written.
    pub fn save_16(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_codes(path.as_ref(), PixelFormat::RGB16)
    }

    /// Writes the image in the pixel format `format`, or for the extension exr as linear 32-bit floats.
    fn save_codes(&self, path: &Path, format: PixelFormat) -> Result<()> {
        let alpha = self.alpha.is_some();
        if !crate::source::has_extension(path, "exr") {
            let frame = Frame::from_rgb(self, format.with_alpha(alpha), &ColorTags::SRGB);
            return write_image(path, &frame, &ColorTags::SRGB, true);
        }
        let mut image = self.clone();
        image
            .data
            .iter_mut()
            .for_each(|value| *value = srgb_decode(*value));
        let tags = ColorTags {
            transfer: Transfer::Linear,
            ..ColorTags::SRGB
        };
        let frame = Frame::from_rgb(&image, PixelFormat::RGBF32.with_alpha(alpha), &tags);
        write_image(path, &frame, &tags, true)
    }

    /// Returns the image with premultiplied alpha, as needed before pixels are averaged; unchanged without alpha.
    pub fn premultiplied(mut self) -> Self {
        if let Some(alpha) = &self.alpha {
            for plane in self.data.chunks_exact_mut(alpha.len().max(1)) {
                plane
                    .iter_mut()
                    .zip(alpha)
                    .for_each(|(value, alpha)| *value *= alpha);
            }
        }
        self
    }

    /// Returns the image with straight alpha, the inverse of [`RgbImage::premultiplied`]: colours divided by alpha, at most
    /// 1, and black where alpha is at most 0.0001.
    pub fn unpremultiplied(mut self) -> Self {
        if let Some(alpha) = &self.alpha {
            for plane in self.data.chunks_exact_mut(alpha.len().max(1)) {
                for (value, &alpha) in plane.iter_mut().zip(alpha) {
                    *value = if alpha > 1e-4 {
                        (*value / alpha).min(1.0)
                    } else {
                        0.0
                    };
                }
            }
        }
        self
    }

    /// Returns the red, green and blue planes.
    pub fn channels(&self) -> [&[f32]; 3] {
        let (red, rest) = self.data.split_at(self.data.len() / 3);
        let (green, blue) = rest.split_at(rest.len() / 2);
        [red, green, blue]
    }

    /// Returns the image downscaled by `factor` with a box filter, without alpha. Remaining columns and rows are cut off;
    /// `factor` is reduced to the shorter side so that at least one pixel remains.
    pub fn reduced(&self, factor: u32) -> Self {
        let factor = factor.clamp(1, self.width.min(self.height).max(1)) as usize;
        if factor == 1 {
            return Self {
                alpha: None,
                ..self.clone()
            };
        }
        let (width, height) = (self.width as usize / factor, self.height as usize / factor);
        let weight = 1.0 / (factor * factor) as f32;
        let mut data = Vec::with_capacity(3 * width * height);
        for channel in self.channels() {
            for rows in channel.chunks_exact(factor * self.width as usize).take(height) {
                let start = data.len();
                data.resize(start + width, 0.0);
                for row in rows.chunks_exact(self.width as usize) {
                    let cells = row.chunks_exact(factor).map(|cell| cell.iter().sum::<f32>());
                    data[start..]
                        .iter_mut()
                        .zip(cells)
                        .for_each(|(sum, cell)| *sum += cell * weight);
                }
            }
        }
        Self::new(width as u32, height as u32, data)
    }

    /// Returns the linear blend `(1 - t) * self + t * other` of two images of equal size, with alpha where both have it.
    pub fn blend(&self, other: &Self, t: f32) -> Self {
        let mix = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a + (b - a) * t).collect();
        let alpha = self
            .alpha
            .as_ref()
            .zip(other.alpha.as_ref())
            .map(|(a, b)| mix(a, b));
        Self {
            alpha,
            ..Self::new(self.width, self.height, mix(&self.data, &other.data))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes from 0 to 255 in each channel, in another order in each.
    fn codes(alpha: bool) -> RgbImage {
        let value = |i: usize, step: usize| ((i * step) % 256) as f32 / 255.0;
        let plane = |step: usize| (0..16 * 16).map(move |i| value(i, step));
        let mut image = RgbImage::new(16, 16, plane(1).chain(plane(3)).chain(plane(7)).collect());
        image.alpha = alpha.then(|| plane(5).collect());
        image
    }

    fn assert_close(a: &RgbImage, b: &RgbImage, tolerance: f32, what: &str) {
        let planes =
            |image: &RgbImage| [image.data.clone(), image.alpha.clone().unwrap_or_default()].concat();
        let (a, b) = (planes(a), planes(b));
        assert_eq!(a.len(), b.len(), "{what}");
        let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= tolerance, "{what}: {worst}");
    }

    #[test]
    fn files_give_back_what_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        for (name, alpha, tolerance) in [
            ("a.png", false, 1e-6),
            ("b.png", true, 1e-6),
            ("a.tiff", true, 1e-6),
            ("a.webp", true, 1e-6),
            ("a.exr", false, 1e-5),
            ("b.exr", true, 1e-5),
        ] {
            let (path, image) = (folder.path().join(name), codes(alpha));
            image.save(&path).unwrap();
            assert_close(&RgbImage::open(&path).unwrap(), &image, tolerance, name);
            let other = RgbImage::new(16, 16, vec![0.25; 3 * 256]);
            other.save_16(&path).unwrap();
            let opened = RgbImage::open(&path).unwrap();
            assert_close(&opened, &other, 0.6 / 255.0, "an existing file is replaced");
        }
        let fine = RgbImage::new(16, 16, vec![0.30001; 3 * 256]);
        let path = folder.path().join("fine.png");
        fine.save_16(&path).unwrap();
        assert_close(&RgbImage::open(&path).unwrap(), &fine, 1.0 / 65535.0, "16 bits");
        assert!(codes(false).save(folder.path().join("a.mp4")).is_err());
        assert!(RgbImage::open(folder.path().join("none.png")).is_err());
    }

    #[test]
    fn alpha_is_multiplied_and_divided() {
        let mut image = RgbImage::new(2, 1, vec![0.2, 0.4, 0.6, 0.8, 0.1, 0.3]);
        image.alpha = Some(vec![0.5, 1.0]);
        let multiplied = image.clone().premultiplied();
        assert_eq!(multiplied.data[..2], [0.1, 0.4]);
        assert_close(&multiplied.unpremultiplied(), &image, 1e-6, "divided");
        image.alpha = Some(vec![0.0, 1.0]);
        let hidden = image.premultiplied().unpremultiplied();
        assert_eq!(hidden.data[..2], [0.0, 0.4], "what nobody sees is black");
    }
}
