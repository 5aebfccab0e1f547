//! Conversion of image files to the network's input (one size, RGB 0..=1, premultiplied alpha, gamma-encoded) and back.
//!
//! - Alpha is premultiplied for the network and divided out afterwards, so that the colour of transparent pixels never
//!   becomes visible.
//! - Linear light (EXR) is divided by the maximum of all images and encoded by the sRGB curve, so that highlights above 1
//!   are preserved; outputs other than EXR are clipped at 1.

use std::path::Path;
use std::sync::Arc;

use num_rational::Ratio;
use rife_media::{
    CancelToken, ColorTags, Fit, Frame, Limits, PixelFormat, RgbImage, Transfer, fit, image_header,
    read_image, srgb_decode, srgb_encode,
};

use super::sequence::Step;
use super::{ImageJob, as_format, extension};
use crate::choice::NamedChoice;
use crate::{Error, Result};

/// Size, pixel format and colour of a job's frames.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Coding {
    /// Width and height of every frame.
    pub(super) size: [u32; 2],
    /// The output's pixel format: the maximum depth of the inputs, with alpha if any of them has it.
    pub(super) format: PixelFormat,
    /// The output's colour tags.
    pub(super) tags: ColorTags,
    /// Remarks for the user on images that are scaled or clipped.
    pub(super) notes: Vec<String>,
    fit: Fit,
    /// Whether any input has alpha.
    alpha: bool,
    /// Maximum value of all images if they are read and written as linear light.
    peak: Option<f32>,
}

/// One of the job's input images.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// The network's input.
    pub(super) image: Arc<RgbImage>,
    /// The decoded file, if it can be written without conversion to the network's input and back.
    pub(super) original: Option<Arc<(Frame, ColorTags)>>,
}

impl Coding {
    /// Chooses size and format by the headers of all images; nothing is decoded.
    pub(super) fn from_headers(job: &ImageJob, cancel: &CancelToken) -> Result<Self> {
        let (mut sizes, mut remarks) = (Vec::new(), Vec::new());
        let (mut depth, mut alpha, mut floats) = (8, false, 0);
        for path in &job.pictures {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let header = image_header(path, &Limits::default())?;
            sizes.push([header.width, header.height]);
            depth = depth.max(header.format.depth.min(16));
            alpha |= header.format.alpha;
            floats += usize::from(header.format.is_float());
            remarks.extend(
                header
                    .notes
                    .iter()
                    .map(|note| format!("{}: {note}", path.display())),
            );
        }
        let size = job.size.unwrap_or(sizes[0]);
        Limits::default().check_size(size[0].into(), size[1].into())?;
        let linear = floats == job.pictures.len() && keeps_floats(job);
        let format = if linear {
            PixelFormat::RGBF32
        } else {
            PixelFormat::new(rife_media::Layout::Rgb, depth)
        };
        let linear_tags = ColorTags {
            transfer: Transfer::Linear,
            ..ColorTags::SRGB
        };
        Ok(Self {
            size,
            format: format.with_alpha(alpha),
            tags: if linear { linear_tags } else { ColorTags::SRGB },
            notes: {
                remarks.extend(notes(job, &sizes, size, floats > 0 && !linear));
                remarks
            },
            fit: job.fit,
            alpha,
            peak: linear.then_some(1.0),
        })
    }

