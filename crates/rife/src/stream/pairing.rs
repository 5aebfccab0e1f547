//! The frames between anchors of motion, one at a time: those of the timeline are put between decided source frames, and
//! each is a source frame, a mixture over a cut, or made by the network, overlays restored.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rife_media::scene::{DetectedCut, Overlay, Overlays, Role};
use rife_media::timeline::{Anchors, Placed, Push};
use rife_media::{Frame, OutputFrame, RgbImage, Timeline, time};

use super::{Confidence, CutFill, Decided, StreamCounts, StreamFrame, StreamOptions};
use crate::interpolator::{PairState, to_f32};
use crate::{Error, Interpolator, Prepared, Result};

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    /// A frame.
    Frame(StreamFrame),
    /// One that was not wanted.
    Passed {
        at: OutputFrame,
        /// Whether the network would have made it.
        made: bool,
    },
}

/// A source frame through which motion passes, as one end of a pair.
#[derive(Debug, Clone)]
struct End {
    frame: Arc<Frame>,
    image: Arc<RgbImage>,
    /// Whether a cut lies before it.
    cut: bool,
    /// What stays still between the end before and this one.
    overlay: Option<Arc<Overlay>>,
    prepared: Option<Prepared>,
}

impl End {
    fn prepare(&mut self, interpolator: &Interpolator) -> Result<Prepared> {
        if self.prepared.is_none() {
            self.prepared = Some(interpolator.prepare(self.image.clone())?);
        }
        self.prepared.clone().ok_or(Error::Stage("interpolation"))
    }
}

/// Frames at or after one anchor and before the next, which are being made.
#[derive(Debug)]
struct Group {
    frames: VecDeque<OutputFrame>,
    /// How those are made that lie between; nothing before the first of them.
    way: Option<Way>,
}

#[derive(Debug)]
enum Way {
    /// The left end again.
    Repeat,
    /// A cut parts the ends.
    Cut,
    /// The network makes them; what all of them share, once one was wanted.
    Morph(Option<PairState>),
}

/// The frames between decided source frames.
#[derive(Debug)]
pub(crate) struct Pairing {
    interpolator: Arc<Interpolator>,
    options: StreamOptions,
    /// Nothing after the end.
    placing: Option<(Timeline, Anchors)>,
    counts: StreamCounts,
    found: Vec<DetectedCut>,
    overlays: Overlays,
    /// The anchors that frames may still lie after.
    ends: VecDeque<End>,
    /// Number of the first of them.
    first: u64,
    /// Frames whose place is known.
    placed: VecDeque<Placed>,
    group: Option<Group>,
}

impl Pairing {
    pub(super) fn new(interpolator: Arc<Interpolator>, options: StreamOptions) -> Result<Self> {
        let timeline = Timeline::new(options.timeline)?;
        let anchors = Anchors::new(options.timeline.stretch);
        Ok(Self {
            interpolator,
            options,
            placing: Some((timeline, anchors)),
            counts: StreamCounts::default(),
            found: Vec::new(),
            overlays: Overlays::default(),
            ends: VecDeque::new(),
            first: 0,
            placed: VecDeque::new(),
            group: None,
        })
    }

    pub(crate) fn counts(&self) -> StreamCounts {
        self.counts
    }

    pub(crate) fn cuts(&self) -> &[DetectedCut] {
        &self.found
    }

    /// Takes the next source frame.
    pub(crate) fn push(&mut self, frame: Decided) -> Result<()> {
        self.count(&frame);
        let (timeline, anchors) = self.placing.as_mut().ok_or(Error::Stage("decoding"))?;
        let pts = frame.frame.pts;
        let Push::Frames(frames) = timeline.push(pts, frame.frame.duration, frame.verdict.pause)? else {
            return Ok(());
        };
        if let (Role::Anchor(time), Some(image)) = (frame.verdict.role, frame.image) {
            anchors.anchor(time, frame.verdict.pause);
            let cut = frame.verdict.cut;
            let overlay = match self.options.mask_static {
                true => self.overlays.push(&frame.frame, cut),
                false => None,
            };
            self.ends.push_back(End {
                overlay: overlay.map(Arc::new),
                frame: Arc::new(frame.frame),
                image,
                cut,
                prepared: None,
            });
        }
        self.placed.extend(anchors.push(&frames, pts)?);
        Ok(())
    }

    /// No more source frames come, and `dropped` were left out after the last one that was kept.
    pub(crate) fn finish(&mut self, dropped: u64) -> Result<()> {
        self.count_dropped(dropped);
        if let Some((timeline, anchors)) = self.placing.take() {
            self.placed.extend(anchors.finish(&timeline.finish()?)?);
        }
        Ok(())
    }

