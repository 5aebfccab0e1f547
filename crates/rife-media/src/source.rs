//! Frame sources: video files decoded by ffmpeg, Y4M files and pipes, still images and animated WebP.

use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use num_rational::Ratio;

use crate::probe::{DisplayMatrix, HdrMetadata, MediaInfo};
use crate::{CancelToken, ColorTags, Ffmpeg, Frame, Layout, Limits, MediaError, PixelFormat, Result, Time};

pub use excerpt::{Excerpt, Position, Span};
pub use images::{ImageHeader, image_header, natural_order, read_image};
pub use live::{LiveInput, RawFrames, open_live};

mod combing;
mod decoder;
mod excerpt;
mod images;
mod live;
mod parts;
mod stream;
mod y4m;

/// A stream of frames in display order.
pub trait Source: Send {
    /// Returns the properties of the stream that are known before its first frame.
    fn info(&self) -> &StreamInfo;

    /// Returns the next frame; `None` after the last. After an error there are no more frames.
    fn next_frame(&mut self) -> Result<Option<Frame>>;

    /// Returns the times in seconds of all frames, in order, where any part of them can be read without the frames before it
    /// ([`Source::read_parts`]); else the reason why the input is read from its start, for people.
    ///
    /// # Errors
    /// Those of reading the input's index.
    fn times(&mut self) -> Result<std::result::Result<Vec<Time>, String>> {
        Ok(Err(
            "only indexed video files have places to start from".to_owned()
        ))
    }

    /// Reads only the frames whose numbers are in `parts`, ranges in ascending order: the others come [blank](Frame::blank),
    /// at their times. Call it before the first frame, after [`Source::times`] has returned the times.
    ///
    /// # Errors
    /// Where the source cannot do that, and those of opening the input again.
    fn read_parts(&mut self, parts: Vec<Range<u64>>) -> Result<()> {
        drop(parts);
        Err(MediaError::Unsupported(
            "this input is read from its start".to_owned(),
        ))
    }

    /// Returns notes for the user that are known before the first frame and are no problems, such as colour conversion.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the warnings so far, such as a truncated file or ignored images.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Properties of a source's frames.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamInfo {
    /// Width in pixels of every frame.
    pub width: u32,
    /// Height in pixels of every frame.
    pub height: u32,
    /// Pixel format of every frame.
    pub format: PixelFormat,
    /// Colour tags of the frames.
    pub tags: ColorTags,
    /// Sample aspect ratio (1 where unknown).
    pub sample_aspect: Ratio<i64>,
    /// Rotation for players to apply; identity where it has been applied.
    pub matrix: DisplayMatrix,
    /// Time base of the frames' times in seconds per tick.
    pub time_base: Time,
    /// Nominal rate in frames per second.
    pub frame_rate: Option<Ratio<i64>>,
    /// True for a variable frame rate.
    pub variable_rate: bool,
    /// Expected number of frames; decoding may yield another number.
    pub frames: Option<u64>,
    /// Expected duration in seconds.
    pub duration: Option<Time>,
    /// Expected time of the first frame, in seconds since the container's start.
    pub start: Time,
    /// Where the frames are an excerpt of the file: its place there. Times count from its first frame.
    pub excerpt: Option<Span>,
    /// HDR metadata.
    pub hdr: HdrMetadata,
    /// Probe result of the file, where it is decoded by ffmpeg.
    pub media: Option<MediaInfo>,
}

impl StreamInfo {
    /// Creates the properties of frames at a constant rate in frames per second from time 0 on, of unknown number; RGB is
    /// sRGB, YUV has unspecified colour tags.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the rate is not above 0.
    pub fn new(width: u32, height: u32, format: PixelFormat, frame_rate: Ratio<i64>) -> Result<Self> {
        if frame_rate <= Ratio::from(0) {
            return Err(MediaError::limit("the frame rate", frame_rate, "above 0"));
        }
        let tags = match format.layout {
            Layout::Rgb => ColorTags::SRGB,
            _ => ColorTags::default(),
        };
        Ok(Self {
            width,
            height,
            format,
            tags,
            sample_aspect: Ratio::from(1),
            matrix: DisplayMatrix::IDENTITY,
            time_base: frame_rate.recip(),
            frame_rate: Some(frame_rate),
            variable_rate: false,
            frames: None,
            duration: None,
            start: Time::from(0),
            excerpt: None,
            hdr: HdrMetadata::default(),
            media: None,
        })
    }
}

