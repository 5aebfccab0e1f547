//! What is in a media file, read through ffprobe with limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use num_rational::Ratio;

use crate::ffmpeg::args::Args;
use crate::{CancelToken, ColorTags, Ffmpeg, Limits, MediaError, PixelFormat, Result, Time};

mod captions;
pub(crate) mod clock;
mod encrypted;
mod length;
mod packets;
mod report;

pub use clock::Clock;

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Moving pictures.
    Video,
    /// A still picture attached as cover art.
    CoverArt,
    /// Sound.
    Audio,
    /// Subtitles.
    Subtitle,
    /// A font or another attached file.
    Attachment,
    /// Anything else: timed metadata, telemetry, timecode.
    Data,
}

/// One stream of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaStream {
    /// The index in the file.
    pub index: u32,
    /// What it carries.
    pub kind: StreamKind,
    /// ffmpeg's name of the codec; `unknown` where ffprobe names none.
    pub codec: String,
    /// The language tag, such as `eng`.
    pub language: Option<String>,
    /// The title tag.
    pub title: Option<String>,
    /// Whether players choose it by default.
    pub default: bool,
    /// Time of its first packet, relative to the container's start.
    pub start: Option<Time>,
    /// How long it lasts, where the file says so.
    pub duration: Option<Time>,
    /// Frames: counted where the stream is short enough for that, else announced by the container.
    pub frames: Option<u64>,
    /// Channels and samples a second of sound.
    pub audio: Option<(u32, u32)>,
    /// Details of sound beside channels and rate.
    pub sound: Option<SoundFormat>,
    /// Details of video (and cover art).
    pub video: Option<VideoStream>,
    /// Whether its packets are encrypted, so that nothing but a player with its key can read them.
    pub encrypted: bool,
}

/// How sound is coded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SoundFormat {
    /// ffmpeg's name of the channels' places, such as `5.1(side)`, where they are known.
    pub layout: Option<String>,
    /// Bits of a sample; 0 where the codec has no such number.
    pub bits: u32,
    /// ffmpeg's name of the codec's profile, such as `DTS-HD MA`, where it has one.
    pub profile: Option<String>,
}

/// The order of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldOrder {
    /// Whole frames, or not said.
    Progressive,
    /// Interlaced, top field first.
    TopFirst,
    /// Interlaced, bottom field first.
    BottomFirst,
}

/// HDR10 mastering display metadata, as the 24 words of the standard in their own units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasteringDisplay {
    /// Red, green and blue primaries, x and y, in units of 0.00002.
    pub primaries: [[u32; 2]; 3],
    /// White point, x and y, in units of 0.00002.
    pub white_point: [u32; 2],
    /// Smallest and largest luminance in units of 0.0001 cd/m2.
    pub luminance: [u32; 2],
}

/// HDR metadata of a video stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HdrMetadata {
    /// HDR10 mastering display.
    pub mastering: Option<MasteringDisplay>,
    /// Maximum content light level and maximum frame-average light level, cd/m2.
    pub content_light: Option<(u32, u32)>,
    /// Whether Dolby Vision metadata is present (it cannot be carried over).
    pub dolby_vision: bool,
    /// Whether the pictures mean nothing without it: profile 5 and others that have no base layer of a known kind.
    pub dolby_vision_only: bool,
    /// Whether HDR10+ dynamic metadata is present (it cannot be carried over).
    pub hdr10_plus: bool,
}

impl HdrMetadata {
    /// What of it frames of our own cannot have, in words: it describes each frame of the source.
    pub fn dropped(&self) -> Vec<String> {
        let kinds = [
            (self.dolby_vision, "Dolby Vision metadata"),
            (self.hdr10_plus, "HDR10+ dynamic metadata"),
        ];
        let dropped = |(_, kind)| format!("{kind} cannot be carried over to new frames: dropped");
        kinds
            .into_iter()
            .filter(|(there, _)| *there)
            .map(dropped)
            .collect()
    }
}

/// How the picture is turned for display: the nine numbers of an MP4 track header, 16.16 and 2.30 fixed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayMatrix(pub [i32; 9]);

impl DisplayMatrix {
    /// No turn.
    pub const IDENTITY: Self = Self([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]);
}

