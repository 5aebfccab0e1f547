//! Stream mapping: decides for each input stream whether it is interpolated, copied, transcoded or dropped, by the rules of
//! the output container, and tests the decisions with short ffmpeg runs.

use std::fmt;
use std::time::Duration;

use num_rational::Ratio;

use crate::ffmpeg::args::{Args, NOWHERE};
use crate::ffmpeg::child::{self, Request};
use crate::probe::{AudioFormat, MediaStream, StreamKind, VideoStream};
use crate::source::Span;
use crate::{CancelToken, Container, Ffmpeg, Limits, MediaError, MediaInfo, Result};

pub(crate) mod audio;

/// The treatment of an input stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The stream is the main video, which is interpolated.
    Interpolate,
    /// The stream's packets are copied.
    Copy,
    /// The stream is decoded and encoded with an ffmpeg encoder; lossy audio at a bit rate by channel count (160 kbit/s of
    /// AAC in stereo).
    Transcode {
        /// ffmpeg's name of the encoder.
        encoder: &'static str,
        /// Why the stream cannot be copied.
        reason: String,
    },
    /// The stream is not in the output.
    Drop {
        /// Why it is dropped.
        reason: String,
    },
}

/// An input stream with its treatment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStream {
    /// Index in the input file.
    pub index: u32,
    /// Kind of media: video, audio, subtitle, ...
    pub kind: StreamKind,
    /// ffmpeg's name of the codec.
    pub codec: String,
    /// Language and title for display, such as `eng, Commentary`; may be empty.
    pub label: String,
    /// Channel count and coding of an audio stream.
    pub audio: Option<(u32, AudioFormat)>,
    /// The treatment.
    pub action: Action,
}

/// The treatment of all streams of an input file; [`fmt::Display`] prints one line per stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamPlan {
    /// All streams of the input, in input order.
    pub streams: Vec<PlannedStream>,
    /// True where chapters are kept.
    pub chapters: bool,
    /// True where the file's metadata tags are kept.
    pub metadata: bool,
    /// Factor by which audio is slowed down; `None` at unchanged speed.
    pub stretch_audio: Option<Ratio<i64>>,
    /// The part of the input whose audio and subtitles are kept; `None` for all.
    pub excerpt: Option<Span>,
    /// Sample rate of transcoded audio in Hz; `None` keeps the source's.
    pub audio_rate: Option<u32>,
    /// Notes for the user, such as Dolby Vision metadata that is dropped.
    pub notes: Vec<String>,
}

/// The policy for all streams but the main video ("companion streams").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Companions {
    /// Copies each stream, else transcodes it, else drops it.
    #[default]
    Keep,
    /// Drops all, with this reason.
    Drop(&'static str),
    /// Slows audio down by this factor with unchanged pitch and drops all other streams.
    Stretch(Ratio<i64>),
}

/// Decides the treatment of each stream of `info` by the rules of `container` alone, without opening a file.
/// [`StreamPlan::check`] tests the result with ffmpeg.
pub fn plan_streams(info: &MediaInfo, container: Container, companions: Companions) -> StreamPlan {
    let main = info.main_video().map(|(stream, _)| stream.index);
    let streams = info.streams.iter().map(|stream| {
        let words = [stream.language.clone(), stream.title.clone()]
            .into_iter()
            .flatten();
        let mut planned = PlannedStream {
            index: stream.index,
            kind: stream.kind,
            codec: stream.codec.clone(),
            label: rife_files::one_line(&words.collect::<Vec<_>>().join(", ")),
            audio: stream
                .audio
                .map(|(channels, _)| channels)
                .zip(stream.audio_format.clone()),
            action: Action::Interpolate,
        };
        if Some(stream.index) != main {
            planned.action = plan_stream(stream, &planned, container, companions);
        }
        planned
    });
    let kept = companions == Companions::Keep && !matches!(container, Container::Gif | Container::VideoOnly);
    StreamPlan {
        streams: streams.collect(),
        chapters: kept && !info.chapters.is_empty(),
        metadata: !matches!(container, Container::Gif | Container::VideoOnly),
        stretch_audio: if let Companions::Stretch(by) = companions {
            Some(by)
        } else {
            None
        },
        excerpt: None,
        audio_rate: None,
        notes: notes(info, kept),
    }
}

