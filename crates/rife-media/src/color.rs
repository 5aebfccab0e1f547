//! Colour tags (ITU-T H.273: matrix, range, primaries, transfer) and conversion between YUV or RGB codes and planar RGB
//! floats.
//!
//! Matrix and range are inverted; transfer curve and primaries stay as they are and are carried as tags, so RGB values are
//! gamma-encoded. Without a matrix tag, BT.709 is assumed from 1280 pixels of width or above 576 rows, else BT.601, as
//! players do; without a range tag, YUV is limited, gray and RGB full.
//!
//! Chroma is replicated to full size and averaged back. With unclamped floats in between, YUV -> RGB -> YUV of an
//! unchanged frame is bit-exact, so source frames and generated frames use the same path, and brightness and hue never
//! alternate between them.

use crate::frame::{Plane, Samples};
use crate::{Frame, Layout, PixelFormat, RgbImage};

/// Defines an enum of a colour property: the variants and `Unspecified`, `name()` with ffmpeg's name of each, and `parse()`
/// from that name or an alias.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal $(| $alias:literal)*),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum $name {
            /// Not stated by the stream.
            #[default]
            Unspecified,
            $($(#[$vdoc])* $variant,)+
        }
        impl $name {
            /// Returns ffmpeg's name; `None` where unspecified.
            pub fn name(self) -> Option<&'static str> {
                match self { Self::Unspecified => None, $(Self::$variant => Some($text),)+ }
            }
            /// Parses ffmpeg's or ffprobe's name; unknown names are unspecified.
            pub fn parse(text: &str) -> Self {
                match text { $($text $(| $alias)* => Self::$variant,)+ _ => Self::Unspecified }
            }
        }
    };
}

named! {
    /// The matrix coefficients between RGB and YUV.
    Matrix {
        /// Identity: the planes are RGB.
        Rgb = "gbr" | "rgb",
        /// ITU-R BT.709, high definition.
        Bt709 = "bt709",
        /// FCC 73.682.
        Fcc = "fcc",
        /// ITU-R BT.601, 625 lines.
        Bt470bg = "bt470bg",
        /// ITU-R BT.601, 525 lines.
        Smpte170m = "smpte170m",
        /// SMPTE 240M.
        Smpte240m = "smpte240m",
        /// YCgCo.
        Ycgco = "ycgco" | "ycocg",
        /// ITU-R BT.2020, non-constant luminance.
        Bt2020nc = "bt2020nc" | "bt2020_ncl",
        /// ITU-R BT.2020, constant luminance (computed as non-constant, reversibly).
        Bt2020c = "bt2020c" | "bt2020_cl",
        /// ICtCp (computed as BT.2020, reversibly).
        Ictcp = "ictcp",
    }
}

named! {
    /// The code range of luma and chroma.
    Range {
        /// 16 to 235 (luma) and 16 to 240 (chroma) at 8 bits.
        Limited = "tv" | "mpeg" | "limited",
        /// All codes, 0 to 255 at 8 bits.
        Full = "pc" | "jpeg" | "full",
    }
}

named! {
    /// The colour primaries; a tag that conversion does not use.
    Primaries {
        /// BT.709 and sRGB.
        Bt709 = "bt709",
        /// BT.470 M.
        Bt470m = "bt470m",
        /// BT.601, 625 lines.
        Bt470bg = "bt470bg",
        /// BT.601, 525 lines.
        Smpte170m = "smpte170m",
        /// SMPTE 240M.
        Smpte240m = "smpte240m",
        /// Generic film.
        Film = "film",
        /// BT.2020 and BT.2100.
        Bt2020 = "bt2020",
        /// CIE XYZ.
        Smpte428 = "smpte428",
        /// DCI P3.
        Smpte431 = "smpte431",
        /// Display P3.
        Smpte432 = "smpte432",
        /// EBU 3213.
        Ebu3213 = "ebu3213" | "jedec-p22",
    }
}

