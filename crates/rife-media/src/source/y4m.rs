//! Y4M (YUV4MPEG2) reader: a text header, then planar raw frames, each after a line `FRAME`.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use num_rational::Ratio;

use super::stream::Stream;
use super::{Source, SourceSpec, StreamInfo};
use crate::probe::{DisplayMatrix, HdrMetadata};
use crate::time::{narrow, parse_fraction, widen};
use crate::{ChromaLocation, ColorTags, Frame, Layout, Limits, MediaError, PixelFormat, Range, Result, Time};

/// Maximum length of a header line in bytes; real ones have less than 200.
const MAX_LINE: u64 = 4096;
/// The bytes that every stream begins with.
const MAGIC: &str = "YUV4MPEG2";
/// The error for a stream that does not begin with [`MAGIC`].
const NOT_Y4M: &str = "it does not start with YUV4MPEG2, so it is no Y4M stream. A pipe carries Y4M only: give the file by its \
                       name, or ffmpeg -i IN -f yuv4mpegpipe -strict -1 - | rife video - -o OUT";

/// A Y4M source.
pub(super) struct Reader {
    /// Path or name for messages.
    name: PathBuf,
    input: BufReader<Box<dyn Read + Send>>,
    info: StreamInfo,
    /// Frame rate in frames per second.
    rate: Time,
    limits: Limits,
    cancel: crate::CancelToken,
    /// Number of frames read so far.
    frames: u64,
    /// Raw bytes of the last frame.
    buffer: Vec<u8>,
    ended: bool,
    warnings: Vec<String>,
}

impl Reader {
    /// Opens a Y4M file or named pipe and reads its header.
    pub(super) fn open(path: &Path, spec: &SourceSpec) -> Result<Self> {
        let stream = Stream::open(path, &spec.cancel).map_err(|e| MediaError::io("open", path, e))?;
        Self::new(path.to_owned(), Box::new(stream), spec)
    }

    /// Reads the header of a Y4M stream on standard input.
    pub(super) fn stdin(spec: &SourceSpec) -> Result<Self> {
        let name = PathBuf::from("standard input");
        let stream = Stream::stdin(&spec.cancel).map_err(|e| MediaError::io("open", &name, e))?;
        Self::new(name, Box::new(stream), spec)
    }

    /// Reads and checks the header of `input`; `name` is its path or name in messages.
    pub(super) fn new(name: PathBuf, mut input: Box<dyn Read + Send>, spec: &SourceSpec) -> Result<Self> {
        let failed = |e: MediaError| match spec.cancel.is_cancelled() {
            true => MediaError::Cancelled,
            false => e,
        };
        let magic = read_magic(&name, &mut input).map_err(failed)?;
        let input: Box<dyn Read + Send> = Box::new(io::Cursor::new(magic).chain(input));
        let mut input = BufReader::with_capacity(1 << 18, input);
        let line = header_line(&mut input).map_err(|e| failed(MediaError::io("read", &name, e)))?;
        let line = line.ok_or_else(|| MediaError::unreadable(&name, "the Y4M stream is empty"))?;
        let header = Header::parse(&line).map_err(|reason| MediaError::unreadable(&name, reason))?;
        spec.limits.check_size(header.width, header.height)?;
        if header.interlaced && !spec.allow_interlaced {
            return Err(MediaError::Interlaced {
                path: name,
                order: "by its Y4M header".to_owned(),
            });
        }
        let mut warnings = Vec::new();
        let rate = header.rate.or(spec.frame_rate).unwrap_or_else(|| {
            let given = header.odd_rate.as_ref();
            let given = given.map_or("no frame rate".to_owned(), |rate| {
                format!("the frame rate `{rate}`, where one from 1 in a day to 1000 in a second is accepted")
            });
            warnings.push(format!("the Y4M header gives {given}; 25 is assumed"));
            Ratio::from(25)
        });
        let info = header.info(rate);
        let (limits, cancel) = (spec.limits.clone(), spec.cancel.clone());
        Ok(Self {
            name,
            input,
            info,
            rate,
            limits,
            cancel,
            frames: 0,
            buffer: Vec::new(),
            ended: false,
            warnings,
        })
    }

    /// Reads the raw bytes of the next frame into `buffer`; returns false at the end of the stream.
    fn read_frame(&mut self) -> io::Result<bool> {
        let Some(line) = header_line(&mut self.input)? else {
            return Ok(false);
        };
        if line != "FRAME" && !line.starts_with("FRAME ") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a frame does not start with FRAME",
            ));
        }
        let size = self.info.format.frame_bytes(self.info.width, self.info.height);
        self.buffer.clear();
        (&mut self.input)
            .take(size as u64)
            .read_to_end(&mut self.buffer)?;
        if self.buffer.len() < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(true)
    }
}

