//! TIFF 6.0 and BigTIFF directory parser: the images (pages) of a file, their sizes, compression and ICC profiles.

use std::io::{self, Read, Seek, SeekFrom};

/// Maximum number of directories of a file that are read.
const MAX_PAGES: usize = 100_000;
/// Maximum number of entries of a directory.
const MAX_ENTRIES: u64 = 4096;
/// Maximum number of values of an entry that are read.
const MAX_VALUES: u64 = 1 << 20;

/// An image of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// File offset of its directory.
    pub(super) offset: u64,
    /// True for a reduced-resolution copy of another image, or its mask.
    reduced: bool,
}

/// Size and storage of an image by its directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Width in pixels.
    pub(super) width: u64,
    /// Height in pixels.
    pub(super) height: u64,
    /// Bits per pixel.
    bits: u64,
    /// Value of the tag `Compression`: 1 for none, 5 for LZW, ...
    compression: u64,
    /// True where each channel is stored as a plane.
    pub(super) planar: bool,
    /// True where the image is stored in tiles rather than strips.
    pub(super) tiled: bool,
    /// Total bytes of all strips or tiles; `None` where the directory does not state them.
    stored: Option<u64>,
    /// File offset of the end of the last strip or tile.
    end: u64,
}

/// Byte order and offset size of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    big_endian: bool,
    /// True for BigTIFF, with offsets of 8 instead of 4 bytes.
    big: bool,
}

impl Shape {
    /// Parses the first bytes of a file.
    pub(super) fn of(start: &[u8]) -> Self {
        Self {
            big_endian: start.starts_with(b"MM"),
            big: start.contains(&43) && (start.get(2) == Some(&43) || start.get(3) == Some(&43)),
        }
    }

    /// Returns the file's header with the offset of the first directory replaced by `offset`.
    pub(super) fn header(self, start: &[u8], offset: u64) -> Vec<u8> {
        let kept = if self.big { 8 } else { 4 };
        let mut header = start[..kept].to_vec();
        let bytes = offset.to_le_bytes();
        let mut bytes = bytes[..if self.big { 8 } else { 4 }].to_vec();
        if self.big_endian {
            bytes.reverse();
        }
        header.extend(bytes);
        header
    }

    /// Converts up to 8 bytes in the file's byte order to a number.
    fn number(self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.big_endian {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        }
    }

    /// Returns the size in bytes of an offset or count: 4 or 8.
    fn offset_bytes(self) -> usize {
        if self.big { 8 } else { 4 }
    }
}

/// An entry of a directory.
struct Entry {
    tag: u64,
    /// TIFF's number of the values' type.
    kind: u64,
    /// Number of values.
    count: u64,
    /// The values where they fit into 4 (BigTIFF: 8) bytes, else their file offset.
    field: Vec<u8>,
}

/// A reader of a file's directories.
pub(super) struct Directories<R> {
    file: R,
    /// Byte order and offset size of the file.
    shape: Shape,
    /// Size of the file in bytes.
    length: u64,
}

impl<R: Read + Seek> Directories<R> {
    /// Creates a reader; `start` is the file's header, `length` its size in bytes.
    pub(super) fn new(file: R, start: &[u8], length: u64) -> Self {
        Self {
            file,
            shape: Shape::of(start),
            length,
        }
    }