named! {
    /// The transfer characteristics; a tag that conversion does not use.
    Transfer {
        /// BT.709.
        Bt709 = "bt709",
        /// Gamma 2.2.
        Gamma22 = "gamma22" | "bt470m",
        /// Gamma 2.8.
        Gamma28 = "gamma28" | "bt470bg",
        /// BT.601.
        Smpte170m = "smpte170m",
        /// SMPTE 240M.
        Smpte240m = "smpte240m",
        /// Linear light.
        Linear = "linear",
        /// Logarithmic, 100:1.
        Log = "log100" | "log",
        /// Logarithmic, 316:1.
        LogSqrt = "log316" | "log_sqrt",
        /// IEC 61966-2-4 (xvYCC).
        Iec61966_2_4 = "iec61966-2-4" | "iec61966_2_4",
        /// BT.1361.
        Bt1361 = "bt1361e" | "bt1361",
        /// sRGB.
        Iec61966_2_1 = "iec61966-2-1" | "iec61966_2_1",
        /// BT.2020, 10 bit.
        Bt2020_10 = "bt2020-10" | "bt2020_10bit",
        /// BT.2020, 12 bit.
        Bt2020_12 = "bt2020-12" | "bt2020_12bit",
        /// Perceptual quantizer (HDR10, BT.2100).
        Smpte2084 = "smpte2084",
        /// SMPTE 428.
        Smpte428 = "smpte428",
        /// Hybrid log-gamma (BT.2100).
        AribStdB67 = "arib-std-b67",
    }
}

named! {
    /// The position of subsampled chroma relative to luma; a tag that conversion does not use.
    ChromaLocation {
        /// Left (MPEG-2, H.264).
        Left = "left",
        /// Centre (JPEG, MPEG-1).
        Center = "center",
        /// Top left (HDR, PAL DV).
        TopLeft = "topleft",
        /// Top.
        Top = "top",
        /// Bottom left.
        BottomLeft = "bottomleft",
        /// Bottom.
        Bottom = "bottom",
    }
}

/// The colour description of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ColorTags {
    /// The YUV matrix.
    pub matrix: Matrix,
    /// The code range.
    pub range: Range,
    /// The primaries.
    pub primaries: Primaries,
    /// The transfer curve.
    pub transfer: Transfer,
    /// The chroma sample location.
    pub chroma_location: ChromaLocation,
}

impl ColorTags {
    /// The tags of still images: full-range RGB, sRGB.
    pub const SRGB: Self = Self {
        matrix: Matrix::Rgb,
        range: Range::Full,
        primaries: Primaries::Bt709,
        transfer: Transfer::Iec61966_2_1,
        chroma_location: ChromaLocation::Unspecified,
    };

    /// Returns the tags of YUV frames converted from frames with these tags: RGB becomes limited-range BT.709 with
    /// unchanged transfer and primaries; tags that already describe YUV are returned unchanged.
    pub fn for_yuv(self) -> Self {
        if self.matrix == Matrix::Rgb {
            Self {
                matrix: Matrix::Bt709,
                range: Range::Limited,
                ..self
            }
        } else {
            self
        }
    }

    /// Returns the tags of RGB frames converted from frames with these tags: full range, no matrix, unchanged transfer and
    /// primaries.
    pub fn for_rgb(self) -> Self {
        Self {
            matrix: Matrix::Rgb,
            range: Range::Full,
            chroma_location: ChromaLocation::Unspecified,
            ..self
        }
    }

    /// Reports whether the transfer curve is one of HDR video, PQ or HLG.
    pub fn is_hdr(self) -> bool {
        matches!(self.transfer, Transfer::Smpte2084 | Transfer::AribStdB67)
    }

