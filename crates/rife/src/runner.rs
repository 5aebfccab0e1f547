//! The device seam: a model on a device as an object ([`Runner`]), and two frames prepared on it ([`FramePair`]). All that is
//! above it knows neither engines nor tensors; [`ModelRunner`] implements it for a model on any [`Backend`].

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rife_backend::{Backend, BackendError, ConvKind};
use rife_media::RgbImage;
use rife_nets::{Image, Model, Options, PreparedFrame, PreparedPair, Version};

use crate::{EngineInfo, Result};

/// A frame on the device, padded and encoded for one set of options. Only the runner that made it can use it.
pub(crate) type DeviceFrame = Arc<dyn Any + Send + Sync>;

/// Memory of a device's tensors in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Allocated now, what is kept for reuse included.
    pub(crate) held: u64,
    /// The most that was allocated at once, with what may be kept for reuse besides.
    pub(crate) peak: u64,
}

/// A convolution that ran, and its time.
#[cfg_attr(not(feature = "benchmark"), allow(dead_code))]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Convolution {
    /// Kernel size, stride and padding.
    pub(crate) kind: ConvKind,
    /// `[channels, height, width]` of its input.
    pub(crate) input: [usize; 3],
    /// Output channels.
    pub(crate) output: usize,
    /// The kernel family, such as `winograd`.
    pub(crate) kernel: &'static str,
    /// Multiply-adds of its definition.
    pub(crate) macs: u64,
    /// Its time, with the computation of inputs that are fused into it.
    pub(crate) time: Duration,
}

/// What a backend tells of the device that it runs on.
pub(crate) trait Device {
    /// Memory of its tensors.
    fn memory(&self) -> Memory;
    /// Runs `work` and tells which convolutions ran meanwhile.
    #[cfg_attr(not(feature = "benchmark"), allow(dead_code))]
    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution>;
}

/// A model on a device.
pub(crate) trait Runner: fmt::Debug + Send + Sync {
    /// Which network it is.
    fn version(&self) -> Version;
    /// One line about the model.
    fn describe(&self) -> String;
    /// How the device runs it.
    fn info(&self) -> &EngineInfo;
    /// Pads, uploads and encodes a frame once, for reuse in all its pairs. Values are clamped to 0..1.
    fn prepare(&self, image: &RgbImage, options: &Options) -> Result<DeviceFrame>;
    /// Two frames prepared for the same options, with what all timesteps between them share.
    fn pair(self: Arc<Self>, frames: [&DeviceFrame; 2], options: &Options) -> Result<Box<dyn FramePair>>;
    /// Memory of the device's tensors.
    fn memory(&self) -> Memory;
    /// Runs `work` and tells which convolutions ran meanwhile.
    #[cfg_attr(not(feature = "benchmark"), allow(dead_code))]
    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution>;
}

/// Two frames on a device. It owns all that it needs.
pub(crate) trait FramePair: fmt::Debug + Send {
    /// Begins to compute the frame at `timestep`, between 0 and 1: several can be in flight on a device that computes
    /// asynchronously. With the planes of both frames' alpha it has alpha, moved by the same flow.
    fn submit(&self, timestep: f32, alpha: Option<[&[f32]; 2]>) -> Result<Pending>;
    /// Both frames as the network's flow warps them to `timestep`, and both frames as they are.
    fn warped_at(&self, timestep: f32) -> Result<[[RgbImage; 2]; 2]>;
}

/// A frame that was submitted.
pub(crate) struct Pending(Box<dyn FnOnce() -> Result<RgbImage> + Send>);

impl Pending {
    /// A frame that is complete.
    fn ready(image: RgbImage) -> Self {
        Self(Box::new(|| Ok(image)))
    }

    /// Waits for the frame.
    pub(crate) fn wait(self) -> Result<RgbImage> {
        (self.0)()
    }
}

/// A [`Model`] as a [`Runner`].
pub(crate) struct ModelRunner<B: Backend> {
    model: Model<B>,
    info: EngineInfo,
}

impl<B: Backend> ModelRunner<B> {
    pub(crate) fn new(model: Model<B>, info: EngineInfo) -> Self {
        Self { model, info }
    }
}

