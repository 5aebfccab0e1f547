//! The three threads of a video job and the bounded queues between them: decoding, interpolation (the caller's
//! thread), encoding. An error in one ends the others, and is the one that is returned. What comes of the frames is the
//! work of a [`Stream`], whose halves run in the first two threads.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use rife_media::scene::DetectedCut;
use rife_media::sink::{Need, Needs};
use rife_media::{CancelToken, ColorTags, Frame, RgbImage, Sink, Source, Time, Written};

use super::{Confidence, Progress};
use crate::stream::{Decided, Lookahead, Next, Pairing, Stream, StreamFrame};
use crate::{Error, Result};

/// Bytes that the frames of one queue may take together. Larger frames are handed from thread to thread.
const QUEUE_BYTES: u64 = 48 << 20;

/// What a job is run with.
pub(super) struct Setup<'a> {
    pub(super) stream: Stream,
    /// Show the source's middle half on the left and the result's on the right.
    pub(super) montage: bool,
    pub(super) total_out: Option<u64>,
    pub(super) tags: ColorTags,
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
    pts: Time,
    duration: Time,
}

enum Picture {
    /// A source frame as it came.
    Source(Arc<Frame>),
    /// A picture that was made, or changed.
    Made(Arc<RgbImage>),
}

/// Runs the job to its end.
pub(super) fn run(
    setup: Setup<'_>,
    source: Box<dyn Source>,
    sink: Box<dyn Sink>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Done> {
    let info = source.info();
    let needs = sink.needs();
    let capacity = queue_length(frame_bytes(info.width, info.height));
    let (decoded_in, decoded) = bounded(capacity);
    let (outgoing, to_write) = bounded(capacity);
    let (lookahead, pairing) = setup.stream.split();
    let (tags, cancel) = (setup.tags, setup.cancel);
    thread::scope(|scope| {
        // Each thread owns its ends of the queues, so that one that stops wakes the others.
        let decoder = scope.spawn(move || decode(source, lookahead, &tags, decoded_in));
        let encoder = scope.spawn(move || encode(sink, &tags, to_write));
        let mut delivery = Delivery {
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
        let made = delivery.run(decoded);
        let told = delivery.told();
        drop(delivery);
        let warnings = decoder.join().map_err(|_| Error::Stage("decoding"));
        let written = encoder.join().unwrap_or(Err(Error::Stage("encoding")));
        settle(cancel, made.map(|()| told), warnings, written)
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
    cancel: &CancelToken,
    made: Result<Told>,
    warnings: Result<Vec<String>>,
    written: Result<Option<Written>>,
) -> Result<Done> {
    if cancel.is_cancelled() {
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
                // Nobody may want it any more.
                let _ = out.send(Err(error.into()));
            }
        }
    }
    while wanted && let Some(frames) = lookahead.take_waiting() {
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

/// Encodes what comes; completes the output only when told that everything came.
fn encode(
    mut sink: Box<dyn Sink>,
    tags: &ColorTags,
    frames: Receiver<Option<Outgoing>>,
) -> Result<Option<Written>> {
    let params = sink.params().clone();
    let (format, size, same_tags) = (params.format, [params.width, params.height], params.tags == *tags);
    for message in frames {
        let Some(Outgoing {
            picture,
            pts,
            duration,
        }) = message
        else {
            return Ok(Some(sink.finish()?));
        };
        let Some(picture) = picture else {
            sink.skip(pts)?;
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
        sink.write(&frame.at(pts, duration))?;
    }
    Ok(None)
}

/// The interpolation stage: the frames of a stream, to the sink.
struct Delivery<'a> {
    pairing: Pairing,
    montage: bool,
    outgoing: Sender<Option<Outgoing>>,
    progress: &'a mut dyn FnMut(&Progress),
    /// Those of the stream and, of frames that the sink does not need, our own.
    counts: Progress,
    confidences: Vec<Confidence>,
    needs: Needs,
    cancel: &'a CancelToken,
}

impl Delivery<'_> {
    fn run(&mut self, decoded: Receiver<Result<Message>>) -> Result<()> {
        loop {
            match decoded.recv().unwrap_or(Err(Error::Stage("decoding")))? {
                Message::Frame(frame) => {
                    self.pairing.push(*frame)?;
                    self.drain()?;
                    self.tell()?;
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

    /// Sends all frames whose place is known.
    fn drain(&mut self) -> Result<()> {
        loop {
            let need = self.needs.of(self.pairing.counts().frames_out);
            match self.pairing.next(need == Need::Make)? {
                Some(Next::Frame(frame)) => self.send(frame)?,
                Some(Next::Passed { at, made }) => {
                    match need {
                        Need::Elsewhere => self.counts.elsewhere += 1,
                        Need::Written | Need::Make => self.counts.resumed += 1,
                    }
                    self.counts.made += u64::from(made && need != Need::Elsewhere);
                    self.deliver(Some(Outgoing {
                        picture: None,
                        pts: at.pts,
                        duration: at.duration,
                    }))?;
                }
                None => return Ok(()),
            }
        }
    }

    /// Hands a frame on, beside the source's own picture where a montage is asked for.
    fn send(&mut self, frame: StreamFrame) -> Result<()> {
        self.confidences.extend(frame.confidence);
        let was_made = frame.made.is_some();
        let (pts, duration) = (frame.pts, frame.duration);
        let picture = match frame.made {
            _ if self.montage => Picture::Made(Arc::new(side_by_side(frame.source_image(), frame.image()))),
            Some(image) => Picture::Made(image),
            None => Picture::Source(frame.source),
        };
        self.deliver(Some(Outgoing {
            picture: Some(picture),
            pts,
            duration,
        }))?;
        if was_made { self.tell() } else { Ok(()) }
    }

    fn told(&mut self) -> Told {
        Told {
            counts: self.counts(),
            confidences: std::mem::take(&mut self.confidences),
            cuts: self.pairing.cuts().to_vec(),
        }
    }

    /// How far the job is.
    fn counts(&self) -> Progress {
        let stream = self.pairing.counts();
        Progress {
            frames_in: stream.frames_in,
            frames_out: stream.frames_out,
            made: stream.made + self.counts.made,
            cuts: stream.cuts,
            held: stream.held,
            retimed: stream.retimed,
            dropped: stream.dropped,
            fallen_back: stream.fallen_back,
            ..self.counts
        }
    }

    fn deliver(&mut self, message: Option<Outgoing>) -> Result<()> {
        self.outgoing.send(message).map_err(|_| Error::Stage("encoding"))
    }

    fn tell(&mut self) -> Result<()> {
        let counts = self.counts();
        (self.progress)(&counts);
        if self.cancel.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }
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
    use crate::video::VideoJob;
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
