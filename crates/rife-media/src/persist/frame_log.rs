//! Write-ahead log of the frames of the segment that is being encoded, since an interrupted encoder loses the frames that it
//! was sent. The next run sends the logged frames to a new encoder instead of interpolating them again, so that the segment's
//! bytes are those of an uninterrupted run.
//!
//! The file has a header (magic number, segment index, bytes per frame, SHA-256 of the job fingerprint) and a record per
//! frame: eight numbers, a CRC-32 of them and of the samples, and the raw samples. All numbers are 64-bit little endian.
//! Records are in the order of writing, which differs from frame order where an earlier run began to log within the segment;
//! of two records of one frame the later counts. A killed process loses no record, a power failure those of the last
//! seconds; an incomplete record is cut off.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::{self, FRAME_LOG};
use crate::Time;
use crate::time::from_fraction;

/// The first bytes of the file.
const MAGIC: &[u8; 8] = b"rifelog1";
/// Size of the header in bytes.
const HEADER: usize = 8 + 8 + 8 + 32;
/// Size in bytes of a record before the samples.
const HEAD: usize = 9 * 8;

/// Maximum work that an interruption loses: after a segment that took less, the next one is logged only from this time on, so
/// that the disk does not slow down fast jobs.
const AT_STAKE: Duration = Duration::from_secs(5);
/// Interval at which the log is flushed to the disk.
const FLUSH: Duration = Duration::from_secs(5);

/// A logged frame without its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Logged {
    /// Time in ticks of the output's time base.
    pub(crate) tick: i64,
    /// Start and end of its display in seconds.
    pub(crate) span: [Time; 2],
    /// True where its tick was increased since it equalled the previous one.
    pub(crate) nudged: bool,
    /// Number of input images that had been read before it was made.
    pub(crate) pictures: u64,
}

/// The job and segment that a log belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// SHA-256 of the job fingerprint.
    pub(crate) job: [u8; 32],
    /// Index of the segment.
    pub(crate) segment: u64,
    /// Number of frames of a complete segment.
    pub(crate) frames: u64,
    /// Bytes per frame.
    pub(crate) size: usize,
}

/// The log of the current segment of a job.
#[derive(Debug)]
pub(crate) struct FrameLog {
    path: PathBuf,
    owner: Owner,
    /// The log file; `None` where no frame of the segment is logged.
    file: Option<File>,
    /// Index in the segment and frame of each record, in file order.
    records: Vec<(u64, Logged)>,
    /// Record number of each logged frame, by index in the segment.
    index: BTreeMap<u64, usize>,
    /// True once the disk was full; existing records stay, since frames may still be read from them.
    full: bool,
    /// Time at which the segment was begun.
    began: Instant,
    /// True where the previous segment took less than [`AT_STAKE`].
    quick: bool,
    /// Time of the last flush.
    flushed: Instant,
}

impl FrameLog {
    /// Opens the log in `folder` with the complete records of an earlier run, or an empty one where it belongs to another job or
    /// segment.
    pub(crate) fn open(folder: &Path, owner: Owner) -> Self {
        let mut log = Self {
            path: folder.join(FRAME_LOG),
            owner,
            file: None,
            records: Vec::new(),
            index: BTreeMap::new(),
            full: false,
            began: Instant::now(),
            quick: false,
            flushed: Instant::now(),
        };
        if log.path.symlink_metadata().is_ok() && log.take_up().is_err() {
            log.clear();
        }
        log
    }

    /// Reads all records of an existing log and cuts off an incomplete one; an error where it belongs to another job or segment.
    fn take_up(&mut self) -> io::Result<()> {
        let mut file = rife_files::open_own(&self.path)?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        if header != self.owner.header() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut samples = Vec::new();
        while let Ok(Some((place, frame))) = read(&mut file, self.owner.size, &mut samples) {
            if place >= self.owner.frames {
                break;
            }
            self.add(place, frame);
        }
        self.file = Some(file);
        self.cut(self.records.len())
    }

    /// Appends a record of the frame with index `place` in the segment to the list in memory.
    fn add(&mut self, place: u64, frame: Logged) {
        self.index.insert(place, self.records.len());
        self.records.push((place, frame));
    }

