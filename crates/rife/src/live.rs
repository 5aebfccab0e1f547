//! Live frame interpolation: a source that is read once by its own clock, an output with a fixed delay. When the machine cannot
//! keep up, the job goes down a list of [`Level`]s that need less work each, and goes up again when it can.
//!
//! Three threads: one reads frames at their times, one computes (the caller's), one writes each frame when it is due. A frame
//! that is not expected to be complete in time is not computed: the source frame before it is shown again. What to expect is
//! measured, at every level before the first frame and at the current one from frame to frame; a frame that takes longer than
//! expected delays those after it until they have caught up. No queue grows.

mod clock;
mod level;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rife_media::{
    CancelToken, ColorTags, Frame, MediaError, Sink, SinkSpec, Source, StreamInfo, Time, TimelineMode,
    VideoParams, Written, open_sink, time,
};

pub use level::{Level, levels};

use clock::Clock;
use level::Controller;

use crate::stream::{Stream, StreamFrame, StreamOptions};
use crate::{Error, Result};

/// Time beside the source frames that are seen ahead, for what the operating system and the encoder need.
const MARGIN: Duration = Duration::from_millis(50);
/// Maximum bytes of frames that wait to be processed.
const QUEUE_BYTES: u64 = 256 << 20;

/// A live job.
#[derive(Debug)]
#[non_exhaustive]
pub struct LiveJob {
    /// The output. A file is complete when the input ends or the job is stopped.
    pub sink: SinkSpec,
    /// Rate, cuts and repeated frames; they determine the delay.
    pub stream: StreamOptions,
    /// Ways to compute, from the best to the cheapest; at least one.
    pub levels: Vec<Level>,
    /// The delay; the smallest possible when absent.
    pub delay: Option<Duration>,
    /// Whether frames come as fast as they are read, as from a file, so that only this machine's clock paces the job.
    pub paced_here: bool,
}

/// What happens during a live job.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LiveEvent {
    /// The job begins, with this delay from a frame's time in the source to its output.
    Begins {
        /// The delay.
        delay: Duration,
        /// Number of source frames that are seen ahead.
        ahead: usize,
    },
    /// The way to compute changes.
    Level {
        /// The name of the new level.
        name: String,
        /// Its index in [`LiveJob::levels`].
        index: usize,
        /// Whether it needs less work than the one before.
        down: bool,
    },
    /// Counts so far, about once a second.
    Counts(LiveCounts),
}

/// Counts of a live job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LiveCounts {
    /// Source frames that were read.
    pub frames_in: u64,
    /// Output frames.
    pub frames_out: u64,
    /// Output frames that the network computed.
    pub made: u64,
    /// Output frames that show the source frame before them, since they could not be computed in time.
    pub late: u64,
    /// Source frames that were left out, since even they could not be shown in time.
    pub dropped: u64,
}

/// Delays from the time of a frame in the source to its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// That of the first frame.
    pub first: Duration,
    /// The median.
    pub median: Duration,
    /// The 99th percentile.
    pub most: Duration,
    /// The largest.
    pub max: Duration,
}

