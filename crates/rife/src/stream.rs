//! Online frame interpolation: frames with their times in, frames with exact times out, with a bounded delay. `lookahead`
//! classifies source frames (cuts, pauses, repeated frames) by the frames that follow, `pairing` computes the frames between
//! anchors (distinct source frames). A video job runs these two halves in two threads.

// Classification of source frames.
mod lookahead;
// Interpolation between anchors.
mod pairing;

use std::collections::VecDeque;
use std::sync::Arc;

use rife_media::scene::{Analysis, AnalysisOptions, CutRule, DetectedCut, Overlays};
use rife_media::timeline::AHEAD;
use rife_media::{
    ColorTags, Frame, Limits, MediaError, PixelFormat, RgbImage, Source, StreamInfo, Time, TimelineMode,
    TimelineOptions, time,
};

pub(crate) use lookahead::{Analyzer, Decided, Lookahead};
pub(crate) use pairing::{Next, Pairing, Wish};

use crate::{Error, Interpolator, Result};

/// Content of output frames between the two source frames on both sides of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CutFill {
    /// The frame before the cut, repeated.
    #[default]
    Repeat,
    /// A crossfade of both frames.
    Blend,
}

/// Handling of repeated source frames (equal to the one before, as in animation on twos).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Repeated frames are replaced by even motion between the distinct frames around them.
    #[default]
    Smooth,
    /// Repeated frames are kept.
    Keep,
}

/// Replacement of computed frames with a low confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fallback {
    /// Minimum [`Interpolator::confidence`], 0..=1, of frames that are not replaced.
    pub below: f64,
    /// The replacement.
    pub fill: CutFill,
}

/// Confidence of a computed frame.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Confidence {
    /// The frame's time in seconds.
    pub time: f64,
    /// The value of [`Interpolator::confidence`], 0..=1.
    pub confidence: f64,
    /// Whether the frame was replaced by the fallback.
    pub replaced: bool,
}

/// Options of a [`Stream`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Rate and times of the output frames; by default twice the frame rate.
    pub timeline: TimelineOptions,
    /// Colour tags of the pushed frames; sRGB by default.
    pub tags: ColorTags,
    /// Detection or list of cuts between shots.
    pub cuts: CutRule,
    /// Frames that are shown between the frames on both sides of a cut.
    pub cut_fill: CutFill,
    /// Handling of repeated frames.
    pub duplicates: Duplicates,
    /// Whether static overlays, such as logos, subtitles and black bars, are copied from the source (see
    /// [`Overlays`]).
    pub mask_static: bool,
    /// Replacement of frames with a low confidence.
    pub fallback: Option<Fallback>,
    /// Whether the confidence of each computed frame is measured; implied by a fallback.
    pub confidence: bool,
    /// Maximum sizes, counts and times.
    pub limits: Limits,
}

impl Default for StreamOptions {
    /// Returns twice the frame rate, sRGB, and detection of cuts, repeated frames and static overlays.
    fn default() -> Self {
        Self {
            timeline: TimelineOptions::new(TimelineMode::Factor(2)),
            tags: ColorTags::SRGB,
            cuts: CutRule::default(),
            cut_fill: CutFill::default(),
            duplicates: Duplicates::default(),
            mask_static: true,
            fallback: None,
            confidence: false,
            limits: Limits::default(),
        }
    }
}

impl StreamOptions {
    /// Returns the latency in source frames: how many must follow a frame before it is classified. 34 with detection of cuts
    /// and repeated frames, 24 without that of cuts, 14 without that of repeated frames, and 4 with neither. The output frames
    /// between a source frame and the next are known when the next one is classified, one source frame later. A factor that is
    /// no whole number adds one, since the last frame before a source frame may be shown beyond it.
    pub fn delay(&self) -> usize {
        let beyond = matches!(self.timeline.mode, TimelineMode::Multiple(_));
        Analysis::look_ahead(&self.analysis()) + AHEAD + usize::from(beyond)
    }

