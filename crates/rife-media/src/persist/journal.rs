//! Crash-safe job state of an unfinished output: the job fingerprint and the list of complete segments.
//!
//! The journal and its segments are in the folder `NAME.EXT.rife-part` next to the output, which is removed when the output
//! is complete. Every change is written to a temporary file, flushed and renamed; a segment is flushed and renamed before the
//! journal lists it. So the journal is complete and correct after a power failure at any time.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::folder::{FRAME_LOG, IMAGE_LOG, LOCK, folder, is_folder, refused, sha256, wrote};
use super::pictures::Pictures;
use crate::time::MAX_SECONDS;
use crate::{MediaError, Result, nut};

/// Default number of output frames per segment: the default key frame interval of x264 and x265, so that segments hardly
/// increase the file size, while an interruption loses at most the work on so many frames.
pub const SEGMENT_FRAMES: u64 = 250;

/// Version of the journal's format; others are rejected.
const LAYOUT: u32 = 1;
/// Maximum size of a journal in bytes: about 100 000 segments.
const MAX_JOURNAL: u64 = 64 << 20;
/// Maximum number of shards of an output.
pub const MAX_SHARDS: u32 = 10_000;
/// Maximum number of frames of an output, so that sums over segments cannot overflow.
const MAX_FRAMES: u64 = 1 << 40;
/// Maximum size of a segment in bytes.
const MAX_BYTES: u64 = 1 << 44;

/// One of several jobs that encode one output together: it encodes the segments `index - 1`, `index - 1 + count` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Number of the shard, from 1.
    pub index: u32,
    /// Number of shards of the output.
    pub count: u32,
}

/// The role of a job in an output that is encoded in shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Encodes the segments of this shard and keeps them for joining.
    Shard(Shard),
    /// Joins the segments of all shards and writes the output.
    Join,
}

/// What the caller does with a frame of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Makes the frame and writes it to the sink.
    Make,
    /// Skips the frame, which an earlier run has written.
    Written,
    /// Skips the frame, which belongs to another shard.
    Elsewhere,
}

/// The frames that a sink needs; for the others the caller calls [`Sink::skip`](crate::Sink::skip).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    segment_frames: u64,
    shard: Shard,
    /// Number of complete segments of the shard.
    written: u64,
    /// Two ranges of the logged frames in the next segment: first index and the index after the last.
    logged: [[u64; 2]; 2],
}

impl Needs {
    /// All frames are needed.
    pub const ALL: Self = Self {
        segment_frames: u64::MAX,
        shard: Shard { index: 1, count: 1 },
        written: 0,
        logged: [[0, 0]; 2],
    };
    /// No frame is needed: the output is complete.
    pub const NONE: Self = Self {
        written: u64::MAX,
        ..Self::ALL
    };

    /// Creates the need for the frames of a shard, in segments of `segment_frames`, of which none is written.
    pub fn of_shard(shard: Shard, segment_frames: u64) -> Self {
        Self {
            segment_frames: segment_frames.max(1),
            shard,
            ..Self::ALL
        }
    }

    /// Creates the need for all frames but the first `written` ones.
    pub(crate) fn after(written: u64) -> Self {
        Self {
            segment_frames: 1,
            written,
            ..Self::ALL
        }
    }

    /// Returns what to do with the frame of this index.
    pub fn of(&self, frame: u64) -> Need {
        match self.segment(frame) {
            None => Need::Elsewhere,
            Some(segment) if segment < self.written || self.is_logged(frame) => Need::Written,
            Some(_) => Need::Make,
        }
    }

    /// Reports whether the frame of this index is in no complete segment, but in the log of the next one.
    pub(crate) fn is_logged(&self, frame: u64) -> bool {
        let place = frame % self.segment_frames;
        let mut ranges = self.logged.iter();
        self.segment(frame) == Some(self.written)
            && ranges.any(|[first, end]| (*first..*end).contains(&place))
    }

    /// Returns the index among the shard's segments of the segment with this frame; `None` for another shard's frame.
    fn segment(&self, frame: u64) -> Option<u64> {
        let (segment, count) = (frame / self.segment_frames, u64::from(self.shard.count));
        (segment % count + 1 == u64::from(self.shard.index)).then_some(segment / count)
    }
}

/// Options of a resumable job.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Resume {
    /// Job fingerprint: the display name and value of everything that determines the output (input, model, options). A
    /// resumed job must match all of it.
    pub facts: Vec<(String, String)>,
    /// The input images, where the input is an image sequence.
    pub pictures: Option<Pictures>,
    /// True to discard the state of an earlier run.
    pub restart: bool,
    /// Number of output frames per segment, 1 or more.
    pub segment_frames: u64,
    /// The job's role, where the output is encoded in shards.
    pub share: Option<Share>,
    /// The folder of the unfinished work; the output's own when absent.
    pub work_dir: Option<PathBuf>,
    /// The command of this job, which a shard records for the join.
    pub command: Option<CommandLine>,
}

