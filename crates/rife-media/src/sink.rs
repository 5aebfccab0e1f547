//! Frame sinks: video files encoded by ffmpeg (optionally in resumable segments), Y4M, image sequences, animated GIF and
//! WebP.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use num_rational::Ratio;

use crate::probe::{DisplayMatrix, HdrMetadata, MediaInfo};
use crate::{
    CancelToken, ColorTags, Ffmpeg, Frame, MediaError, PixelFormat, Result, StreamInfo, StreamPlan, Time,
    TimelineOptions,
};

pub use crate::persist::folder::folder as unfinished_folder;
pub use crate::persist::journal::{
    CommandLine, MAX_SHARDS, Need, Needs, Resume, SEGMENT_FRAMES, Shard, ShardState, Share, in_work_dir,
    shard_folder, shard_states,
};
pub use crate::persist::part::{TextFile, same_file};
pub use crate::persist::pictures::Pictures;
pub use crate::persist::workplace::{Workplace, folder as work_folder};
pub use images::write_image;
pub use like::extension_like;
pub(crate) use read_back::Sent;
pub use sound::{SoundAdded, add_sound};

mod codecs;
pub(crate) mod companion;
pub(crate) mod encoder;
mod hardware;
mod images;
mod like;
mod mp4;
mod raw_input;
mod read_back;
mod segments;
mod sound;
mod spaced;
mod trial;
mod webp;
mod y4m;

/// An output of frames in display order. Dropped before [`Sink::finish`], it leaves no file under the final name.
pub trait Sink: Send {
    /// Returns size, format, tags and time base of the frames that [`Sink::write`] expects.
    fn params(&self) -> &VideoParams;

    /// Returns which frames are to be written; for each other frame the caller calls [`Sink::skip`] instead of
    /// [`Sink::write`].
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    /// Skips a frame that is not needed, at presentation time `pts` in seconds.
    fn skip(&mut self, pts: Time) -> Result<()> {
        let _ = pts;
        Ok(())
    }

    /// Writes one frame; its `pts` must exceed that of the frame before.
    fn write(&mut self, frame: &Frame) -> Result<()>;

    /// Completes and checks the output and renames it to its final name.
    fn finish(self: Box<Self>) -> Result<Written>;
}

/// Properties of the frames that are written to a sink.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoParams {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pixel format of the frames.
    pub format: PixelFormat,
    /// Colour tags of the frames.
    pub tags: ColorTags,
    /// Sample aspect ratio.
    pub sample_aspect: Ratio<i64>,
    /// Rotation for display.
    pub matrix: DisplayMatrix,
    /// Time base of the written times in seconds per tick.
    pub time_base: Time,
    /// Nominal frame rate in frames per second, about the mean for variable rates; gives the last frame's duration.
    pub frame_rate: Option<Ratio<i64>>,
    /// HDR metadata that the encoder writes.
    pub hdr: HdrMetadata,
}

impl VideoParams {
    /// Creates the parameters of `source`'s frames after the timeline `options`, with the timeline's time base and rate.
    pub fn for_timeline(source: &StreamInfo, options: &TimelineOptions) -> Self {
        let frame_rate = options.frame_rate(source);
        Self {
            frame_rate,
            ..Self::like(source, options.time_base(source))
        }
    }

    /// Creates the parameters of frames like those of `source`, with another time base (see
    /// [`TimelineOptions::time_base`](crate::TimelineOptions::time_base)) and unknown rate. [`open_sink`] may change the
    /// format to one that the codec supports; [`Sink::params`] returns it.
    pub fn like(source: &StreamInfo, time_base: Time) -> Self {
        Self {
            width: source.width,
            height: source.height,
            format: source.format,
            tags: source.tags,
            sample_aspect: source.sample_aspect,
            matrix: source.matrix,
            time_base,
            frame_rate: None,
            hdr: source.hdr,
        }
    }
}

/// The destination of a [`Sink`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A video file whose extension selects the container. `.y4m` and `.webp` are written without ffmpeg.
    File(PathBuf),
    /// Y4M on standard output.
    Stdout,
    /// Still images: a folder for `0000000.png`, `0000001.png`... (created where missing), or a pattern with `%d` or `%05d`
    /// in the file name, whose files are numbered from 0.
    Images(PathBuf, ImageFormat),
    /// A caller's own [`Sink`], by a display name; [`open_sink`] cannot open it.
    Custom(String),
}

