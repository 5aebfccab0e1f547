//! Conversion between interleaved integer buffers (HWC: RGB, RGBA, BGRA) and planar float images (CHW). Code 0 is 0.0, the
//! largest code 1.0; floats are clamped to 0 to 1 and rounded to the nearest code, NaN to 0.

use super::RgbImage;
use crate::{MediaError, Result};

/// An integer sample type, `u8` or `u16`.
trait Code: Copy + Default {
    /// The largest code, which represents 1.0.
    const MAX: f32;
    /// Converts a code to a float without scaling.
    fn to_f32(self) -> f32;
    /// Rounds a value of 0 to [`Code::MAX`] to the nearest code.
    fn rounded(value: f32) -> Self;
}

impl Code for u8 {
    const MAX: f32 = 255.0;
    fn to_f32(self) -> f32 {
        self.into()
    }
    fn rounded(value: f32) -> Self {
        value.round() as Self
    }
}

impl Code for u16 {
    const MAX: f32 = 65535.0;
    fn to_f32(self) -> f32 {
        self.into()
    }
    fn rounded(value: f32) -> Self {
        value.round() as Self
    }
}

/// The channel order of an interleaved pixel.
#[derive(Clone, Copy)]
struct Pixel {
    /// Indices of red, green and blue within a pixel.
    color: [usize; 3],
    /// Index of alpha within a pixel; `None` without alpha.
    alpha: Option<usize>,
    /// Number of codes per pixel.
    codes: usize,
}

/// Channel order red, green, blue.
const RGB: Pixel = Pixel {
    color: [0, 1, 2],
    alpha: None,
    codes: 3,
};
/// Channel order red, green, blue, alpha.
const RGBA: Pixel = Pixel {
    color: [0, 1, 2],
    alpha: Some(3),
    codes: 4,
};
/// Channel order blue, green, red, alpha.
const BGRA: Pixel = Pixel {
    color: [2, 1, 0],
    alpha: Some(3),
    codes: 4,
};

impl RgbImage {
    /// Creates an image from interleaved 8-bit RGB, [height, width, 3].
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the length is not `3 * width * height` or a side is 0.
    pub fn from_rgb8(width: u32, height: u32, codes: &[u8]) -> Result<Self> {
        from_packed(width, height, codes, RGB)
    }

    /// Creates an image from interleaved 8-bit RGBA, [height, width, 4], with straight (not premultiplied) alpha.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the length is not `4 * width * height` or a side is 0.
    pub fn from_rgba8(width: u32, height: u32, codes: &[u8]) -> Result<Self> {
        from_packed(width, height, codes, RGBA)
    }

    /// Creates an image from interleaved 16-bit RGB, [height, width, 3]; 65535 is 1.0.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the length is not `3 * width * height` or a side is 0.
    pub fn from_rgb16(width: u32, height: u32, codes: &[u16]) -> Result<Self> {
        from_packed(width, height, codes, RGB)
    }

    /// Creates an image from interleaved 16-bit RGBA, [height, width, 4], with straight alpha; 65535 is 1.0.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the length is not `4 * width * height` or a side is 0.
    pub fn from_rgba16(width: u32, height: u32, codes: &[u16]) -> Result<Self> {
        from_packed(width, height, codes, RGBA)
    }

    /// Creates an image from interleaved 8-bit BGRA with straight alpha, the format of windows and screen captures, whose
    /// rows begin every `stride` bytes. The last row needs no padding.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for a stride below `4 * width`, fewer bytes than `stride * (height - 1) + 4 * width`, and
    /// a side of 0.
    pub fn from_bgra8(width: u32, height: u32, bytes: &[u8], stride: usize) -> Result<Self> {
        check_stride(width, stride)?;
        let needed = (height as usize)
            .saturating_sub(1)
            .saturating_mul(stride)
            .saturating_add(4 * width as usize);
        if bytes.len() < needed {
            let accepted =
                format!("{needed} bytes or more of {width}x{height} BGRA with a stride of {stride}");
            return Err(MediaError::limit("the buffer's length", bytes.len(), accepted));
        }
        from_rows(width, height, bytes, stride, BGRA)
    }

    /// Converts the image to interleaved 8-bit RGB, [height, width, 3]; alpha is dropped.
    pub fn to_rgb8(&self) -> Vec<u8> {
        interleaved(self, 3 * self.width as usize, RGB)
    }

    /// Converts the image to interleaved 8-bit RGBA, [height, width, 4]; alpha is 255 where the image has none.
    pub fn to_rgba8(&self) -> Vec<u8> {
        interleaved(self, 4 * self.width as usize, RGBA)
    }

