//! [`Backend`] implementation of the CPU engine: each operation calls the method of [`Engine`] of the same name.

use std::ops::Range;

use rife_backend::{Backend, ConvSpec, DisOptions, Resize, Result};

use crate::{ConvLayer, Engine, EngineOptions, Tensor, TierError};

/// The CPU [`Engine`] as a [`Backend`]; tensors are lazy between convolutions.
#[derive(Debug)]
pub struct CpuBackend {
    engine: Engine,
}

impl CpuBackend {
    /// Starts an engine with its threads.
    ///
    /// # Errors
    /// [`TierError`] if the tier in the options or in `RIFE_CPU` is unknown or not available, or lacks the precision.
    pub fn new(options: EngineOptions) -> std::result::Result<Self, TierError> {
        Engine::new(options).map(|engine| Self { engine })
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Backend for CpuBackend {
    type Tensor = Tensor;
    type Conv = ConvLayer;
    type Timestep = f32;

    /// Packs the weights for the engine's kernels.
    fn conv_layer(&self, layer: ConvSpec) -> ConvLayer {
        self.engine.conv_layer(&layer)
    }

    /// Copies values into a tensor.
    fn upload(&self, shape: [usize; 3], data: &[f32]) -> Result<Tensor> {
        Ok(self.engine.upload(shape, data))
    }

    /// Evaluates the tensor and copies its values.
    fn download(&self, x: &Tensor) -> Result<Vec<f32>> {
        Ok(self.engine.download(x))
    }

    /// Returns the shape, `[channels, height, width]`.
    fn shape(&self, x: &Tensor) -> [usize; 3] {
        x.shape()
    }

    /// Makes one channel of a constant value.
    fn plane(&self, like: &Tensor, value: f32) -> Tensor {
        self.engine.plane(like, value)
    }

    /// Returns the number itself.
    fn timestep(&self, value: f32, _: &Tensor) -> f32 {
        value
    }

    /// Computes `timestep * factor + offset`.
    fn timestep_affine(&self, timestep: &f32, factor: f32, offset: f32) -> f32 {
        timestep * factor + offset
    }

    /// Makes one channel of a constant timestep.
    fn timestep_plane(&self, timestep: &f32, like: &Tensor) -> Tensor {
        self.engine.plane(like, *timestep)
    }

    /// Concatenates along the channels.
    fn cat(&self, parts: &[&Tensor]) -> Tensor {
        self.engine.cat(parts)
    }

    /// Slices a range of the channels.
    fn narrow(&self, x: &Tensor, range: Range<usize>) -> Tensor {
        self.engine.narrow(x, range)
    }

    /// Copies values into a tensor, padded on the right and at the bottom by replication.
    fn upload_padded(&self, shape: [usize; 3], data: &[f32], size: [usize; 2]) -> Result<Tensor> {
        Ok(self.engine.upload_padded(shape, data, size))
    }

    /// Evaluates the upper left `size`, `[height, width]`, and copies its values.
    fn download_cropped(&self, x: &Tensor, size: [usize; 2]) -> Result<Vec<f32>> {
        Ok(self.engine.download_cropped(x, size))
    }

    /// Adds elementwise.
    fn add(&self, a: &Tensor, b: &Tensor) -> Tensor {
        self.engine.add(a, b)
    }

    /// Computes `x * factor + offset` elementwise.
    fn affine(&self, x: &Tensor, factor: f32, offset: f32) -> Tensor {
        self.engine.affine(x, factor, offset)
    }

    /// Clamps to 0..=1.
    fn clamp01(&self, x: &Tensor) -> Tensor {
        self.engine.clamp01(x)
    }

    /// Computes the logistic function elementwise.
    fn sigmoid(&self, x: &Tensor) -> Tensor {
        self.engine.sigmoid(x)
    }

    /// Resizes bilinearly.
    fn resize(&self, x: &Tensor, factor: Resize) -> Tensor {
        self.engine.resize(x, factor)
    }

    /// Warps backward by a flow in pixels.
    fn warp(&self, x: &Tensor, flow: &Tensor) -> Tensor {
        self.engine.warp(x, flow)
    }

    /// Averages two backward warps by `factor` times the velocities of two neighbours.
    fn warp_obmc(&self, x: &Tensor, velocity: &Tensor, factor: &f32, neighbours: [[isize; 2]; 2]) -> Tensor {
        self.engine.warp_obmc(x, velocity, *factor, neighbours)
    }

    /// Computes Catmull-Rom minus bilinear interpolation.
    fn cubic_residual(&self, x: &Tensor, flow: &Tensor) -> Tensor {
        self.engine.cubic_residual(x, flow)
    }

    /// Adds the last channel times `by` to the other channels and drops it.
    fn add_last_channel(&self, x: &Tensor, by: &Tensor) -> Tensor {
        self.engine.add_last_channel(x, by)
    }

    /// Computes forward and backward flow by dense inverse search.
    fn dis_flow(&self, frames: [&Tensor; 2], level: u32, options: &DisOptions) -> Tensor {
        self.engine.dis_flow(frames, level, options)
    }

    /// Projects a flow to a timestep.
    fn project_flow(&self, flow: &Tensor, timestep: &f32) -> Tensor {
        self.engine.project_flow(flow, *timestep)
    }

    /// Blends `a` and `b` by the sigmoid of a mask.
    fn blend(&self, a: &Tensor, b: &Tensor, mask: &Tensor) -> Tensor {
        self.engine.blend(a, b, mask)
    }

    /// Multiplies each channel by one channel.
    fn mul(&self, x: &Tensor, by: &Tensor) -> Tensor {
        self.engine.mul(x, by)
    }

    /// Replaces static pixels of `made` by the mean of the frames.
    fn keep_static(&self, frames: [&Tensor; 2], made: &Tensor, threshold: f32) -> Tensor {
        self.engine.keep_static(frames, made, threshold)
    }

    /// Applies a convolution.
    fn conv(&self, x: &Tensor, layer: &ConvLayer) -> Tensor {
        self.engine.conv(x, layer)
    }

    /// Applies PixelShuffle(2).
    fn pixel_shuffle(&self, x: &Tensor) -> Tensor {
        self.engine.pixel_shuffle(x)
    }

    /// Applies a convolution, then PixelShuffle(2).
    fn conv_shuffled(&self, x: &Tensor, layer: &ConvLayer) -> Tensor {
        self.engine.conv_shuffled(x, layer)
    }

    /// Rotates by 180 degrees.
    fn rotate180(&self, x: &Tensor) -> Tensor {
        self.engine.rotate180(x)
    }

    /// Returns the maximum absolute value.
    fn max_abs(&self, x: &Tensor) -> Result<f32> {
        Ok(self.engine.max_abs(x))
    }

    /// Evaluates the tensor now.
    fn materialize(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.engine.materialize(x))
    }
}