/// Returns the notes about what the output loses; `kept` is true where companion streams and chapters are kept.
fn notes(info: &MediaInfo, kept: bool) -> Vec<String> {
    let video = info.main_video().map(|(_, video)| video);
    let mut notes = info.notes.clone();
    notes.extend(video.iter().flat_map(|video| video.hdr.dropped()));
    notes.extend(video.and_then(VideoStream::captions_dropped));
    notes.extend(info.cut_off.clone());
    if !kept && !info.chapters.is_empty() {
        notes.push("chapters are dropped".to_owned());
    }
    notes
}

/// Decides the treatment of a stream that is not the main video; `planned` describes the same stream as `stream`.
fn plan_stream(
    stream: &MediaStream,
    planned: &PlannedStream,
    container: Container,
    companions: Companions,
) -> Action {
    let drop = |reason: &str| Action::Drop {
        reason: reason.to_owned(),
    };
    if matches!(container, Container::Gif | Container::VideoOnly) {
        return drop("the output holds nothing but pictures");
    }
    match (companions, stream.kind) {
        (Companions::Drop(reason), _) => drop(reason),
        (_, StreamKind::Video) => drop("only the main video stream is interpolated"),
        (_, StreamKind::Data) => drop("timed data is not carried over"),
        _ if stream.encrypted => drop("it is encrypted"),
        (_, kind) if stream.codec == "unknown" && kind != StreamKind::Attachment => {
            drop("ffmpeg does not know its codec")
        }
        (Companions::Stretch(_), StreamKind::Audio) => Action::Transcode {
            encoder: stretched_encoder(stream, container),
            reason: "it is stretched".to_owned(),
        },
        (Companions::Stretch(_), _) => drop("its times do not fit the stretched video"),
        (_, StreamKind::Audio) => plan_audio(planned, container),
        (_, StreamKind::Subtitle) => plan_subtitle(stream, container),
        (_, StreamKind::Attachment) if container == Container::Matroska => Action::Copy,
        (_, StreamKind::CoverArt) if matches!(container, Container::Mp4 | Container::Mov) => Action::Copy,
        (_, StreamKind::CoverArt) if container == Container::Matroska => {
            drop("cover art in Matroska would have to become an attachment")
        }
        (_, StreamKind::Attachment | StreamKind::CoverArt) => drop("the container has no place for it"),
    }
}

/// Returns the audio encoder whose codec every player of `container` supports; lossy except for MXF.
pub(crate) fn audio_encoder(container: Container) -> &'static str {
    match container {
        Container::WebM => "libopus",
        Container::Avi => "libmp3lame",
        Container::Other("ogg") => "libvorbis",
        Container::Other("mpeg") => "mp2",
        Container::Other("asf") => "wmav2",
        Container::Other("mxf") => "pcm_s16le",
        _ => "aac",
    }
}

/// Returns the encoder for transcoding an audio stream: a lossless one for lossless sources and for more channels than
/// 5.1, where the container supports one; else the container's usual encoder, or one that supports the channel count.
fn transcode_encoder(stream: &PlannedStream, container: Container) -> &'static str {
    let Some((channels, format)) = &stream.audio else {
        return audio_encoder(container);
    };
    let deep = format.bits == 0 || format.bits > 16;
    let lossless = audio::is_lossless(&stream.codec, format);
    let pcm = if deep && lossless {
        "pcm_s24le"
    } else {
        "pcm_s16le"
    };
    match container {
        // Widely supported AAC has at most 5.1 channels.
        Container::Mp4 | Container::Matroska | Container::Nut
            if (lossless || *channels > 6) && *channels <= 8 =>
        {
            "flac"
        }
        Container::Mov if lossless && *channels <= 2 => "alac",
        Container::Mov if lossless || *channels > 6 => pcm,
        Container::Avi if lossless || *channels > 6 => pcm,
        Container::Avi if *channels > 2 => "ac3",
        _ => audio_encoder(container),
    }
}

