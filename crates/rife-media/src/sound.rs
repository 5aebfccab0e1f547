//! Audio of joined clips: each clip's own track at its time, and a crossfade in each transition, muxed with the finished video,
//! whose packets are copied.
//!
//! A transition adds time between two clips that the audio of neither covers. It is filled with time-reversed audio: the end
//! of the left clip reversed and fading out, mixed with the start of the right one reversed and fading in, each as long as
//! the transition. Reversal keeps the waveform continuous at both ends.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use num_rational::Ratio;

use crate::ffmpeg::args::{Args, file_url};
use crate::ffmpeg::child::{self, Request};
use crate::plan::audio_encoder;
use crate::probe::{StreamKind, probe_with, read_back};
use crate::sink::Sent;
use crate::sink::companion::{BASE, on_one_line};
use crate::sink::encoder::{decimal_seconds, timescale};
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

/// The most clips whose sound one ffmpeg puts together: each opens up to three files.
const GROUP: usize = 16;

/// A finished video without sound, and the sound that it is to get.
#[derive(Debug)]
pub struct SoundJoin<'a> {
    /// The video, of the target's container.
    pub video: &'a Path,
    /// The unit of its times.
    pub time_base: Time,
    /// Its frames.
    pub frames: u64,
    /// What is heard, from time zero on.
    pub pieces: &'a [Piece],
    /// What is heard in between.
    pub bridge: Bridge,
    /// Stops it.
    pub cancel: &'a CancelToken,
}

impl SoundJoin<'_> {
    /// Writes `target`: the video's packets as they are, and one track of sound in stereo, or in mono where every piece
    /// is. `scratch` names files that it may write and that somebody else removes; sound of many clips is put together
    /// there in parts, as lossless audio.
    ///
    /// # Errors
    /// Those of ffmpeg and of writing; [`MediaError::Incomplete`] where the frames and one track are not found again.
    pub fn write(&self, target: &Path, scratch: &mut dyn FnMut(&str) -> PathBuf) -> Result<()> {
        let ffmpeg = Ffmpeg::find()?;
        let mut pieces = self.pieces.to_vec();
        let timed = self.straighten(&ffmpeg, &mut pieces, scratch)?;
        // The first input of the last step is the video.
        let grouped = pieces.len() > GROUP;
        let mut graph = Graph::new(&pieces, usize::from(!grouped), timed);
        let mut parts = Vec::new();
        for start in (0..pieces.len()).step_by(GROUP) {
            let end = (start + GROUP).min(pieces.len());
            (start..end).for_each(|index| graph.add(&pieces, index, self.bridge));
            if grouped {
                let part = scratch(&format!("sound-{}.w64", parts.len()));
                self.render(&ffmpeg, &graph, &part)?;
                graph.begin(usize::from(end == pieces.len()));
                parts.push(part);
            }
        }
        parts.iter().for_each(|part| graph.append(part));
        self.mux(&ffmpeg, &graph, target)?;
        self.check(&ffmpeg, target)
    }

    /// Copies the sound of clips whose times ffmpeg would correct by the streams that are read: there sound that starts after
    /// the picture, or after a clock has started anew, would be heard at another time. The copies, whose times count from
    /// the start of their clips.
    fn straighten(
        &self,
        ffmpeg: &Ffmpeg,
        pieces: &mut [Piece],
        scratch: &mut dyn FnMut(&str) -> PathBuf,
    ) -> Result<BTreeSet<PathBuf>> {
        let mut copies: BTreeMap<(PathBuf, u32), Option<PathBuf>> = BTreeMap::new();
        for (number, piece) in pieces.iter_mut().enumerate() {
            let Some(stream) = piece.stream else { continue };
            let copy = match copies.entry((piece.path.clone(), stream)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let media = probe_with(ffmpeg, &piece.path, &Limits::default(), self.cancel)?;
                    let corrected = matches!(media.container.as_str(), "mpegts" | "mpeg" | "ogg");
                    let copy = (corrected || !media.clock.is_continuous())
                        .then(|| scratch(&format!("clip-{number}.nut")));
                    if let Some(copy) = &copy {
                        on_one_line(ffmpeg, &media, &[stream], copy, self.cancel)?;
                    }
                    new.insert(copy)
                }
            };
            if let Some(copy) = copy {
                (piece.path, piece.stream) = (copy.clone(), Some(0));
                piece.from += BASE;
            }
        }
        Ok(copies.into_values().flatten().collect())
    }

    /// Reads the result back: the pictures at their times, and one track of sound.
    fn check(&self, ffmpeg: &Ffmpeg, target: &Path) -> Result<()> {
        let incomplete = |reason: String| MediaError::Incomplete {
            path: target.to_owned(),
            reason,
        };
        let found = read_back(ffmpeg, target, self.cancel)?;
        if (found.frames(), found.others) != (self.frames, 1) {
            return Err(incomplete(format!(
                "{} frames and one track of sound were sent, {} frames and {} tracks are in it",
                self.frames,
                found.frames(),
                found.others
            )));
        }
        let pictures = read_back(ffmpeg, self.video, self.cancel)?;
        let moved = Sent::copied(&pictures).check(&found, pictures.unit, Container::of(target)?);
        moved.map(drop).map_err(incomplete)
    }

    /// The sound of a graph, as floats.
    fn render(&self, ffmpeg: &Ffmpeg, graph: &Graph, to: &Path) -> Result<()> {
        let mut args = Args::ffmpeg();
        args.one("-y");
        graph.inputs(&mut args)?;
        args.all(["-filter_complex", &graph.text(), "-map", "[sound]"]);
        args.all(["-c:a", "pcm_f32le", "-f", "w64"]);
        args.one(file_url(to)?);
        self.run(ffmpeg, args, to)
    }

    /// The video with the sound of a graph.
    fn mux(&self, ffmpeg: &Ffmpeg, graph: &Graph, target: &Path) -> Result<()> {
        let container = Container::of(target)?;
        let mut args = Args::ffmpeg();
        args.one("-y").input(self.video, &Limits::default())?;
        graph.inputs(&mut args)?;
        args.all(["-filter_complex", &graph.text()]);
        args.all(["-map", "0:v:0", "-map", "[sound]"]);
        args.all(["-map_metadata", "-1", "-map_chapters", "-1", "-c:v", "copy"]);
        // Matroska cannot say that AAC begins a little early, and would move the video instead.
        let encoder = match container {
            Container::Matroska => "flac",
            _ => audio_encoder(container),
        };
        args.all(["-c:a", encoder, "-b:a", "192k"]);
        args.all(["-max_muxing_queue_size", "16384", "-fflags", "+bitexact"]);
        if let Some(scale) = timescale(container, self.time_base) {
            let scale = scale.to_string();
            args.all(["-movflags", "+faststart"]);
            args.all(["-video_track_timescale", &scale, "-movie_timescale", &scale]);
        }
        if let Some(muxer) = container.muxer() {
            args.all(["-f", muxer]);
        }
        args.one(file_url(target)?);
        self.run(ffmpeg, args, target)
    }

    fn run(&self, ffmpeg: &Ffmpeg, args: Args, writes: &Path) -> Result<()> {
        let mut child = child::start(Request {
            cancel: self.cancel.clone(),
            stall: Duration::from_secs(120),
            ..Request::new("ffmpeg", &ffmpeg.ffmpeg, args.0)
        })?;
        let growing = || std::fs::metadata(writes).ok().map(|file| file.len());
        child.finish_while_growing("while joining the sound", growing)
    }
}

