//! WebP (RIFF): chunk parser, and a source of animated WebP, which only the newest versions of ffmpeg decode.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageBuffer};
use num_rational::Ratio;

use super::profile::Colors;
use super::still::{Still, guarded};
use super::{SourceSpec, StreamInfo, info, to_frame};
use crate::source::Source;
use crate::{CancelToken, Frame, MediaError, PixelFormat, Result, Time};

/// Duration in milliseconds of a frame whose duration is 0, as in browsers.
const NO_DURATION: u32 = 100;

/// Structure of a file by its chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Duration of each frame of an animation in milliseconds.
    pub(super) durations: Vec<u32>,
    /// The first fault for which the file cannot be read, as a message.
    pub(super) fault: Option<String>,
    /// Minimum number of bytes that encode its images.
    pub(super) min_bytes: u64,
}

impl Layout {
    /// Parses all chunk headers of a file of `length` bytes, up to about `max_frames` frames.
    pub(super) fn read(file: &mut (impl Read + Seek), length: u64, max_frames: u64) -> io::Result<Self> {
        let mut layout = Self::default();
        let (mut at, mut canvas) = (12_u64, None);
        while at + 8 <= length && layout.durations.len() as u64 <= max_frames {
            let (name, size) = chunk(file, at)?;
            let end = at + 8 + u64::from(size);
            if end > length {
                let name = String::from_utf8_lossy(&name).into_owned();
                layout.fault = Some(format!(
                    "it is cut off: its chunk `{}` ends at byte {end}, the file has {length}",
                    name.escape_debug()
                ));
                return Ok(layout);
            }
            match &name {
                b"VP8X" => canvas = Some(extended(file)?),
                b"VP8 " | b"VP8L" => layout.picture(&name, file, canvas)?,
                b"ANMF" => layout.frame(file, at + 8, end)?,
                _ => {}
            }
            at = end + u64::from(size % 2);
        }
        Ok(layout)
    }

    /// Parses an animation frame (`ANMF`) whose content lies between the offsets `at` and `end`.
    fn frame(&mut self, file: &mut (impl Read + Seek), at: u64, end: u64) -> io::Result<()> {
        let head: [u8; 16] = bytes(file)?;
        let three = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
        self.durations.push(three(12));
        let mut at = at + 16;
        while at + 8 <= end {
            let (name, size) = chunk(file, at)?;
            if matches!(&name, b"VP8 " | b"VP8L") {
                return self.picture(&name, file, Some((three(6) + 1, three(9) + 1)));
            }
            at += 8 + u64::from(size) + u64::from(size % 2);
        }
        Ok(())
    }

    /// Parses the header of a bitstream (`VP8 ` or `VP8L`); records a fault where its size is not `announced`, the size in
    /// the container, since decoders allocate memory by it.
    fn picture(
        &mut self,
        name: &[u8; 4],
        file: &mut impl Read,
        announced: Option<(u32, u32)>,
    ) -> io::Result<()> {
        let size = if name == b"VP8L" {
            let head: [u8; 5] = bytes(file)?;
            let bits = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
            ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        } else {
            let head: [u8; 10] = bytes(file)?;
            let two = |at: usize| u32::from(u16::from_le_bytes([head[at], head[at + 1]]) & 0x3FFF);
            // Every 16x16 macroblock takes at least one bit; lossless images may take none.
            let blocks = |side: u32| u64::from(side.div_ceil(16));
            self.min_bytes += blocks(two(6)) * blocks(two(8)) / 8;
            (two(6), two(8))
        };
        if announced.is_some_and(|announced| announced != size) && self.fault.is_none() {
            let (width, height) = announced.unwrap_or_default();
            self.fault = Some(format!(
                "it is damaged: its header says {width}x{height}, its picture data {}x{}",
                size.0, size.1
            ));
        }
        Ok(())
    }

    /// Reports whether the file is an animation of several frames.
    pub(super) fn animated(&self) -> bool {
        self.durations.len() > 1
    }
}

/// Reads the next `N` bytes.
fn bytes<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads name and size in bytes of the chunk at offset `at`.
fn chunk(file: &mut (impl Read + Seek), at: u64) -> io::Result<([u8; 4], u32)> {
    file.seek(SeekFrom::Start(at))?;
    let name = bytes(file)?;
    Ok((name, u32::from_le_bytes(bytes(file)?)))
}

/// Reads width and height of the canvas from the content of a `VP8X` chunk.
fn extended(file: &mut impl Read) -> io::Result<(u32, u32)> {
    let head: [u8; 10] = bytes(file)?;
    let three = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]) + 1;
    Ok((three(4), three(7)))
}

/// Reports whether the file is an animated WebP of several frames.
pub(in crate::source) fn is_animation(path: &Path) -> bool {
    let Ok((still, _)) = Still::open(path) else {
        return false;
    };
    still
        .webp_layout()
        .is_ok_and(|layout| layout.is_some_and(|layout| layout.animated()))
}

/// A source of the frames of an animated WebP.
pub(in crate::source) struct Animation {
    path: PathBuf,
    decoder: image_webp::WebPDecoder<BufReader<File>>,
    info: StreamInfo,
    /// Start of each frame and end of the last one in seconds.
    times: Vec<Time>,
    /// Index of the next frame.
    next: usize,
    colors: Colors,
    /// Interleaved RGB or RGBA of the last frame.
    buffer: Vec<u8>,
    cancel: CancelToken,
}

