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

    fn conv_layer(&self, layer: ConvSpec) -> ConvLayer {
        self.engine.conv_layer(&layer)
    }

    fn upload(&self, shape: [usize; 3], data: &[f32]) -> Result<Tensor> {
        Ok(self.engine.upload(shape, data))
    }

    fn download(&self, x: &Tensor) -> Result<Vec<f32>> {
        Ok(self.engine.download(x))
    }

    fn shape(&self, x: &Tensor) -> [usize; 3] {
        x.shape()
    }

    fn plane(&self, like: &Tensor, value: f32) -> Tensor {
        self.engine.plane(like, value)
    }

    fn timestep(&self, value: f32, _: &Tensor) -> f32 {
        value
    }

    fn timestep_affine(&self, timestep: &f32, factor: f32, offset: f32) -> f32 {
        timestep * factor + offset
    }

    fn timestep_plane(&self, timestep: &f32, like: &Tensor) -> Tensor {
        self.engine.plane(like, *timestep)
    }

    fn cat(&self, parts: &[&Tensor]) -> Tensor {
        self.engine.cat(parts)
    }

    fn narrow(&self, x: &Tensor, range: Range<usize>) -> Tensor {
        self.engine.narrow(x, range)
    }

    fn upload_padded(&self, shape: [usize; 3], data: &[f32], size: [usize; 2]) -> Result<Tensor> {
        Ok(self.engine.upload_padded(shape, data, size))
    }

    fn download_cropped(&self, x: &Tensor, size: [usize; 2]) -> Result<Vec<f32>> {
        Ok(self.engine.download_cropped(x, size))
    }

    fn add(&self, a: &Tensor, b: &Tensor) -> Tensor {
        self.engine.add(a, b)
    }

    fn affine(&self, x: &Tensor, factor: f32, offset: f32) -> Tensor {
        self.engine.affine(x, factor, offset)
    }

    fn clamp01(&self, x: &Tensor) -> Tensor {
        self.engine.clamp01(x)
    }

    fn sigmoid(&self, x: &Tensor) -> Tensor {
        self.engine.sigmoid(x)
    }

    fn resize(&self, x: &Tensor, factor: Resize) -> Tensor {
        self.engine.resize(x, factor)
    }

    fn warp(&self, x: &Tensor, flow: &Tensor) -> Tensor {
        self.engine.warp(x, flow)
    }

    fn warp_obmc(&self, x: &Tensor, velocity: &Tensor, factor: &f32, neighbours: [[isize; 2]; 2]) -> Tensor {
        self.engine.warp_obmc(x, velocity, *factor, neighbours)
    }

    fn cubic_residual(&self, x: &Tensor, flow: &Tensor) -> Tensor {
        self.engine.cubic_residual(x, flow)
    }

    fn add_last_channel(&self, x: &Tensor, by: &Tensor) -> Tensor {
        self.engine.add_last_channel(x, by)
    }

    fn dis_flow(&self, frames: [&Tensor; 2], level: u32, options: &DisOptions) -> Tensor {
        self.engine.dis_flow(frames, level, options)
    }

    fn project_flow(&self, flow: &Tensor, timestep: &f32) -> Tensor {
        self.engine.project_flow(flow, *timestep)
    }

    fn blend(&self, a: &Tensor, b: &Tensor, mask: &Tensor) -> Tensor {
        self.engine.blend(a, b, mask)
    }

    fn mul(&self, x: &Tensor, by: &Tensor) -> Tensor {
        self.engine.mul(x, by)
    }

    fn keep_static(&self, frames: [&Tensor; 2], made: &Tensor, threshold: f32) -> Tensor {
        self.engine.keep_static(frames, made, threshold)
    }

    fn conv(&self, x: &Tensor, layer: &ConvLayer) -> Tensor {
        self.engine.conv(x, layer)
    }

    fn pixel_shuffle(&self, x: &Tensor) -> Tensor {
        self.engine.pixel_shuffle(x)
    }

    fn conv_shuffled(&self, x: &Tensor, layer: &ConvLayer) -> Tensor {
        self.engine.conv_shuffled(x, layer)
    }

    fn rotate180(&self, x: &Tensor) -> Tensor {
        self.engine.rotate180(x)
    }

    fn max_abs(&self, x: &Tensor) -> Result<f32> {
        Ok(self.engine.max_abs(x))
    }

    fn materialize(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.engine.materialize(x))
    }
}
