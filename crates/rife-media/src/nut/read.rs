//! NUT demuxer for one video stream as ffmpeg's muxer writes it: yields raw frames with their times in ticks, or counts
//! coded frames.

use std::io::{self, BufReader, Read};
use std::path::Path;

use num_rational::Ratio;

use super::{FILE_ID, MAIN, STREAM, SYNCPOINT, flag};
use crate::Time;

/// Maximum size of a header packet in bytes; ffmpeg's have a few hundred.
const MAX_PACKET: u64 = 1 << 20;
/// Maximum size in bytes of frames that may have an elision header.
const MAX_ELIDED: u64 = 4096;

/// An entry of the frame code table: the defaults of a frame header that begins with this code.
#[derive(Debug, Clone, Copy, Default)]
struct FrameCode {
    flags: u64,
    pts_delta: i64,
    size_mul: u64,
    size_lsb: u64,
    reserved: u64,
    header: u64,
}

/// A parsed frame header.
#[derive(Debug)]
struct FrameHead {
    /// Presentation time in ticks.
    pts: i64,
    /// Bytes of the frame, including those of its elision header.
    size: u64,
    /// Index of its elision header.
    header: u64,
}

/// A demuxer of one video stream.
#[derive(Debug)]
pub(crate) struct Reader<R: Read> {
    input: BufReader<R>,
    /// The frame code table, 256 entries; empty before the main header.
    codes: Vec<FrameCode>,
    /// Elision headers: common first bytes of frames, which the file stores once.
    elided: Vec<Vec<u8>>,
    time_base: Time,
    /// Number of low bits of a time that may be coded relative to the last one (`msb_pts_shift`).
    time_shift: u32,
    last_pts: i64,
    /// True once the file identifier was read.
    started: bool,
    version: u64,
}

