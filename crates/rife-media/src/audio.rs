//! Audio of joined clips: the track of each clip at the clip's time and a crossfade in each transition, rendered with an
//! ffmpeg filter graph and muxed with the finished video, whose packets are copied.
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
use crate::sink::encoder::timescale;
use crate::time::{decimal_seconds, to_ticks};
use crate::{CancelToken, Container, Ffmpeg, Limits, MediaError, MediaInfo, Result, Time};

/// Sample rate of joined audio in Hz.
pub const SAMPLE_RATE: u32 = 48_000;

/// The audio of one clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioClip {
    /// The file.
    pub path: PathBuf,
    /// Index of the audio stream; `None` for silence.
    pub stream: Option<u32>,
    /// Number of channels of the stream.
    pub channels: u32,
    /// Start of the clip in the file, in seconds since the container's start.
    pub from: Time,
    /// Duration of the clip in seconds.
    pub length: Time,
    /// Duration of the transition before the clip in seconds; 0 for the first clip.
    pub gap: Time,
}

impl AudioClip {
    /// Selects the default audio track of `media`, else its first. `from` (seconds since the container's start) and
    /// `length` are those of the clip's video, `gap` is the duration of the transition before the clip, in seconds.
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

/// The audio of the transition between two clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bridge {
    /// A crossfade of the end of one clip, reversed, and the start of the next, reversed.
    #[default]
    Crossfade,
    /// Silence.
    Silence,
}

/// Maximum number of clips that one ffmpeg process joins, since each opens up to three files.
const GROUP: usize = 16;

/// A job that adds one joined audio track to a finished video without audio.
#[derive(Debug)]
pub struct AudioJoin<'a> {
    /// The video file, in the container of the target.
    pub video: &'a Path,
    /// Time base of the video in seconds per tick.
    pub time_base: Time,
    /// Number of frames of the video.
    pub frames: u64,
    /// The clips in order, from time 0 on.
    pub pieces: &'a [AudioClip],
    /// Audio of the transitions between clips.
    pub bridge: Bridge,
    /// Cancels the job.
    pub cancel: &'a CancelToken,
}