/// Result of a live job.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LiveSummary {
    /// The final counts.
    pub counts: LiveCounts,
    /// Measured delays.
    pub delays: Delays,
    /// Seconds at each level of [`LiveJob::levels`].
    pub level_seconds: Vec<f64>,
    /// How far the clock of the source was moved, in seconds, since the source paused or its clock differs from this machine's.
    pub clock_moved: f64,
    /// The sink's report.
    pub written: Written,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl LiveJob {
    /// Makes a job with the smallest delay.
    pub fn new(sink: SinkSpec, stream: StreamOptions, levels: Vec<Level>) -> Self {
        Self {
            sink,
            stream,
            levels,
            delay: None,
            paced_here: false,
        }
    }

    /// Returns the smallest delay for a source of this frame rate (frames per second): the frames that are seen ahead, one more
    /// on each side of a pair, and a margin.
    pub fn shortest_delay(&self, rate: num_rational::Ratio<i64>) -> Duration {
        let frames = num_rational::Ratio::from(self.stream.delay() as i64 + 2);
        duration(frames / rate) + MARGIN
    }

    /// Runs the job until the source ends or `stop`, which the source has to have, too, is set; the output is complete then.
    /// `on_event` is called on this thread.
    ///
    /// # Errors
    /// [`Error::Usage`] for a delay that is too short or no level; those of the network and of writing; those of reading before
    /// the first frame (later ones end the input with a warning).
    pub fn run(
        mut self,
        source: Box<dyn Source>,
        stop: &CancelToken,
        on_event: &mut dyn FnMut(&LiveEvent),
    ) -> Result<LiveSummary> {
        let info = source.info().clone();
        let rate = info
            .frame_rate
            .ok_or_else(|| Error::Usage("a live source needs a frame rate".into()))?;
        let shortest = self.shortest_delay(rate);
        let delay = self.delay.unwrap_or(shortest);
        if delay < shortest {
            return Err(Error::Usage(format!(
                "a delay of {:.3} s is too short: this source and these options need {:.3} s",
                delay.as_secs_f64(),
                shortest.as_secs_f64()
            )));
        }
        let first = self
            .levels
            .first()
            .ok_or_else(|| Error::Usage("a live job needs a level".into()))?;
        self.stream.tags = info.tags;
        let stream = Stream::new(first.interpolator.clone(), self.stream.clone())?;
        let params = VideoParams::for_timeline(&info, &self.stream.timeline);
        let sink = open_sink(&self.sink, &params)?;
        let ahead = self.stream.delay();
        let before = level::measured(&self.levels, [info.width, info.height])?;
        on_event(&LiveEvent::Begins { delay, ahead });
        let clock = Clock::new(duration(rate.recip()), self.paced_here);
        let queue = queue_length(&info, rate);
        let (frames_in, frames) = bounded(queue);
        let out_rate = params.frame_rate.unwrap_or(rate);
        let waiting = (time::seconds(out_rate) * delay.as_secs_f64()) as usize + 8;
        let (outgoing, to_write) = bounded(waiting);
        let dropped = AtomicU64::new(0);
        let done = CancelToken::new();
        thread::scope(|scope| {
            let (clock, dropped, done) = (&clock, &dropped, &done);
            let reader = scope.spawn(move || read(source, clock, dropped, [stop, done], &frames_in));
            let tags = info.tags;
            let writer = scope.spawn(move || write(sink, &tags, clock, delay, &to_write));
            let mut stage = Stage {
                stream,
                controller: Controller::new(&self.levels, before, self.stream.timeline.mode, rate),
                levels: &self.levels,
                clock,
                delay,
                outgoing,
                counts: LiveCounts::default(),
                dropped,
                told: Instant::now(),
                on_event,
            };
            let result = stage.run(&frames);
            let (counts, level_seconds) = (stage.counts(), stage.controller.seconds());
            // The reader stops at the next frame, the writer at the end of the queue.
            drop(stage);
            drop(frames);
            done.cancel();
            let read = reader.join().map_err(|_| Error::Stage("decoding"))?;
            let written = writer.join().map_err(|_| Error::Stage("encoding"))?;
            let ended = match result {
                Err(Error::Stage("encoding")) => Ok(()),
                result => result,
            };
            let mut warnings = read.warnings;
            match read.error {
                Some(error) if counts.frames_in == 0 => return Err(error.into()),
                Some(error) => warnings.push(format!("the input ended with an error: {error}")),
                None if counts.frames_in == 0 => return Err(Error::Data("the input has no frame".into())),
                None => {}
            }
            ended?;
            let (written, delays) = written?;
            warnings.extend(written.warnings.iter().cloned());
            Ok(LiveSummary {
                counts,
                delays,
                level_seconds,
                clock_moved: clock.moved(),
                written,
                warnings,
            })
        })
    }
}

/// Converts seconds to a duration; 0 for negative ones.
fn duration(seconds: Time) -> Duration {
    Duration::try_from_secs_f64(time::seconds(seconds)).unwrap_or_default()
}

/// Returns the number of frames that may wait to be processed: a second of them.
fn queue_length(info: &StreamInfo, rate: Time) -> usize {
    let bytes = info.format.frame_bytes(info.width, info.height).max(1) as u64;
    let most = usize::try_from(QUEUE_BYTES / bytes).unwrap_or(usize::MAX).max(2);
    (time::seconds(rate) as usize).clamp(2, most)
}

/// Result of the reading thread.
struct Read {
    error: Option<MediaError>,
    warnings: Vec<String>,
}

/// Reading thread: passes each frame on at its time by the clock; drops it where the queue is full.
fn read(
    mut source: Box<dyn Source>,
    clock: &Clock,
    dropped: &AtomicU64,
    stops: [&CancelToken; 2],
    out: &Sender<Frame>,
) -> Read {
    let stopped = || stops.iter().any(|stop| stop.is_cancelled());
    let error = loop {
        let asked = Instant::now();
        let frame = match source.next_frame() {
            Ok(Some(frame)) if !stopped() => frame,
            Ok(_) => break None,
            Err(_) if stopped() => break None,
            Err(error) => break Some(error),
        };
        let due = clock.arrive(frame.pts, Instant::now(), asked);
        sleep_until(due, stopped);
        match out.try_send(frame) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => break None,
        }
    };
    Read {
        error,
        warnings: source.warnings(),
    }
}

/// Sleeps until `due`, or until `stopped` returns true.
fn sleep_until(due: Instant, stopped: impl Fn() -> bool) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() || stopped() {
            return;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}

/// Number of delays that are counted, of a millisecond each; longer ones are counted as the last.
const BUCKETS: usize = 20_000;

