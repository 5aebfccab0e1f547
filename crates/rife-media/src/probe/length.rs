//! Length that a container announces, against the length of the file: what is missing of one that was cut off, as by a
//! download that was interrupted.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::MediaInfo;
use crate::Time;
use crate::time::seconds;

/// The most boxes or chunks that are looked at; a file of fragments has thousands.
const MAX_PARTS: usize = 200_000;
/// How far into an FLV or ASF file its announcements are looked for.
const HEADER: usize = 1 << 16;
/// The `GUID` of ASF's file properties.
const ASF_PROPERTIES: [u8; 16] = [
    0xA1, 0xDC, 0xAB, 0x8C, 0x47, 0xA9, 0xCF, 0x11, 0x8E, 0xE4, 0x00, 0xC0, 0x0C, 0x20, 0x53, 0x65,
];

/// What is missing of a file, in words, with both figures; nothing where all that its header announces is there, and where
/// it announces nothing.
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
    let figures: Vec<String> = length.into_iter().chain(time).collect();
    let figures = figures.join("; ");
    Some(format!(
        "the file is cut off: its header announces {figures}. What is missing is missing in the result"
    ))
}

/// Whether much less video is there than a table of all frames announces.
fn is_short(info: &MediaInfo, announced: Option<Time>, found: Option<Time>) -> bool {
    let counted = info.container == "avi" || info.container.contains("mov");
    let short = |(announced, found): (Time, Time)| {
        let missing = announced - found;
        missing > Time::from(1) && missing * 20 > announced
    };
    counted && announced.zip(found).is_some_and(short)
}

/// The bytes that a file should have, and those that it has, where the latter are fewer.
fn announced_bytes(info: &MediaInfo) -> Option<(u64, u64)> {
    let mut file = File::open(&info.path).ok()?;
    let length = file.metadata().ok()?.len();
    let announced = match info.container.as_str() {
        "avi" => riff(&mut file, length),
        "flv" => flv(&mut file),
        "asf" => asf(&mut file),
        container if container.contains("mov") => boxes(&mut file, length),
        container if container.contains("matroska") => ebml(&mut file),
        _ => None,
    };
    announced
        .filter(|announced| *announced > length)
        .map(|announced| (announced, length))
}

/// The end of the last box of an ISO media file.
fn boxes(file: &mut File, length: u64) -> Option<u64> {
    let mut at = 0_u64;
    for _ in 0..MAX_PARTS {
        let header: [u8; 8] = read(file, at)?;
        if !header[4..].iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
            return None;
        }
        let size = match u32::from_be_bytes([header[0], header[1], header[2], header[3]]) {
            1 => u64::from_be_bytes(read(file, at + 8)?),
            size => u64::from(size),
        };
        // A size of zero is the rest of the file.
        at = at.checked_add(size).filter(|_| size >= 8)?;
        if at >= length {
            return Some(at);
        }
    }
    None
}

/// The end of the last of the RIFF lists that make an AVI file.
fn riff(file: &mut File, length: u64) -> Option<u64> {
    let mut at = 0_u64;
    for _ in 0..MAX_PARTS {
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

/// The end of a Matroska file's segment, where that is not unknown as in a live stream.
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

/// A size of EBML and its own width in bytes; no size where it is unknown.
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

/// The size in an FLV file's metadata: a number by the name of `filesize`.
fn flv(file: &mut File) -> Option<u64> {
    let start = beginning(file)?;
    let name = b"filesize\0";
    let at = start.windows(name.len()).position(|window| window == name)? + name.len();
    let size = f64::from_be_bytes(start.get(at..at + 8)?.try_into().ok()?);
    (size > 0.0 && size < 1e15).then_some(size as u64)
}

/// The size in an ASF file's properties, which means nothing in a live stream.
fn asf(file: &mut File) -> Option<u64> {
    let start = beginning(file)?;
    let at = start.windows(16).position(|window| window == ASF_PROPERTIES)?;
    let field =
        |offset: usize| -> Option<[u8; 8]> { start.get(at + offset..at + offset + 8)?.try_into().ok() };
    let live = field(88)?[0] & 1 == 1;
    field(40).filter(|_| !live).map(u64::from_le_bytes)
}

/// The first bytes of a file.
fn beginning(file: &mut File) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(HEADER as u64).read_to_end(&mut start).ok()?;
    Some(start)
}

/// Bytes at a place.
fn read<const N: usize>(file: &mut File, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
