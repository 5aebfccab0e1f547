//! Interpolation between anchors (distinct source frames): assigns the timeline's output frames to pairs of neighbouring
//! anchors and computes each on request, as a source frame, a repeat or crossfade at a cut, or a frame of the network with
//! static overlays restored.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rife_media::scene::{DetectedCut, Overlay, Overlays, Role};
use rife_media::timeline::{Anchors, Placed, Push};
use rife_media::{Frame, OutputFrame, RgbImage, Time, Timeline, time};

use super::{Confidence, CutFill, Decided, StreamCounts, StreamFrame, StreamOptions};
use crate::interpolator::{PairState, Submitted, to_f32};
use crate::{Error, Interpolator, Prepared, Result};

/// The next output frame.
#[derive(Debug)]
pub(crate) enum Next {
    /// A computed frame.
    Frame(StreamFrame),
    /// A frame that was not computed since the caller does not need it.
    Skipped {
        at: OutputFrame,
        /// Whether the network would have computed it.
        made: bool,
    },
}

/// A distinct source frame at the time from which motion passes through it: one end of a pair.
#[derive(Debug, Clone)]
struct Anchor {
    /// The frame as it was decoded.
    frame: Arc<Frame>,
    /// The frame as RGB.
    image: Arc<RgbImage>,
    /// Whether a cut lies before this frame.
    cut: bool,
    /// Static pixels between the previous anchor and this one.
    overlay: Option<Arc<Overlay>>,
    /// The frame on the device, once needed.
    prepared: Option<Prepared>,
}

impl Anchor {
    /// Returns the frame on the device, prepared at the first call.
    fn prepare(&mut self, interpolator: &Interpolator) -> Result<Prepared> {
        if self.prepared.is_none() {
            self.prepared = Some(interpolator.prepare(self.image.clone())?);
        }
        self.prepared.clone().ok_or(Error::Stage("interpolation"))
    }
}

/// Output frames at or after one anchor and before the next.
#[derive(Debug)]
struct Group {
    /// The frames that were not returned yet.
    frames: VecDeque<OutputFrame>,
    /// How frames between the anchors are computed; decided at the first of them.
    method: Option<Method>,
}

/// How output frames between two anchors are computed.
#[derive(Debug)]
enum Method {
    /// By repeating the left anchor: both are equal.
    Repeat,
    /// By [`CutFill`]: a cut lies between the anchors.
    Cut,
    /// By the network; the state of the pair is created at the first computed frame.
    Interpolate(Option<PairState>),
}

/// Generator of the output frames: classified source frames in, output frames out.
#[derive(Debug)]
pub(crate) struct Pairing {
    interpolator: Arc<Interpolator>,
    options: StreamOptions,
    /// Computes the times of output frames and assigns them to anchors; `None` after the end.
    timeline: Option<(Timeline, Anchors)>,
    counts: StreamCounts,
    cuts: Vec<DetectedCut>,
    overlays: Overlays,
    /// The image of blank frames, which no output frame shows.
    blank: Arc<RgbImage>,
    /// Anchors that output frames may still follow.
    anchors: VecDeque<Anchor>,
    /// Zero-based number of the first element of `anchors` among all anchors.
    first: u64,
    /// Output frames assigned to anchors, in order.
    placed: VecDeque<Placed>,
    /// The group whose frames are started now.
    group: Option<Group>,
    /// Output frames that were started and not returned yet, in order.
    started: VecDeque<Started>,
    /// Number of output frames that were started, including those that were returned.
    started_count: u64,
}

/// An output frame that was started.
#[derive(Debug)]
enum Started {
    /// It is complete, or not wanted.
    Complete(Next),
    /// The device computes it.
    Pending(Box<PendingFrame>),
}

/// An output frame that the device computes.
#[derive(Debug)]
struct PendingFrame {
    /// The frame with the left anchor's content.
    shown: StreamFrame,
    /// The anchors on both sides.
    anchors: [Anchor; 2],
    at: OutputFrame,
    submitted: Submitted,
    start: Instant,
}

/// What becomes of an output frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It is computed.
    Compute,
    /// It shows the anchor before it.
    Repeat,
    /// It is left out.
    Skip,
}

