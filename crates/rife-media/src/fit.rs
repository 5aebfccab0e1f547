//! A picture brought to another size: scaled whole into it, scaled over it and cut, or stretched.

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma};
use num_rational::Ratio;

use crate::RgbImage;

/// What becomes of a picture whose shape is not that of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    /// All of it is shown, in the middle; what is left over is black, or transparent where there is alpha.
    #[default]
    Pad,
    /// The output is filled; what stands over is cut off on both sides.
    Crop,
    /// Width and height are scaled apart.
    Stretch,
}

/// `picture`, whose pixels are `aspect` times as wide as high, at `[width, height]` square pixels (Lanczos of three
/// lobes). A picture of that size and square pixels comes back as it is. Takes no more memory than the larger of both
/// a few times over, whatever their shapes.
pub fn fit(picture: &RgbImage, aspect: Ratio<i64>, [width, height]: [u32; 2], rule: Fit) -> RgbImage {
    let square = aspect == Ratio::from(1);
    if square && [picture.width, picture.height] == [width, height] {
        return picture.clone();
    }
    let size = [picture.width, picture.height];
    let (seen, scaled) = match rule {
        Fit::Stretch => (size, [width, height]),
        Fit::Pad => (size, whole(size, aspect, [width, height])),
        Fit::Crop => (filling(size, aspect, [width, height]), [width, height]),
    };
    let plane = |values: &[f32]| {
        let seen_values = place(values, size, seen);
        place(&scale(&seen_values, seen, scaled), scaled, [width, height])
    };
    let data = picture.channels().into_iter().flat_map(plane).collect();
    RgbImage {
        alpha: picture.alpha.as_deref().map(plane),
        ..RgbImage::new(width, height, data)
    }
}

/// Width and height of a picture as it is shown, and by how much each side would have to be scaled.
fn factors([w, h]: [u32; 2], aspect: Ratio<i64>, [width, height]: [u32; 2]) -> ([f64; 2], [f64; 2]) {
    let shown = [f64::from(w) * crate::time::seconds(aspect), f64::from(h)];
    (shown, [f64::from(width) / shown[0], f64::from(height) / shown[1]])
}

/// The size at which the whole picture fits into the other.
fn whole(size: [u32; 2], aspect: Ratio<i64>, to: [u32; 2]) -> [u32; 2] {
    let (shown, factors) = factors(size, aspect, to);
    let factor = factors[0].min(factors[1]);
    [0, 1].map(|side| ((shown[side] * factor).round().max(1.0) as u32).min(to[side]))
}

/// How much of the picture is seen where it fills the other.
fn filling(size: [u32; 2], aspect: Ratio<i64>, to: [u32; 2]) -> [u32; 2] {
    let (_, factors) = factors(size, aspect, to);
    let factor = factors[0].max(factors[1]);
    [0, 1].map(|side| {
        let seen = f64::from(size[side]) * factors[side] / factor;
        (seen.round().max(1.0) as u32).min(size[side])
    })
}

fn scale(values: &[f32], [width, height]: [u32; 2], [to_width, to_height]: [u32; 2]) -> Vec<f32> {
    if [width, height] == [to_width, to_height] {
        return values.to_vec();
    }
    let area = |w: u32, h: u32| u64::from(w) * u64::from(h);
    // Heights are scaled before widths. Where that would be larger than both pictures, widths go first.
    if area(width, to_height) > area(width, height).max(area(to_width, to_height)) && to_width != width {
        let narrowed = scale(values, [width, height], [to_width, height]);
        return scale(&narrowed, [to_width, height], [to_width, to_height]);
    }
    let plane: Option<ImageBuffer<Luma<f32>, Vec<f32>>> =
        ImageBuffer::from_raw(width, height, values.to_vec());
    plane.map_or_else(Vec::new, |plane| {
        resize(&plane, to_width, to_height, FilterType::Lanczos3).into_raw()
    })
}

/// A plane of `[w, h]` in the middle of one of `[width, height]`, cut or surrounded by zeros.
fn place(plane: &[f32], [w, h]: [u32; 2], [width, height]: [u32; 2]) -> Vec<f32> {
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
