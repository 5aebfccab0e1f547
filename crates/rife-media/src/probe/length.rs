//! Truncation check: compares the size and duration that a container's header states with those of the file, for example
//! after an interrupted download.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::MediaInfo;
use crate::time::seconds;
use crate::{Time, isobmff};

/// Maximum number of RIFF chunks that are read; an AVI file has one for every gigabyte.
const MAX_CHUNKS: usize = 200_000;
/// Number of bytes at the start of an FLV or ASF file that are searched for its stated size.
const HEADER: usize = 1 << 16;
/// The GUID of the File Properties Object of ASF.
const ASF_PROPERTIES: [u8; 16] = [
    0xA1, 0xDC, 0xAB, 0x8C, 0x47, 0xA9, 0xCF, 0x11, 0x8E, 0xE4, 0x00, 0xC0, 0x0C, 0x20, 0x53, 0x65,
];

/// Returns a message with stated and found size and duration of a truncated file; `None` for a complete file and where the
/// header states neither.
pub(super) fn cut_off(info: &MediaInfo) -> Option<String> {
    let (stream, video) = info.main_video()?;
    let start = stream.start.unwrap_or_default();
    let found = video.end.map(|end| end - start);
    let announced = stream.duration.or(info.duration);
    let bytes = announced_bytes(info);
    if bytes.is_none() && !is_short(info, announced, found) {
        return None;
    }
    let length = bytes.map(|(announced, found)| format!("{announced} bytes, {found} are there"));
    let time = announced.map(|announced| {
        let found = found.map_or(String::new(), |found| {
            format!(", {:.3} s of video are there", seconds(found))
        });
        format!("{:.3} s{found}", seconds(announced))
    });
    let values: Vec<String> = length.into_iter().chain(time).collect();
    let values = values.join("; ");
    Some(format!(
        "the file is cut off: its header announces {values}. What is missing is missing in the result"
    ))
}

/// Reports whether an AVI or MP4 file has less video than its frame table states: more than a second and 5 % are missing.
fn is_short(info: &MediaInfo, announced: Option<Time>, found: Option<Time>) -> bool {
    let counted = info.container == "avi" || info.container.contains("mov");
    let short = |(announced, found): (Time, Time)| {
        let missing = announced - found;
        missing > Time::from(1) && missing * 20 > announced
    };
    counted && announced.zip(found).is_some_and(short)
}

/// Returns stated and actual size in bytes of a file that is shorter than its header states; else `None`.
fn announced_bytes(info: &MediaInfo) -> Option<(u64, u64)> {
    let mut file = File::open(&info.path).ok()?;
    let length = file.metadata().ok()?.len();
    let announced = match info.container.as_str() {
        "avi" => riff(&mut file, length),
        "flv" => flv(&mut file),
        "asf" => asf(&mut file),
        container if container.contains("mov") => boxes(&file, length),
        container if container.contains("matroska") => ebml(&mut file),
        _ => None,
    };
    announced
        .filter(|announced| *announced > length)
        .map(|announced| (announced, length))
}

/// Returns the end offset of the last top-level box of an ISO base media file (MP4, QuickTime), which exceeds `length` in a
/// truncated file; `None` where a box is invalid.
fn boxes(file: &File, length: u64) -> Option<u64> {
    let mut end = None;
    for found in isobmff::boxes(file, 0..length) {
        let found = found.ok()?;
        if !found.kind.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
            return None;
        }
        end = Some(found.payload.end);
    }
    end
}

/// Returns the end offset of the last RIFF chunk of an AVI file of `length` bytes; `None` where a chunk is invalid.
fn riff(file: &mut File, length: u64) -> Option<u64> {
    let mut at = 0_u64;
    for _ in 0..MAX_CHUNKS {
        let header: [u8; 8] = read(file, at)?;
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        if &header[..4] != b"RIFF" || size == 0 {
            return None;
        }
        at += 8 + u64::from(size);
        if at >= length {
            return Some(at);
        }
        at += u64::from(size % 2);
    }
    None
}

/// Returns the end offset of a Matroska file's segment; `None` where its size is unknown, as in live streams.
fn ebml(file: &mut File) -> Option<u64> {
    let start: [u8; 4] = read(file, 0)?;
    let (size, width) = ebml_size(file, 4)?;
    let segment = (4 + width).checked_add(size?)?;
    let id: [u8; 4] = read(file, segment)?;
    if start != [0x1A, 0x45, 0xDF, 0xA3] || id != [0x18, 0x53, 0x80, 0x67] {
        return None;
    }
    let (size, width) = ebml_size(file, segment + 4)?;
    (segment + 4 + width).checked_add(size?)
}

/// Reads the EBML size at offset `at`; returns the size (`None`: unknown) and the number of bytes that encode it.
fn ebml_size(file: &mut File, at: u64) -> Option<(Option<u64>, u64)> {
    let first = read::<1>(file, at)?[0];
    let width = first.leading_zeros() as usize + 1;
    let mut bytes = [0; 8];
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(bytes.get_mut(8_usize.checked_sub(width)?..)?)
        .ok()?;
    let mask = (1_u64 << (7 * width)) - 1;
    let size = u64::from_be_bytes(bytes) & mask;
    Some(((size != mask).then_some(size), width as u64))
}

/// Returns the file size in bytes that an FLV file's metadata states as `filesize`.
fn flv(file: &mut File) -> Option<u64> {
    let start = beginning(file)?;
    let name = b"filesize\0";
    let at = start.windows(name.len()).position(|window| window == name)? + name.len();
    let size = f64::from_be_bytes(start.get(at..at + 8)?.try_into().ok()?);
    (size > 0.0 && size < 1e15).then_some(size as u64)
}

/// Returns the file size in bytes of an ASF file's File Properties Object; `None` for live streams, where it is invalid.
fn asf(file: &mut File) -> Option<u64> {
    let start = beginning(file)?;
    let at = start.windows(16).position(|window| window == ASF_PROPERTIES)?;
    let field =
        |offset: usize| -> Option<[u8; 8]> { start.get(at + offset..at + offset + 8)?.try_into().ok() };
    let live = field(88)?[0] & 1 == 1;
    field(40).filter(|_| !live).map(u64::from_le_bytes)
}

/// Reads the first [`HEADER`] bytes of a file, or all of a shorter one.
fn beginning(file: &mut File) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(HEADER as u64).read_to_end(&mut start).ok()?;
    Some(start)
}

/// Reads `N` bytes at offset `at`; `None` where the file ends before.
fn read<const N: usize>(file: &File, at: u64) -> Option<[u8; N]> {
    isobmff::read(file, at).ok()
}
