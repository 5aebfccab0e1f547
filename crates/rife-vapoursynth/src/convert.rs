//! Conversion between VapourSynth's frames and the library's: formats, samples, colour tags.

use half::f16;
use rife::media::{ColorTags, Frame, Layout, Matrix, PixelFormat, Plane, Range, Samples};
use vapoursynth4_sys::{VSColorFamily, VSSampleType, VSVideoFormat, VSVideoInfo};

use crate::api::{FrameRef, MapRef, NewFrame};

/// Formats that the filter accepts, for messages.
const ACCEPTED: &str = "accepted are RGBS, RGBH, RGB24 to RGB48, and YUV and Gray of 8 to 16 bits, of a constant format and size";

/// Format of a clip's frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    /// The library's format; floats of 32 bits for those of 16.
    pub(crate) pixels: PixelFormat,
    /// Whether samples are floats of 16 bits.
    half: bool,
    /// Width and height.
    pub(crate) size: [u32; 2],
}

impl Format {
    /// Returns the format of a clip, whose format's name is `name`.
    ///
    /// # Errors
    /// A sentence on what is accepted.
    pub(crate) fn new(clip: &VSVideoInfo, name: &str) -> Result<Self, String> {
        let refuse = || format!("the clip's format is {name}: {ACCEPTED}");
        let size = [clip.width, clip.height].map(|side| u32::try_from(side).unwrap_or(0));
        let layout = layout(&clip.format).ok_or_else(refuse)?;
        let bits = u8::try_from(clip.format.bits_per_sample).map_err(|_| refuse())?;
        let (depth, half) = match (clip.format.sample_type, layout, bits) {
            (VSSampleType::Integer, _, 8..=16) => (bits, false),
            (VSSampleType::Float, Layout::Rgb, 16) => (32, true),
            (VSSampleType::Float, Layout::Rgb, 32) => (32, false),
            _ => return Err(refuse()),
        };
        if size.iter().any(|side| !(16..=16384).contains(side)) {
            let [width, height] = size;
            return Err(format!(
                "the clip is {width}x{height}: accepted are 16x16 to 16384x16384 of a constant size"
            ));
        }
        let pixels = PixelFormat::new(layout, depth);
        Ok(Self { pixels, half, size })
    }

    /// Returns the bytes of a sample.
    fn sample_bytes(&self) -> usize {
        if self.half {
            2
        } else {
            self.pixels.bytes_per_sample()
        }
    }

    /// Returns the number of bytes of a row of a plane, and the number of rows.
    fn rows(&self, plane: usize) -> (usize, usize) {
        let (width, height) = self.pixels.plane_size(plane, self.size[0], self.size[1]);
        (width as usize * self.sample_bytes(), height as usize)
    }

    /// Copies a frame.
    pub(crate) fn read(&self, frame: &FrameRef) -> Frame {
        let [width, height] = self.size;
        let mut made = Frame::zeroed(0, 0, self.pixels);
        (made.width, made.height) = (width, height);
        made.planes = (0..self.pixels.planes())
            .map(|plane| self.plane(frame, plane))
            .collect();
        made
    }

    /// Copies a plane.
    fn plane(&self, frame: &FrameRef, index: usize) -> Plane {
        let (width, height) = self.pixels.plane_size(index, self.size[0], self.size[1]);
        let (row, count) = self.rows(index);
        let bytes = || frame.rows(index, row, count);
        let samples = match self.sample_bytes() {
            1 => Samples::U8(bytes().flatten().copied().collect()),
            2 if self.half => {
                let halves = bytes().flat_map(|row| row.as_chunks().0);
                Samples::F32(halves.map(|half| f16::from_ne_bytes(*half).to_f32()).collect())
            }
            2 => Samples::U16(
                bytes()
                    .flat_map(|row| row.as_chunks().0)
                    .map(|code| u16::from_ne_bytes(*code))
                    .collect(),
            ),
            _ => Samples::F32(
                bytes()
                    .flat_map(|row| row.as_chunks().0)
                    .map(|value| f32::from_ne_bytes(*value))
                    .collect(),
            ),
        };
        Plane {
            width,
            height,
            samples,
        }
    }

    /// Writes the samples of a frame of this format.
    pub(crate) fn write(&self, frame: &Frame, target: &mut NewFrame) {
        for (index, plane) in frame.planes.iter().enumerate() {
            let (row, count) = self.rows(index);
            let width = plane.width as usize;
            target.write_rows(index, row, count, |y, bytes| {
                let samples = y * width..(y + 1) * width;
                match &plane.samples {
                    Samples::U8(codes) => bytes.copy_from_slice(&codes[samples]),
                    Samples::U16(codes) => fill(bytes, &codes[samples], |code| code.to_ne_bytes()),
                    Samples::F32(values) if self.half => {
                        fill(bytes, &values[samples], |value| {
                            f16::from_f32(value).to_ne_bytes()
                        });
                    }
                    Samples::F32(values) => fill(bytes, &values[samples], |value| value.to_ne_bytes()),
                }
            });
        }
    }
}

/// Writes samples as bytes.
fn fill<T: Copy, const N: usize>(bytes: &mut [u8], samples: &[T], convert: impl Fn(T) -> [u8; N]) {
    for (target, sample) in bytes.as_chunks_mut().0.iter_mut().zip(samples) {
        *target = convert(*sample);
    }
}

/// Returns the planes of a format; `None` for those that the library does not have.
fn layout(format: &VSVideoFormat) -> Option<Layout> {
    let shift = (format.sub_sampling_w, format.sub_sampling_h);
    Some(match (format.color_family, shift) {
        (VSColorFamily::RGB, (0, 0)) => Layout::Rgb,
        (VSColorFamily::Gray, _) => Layout::Gray,
        (VSColorFamily::YUV, (1, 1)) => Layout::Yuv420,
        (VSColorFamily::YUV, (1, 0)) => Layout::Yuv422,
        (VSColorFamily::YUV, (0, 0)) => Layout::Yuv444,
        (VSColorFamily::YUV, (0, 1)) => Layout::Yuv440,
        (VSColorFamily::YUV, (2, 0)) => Layout::Yuv411,
        (VSColorFamily::YUV, (2, 2)) => Layout::Yuv410,
        _ => return None,
    })
}

/// Returns matrix and range from a frame's properties: `_Matrix` (ITU-T H.273), and `_Range` (0 limited, 1 full) or the older
/// `_ColorRange` (1 limited, 0 full). The other tags do not matter to conversion.
pub(crate) fn tags(properties: &MapRef<'_>) -> ColorTags {
    let matrix = match properties.int(c"_Matrix") {
        Some(0) => Matrix::Rgb,
        Some(1) => Matrix::Bt709,
        Some(4) => Matrix::Fcc,
        Some(5) => Matrix::Bt470bg,
        Some(6) => Matrix::Smpte170m,
        Some(7) => Matrix::Smpte240m,
        Some(8) => Matrix::Ycgco,
        Some(9) => Matrix::Bt2020nc,
        Some(10) => Matrix::Bt2020c,
        Some(14) => Matrix::Ictcp,
        _ => Matrix::Unspecified,
    };
    let range = match (properties.int(c"_Range"), properties.int(c"_ColorRange")) {
        (Some(0), _) | (None, Some(1)) => Range::Limited,
        (Some(1), _) | (None, Some(0)) => Range::Full,
        _ => Range::Unspecified,
    };
    ColorTags {
        matrix,
        range,
        ..ColorTags::default()
    }
}
