//! The part of the zip format that `torch.save` writes: stored entries, found by the central directory. Anything
//! else is refused by name, and nothing is ever unpacked: an entry is a slice of the file.

use std::collections::HashMap;

use super::bytes::Cursor;
use super::error::shown;

/// How a zip file begins that has an entry.
pub(super) const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const CENTRAL_SIGNATURE: u32 = 0x0201_4b50;
const END_SIGNATURE: u32 = 0x0605_4b50;
const END64_SIGNATURE: u32 = 0x0606_4b50;
const LOCATOR64_SIGNATURE: u32 = 0x0706_4b50;

const LOCAL_BYTES: usize = 30;
const END_BYTES: usize = 22;
const LOCATOR64_BYTES: usize = 20;
const MAX_COMMENT: usize = u16::MAX as usize;

/// Most entries read: a storage a tensor and a handful beside them.
const MAX_ENTRIES: u64 = 20_000;
const MAX_NAME_BYTES: usize = 512;

const ENCRYPTED: u16 = 1;
const UNIX_TYPE: u32 = 0o170_000;
const UNIX_SYMLINK: u32 = 0o120_000;
const IN_ZIP64: u32 = u32::MAX;
const ZIP64_EXTRA: u16 = 1;

/// What is wrong with a zip archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZipProblem {
    /// No end-of-directory record, or one that points outside the file.
    #[error("its {0} is missing or cut off")]
    CutOff(&'static str),
    /// More entries than any RIFE needs.
    #[error("{found} entries, more than the {limit} that are read")]
    TooManyEntries {
        /// Entries announced.
        found: u64,
        /// Entries accepted.
        limit: u64,
    },
    /// A name that leads out of the archive, or no name at all.
    #[error("the entry name {0} is not accepted")]
    Name(String),
    /// A name twice.
    #[error("the entry {0} occurs twice")]
    DuplicateName(String),
    /// An entry with a compression method.
    #[error("the entry {name} is compressed (method {method}); torch.save stores its entries plainly")]
    Compressed {
        /// The entry.
        name: String,
        /// Zip's number of the method.
        method: u16,
    },
    /// An encrypted entry.
    #[error("the entry {0} is encrypted")]
    Encrypted(String),
    /// A symbolic link.
    #[error("the entry {0} is a symbolic link")]
    Symlink(String),
    /// A stored entry whose two sizes differ.
    #[error("the entry {name} has {stored} bytes and claims {claimed}")]
    Size {
        /// The entry.
        name: String,
        /// Bytes in the archive.
        stored: u64,
        /// Bytes it claims to unpack to.
        claimed: u64,
    },
    /// The directory and the entry itself disagree, or the entry is cut off.
    #[error("the entry {0} is not where the directory says")]
    Misplaced(String),
    /// Two entries over the same bytes.
    #[error("the entry {0} overlaps the one before it")]
    Overlap(String),
    /// A checksum that does not match.
    #[error("the entry {0} is damaged: its checksum does not match")]
    Checksum(String),
}

use ZipProblem as Fault;

#[derive(Debug)]
struct Entry<'a> {
    /// As stored: packed where there is a method.
    data: &'a [u8],
    method: u16,
    crc: u32,
    /// Where its header begins.
    start: usize,
    /// One past its data.
    end: usize,
}

/// The entries of an archive by name.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    entries: HashMap<&'a str, Entry<'a>>,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let directory = find_directory(bytes)?;
        let cut_off = Fault::CutOff("directory");
        let mut cursor = Cursor::at(&bytes[..directory.end], directory.start).ok_or(cut_off.clone())?;
        let mut entries = HashMap::new();
        for _ in 0..directory.entries {
            let central = read_central(&mut cursor)?.ok_or(cut_off.clone())?;
            let entry = locate(&bytes[..directory.start as usize], &central)?;
            if entries.insert(central.name, entry).is_some() {
                return Err(Fault::DuplicateName(shown(central.name)));
            }
        }
        check_overlap(&entries)?;
        Ok(Self { entries })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.entries.keys().copied()
    }

    /// The bytes of an entry, checked against its checksum; nothing where there is no such entry.
    pub(super) fn get(&self, name: &str) -> Result<Option<&'a [u8]>, Fault> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(None);
        };
        if entry.method != 0 {
            let (name, method) = (shown(name), entry.method);
            return Err(Fault::Compressed { name, method });
        }
        if crc32fast::hash(entry.data) != entry.crc {
            return Err(Fault::Checksum(shown(name)));
        }
        Ok(Some(entry.data))
    }
}