/// Returns the encoder of slowed-down audio; always a lossy one (PCM in MXF), since the samples are new in any case.
fn stretched_encoder(stream: &MediaStream, container: Container) -> &'static str {
    match (container, stream.audio) {
        (Container::Avi, Some((3.., _))) => "ac3",
        _ => audio_encoder(container),
    }
}

/// Reports whether `container` can hold audio packets of `codec` (ffmpeg's codec name) unchanged, by a fixed table;
/// [`StreamPlan::check`] confirms it for the source's packets by a trial run of ffmpeg.
fn supports_audio(container: Container, codec: &str) -> bool {
    match container {
        Container::Mp4 => matches!(
            codec,
            "aac"
                | "mp3"
                | "ac3"
                | "eac3"
                | "alac"
                | "opus"
                | "mp2"
                | "flac"
                | "dts"
                | "truehd"
                | "mp1"
                | "als"
        ),
        Container::Mov => matches!(
            codec,
            "aac"
                | "mp3"
                | "ac3"
                | "eac3"
                | "alac"
                | "mp2"
                | "pcm_alaw"
                | "pcm_mulaw"
                | "pcm_u8"
                | "pcm_s8"
                | "pcm_s16le"
                | "pcm_s16be"
                | "pcm_s24le"
                | "pcm_s24be"
                | "pcm_s32le"
                | "pcm_s32be"
                | "pcm_f32le"
                | "pcm_f32be"
                | "pcm_f64le"
                | "pcm_f64be"
        ),
        Container::WebM => matches!(codec, "opus" | "vorbis"),
        Container::Avi => matches!(
            codec,
            "mp3" | "ac3" | "mp2" | "pcm_s16le" | "pcm_u8" | "pcm_s24le" | "pcm_s32le" | "pcm_f32le"
        ),
        Container::MpegTs => matches!(
            codec,
            "aac" | "mp2" | "mp3" | "ac3" | "eac3" | "opus" | "dts" | "truehd"
        ),
        Container::Other("flv") => matches!(codec, "aac" | "mp3"),
        Container::Other("ogg") => matches!(codec, "vorbis" | "opus" | "flac" | "speex"),
        Container::Other("mpeg") => matches!(codec, "mp2" | "mp3" | "ac3" | "dts"),
        Container::Other("asf") => matches!(codec, "wmav1" | "wmav2" | "wmapro" | "mp3"),
        Container::Other("mxf") => matches!(codec, "pcm_s16le" | "pcm_s24le"),
        Container::Other(_) => matches!(codec, "aac" | "amr_nb" | "amr_wb"),
        Container::Matroska | Container::Nut => true,
        Container::Gif | Container::VideoOnly => false,
    }
}

/// Decides between copying and transcoding an audio stream.
fn plan_audio(stream: &PlannedStream, container: Container) -> Action {
    let codec = stream.codec.as_str();
    if supports_audio(container, codec) {
        return Action::Copy;
    }
    let encoder = transcode_encoder(stream, container);
    Action::Transcode {
        encoder,
        reason: format!("{} holds no {codec}{}", container.name(), lost(stream, encoder)),
    }
}

/// Formats the losses of transcoding an audio stream with `encoder` (lossy coding, fewer channels) as the end of a message;
/// empty without losses.
fn lost(stream: &PlannedStream, encoder: &str) -> String {
    let Some((channels, format)) = &stream.audio else {
        return String::new();
    };
    let mut lost = String::new();
    if audio::is_lossless(&stream.codec, format) && !audio::writes_lossless(encoder) {
        lost += ", nor any other sound without loss";
    }
    if let Some(max) = audio::max_channels(encoder).filter(|max| channels > max) {
        lost += &format!("; {channels} channels become {max}");
    }
    lost
}

