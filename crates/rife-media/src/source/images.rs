//! Still images as a clip: a folder, a pattern, or one file; in natural order, all of one size.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use num_rational::Ratio;

use super::{Source, SourceSpec, StreamInfo};
use crate::frame::{Plane, Samples};
use crate::probe::{DisplayMatrix, HdrMetadata};
use crate::time::{narrow, widen};
use crate::{ColorTags, Frame, Limits, MediaError, PixelFormat, Result, Time};

/// Extensions that are taken for images.
const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "exr"];

/// A sequence of still images.
pub(super) struct Images {
    files: Vec<PathBuf>,
    next: usize,
    rate: Time,
    info: StreamInfo,
    limits: Limits,
    cancel: crate::CancelToken,
    warnings: Vec<String>,
}

impl Images {
    pub(super) fn open(path: &Path, spec: &SourceSpec) -> Result<Self> {
        let mut warnings = Vec::new();
        let files = list(path, &mut warnings)?;
        let first = files.first().ok_or_else(|| {
            MediaError::unreadable(
                path,
                "no image was found; PNG, JPEG, WebP, TIFF and EXR are accepted",
            )
        })?;
        let rate = spec.frame_rate.unwrap_or(Ratio::from(25));
        let picture = decode(first, &spec.limits, None)?;
        let duration = narrow(widen(rate).recip() * files.len() as i128);
        let info = info(&picture, rate, files.len() as u64, duration);
        let (limits, cancel) = (spec.limits.clone(), spec.cancel.clone());
        limits.check_frames(files.len() as u64)?;
        Ok(Self {
            files,
            next: 0,
            rate,
            info,
            limits,
            cancel,
            warnings,
        })
    }
}

impl Source for Images {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        let Some(file) = self.files.get(self.next) else {
            return Ok(None);
        };
        let picture = decode(file, &self.limits, Some((self.info.width, self.info.height)))?;
        let time = |n: usize| narrow(widen(self.rate).recip() * n as i128).unwrap_or_default();
        let (pts, end) = (time(self.next), time(self.next + 1));
        self.next += 1;
        Ok(Some(to_frame(&picture, self.info.format).at(pts, end - pts)))
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}

/// Reads one still image of any accepted kind as a frame, with its colour tags.
pub fn read_image(path: &Path, limits: &Limits) -> Result<(Frame, ColorTags)> {
    let picture = decode(path, limits, None)?;
    let format = format_of(&picture);
    Ok((to_frame(&picture, format), tags_of(format)))
}

/// Whether a file name holds a wildcard.
pub(super) fn is_pattern(name: &OsStr) -> bool {
    name.to_string_lossy().contains(['*', '?'])
}

/// Whether the name is that of an image.
pub(super) fn has_image_extension(path: &Path) -> bool {
    EXTENSIONS
        .iter()
        .any(|extension| super::has_extension(path, extension))
}

/// The images of a folder or pattern in natural order; what is left out is noted.
fn list(path: &Path, notes: &mut Vec<String>) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let (folder, pattern) = if path.is_dir() {
        (path.to_owned(), None)
    } else {
        let folder = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        (
            folder.to_owned(),
            path.file_name().map(|name| name.to_string_lossy().into_owned()),
        )
    };
    let mut files = Vec::new();
    let mut ignored = 0;
    for entry in fs::read_dir(&folder).map_err(|e| MediaError::io("open", path, e))? {
        let file = entry.map_err(|e| MediaError::io("read", &folder, e))?.path();
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if pattern
            .as_ref()
            .is_some_and(|pattern| !matches(pattern.as_bytes(), name.as_bytes()))
        {
            continue;
        }
        if has_image_extension(&file) && file.is_file() && !name.starts_with('.') {
            files.push((name, file));
        } else {
            ignored += 1;
        }
    }
    if ignored > 0 {
        notes.push(format!(
            "{ignored} entries of {} are no images and were left out",
            folder.display()
        ));
    }
    files.sort_by(|a, b| natural_order(&a.0, &b.0));
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

