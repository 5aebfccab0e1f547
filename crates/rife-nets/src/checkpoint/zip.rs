//! Zip reader and writer for archives of `torch.save`: uncompressed (stored) entries, found by the central directory, with
//! zip64 when reading. Compressed, encrypted, overlapping and linked entries are errors; an entry is a slice of the file.

use std::collections::HashMap;

use super::bytes::Cursor;
use super::error::quoted;

/// Signature of a local file header, with which a zip file begins.
pub(super) const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
/// Signature of a central directory record.
const CENTRAL_SIGNATURE: u32 = 0x0201_4b50;
/// Signature of the end of central directory record.
const END_SIGNATURE: u32 = 0x0605_4b50;
/// Signature of the zip64 end of central directory record.
const END64_SIGNATURE: u32 = 0x0606_4b50;
/// Signature of the zip64 end of central directory locator.
const LOCATOR64_SIGNATURE: u32 = 0x0706_4b50;

/// Size of a local file header without name and extra field.
const LOCAL_BYTES: usize = 30;
/// Size of the end of central directory record without its comment.
const END_BYTES: usize = 22;
/// Size of the zip64 locator.
const LOCATOR64_BYTES: usize = 20;
/// Maximum size of the archive's comment.
const MAX_COMMENT: usize = u16::MAX as usize;

/// Maximum number of entries: one storage per tensor and a few others.
const MAX_ENTRIES: u64 = 20_000;
/// Maximum length of an entry's name.
const MAX_NAME_BYTES: usize = 512;

/// Flag bit of an encrypted entry.
const ENCRYPTED: u16 = 1;
/// Mask of the file type in Unix attributes.
const UNIX_TYPE: u32 = 0o170_000;
/// File type of a symbolic link in Unix attributes.
const UNIX_SYMLINK: u32 = 0o120_000;
/// Value of a 32-bit field whose number is in the zip64 extra field.
const IN_ZIP64: u32 = u32::MAX;
/// Id of the zip64 extra field.
const ZIP64_EXTRA: u16 = 1;

/// Reason why a zip archive is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZipProblem {
    /// A record is missing, or points outside of the file.
    #[error("its {0} is missing or cut off")]
    CutOff(&'static str),
    /// More entries than the limit.
    #[error("{found} entries, more than the {limit} that are read")]
    TooManyEntries {
        /// Entries announced.
        found: u64,
        /// Entries accepted.
        limit: u64,
    },
    /// An entry whose name is empty, not UTF-8 or not a plain relative path.
    #[error("the entry name {0} is not accepted")]
    Name(String),
    /// Two entries with the same name.
    #[error("the entry {0} occurs twice")]
    DuplicateName(String),
    /// A compressed entry.
    #[error("the entry {name} is compressed (method {method}); torch.save stores its entries plainly")]
    Compressed {
        /// The entry.
        name: String,
        /// Number of the compression method.
        method: u16,
    },
    /// An encrypted entry.
    #[error("the entry {0} is encrypted")]
    Encrypted(String),
    /// A symbolic link.
    #[error("the entry {0} is a symbolic link")]
    Symlink(String),
    /// A stored entry whose compressed and uncompressed size differ.
    #[error("the entry {name} has {stored} bytes and claims {claimed}")]
    Size {
        /// The entry.
        name: String,
        /// Compressed size.
        stored: u64,
        /// Uncompressed size.
        claimed: u64,
    },
    /// An entry whose local header contradicts the central directory, or that is truncated.
    #[error("the entry {0} is not where the directory says")]
    Misplaced(String),
    /// Two entries that share bytes.
    #[error("the entry {0} overlaps the one before it")]
    Overlap(String),
    /// An entry whose CRC-32 does not match.
    #[error("the entry {0} is damaged: its checksum does not match")]
    Checksum(String),
}

use ZipProblem as Fault;

