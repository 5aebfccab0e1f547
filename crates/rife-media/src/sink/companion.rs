//! Companion streams: the input that sound, subtitles and tags of the original come from, at the times of the pictures,
//! and whether the sound lies in the output where it lies in the original.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::encoder::decimal_seconds;
use crate::ffmpeg::args::{Args, file_url};
use crate::ffmpeg::child::{self, Request};
use crate::nut;
use crate::plan::{Action, StreamPlan};
use crate::probe::clock::{self, Moves};
use crate::probe::{AudioExtent, MediaInfo, StreamKind, audio_extents};
use crate::scratch::Scratch;
use crate::time::{seconds, to_ticks, widen};
use crate::{CancelToken, Ffmpeg, Limits, MediaError, Result, Time};

/// How far sound may be from its place beside what its packets explain: a container begins a stream with a whole packet.
const TOLERANCE: Time = Time::new_raw(1, 40);

/// What copies of ours add to their times: NUT has none before zero.
pub(crate) const BASE: Time = Time::new_raw(10, 1);

/// Where the companions are read.
#[derive(Debug)]
pub(crate) struct Companion {
    path: PathBuf,
    /// What is added to its times, so that they count from the start of the original.
    offset: Time,
    /// Whether it holds the companions of the plan alone, in their order.
    copied: bool,
    /// The folder of the copy, which goes with it.
    _folder: Option<Scratch>,
}

impl Companion {
    /// The original itself; where its clock starts anew or jumps, a copy of the streams that go along, at the times that
    /// they have beside the pictures.
    pub(crate) fn open(
        ffmpeg: &Ffmpeg,
        media: &MediaInfo,
        plan: &StreamPlan,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let indices: Vec<u32> = plan.companions().map(|stream| stream.index).collect();
        if media.clock.is_continuous() || indices.is_empty() {
            return Ok(Self {
                path: media.path.clone(),
                offset: -media.start,
                copied: false,
                _folder: None,
            });
        }
        let folder = Scratch::new()?;
        let copy = Self {
            path: folder.path().join("companions.nut"),
            offset: -BASE,
            copied: true,
            _folder: Some(folder),
        };
        on_one_line(ffmpeg, media, &indices, &copy.path, cancel)?;
        Ok(copy)
    }

    /// The options that open it.
    pub(crate) fn input(&self, args: &mut Args, media: &MediaInfo) -> Result<()> {
        let mut offset = self.offset;
        if matches!(media.container.as_str(), "mpegts" | "mpeg" | "ogg") && !self.copied {
            // Where the offset is exactly the start, ffmpeg 5 and 6 take the start of the streams that are used instead. A
            // microsecond more is less than half a tick of these containers.
            offset += Time::new(1, 1_000_000);
        }
        args.all(["-itsoffset", &decimal_seconds(offset)])
            .input(&self.path, &Limits::default())?;
        Ok(())
    }

    /// Which of ffmpeg's streams of the second input the `number`th companion is.
    pub(crate) fn stream(&self, number: usize, index: u32) -> String {
        if self.copied {
            format!("1:{number}")
        } else {
            format!("1:{index}")
        }
    }
}

/// Copies streams of a file at times that go on where its clock starts anew or jumps, and that count from [`BASE`] before its
/// start.
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

/// Copies the packets of streams that are moved by `offset`.
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

/// An expression that is true of packets by their number that are not to be moved by `offset`, or not to be heard. The unit of
/// times is not the same in all versions of ffmpeg where such expressions see it, so none is in it.
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

/// Puts NUT files of the same streams one behind the other, and removes them.
fn join(to: &Path, parts: impl Iterator<Item = PathBuf>) -> std::io::Result<()> {
    let mut file = File::create_new(to)?;
    for (number, part) in parts.enumerate() {
        let mut from = File::open(&part)?;
        if number > 0 {
            // One file has one identifier.
            from.seek(SeekFrom::Start(nut::FILE_ID.len() as u64))?;
        }
        std::io::copy(&mut from, &mut file)?;
        fs::remove_file(&part)?;
    }
    Ok(())
}

fn run(ffmpeg: &Ffmpeg, args: Args, writes: &Path, cancel: &CancelToken) -> Result<()> {
    let mut child = child::start(Request {
        cancel: cancel.clone(),
        stall: Duration::from_secs(120),
        ..Request::new("ffmpeg", &ffmpeg.ffmpeg, args.0)
    })?;
    let growing = || fs::metadata(writes).ok().map(|file| file.len());
    child.finish_while_growing("while copying sound to times that go on", growing)
}

/// Bitstream filters of a stream of an MP4 or QuickTime file that was trimmed without encoding: its edit list hides what lies
/// before the start, and other containers cannot. Sound keeps the packets that a decoder begins with.
pub(super) fn trim(media: &MediaInfo, kind: StreamKind, copied: bool) -> Option<&'static str> {
    let hides = media.container.contains("mov");
    match kind {
        StreamKind::Audio if hides && copied => Some("noise=drop=lt((pts+3*duration)*tb\\,0)"),
        StreamKind::Subtitle if hides => {
            Some("noise=drop=lt((pts+duration)*tb\\,0),setts=pts=max(PTS\\,0):dts=max(DTS\\,0)")
        }
        _ => None,
    }
}

/// What an output is to be compared with.
pub(super) struct Placed<'a> {
    pub(super) plan: &'a StreamPlan,
    pub(super) companion: &'a Companion,
    /// The output, and what is to be added to its times so that they are those of the pictures.
    pub(super) output: &'a Path,
    pub(super) moved: Time,
}

/// Compares where the sound of an output begins and ends with the original; a line for each stream that is off.
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
        let wanted = source.moved(placed.companion.offset, stretch);
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

/// How sound lies otherwise than it should; nothing where it lies right.
fn off(wanted: &AudioExtent, found: &AudioExtent, transcoded: bool) -> Option<String> {
    // Hidden packets that a decoder begins with are heard where a container cannot hide them.
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

const MICROSECOND: Time = Time::new_raw(1, 1_000_000);

impl AudioExtent {
    /// The same with a time added and then stretched; as it is where that is out of range.
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
