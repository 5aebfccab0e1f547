//! Where frames go: any file through ffmpeg, Y4M files and standard output, still images, GIF.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use num_rational::Ratio;

use crate::probe::{DisplayMatrix, HdrMetadata, MediaInfo};
use crate::{
    CancelToken, ColorTags, Ffmpeg, Frame, MediaError, PixelFormat, Result, StreamInfo, StreamPlan, Time,
    TimelineOptions,
};

pub use images::write_image;
pub use journal::{
    MAX_SHARDS, Need, Needs, Resume, SEGMENT_FRAMES, Shard, Share, folder as unfinished_folder, shard_folder,
};
pub use like::extension_like;
pub use part::{TextFile, same_file};
pub use pictures::Pictures;
pub(crate) use read_back::Sent;
pub use workplace::{Workplace, folder as work_folder};

mod codecs;
pub(crate) mod companion;
pub(crate) mod encoder;
mod frame_log;
mod hardware;
mod images;
mod journal;
mod ledger;
mod like;
mod mp4;
pub(crate) mod part;
mod pictures;
mod read_back;
mod segments;
mod spaced;
mod trial;
mod webp;
mod workplace;
mod y4m;

/// Takes frames in order. Dropped before [`Sink::finish`], it leaves nothing under the final name.
pub trait Sink: Send {
    /// Size, format, tags and time base that [`Sink::write`] expects.
    fn params(&self) -> &VideoParams;

    /// Which frames are to be sent; for each of the others [`Sink::skip`] is called in its place.
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    /// Passes over a frame that is not needed, shown at `pts`.
    fn skip(&mut self, pts: Time) -> Result<()> {
        let _ = pts;
        Ok(())
    }

    /// Writes one frame; its `pts` must be above the one before.
    fn write(&mut self, frame: &Frame) -> Result<()>;

    /// Completes, checks and renames the output.
    fn finish(self: Box<Self>) -> Result<Written>;
}

/// The video that is sent to a sink.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoParams {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Format of the frames.
    pub format: PixelFormat,
    /// How their codes are to be read.
    pub tags: ColorTags,
    /// Sample aspect ratio.
    pub sample_aspect: Ratio<i64>,
    /// Rotation for display.
    pub matrix: DisplayMatrix,
    /// The unit in which times are written.
    pub time_base: Time,
    /// Nominal rate of the output; of a variable one the mean. It sets how long the last frame is shown.
    pub frame_rate: Option<Ratio<i64>>,
    /// HDR metadata to be written again.
    pub hdr: HdrMetadata,
}

impl VideoParams {
    /// Params for the frames that `options` makes of `source`: its time base and rate are the timeline's.
    pub fn for_timeline(source: &StreamInfo, options: &TimelineOptions) -> Self {
        let frame_rate = options.frame_rate(source);
        Self {
            frame_rate,
            ..Self::like(source, options.time_base(source))
        }
    }

    /// Params for frames like those of `source`, with another time base (see
    /// [`TimelineOptions::time_base`](crate::TimelineOptions::time_base)). [`open_sink`] turns the format into one
    /// that the codec can hold; read it back from [`Sink::params`].
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

/// Where to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A video file; its extension names the container. `.y4m` and `.webp` are written by ourselves.
    File(PathBuf),
    /// Y4M on standard output.
    Stdout,
    /// A folder of still images `0000000.png`, `0000001.png`... (created where missing); or, with `%d` or `%05d` in its
    /// last part and an image's extension, a pattern of their names, which are numbered from 0.
    Images(PathBuf, ImageFormat),
    /// A [`Sink`] that the program brings itself, by a name for people. [`open_sink`] does not open it.
    Custom(String),
}

impl Output {
    /// `-` is standard output; a name that ends in a separator, or is a folder, or a pattern such as `out/%05d.png` or
    /// `out/*.png` (which means `out/%07d.png`) is images; all else is a file.
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

    /// Where the work of an unfinished output is kept, if any is.
    pub fn unfinished(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(unfinished_folder(path)),
            Self::Images(path, _) => Some(images::unfinished(path)),
            Self::Stdout | Self::Custom(_) => None,
        }
    }

    /// Whether it is a pattern of pictures' names.
    pub fn is_pattern(&self) -> bool {
        matches!(self, Self::Images(path, _) if images::pattern(path).is_some())
    }
}

/// Formats of still images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageFormat {
    /// PNG of 8 or 16 bits.
    #[default]
    Png,
    /// JPEG of quality 95.
    Jpeg,
    /// Lossless WebP of 8 bits.
    WebP,
    /// TIFF of 8 or 16 bits.
    Tiff,
    /// OpenEXR of 32-bit floats.
    Exr,
}

/// Containers that the stream plan knows rules for.
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
    /// Another container that ffmpeg writes, by ffmpeg's name of it: FLV, Ogg, MPEG program stream, ASF, MXF, 3GP.
    Other(&'static str),
    /// Holds nothing but video: Y4M, animated WebP and images.
    VideoOnly,
}

