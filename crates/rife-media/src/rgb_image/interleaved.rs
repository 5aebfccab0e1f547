//! Conversion between interleaved integer buffers (HWC: RGB, RGBA, BGRA) and planar float images (CHW). Code 0 is 0.0, the
//! largest code 1.0; floats are clamped to 0 to 1 and rounded to the nearest code, NaN to 0.

use super::RgbImage;
use crate::frame_view::{ChannelOrder, FrameView, FrameViewMut, SampleType};
use crate::{MediaError, Result};

impl RgbImage {
    /// Creates an image from interleaved 8-bit RGB, [height, width, 3].
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the length is not `3 * width * height` or a side is 0.
    pub fn from_rgb8(width: u32, height: u32, codes: &[u8]) -> Result<Self> {
        from_codes(width, height, codes, ChannelOrder::Rgb)
    }

    /// Creates an image from interleaved 8-bit RGBA, [height, width, 4], with straight (not premultiplied) alpha.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the length is not `4 * width * height` or a side is 0.
    pub fn from_rgba8(width: u32, height: u32, codes: &[u8]) -> Result<Self> {
        from_codes(width, height, codes, ChannelOrder::Rgba)
    }

    /// Creates an image from interleaved 16-bit RGB, [height, width, 3]; 65535 is 1.0.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the length is not `3 * width * height` or a side is 0.
    pub fn from_rgb16(width: u32, height: u32, codes: &[u16]) -> Result<Self> {
        from_codes_16(width, height, codes, ChannelOrder::Rgb)
    }

    /// Creates an image from interleaved 16-bit RGBA, [height, width, 4], with straight alpha; 65535 is 1.0.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the length is not `4 * width * height` or a side is 0.
    pub fn from_rgba16(width: u32, height: u32, codes: &[u16]) -> Result<Self> {
        from_codes_16(width, height, codes, ChannelOrder::Rgba)
    }

    /// Creates an image from interleaved 8-bit BGRA with straight alpha, the format of windows and screen captures, whose
    /// rows begin every `stride` bytes. The last row needs no padding.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for a stride below `4 * width`, fewer bytes than `stride * (height - 1) + 4 * width`, and
    /// a side of 0.
    pub fn from_bgra8(width: u32, height: u32, bytes: &[u8], stride: usize) -> Result<Self> {
        FrameView::new(width, height, ChannelOrder::Bgra, SampleType::U8, bytes, stride)
            .map(|view| view.to_rgb_image())
    }

    /// Converts the image to interleaved 8-bit RGB, [height, width, 3]; alpha is dropped.
    pub fn to_rgb8(&self) -> Vec<u8> {
        to_codes(self, 3 * self.width as usize, ChannelOrder::Rgb)
    }

    /// Converts the image to interleaved 8-bit RGBA, [height, width, 4]; alpha is 255 where the image has none.
    pub fn to_rgba8(&self) -> Vec<u8> {
        to_codes(self, 4 * self.width as usize, ChannelOrder::Rgba)
    }

    /// Converts the image to interleaved 16-bit RGB, [height, width, 3]; alpha is dropped.
    pub fn to_rgb16(&self) -> Vec<u16> {
        to_codes_16(self, ChannelOrder::Rgb)
    }

    /// Converts the image to interleaved 16-bit RGBA, [height, width, 4]; alpha is 65535 where the image has none.
    pub fn to_rgba16(&self) -> Vec<u16> {
        to_codes_16(self, ChannelOrder::Rgba)
    }

    /// Converts the image to interleaved 8-bit BGRA with rows of `stride` bytes, padded with 0; alpha is 255 where the image
    /// has none.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for a stride below `4 * width`.
    pub fn to_bgra8(&self, stride: usize) -> Result<Vec<u8>> {
        check_stride(self.width, stride)?;
        Ok(to_codes(self, stride, ChannelOrder::Bgra))
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

/// Checks that there are as many codes as the pixels have, without padding.
fn check_count([width, height]: [u32; 2], count: usize, order: ChannelOrder) -> Result<()> {
    let needed = u128::from(width) * u128::from(height) * order.channels() as u128;
    if count as u128 == needed {
        return Ok(());
    }
    let channels = order.channels();
    let accepted = format!("{needed} codes, {channels} for each pixel of {width}x{height}");
    Err(MediaError::limit("the buffer's length", count, accepted))
}

/// Creates an image from interleaved 8-bit rows without padding; an error where the length does not match the size.
fn from_codes(width: u32, height: u32, codes: &[u8], order: ChannelOrder) -> Result<RgbImage> {
    check_count([width, height], codes.len(), order)?;
    let stride = order.channels() * width as usize;
    FrameView::new(width, height, order, SampleType::U8, codes, stride).map(|view| view.to_rgb_image())
}

/// Creates an image from interleaved 16-bit rows without padding; an error where the length does not match the size.
fn from_codes_16(width: u32, height: u32, codes: &[u16], order: ChannelOrder) -> Result<RgbImage> {
    check_count([width, height], codes.len(), order)?;
    let (bytes, stride) = (bytemuck::cast_slice(codes), 2 * order.channels() * width as usize);
    FrameView::new(width, height, order, SampleType::U16, bytes, stride).map(|view| view.to_rgb_image())
}

/// Converts an image to interleaved 8-bit rows of `stride` bytes, enough for a row; padding is 0.
fn to_codes(image: &RgbImage, stride: usize, order: ChannelOrder) -> Vec<u8> {
    let mut bytes = vec![0; stride * image.height as usize];
    write(image, order, SampleType::U8, &mut bytes, stride);
    bytes
}

/// Converts an image to interleaved 16-bit rows without padding.
fn to_codes_16(image: &RgbImage, order: ChannelOrder) -> Vec<u16> {
    let row = order.channels() * image.width as usize;
    let mut codes = vec![0u16; row * image.height as usize];
    let bytes = bytemuck::cast_slice_mut(&mut codes);
    write(image, order, SampleType::U16, bytes, 2 * row);
    codes
}

/// Writes an image to a buffer of its size; an image without pixels has nothing to write.
fn write(image: &RgbImage, order: ChannelOrder, sample: SampleType, bytes: &mut [u8], stride: usize) {
    if image.width == 0 || image.height == 0 {
        return;
    }
    FrameViewMut::new(image.width, image.height, order, sample, bytes, stride)
        .and_then(|mut view| view.write(image))
        .expect("the buffer has the picture's size");
}

impl From<image::RgbImage> for RgbImage {
    /// Converts interleaved 8-bit RGB to planar floats.
    fn from(picture: image::RgbImage) -> Self {
        from_buffer(
            picture.width(),
            picture.height(),
            picture.as_raw(),
            ChannelOrder::Rgb,
        )
    }
}

impl From<image::RgbaImage> for RgbImage {
    /// Converts interleaved 8-bit RGBA to planar floats with straight alpha.
    fn from(picture: image::RgbaImage) -> Self {
        from_buffer(
            picture.width(),
            picture.height(),
            picture.as_raw(),
            ChannelOrder::Rgba,
        )
    }
}

/// Creates an image from interleaved 8-bit codes whose length matches the size; an empty image where a side is 0.
fn from_buffer(width: u32, height: u32, codes: &[u8], order: ChannelOrder) -> RgbImage {
    from_codes(width, height, codes, order).unwrap_or_else(|_| RgbImage::new(width, height, Vec::new()))
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