impl<B: Backend> fmt::Debug for ModelRunner<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelRunner")
            .field("version", &self.model.version())
            .field("info", &self.info)
            .finish()
    }
}

impl<B> Runner for ModelRunner<B>
where
    B: Backend + Device + Send + Sync + 'static,
    B::Tensor: Send + Sync,
    B::Conv: Send + Sync,
{
    fn version(&self) -> Version {
        self.model.version()
    }

    fn describe(&self) -> String {
        self.model.describe()
    }

    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn prepare(&self, image: &RgbImage, options: &Options) -> Result<DeviceFrame> {
        let clamped = image.data.iter().map(|value| value.clamp(0.0, 1.0)).collect();
        let image = Image::new(image.width as usize, image.height as usize, clamped)?;
        Ok(Arc::new(self.model.prepare_frame(&image, options)?))
    }

    fn pair(self: Arc<Self>, frames: [&DeviceFrame; 2], options: &Options) -> Result<Box<dyn FramePair>> {
        let frames = frames.map(|frame| {
            let frame: Option<&PreparedFrame<B::Tensor>> = frame.downcast_ref();
            frame
                .expect("frames are used by the runner that prepared them")
                .clone()
        });
        let pair = self.model.pair(&frames[0], &frames[1], options)?;
        Ok(Box::new(ModelPair {
            runner: self,
            frames,
            pair,
            options: *options,
        }))
    }

    fn memory(&self) -> Memory {
        self.model.backend().memory()
    }

    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        self.model.backend().profile(work)
    }
}

/// Two frames of a [`ModelRunner`].
struct ModelPair<B: Backend> {
    runner: Arc<ModelRunner<B>>,
    frames: [PreparedFrame<B::Tensor>; 2],
    pair: PreparedPair<B::Tensor>,
    options: Options,
}

impl<B: Backend> fmt::Debug for ModelPair<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelPair")
            .field("size", &self.pair.size())
            .finish_non_exhaustive()
    }
}

impl<B> FramePair for ModelPair<B>
where
    B: Backend + Device + Send + Sync + 'static,
    B::Tensor: Send + Sync,
    B::Conv: Send + Sync,
{
    fn submit(&self, timestep: f32, alpha: Option<[&[f32]; 2]>) -> Result<Pending> {
        let model = &self.runner.model;
        let backend = model.backend();
        let [width, height] = self.pair.size();
        let size = [height, width];
        let output = model.tensors_at(&self.pair, timestep, &self.options)?;
        let moved = match alpha {
            None => None,
            Some(planes) => {
                let [_, rows, columns] = backend.shape(&output.merged);
                let warped = |i: usize| {
                    let plane = backend.upload_padded([1, height, width], planes[i], [rows, columns])?;
                    let flow = backend.narrow(&output.flow, 2 * i..2 * i + 2);
                    Ok::<_, BackendError>(backend.warp(&plane, &flow))
                };
                Some(backend.clamp01(&backend.blend(&warped(0)?, &warped(1)?, &output.mask)))
            }
        };
        let mut image = RgbImage::new(width as u32, height as u32, model.picture(&output, size)?);
        let alpha = moved.map(|alpha| backend.download_cropped(&alpha, size));
        image.alpha = alpha.transpose()?;
        Ok(Pending::ready(image))
    }

    fn warped_at(&self, timestep: f32) -> Result<[[RgbImage; 2]; 2]> {
        let model = &self.runner.model;
        let backend = model.backend();
        let [width, height] = self.pair.size();
        let output = model.tensors_at(&self.pair, timestep, &self.options)?;
        let image = |tensor: &B::Tensor| -> Result<RgbImage> {
            let data = backend.download_cropped(tensor, [height, width])?;
            Ok(RgbImage::new(width as u32, height as u32, data))
        };
        let original = |i: usize| image(self.frames[i].encoded().image());
        let warped = |i: usize| {
            let flow = backend.narrow(&output.flow, 2 * i..2 * i + 2);
            image(&backend.warp(self.frames[i].encoded().image(), &flow))
        };
        Ok([[warped(0)?, warped(1)?], [original(0)?, original(1)?]])
    }
}
