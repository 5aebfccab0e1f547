//! The filter: answers requests for output frames in any order, from several threads.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use num_rational::Ratio;
use rife::media::scene::FrameFeatures;
use rife::media::{Frame, RgbImage};
use rife::{Interpolator, Pair, Prepared};
use vapoursynth4_sys::{
    VSAPI, VSActivationReason, VSCore, VSFilterDependency, VSFilterMode, VSFrame, VSFrameContext,
    VSRequestPattern, VSVideoInfo,
};

use crate::api::{Api, FrameRef, MapMut, MapRef, NewFrame, Node, Request, format_name};
use crate::arguments::{Arguments, Scenes};
use crate::convert::{Format, tags};
use crate::cuts::{Answer, CutDetector, Open};
use crate::positions::{Position, Positions};

/// Number of source frames that are kept on the device.
const PREPARED: usize = 4;
/// Number of pairs that are kept on the device.
const PAIRS: usize = 2;

/// An instance of the filter.
pub(crate) struct Filter {
    node: Node,
    format: Format,
    output: VSVideoInfo,
    positions: Positions,
    /// Duration of a source frame without the properties, in seconds, if the clip's rate is constant.
    usual: Option<Ratio<i64>>,
    /// Duration of each output frame, if the rate was given.
    duration: Option<Ratio<i64>>,
    scenes: Scenes,
    cuts: CutDetector,
    interpolator: Arc<Interpolator>,
    cache: Mutex<Cache>,
}

/// What is kept on the device.
#[derive(Default)]
struct Cache {
    /// Source frames by number, the last used at the end.
    prepared: VecDeque<(u32, Prepared)>,
    /// Pairs by the number of the first frame; `None` if both are equal.
    pairs: VecDeque<(u32, Option<Pair>)>,
}

/// The answer to a request.
enum Outcome {
    Frame(NewFrame),
    /// More source frames were asked for.
    Wait(Box<Open>),
}

impl Filter {
    /// Makes an instance from the arguments.
    ///
    /// # Errors
    /// A sentence on what is accepted.
    pub(crate) fn new(api: Api, arguments: &MapRef<'_>) -> Result<Self, String> {
        let node = arguments.node(c"clip").ok_or("there is no clip")?;
        let clip = node.info().clone();
        let format = Format::new(&clip, &format_name(api, &clip.format))?;
        let given = Arguments::read(arguments, &clip)?;
        let count = u32::try_from(clip.num_frames).unwrap_or(0);
        let positions = Positions::new(count, given.factor)?;
        let (fps_num, fps_den) = given.rate.map_or((0, 0), |rate| (*rate.numer(), *rate.denom()));
        let output = VSVideoInfo {
            fps_num,
            fps_den,
            num_frames: positions.count() as c_int,
            ..clip.clone()
        };
        let interpolator = Interpolator::new(&given.model.spec()).map_err(|error| error.to_string())?;
        let rate = (clip.fps_num > 0 && clip.fps_den > 0).then(|| Ratio::new(clip.fps_den, clip.fps_num));
        Ok(Self {
            node,
            format,
            output,
            positions,
            usual: rate,
            duration: given.rate.filter(|_| given.constant).map(|rate| rate.recip()),
            scenes: given.scenes,
            cuts: CutDetector::new(given.scenes.similarity, count),
            interpolator: Arc::new(interpolator),
            cache: Mutex::default(),
        })
    }

    /// Makes the filter's clip, in `out`, which owns the instance.
    ///
    /// # Safety
    /// `core` is VapourSynth's core, which calls this.
    pub(crate) unsafe fn publish(self, out: &mut MapMut<'_>, core: *mut VSCore) {
        let dependencies = [VSFilterDependency {
            source: self.node.raw(),
            request_pattern: VSRequestPattern::General,
        }];
        let api = self.node.functions();
        let output = self.output.clone();
        let instance = Box::into_raw(Box::new(self));
        // SAFETY: all pointers are valid during the call; `free` frees the instance, also if the call fails.
        unsafe {
            (api.createVideoFilter)(
                out.raw(),
                c"RIFE".as_ptr(),
                &output,
                get_frame,
                Some(free),
                VSFilterMode::Parallel,
                dependencies.as_ptr(),
                dependencies.len() as c_int,
                instance.cast(),
                core,
            );
        }
    }

    /// Asks for the source frames of an output frame.
    fn begin(&self, request: Request, number: u32) {
        let at = self.positions.at(number);
        request.ask(&self.node, at.left);
        if at.timestep != Ratio::from(0) {
            request.ask(&self.node, at.left + 1);
        }
    }