    /// Returns what the frames depend on beside size, pixel format and colour, as entries of the job fingerprint.
    pub(super) fn facts(&self) -> [(&'static str, String); 3] {
        let peak = self.peak.unwrap_or(1.0);
        [
            ("--fit", self.fit.option_name().to_owned()),
            ("alpha", self.alpha.to_string()),
            ("the maximum value", peak.to_string()),
        ]
    }

    /// Decodes all images of linear light once to find their maximum value; does nothing for other images.
    pub(super) fn find_peak(&mut self, job: &ImageJob, cancel: &CancelToken) -> Result<()> {
        let Some(peak) = &mut self.peak else {
            return Ok(());
        };
        for path in &job.pictures {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let (frame, tags) = read_image(path, &Limits::default())?;
            *peak = brightest(&frame.to_rgb(&tags)).max(*peak);
        }
        Ok(())
    }

    /// Reads an image file and converts it to the network's input.
    pub(super) fn load(&self, path: &Path) -> Result<Picture> {
        let (frame, tags) = read_image(path, &Limits::default())?;
        let linear = tags.transfer == Transfer::Linear;
        let untouched = [frame.width, frame.height] == self.size && linear == self.peak.is_some();
        let mut image = frame.to_rgb(&tags);
        if linear {
            let peak = self.peak.unwrap_or(1.0);
            image
                .data
                .iter_mut()
                .for_each(|value| *value = srgb_encode(*value / peak));
        }
        if self.alpha {
            let opaque = || vec![1.0; image.data.len() / 3];
            let alpha = image.alpha.take().unwrap_or_else(opaque);
            image.alpha = Some(alpha);
            image = image.premultiplied();
        }
        let image = if [frame.width, frame.height] == self.size {
            image
        } else {
            fit(&image, Ratio::from(1), self.size, self.fit)
        };
        Ok(Picture {
            image: Arc::new(image),
            original: untouched.then(|| Arc::new((frame, tags))),
        })
    }

    /// Converts a frame of the sequence to the given pixel format and colour tags. Given images are taken from their file's
    /// pixels where possible.
    pub(super) fn frame(&self, step: &Step, format: PixelFormat, tags: &ColorTags) -> Frame {
        if let Step::End(Picture {
            original: Some(original),
            ..
        }) = step
        {
            let (frame, its_tags) = original.as_ref();
            return as_format(frame, its_tags, format, tags);
        }
        let mut image = RgbImage::clone(step.image()).unpremultiplied();
        if let Some(peak) = self.peak {
            image
                .data
                .iter_mut()
                .for_each(|value| *value = srgb_decode(*value) * peak);
        }
        Frame::from_rgb(&image, format, tags)
    }

    /// Makes a constant grey image of a size for measuring.
    pub(super) fn blank(&self, [width, height]: [u32; 2]) -> Picture {
        let pixels = width as usize * height as usize;
        let mut image = RgbImage::new(width, height, vec![0.5; 3 * pixels]);
        image.alpha = self.alpha.then(|| vec![1.0; pixels]);
        let frame = Frame::from_rgb(&image, self.format, &self.tags);
        Picture {
            image: Arc::new(image),
            original: Some(Arc::new((frame, self.tags))),
        }
    }
}

/// Reports whether the output holds linear floats: an `.exr` file, or a folder.
fn keeps_floats(job: &ImageJob) -> bool {
    let name = extension(&job.output);
    name == "exr" || (!super::names_a_picture(&job.output) && rife_media::Container::of(&job.output).is_err())
}

/// Returns remarks for the user: images of another size than the output, and linear light that is clipped to 0..=1.
fn notes(job: &ImageJob, sizes: &[[u32; 2]], [width, height]: [u32; 2], clipped: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let others = sizes.iter().filter(|size| **size != [width, height]).count();
    if others > 0 {
        let how = match job.fit {
            Fit::Pad => "scaled whole into it, the rest is black or transparent",
            Fit::Crop => "scaled to fill it, what stands over is cut off",
            Fit::Stretch => "stretched to it",
        };
        let [first_width, first_height] = sizes
            .iter()
            .find(|size| **size != [width, height])
            .unwrap_or(&sizes[0]);
        notes.push(format!(
            "{others} of {} pictures are not {width}x{height} (such as {first_width}x{first_height}): {how}",
            sizes.len()
        ));
    }
    if clipped {
        notes.push(
            "linear floats are coded as sRGB and shown from 0 to 1; an EXR output keeps them".to_owned(),
        );
    }
    notes
}

/// Returns the maximum finite value of all channels, at least 0.
fn brightest(image: &RgbImage) -> f32 {
    let finite = image.data.iter().copied().filter(|value| value.is_finite());
    finite.fold(0.0, f32::max)
}
