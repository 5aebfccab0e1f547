//! Live source: a stream that is read once and in order, from standard input, a named pipe, a device, a file that is played
//! back, or a network address. Anything but Y4M and raw frames is decoded by ffmpeg to Y4M of constant rate.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use num_rational::Ratio;

use super::stream::{self, Stream};
use super::{Source, SourceSpec, has_extension, y4m};
use crate::ffmpeg::args::{Args, FORMATS, check_word, file_url};
use crate::ffmpeg::child::{self, Child, Request};
use crate::{Ffmpeg, Layout, MediaError, PixelFormat, Result};

/// Network protocols that can be allowed, each with those that ffmpeg needs for it.
const PROTOCOLS: [(&str, &str); 9] = [
    ("http", "http,tcp"),
    ("https", "https,http,tls,tcp"),
    ("rtmp", "rtmp,tcp"),
    ("rtp", "rtp,udp"),
    ("rtsp", "rtsp,rtp,udp,tcp"),
    ("rtsps", "rtsps,rtsp,rtp,udp,tls,tcp"),
    ("srt", "srt"),
    ("tcp", "tcp"),
    ("udp", "udp"),
];

/// Pixel formats of Y4M, of which ffmpeg takes the nearest to the input's.
const PIXEL_FORMATS: &str = "yuv420p|yuv422p|yuv444p|gray|yuv420p10|yuv422p10|yuv444p10|gray10";

/// Size, pixel format and rate of raw frames, which have no header. Parses from `1280x720,yuv420p,30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFrames {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Planar YUV or gray of 8 or 10 bits.
    pub format: PixelFormat,
    /// Frames per second.
    pub rate: Ratio<i64>,
}

impl std::str::FromStr for RawFrames {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        parse_raw(text).ok_or_else(|| {
            "raw frames are described as WIDTHxHEIGHT,FORMAT,RATE such as 1280x720,yuv420p,30; formats are yuv420p, yuv422p, \
             yuv444p and gray, also with 10le behind the name"
                .to_owned()
        })
    }
}

/// Parses the description of raw frames.
fn parse_raw(text: &str) -> Option<RawFrames> {
    let mut parts = text.split(',');
    let (width, height) = parts.next()?.split_once('x')?;
    let name = parts.next()?;
    let rate = crate::time::parse_rate(parts.next()?)?;
    let (name, depth) = name.strip_suffix("10le").map_or((name, 8), |name| (name, 10));
    let layout = match name {
        "yuv420p" => Layout::Yuv420,
        "yuv422p" => Layout::Yuv422,
        "yuv444p" => Layout::Yuv444,
        "gray" => Layout::Gray,
        _ => return None,
    };
    let found = RawFrames {
        width: width.parse().ok().filter(|width| *width > 0)?,
        height: height.parse().ok().filter(|height| *height > 0)?,
        format: PixelFormat::new(layout, depth),
        rate,
    };
    parts.next().is_none().then_some(found)
}

impl RawFrames {
    /// Returns the Y4M header of these frames.
    fn header(&self) -> String {
        let space = match (self.format.layout, self.format.depth) {
            (Layout::Yuv422, 8) => "422",
            (Layout::Yuv422, _) => "422p10",
            (Layout::Yuv444, 8) => "444",
            (Layout::Yuv444, _) => "444p10",
            (Layout::Gray, 8) => "mono",
            (Layout::Gray, _) => "mono10",
            (_, 8) => "420mpeg2",
            (_, _) => "420p10",
        };
        let (width, height, rate) = (self.width, self.height, self.rate);
        format!(
            "YUV4MPEG2 W{width} H{height} F{}:{} Ip A1:1 C{space}\n",
            rate.numer(),
            rate.denom()
        )
    }
}

