//! Detection of encrypted streams: Common Encryption and FairPlay in MP4 (sample entries of ISO/IEC 14496-12), content
//! encryption in Matroska and WebM, scrambled MPEG transport streams. ffmpeg decodes such packets as if they were plain and
//! fails with misleading errors.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use crate::{MediaError, MediaInfo, Result, isobmff};

/// Maximum number of bytes at the start of a Matroska file that are examined.
const MATROSKA_BYTES: u64 = 8 << 20;
/// Number of bytes at the start of a transport stream that are examined.
const TS_BYTES: u64 = 2 << 20;

/// Sets `encrypted` of the streams of `info` whose packets are encrypted; files that cannot be parsed stay unchanged.
pub(super) fn detect(path: &Path, info: &mut MediaInfo) -> Result<()> {
    let io = |e| MediaError::io("read", path, e);
    let mut file = File::open(path).map_err(io)?;
    let first = info.container.split(',').next().unwrap_or_default().to_owned();
    let encrypted = match first.as_str() {
        "mov" => mp4_tracks(&file),
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

/// Reports for each track of an MP4 or QuickTime file whether its first sample entry is of an encrypted type.
fn mp4_tracks(file: &File) -> io::Result<Vec<bool>> {
    let whole = 0..file.metadata()?.len();
    let Some(movie) = isobmff::find(file, whole, &[b"moov"])? else {
        return Ok(Vec::new());
    };
    let tracks = isobmff::boxes(file, movie).map_while(std::result::Result::ok);
    let tracks = tracks.filter(|child| child.kind == *b"trak");
    Ok(tracks
        .map(|track| is_encrypted(file, track.payload).unwrap_or(false))
        .collect())
}

/// Reports whether the first sample entry of the `trak` box with this payload is of an encrypted type; `None` where there is
/// no valid entry.
fn is_encrypted(file: &File, track: Range<u64>) -> Option<bool> {
    let mut entries = isobmff::find(file, track, &[b"mdia", b"minf", b"stbl", b"stsd"]).ok()??;
    // Version, flags and number of entries.
    entries.start += 8;
    let entry = isobmff::boxes(file, entries).next()?.ok()?;
    Some(matches!(
        &entry.kind,
        b"encv" | b"enca" | b"enct" | b"encs" | b"drmi" | b"drms" | b"drmt"
    ))
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
    file.take(MATROSKA_BYTES).read_to_end(&mut start)?;
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
    use std::io::{Seek, SeekFrom};

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
            let _ = mp4_tracks(&file);
            file.seek(SeekFrom::Start(0)).unwrap();
            let _ = matroska_tracks(&mut file);
            file.seek(SeekFrom::Start(0)).unwrap();
            let _ = transport_stream(&mut file);
        }
    }
}
