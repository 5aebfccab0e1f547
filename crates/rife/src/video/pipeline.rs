//! The three threads of a video job and the bounded queues between them: decoding, interpolation (the caller's
//! thread), encoding. An error in one ends the others, and is the one that is returned.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use rife_media::scene::{AnalysisOptions, DetectedCut, Overlay, Overlays, Role};
use rife_media::sink::{Need, Needs};
use rife_media::timeline::{Anchors, Paced, Placed, Push};
use rife_media::{
    CancelToken, ColorTags, Frame, OutputFrame, RgbImage, Sink, Source, Timeline, TimelineOptions, Written,
};

use super::ahead::{Ahead, Decided};
use super::{Confidence, CutFill, Progress, VideoJob};
use crate::{Error, Interpolator, Prepared, Result};

/// Bytes that the frames of one queue may take together. Larger frames are handed from thread to thread.
const QUEUE_BYTES: u64 = 48 << 20;

/// What the threads share.
pub(super) struct Setup<'a> {
    pub(super) interpolator: &'a Interpolator,
    pub(super) timeline: TimelineOptions,
    pub(super) job: &'a VideoJob,
    pub(super) total_out: Option<u64>,
    pub(super) tags: ColorTags,
    pub(super) analysis: AnalysisOptions,
    pub(super) cancel: &'a CancelToken,
}

/// What came of it.
pub(super) struct Done {
    pub(super) counts: Progress,
    pub(super) confidences: Vec<Confidence>,
    pub(super) written: Written,
    pub(super) cuts: Vec<DetectedCut>,
    pub(super) warnings: Vec<String>,
}

/// Bytes of a frame in a queue: its RGB floats and its codes.
pub(super) fn frame_bytes(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height) * (3 * 4 + 3)
}

/// How many frames of `bytes` a queue holds.
pub(super) fn queue_length(bytes: u64) -> usize {
    (QUEUE_BYTES / bytes.max(1)).min(8) as usize
}

/// A frame on its way to the sink.
struct Outgoing {
    /// Nothing where the sink does not need the frame.
    picture: Option<Picture>,
    at: OutputFrame,
}

enum Picture {
    /// A source frame as it came.
    Source(Arc<Frame>),
    /// A picture that was made, or changed.
    Made(Arc<RgbImage>),
}

/// Runs the job to its end.
pub(super) fn run(
    setup: &Setup<'_>,
    source: Box<dyn Source>,
    sink: Box<dyn Sink>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Done> {
    let info = source.info();
    let needs = sink.needs();
    let capacity = queue_length(frame_bytes(info.width, info.height));
    let (decoded_in, decoded) = bounded(capacity);
    let (outgoing, to_write) = bounded(capacity);
    thread::scope(|scope| {
        // Each thread owns its ends of the queues, so that one that stops wakes the others.
        let decoder = scope.spawn(|| decode(source, setup, decoded_in));
        let encoder = scope.spawn(|| encode(sink, &setup.tags, to_write));
        let mut pairing = Pairing::new(setup, outgoing, progress, needs);
        let made = pairing.run(decoded);
        let told = pairing.told();
        drop(pairing);
        let warnings = decoder.join().map_err(|_| Error::Stage("decoding"));
        let written = encoder.join().unwrap_or(Err(Error::Stage("encoding")));
        settle(setup, made.map(|()| told), warnings, written)
    })
}

/// What the interpolation stage has to tell at the end.
struct Told {
    counts: Progress,
    confidences: Vec<Confidence>,
    cuts: Vec<DetectedCut>,
}

/// Which of the threads' results counts: a stop by the user before all, then the encoder's error, since a broken
/// queue is only its echo, then the rest in order.
fn settle(
    setup: &Setup<'_>,
    made: Result<Told>,
    warnings: Result<Vec<String>>,
    written: Result<Option<Written>>,
) -> Result<Done> {
    if setup.cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    match (made, written) {
        (Err(Error::Stage("encoding")), Err(cause)) => Err(cause),
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Ok(_), Ok(None)) => Err(Error::Stage("interpolation")),
        (Ok(told), Ok(Some(written))) => Ok(Done {
            counts: told.counts,
            confidences: told.confidences,
            written,
            cuts: told.cuts,
            warnings: warnings?,
        }),
    }
}

