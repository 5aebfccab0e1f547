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

/// Extends planes of `width x height` to the right and down to `padded` (width, height) by repeating the last
/// column and row.
pub(crate) fn pad(data: &[f32], [width, height]: [usize; 2], padded: [usize; 2]) -> Vec<f32> {
    let mut out = Vec::with_capacity(data.len() / (width * height) * padded[0] * padded[1]);
    for plane in data.chunks_exact(width * height) {
        for row in plane.chunks_exact(width) {
            out.extend_from_slice(row);
            out.extend(std::iter::repeat_n(row[width - 1], padded[0] - width));
        }
        for _ in height..padded[1] {
            out.extend_from_within(out.len() - padded[0]..);
        }
    }
    out
}

/// Cuts planes of `padded` (width, height) back to `width x height`.
pub(crate) fn crop(data: Vec<f32>, padded: [usize; 2], [width, height]: [usize; 2]) -> Vec<f32> {
    if padded == [width, height] {
        return data;
    }
    let planes = data.chunks_exact(padded[0] * padded[1]);
    let rows = planes.flat_map(|plane| plane.chunks_exact(padded[0]).take(height));
    rows.flat_map(|row| &row[..width]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_repeats_the_edges_and_cropping_undoes_it() {
        let data: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let padded = pad(&data, [3, 2], [5, 4]);
        assert_eq!(padded[..5], [0.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(padded[15..20], [3.0, 4.0, 5.0, 5.0, 5.0]);
        assert_eq!(padded[20..25], [6.0, 7.0, 8.0, 8.0, 8.0]);
        assert_eq!(crop(padded, [5, 4], [3, 2]), data);
    }
}