impl Output {
    /// Parses a command line argument: `-` is standard output; a folder, a name that ends in a separator, and a pattern such
    /// as `out/%05d.png` or `out/*.png` (which means `out/%07d.png`) are images; all else is a file.
    pub fn parse(text: impl AsRef<OsStr>) -> Self {
        let text = text.as_ref();
        let path = Path::new(text);
        if path == Path::new("-") {
            return Self::Stdout;
        }
        if let Some((path, format)) = images::pattern(path) {
            return Self::Images(path, format);
        }
        let folder = text.to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR]) || path.is_dir();
        if folder {
            Self::Images(path.to_owned(), ImageFormat::Png)
        } else {
            Self::File(path.to_owned())
        }
    }

    /// Returns the folder that holds the state of an unfinished job with this output; `None` where jobs keep none.
    pub fn unfinished(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(unfinished_folder(path)),
            Self::Images(path, _) => Some(images::unfinished(path)),
            Self::Stdout | Self::Custom(_) => None,
        }
    }

    /// Reports whether the output is a pattern of image names rather than a folder.
    pub fn is_pattern(&self) -> bool {
        matches!(self, Self::Images(path, _) if images::pattern(path).is_some())
    }
}

/// File formats of written still images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageFormat {
    /// PNG of 8 or 16 bits.
    #[default]
    Png,
    /// JPEG with quality 95.
    Jpeg,
    /// Lossless WebP of 8 bits.
    WebP,
    /// TIFF of 8 or 16 bits.
    Tiff,
    /// OpenEXR of 32-bit floats.
    Exr,
}

/// Output containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// MP4 (and M4V).
    Mp4,
    /// QuickTime.
    Mov,
    /// Matroska.
    Matroska,
    /// WebM.
    WebM,
    /// AVI.
    Avi,
    /// MPEG transport stream.
    MpegTs,
    /// GIF.
    Gif,
    /// NUT.
    Nut,
    /// Another container, by ffmpeg's name of its muxer: FLV, Ogg, MPEG program stream, ASF, MXF, 3GP.
    Other(&'static str),
    /// A format without audio and subtitles that is written without ffmpeg: Y4M, animated WebP, images.
    VideoOnly,
}

/// File extensions with their containers. Formats that write several files or reference others are excluded on purpose.
const EXTENSIONS: [(&str, Container); 24] = [
    ("mp4", Container::Mp4),
    ("m4v", Container::Mp4),
    ("mov", Container::Mov),
    ("qt", Container::Mov),
    ("mkv", Container::Matroska),
    ("webm", Container::WebM),
    ("avi", Container::Avi),
    ("ts", Container::MpegTs),
    ("m2ts", Container::MpegTs),
    ("mts", Container::MpegTs),
    ("gif", Container::Gif),
    ("nut", Container::Nut),
    ("y4m", Container::VideoOnly),
    ("webp", Container::VideoOnly),
    ("flv", Container::Other("flv")),
    ("ogv", Container::Other("ogg")),
    ("ogg", Container::Other("ogg")),
    ("mpg", Container::Other("mpeg")),
    ("mpeg", Container::Other("mpeg")),
    ("wmv", Container::Other("asf")),
    ("asf", Container::Other("asf")),
    ("mxf", Container::Other("mxf")),
    ("3gp", Container::Other("3gp")),
    ("3g2", Container::Other("3g2")),
];

