//! Frame writer of a chain: the frames of each clip at the output's rate, and the transitions between clips, in order of
//! time.

use std::sync::Arc;

use num_rational::Ratio;
use rife_media::audio::AudioClip;
use rife_media::scene::Miniature;
use rife_media::sink::{Need, Needs};
use rife_media::timeline::{Paced, Push};
use rife_media::{
    ColorTags, Frame, OutputFrame, RgbImage, Sink, Source, StreamInfo, Time, Timeline, VideoParams, Written,
    fit,
};

use super::{ChainRun, Progress, plan};
use crate::{Error, Interpolator, Prepared, Result, gamut};

/// A source frame, fitted to the output.
struct FittedFrame {
    /// The decoded frame, if it has the output's size, format and colour tags.
    frame: Option<Arc<Frame>>,
    /// The frame in the output's size, as RGB in the output's primaries.
    image: Arc<RgbImage>,
    /// Thumbnail for cut detection.
    miniature: Miniature,
    /// The frame on the device, once needed.
    prepared: Option<Prepared>,
}

impl FittedFrame {
    /// Returns the frame for the sink, without conversion where possible.
    fn content(&self) -> Content {
        match &self.frame {
            Some(frame) => Content::Source(frame.clone()),
            None => Content::Made(self.image.clone()),
        }
    }

    /// Returns the frame on the device, prepared at the first call.
    fn prepare(&mut self, interpolator: &Interpolator) -> Result<Prepared> {
        if self.prepared.is_none() {
            self.prepared = Some(interpolator.prepare(self.image.clone())?);
        }
        self.prepared.clone().ok_or(Error::Stage("interpolation"))
    }
}

/// The position of a clip in the output, in seconds.
struct Clip {
    start: Time,
    /// Output time minus the clip's own time.
    offset: Time,
    /// Whether the clip's first frame equals the last one of the clip before and is not shown again.
    merged: bool,
}

/// The content of an output frame.
enum Content {
    /// A source frame as it was decoded.
    Source(Arc<Frame>),
    /// A computed or converted image.
    Made(Arc<RgbImage>),
}

/// Writer of a chain's video stream.
pub(super) struct Writer<'a> {
    run: &'a ChainRun,
    sink: Box<dyn Sink>,
    /// Which frames the sink needs; the others were written by an earlier run.
    needs: Needs,
    progress: &'a mut dyn FnMut(&Progress),
    /// The last frame of the previous clip.
    last: Option<FittedFrame>,
    /// End of the last written frame in seconds.
    end: Time,
    result: ChainResult,
}

/// Result of writing a chain's video stream.
#[derive(Debug, Default)]
pub(super) struct ChainResult {
    pub(super) counts: Progress,
    /// Each clip's audio with the duration of the transition before.
    pub(super) pieces: Vec<AudioClip>,
    /// Start of each clip in the output, in seconds.
    pub(super) starts: Vec<Time>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Writer<'a> {
    /// Makes a writer of the chain `run` into `sink`; `progress` is called after each frame.
    pub(super) fn new(
        run: &'a ChainRun,
        sink: Box<dyn Sink>,
        progress: &'a mut dyn FnMut(&Progress),
    ) -> Self {
        Self {
            run,
            needs: sink.needs(),
            sink,
            progress,
            last: None,
            end: Time::from(0),
            result: ChainResult::default(),
        }
    }

    /// Completes the video stream.
    pub(super) fn finish(self) -> Result<(Written, ChainResult)> {
        Ok((self.sink.finish()?, self.result))
    }

    /// Returns the duration of a frame in seconds.
    fn step(&self) -> Time {
        self.run.params.time_base
    }

    /// Writes the transition to a clip, then the clip; `source` reads the clip, `info` is its video stream.
    pub(super) fn clip(&mut self, source: Box<dyn Source>, info: &StreamInfo) -> Result<()> {
        self.result.counts.clips += 1;
        let mut timeline = Timeline::new(plan::timeline(&self.run.params))?;
        let before = self.end;
        let mut clip: Option<Clip> = None;
        let mut left: Option<FittedFrame> = None;
        let mut source = Paced::new(source);
        while let Some((frame, pause)) = source.next_frame()? {
            let frames = match timeline.push(frame.pts, frame.duration, pause)? {
                Push::Dropped => continue,
                Push::Frames(frames) => frames,
            };
            let pts = frame.pts;
            let mut right = self.fit(frame, info);
            match (&mut left, &clip) {
                (Some(left), Some(clip)) => self.pair(clip, left, &mut right, &frames)?,
                _ => clip = Some(self.transition(&mut right, pts)?),
            }
            left = Some(right);
        }
        if let (Some(left), Some(clip)) = (&left, &clip) {
            for frame in timeline.finish()? {
                self.send(clip, left, frame)?;
            }
            self.add_audio(clip, info, before);
        }
        self.last = left;
        let name = self.run.job.clips[self.result.counts.clips - 1].display();
        let dropped = info.hdr.dropped();
        let lost = dropped.iter().map(|dropped| format!("{name}: {dropped}"));
        self.result.warnings.extend(lost.chain(source.warnings()));
        Ok(())
    }

