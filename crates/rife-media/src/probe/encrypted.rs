//! Detection of encrypted streams: Common Encryption and FairPlay in MP4 (sample entries of ISO/IEC 14496-12), content
//! encryption in Matroska and WebM, scrambled MPEG transport streams. ffmpeg decodes such packets as if they were plain and
//! fails with misleading errors.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::{MediaError, MediaInfo, Result};

/// Maximum number of bytes of an MP4 `moov` box that are read; an eighth of it for Matroska.
const MAX_INDEX: u64 = 64 << 20;
/// Number of bytes at the start of a transport stream that are examined.
const TS_BYTES: u64 = 2 << 20;

/// Sets `encrypted` of the streams of `info` whose packets are encrypted; files that cannot be parsed stay unchanged.
pub(super) fn detect(path: &Path, info: &mut MediaInfo) -> Result<()> {
    let io = |e| MediaError::io("read", path, e);
    let mut file = File::open(path).map_err(io)?;
    let first = info.container.split(',').next().unwrap_or_default().to_owned();
    let encrypted = match first.as_str() {
        "mov" => mp4_tracks(&mut file),
        "matroska" => matroska_tracks(&mut file),
        "mpegts" => transport_stream(&mut file).map(|scrambled| vec![scrambled; info.streams.len()]),
        _ => return Ok(()),
    };
    // ffmpeg reports invalid files.
    for (stream, encrypted) in info.streams.iter_mut().zip(encrypted.unwrap_or_default()) {
        stream.encrypted = encrypted;
    }
    Ok(())
}

/// Iterates over the MP4 boxes in `bytes`: names and payloads.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let name: [u8; 4] = rest.get(4..8)?.try_into().ok()?;
        let payload = rest.get(8..size)?;
        rest = rest.get(size..)?;
        Some((name, payload))
    })
}

/// Returns the payload of the box at a path of nested box names.
fn inner<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, name| {
        boxes(bytes)
            .find(|(found, _)| found == *name)
            .map(|(_, payload)| payload)
    })
}

/// Reports for each track of an MP4 or QuickTime file whether its first sample entry is of an encrypted type.
fn mp4_tracks(file: &mut File) -> io::Result<Vec<bool>> {
    let movie = movie_box(file)?;
    let encrypted = |track: &[u8]| {
        let entries = inner(track, &[b"mdia", b"minf", b"stbl", b"stsd"])?;
        let (kind, _) = boxes(entries.get(8..)?).next()?;
        Some(matches!(
            &kind,
            b"encv" | b"enca" | b"enct" | b"encs" | b"drmi" | b"drms" | b"drmt"
        ))
    };
    let tracks = boxes(&movie).filter(|(name, _)| name == b"trak");
    Ok(tracks
        .map(|(_, track)| encrypted(track).unwrap_or(false))
        .collect())
}

/// Reads the payload of the `moov` box, up to [`MAX_INDEX`] bytes; empty where there is none.
fn movie_box(file: &mut File) -> io::Result<Vec<u8>> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = 0;
    while at + 8 <= end {
        let mut header = [0; 16];
        file.seek(SeekFrom::Start(at))?;
        let got = file.take(16).read(&mut header)?;
        let size32 = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        let (start, size) = match size32 {
            0 => (8, end - at),
            1 if got == 16 => (16, u64::from_be_bytes(std::array::from_fn(|i| header[8 + i]))),
            small => (8, u64::from(small)),
        };
        if size < start {
            break;
        }
        if header[4..8] == *b"moov" {
            let mut movie = Vec::new();
            file.seek(SeekFrom::Start(at + start))?;
            file.take((size - start).min(MAX_INDEX)).read_to_end(&mut movie)?;
            return Ok(movie);
        }
        at = at.saturating_add(size);
    }
    Ok(Vec::new())
}

/// EBML identifier of Matroska's `Segment`.
const SEGMENT: u64 = 0x1853_8067;
/// EBML identifier of Matroska's `Tracks`.
const TRACKS: u64 = 0x1654_AE6B;
/// EBML identifier of Matroska's `Cluster`.
const CLUSTER: u64 = 0x1F43_B675;
/// EBML identifier of Matroska's `TrackEntry`.
const TRACK: u64 = 0xAE;
/// EBML identifier of Matroska's `ContentEncodings`.
const ENCODINGS: u64 = 0x6D80;
/// EBML identifier of Matroska's `ContentEncoding`.
const ENCODING: u64 = 0x6240;
/// EBML identifier of Matroska's `ContentEncryption`.
const ENCRYPTION: u64 = 0x5035;

