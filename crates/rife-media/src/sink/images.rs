//! Still images into a folder: `0000000.png`, `0000001.png` and so on, each complete before it gets its name.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageBuffer, ImageFormat as Kind};

use super::part::same_file;
use super::{ImageFormat, Sink, SinkSpec, VideoParams, Written, check_frame};
use crate::frame::Samples;
use crate::time::{narrow, widen};
use crate::{ColorTags, Frame, MediaError, PixelFormat, Result, Time};

/// A folder that is being filled.
pub(super) struct Images {
    folder: PathBuf,
    format: ImageFormat,
    params: VideoParams,
    overwrite: bool,
    /// Pictures that are read.
    inputs: Vec<PathBuf>,
    cancel: crate::CancelToken,
    frames: u64,
    bytes: u64,
    first: Option<Time>,
    end: Time,
}

impl ImageFormat {
    /// Its file extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Tiff => "tiff",
            Self::Exr => "exr",
        }
    }

    /// From a file extension, in any case.
    pub fn parse(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "png" => Self::Png,
            "jpg" | "jpeg" => Self::Jpeg,
            "webp" => Self::WebP,
            "tif" | "tiff" => Self::Tiff,
            "exr" => Self::Exr,
            _ => return None,
        })
    }

    /// The pixel format that keeps the most of `source`.
    pub fn pixel_format(self, source: PixelFormat) -> PixelFormat {
        let format = match self {
            Self::Exr => PixelFormat::RGBF32,
            Self::Png | Self::Tiff if source.depth > 8 => PixelFormat::RGB16,
            _ => PixelFormat::RGB8,
        };
        format.with_alpha(source.alpha && self != Self::Jpeg)
    }
}

impl Images {
    pub(super) fn create(
        folder: &Path,
        format: ImageFormat,
        spec: &SinkSpec,
        params: &VideoParams,
    ) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| MediaError::io("create", folder, e))?;
        let first = folder.join(name(0, format));
        if !spec.overwrite && first.symlink_metadata().is_ok() {
            return Err(MediaError::Exists(first));
        }
        if spec.inputs.iter().any(|input| reads_from(input, folder)) {
            return Err(MediaError::OutputIsInput(folder.to_owned()));
        }
        let params = VideoParams {
            format: format.pixel_format(params.format),
            tags: params.tags.for_rgb(),
            ..params.clone()
        };
        Ok(Self {
            folder: folder.to_owned(),
            format,
            params,
            overwrite: spec.overwrite,
            inputs: spec
                .inputs
                .iter()
                .filter(|input| input.is_file())
                .cloned()
                .collect(),
            cancel: spec.cancel.clone(),
            frames: 0,
            bytes: 0,
            first: None,
            end: Time::from(0),
        })
    }
}

/// Whether `input` is `folder`, or a pattern of pictures in it, which the output would replace.
fn reads_from(input: &Path, folder: &Path) -> bool {
    let lies_in = |parent: &Path| {
        let here = parent.as_os_str().is_empty();
        same_file(if here { Path::new(".") } else { parent }, folder)
    };
    same_file(input, folder) || (!input.exists() && input.parent().is_some_and(lies_in))
}

impl Sink for Images {
    fn params(&self) -> &VideoParams {
        &self.params
    }

    fn write(&mut self, frame: &Frame) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        check_frame(&self.params, frame, self.frames)?;
        let path = self.folder.join(name(self.frames, self.format));
        if self.inputs.iter().any(|input| same_file(input, &path)) {
            return Err(MediaError::OutputIsInput(path));
        }
        self.bytes += save(frame, &path, self.format, self.overwrite)?;
        self.first.get_or_insert(frame.pts);
        self.end = narrow(widen(frame.pts) + widen(frame.duration)).unwrap_or(frame.pts);
        self.frames += 1;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let duration = self.end - self.first.unwrap_or(self.end);
        let (path, bytes) = (Some(self.folder), Some(self.bytes));
        Ok(Written {
            path,
            frames: self.frames,
            duration,
            bytes,
            warnings: Vec::new(),
        })
    }
}