/// An entry of an archive.
#[derive(Debug)]
struct Entry<'a> {
    /// Its bytes in the file, compressed unless `method` is 0.
    data: &'a [u8],
    /// Compression method; 0 is stored.
    method: u16,
    /// CRC-32 of the uncompressed data.
    crc: u32,
    /// Offset of its local header.
    start: usize,
    /// Offset after its data.
    end: usize,
}

/// The entries of an archive by name.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    entries: HashMap<&'a str, Entry<'a>>,
}

impl<'a> Archive<'a> {
    /// Reads the central directory of an archive.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let directory = find_directory(bytes)?;
        let cut_off = Fault::CutOff("directory");
        let mut cursor = Cursor::at(&bytes[..directory.end], directory.start).ok_or(cut_off.clone())?;
        let mut entries = HashMap::new();
        for _ in 0..directory.entries {
            let central = read_central(&mut cursor)?.ok_or(cut_off.clone())?;
            let entry = locate(&bytes[..directory.start as usize], &central)?;
            if entries.insert(central.name, entry).is_some() {
                return Err(Fault::DuplicateName(quoted(central.name)));
            }
        }
        check_overlap(&entries)?;
        Ok(Self { entries })
    }

    /// Iterates over the names of the entries, in any order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.entries.keys().copied()
    }

    /// Returns the bytes of an entry after checking its CRC-32; `None` if there is no such entry.
    pub(super) fn get(&self, name: &str) -> Result<Option<&'a [u8]>, Fault> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(None);
        };
        if entry.method != 0 {
            let (name, method) = (quoted(name), entry.method);
            return Err(Fault::Compressed { name, method });
        }
        if crc32fast::hash(entry.data) != entry.crc {
            return Err(Fault::Checksum(quoted(name)));
        }
        Ok(Some(entry.data))
    }
}

/// Position of the central directory.
struct Directory {
    /// Number of entries.
    entries: u64,
    /// Offset of its first record.
    start: u64,
    /// Offset of the end records after it.
    end: usize,
}

/// Finds the central directory by the end record, which is searched for backwards over a possible comment.
fn find_directory(bytes: &[u8]) -> Result<Directory, Fault> {
    let missing = || Fault::CutOff("end-of-directory record");
    let earliest = bytes.len().saturating_sub(END_BYTES + MAX_COMMENT);
    let latest = bytes.len().checked_sub(END_BYTES).ok_or_else(missing)?;
    let end = (earliest..=latest)
        .rev()
        .find(|&at| is_end(&bytes[at..]))
        .ok_or_else(missing)?;
    let mut cursor = Cursor::at(bytes, end as u64 + 10).ok_or_else(missing)?;
    let entries = u64::from(cursor.u16().ok_or_else(missing)?);
    cursor.u32();
    let start = u64::from(cursor.u32().ok_or_else(missing)?);
    let directory = match directory64(bytes, end) {
        Some(directory) => directory,
        None => Directory { entries, start, end },
    };
    if directory.entries > MAX_ENTRIES {
        return Err(Fault::TooManyEntries {
            found: directory.entries,
            limit: MAX_ENTRIES,
        });
    }
    if directory.start > directory.end as u64 {
        return Err(Fault::CutOff("directory"));
    }
    Ok(directory)
}

/// Reports whether `bytes` are exactly an end of central directory record with its comment.
fn is_end(bytes: &[u8]) -> bool {
    let comment = u16::from_le_bytes([bytes[20], bytes[21]]);
    bytes.starts_with(&END_SIGNATURE.to_le_bytes()) && bytes.len() == END_BYTES + usize::from(comment)
}

/// Reads the zip64 end records before the end record at offset `end`; `None` if there are none. PyTorch always writes them.
fn directory64(bytes: &[u8], end: usize) -> Option<Directory> {
    let mut locator = Cursor::at(bytes, end.checked_sub(LOCATOR64_BYTES)? as u64)?;
    if locator.u32()? != LOCATOR64_SIGNATURE {
        return None;
    }
    locator.u32()?;
    let at = locator.u64()?;
    let mut record = Cursor::at(&bytes[..end], at)?;
    if record.u32()? != END64_SIGNATURE {
        return None;
    }
    record.take(28)?;
    let entries = record.u64()?;
    record.u64()?;
    let start = record.u64()?;
    Some(Directory {
        entries,
        start,
        end: at as usize,
    })
}

