//! The sound of clips that are joined: each clip's own at its place, and across each transition the end of one fading
//! into the start of the next. Put beside a finished video without touching its packets.
//!
//! A transition lasts longer than the clips, so there is no sound for it. It is made of what lies next to it, played
//! backwards: the end of the left clip, fading out, and the start of the right one, fading in, both as far as the
//! transition goes. At both seams the wave goes on where it was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use num_rational::Ratio;

use crate::ffmpeg::args::{Args, file_url};
use crate::ffmpeg::child::{self, Request};
use crate::plan::audio_encoder;
use crate::probe::{StreamKind, count_packets};
use crate::sink::encoder::{decimal_seconds, timescale};
use crate::sink::part::Part;
use crate::time::to_ticks;
use crate::{CancelToken, Container, Ffmpeg, Limits, MediaError, MediaInfo, Result, Time};

/// Samples a second of joined sound.
pub const SAMPLE_RATE: u32 = 48_000;

/// One clip's sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The file.
    pub path: PathBuf,
    /// The stream in it; silence where there is none.
    pub stream: Option<u32>,
    /// Channels of the stream.
    pub channels: u32,
    /// Where in the file it starts, in seconds since the container's start.
    pub from: Time,
    /// How long it is heard.
    pub length: Time,
    /// How long the transition before it lasts; nothing for the first clip.
    pub gap: Time,
}

impl Piece {
    /// The sound of a file's default track, else its first; `from` and `length` are those of its video.
    pub fn of(media: &MediaInfo, from: Time, length: Time, gap: Time) -> Self {
        let tracks = || {
            media
                .streams
                .iter()
                .filter(|stream| stream.kind == StreamKind::Audio)
        };
        let track = tracks().find(|stream| stream.default).or_else(|| tracks().next());
        Self {
            path: media.path.clone(),
            stream: track.map(|stream| stream.index),
            channels: track
                .and_then(|stream| stream.audio)
                .map_or(0, |(channels, _)| channels),
            from,
            length,
            gap,
        }
    }
}

/// What is heard during a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bridge {
    /// The end of one clip fades into the start of the next.
    #[default]
    Crossfade,
    /// Nothing.
    Silence,
}

/// Copies the video of `video` to `target` (of the same container) with the sound of `pieces` from time zero on, in
/// stereo, or in mono where every piece is. `time_base` is the video's. Returns the size in bytes.
///
/// # Errors
/// Those of ffmpeg and of writing; [`MediaError::Incomplete`] where `frames` frames and one track are not found again.
#[expect(clippy::too_many_arguments, reason = "each is one fact about the output")]
pub fn join_sound(
    video: &Path,
    pieces: &[Piece],
    bridge: Bridge,
    target: &Path,
    overwrite: bool,
    time_base: Time,
    frames: u64,
    cancel: &CancelToken,
) -> Result<u64> {
    let ffmpeg = Ffmpeg::find()?;
    let container = Container::of(target)?;
    let part = Part::create(target, overwrite, pieces.iter().map(|piece| piece.path.as_path()))?;
    let mut graph = Graph::new(pieces);
    pieces
        .iter()
        .enumerate()
        .for_each(|(index, piece)| graph.add(pieces, index, piece, bridge));
    let mut args = Args::ffmpeg();
    args.one("-y").input(video, &Limits::default())?;
    for input in &graph.inputs {
        args.all([
            "-ss",
            &decimal_seconds(input.from),
            "-t",
            &decimal_seconds(input.length),
            "-vn",
            "-sn",
            "-dn",
        ]);
        args.input(&input.path, &Limits::default())?;
    }
    args.all([
        "-filter_complex",
        &graph.text(),
        "-map",
        "0:v:0",
        "-map",
        "[sound]",
    ]);
    args.all(["-map_metadata", "-1", "-map_chapters", "-1", "-c:v", "copy"]);
    args.all([
        "-c:a",
        audio_encoder(container),
        "-b:a",
        "192k",
        "-max_muxing_queue_size",
        "16384",
    ]);
    if let Some(scale) = timescale(container, time_base) {
        let scale = scale.to_string();
        args.all([
            "-movflags",
            "+faststart",
            "-video_track_timescale",
            &scale,
            "-movie_timescale",
            &scale,
        ]);
    }
    if let Some(muxer) = container.muxer() {
        args.all(["-f", muxer]);
    }
    args.one(file_url(part.path())?);
    let mut child = child::start(Request {
        cancel: cancel.clone(),
        stall: Duration::from_secs(120),
        ..Request::new("ffmpeg", &ffmpeg.ffmpeg, args.0)
    })?;
    let growing = part.path().to_owned();
    child.finish_while_growing("while joining the sound", || {
        std::fs::metadata(&growing).ok().map(|file| file.len())
    })?;
    let found = count_packets(&ffmpeg, part.path(), cancel)?;
    if (found.video, found.others) != (frames, 1) {
        return Err(MediaError::Incomplete {
            path: target.to_owned(),
            reason: format!(
                "{frames} frames and one track of sound were sent, {} frames and {} tracks are in it",
                found.video, found.others
            ),
        });
    }
    part.promote()
}