impl<R: Read> Reader<R> {
    /// Creates a demuxer; reads nothing yet.
    pub(crate) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(1 << 18, input),
            codes: Vec::new(),
            elided: Vec::new(),
            time_base: Ratio::from(1),
            time_shift: 0,
            last_pts: 0,
            started: false,
            version: 3,
        }
    }

    /// Returns the time base in seconds per tick; valid once a frame has been read.
    pub(crate) fn time_base(&self) -> Time {
        self.time_base
    }

    /// Returns the underlying reader.
    pub(crate) fn get_mut(&mut self) -> &mut R {
        self.input.get_mut()
    }

    /// Reads the next frame, which must have `size` bytes, into `out` and returns its time in ticks; `None` at the end of
    /// the stream.
    pub(crate) fn next_frame(&mut self, size: usize, out: &mut Vec<u8>) -> io::Result<Option<i64>> {
        match self.next_code()? {
            Some(code) => self.frame(code, size, out).map(Some),
            None => Ok(None),
        }
    }

    /// Skips the next frame, of any size and codec; returns false at the end of the stream.
    pub(crate) fn skip_frame(&mut self) -> io::Result<bool> {
        let Some(code) = self.next_code()? else {
            return Ok(false);
        };
        let head = self.frame_head(code)?;
        let elided = self.elided_header(&head)?.len() as u64;
        let stored = head.size.checked_sub(elided);
        skip(
            &mut self.input,
            stored.ok_or_else(|| bad("a frame is shorter than its elision header"))?,
        )?;
        self.last_pts = head.pts;
        Ok(true)
    }

    /// Reads the packets before the next frame and returns its frame code; `None` at the end of the stream.
    fn next_code(&mut self) -> io::Result<Option<u8>> {
        if !self.started {
            let mut id = [0; FILE_ID.len()];
            if !self.fill(&mut id)? {
                return Ok(None);
            }
            check(id == *FILE_ID, "the stream does not start as NUT does")?;
            self.started = true;
        }
        loop {
            let mut first = [0];
            if !self.fill(&mut first)? {
                return Ok(None);
            }
            if first[0] == b'N' {
                self.packet()?;
            } else {
                return Ok(Some(first[0]));
            }
        }
    }

    /// Fills `buffer`; returns false where the stream ends before the first byte, an error where it ends within it.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// Reads a packet whose first byte, `N`, has been read; applies headers and syncpoints, skips others.
    fn packet(&mut self) -> io::Result<()> {
        let mut rest = [0; 8];
        rest[0] = b'N';
        self.input.read_exact(&mut rest[1..])?;
        let size = number(&mut self.input)?;
        if size > 4096 {
            skip(&mut self.input, 4)?;
        }
        let code = u64::from_be_bytes(rest);
        if !matches!(code, MAIN | STREAM | SYNCPOINT) {
            return skip(&mut self.input, size);
        }
        check(size <= MAX_PACKET, "a NUT header is too large")?;
        let mut data = Vec::new();
        (&mut self.input).take(size).read_to_end(&mut data)?;
        check(data.len() as u64 == size, "a NUT header is cut short")?;
        let mut data = data.as_slice();
        match code {
            MAIN => self.main_header(&mut data),
            STREAM => self.stream_header(&mut data),
            _ => {
                // With one stream the syncpoint's time is in ticks of its time base.
                self.last_pts = time(&mut data)?;
                Ok(())
            }
        }
    }

    /// Parses a main header: time base, frame code table and elision headers.
    fn main_header(&mut self, data: &mut &[u8]) -> io::Result<()> {
        self.version = number(data)?;
        if self.version > 3 {
            number(data)?;
        }
        check(number(data)? == 1, "not one stream")?;
        number(data)?;
        check(number(data)? == 1, "not one time base")?;
        let (numer, denom) = (number(data)?, number(data)?);
        let sane = |v: u64| (1..1 << 31).contains(&v);
        check(sane(numer) && sane(denom), "the time base is out of range")?;
        self.time_base = Ratio::new(numer as i64, denom as i64);
        self.codes = frame_codes(data)?;
        let headers = number(data)?;
        check(headers < 128, "too many elision headers")?;
        self.elided = vec![Vec::new()];
        for _ in 0..headers {
            let length = number(data)?;
            check(
                length <= 256 && length as usize <= data.len(),
                "an elision header is too long",
            )?;
            let (header, rest) = data.split_at(length as usize);
            self.elided.push(header.to_vec());
            *data = rest;
        }
        Ok(())
    }

    /// Parses a stream header, which must be that of a video stream; keeps `msb_pts_shift`.
    fn stream_header(&mut self, data: &mut &[u8]) -> io::Result<()> {
        check(number(data)? == 0 && number(data)? == 0, "the stream is no video")?;
        let fourcc = number(data)?;
        check(fourcc as usize <= data.len(), "the stream header is cut short")?;
        *data = &data[fourcc as usize..];
        number(data)?;
        let shift = number(data)?;
        check(shift < 16, "the time shift is out of range")?;
        self.time_shift = shift as u32;
        Ok(())
    }

    /// Reads the rest of the header of the frame that begins with `code`.
    fn frame_head(&mut self, code: u8) -> io::Result<FrameHead> {
        let code = *self
            .codes
            .get(code as usize)
            .ok_or_else(|| bad("a frame before the headers"))?;
        let mut flags = code.flags;
        check(flags & flag::INVALID == 0, "an invalid frame code")?;
        let input = &mut self.input;
        if flags & flag::CODED != 0 {
            flags ^= number(input)?;
        }
        if flags & flag::STREAM_ID != 0 {
            check(number(input)? == 0, "a frame of another stream")?;
        }
        let pts = if flags & flag::CODED_PTS != 0 {
            full_pts(number(input)?, self.time_shift, self.last_pts)
        } else {
            self.last_pts.checked_add(code.pts_delta)
        };
        let pts = pts.ok_or_else(|| bad("a time is out of range"))?;
        let msb = if flags & flag::SIZE_MSB != 0 {
            number(input)?
        } else {
            0
        };
        let size = msb
            .checked_mul(code.size_mul)
            .and_then(|size| size.checked_add(code.size_lsb));
        if flags & flag::MATCH_TIME != 0 {
            number(input)?;
        }
        let header = if flags & flag::HEADER_INDEX != 0 {
            number(input)?
        } else {
            code.header
        };
        let reserved = if flags & flag::RESERVED != 0 {
            number(input)?
        } else {
            code.reserved
        };
        for _ in 0..reserved.min(256) {
            number(input)?;
        }
        if flags & flag::CHECKSUM != 0 {
            skip(input, 4)?;
        }
        check(
            flags & flag::SIDE_DATA == 0 || self.version < 4,
            "frames with side data are not expected",
        )?;
        let size = size.ok_or_else(|| bad("the size of a frame is out of range"))?;
        Ok(FrameHead { pts, size, header })
    }

    /// Returns the elision header of a frame: its first bytes, which are not stored with it.
    fn elided_header(&self, head: &FrameHead) -> io::Result<&[u8]> {
        if head.size > MAX_ELIDED {
            return Ok(&[]);
        }
        let header = usize::try_from(head.header).ok();
        header
            .and_then(|header| self.elided.get(header))
            .map(Vec::as_slice)
            .ok_or_else(|| bad("an unknown elision header"))
    }

    /// Reads the frame that begins with `code` into `out` and returns its time in ticks; an error where it has not
    /// `expected` bytes.
    fn frame(&mut self, code: u8, expected: usize, out: &mut Vec<u8>) -> io::Result<i64> {
        let head = self.frame_head(code)?;
        let elided = self.elided_header(&head)?;
        if head.size != expected as u64 || elided.len() > expected {
            let found = head.size;
            let message = format!(
                "the frame has {found} bytes where {expected} were expected: its size or format changed"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        out.clear();
        out.extend_from_slice(elided);
        self.last_pts = head.pts;
        (&mut self.input)
            .take((expected - out.len()) as u64)
            .read_to_end(out)?;
        if out.len() < expected {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(head.pts)
    }
}

/// Returns the number of frames in a NUT file with one coded video stream.
///
/// # Errors
/// Errors of reading; [`io::ErrorKind::UnexpectedEof`] where the file ends within a frame.
pub(crate) fn count_frames(path: &Path) -> io::Result<u64> {
    let mut reader = Reader::new(rife_files::open_regular(path)?);
    let mut count = 0;
    while reader.skip_frame()? {
        count += 1;
    }
    Ok(count)
}

/// Parses the frame code table of a main header into 256 entries.
fn frame_codes(data: &mut &[u8]) -> io::Result<Vec<FrameCode>> {
    let mut codes = Vec::with_capacity(256);
    let mut row = FrameCode {
        size_mul: 1,
        ..FrameCode::default()
    };
    while codes.len() < 256 {
        row.flags = number(data)?;
        let fields = number(data)?;
        check(fields <= 64, "too many fields in the frame code table")?;
        let mut values = [None; 8];
        for field in 0..fields {
            let value = number(data)?;
            if let Some(slot) = values.get_mut(field as usize) {
                *slot = Some(value);
            }
        }
        // Time delta, size multiplier and header index keep the previous row's values where absent.
        row.pts_delta = values[0].map_or(row.pts_delta, signed);
        row.size_mul = values[1].unwrap_or(row.size_mul);
        row.header = values[7].unwrap_or(row.header);
        let size = values[3].unwrap_or(0);
        row.reserved = values[4].unwrap_or(0);
        let count = values[5].unwrap_or_else(|| row.size_mul.saturating_sub(size));
        check(count >= 1, "an empty row in the frame code table")?;
        let mut given = 0;
        while given < count && codes.len() < 256 {
            if codes.len() == usize::from(b'N') {
                codes.push(FrameCode {
                    flags: flag::INVALID,
                    ..FrameCode::default()
                });
            } else {
                codes.push(FrameCode {
                    size_lsb: size + given,
                    ..row
                });
                given += 1;
            }
        }
    }
    Ok(codes)
}

/// Decodes a `coded_pts`: the low `shift` bits of a time near `last`, or a full time plus `2^shift`; `None` on overflow.
fn full_pts(coded: u64, shift: u32, last: i64) -> Option<i64> {
    if coded >= 1 << shift {
        return i64::try_from(coded - (1 << shift)).ok();
    }
    let mask = (1_i64 << shift) - 1;
    let delta = last.checked_sub(mask / 2)?;
    ((coded as i64).wrapping_sub(delta) & mask).checked_add(delta)
}

/// Decodes a signed number, stored as 0, 1, -1, 2, -2, ...
fn signed(value: u64) -> i64 {
    let value = (value & (i64::MAX as u64 >> 1)) as i64 + 1;
    if value & 1 == 1 { -(value >> 1) } else { value >> 1 }
}

/// Reads a variable-length number of up to 63 bits: groups of seven bits, most significant first.
fn number(input: &mut impl Read) -> io::Result<u64> {
    coded(input, 9)
}

/// Reads a variable-length time in ticks; negative times take all 64 bits.
fn time(input: &mut impl Read) -> io::Result<i64> {
    coded(input, 10).map(|bits| bits as i64)
}

/// Reads a variable-length number of up to `groups` groups of seven bits; bits beyond 64 are lost.
fn coded(input: &mut impl Read, groups: usize) -> io::Result<u64> {
    let mut value = 0_u64;
    for _ in 0..groups {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        value = (value << 7) | u64::from(byte[0] & 0x7F);
        if byte[0] & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(bad("a number is too long"))
}

/// Discards `count` bytes; an error where the input ends before.
fn skip(input: &mut impl Read, count: u64) -> io::Result<()> {
    let skipped = io::copy(&mut input.take(count), &mut io::sink())?;
    if skipped < count {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(())
    }
}

/// Returns an [`io::ErrorKind::InvalidData`] error.
fn bad(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Returns an [`io::ErrorKind::InvalidData`] error with `message` unless `good`.
fn check(good: bool, message: &str) -> io::Result<()> {
    if good { Ok(()) } else { Err(bad(message)) }
}