    /// Records the position of a written clip's audio; `before` is the end of the clip before it in seconds.
    fn add_audio(&mut self, clip: &Clip, info: &StreamInfo, before: Time) {
        let mut piece = plan::audio_piece(info, self.end - clip.start, clip.start - before);
        if clip.merged {
            // The common frame belongs to the clip before, and so does its audio.
            piece.from += self.step();
            (piece.length, piece.gap) = (self.end - before, Time::from(0));
        }
        self.result.pieces.push(piece);
        self.result.starts.push(clip.start);
    }

    /// Writes the transition from the last frame of the previous clip to `first`, the first frame of a clip with time `pts`;
    /// returns the clip's position.
    fn transition(&mut self, first: &mut FittedFrame, pts: Time) -> Result<Clip> {
        let at = |start: Time, merged: bool| Clip {
            start,
            offset: start - pts,
            merged,
        };
        let Some(mut last) = self.last.take() else {
            return Ok(at(Time::from(0), false));
        };
        if last.image == first.image {
            return Ok(at(self.end - self.step(), true));
        }
        let interpolator = &self.run.interpolator;
        let (a, b) = (last.prepare(interpolator)?, first.prepare(interpolator)?);
        let mut between = interpolator.between(&a, &b);
        let intervals = 1_i64 << self.run.job.passes;
        for index in 1..intervals {
            let make = || Ok(Content::Made(between.at(Ratio::new(index, intervals))?));
            self.write(make, true, self.end, self.step())?;
        }
        Ok(at(self.end, false))
    }

    /// Converts a source frame to the output's size and primaries.
    fn fit(&self, frame: Frame, info: &StreamInfo) -> FittedFrame {
        let (params, tags) = (&self.run.params, &info.tags);
        let size = [params.width, params.height];
        let same = [frame.width, frame.height] == size
            && info.sample_aspect == Ratio::from(1)
            && same_codes(&frame, tags, self.sink.params());
        let mut image = frame.to_rgb(tags);
        if !tags.is_hdr() {
            gamut::convert(&mut image, tags.primaries, params.tags.primaries);
        }
        let image = fit(&image, info.sample_aspect, size, self.run.job.fit);
        FittedFrame {
            miniature: Miniature::new(&image),
            image: Arc::new(image),
            frame: same.then(|| Arc::new(frame)),
            prepared: None,
        }
    }

    /// Writes the output frames at or after `left` and before `right`, two neighbouring frames of a clip.
    fn pair(
        &mut self,
        clip: &Clip,
        left: &mut FittedFrame,
        right: &mut FittedFrame,
        frames: &[OutputFrame],
    ) -> Result<()> {
        let similarity = left.miniature.similarity(&right.miniature);
        let cut = self.run.job.scene.is_cut(similarity);
        let same = left.image == right.image;
        let interpolator = &self.run.interpolator;
        for frame in frames {
            if frame.timestep == Ratio::from(0) || cut || same {
                self.send(clip, left, *frame)?;
                continue;
            }
            let make = || {
                let (a, b) = (left.prepare(interpolator)?, right.prepare(interpolator)?);
                Ok(Content::Made(interpolator.between(&a, &b).at(frame.timestep)?))
            };
            self.write(make, true, frame.pts + clip.offset, frame.duration)?;
        }
        Ok(())
    }

    /// Writes a source frame at the time of an output frame.
    fn send(&mut self, clip: &Clip, frame: &FittedFrame, at: OutputFrame) -> Result<()> {
        self.write(|| Ok(frame.content()), false, at.pts + clip.offset, at.duration)
    }

    /// Writes one frame; `content` is called only if no earlier run has written it, and `made` says whether the network
    /// computes it. Does nothing for a frame that begins before the end of the last written one (a merged first frame).
    fn write(
        &mut self,
        content: impl FnOnce() -> Result<Content>,
        made: bool,
        pts: Time,
        duration: Time,
    ) -> Result<()> {
        if self.run.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if pts < self.end {
            return Ok(());
        }
        // The clips may have more frames than their containers declared.
        let limits = &self.run.job.source.limits;
        limits.check_output_frames(self.result.counts.frames + 1)?;
        if self.needs.of(self.result.counts.frames) == Need::Make {
            let params = self.sink.params();
            let frame = match content()? {
                Content::Source(frame) => Arc::unwrap_or_clone(frame),
                Content::Made(image) => Frame::from_rgb(&image, params.format, &params.tags),
            };
            self.sink.write(&frame.at(pts, duration))?;
            self.result.counts.made += u64::from(made);
        } else {
            self.sink.skip(pts)?;
            self.result.counts.resumed += 1;
        }
        self.end = pts + duration;
        self.result.counts.frames += 1;
        (self.progress)(&self.result.counts);
        Ok(())
    }
}

/// Reports whether a frame's pixel format and colour tags are those of the output, so that it needs no conversion.
fn same_codes(frame: &Frame, tags: &ColorTags, to: &VideoParams) -> bool {
    frame.format == to.format
        && tags.matrix == to.tags.matrix
        && tags.range == to.tags.range
        && !gamut::differs(tags.primaries, to.tags.primaries)
}
