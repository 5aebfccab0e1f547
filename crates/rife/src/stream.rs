//! Online frame interpolation: frames with their times in, frames with exact times out, as they are decided. Cuts,
//! pauses and repeated frames are found by looking a few frames ahead (`lookahead`), and the frames between anchors of
//! motion are made one at a time (`pairing`). A video job runs the same two halves in two threads.

mod lookahead;
mod pairing;

use std::collections::VecDeque;
use std::sync::Arc;

use rife_media::scene::{Analysis, AnalysisOptions, CutRule, DetectedCut};
use rife_media::timeline::AHEAD;
use rife_media::{
    ColorTags, Frame, Limits, MediaError, PixelFormat, RgbImage, Source, StreamInfo, Time, TimelineMode,
    TimelineOptions, time,
};

pub(crate) use lookahead::{Ahead, Decided, Lookahead};
pub(crate) use pairing::{Next, Pairing};

use crate::{Error, Interpolator, Result};

/// What is shown between two frames that a cut parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CutFill {
    /// The frame before the cut again.
    #[default]
    Repeat,
    /// A mixture of both, as a fade.
    Blend,
}

/// What becomes of frames that only repeat the one before while motion goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Motion goes through their times evenly, from the distinct frames around them.
    #[default]
    Smooth,
    /// They stay as they are.
    Keep,
}

/// What is shown instead of made frames that are trusted too little.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fallback {
    /// Below this [`Interpolator::confidence`].
    pub below: f64,
    /// This.
    pub fill: CutFill,
}

/// How far a made frame is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Confidence {
    /// The frame's time in seconds.
    pub time: f64,
    /// See [`Interpolator::confidence`].
    pub confidence: f64,
    /// Whether the fallback was shown in its place.
    pub replaced: bool,
}

/// What a [`Stream`] makes of its frames.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamOptions {
    /// How many frames come out, and at which times: twice as many as go in, unless it says otherwise.
    pub timeline: TimelineOptions,
    /// How the frames' codes are to be read; sRGB unless it says otherwise.
    pub tags: ColorTags,
    /// Where scenes change.
    pub cuts: CutRule,
    /// What a cut is filled with.
    pub cut_fill: CutFill,
    /// What becomes of repeated frames.
    pub duplicates: Duplicates,
    /// Take overlays that do not move, such as logos, subtitles and black bars, from the source (see
    /// [`Overlays`](rife_media::scene::Overlays)).
    pub mask_static: bool,
    /// What is shown instead of frames that are trusted too little.
    pub fallback: Option<Fallback>,
    /// Measure how far each made frame is to be trusted; done anyway with a fallback.
    pub confidence: bool,
    /// Sizes, counts and times that are accepted.
    pub limits: Limits,
}

impl Default for StreamOptions {
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
    /// How many frames must follow one, at most, before it is known what it is: the latency of a stream, in source frames.
    /// 34 while repeated frames are looked for, 14 without, and 4 where cuts are listed, too.
    pub fn delay(&self) -> usize {
        Analysis::look_ahead(&self.analysis()) + AHEAD
    }

    /// What is looked for in the frames.
    fn analysis(&self) -> AnalysisOptions {
        AnalysisOptions {
            cuts: self.cuts.clone(),
            duplicates: self.duplicates == Duplicates::Smooth,
        }
    }
}

/// What has become of a stream's frames so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StreamCounts {
    /// Source frames of which is known what they are.
    pub frames_in: u64,
    /// Frames that came out.
    pub frames_out: u64,
    /// Those of them that the network made.
    pub made: u64,
    /// Cuts met.
    pub cuts: u64,
    /// Frames that only repeat the one before, left out of the motion.
    pub held: u64,
    /// Distinct frames that were moved to their even place between repeated ones.
    pub retimed: u64,
    /// Frames left out since their time does not advance.
    pub dropped: u64,
    /// Made frames in whose place the fallback is shown.
    pub fallen_back: u64,
}

/// A frame that comes out of a [`Stream`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamFrame {
    /// When it is shown, in seconds.
    pub pts: Time,
    /// For how long, in seconds.
    pub duration: Time,
    /// The source frame at or before it, as it came.
    pub source: Arc<Frame>,
    /// The picture that is shown, where it is not that of `source`: made by the network, or a mixture.
    pub made: Option<Arc<RgbImage>>,
    /// How far a made frame is to be trusted, where that was asked for.
    pub confidence: Option<Confidence>,
    source_image: Arc<RgbImage>,
}

impl StreamFrame {
    /// The picture that is shown.
    pub fn image(&self) -> &Arc<RgbImage> {
        self.made.as_ref().unwrap_or(&self.source_image)
    }

    /// The picture of `source`.
    pub fn source_image(&self) -> &Arc<RgbImage> {
        &self.source_image
    }
}

