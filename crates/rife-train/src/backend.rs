//! The [`Backend`] of the networks on Burn tensors `[batch, channels, height, width]`: the batch stays inside, the
//! networks see the other three sizes. Nothing of losses or of data belongs here.
//!
//! Tensors are evaluated late where that saves work without changing the result: a warp that is only read
//! after a reduction is evaluated at the pixels that the reduction reads, and an enlargement followed by a smaller
//! reduction is a smaller enlargement.

pub(crate) mod conv;
mod lazy;
pub mod resample;
pub mod warp;

use std::ops::Range;
use std::sync::OnceLock;

use burn_tensor::{Device, FloatDType, Tensor, TensorData, activation};
use rife_cpu::{Engine, EngineOptions};
use rife_nets::{Backend, ConvSpec, Factor, Placed, composed_detail, composed_near};

pub use conv::Conv;
pub use lazy::Batch;

/// Runs networks on one Burn device, with or without autodiff as the device says.
#[derive(Debug, Clone)]
pub struct BurnBackend {
    device: Device,
    half: Option<FloatDType>,
}

impl BurnBackend {
    /// A back end on `device`.
    pub fn new(device: Device) -> Self {
        Self { device, half: None }
    }

    /// Convolutions in this type where one is given, all else in f32: Burn has no automatic mixed precision.
    pub fn with_half(self, half: Option<FloatDType>) -> Self {
        Self { half, ..self }
    }

    /// The device of its tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A tensor from `[batch, channels, height, width]` values in row-major order.
    ///
    /// # Panics
    /// Where `data` has not `shape`'s product of values.
    pub fn batch(&self, shape: [usize; 4], data: Vec<f32>) -> Batch {
        Batch::dense(Tensor::from_data(TensorData::new(data, shape), &self.device))
    }

    /// One plane a sample, `[batch, 1, height, width]`, of that sample's value.
    pub fn planes(&self, values: &[f32], [height, width]: [usize; 2]) -> Batch {
        let shape = [values.len(), 1, 1, 1];
        let column: Tensor<4> = Tensor::from_data(TensorData::new(values.to_vec(), shape), &self.device);
        Batch::dense(column.expand([values.len(), 1, height, width]))
    }
}

/// The engine that finds motion.
fn searcher() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineOptions::default()).expect("an engine with the defaults"))
}

impl Backend for BurnBackend {
    type Tensor = Batch;
    type Conv = Conv;

    fn conv_layer(&self, spec: ConvSpec) -> Conv {
        Conv::constant(spec, &self.device)
    }

    fn upload(&self, [channels, height, width]: [usize; 3], data: &[f32]) -> Batch {
        self.batch([1, channels, height, width], data.to_vec())
    }

    fn download(&self, x: &Batch) -> Vec<f32> {
        values(x.tensor().narrow(0, 0, 1))
    }

    fn shape(&self, x: &Batch) -> [usize; 3] {
        let [_, channels, height, width] = x.dims();
        [channels, height, width]
    }

    fn plane(&self, like: &Batch, value: f32) -> Batch {
        let [batch, _, height, width] = like.dims();
        self.planes(&vec![value; batch], [height, width])
    }

    fn cat(&self, parts: &[&Batch]) -> Batch {
        Batch::dense(Tensor::cat(parts.iter().map(|part| part.tensor()).collect(), 1))
    }

    fn channels(&self, x: &Batch, range: Range<usize>) -> Batch {
        x.map_planes(|x| x.narrow(1, range.start, range.len()))
    }

    fn add(&self, a: &Batch, b: &Batch) -> Batch {
        Batch::dense(a.tensor() + b.tensor())
    }

    fn affine(&self, x: &Batch, factor: f32, offset: f32) -> Batch {
        x.map_planes(|x| {
            let scaled = if factor == 1.0 { x } else { x * factor };
            if offset == 0.0 { scaled } else { scaled + offset }
        })
    }

    fn clamp01(&self, x: &Batch) -> Batch {
        Batch::dense(x.tensor().clamp(0.0, 1.0))
    }

