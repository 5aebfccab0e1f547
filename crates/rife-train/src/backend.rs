//! Training backend: implements [`Backend`] with Burn tensors `[batch, channels, height, width]`; networks see the last three
//! dimensions.
//!
//! Tensors are lazy where that saves work without changing the result: a warp that is only read by a downsampling is
//! evaluated at the pixels that the downsampling reads, and an upsampling followed by a smaller downsampling becomes a
//! smaller upsampling.

pub(crate) mod conv;
mod lazy;
pub mod resample;
pub mod warp;

use std::ops::Range;
use std::sync::OnceLock;

use burn_tensor::{Device, FloatDType, Tensor, TensorData, activation};
use rife_backend::composed::{self, SampleOps};
use rife_backend::{Backend, ConvSpec, DisOptions, Resize, Result};
use rife_cpu::{Engine, EngineOptions};

pub use conv::Conv;
pub use lazy::Batch;

/// A backend on one Burn device; gradients are recorded if the device has autodiff.
#[derive(Debug, Clone)]
pub struct BurnBackend {
    device: Device,
    /// Type in which convolutions are computed; `None` is f32.
    half: Option<FloatDType>,
}

impl BurnBackend {
    /// Makes a backend on `device` that computes in f32.
    pub fn new(device: Device) -> Self {
        Self { device, half: None }
    }

    /// Sets the type in which convolutions are computed (`None`: f32); all other operations stay in f32, since Burn has no
    /// automatic mixed precision.
    pub fn with_half(self, half: Option<FloatDType>) -> Self {
        Self { half, ..self }
    }

    /// Returns the device of the tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Makes a tensor of `shape`, `[batch, channels, height, width]`, from values in row-major order.
    ///
    /// # Panics
    /// When the length of `data` is not the product of `shape`.
    pub fn batch(&self, shape: [usize; 4], data: Vec<f32>) -> Batch {
        Batch::dense(Tensor::from_data(TensorData::new(data, shape), &self.device))
    }

    /// Makes the timesteps of a batch, one per sample: `[batch, 1, 1, 1]`.
    pub fn timesteps(&self, values: &[f32]) -> Tensor<4> {
        Tensor::from_data(
            TensorData::new(values.to_vec(), [values.len(), 1, 1, 1]),
            &self.device,
        )
    }
}

/// Returns the CPU engine that runs dense inverse search, created at the first call.
fn dis_engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineOptions::default()).expect("an engine with the defaults"))
}

impl Backend for BurnBackend {
    type Tensor = Batch;
    type Conv = Conv;
    /// One timestep per sample, `[batch, 1, 1, 1]`.
    type Timestep = Tensor<4>;

    /// Makes a layer of constant tensors.
    fn conv_layer(&self, spec: ConvSpec) -> Conv {
        Conv::constant(spec, &self.device)
    }

    /// Makes a tensor of a batch of one.
    fn upload(&self, [channels, height, width]: [usize; 3], data: &[f32]) -> Result<Batch> {
        Ok(self.batch([1, channels, height, width], data.to_vec()))
    }

    /// Downloads the first sample.
    fn download(&self, x: &Batch) -> Result<Vec<f32>> {
        Ok(values(x.tensor().narrow(0, 0, 1)))
    }

    /// Returns `[channels, height, width]` of a sample.
    fn shape(&self, x: &Batch) -> [usize; 3] {
        let [_, channels, height, width] = x.dims();
        [channels, height, width]
    }

    /// Makes one channel of a constant value.
    fn plane(&self, like: &Batch, value: f32) -> Batch {
        self.timestep_plane(&self.timestep(value, like), like)
    }

    /// Makes the same timestep for all samples.
    fn timestep(&self, value: f32, like: &Batch) -> Tensor<4> {
        self.timesteps(&vec![value; like.dims()[0]])
    }