/// The input of a [`Source`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A video file. `.y4m`, animated WebP and named pipes (always Y4M) are read by this crate, others by ffmpeg.
    File(PathBuf),
    /// Y4M on standard input.
    Stdin,
    /// Still images in natural order: a folder, or a pattern with `*` and `?` in the file name.
    Images(PathBuf),
    /// A caller's own [`Source`], by a display name; [`open_source`] cannot open it.
    Custom(String),
}

impl Input {
    /// Parses a command line argument: `-` is standard input; a folder, a single still image or a pattern is images; all
    /// else is a file. A file's content takes precedence over its name: an animated PNG or WebP is a video file.
    pub fn parse(text: impl AsRef<OsStr>) -> Self {
        let path = Path::new(text.as_ref());
        if path == Path::new("-") {
            return Self::Stdin;
        }
        let pattern = path.file_name().is_some_and(images::is_pattern) && !path.exists();
        if path.is_dir() || pattern || images::is_still(path) {
            return Self::Images(path.to_owned());
        }
        Self::File(path.to_owned())
    }
}

/// Handling of a rotation tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// Frames are returned as coded; the tag is passed on to the output.
    #[default]
    Keep,
    /// Frames are returned upright (rotated losslessly), for outputs that cannot hold the tag.
    Apply,
}

/// Options for opening a source.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SourceSpec {
    /// The input.
    pub input: Input,
    /// Limits on frame size and number of frames.
    pub limits: Limits,
    /// The part of the input to read; the whole by default.
    pub excerpt: Excerpt,
    /// Cancels reading.
    pub cancel: CancelToken,
    /// True to read interlaced video as if it were progressive.
    pub allow_interlaced: bool,
    /// True to deinterlace (bwdif, one output frame per input frame) streams that are flagged or detected as interlaced.
    pub deinterlace: bool,
    /// True for inverse telecine: recovers 24 fps film from 30 fps video (3:2 pulldown). Only for video files of 8-bit YUV.
    pub inverse_telecine: bool,
    /// Hardware decoder for a video file, by ffmpeg's name or `auto`; falls back to software, with a note in the plan,
    /// where it cannot decode the first frame. `None` decodes in software.
    pub hwaccel: Option<String>,
    /// Handling of a rotation tag.
    pub orientation: Orientation,
    /// Frame rate of still images (default 25) and of Y4M whose header has none.
    pub frame_rate: Option<Ratio<i64>>,
    /// Time without data after which ffmpeg is killed (default 120 s).
    pub stall_timeout: Duration,
    /// The ffmpeg to use; `None` for the one that [`Ffmpeg::find`] returns.
    pub ffmpeg: Option<Ffmpeg>,
}

impl SourceSpec {
    /// Creates default options for `input`.
    pub fn new(input: Input) -> Self {
        Self {
            input,
            limits: Limits::default(),
            excerpt: Excerpt::default(),
            cancel: CancelToken::new(),
            allow_interlaced: false,
            deinterlace: false,
            inverse_telecine: false,
            hwaccel: None,
            orientation: Orientation::Keep,
            frame_rate: None,
            stall_timeout: Duration::from_secs(120),
            ffmpeg: None,
        }
    }

