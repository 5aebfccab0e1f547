//! Pictures at the network's door: planar RGB, padded to what a network needs and cropped after.

use crate::error::NetworkError;

/// Smallest width and height that a network takes.
pub const MIN_SIDE: usize = 16;
/// Largest width and height that a network takes.
pub const MAX_SIDE: usize = 16_384;

/// A picture: three planes (red, green, blue) of `width * height` values in 0..1, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    width: usize,
    height: usize,
    data: Vec<f32>,
}

impl Image {
    /// A picture from its three planes, one after another.
    ///
    /// Errors: [`NetworkError::ImageSize`] outside 16x16 to 16384x16384, [`NetworkError::ImageData`] where the
    /// values are not three planes of that size.
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

    /// Its width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Its height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red plane, green plane, blue plane.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The three planes, without a copy.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }
}
