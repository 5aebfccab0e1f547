//! Still image decoding of untrusted files: sizes and structure that the header claims are checked against the file's length
//! and the limits before the decoder allocates memory; a panic of a decoder becomes an error; truncated or damaged data is an
//! error rather than being filled with gray.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageReader};

use super::kind::{Kind, SNIFFED, not_one};
use super::profile::Colors;
use super::tiff::{Directories, Layout, Page, Shape};
use super::{jpeg, riff};
use crate::{Limits, MediaError, PixelFormat, Result};

/// Maximum uncompressed bytes of a PNG's text chunks and colour profile, which the decoder reads before the size is checked;
/// its allocation limit covers these and one line, not the pixels.
const PNG_CHUNKS: u64 = 64 << 20;
/// Maximum compression ratio of Deflate.
const DEFLATE: u64 = 1032;
/// Memory in bytes that a decoder may allocate in addition to its image.
const ROOM: u64 = 64 << 20;
/// Maximum number of channels of an EXR.
const EXR_CHANNELS: usize = 256;
/// Maximum size in bytes of an uncompressed EXR block.
const EXR_BLOCK: u64 = 1 << 30;

/// Size and format of a still image, read from its header without decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageHeader {
    /// Width in pixels after EXIF orientation.
    pub width: u32,
    /// Height in pixels after EXIF orientation.
    pub height: u32,
    /// Pixel format of the decoded frame.
    pub format: PixelFormat,
    /// Notes for the user, such as a colour conversion.
    pub notes: Vec<String>,
}

/// A still image file with its detected format.
#[derive(Debug)]
pub(super) struct Still<'a> {
    path: &'a Path,
    kind: Kind,
    /// The first bytes of the file.
    start: Vec<u8>,
    /// Size of the file in bytes.
    length: u64,
    /// Offset of the directory of the selected page of a multi-page TIFF.
    page: Option<u64>,
}

/// Properties of an image that the decoder reports before decoding.
struct Known {
    color: ColorType,
    /// Width and height in pixels before EXIF orientation.
    size: (u32, u32),
    orientation: Orientation,
    colors: Colors,
}

/// A buffered, seekable input of a decoder.
trait Input: BufRead + Seek {}
impl<T: BufRead + Seek> Input for T {}

/// Opens a regular file and returns its size in bytes; an error for folders, pipes, sockets and devices, without blocking.
pub(super) fn open_regular(path: &Path) -> Result<(File, u64)> {
    let refuse = |metadata: &fs::Metadata| {
        if metadata.is_file() {
            return Ok(());
        }
        let what = if metadata.is_dir() {
            "a folder"
        } else {
            "a pipe, a socket or a device"
        };
        Err(MediaError::unreadable(
            path,
            format!("it is {what}, where a picture is to be a regular file"),
        ))
    };
    let failed = |error| MediaError::io("open", path, error);
    refuse(&fs::metadata(path).map_err(failed)?)?;
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Opening must not block where the file was replaced by a pipe meanwhile.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    refuse(&metadata)?;
    Ok((file, metadata.len()))
}

impl<'a> Still<'a> {
    /// Opens a file and detects its format by its first bytes; returns the open file, too.
    pub(super) fn open(path: &'a Path) -> Result<(Self, File)> {
        let (mut file, length) = open_regular(path)?;
        let mut start = Vec::new();
        let read = (&mut file).take(SNIFFED as u64).read_to_end(&mut start);
        read.and_then(|_| file.rewind())
            .map_err(|error| MediaError::io("read", path, error))?;
        let kind = Kind::of(&start);
        let page = None;
        Ok((
            Self {
                path,
                kind,
                start,
                length,
                page,
            },
            file,
        ))
    }

    /// Returns the detected format.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Selects the page of a multi-page TIFF whose directory is at this offset.
    pub(super) fn at_page(self, page: Option<u64>) -> Self {
        Self { page, ..self }
    }

    /// Creates a [`MediaError::Unreadable`] for this file.
    fn unreadable(&self, reason: impl Into<String>) -> MediaError {
        MediaError::unreadable(self.path, reason)
    }