    /// Returns what the frames depend on, the input's content aside: pairs of a name and a value for the fingerprint of a
    /// resumable job. The destructuring names every field, so that a new one does not compile before it is decided whether
    /// it belongs here. Names and values stay as they are: jobs that an earlier release began resume by them.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let Self {
            allow_interlaced,
            deinterlace,
            inverse_telecine,
            hwaccel,
            frame_rate,
            excerpt,
            // Hashed by the caller.
            input: _,
            // Follows from the output's container.
            orientation: _,
            // Without influence on frames.
            limits: _,
            cancel: _,
            stall_timeout: _,
            ffmpeg: _,
        } = self;
        let usual = || "the usual one".to_owned();
        let mut facts = vec![
            (
                "the rate of pictures",
                frame_rate.map_or_else(usual, |rate| rate.to_string()),
            ),
            ("--deinterlace", deinterlace.to_string()),
            ("--inverse-telecine", inverse_telecine.to_string()),
            ("--allow-interlaced", allow_interlaced.to_string()),
            ("--hwaccel", hwaccel.clone().unwrap_or_else(usual)),
        ];
        // Absent for the whole input, as in jobs that an earlier release began.
        let ends = [("the start", excerpt.start), ("the end", excerpt.end)];
        let given = ends
            .into_iter()
            .filter_map(|(name, end)| Some((name, format!("{:?}", end?))));
        facts.extend(given);
        facts
    }

    /// Returns the ffmpeg to use.
    pub(crate) fn tools(&self) -> Result<Ffmpeg> {
        self.ffmpeg.clone().map_or_else(Ffmpeg::find, Ok)
    }
}

/// Opens a source. No frame has been decoded yet, so a damaged stream may fail later.
///
/// # Errors
/// [`MediaError::Unsupported`] for [`Input::Custom`] and inverse telecine of anything but a video file; those of opening
/// and probing the input; [`MediaError::Limit`] for an excerpt outside the input.
pub fn open_source(spec: &SourceSpec) -> Result<Box<dyn Source>> {
    let source = open_whole(spec)?;
    if spec.excerpt.is_whole() {
        return Ok(source);
    }
    Ok(Box::new(excerpt::Trimmed::open(
        source,
        &spec.excerpt,
        &spec.cancel,
    )?))
}

/// Opens the whole input; a video file may start up to a second before the excerpt.
fn open_whole(spec: &SourceSpec) -> Result<Box<dyn Source>> {
    let webp =
        matches!(&spec.input, Input::File(path) if !stream::is_pipe(path) && images::is_animation(path));
    let own = |path: &Path| has_extension(path, "y4m") || stream::is_pipe(path);
    let through_ffmpeg = matches!(&spec.input, Input::File(path) if !own(path) && !webp);
    if spec.inverse_telecine && !through_ffmpeg {
        let reason = "inverse telecine takes a video file, not pictures and not Y4M".to_owned();
        return Err(MediaError::Unsupported(reason));
    }
    match &spec.input {
        Input::Stdin => Ok(Box::new(y4m::Reader::stdin(spec)?)),
        Input::Custom(name) => Err(MediaError::Unsupported(format!(
            "{name} is a source of the program's own, which cannot be opened by its name"
        ))),
        Input::Images(path) => Ok(Box::new(images::Images::open(path, spec)?)),
        Input::File(path) if has_extension(path, "y4m") || stream::is_pipe(path) => {
            Ok(Box::new(y4m::Reader::open(path, spec)?))
        }
        Input::File(path) if webp => Ok(Box::new(images::Animation::open(path, spec)?)),
        Input::File(path) => Ok(Box::new(decoder::Decoder::open(path, spec)?)),
    }
}

/// Reports whether the input can be read only once: standard input, a named pipe or a caller's own source.
pub fn is_stream(input: &Input) -> bool {
    match input {
        Input::Stdin | Input::Custom(_) => true,
        Input::File(path) => stream::is_pipe(path),
        Input::Images(_) => false,
    }
}

/// Reports whether a file's extension is that of a still image.
pub fn is_image_name(path: &Path) -> bool {
    images::has_image_extension(path)
}

/// Returns the image files of a folder or pattern in natural order.
pub(crate) fn image_files(path: &Path) -> Result<Vec<PathBuf>> {
    images::files(path)
}

/// Reports whether the file's name ends in `.extension`, ignoring case.
pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