/// A command line, as a shard records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLine {
    /// The folder in which it was run.
    pub folder: PathBuf,
    /// The arguments after the program's name.
    pub words: Vec<String>,
}

impl Resume {
    /// Creates options for a job with the fingerprint `facts`, in segments of [`SEGMENT_FRAMES`], without shards.
    pub fn new(facts: Vec<(String, String)>) -> Self {
        Self {
            facts,
            pictures: None,
            restart: false,
            segment_frames: SEGMENT_FRAMES,
            share: None,
            work_dir: None,
            command: None,
        }
    }

    /// Returns the path next to which the unfinished work of `target` is kept.
    pub(crate) fn place(&self, target: &Path) -> PathBuf {
        in_work_dir(target, self.work_dir.as_deref())
    }

    /// Returns the shard to encode; shard 1 of 1 without shards.
    pub(crate) fn shard(&self) -> Shard {
        match self.share {
            Some(Share::Shard(shard)) => shard,
            Some(Share::Join) | None => Shard { index: 1, count: 1 },
        }
    }
}

/// Returns the path next to which the unfinished work of `target` is kept: in `work_dir`, where given.
pub fn in_work_dir(target: &Path, work_dir: Option<&Path>) -> PathBuf {
    match (work_dir, target.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => target.to_owned(),
    }
}

/// Returns the folder of a shard of the output `target`.
pub fn shard_folder(target: &Path, shard: Shard) -> PathBuf {
    rife_files::beside(target, "", &format!("{SHARD}{}-of-{}", shard.index, shard.count))
}

/// Text between the output's name and the shard's numbers in the name of a shard's folder.
const SHARD: &str = ".rife-shard-";

/// Returns the folders of all shards of `target`, in order.
///
/// # Errors
/// [`MediaError::Unsupported`] where there are none, some are missing, or their numbers of shards differ.
pub(crate) fn shards(target: &Path) -> Result<Vec<PathBuf>> {
    let bad = |reason: String| Err(MediaError::Unsupported(reason));
    let counts: std::collections::BTreeSet<u32> =
        shards_beside(target)?.iter().map(|shard| shard.count).collect();
    let count = match counts.iter().collect::<Vec<_>>()[..] {
        [] => return bad(format!("there are no shards of {} beside it", target.display())),
        [&count] => count,
        _ => return Err(divisions(target, &counts.into_iter().collect::<Vec<_>>())),
    };
    let folders = (1..=count).map(|index| shard_folder(target, Shard { index, count }));
    let there = |folder: PathBuf| match folder.is_dir() {
        true => Ok(folder),
        false => Err(MediaError::Unsupported(format!(
            "{} is missing: make that shard, or put it here",
            folder.display()
        ))),
    };
    folders.map(there).collect()
}

/// The state of a shard of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardState {
    /// Number of the shard and of all shards.
    pub shard: Shard,
    /// Number of complete segments.
    pub segments: usize,
    /// True where all its segments are complete.
    pub complete: bool,
    /// The command that makes it, where it is recorded.
    pub command: Option<CommandLine>,
}

/// Returns the states of the existing shards of the output `target`, in order. Their folders are next to it, or in `work_dir`.
///
/// # Errors
/// [`MediaError::Unsupported`] for shards of different divisions, [`MediaError::Changed`] where they belong to different jobs;
/// those of reading.
pub fn shard_states(target: &Path, work_dir: Option<&Path>) -> Result<Vec<ShardState>> {
    let target = in_work_dir(target, work_dir);
    let mut found = shards_beside(&target)?;
    found.sort_by_key(|shard| (shard.count, shard.index));
    let mut states = Vec::new();
    let mut facts: Option<Vec<(String, String)>> = None;
    for shard in found {
        let folder = shard_folder(&target, shard);
        // A folder may vanish while another machine starts its shard over.
        let Some(state) = read(&folder)? else { continue };
        let changes = facts
            .as_ref()
            .map_or_else(Vec::new, |facts| differences(facts, &state.facts));
        if !changes.is_empty() {
            let changes = format!("this shard does not fit to the first: {}", changes.join("; "));
            return Err(MediaError::Changed { folder, changes });
        }
        facts.get_or_insert(state.facts);
        states.push(ShardState {
            shard,
            segments: state.segments.len(),
            complete: state.total.is_some(),
            command: state.command,
        });
    }
    let counts: std::collections::BTreeSet<u32> = states.iter().map(|state| state.shard.count).collect();
    if counts.len() > 1 {
        return Err(divisions(&target, &counts.into_iter().collect::<Vec<_>>()));
    }
    Ok(states)
}

/// Returns the error for shards of different divisions.
fn divisions(target: &Path, counts: &[u32]) -> MediaError {
    MediaError::Unsupported(format!(
        "beside {} are shards of different divisions: of {counts:?}",
        target.display()
    ))
}

