//! Planar pixel formats: layout, chroma subsampling, bit depth and alpha, with ffmpeg's names (`yuv420p10le`).

use std::fmt;

/// Colour model and chroma subsampling of a frame's planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One plane of luma.
    Gray,
    /// Y'CbCr 4:2:0: chroma at half width and half height.
    Yuv420,
    /// Y'CbCr 4:2:2: chroma at half width.
    Yuv422,
    /// Y'CbCr 4:4:4: chroma at full size.
    Yuv444,
    /// Y'CbCr 4:4:0: chroma at half height.
    Yuv440,
    /// Y'CbCr 4:1:1: chroma at a quarter of the width.
    Yuv411,
    /// Y'CbCr 4:1:0: chroma at a quarter of width and height.
    Yuv410,
    /// Red, green and blue planes at full size, in this order.
    Rgb,
}

impl Layout {
    /// Returns the binary logarithms of the horizontal and vertical chroma subsampling: (1, 1) for 4:2:0.
    pub fn chroma_shift(self) -> (u32, u32) {
        match self {
            Self::Gray | Self::Yuv444 | Self::Rgb => (0, 0),
            Self::Yuv420 => (1, 1),
            Self::Yuv422 => (1, 0),
            Self::Yuv440 => (0, 1),
            Self::Yuv411 => (2, 0),
            Self::Yuv410 => (2, 2),
        }
    }

    /// Returns the number of planes without alpha: 1 for gray, else 3.
    pub fn color_planes(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }
}

/// A planar pixel format. Samples of depth 8 are stored as `u8`, 9 to 16 as `u16`, 32 as `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PixelFormat {
    /// The planes and their subsampling.
    pub layout: Layout,
    /// Bits per sample: 8 to 16, or 32 for floats (RGB only).
    pub depth: u8,
    /// True where the last plane, of full size, is alpha (straight, full range).
    pub alpha: bool,
}

impl PixelFormat {
    /// 8-bit 4:2:0, the format of most video.
    pub const YUV420P: Self = Self::new(Layout::Yuv420, 8);
    /// 10-bit 4:2:0.
    pub const YUV420P10: Self = Self::new(Layout::Yuv420, 10);
    /// 8-bit 4:4:4.
    pub const YUV444P: Self = Self::new(Layout::Yuv444, 8);
    /// 8-bit RGB planes.
    pub const RGB8: Self = Self::new(Layout::Rgb, 8);
    /// 16-bit RGB planes.
    pub const RGB16: Self = Self::new(Layout::Rgb, 16);
    /// RGB planes of floats.
    pub const RGBF32: Self = Self::new(Layout::Rgb, 32);

    /// Creates a format without alpha; `depth` in bits per sample (8 to 16, or 32 for float RGB) is not checked.
    pub const fn new(layout: Layout, depth: u8) -> Self {
        Self {
            layout,
            depth,
            alpha: false,
        }
    }

    /// Returns this format with or without an alpha plane.
    pub const fn with_alpha(self, alpha: bool) -> Self {
        Self { alpha, ..self }
    }

    /// Reports whether samples are 32-bit floats.
    pub fn is_float(self) -> bool {
        self.depth == 32
    }

    /// Returns the largest code value of an integer format, such as 255 or 1023.
    pub fn max_code(self) -> u32 {
        (1 << self.depth.min(16)) - 1
    }

    /// Returns the bytes per sample in raw video: 1, 2 or 4.
    pub fn bytes_per_sample(self) -> usize {
        match self.depth {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        }
    }

    /// Returns the number of planes including alpha: 1 to 4.
    pub fn planes(self) -> usize {
        self.layout.color_planes() + usize::from(self.alpha)
    }

    /// Returns width and height of plane `index` of a frame of `width` x `height` pixels; subsampled sizes round up.
    pub fn plane_size(self, index: usize, width: u32, height: u32) -> (u32, u32) {
        let (sx, sy) = self.layout.chroma_shift();
        if matches!(index, 1 | 2) && self.layout != Layout::Gray {
            (width.div_ceil(1 << sx), height.div_ceil(1 << sy))
        } else {
            (width, height)
        }
    }

    /// Returns the size in bytes of one raw frame of `width` x `height` pixels.
    pub fn frame_bytes(self, width: u32, height: u32) -> usize {
        let plane = |index| {
            let (w, h) = self.plane_size(index, width, height);
            w as usize * h as usize
        };
        (0..self.planes()).map(plane).sum::<usize>() * self.bytes_per_sample()
    }

    /// Returns ffmpeg's name of this format, such as `yuv420p10le` or `gbrp`; `None` where ffmpeg has no such format.
    pub fn ffmpeg_name(self) -> Option<String> {
        let alpha = if self.alpha { "a" } else { "" };
        let base = match self.layout {
            Layout::Gray if self.alpha => return None,
            Layout::Gray => "gray".to_owned(),
            Layout::Yuv420 => format!("yuv{alpha}420p"),
            Layout::Yuv422 => format!("yuv{alpha}422p"),
            Layout::Yuv444 => format!("yuv{alpha}444p"),
            Layout::Yuv440 => "yuv440p".to_owned(),
            Layout::Yuv411 => "yuv411p".to_owned(),
            Layout::Yuv410 => "yuv410p".to_owned(),
            Layout::Rgb => format!("gbr{alpha}p"),
        };
        Some(match self.depth {
            8 => base,
            32 => format!("{base}f32le"),
            depth => format!("{base}{depth}le"),
        })
    }