    /// Reads the images of the file in order, without reduced copies and masks.
    pub(super) fn pages(&mut self) -> io::Result<Vec<Page>> {
        let header = self.bytes(0, 16)?;
        let at = if self.shape.big { 8..16 } else { 4..8 };
        let mut offset = self.shape.number(&header[at]);
        let (mut pages, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        while offset != 0 && pages.len() < MAX_PAGES && seen.insert(offset) {
            let (entries, next) = match self.directory(offset) {
                Ok(directory) => directory,
                // A chain that is broken after the first image ends there.
                Err(_) if !pages.is_empty() => break,
                Err(error) => return Err(error),
            };
            let kind = entries.iter().find(|entry| entry.tag == 254);
            let kind = kind.map_or(0, |entry| self.inline(entry));
            // Bit 0: a reduced copy; bit 2: a mask.
            let reduced = kind & 0b101 != 0;
            pages.push(Page { offset, reduced });
            offset = next;
        }
        pages.retain(|page| !page.reduced);
        Ok(pages)
    }

    /// Reads size and storage of an image from its directory.
    pub(super) fn layout(&mut self, page: Page) -> io::Result<Layout> {
        let (entries, _) = self.directory(page.offset)?;
        let find = |tag: u64| entries.iter().find(|entry| entry.tag == tag);
        let one = |tag: u64, usual: u64| find(tag).map_or(usual, |entry| self.inline(entry));
        let mut layout = Layout {
            width: one(256, 0),
            height: one(257, 0),
            compression: one(259, 1),
            planar: one(284, 1) == 2,
            tiled: find(322).is_some(),
            ..Layout::default()
        };
        let samples = one(277, 1);
        let (counts, offsets) = if layout.tiled { (325, 324) } else { (279, 273) };
        let depth = match find(258) {
            Some(entry) => self.values(entry)?.first().copied().unwrap_or(1),
            None => 1,
        };
        layout.bits = depth.saturating_mul(samples);
        if let (Some(counts), Some(offsets)) = (find(counts), find(offsets)) {
            let (counts, offsets) = (self.values(counts)?, self.values(offsets)?);
            layout.stored = Some(counts.iter().fold(0, |sum, &count| sum.saturating_add(count)));
            let ends = offsets
                .iter()
                .zip(&counts)
                .map(|(at, count)| at.saturating_add(*count));
            layout.end = ends.max().unwrap_or(0);
        }
        Ok(layout)
    }

    /// Reads the ICC profile of an image; `None` without one.
    pub(super) fn profile(&mut self, page: Page) -> io::Result<Option<Vec<u8>>> {
        let (entries, _) = self.directory(page.offset)?;
        let Some(entry) = entries.iter().find(|entry| entry.tag == 34675) else {
            return Ok(None);
        };
        let values = self.values(entry)?;
        Ok(Some(values.into_iter().map(|value| value as u8).collect()))
    }

    /// Returns the first value of an entry whose values are stored in it.
    fn inline(&self, entry: &Entry) -> u64 {
        let size = size_of(entry.kind).min(self.shape.offset_bytes());
        self.shape.number(&entry.field[..size])
    }

    /// Reads the values of an entry, up to [`MAX_VALUES`].
    fn values(&mut self, entry: &Entry) -> io::Result<Vec<u64>> {
        let size = size_of(entry.kind);
        let count = entry.count.min(MAX_VALUES);
        let bytes = count as usize * size;
        let bytes = if bytes <= self.shape.offset_bytes() {
            entry.field[..bytes].to_vec()
        } else {
            self.bytes(self.shape.number(&entry.field), bytes)?
        };
        Ok(bytes
            .chunks_exact(size)
            .map(|value| self.shape.number(value))
            .collect())
    }

    /// Reads the entries of the directory at `offset`, and the offset of the next directory (0: none).
    fn directory(&mut self, offset: u64) -> io::Result<(Vec<Entry>, u64)> {
        let wide = self.shape.offset_bytes();
        let (counted, entry) = if self.shape.big { (8, 20) } else { (2, 12) };
        let count = self.bytes(offset, counted)?;
        let count = self.shape.number(&count);
        if count > MAX_ENTRIES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let bytes = self.bytes(offset + counted as u64, count as usize * entry + wide)?;
        let (entries, next) = bytes.split_at(count as usize * entry);
        let number = |bytes: &[u8]| self.shape.number(bytes);
        let entries = entries.chunks_exact(entry).map(|entry| Entry {
            tag: number(&entry[..2]),
            kind: number(&entry[2..4]),
            count: number(&entry[4..4 + wide]),
            field: entry[4 + wide..].to_vec(),
        });
        Ok((entries.collect(), number(next)))
    }

    /// Reads `count` bytes at offset `at`; an error beyond the end of the file.
    fn bytes(&mut self, at: u64, count: usize) -> io::Result<Vec<u8>> {
        if at.saturating_add(count as u64) > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; count];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Returns the size in bytes of a value of TIFF's type number `kind`.
fn size_of(kind: u64) -> usize {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

impl Layout {
    /// Reports whether all strips or tiles lie within a file of `length` bytes; always true for uncompressed images, where
    /// many programs write too large counts.
    pub(super) fn fits(&self, length: u64) -> bool {
        self.compression == 1 || self.end <= length
    }

    /// Returns the minimum number of bytes that store an image of this size with its compression.
    pub(super) fn min_bytes(&self) -> u64 {
        let raw = self.width.saturating_mul(self.height).saturating_mul(self.bits) / 8;
        match self.compression {
            1 => raw,
            // Fax: a line takes at least one bit.
            2..=4 => self.height / 8,
            // LZW: 12 bits encode at most 4 KB.
            5 => raw / 2731,
            // JPEG: a block of 64 pixels takes at least one bit.
            6 | 7 => self.width.saturating_mul(self.height) / 512,
            8 | 32946 => raw / 1032,
            32773 => raw / 64,
            _ => 0,
        }
    }

    /// Returns the total bytes of all strips or tiles; `None` where the directory does not state them.
    pub(super) fn stored(&self) -> Option<u64> {
        self.stored
    }
}
