//! Box structure of ISO base media files (MP4, QuickTime; ISO/IEC 14496-12 section 4.2): headers are read where they lie in
//! the file, payloads are file offsets.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// Maximum number of boxes of one parent that are read; hours of a fragmented file have 100,000.
const MAX_BOXES: usize = 1_000_000;

/// A box: its type and the file offsets of its payload, which in a truncated file end behind the file.
#[derive(Debug)]
pub(crate) struct MediaBox {
    pub(crate) kind: [u8; 4],
    pub(crate) payload: Range<u64>,
}

/// Iterates over the boxes that start in the file offsets `span`, up to [`MAX_BOXES`]. A size of 0 means the rest of `span`.
///
/// # Errors
/// Reading fails, or a box is smaller than its header; the iterator ends there.
pub(crate) fn boxes(file: &File, span: Range<u64>) -> impl Iterator<Item = io::Result<MediaBox>> {
    let mut at = span.start;
    std::iter::from_fn(move || {
        if at.saturating_add(8) > span.end {
            return None;
        }
        let found = read_header(file, at, span.end);
        at = found.as_ref().map_or(u64::MAX, |found| found.payload.end);
        Some(found)
    })
    .take(MAX_BOXES)
}

/// Returns the payload of the first box at a path of nested types below `span`; `None` where there is none.
///
/// # Errors
/// As [`boxes`]; a box on the way reaches beyond its parent.
pub(crate) fn find(file: &File, span: Range<u64>, path: &[&[u8; 4]]) -> io::Result<Option<Range<u64>>> {
    let mut span = span;
    for kind in path {
        let mut found = None;
        for child in boxes(file, span.clone()) {
            let child = child?;
            if child.payload.end > span.end {
                return Err(invalid("a box of the MP4 file reaches beyond its parent"));
            }
            if child.kind == **kind {
                found = Some(child.payload);
                break;
            }
        }
        match found {
            Some(payload) => span = payload,
            None => return Ok(None),
        }
    }
    Ok(Some(span))
}

/// Reads `N` bytes at a file offset.
pub(crate) fn read<const N: usize>(mut file: &File, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Parses the header of the box at offset `at` of a parent that ends at `end`.
fn read_header(file: &File, at: u64, end: u64) -> io::Result<MediaBox> {
    let header: [u8; 8] = read(file, at)?;
    let [a, b, c, d, kind @ ..] = header;
    let (size, length) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (end - at, 8),
        1 => (u64::from_be_bytes(read(file, at + 8)?), 16),
        size => (u64::from(size), 8),
    };
    if size < length {
        return Err(invalid("a box of the MP4 file is smaller than its header"));
    }
    Ok(MediaBox {
        kind,
        payload: at + length..at.saturating_add(size),
    })
}

/// Returns an error of invalid data.
fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Returns a file with these bytes.
    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn boxes_have_small_large_and_open_sizes() {
        let small = [0, 0, 0, 12, b'f', b'r', b'e', b'e', 1, 2, 3, 4];
        let large = [0, 0, 0, 1, b'm', b'd', b'a', b't', 0, 0, 0, 0, 0, 0, 0, 17, 9];
        let open = [0, 0, 0, 0, b'm', b'o', b'o', b'v', 5, 6];
        let bytes = [&small[..], &large, &open].concat();
        let file = file(&bytes);
        let found: Vec<_> = boxes(&file, 0..bytes.len() as u64)
            .map(|found| found.map(|found| (found.kind, found.payload)).unwrap())
            .collect();
        assert_eq!(found, [(*b"free", 8..12), (*b"mdat", 28..29), (*b"moov", 37..39)]);
    }

    #[test]
    fn a_path_of_boxes_is_followed_and_children_stay_within_their_parents() {
        let child = |size: u8| [0, 0, 0, size, b't', b'k', b'h', b'd', 7, 7];
        for (size, expected) in [(10, Some(Some(16..18))), (11, None), (4, None)] {
            let bytes = [&[0, 0, 0, 18, b't', b'r', b'a', b'k'][..], &child(size)].concat();
            let file = file(&bytes);
            let found = find(&file, 0..bytes.len() as u64, &[b"trak", b"tkhd"]).ok();
            assert_eq!(found, expected, "size {size}");
            assert_eq!(find(&file, 0..bytes.len() as u64, &[b"moov"]).unwrap(), None);
        }
    }
}