impl Source for Reader {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// Parses the next frame at its time of the constant rate; an incomplete last frame becomes a warning.
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        if self.ended {
            return Ok(None);
        }
        match self.read_frame() {
            Ok(true) => {}
            Ok(false) => {
                self.ended = true;
                return Ok(None);
            }
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && self.frames > 0 => {
                // Only the last frame is incomplete.
                self.ended = true;
                self.warnings.push(format!(
                    "{}: frame {} is cut short and left out",
                    self.name.display(),
                    self.frames
                ));
                return Ok(None);
            }
            Err(_) if self.cancel.is_cancelled() => {
                self.ended = true;
                return Err(MediaError::Cancelled);
            }
            Err(e) => {
                self.ended = true;
                return Err(MediaError::unreadable(
                    &self.name,
                    format!("frame {}: {e}", self.frames),
                ));
            }
        }
        let time = |n: u64| narrow(widen(self.rate).recip() * i128::from(n)).unwrap_or_default();
        let (pts, next) = (time(self.frames), time(self.frames + 1));
        self.frames += 1;
        self.limits.check_frames(self.frames)?;
        let frame = Frame::from_raw(self.info.width, self.info.height, self.info.format, &self.buffer)?;
        Ok(Some(frame.at(pts, next - pts)))
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}

/// Reads the next header line without its newline; `None` at the end of the stream.
fn header_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    input.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        let kind = if line.len() as u64 + 1 < MAX_LINE {
            io::ErrorKind::UnexpectedEof
        } else {
            io::ErrorKind::InvalidData
        };
        return Err(io::Error::new(kind, "a header line without an end"));
    }
    String::from_utf8(line)
        .map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a header that is not text"))
}

/// Reads the start of a stream, which must be [`MAGIC`] (shorter where the stream ends); the error of another start says how
/// to read such a stream.
fn read_magic(name: &Path, input: &mut impl Read) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    for wanted in MAGIC.bytes() {
        // One byte at a time, so that no read blocks after the first wrong byte.
        let count = input.take(1).read_to_end(&mut start);
        match count.map_err(|e| MediaError::io("read", name, e))? {
            0 => break,
            _ if start.last() == Some(&wanted) => {}
            _ => return Err(MediaError::unreadable(name, NOT_Y4M)),
        }
    }
    Ok(start)
}

/// A parsed stream header.
struct Header {
    width: u64,
    height: u64,
    /// Frame rate in frames per second; `None` where missing or not accepted.
    rate: Option<Time>,
    /// The frame rate as written.
    odd_rate: Option<String>,
    /// Sample aspect ratio.
    aspect: Ratio<i64>,
    interlaced: bool,
    format: PixelFormat,
    location: ChromaLocation,
    range: Range,
}

impl Header {
    /// Parses the header line; the error is a message.
    fn parse(line: &str) -> std::result::Result<Self, String> {
        let rest = line.strip_prefix("YUV4MPEG2").ok_or(NOT_Y4M)?;
        let mut header = Self {
            width: 0,
            height: 0,
            rate: None,
            odd_rate: None,
            aspect: Ratio::from(1),
            interlaced: false,
            format: PixelFormat::YUV420P,
            location: ChromaLocation::Unspecified,
            range: Range::Unspecified,
        };
        for field in rest.split_ascii_whitespace() {
            header.field(field)?;
        }
        Ok(header)
    }

    /// Parses one field, a letter and its value such as `W640`; unknown fields are ignored.
    fn field(&mut self, field: &str) -> std::result::Result<(), String> {
        let mut chars = field.chars();
        let (key, value) = (chars.next(), chars.as_str());
        let side = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("the size `{field}` of the Y4M header is no number"))
        };
        match key {
            Some('W') => self.width = side()?,
            Some('H') => self.height = side()?,
            Some('F') => {
                self.rate = parse_fraction(value).filter(is_a_rate);
                self.odd_rate = Some(value.chars().take(40).collect());
            }
            Some('A') => self.aspect = parse_fraction(value).unwrap_or(Ratio::from(1)),
            Some('I') => self.interlaced = matches!(value, "t" | "b" | "m"),
            Some('C') => (self.format, self.location) = color_space(value)?,
            Some('X') if value == "COLORRANGE=FULL" => self.range = Range::Full,
            Some('X') if value == "COLORRANGE=LIMITED" => self.range = Range::Limited,
            _ => {}
        }
        Ok(())
    }

    /// Converts the header to source properties with the frame rate `rate`.
    fn info(&self, rate: Time) -> StreamInfo {
        StreamInfo {
            width: self.width as u32,
            height: self.height as u32,
            format: self.format,
            tags: ColorTags {
                range: self.range,
                chroma_location: self.location,
                ..ColorTags::default()
            },
            sample_aspect: self.aspect,
            matrix: DisplayMatrix::IDENTITY,
            time_base: rate.recip(),
            frame_rate: Some(rate),
            variable_rate: false,
            frames: None,
            duration: None,
            start: Time::from(0),
            excerpt: None,
            hdr: HdrMetadata::default(),
            media: None,
        }
    }
}