    fn sigmoid(&self, x: &Batch) -> Batch {
        Batch::dense(activation::sigmoid(x.tensor()))
    }

    fn resize(&self, x: &Batch, factor: Factor) -> Batch {
        match factor {
            Factor::Up(factor) => x.enlarged(factor),
            Factor::Down(factor) => x.reduced(factor),
        }
    }

    fn warp(&self, x: &Batch, flow: &Batch) -> Batch {
        Batch::warped(x.tensor(), flow.tensor())
    }

    fn warp_near(&self, x: &Batch, velocity: &Batch, by: &Batch, near: [[isize; 2]; 2]) -> Batch {
        composed_near(self, x, velocity, by, near)
    }

    fn detail(&self, x: &Batch, flow: &Batch) -> Batch {
        composed_detail(self, x, flow)
    }

    /// By the CPU engine, wherever all else is: it has no gradient, and is made of small choices that a kernel takes
    /// ten times faster than operations on whole planes.
    fn motion(&self, frames: [&Batch; 2], timestep: &Batch, finest: u32) -> Batch {
        let [count, channels, height, width] = frames[0].tensor().dims();
        let [first, second, times] = [frames[0], frames[1], timestep].map(|x| values(x.tensor().detach()));
        let engine = searcher();
        let size = channels * height * width;
        let found = (0..count).flat_map(|i| {
            let frames = [&first, &second].map(|frame| {
                let image = &frame[i * size..][..size];
                engine.materialize(&engine.upload([channels, height, width], image))
            });
            let timestep = times[i * times.len() / count];
            engine.download(&engine.motion(frames.each_ref(), timestep, finest))
        });
        self.batch([count, 4, height >> finest, width >> finest], found.collect())
    }

    fn blend(&self, a: &Batch, b: &Batch, mask: &Batch) -> Batch {
        let gate = activation::sigmoid(mask.tensor());
        let b = b.tensor();
        Batch::dense((a.tensor() - b.clone()) * gate + b)
    }

    fn scaled(&self, x: &Batch, by: &Batch) -> Batch {
        Batch::dense(x.tensor() * by.tensor())
    }

    fn keep_still(&self, [a, b]: [&Batch; 2], made: &Batch) -> Batch {
        let (a, b, made) = (a.tensor(), b.tensor(), made.tensor());
        let apart = (a.clone() - b.clone()).abs().max_dim(1);
        let share = (apart * -255.0 + 1.5).clamp(0.0, 1.0);
        Batch::dense(made.clone() + ((a + b) * 0.5 - made) * share)
    }

    fn conv(&self, x: &Batch, layer: &Conv) -> Batch {
        Batch::dense(layer.apply(&x.tensor(), self.half))
    }

    fn pixel_shuffle(&self, x: &Batch) -> Batch {
        Batch::dense(resample::pixel_shuffle(x.tensor()))
    }

    fn rotate180(&self, x: &Batch) -> Batch {
        Batch::dense(x.tensor().flip([2, 3]))
    }

    fn max_abs(&self, x: &Batch) -> f32 {
        x.tensor().inner().abs().max().into_scalar::<f32>()
    }
}

impl Placed for BurnBackend {
    fn neighbour(&self, x: &Batch, down: isize, right: isize) -> Batch {
        Batch::dense(shifted(shifted(x.tensor(), 2, down), 3, right))
    }

    fn places(&self, like: &Batch) -> Batch {
        let [batch, _, height, width] = like.dims();
        let columns = (0..height).flat_map(|_| (0..width).map(|x| x as f32));
        let rows = (0..height).flat_map(|y| (0..width).map(move |_| y as f32));
        let one = self.batch([1, 2, height, width], columns.chain(rows).collect());
        Batch::dense(one.tensor().expand([batch, 2, height, width]))
    }

    fn whole(&self, x: &Batch) -> Batch {
        Batch::dense(x.tensor().floor())
    }
}

/// Each value's neighbour so far along an axis, the last one before the edge repeated beyond it.
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

/// The values of a tensor in row-major order.
pub fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.inner()
        .into_data()
        .try_into_vec::<f32>()
        .expect("training tensors are f32")
}
