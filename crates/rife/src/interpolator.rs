//! Frame interpolation of one pair: two RGB images and a timestep in 0..=1 in, the image at that time out. Holds a model on
//! a device with its options; networks without a timestep input reach other times than 1/2 by recursive bisection.

mod bisect;
mod confidence;
mod tiles;

use std::sync::Arc;
use std::time::{Duration, Instant};

use num_rational::Ratio;
use rife_media::{CancelToken, FrameView, FrameViewMut, RgbImage};
use rife_nets::{NetworkError, Options, Scale, Version};

pub use bisect::{Between, Bisection, Pair};
pub(crate) use bisect::{PairState, Submitted};

use tiles::Tiling;

use crate::device::{self, Started};
use crate::runner::Convolution;
use crate::runner::{DeviceFrame, FramePair, Pending, Runner};
use crate::{Device, EngineInfo, Error, FrameCallback, ModelChoice, Precision, Result};

/// How frames at other timesteps than 1/2 are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestepMethod {
    /// Direct if the network has a timestep input, else recursive.
    #[default]
    Auto,
    /// By one run of the network per frame; an error for networks without a timestep input.
    Direct,
    /// By recursive bisection, as the original scripts do: the middle frame of two frames, then the middle of a half...
    Recursive,
}

/// Model, device and options of an [`Interpolator`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct InterpolatorSpec {
    /// The weights.
    pub model: ModelChoice,
    /// The network version, for weights whose tensors fit several; recognised from the file when absent.
    pub version: Option<Version>,
    /// The resolution at which optical flow is estimated, as a factor of the frame's.
    pub scale: Scale,
    /// Test-time augmentation, the mean with the result of both frames rotated by 180 degrees: twice the work.
    pub tta: bool,
    /// The ensemble of both directions in every block, in network versions that have it: about twice the work.
    pub ensemble: bool,
    /// Number of threads; one per logical processor when absent.
    pub threads: Option<usize>,
    /// The device that computes.
    pub device: Device,
    /// Number format of the wide convolutions.
    pub precision: Precision,
    /// How timesteps other than 1/2 are computed.
    pub method: TimestepMethod,
    /// Depth and tolerance of recursive bisection.
    pub bisection: Bisection,
    /// Maximum memory of the process in bytes: larger images are computed in tiles, which takes longer and changes pixels
    /// at tile borders a little. Unlimited when absent.
    pub memory_limit: Option<u64>,
    /// Called with every frame that is computed, such as for a preview.
    pub on_frame: Option<FrameCallback>,
    /// Stops the network even in the middle of a frame; the call that computes it returns [`Error::Cancelled`].
    pub cancel: CancelToken,
}

impl InterpolatorSpec {
    /// Returns the options of the network.
    pub(crate) fn network_options(&self) -> Options {
        Options {
            scale: self.scale,
            tta: self.tta,
            ensemble: self.ensemble,
            keep_stages: false,
        }
    }
}

/// A model on a device, ready to interpolate.
#[derive(Debug)]
pub struct Interpolator {
    runner: Arc<dyn Runner>,
    /// Where the weights came from, for people.
    origin: String,
    options: Options,
    /// Whether other timesteps than 1/2 are computed by bisection.
    recursive: bool,
    bisection: Bisection,
    /// Present if there is a limit of memory or of tensors.
    tiling: Option<Tiling>,
    on_frame: Option<FrameCallback>,
    cancel: CancelToken,
}

/// An image that was padded, uploaded and encoded once, for reuse in all its pairs and timesteps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prepared {
    image: Arc<RgbImage>,
    /// `None` if the image is computed in tiles, each of which is prepared when it is needed.
    frame: Option<DeviceFrame>,
}

impl Prepared {
    /// Returns the image that was prepared.
    pub fn image(&self) -> &Arc<RgbImage> {
        &self.image
    }
}

impl Interpolator {
    /// Loads the model and starts the device's engine.
    ///
    /// # Errors
    /// Those of finding, reading and recognising weights; [`NetworkError::NoEnsemble`]; [`NetworkError::OnlyMiddle`] for
    /// [`TimestepMethod::Direct`] with a network without a timestep input.
    pub fn new(spec: &InterpolatorSpec) -> Result<Self> {
        let Started { runner, origin } = device::start(spec)?;
        let version = runner.version();
        if spec.ensemble && !version.supports_ensemble() {
            return Err(NetworkError::NoEnsemble {
                version: version.name().to_owned(),
            }
            .into());
        }
        if spec.method == TimestepMethod::Direct {
            version.check_timestep(0.25)?;
        }
        let recursive = spec.method == TimestepMethod::Recursive || !version.supports_timestep();
        let options = spec.network_options();
        let mut interpolator = Self {
            runner,
            origin,
            options,
            recursive,
            bisection: spec.bisection,
            on_frame: spec.on_frame.clone(),
            cancel: spec.cancel.clone(),
            tiling: None,
        };
        interpolator.tiling = Tiling::new(&interpolator, spec.memory_limit)?;
        Ok(interpolator)
    }