impl Animation {
    /// Opens an animated WebP and checks its chunks, size and memory.
    pub(in crate::source) fn open(path: &Path, spec: &SourceSpec) -> Result<Self> {
        let (still, file) = Still::open(path)?;
        let limits = &spec.limits;
        let unreadable = |reason: String| MediaError::unreadable(path, reason);
        let layout = still.webp_layout()?.unwrap_or_default();
        limits.check_frames(layout.durations.len() as u64)?;
        if let Some(fault) = layout.fault {
            return Err(unreadable(fault));
        }
        guarded(path, || {
            let mut decoder = image_webp::WebPDecoder::new(BufReader::new(file))
                .map_err(|error| unreadable(error.to_string()))?;
            let (width, height) = decoder.dimensions();
            still.check_size((width, height), limits)?;
            // Canvas, frame and decoder state.
            still.check_memory(u64::from(width) * u64::from(height) * 24, limits)?;
            let profile = decoder.icc_profile().unwrap_or_default();
            let colors = Colors::of(profile.as_deref(), false, false);
            let (times, rate, variable) = times(&layout.durations);
            let format = PixelFormat::RGB8.with_alpha(decoder.has_alpha());
            let frames = layout.durations.len() as u64;
            let duration = times.last().copied();
            let mut info = info((width, height), format, rate, frames, duration);
            if variable {
                (info.variable_rate, info.time_base) = (true, Ratio::new(1, 1000));
            }
            Ok(Self {
                path: path.to_owned(),
                buffer: vec![0; decoder.output_buffer_size().unwrap_or(0)],
                decoder,
                info,
                times,
                next: 0,
                colors,
                cancel: spec.cancel.clone(),
            })
        })
    }

    /// Decodes the next frame and converts it to sRGB.
    fn decode(&mut self) -> Result<DynamicImage> {
        let Self {
            path,
            decoder,
            buffer,
            ..
        } = self;
        guarded(path, || {
            decoder
                .read_frame(buffer)
                .map_err(|error| MediaError::unreadable(&*path, format!("its frame cannot be read: {error}")))
        })?;
        let (width, height) = (self.info.width, self.info.height);
        let picture = if self.info.format.alpha {
            ImageBuffer::from_raw(width, height, self.buffer.clone()).map(DynamicImage::ImageRgba8)
        } else {
            ImageBuffer::from_raw(width, height, self.buffer.clone()).map(DynamicImage::ImageRgb8)
        };
        let picture = picture.unwrap_or_else(|| DynamicImage::new_rgb8(width, height));
        self.colors
            .convert(picture)
            .map_err(|reason| MediaError::unreadable(&self.path, reason))
    }
}

impl Source for Animation {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        let Some(&[start, end]) = self.times.get(self.next..self.next + 2) else {
            return Ok(None);
        };
        self.next += 1;
        let picture = self.decode()?;
        Ok(Some(to_frame(&picture, self.info.format).at(start, end - start)))
    }

    fn notes(&self) -> Vec<String> {
        self.colors.note().into_iter().collect()
    }
}

/// Converts durations in milliseconds to the frames' start times and the last one's end in seconds; also returns the frame
/// rate and whether it varies. Where one common rate, rounded to milliseconds, gives all durations, times are exactly those
/// of that rate.
fn times(durations: &[u32]) -> (Vec<Time>, Time, bool) {
    let shown = |duration: &u32| i64::from(if *duration == 0 { NO_DURATION } else { *duration });
    let mut ends = vec![0_i64];
    ends.extend(durations.iter().scan(0, |sum, duration| {
        *sum += shown(duration);
        Some(*sum)
    }));
    let total = ends.last().copied().unwrap_or(1).max(1);
    let mean = Ratio::new(durations.len().max(1) as i64 * 1000, total);
    let integer = (1..=240).map(Ratio::from);
    let film = [24, 30, 48, 60, 120].map(|rate| Ratio::new(rate * 1000, 1001));
    let explains = |rate: &Time| {
        (0_i64..)
            .zip(&ends)
            .all(|(index, end)| (Ratio::from(index * 1000) / rate).round().to_integer() == *end)
    };
    match std::iter::once(mean).chain(integer).chain(film).find(explains) {
        Some(rate) => {
            let times = (0..=durations.len()).map(|index| Ratio::from(index as i64) / rate);
            (times.collect(), rate, false)
        }
        None => {
            let times = ends.iter().map(|end| Ratio::new(*end, 1000));
            (times.collect(), mean, true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_put_back_on_the_grid_of_their_rate() {
        let (ends, rate, variable) = times(&[33, 34, 33, 33, 34]);
        assert_eq!((rate, variable), (Ratio::from(30), false));
        assert_eq!(ends[4], Ratio::new(4, 30));
        assert_eq!(times(&[33; 4]).1, Ratio::new(1000, 33));
        let (ends, rate, variable) = times(&[40, 0, 200]);
        assert_eq!((rate, variable), (Ratio::new(3000, 340), true));
        assert_eq!(ends[2], Ratio::new(140, 1000));
    }
}
