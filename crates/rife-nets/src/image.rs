//! Planar RGB image in host memory: input and output of [`crate::Model`].

use crate::error::NetworkError;

/// Minimum width and height of an image, in pixels.
pub const MIN_SIDE: usize = 16;
/// Maximum width and height of an image, in pixels.
pub const MAX_SIDE: usize = 16_384;

/// An RGB image: red, green and blue plane of `width * height` values in 0..1, each row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    width: usize,
    height: usize,
    /// Red, green and blue plane, concatenated.
    data: Vec<f32>,
}

impl Image {
    /// Makes an image of its three concatenated planes, `data` being `[3, height, width]`.
    ///
    /// Errors: [`NetworkError::ImageSize`] outside 16x16 to 16384x16384, [`NetworkError::ImageData`] when `data` has another
    /// length than `3 * width * height`.
    pub fn new(width: usize, height: usize, data: Vec<f32>) -> Result<Self, NetworkError> {
        let sides = MIN_SIDE..=MAX_SIDE;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(NetworkError::ImageSize { width, height });
        }
        if data.len() != 3 * width * height {
            return Err(NetworkError::ImageData {
                width,
                height,
                found: data.len(),
            });
        }
        Ok(Self { width, height, data })
    }

    /// Returns the width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Returns the red, green and blue plane, concatenated.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Returns the three concatenated planes without copying them.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }
}