    /// Computes `timestep * factor + offset` for each sample.
    fn timestep_affine(&self, timestep: &Tensor<4>, factor: f32, offset: f32) -> Tensor<4> {
        timestep.clone() * factor + offset
    }

    /// Expands each sample's timestep to one channel.
    fn timestep_plane(&self, timestep: &Tensor<4>, like: &Batch) -> Batch {
        let [batch, _, height, width] = like.dims();
        Batch::dense(timestep.clone().expand([batch, 1, height, width]))
    }

    /// Concatenates along the channels.
    fn cat(&self, parts: &[&Batch]) -> Batch {
        Batch::dense(Tensor::cat(parts.iter().map(|part| part.tensor()).collect(), 1))
    }

    /// Slices the channels; lazy for an upsampled tensor.
    fn narrow(&self, x: &Batch, range: Range<usize>) -> Batch {
        x.map_planes(|x| x.narrow(1, range.start, range.len()))
    }

    /// Adds elementwise.
    fn add(&self, a: &Batch, b: &Batch) -> Batch {
        Batch::dense(a.tensor() + b.tensor())
    }

    /// Computes `x * factor + offset`; lazy for an upsampled tensor.
    fn affine(&self, x: &Batch, factor: f32, offset: f32) -> Batch {
        x.map_planes(|x| {
            let scaled = if factor == 1.0 { x } else { x * factor };
            if offset == 0.0 { scaled } else { scaled + offset }
        })
    }

    /// Clamps to 0..1.
    fn clamp01(&self, x: &Batch) -> Batch {
        Batch::dense(x.tensor().clamp(0.0, 1.0))
    }

    /// Computes the logistic function.
    fn sigmoid(&self, x: &Batch) -> Batch {
        Batch::dense(activation::sigmoid(x.tensor()))
    }

    /// Resizes lazily, bilinear.
    fn resize(&self, x: &Batch, factor: Resize) -> Batch {
        match factor {
            Resize::Up(factor) => x.upsampled(factor),
            Resize::Down(factor) => x.downsampled(factor),
        }
    }

    /// Makes a lazy backward warp.
    fn warp(&self, x: &Batch, flow: &Batch) -> Batch {
        Batch::warped(x.tensor(), flow.tensor())
    }

    /// Calls [`composed::warp_obmc`].
    fn warp_obmc(
        &self,
        x: &Batch,
        velocity: &Batch,
        factor: &Tensor<4>,
        neighbours: [[isize; 2]; 2],
    ) -> Batch {
        composed::warp_obmc(self, x, velocity, factor, neighbours)
    }

    /// Calls [`composed::cubic_residual`].
    fn cubic_residual(&self, x: &Batch, flow: &Batch) -> Batch {
        composed::cubic_residual(self, x, flow)
    }

    /// Computes the flow on the CPU engine, whatever the device: the search has no gradient, and the engine's kernels are ten
    /// times faster than a composition of tensor operations.
    fn dis_flow(&self, frames: [&Batch; 2], level: u32, options: &DisOptions) -> Batch {
        let [count, channels, height, width] = frames[0].tensor().dims();
        let frames = frames.map(|frame| values(frame.tensor().detach()));
        let engine = dis_engine();
        let size = channels * height * width;
        let flow = (0..count).flat_map(|i| {
            let frames = frames.each_ref().map(|frame| {
                let image = &frame[i * size..][..size];
                engine.materialize(&engine.upload([channels, height, width], image))
            });
            engine.download(&engine.dis_flow(frames.each_ref(), level, options))
        });
        self.batch([count, 4, height >> level, width >> level], flow.collect())
    }

    /// Projects the flow on the CPU engine, without a gradient.
    fn project_flow(&self, flow: &Batch, timestep: &Tensor<4>) -> Batch {
        let shape @ [_, channels, height, width] = flow.dims();
        let (flow, times) = (values(flow.tensor().detach()), values(timestep.clone()));
        let engine = dis_engine();
        let samples = flow.chunks_exact(channels * height * width).zip(times);
        let projected = samples.flat_map(|(flow, timestep)| {
            let flow = engine.upload([channels, height, width], flow);
            engine.download(&engine.project_flow(&flow, timestep))
        });
        self.batch(shape, projected.collect())
    }

