//! Bounds-checked little-endian reader of untrusted bytes ([`Cursor`]): reads past the end return `None`.

/// A read position in a byte slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Offset of the next byte.
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Starts at byte `at`; `None` if that is past the end.
    pub(super) fn at(bytes: &'a [u8], at: u64) -> Option<Self> {
        let at = usize::try_from(at).ok()?;
        (at <= bytes.len()).then_some(Self { bytes, at })
    }

    /// Returns the index of the next byte.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Returns the number of bytes not read yet.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Reads `count` bytes; `None` if fewer are left.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// Reads `N` bytes; `None` if fewer are left.
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Reads a byte; `None` at the end.
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Reads a little-endian u16; `None` if fewer bytes are left.
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Reads a little-endian u32; `None` if fewer bytes are left.
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a little-endian u64; `None` if fewer bytes are left.
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a little-endian i32; `None` if fewer bytes are left.
    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    /// Reads a big-endian f64.
    pub(super) fn f64_be(&mut self) -> Option<f64> {
        self.array().map(f64::from_be_bytes)
    }

    /// Reads up to the next line feed and skips that; `None` without a line feed.
    pub(super) fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n')?;
        self.at += length + 1;
        Some(&rest[..length])
    }
}
