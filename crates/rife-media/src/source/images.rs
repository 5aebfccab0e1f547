//! Still images as a clip: a folder, a pattern, one file, or the pages of one TIFF; in natural order, all of one size.

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
mod still;
mod tiff;
mod webp;

/// Extensions that are taken for images.
const EXTENSIONS: [&str; 13] = [
    "png", "jpg", "jpeg", "webp", "tif", "tiff", "exr", "bmp", "ppm", "pgm", "pbm", "pnm", "pam",
];

/// A picture of the sequence: its file, and which directory of a TIFF of several.
#[derive(Debug, Clone)]
struct Item {
    path: PathBuf,
    page: Option<u64>,
}

impl Item {
    fn open(&self) -> Result<Still<'_>> {
        Still::open(&self.path).map(|(still, _)| still.at_page(self.page))
    }
}

/// A sequence of still images.
pub(super) struct Images {
    items: Vec<Item>,
    next: usize,
    rate: Time,
    info: StreamInfo,
    limits: Limits,
    cancel: crate::CancelToken,
    warnings: Vec<String>,
    notes: Vec<String>,
}

impl Images {
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

    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        let Some(item) = self.items.get(self.next) else {
            return Ok(None);
        };
        let picture = item.open()?.decode(&self.limits)?;
        // The file may have been replaced since it was looked at.
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

/// The files of a folder or a pattern, in order.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    list::list(path, &mut Vec::new())
}

/// The pictures that `path` stands for.
fn items(path: &Path, warnings: &mut Vec<String>) -> Result<Vec<Item>> {
    let whole = |path: PathBuf| Item { path, page: None };
    if !path.is_dir() && path.exists() {
        let (still, _) = Still::open(path)?;
        let pages = still.pages()?.unwrap_or_default();
        if pages.len() < 2 {
            return Ok(vec![whole(path.to_owned())]);
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
    Ok(files.into_iter().map(whole).collect())
}

/// What all pictures have in common.
struct Survey {
    size: (u32, u32),
    format: PixelFormat,
    notes: Vec<String>,
}

/// Looks at the headers of all pictures before the first is decoded: one that cannot be read or is of another size is
/// found now, and the format is one that holds what any of them has.
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

/// The format that holds pictures of both.
fn wider(a: PixelFormat, b: PixelFormat, path: &Path) -> Result<PixelFormat> {
    if a.is_float() != b.is_float() {
        let reason = "it holds linear floats where the images before it do not, or the other way round; turn all into one kind first";
        return Err(MediaError::unreadable(path, reason));
    }
    let depth = a.depth.max(b.depth);
    Ok(PixelFormat { depth, ..a }.with_alpha(a.alpha || b.alpha))
}

/// Reads what a still image of any accepted kind announces, without decoding it.
///
/// # Errors
/// [`MediaError::Unreadable`] for what is no such image, is cut off, or claims more than its file can hold;
/// [`MediaError::Limit`] for sizes that are not accepted and pictures that take more memory than there is.
pub fn image_header(path: &Path, limits: &Limits) -> Result<ImageHeader> {
    Still::open(path)?.0.header(limits)
}

/// Reads one still image of any accepted kind as a frame, with its colour tags: sRGB, or linear light for floats.
///
/// # Errors
/// As [`image_header`], and [`MediaError::Unreadable`] for damaged data.
pub fn read_image(path: &Path, limits: &Limits) -> Result<(Frame, ColorTags)> {
    let picture = Still::open(path)?.0.decode(limits)?;
    let format = still::format_of(picture.color());
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

/// Whether a file is to be read as still images: by its content where that tells, else by its name. An animation is
/// not, and neither is a video with the name of a picture.
pub(super) fn is_still(path: &Path) -> bool {
    let named = has_image_extension(path);
    let Ok((still, _)) = Still::open(path) else {
        return named;
    };
    match still.kind() {
        Kind::Video(_) => false,
        Kind::Unknown => named,
        // Motion JPEG begins as a JPEG does.
        Kind::Jpeg => named || path.extension().is_none(),
        Kind::Png => !still.is_animated_png(),
        Kind::WebP => !is_animation(path),
        Kind::Tiff | Kind::Exr | Kind::Bmp | Kind::Pnm | Kind::Foreign(_) => true,
    }
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

/// What is known of pictures of one size and format.
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
