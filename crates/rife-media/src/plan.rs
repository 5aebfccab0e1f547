//! What happens to each stream of the input: interpolated, copied, transcoded, or dropped with a reason.

use std::fmt;
use std::time::Duration;

use num_rational::Ratio;

use crate::ffmpeg::args::{Args, NOWHERE};
use crate::ffmpeg::child::{self, Request};
use crate::probe::{MediaStream, SoundFormat, StreamKind, VideoStream};
use crate::{CancelToken, Container, Ffmpeg, Limits, MediaError, MediaInfo, Result};

pub(crate) mod sound;

/// What happens to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The video that goes through the network.
    Interpolate,
    /// Its packets are copied.
    Copy,
    /// It is encoded anew with this ffmpeg encoder: sound without loss where the encoder is one for that, else at a bit
    /// rate by its channels (160 kbit/s of AAC in stereo).
    Transcode {
        /// ffmpeg's encoder.
        encoder: &'static str,
        /// Why it cannot be copied.
        reason: String,
    },
    /// It is left out.
    Drop {
        /// Why.
        reason: String,
    },
}

/// One stream of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStream {
    /// Its index in the input.
    pub index: u32,
    /// What it carries.
    pub kind: StreamKind,
    /// Its codec.
    pub codec: String,
    /// Its language and title, for print.
    pub label: String,
    /// Channels and coding of sound.
    pub sound: Option<(u32, SoundFormat)>,
    /// What happens to it.
    pub action: Action,
}

/// The plan for a whole file; [`fmt::Display`] prints one line a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamPlan {
    /// Every stream of the input, in its order.
    pub streams: Vec<PlannedStream>,
    /// Whether chapters are kept.
    pub chapters: bool,
    /// Whether the tags of the whole file are kept.
    pub metadata: bool,
    /// How much slower sound is played, where it is stretched.
    pub stretch_audio: Option<Ratio<i64>>,
    /// Samples a second of transcoded sound; those of its source where absent.
    pub audio_rate: Option<u32>,
    /// Other things to know, such as Dolby Vision metadata that cannot be carried over.
    pub notes: Vec<String>,
}

/// What to do with everything but the main video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Companions {
    /// Copy, else transcode, else drop.
    #[default]
    Keep,
    /// Leave them all out (the reason is printed).
    Drop(&'static str),
    /// Time is stretched by this much: sound is stretched with its pitch kept, the rest is dropped.
    Stretch(Ratio<i64>),
}

/// Plans by the rules of `container` alone; nothing is opened. [`StreamPlan::check`] then tries it.
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
            sound: stream
                .audio
                .map(|(channels, _)| channels)
                .zip(stream.sound.clone()),
            action: Action::Interpolate,
        };
        if Some(stream.index) != main {
            planned.action = act(stream, &planned, container, companions);
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
        audio_rate: None,
        notes: notes(info, kept),
    }
}

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

fn act(
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
        (_, StreamKind::Audio) => audio(planned, container),
        (_, StreamKind::Subtitle) => subtitle(stream, container),
        (_, StreamKind::Attachment) if container == Container::Matroska => Action::Copy,
        (_, StreamKind::CoverArt) if matches!(container, Container::Mp4 | Container::Mov) => Action::Copy,
        (_, StreamKind::CoverArt) if container == Container::Matroska => {
            drop("cover art in Matroska would have to become an attachment")
        }
        (_, StreamKind::Attachment | StreamKind::CoverArt) => drop("the container has no place for it"),
    }
}

/// The lossy encoder of sound that every player of the container knows.
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

/// The encoder of sound for what is transcoded: lossless for what was lossless or has more channels than 5.1, where
/// the container holds such; else the usual one, or for more than stereo the one that holds it.
fn sound_encoder(stream: &PlannedStream, container: Container) -> &'static str {
    let Some((channels, format)) = &stream.sound else {
        return audio_encoder(container);
    };
    let deep = format.bits == 0 || format.bits > 16;
    let lossless = sound::is_lossless(&stream.codec, format);
    let pcm = if deep && lossless {
        "pcm_s24le"
    } else {
        "pcm_s16le"
    };
    match container {
        // AAC as everything reads it ends at 5.1.
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

/// The encoder of sound whose time is stretched: what that makes of it is new in any case.
fn stretched_encoder(stream: &MediaStream, container: Container) -> &'static str {
    match (container, stream.audio) {
        (Container::Avi, Some((3.., _))) => "ac3",
        _ => audio_encoder(container),
    }
}

