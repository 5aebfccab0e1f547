//! Decoded video frame: planes of samples, pixel format, presentation time and duration; raw video in and out.

use crate::{MediaError, PixelFormat, Result, Time};

/// The samples of one plane, row by row without padding, in the type that the bit depth requires.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// 8-bit codes.
    U8(Vec<u8>),
    /// 9- to 16-bit codes, right-aligned.
    U16(Vec<u16>),
    /// Floats, 1.0 being white.
    F32(Vec<f32>),
}

impl Samples {
    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::F32(v) => v.len(),
        }
    }

    /// Reports whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Creates `len` samples of value 0 in the sample type of `format`.
    pub fn zeroed(format: PixelFormat, len: usize) -> Self {
        match format.bytes_per_sample() {
            1 => Self::U8(vec![0; len]),
            2 => Self::U16(vec![0; len]),
            _ => Self::F32(vec![0.0; len]),
        }
    }
}

/// One plane of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Samples per row.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// `width * height` samples.
    pub samples: Samples,
}

/// One frame of video with its exact time and duration.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The pixel format of the planes.
    pub format: PixelFormat,
    /// `format.planes()` planes: luma, Cb, Cr or red, green, blue, then alpha.
    pub planes: Vec<Plane>,
    /// Presentation time in seconds since the start of the container.
    pub pts: Time,
    /// Display duration in seconds.
    pub duration: Time,
}

impl Frame {
    /// Creates a frame whose samples are all 0 (black in RGB and gray, green in YUV), at time 0 with duration 0.
    pub fn zeroed(width: u32, height: u32, format: PixelFormat) -> Self {
        let plane = |index| {
            let (width, height) = format.plane_size(index, width, height);
            let len = width as usize * height as usize;
            Plane {
                width,
                height,
                samples: Samples::zeroed(format, len),
            }
        };
        let planes = (0..format.planes()).map(plane).collect();
        Self {
            width,
            height,
            format,
            planes,
            pts: Time::from(0),
            duration: Time::from(0),
        }
    }

    /// Creates a frame without content at `pts` (seconds), with duration 0: it stands for one that was not decoded since
    /// only its time is needed.
    pub fn blank(width: u32, height: u32, format: PixelFormat, pts: Time) -> Self {
        Self {
            width,
            height,
            format,
            planes: Vec::new(),
            pts,
            duration: Time::from(0),
        }
    }

    /// Reports whether the frame has no content, see [`Frame::blank`].
    pub fn is_blank(&self) -> bool {
        self.planes.is_empty()
    }

    /// Returns this frame with presentation time and duration in seconds replaced.
    pub fn at(mut self, pts: Time, duration: Time) -> Self {
        self.pts = pts;
        self.duration = duration;
        self
    }

    /// Checks that number, sizes and sample types of the planes match format and size, so that code that reads them cannot
    /// panic.
    ///
    /// # Errors
    /// A sentence that names the first plane that does not match.
    pub fn check(&self) -> std::result::Result<(), String> {
        let (format, found) = (self.format, self.planes.len());
        if !matches!(format.depth, 8..=16 | 32) || format.is_float() && format.layout != crate::Layout::Rgb {
            return Err(format!(
                "its depth of {} bits is not 8 to 16, or 32 of RGB",
                format.depth
            ));
        }
        if found != format.planes() {
            return Err(format!(
                "it has {found} planes where {format} has {}",
                format.planes()
            ));
        }
        for (index, plane) in self.planes.iter().enumerate() {
            let (width, height) = format.plane_size(index, self.width, self.height);
            let bytes = match &plane.samples {
                Samples::U8(_) => 1,
                Samples::U16(_) => 2,
                Samples::F32(_) => 4,
            };
            let expected = (
                width,
                height,
                width as usize * height as usize,
                format.bytes_per_sample(),
            );
            let found = (plane.width, plane.height, plane.samples.len(), bytes);
            if found != expected {
                return Err(format!(
                    "its plane {index} is {}x{} with {} samples of {} bytes where {}x{} with {} of {} belong",
                    found.0, found.1, found.2, found.3, expected.0, expected.1, expected.2, expected.3
                ));
            }
        }
        Ok(())
    }

