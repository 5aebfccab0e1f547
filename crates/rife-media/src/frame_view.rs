//! Frames in a caller's memory: borrowed rows with a stride, in the sample types and channel orders that programs and
//! libraries use, and their conversion to and from planar f32. The one place of this conversion; [`RgbImage`]'s
//! constructors use it.

use half::f16;

use crate::{MediaError, Result, RgbImage};

/// The type of a sample, in the byte order of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SampleType {
    /// 8 bits, 255 is 1.0.
    U8,
    /// 16 bits, 65535 is 1.0.
    U16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

impl SampleType {
    /// Returns the number of bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// The channels of an interleaved pixel, in memory order. Alpha is straight (not premultiplied).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelOrder {
    /// One channel: red, green and blue are equal.
    Gray,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Red, green, blue, alpha.
    Rgba,
    /// Blue, green, red, alpha.
    Bgra,
}

impl ChannelOrder {
    /// Returns the number of channels of a pixel.
    pub fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb | Self::Bgr => 3,
            Self::Rgba | Self::Bgra => 4,
        }
    }

    /// Returns the indices of red, green and blue within a pixel.
    fn color(self) -> [usize; 3] {
        match self {
            Self::Gray => [0; 3],
            Self::Rgb | Self::Rgba => [0, 1, 2],
            Self::Bgr | Self::Bgra => [2, 1, 0],
        }
    }

    /// Returns the index of alpha within a pixel.
    fn alpha(self) -> Option<usize> {
        matches!(self, Self::Rgba | Self::Bgra).then_some(3)
    }
}

/// Weights of red, green and blue in grey (BT.709).
const GRAY: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// A frame in a caller's memory, read only.
///
/// ```
/// use rife_media::{ChannelOrder, FrameView, SampleType};
///
/// // Two rows of one BGRA pixel, each row padded to 8 bytes.
/// let bytes = [0, 0, 255, 255, 0, 0, 0, 0, 255, 0, 0, 255];
/// let view = FrameView::new(1, 2, ChannelOrder::Bgra, SampleType::U8, &bytes, 8)?;
/// let image = view.to_rgb_image();
/// assert_eq!(image.channels(), [&[1.0, 0.0], &[0.0, 0.0], &[0.0, 1.0]]);
/// assert_eq!(image.alpha, Some(vec![1.0, 1.0]));
/// # Ok::<(), rife_media::MediaError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FrameView<'a> {
    width: u32,
    height: u32,
    sample: SampleType,
    stride: usize,
    /// Red, green, blue.
    color: [Channel<'a>; 3],
    alpha: Option<Channel<'a>>,
}

/// Samples of a channel: the first one's row and position, and the bytes from pixel to pixel.
#[derive(Debug, Clone, Copy)]
struct Channel<'a> {
    bytes: &'a [u8],
    offset: usize,
    step: usize,
}

impl<'a> FrameView<'a> {
    /// Makes a view of interleaved pixels whose rows begin every `stride` bytes. The last row needs no padding.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for sides of 0, a stride below a row's bytes, and fewer bytes than the rows take.
    pub fn new(
        width: u32,
        height: u32,
        order: ChannelOrder,
        sample: SampleType,
        bytes: &'a [u8],
        stride: usize,
    ) -> Result<Self> {
        let size = sample.bytes();
        check([width, height], order.channels() * size, stride, bytes.len())?;
        let channel = |position: usize| Channel {
            bytes,
            offset: position * size,
            step: order.channels() * size,
        };
        Ok(Self {
            width,
            height,
            sample,
            stride,
            color: order.color().map(channel),
            alpha: order.alpha().map(channel),
        })
    }