impl Container {
    /// Returns the container of a file's extension; an error for unknown extensions.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_ascii_lowercase();
        let found = EXTENSIONS
            .iter()
            .find(|(name, _)| *name == extension)
            .map(|(_, container)| *container);
        found.ok_or_else(|| {
            let known: Vec<&str> = EXTENSIONS.iter().map(|(name, _)| *name).collect();
            let name = path.display();
            MediaError::Unsupported(format!(
                "{name} has no extension of a video file; accepted are {}, a folder (ending in /), a pattern such as out/%05d.png for pictures, and - for Y4M on standard output",
                known.join(", ")
            ))
        })
    }

    /// Returns the display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "MP4",
            Self::Mov => "QuickTime",
            Self::Matroska => "Matroska",
            Self::WebM => "WebM",
            Self::Avi => "AVI",
            Self::MpegTs => "MPEG-TS",
            Self::Gif => "GIF",
            Self::Nut => "NUT",
            Self::Other("flv") => "FLV",
            Self::Other("ogg") => "Ogg",
            Self::Other("mpeg") => "an MPEG program stream",
            Self::Other("asf") => "ASF (WMV)",
            Self::Other("mxf") => "MXF",
            Self::Other(_) => "3GP",
            Self::VideoOnly => "an output of pictures alone",
        }
    }

    /// Returns ffmpeg's name of the muxer; `None` for formats written without ffmpeg.
    pub(crate) fn muxer(self) -> Option<&'static str> {
        Some(match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Matroska => "matroska",
            Self::WebM => "webm",
            Self::Avi => "avi",
            Self::MpegTs => "mpegts",
            Self::Gif => "gif",
            Self::Nut => "nut",
            Self::Other(muxer) => muxer,
            Self::VideoOnly => return None,
        })
    }

    /// Reports whether the container supports `codec`, by a table; for most of [`Container::Other`] true means that it may.
    /// [`open_sink`] tests it with ffmpeg before the first frame.
    pub fn accepts(self, codec: Codec) -> bool {
        match self {
            Self::Mp4 => matches!(codec, Codec::H264 | Codec::H265 | Codec::Av1 | Codec::Vp9),
            Self::Mov => matches!(codec, Codec::H264 | Codec::H265 | Codec::ProRes | Codec::Ffv1),
            Self::WebM => matches!(codec, Codec::Vp9 | Codec::Av1),
            Self::MpegTs => matches!(codec, Codec::H264 | Codec::H265),
            Self::Gif => codec == Codec::Gif,
            Self::Matroska | Self::Avi | Self::Nut => codec != Codec::Gif,
            Self::Other("flv" | "3gp" | "3g2") => codec == Codec::H264,
            Self::Other("ogg") => false,
            Self::Other(_) => codec != Codec::Gif,
            Self::VideoOnly => false,
        }
    }

    /// Returns the codecs that the container [accepts](Container::accepts), in the order of [`Codec::ALL`]; none for
    /// [`Container::VideoOnly`].
    pub fn codecs(self) -> impl Iterator<Item = Codec> {
        Codec::ALL.into_iter().filter(move |codec| self.accepts(*codec))
    }

    /// Returns the default codec of the container; `None` where ffmpeg's default is used or there is no choice.
    pub fn usual_codec(self) -> Option<Codec> {
        match self {
            Self::WebM => Some(Codec::Vp9),
            Self::Gif => Some(Codec::Gif),
            Self::Other("flv" | "3gp" | "3g2") => Some(Codec::H264),
            Self::Other(_) | Self::VideoOnly => None,
            _ => Some(Codec::H264),
        }
    }

    /// Reports whether the container can hold a rotation tag. For others, open the source with
    /// [`Orientation::Apply`](crate::Orientation::Apply).
    pub fn holds_rotation(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov)
    }
}

/// Video codecs with their default encoder and settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264 by libx264: CRF 18, preset medium.
    H264,
    /// H.265 by libx265: CRF 20, preset medium.
    H265,
    /// AV1 by SVT-AV1: CRF 28, preset 8 (libaom where SVT is missing).
    Av1,
    /// VP9 by libvpx: CRF 24.
    Vp9,
    /// ProRes 422 HQ (4444 for alpha or 4:4:4).
    ProRes,
    /// FFV1, lossless.
    Ffv1,
    /// GIF with a palette per frame.
    Gif,
}

impl Codec {
    /// All codecs.
    pub const ALL: [Self; 7] = [
        Self::H264,
        Self::H265,
        Self::Av1,
        Self::Vp9,
        Self::ProRes,
        Self::Ffv1,
        Self::Gif,
    ];

    /// Returns the display name, such as `H.264`.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Av1 => "AV1",
            Self::Vp9 => "VP9",
            Self::ProRes => "ProRes",
            Self::Ffv1 => "FFV1",
            Self::Gif => "GIF",
        }
    }

    /// Parses an option value: `h264`, `h265` (`hevc`), `av1`, `vp9`, `prores`, `ffv1`, `gif`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "h264" => Self::H264,
            "h265" | "hevc" => Self::H265,
            "av1" => Self::Av1,
            "vp9" => Self::Vp9,
            "prores" => Self::ProRes,
            "ffv1" => Self::Ffv1,
            "gif" => Self::Gif,
            _ => return None,
        })
    }
}