/// The input of a live source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveInput {
    /// `-` for standard input, a path, a device, or a network address such as `rtsp://camera/stream`.
    pub name: PathBuf,
    /// The network protocols that are allowed; none by default.
    pub protocols: Vec<String>,
    /// ffmpeg's input format, for devices such as `v4l2`.
    pub format: Option<String>,
    /// The description of raw frames on standard input or in a named pipe.
    pub raw: Option<RawFrames>,
    /// A file (NUT) that the first sound track is copied to, with times that count from the first frame, of an input that
    /// ffmpeg decodes; none by default.
    pub sound: Option<PathBuf>,
}

impl LiveInput {
    /// Makes the input of this name, without network.
    pub fn new(name: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            protocols: Vec::new(),
            format: None,
            raw: None,
            sound: None,
        }
    }

    /// Reports whether the input is Y4M or raw frames, which have no sound: standard input, a named pipe, or a file `.y4m`.
    pub fn is_plain(&self) -> bool {
        let plain =
            self.name == Path::new("-") || stream::is_pipe(&self.name) || has_extension(&self.name, "y4m");
        self.raw.is_some() || plain && self.protocol().is_none() && self.format.is_none()
    }

    /// Returns the protocol of a network address, such as `rtsp`.
    fn protocol(&self) -> Option<&str> {
        let (protocol, _) = self.name.to_str()?.split_once("://")?;
        let word = !protocol.is_empty() && protocol.bytes().all(|byte| byte.is_ascii_alphanumeric());
        word.then_some(protocol)
    }

    /// Reports whether frames come as fast as they are read, as from a regular file, and not by a clock of the source.
    pub fn is_file(&self) -> bool {
        self.protocol().is_none() && self.format.is_none() && self.name.is_file()
    }
}

/// Opens a live source; waits for its first bytes.
///
/// # Errors
/// [`MediaError::Unsupported`] for a network address whose protocol is not allowed or not known; those of starting ffmpeg and of
/// reading the header.
pub fn open_live(input: &LiveInput, spec: &SourceSpec) -> Result<Box<dyn Source>> {
    let check = |name: &String| protocols_for(name).map(drop);
    input.protocols.iter().try_for_each(check)?;
    let stdin = input.name == Path::new("-");
    if let Some(raw) = input.raw {
        if !stdin && !stream::is_pipe(&input.name) {
            let reason = "raw frames are read from standard input or a named pipe".to_owned();
            return Err(MediaError::Unsupported(reason));
        }
        let (name, bytes) = open_plain(input, spec)?;
        return Ok(Box::new(y4m::Reader::new(
            name,
            Box::new(WithHeaders::new(raw, bytes)),
            spec,
        )?));
    }
    if input.is_plain() {
        let (name, bytes) = open_plain(input, spec)?;
        return Ok(Box::new(y4m::Reader::new(name, bytes, spec)?));
    }
    if input.protocol().is_none() && input.format.is_none() {
        std::fs::metadata(&input.name).map_err(|error| MediaError::io("open", &input.name, error))?;
    }
    let ffmpeg = spec.ffmpeg.clone().map_or_else(Ffmpeg::find, Ok)?;
    let child = child::start(Request {
        stdout: true,
        cancel: spec.cancel.clone(),
        stall: spec.stall_timeout,
        ..Request::new("ffmpeg", &ffmpeg.ffmpeg, arguments(input, spec)?.0)
    })?;
    let decoded = Decoded {
        name: input.name.clone(),
        child: Some(child),
    };
    let opened = y4m::Reader::new(input.name.clone(), Box::new(decoded), spec);
    Ok(Box::new(opened.map_err(|error| cause(error, &input.name))?))
}

/// Returns ffmpeg's error where reading its output failed with it.
fn cause(error: MediaError, name: &Path) -> MediaError {
    match error {
        MediaError::Io { source, .. } if source.get_ref().is_some_and(|inner| inner.is::<MediaError>()) => {
            match source.into_inner().map(|inner| inner.downcast::<MediaError>()) {
                Some(Ok(inner)) => match *inner {
                    MediaError::Child { tail, .. } => MediaError::unreadable(name, tail),
                    inner => inner,
                },
                _ => MediaError::unreadable(name, "ffmpeg cannot read it"),
            }
        }
        error => error,
    }
}

