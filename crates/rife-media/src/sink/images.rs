//! Image sequence sink: writes `0000000.png`, `0000001.png`... in a folder, or file names by a pattern; each image is renamed
//! to its final name when complete. An interrupted job resumes after the complete images, see `ledger`.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageBuffer, ImageFormat as Kind};

use super::{ImageFormat, Needs, Resume, Sink, SinkSpec, VideoParams, Written, check_frame, segments};
use crate::frame::Samples;
use crate::persist::ledger::Ledger;
use crate::persist::part::same_file;
use crate::time::{narrow, widen};
use crate::{ColorTags, Frame, MediaError, PixelFormat, Result, Time};

/// A sink of numbered image files.
pub(super) struct Images {
    /// The folder or pattern as given.
    target: PathBuf,
    names: Names,
    format: ImageFormat,
    params: VideoParams,
    overwrite: bool,
    /// Input files, which are never overwritten.
    inputs: Vec<PathBuf>,
    cancel: crate::CancelToken,
    /// The log of complete images of a resumable job.
    ledger: Option<Ledger>,
    /// Number of frames so far.
    frames: u64,
    /// Total size of the image files.
    bytes: u64,
    /// Time of the first frame in seconds.
    first: Option<Time>,
    /// End of the last frame in seconds.
    end: Time,
}

impl ImageFormat {
    /// Returns the file extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Tiff => "tiff",
            Self::Exr => "exr",
        }
    }

    /// Parses a file extension, ignoring case.
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

    /// Returns the pixel format of this file format that preserves `source` best.
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
    /// Creates the folder, opens the log of a resumable job and checks that no other files are in the way.
    pub(super) fn create(
        folder: &Path,
        format: ImageFormat,
        spec: &SinkSpec,
        params: &VideoParams,
    ) -> Result<Self> {
        let (target, names) = (folder, Names::of(folder, format));
        let folder = names.folder.as_path();
        fs::create_dir_all(folder).map_err(|e| MediaError::io("create", folder, e))?;
        if spec.inputs.iter().any(|input| reads_from(input, folder)) {
            return Err(MediaError::OutputIsInput(folder.to_owned()));
        }
        let params = VideoParams {
            format: format.pixel_format(params.format),
            tags: params.tags.for_rgb(),
            ..params.clone()
        };
        let ledger = spec.resume.as_ref();
        let ledger = ledger.map(|resume| self::ledger(target, &names, format, resume, &params));
        let ledger = ledger.transpose()?;
        if !spec.overwrite {
            names.check_free(target, ledger.as_ref().map_or(0, Ledger::listed))?;
        }
        Ok(Self {
            target: target.to_owned(),
            names,
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
            ledger,
            frames: 0,
            bytes: 0,
            first: None,
            end: Time::from(0),
        })
    }
}

impl Images {
    /// Reports whether `path` is an input image.
    fn is_input(&self, path: &Path) -> bool {
        path.exists() && self.inputs.iter().any(|input| same_file(input, path))
    }

    /// Removes the images of an earlier, longer sequence: those that the ledger lists, and with `overwrite` all others
    /// whose numbers follow without a gap. Input images are kept.
    fn remove_stale(&self) -> Result<()> {
        let ours = self.ledger.as_ref().map_or(0, Ledger::listed);
        for index in self.frames.. {
            let path = self.names.path(index);
            let found = path.symlink_metadata().is_ok_and(|there| !there.is_dir()) && !self.is_input(&path);
            if index >= ours && !(found && self.overwrite) {
                break;
            }
            if found {
                fs::remove_file(&path).map_err(|e| MediaError::io("remove", &path, e))?;
            }
        }
        Ok(())
    }
}

/// Returns the hidden folder of an unfinished job with this output, in the folder of the images.
pub(super) fn unfinished(target: &Path) -> PathBuf {
    match pattern(target) {
        Some((path, _)) => rife_files::beside(&path, ".", ".rife-part"),
        None => target.join(".rife-part"),
    }
}

/// Opens the log of complete images, with the properties of the images added to the job fingerprint.
fn ledger(
    target: &Path,
    names: &Names,
    format: ImageFormat,
    resume: &Resume,
    params: &VideoParams,
) -> Result<Ledger> {
    let mut resume = resume.clone();
    let own = [("the kind of picture", format.extension().to_owned())];
    let facts = own.into_iter().chain(segments::video_facts(params));
    resume
        .facts
        .extend(facts.map(|(name, value)| (name.to_owned(), value)));
    Ledger::open(unfinished(target), target, &resume, |index| names.path(index))
}