/// Writes one frame (of any format) as a still image; its extension names the kind.
pub fn write_image(path: &Path, frame: &Frame, tags: &ColorTags, overwrite: bool) -> Result<()> {
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let format = ImageFormat::parse(&extension).ok_or_else(|| {
        let name = path.display();
        MediaError::Unsupported(format!(
            "{name} is not named as an image; accepted are png, jpg, webp, tiff and exr"
        ))
    })?;
    let wanted = format.pixel_format(frame.format);
    if wanted == frame.format {
        return save(frame, path, format, overwrite).map(|_| ());
    }
    let converted = Frame::from_rgb(&frame.to_rgb(tags), wanted, &tags.for_rgb());
    save(&converted, path, format, overwrite).map(|_| ())
}

fn name(index: u64, format: ImageFormat) -> String {
    format!("{index:07}.{}", format.extension())
}

/// Encodes into memory, writes beside the final name, renames; returns the size.
fn save(frame: &Frame, path: &Path, format: ImageFormat, overwrite: bool) -> Result<u64> {
    let bytes = encode(frame, format)
        .map_err(|e| MediaError::io("encode", path, std::io::Error::other(e.to_string())))?;
    let part = super::part::Part::create(path, overwrite, std::iter::empty())?;
    std::io::Write::write_all(&mut part.file(), &bytes).map_err(|e| MediaError::io("write", path, e))?;
    part.promote_unsynced()?;
    Ok(bytes.len() as u64)
}

/// A still image as a file holds it.
pub(super) fn encode(frame: &Frame, format: ImageFormat) -> std::result::Result<Vec<u8>, image::ImageError> {
    let picture = to_picture(frame);
    let mut out = std::io::Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => {
            picture.write_with_encoder(image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 95))?;
        }
        ImageFormat::Png => picture.write_to(&mut out, Kind::Png)?,
        ImageFormat::WebP => picture.write_to(&mut out, Kind::WebP)?,
        ImageFormat::Tiff => picture.write_to(&mut out, Kind::Tiff)?,
        ImageFormat::Exr => picture.write_to(&mut out, Kind::OpenExr)?,
    }
    Ok(out.into_inner())
}

fn to_picture(frame: &Frame) -> DynamicImage {
    let (w, h, alpha) = (frame.width, frame.height, frame.format.alpha);
    // The buffers have exactly the size that their dimensions ask for, so none of these can fail.
    let picture = match &frame.planes[0].samples {
        Samples::U8(_) => {
            let data = interleave(frame, |s| if let Samples::U8(v) = s { v } else { &[] });
            if alpha {
                ImageBuffer::from_raw(w, h, data).map(DynamicImage::ImageRgba8)
            } else {
                ImageBuffer::from_raw(w, h, data).map(DynamicImage::ImageRgb8)
            }
        }
        Samples::U16(_) => {
            let data = interleave(frame, |s| if let Samples::U16(v) = s { v } else { &[] });
            if alpha {
                ImageBuffer::from_raw(w, h, data).map(DynamicImage::ImageRgba16)
            } else {
                ImageBuffer::from_raw(w, h, data).map(DynamicImage::ImageRgb16)
            }
        }
        Samples::F32(_) => {
            let data = interleave(frame, |s| if let Samples::F32(v) = s { v } else { &[] });
            if alpha {
                ImageBuffer::from_raw(w, h, data).map(DynamicImage::ImageRgba32F)
            } else {
                ImageBuffer::from_raw(w, h, data).map(DynamicImage::ImageRgb32F)
            }
        }
    };
    picture.unwrap_or_else(|| DynamicImage::new_rgb8(w, h))
}

fn interleave<T: Copy>(frame: &Frame, samples: impl Fn(&Samples) -> &[T]) -> Vec<T> {
    let planes: Vec<&[T]> = frame.planes.iter().map(|plane| samples(&plane.samples)).collect();
    let mut out = Vec::with_capacity(planes.len() * planes[0].len());
    for i in 0..planes[0].len() {
        out.extend(planes.iter().map(|plane| plane[i]));
    }
    out
}
