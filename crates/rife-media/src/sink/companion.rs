//! Companion streams (audio, subtitles, tags of the source): the ffmpeg input that provides them with times that match the
//! video, and a check that audio has the same times in the output as in the source.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ffmpeg::args::{Args, file_url};
use crate::ffmpeg::child::{self, Request};
use crate::nut;
use crate::plan::{Action, StreamPlan};
use crate::probe::clock::{self, Moves};
use crate::probe::{AudioExtent, MediaInfo, StreamKind, audio_extents};
use crate::scratch::Scratch;
use crate::source::Span;
use crate::time::{decimal_seconds, seconds, to_ticks, widen};
use crate::{CancelToken, Ffmpeg, Limits, MediaError, Result, Time};

/// Tolerance of audio times in seconds, in addition to packet durations (containers begin a stream with a whole packet).
const TOLERANCE: Time = Time::new_raw(1, 40);

/// Seconds added to the times of intermediate copies, since NUT has no negative times.
pub(crate) const BASE: Time = Time::new_raw(10, 1);

/// The file from which ffmpeg reads the companion streams.
#[derive(Debug)]
pub(crate) struct Companion {
    path: PathBuf,
    /// Seconds added to its times, so that they count from the start of the source.
    offset: Time,
    /// True for a copy that holds only the plan's companion streams, in order.
    copied: bool,
    /// The part of the source to read; `None` for all.
    excerpt: Option<Span>,
    /// The temporary folder of a copy.
    _folder: Option<Scratch>,
}

impl Companion {
    /// Returns the source file itself, or, where it has timestamp discontinuities, a temporary copy of the planned streams
    /// with corrected times.
    pub(crate) fn open(
        ffmpeg: &Ffmpeg,
        media: &MediaInfo,
        plan: &StreamPlan,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let indices: Vec<u32> = plan.companions().map(|stream| stream.index).collect();
        let from = plan.excerpt.map_or(Time::from(0), |span| span.from);
        if media.clock.is_continuous() || indices.is_empty() {
            return Ok(Self {
                path: media.path.clone(),
                offset: -media.start - from,
                copied: false,
                excerpt: plan.excerpt,
                _folder: None,
            });
        }
        let folder = Scratch::new()?;
        let copy = Self {
            path: folder.path().join("companions.nut"),
            offset: -BASE - from,
            copied: true,
            excerpt: plan.excerpt,
            _folder: Some(folder),
        };
        on_one_line(ffmpeg, media, &indices, &copy.path, cancel)?;
        Ok(copy)
    }

    /// Appends ffmpeg's options that open the file as an input.
    pub(crate) fn input(&self, args: &mut Args, media: &MediaInfo) -> Result<()> {
        let mut offset = self.offset;
        if matches!(media.container.as_str(), "mpegts" | "mpeg" | "ogg") && !self.copied {
            // Where the offset equals the file's start, ffmpeg 5 and 6 use the start of the selected streams instead. One
            // microsecond is less than half a tick of these containers.
            offset += Time::new(1, 1_000_000);
        }
        if let Some(second) = self.seek(media) {
            args.all(["-ss", &second.to_string()]);
        }
        args.all(["-itsoffset", &decimal_seconds(offset)])
            .input(&self.path, &Limits::default())?;
        Ok(())
    }

    /// Returns the whole second to which ffmpeg seeks for an excerpt, some seconds before its start; `None` where the file is
    /// read from its start.
    fn seek(&self, media: &MediaInfo) -> Option<i64> {
        let indexed = ["mov", "matroska"]
            .iter()
            .any(|name| media.container.contains(name));
        let second = self.excerpt?.from.to_integer() - 5;
        (indexed && !self.copied && second > 0).then_some(second)
    }

    /// Returns ffmpeg's stream specifier for companion `number` of the plan, which is stream `index` of the source.
    pub(crate) fn stream(&self, number: usize, index: u32) -> String {
        if self.copied {
            format!("1:{number}")
        } else {
            format!("1:{index}")
        }
    }
}