struct Directory {
    entries: u64,
    start: u64,
    /// Where the records after it begin.
    end: usize,
}

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

/// Whether `bytes` are exactly an end-of-central-directory record and its comment.
fn is_end(bytes: &[u8]) -> bool {
    let comment = u16::from_le_bytes([bytes[20], bytes[21]]);
    bytes.starts_with(&END_SIGNATURE.to_le_bytes()) && bytes.len() == END_BYTES + usize::from(comment)
}

/// The 64-bit records, which PyTorch always writes.
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

/// What the directory says of an entry.
struct Central<'a> {
    name: &'a str,
    method: u16,
    crc: u32,
    size: u64,
    offset: u64,
}

/// The next record of the directory, or nothing where it is cut off.
fn read_central<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Central<'a>>, Fault> {
    let Some(fields) = CentralFields::read(cursor) else {
        return Ok(None);
    };
    let name = std::str::from_utf8(fields.name)
        .map_err(|_| Fault::Name(shown(&String::from_utf8_lossy(fields.name))))?;
    check_name(name)?;
    if fields.flags & ENCRYPTED != 0 {
        return Err(Fault::Encrypted(shown(name)));
    }
    if (fields.attributes >> 16) & UNIX_TYPE == UNIX_SYMLINK {
        return Err(Fault::Symlink(shown(name)));
    }
    let Some([claimed, stored, offset]) = fields.wide() else {
        return Ok(None);
    };
    if fields.method == 0 && stored != claimed {
        let name = shown(name);
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

struct CentralFields<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    stored: u32,
    claimed: u32,
    attributes: u32,
    offset: u32,
    name: &'a [u8],
    extra: &'a [u8],
}

impl<'a> CentralFields<'a> {
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

    /// Claimed size, stored size and offset, from the 64-bit field where they do not fit their own.
    fn wide(&self) -> Option<[u64; 3]> {
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

/// Nothing is unpacked to disk, but a name that would be dangerous there is no work of `torch.save`.
fn check_name(name: &str) -> Result<(), Fault> {
    let bad_part = |part: &str| part.is_empty() || part == "." || part == "..";
    let bad_char = |c: char| c.is_control() || c == '\\' || c == ':';
    if name.len() > MAX_NAME_BYTES || name.split('/').any(bad_part) || name.contains(bad_char) {
        return Err(Fault::Name(shown(name)));
    }
    Ok(())
}

/// The entry itself, `bytes` being all before the directory.
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
    found().ok_or_else(|| Fault::Misplaced(shown(central.name)))
}

fn check_overlap(entries: &HashMap<&str, Entry<'_>>) -> Result<(), Fault> {
    let mut spans: Vec<_> = entries.iter().map(|(name, e)| (e.start, e.end, name)).collect();
    spans.sort_unstable();
    let overlap = spans.windows(2).find(|pair| pair[1].0 < pair[0].1);
    overlap.map_or(Ok(()), |pair| Err(Fault::Overlap(shown(pair[1].2))))
}

/// Builds an archive of stored entries, as `torch.save` does.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

/// What an entry of a written archive begins at: PyTorch maps storages in place at this alignment.
const ALIGNMENT: usize = 64;
/// PyTorch's own extra field for padding.
const PADDING_EXTRA: &[u8] = b"FB";

impl Writer {
    /// Adds an entry; nothing where the archive would outgrow 32-bit zip.
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

    /// The whole archive; nothing where it would outgrow 32-bit zip.
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
