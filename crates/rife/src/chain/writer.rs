//! The frames of a chain, one after the other: each clip's at the output's rate, and the transitions between them.

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

/// A source frame as the output shows it.
#[derive(Clone)]
struct Shown {
    /// As it came, where it is of the output's size and tags.
    frame: Option<Arc<Frame>>,
    image: Arc<RgbImage>,
    miniature: Miniature,
}

impl Shown {
    fn picture(&self) -> Picture {
        match &self.frame {
            Some(frame) => Picture::Source(frame.clone()),
            None => Picture::Made(self.image.clone()),
        }
    }
}

/// One end of what the network is asked for.
struct End {
    shown: Shown,
    prepared: Option<Prepared>,
}

impl End {
    fn prepare(&mut self, interpolator: &Interpolator) -> Result<Prepared> {
        if self.prepared.is_none() {
            self.prepared = Some(interpolator.prepare(self.shown.image.clone())?);
        }
        self.prepared.clone().ok_or(Error::Stage("interpolation"))
    }
}

/// A clip's place in the output.
struct Clip {
    start: Time,
    /// What is added to its own times.
    moved: Time,
    /// Whether its first picture is the last one of the clip before.
    merged: bool,
}

enum Picture {
    Source(Arc<Frame>),
    Made(Arc<RgbImage>),
}

/// The output that is being written.
pub(super) struct Writer<'a> {
    run: &'a ChainRun,
    sink: Box<dyn Sink>,
    needs: Needs,
    progress: &'a mut dyn FnMut(&Progress),
    /// The last picture of the clip before.
    last: Option<End>,
    /// The end of what has been written.
    end: Time,
    done: Done,
}