    /// Converts the image to interleaved 16-bit RGB, [height, width, 3]; alpha is dropped.
    pub fn to_rgb16(&self) -> Vec<u16> {
        interleaved(self, 3 * self.width as usize, RGB)
    }

    /// Converts the image to interleaved 16-bit RGBA, [height, width, 4]; alpha is 65535 where the image has none.
    pub fn to_rgba16(&self) -> Vec<u16> {
        interleaved(self, 4 * self.width as usize, RGBA)
    }

    /// Converts the image to interleaved 8-bit BGRA with rows of `stride` bytes, padded with 0; alpha is 255 where the image
    /// has none.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for a stride below `4 * width`.
    pub fn to_bgra8(&self, stride: usize) -> Result<Vec<u8>> {
        check_stride(self.width, stride)?;
        Ok(interleaved(self, stride, BGRA))
    }
}

/// Checks that `stride` bytes hold a row of `width` BGRA pixels.
fn check_stride(width: u32, stride: usize) -> Result<()> {
    let min = 4 * width as usize;
    if stride >= min {
        return Ok(());
    }
    let accepted = format!("{min} or more bytes, four for each of {width} pixels");
    Err(MediaError::limit("the stride", stride, accepted))
}

/// Creates an image from interleaved rows without padding; an error where the length of `codes` does not match the size.
fn from_packed<T: Code>(width: u32, height: u32, codes: &[T], pixel: Pixel) -> Result<RgbImage> {
    let needed = u128::from(width) * u128::from(height) * pixel.codes as u128;
    if codes.len() as u128 != needed {
        let accepted = format!(
            "{needed} codes, {} for each pixel of {width}x{height}",
            pixel.codes
        );
        return Err(MediaError::limit("the buffer's length", codes.len(), accepted));
    }
    from_rows(width, height, codes, pixel.codes * width as usize, pixel)
}

/// Creates an image from interleaved rows that begin every `stride` codes; an error where a side is 0.
///
/// # Panics
/// Panics where `codes` is shorter than `stride * (height - 1) + pixel.codes * width`.
fn from_rows<T: Code>(width: u32, height: u32, codes: &[T], stride: usize, pixel: Pixel) -> Result<RgbImage> {
    if width == 0 || height == 0 {
        let size = format!("{width}x{height}");
        return Err(MediaError::limit(
            "the picture's size",
            size,
            "sides of 1 pixel or more",
        ));
    }
    let plane = |position: usize| {
        let rows = codes.chunks(stride).take(height as usize);
        rows.flat_map(move |row| row[..pixel.codes * width as usize].chunks_exact(pixel.codes))
            .map(move |codes| codes[position].to_f32() / T::MAX)
    };
    let mut data = Vec::with_capacity(3 * width as usize * height as usize);
    pixel
        .color
        .into_iter()
        .for_each(|position| data.extend(plane(position)));
    let mut image = RgbImage::new(width, height, data);
    image.alpha = pixel.alpha.map(|position| plane(position).collect());
    Ok(image)
}

/// Converts an image to interleaved rows of `stride` codes, at least `pixel.codes * width`; padding is 0.
fn interleaved<T: Code>(image: &RgbImage, stride: usize, pixel: Pixel) -> Vec<T> {
    let (width, height) = (image.width as usize, image.height as usize);
    let mut codes = vec![T::default(); stride * height];
    let mut fill = |position: usize, value: &dyn Fn(usize) -> f32| {
        for row in 0..height {
            let target = codes[row * stride..].iter_mut().skip(position);
            let target = target.step_by(pixel.codes).take(width);
            for (column, code) in target.enumerate() {
                let value = value(row * width + column).clamp(0.0, 1.0);
                *code = T::rounded(value * T::MAX);
            }
        }
    };
    for (position, plane) in pixel.color.into_iter().zip(image.channels()) {
        fill(position, &|at| plane[at]);
    }
    if let Some(position) = pixel.alpha {
        fill(position, &|at| {
            image.alpha.as_ref().map_or(1.0, |alpha| alpha[at])
        });
    }
    codes
}

impl From<image::RgbImage> for RgbImage {
    /// Converts interleaved 8-bit RGB to planar floats.
    fn from(picture: image::RgbImage) -> Self {
        from_buffer(picture.width(), picture.height(), picture.as_raw(), RGB)
    }
}

