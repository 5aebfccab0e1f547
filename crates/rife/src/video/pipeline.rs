//! Pipeline of a video job: three threads with bounded queues between them, for decoding, interpolation (the caller's
//! thread) and encoding. The two halves of a [`Stream`] run in the first two. The first error ends all threads and is
//! returned.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use rife_media::scene::DetectedCut;
use rife_media::sink::{Need, Needs};
use rife_media::{CancelToken, ColorTags, Frame, RgbImage, Sink, Source, Time, Written};

use super::{Confidence, Progress};
use crate::stream::{Decided, Lookahead, Next, Pairing, Stream, StreamFrame, Wish};
use crate::{Error, Result};

/// Maximum bytes of the frames in one queue. The queue of larger frames has no buffer (rendezvous).
const QUEUE_BYTES: u64 = 48 << 20;

/// Arguments of [`run`] besides source and sink.
pub(super) struct Setup<'a> {
    pub(super) stream: Stream,
    /// Whether each frame shows the middle half of the source's frame on the left and of the result's on the right.
    pub(super) montage: bool,
    /// Expected number of output frames, for the progress.
    pub(super) total_out: Option<u64>,
    /// Colour tags of the source.
    pub(super) tags: ColorTags,
    pub(super) cancel: &'a CancelToken,
}

/// Result of [`run`].
pub(super) struct PipelineResult {
    pub(super) counts: Progress,
    pub(super) confidences: Vec<Confidence>,
    pub(super) written: Written,
    pub(super) cuts: Vec<DetectedCut>,
    /// The decoder's warnings.
    pub(super) warnings: Vec<String>,
}

/// Returns the bytes of a frame in a queue: RGB as f32 and as 8-bit codes.
pub(super) fn frame_bytes(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height) * (3 * 4 + 3)
}

/// Returns the capacity of a queue for frames of `bytes`: 0 to 8.
pub(super) fn queue_length(bytes: u64) -> usize {
    (QUEUE_BYTES / bytes.max(1)).min(8) as usize
}

/// A frame in the queue to the encoder; times in seconds.
struct Outgoing {
    /// `None` if the sink does not need the frame: an earlier run or another machine writes it.
    image: Option<OutgoingImage>,
    pts: Time,
    duration: Time,
}

/// The content of a frame in the queue to the encoder.
enum OutgoingImage {
    /// A source frame as it was decoded.
    Source(Arc<Frame>),
    /// A computed image.
    Made(Arc<RgbImage>),
}

/// Runs source, stream and sink to the end of the source.
pub(super) fn run(
    setup: Setup<'_>,
    source: Box<dyn Source>,
    sink: Box<dyn Sink>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<PipelineResult> {
    let info = source.info();
    let needs = sink.needs();
    let capacity = queue_length(frame_bytes(info.width, info.height));
    let (decoded_in, decoded) = bounded(capacity);
    let (outgoing, to_write) = bounded(capacity);
    let (lookahead, pairing) = setup.stream.split();
    let (tags, cancel) = (setup.tags, setup.cancel);
    thread::scope(|scope| {
        // Each thread owns its ends of the queues, so that the others are woken when it stops.
        let decoder = scope.spawn(move || decode(source, lookahead, &tags, decoded_in));
        let encoder = scope.spawn(move || encode(sink, &tags, to_write));
        let mut stage = InterpolationStage {
            pairing,
            montage: setup.montage,
            outgoing,
            progress,
            counts: Progress {
                total_out: setup.total_out,
                ..Progress::default()
            },
            confidences: Vec::new(),
            needs,
            cancel,
        };
        let interpolated = stage.run(decoded);
        let result = stage.result();
        drop(stage);
        let warnings = decoder.join().map_err(|_| Error::Stage("decoding"));
        let written = encoder.join().unwrap_or(Err(Error::Stage("encoding")));
        combine(cancel, interpolated.map(|()| result), warnings, written)
    })
}

/// Result of the interpolation stage.
struct StageResult {
    counts: Progress,
    confidences: Vec<Confidence>,
    cuts: Vec<DetectedCut>,
}

/// Combines the results of the three threads. Of several errors it returns the cause: a cancellation, else the encoder's
/// error if interpolation stopped because its queue broke, else the first in the order of the stages.
fn combine(
    cancel: &CancelToken,
    interpolated: Result<StageResult>,
    warnings: Result<Vec<String>>,
    written: Result<Option<Written>>,
) -> Result<PipelineResult> {
    if cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    match (interpolated, written) {
        (Err(Error::Stage("encoding")), Err(cause)) => Err(cause),
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Ok(_), Ok(None)) => Err(Error::Stage("interpolation")),
        (Ok(result), Ok(Some(written))) => Ok(PipelineResult {
            counts: result.counts,
            confidences: result.confidences,
            written,
            cuts: result.cuts,
            warnings: warnings?,
        }),
    }
}