/// Decides the treatment of a subtitle stream: text subtitles may change format, bitmap subtitles are copied or dropped.
fn plan_subtitle(stream: &MediaStream, container: Container) -> Action {
    let codec = stream.codec.as_str();
    let text = matches!(
        codec,
        "subrip" | "srt" | "ass" | "ssa" | "webvtt" | "text" | "mov_text" | "ttml" | "eia_608"
    );
    let bitmap = matches!(codec, "hdmv_pgs_subtitle" | "dvd_subtitle" | "dvb_subtitle");
    let transcode = |encoder| Action::Transcode {
        encoder,
        reason: format!("{} holds no {codec}", container.name()),
    };
    match container {
        Container::Mp4 | Container::Mov if codec == "mov_text" => Action::Copy,
        Container::Mp4 if codec == "dvd_subtitle" => Action::Copy,
        Container::Mp4 | Container::Mov if text => transcode("mov_text"),
        Container::Matroska if codec == "mov_text" || codec == "ttml" => transcode("srt"),
        Container::Matroska if text || bitmap => Action::Copy,
        Container::WebM if codec == "webvtt" => Action::Copy,
        Container::WebM if text => transcode("webvtt"),
        Container::MpegTs if matches!(codec, "dvb_subtitle" | "dvb_teletext") => Action::Copy,
        _ => Action::Drop {
            reason: format!("{} holds no {codec} subtitles", container.name()),
        },
    }
}

impl StreamPlan {
    /// Limits the companion streams to a part of the input; chapters are dropped.
    pub fn limit_to(&mut self, span: Span) {
        self.excerpt = Some(span);
        if std::mem::take(&mut self.chapters) {
            self.notes.push("chapters are dropped".to_owned());
        }
    }

    /// Tests each audio and subtitle stream by muxing its first seconds: a copy that fails becomes a transcode, a transcode
    /// that fails is dropped with ffmpeg's reason.
    pub fn check(&mut self, info: &MediaInfo, container: Container, cancel: &CancelToken) -> Result<()> {
        self.try_streams(&Ffmpeg::find()?, info, container, cancel, Some(TRIAL))
    }

    /// Tests the audio and subtitle streams that are copied to their ends, with the same fallbacks as
    /// [`StreamPlan::check`]; returns the display lines of the streams whose treatment changed.
    pub(crate) fn check_to_end(
        &mut self,
        ffmpeg: &Ffmpeg,
        info: &MediaInfo,
        container: Container,
        cancel: &CancelToken,
    ) -> Result<Vec<String>> {
        let tried = |kind| matches!(kind, StreamKind::Audio | StreamKind::Subtitle);
        let copied = (self.streams.iter()).filter(|s| s.action == Action::Copy && tried(s.kind));
        let copied: Vec<_> = copied.collect();
        if copied.is_empty() || all_copied(ffmpeg, info, &copied, container, cancel)? {
            return Ok(Vec::new());
        }
        let before = self.streams.clone();
        self.try_streams(ffmpeg, info, container, cancel, None)?;
        let pairs = before.iter().zip(&self.streams);
        let changed = pairs.filter(|(before, now)| before.action != now.action);
        Ok(changed.map(|(_, now)| now.to_string()).collect())
    }

    /// Drops all streams but the main video for `reason`; returns the display lines of the dropped ones.
    pub(crate) fn drop_companions(&mut self, reason: &str) -> Vec<String> {
        let kept = |s: &&mut PlannedStream| matches!(s.action, Action::Copy | Action::Transcode { .. });
        let dropped = self.streams.iter_mut().filter(kept).map(|stream| {
            let reason = reason.to_owned();
            stream.action = Action::Drop { reason };
            stream.to_string()
        });
        dropped.collect()
    }