    /// Returns the numbers of source frames before and after an output frame on which it depends: a stream that begins so many
    /// frames before it and ends so many after it makes the same frame. With the default options 196 and 40.
    pub fn reach(&self) -> [u64; 2] {
        let analysis = self.analysis();
        // Distinct frames are at most so many source frames apart.
        let apart = match analysis.duplicates {
            true => rife_media::scene::MAX_APART as u64,
            false => 1,
        };
        let [frames, more] = Overlays::REACH;
        let overlays = match self.mask_static {
            true => frames * apart + more + apart,
            false => 0,
        };
        // The anchors on both sides.
        let before = Analysis::look_behind(&analysis) as u64 + overlays + apart;
        [before, self.delay() as u64 + apart + 1]
    }

    /// Returns the options of cut and duplicate detection.
    fn analysis(&self) -> AnalysisOptions {
        AnalysisOptions {
            cuts: self.cuts.clone(),
            duplicates: self.duplicates == Duplicates::Smooth,
        }
    }
}

/// Frame counts of a [`Stream`] so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StreamCounts {
    /// Source frames that were classified.
    pub frames_in: u64,
    /// Output frames.
    pub frames_out: u64,
    /// Output frames that the network computed.
    pub made: u64,
    /// Cuts found.
    pub cuts: u64,
    /// Repeated source frames (equal to the one before), which are replaced by motion.
    pub held: u64,
    /// Distinct source frames that were moved in time, to even steps between repeated ones.
    pub retimed: u64,
    /// Source frames that were left out because their time is not above the one before.
    pub dropped: u64,
    /// Output frames that were replaced by the fallback because of a low confidence.
    pub fallen_back: u64,
}

/// An output frame of a [`Stream`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamFrame {
    /// Presentation time in seconds.
    pub pts: Time,
    /// Duration in seconds.
    pub duration: Time,
    /// The last source frame at or before this time, as it was pushed.
    pub source: Arc<Frame>,
    /// The frame's content if it is not that of `source`: computed by the network, or a crossfade.
    pub made: Option<Arc<RgbImage>>,
    /// Confidence of a computed frame, if it is measured.
    pub confidence: Option<Confidence>,
    /// `source` as RGB.
    source_image: Arc<RgbImage>,
}

impl StreamFrame {
    /// Returns the frame's content as RGB.
    pub fn image(&self) -> &Arc<RgbImage> {
        self.made.as_ref().unwrap_or(&self.source_image)
    }

    /// Returns `source` as RGB.
    pub fn source_image(&self) -> &Arc<RgbImage> {
        &self.source_image
    }
}

/// Online interpolator: frames with their times in, frames with exact times out, as in a
/// [`VideoJob`](crate::video::VideoJob) between its source and its sink.
///
/// Push frames in order of time and call [`Stream::next_frame`] after each until it returns `None`: output frames are
/// computed on request, and only source frames that are not classified yet are held ([`StreamOptions::delay`]). After
/// [`Stream::finish`] the remaining frames follow. When [`InterpolatorSpec::cancel`](crate::InterpolatorSpec::cancel) is set,
/// every call returns [`Error::Cancelled`]. The [crate's page](crate#a-stream-of-frames) has an example.
#[derive(Debug)]
pub struct Stream {
    interpolator: Arc<Interpolator>,
    lookahead: Lookahead,
    /// Classified source frames that `pairing` has not taken yet.
    decided: VecDeque<Decided>,
    pairing: Pairing,
    tags: ColorTags,
    limits: Limits,
    /// Width, height and format of the first frame.
    shape: Option<(u32, u32, PixelFormat)>,
    /// Number of frames pushed.
    pushed: u64,
    /// Time of the last frame pushed.
    last: Option<Time>,
    phase: Phase,
}

/// Phase of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Frames are accepted.
    Open,
    /// [`Stream::finish`] was called; the number of frames that were left out after the last kept one.
    Finishing(u64),
    /// The times of all output frames are known.
    Finished,
}

impl Stream {
    /// Makes a stream.
    ///
    /// # Errors
    /// [`MediaError::Limit`] if the timeline's factor, rate or stretch is out of range.
    pub fn new(interpolator: Arc<Interpolator>, options: StreamOptions) -> Result<Self> {
        Ok(Self {
            lookahead: Lookahead::new(options.analysis(), options.tags),
            decided: VecDeque::new(),
            tags: options.tags,
            limits: options.limits.clone(),
            pairing: Pairing::new(interpolator.clone(), options)?,
            interpolator,
            shape: None,
            pushed: 0,
            last: None,
            phase: Phase::Open,
        })
    }