/// Reports for each track of a Matroska or WebM file whether it has content encryption.
fn matroska_tracks(file: &mut File) -> io::Result<Vec<bool>> {
    let mut start = Vec::new();
    file.take(MAX_INDEX / 8).read_to_end(&mut start)?;
    let segment = elements(&start)
        .find(|(id, _)| *id == SEGMENT)
        .map(|(_, payload)| payload);
    let tracks = segment
        .into_iter()
        .flat_map(elements)
        .take_while(|(id, _)| *id != CLUSTER);
    let tracks = tracks
        .filter(|(id, _)| *id == TRACKS)
        .flat_map(|(_, payload)| elements(payload));
    Ok(tracks
        .filter(|(id, _)| *id == TRACK)
        .map(|(_, track)| {
            let within = |bytes, wanted| {
                elements(bytes)
                    .filter(move |(id, _)| *id == wanted)
                    .map(|(_, payload)| payload)
            };
            let encodings = within(track, ENCODINGS).flat_map(|payload| within(payload, ENCODING));
            encodings
                .flat_map(|payload| within(payload, ENCRYPTION))
                .next()
                .is_some()
        })
        .collect())
}

/// Iterates over the EBML elements in `bytes`: identifiers and payloads. An element that exceeds `bytes` or has unknown
/// length ends with them.
fn elements(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (id, length) = number(rest, false)?;
        rest = rest.get(length..)?;
        let (size, length) = number(rest, true)?;
        rest = rest.get(length..)?;
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        let (payload, after) = rest.split_at(size);
        rest = after;
        Some((id, payload))
    })
}

/// Parses an EBML variable-length integer at the start of `bytes`; returns its value and length in bytes. `plain` removes
/// the length marker, and all ones (unknown) then become `u64::MAX`.
fn number(bytes: &[u8], plain: bool) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let all = bytes
        .get(..length.min(8))?
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte));
    if length > 8 {
        return None;
    }
    let mask = (1_u64 << (7 * length)) - 1;
    let value = match plain {
        true if all & mask == mask => u64::MAX,
        true => all & mask,
        false => all,
    };
    Some((value, length))
}

/// Reports whether more than half of a transport stream's packets of elementary streams are scrambled.
fn transport_stream(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(TS_BYTES).read_to_end(&mut start)?;
    let sync = |stride: usize, offset: usize| {
        let mut at = (offset..start.len()).step_by(stride).take(20);
        start.len() > 20 * stride && at.all(|at| start[at] == 0x47)
    };
    let strides = [(188, 0), (192, 4), (204, 0)];
    let Some((stride, offset)) = strides
        .into_iter()
        .find(|(stride, offset)| sync(*stride, *offset))
    else {
        return Ok(false);
    };
    let packets = start[offset..]
        .chunks(stride)
        .filter(|packet| packet.len() > 4 && packet[0] == 0x47);
    let (mut scrambled, mut all) = (0_u32, 0_u32);
    for packet in packets {
        let pid = u16::from_be_bytes([packet[1], packet[2]]) & 0x1FFF;
        // Tables have PIDs below 0x20, null packets 0x1FFF; only packets with a payload count.
        if (0x20..0x1FFF).contains(&pid) && packet[3] & 0x10 != 0 {
            all += 1;
            scrambled += u32::from(packet[3] & 0x80 != 0);
        }
    }
    Ok(scrambled * 2 > all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_end_with_their_bytes() {
        let bytes = [0x1A, 0x45, 0xDF, 0xA3, 0x81, 7, 0xAE, 0xFF, 1, 2];
        let found: Vec<_> = elements(&bytes).collect();
        assert_eq!(found, [(0x1A45_DFA3, &[7][..]), (0xAE, &[1, 2][..])]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x");
            std::fs::write(&path, &bytes).unwrap();
            let mut file = File::open(&path).unwrap();
            let _ = mp4_tracks(&mut file);
            file.seek(SeekFrom::Start(0)).unwrap();
            let _ = matroska_tracks(&mut file);
            file.seek(SeekFrom::Start(0)).unwrap();
            let _ = transport_stream(&mut file);
        }
    }
}