    /// Converts an error of reading the file's structure.
    fn read_error(&self, error: io::Error) -> MediaError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                self.unreadable("it is cut off: its header points behind its end")
            }
            io::ErrorKind::InvalidData => self.unreadable("its header is damaged"),
            _ => MediaError::io("read", self.path, error),
        }
    }

    /// Reads and checks the header without decoding the image.
    pub(super) fn header(&self, limits: &Limits) -> Result<ImageHeader> {
        self.check(limits)?;
        let input = self.input(true)?;
        let known = guarded(self.path, || self.known(input, limits).map(|(known, _)| known))?;
        let (width, height) = known.size;
        let turned = swaps(known.orientation);
        Ok(ImageHeader {
            width: if turned { height } else { width },
            height: if turned { width } else { height },
            format: format_of(known.color),
            notes: known.colors.note().into_iter().collect(),
        })
    }

    /// Decodes the image, applies its EXIF orientation, and converts it to sRGB.
    pub(super) fn decode(&self, limits: &Limits) -> Result<DynamicImage> {
        self.check(limits)?;
        let input = self.input(false)?;
        guarded(self.path, || {
            let (known, decoder) = self.known(input, limits)?;
            let picture =
                DynamicImage::from_decoder(decoder).map_err(|error| self.unreadable(damage(&error)))?;
            let mut picture = known
                .colors
                .convert(picture)
                .map_err(|reason| self.unreadable(reason))?;
            picture.apply_orientation(known.orientation);
            Ok(picture)
        })
    }

    /// Opens the decoder and reads the properties of the image, checked against `limits`.
    fn known<'d>(
        &self,
        input: Box<dyn Input + 'd>,
        limits: &Limits,
    ) -> Result<(Known, impl ImageDecoder + use<'d>)> {
        let failed = |error: image::ImageError| self.unreadable(damage(&error));
        let format = self.kind.format().ok_or_else(|| self.kind.refusal(self.path))?;
        let mut reader = ImageReader::with_format(input, format);
        reader.limits(self.memory_limits(limits));
        let mut decoder = reader.into_decoder().map_err(failed)?;
        let (width, height) = decoder.dimensions();
        self.check_size((width, height), limits)?;
        let color = decoder.color_type();
        let pixels = u64::from(width) * u64::from(height);
        // The decoded image, its conversion to RGBA, and the planes of the frame.
        let bytes = pixels * (u64::from(color.bytes_per_pixel()) * 2 + deep(color) * 8);
        self.check_memory(bytes, limits)?;
        if self.kind == Kind::Tiff {
            let mut tight = self.memory_limits(limits);
            tight.max_alloc = Some(decoder.total_bytes().saturating_mul(3).saturating_add(ROOM));
            decoder.set_limits(tight).map_err(failed)?;
        }
        let orientation = self.orientation(&mut decoder).map_err(failed)?;
        let profile = match self.kind {
            Kind::Tiff => self.tiff_profile()?,
            _ => decoder.icc_profile().map_err(failed)?,
        };
        let float = matches!(color, ColorType::Rgb32F | ColorType::Rgba32F);
        let gray = !color.has_color();
        let colors = Colors::of(profile.as_deref(), gray, float);
        let size = (width, height);
        Ok((
            Known {
                color,
                size,
                orientation,
                colors,
            },
            decoder,
        ))
    }

    /// Returns the EXIF orientation; accepts EXIF data of WebP with JPEG's prefix, which some programs write.
    fn orientation(&self, decoder: &mut impl ImageDecoder) -> image::ImageResult<Orientation> {
        if self.kind == Kind::WebP
            && let Some(exif) = decoder.exif_metadata()?
            && let Some(plain) = exif.strip_prefix(b"Exif\0\0")
        {
            return Ok(Orientation::from_exif_chunk(plain).unwrap_or(Orientation::NoTransforms));
        }
        decoder.orientation()
    }

    /// Returns the size and allocation limits for the decoder.
    fn memory_limits(&self, limits: &Limits) -> image::Limits {
        let mut memory = image::Limits::default();
        memory.max_image_width = Some(limits.max_side);
        memory.max_image_height = Some(limits.max_side);
        memory.max_alloc = Some(if self.kind == Kind::Png {
            PNG_CHUNKS
        } else {
            limits.max_pixels.saturating_mul(16)
        });
        memory
    }

    /// Checks width and height in pixels against the limits; the error names the file.
    pub(super) fn check_size(&self, (width, height): (u32, u32), limits: &Limits) -> Result<()> {
        let checked = limits.check_size(u64::from(width), u64::from(height));
        checked.map_err(|error| match error {
            MediaError::Limit {
                what,
                value,
                accepted,
            } => MediaError::limit(format!("{what} of {}", self.path.display()), value, accepted),
            other => other,
        })
    }

    /// Checks the memory in bytes that decoding needs against the limits.
    pub(super) fn check_memory(&self, bytes: u64, limits: &Limits) -> Result<()> {
        let bytes = bytes.saturating_add(if self.kind == Kind::Jpeg { self.length } else { 0 });
        if bytes <= limits.max_memory {
            return Ok(());
        }
        Err(MediaError::limit(
            format!("the memory that decoding {} takes", self.path.display()),
            format!("{} MB", bytes.div_ceil(1_000_000)),
            format!("{} MB", limits.max_memory / 1_000_000),
        ))
    }

    /// Opens the input of the decoder: a JPEG is read into memory, up to its data where `header_only`; a page of a TIFF is
    /// the file with the page's directory as the first one.
    fn input(&self, header_only: bool) -> Result<Box<dyn Input>> {
        if self.kind == Kind::Jpeg {
            let bytes = if header_only {
                self.jpeg_header()?.1
            } else {
                self.checked_jpeg()?
            };
            return Ok(Box::new(Cursor::new(bytes)));
        }
        let (file, _) = open_regular(self.path)?;
        let header = match self.page {
            Some(offset) => Shape::of(&self.start).header(&self.start, offset),
            None => Vec::new(),
        };
        Ok(Box::new(BufReader::new(Patched { file, header, at: 0 })))
    }

    /// Reads a JPEG up to its data; returns the parsed header and the bytes.
    fn jpeg_header(&self) -> Result<(jpeg::Header, Vec<u8>)> {
        let (mut file, _) = open_regular(self.path)?;
        let mut bytes = Vec::new();
        // The header usually ends within 64 KB; a profile, a thumbnail and maker notes may take megabytes.
        for size in [1 << 16, 1 << 20, u64::MAX] {
            let wanted = size.saturating_sub(bytes.len() as u64);
            let read = (&mut file).take(wanted).read_to_end(&mut bytes);
            read.map_err(|error| self.read_error(error))?;
            if let Some(header) = jpeg::Header::read(&bytes).filter(|header| header.data <= bytes.len()) {
                bytes.truncate(header.data);
                return Ok((header, bytes));
            }
        }
        Err(self.unreadable("it is cut off or damaged: it has no picture data"))
    }

    /// Reads a JPEG file and checks that its entropy-coded data is complete.
    fn checked_jpeg(&self) -> Result<Vec<u8>> {
        let (mut file, _) = open_regular(self.path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|error| self.read_error(error))?;
        jpeg::check(&bytes)
            .map_err(|reason| self.unreadable(format!("it is cut off or damaged: {reason}")))?;
        Ok(bytes)
    }

    /// Checks the file's structure, and that the file is large enough for the image that its header claims.
    fn check(&self, limits: &Limits) -> Result<()> {
        let min = match self.kind {
            Kind::Png => self.check_png()?,
            Kind::Jpeg => self.check_jpeg(limits)?,
            Kind::WebP => self.check_webp()?,
            Kind::Tiff => self.check_tiff()?,
            Kind::Exr => guarded(self.path, || self.check_exr(limits))?,
            Kind::Bmp | Kind::Pnm => 0,
            other => return Err(other.refusal(self.path)),
        };
        if min > self.length {
            return Err(self.unreadable(format!(
                "its header claims a picture that takes {min} bytes or more, which a file of {} bytes cannot hold",
                self.length
            )));
        }
        Ok(())
    }

    /// Checks the chunks of a PNG; returns the minimum number of bytes of its data.
    fn check_png(&self) -> Result<u64> {
        let chunks = self.png_chunks().map_err(|error| self.read_error(error))?;
        if chunks.frames > 1 {
            return Err(not_one(
                self.path,
                "an animation (APNG)",
                u64::from(chunks.frames),
            ));
        }
        if let Some(reason) = chunks.cut {
            return Err(self.unreadable(reason));
        }
        Ok(chunks.raw.div_ceil(DEFLATE).saturating_sub(64))
    }

    /// Reports whether the file is an animated PNG of several frames.
    pub(super) fn is_animated_png(&self) -> bool {
        self.kind == Kind::Png && self.png_chunks().is_ok_and(|chunks| chunks.frames > 1)
    }

    /// Parses the chunks of a PNG before its data, and all others where the file does not end with `IEND`.
    fn png_chunks(&self) -> io::Result<Chunks> {
        let (mut file, length) = open_regular(self.path).map_err(io::Error::other)?;
        let mut chunks = Chunks::default();
        let mut at = 8;
        while at + 12 <= length {
            file.seek(SeekFrom::Start(at))?;
            let mut head = [0; 8 + 13];
            let got = (&mut file).take(head.len() as u64).read(&mut head)?;
            let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
            let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            match &head[4..8] {
                b"IHDR" if got == head.len() => chunks.raw = raw_bytes(word(8), word(12), head[16], head[17]),
                b"acTL" if got >= 12 && size >= 8 => chunks.frames = word(8),
                b"IDAT" if self.png_ends(&mut file)? => break,
                b"IEND" => break,
                _ => {}
            }
            at += 12 + size;
            if at > length {
                let name = String::from_utf8_lossy(&head[4..8]).into_owned();
                chunks.cut = Some(format!(
                    "it is cut off or damaged: its chunk `{}` ends at byte {at}, the file has {length}",
                    name.escape_debug()
                ));
            }
        }
        Ok(chunks)
    }

    /// Reports whether the file ends with PNG's `IEND` chunk.
    fn png_ends(&self, file: &mut File) -> io::Result<bool> {
        file.seek(SeekFrom::Start(self.length.saturating_sub(12)))?;
        let mut tail = Vec::new();
        file.take(12).read_to_end(&mut tail)?;
        Ok(tail == b"\0\0\0\0IEND\xaeB\x60\x82")
    }

    /// Checks size, memory and completeness of a JPEG; returns the minimum number of bytes of its data.
    fn check_jpeg(&self, limits: &Limits) -> Result<u64> {
        let (header, _) = self.jpeg_header()?;
        self.check_size((header.width, header.height), limits)?;
        let pixels = u64::from(header.width) * u64::from(header.height);
        self.check_memory(header.working_bytes() + pixels * 14, limits)?;
        let min = header.min_bytes();
        if min <= self.length && !self.jpeg_ends().map_err(|error| self.read_error(error))? {
            // The file is truncated or has trailing data; the entropy-coded data decides.
            self.checked_jpeg()?;
        }
        Ok(min)
    }

    /// Reports whether the file ends with JPEG's end-of-image marker.
    fn jpeg_ends(&self) -> io::Result<bool> {
        let (mut file, length) = open_regular(self.path).map_err(io::Error::other)?;
        file.seek(SeekFrom::Start(length.saturating_sub(1024)))?;
        let mut tail = Vec::new();
        file.take(1024).read_to_end(&mut tail)?;
        Ok(jpeg::ends_properly(&tail))
    }

    /// Parses the container of a WebP (durations of its frames, first fault); `None` for other formats.
    pub(super) fn webp_layout(&self) -> Result<Option<riff::Layout>> {
        if self.kind != Kind::WebP {
            return Ok(None);
        }
        let (file, length) = open_regular(self.path)?;
        let max_frames = Limits::default().max_frames;
        let layout = riff::Layout::read(&mut BufReader::with_capacity(64, file), length, max_frames);
        layout.map(Some).map_err(|error| self.read_error(error))
    }

    /// Checks the chunks of a WebP; returns the minimum number of bytes of its data.
    fn check_webp(&self) -> Result<u64> {
        let layout = self.webp_layout()?.unwrap_or_default();
        if layout.animated() {
            return Err(not_one(
                self.path,
                "an animation (WebP)",
                layout.durations.len() as u64,
            ));
        }
        match layout.fault {
            Some(fault) => Err(self.unreadable(fault)),
            None => Ok(layout.min_bytes),
        }
    }

    /// Returns the pages of a TIFF without reduced copies and masks; `None` for other formats.
    pub(super) fn pages(&self) -> Result<Option<Vec<Page>>> {
        if self.kind != Kind::Tiff {
            return Ok(None);
        }
        let pages = self.directories()?.pages();
        pages.map(Some).map_err(|error| self.read_error(error))
    }

    /// Opens a reader of a TIFF's directories.
    fn directories(&self) -> Result<Directories<BufReader<File>>> {
        let (file, length) = open_regular(self.path)?;
        Ok(Directories::new(BufReader::new(file), &self.start, length))
    }

    /// Returns the selected page of a TIFF, or its only one; an error where it has several or none.
    fn tiff_page(&self) -> Result<Page> {
        let pages = self.pages()?.unwrap_or_default();
        let page = match self.page {
            Some(offset) => pages.iter().find(|page| page.offset == offset),
            None if pages.len() > 1 => return Err(not_one(self.path, "a file (TIFF)", pages.len() as u64)),
            None => pages.first(),
        };
        page.copied().ok_or_else(|| {
            self.unreadable("it holds no picture of the full size (camera raw files keep it elsewhere): save it as a plain TIFF or PNG first")
        })
    }

    /// Reads the ICC profile of a TIFF, which its decoder does not return where the tag's type is BYTE.
    fn tiff_profile(&self) -> Result<Option<Vec<u8>>> {
        let page = self.tiff_page()?;
        let profile = self.directories()?.profile(page);
        profile.map_err(|error| self.read_error(error))
    }

    /// Checks the directory of a TIFF page; returns the minimum number of bytes of its data.
    fn check_tiff(&self) -> Result<u64> {
        let page = self.tiff_page()?;
        let layout = self.directories()?.layout(page);
        let layout: Layout = layout.map_err(|error| self.read_error(error))?;
        if layout.planar && layout.tiled {
            return Err(self.unreadable(
                "it is a TIFF in tiles with a plane for each channel, which is not read: save it without tiles or with its channels together, for example: tiffcp -s -p contig IN OUT.tif",
            ));
        }
        if !layout.fits(self.length) {
            return Err(self.unreadable(format!(
                "it is cut off: its data goes on behind the {} bytes of the file",
                self.length
            )));
        }
        let min = layout.min_bytes();
        if layout.stored().is_some_and(|stored| stored < min) {
            return Err(self.unreadable(format!(
                "its header claims a picture that takes {min} bytes or more, and {} bytes of data",
                layout.stored().unwrap_or(0)
            )));
        }
        Ok(min)
    }

    /// Checks data windows, blocks and channels of all layers of an EXR, by which the exr crate allocates memory; returns the
    /// minimum number of bytes of its data.
    fn check_exr(&self, limits: &Limits) -> Result<u64> {
        let (file, _) = open_regular(self.path)?;
        let meta = exr::meta::MetaData::read_from_buffered(BufReader::new(file), false)
            .map_err(|error| self.unreadable(error.to_string()))?;
        let mut chunks = 0_u64;
        for header in &meta.headers {
            if header.deep {
                return Err(
                    self.unreadable("it is an EXR of deep data, which is not read; flat images are accepted")
                );
            }
            let (width, height) = (
                header.layer_size.width() as u64,
                header.layer_size.height() as u64,
            );
            let side = u64::from(limits.max_side);
            if width > side || height > side || width.saturating_mul(height) > limits.max_pixels {
                let accepted = format!("{side} pixels on each side and {} in all", limits.max_pixels);
                let what = format!("the data window of {}", self.path.display());
                return Err(MediaError::limit(what, format!("{width}x{height}"), accepted));
            }
            self.check_exr_block(header)?;
            // A block has an entry in the offset table and a header.
            chunks = chunks.saturating_add(header.chunk_count as u64);
            self.check_memory(width * height * 48, limits)?;
        }
        Ok(chunks.saturating_mul(16))
    }

    /// Checks number of channels and block size of an EXR layer.
    fn check_exr_block(&self, header: &exr::meta::header::Header) -> Result<()> {
        let channels = header.channels.list.len();
        if channels > EXR_CHANNELS {
            return Err(MediaError::limit(
                format!("the number of channels of {}", self.path.display()),
                channels,
                format!("{EXR_CHANNELS} channels"),
            ));
        }
        let (width, height) = match header.blocks {
            exr::meta::BlockDescription::Tiles(tiles) => (tiles.tile_size.0, tiles.tile_size.1),
            exr::meta::BlockDescription::ScanLines => (
                header.layer_size.width(),
                header.compression.scan_lines_per_block(),
            ),
        };
        let bytes = (width as u64)
            .saturating_mul(height as u64)
            .saturating_mul(channels as u64 * 4);
        if bytes > EXR_BLOCK {
            return Err(MediaError::limit(
                format!("a block of {}", self.path.display()),
                format!("{} MB", bytes / 1_000_000),
                format!("{} MB", EXR_BLOCK / 1_000_000),
            ));
        }
        Ok(())
    }
}

