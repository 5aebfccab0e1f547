//! Evaluation protocols of the data sets: padding of frames before the network, rounding, and PSNR of luma or RGB, as in the
//! scripts of the RIFE paper.

use std::sync::Arc;

use num_rational::Ratio;
use rife::media::RgbImage;

use super::Layout;
use rife::{Error, Interpolator, Result};

/// Width and height to which Middlebury's frames are padded, as in the paper's script.
const MIDDLEBURY_CANVAS: [u32; 2] = [640, 480];
/// Multiple in pixels to which the sides of [`Padding::Centred`] are padded.
const MULTIPLE: u32 = 32;

/// The evaluation protocol of a data set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Protocol {
    padding: Padding,
    /// Whether PSNR is that of luma instead of RGB.
    pub(super) luma: bool,
    /// Whether SSIM is computed before rounding to 8 bits.
    pub(super) ssim_of_unrounded: bool,
}

/// The kind of padding of frames.
#[derive(Debug, Clone, Copy)]
enum Padding {
    /// No padding.
    None,
    /// Black on the right and at the bottom, up to [`MIDDLEBURY_CANVAS`].
    Canvas,
    /// Replicated rows at top and bottom; the function returns their number for a frame's height.
    Rows(fn(height: u32) -> u32),
    /// Replicated pixels on all sides, up to multiples of [`MULTIPLE`], the frame centred.
    Centred,
}

/// Widths in pixels of the padding of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Border {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
    /// Whether the padding is black; replicated edge pixels otherwise.
    black: bool,
}

impl Protocol {
    /// Returns the protocol of a data set's script.
    pub(super) fn of(layout: Layout) -> Self {
        let padding = match layout {
            Layout::Middlebury => Padding::Canvas,
            Layout::Atd12k => Padding::Rows(|_| 2),
            Layout::Hd => Padding::Rows(hd_rows),
            Layout::SnuFilm | Layout::XTest => Padding::Centred,
            Layout::Ucf101 | Layout::Triplets | Layout::Vimeo90k => Padding::None,
        };
        Self {
            padding,
            luma: layout == Layout::Hd,
            ssim_of_unrounded: layout == Layout::Vimeo90k,
        }
    }

    /// The plain protocol: no padding, rounding to 8 bits, PSNR of RGB.
    pub(super) const PLAIN: Self = Self {
        padding: Padding::None,
        luma: false,
        ssim_of_unrounded: false,
    };

    /// Pads two frames, interpolates between them at `times`, and calls `take` with the index of each time and the frame,
    /// without its padding.
    pub(super) fn interpolate_each(
        self,
        interpolator: &Interpolator,
        [first, second]: [&RgbImage; 2],
        times: &[Ratio<i64>],
        mut take: impl FnMut(usize, RgbImage) -> Result<()>,
    ) -> Result<()> {
        let size = [first.width, first.height];
        let border = self.padding.border(size);
        let prepare = |image: &RgbImage| interpolator.prepare(Arc::new(bordered(image, border)));
        let (a, b) = (prepare(first)?, prepare(second)?);
        let mut between = interpolator.between(&a, &b);
        for (index, time) in times.iter().enumerate() {
            take(index, cut(&*between.at(*time)?, border, size))?;
        }
        Ok(())
    }

    /// Interpolates one frame as [`Protocol::interpolate_each`] does.
    pub(super) fn interpolate(
        self,
        interpolator: &Interpolator,
        pair: [&RgbImage; 2],
        time: Ratio<i64>,
    ) -> Result<RgbImage> {
        let mut made = None;
        self.interpolate_each(interpolator, pair, &[time], |_, frame| {
            made = Some(frame);
            Ok(())
        })?;
        made.ok_or(Error::Stage("interpolation"))
    }
}

/// Returns the number of rows at top and at bottom by which the paper's HD script pads frames of this height.
fn hd_rows(height: u32) -> u32 {
    match height {
        720 => 24,
        1080 => 4,
        _ => 16,
    }
}