/// Opens standard input, a named pipe or a file of plain bytes; returns it with its name for messages.
fn open_plain(input: &LiveInput, spec: &SourceSpec) -> Result<(PathBuf, Box<dyn Read + Send>)> {
    let (name, opened) = match input.name.to_str() {
        Some("-") => (PathBuf::from("standard input"), Stream::stdin(&spec.cancel)),
        _ => (input.name.clone(), Stream::open(&input.name, &spec.cancel)),
    };
    let opened = opened.map_err(|error| MediaError::io("open", &name, error))?;
    Ok((name, Box::new(opened)))
}

/// Returns the protocols that ffmpeg needs for a network protocol.
fn protocols_for(name: &str) -> Result<&'static str> {
    let found = PROTOCOLS.iter().find(|(known, _)| *known == name);
    found.map(|(_, needed)| *needed).ok_or_else(|| {
        let known: Vec<_> = PROTOCOLS.iter().map(|(known, _)| *known).collect();
        MediaError::Unsupported(format!(
            "{name} is no network protocol that can be read; these are: {}",
            known.join(", ")
        ))
    })
}

/// Builds ffmpeg's arguments that decode the input to Y4M on standard output.
fn arguments(input: &LiveInput, spec: &SourceSpec) -> Result<Args> {
    let mut args = Args::ffmpeg();
    let url = match input.protocol() {
        Some(protocol) if !input.protocols.iter().any(|allowed| allowed == protocol) => {
            protocols_for(protocol)?;
            return Err(MediaError::Unsupported(format!(
                "{} is a network address, which is only read where its protocol, {protocol}, is allowed",
                input.name.display()
            )));
        }
        Some(_) => input.name.clone().into_os_string(),
        None if input.format.is_some() => input.name.clone().into_os_string(),
        None => file_url(&input.name)?,
    };
    let mut protocols = vec!["file", "pipe"];
    for allowed in &input.protocols {
        protocols.push(protocols_for(allowed)?);
    }
    if input.protocol().is_some() || input.format.is_some() {
        // Of files it would lose frames.
        args.all(["-fflags", "nobuffer"]);
    }
    args.all(["-protocol_whitelist", &protocols.join(",")]);
    let formats = match (&input.format, input.protocol()) {
        (Some(format), _) => {
            check_word("the input format", format)?;
            args.all(["-f", format]);
            format!("{FORMATS},{format}")
        }
        (None, Some("rtsp" | "rtsps" | "rtp")) => format!("{FORMATS},rtsp,rtp,sdp"),
        (None, _) => FORMATS.to_owned(),
    };
    args.all(["-format_whitelist", &formats]);
    args.all([
        "-max_pixels",
        &spec.limits.max_pixels.min(i32::MAX as u64).to_string(),
    ]);
    args.one("-i").one(url);
    let formats = format!("format=pix_fmts={PIXEL_FORMATS}");
    args.all(["-map", "0:v:0", "-vf", &formats, "-fps_mode", "cfr"]);
    if let Some(rate) = spec.frame_rate {
        args.all(["-r", &rate.to_string()]);
    }
    args.all([
        "-strict",
        "-1",
        "-flush_packets",
        "1",
        "-f",
        "yuv4mpegpipe",
        "pipe:1",
    ]);
    if let Some(sound) = &input.sound {
        // At a constant rate the frames count from the input's start, as the sound does. A file needs a stream, and whether there
        // is sound is not known before: so there is always a tiny picture.
        args.all([
            "-map",
            "0:v:0",
            "-frames:v",
            "1",
            "-s",
            "16x16",
            "-pix_fmt",
            "gray",
        ]);
        args.all(["-c:v", "rawvideo", "-map", "0:a:0?", "-c:a", "copy"]);
        args.all(["-flush_packets", "1", "-f", "nut", "-y"])
            .one(file_url(sound)?);
    }
    Ok(args)
}

