//! Fault tolerance of a device: a [`Runner`] that checks every frame of a device, and computes those again that the device fails
//! to compute or computes wrongly: on the device in f32 if it computes in f16, then on the processor. Three faults in a row, or the loss of the device, leave the rest of the job
//! to the processor.

#[cfg(test)]
pub(crate) mod faulty;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rife_backend::BackendError;
use rife_media::{FrameView, RgbImage};
use rife_nets::{NetworkError, Options, Version};

use super::{Convolution, DeviceFrame, FramePair, Memory, Pending, Runner};
use crate::{EngineInfo, Error, Result};

/// Number of faults in a row after which the device is used no more.
const MAX_FAULTS: u32 = 3;
/// How far a channel's values and mean may leave the range of the two source frames, on a scale of 0 to 1.
const MARGIN: f32 = 0.25;
/// Largest share of a channel's values outside that range.
const MAX_SHARE: f32 = 0.01;

/// Opens the device a second time, in f32.
pub(crate) type OpenExact = Box<dyn Fn() -> Result<Arc<dyn Runner>> + Send + Sync>;

/// A runner on a device, and one of the same model on the processor.
pub(crate) struct GuardedRunner {
    device: Arc<dyn Runner>,
    processor: Arc<dyn Runner>,
    /// For a device that computes in f16.
    open_exact: Option<OpenExact>,
    /// The device in f32, once a frame needed it; `None` where it could not be opened.
    exact: OnceLock<Option<Arc<dyn Runner>>>,
    state: Mutex<State>,
}

impl fmt::Debug for GuardedRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedRunner")
            .field("device", &self.device)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What went wrong so far.
#[derive(Debug, Default)]
struct State {
    /// Faults since the last good frame.
    in_a_row: u32,
    /// Number of faults.
    faults: u64,
    /// Description of the first fault.
    first: Option<String>,
    /// Why the device is used no more.
    ended: Option<String>,
    /// Number of frames that the device computed again in f32.
    in_f32: u64,
    /// Number of frames that the processor computed.
    by_processor: u64,
    /// Whether the processor computed an implausible frame too, so that frames are not to be judged by their range.
    any_range: bool,
}

/// A frame for all runners; for those that compute frames again it is prepared when it is needed.
struct GuardedFrame {
    /// A copy, from which frames are computed again.
    image: RgbImage,
    /// Range of each channel.
    ranges: [ChannelRange; 3],
    /// `None` where the device failed or is used no more.
    on_device: Option<DeviceFrame>,
    /// By [`Again`].
    again: [Mutex<Option<DeviceFrame>>; 2],
}

/// Which runner computes a frame again.
#[derive(Debug, Clone, Copy)]
enum Again {
    Processor,
    /// The device in f32.
    Exact,
}

/// Minimum, maximum and mean of a channel.
#[derive(Debug, Clone, Copy)]
struct ChannelRange {
    min: f32,
    max: f32,
    mean: f32,
}