impl Pairing {
    /// Makes a generator; an error if the timeline's options are out of range.
    pub(super) fn new(interpolator: Arc<Interpolator>, options: StreamOptions) -> Result<Self> {
        let timeline = Timeline::new(options.timeline)?;
        let anchors = Anchors::new(options.timeline.stretch);
        Ok(Self {
            interpolator,
            options,
            timeline: Some((timeline, anchors)),
            counts: StreamCounts::default(),
            cuts: Vec::new(),
            overlays: Overlays::default(),
            blank: Arc::new(RgbImage::new(0, 0, Vec::new())),
            anchors: VecDeque::new(),
            first: 0,
            placed: VecDeque::new(),
            group: None,
            started: VecDeque::new(),
            started_count: 0,
        })
    }

    /// Computes the following frames with another interpolator. Frames in flight are completed first.
    pub(crate) fn set_interpolator(&mut self, interpolator: Arc<Interpolator>) -> Result<()> {
        for started in std::mem::take(&mut self.started) {
            let complete = match started {
                Started::Pending(pending) => Next::Frame(self.complete(*pending)?),
                Started::Complete(next) => next,
            };
            self.started.push_back(Started::Complete(complete));
        }
        for anchor in &mut self.anchors {
            anchor.prepared = None;
        }
        if let Some(Group {
            method: Some(Method::Interpolate(pair)),
            ..
        }) = &mut self.group
        {
            *pair = None;
        }
        self.interpolator = interpolator;
        Ok(())
    }

    /// Returns the frame counts so far.
    pub(crate) fn counts(&self) -> StreamCounts {
        self.counts
    }

    /// Returns the cuts found so far.
    pub(crate) fn cuts(&self) -> &[DetectedCut] {
        &self.cuts
    }

    /// Takes the next classified source frame.
    pub(crate) fn push(&mut self, frame: Decided) -> Result<()> {
        self.count(&frame);
        let (timeline, anchors) = self.timeline.as_mut().ok_or(Error::Stage("decoding"))?;
        let pts = frame.frame.pts;
        let Push::Frames(frames) = timeline.push(pts, frame.frame.duration, frame.verdict.pause)? else {
            return Ok(());
        };
        if let Role::Anchor(time) = frame.verdict.role {
            anchors.anchor(time, frame.verdict.pause);
            let cut = frame.verdict.cut;
            let overlay = match () {
                () if frame.frame.is_blank() => {
                    self.overlays = Overlays::default();
                    None
                }
                () if self.options.mask_static => self.overlays.push(&frame.frame, frame.number, cut),
                () => None,
            };
            self.anchors.push_back(Anchor {
                overlay: overlay.map(Arc::new),
                frame: Arc::new(frame.frame),
                image: frame.image.unwrap_or_else(|| self.blank.clone()),
                cut,
                prepared: None,
            });
        }
        let until = timeline.complete_until().unwrap_or(pts);
        self.placed.extend(anchors.push(&frames, until)?);
        Ok(())
    }

    /// Ends the input; `dropped` source frames were left out after the last one.
    pub(crate) fn finish(&mut self, dropped: u64) -> Result<()> {
        self.count_dropped(dropped);
        if let Some((timeline, anchors)) = self.timeline.take() {
            self.placed.extend(anchors.finish(&timeline.finish()?)?);
        }
        Ok(())
    }

    /// Counts a source frame and records the cut before it.
    fn count(&mut self, frame: &Decided) {
        self.count_dropped(frame.dropped_before);
        self.counts.frames_in += 1;
        match frame.verdict.role {
            Role::Held => self.counts.held += 1,
            Role::Anchor(time) => self.counts.retimed += u64::from(time != frame.frame.pts),
        }
        if frame.verdict.cut {
            self.counts.cuts += 1;
            self.cuts.push(frame.cut());
        }
    }

    /// Counts source frames that were left out.
    fn count_dropped(&mut self, dropped: u64) {
        self.counts.frames_in += dropped;
        self.counts.dropped += dropped;
    }

