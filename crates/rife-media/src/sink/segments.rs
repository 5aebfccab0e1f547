//! Resumable video file sink: the video is encoded in segments of a fixed number of frames, each by its own ffmpeg process and
//! beginning with a key frame; at the end they are concatenated without encoding and muxed with audio, subtitles and tags.
//! The frames of the current segment are logged, see `frame_log`.
//!
//! Segments are NUT files with the times of the entire output and identical headers, so that their concatenation is one NUT
//! stream. Uninterrupted jobs work the same way, so an interrupted and resumed job writes the same bytes.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use num_rational::Ratio;

use super::companion::{self, Companion};
use super::raw_input::{color_options, raw_input};
use super::{
    Codec, Container, Output, Sent, Sink, SinkSpec, VideoParams, Written, check_frame, codecs, encoder, mp4,
    read_back,
};
use crate::ffmpeg::args::{Args, file_url};
use crate::ffmpeg::child::{self, Child, Request};
use crate::nut::{self, write::Writer};
use crate::persist::folder;
use crate::persist::frame_log::{FrameLog, Logged, Owner};
use crate::persist::journal::{self, Complete, Journal, Needs, Resume, Segment, Share};
use crate::persist::part::{self, Part};
use crate::persist::pictures::Pictures;
use crate::probe::{self, DisplayMatrix, HdrMetadata, MasteringDisplay};
use crate::time::{from_fraction, narrow, to_ticks, widen};
use crate::{Ffmpeg, Frame, MediaError, Result, Time};

/// Maximum size in bytes of the headers of a NUT file.
const MAX_HEADER: u64 = 1 << 20;

/// Returns why this output cannot be written in segments: GIF, rare containers, VP9 with alpha (whose second layer NUT cannot
/// store), and anything but a file; `None` where it can.
pub(super) fn hindrance(spec: &SinkSpec, params: &VideoParams) -> Result<Option<String>> {
    let container = spec.container()?;
    let known = !matches!(
        container,
        Container::Gif | Container::Other(_) | Container::VideoOnly
    );
    if !known || !matches!(spec.output, Output::File(_)) {
        return Ok(Some(format!("{} is written in one piece", container.name())));
    }
    let vp9 = codecs::wanted_codec(spec, container, params) == Some(Codec::Vp9);
    let layers = vp9 && params.format.alpha;
    Ok(layers.then(|| "VP9 with alpha is written in one piece".to_owned()))
}

/// Frame rate that encoders are given where it is unknown; times are exact nevertheless.
const UNKNOWN_RATE: Ratio<i64> = Ratio::new_raw(25, 1);

/// Minimum ticks per second of NUT files: ffmpeg's muxer subdivides coarser time bases.
const NUT_PRECISION: i64 = 48_000;

/// The segment that is being encoded.
struct Current {
    // Dropped, and so killed, before its temporary file is removed.
    child: Child,
    /// Number of frames sent.
    frames: u64,
    /// Time of its first frame in seconds.
    first: Time,
    /// End of its last frame in seconds.
    end: Time,
    /// Number of frames whose tick was increased since it equalled the previous one.
    nudged: u64,
    /// Number of input images that had been read before its last frame was made.
    pictures: u64,
}

/// The ffmpeg process that has written the output, and the input of its companion streams.
struct Joined {
    child: Child,
    companion: Option<Companion>,
}

/// A sink that writes a video file in segments.
pub(super) struct Segments {
    target: PathBuf,
    params: VideoParams,
    container: Container,
    spec: SinkSpec,
    ffmpeg: Ffmpeg,
    /// ffmpeg's options of the encoder.
    encoder: Vec<String>,
    /// Number of frames of a complete segment.
    segment_frames: u64,
    /// The job's role, where the output is encoded in shards.
    share: Option<Share>,
    /// Folders of shards whose segments are joined.
    adopted: Vec<PathBuf>,
    needs: Needs,
    current: Option<Current>,
    log: FrameLog,
    pictures: Option<Pictures>,
    part: Part,
    journal: Journal,
    /// The output, where an earlier run completed and renamed it.
    named: Option<Complete>,
    buffer: Vec<u8>,
    /// The samples of a logged frame.
    samples: Vec<u8>,
    /// Number of output frames so far, skipped ones included.
    frames: u64,
    /// Tick of the last frame; -1 before the first.
    tick: i64,
    sent: Sent,
    warnings: Vec<String>,
}

