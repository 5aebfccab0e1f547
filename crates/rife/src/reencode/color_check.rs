//! Colour check of a re-encoded file: source and result are decoded, each by its own colour tags, converted to BT.709 RGB,
//! and compared per channel.
//!
//! Coding noise and wrong colours are distinguished by block means: noise averages out over a block of 16x16 pixels, a wrong
//! matrix, range or set of primaries does not.

use rife_media::{
    CancelToken, Frame, Primaries, RgbImage, Source, SourceSpec, StreamInfo, Time, open_source,
};

use crate::{Error, Result, gamut};

/// Side in pixels of the blocks whose means are compared.
const BLOCK: usize = 16;
/// Maximum number of frames that are compared, at even distances.
const FRAMES: u64 = 300;
/// Tolerance of times in seconds, as a fraction.
const TOLERANCE: (i64, i64) = (1, 1000);

/// Tolerances of the colour check; codes are on a scale of 0..=255.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ColorLimits {
    /// Minimum PSNR of a channel in dB.
    pub psnr: f64,
    /// Maximum difference of a channel's mean in codes.
    pub bias: f64,
    /// Maximum root mean square, per channel, of the differences of block means in codes.
    pub shift: f64,
}

impl Default for ColorLimits {
    /// Returns a PSNR of 25 dB, a bias of 1 code and a shift of 2 codes.
    fn default() -> Self {
        Self {
            psnr: 25.0,
            bias: 1.0,
            shift: 2.0,
        }
    }
}

/// Result of the colour check; arrays are red, green, blue, codes are on a scale of 0..=255.
#[derive(Debug, Clone, PartialEq)]
pub struct ColorCheck {
    /// Number of frames compared.
    pub frames: u64,
    /// PSNR in dB; infinite for equal channels.
    pub psnr: [f64; 3],
    /// Mean of the result minus mean of the source, in codes.
    pub bias: [f64; 3],
    /// Root mean square of the differences of block means, in codes.
    pub shift: [f64; 3],
    /// The values outside the tolerances, a sentence each.
    pub failures: Vec<String>,
}

impl ColorCheck {
    /// Reports whether all values are within the tolerances.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Decodes `source` and `result` and compares up to 300 frames at even distances. With `exact`, frames must also be equal bit
/// by bit. `progress` is called with the number of frames compared.
///
/// # Errors
/// Those of reading; [`Error::Data`] if the result is smaller than the source, or has no frame.
pub fn compare(
    source: &SourceSpec,
    result: &SourceSpec,
    exact: bool,
    limits: &ColorLimits,
    progress: &mut dyn FnMut(u64),
) -> Result<ColorCheck> {
    let (mut original, mut made) = (Reader::open(source)?, Reader::open(result)?);
    let original_info = original.info.clone();
    let every = made.info.frames.unwrap_or(0).div_ceil(FRAMES).max(1);
    let mut sums = [Sums::default(); 3];
    let (mut index, mut frames, mut unequal) = (0, 0, 0);
    while let Some((frame, at)) = made.next(&result.cancel)? {
        index += 1;
        if (index - 1) % every != 0 {
            continue;
        }
        let Some(expected) = original.at(at, &source.cancel)? else {
            break;
        };
        unequal += u64::from((expected.format, &expected.planes) != (frame.format, &frame.planes));
        let (a, b) = (to_bt709(expected, &original_info), to_bt709(&frame, &made.info));
        add(&mut sums, &a, &b)?;
        frames += 1;
        progress(frames);
    }
    if frames == 0 {
        return Err(Error::Data("there is no frame to compare".into()));
    }
    let mut check = ColorCheck {
        frames,
        psnr: sums.map(|sums| sums.psnr()),
        bias: sums.map(|sums| 255.0 * sums.bias / sums.pixels),
        shift: sums.map(|sums| 255.0 * (sums.shift / sums.blocks).sqrt()),
        failures: Vec::new(),
    };
    check.failures = failures(&check, limits);
    if exact && unequal > 0 {
        let text = format!("{unequal} of {frames} frames are not the same, code by code");
        check.failures.insert(0, text);
    }
    Ok(check)
}

/// Describes the values outside the tolerances, a sentence each.
fn failures(check: &ColorCheck, limits: &ColorLimits) -> Vec<String> {
    let mut failures = Vec::new();
    for (channel, name) in ["red", "green", "blue"].into_iter().enumerate() {
        let (psnr, bias, shift) = (check.psnr[channel], check.bias[channel], check.shift[channel]);
        if psnr < limits.psnr {
            failures.push(format!(
                "{name} has a PSNR of {psnr:.1} dB, below {:.1}",
                limits.psnr
            ));
        }
        if bias.abs() > limits.bias {
            failures.push(format!(
                "{name} has a mean error of {bias:+.2} 8-bit codes, more than {:.2}",
                limits.bias
            ));
        }
        if shift > limits.shift {
            failures.push(format!(
                "{name} has a local error of {shift:.2} 8-bit codes (RMS of block means), more than {:.2}",
                limits.shift
            ));
        }
    }
    failures
}

/// Reader of a file's frames, one by one or by time; times are in seconds since the first frame.
struct Reader {
    source: Box<dyn Source>,
    info: StreamInfo,
    /// The first frame's own time.
    start: Option<Time>,
    /// The frame that is shown at the last time asked for.
    now: Option<Frame>,
    /// The frame after `now`, read ahead.
    next: Option<Frame>,
    /// Whether the source has ended.
    done: bool,
}

impl Reader {
    /// Opens a file; no frame is read yet.
    fn open(spec: &SourceSpec) -> Result<Self> {
        let source = open_source(spec)?;
        let info = source.info().clone();
        Ok(Self {
            source,
            info,
            start: None,
            now: None,
            next: None,
            done: false,
        })
    }