    /// Returns the matrix for conversion to or from YUV; where unspecified or RGB, BT.709 or BT.601 by the frame's size.
    pub fn effective_matrix(self, width: u32, height: u32) -> Matrix {
        match self.matrix {
            Matrix::Unspecified | Matrix::Rgb if width >= 1280 || height > 576 => Matrix::Bt709,
            Matrix::Unspecified | Matrix::Rgb => Matrix::Smpte170m,
            matrix => matrix,
        }
    }
}

/// The 3x3 matrices, as rows, between normalised YUV (luma 0 to 1, chroma -0.5 to 0.5) and RGB (0 to 1).
struct Coefficients {
    to_rgb: [[f32; 3]; 3],
    from_rgb: [[f32; 3]; 3],
}

impl Coefficients {
    /// Computes both matrices of `matrix`; unspecified and RGB mean BT.709.
    fn new(matrix: Matrix) -> Self {
        let (kr, kb) = match matrix {
            Matrix::Ycgco => return Self::ycgco(),
            Matrix::Fcc => (0.30, 0.11),
            Matrix::Smpte240m => (0.212, 0.087),
            Matrix::Bt2020nc | Matrix::Bt2020c | Matrix::Ictcp => (0.2627, 0.0593),
            Matrix::Bt470bg | Matrix::Smpte170m => (0.299, 0.114),
            Matrix::Bt709 | Matrix::Unspecified | Matrix::Rgb => (0.2126, 0.0722),
        };
        Self::luma(kr, kb)
    }

    /// Computes the matrices whose luma is `kr R + (1 - kr - kb) G + kb B`, in f64.
    fn luma(kr: f64, kb: f64) -> Self {
        let kg = 1.0 - kr - kb;
        let (cr, cb) = (2.0 * (1.0 - kr), 2.0 * (1.0 - kb));
        let to_rgb = [
            [1.0, 0.0, cr],
            [1.0, -kb * cb / kg, -kr * cr / kg],
            [1.0, cb, 0.0],
        ];
        let from_rgb = [
            [kr, kg, kb],
            [-kr / cb, -kg / cb, (1.0 - kb) / cb],
            [(1.0 - kr) / cr, -kg / cr, -kb / cr],
        ];
        let narrow = |m: [[f64; 3]; 3]| m.map(|row| row.map(|v| v as f32));
        Self {
            to_rgb: narrow(to_rgb),
            from_rgb: narrow(from_rgb),
        }
    }

    /// Returns the matrices of YCgCo; planes 1 and 2 are Cg and Co.
    fn ycgco() -> Self {
        Self {
            to_rgb: [[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]],
            from_rgb: [[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]],
        }
    }
}

/// Quantization of a plane's values to codes: `code = offset + scale * value`, clamped to 0 to `max`.
#[derive(Clone, Copy)]
struct Quantization {
    offset: f32,
    scale: f32,
    max: f32,
}

impl Quantization {
    /// Returns the quantization of luma, RGB and alpha planes, whose values are 0 to 1, in full or limited range.
    fn luma(format: PixelFormat, full: bool) -> Self {
        let unit = (1_u32 << (format.depth.min(16) - 8)) as f32;
        let max = format.max_code() as f32;
        match (format.is_float(), full) {
            (true, _) => Self {
                offset: 0.0,
                scale: 1.0,
                max: f32::INFINITY,
            },
            (_, true) => Self {
                offset: 0.0,
                scale: max,
                max,
            },
            (_, false) => Self {
                offset: 16.0 * unit,
                scale: 219.0 * unit,
                max,
            },
        }
    }

    /// Returns the quantization of Cb and Cr planes, whose values are -0.5 to 0.5, in full or limited range.
    fn chroma(format: PixelFormat, full: bool) -> Self {
        let unit = (1_u32 << (format.depth.min(16) - 8)) as f32;
        let max = format.max_code() as f32;
        Self {
            offset: 128.0 * unit,
            scale: if full { max } else { 224.0 * unit },
            max,
        }
    }