/// File extensions, their containers, and ffmpeg's names of them. Formats that write several files, or that open
/// others, are left out on purpose.
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
    /// The container that a file's extension stands for.
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

    /// Its name for people.
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

    /// ffmpeg's muxer; nothing where ffmpeg does not write it.
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

    /// Whether a video of `codec` can be written into it. Nothing is asked of ffmpeg, so that for the rarer ones of
    /// [`Container::Other`] the answer is whether it is worth trying; [`open_sink`] tries it before the first frame.
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

    /// The codecs that it [accepts](Container::accepts), in the order of [`Codec::ALL`]; none for
    /// [`Container::VideoOnly`], whose formats are codecs themselves.
    pub fn codecs(self) -> impl Iterator<Item = Codec> {
        Codec::ALL.into_iter().filter(move |codec| self.accepts(*codec))
    }

    /// The codec that is written into it where none is asked for; nothing where that is left to ffmpeg, or where
    /// there is no choice.
    pub fn usual_codec(self) -> Option<Codec> {
        match self {
            Self::WebM => Some(Codec::Vp9),
            Self::Gif => Some(Codec::Gif),
            Self::Other("flv" | "3gp" | "3g2") => Some(Codec::H264),
            Self::Other(_) | Self::VideoOnly => None,
            _ => Some(Codec::H264),
        }
    }

    /// Whether it can hold a rotation tag (written by ourselves, so that any ffmpeg will do). For the others open
    /// the source with [`Orientation::Apply`](crate::Orientation::Apply).
    pub fn holds_rotation(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov)
    }
}

/// Video codecs with defaults of ours.
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
    /// GIF with a palette a frame.
    Gif,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::H264,
        Self::H265,
        Self::Av1,
        Self::Vp9,
        Self::ProRes,
        Self::Ffv1,
        Self::Gif,
    ];

    /// Its name for people, such as `H.264`.
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

    /// From a user's word: `h264`, `h265` (`hevc`), `av1`, `vp9`, `prores`, `ffv1`, `gif`.
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

/// How to write.
#[derive(Debug, Clone)]
pub struct SinkSpec {
    /// Where to write.
    pub output: Output,
    /// The codec; the container's usual one where none is given.
    pub codec: Option<Codec>,
    /// An ffmpeg encoder by name (letters, digits, `_` and `-`), such as `h264_nvenc`, which overrides `codec`; or a
    /// family of hardware encoders (`nvenc`, `qsv`, `vaapi`, `amf`, `videotoolbox`, `vulkan`, `mf`, `v4l2m2m`), or
    /// `auto` for the first of them that works here: tried on one frame, and software where none does.
    pub encoder: Option<String>,
    /// Quality, 0 to 63; lower is better.
    pub crf: Option<u32>,
    /// The encoder's preset (letters, digits, `_` and `-`).
    pub preset: Option<String>,
    /// Another pixel format than the codec's usual one.
    pub pixel_format: Option<PixelFormat>,
    /// Replace an existing output.
    pub overwrite: bool,
    /// The file whose sound, subtitles, chapters and tags go along, and what happens to each.
    pub companions: Option<(MediaInfo, StreamPlan)>,
    /// Files the output must not be (the inputs); a file in `companions` is always one of them.
    pub inputs: Vec<PathBuf>,
    /// Keep what is written, a video in segments, so that an interrupted job goes on; nothing where it starts over.
    pub resume: Option<Resume>,
    /// Stops everything.
    pub cancel: CancelToken,
    /// An encoder that takes no data for so long is killed (default 120 s).
    pub stall_timeout: Duration,
    /// Another ffmpeg than the machine's usual one.
    pub ffmpeg: Option<Ffmpeg>,
}

impl SinkSpec {
    /// Writes `output` with the defaults.
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

    /// The container that the output's name stands for.
    pub fn container(&self) -> Result<Container> {
        match &self.output {
            Output::File(path) => Container::of(path),
            Output::Stdout | Output::Images(..) | Output::Custom(_) => Ok(Container::VideoOnly),
        }
    }

    /// The highest rate, in frames a second, that players show of the output's kind. They take the delays of faster GIF (below
    /// two hundredths of a second) and WebP (below 11 ms) for mistakes, and show each frame for a tenth of a second. Nothing
    /// where there is no such limit.
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

    /// The files that the output must not be.
    fn all_inputs(&self) -> impl Iterator<Item = &Path> {
        let companion = self.companions.iter().map(|(media, _)| media.path.as_path());
        self.inputs.iter().map(PathBuf::as_path).chain(companion)
    }
}

/// How frames will be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// The encoder, its options and the format of the frames that it is given, for people. Where it is not the
    /// encoder that was asked for, also why.
    pub about: String,
    /// What of the frames is lost, a sentence each: alpha, HDR metadata.
    pub losses: Vec<String>,
}

/// Chooses the encoder and tries it on one frame in the output's container, as [`open_sink`] does; nothing is written.
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

/// Outputs without ffmpeg: Y4M, WebP and pictures.
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

/// What was written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Written {
    /// The output; nothing for standard output.
    pub path: Option<PathBuf>,
    /// Frames sent and found again.
    pub frames: u64,
    /// End of the last frame less start of the first.
    pub duration: Time,
    /// Size in bytes, where it is a file.
    pub bytes: Option<u64>,
    /// What became of each stream, where sound or text could not go along as planned.
    pub streams: Option<StreamPlan>,
    /// Things worth telling the user.
    pub warnings: Vec<String>,
}

/// Opens a sink for `params`. Refuses an existing output (unless `overwrite`), the input itself, and codecs that
/// cannot hold the frames, before anything is written.
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

/// Why nothing can be kept of an unfinished output, so that an interrupted job starts over; nothing where it goes on.
///
/// # Errors
/// [`MediaError::Unsupported`] for an output whose name says no container.
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

/// Checks that `frame` is what the sink was opened for.
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