/// A message of the decoding thread.
enum Message {
    Frame(Box<Decided>),
    /// The end, so that a decoder that died is not taken for one that is done; with the number of frames that were left
    /// out after the last one.
    End(u64),
}

/// Decodes until the end, an error, or until nobody wants more frames.
fn decode(source: Box<dyn Source>, setup: &Setup<'_>, out: Sender<Result<Message>>) -> Vec<String> {
    let mut source = Paced::new(source);
    let mut ahead = Ahead::new(setup.analysis.clone(), setup.tags);
    loop {
        let (decided, end) = match source.next_frame() {
            Ok(Some((frame, pause))) => (ahead.push(frame, pause), None),
            Ok(None) => {
                let (decided, dropped) = ahead.finish();
                (decided, Some(Ok(Message::End(dropped))))
            }
            Err(error) => (Vec::new(), Some(Err(error.into()))),
        };
        let frames = decided
            .into_iter()
            .map(|frame| Ok(Message::Frame(Box::new(frame.converted(&setup.tags)))));
        let ended = end.is_some();
        for message in frames.chain(end) {
            if out.send(message).is_err() {
                return source.warnings();
            }
        }
        if ended {
            return source.warnings();
        }
    }
}

/// Encodes what comes; completes the output only when told that everything came.
fn encode(
    mut sink: Box<dyn Sink>,
    tags: &ColorTags,
    frames: Receiver<Option<Outgoing>>,
) -> Result<Option<Written>> {
    let params = sink.params().clone();
    let (format, size, same_tags) = (params.format, [params.width, params.height], params.tags == *tags);
    for message in frames {
        let Some(Outgoing { picture, at }) = message else {
            return Ok(Some(sink.finish()?));
        };
        let Some(picture) = picture else {
            sink.skip(at.pts)?;
            continue;
        };
        let frame = match picture {
            Picture::Source(frame)
                if same_tags && frame.format == format && [frame.width, frame.height] == size =>
            {
                Arc::unwrap_or_clone(frame)
            }
            Picture::Source(frame) => Frame::from_rgb(&frame.to_rgb(tags), format, &params.tags),
            Picture::Made(image) => Frame::from_rgb(&image, format, &params.tags),
        };
        sink.write(&frame.at(at.pts, at.duration))?;
    }
    Ok(None)
}

/// A source frame through which motion passes, as one end of a pair.
struct End {
    frame: Arc<Frame>,
    image: Arc<RgbImage>,
    /// Whether a cut lies before it.
    cut: bool,
    /// What stays still between the end before and this one.
    overlay: Option<Overlay>,
    prepared: Option<Prepared>,
}

impl End {
    fn prepare(&mut self, interpolator: &Interpolator) -> Result<Prepared> {
        if self.prepared.is_none() {
            self.prepared = Some(interpolator.prepare(self.image.clone())?);
        }
        self.prepared.clone().ok_or(Error::Stage("interpolation"))
    }

    fn picture(&self) -> Picture {
        Picture::Source(self.frame.clone())
    }
}

/// The interpolation stage.
struct Pairing<'a> {
    setup: &'a Setup<'a>,
    outgoing: Sender<Option<Outgoing>>,
    progress: &'a mut dyn FnMut(&Progress),
    counts: Progress,
    confidences: Vec<Confidence>,
    needs: Needs,
    found: Vec<DetectedCut>,
    overlays: Overlays,
    /// The anchors that frames may still lie after.
    ends: VecDeque<End>,
    /// Number of the first of them.
    first: u64,
}