    /// Truncates the log to its first `records` records; an error where these are none.
    fn cut(&mut self, records: usize) -> io::Result<()> {
        self.records.truncate(records);
        let places = self.records.iter().enumerate();
        self.index = places.map(|(record, (place, _))| (*place, record)).collect();
        match &self.file {
            Some(file) if records > 0 => file.set_len(self.at(records)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Truncates the log before the first record whose frame fails `holds`.
    pub(crate) fn keep(&mut self, holds: impl Fn(&Logged) -> bool) {
        let kept = self.records.iter().take_while(|(_, frame)| holds(frame)).count();
        if kept < self.records.len() && self.cut(kept).is_err() {
            self.clear();
        }
    }

    /// Returns the indices in the segment of the logged frames, as their first two contiguous ranges: those logged by this run
    /// from the segment's start on, and those of an earlier run that began to log later.
    pub(crate) fn places(&self) -> [Range<u64>; 2] {
        let mut ranges = [0..0, 0..0];
        let mut number = 0;
        for &place in self.index.keys() {
            if ranges[number].is_empty() {
                ranges[number] = place..place;
            } else if ranges[number].end != place {
                number += 1;
                if number == ranges.len() {
                    break;
                }
                ranges[number] = place..place;
            }
            ranges[number].end = place + 1;
        }
        ranges
    }

    /// Reports whether the frame with index `place` in the segment is logged.
    pub(crate) fn holds(&self, place: u64) -> bool {
        self.index.contains_key(&place)
    }

    /// Returns the file offset of the record after `records` records.
    fn at(&self, records: usize) -> u64 {
        HEADER as u64 + records as u64 * (HEAD + self.owner.size) as u64
    }

    /// Reads the logged frame with index `place` in the segment, and its raw samples into `samples`.
    ///
    /// # Errors
    /// Errors of reading; [`io::ErrorKind::InvalidData`] where the checksum or index does not match.
    pub(crate) fn read(&mut self, place: u64, samples: &mut Vec<u8>) -> io::Result<Logged> {
        let at = self.index.get(&place).map(|record| self.at(*record));
        let (Some(file), Some(at)) = (&mut self.file, at) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.seek(SeekFrom::Start(at))?;
        let found = read(file, self.owner.size, samples)?;
        let frame = found.filter(|(found, _)| *found == place).map(|(_, frame)| frame);
        frame.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Logs the frame with index `place` in the segment, unless segments are so fast that logging is not worthwhile, or the disk
    /// has too little free space.
    pub(crate) fn push(&mut self, place: u64, frame: Logged, samples: &[u8]) {
        if self.file.is_none() && (!self.quick || self.began.elapsed() >= AT_STAKE) {
            self.file = self.create(place);
        }
        let at = self.at(self.records.len());
        let Some(file) = self.file.as_mut().filter(|_| !self.full) else {
            return;
        };
        if append(file, at, place, &frame, samples).is_err() {
            self.full = true;
            let _ = file.set_len(at);
            return;
        }
        if self.flushed.elapsed() >= FLUSH {
            let _ = file.sync_data();
            self.flushed = Instant::now();
        }
        self.add(place, frame);
        folder::wrote();
    }

    /// Creates a log file that begins with frame `place`; `None` where the disk has less than twice the space of the segment's
    /// remaining frames.
    fn create(&self, place: u64) -> Option<File> {
        let frames = self.owner.frames.saturating_sub(place);
        let wanted = (self.owner.size as u64).saturating_mul(frames);
        if !has_room(self.path.parent()?, wanted.saturating_mul(2)) {
            return None;
        }
        let mut file = rife_files::open_own(&self.path).ok()?;
        let begun = file
            .set_len(0)
            .and_then(|()| file.write_all(&self.owner.header()));
        begun.is_ok().then_some(file)
    }

    /// Empties the log for the segment with this index, after the previous one was completed.
    pub(crate) fn next(&mut self, segment: u64) {
        self.clear();
        self.owner.segment = segment;
        self.quick = self.began.elapsed() < AT_STAKE;
        self.began = Instant::now();
    }

    /// Removes the log file and all frames.
    fn clear(&mut self) {
        let _ = fs::remove_file(&self.path);
        (self.file, self.full) = (None, false);
        self.records.clear();
        self.index.clear();
    }
}

impl Owner {
    /// Returns the header of the log file.
    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..16].copy_from_slice(&self.segment.to_le_bytes());
        header[16..24].copy_from_slice(&(self.size as u64).to_le_bytes());
        header[24..].copy_from_slice(&self.job);
        header
    }
}

/// Reports whether the file system of `folder` has more than `bytes` free bytes; false where unknown.
fn has_room(folder: &Path, bytes: u64) -> bool {
    #[cfg(unix)]
    let left = rustix::fs::statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    let left: Result<u64, ()> = {
        let _ = folder;
        Err(())
    };
    left.is_ok_and(|left| left > bytes)
}

/// Writes a record at the file offset `at`.
fn append(file: &mut File, at: u64, place: u64, frame: &Logged, samples: &[u8]) -> io::Result<()> {
    let [start, end] = frame.span;
    let numbers = [
        place as i64,
        frame.tick,
        *start.numer(),
        *start.denom(),
        *end.numer(),
        *end.denom(),
        i64::from(frame.nudged),
        frame.pictures as i64,
    ];
    let mut head: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    head.extend(checksum(&head, samples).to_le_bytes());
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&head)?;
    file.write_all(samples)
}

/// Computes the CRC-32 of a record's numbers and samples.
fn checksum(numbers: &[u8], samples: &[u8]) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(numbers);
    hasher.update(samples);
    u64::from(hasher.finalize())
}

