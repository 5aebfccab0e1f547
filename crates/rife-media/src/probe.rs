//! Media file probing: streams, codecs, colour tags, times and chapters of a file, read with ffprobe under limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use num_rational::Ratio;

use crate::ffmpeg::args::Args;
use crate::{CancelToken, ColorTags, Ffmpeg, Limits, MediaError, PixelFormat, Result, Time};

mod captions;
pub(crate) mod clock;
mod encrypted;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod length;
mod packets;
mod report;

pub use clock::Clock;

/// The kind of media of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Video.
    Video,
    /// A still image attached as cover art.
    CoverArt,
    /// Audio.
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
    /// Index in the file.
    pub index: u32,
    /// Kind of media.
    pub kind: StreamKind,
    /// ffmpeg's name of the codec; `unknown` where ffprobe names none.
    pub codec: String,
    /// Language tag, such as `eng`.
    pub language: Option<String>,
    /// Title tag.
    pub title: Option<String>,
    /// True where players select it by default.
    pub default: bool,
    /// Time of its first packet in seconds, relative to the container's start.
    pub start: Option<Time>,
    /// Duration in seconds, where the file states it.
    pub duration: Option<Time>,
    /// Number of frames: counted for streams of up to 20 000 packets, else as the container states.
    pub frames: Option<u64>,
    /// Number of channels and sample rate in Hz of an audio stream.
    pub audio: Option<(u32, u32)>,
    /// Channel layout, sample depth and profile of an audio stream.
    pub audio_format: Option<AudioFormat>,
    /// Details of a video stream or cover art.
    pub video: Option<VideoStream>,
    /// True where its packets are encrypted and cannot be decoded.
    pub encrypted: bool,
}

/// Coding of an audio stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioFormat {
    /// ffmpeg's name of the channel layout, such as `5.1(side)`; `None` where unknown.
    pub layout: Option<String>,
    /// Bits per sample; 0 for codecs without a sample depth.
    pub bits: u32,
    /// ffmpeg's name of the codec's profile, such as `DTS-HD MA`; `None` where unknown.
    pub profile: Option<String>,
}

/// Field order of video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldOrder {
    /// Progressive frames, or not stated.
    Progressive,
    /// Interlaced, top field first.
    TopFirst,
    /// Interlaced, bottom field first.
    BottomFirst,
}

/// HDR10 mastering display metadata (SMPTE ST 2086) in the units of the standard.
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
    /// True where Dolby Vision metadata is present (it is dropped).
    pub dolby_vision: bool,
    /// True where frames cannot be displayed without Dolby Vision: profile 5 and others without a compatible base layer.
    pub dolby_vision_only: bool,
    /// True where HDR10+ dynamic metadata is present (it is dropped).
    pub hdr10_plus: bool,
}

impl HdrMetadata {
    /// Returns a message for each kind of per-frame metadata that interpolated frames cannot have and that is dropped.
    pub fn dropped(&self) -> Vec<String> {
        let kinds = [
            (self.dolby_vision, "Dolby Vision metadata"),
            (self.hdr10_plus, "HDR10+ dynamic metadata"),
        ];
        let dropped = |(_, kind)| format!("{kind} cannot be carried over to new frames: dropped");
        kinds
            .into_iter()
            .filter(|(present, _)| *present)
            .map(dropped)
            .collect()
    }
}

/// Display transformation (rotation and reflection): the 3x3 matrix of an MP4 track header, row by row, in 16.16 fixed point
/// with the third column in 2.30.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayMatrix(pub [i32; 9]);