/// Returns the shards of `target` whose folders exist.
///
/// # Errors
/// [`MediaError::Unsupported`] for a folder that is named as a shard with numbers out of range; those of the file
/// system.
fn shards_beside(target: &Path) -> Result<Vec<Shard>> {
    let parent = target.parent().filter(|path| !path.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let io = |e| MediaError::io("read", parent, e);
    let prefix = rife_files::beside(target, "", SHARD);
    let prefix = prefix.file_name().unwrap_or_default().to_string_lossy();
    let mut found = Vec::new();
    for entry in fs::read_dir(parent).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let numbers = name
            .strip_prefix(&*prefix)
            .and_then(|rest| rest.split_once("-of-"));
        let Some((index, count)) = numbers.filter(|_| entry.path().is_dir()) else {
            continue;
        };
        let shard = index.parse().ok().zip(count.parse().ok());
        let shard = shard.map(|(index, count)| Shard { index, count });
        let in_range = |shard: &Shard| shard.count <= MAX_SHARDS && (1..=shard.count).contains(&shard.index);
        found.push(shard.filter(in_range).ok_or_else(|| {
            MediaError::Unsupported(format!(
                "{} is named as a shard, but a video is shared by 1 to {MAX_SHARDS} machines, numbered from 1: remove or rename it",
                entry.path().display()
            ))
        })?);
    }
    Ok(found)
}

/// Checks that the shard `own` with the fingerprint `facts` can be joined with the existing shards of `target`.
///
/// # Errors
/// [`MediaError::Unsupported`] where their number of shards differs, [`MediaError::Changed`] where their fingerprint differs.
fn agree(target: &Path, own: Shard, facts: &[(String, String)]) -> Result<()> {
    for shard in shards_beside(target)? {
        let folder = shard_folder(target, shard);
        if shard.count != own.count {
            return Err(MediaError::Unsupported(format!(
                "{} is a shard of another division: all shards of an output have the same number, and this one is of {}; remove the others, or keep to their number",
                folder.display(),
                own.count
            )));
        }
        if shard == own {
            continue;
        }
        let changes = read(&folder)?.map_or_else(Vec::new, |state| differences(&state.facts, facts));
        if !changes.is_empty() {
            let changes = format!("this shard would not fit to it: {}", changes.join("; "));
            return Err(MediaError::Changed { folder, changes });
        }
    }
    Ok(())
}

/// Returns the folder of a job's unfinished work next to `place`.
fn own_folder(place: &Path, resume: &Resume) -> PathBuf {
    match resume.share {
        Some(Share::Shard(shard)) => shard_folder(place, shard),
        Some(Share::Join) | None => folder(place),
    }
}

/// A complete segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    /// Number of frames.
    pub(crate) frames: u64,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// SHA-256 of the file in hexadecimal.
    pub(crate) sha256: String,
    /// Time of its first frame in seconds, as numerator and denominator.
    pub(crate) first: [i64; 2],
    /// End of its last frame in seconds, as numerator and denominator.
    pub(crate) end: [i64; 2],
    /// Tick of its last frame.
    pub(crate) tick: i64,
    /// Number of frames whose tick was increased since it equalled the previous one.
    pub(crate) nudged: u64,
    /// Number of input images that had been read before its last frame was made.
    #[serde(default)]
    pub(crate) pictures: u64,
}

/// A complete output file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Complete {
    /// SHA-256 of the file in hexadecimal.
    pub(crate) sha256: String,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// Number of frames.
    pub(crate) frames: u64,
    /// Seconds from the start of the first frame to the end of the last, as numerator and denominator.
    pub(crate) duration: [i64; 2],
    /// The plan of its companion streams as text.
    #[serde(default)]
    pub(crate) streams: String,
}

/// The journal's content, `journal.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct State {
    /// Version of the format, [`LAYOUT`].
    layout: u32,
    /// Job fingerprint: names and values.
    facts: Vec<(String, String)>,
    /// Name, size and modification time of each input image, where the input is an image sequence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pictures: Vec<String>,
    /// The complete segments in order.
    segments: Vec<Segment>,
    /// The complete output, recorded before it is renamed to its final name.
    complete: Option<Complete>,
    /// Number of frames of the entire output, in the journal of a complete shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// The command of a shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<CommandLine>,
}

impl Segment {
    /// Reports whether the file has the recorded size, hash and number of frames.
    fn is_whole(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| metadata.len() == self.bytes)
            && sha256(path).is_ok_and(|(hash, _)| hash == self.sha256)
            && nut::read::count_frames(path).is_ok_and(|frames| frames >= self.frames)
    }
}

impl State {
    /// Reports whether `folder` holds completed work of this job.
    fn has_work(&self, folder: &Path) -> bool {
        let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let done = self.complete.is_some() || self.total.is_some();
        done || !self.segments.is_empty() || entries.any(|entry| is_work(&entry.path()))
    }