/// An entry's record of the central directory: its compressed size and the offset of its local header.
struct Central<'a> {
    name: &'a str,
    /// Compression method; 0 is stored.
    method: u16,
    /// CRC-32 of the data.
    crc: u32,
    /// Size of the data in bytes.
    size: u64,
    /// Offset of the local header in bytes.
    offset: u64,
}

/// Reads and checks the next record of the central directory; `None` if it is truncated.
fn read_central<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Central<'a>>, Fault> {
    let Some(fields) = CentralFields::read(cursor) else {
        return Ok(None);
    };
    let name = std::str::from_utf8(fields.name)
        .map_err(|_| Fault::Name(quoted(&String::from_utf8_lossy(fields.name))))?;
    check_name(name)?;
    if fields.flags & ENCRYPTED != 0 {
        return Err(Fault::Encrypted(quoted(name)));
    }
    if (fields.attributes >> 16) & UNIX_TYPE == UNIX_SYMLINK {
        return Err(Fault::Symlink(quoted(name)));
    }
    let Some([claimed, stored, offset]) = fields.sizes_and_offset() else {
        return Ok(None);
    };
    if fields.method == 0 && stored != claimed {
        let name = quoted(name);
        return Err(Fault::Size {
            name,
            stored,
            claimed,
        });
    }
    Ok(Some(Central {
        name,
        method: fields.method,
        crc: fields.crc,
        size: stored,
        offset,
    }))
}

/// The fields of a central directory record.
struct CentralFields<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    /// Compressed size.
    stored: u32,
    /// Uncompressed size.
    claimed: u32,
    /// External attributes: Unix mode in the upper 16 bits.
    attributes: u32,
    offset: u32,
    name: &'a [u8],
    extra: &'a [u8],
}

impl<'a> CentralFields<'a> {
    /// Reads a record; `None` if the signature is wrong or the record truncated.
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        if cursor.u32()? != CENTRAL_SIGNATURE {
            return None;
        }
        cursor.u32()?;
        let (flags, method) = (cursor.u16()?, cursor.u16()?);
        cursor.u32()?;
        let (crc, stored, claimed) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let (name, extra, comment) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
        cursor.u32()?;
        let (attributes, offset) = (cursor.u32()?, cursor.u32()?);
        let name = cursor.take(name.into())?;
        let extra = cursor.take(extra.into())?;
        cursor.take(comment.into())?;
        Some(Self {
            flags,
            method,
            crc,
            stored,
            claimed,
            attributes,
            offset,
            name,
            extra,
        })
    }

    /// Returns uncompressed size, compressed size and offset, each from the zip64 extra field if it does not fit 32 bits.
    fn sizes_and_offset(&self) -> Option<[u64; 3]> {
        let mut field = Cursor::new(self.zip64_field());
        let mut wide = [0; 3];
        for (wide, narrow) in wide.iter_mut().zip([self.claimed, self.stored, self.offset]) {
            *wide = if narrow == IN_ZIP64 {
                field.u64()?
            } else {
                narrow.into()
            };
        }
        Some(wide)
    }

    /// Returns the content of the zip64 extra field, empty if there is none.
    fn zip64_field(&self) -> &'a [u8] {
        let mut extra = Cursor::new(self.extra);
        while let (Some(id), Some(length)) = (extra.u16(), extra.u16()) {
            match extra.take(length.into()) {
                Some(field) if id == ZIP64_EXTRA => return field,
                Some(_) => {}
                None => break,
            }
        }
        &[]
    }
}

/// Checks that a name is a plain relative path; nothing is unpacked to disk, but `torch.save` writes no others.
fn check_name(name: &str) -> Result<(), Fault> {
    let bad_component = |component: &str| component.is_empty() || component == "." || component == "..";
    let bad_char = |c: char| c.is_control() || c == '\\' || c == ':';
    if name.len() > MAX_NAME_BYTES || name.split('/').any(bad_component) || name.contains(bad_char) {
        return Err(Fault::Name(quoted(name)));
    }
    Ok(())
}