    /// Splits the stream into its halves for two threads: classification and interpolation.
    pub(crate) fn split(self) -> (Lookahead, Pairing) {
        (self.lookahead, self.pairing)
    }

    /// Takes the next source frame. A frame whose time is not above the one before is left out and counted. The frame's
    /// duration is used for the last frame only.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for a size or time outside the limits, [`MediaError::Frame`] if size or format differ from the
    /// first frame's or the planes do not fit them; [`Error::Usage`] after [`Stream::finish`]; [`Error::Cancelled`].
    pub fn push(&mut self, frame: Frame) -> Result<()> {
        self.check_cancelled()?;
        if self.phase != Phase::Open {
            return Err(Error::Usage(
                "the stream was finished; it takes no more frames".into(),
            ));
        }
        self.check(&frame)?;
        self.pushed += 1;
        self.last = Some(frame.pts);
        self.decided.extend(self.lookahead.push(frame));
        Ok(())
    }

    /// Takes the next source frame as an RGB image, shown from `pts` (seconds) on; the last one has the duration of the one
    /// before.
    ///
    /// # Errors
    /// Those of [`Stream::push`].
    pub fn push_image(&mut self, image: &RgbImage, pts: Time) -> Result<()> {
        check_image(image, self.pushed)?;
        let duration = match self.last {
            Some(last) if checked_time(last) && checked_time(pts) && last < pts => pts - last,
            _ => Time::from(0),
        };
        let format = PixelFormat::RGBF32.with_alpha(image.alpha.is_some());
        self.push(Frame::from_rgb(image, format, &ColorTags::SRGB).at(pts, duration))
    }

    /// Ends the input: the remaining frames are classified. Further calls do nothing.
    pub fn finish(&mut self) {
        if self.phase != Phase::Open {
            return;
        }
        while let Some(decided) = self.lookahead.flush_one() {
            self.decided.extend(decided);
        }
        let (decided, dropped) = self.lookahead.finish();
        self.decided.extend(decided);
        self.phase = Phase::Finishing(dropped);
    }

    /// Computes the next output frame; `None` if more source frames are needed first, and at the end.
    ///
    /// # Errors
    /// Those of running the network; [`MediaError::Limit`] if [`StreamOptions::limits`] are exceeded or too many frames lie
    /// between two; [`Error::Cancelled`].
    pub fn next_frame(&mut self) -> Result<Option<StreamFrame>> {
        self.next_frame_if(|_, _| true)
    }

    /// Like [`Stream::next_frame`], but runs the network only if `compute` holds for the frame's zero-based number and its time in
    /// seconds; else the frame shows the source frame before it. It is called for every output frame.
    ///
    /// # Errors
    /// Those of [`Stream::next_frame`].
    pub fn next_frame_if(&mut self, compute: impl Fn(u64, Time) -> bool) -> Result<Option<StreamFrame>> {
        let wish = |number, time| match compute(number, time) {
            true => Wish::Compute,
            false => Wish::Repeat,
        };
        loop {
            self.check_cancelled()?;
            if let Some(Next::Frame(frame)) = self.pairing.next(wish)? {
                return Ok(Some(frame));
            }
            match (self.decided.pop_front(), self.phase) {
                (Some(frame), _) => self.pairing.push(frame.converted(&self.tags))?,
                (None, Phase::Finishing(dropped)) => {
                    self.pairing.finish(dropped)?;
                    self.phase = Phase::Finished;
                }
                (None, Phase::Open | Phase::Finished) => return Ok(None),
            }
        }
    }

    /// Computes the following frames with another interpolator, such as at another scale. Its token to cancel takes effect, too.
    ///
    /// # Errors
    /// Those of completing the frames that are being computed.
    pub fn set_interpolator(&mut self, interpolator: Arc<Interpolator>) -> Result<()> {
        self.pairing.set_interpolator(interpolator.clone())?;
        self.interpolator = interpolator;
        Ok(())
    }

    /// Returns the frame counts so far.
    pub fn counts(&self) -> StreamCounts {
        self.pairing.counts()
    }