    /// Reports whether all numbers are in range, so that computing with them cannot overflow.
    fn is_sound(&self) -> bool {
        let time = |[numer, denom]: [i64; 2]| {
            denom > 0 && numer > i64::MIN && numer / denom <= MAX_SECONDS && numer / denom >= -MAX_SECONDS
        };
        let segment = |segment: &Segment| {
            (1..=MAX_FRAMES).contains(&segment.frames)
                && segment.bytes <= MAX_BYTES
                && time(segment.first)
                && time(segment.end)
                && (-1..i64::MAX / 2).contains(&segment.tick)
                && segment.nudged <= segment.frames
        };
        let complete = |complete: &Complete| complete.frames <= MAX_FRAMES && time(complete.duration);
        let frames = self.segments.iter().map(|segment| u128::from(segment.frames));
        self.segments.iter().all(segment)
            && frames.sum::<u128>() <= u128::from(MAX_FRAMES)
            && self.complete.iter().all(complete)
            && self.total.unwrap_or(0) <= MAX_FRAMES
    }
}

/// An open journal. Its folder is removed on drop where it holds no completed work.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    state: State,
    done: bool,
    /// Number of leading input images that are unchanged since earlier runs.
    unchanged: u64,
}

impl Journal {
    /// Opens the journal of the output `target` and verifies its segments, or creates one. The caller holds the output's lock.
    ///
    /// # Errors
    /// [`MediaError::Changed`] where the unfinished job has another fingerprint; those of the file system.
    pub(crate) fn open(target: &Path, resume: &Resume) -> Result<Self> {
        let place = &resume.place(target);
        let folder = own_folder(place, resume);
        let Some(Share::Shard(own)) = resume.share.filter(|_| !resume.restart) else {
            return Self::open_in(folder, resume);
        };
        agree(place, own, &resume.facts)?;
        let journal = Self::open_in(folder, resume)?;
        // Of two shards that start at the same time, at least one sees the other's journal.
        agree(place, own, &resume.facts)?;
        Ok(journal)
    }

    /// Opens or creates the journal in `folder` and verifies its segments; see [`Journal::open`].
    pub(crate) fn open_in(folder: PathBuf, resume: &Resume) -> Result<Self> {
        let found = read(&folder)?.filter(|state| !resume.restart && state.has_work(&folder));
        let begun = found.is_none();
        let mut state = found.unwrap_or_else(|| State {
            layout: LAYOUT,
            facts: resume.facts.clone(),
            ..State::default()
        });
        if resume.command.is_some() {
            state.command = resume.command.clone();
        }
        let mut changes = differences(&state.facts, &resume.facts);
        let mut unchanged = u64::MAX;
        if let Some(pictures) = &resume.pictures {
            if !begun {
                unchanged = pictures.unchanged(&state.pictures);
            }
            if unchanged == 0 {
                let first = |lines: &[String]| lines.first().cloned().unwrap_or_default();
                let (was, is) = (first(&state.pictures), first(pictures.lines()));
                changes.push(format!("the first picture was {was} and is {is}"));
            }
            state.pictures = pictures.lines().to_vec();
        }
        if !changes.is_empty() {
            let changes = changes.join("; ");
            return Err(MediaError::Changed { folder, changes });
        }
        fs::create_dir_all(&folder).map_err(|e| MediaError::io("create", &folder, e))?;
        let mut journal = Self {
            folder,
            state,
            done: false,
            unchanged,
        };
        journal.keep_whole_segments();
        journal.sweep(begun)?;
        journal.write()?;
        Ok(journal)
    }

    /// Returns the folder of the unfinished job.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the SHA-256 of the job fingerprint.
    pub(crate) fn job(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for (name, value) in &self.state.facts {
            hasher.update(format!("{name}\n{value}\n"));
        }
        hasher.finalize().into()
    }

    /// Reports whether the first `pictures` input images are unchanged since earlier runs.
    pub(crate) fn holds(&self, pictures: u64) -> bool {
        pictures <= self.unchanged
    }

