//! Animated WebP source, decoded by the `image-webp` crate, because only the newest versions of ffmpeg decode it.

use std::fs::File;
use std::io::BufReader;
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

    /// Decodes the next frame with its start and duration.
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
