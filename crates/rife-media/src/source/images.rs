//! Image sequence source: a folder, a pattern, one file, or the pages of one TIFF; in natural order, all of one size.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use image::DynamicImage;
use num_rational::Ratio;

use super::{Source, SourceSpec, StreamInfo};
use crate::frame::{Plane, Samples};
use crate::probe::{DisplayMatrix, HdrMetadata};
use crate::time::{narrow, widen};
use crate::{ColorTags, Frame, Limits, MediaError, PixelFormat, Result, Time};
use kind::Kind;
pub use list::natural_order;
pub use still::ImageHeader;
use still::Still;
pub(super) use webp::{Animation, is_animation};

mod jpeg;
mod kind;
mod list;
mod profile;
mod riff;
mod still;
mod tiff;
mod webp;

/// File extensions of still images.
const EXTENSIONS: [&str; 13] = [
    "png", "jpg", "jpeg", "webp", "tif", "tiff", "exr", "bmp", "ppm", "pgm", "pbm", "pnm", "pam",
];

/// An image of the sequence.
#[derive(Debug, Clone)]
struct Item {
    path: PathBuf,
    /// Offset of its directory in a multi-page TIFF.
    page: Option<u64>,
}

impl Item {
    /// Opens the file and detects its format.
    fn open(&self) -> Result<Still<'_>> {
        Still::open(&self.path).map(|(still, _)| still.at_page(self.page))
    }
}

/// A source of still images at a constant rate.
pub(super) struct Images {
    items: Vec<Item>,
    /// Index of the next item.
    next: usize,
    /// Frame rate in frames per second.
    rate: Time,
    info: StreamInfo,
    limits: Limits,
    cancel: crate::CancelToken,
    warnings: Vec<String>,
    notes: Vec<String>,
}

impl Images {
    /// Lists the images of a folder, pattern or file and checks all their headers.
    pub(super) fn open(path: &Path, spec: &SourceSpec) -> Result<Self> {
        let mut warnings = Vec::new();
        let items = items(path, &mut warnings)?;
        spec.limits.check_frames(items.len() as u64)?;
        let found = survey(&items, spec)?;
        let rate = spec.frame_rate.unwrap_or(Ratio::from(25));
        let duration = narrow(widen(rate).recip() * items.len() as i128);
        let (limits, cancel) = (spec.limits.clone(), spec.cancel.clone());
        Ok(Self {
            info: info(found.size, found.format, rate, items.len() as u64, duration),
            items,
            next: 0,
            rate,
            limits,
            cancel,
            warnings,
            notes: found.notes,
        })
    }
}

impl Source for Images {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// Decodes the next image as a frame at its time of the constant rate.
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        let Some(item) = self.items.get(self.next) else {
            return Ok(None);
        };
        let picture = item.open()?.decode(&self.limits)?;
        // The file may have been replaced since its header was checked.
        check_same(
            &item.path,
            (picture.width(), picture.height()),
            (self.info.width, self.info.height),
        )?;
        let time = |n: usize| narrow(widen(self.rate).recip() * n as i128).unwrap_or_default();
        let (pts, end) = (time(self.next), time(self.next + 1));
        self.next += 1;
        Ok(Some(to_frame(&picture, self.info.format).at(pts, end - pts)))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}

/// Returns the image files of a folder or pattern in natural order.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    list::list(path, &mut Vec::new())
}

/// Returns the images of a folder or pattern, or of one file, whose pages they are in a multi-page TIFF. Warnings about
/// ignored files and missing numbers are added to `warnings`; an error where there is no image.
fn items(path: &Path, warnings: &mut Vec<String>) -> Result<Vec<Item>> {
    let single = |path: PathBuf| Item { path, page: None };
    if !path.is_dir() && path.exists() {
        let (still, _) = Still::open(path)?;
        let pages = still.pages()?.unwrap_or_default();
        if pages.len() < 2 {
            return Ok(vec![single(path.to_owned())]);
        }
        return Ok(pages
            .iter()
            .map(|page| Item {
                path: path.to_owned(),
                page: Some(page.offset),
            })
            .collect());
    }
    let files = list::list(path, warnings)?;
    if files.is_empty() {
        let left_out = warnings
            .first()
            .map_or(String::new(), |note| format!(" ({note})"));
        return Err(MediaError::unreadable(
            path,
            format!("no picture was found{left_out}; {}", kind::ACCEPTED),
        ));
    }
    Ok(files.into_iter().map(single).collect())
}

/// The common properties of all images of a sequence.
struct Survey {
    /// Width and height in pixels.
    size: (u32, u32),
    /// A format that holds every image without loss.
    format: PixelFormat,
    notes: Vec<String>,
}