    /// Blends two tensors by a mask: `b + (a - b) * sigmoid(mask)`.
    fn blend(&self, a: &Batch, b: &Batch, mask: &Batch) -> Batch {
        let gate = activation::sigmoid(mask.tensor());
        let b = b.tensor();
        Batch::dense((a.tensor() - b.clone()) * gate + b)
    }

    /// Multiplies all channels by one channel.
    fn mul(&self, x: &Batch, by: &Batch) -> Batch {
        Batch::dense(x.tensor() * by.tensor())
    }

    /// Replaces static pixels by the mean of the frames, with a weight that falls linearly with their difference.
    fn keep_static(&self, [a, b]: [&Batch; 2], made: &Batch, threshold: f32) -> Batch {
        let (a, b, made) = (a.tensor(), b.tensor(), made.tensor());
        let difference = (a.clone() - b.clone()).abs().max_dim(1);
        let weight = (difference * -255.0 + threshold).clamp(0.0, 1.0);
        Batch::dense(made.clone() + ((a + b) * 0.5 - made) * weight)
    }

    /// Applies a layer, the convolution in the backend's 16-bit type if one is set.
    fn conv(&self, x: &Batch, layer: &Conv) -> Batch {
        Batch::dense(layer.apply(&x.tensor(), self.half))
    }

    /// Applies PixelShuffle(2).
    fn pixel_shuffle(&self, x: &Batch) -> Batch {
        Batch::dense(resample::pixel_shuffle(x.tensor()))
    }

    /// Flips both axes.
    fn rotate180(&self, x: &Batch) -> Batch {
        Batch::dense(x.tensor().flip([2, 3]))
    }

    /// Downloads the maximum absolute value over the batch.
    fn max_abs(&self, x: &Batch) -> Result<f32> {
        Ok(x.tensor().inner().abs().max().into_scalar::<f32>())
    }
}

impl SampleOps for BurnBackend {
    /// Shifts along both axes with edge replication.
    fn shift(&self, x: &Batch, down: isize, right: isize) -> Batch {
        Batch::dense(shifted(shifted(x.tensor(), 2, down), 3, right))
    }

    /// Makes the pixel coordinates, x then y.
    fn pixel_grid(&self, like: &Batch) -> Batch {
        let [batch, _, height, width] = like.dims();
        let columns = (0..height).flat_map(|_| (0..width).map(|x| x as f32));
        let rows = (0..height).flat_map(|y| (0..width).map(move |_| y as f32));
        let one = self.batch([1, 2, height, width], columns.chain(rows).collect());
        Batch::dense(one.tensor().expand([batch, 2, height, width]))
    }

    /// Rounds down elementwise.
    fn floor(&self, x: &Batch) -> Batch {
        Batch::dense(x.tensor().floor())
    }
}

/// Shifts along an axis of n values with edge replication: `out[i] = x[clamp(i + by, 0, n - 1)]`.
fn shifted(x: Tensor<4>, axis: usize, by: isize) -> Tensor<4> {
    let (side, off) = (x.dims()[axis], by.unsigned_abs());
    if off == 0 {
        return x;
    }
    let edge = x.clone().narrow(axis, if by > 0 { side - 1 } else { 0 }, 1);
    let mut parts = vec![edge; off.min(side)];
    let kept = side - parts.len();
    if kept > 0 && by > 0 {
        parts.insert(0, x.narrow(axis, off, kept));
    } else if kept > 0 {
        parts.push(x.narrow(axis, 0, kept));
    }
    Tensor::cat(parts, axis)
}

/// Downloads the values of an f32 tensor in row-major order.
pub fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.inner()
        .into_data()
        .try_into_vec::<f32>()
        .expect("training tensors are f32")
}