    /// Returns the next output frame as `wish` says for its zero-based number and time; `None` if more source frames
    /// are needed first, and at the end. Up to [`Interpolator::in_flight`] frames are computed at once, so that as many but
    /// one may be held back until more source frames come or the input ends.
    pub(crate) fn next(&mut self, wish: impl Fn(u64, Time) -> Wish) -> Result<Option<Next>> {
        loop {
            if self.is_front_due() {
                return self.complete_front().map(Some);
            }
            if let Some(started) = self.start(&wish)? {
                self.started.push_back(started);
            } else if self.timeline.is_none() && !self.started.is_empty() {
                return self.complete_front().map(Some);
            } else {
                return Ok(None);
            }
        }
    }

    /// Whether the first started frame is to be returned before another one is started.
    fn is_front_due(&self) -> bool {
        match self.started.front() {
            None => false,
            Some(Started::Complete(_)) => true,
            Some(Started::Pending(_)) => {
                let pending = self.started.iter().filter(|s| matches!(s, Started::Pending(_)));
                pending.count() >= self.interpolator.in_flight()
            }
        }
    }

    /// Waits for the first started frame, of which there is one.
    fn complete_front(&mut self) -> Result<Next> {
        let started = self.started.pop_front().ok_or(Error::Stage("interpolation"))?;
        let next = match started {
            Started::Complete(next) => next,
            Started::Pending(pending) => Next::Frame(self.complete(*pending)?),
        };
        self.counts.frames_out += 1;
        Ok(next)
    }

    /// Waits for a frame that the device computes.
    fn complete(&mut self, pending: PendingFrame) -> Result<StreamFrame> {
        let [left, right] = &pending.anchors;
        let image = pending.submitted.wait(&self.interpolator)?;
        let mut shown = pending.shown;
        shown.made = Some(restore_overlay(image, left, right, pending.at));
        self.options.limits.check_frame_time(pending.start.elapsed())?;
        self.counts.made += 1;
        Ok(shown)
    }

    /// Starts the next output frame; `None` if its anchors are not known yet, and at the end.
    fn start(&mut self, wish: &impl Fn(u64, Time) -> Wish) -> Result<Option<Started>> {
        loop {
            if let Some(mut group) = self.group.take()
                && let Some(frame) = group.frames.pop_front()
            {
                let started = self.output(&mut group, frame, wish);
                self.group = Some(group);
                self.started_count += 1;
                return started.map(Some);
            }
            let Some(Placed { left, frames }) = self.placed.pop_front() else {
                if let Some((_, anchors)) = &self.timeline {
                    let first = anchors.first();
                    self.drop_anchors_before(first);
                }
                return Ok(None);
            };
            self.drop_anchors_before(left);
            self.group = Some(Group {
                frames: frames.into(),
                method: None,
            });
        }
    }

    /// Removes the anchors before number `first`.
    fn drop_anchors_before(&mut self, first: u64) {
        while self.first < first {
            self.anchors.pop_front();
            self.first += 1;
        }
    }

    /// Starts an output frame at or after the first anchor and before the second, as `wish` says.
    fn output(
        &mut self,
        group: &mut Group,
        at: OutputFrame,
        wish: &impl Fn(u64, Time) -> Wish,
    ) -> Result<Started> {
        // The source may have more frames than its container declared.
        self.options.limits.check_output_frames(self.started_count + 1)?;
        let (left, right) = (self.anchors.front().cloned(), self.anchors.get(1).cloned());
        let left = left.ok_or(Error::Stage("interpolation"))?;
        let wish = wish(self.started_count, at.pts);
        let is_blank = |anchor: &Anchor| anchor.frame.is_blank();
        if wish != Wish::Skip && (is_blank(&left) || right.as_ref().is_some_and(is_blank)) {
            // The job did not read what it needs.
            return Err(Error::Stage("reading in parts"));
        }
        let shown = StreamFrame {
            pts: at.pts,
            duration: at.duration,
            source: left.frame.clone(),
            source_image: left.image.clone(),
            made: None,
            confidence: None,
        };
        match right {
            Some(right) if *at.timestep.numer() != 0 => self.between(group, [left, right], at, wish, shown),
            _ if wish != Wish::Skip => Ok(Started::Complete(Next::Frame(shown))),
            _ => Ok(Started::Complete(Next::Skipped { at, made: false })),
        }
    }