    /// Returns the cuts found so far.
    pub fn cuts(&self) -> &[DetectedCut] {
        self.pairing.cuts()
    }

    /// Returns [`Error::Cancelled`] if the interpolator's token is set.
    fn check_cancelled(&self) -> Result<()> {
        match self.interpolator.is_cancelled() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    /// Checks a frame's size against the limits and its shape against the first frame's.
    fn check(&mut self, frame: &Frame) -> Result<()> {
        let shape = (frame.width, frame.height, frame.format);
        self.limits.check_size(frame.width.into(), frame.height.into())?;
        let first = *self.shape.get_or_insert(shape);
        Ok(check_frame(frame, first, self.pushed)?)
    }
}

/// Checks that a frame, the zero-based `number` of its stream, has the first frame's size and format, planes of the right
/// length, and a time and duration that exact arithmetic cannot overflow.
fn check_frame(
    frame: &Frame,
    (first_width, first_height, first_format): (u32, u32, PixelFormat),
    number: u64,
) -> std::result::Result<(), MediaError> {
    let (width, height, format) = (frame.width, frame.height, frame.format);
    let wrong = |reason: String| MediaError::Frame {
        frame: number,
        reason,
    };
    frame.check().map_err(wrong)?;
    if (first_width, first_height, first_format) != (width, height, format) {
        return Err(wrong(format!(
            "it is {width}x{height} {format} where the first was {first_width}x{first_height} {first_format}"
        )));
    }
    if !checked_time(frame.pts) || !checked_time(frame.duration) || frame.duration < Time::from(0) {
        let accepted = format!(
            "seconds below {}, as fractions with denominators up to {MAX_DENOMINATOR}",
            time::MAX_SECONDS
        );
        let value = format!("{} for {}", frame.pts, frame.duration);
        return Err(MediaError::limit("the frame's time", value, accepted));
    }
    Ok(())
}

/// A custom [`Source`] whose frames are checked before use.
pub(crate) struct Checked {
    source: Box<dyn Source>,
    frames: u64,
    limits: Limits,
}

impl Checked {
    /// Wraps a custom source; its size is checked at once, its frames as they are read.
    pub(crate) fn new(source: Box<dyn Source>, limits: &Limits) -> Result<Self> {
        let info = source.info();
        limits.check_size(info.width.into(), info.height.into())?;
        Ok(Self {
            source,
            frames: 0,
            limits: limits.clone(),
        })
    }
}

impl Source for Checked {
    fn info(&self) -> &StreamInfo {
        self.source.info()
    }

    fn next_frame(&mut self) -> rife_media::Result<Option<Frame>> {
        let Some(frame) = self.source.next_frame()? else {
            return Ok(None);
        };
        let info = self.source.info();
        check_frame(&frame, (info.width, info.height, info.format), self.frames)?;
        self.frames += 1;
        self.limits.check_frames(self.frames)?;
        Ok(Some(frame))
    }

    fn notes(&self) -> Vec<String> {
        self.source.notes()
    }

    fn warnings(&self) -> Vec<String> {
        self.source.warnings()
    }
}

/// Maximum denominator of a time in seconds: that of ffmpeg's time bases.
const MAX_DENOMINATOR: i64 = (1 << 31) - 1;

/// Reports whether a time is small enough in both parts of the fraction that sums and ratios cannot overflow.
fn checked_time(time: Time) -> bool {
    *time.denom() <= MAX_DENOMINATOR && time::from_fraction([*time.numer(), *time.denom()]).is_some()
}

/// Checks that an image's channels have width times height values; `frame` is its zero-based number for the error.
fn check_image(image: &RgbImage, frame: u64) -> Result<()> {
    let pixels = image.width as usize * image.height as usize;
    let alpha = image.alpha.as_ref().map_or(pixels, Vec::len);
    if image.data.len() == 3 * pixels && alpha == pixels {
        return Ok(());
    }
    let reason = format!(
        "it has {} values and {alpha} of alpha where {}x{} has {} and {pixels}",
        image.data.len(),
        image.width,
        image.height,
        3 * pixels
    );
    Err(MediaError::Frame { frame, reason }.into())
}