impl DisplayMatrix {
    /// The identity: neither rotation nor reflection.
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
    /// The planar format that holds its frames without loss; `None` where unsupported.
    pub format: Option<PixelFormat>,
    /// Colour tags.
    pub color: ColorTags,
    /// Sample aspect ratio (pixel width over height), where the stream states one.
    pub sample_aspect: Option<Ratio<i64>>,
    /// Rotation and reflection for display.
    pub matrix: DisplayMatrix,
    /// Clockwise rotation for display in degrees (0 to 359), without reflection.
    pub rotation: i32,
    /// Nominal frame rate in frames per second; for variable rates about the mean.
    pub frame_rate: Option<Ratio<i64>>,
    /// True for a variable frame rate: intervals differ by more than rounding to the time base.
    pub variable_rate: bool,
    /// Time base in seconds per tick.
    pub time_base: Time,
    /// Field order; tells interlaced from progressive video.
    pub field_order: FieldOrder,
    /// HDR metadata.
    pub hdr: HdrMetadata,
    /// End of the last frame's display in seconds since the container's start, where all packets could be read.
    pub end: Option<Time>,
    /// Decoding times in seconds of the first packets of a stream without presentation times (AVI), whose frame n is shown
    /// at decoding time n; empty for others.
    pub decoding_times: Vec<Time>,
    /// True where a second coded layer holds alpha (VP8 and VP9 in WebM).
    pub alpha_layer: bool,
    /// True where its first frames carry closed captions (CEA-608 or CEA-708, as ATSC A/53 user data).
    pub captions: bool,
}

impl VideoStream {
    /// Returns a message that closed captions are dropped, with a way to extract them; `None` without captions.
    pub fn captions_dropped(&self) -> Option<String> {
        let text = "closed captions (CEA-608/708) lie within the source's frames and cannot be carried over to new ones: \
                    dropped; ffmpeg -f lavfi -i \"movie=IN[out0+subcc]\" -map 0:s OUT.srt takes them out as subtitles";
        self.captions.then(|| text.to_owned())
    }
}

/// A chapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// Start in seconds since the container's start.
    pub start: Time,
    /// End in seconds since the container's start.
    pub end: Time,
    /// Title tag.
    pub title: Option<String>,
}

/// Properties of a media file as ffprobe reports them.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaInfo {
    /// The file.
    pub path: PathBuf,
    /// ffmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Duration in seconds.
    pub duration: Option<Time>,
    /// Start time of the container in its own timestamps, in seconds; all other times here are relative to it.
    pub start: Time,
    /// Its streams in file order.
    pub streams: Vec<MediaStream>,
    /// Its chapters.
    pub chapters: Vec<Chapter>,
    /// Tags of the file, such as `title`, with their values.
    pub metadata: Vec<(String, String)>,
    /// Notes for the user from opening the file.
    pub notes: Vec<String>,
    /// A message about missing data, for a file shorter than its header states.
    pub cut_off: Option<String>,
    /// Timestamp discontinuities. Times of streams here belong to the first continuous range; decoded frames have
    /// continuous times.
    pub clock: Clock,
}

impl MediaInfo {
    /// Returns the video stream that is interpolated: the default one, else the first; never cover art.
    pub fn main_video(&self) -> Option<(&MediaStream, &VideoStream)> {
        let videos = || self.streams.iter().filter(|s| s.kind == StreamKind::Video);
        let stream = videos().find(|s| s.default).or_else(|| videos().next())?;
        Some((stream, stream.video.as_ref()?))
    }
}

/// Maximum size of ffprobe's output in bytes.
const MAX_REPORT: usize = 32 << 20;
/// Timeout of ffprobe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);
/// Timeout of ffprobe for reading all packets of an output file.
pub(crate) const READ_BACK_TIMEOUT: Duration = Duration::from_secs(3600);

/// Probes `path` with the machine's ffprobe, with format and codec allow-lists, bounded output and a timeout.
///
/// # Errors
/// ffprobe cannot be found or run; the file cannot be opened, is not regular, or is no supported media file.
pub fn probe(path: &Path, limits: &Limits) -> Result<MediaInfo> {
    probe_with(&Ffmpeg::find()?, path, limits, &CancelToken::new())
}