    /// Returns the complete segments.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.state.segments
    }

    /// Returns the record of the output `target` where an earlier run completed and renamed it but was killed before it removed
    /// the folder.
    pub(crate) fn completed(target: &Path, resume: &Resume) -> Option<Complete> {
        let promised = read(&folder(&resume.place(target))).ok().flatten()?.complete?;
        let (hash, _) = sha256(target).ok()?;
        (hash == promised.sha256).then_some(promised)
    }

    /// Returns the value of the fingerprint field `name` of an unfinished job with the output `target`.
    pub(crate) fn recorded(target: &Path, resume: &Resume, name: &str) -> Option<String> {
        let folder = own_folder(&resume.place(target), resume);
        let facts = read(&folder).ok().flatten()?.facts;
        facts
            .into_iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value)
    }

    /// Returns the frames that are still needed; `logged` are two ranges of the indices of the logged frames in the next segment.
    pub(crate) fn needs(&self, resume: &Resume, logged: [Range<u64>; 2]) -> Needs {
        Needs {
            segment_frames: resume.segment_frames,
            shard: resume.shard(),
            written: self.state.segments.len() as u64,
            logged: logged.map(|places| [places.start, places.end]),
        }
    }

    /// Records that the shard is complete, of an output of `total` frames, and keeps its segments; returns its folder.
    pub(crate) fn shard_done(mut self, total: u64) -> Result<PathBuf> {
        self.state.total = Some(total);
        self.write()?;
        self.done = true;
        Ok(self.folder.clone())
    }

    /// Links or copies the segments of all `shards` into this job's folder.
    ///
    /// # Errors
    /// [`MediaError::Changed`] where a shard has another fingerprint, [`MediaError::Unsupported`] where one is not complete,
    /// [`MediaError::Unreadable`] where a segment is damaged; those of the file system.
    pub(crate) fn adopt(&mut self, shards: &[PathBuf], segment_frames: u64) -> Result<()> {
        let states = shards.iter().map(|folder| self.shard_state(folder));
        let states = states.collect::<Result<Vec<_>>>()?;
        let total = states.first().and_then(|state| state.total).unwrap_or(0);
        if states.iter().any(|state| state.total != Some(total)) {
            let folder = self.folder.clone();
            let changes = "the shards do not agree on the number of frames".to_owned();
            return Err(MediaError::Changed { folder, changes });
        }
        let segments = usize::try_from(total.div_ceil(segment_frames)).unwrap_or(usize::MAX);
        for index in self.state.segments.len()..segments {
            let (shard, local) = (index % shards.len(), index / shards.len());
            let from = shards[shard].join(format!("{local:06}.nut"));
            let damaged = || {
                MediaError::unreadable(
                    &from,
                    "this segment is not what was written: make its shard again",
                )
            };
            let segment = states[shard].segments.get(local).ok_or_else(damaged)?.clone();
            let to = self.segment_path(index);
            link_or_copy(&from, &to)?;
            if !segment.is_whole(&to) {
                return Err(damaged());
            }
            flush(&to)?;
            self.state.segments.push(segment);
        }
        flush(&self.folder)?;
        self.write()
    }

    /// Reads the journal of a complete shard with this job's fingerprint.
    fn shard_state(&self, folder: &Path) -> Result<State> {
        let unfinished = || {
            let name = folder.display();
            MediaError::Unsupported(format!("the shard in {name} is not done: run its command again"))
        };
        let state = read(folder)?
            .filter(|state| state.total.is_some())
            .ok_or_else(unfinished)?;
        let mut changes = differences(&state.facts, &self.state.facts);
        if state.pictures != self.state.pictures {
            changes.push("the pictures were others".to_owned());
        }
        if changes.is_empty() {
            return Ok(state);
        }
        Err(MediaError::Changed {
            folder: folder.to_owned(),
            changes: changes.join("; "),
        })
    }

    /// Returns the path of segment `index`.
    pub(crate) fn segment_path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index:06}.nut"))
    }

    /// Returns the path of the temporary file of the next segment.
    pub(crate) fn unfinished_path(&self) -> PathBuf {
        self.folder.join("unfinished.nut")
    }

    /// Flushes and renames the temporary file of the next segment, then records it.
    pub(crate) fn add(&mut self, segment: Segment) -> Result<()> {
        let (from, to) = (
            self.unfinished_path(),
            self.segment_path(self.state.segments.len()),
        );
        flush(&from)?;
        wrote();
        fs::rename(&from, &to).map_err(|e| MediaError::io("rename to", &to, e))?;
        flush(&self.folder)?;
        wrote();
        self.state.segments.push(segment);
        self.write()
    }

    /// Records the complete output before it is renamed to its final name.
    pub(crate) fn complete(&mut self, complete: Complete) -> Result<()> {
        self.state.complete = Some(complete);
        self.write()
    }

    /// Removes the folder, after the output was renamed to its final name.
    pub(crate) fn remove(mut self) -> Result<()> {
        self.done = true;
        if let Some(parent) = self.folder.parent().filter(|path| !path.as_os_str().is_empty()) {
            let _ = flush(parent);
        }
        wrote();
        // The journal is removed last: without it, the other files could not be attributed.
        self.state.segments.clear();
        self.sweep(true)?;
        wrote();
        fs::remove_dir_all(&self.folder).map_err(|e| MediaError::io("remove", &self.folder, e))
    }

    /// Truncates the list of segments before the first one that is missing, damaged, or depends on a changed input image.
    fn keep_whole_segments(&mut self) {
        let whole = |(index, segment): &(usize, &Segment)| {
            self.holds(segment.pictures) && segment.is_whole(&self.segment_path(*index))
        };
        let segments = self.state.segments.iter().enumerate();
        let kept = segments.take_while(whole).count();
        self.state.segments.truncate(kept);
    }

    /// Removes segment files that the journal does not list; with `all` the frame log, too.
    fn sweep(&self, all: bool) -> Result<()> {
        let io = |e| MediaError::io("read", &self.folder, e);
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse::<usize>().ok());
            let known = number.is_some_and(|number| number < self.state.segments.len());
            let segment = path.extension().is_some_and(|extension| extension == "nut");
            let log = path.file_name().is_some_and(|name| name == FRAME_LOG);
            if (segment && !known) || (all && log) {
                fs::remove_file(&path).map_err(|e| MediaError::io("remove", &path, e))?;
            }
        }
        Ok(())
    }

    /// Replaces the journal file atomically.
    fn write(&self) -> Result<()> {
        let path = self.folder.join("journal.json");
        let text = serde_json::to_vec_pretty(&self.state).unwrap_or_default();
        let written = rife_files::replace_with(&path, |file| {
            file.write_all(&text)?;
            wrote();
            Ok(())
        });
        written.map_err(|e| MediaError::io("write", &path, e))?;
        wrote();
        Ok(())
    }
}