    /// Returns the network's version.
    pub fn version(&self) -> Version {
        self.runner.version()
    }

    /// Returns the engine's instruction set, precision and number of threads.
    pub fn engine(&self) -> &EngineInfo {
        self.runner.info()
    }

    /// Describes, for people, the faults of the GPU so far and what became of its frames; `None` if there were none.
    pub fn faults(&self) -> Option<String> {
        self.runner.faults()
    }

    /// Returns the origin of the weights, for people: `built in`, `random weights` or a path.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Reports whether timesteps other than 1/2 are computed by recursive bisection.
    pub fn recursive(&self) -> bool {
        self.recursive
    }

    /// Describes the model and its options in one line, for people.
    pub fn describe(&self) -> String {
        let mut text = format!(
            "{} ({}), scale {}",
            self.runner.describe(),
            self.origin,
            self.options.scale
        );
        for (name, on) in [("tta", self.options.tta), ("ensemble", self.options.ensemble)] {
            if on {
                text += ", ";
                text += name;
            }
        }
        text
    }

    /// Describes in one line, for people, how timesteps other than 1/2 are computed.
    pub fn describe_method(&self) -> String {
        if !self.recursive {
            return "each frame directly at its own time".into();
        }
        let why = if self.version().supports_timestep() {
            "as asked"
        } else {
            "the network knows only the middle"
        };
        format!(
            "middles of middles ({why}): exact for halves, quarters, eighths and so on to 1/{}, within {} otherwise",
            1_u64 << self.bisection.max_cycles.min(62),
            self.bisection.threshold / 2.0
        )
    }

    /// Pads, uploads and encodes an image once, for reuse in all its pairs and timesteps. Values are clamped to 0..=1.
    ///
    /// # Errors
    /// [`NetworkError::ImageSize`] outside 16x16 to 16384x16384; [`crate::Error::Usage`] if
    /// [`InterpolatorSpec::memory_limit`] is too low for this size even in the smallest tiles.
    pub fn prepare(&self, image: Arc<RgbImage>) -> Result<Prepared> {
        let size = [image.width as usize, image.height as usize];
        let in_tiles = match &self.tiling {
            Some(tiling) => tiling.needs_tiles(size)?,
            None => false,
        };
        let frame = match in_tiles {
            true => None,
            false => Some(self.prepare_untiled(&image)?),
        };
        Ok(Prepared { image, frame })
    }

    /// Makes an interpolator with the same model that estimates motion at another scale. Images of any size are computed whole.
    pub fn rescaled(&self, scale: Scale) -> Self {
        Self {
            runner: self.runner.clone(),
            origin: self.origin.clone(),
            options: Options {
                scale,
                ..self.options
            },
            recursive: self.recursive,
            bisection: self.bisection,
            tiling: None,
            on_frame: self.on_frame.clone(),
            cancel: self.cancel.clone(),
        }
    }

    /// Returns the scale at which motion is estimated.
    pub fn scale(&self) -> Scale {
        self.options.scale
    }

    /// Reports whether [`InterpolatorSpec::cancel`] is set.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Returns the memory limit of the process in bytes, if there is one.
    pub(crate) fn memory_limit(&self) -> Option<u64> {
        self.tiling.as_ref()?.limit()
    }

    /// Estimates the process's memory in bytes for images of `size` (width, height) in the smallest tiles; 0 if there is no
    /// memory limit.
    pub(crate) fn min_memory(&self, size: [u32; 2]) -> u64 {
        let size = size.map(|side| side as usize);
        self.tiling.as_ref().map_or(0, |tiling| tiling.min_memory(size))
    }

    /// Returns a remark for people where images of `size` (width, height) are computed in tiles because of the GPU.
    pub(crate) fn note_on_tiles(&self, size: [u32; 2]) -> Option<String> {
        let sides = size.map(|side| side as usize);
        let (count, limit) = self.tiling.as_ref()?.tiles_of_tensors(sides)?;
        let [width, height] = size;
        Some(format!(
            "pictures of {width}x{height} are computed in {count} tiles, because a buffer of this GPU holds at most {} MiB",
            limit >> 20
        ))
    }