    /// Reads the next frame; returns it with its time since the first.
    fn next(&mut self, cancel: &CancelToken) -> Result<Option<(Frame, Time)>> {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let Some(frame) = self.source.next_frame()? else {
            return Ok(None);
        };
        let start = *self.start.get_or_insert(frame.pts);
        let at = frame.pts - start;
        Ok(Some((frame, at)))
    }

    /// Returns the frame that is shown at `time` since the first, reading as far as needed; times must not decrease.
    fn at(&mut self, time: Time, cancel: &CancelToken) -> Result<Option<&Frame>> {
        let limit = time + Time::new(TOLERANCE.0, TOLERANCE.1);
        loop {
            if self.next.is_none() && !self.done {
                self.next = self.next(cancel)?.map(|(frame, at)| frame.at(at, Time::from(0)));
                self.done = self.next.is_none();
            }
            match self.next.take_if(|next| next.pts <= limit) {
                Some(next) => self.now = Some(next),
                None => return Ok(self.now.as_ref()),
            }
        }
    }
}

/// Converts a frame to RGB in BT.709 primaries, clipped to 0..=1.
fn to_bt709(frame: &Frame, info: &StreamInfo) -> RgbImage {
    let mut image = frame.to_rgb(&info.tags);
    gamut::convert(&mut image, info.tags.primaries, Primaries::Bt709);
    image
        .data
        .iter_mut()
        .for_each(|value| *value = value.clamp(0.0, 1.0));
    image
}

/// Sums over the compared pixels of a channel; differences are of values 0..=1.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// Number of pixels.
    pixels: f64,
    /// Sum of squared differences.
    squares: f64,
    /// Sum of differences.
    bias: f64,
    /// Total weight of blocks: the number of their pixels.
    blocks: f64,
    /// Weighted sum of squared differences of block means.
    shift: f64,
}

impl Sums {
    /// Returns the PSNR in dB.
    fn psnr(&self) -> f64 {
        -10.0 * (self.squares / self.pixels).log10()
    }

    /// Adds the differences of one row of blocks, `width` times `rows` pixels.
    fn add(&mut self, differences: &[f64], width: usize, rows: usize) {
        for left in (0..width).step_by(BLOCK) {
            let columns = BLOCK.min(width - left);
            let block = (0..rows).flat_map(|row| &differences[row * width + left..][..columns]);
            let (mut sum, mut squares) = (0.0, 0.0);
            for difference in block {
                sum += difference;
                squares += difference * difference;
            }
            let count = (rows * columns) as f64;
            self.pixels += count;
            self.squares += squares;
            self.bias += sum;
            // Blocks cut off at the edges are weighted by their pixels.
            self.blocks += count;
            self.shift += sum * sum / count;
        }
    }
}

/// Adds the differences of a frame of the source, `a`, and of the result, `b`, which may be padded to even sides.
fn add(sums: &mut [Sums; 3], a: &RgbImage, b: &RgbImage) -> Result<()> {
    if b.width < a.width || b.height < a.height || b.width > a.width + 1 || b.height > a.height + 1 {
        return Err(Error::Data(format!(
            "the result is {}x{} where the source is {}x{}",
            b.width, b.height, a.width, a.height
        )));
    }
    let (width, height, wide) = (a.width as usize, a.height as usize, b.width as usize);
    for (sums, (a, b)) in sums.iter_mut().zip(a.channels().into_iter().zip(b.channels())) {
        for top in (0..height).step_by(BLOCK) {
            let rows = BLOCK.min(height - top);
            let row = |y: usize| a[y * width..][..width].iter().zip(&b[y * wide..][..width]);
            let differences: Vec<f64> = (top..top + rows)
                .flat_map(row)
                .map(|(a, b)| f64::from(b - a))
                .collect();
            sums.add(&differences, width, rows);
        }
    }
    Ok(())
}