/// Reads the next record: the frame's index in the segment, the frame, and its samples into `samples`, `size` bytes; `None` at
/// the end and for an incomplete or damaged record.
fn read(file: &mut File, size: usize, samples: &mut Vec<u8>) -> io::Result<Option<(u64, Logged)>> {
    let mut head = [0; HEAD];
    match file.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    samples.clear();
    file.take(size as u64).read_to_end(samples)?;
    let mut numbers = [0_i64; HEAD / 8];
    for (number, bytes) in numbers.iter_mut().zip(head.chunks_exact(8)) {
        let mut eight = [0; 8];
        eight.copy_from_slice(bytes);
        *number = i64::from_le_bytes(eight);
    }
    let whole = samples.len() == size && numbers[8] as u64 == checksum(&head[..HEAD - 8], samples);
    let [place, tick, start, per_start, end, per_end, nudged, pictures, _] = numbers;
    let span = from_fraction([start, per_start]).zip(from_fraction([end, per_end]));
    Ok(span.filter(|_| whole).map(|(start, end)| {
        let frame = Logged {
            tick,
            span: [start, end],
            nudged: nudged != 0,
            pictures: pictures as u64,
        };
        (place as u64, frame)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 4;

    fn owner() -> Owner {
        Owner {
            job: [7; 32],
            segment: 3,
            frames: 10,
            size: SIZE,
        }
    }

    fn frame(tick: i64) -> Logged {
        let time = |tick: i64| Time::new(tick, 25);
        Logged {
            tick,
            span: [time(tick), time(tick + 1)],
            nudged: tick == 2,
            pictures: 9,
        }
    }

    fn open(folder: &Path) -> FrameLog {
        FrameLog::open(folder, owner())
    }

    /// The places that are logged, which are in one range.
    fn places(log: &FrameLog) -> Range<u64> {
        let [places, others] = log.places();
        assert!(others.is_empty(), "{others:?}");
        places
    }

    /// A log of frames 0, 1 and 2, as a file.
    fn three(folder: &Path) -> Vec<u8> {
        let mut log = open(folder);
        assert!(places(&log).is_empty());
        for tick in 0..3 {
            log.push(tick as u64, frame(tick), &[tick as u8; SIZE]);
        }
        fs::read(folder.join(FRAME_LOG)).unwrap()
    }

    #[test]
    fn whole_frames_are_found_again_and_torn_ones_cut_off() {
        let place = tempfile::tempdir().unwrap();
        let whole = three(place.path());
        let record = HEAD + SIZE;
        for (length, found) in [
            (whole.len(), 3),
            (whole.len() - 1, 2),
            (HEADER + record, 1),
            (HEADER + record - 1, 0),
            (HEADER, 0),
            (3, 0),
            (0, 0),
        ] {
            fs::write(place.path().join(FRAME_LOG), &whole[..length]).unwrap();
            let mut log = open(place.path());
            assert_eq!(places(&log), 0..found, "{length} bytes");
            assert_eq!(place.path().join(FRAME_LOG).exists(), found > 0);
            let mut samples = Vec::new();
            for tick in 0..found as i64 {
                assert_eq!(log.read(tick as u64, &mut samples).unwrap(), frame(tick));
                assert_eq!(samples, [tick as u8; SIZE]);
            }
            // And it goes on from there.
            log.push(found, frame(found as i64), &[9; SIZE]);
            drop(log);
            assert_eq!(places(&open(place.path())), 0..found + 1);
        }
    }

    #[test]
    fn every_changed_bit_is_seen_and_another_log_is_not_taken() {
        let place = tempfile::tempdir().unwrap();
        let whole = three(place.path());
        for byte in 0..whole.len() {
            let mut changed = whole.clone();
            changed[byte] ^= 1;
            fs::write(place.path().join(FRAME_LOG), changed).unwrap();
            let before = (byte.saturating_sub(HEADER) / (HEAD + SIZE)) as u64;
            assert_eq!(places(&open(place.path())), 0..before, "byte {byte}");
        }
        let other = [
            Owner {
                job: [8; 32],
                ..owner()
            },
            Owner {
                segment: 4,
                ..owner()
            },
            Owner { size: 5, ..owner() },
        ];
        for other in other {
            fs::write(place.path().join(FRAME_LOG), &whole).unwrap();
            assert!(places(&FrameLog::open(place.path(), other)).is_empty());
            assert!(!place.path().join(FRAME_LOG).exists());
        }
        fs::write(place.path().join(FRAME_LOG), &whole).unwrap();
        let shorter = Owner { frames: 2, ..owner() };
        assert_eq!(places(&FrameLog::open(place.path(), shorter)), 0..2);
    }

    #[test]
    fn after_a_quick_segment_the_log_begins_when_something_is_at_stake() {
        let place = tempfile::tempdir().unwrap();
        let mut log = open(place.path());
        log.push(0, frame(0), &[0; SIZE]);
        log.next(4);
        assert!(!place.path().join(FRAME_LOG).exists());
        log.push(0, frame(10), &[0; SIZE]);
        assert!(!place.path().join(FRAME_LOG).exists(), "the one before was quick");
        log.began = Instant::now().checked_sub(AT_STAKE).unwrap();
        log.push(1, frame(11), &[1; SIZE]);
        assert_eq!(places(&log), 1..2);
        drop(log);
        let mut log = FrameLog::open(
            place.path(),
            Owner {
                segment: 4,
                ..owner()
            },
        );
        assert_eq!(places(&log), 1..2);
        assert_eq!(log.read(1, &mut Vec::new()).unwrap(), frame(11));
        assert!(log.read(0, &mut Vec::new()).is_err());
        log.keep(|frame| frame.pictures < 9);
        assert!(places(&log).is_empty() && !place.path().join(FRAME_LOG).exists());
    }

    #[test]
    fn a_run_that_makes_the_frames_before_the_log_again_logs_them_and_those_after() {
        let place = tempfile::tempdir().unwrap();
        let logged = |tick: i64| (tick as u64, frame(tick), [tick as u8; SIZE]);
        let push = |log: &mut FrameLog, ticks: Range<i64>| {
            for (place, frame, samples) in ticks.map(logged) {
                log.push(place, frame, &samples);
            }
        };
        let mut log = open(place.path());
        // The log of the first run began within the segment; each run is killed.
        push(&mut log, 4..6);
        drop(log);
        let mut log = open(place.path());
        assert_eq!(places(&log), 4..6);
        push(&mut log, 0..2);
        drop(log);
        let mut log = open(place.path());
        assert_eq!(log.places(), [0..2, 4..6]);
        push(&mut log, 2..4);
        push(&mut log, 6..8);
        drop(log);
        let mut log = open(place.path());
        assert_eq!(places(&log), 0..8);
        let mut samples = Vec::new();
        for (place, frame, bytes) in (0..8).map(logged) {
            assert_eq!(log.read(place, &mut samples).unwrap(), frame);
            assert_eq!(samples, bytes);
        }
    }
}
