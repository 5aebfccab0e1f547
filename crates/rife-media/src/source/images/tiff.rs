//! TIFF 6.0 and BigTIFF: the file's directories, one for each picture in it, and what they announce.

use std::io::{self, Read, Seek, SeekFrom};

/// Most pictures that are looked for in a file.
const MAX_PAGES: usize = 100_000;
/// Most entries of a directory, and most values of one that are looked at.
const MAX_ENTRIES: u64 = 4096;
const MAX_VALUES: u64 = 1 << 20;

/// A picture of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// Where its directory is.
    pub(super) offset: u64,
    /// A smaller copy of another picture, or its mask.
    reduced: bool,
}

/// What one directory announces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) width: u64,
    pub(super) height: u64,
    /// Bits of a pixel.
    bits: u64,
    compression: u64,
    /// Whether each channel has a plane of its own, and whether these are cut into tiles.
    pub(super) planar: bool,
    pub(super) tiled: bool,
    /// Bytes of all strips or tiles together, and where the last of them ends.
    stored: Option<u64>,
    end: u64,
}

/// A file's order of bytes, and whether it is a BigTIFF.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    big_endian: bool,
    big: bool,
}

impl Shape {
    pub(super) fn of(start: &[u8]) -> Self {
        Self {
            big_endian: start.starts_with(b"MM"),
            big: start.contains(&43) && (start.get(2) == Some(&43) || start.get(3) == Some(&43)),
        }
    }

    /// The file's header, as it would be if the picture at `offset` were the first.
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

    fn number(self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.big_endian {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        }
    }

    /// Bytes of an offset and of a count.
    fn wide(self) -> usize {
        if self.big { 8 } else { 4 }
    }
}

/// An entry of a directory.
struct Entry {
    tag: u64,
    kind: u64,
    count: u64,
    /// The values where they fit, else where they are.
    place: Vec<u8>,
}

/// A reader of directories.
pub(super) struct Directories<R> {
    file: R,
    shape: Shape,
    length: u64,
}

impl<R: Read + Seek> Directories<R> {
    pub(super) fn new(file: R, start: &[u8], length: u64) -> Self {
        Self {
            file,
            shape: Shape::of(start),
            length,
        }
    }

    /// The full pictures of the file in order, without smaller copies and masks.
    pub(super) fn pages(&mut self) -> io::Result<Vec<Page>> {
        let header = self.bytes(0, 16)?;
        let at = if self.shape.big { 8..16 } else { 4..8 };
        let mut offset = self.shape.number(&header[at]);
        let (mut pages, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        while offset != 0 && pages.len() < MAX_PAGES && seen.insert(offset) {
            let (entries, next) = match self.directory(offset) {
                Ok(directory) => directory,
                // A chain that is broken behind the first picture ends there.
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

    /// What the picture's directory announces.
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

    /// The ICC profile of the picture.
    pub(super) fn profile(&mut self, page: Page) -> io::Result<Option<Vec<u8>>> {
        let (entries, _) = self.directory(page.offset)?;
        let Some(entry) = entries.iter().find(|entry| entry.tag == 34675) else {
            return Ok(None);
        };
        let values = self.values(entry)?;
        Ok(Some(values.into_iter().map(|value| value as u8).collect()))
    }

    /// A value that lies in its entry.
    fn inline(&self, entry: &Entry) -> u64 {
        let size = size_of(entry.kind).min(self.shape.wide());
        self.shape.number(&entry.place[..size])
    }

    /// All values of an entry, up to a limit.
    fn values(&mut self, entry: &Entry) -> io::Result<Vec<u64>> {
        let size = size_of(entry.kind);
        let count = entry.count.min(MAX_VALUES);
        let bytes = count as usize * size;
        let bytes = if bytes <= self.shape.wide() {
            entry.place[..bytes].to_vec()
        } else {
            self.bytes(self.shape.number(&entry.place), bytes)?
        };
        Ok(bytes
            .chunks_exact(size)
            .map(|value| self.shape.number(value))
            .collect())
    }

    /// The entries of the directory at `offset`, and where the next one is.
    fn directory(&mut self, offset: u64) -> io::Result<(Vec<Entry>, u64)> {
        let wide = self.shape.wide();
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
            place: entry[4 + wide..].to_vec(),
        });
        Ok((entries.collect(), number(next)))
    }

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

/// Bytes of a value of this type.
fn size_of(kind: u64) -> usize {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

impl Layout {
    /// Whether all of its strips or tiles lie in a file of `length` bytes. Uncompressed pictures are left to the decoder:
    /// many programs write too large counts there.
    pub(super) fn fits(&self, length: u64) -> bool {
        self.compression == 1 || self.end <= length
    }

    /// The fewest bytes in which such a picture can be stored, by its compression.
    pub(super) fn least_bytes(&self) -> u64 {
        let raw = self.width.saturating_mul(self.height).saturating_mul(self.bits) / 8;
        match self.compression {
            1 => raw,
            // Fax: a line takes a bit.
            2..=4 => self.height / 8,
            // LZW: 12 bits stand for 4 KB at most.
            5 => raw / 2731,
            // JPEG: a block of 64 pixels takes a bit.
            6 | 7 => self.width.saturating_mul(self.height) / 512,
            8 | 32946 => raw / 1032,
            32773 => raw / 64,
            _ => 0,
        }
    }

    /// The bytes that hold it, where the file says.
    pub(super) fn stored(&self) -> Option<u64> {
        self.stored
    }
}