impl<'a> Pairing<'a> {
    fn new(
        setup: &'a Setup<'a>,
        outgoing: Sender<Option<Outgoing>>,
        progress: &'a mut dyn FnMut(&Progress),
        needs: Needs,
    ) -> Self {
        let counts = Progress {
            total_out: setup.total_out,
            ..Progress::default()
        };
        Self {
            setup,
            outgoing,
            progress,
            counts,
            confidences: Vec::new(),
            needs,
            found: Vec::new(),
            overlays: Overlays::default(),
            ends: VecDeque::new(),
            first: 0,
        }
    }

    fn run(&mut self, decoded: Receiver<Result<Message>>) -> Result<()> {
        let mut timeline = Timeline::new(self.setup.timeline)?;
        let mut anchors = Anchors::new(self.setup.timeline.stretch);
        loop {
            let frame = match decoded.recv().unwrap_or(Err(Error::Stage("decoding")))? {
                Message::Frame(frame) => frame,
                Message::End(dropped) => {
                    self.count_dropped(dropped);
                    break;
                }
            };
            self.count(&frame);
            let pts = frame.frame.pts;
            let Push::Frames(frames) = timeline.push(pts, frame.frame.duration, frame.verdict.pause)? else {
                continue;
            };
            if let (Role::Anchor(time), Some(image)) = (frame.verdict.role, frame.image) {
                anchors.anchor(time, frame.verdict.pause);
                let cut = frame.verdict.cut;
                let mask = self.setup.job.mask_static;
                self.ends.push_back(End {
                    overlay: mask.then(|| self.overlays.push(&frame.frame, cut)).flatten(),
                    frame: Arc::new(frame.frame),
                    image,
                    cut,
                    prepared: None,
                });
            }
            self.place(anchors.push(&frames, pts)?)?;
            self.forget(anchors.first());
            self.tell()?;
        }
        if anchors.first() == 0 && self.ends.is_empty() {
            return Err(Error::Data("the input has no frame".into()));
        }
        self.place(anchors.finish(&timeline.finish()?)?)?;
        self.deliver(None)
    }

