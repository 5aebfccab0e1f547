//! The CPU engine as a [`Backend`].

use std::ops::Range;

use rife_cpu::{ConvLayer, Engine, EngineOptions, Tensor, TierError};

use super::{Backend, ConvSpec, Factor};

/// [`rife_cpu`]'s engine, lazy between convolutions.
#[derive(Debug)]
pub struct CpuBackend {
    engine: Engine,
}

impl CpuBackend {
    /// # Errors
    /// Where the options or `RIFE_CPU` name a tier that is unknown, or that the machine lacks.
    pub fn new(options: EngineOptions) -> Result<Self, TierError> {
        Engine::new(options).map(|engine| Self { engine })
    }

    /// The engine itself.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Backend for CpuBackend {
    type Tensor = Tensor;
    type Conv = ConvLayer;

    fn conv_layer(&self, layer: ConvSpec) -> ConvLayer {
        self.engine.conv_layer(&layer)
    }

    fn upload(&self, shape: [usize; 3], data: &[f32]) -> Tensor {
        self.engine.upload(shape, data)
    }

    fn download(&self, x: &Tensor) -> Vec<f32> {
        self.engine.download(x)
    }

    fn shape(&self, x: &Tensor) -> [usize; 3] {
        x.shape()
    }

    fn plane(&self, like: &Tensor, value: f32) -> Tensor {
        self.engine.plane(like, value)
    }

    fn cat(&self, parts: &[&Tensor]) -> Tensor {
        self.engine.cat(parts)
    }

    fn channels(&self, x: &Tensor, range: Range<usize>) -> Tensor {
        self.engine.channels(x, range)
    }

    fn upload_extended(&self, shape: [usize; 3], data: &[f32], size: [usize; 2]) -> Tensor {
        self.engine.upload_extended(shape, data, size)
    }

    fn download_corner(&self, x: &Tensor, size: [usize; 2]) -> Vec<f32> {
        self.engine.download_corner(x, size)
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

    fn resize(&self, x: &Tensor, factor: Factor) -> Tensor {
        self.engine.resize(x, factor)
    }

    fn warp(&self, x: &Tensor, flow: &Tensor) -> Tensor {
        self.engine.warp(x, flow)
    }

    fn warp_near(&self, x: &Tensor, velocity: &Tensor, by: &Tensor, near: [[isize; 2]; 2]) -> Tensor {
        let by = self.engine.download_corner(by, [1, 1])[0];
        self.engine.warp_near(x, velocity, by, near)
    }

    fn detail(&self, x: &Tensor, flow: &Tensor) -> Tensor {
        self.engine.detail(x, flow)
    }

    fn sharpen(&self, x: &Tensor, by: &Tensor) -> Tensor {
        self.engine.sharpen(x, by)
    }

    fn motion(&self, frames: [&Tensor; 2], timestep: &Tensor, finest: u32) -> Tensor {
        let timestep = self.engine.download_corner(timestep, [1, 1])[0];
        self.engine.motion(frames, timestep, finest)
    }

    fn blend(&self, a: &Tensor, b: &Tensor, mask: &Tensor) -> Tensor {
        self.engine.blend(a, b, mask)
    }

    fn scaled(&self, x: &Tensor, by: &Tensor) -> Tensor {
        self.engine.scaled(x, by)
    }

    fn keep_still(&self, frames: [&Tensor; 2], made: &Tensor) -> Tensor {
        self.engine.keep_still(frames, made)
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

    fn max_abs(&self, x: &Tensor) -> f32 {
        self.engine.max_abs(x)
    }

    fn materialize(&self, x: &Tensor) -> Tensor {
        self.engine.materialize(x)
    }
}