/// Frames with their times in, frames with exact times out: what a [`VideoJob`](crate::video::VideoJob) does between its
/// source and its sink.
///
/// Push frames in order of time, and after each take what [`Stream::next_frame`] has: nothing is made before it is asked
/// for, so that only the frames wait whose place is not yet known ([`StreamOptions::delay`] says how many). After
/// [`Stream::finish`] the rest comes. [`InterpolatorSpec::cancel`](crate::InterpolatorSpec::cancel) stops it: every call
/// then returns [`Error::Cancelled`]. The [crate's page](crate#a-stream-of-frames) has an
/// example.
#[derive(Debug)]
pub struct Stream {
    interpolator: Arc<Interpolator>,
    lookahead: Lookahead,
    /// Frames of which is known what they are, as they came.
    decided: VecDeque<Decided>,
    pairing: Pairing,
    tags: ColorTags,
    limits: Limits,
    /// Size and format of all frames, once there was one.
    shape: Option<(u32, u32, PixelFormat)>,
    pushed: u64,
    /// Time of the last frame pushed.
    last: Option<Time>,
    end: End,
}

/// How far a stream is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// More frames come.
    Open,
    /// None come any more, and so many were left out after the last one that was kept.
    Pushed(u64),
    /// All output frames have their place.
    Placed,
}

impl Stream {
    /// A stream that makes its frames with `interpolator`.
    ///
    /// # Errors
    /// [`MediaError::Limit`] where the timeline's factor, rate or stretch is out of range.
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
            end: End::Open,
        })
    }

    /// Its two halves: one decides what frames are, the other makes those between them.
    pub(crate) fn split(self) -> (Lookahead, Pairing) {
        (self.lookahead, self.pairing)
    }

    /// Takes the next frame. One whose time is not above that of the frame before is left out, and counted. `duration`
    /// counts for the last frame only.
    ///
    /// # Errors
    /// [`MediaError::Limit`] for a size or time that is not accepted, [`MediaError::Frame`] where the frame is of another
    /// size or format than the first, or its planes are not those of its format; [`Error::Usage`] after
    /// [`Stream::finish`]; [`Error::Cancelled`].
    pub fn push(&mut self, frame: Frame) -> Result<()> {
        self.check_cancelled()?;
        if self.end != End::Open {
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

    /// Takes the next frame as a picture of codes that [`StreamOptions::tags`] describe, shown from `pts` on; the last one as
    /// long as the one before.
    ///
    /// # Errors
    /// As [`Stream::push`].
    pub fn push_image(&mut self, image: &RgbImage, pts: Time) -> Result<()> {
        check_image(image, self.pushed)?;
        let duration = match self.last {
            Some(last) if checked_time(last) && checked_time(pts) && last < pts => pts - last,
            _ => Time::from(0),
        };
        let format = PixelFormat::RGBF32.with_alpha(image.alpha.is_some());
        self.push(Frame::from_rgb(image, format, &ColorTags::SRGB).at(pts, duration))
    }

    /// No more frames come: what waits is decided. Called again, it does nothing.
    pub fn finish(&mut self) {
        if self.end != End::Open {
            return;
        }
        while let Some(decided) = self.lookahead.take_waiting() {
            self.decided.extend(decided);
        }
        let (decided, dropped) = self.lookahead.finish();
        self.decided.extend(decided);
        self.end = End::Pushed(dropped);
    }

    /// Makes the next frame whose place is known; nothing where the next source frame is needed for that, and at the end.
    ///
    /// # Errors
    /// Those of running the network; [`MediaError::Limit`] where [`StreamOptions::limits`] are met or too many frames lie
    /// between two; [`Error::Cancelled`].
    pub fn next_frame(&mut self) -> Result<Option<StreamFrame>> {
        loop {
            self.check_cancelled()?;
            if let Some(Next::Frame(frame)) = self.pairing.next(true)? {
                return Ok(Some(frame));
            }
            match (self.decided.pop_front(), self.end) {
                (Some(frame), _) => self.pairing.push(frame.converted(&self.tags))?,
                (None, End::Pushed(dropped)) => {
                    self.pairing.finish(dropped)?;
                    self.end = End::Placed;
                }
                (None, End::Open | End::Placed) => return Ok(None),
            }
        }
    }

    /// What has become of the frames so far.
    pub fn counts(&self) -> StreamCounts {
        self.pairing.counts()
    }

    /// The cuts found so far.
    pub fn cuts(&self) -> &[DetectedCut] {
        self.pairing.cuts()
    }

    fn check_cancelled(&self) -> Result<()> {
        match self.interpolator.is_cancelled() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    fn check(&mut self, frame: &Frame) -> Result<()> {
        let shape = (frame.width, frame.height, frame.format);
        self.limits.check_size(frame.width.into(), frame.height.into())?;
        let first = *self.shape.get_or_insert(shape);
        Ok(check_frame(frame, first, self.pushed)?)
    }
}

/// Whether a frame, `number` of its stream, is as the others and holds what its format says, at a time that can be
/// reckoned with.
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

/// A source of somebody else, whose frames are checked.
pub(crate) struct Checked {
    source: Box<dyn Source>,
    frames: u64,
    limits: Limits,
}

impl Checked {
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

/// The finest division of a second: that of ffmpeg's time bases.
const MAX_DENOMINATOR: i64 = (1 << 31) - 1;

/// Whether sums and ratios of such times cannot overflow.
fn checked_time(time: Time) -> bool {
    *time.denom() <= MAX_DENOMINATOR && time::from_fraction([*time.numer(), *time.denom()]).is_some()
}

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
