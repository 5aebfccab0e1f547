//! Entry points of fuzz targets (`fuzz/`) for parsers that are private to this crate: compiled with the feature `fuzzing`,
//! which tests and the targets enable. Each returns whether it accepted the data.

use std::fs;
use std::path::Path;

use num_rational::Ratio;

use crate::nut::read::Reader;
use crate::nut::write::Writer;
use crate::persist::folder::{FRAME_LOG, folder, sha256_of};
use crate::persist::frame_log::{FrameLog, Logged, Owner};
use crate::persist::journal::{Journal, Resume};
use crate::probe::fuzzing as probed;
use crate::time;

/// Bytes of a frame in the NUT streams and frame logs of the corpus: 4x2 pixels of 4:2:0.
const FRAME: usize = 12;

/// Writes a NUT stream of frames with these times in ticks.
fn stream(ticks: &[i64]) -> Vec<u8> {
    let mut bytes = Writer::header(4, 2, *b"I420", Ratio::new(1, 25), Ratio::from(1));
    for &tick in ticks {
        bytes.extend(Writer::frame_header(tick, FRAME));
        bytes.extend([tick as u8; FRAME]);
    }
    bytes
}

/// Demuxes a NUT stream as raw frames of 12 bytes, and counts its coded frames.
#[must_use]
pub fn nut(data: &[u8]) -> bool {
    let mut reader = Reader::new(data);
    let mut frame = Vec::new();
    let accepted = loop {
        match reader.next_frame(FRAME, &mut frame) {
            Ok(Some(ticks)) => drop(time::from_ticks(ticks, reader.time_base())),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let mut reader = Reader::new(data);
    while reader.skip_frame().is_ok_and(|more| more) {}
    accepted
}

/// Opens a journal whose two segments exist; true where it accepts at least one segment.
///
/// # Panics
/// Where the temporary folder cannot be written.
#[must_use]
pub fn journal(data: &[u8]) -> bool {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("out.mp4");
    let work = folder(&target);
    fs::create_dir(&work).unwrap();
    fs::write(work.join("journal.json"), data).unwrap();
    for name in ["000000.nut", "000001.nut"] {
        fs::write(work.join(name), stream(&[0, 1])).unwrap();
    }
    let facts = [("the input", "abc"), ("the quality", "18")];
    let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let resume = Resume::new(facts.to_vec());
    let _ = Journal::completed(&target, &Resume::new(Vec::new()));
    let _ = Journal::recorded(&target, &resume, "the input");
    let Ok(journal) = Journal::open(&target, &resume) else {
        return false;
    };
    let segments = journal.segments();
    let frames: u64 = segments.iter().map(|segment| segment.frames).sum();
    let _ = journal.needs(&resume, [0..0, 0..0]).of(frames);
    !segments.is_empty()
}

/// Opens a log of frames; true where it has a complete record.
///
/// # Panics
/// Where the temporary folder cannot be written.
#[must_use]
pub fn frame_log(data: &[u8]) -> bool {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join(FRAME_LOG), data).unwrap();
    let owner = Owner {
        job: [7; 32],
        segment: 3,
        frames: 10,
        size: FRAME,
    };
    let mut log = FrameLog::open(place.path(), owner);
    let [first, second] = log.places();
    let mut samples = Vec::new();
    for place in first.clone().chain(second) {
        log.read(place, &mut samples).unwrap();
    }
    !first.is_empty()
}

/// Parses ffprobe's report about a file.
#[must_use]
pub fn probe_report(data: &[u8]) -> bool {
    probed::report(data)
}

/// Reads the headers of a container for its stated length and for encryption; true where it found either.
///
/// # Panics
/// Where the temporary file cannot be written.
#[must_use]
pub fn container(data: &[u8]) -> bool {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, data).unwrap();
    let path: &Path = file.path();
    // All of them, since each reader has to survive every file.
    let found = probed::CONTAINERS.map(|name| probed::headers(path, name));
    found.contains(&true)
}

/// Writes the files of the corpus that this crate's writers make into the folder of the corpus.
///
/// # Panics
/// Where a file cannot be written.
pub fn write_corpus(corpus: &Path) {
    fs::write(corpus.join("nut").join("empty.nut"), stream(&[])).unwrap();
    fs::write(corpus.join("nut").join("two_frames.nut"), stream(&[0, 1])).unwrap();
    fs::write(
        corpus.join("nut").join("far_apart.nut"),
        stream(&[0, 100_000, 1 << 40]),
    )
    .unwrap();

    let place = tempfile::tempdir().unwrap();
    let owner = Owner {
        job: [7; 32],
        segment: 3,
        frames: 10,
        size: FRAME,
    };
    let mut log = FrameLog::open(place.path(), owner);
    for tick in 0..3 {
        let span = [tick, tick + 1].map(|tick| Ratio::new(tick, 25));
        let frame = Logged {
            tick,
            span,
            nudged: tick == 2,
            pictures: 9,
        };
        log.push(tick as u64, frame, &[tick as u8; FRAME]);
    }
    let made = corpus.join("frame_log").join("three_frames");
    fs::copy(place.path().join(FRAME_LOG), made).unwrap();

    let whole = stream(&[0, 1]);
    let segment = |number: i64, hash: String| {
        serde_json::json!({
            "frames": 2, "bytes": whole.len(), "sha256": hash, "first": [2 * number, 25], "end": [2 * number + 2, 25],
            "tick": 2 * number + 1, "nudged": 0
        })
    };
    let write = |name: &str, second: String, complete: serde_json::Value| {
        let journal = serde_json::json!({
            "layout": 1, "facts": [["the input", "abc"], ["the quality", "18"]],
            "segments": [segment(0, sha256_of(&whole)), segment(1, second)], "complete": complete
        });
        fs::write(corpus.join("journal").join(name), journal.to_string()).unwrap();
    };
    write("two_segments.json", sha256_of(&whole), serde_json::Value::Null);
    write("changed_segment.json", "ab".repeat(32), serde_json::Value::Null);
    let complete =
        serde_json::json!({"sha256": "cd".repeat(32), "bytes": 900, "frames": 4, "duration": [4, 25]});
    write("complete.json", sha256_of(&whole), complete);
}
