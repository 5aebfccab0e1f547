//! A decoded frame and its planes.

use crate::{ColorTags, MediaError, PixelFormat, Result, RgbImage, Time};

/// The samples of one plane, row by row without padding.
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
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::F32(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `len` samples of zero in the type that `format` uses.
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
    /// Samples a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height` samples.
    pub samples: Samples,
}

/// One frame of video with its exact place in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The format of the planes.
    pub format: PixelFormat,
    /// `format.planes()` planes: luma, Cb, Cr or red, green, blue, then alpha.
    pub planes: Vec<Plane>,
    /// When it is shown, in seconds since the container's start.
    pub pts: Time,
    /// For how long it is shown, in seconds.
    pub duration: Time,
}

impl Frame {
    /// A frame of zeros (black in RGB and gray; green in YUV).
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

    /// The same frame at another time.
    pub fn at(mut self, pts: Time, duration: Time) -> Self {
        self.pts = pts;
        self.duration = duration;
        self
    }

    /// Whether the planes are those of its format, as [`Frame::zeroed`] makes them, so that nothing that reads them
    /// panics; else what is wrong.
    ///
    /// # Errors
    /// A sentence that names the first plane that is not.
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

    /// Reads a raw frame (ffmpeg's order of planes, little endian) of exactly `format.frame_bytes()` bytes.
    pub fn from_raw(width: u32, height: u32, format: PixelFormat, bytes: &[u8]) -> Result<Self> {
        let expected = format.frame_bytes(width, height);
        if bytes.len() != expected {
            let value = format!("{} bytes", bytes.len());
            let accepted = format!("{expected} bytes of a {width}x{height} {format} frame");
            return Err(MediaError::limit("the raw frame", value, accepted));
        }
        let mut frame = Self {
            planes: Vec::with_capacity(format.planes()),
            ..Self::shell(width, height, format)
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

    /// Appends the frame to `out` as ffmpeg's raw video: its order of planes, little endian.
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

    /// The picture as planar RGB floats by the stream's own matrix and range, see [`crate::color`].
    pub fn to_rgb(&self, tags: &ColorTags) -> RgbImage {
        crate::color::frame_to_rgb(self, tags)
    }

    /// The frame that shows `image`, rounded to codes; the exact inverse of [`Frame::to_rgb`] for a picture
    /// that came from the same format and tags. Its time is zero: see [`Frame::at`].
    pub fn from_rgb(image: &RgbImage, format: PixelFormat, tags: &ColorTags) -> Self {
        crate::color::rgb_to_frame(image, format, tags)
    }

    fn shell(width: u32, height: u32, format: PixelFormat) -> Self {
        Self {
            width,
            height,
            format,
            planes: Vec::new(),
            pts: Time::from(0),
            duration: Time::from(0),
        }
    }

    /// Puts planes read in ffmpeg's order (green, blue, red) into ours (red, green, blue).
    fn restore_order(&mut self) {
        if self.format.layout == crate::Layout::Rgb {
            self.planes[..3].rotate_right(1);
        }
    }
}

/// Which of our planes is the `index`th of ffmpeg's raw frame: RGB is stored green, blue, red there.
fn raw_plane(format: PixelFormat, index: usize) -> usize {
    match (format.layout, index) {
        (crate::Layout::Rgb, 0..=2) => (index + 1) % 3,
        _ => index,
    }
}

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