/// Details of a video stream.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoStream {
    /// Width in pixels, as coded (before rotation).
    pub width: u32,
    /// Height in pixels, as coded.
    pub height: u32,
    /// ffmpeg's name of the codec's profile, such as `High`, where it knows one.
    pub profile: Option<String>,
    /// ffmpeg's name of the pixel format.
    pub pixel_format: String,
    /// Our planar format that holds it, where there is one.
    pub format: Option<PixelFormat>,
    /// Colour tags.
    pub color: ColorTags,
    /// Sample aspect ratio, where the stream has one.
    pub sample_aspect: Option<Ratio<i64>>,
    /// Rotation and reflection for display.
    pub matrix: DisplayMatrix,
    /// The clockwise turn for display in degrees (0 to 359), reflection aside.
    pub rotation: i32,
    /// Nominal rate in frames a second.
    pub frame_rate: Option<Ratio<i64>>,
    /// Whether intervals really vary (by more than the time base's own rounding).
    pub variable_rate: bool,
    /// The unit of the stream's times.
    pub time_base: Time,
    /// Interlacing.
    pub field_order: FieldOrder,
    /// HDR metadata.
    pub hdr: HdrMetadata,
    /// When the last frame's display ends, where all packets could be read.
    pub end: Option<Time>,
    /// When the first packets are decoded, where the container does not say when frames are shown (AVI): frame n is shown
    /// when packet n is decoded. Empty elsewhere.
    pub decoding_times: Vec<Time>,
    /// Whether alpha is carried in a second layer (VP8 and VP9 in WebM).
    pub alpha_layer: bool,
    /// Whether its first frames carry closed captions (CEA-608 or CEA-708, as ATSC A/53 user data).
    pub captions: bool,
}

impl VideoStream {
    /// What is to be said of captions that frames of our own do not have; nothing where there are none.
    pub fn captions_dropped(&self) -> Option<String> {
        let text = "closed captions (CEA-608/708) lie within the source's frames and cannot be carried over to new ones: \
                    dropped; ffmpeg -f lavfi -i \"movie=IN[out0+subcc]\" -map 0:s OUT.srt takes them out as subtitles";
        self.captions.then(|| text.to_owned())
    }
}

/// A chapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// Where it starts.
    pub start: Time,
    /// Where it ends.
    pub end: Time,
    /// Its title.
    pub title: Option<String>,
}

/// What ffprobe says of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaInfo {
    /// The file.
    pub path: PathBuf,
    /// ffmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// How long it lasts.
    pub duration: Option<Time>,
    /// The container's own start time; every other time here is relative to it.
    pub start: Time,
    /// Its streams in order.
    pub streams: Vec<MediaStream>,
    /// Its chapters.
    pub chapters: Vec<Chapter>,
    /// Tags of the whole file, such as `title`.
    pub metadata: Vec<(String, String)>,
    /// What was met in opening it that is worth telling in the plan.
    pub notes: Vec<String>,
    /// What is missing of a file that ends before its header says, in words.
    pub cut_off: Option<String>,
    /// Where its clock starts anew or jumps. Times of streams here are those of the part that comes first; frames that are
    /// decoded have times on one line.
    pub clock: Clock,
}

impl MediaInfo {
    /// The video stream that is interpolated: the default one, else the first; never cover art.
    pub fn main_video(&self) -> Option<(&MediaStream, &VideoStream)> {
        let videos = || self.streams.iter().filter(|s| s.kind == StreamKind::Video);
        let stream = videos().find(|s| s.default).or_else(|| videos().next())?;
        Some((stream, stream.video.as_ref()?))
    }
}

/// The largest answer of ffprobe that is read.
const MAX_REPORT: usize = 32 << 20;
/// How long ffprobe may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long ffprobe may take over a whole output of ours.
const READ_BACK: Duration = Duration::from_secs(3600);

/// Probes `path` with the machine's ffprobe: format and codec allow-lists, bounded output, a time limit.
pub fn probe(path: &Path, limits: &Limits) -> Result<MediaInfo> {
    probe_with(&Ffmpeg::find()?, path, limits, &CancelToken::new())
}