    /// Returns the code nearest to `value`. Adding 2^23 rounds a float to an integer, held by the low bits of its mantissa:
    /// `round` and `as` would cost a call and a branch per value.
    fn code(self, value: f32) -> u16 {
        let code = (value * self.scale + self.offset).clamp(0.0, self.max);
        (code + (1 << 23) as f32).to_bits() as u16
    }
}

/// Reports whether codes have full range; unspecified means full for RGB and gray, limited for YUV.
fn is_full(tags: &ColorTags, layout: Layout) -> bool {
    match tags.range {
        Range::Full => true,
        Range::Limited => false,
        Range::Unspecified => matches!(layout, Layout::Rgb | Layout::Gray),
    }
}

/// Appends the values of the plane's codes, `(code - offset) / scale`, to `out`; floats are copied.
fn dequantize(plane: &Plane, scale: Quantization, out: &mut Vec<f32>) {
    let (offset, factor) = (scale.offset, 1.0 / scale.scale);
    match &plane.samples {
        Samples::U8(v) => out.extend(v.iter().map(|&c| (f32::from(c) - offset) * factor)),
        Samples::U16(v) => out.extend(v.iter().map(|&c| (f32::from(c) - offset) * factor)),
        Samples::F32(v) => out.extend_from_slice(v),
    }
}

/// Rounds values to codes in the sample type of `format`; floats are copied.
fn quantize(values: &[f32], scale: Quantization, format: PixelFormat) -> Samples {
    match format.bytes_per_sample() {
        1 => Samples::U8(values.iter().map(|&v| scale.code(v) as u8).collect()),
        2 => Samples::U16(values.iter().map(|&v| scale.code(v)).collect()),
        _ => Samples::F32(values.to_vec()),
    }
}

impl Frame {
    /// Converts the frame to planar RGB floats with the matrix and range of `tags`; see [`crate::color`].
    pub fn to_rgb(&self, tags: &ColorTags) -> RgbImage {
        frame_to_rgb(self, tags)
    }

    /// Converts `image` to a frame of `format` with the matrix and range of `tags`, rounded to codes: the exact inverse of
    /// [`Frame::to_rgb`] for the same format and tags. The frame's time is 0; [`Frame::at`] sets it.
    pub fn from_rgb(image: &RgbImage, format: PixelFormat, tags: &ColorTags) -> Self {
        rgb_to_frame(image, format, tags)
    }
}

/// Converts a frame to planar RGB floats with the matrix and range of `tags`, and its alpha plane to 0 to 1.
fn frame_to_rgb(frame: &Frame, tags: &ColorTags) -> RgbImage {
    let layout = frame.format.layout;
    let scale = Quantization::luma(frame.format, is_full(tags, layout));
    let data = match layout {
        Layout::Gray => gray_to_rgb(frame, scale),
        Layout::Rgb => {
            let mut data = Vec::with_capacity(3 * frame.width as usize * frame.height as usize);
            frame.planes[..3]
                .iter()
                .for_each(|plane| dequantize(plane, scale, &mut data));
            data
        }
        _ => yuv_to_rgb(frame, tags, scale),
    };
    let alpha = frame.format.alpha.then(|| {
        let mut alpha = Vec::new();
        dequantize(
            &frame.planes[frame.format.planes() - 1],
            Quantization::luma(frame.format, true),
            &mut alpha,
        );
        alpha
    });
    RgbImage {
        alpha,
        ..RgbImage::new(frame.width, frame.height, data)
    }
}

/// Converts a gray frame to planar RGB, [3, height, width], by repeating luma.
fn gray_to_rgb(frame: &Frame, scale: Quantization) -> Vec<f32> {
    let mut luma = Vec::new();
    dequantize(&frame.planes[0], scale, &mut luma);
    luma.repeat(3)
}