impl From<image::RgbaImage> for RgbImage {
    /// Converts interleaved 8-bit RGBA to planar floats with straight alpha.
    fn from(picture: image::RgbaImage) -> Self {
        from_buffer(picture.width(), picture.height(), picture.as_raw(), RGBA)
    }
}

/// Creates an image from interleaved 8-bit codes whose length matches the size; an empty image where a side is 0.
fn from_buffer(width: u32, height: u32, codes: &[u8], pixel: Pixel) -> RgbImage {
    let empty = |_| RgbImage::new(width, height, Vec::new());
    from_rows(width, height, codes, pixel.codes * width as usize, pixel).unwrap_or_else(empty)
}

impl From<&RgbImage> for image::RgbImage {
    /// Converts planar floats to interleaved 8-bit RGB; alpha is dropped.
    fn from(image: &RgbImage) -> Self {
        let (width, height) = (image.width, image.height);
        Self::from_raw(width, height, image.to_rgb8()).unwrap_or_else(|| Self::new(width, height))
    }
}

impl From<&RgbImage> for image::RgbaImage {
    /// Converts planar floats to interleaved 8-bit RGBA; alpha is 255 where the image has none.
    fn from(image: &RgbImage) -> Self {
        let (width, height) = (image.width, image.height);
        Self::from_raw(width, height, image.to_rgba8()).unwrap_or_else(|| Self::new(width, height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_in_every_layout() {
        let bytes: Vec<u8> = (0..=255).collect();
        let rgba = RgbImage::from_rgba8(16, 4, &bytes).unwrap();
        assert_eq!(rgba.channels()[0][..2], [0.0, 4.0 / 255.0]);
        assert_eq!(rgba.to_rgba8(), bytes);
        let rgb = RgbImage::from_rgb8(17, 5, &bytes[..255]).unwrap();
        assert_eq!(rgb.to_rgb8(), bytes[..255]);
        assert_eq!(rgb.to_rgba8()[..8], [0, 1, 2, 255, 3, 4, 5, 255]);
        let wide: Vec<u16> = (0..48).map(|i| i * 1365).collect();
        assert_eq!(RgbImage::from_rgb16(4, 4, &wide).unwrap().to_rgb16(), wide);
        assert_eq!(RgbImage::from_rgba16(4, 3, &wide).unwrap().to_rgba16(), wide);
        for picture in [rgb, rgba] {
            let (other, with_alpha): (image::RgbImage, image::RgbaImage) =
                ((&picture).into(), (&picture).into());
            assert_eq!(RgbImage::from(other).data, picture.data);
            assert_eq!(RgbImage::from(with_alpha).data, picture.data);
        }
    }

    #[test]
    fn bgra_rows_have_a_stride() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 99, 99, 11, 12, 13, 14, 15, 16, 17, 18];
        let image = RgbImage::from_bgra8(2, 2, &bytes, 10).unwrap();
        assert_eq!(
            image.to_rgba8(),
            [3, 2, 1, 4, 7, 6, 5, 8, 13, 12, 11, 14, 17, 16, 15, 18]
        );
        let back = image.to_bgra8(10).unwrap();
        assert_eq!((&back[..8], &back[10..18]), (&bytes[..8], &bytes[10..18]));
        assert_eq!(back[8..10], [0, 0]);
        for (bytes, stride, wrong) in [
            (&bytes[..], 7, "the stride is 7"),
            (&bytes[..17], 10, "length is 17"),
        ] {
            let error = RgbImage::from_bgra8(2, 2, bytes, stride).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
        assert!(image.to_bgra8(7).is_err());
    }

    #[test]
    fn buffers_of_another_length_are_refused() {
        let error = RgbImage::from_rgb8(2, 2, &[0; 11]).unwrap_err().to_string();
        assert_eq!(
            error,
            "the buffer's length is 11, outside the accepted 12 codes, 3 for each pixel of 2x2"
        );
        assert!(RgbImage::from_rgb8(0, 2, &[]).is_err());
        assert!(RgbImage::from_bgra8(2, 0, &[], 8).is_err());
        assert!(RgbImage::from_rgb8(u32::MAX, u32::MAX, &[0; 3]).is_err());
        assert_eq!(RgbImage::from(image::RgbImage::new(0, 0)).data.len(), 0);
    }

    #[test]
    fn values_are_rounded_and_clamped() {
        let image = RgbImage::new(
            1,
            2,
            vec![0.4999 / 255.0, 0.5001 / 255.0, -1.0, 2.0, f32::NAN, 1.0],
        );
        assert_eq!(image.to_rgb8(), [0, 0, 0, 1, 255, 255]);
    }
}
