//! Display matrix (rotation and reflection) of MP4 and QuickTime files: patched into the `tkhd` box of the video track, since
//! ffmpeg's options for it differ between versions and do not support reflections.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::probe::DisplayMatrix;

/// Writes `matrix` into the track header of the first video track of an MP4 file.
pub(super) fn set_display_matrix(mut file: &File, matrix: DisplayMatrix) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let whole = Span {
        start: 0,
        end: length,
    };
    let movie = find(file, whole, b"moov")?.ok_or_else(|| missing("moov"))?;
    let mut rest = movie;
    while let Some(track) = find(file, rest, b"trak")? {
        if is_video(file, track)? {
            return patch(file, track, matrix);
        }
        rest.start = track.end;
    }
    Err(missing("video track"))
}

/// File offsets of the payload of a box.
#[derive(Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
}

/// Returns the payload of the first box of this name in `span`; `None` where there is none.
fn find(mut file: &File, span: Span, name: &[u8; 4]) -> io::Result<Option<Span>> {
    let mut at = span.start;
    while at + 8 <= span.end {
        let mut header = [0; 16];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut header[..8])?;
        let (size, start) = match u32::from_be_bytes([header[0], header[1], header[2], header[3]]) {
            0 => (span.end - at, at + 8),
            1 => {
                file.read_exact(&mut header[8..])?;
                let large: [u8; 8] = std::array::from_fn(|i| header[8 + i]);
                (u64::from_be_bytes(large), at + 16)
            }
            small => (u64::from(small), at + 8),
        };
        let end = at.saturating_add(size);
        if end < start || end > span.end {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a box of the MP4 file reaches beyond its parent",
            ));
        }
        if header[4..8] == *name {
            return Ok(Some(Span { start, end }));
        }
        at = end;
    }
    Ok(None)
}

/// Reports whether the handler type of a `trak` box is that of video.
fn is_video(mut file: &File, track: Span) -> io::Result<bool> {
    let Some(media) = find(file, track, b"mdia")? else {
        return Ok(false);
    };
    let Some(handler) = find(file, media, b"hdlr")? else {
        return Ok(false);
    };
    let mut kind = [0; 4];
    file.seek(SeekFrom::Start(handler.start + 8))?;
    file.read_exact(&mut kind)?;
    Ok(kind == *b"vide")
}

/// Overwrites the matrix in the `tkhd` box of a `trak` box.
fn patch(mut file: &File, track: Span, matrix: DisplayMatrix) -> io::Result<()> {
    let header = find(file, track, b"tkhd")?.ok_or_else(|| missing("tkhd"))?;
    let mut version = [0];
    file.seek(SeekFrom::Start(header.start))?;
    file.read_exact(&mut version)?;
    // Version 1 has times of 64 bits.
    let offset = header.start + if version[0] == 1 { 52 } else { 40 };
    if offset + 36 > header.end {
        return Err(missing("matrix"));
    }
    let bytes: Vec<u8> = matrix.0.iter().flat_map(|v| v.to_be_bytes()).collect();
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(&bytes)
}

/// Returns the error for an MP4 file without the box `what`.
fn missing(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the MP4 file has no {what}"))
}