/// Converts a YUV frame to planar RGB, [3, height, width], with chroma replicated to full size.
fn yuv_to_rgb(frame: &Frame, tags: &ColorTags, luma_scale: Quantization) -> Vec<f32> {
    let (width, height) = (frame.width as usize, frame.height as usize);
    let chroma_scale = Quantization::chroma(frame.format, is_full(tags, frame.format.layout));
    let m = Coefficients::new(tags.effective_matrix(frame.width, frame.height)).to_rgb;
    let [luma, cb, cr] = [0, 1, 2].map(|index| {
        let mut values = Vec::new();
        dequantize(
            &frame.planes[index],
            if index == 0 { luma_scale } else { chroma_scale },
            &mut values,
        );
        values
    });
    let (sx, sy) = frame.format.layout.chroma_shift();
    let chroma_width = frame.planes[1].width as usize;
    let mut data = vec![0.0; 3 * width * height];
    let (red, rest) = data.split_at_mut(width * height);
    let (green, blue) = rest.split_at_mut(width * height);
    let (mut full_cb, mut full_cr) = (vec![0.0; width], vec![0.0; width]);
    for y in 0..height {
        let row = (y >> sy) * chroma_width;
        upsample_row(&cb[row..row + chroma_width], sx, &mut full_cb);
        upsample_row(&cr[row..row + chroma_width], sx, &mut full_cr);
        let at = y * width..(y + 1) * width;
        let yuv = luma[at.clone()].iter().zip(&full_cb).zip(&full_cr);
        let rgb = red[at.clone()]
            .iter_mut()
            .zip(&mut green[at.clone()])
            .zip(&mut blue[at]);
        for (((&y, &u), &v), ((r, g), b)) in yuv.zip(rgb) {
            *r = m[0][0] * y + m[0][1] * u + m[0][2] * v;
            *g = m[1][0] * y + m[1][1] * u + m[1][2] * v;
            *b = m[2][0] * y + m[2][1] * u + m[2][2] * v;
        }
    }
    data
}

/// Replicates each chroma sample of a row over the `2^shift` pixels (1, 2 or 4) that it covers.
fn upsample_row(row: &[f32], shift: u32, out: &mut [f32]) {
    match shift {
        0 => out.copy_from_slice(row),
        1 => repeat::<2>(row, out),
        _ => repeat::<4>(row, out),
    }
}

/// Writes each value of `row` `TIMES` times in succession to `out`, whose last group may be shorter.
fn repeat<const TIMES: usize>(row: &[f32], out: &mut [f32]) {
    let (groups, rest) = out.as_chunks_mut::<TIMES>();
    groups
        .iter_mut()
        .zip(row)
        .for_each(|(pixels, &sample)| *pixels = [sample; TIMES]);
    if let Some(&last) = row.get(groups.len()) {
        rest.fill(last);
    }
}

/// Converts planar RGB floats to a frame of `format` with the matrix and range of `tags`, at time 0. Where `format` has
/// alpha and the image has none, alpha is opaque.
fn rgb_to_frame(image: &RgbImage, format: PixelFormat, tags: &ColorTags) -> Frame {
    let full = is_full(tags, format.layout);
    let mut frame = Frame::zeroed(
        image.width,
        image.height,
        PixelFormat {
            alpha: false,
            ..format
        },
    );
    frame.format = format;
    let scale = Quantization::luma(format, full);
    match format.layout {
        Layout::Rgb => {
            for (plane, values) in frame.planes.iter_mut().zip(image.channels()) {
                plane.samples = quantize(values, scale, format);
            }
        }
        layout => fill_yuv(&mut frame, image, tags, scale, layout),
    }
    if format.alpha {
        let opaque = || vec![1.0; image.width as usize * image.height as usize];
        let alpha = image.alpha.clone().unwrap_or_else(opaque);
        let samples = quantize(&alpha, Quantization::luma(format, true), format);
        frame.planes.push(Plane {
            width: image.width,
            height: image.height,
            samples,
        });
    }
    frame
}