/// Finds an entry's data by its record, in `bytes`, the file up to the central directory.
fn locate<'a>(bytes: &'a [u8], central: &Central<'_>) -> Result<Entry<'a>, Fault> {
    let found = || {
        let mut cursor = Cursor::at(bytes, central.offset)?;
        let header = cursor.take(LOCAL_BYTES)?;
        let length = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let name = cursor.take(length(26))?;
        cursor.take(length(28))?;
        let data = cursor.take(usize::try_from(central.size).ok()?)?;
        let is_it = header.starts_with(LOCAL_SIGNATURE) && name == central.name.as_bytes();
        is_it.then_some(Entry {
            data,
            method: central.method,
            crc: central.crc,
            start: central.offset as usize,
            end: cursor.position(),
        })
    };
    found().ok_or_else(|| Fault::Misplaced(quoted(central.name)))
}

/// Checks that no two entries share bytes.
fn check_overlap(entries: &HashMap<&str, Entry<'_>>) -> Result<(), Fault> {
    let mut spans: Vec<_> = entries.iter().map(|(name, e)| (e.start, e.end, name)).collect();
    spans.sort_unstable();
    let overlap = spans.windows(2).find(|pair| pair[1].0 < pair[0].1);
    overlap.map_or(Ok(()), |pair| Err(Fault::Overlap(quoted(pair[1].2))))
}

/// Writer of an archive of stored entries in the form of `torch.save`.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Local headers and data so far.
    bytes: Vec<u8>,
    /// Central directory so far.
    directory: Vec<u8>,
    /// Number of entries so far.
    entries: u16,
}

/// Alignment of an entry's data in bytes, as PyTorch requires to map storages into memory.
const ALIGNMENT: usize = 64;
/// Id of PyTorch's extra field for padding.
const PADDING_EXTRA: &[u8] = b"FB";

impl Writer {
    /// Adds an entry; `None` if the archive would exceed 32-bit zip.
    pub(super) fn add(&mut self, name: &str, data: &[u8]) -> Option<()> {
        let offset = u32::try_from(self.bytes.len()).ok()?;
        let size = u32::try_from(data.len()).ok()?;
        let name_length = u16::try_from(name.len()).ok()?;
        let fixed = self.bytes.len() + LOCAL_BYTES + name.len() + 4;
        let padding = vec![b'Z'; fixed.next_multiple_of(ALIGNMENT) - fixed];
        let mut common = vec![0; 10];
        common.extend(crc32fast::hash(data).to_le_bytes());
        common.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
        common.extend(name_length.to_le_bytes());

        self.bytes.extend(LOCAL_SIGNATURE);
        self.bytes.extend(&common);
        self.bytes.extend((padding.len() as u16 + 4).to_le_bytes());
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(PADDING_EXTRA);
        self.bytes.extend((padding.len() as u16).to_le_bytes());
        self.bytes.extend(padding);
        self.bytes.extend(data);

        self.directory.extend(CENTRAL_SIGNATURE.to_le_bytes());
        self.directory.extend([0; 2]);
        self.directory.extend(&common);
        self.directory.extend([0; 12]);
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.entries = self.entries.checked_add(1)?;
        Some(())
    }

    /// Returns the complete archive; `None` if it exceeds 32-bit zip.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        let start = u32::try_from(self.bytes.len()).ok()?;
        let length = u32::try_from(self.directory.len()).ok()?;
        self.bytes.extend(self.directory);
        self.bytes.extend(END_SIGNATURE.to_le_bytes());
        self.bytes.extend([0; 4]);
        self.bytes
            .extend([self.entries.to_le_bytes(), self.entries.to_le_bytes()].concat());
        self.bytes
            .extend([length.to_le_bytes(), start.to_le_bytes()].concat());
        self.bytes.extend([0; 2]);
        Some(self.bytes)
    }
}
