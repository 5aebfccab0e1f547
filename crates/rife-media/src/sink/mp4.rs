//! Display matrix (rotation and reflection) of MP4 and QuickTime files: patched into the `tkhd` box of the video track, since
//! ffmpeg's options for it differ between versions and do not support reflections.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;

use crate::isobmff;
use crate::probe::DisplayMatrix;

/// Writes `matrix` into the track header of the first video track of an MP4 file.
pub(super) fn set_display_matrix(file: &File, matrix: DisplayMatrix) -> io::Result<()> {
    let whole = 0..file.metadata()?.len();
    let movie = isobmff::find(file, whole, &[b"moov"])?.ok_or_else(|| missing("moov"))?;
    for child in isobmff::boxes(file, movie) {
        let child = child?;
        if child.kind == *b"trak" && is_video(file, child.payload.clone())? {
            return patch(file, child.payload, matrix);
        }
    }
    Err(missing("video track"))
}

/// Reports whether the handler type of a `trak` box is that of video.
fn is_video(file: &File, track: Range<u64>) -> io::Result<bool> {
    let Some(handler) = isobmff::find(file, track, &[b"mdia", b"hdlr"])? else {
        return Ok(false);
    };
    Ok(isobmff::read(file, handler.start + 8)? == *b"vide")
}

/// Overwrites the matrix in the `tkhd` box of a `trak` box.
fn patch(mut file: &File, track: Range<u64>, matrix: DisplayMatrix) -> io::Result<()> {
    let header = isobmff::find(file, track, &[b"tkhd"])?.ok_or_else(|| missing("tkhd"))?;
    let version: [u8; 1] = isobmff::read(file, header.start)?;
    // Version 1 has times of 64 bits.
    let offset = header.start + if version == [1] { 52 } else { 40 };
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
