//! Whether a result shows what its source shows: both files are decoded anew, each by the tags that it carries, and
//! compared channel by channel as a screen would show them in BT.709.
//!
//! Coding noise and a wrong colour are told apart by their size in space: noise averages out over a block of
//! 16x16 pixels, a wrong matrix, range or set of primaries does not.

use rife_media::{
    CancelToken, Frame, Primaries, RgbImage, Source, SourceSpec, StreamInfo, Time, open_source,
};

use crate::{Error, Result, gamut};

/// The side of the blocks whose means are compared.
const BLOCK: usize = 16;
/// Most frames that are compared, evenly spread.
const FRAMES: u64 = 300;
/// How much times may differ by rounding.
const TOLERANCE: (i64, i64) = (1, 1000);

/// What is accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColorLimits {
    /// The least PSNR of a channel, in dB.
    pub psnr: f64,
    /// The most that the mean of a channel may differ, in codes of 255.
    pub bias: f64,
    /// The most that the means of blocks may differ (root mean square of a channel), in codes of 255.
    pub shift: f64,
}

impl Default for ColorLimits {
    fn default() -> Self {
        Self {
            psnr: 25.0,
            bias: 1.0,
            shift: 2.0,
        }
    }
}

/// How source and result compare; red, green and blue.
#[derive(Debug, Clone, PartialEq)]
pub struct ColorCheck {
    /// Frames compared.
    pub frames: u64,
    /// PSNR in dB; infinite where all is the same.
    pub psnr: [f64; 3],
    /// Mean of the result less mean of the source, in codes of 255.
    pub bias: [f64; 3],
    /// Root mean square of the differences of block means, in codes of 255.
    pub shift: [f64; 3],
    /// What is beyond the limits, in words.
    pub failures: Vec<String>,
}

impl ColorCheck {
    /// Whether all is within the limits.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Decodes `source` and `result` and compares them, up to 300 frames evenly spread. `exact` asks for the same bits.
///
/// # Errors
/// Those of reading; [`Error::Data`] where the result is smaller, or has no frame.
pub fn compare(
    source: &SourceSpec,
    result: &SourceSpec,
    exact: bool,
    limits: &ColorLimits,
    progress: &mut dyn FnMut(u64),
) -> Result<ColorCheck> {
    let (mut shown, mut made) = (Reader::open(source)?, Reader::open(result)?);
    let shown_info = shown.info.clone();
    let every = made.info.frames.unwrap_or(0).div_ceil(FRAMES).max(1);
    let mut sums = [Sums::default(); 3];
    let (mut index, mut frames, mut other) = (0, 0, 0);
    while let Some((frame, at)) = made.next(&result.cancel)? {
        index += 1;
        if (index - 1) % every != 0 {
            continue;
        }
        let Some(beside) = shown.at(at, &source.cancel)? else {
            break;
        };
        other += u64::from((beside.format, &beside.planes) != (frame.format, &frame.planes));
        let (a, b) = (picture(beside, &shown_info), picture(&frame, &made.info));
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
    if exact && other > 0 {
        let text = format!("{other} of {frames} frames are not the same, code by code");
        check.failures.insert(0, text);
    }
    Ok(check)
}

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
                "{name} is off by {bias:+.2} codes on the whole, beyond {:.2}",
                limits.bias
            ));
        }
        if shift > limits.shift {
            failures.push(format!(
                "{name} is off by {shift:.2} codes in places, beyond {:.2}",
                limits.shift
            ));
        }
    }
    failures
}

/// A decoded file, read to the frame that is on screen at a time.
struct Reader {
    source: Box<dyn Source>,
    info: StreamInfo,
    start: Option<Time>,
    now: Option<Frame>,
    next: Option<Frame>,
    done: bool,
}

impl Reader {
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

    /// The next frame, and its time since the first.
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

    /// The frame that is on screen at `time` since the first.
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

/// As a screen shows it.
fn picture(frame: &Frame, info: &StreamInfo) -> RgbImage {
    let mut image = frame.to_rgb(&info.tags);
    gamut::convert(&mut image, info.tags.primaries, Primaries::Bt709);
    image
        .data
        .iter_mut()
        .for_each(|value| *value = value.clamp(0.0, 1.0));
    image
}

/// What is summed up of a channel.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    pixels: f64,
    squares: f64,
    bias: f64,
    blocks: f64,
    shift: f64,
}

impl Sums {
    fn psnr(&self) -> f64 {
        -10.0 * (self.squares / self.pixels).log10()
    }

    /// The differences of one row of blocks, `rows` pixels high.
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
            // Parts of blocks at the edges count as what they are.
            self.blocks += count;
            self.shift += sum * sum / count;
        }
    }
}

/// Adds the differences of a pair; a result may be larger by what makes its sides even.
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