/// Copies the streams `indices` of a file to the NUT file `to`, with timestamp discontinuities corrected and times that count
/// from the file's start plus [`BASE`].
pub(crate) fn on_one_line(
    ffmpeg: &Ffmpeg,
    media: &MediaInfo,
    indices: &[u32],
    to: &Path,
    cancel: &CancelToken,
) -> Result<()> {
    let mut moves = BTreeMap::new();
    if !media.clock.is_continuous() {
        moves = clock::moves(ffmpeg, media, &Limits::default(), cancel)?;
    }
    let mut offsets: Vec<Time> = Vec::new();
    for (_, offset) in moves.values().flat_map(|moves| &moves.offsets) {
        if !offsets.contains(offset) {
            offsets.push(*offset);
        }
    }
    if offsets.is_empty() {
        offsets.push(Time::from(0));
    }
    let part = |number: usize| to.with_extension(format!("part-{number}"));
    let mut args = Args::ffmpeg();
    args.all(["-y", "-copyts"])
        .input(&media.path, &Limits::default())?;
    for (number, offset) in offsets.iter().enumerate() {
        select(&mut args, indices, &moves, *offset);
        let whole = *offset - media.start + BASE;
        args.all(["-output_ts_offset", &decimal_seconds(whole)]);
        args.all([
            "-avoid_negative_ts",
            "disabled",
            "-max_muxing_queue_size",
            "16384",
        ]);
        args.all(["-fflags", "+bitexact", "-write_index", "0", "-f", "nut"]);
        args.one(file_url(&part(number))?);
    }
    run(ffmpeg, args, &part(offsets.len() - 1), cancel)?;
    let all = to.with_extension("parts");
    let joined = join(&all, (0..offsets.len()).map(part));
    joined.map_err(|e| MediaError::io("write", &all, e))?;
    let mut args = Args::ffmpeg();
    args.all(["-y", "-copyts"]).input(&all, &Limits::default())?;
    args.all([
        "-map",
        "0",
        "-c",
        "copy",
        "-map_metadata",
        "0",
        "-fflags",
        "+bitexact",
    ]);
    args.all(["-avoid_negative_ts", "disabled", "-f", "nut"])
        .one(file_url(to)?);
    let copied = run(ffmpeg, args, to, cancel);
    let _ = fs::remove_file(&all);
    copied
}

/// Appends ffmpeg's options that copy those packets of the streams whose correction is `offset` seconds.
fn select(args: &mut Args, indices: &[u32], moves: &BTreeMap<u32, Moves>, offset: Time) {
    for (number, index) in indices.iter().enumerate() {
        args.all(["-map", &format!("0:{index}")]);
        if let Some(moves) = moves.get(index) {
            let others = others(moves, offset);
            args.all([&format!("-bsf:{number}"), &format!("noise=drop={others}")]);
        }
    }
    args.all(["-c", "copy", "-map_metadata", "0"]);
}

/// Returns an ffmpeg expression that is true for packets to drop: those whose correction is not `offset`, and overlapping
/// audio packets. It uses packet numbers, since the unit of times in such expressions differs between versions of ffmpeg.
fn others(moves: &Moves, offset: Time) -> String {
    let between = |first: u64, last: u64| format!("between(n\\,{first}\\,{last})");
    let ends = moves.offsets.iter().skip(1).map(|(number, _)| number - 1);
    let runs = moves.offsets.iter().zip(ends.chain([1 << 50]));
    let mine = runs.filter(|((_, of), _)| *of == offset);
    let mine: Vec<String> = mine.map(|((first, _), last)| between(*first, last)).collect();
    let silent = moves.overlapping.iter();
    let silent: Vec<String> = silent.map(|(first, last)| between(*first, *last)).collect();
    let kept = if mine.is_empty() {
        "0".to_owned()
    } else {
        mine.join("+")
    };
    [format!("not({kept})")]
        .into_iter()
        .chain(silent)
        .collect::<Vec<_>>()
        .join("+")
}

/// Concatenates NUT files of the same streams into `to` and removes them.
fn join(to: &Path, parts: impl Iterator<Item = PathBuf>) -> std::io::Result<()> {
    let mut file = File::create_new(to)?;
    for (number, part) in parts.enumerate() {
        let mut from = File::open(&part)?;
        if number > 0 {
            // The file identifier occurs only once.
            from.seek(SeekFrom::Start(nut::FILE_ID.len() as u64))?;
        }
        std::io::copy(&mut from, &mut file)?;
        fs::remove_file(&part)?;
    }
    Ok(())
}

/// Runs ffmpeg to its end, with a timeout of 120 s in which the file `writes` does not grow.
fn run(ffmpeg: &Ffmpeg, args: Args, writes: &Path, cancel: &CancelToken) -> Result<()> {
    let mut child = child::start(Request {
        cancel: cancel.clone(),
        stall: Duration::from_secs(120),
        ..Request::new("ffmpeg", &ffmpeg.ffmpeg, args.0)
    })?;
    let growing = || fs::metadata(writes).ok().map(|file| file.len());
    child.finish_while_growing("while copying sound to times that go on", growing)
}

/// Returns bitstream filters that drop packets before the start of an MP4 or QuickTime file that was trimmed by an edit list,
/// which other containers cannot express. Audio keeps the packets that a decoder needs for its start. `None` for other files
/// and kinds.
pub(super) fn trim(
    media: &MediaInfo,
    kind: StreamKind,
    plan: &StreamPlan,
    copied: bool,
) -> Option<&'static str> {
    if plan.excerpt.is_some() {
        return trim_start(kind, copied);
    }
    let hides = media.container.contains("mov");
    match kind {
        StreamKind::Audio if hides && copied => Some("noise=drop=lt((pts+3*duration)*tb\\,0)"),
        StreamKind::Subtitle if hides => {
            Some("noise=drop=lt((pts+duration)*tb\\,0),setts=pts=max(PTS\\,0):dts=max(DTS\\,0)")
        }
        _ => None,
    }
}