    fn told(&mut self) -> Told {
        Told {
            counts: self.counts,
            confidences: std::mem::take(&mut self.confidences),
            cuts: std::mem::take(&mut self.found),
        }
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

    fn place(&mut self, placed: Vec<Placed>) -> Result<()> {
        for Placed { left, frames } in placed {
            self.forget(left);
            let mut ends = std::mem::take(&mut self.ends);
            let mut pair = ends.iter_mut();
            let done = match (pair.next(), pair.next()) {
                (Some(left), Some(right)) => self.pair(left, right, &frames),
                (Some(last), None) => frames
                    .iter()
                    .try_for_each(|frame| self.send(last, last.picture(), *frame)),
                (None, _) => Err(Error::Stage("interpolation")),
            };
            self.ends = ends;
            done?;
        }
        Ok(())
    }

    /// Lets go of the anchors before `first`.
    fn forget(&mut self, first: u64) {
        while self.first < first {
            self.ends.pop_front();
            self.first += 1;
        }
    }

    /// Sends the frames at or after `left` and before `right`.
    fn pair(&mut self, left: &mut End, right: &mut End, frames: &[OutputFrame]) -> Result<()> {
        let whole = |frame: &&OutputFrame| *frame.timestep.numer() == 0;
        for frame in frames.iter().take_while(whole) {
            self.send(left, left.picture(), *frame)?;
        }
        let between: Vec<_> = frames.iter().skip_while(whole).copied().collect();
        match () {
            () if between.is_empty() => Ok(()),
            () if right.cut => self.fill_cut(left, right, &between),
            () if left.image == right.image => between
                .into_iter()
                .try_for_each(|frame| self.send(left, left.picture(), frame)),
            () => self.morph(left, right, &between),
        }
    }

    fn fill_cut(&mut self, left: &End, right: &End, frames: &[OutputFrame]) -> Result<()> {
        for frame in frames {
            let picture = match self.setup.job.cut_fill {
                CutFill::Repeat => left.picture(),
                CutFill::Blend => {
                    let (a, b) = (&left.image, &right.image);
                    Picture::Made(Arc::new(a.blend(b, crate::interpolator::to_f32(frame.timestep))))
                }
            };
            self.send(left, picture, *frame)?;
        }
        Ok(())
    }

    fn morph(&mut self, left: &mut End, right: &mut End, frames: &[OutputFrame]) -> Result<()> {
        let next = self.counts.frames_out;
        let needed = (next..)
            .take(frames.len())
            .any(|frame| self.needs.of(frame) == Need::Make);
        if !needed {
            for frame in frames {
                self.pass_made(*frame)?;
            }
            return self.tell();
        }
        let interpolator = self.setup.interpolator;
        let (first, second) = (left.prepare(interpolator)?, right.prepare(interpolator)?);
        let mut between = interpolator.between(&first, &second);
        for frame in frames {
            if !self.is_needed() {
                self.pass_made(*frame)?;
                continue;
            }
            let start = std::time::Instant::now();
            let picture = match self.fallback(left, right, *frame)? {
                Some(picture) => picture,
                None => Picture::Made(restored(between.at(frame.timestep)?, left, right, *frame)),
            };
            self.setup.job.source.limits.check_frame_time(start.elapsed())?;
            self.counts.made += 1;
            self.send(left, picture, *frame)?;
            self.tell()?;
        }
        Ok(())
    }

    /// Notes how far the frame is to be trusted, where that is asked for, and what is shown in its place where that is
    /// too little.
    fn fallback(&mut self, left: &End, right: &End, frame: OutputFrame) -> Result<Option<Picture>> {
        let job = self.setup.job;
        if job.fallback.is_none() && !job.confidence {
            return Ok(None);
        }
        let (a, b) = (&left.image, &right.image);
        let confidence = self.setup.interpolator.confidence(a, b, frame.timestep)?;
        let fallback = job.fallback.filter(|fallback| confidence < fallback.below);
        self.confidences.push(Confidence {
            time: rife_media::time::seconds(frame.pts),
            confidence,
            replaced: fallback.is_some(),
        });
        self.counts.fallen_back += u64::from(fallback.is_some());
        Ok(fallback.map(|fallback| match fallback.fill {
            CutFill::Repeat => left.picture(),
            CutFill::Blend => {
                Picture::Made(Arc::new(a.blend(b, crate::interpolator::to_f32(frame.timestep))))
            }
        }))
    }

    /// Hands a frame on, beside the source's own picture where a montage is asked for.
    fn send(&mut self, shown: &End, picture: Picture, at: OutputFrame) -> Result<()> {
        // What was announced may be less than what comes.
        let limits = &self.setup.job.source.limits;
        limits.check_output_frames(self.counts.frames_out + 1)?;
        if !self.is_needed() {
            return self.pass(at);
        }
        let picture = if self.setup.job.montage {
            self.montage(shown, picture)
        } else {
            picture
        };
        let picture = Some(picture);
        self.deliver(Some(Outgoing { picture, at }))?;
        self.counts.frames_out += 1;
        Ok(())
    }

    /// Whether the frame that comes next is wanted by the sink.
    fn is_needed(&self) -> bool {
        self.needs.of(self.counts.frames_out) == Need::Make
    }

    /// Counts a frame that is not.
    fn pass(&mut self, at: OutputFrame) -> Result<()> {
        match self.needs.of(self.counts.frames_out) {
            Need::Elsewhere => self.counts.elsewhere += 1,
            Need::Written | Need::Make => self.counts.resumed += 1,
        }
        self.counts.frames_out += 1;
        self.deliver(Some(Outgoing { picture: None, at }))
    }

    /// Counts a frame that is not wanted and would have been made: by an earlier run of this job, or by another machine.
    fn pass_made(&mut self, at: OutputFrame) -> Result<()> {
        let here = self.needs.of(self.counts.frames_out) != Need::Elsewhere;
        self.counts.made += u64::from(here);
        self.pass(at)
    }

    fn montage(&self, shown: &End, picture: Picture) -> Picture {
        let source = shown.frame.to_rgb(&self.setup.tags);
        let result = match &picture {
            Picture::Source(_) => &source,
            Picture::Made(image) => image.as_ref(),
        };
        Picture::Made(Arc::new(side_by_side(&source, result)))
    }

    fn deliver(&mut self, message: Option<Outgoing>) -> Result<()> {
        self.outgoing.send(message).map_err(|_| Error::Stage("encoding"))
    }

    fn tell(&mut self) -> Result<()> {
        (self.progress)(&self.counts);
        if self.setup.cancel.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }
}

/// A made picture with the overlays of its ends.
fn restored(mut made: Arc<RgbImage>, left: &End, right: &End, at: OutputFrame) -> Arc<RgbImage> {
    if let Some(overlay) = &right.overlay {
        let t = crate::interpolator::to_f32(at.timestep);
        overlay.restore(Arc::make_mut(&mut made), &left.image, &right.image, t);
    }
    made
}

/// The middle half of `left` and, to the right of it, the middle half of `right`.
fn side_by_side(left: &RgbImage, right: &RgbImage) -> RgbImage {
    let (width, half, from) = (
        left.width as usize,
        left.width as usize / 2,
        left.width as usize / 4,
    );
    let rows = left.data.chunks_exact(width).zip(right.data.chunks_exact(width));
    let data = rows
        .flat_map(|(a, b)| a[from..from + half].iter().chain(&b[from..from + half]))
        .copied()
        .collect();
    RgbImage::new(2 * half as u32, left.height, data)
}

#[cfg(test)]
mod tests {
    use rife_media::{Input, Output, StreamInfo};