/// Options for opening a sink.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SinkSpec {
    /// The destination.
    pub output: Output,
    /// The codec; `None` for the container's default.
    pub codec: Option<Codec>,
    /// The name of an ffmpeg encoder (letters, digits, `_` and `-`), such as `h264_nvenc`, which overrides `codec`; or a
    /// family of hardware encoders (`nvenc`, `qsv`, `vaapi`, `amf`, `videotoolbox`, `vulkan`, `mf`, `v4l2m2m`), or
    /// `auto` for the first family that encodes a test frame; software where none does.
    pub encoder: Option<String>,
    /// Constant rate factor, 0 to 63; lower is better quality.
    pub crf: Option<u32>,
    /// The encoder's preset (letters, digits, `_` and `-`).
    pub preset: Option<String>,
    /// Pixel format of the encoded video; `None` for the codec's default.
    pub pixel_format: Option<PixelFormat>,
    /// True to replace an existing output.
    pub overwrite: bool,
    /// The file whose audio, subtitles, chapters and tags are added, and the treatment of each stream.
    pub companions: Option<(MediaInfo, StreamPlan)>,
    /// Input files, which the output must not overwrite; the file of `companions` is always included.
    pub inputs: Vec<PathBuf>,
    /// Options for a resumable job, which writes a video in segments; `None` where an interrupted job starts over.
    pub resume: Option<Resume>,
    /// Cancels writing.
    pub cancel: CancelToken,
    /// Time without data consumed after which an encoder is killed (default 120 s).
    pub stall_timeout: Duration,
    /// The ffmpeg to use; `None` for the one that [`Ffmpeg::find`] returns.
    pub ffmpeg: Option<Ffmpeg>,
}

impl SinkSpec {
    /// Creates default options for `output`.
    pub fn new(output: Output) -> Self {
        Self {
            output,
            codec: None,
            encoder: None,
            crf: None,
            preset: None,
            pixel_format: None,
            overwrite: false,
            companions: None,
            inputs: Vec::new(),
            resume: None,
            cancel: CancelToken::new(),
            stall_timeout: Duration::from_secs(120),
            ffmpeg: None,
        }
    }

    /// Returns the container of the output, by its extension.
    pub fn container(&self) -> Result<Container> {
        match &self.output {
            Output::File(path) => Container::of(path),
            Output::Stdout | Output::Images(..) | Output::Custom(_) => Ok(Container::VideoOnly),
        }
    }

    /// Returns the maximum frame rate, in frames per second, that players show for GIF and WebP; `None` for other outputs.
    /// Players replace shorter frame delays (GIF below 20 ms, WebP below 11 ms) by 100 ms.
    pub fn fastest(&self) -> Option<Ratio<i64>> {
        let Output::File(path) = &self.output else {
            return None;
        };
        let limits = [("gif", 50), ("webp", 90)];
        let found = limits
            .iter()
            .find(|(extension, _)| crate::source::has_extension(path, extension));
        found.map(|(_, rate)| Ratio::from(*rate))
    }

    /// Returns all files that the output must not overwrite.
    fn all_inputs(&self) -> impl Iterator<Item = &Path> {
        let companion = self.companions.iter().map(|(media, _)| media.path.as_path());
        self.inputs.iter().map(PathBuf::as_path).chain(companion)
    }
}

/// The encoding chosen for an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Text for display: encoder, options and pixel format; also why the requested encoder is not used.
    pub about: String,
    /// Losses, a sentence each, such as of alpha or HDR metadata.
    pub losses: Vec<String>,
}

/// Chooses the encoder and tests it on one frame in the output's container, as [`open_sink`] does; writes no file.
///
/// # Errors
/// [`MediaError::Unsupported`] where codec, encoder, preset, frame size and container do not go together, with
/// ffmpeg's reason; those of finding and running ffmpeg.
pub fn plan_encoding(spec: &SinkSpec, params: &VideoParams) -> Result<Encoding> {
    let container = spec.container()?;
    if container.muxer().is_none() {
        return plain_encoding(spec, params);
    }
    let ffmpeg = spec.ffmpeg.clone().map_or_else(Ffmpeg::find, Ok)?;
    let choice = codecs::choose(spec, container, params, &ffmpeg)?;
    let mut losses = choice.notes.clone();
    if params.matrix != DisplayMatrix::IDENTITY && !container.holds_rotation() {
        losses.push(format!(
            "rotation is dropped: {} has no place for it",
            container.name()
        ));
    }
    Ok(Encoding {
        about: choice.describe(),
        losses,
    })
}