/// Returns the bitstream filters that drop packets before an excerpt: copied audio packets that start before it (of transcoded
/// audio, [`START`] drops the samples), subtitles that end before it. Times are compared with 0 only, since their unit in such expressions differs between versions of ffmpeg.
fn trim_start(kind: StreamKind, copied: bool) -> Option<&'static str> {
    match kind {
        StreamKind::Audio if copied => Some("noise=drop=lt(pts\\,0)"),
        StreamKind::Subtitle => Some(
            "noise=drop=lte(pts+duration\\,0),setts=pts=max(PTS\\,0):dts=max(DTS\\,0):duration=DURATION+min(PTS\\,0)",
        ),
        _ => None,
    }
}

/// ffmpeg's audio filter that drops the samples before an excerpt.
pub(super) const START: &str = "atrim=start=0";

/// Appends ffmpeg's output option that ends the companion streams with the excerpt; the video's frames end there anyway.
pub(super) fn limit(args: &mut Args, plan: &StreamPlan) {
    let length = plan.excerpt.and_then(|span| span.length());
    if let Some(length) = length.filter(|_| plan.companions().next().is_some()) {
        let length = length * plan.stretch_audio.unwrap_or(Time::from(1));
        args.all(["-t", &decimal_seconds(length)]);
    }
}

/// Arguments of [`compare`].
pub(super) struct Placed<'a> {
    pub(super) plan: &'a StreamPlan,
    pub(super) companion: &'a Companion,
    /// The output file.
    pub(super) output: &'a Path,
    /// Seconds to add to the output's times to get those of the video frames sent.
    pub(super) moved: Time,
}

/// Compares start and end of each audio stream in the output with the source; returns a warning for each that differs.
pub(super) fn compare(ffmpeg: &Ffmpeg, placed: &Placed<'_>, cancel: &CancelToken) -> Result<Vec<String>> {
    let audio = || {
        placed
            .plan
            .companions()
            .enumerate()
            .filter(|(_, stream)| stream.kind == StreamKind::Audio)
    };
    if audio().next().is_none() {
        return Ok(Vec::new());
    }
    let from = audio_extents(ffmpeg, &placed.companion.path, cancel)?;
    let found = audio_extents(ffmpeg, placed.output, cancel)?;
    let stretch = placed.plan.stretch_audio.unwrap_or(Time::from(1));
    let mut warnings = Vec::new();
    for ((number, stream), found) in audio().zip(&found) {
        let index = if placed.companion.copied {
            number as u32
        } else {
            stream.index
        };
        let Some(source) = from.iter().find(|extent| extent.index == index) else {
            continue;
        };
        let transcoded = matches!(stream.action, Action::Transcode { .. });
        let mut wanted = source.moved(placed.companion.offset, stretch);
        if let Some(span) = placed.plan.excerpt {
            wanted.limit_to(span, stretch);
        }
        let reason = off(&wanted, &found.moved(placed.moved, Time::from(1)), transcoded);
        warnings.extend(reason.map(|reason| {
            format!(
                "sound, stream {} of the input ({}): {reason}",
                stream.index, stream.codec
            )
        }));
    }
    Ok(warnings)
}

/// Returns a message where start or end of an audio stream differ beyond tolerance; `None` where they match.
fn off(wanted: &AudioExtent, found: &AudioExtent, transcoded: bool) -> Option<String> {
    // Up to three packets of encoder delay precede the start where the container cannot hide them.
    let packets = 3 * to_ticks(wanted.packet.max(found.packet), MICROSECOND);
    let (start, end) = (found.start - wanted.start, found.end - wanted.end);
    let tolerance = to_ticks(TOLERANCE, MICROSECOND);
    let micros = |time: Time| to_ticks(time, MICROSECOND);
    let late = tolerance + if transcoded { packets / 3 } else { 0 };
    if micros(start) > late || micros(start) < -tolerance - packets {
        return Some(format!(
            "it begins at {:.3} s of the result and should at {:.3} s",
            seconds(found.start),
            seconds(wanted.start)
        ));
    }
    (micros(end).abs() > 3 * tolerance + packets).then(|| {
        format!(
            "it ends at {:.3} s of the result and should at {:.3} s",
            seconds(found.end),
            seconds(wanted.end)
        )
    })
}

/// A microsecond in seconds.
const MICROSECOND: Time = Time::new_raw(1, 1_000_000);

impl AudioExtent {
    /// Limits an extent in times of the result to those of an excerpt, slowed down by the factor `stretch`.
    fn limit_to(&mut self, span: Span, stretch: Time) {
        self.start = self.start.max(Time::from(0));
        if let Some(length) = span.length() {
            self.end = self.end.min(length * stretch);
        }
    }

    /// Returns the extent with `by` seconds added and then multiplied by `stretch`; unchanged where out of range.
    fn moved(&self, by: Time, stretch: Time) -> Self {
        let place =
            |time: Time| crate::time::narrow((widen(time) + widen(by)) * widen(stretch)).unwrap_or(time);
        Self {
            start: place(self.start),
            end: place(self.end),
            ..self.clone()
        }
    }
}