impl Drop for Journal {
    /// Removes the temporary segment file, and the folder where it holds no completed work.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let _ = fs::remove_file(self.unfinished_path());
        if !self.state.has_work(&self.folder) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Reports whether a file is completed work that the journal does not list: a frame log or an image log.
fn is_work(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name == FRAME_LOG || name == IMAGE_LOG
}

/// Reads the journal in `folder`; `None` where there is none. An error for a folder with other files.
fn read(folder: &Path) -> Result<Option<State>> {
    let refuse = |reason: &str| Err(refused(folder, reason));
    if !is_folder(folder)? {
        return Ok(None);
    }
    let path = folder.join("journal.json");
    let file = match rife_files::open_regular(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            // A run killed before its first journal leaves at most a temporary one.
            let foreign = fs::read_dir(folder)
                .map_err(|e| MediaError::io("read", folder, e))?
                .flatten()
                .any(|entry| !is_new_journal(&entry.file_name()));
            return if foreign {
                refuse("it holds files but no journal")
            } else {
                Ok(None)
            };
        }
        Err(e) => return Err(MediaError::io("open", path, e)),
    };
    let mut text = Vec::new();
    file.take(MAX_JOURNAL)
        .read_to_end(&mut text)
        .map_err(|e| MediaError::io("read", &path, e))?;
    match serde_json::from_slice::<State>(&text) {
        Ok(state) if state.layout == LAYOUT && state.is_sound() => Ok(Some(state)),
        Ok(state) if state.layout == LAYOUT => refuse("its journal is damaged"),
        Ok(_) => refuse("another version of rife has left it"),
        Err(_) => refuse("its journal is damaged"),
    }
}

/// Reports whether a file name is that of a temporary journal, of this or earlier versions, or of an image log's lock file.
fn is_new_journal(name: &std::ffi::OsStr) -> bool {
    name == LOCK || name == "journal.new" || name.to_string_lossy().starts_with(".journal.json.")
}

/// Returns a message for each field that differs between two fingerprints.
fn differences(before: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    let find = |facts: &[(String, String)], name: &str| {
        let fact = facts.iter().find(|(found, _)| found == name);
        fact.map_or_else(|| "absent".to_owned(), |(_, value)| value.clone())
    };
    let mut names: Vec<&String> = before.iter().chain(now).map(|(name, _)| name).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    let pairs = names
        .into_iter()
        .map(|name| (name, find(before, name), find(now, name)));
    pairs
        .filter(|(_, was, is)| was != is)
        .map(|(name, was, is)| {
            // Recorded names of options have the hyphens of a command line, which this crate does not know.
            let name = name.trim_start_matches("--").replace('-', " ");
            format!("{name} was {was} and is {is}")
        })
        .collect()
}

/// Hard-links a file, or copies it where links are not supported.
fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    let _ = fs::remove_file(to);
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)
        .map(drop)
        .map_err(|e| MediaError::io("copy", from, e))
}

/// Flushes a file, or the entries of a folder, to the disk.
fn flush(path: &Path) -> Result<()> {
    if cfg!(windows) && path.is_dir() {
        return Ok(());
    }
    let file = File::open(path).map_err(|e| MediaError::io("open", path, e))?;
    file.sync_all().map_err(|e| MediaError::io("flush", path, e))
}

#[cfg(test)]
mod tests {
    use num_rational::Ratio;

    use super::*;
    use crate::nut::write::Writer;

    fn facts(crf: &str) -> Vec<(String, String)> {
        vec![("input".into(), "a.mp4".into()), ("--crf".into(), crf.into())]
    }