    use super::*;
    use crate::{InterpolatorSpec, ModelChoice};

    /// A source whose thread panics after so many frames.
    struct Broken(Box<dyn Source>, usize);

    impl Source for Broken {
        fn info(&self) -> &StreamInfo {
            self.0.info()
        }

        fn next_frame(&mut self) -> rife_media::Result<Option<Frame>> {
            self.1 = self.1.checked_sub(1).unwrap_or_else(|| {
                // As a panic, but without its message, which reads like a failure in a log.
                std::panic::resume_unwind(Box::new("broken"))
            });
            self.0.next_frame()
        }
    }

    #[test]
    fn a_stage_that_panics_ends_the_job_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut clip = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C444\n".to_vec();
        for frame in 0..8 {
            clip.extend(b"FRAME\n");
            clip.extend((0..3 * 64 * 48).map(|i| (i * 7 + frame * 31) as u8));
        }
        std::fs::write(folder.path().join("in.y4m"), clip).unwrap();
        let [input, output] = ["in.y4m", "out.y4m"].map(|name| folder.path().join(name));
        for frames in [0, 3] {
            let mut job = VideoJob::new(Input::File(input.clone()), Output::File(output.clone()));
            job.interpolator = InterpolatorSpec {
                model: ModelChoice::Random("4.17.lite".parse().unwrap()),
                ..InterpolatorSpec::default()
            };
            let mut run = job.open(&CancelToken::new()).unwrap();
            run.source = Box::new(Broken(run.source, frames));
            let error = run.run(&mut |_| ()).unwrap_err();
            assert!(matches!(error, Error::Stage("decoding")), "{error}");
            assert!(!output.exists());
        }
    }

    #[test]
    fn a_montage_shows_the_middle_halves() {
        let image = |offset: f32| RgbImage::new(8, 1, (0..24).map(|i| offset + i as f32).collect());
        let joined = side_by_side(&image(0.0), &image(100.0));
        assert_eq!(joined.data[..8], [2.0, 3.0, 4.0, 5.0, 102.0, 103.0, 104.0, 105.0]);
        assert_eq!((joined.width, joined.height), (8, 1));
    }

    #[test]
    fn queues_shrink_for_large_frames() {
        assert_eq!(queue_length(frame_bytes(640, 360)), 8);
        assert_eq!(queue_length(frame_bytes(1920, 1080)), 1);
        assert_eq!(queue_length(frame_bytes(3840, 2160)), 0);
    }
}
