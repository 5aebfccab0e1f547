//! Pairs of pictures in, the picture at a time between them out: a model with its engine and options, and the
//! recursion that networks need which know only the middle. No files and no frame rates here.

mod bisect;
mod confidence;
mod tiles;

use std::sync::Arc;
use std::time::{Duration, Instant};

use num_rational::Ratio;
use rife_media::{CancelToken, RgbImage};
use rife_nets::{NetworkError, Options, Scale, Version};

pub(crate) use bisect::Middles;
pub use bisect::{Between, Bisection};

use tiles::Tiling;

use crate::device::{self, Started};
#[cfg(feature = "benchmark")]
use crate::runner::Convolution;
use crate::runner::{DeviceFrame, FramePair, Pending, Runner};
use crate::{Device, EngineInfo, Error, ModelChoice, Precision, Result, Watch};

/// How frames at times other than the middle are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestepMethod {
    /// Directly where the network takes a timestep, else recursively.
    #[default]
    Auto,
    /// Directly; refused by networks that know only the middle.
    Direct,
    /// By middles of middles, as the original scripts do.
    Recursive,
}

/// What to interpolate with.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct InterpolatorSpec {
    /// Which weights.
    pub model: ModelChoice,
    /// The network they are for, where their tensors fit several; recognised when absent.
    pub version: Option<Version>,
    /// At which size the flow is estimated.
    pub scale: Scale,
    /// Test-time augmentation: twice the work.
    pub tta: bool,
    /// Both directions in every block, in the versions that know it: about twice the work.
    pub ensemble: bool,
    /// Threads; all processors when absent.
    pub threads: Option<usize>,
    /// What computes.
    pub device: Device,
    /// What the wide convolutions multiply.
    pub precision: Precision,
    /// How other times than the middle are made.
    pub method: TimestepMethod,
    /// How far recursion goes.
    pub bisection: Bisection,
    /// The most memory in bytes that the whole process may take: larger pictures are made in tiles, at some cost in
    /// time and a little in likeness at the seams.
    pub memory_limit: Option<u64>,
    /// Who is shown every frame that is made.
    pub watch: Option<Watch>,
    /// Stops the network in the middle of a frame: what is being made then is [`Error::Cancelled`].
    pub cancel: CancelToken,
}

/// A model ready to make frames.
#[derive(Debug)]
pub struct Interpolator {
    runner: Arc<dyn Runner>,
    origin: String,
    options: Options,
    recursive: bool,
    bisection: Bisection,
    tiling: Option<Tiling>,
    watch: Option<Watch>,
    cancel: CancelToken,
}

/// A picture padded, uploaded and encoded once, for reuse in all its pairs and at all times. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prepared {
    image: Arc<RgbImage>,
    /// Nothing where the picture is too large to be held at once, and is prepared tile by tile.
    frame: Option<DeviceFrame>,
}

impl Prepared {
    /// The picture.
    pub fn image(&self) -> &Arc<RgbImage> {
        &self.image
    }
}