    /// A segment of two frames that end in `content`.
    fn segment(journal: &Journal, content: &[u8]) -> Segment {
        let mut bytes = Writer::header(4, 2, *b"I420", Ratio::new(1, 25), Ratio::from(1));
        for tick in 0..2 {
            bytes.extend(Writer::frame_header(tick, content.len()));
            bytes.extend(content);
        }
        fs::write(journal.unfinished_path(), bytes).unwrap();
        let (sha256, bytes) = sha256(&journal.unfinished_path()).unwrap();
        Segment {
            frames: 2,
            bytes,
            sha256,
            first: [0, 1],
            end: [1, 25],
            tick: 1,
            nudged: 0,
            pictures: 0,
        }
    }

    #[test]
    fn whole_segments_are_kept_and_others_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.mp4");
        let resume = Resume::new(facts("18"));
        let mut journal = Journal::open(&target, &resume).unwrap();
        for content in [b"one", b"two", b"six"] {
            let segment = segment(&journal, content);
            journal.add(segment).unwrap();
        }
        fs::write(journal.unfinished_path(), b"half").unwrap();
        let second = journal.segment_path(1);
        drop(journal);
        let journal = Journal::open(&target, &resume).unwrap();
        assert_eq!(journal.segments().len(), 3);
        drop(journal);
        let mut damaged = fs::read(&second).unwrap();
        *damaged.last_mut().unwrap() ^= 1;
        fs::write(&second, damaged).unwrap();
        let journal = Journal::open(&target, &resume).unwrap();
        assert_eq!(journal.segments().len(), 1, "a damaged segment and all after it");
        assert_eq!(
            fs::read_dir(folder(&target)).unwrap().count(),
            2,
            "one segment and the journal"
        );
        journal.remove().unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_segment_that_lacks_frames_is_forgotten_though_it_is_what_was_written() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.mp4");
        let resume = Resume::new(facts("18"));
        let mut journal = Journal::open(&target, &resume).unwrap();
        for frames in [2, 3] {
            let segment = segment(&journal, b"one");
            journal.add(Segment { frames, ..segment }).unwrap();
        }
        drop(journal);
        assert_eq!(Journal::open(&target, &resume).unwrap().segments().len(), 1);
    }

    #[test]
    fn a_changed_picture_costs_what_depends_on_it() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.mp4");
        let files: Vec<PathBuf> = (0..20).map(|i| place.path().join(format!("{i}.png"))).collect();
        let with = |changed: usize| {
            for (index, file) in files.iter().enumerate() {
                let text = if index == changed { "changed" } else { "as it was" };
                if fs::read(file).ok().as_deref() != Some(text.as_bytes()) {
                    fs::write(file, text).unwrap();
                    let at = std::time::SystemTime::UNIX_EPOCH;
                    fs::File::options()
                        .write(true)
                        .open(file)
                        .unwrap()
                        .set_modified(at)
                        .unwrap();
                }
            }
            Resume {
                pictures: Some(Pictures::of_files(&files).unwrap()),
                ..Resume::new(facts("18"))
            }
        };
        for (changed, kept) in [(99, 3), (15, 3), (14, 2), (10, 2), (9, 1), (5, 1), (4, 0)] {
            let mut journal = Journal::open(&target, &with(99)).unwrap();
            for pictures in [5, 10, 15] {
                let segment = segment(&journal, b"one");
                journal.add(Segment { pictures, ..segment }).unwrap();
            }
            drop(journal);
            let journal = Journal::open(&target, &with(changed)).unwrap();
            assert_eq!(journal.segments().len(), kept, "picture {changed}");
            assert_eq!(journal.holds(15), changed >= 15);
            journal.remove().unwrap();
        }
        let mut journal = Journal::open(&target, &with(99)).unwrap();
        let first = segment(&journal, b"one");
        journal.add(first).unwrap();
        drop(journal);
        let said = Journal::open(&target, &with(0)).unwrap_err().to_string();
        assert!(
            said.contains("the first picture was ") && said.contains("0.png of 9 bytes"),
            "{said}"
        );
    }

    #[test]
    fn another_job_is_refused_with_what_changed() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.mp4");
        let mut journal = Journal::open(&target, &Resume::new(facts("18"))).unwrap();
        let first = segment(&journal, b"one");
        journal.add(first).unwrap();
        drop(journal);
        let mut other = Resume::new(facts("20"));
        let message = Journal::open(&target, &other).unwrap_err().to_string();
        assert!(
            message.contains("crf was 18 and is 20") && !message.contains("input was"),
            "{message}"
        );
        other.restart = true;
        assert!(Journal::open(&target, &other).unwrap().segments().is_empty());
        assert!(
            !folder(&target).exists(),
            "a job without a segment leaves nothing"
        );
    }

    #[test]
    fn each_segment_is_one_shards() {
        let needs = |index, written| Needs {
            segment_frames: 10,
            shard: Shard { index, count: 3 },
            written,
            logged: [[0, 0]; 2],
        };
        let frames = [0, 9, 10, 25, 30, 39, 60];
        let of = |needs: Needs| frames.map(|frame| needs.of(frame));
        use Need::{Elsewhere as E, Make as M, Written as W};
        assert_eq!(of(needs(1, 0)), [M, M, E, E, M, M, M]);
        assert_eq!(of(needs(1, 2)), [W, W, E, E, W, W, M]);
        assert_eq!(of(needs(3, 0)), [E, E, E, M, E, E, E]);
        let logged = Needs {
            logged: [[0, 0], [2, 5]],
            ..needs(3, 0)
        };
        assert_eq!(
            [20, 21, 22, 24, 25, 52].map(|frame| logged.of(frame)),
            [M, M, W, W, M, M]
        );
        assert!(logged.is_logged(22) && !logged.is_logged(52) && !logged.is_logged(12));
        assert_eq!(Needs::ALL.of(u64::MAX - 1), M);
    }

    #[test]
    fn names_and_numbers_out_of_range_are_refused_in_words() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("o.mp4");
        for name in [
            "1-of-4294967295",
            "0-of-2",
            "3-of-2",
            "1-of-99999999999",
            "x-of-2",
        ] {
            let folder = place.path().join(format!("o.mp4.rife-shard-{name}"));
            fs::create_dir(&folder).unwrap();
            let error = shards(&target).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("1 to 10000"), "{error}");
            fs::remove_dir(folder).unwrap();
        }
        fs::create_dir(place.path().join("o.mp4.rife-shard-1-of-10000")).unwrap();
        let error = shards(&target).unwrap_err().to_string();
        assert!(error.contains("2-of-10000 is missing"), "{error}");
        fs::create_dir(folder(&target)).unwrap();
        let journal = String::from_utf8(sound()).unwrap();
        for (from, to) in [
            (r#""frames":250"#, r#""frames":18446744073709551615"#),
            (r#""frames":250"#, r#""frames":0"#),
            (r#""end":[250,25]"#, r#""end":[-9223372036854775808,25]"#),
            (r#""first":[250,25]"#, r#""first":[9223372036854775807,1]"#),
            (r#""tick":250"#, r#""tick":9223372036854775807"#),
            (r#""total":500"#, r#""total":18446744073709551615"#),
        ] {
            assert!(journal.contains(from), "{from} in {journal}");
            fs::write(folder(&target).join("journal.json"), journal.replace(from, to)).unwrap();
            let error = Journal::open(&target, &Resume::new(facts("18"))).unwrap_err();
            assert!(error.to_string().contains("journal is damaged"), "{error}");
        }
    }

    #[test]
    fn a_shard_that_does_not_fit_to_another_is_refused_before_it_begins() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.mp4");
        let shard = |index, count, crf| Resume {
            share: Some(Share::Shard(Shard { index, count })),
            ..Resume::new(facts(crf))
        };
        let first = Journal::open(&target, &shard(1, 2, "18"))
            .unwrap()
            .shard_done(0)
            .unwrap();
        let other = Journal::open(&target, &shard(2, 2, "20"))
            .unwrap_err()
            .to_string();
        assert!(
            other.contains("shard-1-of-2") && other.contains("crf was 18 and is 20"),
            "{other}"
        );
        let division = Journal::open(&target, &shard(2, 3, "18"))
            .unwrap_err()
            .to_string();
        assert!(division.contains("another division"), "{division}");
        let mut again = shard(2, 2, "20");
        again.restart = true;
        assert!(
            Journal::open(&target, &again).is_ok(),
            "a restart of all begins with one"
        );
        assert!(Journal::open(&target, &shard(2, 2, "18")).is_ok());
        assert!(first.is_dir());
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_touched() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.mp4");
        fs::create_dir(folder(&target)).unwrap();
        fs::write(folder(&target).join("000000.nut"), b"theirs").unwrap();
        assert!(Journal::open(&target, &Resume::new(facts("18"))).is_err());
        assert_eq!(fs::read(folder(&target).join("000000.nut")).unwrap(), b"theirs");
    }

    use proptest::prelude::*;

    /// A journal of two segments.
    fn sound() -> Vec<u8> {
        let segment = |first: i64| Segment {
            frames: 250,
            bytes: 3,
            sha256: "ab".repeat(32),
            first: [first, 25],
            end: [first + 250, 25],
            tick: first,
            nudged: 0,
            pictures: 0,
        };
        serde_json::to_vec(&State {
            layout: LAYOUT,
            facts: facts("18"),
            pictures: Vec::new(),
            segments: vec![segment(0), segment(250)],
            complete: None,
            total: Some(500),
            command: None,
        })
        .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn damaged_journals_are_refused_or_found_without_their_segments(bytes in crate::damaged::damaged(&sound())) {
            let place = tempfile::tempdir().unwrap();
            let target = place.path().join("out.mp4");
            fs::create_dir(folder(&target)).unwrap();
            fs::write(folder(&target).join("journal.json"), &bytes).unwrap();
            if let Ok(journal) = Journal::open(&target, &Resume::new(facts("18"))) {
                prop_assert_eq!(journal.segments().len(), 0);
            }
        }
    }
}