/// A message of the decoding thread.
enum Message {
    Frame(Box<Decided>),
    /// The regular end of the source, with the number of frames that were left out after the last one. Without this message
    /// the decoder has failed.
    End(u64),
}

/// Decoding thread: reads and classifies frames until the source ends, an error occurs or the receiver is gone; returns the
/// source's warnings.
fn decode(
    mut source: Box<dyn Source>,
    mut lookahead: Lookahead,
    tags: &ColorTags,
    out: Sender<Result<Message>>,
) -> Vec<String> {
    let send = |frames: Vec<Decided>| {
        frames.into_iter().all(|frame| {
            let message = Message::Frame(Box::new(frame.converted(tags)));
            out.send(Ok(message)).is_ok()
        })
    };
    let mut wanted = true;
    while wanted {
        match source.next_frame() {
            Ok(Some(frame)) => wanted = send(lookahead.push(frame)),
            Ok(None) => break,
            Err(error) => {
                wanted = false;
                // The receiver may be gone.
                let _ = out.send(Err(error.into()));
            }
        }
    }
    while wanted && let Some(frames) = lookahead.flush_one() {
        wanted = send(frames);
    }
    if wanted {
        let (frames, dropped) = lookahead.finish();
        if send(frames) {
            let _ = out.send(Ok(Message::End(dropped)));
        }
    }
    source.warnings()
}

/// Encoding thread: writes frames until `None`, the regular end, and then completes the output; returns `None` if the queue
/// broke before.
fn encode(
    mut sink: Box<dyn Sink>,
    tags: &ColorTags,
    frames: Receiver<Option<Outgoing>>,
) -> Result<Option<Written>> {
    let params = sink.params().clone();
    let (format, size, same_tags) = (params.format, [params.width, params.height], params.tags == *tags);
    for message in frames {
        let Some(Outgoing { image, pts, duration }) = message else {
            return Ok(Some(sink.finish()?));
        };
        let Some(image) = image else {
            sink.skip(pts)?;
            continue;
        };
        let frame = match image {
            OutgoingImage::Source(frame)
                if same_tags && frame.format == format && [frame.width, frame.height] == size =>
            {
                Arc::unwrap_or_clone(frame)
            }
            OutgoingImage::Source(frame) => Frame::from_rgb(&frame.to_rgb(tags), format, &params.tags),
            OutgoingImage::Made(image) => Frame::from_rgb(&image, format, &params.tags),
        };
        sink.write(&frame.at(pts, duration))?;
    }
    Ok(None)
}

/// Interpolation stage: takes classified source frames, computes the output frames and sends them to the encoder.
struct InterpolationStage<'a> {
    pairing: Pairing,
    montage: bool,
    outgoing: Sender<Option<Outgoing>>,
    progress: &'a mut dyn FnMut(&Progress),
    /// Counts of frames that the sink does not need; those of the stream are added by [`InterpolationStage::counts`].
    counts: Progress,
    confidences: Vec<Confidence>,
    needs: Needs,
    cancel: &'a CancelToken,
}

impl InterpolationStage<'_> {
    /// Processes messages of the decoder to the end of the source.
    fn run(&mut self, decoded: Receiver<Result<Message>>) -> Result<()> {
        loop {
            match decoded.recv().unwrap_or(Err(Error::Stage("decoding")))? {
                Message::Frame(frame) => {
                    self.pairing.push(*frame)?;
                    self.drain()?;
                    self.report()?;
                }
                Message::End(dropped) => {
                    self.pairing.finish(dropped)?;
                    break;
                }
            }
        }
        self.drain()?;
        if self.pairing.counts().frames_out == 0 {
            return Err(Error::Data("the input has no frame".into()));
        }
        self.deliver(None)
    }

    /// Sends all frames whose times are known so far.
    fn drain(&mut self) -> Result<()> {
        loop {
            let number = self.pairing.counts().frames_out;
            let need = self.needs.of(number);
            let needs = &self.needs;
            let wish = |number, _| match needs.of(number) {
                Need::Make => Wish::Compute,
                Need::Written | Need::Elsewhere => Wish::Skip,
            };
            match self.pairing.next(wish)? {
                Some(Next::Frame(frame)) => self.send(frame)?,
                Some(Next::Skipped { at, made }) => {
                    match need {
                        Need::Elsewhere => self.counts.elsewhere += 1,
                        Need::Written | Need::Make => self.counts.resumed += 1,
                    }
                    self.counts.stream.made += u64::from(made && need != Need::Elsewhere);
                    self.deliver(Some(Outgoing {
                        image: None,
                        pts: at.pts,
                        duration: at.duration,
                    }))?;
                }
                None => return Ok(()),
            }
        }
    }

    /// Sends a frame to the encoder, joined with the source's frame if a montage is requested.
    fn send(&mut self, frame: StreamFrame) -> Result<()> {
        self.confidences.extend(frame.confidence);
        let was_made = frame.made.is_some();
        let (pts, duration) = (frame.pts, frame.duration);
        let image = match frame.made {
            _ if self.montage => {
                OutgoingImage::Made(Arc::new(side_by_side(frame.source_image(), frame.image())))
            }
            Some(image) => OutgoingImage::Made(image),
            None => OutgoingImage::Source(frame.source),
        };
        self.deliver(Some(Outgoing {
            image: Some(image),
            pts,
            duration,
        }))?;
        if was_made { self.report() } else { Ok(()) }
    }

    /// Returns the finished stage's result: counts of frames, the confidence of each interpolated frame (moved out: a second call
    /// finds none), and the detected cuts.
    fn result(&mut self) -> StageResult {
        StageResult {
            counts: self.counts(),
            confidences: std::mem::take(&mut self.confidences),
            cuts: self.pairing.cuts().to_vec(),
        }
    }

    /// Returns the job's counts: those of the stream and of frames that the sink does not need.
    fn counts(&self) -> Progress {
        let mut stream = self.pairing.counts();
        stream.made += self.counts.stream.made;
        Progress {
            stream,
            ..self.counts
        }
    }

    /// Puts a message into the queue to the encoder; `None` is the regular end.
    fn deliver(&mut self, message: Option<Outgoing>) -> Result<()> {
        self.outgoing.send(message).map_err(|_| Error::Stage("encoding"))
    }

    /// Reports progress; returns [`Error::Cancelled`] if the job was cancelled.
    fn report(&mut self) -> Result<()> {
        let counts = self.counts();
        (self.progress)(&counts);
        if self.cancel.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }
}

