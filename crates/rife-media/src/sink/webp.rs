//! Animated WebP writer: lossless, 8 bits, with optional alpha. Frames are encoded as still WebP images and put into the
//! container's chunks (RIFF, `VP8X`, `ANIM`, one `ANMF` per frame), without ffmpeg.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use num_rational::Ratio;

use super::spaced::Spaced;
use super::{ImageFormat, Sink, SinkSpec, VideoParams, Written, check_frame, images};
use crate::persist::part::Part;
use crate::time::{narrow, to_ticks, widen};
use crate::{CancelToken, Frame, MediaError, Result, Time};

/// Maximum width and height of the format in pixels.
const MAX_SIDE: u32 = 16384;
/// Bytes of a still WebP before its first chunk: `RIFF`, the length, `WEBP`.
const FILE_HEADER: usize = 12;
/// Time base of frame durations in seconds, as numerator and denominator.
const UNIT: (i64, i64) = (1, 1000);
/// Minimum duration that players respect and maximum duration of the format, in milliseconds.
const SHOWN: [i64; 2] = [11, (1 << 24) - 1];

/// A sink that writes an animated WebP.
pub(super) struct Writer {
    target: PathBuf,
    part: Part,
    params: VideoParams,
    cancel: CancelToken,
    frames: u64,
    bytes: u64,
    first: Option<Time>,
    end: Time,
    spaced: Spaced,
}

impl Writer {
    /// Creates the temporary file of the output `path` and writes the header.
    pub(super) fn create(path: &Path, spec: &SinkSpec, params: &VideoParams) -> Result<Self> {
        if params.width > MAX_SIDE || params.height > MAX_SIDE {
            let value = format!("{}x{}", params.width, params.height);
            return Err(MediaError::limit(
                "the size of a WebP",
                value,
                format!("up to {MAX_SIDE} on each side"),
            ));
        }
        let params = VideoParams {
            format: ImageFormat::WebP.pixel_format(params.format),
            tags: params.tags.for_rgb(),
            ..params.clone()
        };
        let mut writer = Self {
            target: path.to_owned(),
            part: Part::create(path, spec.overwrite, spec.all_inputs())?,
            params,
            cancel: spec.cancel.clone(),
            frames: 0,
            bytes: 0,
            first: None,
            end: Time::from(0),
            spaced: Spaced::new(SHOWN[0]),
        };
        let header = writer.header();
        writer.put(&header)?;
        Ok(writer)
    }

    /// Builds the header of the file, whose length field is written at the end.
    fn header(&self) -> Vec<u8> {
        // Bit 1 of the flags: an animation; bit 4: alpha.
        let flags = 2 | if self.params.format.alpha { 16 } else { 0 };
        let mut extended = vec![flags, 0, 0, 0];
        extended.extend(three_bytes(self.params.width - 1));
        extended.extend(three_bytes(self.params.height - 1));
        let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
        out.extend(chunk(b"VP8X", &extended));
        // Transparent background, infinite loop.
        out.extend(chunk(b"ANIM", &[0; 6]));
        out
    }

    /// Appends bytes to the file; an error beyond 4 GiB.
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > u64::from(u32::MAX) {
            return Err(MediaError::limit(
                "the animation",
                "beyond 4 GiB",
                "what WebP holds, up to 4 GiB",
            ));
        }
        let mut file = self.part.file();
        file.write_all(bytes)
            .map_err(|error| MediaError::io("write", &self.target, error))
    }
}

impl Sink for Writer {
    fn params(&self) -> &VideoParams {
        &self.params
    }

    /// Writes the previous frame, whose duration is now known, and keeps this one; frames closer than the minimum delay
    /// are merged.
    fn write(&mut self, frame: &Frame) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        check_frame(&self.params, frame, self.frames)?;
        self.first.get_or_insert(frame.pts);
        self.end = narrow(widen(frame.pts) + widen(frame.duration)).unwrap_or(frame.pts);
        let tick = milliseconds(frame.pts);
        match self.spaced.push(tick, frame.clone()) {
            Some((start, before)) => self.send(&before, tick - start),
            None => Ok(()),
        }
    }

    /// Writes the last frame and the file's length and renames the file.
    fn finish(mut self: Box<Self>) -> Result<Written> {
        if let Some((start, last)) = self.spaced.finish() {
            self.send(&last, milliseconds(self.end) - start)?;
        }
        let length = (self.bytes as u32 - 8).to_le_bytes();
        let mut file = self.part.file();
        let patched = file
            .seek(SeekFrom::Start(4))
            .and_then(|_| file.write_all(&length));
        patched.map_err(|error| MediaError::io("write", &self.target, error))?;
        let bytes = self.part.promote()?;
        Ok(Written {
            path: Some(self.target),
            frames: self.frames,
            duration: self.end - self.first.unwrap_or(self.end),
            bytes: Some(bytes),
            streams: None,
            warnings: self.spaced.warning("0.011").into_iter().collect(),
        })
    }
}

/// Converts seconds to milliseconds, rounded. Start and end of a frame are rounded, not its duration, so that there is no
/// drift.
fn milliseconds(time: Time) -> i64 {
    to_ticks(time, Ratio::new(UNIT.0, UNIT.1))
}

impl Writer {
    /// Encodes and writes a frame that is shown for `shown` milliseconds.
    fn send(&mut self, frame: &Frame, shown: i64) -> Result<()> {
        let still = images::encode(frame, ImageFormat::WebP).map_err(|error| {
            MediaError::io("encode", &self.target, std::io::Error::other(error.to_string()))
        })?;
        let shown = shown.clamp(SHOWN[0], SHOWN[1]);
        let mut body = vec![0; 6];
        body.extend(three_bytes(self.params.width - 1));
        body.extend(three_bytes(self.params.height - 1));
        body.extend(three_bytes(shown as u32));
        // Bit 1: the frame replaces the canvas without blending.
        body.push(2);
        body.extend(picture_chunks(&still));
        self.put(&chunk(b"ANMF", &body))?;
        self.frames += 1;
        Ok(())
    }
}

/// Returns the lower 24 bits in little-endian order.
fn three_bytes(value: u32) -> [u8; 3] {
    let [a, b, c, _] = value.to_le_bytes();
    [a, b, c]
}

/// Builds a RIFF chunk, padded to an even length.
fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = name.to_vec();
    out.extend((body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
    if body.len() % 2 == 1 {
        out.push(0);
    }
    out
}

/// Returns the chunks of a still WebP that hold its image data, without the extended header.
fn picture_chunks(still: &[u8]) -> Vec<u8> {
    let mut rest = still.get(FILE_HEADER..).unwrap_or_default();
    let mut out = Vec::new();
    while let Some(length) = rest.get(4..8) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let whole = (8 + length + length % 2).min(rest.len());
        if matches!(&rest[..4], b"VP8L" | b"VP8 " | b"ALPH") {
            out.extend_from_slice(&rest[..whole]);
        }
        rest = &rest[whole..];
    }
    out
}