/// Fills the YUV or gray planes of `frame` from `image`, with `scale` for luma; chroma is averaged over its subsampling
/// blocks.
fn fill_yuv(frame: &mut Frame, image: &RgbImage, tags: &ColorTags, scale: Quantization, layout: Layout) {
    let m = Coefficients::new(tags.effective_matrix(image.width, image.height)).from_rgb;
    let row = |k: usize| -> Vec<f32> {
        let [red, green, blue] = image.channels();
        let rgb = red.iter().zip(green).zip(blue);
        rgb.map(|((r, g), b)| m[k][0] * r + m[k][1] * g + m[k][2] * b)
            .collect()
    };
    frame.planes[0].samples = quantize(&row(0), scale, frame.format);
    if layout == Layout::Gray {
        return;
    }
    let chroma = Quantization::chroma(frame.format, is_full(tags, layout));
    for index in 1..3 {
        let small = average_blocks(&row(index), image.width, image.height, layout.chroma_shift());
        frame.planes[index].samples = quantize(&small, chroma, frame.format);
    }
}

/// Downsamples a plane by averaging blocks of `2^sx` x `2^sy` pixels; blocks at the right and bottom edge may be smaller.
fn average_blocks(values: &[f32], width: u32, height: u32, (sx, sy): (u32, u32)) -> Vec<f32> {
    if (sx, sy) == (0, 0) {
        return values.to_vec();
    }
    let (width, height) = (width as usize, height as usize);
    let small_width = width.div_ceil(1 << sx);
    let mut out = Vec::with_capacity(small_width * height.div_ceil(1 << sy));
    for rows in values.chunks(width << sy) {
        let mut sums = vec![0.0_f32; small_width];
        for row in rows.chunks(width) {
            match sx {
                0 => add_blocks::<1>(row, &mut sums),
                1 => add_blocks::<2>(row, &mut sums),
                _ => add_blocks::<4>(row, &mut sums),
            }
        }
        let count = rows.len() / width;
        let columns = |x: usize| (width - (x << sx)).min(1 << sx);
        out.extend(
            sums.iter()
                .enumerate()
                .map(|(x, sum)| sum / (count * columns(x)) as f32),
        );
    }
    out
}