    fn count(&mut self, frame: &Decided) {
        self.count_dropped(frame.dropped_before);
        self.counts.frames_in += 1;
        match frame.verdict.role {
            Role::Held => self.counts.held += 1,
            Role::Anchor(time) => self.counts.retimed += u64::from(time != frame.frame.pts),
        }
        if frame.verdict.cut {
            self.counts.cuts += 1;
            self.found.push(frame.cut());
        }
    }

    fn count_dropped(&mut self, dropped: u64) {
        self.counts.frames_in += dropped;
        self.counts.dropped += dropped;
    }

    /// The next frame whose place is known, made where it is `wanted`.
    pub(crate) fn next(&mut self, wanted: bool) -> Result<Option<Next>> {
        loop {
            if let Some(mut group) = self.group.take()
                && let Some(frame) = group.frames.pop_front()
            {
                let next = self.frame(&mut group, frame, wanted);
                self.group = Some(group);
                return next.map(Some);
            }
            let Some(Placed { left, frames }) = self.placed.pop_front() else {
                if let Some((_, anchors)) = &self.placing {
                    let first = anchors.first();
                    self.forget(first);
                }
                return Ok(None);
            };
            self.forget(left);
            self.group = Some(Group {
                frames: frames.into(),
                way: None,
            });
        }
    }

    /// Lets go of the anchors before `first`.
    fn forget(&mut self, first: u64) {
        while self.first < first {
            self.ends.pop_front();
            self.first += 1;
        }
    }

    /// A frame at or after the first anchor and before the second.
    fn frame(&mut self, group: &mut Group, at: OutputFrame, wanted: bool) -> Result<Next> {
        // What was announced may be less than what comes.
        self.options
            .limits
            .check_output_frames(self.counts.frames_out + 1)?;
        let (left, right) = (self.ends.front().cloned(), self.ends.get(1).cloned());
        let left = left.ok_or(Error::Stage("interpolation"))?;
        let shown = StreamFrame {
            pts: at.pts,
            duration: at.duration,
            source: left.frame.clone(),
            source_image: left.image.clone(),
            made: None,
            confidence: None,
        };
        let next = match right {
            Some(right) if *at.timestep.numer() != 0 => {
                self.between(group, [left, right], at, wanted, shown)?
            }
            _ if wanted => Next::Frame(shown),
            _ => Next::Passed { at, made: false },
        };
        self.counts.frames_out += 1;
        Ok(next)
    }

    /// A frame between two anchors.
    fn between(
        &mut self,
        group: &mut Group,
        [left, right]: [End; 2],
        at: OutputFrame,
        wanted: bool,
        mut shown: StreamFrame,
    ) -> Result<Next> {
        let way = group.way.get_or_insert_with(|| match () {
            () if right.cut => Way::Cut,
            () if left.image == right.image => Way::Repeat,
            () => Way::Morph(None),
        });
        if !wanted {
            let made = matches!(way, Way::Morph(_));
            return Ok(Next::Passed { at, made });
        }
        match way {
            Way::Repeat => {}
            Way::Cut => shown.made = fill(self.options.cut_fill, &left, &right, at),
            Way::Morph(middles) => self.morph(middles, [left, right], at, &mut shown)?,
        }
        Ok(Next::Frame(shown))
    }

    fn morph(
        &mut self,
        middles: &mut Option<PairState>,
        [left, right]: [End; 2],
        at: OutputFrame,
        shown: &mut StreamFrame,
    ) -> Result<()> {
        let middles = match middles {
            Some(middles) => middles,
            None => {
                let [first, second] = [0, 1].map(|index| {
                    let end = self.ends.get_mut(index).ok_or(Error::Stage("interpolation"))?;
                    end.prepare(&self.interpolator)
                });
                middles.insert(PairState::new(first?, second?))
            }
        };
        let start = Instant::now();
        shown.confidence = self.confidence(&left, &right, at)?;
        let replaced = shown.confidence.is_some_and(|confidence| confidence.replaced);
        shown.made = match self.options.fallback.filter(|_| replaced) {
            Some(fallback) => fill(fallback.fill, &left, &right, at),
            None => {
                let made = middles.at(&self.interpolator, at.timestep)?;
                Some(restored(made, &left, &right, at))
            }
        };
        self.options.limits.check_frame_time(start.elapsed())?;
        self.counts.made += 1;
        Ok(())
    }

    /// How far the frame is to be trusted, where that is asked for.
    fn confidence(&mut self, left: &End, right: &End, at: OutputFrame) -> Result<Option<Confidence>> {
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

/// What is shown where motion does not lead from one end to the other; nothing for the left end itself.
fn fill(fill: CutFill, left: &End, right: &End, at: OutputFrame) -> Option<Arc<RgbImage>> {
    match fill {
        CutFill::Repeat => None,
        CutFill::Blend => Some(Arc::new(left.image.blend(&right.image, to_f32(at.timestep)))),
    }
}

/// A made picture with the overlays of its ends.
fn restored(mut made: Arc<RgbImage>, left: &End, right: &End, at: OutputFrame) -> Arc<RgbImage> {
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