/// Reports whether a frame rate is accepted: one frame per day to 1000 per second, with numerator and denominator in 31 bits.
fn is_a_rate(rate: &Time) -> bool {
    let countable = *rate.numer() <= i64::from(i32::MAX) && *rate.denom() <= i64::from(i32::MAX);
    countable && *rate >= Ratio::new(1, 86_400) && *rate <= Ratio::from(1000)
}

/// Parses a colour space such as `420jpeg` or `422p10` to pixel format and chroma position; the error is a message.
fn color_space(value: &str) -> std::result::Result<(PixelFormat, ChromaLocation), String> {
    use ChromaLocation::{Center, Left, TopLeft, Unspecified};
    let simple = |layout, location| Ok((PixelFormat::new(layout, 8), location));
    match value {
        "420jpeg" => return simple(Layout::Yuv420, Center),
        "420mpeg2" => return simple(Layout::Yuv420, Left),
        "420paldv" => return simple(Layout::Yuv420, TopLeft),
        "420" => return simple(Layout::Yuv420, Unspecified),
        "422" => return simple(Layout::Yuv422, Unspecified),
        "444" => return simple(Layout::Yuv444, Unspecified),
        "411" => return simple(Layout::Yuv411, Unspecified),
        "mono" => return simple(Layout::Gray, Unspecified),
        "444alpha" => return Ok((PixelFormat::YUV444P.with_alpha(true), Unspecified)),
        _ => {}
    }
    let deep = [
        ("420p", Layout::Yuv420),
        ("422p", Layout::Yuv422),
        ("444p", Layout::Yuv444),
        ("mono", Layout::Gray),
    ];
    let found = deep
        .iter()
        .find_map(|&(base, layout)| Some((layout, value.strip_prefix(base)?.parse::<u8>().ok()?)));
    match found {
        Some((layout, depth @ 9..=16)) => Ok((PixelFormat::new(layout, depth), Unspecified)),
        _ => Err(format!(
            "the Y4M colour space `{}` is not one of 420, 422, 444, 411, mono and their deeper kinds",
            value.escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Input;
    use crate::damaged::damaged;

    /// Three frames of 16x16.
    fn sound() -> Vec<u8> {
        let frame = [b'7'; 384];
        let header = b"YUV4MPEG2 W16 H16 F25:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n";
        [
            &header[..],
            b"FRAME\n",
            &frame,
            b"FRAME Ixyz\n",
            &frame,
            b"FRAME\n",
            &frame,
        ]
        .concat()
    }

    /// Gives so many bytes at a time.
    struct Chunks(io::Cursor<Vec<u8>>, usize);

    impl Read for Chunks {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let count = to.len().min(self.1);
            self.0.read(&mut to[..count])
        }
    }

    /// Every frame, and how the stream ended; at most a hundred frames.
    fn read(bytes: &[u8], at_a_time: usize) -> (Vec<Frame>, String) {
        let mut spec = SourceSpec::new(Input::Stdin);
        spec.limits.max_frames = 100;
        let input = Chunks(io::Cursor::new(bytes.to_vec()), at_a_time);
        let mut reader = match Reader::new("x".into(), Box::new(input), &spec) {
            Ok(reader) => reader,
            Err(e) => return (Vec::new(), e.to_string()),
        };
        let mut frames = Vec::new();
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, reader.warnings().concat()),
                Err(e) => return (frames, e.to_string()),
            }
        }
    }

    /// Most damage where the headers are.
    fn header_damaged() -> impl Strategy<Value = Vec<u8>> {
        let (header, rest) = (sound()[..80].to_vec(), sound()[80..].to_vec());
        let first = damaged(&header).prop_map(move |header| [header, rest.clone()].concat());
        prop_oneof![first, damaged(&sound())]
    }

    #[test]
    fn a_sound_stream_has_its_frames() {
        assert_eq!(read(&sound(), 7).0.len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn damaged_streams_end_alike_however_they_come(bytes in header_damaged(), at_a_time in 1..50_usize) {
            let (frames, end) = read(&bytes, usize::MAX);
            prop_assert!(frames.len() <= 100);
            prop_assert!(read(&bytes, at_a_time) == (frames, end));
        }
    }
}
