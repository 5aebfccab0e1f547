//! Image format detection by magic numbers (the first bytes of a file).

use std::path::Path;

use crate::MediaError;

/// Number of bytes at the start of a file that detection needs.
pub(super) const SNIFFED: usize = 32;

/// The format of a file by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Png,
    Jpeg,
    WebP,
    Tiff,
    Exr,
    Bmp,
    /// PBM, PGM, PPM and PAM.
    Pnm,
    /// An unsupported image format, with its name.
    Foreign(&'static str),
    /// A video container, with its name.
    Video(&'static str),
    Unknown,
}

/// The accepted formats, for error messages.
pub(super) const ACCEPTED: &str = "PNG, JPEG, WebP, TIFF, EXR, BMP and PPM (PBM, PGM, PAM) are accepted";

/// Brands of ISO base media files that hold a still image, with the format's name.
const BRANDS: [(&[u8; 4], &str); 9] = [
    (b"heic", "HEIC"),
    (b"heix", "HEIC"),
    (b"heim", "HEIC"),
    (b"heis", "HEIC"),
    (b"mif1", "HEIF"),
    (b"msf1", "HEIF"),
    (b"avif", "AVIF"),
    (b"avis", "AVIF"),
    (b"jp2 ", "JPEG 2000"),
];

/// Magic numbers of unsupported image formats, with the format's name.
const FOREIGN: [(&[u8], &str); 8] = [
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"qoif", "QOI"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"%PDF", "PDF"),
];

impl Kind {
    /// Detects the format from the first [`SNIFFED`] bytes of a file, or all of a shorter one.
    pub(super) fn of(start: &[u8]) -> Self {
        let at =
            |offset: usize, bytes: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(bytes));
        match start {
            _ if at(0, b"\x89PNG\r\n\x1a\n") => Self::Png,
            _ if at(0, b"\xff\xd8\xff") => Self::Jpeg,
            _ if at(0, b"RIFF") && at(8, b"WEBP") => Self::WebP,
            _ if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]
                .iter()
                .any(|magic| at(0, *magic)) =>
            {
                Self::Tiff
            }
            _ if at(0, b"\x76\x2f\x31\x01") => Self::Exr,
            _ if at(0, b"BM") && is_bitmap(start) => Self::Bmp,
            [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace() => Self::Pnm,
            _ if at(0, b"GIF8") => Self::Video("GIF"),
            _ if at(0, b"\x1aE\xdf\xa3") => Self::Video("Matroska or WebM"),
            _ if at(4, b"ftyp") => Self::iso(start),
            _ if at(0, b"RIFF") && at(8, b"AVI ") => Self::Video("AVI"),
            _ => FOREIGN
                .iter()
                .find(|(magic, _)| at(0, magic))
                .map_or(Self::Unknown, |(_, name)| Self::Foreign(name)),
        }
    }

    /// Detects the format of an ISO base media file by its major brand.
    fn iso(start: &[u8]) -> Self {
        BRANDS
            .iter()
            .find(|(brand, _)| start.get(8..12) == Some(brand.as_slice()))
            .map_or(Self::Video("MP4 or QuickTime"), |(_, name)| Self::Foreign(name))
    }

    /// Returns the decoder of a supported image format; `None` for others.
    pub(super) fn format(self) -> Option<image::ImageFormat> {
        Some(match self {
            Self::Png => image::ImageFormat::Png,
            Self::Jpeg => image::ImageFormat::Jpeg,
            Self::WebP => image::ImageFormat::WebP,
            Self::Tiff => image::ImageFormat::Tiff,
            Self::Exr => image::ImageFormat::OpenExr,
            Self::Bmp => image::ImageFormat::Bmp,
            Self::Pnm => image::ImageFormat::Pnm,
            Self::Foreign(_) | Self::Video(_) | Self::Unknown => return None,
        })
    }

    /// Returns the error for a file of an unsupported format, with a way to convert it.
    pub(super) fn refusal(self, path: &Path) -> MediaError {
        let reason = match self {
            Self::Foreign(name) => format!(
                "it is {name}, which is not read; {ACCEPTED}: turn it into PNG first, for example with ImageMagick: magick IN OUT.png"
            ),
            Self::Video(name) => format!(
                "it is no still picture but {name}, which is read as a video; as a picture {ACCEPTED}: ffmpeg -i IN -frames:v 1 OUT.png takes its first one"
            ),
            _ => format!("it is no picture that is known, whatever its name says; {ACCEPTED}"),
        };
        MediaError::unreadable(path, reason)
    }
}

/// Reports whether a file that begins with `BM` is a Windows bitmap, by the length of its header.
fn is_bitmap(start: &[u8]) -> bool {
    start.get(14..18).is_some_and(|length| {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        matches!(length, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124)
    })
}

/// Returns the error for an animation or multi-page file of `count` images where one image is expected; `what` names it.
pub(super) fn not_one(path: &Path, what: &str, count: u64) -> MediaError {
    MediaError::unreadable(
        path,
        format!(
            "it is {what} of {count} pictures where one is asked for: give it alone, as a video, or take its pictures apart first, for example with ImageMagick: magick IN OUT-%04d.png"
        ),
    )
}
