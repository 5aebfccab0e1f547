//! Resizing of RGB images to another aspect ratio: letterbox (pad), center crop or stretch, with Lanczos resampling.

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma};
use num_rational::Ratio;

use crate::RgbImage;

/// How an image of another aspect ratio is fitted into the output size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    /// Letterbox: the image is scaled to fit inside and centered; the borders are black, and transparent with alpha.
    #[default]
    Pad,
    /// Center crop: the image is scaled to cover the output, and what exceeds it is cut off on both sides.
    Crop,
    /// Width and height are scaled independently; the aspect ratio changes.
    Stretch,
}

/// Resizes `picture` to `[width, height]` square pixels (Lanczos3). `aspect` is the pixel aspect ratio of `picture`, width
/// over height. A picture of that size with square pixels is returned unchanged. Memory stays within a few times the
/// larger of input and output, whatever their aspect ratios.
pub fn fit(picture: &RgbImage, aspect: Ratio<i64>, [width, height]: [u32; 2], rule: Fit) -> RgbImage {
    let square = aspect == Ratio::from(1);
    if square && [picture.width, picture.height] == [width, height] {
        return picture.clone();
    }
    let size = [picture.width, picture.height];
    // The visible region of the input, and the size that it is scaled to.
    let (seen, scaled) = match rule {
        Fit::Stretch => (size, [width, height]),
        Fit::Pad => (size, contained_size(size, aspect, [width, height])),
        Fit::Crop => (cropped_size(size, aspect, [width, height]), [width, height]),
    };
    let plane = |values: &[f32]| {
        let visible = center(values, size, seen);
        center(&resize_plane(&visible, seen, scaled), scaled, [width, height])
    };
    let data = picture.channels().into_iter().flat_map(plane).collect();
    RgbImage {
        alpha: picture.alpha.as_deref().map(plane),
        ..RgbImage::new(width, height, data)
    }
}

/// Returns the display size of a `[w, h]` image of pixel aspect ratio `aspect`, in square pixels, and the factors that
/// scale its two sides to `[width, height]`.
fn factors([w, h]: [u32; 2], aspect: Ratio<i64>, [width, height]: [u32; 2]) -> ([f64; 2], [f64; 2]) {
    let shown = [f64::from(w) * crate::time::seconds(aspect), f64::from(h)];
    (shown, [f64::from(width) / shown[0], f64::from(height) / shown[1]])
}

/// Returns the largest `[width, height]` of the aspect ratio of `size` that fits into `to`.
fn contained_size(size: [u32; 2], aspect: Ratio<i64>, to: [u32; 2]) -> [u32; 2] {
    let (shown, factors) = factors(size, aspect, to);
    let factor = factors[0].min(factors[1]);
    [0, 1].map(|side| ((shown[side] * factor).round().max(1.0) as u32).min(to[side]))
}

/// Returns the `[width, height]` in input pixels of the region that remains visible when the image covers `to`.
fn cropped_size(size: [u32; 2], aspect: Ratio<i64>, to: [u32; 2]) -> [u32; 2] {
    let (_, factors) = factors(size, aspect, to);
    let factor = factors[0].max(factors[1]);
    [0, 1].map(|side| {
        let seen = f64::from(size[side]) * factors[side] / factor;
        (seen.round().max(1.0) as u32).min(size[side])
    })
}

/// Resamples a plane of `[height, width]` values to `[to_height, to_width]` (Lanczos3).
fn resize_plane(values: &[f32], [width, height]: [u32; 2], [to_width, to_height]: [u32; 2]) -> Vec<f32> {
    if [width, height] == [to_width, to_height] {
        return values.to_vec();
    }
    let area = |w: u32, h: u32| u64::from(w) * u64::from(h);
    // `resize` scales heights before widths. Where the intermediate plane would exceed both input and output, widths are
    // scaled first.
    if area(width, to_height) > area(width, height).max(area(to_width, to_height)) && to_width != width {
        let narrowed = resize_plane(values, [width, height], [to_width, height]);
        return resize_plane(&narrowed, [to_width, height], [to_width, to_height]);
    }
    let plane: Option<ImageBuffer<Luma<f32>, Vec<f32>>> =
        ImageBuffer::from_raw(width, height, values.to_vec());
    plane.map_or_else(Vec::new, |plane| {
        resize(&plane, to_width, to_height, FilterType::Lanczos3).into_raw()
    })
}

/// Centers a plane of size `[w, h]` in a plane of size `[width, height]`, cropped or padded with zeros.
fn center(plane: &[f32], [w, h]: [u32; 2], [width, height]: [u32; 2]) -> Vec<f32> {
    let [w, h, width, height] = [w, h, width, height].map(|side| side as usize);
    let mut out = vec![0.0; width * height];
    let (columns, rows) = (w.min(width), h.min(height));
    let (from_x, from_y) = ((w - columns) / 2, (h - rows) / 2);
    let (to_x, to_y) = ((width - columns) / 2, (height - rows) / 2);
    for row in 0..rows {
        let source = &plane[(from_y + row) * w + from_x..][..columns];
        out[(to_y + row) * width + to_x..][..columns].copy_from_slice(source);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn white(width: u32, height: u32) -> RgbImage {
        RgbImage {
            alpha: Some(vec![1.0; (width * height) as usize]),
            ..RgbImage::new(width, height, vec![1.0; 3 * (width * height) as usize])
        }
    }

    /// Columns and rows of the result's middle that are not black.
    fn shown(picture: &RgbImage) -> [usize; 2] {
        let (w, h) = (picture.width as usize, picture.height as usize);
        let lit = |i: usize| picture.data[i] > 0.5;
        [
            (0..w).filter(|x| lit(h / 2 * w + x)).count(),
            (0..h).filter(|y| lit(y * w + w / 2)).count(),
        ]
    }

    #[test]
    fn shapes_are_kept_filled_or_stretched() {
        let one = Ratio::from(1);
        let wide = white(40, 20);
        assert_eq!(shown(&fit(&wide, one, [30, 30], Fit::Pad)), [30, 15]);
        assert_eq!(shown(&fit(&wide, one, [30, 30], Fit::Crop)), [30, 30]);
        assert_eq!(shown(&fit(&wide, one, [30, 30], Fit::Stretch)), [30, 30]);
        // A line of pixels that is to fill a square is not scaled to a line's length squared.
        let line = white(30_000, 1);
        assert_eq!(shown(&fit(&line, one, [30, 30], Fit::Crop)), [30, 30]);
        assert_eq!(shown(&fit(&line, one, [30, 30], Fit::Stretch)), [30, 30]);
        let padded = fit(&wide, one, [30, 30], Fit::Pad);
        let alpha = padded.alpha.unwrap();
        assert!(alpha[0] == 0.0 && alpha[15 * 30] > 0.999_999);
        assert_eq!(fit(&wide, one, [40, 20], Fit::Pad), wide);
        // Pixels twice as wide as high: 20x20 of them are shown as 40x20.
        assert_eq!(
            shown(&fit(&white(20, 20), Ratio::from(2), [40, 40], Fit::Pad)),
            [40, 20]
        );
    }
}