impl Padding {
    /// Returns the widths of the padding for a frame of `[width, height]`.
    fn border(self, [width, height]: [u32; 2]) -> Border {
        let missing = |size: u32| size.next_multiple_of(MULTIPLE) - size;
        match self {
            Self::None => Border::default(),
            Self::Canvas => Border {
                right: MIDDLEBURY_CANVAS[0].saturating_sub(width),
                bottom: MIDDLEBURY_CANVAS[1].saturating_sub(height),
                black: true,
                ..Border::default()
            },
            Self::Rows(rows) => Border {
                top: rows(height),
                bottom: rows(height),
                ..Border::default()
            },
            Self::Centred => Border {
                left: missing(width) / 2,
                right: missing(width).div_ceil(2),
                top: missing(height) / 2,
                bottom: missing(height).div_ceil(2),
                black: false,
            },
        }
    }
}

/// Pads an image.
fn bordered(image: &RgbImage, border: Border) -> RgbImage {
    if [border.left, border.top, border.right, border.bottom] == [0; 4] {
        return image.clone();
    }
    let (width, height) = (image.width as usize, image.height as usize);
    let (left, right) = (border.left as usize, border.right as usize);
    let mut data =
        Vec::with_capacity(3 * (width + left + right) * (height + (border.top + border.bottom) as usize));
    for plane in image.data.chunks_exact(width * height) {
        for y in 0..height + (border.top + border.bottom) as usize {
            let row = y.saturating_sub(border.top as usize).min(height - 1);
            let row = &plane[row * width..][..width];
            let outside = y < border.top as usize || y >= border.top as usize + height;
            if border.black && outside {
                data.resize(data.len() + left + width + right, 0.0);
                continue;
            }
            let edge = |value: f32| if border.black { 0.0 } else { value };
            data.resize(data.len() + left, edge(row[0]));
            data.extend_from_slice(row);
            data.resize(data.len() + right, edge(row[width - 1]));
        }
    }
    RgbImage::new(
        image.width + border.left + border.right,
        image.height + border.top + border.bottom,
        data,
    )
}

/// Cuts the padding off an image, down to `[width, height]`.
fn cut(image: &RgbImage, border: Border, [width, height]: [u32; 2]) -> RgbImage {
    if (image.width, image.height) == (width, height) {
        return image.clone();
    }
    let stride = image.width as usize;
    let rows = image
        .data
        .chunks_exact(stride * image.height as usize)
        .flat_map(|plane| {
            let rows = plane
                .chunks_exact(stride)
                .skip(border.top as usize)
                .take(height as usize);
            rows.flat_map(|row| &row[border.left as usize..][..width as usize])
        });
    RgbImage::new(width, height, rows.copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: u32, height: u32) -> RgbImage {
        RgbImage::new(
            width,
            height,
            (1..=3 * width * height).map(|v| v as f32).collect(),
        )
    }

    #[test]
    fn a_canvas_is_black_and_keeps_the_picture_at_its_top_left() {
        let border = Border {
            right: 1,
            bottom: 2,
            black: true,
            ..Border::default()
        };
        let large = bordered(&image(2, 2), border);
        assert_eq!((large.width, large.height), (3, 4));
        assert_eq!(large.data[..9], [1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(cut(&large, border, [2, 2]), image(2, 2));
    }

    #[test]
    fn other_borders_repeat_the_edge() {
        let border = Border {
            left: 1,
            top: 1,
            right: 2,
            bottom: 0,
            black: false,
        };
        let large = bordered(&image(2, 2), border);
        assert_eq!(
            large.data[..15],
            [
                1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 4.0
            ]
        );
        assert_eq!(cut(&large, border, [2, 2]), image(2, 2));
    }

    #[test]
    fn borders_are_those_of_the_scripts() {
        let rows = |layout, width, height| {
            let border = Protocol::of(layout).padding.border([width, height]);
            (border.top, border.bottom, border.left, border.right)
        };
        assert_eq!(rows(Layout::Hd, 1280, 720), (24, 24, 0, 0));
        assert_eq!(rows(Layout::Hd, 1920, 1080), (4, 4, 0, 0));
        assert_eq!(rows(Layout::Hd, 1280, 544), (16, 16, 0, 0));
        assert_eq!(rows(Layout::Atd12k, 960, 540), (2, 2, 0, 0));
        assert_eq!(rows(Layout::Middlebury, 584, 388), (0, 92, 0, 56));
        assert_eq!(rows(Layout::SnuFilm, 1279, 721), (7, 8, 0, 1));
        assert_eq!(rows(Layout::Ucf101, 250, 250), (0, 0, 0, 0));
    }
}