/// Measured delays in milliseconds.
struct Histogram {
    first: Option<Duration>,
    max: Duration,
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Makes an empty histogram.
    fn new() -> Self {
        Self {
            first: None,
            max: Duration::ZERO,
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }

    /// Adds a delay.
    fn add(&mut self, delay: Duration) {
        self.first.get_or_insert(delay);
        self.max = self.max.max(delay);
        self.counts[(delay.as_millis() as usize).min(BUCKETS - 1)] += 1;
        self.total += 1;
    }

    /// Returns the delay, in whole milliseconds, that so many of a thousand frames do not exceed.
    fn quantile(&self, thousandths: u64) -> Duration {
        let mut left = self.total * thousandths / 1000;
        for (index, count) in self.counts.iter().enumerate() {
            if *count > left {
                return Duration::from_millis(index as u64);
            }
            left -= count;
        }
        self.max
    }

    /// Returns the figures of the summary.
    fn delays(&self) -> Delays {
        Delays {
            first: self.first.unwrap_or_default(),
            median: self.quantile(500),
            most: self.quantile(990),
            max: self.max,
        }
    }
}

/// Writing thread: writes each frame when it is due, and completes the output at the end of the queue.
fn write(
    mut sink: Box<dyn Sink>,
    tags: &ColorTags,
    clock: &Clock,
    delay: Duration,
    frames: &Receiver<StreamFrame>,
) -> Result<(Written, Delays)> {
    let mut histogram = Histogram::new();
    for frame in frames {
        let (pts, length) = (frame.pts, frame.duration);
        let params = sink.params();
        let source = &frame.source;
        let as_it_is = frame.made.is_none()
            && params.tags == *tags
            && source.format == params.format
            && [source.width, source.height] == [params.width, params.height];
        let picture = match as_it_is {
            true => Frame::clone(source),
            false => Frame::from_rgb(frame.image(), params.format, &params.tags),
        };
        sleep_until(clock.time(pts) + delay, || false);
        sink.write(&picture.at(pts, length))?;
        histogram.add(Instant::now().saturating_duration_since(clock.time(pts)));
    }
    Ok((sink.finish()?, histogram.delays()))
}

/// The computing stage.
struct Stage<'a> {
    stream: Stream,
    controller: Controller,
    levels: &'a [Level],
    clock: &'a Clock,
    delay: Duration,
    outgoing: Sender<StreamFrame>,
    counts: LiveCounts,
    dropped: &'a AtomicU64,
    /// Time of the last [`LiveEvent::Counts`].
    told: Instant,
    on_event: &'a mut dyn FnMut(&LiveEvent),
}

impl Stage<'_> {
    /// Processes frames to the end of the input.
    fn run(&mut self, frames: &Receiver<Frame>) -> Result<()> {
        for frame in frames {
            let begin = Instant::now();
            self.stream.push(frame)?;
            self.counts.frames_in += 1;
            self.controller.base(begin.elapsed());
            self.drain()?;
            if let Some(change) = self.controller.decide(Instant::now()) {
                self.change(change)?;
            }
            if self.told.elapsed() >= Duration::from_secs(1) {
                self.told = Instant::now();
                let counts = self.counts();
                (self.on_event)(&LiveEvent::Counts(counts));
            }
        }
        self.stream.finish();
        self.drain()
    }

    /// Returns the counts so far.
    fn counts(&self) -> LiveCounts {
        LiveCounts {
            dropped: self.dropped.load(Ordering::Relaxed),
            ..self.counts
        }
    }

    /// Computes and passes on the frames whose source frames are known, as far as there is time.
    fn drain(&mut self) -> Result<()> {
        loop {
            let level = &self.levels[self.controller.level()];
            let (clock, delay, cost) = (self.clock, self.delay, self.controller.cost());
            let denied = Cell::new(false);
            let compute = |number: u64, pts: Time| {
                let in_time = Instant::now() + cost <= clock.time(pts) + delay;
                denied.set(level.computes(number) && !in_time);
                level.computes(number) && in_time
            };
            let begin = Instant::now();
            let Some(frame) = self.stream.next_frame_if(compute)? else {
                return Ok(());
            };
            let between = frame.pts != frame.source.pts;
            self.counts.frames_out += 1;
            if frame.made.is_some() {
                self.counts.made += 1;
                self.controller.computed(begin.elapsed());
            } else if between && denied.get() {
                self.counts.late += 1;
                self.controller.late();
            }
            self.outgoing.send(frame).map_err(|_| Error::Stage("encoding"))?;
        }
    }

    /// Goes to another level.
    fn change(&mut self, down: bool) -> Result<()> {
        let index = self.controller.level();
        let level = &self.levels[index];
        self.stream.set_interpolator(Arc::clone(&level.interpolator))?;
        let name = level.name.clone();
        (self.on_event)(&LiveEvent::Level { name, index, down });
        Ok(())
    }
}

/// Returns the output frames per source frame.
fn output_ratio(mode: TimelineMode, rate: Time) -> f64 {
    match mode {
        TimelineMode::Factor(factor) => f64::from(factor),
        TimelineMode::Multiple(factor) => time::seconds(factor),
        TimelineMode::TargetRate(target) => time::seconds(target / rate),
    }
}