/// What each container takes of sound as it is. What is in the list is tried all the same.
fn holds_sound(container: Container, codec: &str) -> bool {
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

fn audio(stream: &PlannedStream, container: Container) -> Action {
    let codec = stream.codec.as_str();
    if holds_sound(container, codec) {
        return Action::Copy;
    }
    let encoder = sound_encoder(stream, container);
    Action::Transcode {
        encoder,
        reason: format!("{} holds no {codec}{}", container.name(), lost(stream, encoder)),
    }
}

/// What of its sound a transcoded stream loses, in words.
fn lost(stream: &PlannedStream, encoder: &str) -> String {
    let Some((channels, format)) = &stream.sound else {
        return String::new();
    };
    let mut lost = String::new();
    if sound::is_lossless(&stream.codec, format) && !sound::writes_lossless(encoder) {
        lost += ", nor any other sound without loss";
    }
    if let Some(most) = sound::most_channels(encoder).filter(|most| channels > most) {
        lost += &format!("; {channels} channels become {most}");
    }
    lost
}

fn subtitle(stream: &MediaStream, container: Container) -> Action {
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
    /// Tries each stream on its own, for its first seconds: a copy that fails becomes a transcode, a transcode
    /// that fails is dropped with ffmpeg's reason.
    pub fn check(&mut self, info: &MediaInfo, container: Container, cancel: &CancelToken) -> Result<()> {
        self.try_streams(&Ffmpeg::find()?, info, container, cancel, Some(TRIAL))
    }

    /// As [`StreamPlan::check`], but tries each stream to its end; returns the lines of those that have changed.
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

    /// Leaves out every stream but the main video, for this reason; returns the lines of those that were left out.
    pub(crate) fn drop_companions(&mut self, reason: &str) -> Vec<String> {
        let goes_along = |s: &&mut PlannedStream| matches!(s.action, Action::Copy | Action::Transcode { .. });
        let dropped = self.streams.iter_mut().filter(goes_along).map(|stream| {
            let reason = reason.to_owned();
            stream.action = Action::Drop { reason };
            stream.to_string()
        });
        dropped.collect()
    }

    /// Tries each stream for `seconds`, or to its end.
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

    /// The streams that go along, in order, without the main video.
    pub(crate) fn companions(&self) -> impl Iterator<Item = &PlannedStream> {
        self.streams
            .iter()
            .filter(|s| matches!(s.action, Action::Copy | Action::Transcode { .. }))
    }
}

/// Streams of a codec that are tried before more of them are taken to be like these: a file may have hundreds.
const TRIALS: usize = 4;

/// What became of all streams that were like this one, where enough of them have been tried and they agree.
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

fn second_choice(stream: &PlannedStream, container: Container, reason: String) -> Action {
    let encoder = match (stream.kind, container) {
        (StreamKind::Audio, _) => sound_encoder(stream, container),
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

/// Whether ffmpeg wants to be told that this is meant: up to version 6 it calls FLAC in MP4 an experiment, and TrueHD
/// there still.
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

/// How many seconds of a stream are tried before the start.
const TRIAL: &str = "3";

/// Muxes the first seconds of one stream, or all of it, into `container`; the inner error is ffmpeg's reason why not.
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
        if let Some((channels, format)) = &stream.sound {
            sound::options(&mut args, encoder, *channels, format, "a", None);
        }
    } else {
        args.one("copy");
    }
    if needs_experimental(container, std::iter::once(stream)) {
        args.all(["-strict", "experimental"]);
    }
    mux(ffmpeg, info, &args, container, cancel, seconds.is_some())
}

/// Whether all streams that are to be copied can be, to their ends and at once.
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

/// Muxes streams of `info` into nothing; the inner error is ffmpeg's reason why not.
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
        // A child that writes nowhere shows no progress.
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.streams.iter()).try_for_each(|stream| writeln!(f, "{stream}"))?;
        if self.chapters {
            writeln!(f, "chapters: kept")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}