    /// Tests each audio and subtitle stream for `seconds`, or to its end where `None`, and replaces actions that fail.
    fn try_streams(
        &mut self,
        ffmpeg: &Ffmpeg,
        info: &MediaInfo,
        container: Container,
        cancel: &CancelToken,
        seconds: Option<&str>,
    ) -> Result<()> {
        let tried = |kind| matches!(kind, StreamKind::Audio | StreamKind::Subtitle);
        let mut outcomes: Vec<(PlannedStream, Action)> = Vec::new();
        for stream in self.streams.iter_mut().filter(|stream| tried(stream.kind)) {
            let alike = PlannedStream {
                index: 0,
                label: String::new(),
                ..stream.clone()
            };
            if let Some(action) = agreed(&outcomes, &alike).filter(|_| seconds.is_some()) {
                stream.action = action;
                continue;
            }
            let attempt = |stream: &PlannedStream| attempt(ffmpeg, info, stream, container, cancel, seconds);
            if stream.action == Action::Copy
                && let Err(reason) = attempt(stream)?
            {
                stream.action = second_choice(stream, container, reason);
            }
            if matches!(stream.action, Action::Transcode { .. })
                && let Err(reason) = attempt(stream)?
            {
                stream.action = Action::Drop {
                    reason: format!("it can be neither copied nor transcoded: {reason}"),
                };
            }
            outcomes.push((alike, stream.action.clone()));
        }
        Ok(())
    }

    /// Returns the streams that are copied or transcoded, in input order, without the main video.
    pub(crate) fn companions(&self) -> impl Iterator<Item = &PlannedStream> {
        self.streams
            .iter()
            .filter(|s| matches!(s.action, Action::Copy | Action::Transcode { .. }))
    }
}

/// Number of streams with equal properties that are tested; further ones get the same action, since a file may have
/// hundreds.
const TRIALS: usize = 4;

/// Returns the action of the tested streams with the same properties as `alike`, where at least [`TRIALS`] were tested and
/// all ended with the same action.
fn agreed(outcomes: &[(PlannedStream, Action)], alike: &PlannedStream) -> Option<Action> {
    let mut same = outcomes
        .iter()
        .filter(|(kind, _)| kind == alike)
        .map(|(_, became)| became);
    let first = same.next()?;
    let others: Vec<&Action> = same.collect();
    let enough = others.len() + 1 >= TRIALS && others.iter().all(|became| *became == first);
    enough.then(|| first.clone())
}

/// Returns the action for a stream that cannot be copied for `reason`: transcoding, or dropping where no encoder fits.
fn second_choice(stream: &PlannedStream, container: Container, reason: String) -> Action {
    let encoder = match (stream.kind, container) {
        (StreamKind::Audio, _) => transcode_encoder(stream, container),
        (_, Container::Mp4 | Container::Mov) => "mov_text",
        (_, Container::WebM) => "webvtt",
        (_, Container::Matroska) => "srt",
        _ => {
            return Action::Drop {
                reason: format!("it cannot be copied: {reason}"),
            };
        }
    };
    Action::Transcode {
        encoder,
        reason: format!("it cannot be copied: {reason}{}", lost(stream, encoder)),
    }
}

/// Reports whether ffmpeg needs `-strict experimental` for these streams: versions up to 6 call FLAC in MP4 experimental,
/// all versions TrueHD in MP4.
pub(crate) fn needs_experimental<'a>(
    container: Container,
    mut streams: impl Iterator<Item = &'a PlannedStream>,
) -> bool {
    let experiment = |stream: &PlannedStream| match &stream.action {
        Action::Copy => matches!(stream.codec.as_str(), "flac" | "truehd" | "opus"),
        Action::Transcode { encoder, .. } => *encoder == "flac",
        Action::Interpolate | Action::Drop { .. } => false,
    };
    container == Container::Mp4 && streams.any(experiment)
}

/// Seconds of each stream that [`StreamPlan::check`] muxes.
const TRIAL: &str = "3";