    /// Starts an output frame between two anchors: `shown`, which has the left anchor's content, with the computed content if
    /// it is wished.
    fn between(
        &mut self,
        group: &mut Group,
        [left, right]: [Anchor; 2],
        at: OutputFrame,
        wish: Wish,
        mut shown: StreamFrame,
    ) -> Result<Started> {
        let method = group.method.get_or_insert_with(|| match () {
            () if right.cut => Method::Cut,
            () if left.image == right.image => Method::Repeat,
            () => Method::Interpolate(None),
        });
        if wish == Wish::Skip {
            let made = matches!(method, Method::Interpolate(_));
            return Ok(Started::Complete(Next::Skipped { at, made }));
        }
        match method {
            Method::Interpolate(_) if wish == Wish::Repeat => {}
            Method::Repeat => {}
            Method::Cut => shown.made = fill(self.options.cut_fill, &left, &right, at),
            Method::Interpolate(pair) => return self.interpolate(pair, [left, right], at, shown),
        }
        Ok(Started::Complete(Next::Frame(shown)))
    }

    /// Starts to compute an output frame by the network, or fills it in by the fallback if the confidence is low. `pair` is the
    /// state of the first two anchors, created if absent.
    fn interpolate(
        &mut self,
        pair: &mut Option<PairState>,
        anchors: [Anchor; 2],
        at: OutputFrame,
        mut shown: StreamFrame,
    ) -> Result<Started> {
        let pair = match pair {
            Some(pair) => pair,
            None => {
                let [first, second] = [0, 1].map(|index| {
                    let anchor = self.anchors.get_mut(index).ok_or(Error::Stage("interpolation"))?;
                    anchor.prepare(&self.interpolator)
                });
                pair.insert(PairState::new(first?, second?))
            }
        };
        let start = Instant::now();
        let [left, right] = &anchors;
        shown.confidence = self.confidence(left, right, at)?;
        let replaced = shown.confidence.is_some_and(|confidence| confidence.replaced);
        if let Some(fallback) = self.options.fallback.filter(|_| replaced) {
            shown.made = fill(fallback.fill, left, right, at);
            self.options.limits.check_frame_time(start.elapsed())?;
            self.counts.made += 1;
            return Ok(Started::Complete(Next::Frame(shown)));
        }
        let submitted = pair.submit(&self.interpolator, at.timestep)?;
        Ok(Started::Pending(Box::new(PendingFrame {
            shown,
            anchors,
            at,
            submitted,
            start,
        })))
    }

    /// Measures the confidence of an output frame, and counts those below the fallback's threshold; `None` if neither
    /// confidence nor a fallback is requested.
    fn confidence(&mut self, left: &Anchor, right: &Anchor, at: OutputFrame) -> Result<Option<Confidence>> {
        if self.options.fallback.is_none() && !self.options.confidence {
            return Ok(None);
        }
        let confidence = self
            .interpolator
            .confidence(&left.image, &right.image, at.timestep)?;
        let fallback = self.options.fallback;
        let replaced = fallback.is_some_and(|fallback| confidence < fallback.below);
        self.counts.fallen_back += u64::from(replaced);
        Ok(Some(Confidence {
            time: time::seconds(at.pts),
            confidence,
            replaced,
        }))
    }
}

/// Returns the content of an output frame without motion: a crossfade of both anchors, or `None` for the left anchor itself.
fn fill(fill: CutFill, left: &Anchor, right: &Anchor, at: OutputFrame) -> Option<Arc<RgbImage>> {
    match fill {
        CutFill::Repeat => None,
        CutFill::Blend => Some(Arc::new(left.image.blend(&right.image, to_f32(at.timestep)))),
    }
}

/// Copies static pixels of the anchors into a computed image.
fn restore_overlay(mut made: Arc<RgbImage>, left: &Anchor, right: &Anchor, at: OutputFrame) -> Arc<RgbImage> {
    if let Some(overlay) = &right.overlay {
        overlay.restore(
            Arc::make_mut(&mut made),
            &left.image,
            &right.image,
            to_f32(at.timestep),
        );
    }
    made
}
