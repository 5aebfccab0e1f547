//! Pictures as the network sees them, and back: of one size, colours multiplied by alpha, linear light coded.
//!
//! - Colours are multiplied by alpha before they are moved and divided by it after, so that what nobody sees (the
//!   colour of transparent pixels) never shows.
//! - Linear floats (EXR) are coded by the sRGB curve, over the brightest value of all pictures, so that highlights
//!   above 1 come back as they were; written as anything but EXR, they are shown up to 1.

use std::path::Path;
use std::sync::Arc;

use num_rational::Ratio;
use rife_media::{
    CancelToken, ColorTags, Fit, Frame, Limits, PixelFormat, RgbImage, Transfer, fit, image_header,
    read_image, srgb_decode, srgb_encode,
};

use super::walk::Step;
use super::{ImageJob, as_format, extension};
use crate::{Error, Result};

/// How all pictures of a job are coded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Coding {
    /// Size of every frame.
    pub(super) size: [u32; 2],
    /// The format that holds what the pictures have.
    pub(super) format: PixelFormat,
    /// How its codes are to be read.
    pub(super) tags: ColorTags,
    /// What has been decided, in words.
    pub(super) notes: Vec<String>,
    fit: Fit,
    alpha: bool,
    /// Linear light that is written as linear light: its brightest value.
    peak: Option<f32>,
}

/// One of the job's pictures.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// As the network sees it.
    pub(super) image: Arc<RgbImage>,
    /// As it came, where it is shown so.
    pub(super) original: Option<Arc<(Frame, ColorTags)>>,
}

impl Coding {
    /// Looks at the headers of all pictures; nothing is decoded yet.
    pub(super) fn of(job: &ImageJob, cancel: &CancelToken) -> Result<Self> {
        let (mut sizes, mut told) = (Vec::new(), Vec::new());
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
            told.extend(
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
                told.extend(notes(job, &sizes, size, floats > 0 && !linear));
                told
            },
            fit: job.fit,
            alpha,
            peak: linear.then_some(1.0),
        })
    }

    /// Decodes pictures of linear light once, to find the brightest value of all.
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

    /// A picture from its file.
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

    /// A frame to be written.
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

    /// A picture of this coding to measure with.
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

fn keeps_floats(job: &ImageJob) -> bool {
    let name = extension(&job.output);
    name == "exr" || (!super::names_a_picture(&job.output) && rife_media::Container::of(&job.output).is_err())
}

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

fn brightest(image: &RgbImage) -> f32 {
    let finite = image.data.iter().copied().filter(|value| value.is_finite());
    finite.fold(0.0, f32::max)
}