/// Copies or transcodes one stream into `container` and the null device, for `seconds` or to its end; the inner error is
/// ffmpeg's reason for a failure.
fn attempt(
    ffmpeg: &Ffmpeg,
    info: &MediaInfo,
    stream: &PlannedStream,
    container: Container,
    cancel: &CancelToken,
    seconds: Option<&str>,
) -> Result<std::result::Result<(), String>> {
    let mut args = Args::default();
    args.all(["-map", &format!("0:{}", stream.index)]);
    if let Some(seconds) = seconds {
        args.all(["-t", seconds]);
    }
    args.one("-c");
    if let Action::Transcode { encoder, .. } = stream.action {
        args.one(encoder);
        if let Some((channels, format)) = &stream.audio {
            audio::options(&mut args, encoder, *channels, format, "a", None);
        }
    } else {
        args.one("copy");
    }
    if needs_experimental(container, std::iter::once(stream)) {
        args.all(["-strict", "experimental"]);
    }
    mux(ffmpeg, info, &args, container, cancel, seconds.is_some())
}

/// Reports whether all `copied` streams can be copied into `container` together, to their ends.
fn all_copied(
    ffmpeg: &Ffmpeg,
    info: &MediaInfo,
    copied: &[&PlannedStream],
    container: Container,
    cancel: &CancelToken,
) -> Result<bool> {
    let mut args = Args::default();
    for stream in copied {
        args.all(["-map", &format!("0:{}", stream.index)]);
    }
    args.all(["-c", "copy"]);
    if needs_experimental(container, copied.iter().copied()) {
        args.all(["-strict", "experimental"]);
    }
    mux(ffmpeg, info, &args, container, cancel, false).map(|tried| tried.is_ok())
}

/// Muxes streams of `info` into `container` and the null device; `streams` are the arguments that select and code them,
/// `short` shortens the timeout. The inner error is ffmpeg's reason for a failure.
fn mux(
    ffmpeg: &Ffmpeg,
    info: &MediaInfo,
    streams: &Args,
    container: Container,
    cancel: &CancelToken,
    short: bool,
) -> Result<std::result::Result<(), String>> {
    let Some(muxer) = container.muxer() else {
        return Ok(Ok(()));
    };
    let mut args = Args::ffmpeg();
    args.all(["-y"]).input(&info.path, &Limits::default())?;
    args.0.extend_from_slice(&streams.0);
    args.all(["-f", muxer]).one(NOWHERE);
    let request = Request::new("ffmpeg", &ffmpeg.ffmpeg, args.0);
    let mut child = child::start(Request {
        cancel: cancel.clone(),
        // Output to the null device shows no progress, so the timeout covers the entire run.
        stall: Duration::from_secs(if short { 60 } else { 6 * 3600 }),
        ..request
    })?;
    match child.finish("while trying a stream") {
        Ok(_) => Ok(Ok(())),
        Err(MediaError::Child { tail, .. }) => Ok(Err(tail)),
        Err(other) => Err(other),
    }
}

impl fmt::Display for PlannedStream {
    /// Writes one line: index, kind, codec, label and treatment with its reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            StreamKind::Video => "video",
            StreamKind::CoverArt => "cover art",
            StreamKind::Audio => "audio",
            StreamKind::Subtitle => "subtitle",
            StreamKind::Attachment => "attachment",
            StreamKind::Data => "data",
        };
        write!(f, "stream {} {kind} {}", self.index, self.codec)?;
        if !self.label.is_empty() {
            write!(f, " ({})", self.label.replace(char::is_control, " "))?;
        }
        match &self.action {
            Action::Interpolate => write!(f, ": interpolated"),
            Action::Copy => write!(f, ": copied"),
            Action::Transcode { encoder, reason } => {
                write!(f, ": transcoded with {encoder} ({reason})")
            }
            Action::Drop { reason } => write!(f, ": dropped ({reason})"),
        }
    }
}

impl fmt::Display for StreamPlan {
    /// Writes a line per stream, then chapters and notes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.streams.iter()).try_for_each(|stream| writeln!(f, "{stream}"))?;
        if self.chapters {
            writeln!(f, "chapters: kept")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}
