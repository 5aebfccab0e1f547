//! The GPU engine as a [`Backend`].

use std::ops::Range;
use std::sync::Arc;

use rife_backend::{Backend, ConvSpec, DisOptions, Download, Resize, Result};

use crate::dis;
use crate::engine::{Engine, Work};
use crate::tensor::{GpuTensor, Layout, Op, unrounded};
use crate::{Adapter, AdapterInfo, ConvLayer, GpuError, KernelRun, KernelStore, Precision};

/// Maximum number of operands of one concatenation node.
const MAX_PARTS: usize = 3;

/// A GPU engine, lazy between convolutions. Where an operation fails, its result holds the error, as does everything computed
/// from it; [`Backend::download`] and [`Backend::materialize`] return the error.
#[derive(Debug)]
pub struct GpuBackend {
    engine: Engine,
}

impl GpuBackend {
    /// Opens an adapter, to compute in a number format.
    ///
    /// # Errors
    /// Where the driver refuses, or the adapter lacks what the kernels or the number format need.
    pub fn new(adapter: &Adapter, precision: Precision) -> std::result::Result<Self, GpuError> {
        Engine::open(adapter, precision, false, None).map(|engine| Self { engine })
    }

    /// Opens an adapter as [`GpuBackend::new`] does, and keeps compiled kernels in a store: they are loaded from it now, where
    /// the driver can, and saved by [`GpuBackend::save_kernels`] and when the backend is dropped.
    ///
    /// # Errors
    /// Those of [`GpuBackend::new`].
    pub fn with_store(
        adapter: &Adapter,
        precision: Precision,
        store: Arc<dyn KernelStore>,
    ) -> std::result::Result<Self, GpuError> {
        Engine::open(adapter, precision, false, Some(store)).map(|engine| Self { engine })
    }

    /// Saves the kernels that were compiled so far, if there is a store and the driver can.
    pub fn save_kernels(&self) {
        self.engine.device.save_kernels();
    }

    /// Opens an adapter to count the work of a network: kernels are generated, and neither compiled nor run; values have no
    /// meaning.
    ///
    /// # Errors
    /// Those of [`GpuBackend::new`].
    pub fn new_counting(adapter: &Adapter, precision: Precision) -> std::result::Result<Self, GpuError> {
        Engine::open(adapter, precision, true, None).map(|engine| Self { engine })
    }

    /// Returns what the driver reports about the adapter.
    pub fn info(&self) -> &AdapterInfo {
        self.engine.info()
    }

    /// Returns the bytes of device memory allocated now: buffers in use and idle ones kept for reuse.
    pub fn memory_held(&self) -> u64 {
        self.engine.device.pool.held_bytes()
    }

    /// Returns the maximum number of bytes of device memory that were allocated at once.
    pub fn memory_peak(&self) -> u64 {
        self.engine.device.pool.peak_bytes()
    }

    /// Returns the bytes of the largest tensor that a kernel wrote, or had no buffer for.
    pub fn largest_tensor(&self) -> u64 {
        self.engine.largest_tensor()
    }

    /// Returns the bytes that the largest tensor of this device can have.
    pub fn max_tensor(&self) -> u64 {
        self.engine.device.pool.max_bytes()
    }

    /// Returns how much the device computed since it was opened.
    pub fn work(&self) -> Work {
        self.engine.work()
    }

    /// Runs `work` and returns the kernel runs that it caused. Each is submitted and waited for alone, so that `work` takes longer
    /// than usual; their times are the device's.
    pub fn profile(&self, work: &mut dyn FnMut()) -> Vec<KernelRun> {
        self.engine.device.profile(work)
    }