/// A part of a file that ffmpeg opens.
struct Opened {
    path: PathBuf,
    from: Time,
    length: Time,
}

/// The filter graph, and what it reads. Every part is opened on its own, so that nothing waits in a queue.
struct Graph {
    layout: &'static str,
    inputs: Vec<Opened>,
    chains: Vec<String>,
    joined: Vec<String>,
    /// Samples so far, by which lengths are rounded without drift.
    samples: i64,
    time: Time,
}

impl Graph {
    fn new(pieces: &[Piece]) -> Self {
        let mono = pieces.iter().all(|piece| piece.channels <= 1);
        Self {
            layout: if mono { "mono" } else { "stereo" },
            inputs: Vec::new(),
            chains: Vec::new(),
            joined: Vec::new(),
            samples: 0,
            time: Time::from(0),
        }
    }

    /// The transition before a piece, and the piece.
    fn add(&mut self, pieces: &[Piece], index: usize, piece: &Piece, bridge: Bridge) {
        let before = index.checked_sub(1).and_then(|index| pieces.get(index));
        if let Some(before) = before.filter(|_| piece.gap > Time::from(0)) {
            let samples = self.advance(piece.gap);
            match bridge {
                Bridge::Silence => self.part(None, samples, ""),
                Bridge::Crossfade => self.crossfade(before, piece, samples),
            }
        }
        let samples = self.advance(piece.length);
        self.part(Some((piece, piece.from, piece.length)), samples, "");
    }

    /// Moves on by `length`; how many samples that is.
    fn advance(&mut self, length: Time) -> i64 {
        self.time += length;
        let end = to_ticks(self.time, Ratio::new(1, i64::from(SAMPLE_RATE)));
        end - std::mem::replace(&mut self.samples, end)
    }

    fn crossfade(&mut self, before: &Piece, after: &Piece, samples: i64) {
        let fade = |way: &str| format!("areverse,afade=t={way}:ns={samples}:curve=qsin,");
        let tail = before.gap_length(after.gap);
        let end = before.from + before.length;
        self.part(Some((before, end - tail, tail)), samples, &fade("out"));
        let head = after.gap_length(after.gap);
        // What comes short is silence at the far end: before the sound that leads into the clip.
        let late = format!(
            "areverse,adelay=delays={}S:all=1,afade=t=in:ns={samples}:curve=qsin,",
            samples_of(after.gap - head)
        );
        self.part(Some((after, after.from, head)), samples, &late);
        let (b, a) = (self.joined.pop(), self.joined.pop());
        if let (Some(a), Some(b)) = (a, b) {
            let label = format!("[x{}]", self.chains.len());
            self.chains
                .push(format!("{a}{b}amix=inputs=2:normalize=0:duration=first{label}"));
            self.joined.push(label);
        }
    }

    /// A part of a file, or silence, of exactly `samples`.
    fn part(&mut self, read: Option<(&Piece, Time, Time)>, samples: i64, effect: &str) {
        if samples <= 0 {
            return;
        }
        let label = format!("[p{}]", self.chains.len());
        let (rate, layout) = (SAMPLE_RATE, self.layout);
        let read = read.and_then(|(piece, from, length)| Some((piece, piece.stream?, from, length)));
        let source = match read {
            Some((piece, stream, from, length)) => {
                self.inputs.push(Opened {
                    path: piece.path.clone(),
                    from,
                    length,
                });
                let exact = to_ticks(length, Ratio::new(1, i64::from(rate))).max(1);
                format!(
                    "[{}:{stream}]aresample={rate}:async=1:first_pts=0,aformat=fltp:{rate}:{layout},\
                     apad,atrim=end_sample={exact},{effect}",
                    self.inputs.len()
                )
            }
            None => format!("anullsrc=r={rate}:cl={layout},aformat=fltp:{rate}:{layout},"),
        };
        self.chains.push(format!(
            "{source}apad,atrim=end_sample={samples},asetpts=N/SR/TB{label}"
        ));
        self.joined.push(label);
    }

    fn text(&self) -> String {
        let parts: String = self.joined.concat();
        let concat = format!("{parts}concat=n={}:v=0:a=1[sound]", self.joined.len());
        self.chains
            .iter()
            .cloned()
            .chain([concat])
            .collect::<Vec<_>>()
            .join(";")
    }
}

fn samples_of(length: Time) -> i64 {
    to_ticks(length, Ratio::new(1, i64::from(SAMPLE_RATE)))
}

impl Piece {
    /// How much of the piece there is for a transition of `gap`.
    fn gap_length(&self, gap: Time) -> Time {
        gap.min(self.length)
    }
}