    /// Prepares an image on the device at its full size.
    fn prepare_untiled(&self, image: &RgbImage) -> Result<DeviceFrame> {
        self.checked(self.runner.prepare(&image.view(), &self.options))
    }

    /// Returns the device's result, or [`Error::Cancelled`] if the job was stopped meanwhile: then the result is incomplete.
    fn checked<T>(&self, result: Result<T>) -> Result<T> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        result.map_err(|error| match error {
            Error::Network(NetworkError::Overflow { .. }) => {
                Error::NoModel(format!("the model ({}) cannot be used: {error}", self.origin))
            }
            other => other,
        })
    }

    /// Runs `work` and returns the convolutions that the device computed meanwhile, with their times.
    pub fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        self.runner.profile(work)
    }

    /// Computes the image at `timestep` between two images of the same size: 0 is `first`, 1 is `second`. If either has
    /// alpha, colours are premultiplied for the network, and the result has alpha.
    ///
    /// Each call prepares both images. For several timesteps or a sequence of images, prepare each image once with
    /// [`Interpolator::prepare`] and use [`Interpolator::between`]; for video, use a
    /// [`VideoJob`](crate::video::VideoJob).
    ///
    /// ```
    /// use rife::{Interpolator, InterpolatorSpec, RgbImage};
    ///
    /// let interpolator = Interpolator::new(&InterpolatorSpec::default())?;
    /// let dark = RgbImage::from_rgb8(32, 32, &[100; 3 * 32 * 32])?;
    /// let light = RgbImage::from_rgb8(32, 32, &[104; 3 * 32 * 32])?;
    /// let between = interpolator.interpolate(&dark, &light, 0.5)?;
    /// assert!(between.to_rgb8().iter().all(|code| (100..=104).contains(code)));
    /// # Ok::<(), rife::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] for timesteps outside 0..=1, [`NetworkError::FramesDiffer`] for images of different sizes, and those
    /// of [`Interpolator::prepare`].
    pub fn interpolate(&self, first: &RgbImage, second: &RgbImage, timestep: f64) -> Result<RgbImage> {
        let at = Ratio::approximate_float(timestep)
            .ok_or_else(|| Error::Usage(format!("timestep {timestep} is not between 0 and 1")))?;
        let alpha = first.alpha.is_some() || second.alpha.is_some();
        let prepared = |image: &RgbImage| {
            let mut image = image.clone();
            if alpha {
                let opaque = || vec![1.0; image.data.len() / 3];
                image.alpha = Some(image.alpha.take().unwrap_or_else(opaque));
            }
            self.prepare(Arc::new(image.premultiplied()))
        };
        let (first, second) = (prepared(first)?, prepared(second)?);
        let made = PairState::new(first, second).at(self, at)?;
        Ok(Arc::unwrap_or_clone(made).unpremultiplied())
    }

    /// Computes the image at `timestep` between two frames in a caller's memory and writes it to `result`, all of the same
    /// size; as [`Interpolator::interpolate`].
    ///
    /// ```
    /// use rife::media::{ChannelOrder, FrameView, FrameViewMut, SampleType};
    /// use rife::{Interpolator, InterpolatorSpec};
    ///
    /// let interpolator = Interpolator::new(&InterpolatorSpec::default())?;
    /// // 32x32 BGRA with rows of 160 bytes, of which 128 are pixels.
    /// let (dark, light, mut made) = ([100; 160 * 32], [104; 160 * 32], [0; 160 * 32]);
    /// let view = |bytes| FrameView::new(32, 32, ChannelOrder::Bgra, SampleType::U8, bytes, 160);
    /// let mut result = FrameViewMut::new(32, 32, ChannelOrder::Bgra, SampleType::U8, &mut made, 160)?;
    /// interpolator.interpolate_views(&view(&dark)?, &view(&light)?, 0.5, &mut result)?;
    /// assert!(made[..128].iter().all(|code| (100..=104).contains(code)));
    /// assert_eq!(made[128..160], [0; 32]);
    /// # Ok::<(), rife::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Interpolator::interpolate`], and [`MediaError::Limit`](crate::media::MediaError::Limit) for a `result` of
    /// another size.
    pub fn interpolate_views(
        &self,
        first: &FrameView<'_>,
        second: &FrameView<'_>,
        timestep: f64,
        result: &mut FrameViewMut<'_>,
    ) -> Result<()> {
        let made = self.interpolate(&first.to_rgb_image(), &second.to_rgb_image(), timestep)?;
        Ok(result.write(&made)?)
    }

    /// Prepares a frame in a caller's memory, as [`Interpolator::prepare`]; alpha must be premultiplied.
    ///
    /// # Errors
    /// Those of [`Interpolator::prepare`].
    pub fn prepare_view(&self, frame: &FrameView<'_>) -> Result<Prepared> {
        self.prepare(Arc::new(frame.to_rgb_image()))
    }

    /// Returns a [`Between`], which computes images between two prepared images of the same size.
    pub fn between(&self, first: &Prepared, second: &Prepared) -> Between<'_> {
        Between::new(self, first, second)
    }

    /// Pairs two prepared images on the device, for reuse at all timesteps between them; `None` if they are computed in
    /// tiles.
    fn pair(&self, first: &Prepared, second: &Prepared) -> Result<Option<Box<dyn FramePair>>> {
        let [a, b] = [first, second].map(|frame| [frame.image.width, frame.image.height]);
        if a != b {
            let [first, second] = [a, b].map(|size| size.map(|side| side as usize));
            return Err(NetworkError::FramesDiffer { first, second }.into());
        }
        match (&first.frame, &second.frame) {
            (Some(a), Some(b)) => {
                let pair = self.runner.clone().pair([a, b], &self.options);
                self.checked(pair).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Starts to compute the image at `timestep` by one run of the network per tile; `pair` is the result of
    /// [`Interpolator::pair`]. Tiles are computed before this returns.
    fn submit(
        &self,
        pair: Option<&dyn FramePair>,
        [first, second]: [&Prepared; 2],
        timestep: f32,
    ) -> Result<Pending> {
        match (pair, &self.tiling) {
            (Some(pair), _) => {
                let alpha = first.image.alpha.as_deref().zip(second.image.alpha.as_deref());
                self.checked(pair.submit(timestep, alpha.map(|(a, b)| [a, b])))
            }
            (None, Some(tiling)) => {
                let image = tiles::run(self, tiling, [&first.image, &second.image], timestep)?;
                Ok(Pending::ready(image))
            }
            (None, None) => unreachable!("images are prepared untiled if there is no limit"),
        }
    }

    /// Waits for a submitted image.
    fn wait(&self, pending: Pending) -> Result<RgbImage> {
        self.checked(pending.wait())
    }

    /// Replaces the runner by one that wraps it.
    #[cfg(test)]
    pub(crate) fn map_runner(mut self, wrap: impl FnOnce(Arc<dyn Runner>) -> Arc<dyn Runner>) -> Self {
        self.runner = wrap(self.runner);
        self
    }

    /// Returns how many frames the device can have in flight; 1 where it computes at once.
    pub(crate) fn in_flight(&self) -> usize {
        self.runner.in_flight().max(1)
    }

    /// Computes the image at `timestep` between two prepared images whose pair is not reused.
    fn run_once(&self, first: &Prepared, second: &Prepared, timestep: f32) -> Result<RgbImage> {
        let pair = self.pair(first, second)?;
        self.wait(self.submit(pair.as_deref(), [first, second], timestep)?)
    }

    /// Estimates the time of one frame of this size: measures a small square frame and scales by the number of pixels.
    ///
    /// # Errors
    /// Those of running the network.
    pub fn estimate_frame_time(&self, width: u32, height: u32) -> Result<Duration> {
        let side = (self.version().size_multiple(self.options.scale) as u32).max(256);
        let sample = Arc::new(RgbImage::new(side, side, vec![0.5; 3 * (side * side) as usize]));
        let mut fastest = Duration::MAX;
        for _ in 0..2 {
            let start = Instant::now();
            let frame = self.prepare(sample.clone())?;
            self.run_once(&frame, &frame, 0.5)?;
            fastest = fastest.min(start.elapsed());
        }
        let pixels = |side: u32| {
            u64::from(side.next_multiple_of(self.version().size_multiple(self.options.scale) as u32))
        };
        let factor = (pixels(width) * pixels(height)) as f64 / f64::from(side * side);
        Ok(fastest.mul_f64(factor))
    }
}

/// Converts an exact timestep to the networks' input.
pub(crate) fn to_f32(timestep: Ratio<i64>) -> f32 {
    (*timestep.numer() as f64 / *timestep.denom() as f64) as f32
}