impl Interpolator {
    /// Loads the model and starts the engine.
    ///
    /// # Errors
    /// Those of finding, reading and recognising weights; [`NetworkError::NoEnsemble`]; [`NetworkError::OnlyMiddle`]
    /// where [`TimestepMethod::Direct`] is asked of a network without a timestep.
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
        let options = Options {
            scale: spec.scale,
            tta: spec.tta,
            ensemble: spec.ensemble,
            keep_stages: false,
        };
        let mut interpolator = Self {
            runner,
            origin,
            options,
            recursive,
            bisection: spec.bisection,
            watch: spec.watch.clone(),
            cancel: spec.cancel.clone(),
            tiling: None,
        };
        let tiling = spec.memory_limit.map(|limit| Tiling::new(&interpolator, limit));
        interpolator.tiling = tiling.transpose()?;
        Ok(interpolator)
    }

    /// Which network it is.
    pub fn version(&self) -> Version {
        self.runner.version()
    }

    /// The engine's tier, precision and threads.
    pub fn engine(&self) -> &EngineInfo {
        self.runner.info()
    }

    /// Where the weights came from: `built in`, `random weights` or a path.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether other times than the middle are made by middles of middles.
    pub fn recursive(&self) -> bool {
        self.recursive
    }

    /// One line about the model and its options, for people.
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

    /// One line about how frames at other times than the middle are made.
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

    /// Does the work on a picture that all its pairs and times share.
    ///
    /// # Errors
    /// [`NetworkError::ImageSize`] outside 16x16 to 16384x16384; [`crate::Error::Usage`] where
    /// [`InterpolatorSpec::memory_limit`] is too little for it.
    pub fn prepare(&self, image: Arc<RgbImage>) -> Result<Prepared> {
        let size = [image.width as usize, image.height as usize];
        let in_tiles = match &self.tiling {
            Some(tiling) => tiling.applies(size)?,
            None => false,
        };
        let frame = match in_tiles {
            true => None,
            false => Some(self.prepare_whole(&image)?),
        };
        Ok(Prepared { image, frame })
    }

    /// Whether [`InterpolatorSpec::cancel`] was.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// The memory that the process is held to, where it is.
    pub(crate) fn memory_limit(&self) -> Option<u64> {
        self.tiling.as_ref().map(Tiling::limit)
    }

    /// Bytes that pictures of `size` take in the smallest tiles; nothing where there is no limit to make tiles for.
    pub(crate) fn least_memory(&self, size: [u32; 2]) -> u64 {
        let size = size.map(|side| side as usize);
        self.tiling.as_ref().map_or(0, |tiling| tiling.least(size))
    }

    fn prepare_whole(&self, image: &RgbImage) -> Result<DeviceFrame> {
        self.checked(self.runner.prepare(image, &self.options))
    }

    /// What the device has returned, unless it was stopped meanwhile: then it means nothing.
    fn checked<T>(&self, made: Result<T>) -> Result<T> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        made.map_err(|error| match error {
            Error::Network(NetworkError::Overflow { .. }) => {
                Error::NoModel(format!("the model ({}) cannot be used: {error}", self.origin))
            }
            other => other,
        })
    }

    /// Runs `work` and tells which convolutions ran meanwhile.
    #[cfg(feature = "benchmark")]
    pub(crate) fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        self.runner.profile(work)
    }

    /// The picture at `timestep` between two of one size: 0 is `first`, 1 is `second`. With alpha in either, colours are
    /// mixed by it, and the result has alpha.
    ///
    /// Each call prepares both pictures. For several times between two, or a row of pictures, prepare each once with
    /// [`Interpolator::prepare`] and ask [`Interpolator::between`] for the times; for video, use a
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
    /// [`Error::Usage`] for times outside 0 to 1, [`NetworkError::FramesDiffer`] for pictures of two sizes, and those of
    /// [`Interpolator::prepare`].
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
        let made = Middles::new(first, second).at(self, at)?;
        Ok(Arc::unwrap_or_clone(made).unpremultiplied())
    }

    /// Starts on the frames between two pictures of one size.
    pub fn between(&self, first: &Prepared, second: &Prepared) -> Between<'_> {
        Between::new(self, first, second)
    }

    /// What all times between two pictures share; nothing where they are made in tiles.
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

    /// The picture at `timestep`, by one run of the network; `pair` is [`Interpolator::pair`]'s.
    fn run(
        &self,
        pair: Option<&dyn FramePair>,
        [first, second]: [&Prepared; 2],
        timestep: f32,
    ) -> Result<RgbImage> {
        match (pair, &self.tiling) {
            (Some(pair), _) => {
                let alpha = first.image.alpha.as_deref().zip(second.image.alpha.as_deref());
                let submitted = pair.submit(timestep, alpha.map(|(a, b)| [a, b]));
                self.checked(submitted.and_then(Pending::wait))
            }
            (None, Some(tiling)) => tiles::run(self, tiling, [&first.image, &second.image], timestep),
            (None, None) => unreachable!("pictures are prepared as a whole where there are no tiles"),
        }
    }

    /// [`Interpolator::pair`], then [`Interpolator::run`].
    fn run_once(&self, first: &Prepared, second: &Prepared, timestep: f32) -> Result<RgbImage> {
        let pair = self.pair(first, second)?;
        self.run(pair.as_deref(), [first, second], timestep)
    }

    /// Measures how long one frame of this size takes, on a small part of it, and scales up.
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

/// A timestep as the networks take it.
pub(crate) fn to_f32(timestep: Ratio<i64>) -> f32 {
    (*timestep.numer() as f64 / *timestep.denom() as f64) as f32
}