/// Reports whether `input` is `folder` or a pattern of images in it, which the output could overwrite.
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

    /// Returns the frames after the complete images of an earlier run.
    fn needs(&self) -> Needs {
        let kept = self.ledger.as_ref().map_or(0, |ledger| ledger.kept().len());
        Needs::after(kept as u64)
    }

    /// Counts a complete image of an earlier run.
    fn skip(&mut self, pts: Time) -> Result<()> {
        let kept = self.ledger.iter().flat_map(Ledger::kept);
        if let Some(kept) = kept.clone().nth(self.frames as usize) {
            self.bytes += kept.bytes;
            self.end = kept.end;
        }
        self.first.get_or_insert(pts);
        self.frames += 1;
        Ok(())
    }

    /// Encodes a frame, logs its hash for a resumable job, and writes its image file.
    fn write(&mut self, frame: &Frame) -> Result<()> {
        // A cancelled resumable job still writes frames that are already made.
        if self.ledger.is_none() && self.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        check_frame(&self.params, frame, self.frames)?;
        let path = self.names.path(self.frames);
        if self.is_input(&path) {
            return Err(MediaError::OutputIsInput(path));
        }
        let end = narrow(widen(frame.pts) + widen(frame.duration)).unwrap_or(frame.pts);
        let bytes = encoded(frame, &path, self.format)?;
        let mut overwrite = self.overwrite;
        if let Some(ledger) = &mut self.ledger {
            overwrite |= self.frames < ledger.listed();
            ledger.push(self.frames, &bytes, end)?;
        }
        put(&bytes, &path, overwrite)?;
        self.bytes += bytes.len() as u64;
        self.first.get_or_insert(frame.pts);
        self.end = end;
        self.frames += 1;
        Ok(())
    }

    /// Removes images of an earlier, longer sequence and the log of a resumable job.
    fn finish(self: Box<Self>) -> Result<Written> {
        let duration = self.end - self.first.unwrap_or(self.end);
        self.remove_stale()?;
        if let Some(ledger) = self.ledger {
            ledger.remove()?;
        }
        let (path, bytes) = (Some(self.target), Some(self.bytes));
        Ok(Written {
            path,
            frames: self.frames,
            duration,
            bytes,
            streams: None,
            warnings: Vec::new(),
        })
    }
}

/// The file names of an image sequence: folder, prefix, number, suffix.
struct Names {
    folder: PathBuf,
    /// Text before the number.
    prefix: String,
    /// Minimum number of digits.
    digits: usize,
    /// Text after the number, with the extension.
    suffix: String,
    /// True where the names were given as a pattern.
    given: bool,
}

/// Number of digits where the pattern does not state it.
const DIGITS: usize = 7;

/// Returns the pattern of a path whose file name has `%d`, `%05d` or `*` (replaced by `%07d`), and the image format of its
/// extension; `None` for other paths.
pub(super) fn pattern(path: &Path) -> Option<(PathBuf, ImageFormat)> {
    let name = path.file_name()?.to_str()?;
    let format = ImageFormat::parse(path.extension()?.to_str()?)?;
    let name = match name.split_once('*') {
        Some((before, after)) => format!("{before}%0{DIGITS}d{after}"),
        None => name.to_owned(),
    };
    parts(&name)
        .is_some()
        .then(|| (path.with_file_name(&name), format))
}

/// Splits a name at its only `%d` or `%05d` into prefix, minimum number of digits and suffix.
fn parts(name: &str) -> Option<(&str, usize, &str)> {
    let (prefix, rest) = name.split_once('%')?;
    let (digits, suffix) = rest.split_once('d')?;
    let digits = match digits {
        "" => 1,
        digits => digits.strip_prefix('0').unwrap_or(digits).parse().ok()?,
    };
    ((1..=18).contains(&digits) && !suffix.contains(['%', '*'])).then_some((prefix, digits, suffix))
}

impl Names {
    /// Parses a folder or pattern.
    fn of(target: &Path, format: ImageFormat) -> Self {
        let given = pattern(target).map(|(path, _)| path);
        let name = given.as_ref().and_then(|path| path.file_name()?.to_str());
        let found = name.and_then(parts);
        let extension = format!(".{}", format.extension());
        let (prefix, digits, suffix) = found.unwrap_or(("", DIGITS, &extension));
        let parent = target.parent().filter(|path| !path.as_os_str().is_empty());
        Self {
            folder: match given {
                Some(_) => parent.unwrap_or(Path::new(".")).to_owned(),
                None => target.to_owned(),
            },
            prefix: prefix.to_owned(),
            digits,
            suffix: suffix.to_owned(),
            given: given.is_some(),
        }
    }

    /// Returns the path of image `index`.
    fn path(&self, index: u64) -> PathBuf {
        let (prefix, digits, suffix) = (&self.prefix, self.digits, &self.suffix);
        self.folder.join(format!("{prefix}{index:0digits$}{suffix}"))
    }

    /// Returns the number in a file name of the sequence; `None` for other names.
    fn index(&self, name: &str) -> Option<u64> {
        let number = name.strip_prefix(&self.prefix)?.strip_suffix(&self.suffix)?;
        let index = number.parse().ok()?;
        (self.path(index).file_name()?.to_str()? == name).then_some(index)
    }