    /// Makes an output frame from the source frames that were asked for, or asks for more; `open` is a decision that waited
    /// for them.
    fn answer(&self, request: Request, number: u32, open: Option<Box<Open>>) -> Result<Outcome, String> {
        let at = self.positions.at(number);
        let left = self.source(request, at.left)?;
        if at.timestep == Ratio::from(0) {
            return Ok(Outcome::Frame(self.finish(
                request.copy(&left),
                [&left, &left],
                number,
                at,
            )));
        }
        let right = self.source(request, at.left + 1)?;
        let pair = [&left, &right];
        let changes = match open {
            Some(open) => self.decide(request, *open)?,
            None => match self.changes(pair, at.left + 1) {
                Answer::Known(changes) => changes,
                Answer::Open(open) if open.missing.is_empty() => self.decide(request, open)?,
                Answer::Open(open) => {
                    open.missing
                        .iter()
                        .for_each(|number| request.ask(&self.node, *number));
                    return Ok(Outcome::Wait(Box::new(open)));
                }
            },
        };
        let made = match changes {
            true => None,
            false => self.between(pair, at)?,
        };
        let frame = match made {
            None => request.copy(&left),
            Some(image) => {
                let mut frame = request.new_frame(&self.output.format, self.format.size, &left);
                let made = Frame::from_rgb(&image, self.format.pixels, &tags(&left.properties()));
                self.format.write(&made, &mut frame);
                frame
            }
        };
        Ok(Outcome::Frame(self.finish(frame, pair, number, at)))
    }

    /// Returns a source frame that was asked for.
    fn source(&self, request: Request, number: u32) -> Result<FrameRef, String> {
        let frame = request.get(&self.node, number)?;
        match frame.properties().int(c"_FieldBased") {
            None | Some(0) => Ok(frame),
            Some(field) => Err(format!(
                "frame {number} of the clip is interlaced (_FieldBased is {field}): de-interlace it before, or set the \
                 property to 0 if it is not"
            )),
        }
    }

    /// Finds whether the scene changes between two frames, the second of which is number `right`.
    fn changes(&self, [left, second]: [&FrameRef; 2], right: u32) -> Answer {
        if !self.scenes.repeat {
            return Answer::Known(false);
        }
        let said = [
            left.properties().int(c"_SceneChangeNext"),
            second.properties().int(c"_SceneChangePrev"),
        ];
        if said.iter().any(Option::is_some) {
            return Answer::Known(said.iter().any(|said| said.is_some_and(|said| said != 0)));
        }
        if let Some(most) = self.scenes.difference {
            return Answer::Known(difference(&self.image(left), &self.image(second)) > most);
        }
        match self.scenes.similarity > 0.0 {
            true => self.cuts.ask(right, |number| {
                FrameFeatures::new(&self.image(if number == right { second } else { left }))
            }),
            false => Answer::Known(false),
        }
    }

    /// Decides whether there is a cut, with the source frames that were asked for.
    fn decide(&self, request: Request, open: Open) -> Result<bool, String> {
        self.cuts.decide(open, |number| {
            let frame = request.get(&self.node, number)?;
            Ok(FrameFeatures::new(&self.image(&frame)))
        })
    }

    /// Converts a frame to RGB.
    fn image(&self, frame: &FrameRef) -> RgbImage {
        self.format.read(frame).to_rgb(&tags(&frame.properties()))
    }

    /// Computes the image between two frames; `None` if both are equal. One thread computes at a time, with all threads of the
    /// device.
    fn between(&self, [left, right]: [&FrameRef; 2], at: Position) -> Result<Option<Arc<RgbImage>>, String> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let found = cache.pairs.iter().position(|(number, _)| *number == at.left);
        let (number, mut pair) = match found.and_then(|index| cache.pairs.remove(index)) {
            Some(found) => found,
            None => (at.left, self.pair(&mut cache, [left, right], at.left)?),
        };
        let made = pair.as_mut().map(|pair| pair.at(at.timestep)).transpose();
        cache.pairs.push_back((number, pair));
        if cache.pairs.len() > PAIRS {
            cache.pairs.pop_front();
        }
        made.map_err(|error| error.to_string())
    }

    /// Makes the pair of two frames, the first of which is number `number`; `None` if both are equal.
    fn pair(
        &self,
        cache: &mut Cache,
        [left, right]: [&FrameRef; 2],
        number: u32,
    ) -> Result<Option<Pair>, String> {
        let first = self.prepared(cache, left, number)?;
        let second = self.prepared(cache, right, number + 1)?;
        let differ = first.image() != second.image();
        Ok(differ.then(|| Pair::new(self.interpolator.clone(), &first, &second)))
    }

    /// Prepares a frame, or finds it.
    fn prepared(&self, cache: &mut Cache, frame: &FrameRef, number: u32) -> Result<Prepared, String> {
        let found = cache.prepared.iter().position(|(known, _)| *known == number);
        let prepared = match found.and_then(|index| cache.prepared.remove(index)) {
            Some((_, prepared)) => prepared,
            None => {
                let image = Arc::new(self.image(frame));
                self.interpolator
                    .prepare(image)
                    .map_err(|error| error.to_string())?
            }
        };
        cache.prepared.push_back((number, prepared.clone()));
        if cache.prepared.len() > PREPARED {
            cache.prepared.pop_front();
        }
        Ok(prepared)
    }

    /// Sets the properties that differ from the left source frame's: duration, time, and changes of scene.
    fn finish(
        &self,
        mut frame: NewFrame,
        [left, right]: [&FrameRef; 2],
        number: u32,
        at: Position,
    ) -> NewFrame {
        let source = left.properties();
        let mut properties = frame.properties();
        let shown = |frame: &FrameRef| duration(&frame.properties()).or(self.usual);
        if let Some(duration) = self
            .duration
            .or_else(|| length(at.lengths, [shown(left), shown(right)]))
        {
            properties.set_int(c"_DurationNum", *duration.numer());
            properties.set_int(c"_DurationDen", *duration.denom());
        }
        if let (Some(time), Some(interval)) = (source.float(c"_AbsoluteTime"), shown(left)) {
            properties.set_float(
                c"_AbsoluteTime",
                time + number_of(at.distance) * number_of(interval),
            );
        }
        if source.int(c"_SceneChangePrev").is_some() && !self.positions.is_first(number) {
            properties.set_int(c"_SceneChangePrev", 0);
        }
        if source.int(c"_SceneChangeNext").is_some() && !self.positions.is_last(number) {
            properties.set_int(c"_SceneChangeNext", 0);
        }
        frame
    }
}