/// Adds the sum of each `BLOCK` successive values of `row` to the element of `sums` with that block's index; the last block
/// may be smaller.
fn add_blocks<const BLOCK: usize>(row: &[f32], sums: &mut [f32]) {
    let (blocks, rest) = row.as_chunks::<BLOCK>();
    for (sum, block) in sums.iter_mut().zip(blocks) {
        *sum += block.iter().sum::<f32>();
    }
    if let Some(sum) = sums.get_mut(blocks.len()) {
        *sum += rest.iter().sum::<f32>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    /// Frames of noise that use every code, in and out of the nominal range.
    fn noise(width: u32, height: u32, format: PixelFormat) -> Frame {
        let mut state = 0x2545_F491_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state & format.max_code()
        };
        let mut frame = Frame::zeroed(width, height, format);
        for plane in &mut frame.planes {
            match &mut plane.samples {
                Samples::U8(v) => v.iter_mut().for_each(|s| *s = next() as u8),
                Samples::U16(v) => v.iter_mut().for_each(|s| *s = next() as u16),
                Samples::F32(v) => v.iter_mut().for_each(|s| *s = next() as f32 / 1000.0 - 5.0),
            }
        }
        frame
    }

    const MATRICES: [Matrix; 8] = [
        Matrix::Unspecified,
        Matrix::Bt709,
        Matrix::Fcc,
        Matrix::Bt470bg,
        Matrix::Smpte240m,
        Matrix::Ycgco,
        Matrix::Bt2020nc,
        Matrix::Ictcp,
    ];

    #[test]
    fn every_format_matrix_and_range_comes_back_bit_exact() {
        use Layout::{Gray, Rgb, Yuv410, Yuv411, Yuv420, Yuv422, Yuv440, Yuv444};
        let mut tried = 0;
        for layout in [Gray, Yuv420, Yuv422, Yuv444, Yuv440, Yuv411, Yuv410, Rgb] {
            for depth in [8, 9, 10, 12, 14, 16, 32]
                .into_iter()
                .filter(|&d| d <= 16 || layout == Rgb)
            {
                for (matrix, range) in MATRICES
                    .iter()
                    .flat_map(|m| [(*m, Range::Limited), (*m, Range::Full)])
                {
                    let format = PixelFormat::new(layout, depth).with_alpha(layout != Gray);
                    let frame = noise(37, 19, format);
                    let tags = ColorTags {
                        matrix,
                        range,
                        ..ColorTags::default()
                    };
                    let back = Frame::from_rgb(&frame.to_rgb(&tags), format, &tags);
                    assert_eq!(back, frame, "{format} {tags:?}");
                    tried += 1;
                }
            }
        }
        assert_eq!(tried, (8 * 6 + 1) * 16);
    }

    #[test]
    fn known_colors() {
        let tags = |matrix, range| ColorTags {
            matrix,
            range,
            ..ColorTags::default()
        };
        let codes = |rgb: [f32; 3], format, tags: ColorTags| {
            let image = RgbImage::new(1, 1, rgb.to_vec());
            let frame = Frame::from_rgb(&image, format, &tags);
            frame
                .planes
                .iter()
                .map(|p| match &p.samples {
                    Samples::U8(v) => u32::from(v[0]),
                    Samples::U16(v) => u32::from(v[0]),
                    Samples::F32(_) => 0,
                })
                .collect::<Vec<_>>()
        };
        let white = [1.0; 3];
        let (limited, full) = (Range::Limited, Range::Full);
        assert_eq!(
            codes(white, PixelFormat::YUV444P, tags(Matrix::Bt709, limited)),
            [235, 128, 128]
        );
        assert_eq!(
            codes(white, PixelFormat::YUV444P, tags(Matrix::Bt709, full)),
            [255, 128, 128]
        );
        let ten = PixelFormat::new(Layout::Yuv444, 10);
        assert_eq!(
            codes(white, ten, tags(Matrix::Bt2020nc, limited)),
            [940, 512, 512]
        );
        // Colour bars of 100% red, from the standards' own tables.
        let red = [1.0, 0.0, 0.0];
        assert_eq!(
            codes(red, PixelFormat::YUV444P, tags(Matrix::Smpte170m, limited)),
            [81, 90, 240]
        );
        assert_eq!(
            codes(red, PixelFormat::YUV444P, tags(Matrix::Bt709, limited)),
            [63, 102, 240]
        );
    }

    #[test]
    fn unspecified_is_guessed_as_players_do() {
        let tags = ColorTags::default();
        assert_eq!(tags.effective_matrix(1280, 720), Matrix::Bt709);
        assert_eq!(tags.effective_matrix(720, 576), Matrix::Smpte170m);
        assert_eq!(tags.effective_matrix(640, 578), Matrix::Bt709);
    }

    #[test]
    fn a_generated_frame_of_a_static_clip_is_as_bright_as_its_neighbours() {
        let format = PixelFormat::YUV420P;
        let frame = noise(64, 48, format).at(Time::from(0), Time::from(1));
        let tags = ColorTags {
            matrix: Matrix::Bt709,
            range: Range::Limited,
            ..ColorTags::default()
        };
        let rgb = frame.to_rgb(&tags);
        let between = Frame::from_rgb(&rgb.blend(&rgb, 0.5), format, &tags);
        for (a, b) in frame.planes.iter().zip(&between.planes) {
            let (Samples::U8(a), Samples::U8(b)) = (&a.samples, &b.samples) else {
                panic!("8 bits")
            };
            let mean = |v: &[u8]| v.iter().map(|&s| f64::from(s)).sum::<f64>() / v.len() as f64;
            assert!((mean(a) - mean(b)).abs() < 0.1);
        }
    }
}