/// Probes `path` as [`probe`] does, with the given ffprobe and cancellation.
pub fn probe_with(ffmpeg: &Ffmpeg, path: &Path, limits: &Limits, cancel: &CancelToken) -> Result<MediaInfo> {
    check_file(path)?;
    let mut args = Args::default();
    args.all(["-hide_banner", "-loglevel", "error", "-of", "json"]);
    args.all(["-show_format", "-show_streams", "-show_chapters"])
        .input(path, limits)?;
    let answer = ffmpeg.run_ffprobe(args.0, MAX_REPORT, PROBE_TIMEOUT, cancel, "while probing");
    let answer = answer.map_err(|e| explain(path, e))?;
    let mut info = report::parse(path, &answer)?;
    encrypted::detect(path, &mut info)?;
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

/// Returns the encoder delay of each audio stream of `path`, the seconds of packets before the stream's stated start, as
/// `(stream index, seconds)`; streams without a delay are left out.
///
/// # Errors
/// ffprobe cannot be found or run.
pub fn audio_priming(path: &Path, limits: &Limits) -> Result<Vec<(u32, Time)>> {
    packets::priming(&Ffmpeg::find()?, path, limits, &CancelToken::new())
}

/// The time range of an audio stream's packets, in seconds of the file's own timestamps.
#[derive(Debug, Clone)]
pub(crate) struct AudioExtent {
    /// Index of the stream.
    pub(crate) index: u32,
    /// Start of the first packet that is not discarded.
    pub(crate) start: Time,
    /// End of the last packet.
    pub(crate) end: Time,
    /// Duration of the longest packet.
    pub(crate) packet: Time,
}

/// Reads all audio packets of `path` and returns the time range of each audio stream.
pub(crate) fn audio_extents(ffmpeg: &Ffmpeg, path: &Path, cancel: &CancelToken) -> Result<Vec<AudioExtent>> {
    packets::extents(ffmpeg, path, cancel)
}

/// Frame times and stream count of a written output file.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Presentation times of the first video stream's frames in ticks of `unit`, in order.
    pub(crate) times: Vec<i64>,
    /// Time base of `times` in seconds per tick.
    pub(crate) unit: Time,
    /// Number of frames without a presentation time.
    pub(crate) untimed: u64,
    /// Number of streams other than the first video stream.
    pub(crate) others: usize,
}

impl Contents {
    /// Returns the number of frames of the first video stream.
    pub(crate) fn frames(&self) -> u64 {
        self.times.len() as u64 + self.untimed
    }

    /// Returns the seconds to add to the file's times to get those of the frames sent to the encoder, whose first was at
    /// `first`; 0 where a time is unknown.
    pub(crate) fn moved(&self, first: Option<Time>) -> Time {
        let found = self.times.first().filter(|_| self.untimed == 0);
        let found = found.and_then(|ticks| crate::time::from_ticks(*ticks, self.unit));
        let moved = first.zip(found).map(|(sent, found)| sent - found);
        moved.unwrap_or_default()
    }
}

/// Reads the frame times and the streams of a written output file.
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
    let answer = ffmpeg.run_ffprobe(
        args.0,
        MAX_REPORT,
        READ_BACK_TIMEOUT,
        cancel,
        "while checking the output",
    )?;
    let mut contents = report::contents(path, &answer)?;
    packets::times(ffmpeg, path, cancel, &mut contents)?;
    Ok(contents)
}

/// Checks that `path` is a regular, nonempty file: a device, socket or folder is never passed to ffprobe.
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

/// Returns what ffprobe said of a file without the names of its parts (`[matroska,webm]`) and the line with the path, which
/// ends every such message; all of it if nothing else is left.
fn cause(tail: &str) -> String {
    let without_part = |line: &str| match line.split_once("] ") {
        Some((part, words)) if part.starts_with('[') => words.to_owned(),
        _ => line.to_owned(),
    };
    let lines = tail.split("; ").filter(|line| !line.starts_with("file:"));
    let said = lines.map(without_part).collect::<Vec<_>>().join("; ");
    if said.is_empty() { tail.to_owned() } else { said }
}

/// Converts a failure of ffprobe into [`MediaError::Unreadable`] for `path`, with a remedy where an allow-list refused it.
fn explain(path: &Path, error: MediaError) -> MediaError {
    match error {
        MediaError::Child { tail, .. } => {
            let reason = crate::ffmpeg::args::refusal(&tail).unwrap_or_else(|| {
                format!(
                    "no video, sound or picture that ffmpeg knows, or damaged ({})",
                    cause(&tail)
                )
            });
            MediaError::unreadable(path, reason)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::cause;

    #[test]
    fn the_cause_has_no_parts_of_ffmpeg_and_no_path() {
        let tail = "Truncating packet; [matroska,webm] EBML header parsing failed; file:/a/b.mkv: Invalid data found";
        assert_eq!(cause(tail), "Truncating packet; EBML header parsing failed");
        let alone = "file:/a/b.mkv: Invalid data found";
        assert_eq!(cause(alone), alone);
    }
}