/// Properties of a PNG by its chunks.
#[derive(Debug, Default)]
struct Chunks {
    /// Uncompressed bytes of its lines.
    raw: u64,
    /// Number of frames of an animation; 0 for a still image.
    frames: u32,
    /// A message where the file is truncated.
    cut: Option<String>,
}

/// Returns the uncompressed bytes of a PNG's lines with filter bytes; `depth` and `color` are bit depth and colour type of
/// its header.
fn raw_bytes(width: u32, height: u32, depth: u8, color: u8) -> u64 {
    let channels = match color {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    let line = (u64::from(width) * channels * u64::from(depth)).div_ceil(8) + 1;
    line.saturating_mul(u64::from(height))
}

/// A reader of a file whose first bytes are replaced by `header`.
struct Patched {
    file: File,
    header: Vec<u8>,
    /// Current offset in the file.
    at: u64,
}

impl Read for Patched {
    /// Reads from `header` while the offset lies within it, then from the file.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self
            .header
            .get(self.at as usize..)
            .filter(|rest| !rest.is_empty())
        {
            Some(mut rest) => {
                let count = rest.read(buffer)?;
                self.file.seek(SeekFrom::Start(self.at + count as u64))?;
                count
            }
            None => self.file.read(buffer)?,
        };
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Patched {
    /// Seeks in the file.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

/// Returns the bytes per sample of the frame for a decoded colour type: 1, 2 or 4.
fn deep(color: ColorType) -> u64 {
    match color {
        ColorType::Rgb32F | ColorType::Rgba32F => 4,
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => 2,
        _ => 1,
    }
}

/// Returns the RGB pixel format of the frame for a decoded colour type.
pub(super) fn format_of(color: ColorType) -> PixelFormat {
    let format = match deep(color) {
        4 => PixelFormat::RGBF32,
        2 => PixelFormat::RGB16,
        _ => PixelFormat::RGB8,
    };
    format.with_alpha(color.has_alpha())
}

/// Reports whether an EXIF orientation swaps width and height.
fn swaps(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Converts a decoder's error to a message.
fn damage(error: &image::ImageError) -> String {
    match error {
        image::ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it is cut off: its data ends before its picture does".to_owned()
        }
        image::ImageError::Decoding(_) | image::ImageError::IoError(_) => format!("it is damaged: {error}"),
        _ => error.to_string(),
    }
}

thread_local! {
    /// True while a panic of this thread is caught by [`guarded`] and not to be printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder and converts a panic to [`MediaError::Unreadable`] without printing it.
pub(super) fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    result.unwrap_or_else(|_| {
        Err(MediaError::unreadable(
            path,
            "its decoder gave up on it: it is damaged or of a rare kind; saved anew by another program it may be readable",
        ))
    })
}