/// A file that ffmpeg opens, and the part of it that is read; the whole where none is told.
struct Opened {
    path: PathBuf,
    part: Option<(Time, Time)>,
}

/// The filter graph, and what it reads. Every part is opened on its own, so that nothing waits in a queue.
struct Graph {
    /// The number that ffmpeg gives the first of the inputs.
    first: usize,
    layout: &'static str,
    inputs: Vec<Opened>,
    /// Files in which parts are found by their own times, not by those from their start.
    timed: BTreeSet<PathBuf>,
    chains: Vec<String>,
    joined: Vec<String>,
    /// Samples so far, by which lengths are rounded without drift.
    samples: i64,
    time: Time,
}

impl Graph {
    fn new(pieces: &[Piece], first: usize, timed: BTreeSet<PathBuf>) -> Self {
        let mono = pieces.iter().all(|piece| piece.channels <= 1);
        Self {
            first,
            layout: if mono { "mono" } else { "stereo" },
            inputs: Vec::new(),
            timed,
            chains: Vec::new(),
            joined: Vec::new(),
            samples: 0,
            time: Time::from(0),
        }
    }

    /// Goes on after what has been rendered.
    fn begin(&mut self, first: usize) {
        self.first = first;
        self.inputs.clear();
        self.chains.clear();
        self.joined.clear();
    }

    /// Appends a rendered audio file: an input, converted to planar float at [`SAMPLE_RATE`], as the next part to be joined.
    fn append(&mut self, path: &Path) {
        let input = self.open(path, None);
        let label = format!("[p{}]", self.chains.len());
        self.chains.push(format!(
            "[{input}:a:0]aformat=fltp:{SAMPLE_RATE}:{}{label}",
            self.layout
        ));
        self.joined.push(label);
    }

    /// Adds an input; its number.
    fn open(&mut self, path: &Path, part: Option<(Time, Time)>) -> usize {
        let path = path.to_owned();
        self.inputs.push(Opened { path, part });
        self.first + self.inputs.len() - 1
    }

    /// The options that open the inputs.
    fn inputs(&self, args: &mut Args) -> Result<()> {
        for input in &self.inputs {
            if self.timed.contains(&input.path) {
                args.all(["-seek_timestamp", "1"]);
            }
            if let Some((from, length)) = input.part {
                args.all(["-ss", &decimal_seconds(from), "-t", &decimal_seconds(length)]);
            }
            args.all(["-vn", "-sn", "-dn"]);
            args.input(&input.path, &Limits::default())?;
        }
        Ok(())
    }

    /// The transition before a piece, and the piece.
    fn add(&mut self, pieces: &[Piece], index: usize, bridge: Bridge) {
        let piece = &pieces[index];
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
                let input = self.open(&piece.path, Some((from, length)));
                let exact = to_ticks(length, Ratio::new(1, i64::from(rate))).max(1);
                format!(
                    "[{input}:{stream}]aresample={rate}:async=1:first_pts=0,aformat=fltp:{rate}:{layout},\
                     apad,atrim=end_sample={exact},{effect}"
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