/// Makes an image of the middle half of `left` and, to the right of it, the middle half of `right`; both have the same size.
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
    use crate::runner::testing::Threaded;
    use crate::video::{Rate, VideoJob};
    use crate::{Interpolator, InterpolatorSpec, ModelChoice};

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

    /// A job over a clip of a moving gradient, three frames for one, with frames in flight.
    struct InFlight {
        folder: tempfile::TempDir,
        cancel: CancelToken,
    }

    impl InFlight {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut clip = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C444\n".to_vec();
            for frame in 0..8 {
                clip.extend(b"FRAME\n");
                clip.extend((0..3 * 64 * 48).map(|i| (i % 64 * 2 + i / 64 % 48 + frame * 3) as u8));
            }
            std::fs::write(folder.path().join("in.y4m"), clip).unwrap();
            let cancel = CancelToken::new();
            Self { folder, cancel }
        }

        /// Runs the job and returns its result, the bytes of the output where there is one, and the maximum of frames in
        /// flight.
        fn run(
            &self,
            in_flight: usize,
            failing: Option<usize>,
            progress: &mut dyn FnMut(&Progress),
        ) -> (Result<()>, Option<Vec<u8>>, usize) {
            let [input, output] = ["in.y4m", "out.y4m"].map(|name| self.folder.path().join(name));
            let mut job = VideoJob::new(Input::File(input), Output::File(output.clone()));
            job.rate = Rate::Factor(3);
            job.interpolator = InterpolatorSpec {
                model: ModelChoice::Random("4.17.lite".parse().unwrap()),
                cancel: self.cancel.clone(),
                ..InterpolatorSpec::default()
            };
            let interpolator = Interpolator::new(&job.interpolator).unwrap();
            let mut runner = None;
            let interpolator = interpolator.map_runner(|inner| {
                let threaded = Arc::new(Threaded::new(inner, in_flight, failing));
                runner = Some(threaded.clone());
                threaded
            });
            let mut run = job.open(&self.cancel).unwrap();
            run.interpolator = Arc::new(interpolator);
            let result = run.run(progress).map(|_| ());
            let bytes = std::fs::read(&output).ok();
            let _ = std::fs::remove_file(&output);
            (result, bytes, runner.unwrap().max_outstanding())
        }
    }

    #[test]
    fn frames_in_flight_arrive_in_order_with_the_same_bytes() {
        let job = InFlight::new();
        let (result, one, max) = job.run(1, None, &mut |_| ());
        result.unwrap();
        assert_eq!(max, 1);
        let mut made = Vec::new();
        let (result, three, max) = job.run(3, None, &mut |progress| made.push(progress.stream.made));
        result.unwrap();
        assert_eq!(max, 3);
        assert!(one.is_some() && one == three, "the same bytes");
        assert_eq!(made.last(), Some(&14), "two frames in each of seven gaps");
        assert!(made.is_sorted());
    }

    #[test]
    fn a_failure_and_a_cancellation_end_a_job_with_frames_in_flight() {
        let job = InFlight::new();
        for failing in [0, 5, 13] {
            let (result, output, _) = job.run(3, Some(failing), &mut |_| ());
            let error = result.unwrap_err().to_string();
            assert!(error.contains("the device was lost"), "{failing}: {error}");
            assert!(output.is_none());
        }
        let cancel = job.cancel.clone();
        let (result, output, _) = job.run(3, None, &mut |progress| {
            if progress.stream.made >= 4 {
                cancel.cancel();
            }
        });
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        assert!(output.is_none());
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