/// Returns the encoding of an output written without ffmpeg: Y4M, WebP, images or a caller's own sink.
fn plain_encoding(spec: &SinkSpec, params: &VideoParams) -> Result<Encoding> {
    let webp = matches!(&spec.output, Output::File(path) if crate::source::has_extension(path, "webp"));
    let (name, format) = match &spec.output {
        Output::Custom(name) => (name.as_str(), params.format),
        Output::Images(_, format) => (format.extension(), format.pixel_format(params.format)),
        Output::File(_) if webp => ("webp", ImageFormat::WebP.pixel_format(params.format)),
        Output::File(_) | Output::Stdout => ("y4m", y4m::y4m_format(params.format)),
    };
    if let Some(given) = spec
        .encoder
        .clone()
        .or(spec.codec.map(|codec| codec.name().to_owned()))
    {
        return Err(MediaError::Unsupported(format!(
            "{name} is written by ourselves and holds no {given}; leave the codec out, or name an output such as .mkv"
        )));
    }
    let mut losses = Vec::new();
    if params.format.alpha && !format.alpha {
        losses.push(format!("alpha is dropped: {name} holds none; png does"));
    }
    if params.tags.is_hdr() {
        losses.push(format!(
            "HDR is lost: {name} has no place for what the codes mean"
        ));
    }
    Ok(Encoding {
        about: format!("{name}, {format}"),
        losses,
    })
}

/// The result of [`Sink::finish`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Written {
    /// Path of the output; `None` for standard output.
    pub path: Option<PathBuf>,
    /// Number of frames written.
    pub frames: u64,
    /// Seconds from the start of the first frame to the end of the last.
    pub duration: Time,
    /// Size of the output in bytes; `None` for standard output.
    pub bytes: Option<u64>,
    /// The actual treatment of each stream, where it differs from the plan.
    pub streams: Option<StreamPlan>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// Opens a sink for frames with the properties `params`.
///
/// # Errors
/// Before anything is written: an existing output (unless `overwrite`), an output that is an input, and codecs that do not
/// support the frames.
pub fn open_sink(spec: &SinkSpec, params: &VideoParams) -> Result<Box<dyn Sink>> {
    let in_a_file = matches!(&spec.output, Output::File(path) if !crate::source::has_extension(path, "y4m"));
    if spec.resume.as_ref().is_some_and(|resume| resume.share.is_some()) && !in_a_file {
        let reason = "only a video file can be written by several machines".to_owned();
        return Err(MediaError::Unsupported(reason));
    }
    match &spec.output {
        Output::Custom(name) => Err(MediaError::Unsupported(format!(
            "{name} is a sink of the program's own, which cannot be opened by its name"
        ))),
        Output::Stdout => Ok(Box::new(y4m::Writer::stdout(spec, params)?)),
        Output::Images(folder, format) => {
            Ok(Box::new(images::Images::create(folder, *format, spec, params)?))
        }
        Output::File(path) if crate::source::has_extension(path, "y4m") => {
            Ok(Box::new(y4m::Writer::create(path, spec, params)?))
        }
        Output::File(path) if crate::source::has_extension(path, "webp") => {
            Ok(Box::new(webp::Writer::create(path, spec, params)?))
        }
        Output::File(path) => match &spec.resume {
            Some(resume) if segments::hindrance(spec, params)?.is_none() => {
                Ok(Box::new(segments::Segments::open(path, resume, spec, params)?))
            }
            Some(Resume { share: Some(_), .. }) => Err(MediaError::Unsupported(format!(
                "{} cannot be written in segments, and so not by several machines",
                path.display()
            ))),
            _ => Ok(Box::new(encoder::Encoder::start(path, spec, params)?)),
        },
    }
}

/// Returns why an interrupted job with this output cannot be resumed and starts over; `None` where it is resumed.
///
/// # Errors
/// [`MediaError::Unsupported`] for an output whose extension is not a container's.
pub fn starts_over(spec: &SinkSpec, params: &VideoParams) -> Result<Option<String>> {
    let written_through = |name: &str| Some(format!("{name} is written in one piece"));
    match &spec.output {
        Output::Stdout => Ok(Some("what is written to standard output is gone".to_owned())),
        Output::Images(..) | Output::Custom(_) => Ok(None),
        Output::File(path) if crate::source::has_extension(path, "y4m") => Ok(written_through("Y4M")),
        Output::File(path) if crate::source::has_extension(path, "webp") => Ok(written_through("WebP")),
        Output::File(_) => segments::hindrance(spec, params),
    }
}

/// Checks that size and format of frame number `index` are those that the sink was opened for.
fn check_frame(params: &VideoParams, frame: &Frame, index: u64) -> Result<()> {
    if (frame.width, frame.height, frame.format) == (params.width, params.height, params.format) {
        return Ok(());
    }
    let reason = format!(
        "it is {}x{} {} where the output takes {}x{} {}",
        frame.width, frame.height, frame.format, params.width, params.height, params.format
    );
    Err(MediaError::Frame { frame: index, reason })
}