    /// Returns the WGSL text of every kernel that was compiled.
    pub fn kernel_sources(&self) -> Vec<String> {
        self.engine.device.sources()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// Returns the computed tensor, or a tensor of `shape` that holds the error.
fn or_failed(shape: [usize; 3], computed: Result<GpuTensor>) -> GpuTensor {
    computed.unwrap_or_else(|error| GpuTensor::from_stored(shape, Err(error)))
}

/// Returns the tensors of which `parts` are reductions by one factor, and that factor: so reduced together, what they have in
/// common is computed once for each pixel. `None` where they are not.
fn before_resize(parts: &[&GpuTensor]) -> Option<(Vec<GpuTensor>, Resize)> {
    let reduced = |x: &GpuTensor| match &x.0.op {
        Op::Resize(of, factor @ Resize::Down(_)) if !x.is_stored() => Some((of.clone(), *factor)),
        _ => None,
    };
    let (first, factor) = parts.iter().find_map(|part| reduced(part))?;
    let [_, height, width] = first.shape();
    let larger = |part: &&GpuTensor| match &part.0.op {
        Op::Constant(value) => Some(GpuTensor::new([1, height, width], Op::Constant(*value))),
        // Multiplying by a power of two is exact, before and after.
        Op::Affine(x, by, 0.0) if by.log2().fract() == 0.0 && !part.is_stored() => {
            let (of, found) = reduced(x)?;
            (found == factor).then(|| GpuTensor::new(of.shape(), Op::Affine(of.clone(), *by, 0.0)))
        }
        _ => {
            let (of, found) = reduced(part)?;
            (found == factor).then_some(of)
        }
    };
    let larger: Vec<_> = parts.iter().map(larger).collect::<Option<_>>()?;
    (larger.len() > 1).then_some((larger, factor))
}

/// Returns a side of a resized tensor.
fn resized(side: usize, factor: Resize) -> usize {
    match factor {
        Resize::Up(by) => side * by,
        Resize::Down(by) => {
            assert!(side.is_multiple_of(by), "a side of {side} reduced by {by}");
            side / by
        }
    }
}

impl Backend for GpuBackend {
    type Tensor = GpuTensor;
    type Conv = ConvLayer;
    type Timestep = f32;

    fn conv_layer(&self, spec: ConvSpec) -> ConvLayer {
        self.engine.conv_layer(&spec)
    }

    fn upload(&self, shape: [usize; 3], data: &[f32]) -> Result<GpuTensor> {
        self.engine.upload(shape, data)
    }

    fn download(&self, x: &GpuTensor) -> Result<Vec<f32>> {
        let [_, height, width] = x.shape();
        self.download_cropped(x, [height, width])
    }

    fn upload_padded(
        &self,
        shape: [usize; 3],
        data: &[f32],
        [height, width]: [usize; 2],
    ) -> Result<GpuTensor> {
        assert!(
            shape[1] <= height && shape[2] <= width,
            "{shape:?} in {width}x{height}"
        );
        Ok(dis::window(&self.engine.upload(shape, data)?, [height, width]))
    }

    fn download_cropped(&self, x: &GpuTensor, size: [usize; 2]) -> Result<Vec<f32>> {
        self.engine.start_download(x, size)?.wait()
    }

    fn start_download(&self, x: &GpuTensor, size: [usize; 2]) -> Result<Download> {
        self.engine.start_download(x, size)
    }

    fn shape(&self, x: &GpuTensor) -> [usize; 3] {
        x.shape()
    }

    fn plane(&self, like: &GpuTensor, value: f32) -> GpuTensor {
        let [_, height, width] = like.shape();
        GpuTensor::new([1, height, width], Op::Constant(value))
    }

    fn timestep(&self, value: f32, _: &GpuTensor) -> f32 {
        value
    }

    fn timestep_affine(&self, timestep: &f32, factor: f32, offset: f32) -> f32 {
        timestep * factor + offset
    }

    fn timestep_plane(&self, timestep: &f32, like: &GpuTensor) -> GpuTensor {
        self.plane(like, *timestep)
    }

    fn mul_timestep(&self, x: &GpuTensor, timestep: &f32) -> GpuTensor {
        self.affine(x, *timestep, 0.0)
    }

    fn cat(&self, parts: &[&GpuTensor]) -> GpuTensor {
        let [_, height, width] = parts.first().expect("tensors to concatenate").shape();
        let same = parts.iter().all(|part| part.shape()[1..] == [height, width]);
        assert!(same, "tensors of different sizes can't be concatenated");
        if let Some((larger, factor)) = before_resize(parts) {
            return self.resize(&self.cat(&larger.iter().collect::<Vec<_>>()), factor);
        }
        let mut parts: Vec<GpuTensor> = parts.iter().copied().cloned().collect();
        let channels = |parts: &[GpuTensor]| parts.iter().map(|part| part.shape()[0]).sum();
        // A tree, so that a kernel that reads too many buffers can be split.
        while parts.len() > MAX_PARTS {
            let joined = |group: &[GpuTensor]| match group {
                [one] => one.clone(),
                _ => GpuTensor::new([channels(group), height, width], Op::Cat(group.to_vec())),
            };
            parts = parts.chunks(MAX_PARTS).map(joined).collect();
        }
        match &parts[..] {
            [one] => one.clone(),
            _ => GpuTensor::new([channels(&parts), height, width], Op::Cat(parts)),
        }
    }

    fn narrow(&self, x: &GpuTensor, range: Range<usize>) -> GpuTensor {
        let [channels, height, width] = x.shape();
        assert!(range.end <= channels, "channels {range:?} of {channels}");
        GpuTensor::new([range.len(), height, width], Op::Narrow(x.clone(), range.start))
    }

    fn add(&self, a: &GpuTensor, b: &GpuTensor) -> GpuTensor {
        assert_eq!(a.shape(), b.shape(), "added tensors differ in shape");
        GpuTensor::new(a.shape(), Op::Add(a.clone(), b.clone()))
    }

    fn mul(&self, x: &GpuTensor, by: &GpuTensor) -> GpuTensor {
        let [_, height, width] = x.shape();
        assert_eq!(by.shape(), [1, height, width], "a factor of another shape");
        GpuTensor::new(x.shape(), Op::Mul(x.clone(), by.clone()))
    }

    fn affine(&self, x: &GpuTensor, factor: f32, offset: f32) -> GpuTensor {
        GpuTensor::new(x.shape(), Op::Affine(x.clone(), factor, offset))
    }

    fn clamp01(&self, x: &GpuTensor) -> GpuTensor {
        GpuTensor::new(x.shape(), Op::Clamp01(x.clone()))
    }

    fn sigmoid(&self, x: &GpuTensor) -> GpuTensor {
        GpuTensor::new(x.shape(), Op::Sigmoid(x.clone()))
    }

    fn resize(&self, x: &GpuTensor, factor: Resize) -> GpuTensor {
        let [channels, height, width] = x.shape();
        if matches!(factor, Resize::Up(1) | Resize::Down(1)) {
            return x.clone();
        }
        let shape = [channels, resized(height, factor), resized(width, factor)];
        GpuTensor::new(shape, Op::Resize(x.clone(), factor))
    }

    fn warp(&self, x: &GpuTensor, flow: &GpuTensor) -> GpuTensor {
        let [_, height, width] = x.shape();
        assert_eq!(flow.shape(), [2, height, width], "a flow of another size");
        GpuTensor::new(x.shape(), Op::Warp(x.clone(), flow.clone()))
    }

    fn warp_obmc(
        &self,
        x: &GpuTensor,
        velocity: &GpuTensor,
        factor: &f32,
        neighbours: [[isize; 2]; 2],
    ) -> GpuTensor {
        let [_, height, width] = x.shape();
        assert_eq!(velocity.shape(), [2, height, width], "a velocity of another size");
        let op = Op::WarpObmc(x.clone(), velocity.clone(), *factor, neighbours);
        GpuTensor::new(x.shape(), op)
    }

    fn cubic_residual(&self, x: &GpuTensor, flow: &GpuTensor) -> GpuTensor {
        let [_, height, width] = x.shape();
        assert_eq!(flow.shape(), [2, height, width], "a flow of another size");
        GpuTensor::new(x.shape(), Op::CubicResidual(x.clone(), flow.clone()))
    }

    fn add_last_channel(&self, x: &GpuTensor, by: &GpuTensor) -> GpuTensor {
        let [channels, height, width] = x.shape();
        assert_eq!(by.shape(), [1, height, width], "a factor of another shape");
        GpuTensor::new(
            [channels - 1, height, width],
            Op::AddLastChannel(x.clone(), by.clone()),
        )
    }

    fn dis_flow(&self, frames: [&GpuTensor; 2], level: u32, options: &DisOptions) -> GpuTensor {
        let [channels, height, width] = frames[0].shape();
        assert_eq!(frames[1].shape(), [3, height, width], "frames' shapes");
        assert_eq!(channels, 3, "frames' channels");
        let shape = [4, height >> level, width >> level];
        or_failed(shape, dis::flow(self, frames, level, options))
    }

    fn blend(&self, a: &GpuTensor, b: &GpuTensor, mask: &GpuTensor) -> GpuTensor {
        assert_eq!(a.shape(), b.shape(), "blended tensors differ in shape");
        let [_, height, width] = a.shape();
        assert_eq!(mask.shape(), [1, height, width], "a mask of another shape");
        GpuTensor::new(a.shape(), Op::Blend(a.clone(), b.clone(), mask.clone()))
    }

    fn keep_static(&self, [a, b]: [&GpuTensor; 2], made: &GpuTensor, threshold: f32) -> GpuTensor {
        assert_eq!(
            [a.shape(), b.shape()],
            [made.shape(); 2],
            "frames of another shape"
        );
        let op = Op::KeepStatic([a.clone(), b.clone()], made.clone(), threshold);
        GpuTensor::new(made.shape(), op)
    }

    fn conv(&self, x: &GpuTensor, layer: &ConvLayer) -> GpuTensor {
        or_failed(layer.output_shape(x.shape()), self.engine.conv(x, layer))
    }

    fn pixel_shuffle(&self, x: &GpuTensor) -> GpuTensor {
        let [channels, height, width] = x.shape();
        assert!(channels % 4 == 0, "a pixel shuffle of {channels} channels");
        GpuTensor::new([channels / 4, height * 2, width * 2], Op::PixelShuffle(x.clone()))
    }

    fn rotate180(&self, x: &GpuTensor) -> GpuTensor {
        GpuTensor::new(x.shape(), Op::Rotate180(x.clone()))
    }

    fn max_abs(&self, x: &GpuTensor) -> Result<f32> {
        let values = self.download(x)?;
        Ok(values.into_iter().fold(0.0, |largest, v| v.abs().max(largest)))
    }

    fn materialize(&self, x: &GpuTensor) -> Result<GpuTensor> {
        if is_joined(x) {
            // Stored parts are read where they lie.
            self.engine.check()?;
            return Ok(x.clone());
        }
        let frame = unrounded(x);
        let stored = self.engine.store(x, self.engine.exact_layout(x))?;
        self.engine.check()?;
        if let (Layout::Fixed, Some(frame)) = (stored.layout, frame) {
            return Ok(GpuTensor::rounded(frame, stored));
        }
        // Without the expression, which would keep its operands.
        Ok(GpuTensor::from_stored(x.shape(), Ok(stored)))
    }
}

/// Whether `x` is a concatenation of tensors whose values are stored.
fn is_joined(x: &GpuTensor) -> bool {
    let is_whole = |part: &GpuTensor| matches!(part.0.stored.get(), Some(Ok(_))) || is_joined(part);
    match &x.0.op {
        Op::Cat(parts) if !x.is_stored() => parts.iter().all(is_whole),
        _ => false,
    }
}