/// What is known of a chain when its pictures are written.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) counts: Progress,
    /// Each clip's sound, and the length of the transition before it.
    pub(super) pieces: Vec<AudioClip>,
    /// Where the clips start.
    pub(super) starts: Vec<Time>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Writer<'a> {
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
            done: Done::default(),
        }
    }

    /// Completes the pictures.
    pub(super) fn finish(self) -> Result<(Written, Done)> {
        Ok((self.sink.finish()?, self.done))
    }

    /// How long a frame is shown.
    fn step(&self) -> Time {
        self.run.params.time_base
    }

    /// The transition to a clip, and the clip.
    pub(super) fn clip(&mut self, source: Box<dyn Source>, info: &StreamInfo) -> Result<()> {
        self.done.counts.clips += 1;
        let mut timeline = Timeline::new(plan::timeline(&self.run.params))?;
        let before = self.end;
        let mut clip: Option<Clip> = None;
        let mut left: Option<End> = None;
        let mut source = Paced::new(source);
        while let Some((frame, pause)) = source.next_frame()? {
            let frames = match timeline.push(frame.pts, frame.duration, pause)? {
                Push::Dropped => continue,
                Push::Frames(frames) => frames,
            };
            let pts = frame.pts;
            let mut right = End {
                shown: self.shown(frame, info),
                prepared: None,
            };
            match (&mut left, &clip) {
                (Some(left), Some(clip)) => self.pair(clip, left, &mut right, &frames)?,
                _ => clip = Some(self.enter(&mut right, pts)?),
            }
            left = Some(right);
        }
        if let (Some(left), Some(clip)) = (&left, &clip) {
            for frame in timeline.finish()? {
                self.send(clip, &left.shown, frame)?;
            }
            self.hear(clip, info, before);
        }
        self.last = left;
        let name = self.run.job.clips[self.done.counts.clips - 1].display();
        let dropped = info.hdr.dropped();
        let told = dropped.iter().map(|dropped| format!("{name}: {dropped}"));
        self.done.warnings.extend(told.chain(source.warnings()));
        Ok(())
    }

    /// Notes a clip's sound, when the clip is written; `before` is the end of the clip before it.
    fn hear(&mut self, clip: &Clip, info: &StreamInfo, before: Time) {
        let mut piece = plan::piece(info, self.end - clip.start, clip.start - before);
        if clip.merged {
            // The shared picture stands in the clip before, so its sound does too.
            piece.from += self.step();
            (piece.length, piece.gap) = (self.end - before, Time::from(0));
        }
        self.done.pieces.push(piece);
        self.done.starts.push(clip.start);
    }

    /// The transition to the first frame of a clip, which comes at `pts` of its own time.
    fn enter(&mut self, first: &mut End, pts: Time) -> Result<Clip> {
        let at = |start: Time, merged: bool| Clip {
            start,
            moved: start - pts,
            merged,
        };
        let Some(mut last) = self.last.take() else {
            return Ok(at(Time::from(0), false));
        };
        if last.shown.image == first.shown.image {
            return Ok(at(self.end - self.step(), true));
        }
        let interpolator = &self.run.interpolator;
        let (a, b) = (last.prepare(interpolator)?, first.prepare(interpolator)?);
        let mut between = interpolator.between(&a, &b);
        let intervals = 1_i64 << self.run.job.passes;
        for index in 1..intervals {
            let make = || Ok(Picture::Made(between.at(Ratio::new(index, intervals))?));
            self.write(make, true, self.end, self.step())?;
        }
        Ok(at(self.end, false))
    }

    fn shown(&self, frame: Frame, info: &StreamInfo) -> Shown {
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
        Shown {
            miniature: Miniature::new(&image),
            image: Arc::new(image),
            frame: same.then(|| Arc::new(frame)),
        }
    }

    /// The frames at or after `left` and before `right`.
    fn pair(&mut self, clip: &Clip, left: &mut End, right: &mut End, frames: &[OutputFrame]) -> Result<()> {
        let similarity = left.shown.miniature.similarity(&right.shown.miniature);
        let cut = self.run.job.scene.is_cut(similarity);
        let same = left.shown.image == right.shown.image;
        let interpolator = &self.run.interpolator;
        for frame in frames {
            if frame.timestep == Ratio::from(0) || cut || same {
                self.send(clip, &left.shown, *frame)?;
                continue;
            }
            let make = || {
                let (a, b) = (left.prepare(interpolator)?, right.prepare(interpolator)?);
                Ok(Picture::Made(interpolator.between(&a, &b).at(frame.timestep)?))
            };
            self.write(make, true, frame.pts + clip.moved, frame.duration)?;
        }
        Ok(())
    }

    fn send(&mut self, clip: &Clip, shown: &Shown, at: OutputFrame) -> Result<()> {
        self.write(|| Ok(shown.picture()), false, at.pts + clip.moved, at.duration)
    }

    /// Writes one frame, which is made only where an earlier run has not; what begins before the end of what is written
    /// has been shown there.
    fn write(
        &mut self,
        picture: impl FnOnce() -> Result<Picture>,
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
        // What was announced may be less than what comes.
        let limits = &self.run.job.source.limits;
        limits.check_output_frames(self.done.counts.frames + 1)?;
        if self.needs.of(self.done.counts.frames) == Need::Make {
            let params = self.sink.params();
            let frame = match picture()? {
                Picture::Source(frame) => Arc::unwrap_or_clone(frame),
                Picture::Made(image) => Frame::from_rgb(&image, params.format, &params.tags),
            };
            self.sink.write(&frame.at(pts, duration))?;
            self.done.counts.made += u64::from(made);
        } else {
            self.sink.skip(pts)?;
            self.done.counts.resumed += 1;
        }
        self.end = pts + duration;
        self.done.counts.frames += 1;
        (self.progress)(&self.done.counts);
        Ok(())
    }
}

/// Whether a frame's codes mean in the output what they mean in the source.
fn same_codes(frame: &Frame, tags: &ColorTags, to: &VideoParams) -> bool {
    frame.format == to.format
        && tags.matrix == to.tags.matrix
        && tags.range == to.tags.range
        && !gamut::differs(tags.primaries, to.tags.primaries)
}