impl Segments {
    /// Chooses an encoder, locks the output `path`, and opens its journal and frame log, or creates them.
    pub(super) fn open(path: &Path, resume: &Resume, spec: &SinkSpec, params: &VideoParams) -> Result<Self> {
        if resume.segment_frames == 0 {
            return Err(MediaError::limit("the frames of a segment", 0, "1 or more"));
        }
        let container = Container::of(path)?;
        let ffmpeg = spec.ffmpeg.clone().map_or_else(Ffmpeg::find, Ok)?;
        let choice = codecs::choose(spec, container, params, &ffmpeg)?;
        let params = VideoParams {
            format: choice.format,
            tags: choice.tags,
            ..params.clone()
        };
        let named = Journal::completed(path, resume)
            .filter(|_| !resume.restart && resume.share.is_none())
            .filter(|complete| complete.streams == streams(spec));
        if let Some(folder) = &resume.work_dir {
            fs::create_dir_all(folder).map_err(|e| MediaError::io("create", folder, e))?;
        }
        let part = match resume.share {
            Some(Share::Shard(shard)) => {
                // Shards of one output may run concurrently, so each has its own lock file instead of the output's.
                part::check_target(path, spec.overwrite, spec.all_inputs())?;
                let mut lock = journal::shard_folder(&resume.place(path), shard).into_os_string();
                lock.push(".lock");
                Part::create(Path::new(&lock), true, spec.all_inputs())?
            }
            Some(Share::Join) | None => {
                Part::create(path, spec.overwrite || named.is_some(), spec.all_inputs())?
            }
        };
        let mut resume = resume.clone();
        resume
            .facts
            .extend(own_facts(&resume, &params, &choice.args, &ffmpeg));
        let mut journal = Journal::open(path, &resume)?;
        let adopted = match resume.share {
            Some(Share::Join) => journal::shards(&resume.place(path))?,
            Some(Share::Shard(_)) | None => Vec::new(),
        };
        if !adopted.is_empty() {
            journal.adopt(&adopted, resume.segment_frames)?;
        }
        let mut log = FrameLog::open(
            journal.folder(),
            Owner {
                job: journal.job(),
                segment: journal.segments().len() as u64,
                frames: resume.segment_frames,
                size: params.format.frame_bytes(params.width, params.height),
            },
        );
        log.keep(|frame| journal.holds(frame.pictures));
        let needs = match &named {
            Some(_) => Needs::NONE,
            None => journal.needs(&resume, log.places()),
        };
        let mut warnings = choice.notes;
        if params.matrix != DisplayMatrix::IDENTITY && !container.holds_rotation() {
            warnings.push(format!(
                "rotation is dropped: {} has no place for it",
                container.name()
            ));
        }
        Ok(Self {
            target: path.to_owned(),
            params,
            container,
            spec: spec.clone(),
            ffmpeg,
            encoder: choice.args,
            segment_frames: resume.segment_frames,
            share: resume.share,
            adopted,
            needs,
            current: None,
            log,
            pictures: resume.pictures,
            part,
            journal,
            named,
            buffer: Vec::new(),
            samples: Vec::new(),
            frames: 0,
            tick: -1,
            sent: Sent::default(),
            warnings,
        })
    }