impl AudioJoin<'_> {
    /// Writes `target`: the video's packets unchanged and one audio track, mono where all clips are mono, else stereo. More
    /// than 16 clips are joined in groups, in lossless temporary files. `scratch` returns the path of a temporary
    /// file of a given name; the caller removes these files.
    ///
    /// # Errors
    /// Errors of ffmpeg and of writing; [`MediaError::Incomplete`] where the written file lacks frames or the audio track.
    pub fn write(&self, target: &Path, scratch: &mut dyn FnMut(&str) -> PathBuf) -> Result<()> {
        let ffmpeg = Ffmpeg::find()?;
        let mut pieces = self.pieces.to_vec();
        let timed = self.retime_sources(&ffmpeg, &mut pieces, scratch)?;
        // Input 0 of the muxing step is the video.
        let grouped = pieces.len() > GROUP;
        let mut graph = Graph::new(&pieces, usize::from(!grouped), timed);
        let mut groups = Vec::new();
        for start in (0..pieces.len()).step_by(GROUP) {
            let end = (start + GROUP).min(pieces.len());
            (start..end).for_each(|index| graph.add(&pieces, index, self.bridge));
            if grouped {
                let group = scratch(&format!("sound-{}.w64", groups.len()));
                self.render(&ffmpeg, &graph, &group)?;
                graph.begin(usize::from(end == pieces.len()));
                groups.push(group);
            }
        }
        groups.iter().for_each(|group| graph.append(group));
        self.mux(&ffmpeg, &graph, target)?;
        self.check(&ffmpeg, target)
    }

    /// Copies the audio of MPEG-TS, MPEG-PS and Ogg files, and of files with timestamp discontinuities, to temporary NUT
    /// files and makes `pieces` refer to them: ffmpeg shifts the times of such files by the streams that it reads, so audio
    /// that starts after the video would be heard at another time. Returns the paths of the copies.
    fn retime_sources(
        &self,
        ffmpeg: &Ffmpeg,
        pieces: &mut [AudioClip],
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

    /// Reads the written file and checks number and times of its frames and that it has one audio track.
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

    /// Renders the graph's audio to a Wave64 file of 32-bit floats.
    fn render(&self, ffmpeg: &Ffmpeg, graph: &Graph, to: &Path) -> Result<()> {
        let mut args = Args::ffmpeg();
        args.one("-y");
        graph.inputs(&mut args)?;
        args.all(["-filter_complex", &graph.text(), "-map", "[sound]"]);
        args.all(["-c:a", "pcm_f32le", "-f", "w64"]);
        args.one(file_url(to)?);
        self.run(ffmpeg, args, to)
    }

    /// Muxes the video's packets with the graph's audio, encoded for the target's container.
    fn mux(&self, ffmpeg: &Ffmpeg, graph: &Graph, target: &Path) -> Result<()> {
        let container = Container::of(target)?;
        let mut args = Args::ffmpeg();
        args.one("-y").input(self.video, &Limits::default())?;
        graph.inputs(&mut args)?;
        args.all(["-filter_complex", &graph.text()]);
        args.all(["-map", "0:v:0", "-map", "[sound]"]);
        args.all(["-map_metadata", "-1", "-map_chapters", "-1", "-c:v", "copy"]);
        // Matroska cannot store AAC's encoder delay and would shift the video instead.
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

    /// Runs ffmpeg to its end, with a timeout of 120 s in which the file `writes` does not grow.
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

/// An input file of ffmpeg, restricted to a time range.
struct Input {
    path: PathBuf,
    /// Start and duration in seconds; `None` for the entire file.
    range: Option<(Time, Time)>,
}

/// An ffmpeg filter graph and its inputs. Every range of a file is an input, so that ffmpeg never buffers one range while
/// it reads another.
struct Graph {
    /// ffmpeg's index of the first element of `inputs`.
    first: usize,
    /// Channel layout, `mono` or `stereo`.
    layout: &'static str,
    inputs: Vec<Input>,
    /// Files whose ranges are absolute timestamps rather than times since the file's start.
    timed: BTreeSet<PathBuf>,
    /// Filter chains, each ending in a label such as `[p0]`.
    chains: Vec<String>,
    /// Labels of the chains that are concatenated, in order.
    joined: Vec<String>,
    /// `time` in samples, so that durations are rounded to samples without drift.
    samples: i64,
    /// End of the joined audio in seconds.
    time: Time,
}

impl Graph {
    /// Creates a graph without inputs, whose first input will have ffmpeg's index `first`; see [`Graph::timed`].
    fn new(pieces: &[AudioClip], first: usize, timed: BTreeSet<PathBuf>) -> Self {
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

    /// Removes inputs and chains after they were rendered; keeps the time. `first` is the index of the next input.
    fn begin(&mut self, first: usize) {
        self.first = first;
        self.inputs.clear();
        self.chains.clear();
        self.joined.clear();
    }

    /// Appends a rendered audio file to the concatenation, converted to planar floats at [`SAMPLE_RATE`].
    fn append(&mut self, path: &Path) {
        let input = self.open(path, None);
        let label = format!("[p{}]", self.chains.len());
        self.chains.push(format!(
            "[{input}:a:0]aformat=fltp:{SAMPLE_RATE}:{}{label}",
            self.layout
        ));
        self.joined.push(label);
    }

    /// Adds an input, restricted to a start and duration in seconds; returns ffmpeg's index of it.
    fn open(&mut self, path: &Path, range: Option<(Time, Time)>) -> usize {
        let path = path.to_owned();
        self.inputs.push(Input { path, range });
        self.first + self.inputs.len() - 1
    }

    /// Appends ffmpeg's options that open the inputs.
    fn inputs(&self, args: &mut Args) -> Result<()> {
        for input in &self.inputs {
            if self.timed.contains(&input.path) {
                args.all(["-seek_timestamp", "1"]);
            }
            if let Some((from, length)) = input.range {
                args.all(["-ss", &decimal_seconds(from), "-t", &decimal_seconds(length)]);
            }
            args.all(["-vn", "-sn", "-dn"]);
            args.input(&input.path, &Limits::default())?;
        }
        Ok(())
    }

    /// Appends clip `index` and, where it has one, the transition before it.
    fn add(&mut self, pieces: &[AudioClip], index: usize, bridge: Bridge) {
        let piece = &pieces[index];
        let before = index.checked_sub(1).and_then(|index| pieces.get(index));
        if let Some(before) = before.filter(|_| piece.gap > Time::from(0)) {
            let samples = self.advance(piece.gap);
            match bridge {
                Bridge::Silence => self.add_range(None, samples, ""),
                Bridge::Crossfade => self.crossfade(before, piece, samples),
            }
        }
        let samples = self.advance(piece.length);
        self.add_range(Some((piece, piece.from, piece.length)), samples, "");
    }

    /// Advances the end of the joined audio by `length` seconds; returns the number of samples added.
    fn advance(&mut self, length: Time) -> i64 {
        self.time += length;
        let end = to_ticks(self.time, Ratio::new(1, i64::from(SAMPLE_RATE)));
        end - std::mem::replace(&mut self.samples, end)
    }

    /// Appends a transition of `samples` samples: the end of `before` reversed and fading out, mixed with the start of
    /// `after` reversed and fading in.
    fn crossfade(&mut self, before: &AudioClip, after: &AudioClip, samples: i64) {
        let fade = |way: &str| format!("areverse,afade=t={way}:ns={samples}:curve=qsin,");
        let tail = before.gap_length(after.gap);
        let end = before.from + before.length;
        self.add_range(Some((before, end - tail, tail)), samples, &fade("out"));
        let head = after.gap_length(after.gap);
        // A clip shorter than the transition is preceded by silence, so that its audio leads into the clip.
        let late = format!(
            "areverse,adelay=delays={}S:all=1,afade=t=in:ns={samples}:curve=qsin,",
            samples_of(after.gap - head)
        );
        self.add_range(Some((after, after.from, head)), samples, &late);
        let (b, a) = (self.joined.pop(), self.joined.pop());
        if let (Some(a), Some(b)) = (a, b) {
            let label = format!("[x{}]", self.chains.len());
            self.chains
                .push(format!("{a}{b}amix=inputs=2:normalize=0:duration=first{label}"));
            self.joined.push(label);
        }
    }

    /// Appends exactly `samples` samples: the range `(clip, start, duration)` of a clip's file in seconds, padded with
    /// silence, or only silence for `None`. `effect` is a filter chain ending in a comma, or empty.
    fn add_range(&mut self, read: Option<(&AudioClip, Time, Time)>, samples: i64, effect: &str) {
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

    /// Returns the graph in ffmpeg's syntax; its output has the label `[sound]`.
    fn text(&self) -> String {
        let labels: String = self.joined.concat();
        let concat = format!("{labels}concat=n={}:v=0:a=1[sound]", self.joined.len());
        self.chains
            .iter()
            .cloned()
            .chain([concat])
            .collect::<Vec<_>>()
            .join(";")
    }
}

/// Converts seconds to samples at [`SAMPLE_RATE`], rounded.
fn samples_of(length: Time) -> i64 {
    to_ticks(length, Ratio::new(1, i64::from(SAMPLE_RATE)))
}

impl AudioClip {
    /// Returns the seconds of this clip that a transition of `gap` seconds uses: `gap`, or less where the clip is shorter.
    fn gap_length(&self, gap: Time) -> Time {
        gap.min(self.length)
    }
}