    /// Parses a frame of ffmpeg's raw video: planes without padding, G B R order for RGB, little endian. `bytes` has exactly
    /// `format.frame_bytes(width, height)` bytes; the frame's time is 0.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for another number of bytes.
    pub fn from_raw(width: u32, height: u32, format: PixelFormat, bytes: &[u8]) -> Result<Self> {
        let expected = format.frame_bytes(width, height);
        if bytes.len() != expected {
            let value = format!("{} bytes", bytes.len());
            let accepted = format!("{expected} bytes of a {width}x{height} {format} frame");
            return Err(MediaError::limit("the raw frame", value, accepted));
        }
        let mut frame = Self {
            planes: Vec::with_capacity(format.planes()),
            ..Self::without_planes(width, height, format)
        };
        let mut offset = 0;
        for index in 0..format.planes() {
            let (w, h) = format.plane_size(raw_plane(format, index), width, height);
            let len = w as usize * h as usize * format.bytes_per_sample();
            let samples = decode_samples(format, &bytes[offset..offset + len]);
            frame.planes.push(Plane {
                width: w,
                height: h,
                samples,
            });
            offset += len;
        }
        frame.restore_order();
        Ok(frame)
    }

    /// Appends the frame to `out` as ffmpeg's raw video: planes without padding, G B R order for RGB, little endian.
    pub fn to_raw(&self, out: &mut Vec<u8>) {
        out.reserve(self.format.frame_bytes(self.width, self.height));
        for index in 0..self.planes.len() {
            match &self.planes[raw_plane(self.format, index)].samples {
                Samples::U8(v) => out.extend_from_slice(v),
                Samples::U16(v) => out.extend(v.iter().flat_map(|s| s.to_le_bytes())),
                Samples::F32(v) => out.extend(v.iter().flat_map(|s| s.to_le_bytes())),
            }
        }
    }

    /// Creates a frame without planes, at time 0 with duration 0.
    fn without_planes(width: u32, height: u32, format: PixelFormat) -> Self {
        Self {
            width,
            height,
            format,
            planes: Vec::new(),
            pts: Time::from(0),
            duration: Time::from(0),
        }
    }

    /// Reorders RGB planes from ffmpeg's order (green, blue, red) to red, green, blue.
    fn restore_order(&mut self) {
        if self.format.layout == crate::Layout::Rgb {
            self.planes[..3].rotate_right(1);
        }
    }
}

/// Returns the index in [`Frame::planes`] of plane `index` of ffmpeg's raw video, which stores RGB as green, blue, red.
fn raw_plane(format: PixelFormat, index: usize) -> usize {
    match (format.layout, index) {
        (crate::Layout::Rgb, 0..=2) => (index + 1) % 3,
        _ => index,
    }
}

/// Parses raw little-endian samples of the type that `format` uses.
fn decode_samples(format: PixelFormat, bytes: &[u8]) -> Samples {
    match format.bytes_per_sample() {
        1 => Samples::U8(bytes.to_vec()),
        2 => Samples::U16(
            bytes
                .chunks_exact(2)
                .map(|b| u16::from_le_bytes([b[0], b[1]]))
                .collect(),
        ),
        _ => Samples::F32(
            bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_frames_round_trip_in_ffmpeg_order() {
        let bytes: Vec<u8> = (0..6 * 2).collect();
        let frame = Frame::from_raw(2, 2, PixelFormat::RGB8, &bytes).unwrap();
        assert_eq!(
            frame.planes[0].samples,
            Samples::U8(vec![8, 9, 10, 11]),
            "red is last in a raw gbrp frame"
        );
        let mut out = Vec::new();
        frame.to_raw(&mut out);
        assert_eq!(out, bytes);
        assert!(Frame::from_raw(2, 2, PixelFormat::RGB8, &bytes[1..]).is_err());
    }

    #[test]
    fn planes_that_are_not_the_format_s_are_told() {
        let sound = Frame::zeroed(5, 3, PixelFormat::YUV420P10.with_alpha(true));
        assert_eq!(sound.check(), Ok(()));
        let broken = |change: &dyn Fn(&mut Frame)| {
            let mut frame = sound.clone();
            change(&mut frame);
            frame.check().unwrap_err()
        };
        for (wrong, told) in [
            (broken(&|frame| drop(frame.planes.pop())), "3 planes"),
            (broken(&|frame| frame.planes[1].width = 2), "plane 1 is 2x2"),
            (
                broken(&|frame| frame.planes[3].samples = Samples::U16(vec![0; 14])),
                "14 samples",
            ),
            (
                broken(&|frame| frame.planes[0].samples = Samples::U8(vec![0; 15])),
                "of 1 bytes",
            ),
            (broken(&|frame| frame.format.depth = 40), "depth of 40"),
            (broken(&|frame| frame.format.depth = 32), "depth of 32"),
        ] {
            assert!(wrong.contains(told), "{wrong}");
        }
    }
}