    /// Starts the encoder of a segment whose first frame has the time `first` in seconds.
    fn start(&self, first: Time) -> Result<Current> {
        let args = encode_arguments(
            self.container,
            &self.params,
            &self.encoder,
            &self.journal.unfinished_path(),
        )?;
        let mut child = self.child(args)?;
        let fourcc = nut::fourcc(self.params.format).ok_or_else(|| {
            MediaError::Unsupported(format!(
                "pixel format {} cannot be sent to ffmpeg",
                self.params.format
            ))
        })?;
        let (width, height) = (self.params.width, self.params.height);
        let mut header = Writer::header(
            width,
            height,
            fourcc,
            self.params.time_base,
            self.params.sample_aspect,
        );
        // All segments' encoders must get the same rate; one estimated from a few frames may differ.
        let rate = self.params.frame_rate.unwrap_or(UNKNOWN_RATE);
        header.extend(Writer::rate(rate));
        child.write(&header, || {
            format!("at the start of a segment of {}", self.target.display())
        })?;
        Ok(Current {
            child,
            frames: 0,
            first,
            end: first,
            nudged: 0,
            pictures: 0,
        })
    }

    /// Starts ffmpeg with a pipe to its stdin.
    fn child(&self, args: Args) -> Result<Child> {
        child::start(Request {
            stdin: true,
            cancel: self.spec.cancel.clone(),
            stall: self.spec.stall_timeout,
            ..Request::new("ffmpeg", &self.ffmpeg.ffmpeg, args.0)
        })
    }

    /// Completes and checks the current segment and records it in the journal.
    fn close(&mut self) -> Result<()> {
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        let path = self.journal.unfinished_path();
        let context = format!(
            "while completing a segment of {} after {}",
            self.target.display(),
            crate::counted(self.frames, "frame")
        );
        current.child.finish_while_growing(&context, || growth(&path))?;
        self.check_whole(&path, current.frames, &current.child)?;
        self.check_headers(&path)?;
        let (sha256, bytes) = folder::sha256(&path)?;
        let fraction = |time: Time| [*time.numer(), *time.denom()];
        self.journal.add(Segment {
            frames: current.frames,
            bytes,
            sha256,
            first: fraction(current.first),
            end: fraction(current.end),
            tick: self.tick,
            nudged: current.nudged,
            pictures: current.pictures,
        })?;
        self.log.next(self.journal.segments().len() as u64);
        Ok(())
    }

    /// Returns an error where a segment has fewer than `frames` frames: an encoder may exit with status 0 although a full disk
    /// truncated its file.
    fn check_whole(&self, path: &Path, frames: u64, encoder: &Child) -> Result<()> {
        let found = nut::read::count_frames(path);
        if found.as_ref().is_ok_and(|found| *found >= frames) {
            return Ok(());
        }
        let found = found.map_or_else(|error| error.to_string(), |found| format!("{found} are in it"));
        let reason = format!(
            "{} were sent into a segment, {found}; the same command makes it again",
            crate::counted(frames, "frame")
        );
        Err(read_back::incomplete(&self.target, path, encoder, reason))
    }

    /// Returns an error where a segment's NUT headers differ from those of the first segment, so that they cannot be
    /// concatenated.
    fn check_headers(&self, path: &Path) -> Result<()> {
        if self.journal.segments().is_empty() {
            return Ok(());
        }
        if headers(path)? == headers(&self.journal.segment_path(0))? {
            return Ok(());
        }
        Err(MediaError::SegmentHeaders)
    }