impl GuardedRunner {
    /// Combines two runners of the same model; `processor` must not fail as a device does.
    pub(crate) fn new(device: Arc<dyn Runner>, processor: Arc<dyn Runner>) -> Self {
        Self {
            device,
            processor,
            open_exact: None,
            exact: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// Computes faulty frames first by what this function opens.
    pub(crate) fn with_exact(self, open: OpenExact) -> Self {
        Self {
            open_exact: Some(open),
            ..self
        }
    }

    /// Returns the device in f32, opened at the first call; `None` where there is none.
    fn exact(&self) -> Option<&Arc<dyn Runner>> {
        let open = self.open_exact.as_ref()?;
        self.exact.get_or_init(|| open().ok()).as_ref()
    }

    /// Returns the runner that computes a frame again.
    fn runner(&self, again: Again) -> Option<&Arc<dyn Runner>> {
        match again {
            Again::Processor => Some(&self.processor),
            Again::Exact => self.exact(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Runs a step on the device; `None`, and the fault counted, if the device fails.
    ///
    /// # Errors
    /// Those that are not the device's.
    fn on_device<T>(&self, step: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        if !self.is_usable() {
            return Ok(None);
        }
        match step() {
            Ok(value) => Ok(Some(value)),
            Err(error) => match fault(&error) {
                Some(fault) => {
                    self.count(&fault);
                    Ok(None)
                }
                None => Err(error),
            },
        }
    }

    /// Counts and logs a fault.
    fn count(&self, fault: &Fault) {
        tracing::warn!(
            device = self.device.info().device,
            "fault of the device: {}",
            fault.text
        );
        let mut state = self.state();
        state.in_a_row += 1;
        state.faults += 1;
        state.first.get_or_insert_with(|| fault.text.clone());
        let is_final = fault.kind == FaultKind::Device;
        if state.ended.is_none() && (is_final || state.in_a_row >= MAX_FAULTS) {
            state.ended = Some(match is_final {
                true => fault.text.clone(),
                false => format!(
                    "it failed {MAX_FAULTS} times in a row, the last time so: {}",
                    fault.text
                ),
            });
            tracing::warn!(
                device = self.device.info().device,
                "the device is used no more: the processor computes the rest"
            );
        }
    }
}

/// A failure of the device.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) text: String,
    kind: FaultKind,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    /// The device, which is unusable.
    Device,
    /// Memory lacked.
    Memory,
    /// Values are wrong.
    Values,
}

/// Returns the device's fault that an error reports; `None` for an error that has another cause.
pub(crate) fn fault(error: &Error) -> Option<Fault> {
    let Error::Network(cause) = error else {
        return None;
    };
    match cause {
        NetworkError::Backend(failure) => Some(Fault {
            text: failure.to_string(),
            kind: match failure {
                BackendError::OutOfMemory(_) => FaultKind::Memory,
                _ => FaultKind::Device,
            },
        }),
        NetworkError::Overflow { what, value, .. } => Some(Fault {
            text: format!("it made {what} of {value}"),
            kind: FaultKind::Values,
        }),
        _ => None,
    }
}

impl Runner for GuardedRunner {
    fn version(&self) -> Version {
        self.device.version()
    }

    fn describe(&self) -> String {
        self.device.describe()
    }

    fn info(&self) -> &EngineInfo {
        self.device.info()
    }

    fn prepare(&self, frame: &FrameView<'_>, options: &Options) -> Result<DeviceFrame> {
        let image = frame.to_rgb_image();
        Ok(Arc::new(GuardedFrame {
            ranges: ranges(&image),
            image,
            on_device: self.on_device(|| self.device.prepare(frame, options))?,
            again: Default::default(),
        }))
    }

    fn pair(self: Arc<Self>, frames: [&DeviceFrame; 2], options: &Options) -> Result<Box<dyn FramePair>> {
        let frames = frames.map(|frame| {
            let frame: Arc<GuardedFrame> = frame
                .clone()
                .downcast()
                .expect("frames are used by the runner that prepared them");
            frame
        });
        let on_device = match [&frames[0].on_device, &frames[1].on_device] {
            [Some(first), Some(second)] => {
                self.on_device(|| self.device.clone().pair([first, second], options))?
            }
            _ => None,
        };
        Ok(Box::new(GuardedPair {
            on_device,
            shared: Arc::new(Shared {
                runner: self,
                frames,
                options: *options,
                again: Default::default(),
            }),
        }))
    }

    fn memory(&self) -> Memory {
        self.device.memory()
    }

    fn in_flight(&self) -> usize {
        if self.is_usable() {
            self.device.in_flight()
        } else {
            1
        }
    }

    fn tensor_limit(&self) -> Option<[u64; 2]> {
        self.device.tensor_limit()
    }

    fn is_usable(&self) -> bool {
        self.state().ended.is_none()
    }

    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        self.device.profile(work)
    }

    fn faults(&self) -> Option<String> {
        let state = self.state();
        let first = state.first.as_ref()?;
        let name = &self.device.info().device;
        let frames = |count| rife_media::counted(count, "frame");
        let by_processor = format!(
            "{} computed by the processor instead, whose values may differ from the GPU's by a code value",
            frames(state.by_processor)
        );
        let computed = match (state.in_f32, state.by_processor) {
            (0, _) => by_processor,
            (count, 0) => format!("{} computed again in f32", frames(count)),
            (count, _) => format!("{} computed again in f32, {by_processor}", frames(count)),
        };
        Some(match &state.ended {
            Some(why) => format!("{name} was used no more, because {why}; {computed}"),
            None => format!("{name} failed {}: {first}; {computed}", times(state.faults)),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a number of times.
fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    }
}

/// Two frames on the device and, once needed, on the processor.
struct GuardedPair {
    /// `None` where the device failed or is used no more.
    on_device: Option<Box<dyn FramePair>>,
    shared: Arc<Shared>,
}

impl fmt::Debug for GuardedPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedPair")
            .field("on_device", &self.on_device)
            .finish_non_exhaustive()
    }
}

/// What is needed to compute frames of a pair again.
struct Shared {
    runner: Arc<GuardedRunner>,
    frames: [Arc<GuardedFrame>; 2],
    options: Options,
    /// By [`Again`].
    again: [Mutex<Option<Box<dyn FramePair>>>; 2],
}

impl Shared {
    /// Runs `work` with the pair on one of the runners that compute frames again; `None` where there is none.
    fn again<T>(&self, again: Again, work: impl FnOnce(&dyn FramePair) -> Result<T>) -> Result<Option<T>> {
        let Some(runner) = self.runner.runner(again) else {
            return Ok(None);
        };
        let mut pair = lock(&self.again[again as usize]);
        let pair = match &mut *pair {
            Some(pair) => pair,
            empty => {
                let prepared = |frame: &GuardedFrame| {
                    let mut prepared = lock(&frame.again[again as usize]);
                    if let Some(prepared) = &*prepared {
                        return Ok(prepared.clone());
                    }
                    let made = runner.prepare(&frame.image.view(), &self.options)?;
                    Ok::<_, Error>(prepared.insert(made).clone())
                };
                let [first, second] = self.frames.each_ref().map(|frame| prepared(frame));
                empty.insert(runner.clone().pair([&first?, &second?], &self.options)?)
            }
        };
        work(pair.as_ref()).map(Some)
    }

    /// Runs `work` with the pair on the processor.
    fn with_processor<T>(&self, work: impl FnOnce(&dyn FramePair) -> Result<T>) -> Result<T> {
        let done = self.again(Again::Processor, work)?;
        Ok(done.expect("there is a processor"))
    }

    /// Computes a frame with the pair of a runner.
    fn frame_of(&self, pair: &dyn FramePair, timestep: f32, with_alpha: bool) -> Result<RgbImage> {
        let [first, second] = self.frames.each_ref().map(|frame| frame.image.alpha.as_deref());
        let alpha = first.zip(second).filter(|_| with_alpha);
        pair.submit(timestep, alpha.map(|(first, second)| [first, second]))?
            .wait()
    }

    /// Computes a frame on the processor.
    fn compute(&self, timestep: f32, with_alpha: bool) -> Result<RgbImage> {
        let image = self.with_processor(|pair| self.frame_of(pair, timestep, with_alpha))?;
        self.runner.state().by_processor += 1;
        Ok(image)
    }

    /// Computes a plausible frame on the device in f32; `None` where that fails.
    fn compute_exact(&self, timestep: f32, with_alpha: bool) -> Option<RgbImage> {
        let made = self.again(Again::Exact, |pair| self.frame_of(pair, timestep, with_alpha));
        made.ok()?.filter(|image| self.implausible(image).is_none())
    }

    /// Checks a frame of the device, and computes it again if it is faulty.
    fn checked(&self, made: Result<RgbImage>, timestep: f32, with_alpha: bool) -> Result<RgbImage> {
        let state = || self.runner.state();
        let found = match &made {
            Err(error) => fault(error),
            Ok(_) if state().any_range => None,
            Ok(image) => self.implausible(image).map(|text| Fault {
                text,
                kind: FaultKind::Values,
            }),
        };
        let Some(found) = found else {
            if made.is_ok() {
                state().in_a_row = 0;
            }
            return made;
        };
        if found.kind == FaultKind::Values
            && let Some(exact) = self.compute_exact(timestep, with_alpha)
        {
            self.runner.count(&found);
            state().in_f32 += 1;
            return Ok(exact);
        }
        let again = self.compute(timestep, with_alpha)?;
        match made {
            // So are the network's frames.
            Ok(image) if self.implausible(&again).is_some() => {
                let mut state = state();
                state.any_range = true;
                state.by_processor -= 1;
                Ok(image)
            }
            _ => {
                self.runner.count(&found);
                Ok(again)
            }
        }
    }

    /// Returns why an image cannot lie between both frames.
    fn implausible(&self, image: &RgbImage) -> Option<String> {
        let pixels = image.width as usize * image.height as usize;
        let planes = image.data.chunks_exact(pixels);
        let [first, second] = &self.frames;
        for ((plane, (a, b)), name) in planes
            .zip(first.ranges.iter().zip(&second.ranges))
            .zip(["red", "green", "blue"])
        {
            let allowed = (a.min.min(b.min) - MARGIN)..=(a.max.max(b.max) + MARGIN);
            let outside = plane.iter().filter(|value| !allowed.contains(value)).count();
            if outside as f32 > MAX_SHARE * pixels as f32 {
                return Some(format!(
                    "{outside} of {pixels} values of {name} lie outside the source frames' range of {} to {}",
                    a.min.min(b.min),
                    a.max.max(b.max)
                ));
            }
            let mean = mean(plane);
            if !((a.mean.min(b.mean) - MARGIN)..=(a.mean.max(b.mean) + MARGIN)).contains(&mean) {
                return Some(format!(
                    "the mean of {name} is {mean:.2}, and {:.2} and {:.2} in the source frames",
                    a.mean, b.mean
                ));
            }
        }
        None
    }
}

impl FramePair for GuardedPair {
    fn submit(&self, timestep: f32, alpha: Option<[&[f32]; 2]>) -> Result<Pending> {
        let (shared, with_alpha) = (self.shared.clone(), alpha.is_some());
        let submitted = match &self.on_device {
            Some(pair) => shared.runner.on_device(|| pair.submit(timestep, alpha))?,
            None => None,
        };
        Ok(Pending::new(move || match submitted {
            Some(pending) => shared.checked(pending.wait(), timestep, with_alpha),
            None => shared.compute(timestep, with_alpha),
        }))
    }

    fn warped_at(&self, timestep: f32) -> Result<[[RgbImage; 2]; 2]> {
        let warped = match &self.on_device {
            Some(pair) => self.shared.runner.on_device(|| pair.warped_at(timestep))?,
            None => None,
        };
        match warped {
            Some(warped) => Ok(warped),
            None => self.shared.with_processor(|pair| pair.warped_at(timestep)),
        }
    }
}

/// Returns the range of each channel of an image, values clamped to 0..1 as the networks get them.
fn ranges(image: &RgbImage) -> [ChannelRange; 3] {
    let pixels = image.width as usize * image.height as usize;
    [0, 1, 2].map(|channel| {
        let plane = &image.data[channel * pixels..][..pixels];
        let (min, max) = plane.iter().fold((1f32, 0f32), |(min, max), value| {
            (min.min(*value), max.max(*value))
        });
        ChannelRange {
            min: min.max(0.0),
            max: max.min(1.0),
            mean: mean(plane),
        }
    })
}

/// Returns the mean of values, of which there is at least one.
fn mean(values: &[f32]) -> f32 {
    // In parts, so that rounding does not add up.
    let sum: f64 = values
        .chunks(4096)
        .map(|part| f64::from(part.iter().sum::<f32>()))
        .sum();
    (sum / values.len() as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::faulty::Faulty;
    use super::*;
    use crate::{InterpolatorSpec, device};

    const SIDE: u32 = 64;

    fn processor() -> Arc<dyn Runner> {
        device::start(&InterpolatorSpec::default()).unwrap().runner
    }

    /// A ramp, moved to the right by `shift` pixels.
    fn picture(shift: u32) -> RgbImage {
        let plane = (0..SIDE * SIDE).map(|i| 0.5 + ((i % SIDE + SIDE - shift) % SIDE) as f32 / 200.0);
        let data = [0, 1, 2].into_iter().flat_map(|_| plane.clone()).collect();
        RgbImage::new(SIDE, SIDE, data)
    }

    /// Computes `count` frames between two pictures, each of a pair of its own.
    fn frames(runner: &Arc<dyn Runner>, count: usize) -> Vec<Result<RgbImage>> {
        let options = Options::default();
        let frame = |number: usize| {
            let [first, second] = [picture(0), picture(number as u32)];
            let [first, second] = [first, second].map(|image| runner.prepare(&image.view(), &options));
            let pair = runner.clone().pair([&first?, &second?], &options)?;
            pair.submit(0.5, None)?.wait()
        };
        (1..=count).map(frame).collect()
    }

    fn overflow(_: RgbImage) -> Result<RgbImage> {
        let (version, what, value) = ("4.25".to_owned(), "a picture", f32::NAN);
        Err(NetworkError::Overflow { version, what, value }.into())
    }

    fn black(mut image: RgbImage) -> Result<RgbImage> {
        image.data.fill(0.0);
        Ok(image)
    }

    fn memory(_: RgbImage) -> Result<RgbImage> {
        Err(BackendError::OutOfMemory("a buffer of 2 MiB".to_owned()).into())
    }

    fn lost(_: RgbImage) -> Result<RgbImage> {
        Err(BackendError::DeviceLost("a reset".to_owned()).into())
    }

    fn refused(_: RgbImage) -> Result<RgbImage> {
        Err(Error::Usage("another error".to_owned()))
    }

    #[test]
    fn faulty_frames_are_computed_by_the_processor() {
        let processor = processor();
        let good: Vec<_> = frames(&processor, 6).into_iter().map(Result::unwrap).collect();
        for (fault, range, on_device, said) in [
            (
                overflow as fn(RgbImage) -> Result<RgbImage>,
                2..3,
                6,
                "cpu failed once: it made a picture of NaN; 1 frame computed by the processor",
            ),
            (
                black,
                2..4,
                6,
                "cpu failed 2 times: 4096 of 4096 values of red lie outside the source frames' range of 0.5 to 0.815; 2 frames",
            ),
            (
                memory,
                1..4,
                4,
                "cpu was used no more, because it failed 3 times in a row, the last time so: the device is out of memory: a \
                 buffer of 2 MiB; 5 frames",
            ),
            (
                lost,
                3..4,
                4,
                "cpu was used no more, because the device was lost: a reset; 3 frames",
            ),
        ] {
            let device = Arc::new(Faulty::new(processor.clone(), range, fault));
            let guarded: Arc<dyn Runner> = Arc::new(GuardedRunner::new(device.clone(), processor.clone()));
            assert_eq!(guarded.faults(), None);
            for (made, good) in frames(&guarded, 6).into_iter().zip(&good) {
                assert_eq!(made.unwrap().data, good.data, "{said}");
            }
            assert_eq!(device.submitted(), on_device, "{said}");
            let faults = guarded.faults().unwrap();
            assert!(faults.starts_with(said), "{faults}");
        }
    }

    /// Memory that lacks in f16 lacks in f32, too.
    #[test]
    fn wrong_values_are_computed_in_f32_first() {
        let processor = processor();
        let good: Vec<_> = frames(&processor, 3).into_iter().map(Result::unwrap).collect();
        for (fault, said) in [
            (
                overflow as fn(RgbImage) -> Result<RgbImage>,
                "cpu failed once: it made a picture of NaN; 1 frame computed again in f32",
            ),
            (
                memory,
                "cpu failed once: the device is out of memory: a buffer of 2 MiB; 1 frame computed by the processor",
            ),
        ] {
            let device = Arc::new(Faulty::new(processor.clone(), 1..2, fault));
            let exact = Arc::new(Faulty::new(processor.clone(), 9..9, fault));
            let opened: Arc<dyn Runner> = exact.clone();
            let guarded = GuardedRunner::new(device, processor.clone());
            let guarded: Arc<dyn Runner> = Arc::new(guarded.with_exact(Box::new(move || Ok(opened.clone()))));
            for (made, good) in frames(&guarded, 3).into_iter().zip(&good) {
                assert_eq!(made.unwrap().data, good.data, "{said}");
            }
            let faults = guarded.faults().unwrap();
            assert!(faults.starts_with(said), "{faults}");
            assert_eq!(exact.submitted() == 1, said.ends_with("f32"));
        }
    }

    #[test]
    fn errors_of_other_causes_are_returned() {
        let device = Arc::new(Faulty::new(processor(), 0..1, refused));
        let guarded: Arc<dyn Runner> = Arc::new(GuardedRunner::new(device, processor()));
        let error = frames(&guarded, 1).remove(0).unwrap_err();
        assert_eq!(error.to_string(), "another error");
        assert_eq!(guarded.faults(), None);
    }

    /// A network whose frames leave the range of their sources is not the device's fault.
    #[test]
    fn frames_that_the_processor_computes_alike_are_no_faults() {
        let [device, processor] = [0, 1].map(|_| Arc::new(Faulty::new(processor(), 0..9, black)));
        let guarded: Arc<dyn Runner> = Arc::new(GuardedRunner::new(device, processor.clone()));
        for made in frames(&guarded, 4) {
            assert_eq!(made.unwrap().data[0], 0.0);
        }
        assert_eq!(guarded.faults(), None);
        assert_eq!(processor.submitted(), 1, "only the first is compared");
    }
}