    /// Returns the sorted file names in the folder, without hidden ones.
    fn found(&self) -> Result<Vec<String>> {
        let io = |e| MediaError::io("read", &self.folder, e);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            names.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
        }
        names.retain(|name| !name.starts_with('.') && name != "Thumbs.db");
        names.sort();
        Ok(names)
    }

    /// Returns an error where the folder holds images of the sequence, or (unless names are given by a pattern) any other files.
    /// Images below number `ours` belong to an unfinished run of this job and are allowed.
    fn check_free(&self, target: &Path, ours: u64) -> Result<()> {
        for name in self.found()? {
            let index = self.index(&name);
            if index.is_some_and(|index| index >= ours) {
                return Err(MediaError::Exists(self.folder.join(name)));
            }
            if !self.given && index.is_none() {
                let (folder, pattern) = (
                    target.display(),
                    self.folder.join(format!("%0{DIGITS}d{}", self.suffix)),
                );
                return Err(MediaError::Unsupported(format!(
                    "{folder} holds other files, such as {name}: pictures are written into a new or empty folder, or by a pattern of their names, as in {}",
                    pattern.display()
                )));
            }
        }
        Ok(())
    }
}

/// Writes one frame of any pixel format as a still image, in the file format of the path's extension. `tags` are the frame's
/// colour tags. An existing file is replaced only where `overwrite` is set.
///
/// # Errors
/// [`MediaError::Unsupported`] for another extension, [`MediaError::Exists`] for an existing file, [`MediaError::Io`].
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
        return put(&encoded(frame, path, format)?, path, overwrite);
    }
    let converted = Frame::from_rgb(&frame.to_rgb(tags), wanted, &tags.for_rgb());
    put(&encoded(&converted, path, format)?, path, overwrite)
}

/// Encodes a frame as an image file; `path` is its path in errors.
fn encoded(frame: &Frame, path: &Path, format: ImageFormat) -> Result<Vec<u8>> {
    encode(frame, format).map_err(|e| MediaError::io("encode", path, std::io::Error::other(e.to_string())))
}

/// Writes an image file to a temporary file and renames it to `path`.
fn put(bytes: &[u8], path: &Path, overwrite: bool) -> Result<()> {
    let part = crate::persist::part::Part::create(path, overwrite, std::iter::empty())?;
    std::io::Write::write_all(&mut part.file(), bytes).map_err(|e| MediaError::io("write", path, e))?;
    part.promote_unsynced().map(drop)
}

/// Encodes a frame, RGB of 8 or 16 bits or floats, as a still image file.
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

/// Converts an RGB frame to an interleaved image.
fn to_picture(frame: &Frame) -> DynamicImage {
    let (w, h, alpha) = (frame.width, frame.height, frame.format.alpha);
    // The buffers have exactly the size of the image, so `from_raw` cannot fail.
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

/// Interleaves the planes of a frame; `samples` extracts the values of a plane.
fn interleave<T: Copy>(frame: &Frame, samples: impl Fn(&Samples) -> &[T]) -> Vec<T> {
    let planes: Vec<&[T]> = frame.planes.iter().map(|plane| samples(&plane.samples)).collect();
    let mut out = Vec::with_capacity(planes.len() * planes[0].len());
    for i in 0..planes[0].len() {
        out.extend(planes.iter().map(|plane| plane[i]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names_are_numbered_and_others_are_none() {
        for (given, first, format) in [
            ("out/%06d.png", "out/000000.png", ImageFormat::Png),
            ("out/frame_%d.jpg", "out/frame_0.jpg", ImageFormat::Jpeg),
            ("out/*.TIF", "out/0000000.TIF", ImageFormat::Tiff),
            ("%4d.exr", "./0000.exr", ImageFormat::Exr),
        ] {
            let (path, found) = pattern(Path::new(given)).unwrap();
            assert_eq!(found, format);
            let names = Names::of(&path, found);
            assert_eq!(names.path(0), Path::new(first), "{given}");
            assert_eq!(
                names.index(Path::new(first).file_name().unwrap().to_str().unwrap()),
                Some(0)
            );
        }
        for given in [
            "out/%06d.mp4",
            "out/1.png",
            "100%.png",
            "a%s.png",
            "%d%d.png",
            "out/%99d.png",
            "%02d",
        ] {
            assert!(pattern(Path::new(given)).is_none(), "{given}");
        }
        let names = Names::of(Path::new("out"), ImageFormat::Png);
        let found = [
            "0000012.png",
            "12.png",
            "00000012.png",
            "10000000.png",
            "0000012.jpg",
        ]
        .map(|name| names.index(name));
        assert_eq!(found, [Some(12), None, None, Some(10_000_000), None]);
    }
}