    /// Makes a view of red, green and blue planes and perhaps one of alpha, all with rows that begin every `stride` bytes. The
    /// last row needs no padding.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for sides of 0, a stride below a row's bytes, and a plane with fewer bytes than its rows take.
    pub fn planar(
        width: u32,
        height: u32,
        sample: SampleType,
        planes: [&'a [u8]; 3],
        alpha: Option<&'a [u8]>,
        stride: usize,
    ) -> Result<Self> {
        let step = sample.bytes();
        for plane in planes.into_iter().chain(alpha) {
            check([width, height], step, stride, plane.len())?;
        }
        let channel = |bytes| Channel {
            bytes,
            offset: 0,
            step,
        };
        Ok(Self {
            width,
            height,
            sample,
            stride,
            color: planes.map(channel),
            alpha: alpha.map(channel),
        })
    }

    /// Returns the width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the type of the samples.
    pub fn sample(&self) -> SampleType {
        self.sample
    }

    /// Converts the frame to planar f32: integers are divided by the largest code, floats stay as they are.
    pub fn to_rgb_image(&self) -> RgbImage {
        let mut image = RgbImage::new(self.width, self.height, self.to_planar(|value| value));
        image.alpha = self.alpha.map(|alpha| {
            let mut plane = Vec::with_capacity(self.pixels());
            self.read(alpha, &|value| value, &mut plane);
            plane
        });
        image
    }

    /// Converts the frame to red, green and blue planes of f32, `[3, height, width]`, and applies `map` to each value; alpha is
    /// left out.
    pub fn to_planar(&self, map: impl Fn(f32) -> f32) -> Vec<f32> {
        let mut data = Vec::with_capacity(3 * self.pixels());
        for channel in self.color {
            self.read(channel, &map, &mut data);
        }
        data
    }

    /// Returns the number of pixels.
    fn pixels(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Appends a channel.
    fn read(&self, channel: Channel<'_>, map: &impl Fn(f32) -> f32, to: &mut Vec<f32>) {
        match self.sample {
            SampleType::U8 => self.read_as(channel, |[byte]| map(f32::from(byte) / 255.0), to),
            SampleType::U16 => self.read_as(channel, |b| map(f32::from(u16::from_ne_bytes(b)) / 65535.0), to),
            SampleType::F16 => self.read_as(channel, |b| map(f16::from_ne_bytes(b).to_f32()), to),
            SampleType::F32 => self.read_as(channel, |b| map(f32::from_ne_bytes(b)), to),
        }
    }

    /// Appends a channel whose samples have `N` bytes.
    fn read_as<const N: usize>(
        &self,
        channel: Channel<'_>,
        value: impl Fn([u8; N]) -> f32,
        to: &mut Vec<f32>,
    ) {
        let width = self.width as usize;
        for row in channel.bytes.chunks(self.stride).take(self.height as usize) {
            let row = &row[..width * channel.step];
            let sample = |bytes: &[u8]| {
                let mut sample = [0; N];
                sample.copy_from_slice(bytes);
                value(sample)
            };
            if channel.step == N {
                // Of a size that is known when this is compiled, so that the loop is vectorised.
                to.extend(row.chunks_exact(N).map(sample));
            } else {
                let pixels = row.chunks_exact(channel.step);
                to.extend(pixels.map(|pixel| sample(&pixel[channel.offset..channel.offset + N])));
            }
        }
    }
}

/// A frame in a caller's memory to write to.
///
/// ```
/// use rife_media::{ChannelOrder, FrameViewMut, RgbImage, SampleType};
///
/// let image = RgbImage::from_rgb8(1, 1, &[255, 128, 0])?;
/// let mut bytes = [0u8; 4];
/// FrameViewMut::new(1, 1, ChannelOrder::Bgra, SampleType::U8, &mut bytes, 4)?.write(&image)?;
/// assert_eq!(bytes, [0, 128, 255, 255]);
/// # Ok::<(), rife_media::MediaError>(())
/// ```
#[derive(Debug)]
pub struct FrameViewMut<'a> {
    width: u32,
    height: u32,
    sample: SampleType,
    stride: usize,
    target: Target<'a>,
}

#[derive(Debug)]
enum Target<'a> {
    Interleaved(ChannelOrder, &'a mut [u8]),
    Planar([&'a mut [u8]; 3]),
}

impl<'a> FrameViewMut<'a> {
    /// Makes a view to write interleaved pixels to, whose rows begin every `stride` bytes. The last row needs no padding.
    ///
    /// # Errors
    /// Those of [`FrameView::new`].
    pub fn new(
        width: u32,
        height: u32,
        order: ChannelOrder,
        sample: SampleType,
        bytes: &'a mut [u8],
        stride: usize,
    ) -> Result<Self> {
        check(
            [width, height],
            order.channels() * sample.bytes(),
            stride,
            bytes.len(),
        )?;
        Ok(Self {
            width,
            height,
            sample,
            stride,
            target: Target::Interleaved(order, bytes),
        })
    }

    /// Makes a view to write red, green and blue planes to, all with rows that begin every `stride` bytes.
    ///
    /// # Errors
    /// Those of [`FrameView::planar`].
    pub fn planar(
        width: u32,
        height: u32,
        sample: SampleType,
        planes: [&'a mut [u8]; 3],
        stride: usize,
    ) -> Result<Self> {
        for plane in &planes {
            check([width, height], sample.bytes(), stride, plane.len())?;
        }
        Ok(Self {
            width,
            height,
            sample,
            stride,
            target: Target::Planar(planes),
        })
    }

    /// Writes a picture. Integers are the nearest codes of values clamped to 0..1, NaN becomes 0; floats are written as
    /// they are. Alpha is 1 where the picture has none, and is left out where the view has none; grey is BT.709 luma of the
    /// codes. Bytes between the rows stay as they are.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for a picture of another size.
    pub fn write(&mut self, image: &RgbImage) -> Result<()> {
        if [image.width, image.height] != [self.width, self.height] {
            let found = format!("{}x{}", image.width, image.height);
            let accepted = format!("{}x{} of the buffer", self.width, self.height);
            return Err(MediaError::limit("the picture's size", found, accepted));
        }
        let format = Rows {
            sample: self.sample,
            width: self.width as usize,
            height: self.height as usize,
            stride: self.stride,
        };
        let size = self.sample.bytes();
        let planes = image.channels();
        match &mut self.target {
            Target::Planar(targets) => {
                for (target, plane) in targets.iter_mut().zip(planes) {
                    format.write(target, [0, size], |i| plane[i]);
                }
            }
            Target::Interleaved(ChannelOrder::Gray, target) => {
                let luma = |i: usize| (0..3).map(|c| GRAY[c] * planes[c][i]).sum();
                format.write(target, [0, size], luma);
            }
            Target::Interleaved(order, target) => {
                let step = order.channels() * size;
                for (position, plane) in order.color().into_iter().zip(planes) {
                    format.write(target, [position * size, step], |i| plane[i]);
                }
                if let Some(position) = order.alpha() {
                    let alpha = image.alpha.as_deref();
                    let value = |i: usize| alpha.map_or(1.0, |alpha| alpha[i]);
                    format.write(target, [position * size, step], value);
                }
            }
        }
        Ok(())
    }
}

/// Rows of samples to write.
struct Rows {
    sample: SampleType,
    width: usize,
    height: usize,
    stride: usize,
}

impl Rows {
    /// Writes the samples of a channel: the first one's byte in a row and the bytes from pixel to pixel, and their values in
    /// row-major order.
    fn write(&self, to: &mut [u8], position: [usize; 2], value: impl Fn(usize) -> f32) {
        let code = |i: usize, max: f32| (value(i).clamp(0.0, 1.0) * max).round();
        match self.sample {
            SampleType::U8 => self.write_as(to, position, |i| [code(i, 255.0) as u8]),
            SampleType::U16 => self.write_as(to, position, |i| (code(i, 65535.0) as u16).to_ne_bytes()),
            SampleType::F16 => self.write_as(to, position, |i| f16::from_f32(value(i)).to_ne_bytes()),
            SampleType::F32 => self.write_as(to, position, |i| value(i).to_ne_bytes()),
        }
    }

    fn write_as<const N: usize>(
        &self,
        to: &mut [u8],
        [offset, step]: [usize; 2],
        sample: impl Fn(usize) -> [u8; N],
    ) {
        for (y, row) in to.chunks_mut(self.stride).take(self.height).enumerate() {
            let pixels = row[..self.width * step].chunks_exact_mut(step).enumerate();
            for (x, pixel) in pixels {
                pixel[offset..offset + N].copy_from_slice(&sample(y * self.width + x));
            }
        }
    }
}

/// Checks a buffer of pixels of so many bytes.
fn check([width, height]: [u32; 2], pixel: usize, stride: usize, length: usize) -> Result<()> {
    if width == 0 || height == 0 {
        let size = format!("{width}x{height}");
        return Err(MediaError::limit(
            "the picture's size",
            size,
            "sides of 1 pixel or more",
        ));
    }
    let row = (width as usize).saturating_mul(pixel);
    if stride < row {
        let accepted = format!("{row} or more bytes, {pixel} for each of {width} pixels");
        return Err(MediaError::limit("the stride", stride, accepted));
    }
    let needed = (height as usize - 1).saturating_mul(stride).saturating_add(row);
    if length < needed {
        let accepted = format!("{needed} bytes or more of {width}x{height} pixels with a stride of {stride}");
        return Err(MediaError::limit("the buffer's length", length, accepted));
    }
    Ok(())
}

impl RgbImage {
    /// Returns a view of the image's planes.
    ///
    /// # Panics
    /// Where its planes are not of its size.
    pub fn view(&self) -> FrameView<'_> {
        let planes = self.channels().map(bytemuck::cast_slice);
        let alpha = self.alpha.as_deref().map(bytemuck::cast_slice);
        let stride = 4 * self.width as usize;
        FrameView::planar(self.width, self.height, SampleType::F32, planes, alpha, stride)
            .expect("a picture's planes have its size")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: [ChannelOrder; 5] = [
        ChannelOrder::Gray,
        ChannelOrder::Rgb,
        ChannelOrder::Bgr,
        ChannelOrder::Rgba,
        ChannelOrder::Bgra,
    ];
    const SAMPLES: [SampleType; 4] = [SampleType::U8, SampleType::U16, SampleType::F16, SampleType::F32];

    /// 3x2 pixels of grey (so that every order holds them) with alpha, all codes of 8 bits.
    fn picture(order: ChannelOrder) -> RgbImage {
        let codes = [0, 51, 102, 153, 204, 255];
        let value = |i: usize, step: usize| f32::from(codes[(i * step) % 6] as u8) / 255.0;
        let steps = if order == ChannelOrder::Gray {
            [1, 1, 1]
        } else {
            [1, 5, 2]
        };
        let planes = steps
            .into_iter()
            .flat_map(|step| (0..6).map(move |i| value(i, step)));
        let mut image = RgbImage::new(3, 2, planes.collect());
        image.alpha = order.alpha().map(|_| (0..6).map(|i| value(i, 5)).collect());
        image
    }

    #[test]
    fn every_order_and_type_comes_back_with_any_stride() {
        for order in ORDERS {
            for sample in SAMPLES {
                let image = picture(order);
                let row = 3 * order.channels() * sample.bytes();
                for stride in [row, row + 5] {
                    let mut bytes = vec![77; stride + row];
                    FrameViewMut::new(3, 2, order, sample, &mut bytes, stride)
                        .unwrap()
                        .write(&image)
                        .unwrap();
                    assert!(bytes[row..stride].iter().all(|byte| *byte == 77), "padding");
                    let view = FrameView::new(3, 2, order, sample, &bytes, stride).unwrap();
                    let back = view.to_rgb_image();
                    assert_eq!(back.alpha.is_some(), image.alpha.is_some());
                    let values = |image: &RgbImage| {
                        [image.data.clone(), image.alpha.clone().unwrap_or_default()].concat()
                    };
                    for (a, b) in values(&back).iter().zip(values(&image)) {
                        let tolerance = if sample == SampleType::F16 { 5e-4 } else { 1e-6 };
                        assert!((a - b).abs() <= tolerance, "{order:?} {sample:?}: {a}, not {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn planes_come_back_and_a_picture_is_its_own_view() {
        let image = picture(ChannelOrder::Rgba);
        assert_eq!(image.view().to_rgb_image(), image);
        let mut planes = [[9u8; 20], [9; 20], [9; 20]];
        let targets = planes.each_mut().map(|plane| &mut plane[..]);
        FrameViewMut::planar(3, 2, SampleType::U16, targets, 10)
            .unwrap()
            .write(&image)
            .unwrap();
        assert!(planes.iter().all(|plane| plane[6..10] == [9; 4]), "padding");
        let sources = planes.each_ref().map(|plane| &plane[..]);
        let view = FrameView::planar(3, 2, SampleType::U16, sources, None, 10).unwrap();
        assert_eq!(view.to_rgb_image().data, image.data);
        let clamped = image.view().to_planar(|value| value.min(0.5));
        assert!(clamped.iter().all(|value| *value <= 0.5));
    }

    #[test]
    fn buffers_that_do_not_fit_are_refused() {
        let bytes = [0; 24];
        let view = |width, height, stride| {
            let view = FrameView::new(width, height, ChannelOrder::Rgba, SampleType::U8, &bytes, stride);
            view.map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(view(2, 3, 8), Ok(()));
        assert_eq!(view(2, 2, 16), Ok(()), "the last row needs no padding");
        for (width, height, stride, wrong) in [
            (0, 3, 8, "0x3"),
            (2, 0, 8, "2x0"),
            (2, 3, 7, "the stride is 7"),
            (2, 3, 9, "length is 24"),
            (2, 4, 8, "length is 24"),
            (u32::MAX, u32::MAX, usize::MAX, "length is 24"),
        ] {
            let error = view(width, height, stride).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
        let mut target = [0; 24];
        let mut target = FrameViewMut::new(2, 3, ChannelOrder::Rgba, SampleType::U8, &mut target, 8).unwrap();
        let error = target.write(&picture(ChannelOrder::Rgb)).unwrap_err().to_string();
        assert!(error.contains("3x2") && error.contains("2x3"), "{error}");
    }
}