    /// Returns the planar format that holds frames of ffmpeg's pixel format `name` without loss, and true where the name
    /// implies full range (`yuvj420p`). Packed and palette formats map to the planar format of the same depth. `None` for
    /// unknown names and hardware formats.
    pub fn from_ffmpeg(name: &str) -> Option<(Self, bool)> {
        if let Some(subsampling) = name.strip_prefix("yuvj") {
            return Self::from_ffmpeg(&format!("yuv{subsampling}")).map(|(format, _)| (format, true));
        }
        planar(name)
            .or_else(|| packed(name))
            .map(|format| (format, false))
    }
}

/// Parses ffmpeg's name of a planar format: a base such as `yuv420p`, alone (8 bits) or followed by a depth of 9 to 16 or
/// `f32`, and by `le` or `be`.
fn planar(name: &str) -> Option<PixelFormat> {
    let name = name
        .strip_suffix("le")
        .or_else(|| name.strip_suffix("be"))
        .unwrap_or(name);
    const BASES: [(&str, Layout, bool); 12] = [
        ("gray", Layout::Gray, false),
        ("yuv420p", Layout::Yuv420, false),
        ("yuv422p", Layout::Yuv422, false),
        ("yuv444p", Layout::Yuv444, false),
        ("yuv440p", Layout::Yuv440, false),
        ("yuv411p", Layout::Yuv411, false),
        ("yuv410p", Layout::Yuv410, false),
        ("yuva420p", Layout::Yuv420, true),
        ("yuva422p", Layout::Yuv422, true),
        ("yuva444p", Layout::Yuv444, true),
        ("gbrp", Layout::Rgb, false),
        ("gbrap", Layout::Rgb, true),
    ];
    let (layout, alpha, depth) = BASES
        .iter()
        .find_map(|&(base, layout, alpha)| name.strip_prefix(base).map(|depth| (layout, alpha, depth)))?;
    let depth = match depth {
        "" => 8,
        "f32" if layout == Layout::Rgb => 32,
        digits => digits.parse().ok().filter(|depth| (9..=16).contains(depth))?,
    };
    Some(PixelFormat { layout, depth, alpha })
}

/// Maps ffmpeg's name of a packed, semi-planar or palette format (`nv12`, `rgb24`, `pal8`) to the planar format of the
/// same depth; `None` for others.
fn packed(name: &str) -> Option<PixelFormat> {
    use Layout::{Gray, Rgb, Yuv420, Yuv422, Yuv444};
    let name = name
        .strip_suffix("le")
        .or_else(|| name.strip_suffix("be"))
        .unwrap_or(name);
    let (layout, depth, alpha) = match name {
        "nv12" | "nv21" => (Yuv420, 8, false),
        "p010" => (Yuv420, 10, false),
        "p012" => (Yuv420, 12, false),
        "p016" => (Yuv420, 16, false),
        "nv16" | "yuyv422" | "uyvy422" | "yvyu422" => (Yuv422, 8, false),
        "nv20" | "p210" | "y210" => (Yuv422, 10, false),
        "nv24" | "nv42" => (Yuv444, 8, false),
        "p410" => (Yuv444, 10, false),
        "ayuv64" => (Yuv444, 16, true),
        "monow" | "monob" => (Gray, 8, false),
        "rgb24" | "bgr24" | "0rgb" | "rgb0" | "0bgr" | "bgr0" | "rgb565" | "rgb555" | "bgr565" | "bgr555"
        | "rgb8" | "bgr8" => (Rgb, 8, false),
        "argb" | "rgba" | "abgr" | "bgra" | "pal8" | "ya8" => (Rgb, 8, true),
        "x2rgb10" | "x2bgr10" => (Rgb, 10, false),
        "rgb48" | "bgr48" => (Rgb, 16, false),
        "rgba64" | "bgra64" | "ya16" => (Rgb, 16, true),
        _ => return None,
    };
    Some(PixelFormat { layout, depth, alpha })
}

impl fmt::Display for PixelFormat {
    /// Writes ffmpeg's name of the format, or its fields where ffmpeg has none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ffmpeg_name() {
            Some(name) => f.write_str(&name),
            None => write!(f, "{self:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in [
            "yuv420p",
            "yuv422p10le",
            "yuva444p12le",
            "gray",
            "gray16le",
            "gbrp",
            "gbrapf32le",
        ] {
            let (format, full) = PixelFormat::from_ffmpeg(name).unwrap();
            assert_eq!(format.ffmpeg_name().as_deref(), Some(name));
            assert!(!full);
        }
        assert_eq!(
            PixelFormat::from_ffmpeg("yuvj420p"),
            Some((PixelFormat::YUV420P, true))
        );
        assert_eq!(PixelFormat::from_ffmpeg("yuv420p17le"), None);
        assert_eq!(PixelFormat::from_ffmpeg("xyz12le"), None);
        assert_eq!(PixelFormat::from_ffmpeg("cuda"), None);
    }

    #[test]
    fn odd_sizes_round_chroma_up() {
        assert_eq!(PixelFormat::YUV420P.plane_size(1, 5, 7), (3, 4));
        assert_eq!(PixelFormat::YUV420P.frame_bytes(5, 7), 35 + 2 * 12);
        assert_eq!(PixelFormat::RGB16.frame_bytes(5, 7), 35 * 6);
    }
}