/// Matches `*` and `?`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((place, from)) => {
                    *from += 1;
                    (p, n) = (*place + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// Compares runs of digits by their value, so that `2.png` comes before `10.png`.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (x, y) = (digits(left), digits(right));
        let order = if x.is_empty() || y.is_empty() {
            let (x, y) = (left.chars().next(), right.chars().next());
            match (x, y) {
                (None, None) => return a.cmp(b),
                (None, _) => return Ordering::Less,
                (_, None) => return Ordering::Greater,
                (Some(x), Some(y)) => {
                    left = &left[x.len_utf8()..];
                    right = &right[y.len_utf8()..];
                    x.cmp(&y)
                }
            }
        } else {
            left = &left[x.len()..];
            right = &right[y.len()..];
            let (x, y) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

/// Decodes one image, turned as its EXIF data says; its size is checked before memory is taken for it.
fn decode(path: &Path, limits: &Limits, size: Option<(u32, u32)>) -> Result<DynamicImage> {
    let unreadable = |reason: String| MediaError::unreadable(path, reason);
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let mut reader = reader.map_err(|e| MediaError::io("open", path, e))?;
    let kind = reader.format().filter(accepted).ok_or_else(|| {
        unreadable("it is no PNG, JPEG, WebP, TIFF or EXR image, whatever its name says".to_owned())
    })?;
    reader.limits(memory_limits(limits, kind));
    let mut decoder = reader.into_decoder().map_err(|e| unreadable(e.to_string()))?;
    let (width, height) = decoder.dimensions();
    limits.check_size(u64::from(width), u64::from(height))?;
    check_plausible(path, kind, decoder.total_bytes())?;
    let orientation = decoder.orientation().map_err(|e| unreadable(e.to_string()))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| unreadable(e.to_string()))?;
    picture.apply_orientation(orientation);
    match size {
        Some(size) if size != (picture.width(), picture.height()) => Err(unreadable(format!(
            "it is {}x{} where the images before it are {}x{}",
            picture.width(),
            picture.height(),
            size.0,
            size.1
        ))),
        _ => Ok(picture),
    }
}

fn accepted(format: &ImageFormat) -> bool {
    use ImageFormat::{Jpeg, OpenExr, Png, Tiff, WebP};
    matches!(format, Png | Jpeg | WebP | Tiff | OpenExr)
}

/// What a PNG's texts and colour profile may take unpacked: they are read before the size is known to be allowed, and
/// its decoder charges them, and one line, to the limit but not the pixels.
const PNG_CHUNKS: u64 = 64 << 20;

fn memory_limits(limits: &Limits, kind: ImageFormat) -> image::Limits {
    let mut memory = image::Limits::default();
    memory.max_image_width = Some(limits.max_side);
    memory.max_image_height = Some(limits.max_side);
    let pixels = limits.max_pixels.saturating_mul(16);
    memory.max_alloc = Some(if kind == ImageFormat::Png {
        PNG_CHUNKS
    } else {
        pixels
    });
    memory
}

/// Deflate shrinks at most 1032 times, so a PNG that claims more is a bomb or broken.
fn check_plausible(path: &Path, kind: ImageFormat, bytes: u64) -> Result<()> {
    let length = fs::metadata(path)
        .map_err(|e| MediaError::io("open", path, e))?
        .len();
    if kind == ImageFormat::Png && bytes > length.saturating_mul(1032).saturating_add(1 << 16) {
        let reason =
            format!("its header claims {bytes} bytes of pixels, more than a file of {length} bytes can hold");
        return Err(MediaError::unreadable(path, reason));
    }
    Ok(())
}

fn format_of(picture: &DynamicImage) -> PixelFormat {
    use image::ColorType::{L16, La16, Rgb16, Rgb32F, Rgba16, Rgba32F};
    let color = picture.color();
    let format = match color {
        L16 | La16 | Rgb16 | Rgba16 => PixelFormat::RGB16,
        Rgb32F | Rgba32F => PixelFormat::RGBF32,
        _ => PixelFormat::RGB8,
    };
    format.with_alpha(color.has_alpha())
}

fn tags_of(format: PixelFormat) -> ColorTags {
    if format.is_float() {
        ColorTags {
            transfer: crate::Transfer::Linear,
            ..ColorTags::SRGB
        }
    } else {
        ColorTags::SRGB
    }
}

fn info(picture: &DynamicImage, rate: Time, count: u64, duration: Option<Time>) -> StreamInfo {
    let format = format_of(picture);
    StreamInfo {
        width: picture.width(),
        height: picture.height(),
        format,
        tags: tags_of(format),
        sample_aspect: Ratio::from(1),
        matrix: DisplayMatrix::IDENTITY,
        time_base: rate.recip(),
        frame_rate: Some(rate),
        variable_rate: false,
        frames: Some(count),
        duration,
        start: Time::from(0),
        hdr: HdrMetadata::default(),
        media: None,
    }
}

/// Planes of `format` (RGB of 8 or 16 bits, or floats) from a picture of any kind.
fn to_frame(picture: &DynamicImage, format: PixelFormat) -> Frame {
    let (width, height) = (picture.width(), picture.height());
    let mut frame = Frame {
        planes: Vec::new(),
        ..Frame::zeroed(1, 1, format)
    };
    (frame.width, frame.height) = (width, height);
    let plane = |samples| Plane {
        width,
        height,
        samples,
    };
    let count = format.planes();
    frame.planes = match format.depth {
        8 => split(&picture.to_rgba8(), count)
            .into_iter()
            .map(|v| plane(Samples::U8(v)))
            .collect(),
        16 => split(&picture.to_rgba16(), count)
            .into_iter()
            .map(|v| plane(Samples::U16(v)))
            .collect(),
        _ => split(&picture.to_rgba32f(), count)
            .into_iter()
            .map(|v| plane(Samples::F32(v)))
            .collect(),
    };
    frame
}

fn split<T: Copy>(interleaved: &[T], count: usize) -> Vec<Vec<T>> {
    (0..count)
        .map(|channel| interleaved.iter().skip(channel).step_by(4).copied().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_by_value() {
        let mut names = ["frame10.png", "frame2.png", "frame1.png", "a.png", "frame02.png"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(
            names,
            ["a.png", "frame1.png", "frame02.png", "frame2.png", "frame10.png"]
        );
    }

    #[test]
    fn patterns() {
        assert!(matches(b"*.png", b"a.png") && matches(b"f?_*.png", b"f1_22.png") && matches(b"*", b""));
        assert!(!matches(b"*.png", b"a.jpg") && !matches(b"f?.png", b"f.png"));
    }
}