/// Reads the headers of all images before the first is decoded; an error where one cannot be read or has another size.
fn survey(items: &[Item], spec: &SourceSpec) -> Result<Survey> {
    let mut found: Option<Survey> = None;
    let mut seen: Vec<(String, usize, &Path)> = Vec::new();
    for item in items {
        if spec.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        let header = item.open()?.header(&spec.limits)?;
        let size = (header.width, header.height);
        let all = found.get_or_insert(Survey {
            size,
            format: header.format,
            notes: Vec::new(),
        });
        check_same(&item.path, size, all.size)?;
        all.format = wider(all.format, header.format, &item.path)?;
        for note in header.notes {
            match seen.iter_mut().find(|(known, ..)| *known == note) {
                Some((_, count, _)) => *count += 1,
                None => seen.push((note, 1, &item.path)),
            }
        }
    }
    let mut found = found.ok_or_else(|| MediaError::Unsupported("no picture was given".to_owned()))?;
    found.notes = seen
        .into_iter()
        .map(|(note, count, path)| match count {
            1 => format!("{}: {note}", path.display()),
            count => format!("{count} pictures, such as {}: {note}", path.display()),
        })
        .collect();
    Ok(found)
}

/// Returns an error where the size of the image at `path` is not that of the images before it.
fn check_same(path: &Path, size: (u32, u32), others: (u32, u32)) -> Result<()> {
    if size == others {
        return Ok(());
    }
    Err(MediaError::unreadable(
        path,
        format!(
            "it is {}x{} where the images before it are {}x{}; all must be of one size",
            size.0, size.1, others.0, others.1
        ),
    ))
}

/// Returns the RGB format that holds images of both formats without loss; an error where only one of them is float.
fn wider(a: PixelFormat, b: PixelFormat, path: &Path) -> Result<PixelFormat> {
    if a.is_float() != b.is_float() {
        let reason = "it holds linear floats where the images before it do not, or the other way round; turn all into one kind first";
        return Err(MediaError::unreadable(path, reason));
    }
    let depth = a.depth.max(b.depth);
    Ok(PixelFormat { depth, ..a }.with_alpha(a.alpha || b.alpha))
}

/// Reads the header of a still image (PNG, JPEG, WebP, TIFF, EXR, BMP or PNM) without decoding it.
///
/// # Errors
/// [`MediaError::Unreadable`] for other formats, truncated files, and headers that claim more than the file can hold;
/// [`MediaError::Limit`] for sizes outside `limits` and images that exceed its memory.
pub fn image_header(path: &Path, limits: &Limits) -> Result<ImageHeader> {
    Still::open(path)?.0.header(limits)
}

/// Reads one still image (PNG, JPEG, WebP, TIFF, EXR, BMP or PNM) as an RGB frame with its colour tags: sRGB, or linear light
/// for floats.
///
/// # Errors
/// Errors of [`image_header`], and [`MediaError::Unreadable`] for damaged data.
pub fn read_image(path: &Path, limits: &Limits) -> Result<(Frame, ColorTags)> {
    let picture = Still::open(path)?.0.decode(limits)?;
    let format = still::format_of(picture.color());
    Ok((to_frame(&picture, format), tags_of(format)))
}

/// Reports whether a file name contains a wildcard, `*` or `?`.
pub(super) fn is_pattern(name: &OsStr) -> bool {
    name.to_string_lossy().contains(['*', '?'])
}

/// Reports whether a file's extension is that of a still image.
pub(super) fn has_image_extension(path: &Path) -> bool {
    EXTENSIONS
        .iter()
        .any(|extension| super::has_extension(path, extension))
}

/// Reports whether a file is a still image, by content where that is recognised, else by extension; false for animations and
/// videos.
pub(super) fn is_still(path: &Path) -> bool {
    let named = has_image_extension(path);
    let Ok((still, _)) = Still::open(path) else {
        return named;
    };
    match still.kind() {
        Kind::Video(_) => false,
        Kind::Unknown => named,
        // Motion JPEG begins like a JPEG.
        Kind::Jpeg => named || path.extension().is_none(),
        Kind::Png => !still.is_animated_png(),
        Kind::WebP => !is_animation(path),
        Kind::Tiff | Kind::Exr | Kind::Bmp | Kind::Pnm | Kind::Foreign(_) => true,
    }
}

/// Returns the colour tags of decoded images of this format: sRGB, or linear light for floats.
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

/// Builds the source's properties for `count` images of one size and format at `rate` frames per second; `duration` is in
/// seconds.
fn info(
    (width, height): (u32, u32),
    format: PixelFormat,
    rate: Time,
    count: u64,
    duration: Option<Time>,
) -> StreamInfo {
    StreamInfo {
        width,
        height,
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
        excerpt: None,
        hdr: HdrMetadata::default(),
        media: None,
    }
}

/// Converts a decoded image to a frame of `format` (RGB of 8 or 16 bits or floats, with or without alpha).
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

/// Returns the first `count` channels of interleaved RGBA samples as planes.
fn split<T: Copy>(interleaved: &[T], count: usize) -> Vec<Vec<T>> {
    (0..count)
        .map(|channel| interleaved.iter().skip(channel).step_by(4).copied().collect())
        .collect()
}