/// The output of ffmpeg. At its end ffmpeg's failure, if any, is the error of the read.
struct Decoded {
    name: PathBuf,
    child: Option<Child>,
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(child) = &mut self.child else {
            return Ok(0);
        };
        let count = child.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let finished = child.finish(&format!("while reading {}", self.name.display()));
        self.child = None;
        finished.map(|_| 0).map_err(io::Error::other)
    }
}

/// Raw frames with the headers of Y4M in front of them.
struct WithHeaders {
    input: Box<dyn Read + Send>,
    /// Bytes of a frame.
    size: usize,
    /// Bytes of a header that were not returned yet.
    header: io::Cursor<Vec<u8>>,
    /// Bytes left of the current frame.
    left: usize,
}

impl WithHeaders {
    /// Puts headers in front of the raw frames of `input`.
    fn new(raw: RawFrames, input: Box<dyn Read + Send>) -> Self {
        Self {
            input,
            size: raw.format.frame_bytes(raw.width, raw.height),
            header: io::Cursor::new(raw.header().into_bytes()),
            left: 0,
        }
    }
}

impl Read for WithHeaders {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.header.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        if self.left == 0 {
            // A header belongs in front of the frame's first byte, which must be there.
            let mut first = [0];
            if self.input.read(&mut first)? == 0 {
                return Ok(0);
            }
            self.header = io::Cursor::new([&b"FRAME\n"[..], &first].concat());
            self.left = self.size - 1;
            return self.header.read(buffer);
        }
        let most = self.left.min(buffer.len());
        let count = self.input.read(&mut buffer[..most])?;
        self.left -= count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Input;

    #[test]
    fn raw_frames_get_headers() {
        let raw: RawFrames = "16x16,gray,30000/1001".parse().unwrap();
        assert_eq!((raw.width, raw.rate), (16, Ratio::new(30_000, 1001)));
        for bad in [
            "",
            "16x16,rgb24,30",
            "16x16,gray",
            "0x16,gray,30",
            "16x16,gray,30,1",
            "16x16,gray,0",
        ] {
            assert!(bad.parse::<RawFrames>().is_err(), "{bad}");
        }
        let bytes: Vec<u8> = (0..2 * 256 + 100).map(|i| i as u8).collect();
        let input = WithHeaders::new(raw, Box::new(io::Cursor::new(bytes)));
        let spec = SourceSpec::new(Input::Stdin);
        let mut reader = y4m::Reader::new("raw".into(), Box::new(input), &spec).unwrap();
        for start in [0, 256] {
            let frame = reader.next_frame().unwrap().unwrap();
            let mut found = Vec::new();
            frame.to_raw(&mut found);
            let wanted: Vec<u8> = (start..start + 256).map(|i| i as u8).collect();
            assert_eq!(found, wanted);
        }
        assert!(
            reader.next_frame().unwrap().is_none(),
            "the third frame is cut short"
        );
        assert_eq!(reader.warnings().len(), 1);
    }

    #[test]
    fn addresses_are_refused_unless_their_protocol_is_allowed() {
        let spec = SourceSpec::new(Input::Stdin);
        let mut input = LiveInput::new("rtsp://camera/1");
        let text = |input: &LiveInput| arguments(input, &spec).map(|args| format!("{:?}", args.0));
        assert!(text(&input).unwrap_err().to_string().contains("rtsp, is allowed"));
        input.protocols = vec!["udp".to_owned()];
        assert!(text(&input).is_err());
        input.protocols = vec!["rtsp".to_owned()];
        assert!(text(&input).unwrap().contains("file,pipe,rtsp,rtp,udp,tcp"));
        let other = LiveInput::new("gopher://x");
        assert!(text(&other).unwrap_err().to_string().contains("these are: http"));
        let local = text(&LiveInput::new("clip.mp4")).unwrap();
        assert!(
            local.contains("\"file,pipe\"") && local.contains("file:/"),
            "{local}"
        );
    }
}