/// Returns the duration of a source frame in seconds by its properties.
fn duration(properties: &MapRef<'_>) -> Option<Ratio<i64>> {
    let parts = (properties.int(c"_DurationNum")?, properties.int(c"_DurationDen")?);
    (parts.0 > 0 && parts.1 > 0).then(|| Ratio::new(parts.0, parts.1))
}

/// Returns the duration of an output frame in seconds: its lengths in intervals times the durations of their source frames;
/// `None` if one is unknown or the result has too many digits.
fn length(lengths: [Ratio<i64>; 2], durations: [Option<Ratio<i64>>; 2]) -> Option<Ratio<i64>> {
    let wide = |value: Ratio<i64>| Ratio::new(i128::from(*value.numer()), i128::from(*value.denom()));
    let mut sum = Ratio::from(0_i128);
    for (length, duration) in lengths.into_iter().zip(durations) {
        if length > Ratio::from(0) {
            sum += wide(length) * wide(duration?);
        }
    }
    Some(Ratio::new(
        i64::try_from(*sum.numer()).ok()?,
        i64::try_from(*sum.denom()).ok()?,
    ))
}

/// Converts a fraction to a number.
fn number_of(value: Ratio<i64>) -> f64 {
    *value.numer() as f64 / *value.denom() as f64
}

/// Returns the mean absolute difference of the luma (BT.709) of two images, 0 to 1.
fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    let [[ar, ag, ab], [br, bg, bb]] = [a.channels(), b.channels()];
    let luma = |r: f32, g: f32, b: f32| 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let sum: f64 = (0..ar.len())
        .map(|i| f64::from((luma(ar[i], ag[i], ab[i]) - luma(br[i], bg[i], bb[i])).abs()))
        .sum();
    sum / ar.len() as f64
}

/// Answers a request of VapourSynth: asks for source frames, and makes the output frame when they are there.
///
/// # Safety
/// Only VapourSynth calls it, with valid pointers and the instance of [`Filter::publish`].
unsafe extern "system-unwind" fn get_frame(
    number: c_int,
    reason: VSActivationReason,
    instance: *mut c_void,
    data: *mut *mut c_void,
    context: *mut VSFrameContext,
    core: *mut VSCore,
    api: *const VSAPI,
) -> *const VSFrame {
    // SAFETY: the instance lives until `free`; it is shared by threads, and only read.
    let filter = unsafe { &*instance.cast_const().cast::<Filter>() };
    // SAFETY: VapourSynth's table of functions lives as long as the process.
    let api = unsafe { Api::new(api) };
    let request = Request { api, context, core };
    let number = number as u32;
    // SAFETY: `data` is this request's place for what it keeps between calls: null, or a decision of `Outcome::Wait`.
    let open = unsafe {
        let kept = std::mem::replace(&mut *data, std::ptr::null_mut());
        (!kept.is_null()).then(|| Box::from_raw(kept.cast::<Open>()))
    };
    if reason == VSActivationReason::Initial {
        filter.begin(request, number);
    }
    if reason != VSActivationReason::AllFramesReady {
        return std::ptr::null();
    }
    let answered = catch_unwind(AssertUnwindSafe(|| filter.answer(request, number, open)));
    match answered {
        Ok(Ok(Outcome::Frame(frame))) => return frame.into_raw(),
        // SAFETY: as above.
        Ok(Ok(Outcome::Wait(open))) => unsafe { *data = Box::into_raw(open).cast() },
        Ok(Err(text)) => request.fail(&format!("RIFE: frame {number}: {text}")),
        Err(_) => request.fail(&format!("RIFE: frame {number}: a panic, which is a bug")),
    }
    std::ptr::null()
}

/// Frees an instance.
///
/// # Safety
/// Only VapourSynth calls it, once, after all requests.
unsafe extern "system-unwind" fn free(instance: *mut c_void, _core: *mut VSCore, _api: *const VSAPI) {
    // SAFETY: the instance was made by `Filter::publish`.
    drop(unsafe { Box::from_raw(instance.cast::<Filter>()) });
}
