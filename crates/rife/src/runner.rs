//! Device interface: a model on a device as a trait object ([`Runner`]), and a pair of frames prepared on it ([`FramePair`]).
//! Callers depend on neither engines nor tensors. [`ModelRunner`] implements the traits for a model on any [`Backend`].

#[cfg(feature = "gpu")]
pub(crate) mod guarded;
#[cfg(feature = "gpu")]
pub(crate) mod several;
#[cfg(test)]
pub(crate) mod testing;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rife_backend::{Backend, BackendError, ConvKind, Download};
use rife_media::{FrameView, RgbImage};
use rife_nets::{Image, Model, Options, PreparedFrame, PreparedPair, Version};

use crate::{EngineInfo, Result};

/// A frame on the device, padded and encoded for one set of options. Only the runner that made it can use it.
pub(crate) type DeviceFrame = Arc<dyn Any + Send + Sync>;

/// Memory of a device's tensors in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Bytes allocated now, including buffers kept for reuse.
    pub(crate) held: u64,
    /// Maximum of bytes allocated at once, plus the maximum of buffers kept for reuse.
    pub(crate) peak: u64,
}

/// A convolution that was computed, with its time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Convolution {
    /// Kernel size, stride and padding.
    pub kind: ConvKind,
    /// `[channels, height, width]` of its input.
    pub input: [usize; 3],
    /// Number of output channels.
    pub output: usize,
    /// The kernel family, such as `winograd`.
    pub kernel: &'static str,
    /// Number of multiply-adds of its definition.
    pub macs: u64,
    /// Wall-clock time, including the computation of fused inputs.
    pub time: Duration,
}

/// Memory statistics and profiling of a backend.
pub(crate) trait Device {
    /// Returns the memory of the device's tensors.
    fn memory(&self) -> Memory;
    /// Returns how many frames are worth having in flight, submitted and not waited for; 1 where the device computes a frame
    /// before `submit` returns.
    fn in_flight(&self) -> usize {
        1
    }
    /// Returns the bytes of the largest tensor so far, and of the largest that the device can hold; `None` where memory alone
    /// limits tensors.
    fn tensor_limit(&self) -> Option<[u64; 2]> {
        None
    }
    /// Runs `work` and returns the convolutions that were computed meanwhile.
    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution>;
}

/// A model on a device.
pub(crate) trait Runner: fmt::Debug + Send + Sync {
    /// Returns the network's version.
    fn version(&self) -> Version;
    /// Returns one line for people: version, parameters, cost, timesteps and size rule of the network.
    fn describe(&self) -> String;
    /// Returns the settings with which the device runs the model.
    fn info(&self) -> &EngineInfo;
    /// Pads, uploads and encodes a frame once, for reuse in all its pairs. Values are clamped to 0..1; alpha is ignored.
    fn prepare(&self, frame: &FrameView<'_>, options: &Options) -> Result<DeviceFrame>;
    /// Pairs two frames prepared for the same options, for reuse at all timesteps between them. Sizes must be equal.
    fn pair(self: Arc<Self>, frames: [&DeviceFrame; 2], options: &Options) -> Result<Box<dyn FramePair>>;
    /// Returns the memory of the device's tensors.
    fn memory(&self) -> Memory;
    /// Returns how many frames a job keeps in flight, see [`Device::in_flight`].
    fn in_flight(&self) -> usize;
    /// Returns the bytes of the largest tensor so far, and of the largest that the device can hold, see [`Device::tensor_limit`].
    fn tensor_limit(&self) -> Option<[u64; 2]> {
        None
    }
    /// Whether frames are still computed on the device.
    #[cfg(feature = "gpu")]
    fn is_usable(&self) -> bool {
        true
    }
    /// Runs `work` and returns the convolutions that were computed meanwhile.
    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution>;
    /// Describes, for people, the faults of the device so far and what became of its frames; `None` if there were none.
    fn faults(&self) -> Option<String> {
        None
    }
}

/// Two frames on a device, ready for interpolation. Owned: it borrows neither the runner nor the frames.
pub(crate) trait FramePair: fmt::Debug + Send {
    /// Starts to compute the frame at `timestep`, between 0 and 1; several can be in flight on an asynchronous device. If the
    /// alpha planes of both frames are given, the result has alpha, warped and blended as the colours.
    fn submit(&self, timestep: f32, alpha: Option<[&[f32]; 2]>) -> Result<Pending>;
    /// Returns both frames warped to `timestep` by the network's flow, and both original frames.
    fn warped_at(&self, timestep: f32) -> Result<[[RgbImage; 2]; 2]>;
}

/// A submitted frame that may still be computed (future).
pub(crate) struct Pending(Box<dyn FnOnce() -> Result<RgbImage> + Send>);

impl Pending {
    /// Makes a pending frame of a function that waits for it. A frame that is dropped is never waited for.
    pub(crate) fn new(wait: impl FnOnce() -> Result<RgbImage> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// Makes a pending frame of a complete image.
    pub(crate) fn ready(image: RgbImage) -> Self {
        Self::new(|| Ok(image))
    }

    /// Waits until the frame is complete and returns it.
    pub(crate) fn wait(self) -> Result<RgbImage> {
        (self.0)()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

/// The [`Runner`] of a [`Model`] on a backend.
pub(crate) struct ModelRunner<B: Backend> {
    model: Model<B>,
    info: EngineInfo,
}

impl<B: Backend> ModelRunner<B> {
    /// Makes the runner of a loaded model; `info` are the device's settings.
    pub(crate) fn new(model: Model<B>, info: EngineInfo) -> Self {
        Self { model, info }
    }

    /// Returns the backend.
    #[cfg(feature = "gpu")]
    pub(crate) fn backend(&self) -> &B {
        self.model.backend()
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

    /// Returns one line for people: version, parameters, cost, timesteps and size rule of the network.
    fn describe(&self) -> String {
        self.model.describe()
    }

    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn prepare(&self, frame: &FrameView<'_>, options: &Options) -> Result<DeviceFrame> {
        let clamped = frame.to_planar(|value| value.clamp(0.0, 1.0));
        let image = Image::new(frame.width() as usize, frame.height() as usize, clamped)?;
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

    fn in_flight(&self) -> usize {
        self.model.backend().in_flight()
    }

    fn tensor_limit(&self) -> Option<[u64; 2]> {
        self.model.backend().tensor_limit()
    }

    fn profile(&self, work: &mut dyn FnMut()) -> Vec<Convolution> {
        self.model.backend().profile(work)
    }
}

/// The [`FramePair`] of a [`ModelRunner`].
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
    /// Starts the downloads of the frame, which [`Pending::wait`] waits for. Alpha planes are warped by the flow and blended by
    /// the mask.
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
        let picture = model.start_picture(&output, size)?;
        let alpha = moved
            .map(|alpha| backend.start_download(&alpha, size))
            .transpose()?;
        Ok(Pending::new(move || {
            let mut image = RgbImage::new(width as u32, height as u32, picture.wait()?);
            image.alpha = alpha.map(Download::wait).transpose()?;
            Ok(image)
        }))
    }

    /// Runs the network for its flow, warps both frames by it and downloads them with the original frames.
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
