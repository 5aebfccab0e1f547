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
/// lobes). A picture of that size and square pixels comes back as it is.
pub fn fit(picture: &RgbImage, aspect: Ratio<i64>, [width, height]: [u32; 2], rule: Fit) -> RgbImage {
    let square = aspect == Ratio::from(1);
    if square && [picture.width, picture.height] == [width, height] {
        return picture.clone();
    }
    let [w, h] = scaled_size(picture, aspect, [width, height], rule);
    let size = [picture.width, picture.height];
    let plane = |values: &[f32]| place(&scale(values, size, [w, h]), [w, h], [width, height]);
    let data = picture.channels().into_iter().flat_map(plane).collect();
    RgbImage {
        alpha: picture.alpha.as_deref().map(plane),
        ..RgbImage::new(width, height, data)
    }
}

/// The size that the whole picture is scaled to.
fn scaled_size(picture: &RgbImage, aspect: Ratio<i64>, [width, height]: [u32; 2], rule: Fit) -> [u32; 2] {
    let shown = [
        f64::from(picture.width) * crate::time::seconds(aspect),
        f64::from(picture.height),
    ];
    let factors = [f64::from(width) / shown[0], f64::from(height) / shown[1]];
    let factor = match rule {
        Fit::Stretch => return [width, height],
        Fit::Pad => factors[0].min(factors[1]),
        Fit::Crop => factors[0].max(factors[1]),
    };
    let side = |length: f64, limit: u32| {
        let scaled = (length * factor).round().max(1.0) as u32;
        match rule {
            Fit::Pad => scaled.min(limit),
            _ => scaled.max(limit),
        }
    };
    [side(shown[0], width), side(shown[1], height)]
}

fn scale(values: &[f32], [width, height]: [u32; 2], [to_width, to_height]: [u32; 2]) -> Vec<f32> {
    if [width, height] == [to_width, to_height] {
        return values.to_vec();
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