    /// Writes the output from the segments and the companion streams. A companion stream that cannot be copied to its end is
    /// transcoded or dropped, so that the video is not lost.
    fn join(&mut self) -> Result<Joined> {
        let error = match self.join_once() {
            Err(error @ MediaError::Child { .. }) if read_back::shortage(self.part.path()).is_none() => error,
            joined => return joined,
        };
        let Some((media, plan)) = &mut self.spec.companions else {
            return Err(error);
        };
        let changes = plan.check_to_end(&self.ffmpeg, media, self.container, &self.spec.cancel)?;
        if !changes.is_empty() {
            match self.join_once() {
                Ok(joined) => {
                    self.warnings.extend(changes);
                    return Ok(joined);
                }
                Err(MediaError::Child { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let Some((_, plan)) = &mut self.spec.companions else {
            return Err(error);
        };
        let dropped = plan.drop_companions(&error.to_string());
        let joined = self.join_once().map_err(|_| error)?;
        self.warnings.extend(dropped);
        Ok(joined)
    }

    /// Writes the output from the segments and the companion streams as planned.
    fn join_once(&self) -> Result<Joined> {
        let open = |(media, plan)| Companion::open(&self.ffmpeg, media, plan, &self.spec.cancel);
        let companions = self.spec.companions.as_ref().map(|(media, plan)| (media, plan));
        let companion = companions.map(open).transpose()?;
        let args = join_arguments(
            &self.spec,
            self.container,
            &self.params,
            &self.encoder,
            companion.as_ref(),
            self.last_frame().as_ref(),
            self.part.path(),
        )?;
        let mut child = self.child(args)?;
        let context = || format!("while joining the segments of {}", self.target.display());
        let mut buffer = vec![0; 1 << 18];
        for index in 0..self.journal.segments().len() {
            let path = self.journal.segment_path(index);
            let io = |e| MediaError::io("read", &path, e);
            let mut file = rife_files::open_regular(&path).map_err(io)?;
            if index > 0 {
                file.read_exact(&mut buffer[..nut::FILE_ID.len()]).map_err(io)?;
            }
            loop {
                match file.read(&mut buffer).map_err(io)? {
                    0 => break,
                    count => child.write(&buffer[..count], context)?,
                }
            }
        }
        let part = self.part.path().to_owned();
        child.finish_while_growing(&context(), || growth(&part))?;
        if self.params.matrix != DisplayMatrix::IDENTITY && self.container.holds_rotation() {
            let written = mp4::set_display_matrix(self.part.file(), self.params.matrix);
            written.map_err(|e| MediaError::io("write the rotation of", &self.target, e))?;
        }
        Ok(Joined { child, companion })
    }

    /// Returns index and display time of the output's last frame, from the journal.
    fn last_frame(&self) -> Option<LastFrame> {
        let segments = self.journal.segments();
        let last = segments.last()?;
        let start = narrow(widen(Time::from(last.tick)) * widen(self.params.time_base))?;
        Some(LastFrame {
            index: segments
                .iter()
                .map(|segment| segment.frames)
                .sum::<u64>()
                .checked_sub(1)?,
            span: [start, from_fraction(last.end)?],
        })
    }

    /// Sends the frame in `buffer` to the encoder of its segment; completes the segment with its last frame.
    fn send(&mut self, frame: &Logged) -> Result<()> {
        let [start, end] = frame.span;
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.start(start)?,
        };
        current.child.write(&self.buffer, || {
            format!("at frame {} of {}", self.frames, self.target.display())
        })?;
        current.frames += 1;
        current.end = end;
        current.nudged += u64::from(frame.nudged);
        current.pictures = frame.pictures;
        let full = current.frames >= self.segment_frames;
        self.current = Some(current);
        self.count(frame.tick);
        if full { self.close() } else { Ok(()) }
    }

    /// Counts a frame of the output at `tick`.
    fn count(&mut self, tick: i64) {
        self.tick = tick;
        self.sent.push(tick);
        self.frames += 1;
    }

    /// Returns the index of the next frame in its segment.
    fn place(&self) -> u64 {
        self.frames % self.segment_frames
    }

    /// Sends the next frame from the log of an earlier run.
    fn replay(&mut self) -> Result<()> {
        let read = self.log.read(self.place(), &mut self.samples);
        let frame =
            read.map_err(|e| MediaError::io("read the logged frames in", self.journal.folder(), e))?;
        self.buffer.clear();
        let header = Writer::frame_header(frame.tick, self.samples.len());
        self.buffer.extend(header);
        self.buffer.extend_from_slice(&self.samples);
        self.send(&frame)
    }

    /// Finishes a shard: records it as complete in its journal and keeps its segments for joining.
    fn finish_shard(self) -> Result<Written> {
        let segments = self.journal.segments();
        let frames = segments.iter().map(|segment| segment.frames).sum();
        let bytes = segments.iter().map(|segment| segment.bytes).sum();
        let lengths = segments.iter().map(|segment| between(segment.first, segment.end));
        let duration = lengths.fold(Ratio::from(0), |sum, length| sum + widen(length));
        let duration = narrow(duration).unwrap_or_default();
        Ok(Written {
            path: Some(self.journal.shard_done(self.frames)?),
            frames,
            duration,
            bytes: Some(bytes),
            streams: None,
            warnings: self.warnings,
        })
    }

    /// Verifies the written file: frames, times, number of streams and audio times; adds warnings. `first` is the time of the
    /// first frame in seconds.
    fn verify(&mut self, first: Time, joined: &Joined) -> Result<()> {
        let incomplete =
            |reason: String| read_back::incomplete(&self.target, self.part.path(), &joined.child, reason);
        let found = probe::read_back(&self.ffmpeg, self.part.path(), &self.spec.cancel)
            .map_err(|e| incomplete(format!("it cannot be read back: {e}")))?;
        let placed = self.sent.check(&found, self.params.time_base, self.container);
        self.warnings.extend(placed.map_err(incomplete)?);
        let plans = self.spec.companions.iter();
        let expected = plans.flat_map(|(_, plan)| plan.companions()).count();
        if found.others < expected {
            let missing = expected - found.others;
            self.warnings.push(format!(
                "{missing} of {expected} planned streams of sound or text are missing in the output"
            ));
        }
        if let (Some((_, plan)), Some(companion)) = (&self.spec.companions, &joined.companion) {
            let placed = companion::Placed {
                plan,
                companion,
                output: self.part.path(),
                moved: found.moved(Some(first)),
            };
            self.warnings
                .extend(companion::compare(&self.ffmpeg, &placed, &self.spec.cancel)?);
        }
        Ok(())
    }
}

impl Sink for Segments {
    fn params(&self) -> &VideoParams {
        &self.params
    }

    fn needs(&self) -> Needs {
        self.needs
    }

    /// Counts a frame that is in a complete segment or belongs to another shard; sends a logged frame to the encoder.
    fn skip(&mut self, pts: Time) -> Result<()> {
        if self.needs.is_logged(self.frames) {
            return self.replay();
        }
        let tick = to_ticks(pts, self.params.time_base);
        self.count(tick.max(self.tick.saturating_add(1)));
        Ok(())
    }

    /// Logs a frame and sends it to the encoder of its segment.
    fn write(&mut self, frame: &Frame) -> Result<()> {
        check_frame(&self.params, frame, self.frames)?;
        let tick = to_ticks(frame.pts, self.params.time_base);
        if frame.pts < Time::from(0) || tick == i64::MAX {
            let reason = format!("its time {} s is negative or out of range", frame.pts);
            return Err(MediaError::Frame {
                frame: self.frames,
                reason,
            });
        }
        let end = narrow(widen(frame.pts) + widen(frame.duration)).unwrap_or(frame.pts);
        let logged = Logged {
            tick: tick.max(self.tick + 1),
            span: [frame.pts, end],
            nudged: tick <= self.tick,
            pictures: self.pictures.as_ref().map_or(0, Pictures::read),
        };
        let size = self
            .params
            .format
            .frame_bytes(self.params.width, self.params.height);
        self.buffer.clear();
        self.buffer.extend(Writer::frame_header(logged.tick, size));
        let header = self.buffer.len();
        frame.to_raw(&mut self.buffer);
        let place = self.place();
        self.log.push(place, logged, &self.buffer[header..]);
        if self.spec.cancel.is_cancelled() && self.log.holds(place) {
            // The next run sends the logged frame; this run's encoder is killed.
            self.count(logged.tick);
            return Ok(());
        }
        self.send(&logged)
    }

    /// Completes the last segment, joins all segments with the companion streams, verifies the file and renames it; for
    /// a shard only records its segments.
    fn finish(mut self: Box<Self>) -> Result<Written> {
        if let Some(complete) = self.named {
            self.journal.remove()?;
            return Ok(written(self.target, &complete, self.warnings));
        }
        self.close()?;
        if matches!(self.share, Some(Share::Shard(_))) {
            return self.finish_shard();
        }
        let (Some(first), Some(last)) = (self.journal.segments().first(), self.journal.segments().last())
        else {
            return Err(MediaError::Incomplete {
                path: self.target.clone(),
                reason: "no frame was written".to_owned(),
            });
        };
        let duration = between(first.first, last.end);
        let start = from_fraction(first.first).unwrap_or_default();
        let nudged: u64 = self.journal.segments().iter().map(|segment| segment.nudged).sum();
        let planned = streams(&self.spec);
        let joined = self.join()?;
        self.verify(start, &joined)?;
        if nudged > 0 {
            self.warnings.push(format!(
                "{} moved by a tick, since times fell together",
                crate::counted(nudged, "frame")
            ));
        }
        let (sha256, bytes) = folder::sha256(self.part.path())?;
        let complete = Complete {
            sha256,
            bytes,
            frames: self.frames,
            duration: [*duration.numer(), *duration.denom()],
            // The plan, not the actual treatment: the same command has the same plan.
            streams: planned.clone(),
        };
        self.journal.complete(complete.clone())?;
        self.part.promote()?;
        folder::wrote();
        self.journal.remove()?;
        for folder in &self.adopted {
            fs::remove_dir_all(folder).map_err(|e| MediaError::io("remove", folder, e))?;
        }
        let changed = streams(&self.spec) != planned;
        let plan = self.spec.companions.map(|(_, plan)| plan);
        Ok(Written {
            streams: plan.filter(|_| changed),
            ..written(self.target, &complete, self.warnings)
        })
    }
}

/// Returns the seconds between two times of the journal, given as fractions; 0 where either is out of range.
fn between(first: [i64; 2], end: [i64; 2]) -> Time {
    let ends = from_fraction(first).zip(from_fraction(end));
    ends.and_then(|(first, end)| narrow(widen(end) - widen(first)))
        .unwrap_or_default()
}

/// Builds the result of a complete output.
fn written(target: PathBuf, complete: &Complete, warnings: Vec<String>) -> Written {
    let [numer, denom] = complete.duration;
    Written {
        path: Some(target),
        frames: complete.frames,
        duration: from_fraction([numer, denom]).unwrap_or_default(),
        bytes: Some(complete.bytes),
        streams: None,
        warnings,
    }
}

/// Returns the plan of the companion streams as text; empty without companions.
fn streams(spec: &SinkSpec) -> String {
    spec.companions
        .as_ref()
        .map_or_else(String::new, |(_, plan)| plan.to_string())
}

/// Returns the fields of the job fingerprint that this sink adds: segment length, encoder, ffmpeg version, and properties of the
/// frames.
fn own_facts(
    resume: &Resume,
    params: &VideoParams,
    encoder: &[String],
    ffmpeg: &Ffmpeg,
) -> Vec<(String, String)> {
    let own = [
        ("the frames of a segment", resume.segment_frames.to_string()),
        (codecs::ENCODER_FACT, encoder.join(" ")),
        ("ffmpeg", format!("{}.{}", ffmpeg.version.0, ffmpeg.version.1)),
    ];
    let facts = own.into_iter().chain(video_facts(params));
    facts.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns the fields of the job fingerprint for the frames' properties, as names and values.
pub(super) fn video_facts(params: &VideoParams) -> [(&'static str, String); 8] {
    let tags = params.tags;
    let names = [
        tags.matrix.name(),
        tags.range.name(),
        tags.primaries.name(),
        tags.transfer.name(),
        tags.chroma_location.name(),
    ];
    let rate = params.frame_rate;
    [
        ("the frame size", format!("{}x{}", params.width, params.height)),
        ("the pixel format", params.format.to_string()),
        (
            "the color",
            names.map(|name| name.unwrap_or("unspecified")).join(" "),
        ),
        ("the sample aspect ratio", params.sample_aspect.to_string()),
        ("the rotation", format!("{:?}", params.matrix.0)),
        ("the time base", params.time_base.to_string()),
        (
            "the output's rate",
            rate.map_or("unknown".to_owned(), |rate| rate.to_string()),
        ),
        ("the HDR metadata", hdr_text(&params.hdr)),
    ]
}

/// Formats the HDR metadata that is written to the output.
fn hdr_text(hdr: &HdrMetadata) -> String {
    let light = hdr
        .content_light
        .map(|(max, average)| format!("light levels {max} and {average}"));
    let display = hdr.mastering.map(|display| {
        let MasteringDisplay {
            primaries,
            white_point,
            luminance,
        } = display;
        format!("primaries {primaries:?}, white {white_point:?}, luminance {luminance:?}")
    });
    let parts: Vec<_> = display.into_iter().chain(light).collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Returns size and modification time of a file, to detect whether it grows.
fn growth(path: &Path) -> Option<(u64, std::time::SystemTime)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// Reads the headers of a NUT file: the bytes before its first syncpoint.
fn headers(path: &Path) -> Result<Vec<u8>> {
    let io = |e| MediaError::io("read", path, e);
    let mut start = Vec::new();
    let file = rife_files::open_regular(path).map_err(io)?;
    file.take(MAX_HEADER).read_to_end(&mut start).map_err(io)?;
    let syncpoint = nut::SYNCPOINT.to_be_bytes();
    let end = start.windows(8).position(|window| window == syncpoint);
    start.truncate(end.unwrap_or(0));
    Ok(start)
}

/// Reports whether an encoder option is the codec tag, which applies to the output's container, not to segments.
fn is_tag(arg: &str) -> bool {
    arg == "-tag:v"
}

/// Builds ffmpeg's arguments that encode raw frames on stdin to the segment file `path`.
fn encode_arguments(
    container: Container,
    params: &VideoParams,
    encoder: &[String],
    path: &Path,
) -> Result<Args> {
    let mut args = Args::ffmpeg();
    raw_input(&mut args, params);
    args.one("-copyts");
    args.all(["-map", "0:v:0", "-fps_mode", "passthrough"]);
    let unit = variable_scale(container, params).map_or(params.time_base, |scale| Ratio::new(1, scale));
    args.all(["-enc_time_base", &format!("{}:{}", unit.numer(), unit.denom())]);
    let mut options = encoder.iter();
    while let Some(option) = options.next() {
        if is_tag(option) {
            options.next();
        } else {
            args.one(option);
        }
    }
    color_options(&mut args, params.tags);
    // Reordered frames begin with negative decoding times; shifted by ffmpeg, the first segment would overlap the second.
    args.all(["-avoid_negative_ts", "disabled"]);
    args.all([
        "-map_metadata",
        "-1",
        "-fflags",
        "+bitexact",
        "-write_index",
        "0",
        "-f",
        "nut",
    ]);
    args.one(file_url(path)?);
    Ok(args)
}

/// Returns the timescale (ticks per second) for variable rates in MP4, fine enough that NUT does not subdivide it: the last
/// frame's duration is set in ticks of one and read in ticks of the other. `None` for constant rates and other containers.
fn variable_scale(container: Container, params: &VideoParams) -> Option<i64> {
    let constant = params
        .frame_rate
        .is_some_and(|rate| rate.recip() == params.time_base);
    let scale = encoder::timescale(container, params.time_base).filter(|_| !constant)?;
    Some(scale * (NUT_PRECISION / scale + 1))
}

/// The last frame of an output.
struct LastFrame {
    /// Its zero-based index.
    index: u64,
    /// Start and end of its display, in seconds.
    span: [Time; 2],
}

/// Returns the bitstream filter that gives the muxer the display duration of the last frame of a variable rate; `None` for
/// constant rates, and for containers that do not store it.
///
/// A muxer takes the maximum of pts + duration over all packets as the end of the stream. The last packet in decoding
/// order need not be the last one displayed, so each packet gets the duration pts * (end - last) / last: the last frame
/// then ends at `end`, all others before. The expression has no time unit, because the unit in which ffmpeg reads a
/// duration depends on its version. MP4 also adds up decoding times, so the last packet gets its pts as dts.
fn last_duration(container: Container, params: &VideoParams, last: Option<&LastFrame>) -> Option<String> {
    let says = matches!(
        container,
        Container::Mp4 | Container::Mov | Container::Matroska | Container::WebM
    );
    let rate = params.frame_rate;
    if !says || rate.is_some_and(|rate| rate.recip() == params.time_base) {
        return None;
    }
    let length = last.filter(|last| last.span[0] > Time::from(0)).and_then(|last| {
        let [start, end] = last.span.map(widen);
        narrow((end - start) / start).filter(|ratio| *ratio > Time::from(0))
    });
    let (Some(ratio), Some(last)) = (length, last) else {
        let scale = variable_scale(container, params)?;
        let length = to_ticks(rate?.recip(), Ratio::new(1, scale)).max(1);
        return Some(format!("setts=pts=PTS:dts=DTS:duration={length}"));
    };
    let dts = match container {
        Container::Mp4 | Container::Mov => format!("if(eq(N\\,{})\\,PTS\\,DTS)", last.index),
        _ => "DTS".to_owned(),
    };
    let (numer, denom) = (ratio.numer(), ratio.denom());
    Some(format!("setts=pts=PTS:dts={dts}:duration=PTS*{numer}/{denom}"))
}

/// Builds ffmpeg's arguments that copy the concatenated segments on stdin and the companion streams to the temporary file
/// `part`.
fn join_arguments(
    spec: &SinkSpec,
    container: Container,
    params: &VideoParams,
    encoder: &[String],
    companion: Option<&Companion>,
    last: Option<&LastFrame>,
    part: &Path,
) -> Result<Args> {
    let mut args = Args::ffmpeg();
    args.all(["-y", "-protocol_whitelist", "pipe", "-format_whitelist", "nut"]);
    args.all(["-f", "nut", "-i", "pipe:0"]);
    if let (Some((media, _)), Some(companion)) = (&spec.companions, companion) {
        // Frame times count from the start of the source, so its streams are shifted by that start.
        companion.input(&mut args, media)?;
    }
    args.one("-copyts");
    args.all(["-map", "0:v:0", "-c:v:0", "copy"]);
    let constant = params.frame_rate.filter(|rate| rate.recip() == params.time_base);
    if let Some(rate) = constant.filter(|_| container == Container::Avi) {
        // AVI's time base is its rate; ffmpeg would guess the field rate.
        args.all(["-r:v:0", &rate.to_string()]);
    }
    if let Some(tag) = encoder.iter().skip_while(|arg| !is_tag(arg)).nth(1) {
        args.all(["-tag:v:0", tag]);
    }
    color_options(&mut args, params.tags);
    let mut filters = Vec::new();
    if container == Container::MpegTs {
        // Players may join a transport stream at any key frame, which must carry the codec's parameters.
        filters.push("dump_extra=freq=keyframe".to_owned());
    }
    // For variable rates ffmpeg does not know the last frame's duration, so a bitstream filter sets it.
    filters.extend(last_duration(container, params, last));
    let variable = variable_scale(container, params);
    if !filters.is_empty() {
        args.all(["-bsf:v:0", &filters.join(",")]);
    }
    match (&spec.companions, companion) {
        (Some((media, plan)), Some(companion)) => {
            encoder::companions(&mut args, media, plan, companion, container);
        }
        _ => {
            args.all(["-map_metadata", "-1"]);
        }
    }
    if let Some(scale) = variable.or(encoder::timescale(container, params.time_base)) {
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
    // Otherwise Matroska identifiers are random.
    args.all(["-fflags", "+bitexact"]);
    if let Some(muxer) = container.muxer() {
        args.all(["-f", muxer]);
    }
    args.one(file_url(part)?);
    Ok(args)
}
