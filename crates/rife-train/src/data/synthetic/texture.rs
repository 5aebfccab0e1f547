//! Bicubic sampling and box blur of images.

use super::Point;
use crate::data::Picture;

/// Samples an image at a point by cubic convolution (Keys, a = -0.75) over 4x4 pixels, edges reflected; returns code values.
pub(super) fn bicubic(picture: &Picture, [x, y]: Point) -> [f64; 3] {
    let [height, width] = picture.size();
    let (columns, rows) = (taps(x, width), taps(y, height));
    let mut sum = [0.0; 3];
    for (row, down) in rows {
        for (column, across) in columns {
            let pixel = picture.at(row, column);
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += down * across * f64::from(value);
            }
        }
    }
    sum.map(|value| value.clamp(0.0, 255.0))
}

/// Returns the four indices and weights of cubic convolution at a position along an axis of `size` pixels.
fn taps(at: f64, size: usize) -> [(usize, f64); 4] {
    /// Parameter of Keys' cubic convolution kernel: its slope at distance 1.
    const A: f64 = -0.75;
    let near = |d: f64| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    let far = |d: f64| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
    let (floor, fraction) = (at.floor(), at - at.floor());
    let weights = [
        far(1.0 + fraction),
        near(fraction),
        near(1.0 - fraction),
        far(2.0 - fraction),
    ];
    [0, 1, 2, 3].map(|k| (reflected(floor as isize + k as isize - 1, size), weights[k]))
}

/// Maps an index outside of `0..size` inside by reflection about the first and last pixel.
fn reflected(at: isize, size: usize) -> usize {
    let period = (2 * (size as isize - 1)).max(1);
    let at = at.rem_euclid(period);
    at.min(period - at).min(size as isize - 1) as usize
}

/// Blurs an image by a box filter of `2 * radius + 1` pixels a side, edges reflected.
pub(super) fn softened(picture: &Picture, radius: usize) -> Picture {
    let turned = |picture: &Picture| {
        let [height, width] = picture.size();
        let at = |x: usize, k: usize| reflected(x as isize + k as isize - radius as isize, width);
        Picture::from_fn([width, height], |x, y| {
            let mut sum = [0u32; 3];
            for k in 0..=2 * radius {
                let pixel = picture.at(y, at(x, k));
                sum.iter_mut()
                    .zip(pixel)
                    .for_each(|(sum, value)| *sum += u32::from(value));
            }
            let count = 2 * radius as u32 + 1;
            sum.map(|sum| ((sum + count / 2) / count) as u8)
        })
    };
    turned(&turned(picture))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softening_spreads_a_dot_evenly() {
        let dot = Picture::from_fn([9, 12], |y, x| if (y, x) == (4, 5) { [225; 3] } else { [0; 3] });
        let soft = softened(&dot, 2);
        assert_eq!(soft.size(), [9, 12]);
        for (y, x) in (0..9usize).flat_map(|y| (0..12usize).map(move |x| (y, x))) {
            let near = y.abs_diff(4) <= 2 && x.abs_diff(5) <= 2;
            assert_eq!(soft.at(y, x)[0], if near { 9 } else { 0 }, "{y} {x}");
        }
    }
}