/// Probes `path` with `ffmpeg`'s prober.
pub fn probe_with(ffmpeg: &Ffmpeg, path: &Path, limits: &Limits, cancel: &CancelToken) -> Result<MediaInfo> {
    check_file(path)?;
    let mut args = Args::default();
    args.all(["-hide_banner", "-loglevel", "error", "-of", "json"]);
    args.all(["-show_format", "-show_streams", "-show_chapters"])
        .input(path, limits)?;
    let answer = ffmpeg.run_ffprobe(args.0, MAX_REPORT, PATIENCE, cancel, "while probing");
    let answer = answer.map_err(|e| explain(path, e))?;
    let mut info = report::parse(path, &answer)?;
    encrypted::mark(path, &mut info)?;
    info.clock = clock::scan(ffmpeg, &info, limits, cancel)?;
    let main = info.main_video().map(|(stream, _)| stream.index);
    for stream in info
        .streams
        .iter_mut()
        .filter(|s| s.kind == StreamKind::Video)
        .take(4)
    {
        let clock = Some(&info.clock).filter(|_| Some(stream.index) == main);
        packets::examine(ffmpeg, path, limits, cancel, (info.start, clock), stream)?;
        captions::examine(ffmpeg, path, limits, cancel, stream)?;
    }
    if !info.clock.is_continuous() {
        info.duration = info.clock.end().map(|end| end - info.start);
    }
    info.cut_off = length::cut_off(&info);
    Ok(info)
}

/// How long each stream of sound of `path` runs before the start that its container announces, as `(index, seconds)`; a
/// stream that has no such priming is left out.
///
/// # Errors
/// ffprobe cannot be found or run.
pub fn sound_priming(path: &Path, limits: &Limits) -> Result<Vec<(u32, Time)>> {
    packets::priming(&Ffmpeg::find()?, path, limits, &CancelToken::new())
}

/// From when to when a stream of sound is heard, in the file's own times.
#[derive(Debug, Clone)]
pub(crate) struct SoundExtent {
    /// The stream's index.
    pub(crate) index: u32,
    /// When the first packet begins that is not hidden.
    pub(crate) start: Time,
    /// When the last one ends.
    pub(crate) end: Time,
    /// How long the longest one is.
    pub(crate) packet: Time,
}

/// From when to when each stream of sound of `path` is heard, by all of its packets.
pub(crate) fn sound_extents(ffmpeg: &Ffmpeg, path: &Path, cancel: &CancelToken) -> Result<Vec<SoundExtent>> {
    packets::extents(ffmpeg, path, cancel)
}

/// What is in an output of ours.
#[derive(Debug)]
pub(crate) struct Contents {
    /// When the frames of the first video stream are shown, in order, in its unit.
    pub(crate) times: Vec<i64>,
    /// The unit in seconds.
    pub(crate) unit: Time,
    /// Frames for which the container has no time.
    pub(crate) untimed: u64,
    /// Number of other streams.
    pub(crate) others: usize,
}

impl Contents {
    /// Frames of the first video stream.
    pub(crate) fn frames(&self) -> u64 {
        self.times.len() as u64 + self.untimed
    }

    /// What is to be added to the file's times so that they are those of the frames that were sent, of which the first was at
    /// `first`.
    pub(crate) fn moved(&self, first: Option<Time>) -> Time {
        let found = self.times.first().filter(|_| self.untimed == 0);
        let found = found.and_then(|ticks| crate::time::from_ticks(*ticks, self.unit));
        let moved = first.zip(found).map(|(sent, found)| sent - found);
        moved.unwrap_or_default()
    }
}

/// Reads back the frames' times and the streams of a file that we have written.
pub(crate) fn read_back(ffmpeg: &Ffmpeg, path: &Path, cancel: &CancelToken) -> Result<Contents> {
    let mut args = Args::default();
    args.all([
        "-hide_banner",
        "-loglevel",
        "error",
        "-of",
        "json",
        "-show_format",
        "-show_streams",
    ]);
    args.input(path, &Limits::default())?;
    let answer = ffmpeg.run_ffprobe(args.0, MAX_REPORT, READ_BACK, cancel, "while checking the output")?;
    let mut contents = report::contents(path, &answer)?;
    packets::times(ffmpeg, path, cancel, &mut contents)?;
    Ok(contents)
}

/// Regular files only: a device, socket or folder is never handed to ffprobe.
fn check_file(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|e| MediaError::io("open", path, e))?;
    if !metadata.is_file() {
        return Err(MediaError::unreadable(path, "is not a regular file"));
    }
    if metadata.len() == 0 {
        return Err(MediaError::unreadable(path, "the file is empty"));
    }
    Ok(())
}

/// ffprobe's refusal of a file is about the file.
fn explain(path: &Path, error: MediaError) -> MediaError {
    match error {
        MediaError::Child { tail, .. } => {
            let reason = crate::ffmpeg::args::refusal(&tail)
                .unwrap_or_else(|| format!("ffprobe finds no media in it, or it is damaged: {tail}"));
            MediaError::unreadable(path, reason)
        }
        other => other,
    }
}
