//! An image sequence in a folder: `0000000.png`, `0000001.png` and so on, or names by a pattern, each picture complete
//! before it gets its name. An interrupted job goes on after the pictures that are there, see `ledger`.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageBuffer, ImageFormat as Kind};

use super::ledger::Ledger;
use super::part::same_file;
use super::{ImageFormat, Needs, Resume, Sink, SinkSpec, VideoParams, Written, check_frame, segments};
use crate::frame::Samples;
use crate::time::{narrow, widen};
use crate::{ColorTags, Frame, MediaError, PixelFormat, Result, Time};

/// A folder that is being filled.
pub(super) struct Images {
    /// The folder or pattern as it was given.
    target: PathBuf,
    names: Names,
    format: ImageFormat,
    params: VideoParams,
    overwrite: bool,
    /// Pictures that are read.
    inputs: Vec<PathBuf>,
    cancel: crate::CancelToken,
    /// What is noted of the pictures, where an interrupted job is to go on.
    ledger: Option<Ledger>,
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

/// Where the work of an unfinished output is kept: hidden in the folder of the pictures.
pub(super) fn unfinished(target: &Path) -> PathBuf {
    match pattern(target) {
        Some((path, _)) => rife_files::beside(&path, ".", ".rife-part"),
        None => target.join(".rife-part"),
    }
}

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

    fn needs(&self) -> Needs {
        let kept = self.ledger.as_ref().map_or(0, |ledger| ledger.kept().len());
        Needs::after(kept as u64)
    }

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

    fn write(&mut self, frame: &Frame) -> Result<()> {
        // Of a job that goes on later, what is made already is written.
        if self.ledger.is_none() && self.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        check_frame(&self.params, frame, self.frames)?;
        let path = self.names.path(self.frames);
        if self.inputs.iter().any(|input| same_file(input, &path)) {
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

    fn finish(self: Box<Self>) -> Result<Written> {
        let duration = self.end - self.first.unwrap_or(self.end);
        let ours = self.ledger.as_ref().map_or(0, Ledger::listed);
        let stale = self.frames..if self.overwrite { u64::MAX } else { ours };
        self.names.remove(&stale)?;
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

/// What the pictures of a sequence are called.
struct Names {
    folder: PathBuf,
    /// Before the number.
    prefix: String,
    /// Digits of the number, at least.
    digits: usize,
    /// After it, with the extension.
    suffix: String,
    /// Whether they were given as a pattern.
    given: bool,
}

/// Digits of a number where none are given.
const DIGITS: usize = 7;

/// The pattern, with `*` as a number, and the format of its extension, where the path's last part is one.
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

/// What stands before and after the one `%d` or `%05d` of a name, and its digits.
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

    fn path(&self, index: u64) -> PathBuf {
        let (prefix, digits, suffix) = (&self.prefix, self.digits, &self.suffix);
        self.folder.join(format!("{prefix}{index:0digits$}{suffix}"))
    }

    /// The number in a name of the sequence.
    fn index(&self, name: &str) -> Option<u64> {
        let number = name.strip_prefix(&self.prefix)?.strip_suffix(&self.suffix)?;
        let index = number.parse().ok()?;
        (self.path(index).file_name()?.to_str()? == name).then_some(index)
    }

    /// The names in the folder, without hidden ones.
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

    /// Refuses a folder that holds pictures of such names already, or other files among which the new ones would be lost.
    /// Pictures below `ours` are those of an unfinished run.
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

    /// Removes the pictures of these numbers: those of an earlier, longer sequence.
    fn remove(&self, numbers: &std::ops::Range<u64>) -> Result<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        let stale = |name: &String| self.index(name).is_some_and(|index| numbers.contains(&index));
        for name in self.found()?.iter().filter(|name| stale(name)) {
            let path = self.folder.join(name);
            if path.symlink_metadata().is_ok_and(|there| !there.is_dir()) {
                fs::remove_file(&path).map_err(|e| MediaError::io("remove", &path, e))?;
            }
        }
        Ok(())
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
        return put(&encoded(frame, path, format)?, path, overwrite);
    }
    let converted = Frame::from_rgb(&frame.to_rgb(tags), wanted, &tags.for_rgb());
    put(&encoded(&converted, path, format)?, path, overwrite)
}

/// The picture that goes into the file `path`.
fn encoded(frame: &Frame, path: &Path, format: ImageFormat) -> Result<Vec<u8>> {
    encode(frame, format).map_err(|e| MediaError::io("encode", path, std::io::Error::other(e.to_string())))
}

/// Writes a picture beside its final name, and renames it.
fn put(bytes: &[u8], path: &Path, overwrite: bool) -> Result<()> {
    let part = super::part::Part::create(path, overwrite, std::iter::empty())?;
    std::io::Write::write_all(&mut part.file(), bytes).map_err(|e| MediaError::io("write", path, e))?;
    part.promote_unsynced().map(drop)
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
