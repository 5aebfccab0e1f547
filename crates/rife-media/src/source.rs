//! Where frames come from: any file through ffmpeg, Y4M files and standard input, and still images.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use num_rational::Ratio;

use crate::probe::{DisplayMatrix, HdrMetadata, MediaInfo};
use crate::{CancelToken, ColorTags, Ffmpeg, Frame, Layout, Limits, MediaError, PixelFormat, Result, Time};

pub use images::{ImageHeader, image_header, natural_order, read_image};

mod combing;
mod decoder;
mod images;
mod stream;
mod y4m;

/// A stream of frames in order of display.
pub trait Source: Send {
    /// What is known of the stream before its first frame.
    fn info(&self) -> &StreamInfo;

    /// The next frame; nothing after the last. After an error there are no more frames.
    fn next_frame(&mut self) -> Result<Option<Frame>>;

    /// Things worth telling the user before the work begins, none of them a fault: colours that are converted...
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Things worth telling the user that have been met so far: a truncated file, ignored images...
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What is known of a source's frames.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamInfo {
    /// Width in pixels of every frame.
    pub width: u32,
    /// Height in pixels of every frame.
    pub height: u32,
    /// Format of every frame.
    pub format: PixelFormat,
    /// How its codes are to be read.
    pub tags: ColorTags,
    /// Sample aspect ratio (1 where unknown).
    pub sample_aspect: Ratio<i64>,
    /// Rotation that a player is to apply; identity where it has been applied.
    pub matrix: DisplayMatrix,
    /// The unit of the frames' times.
    pub time_base: Time,
    /// Nominal rate in frames a second.
    pub frame_rate: Option<Ratio<i64>>,
    /// Whether intervals really vary.
    pub variable_rate: bool,
    /// Frames announced (not counted).
    pub frames: Option<u64>,
    /// Duration announced.
    pub duration: Option<Time>,
    /// Announced time of the first frame, in seconds since the container's start.
    pub start: Time,
    /// HDR metadata.
    pub hdr: HdrMetadata,
    /// The probe of the whole file, where the source is a file read through ffmpeg.
    pub media: Option<MediaInfo>,
}

impl StreamInfo {
    /// Frames of a constant rate in frames a second, from time 0 on; of RGB in sRGB, of YUV with tags that say nothing.
    /// Nothing more is known of them.
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
            hdr: HdrMetadata::default(),
            media: None,
        })
    }
}

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A video file; `.y4m`, animated WebP and named pipes, which are Y4M whatever their name, by our own readers, the
    /// others through ffmpeg.
    File(PathBuf),
    /// Y4M on standard input.
    Stdin,
    /// Still images: a folder, or a pattern with `*` and `?` in the file name; natural order.
    Images(PathBuf),
    /// A [`Source`] that the program brings itself, by a name for people. [`open_source`] does not open it.
    Custom(String),
}

impl Input {
    /// `-` is standard input; a folder, a single still image or a pattern is images; all else is a file. A file's content
    /// counts before its name: an animated PNG or WebP is a file, whatever it is called.
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

/// What to do with a rotation tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// Frames come as coded; the tag is passed on.
    #[default]
    Keep,
    /// Frames come turned upright (losslessly); for outputs that cannot hold the tag.
    Apply,
}

/// Options for opening a source.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// What to read.
    pub input: Input,
    /// What is accepted.
    pub limits: Limits,
    /// Cancels reading.
    pub cancel: CancelToken,
    /// Read interlaced material as if it were progressive.
    pub allow_interlaced: bool,
    /// De-interlace (bwdif, one output frame per input frame) where the stream is marked as interlaced, or looks so.
    pub deinterlace: bool,
    /// Inverse telecine: recover film of 24 frames per second from video of 30 (3:2 pulldown).
    /// Only for video files, of 8-bit YUV.
    pub inverse_telecine: bool,
    /// Decode a video file with this hardware, by ffmpeg's name of it, or `auto`; by software where one frame cannot be
    /// decoded with it (the plan's notes say so), and where nothing is given.
    pub hwaccel: Option<String>,
    /// What to do with rotation.
    pub orientation: Orientation,
    /// Rate of still images (default 25), and of Y4M without one.
    pub frame_rate: Option<Ratio<i64>>,
    /// How long ffmpeg may give no data before it is killed (default 120 s).
    pub stall_timeout: Duration,
    /// Another ffmpeg than the machine's usual one.
    pub ffmpeg: Option<Ffmpeg>,
}

impl SourceSpec {
    /// Reads `input` with the defaults.
    pub fn new(input: Input) -> Self {
        Self {
            input,
            limits: Limits::default(),
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

    /// The ffmpeg to use.
    pub(crate) fn tools(&self) -> Result<Ffmpeg> {
        self.ffmpeg.clone().map_or_else(Ffmpeg::find, Ok)
    }
}

/// Opens a source. The first frame has not been decoded yet, so that a damaged stream may still fail later.
pub fn open_source(spec: &SourceSpec) -> Result<Box<dyn Source>> {
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

/// Whether the input can be read only once: standard input, a named pipe, or a source of the program's own.
pub fn is_stream(input: &Input) -> bool {
    match input {
        Input::Stdin | Input::Custom(_) => true,
        Input::File(path) => stream::is_pipe(path),
        Input::Images(_) => false,
    }
}

/// Whether a file's name is that of a still image.
pub fn is_image_name(path: &Path) -> bool {
    images::has_image_extension(path)
}

/// The pictures that a folder or a pattern stands for, in order.
pub(crate) fn image_files(path: &Path) -> Result<Vec<PathBuf>> {
    images::files(path)
}

/// Whether the file's name ends in `.extension`, in any case.
pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
