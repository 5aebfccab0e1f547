//! The CPU engine: thread pool, kernels of a tier, buffer reuse, and the tensor operations of [`rife_backend::Backend`].

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rife_backend::{ConvSpec, DisOptions, Resize};

use crate::conv::{self, ConvLayer, Kernels};
use crate::eval::{Grid, MAX_INTERLEAVED, STRIP, Strips, eval, warp_block};
use crate::runtime::{ConvRun, Precision, Runtime, Tier, TierError};
use crate::tensor::{Blocked, Op, Planar, Tensor};

/// Options of an engine: threads, instruction set, precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineOptions {
    /// Number of threads, limited to 1..=256; `None`: one for each core.
    pub threads: Option<usize>,
    /// Instruction set of the kernels; `None`: that of the environment variable `RIFE_CPU`, else the fastest available.
    pub tier: Option<Tier>,
    /// Precision of the products in convolutions with many channels.
    pub precision: Precision,
}

/// A CPU engine. Results have the same bits for any number of threads.
#[derive(Debug)]
pub struct Engine {
    runtime: Runtime,
    kernels: Kernels,
}

/// Values of an elementwise sum per unit of work of a thread.
const CHUNK: usize = 64 * 1024;

impl Engine {
    /// Starts an engine with its threads.
    ///
    /// # Errors
    /// [`TierError`] if the tier in the options or in `RIFE_CPU` is unknown or not available, or lacks the precision.
    pub fn new(options: EngineOptions) -> Result<Self, TierError> {
        let tier = match options.tier {
            Some(tier) => Tier::from_name(tier.name())?,
            None => Tier::detect()?,
        };
        let kernels = Kernels::new(tier);
        if options.precision == Precision::Int8 && kernels.int8.is_none() {
            return Err(TierError::NoInt8(tier));
        }
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = options.threads.unwrap_or_else(cores).max(1);
        Ok(Self {
            runtime: Runtime::new(threads, tier, options.precision),
            kernels,
        })
    }

    /// Returns the kernels' tier.
    pub fn tier(&self) -> Tier {
        self.runtime.tier()
    }

    /// Returns the precision of products in convolutions with many channels.
    pub fn precision(&self) -> Precision {
        self.runtime.precision()
    }

    /// Reports whether a tier supports [`Precision::Int8`] on this machine: AVX-512 and AMX with VNNI, scalar always (slowly).
    pub fn has_int8(tier: Tier) -> bool {
        tier.is_available() && Kernels::new(tier).int8.is_some()
    }

    /// Returns the number of threads.
    pub fn thread_count(&self) -> usize {
        self.runtime.threads().count()
    }

    /// Registers a cancellation flag: once it is set, running loops end after the rows in progress, and later operations
    /// return immediately with meaningless values, so that callers must check the flag after reading results. Only the first
    /// call has an effect.
    pub fn stop_on(&self, flag: Arc<AtomicBool>) {
        self.runtime.threads().stop_on(flag);
    }

    /// Runs `work` and returns its result with a profile of the convolutions that ran, in order.
    pub fn logged<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<ConvRun>) {
        self.runtime.log().begin();
        let result = work();
        (result, self.runtime.log().end())
    }

    /// Makes a tensor of `shape`, `[channels, height, width]`, from planar values.
    ///
    /// # Panics
    /// When the length of `data` is not the product of `shape`.
    pub fn upload(&self, shape: [usize; 3], data: &[f32]) -> Tensor {
        self.upload_padded(shape, data, [shape[1], shape[2]])
    }

    /// Makes a tensor of `shape` from planar values, padded on the right and at the bottom to `[height, width]` by replicating
    /// the last column and row.
    ///
    /// # Panics
    /// When the length of `data` is not the product of `shape`, or `[height, width]` is smaller.
    pub fn upload_padded(&self, shape: [usize; 3], data: &[f32], [height, width]: [usize; 2]) -> Tensor {
        let [channels, rows, columns] = shape;
        assert_eq!(
            data.len(),
            shape.iter().product::<usize>(),
            "values of shape {shape:?}"
        );
        assert!(
            rows <= height && columns <= width,
            "{shape:?} in {width}x{height}"
        );
        let mut planes = Planar::unset(self.runtime.recycler(), [channels, height, width]);
        let strips = Strips::new(&mut planes);
        self.runtime.threads().run(height.div_ceil(STRIP), &|i| {
            let first = i * STRIP;
            // SAFETY: the loop's items have different rows.
            let mut out = unsafe { strips.strip(first..(first + STRIP).min(height)) };
            out.each(|channel, row, to| {
                let row = (first + row).min(rows - 1);
                let from = &data[(channel * rows + row) * columns..][..columns];
                to[..columns].copy_from_slice(from);
                to[columns..].fill(from[columns - 1]);
            });
        });
        Tensor::from_planar(planes)
    }

    /// Evaluates a tensor and returns its planar values.
    pub fn download(&self, x: &Tensor) -> Vec<f32> {
        self.download_cropped(x, [x.shape()[1], x.shape()[2]])
    }

    /// Evaluates the upper left `[height, width]` of a tensor and returns its planar values.
    ///
    /// # Panics
    /// When the tensor is smaller.
    pub fn download_cropped(&self, x: &Tensor, [height, width]: [usize; 2]) -> Vec<f32> {
        let [channels, rows, columns] = x.shape();
        assert!(
            height <= rows && width <= columns,
            "{width}x{height} of {columns}x{rows}"
        );
        self.runtime.prepare(x, true);
        let mut values = vec![0.0; channels * height * width];
        let strips = Strips::of(&mut values, [channels, height, width]);
        self.runtime.threads().run(height.div_ceil(STRIP), &|i| {
            let rows = i * STRIP..(i * STRIP + STRIP).min(height);
            // SAFETY: the loop's items have different rows.
            let mut out = unsafe { strips.strip(rows.clone()) };
            eval(
                self.runtime.tier(),
                x,
                0..channels,
                &Grid::rows(rows, width),
                &mut out,
            );
        });
        values
    }

    /// Returns the memory held now in bytes: buffers in use and idle ones kept for reuse.
    pub fn memory_held(&self) -> usize {
        self.runtime.recycler().held_bytes()
    }

    /// Returns the upper bound in bytes of the memory held for the work done so far: the peak of buffers in use, and the idle
    /// buffers kept for reuse.
    pub fn memory_bound(&self) -> usize {
        self.runtime.recycler().bound_bytes()
    }

    /// Makes a tensor of one channel with a constant value, of the height and width of `like`.
    pub fn plane(&self, like: &Tensor, value: f32) -> Tensor {
        let [_, height, width] = like.shape();
        Tensor::new([1, height, width], Op::Constant(value))
    }

    /// Concatenates along the channels.
    pub fn cat(&self, parts: &[&Tensor]) -> Tensor {
        let [_, height, width] = parts.first().expect("tensors to concatenate").shape();
        let same = parts.iter().all(|part| part.shape()[1..] == [height, width]);
        assert!(same, "tensors of different sizes can't be concatenated");
        let channels = parts.iter().map(|part| part.shape()[0]).sum();
        Tensor::new(
            [channels, height, width],
            Op::Cat(parts.iter().copied().cloned().collect()),
        )
    }

    /// Slices a range of the channels.
    pub fn narrow(&self, x: &Tensor, range: Range<usize>) -> Tensor {
        let [channels, height, width] = x.shape();
        assert!(range.end <= channels, "channels {range:?} of {channels}");
        Tensor::new([range.len(), height, width], Op::Narrow(x.clone(), range.start))
    }

    /// Adds elementwise; blocked tensors are added immediately.
    pub fn add(&self, a: &Tensor, b: &Tensor) -> Tensor {
        assert_eq!(a.shape(), b.shape(), "tensors to be added");
        match (&a.0.op, &b.0.op) {
            (Op::Blocked(a), Op::Blocked(b)) => Tensor::from_blocked(self.add_blocks(a, b)),
            _ => Tensor::new(a.shape(), Op::Add(a.clone(), b.clone())),
        }
    }

    /// Adds blocked tensors of equal shape.
    fn add_blocks(&self, a: &Blocked, b: &Blocked) -> Blocked {
        let mut out = Blocked::unset(self.runtime.recycler(), a.shape);
        self.runtime.threads().chunks(&mut out.data, CHUNK, &|i, to| {
            let (a, b) = (&a.data[i * CHUNK..][..to.len()], &b.data[i * CHUNK..][..to.len()]);
            for (to, (a, b)) in to.iter_mut().zip(a.iter().zip(b)) {
                *to = a + b;
            }
        });
        out
    }

    /// Computes `x * factor + offset` elementwise.
    pub fn affine(&self, x: &Tensor, factor: f32, offset: f32) -> Tensor {
        let op = match &x.0.op {
            Op::Constant(value) => Op::Constant(value * factor + offset),
            _ => Op::Affine(x.clone(), factor, offset),
        };
        Tensor::new(x.shape(), op)
    }

    /// Multiplies each channel of `x` by the one channel of `by`.
    pub fn mul(&self, x: &Tensor, by: &Tensor) -> Tensor {
        let [_, height, width] = x.shape();
        assert_eq!(by.shape(), [1, height, width], "a factor's shape");
        match by.0.op {
            Op::Constant(factor) => self.affine(x, factor, 0.0),
            _ => Tensor::new(x.shape(), Op::Mul(x.clone(), by.clone())),
        }
    }

    /// Replaces static pixels of `made` by the mean of the frames, with weight `clamp01(threshold - d)`, d being the maximum
    /// absolute difference of the frames' channels in 8-bit code values.
    pub fn keep_static(&self, frames: [&Tensor; 2], made: &Tensor, threshold: f32) -> Tensor {
        assert_eq!(frames.map(Tensor::shape), [made.shape(); 2], "frames' shapes");
        Tensor::new(
            made.shape(),
            Op::KeepStatic(frames.map(Tensor::clone), made.clone(), threshold),
        )
    }

    /// Clamps elementwise to 0..1.
    pub fn clamp01(&self, x: &Tensor) -> Tensor {
        Tensor::new(x.shape(), Op::Clamp01(x.clone()))
    }

    /// Computes the logistic function elementwise.
    pub fn sigmoid(&self, x: &Tensor) -> Tensor {
        Tensor::new(x.shape(), Op::Sigmoid(x.clone()))
    }

    /// Resizes bilinearly, see [`Resize`].
    ///
    /// # Panics
    /// When the factor of [`Resize::Down`] does not divide height and width.
    pub fn resize(&self, x: &Tensor, factor: Resize) -> Tensor {
        let [channels, height, width] = x.shape();
        let size = |n: usize| match factor {
            Resize::Up(by) => n * by,
            Resize::Down(by) => {
                assert_eq!(n % by, 0, "a side of {n} can't be divided by {by}");
                n / by
            }
        };
        let constant = match x.0.op {
            Op::Constant(value) => Some(Op::Constant(value)),
            _ => None,
        };
        match factor {
            Resize::Up(1) | Resize::Down(1) => x.clone(),
            _ => Tensor::new(
                [channels, size(height), size(width)],
                constant.unwrap_or_else(|| Op::Resize(x.clone(), factor)),
            ),
        }
    }

    /// Warps backward: samples `x` at `(column + flow[0], row + flow[1])`, bilinear, coordinates clamped to the image
    /// (`align_corners = true`). `flow` is `[2, height, width]`, in pixels.
    pub fn warp(&self, x: &Tensor, flow: &Tensor) -> Tensor {
        assert_eq!(
            (flow.shape()[0], &flow.shape()[1..]),
            (2, &x.shape()[1..]),
            "a flow's shape"
        );
        if let Op::Cat(parts) = &x.0.op
            && x.shape()[0] > MAX_INTERLEAVED
        {
            let parts: Vec<_> = parts.iter().map(|part| self.warp(part, flow)).collect();
            return self.cat(&parts.iter().collect::<Vec<_>>());
        }
        Tensor::new(x.shape(), Op::Warp(x.clone(), flow.clone()))
    }

    /// Averages two backward warps of `x` (overlapped block motion compensation): each pixel is displaced by `factor` times
    /// the velocity of the pixel at one of the two offsets `near`, `[rows down, columns right]`; velocities, `[2, height,
    /// width]` in pixels, are replicated beyond the border.
    pub fn warp_obmc(&self, x: &Tensor, velocity: &Tensor, factor: f32, near: [[isize; 2]; 2]) -> Tensor {
        let [_, height, width] = x.shape();
        assert_eq!(velocity.shape(), [2, height, width], "velocities' shape");
        if let Op::Narrow(all, first) = &x.0.op
            && matches!(all.0.op, Op::Interleaved)
        {
            // All channels are interleaved already, the layout that is sampled.
            let range = *first..first + x.shape()[0];
            return self.narrow(&self.warp_obmc(all, velocity, factor, near), range);
        }
        Tensor::new(x.shape(), Op::WarpObmc(x.clone(), velocity.clone(), factor, near))
    }

    /// Computes the difference of Catmull-Rom and bilinear interpolation ([`Engine::warp`]) of `x` by `flow`: at a fraction f
    /// between two pixels, -f (1 - f) / 2 times the second difference interpolated there, summed over both axes.
    pub fn cubic_residual(&self, x: &Tensor, flow: &Tensor) -> Tensor {
        let [_, height, width] = x.shape();
        assert_eq!(flow.shape(), [2, height, width], "a flow's shape");
        Tensor::new(x.shape(), Op::CubicResidual(x.clone(), flow.clone()))
    }

    /// Adds the last channel of `x`, times the one channel of `by`, to each of the other channels and drops it.
    pub fn add_last_channel(&self, x: &Tensor, by: &Tensor) -> Tensor {
        let [channels, height, width] = x.shape();
        assert!(channels > 1, "no last channel to add in {channels} channels");
        assert_eq!(by.shape(), [1, height, width], "a factor's shape");
        let shape = [channels - 1, height, width];
        Tensor::new(shape, Op::AddLastChannel(x.clone(), by.clone()))
    }

    /// Computes `a * sigmoid(mask) + b * (1 - sigmoid(mask))`, with one mask for all channels.
    pub fn blend(&self, a: &Tensor, b: &Tensor, mask: &Tensor) -> Tensor {
        assert_eq!(a.shape(), b.shape(), "tensors to be blended");
        assert_eq!(
            (mask.shape()[0], &mask.shape()[1..]),
            (1, &a.shape()[1..]),
            "a mask's shape"
        );
        Tensor::new(a.shape(), Op::Blend(a.clone(), b.clone(), mask.clone()))
    }

    /// Applies PyTorch's PixelShuffle(2): a quarter of the channels, twice the height and width.
    pub fn pixel_shuffle(&self, x: &Tensor) -> Tensor {
        let [channels, height, width] = x.shape();
        assert_eq!(channels % 4, 0, "a pixel shuffle of {channels} channels");
        Tensor::new([channels / 4, height * 2, width * 2], Op::PixelShuffle(x.clone()))
    }

    /// Rotates by 180 degrees.
    pub fn rotate180(&self, x: &Tensor) -> Tensor {
        Tensor::new(x.shape(), Op::Rotate180(x.clone()))
    }

    /// Returns the maximum absolute value.
    pub fn max_abs(&self, x: &Tensor) -> f32 {
        self.download(x).iter().fold(0.0, |max, v| max.max(v.abs()))
    }

    /// Evaluates `x` now and stores its values: interleaved for up to 8 channels; for a concatenation with more, each operand
    /// separately; else planar.
    pub fn materialize(&self, x: &Tensor) -> Tensor {
        match &x.0.op {
            Op::Blocked(_) | Op::Interleaved => x.clone(),
            _ if x.shape()[0] <= MAX_INTERLEAVED => {
                Tensor::from_interleaved(x.shape(), self.runtime.interleaved(x))
            }
            Op::Cat(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.materialize(part)).collect();
                self.cat(&parts.iter().collect::<Vec<_>>())
            }
            _ => {
                self.runtime.planes(x);
                x.clone()
            }
        }
    }

    /// Computes forward and backward flow between two frames, `[4, height >> level, width >> level]`, by dense inverse search; see
    /// [`rife_backend::Backend::dis_flow`]. `frames` are `[3, height, width]`, RGB in 0..1.
    ///
    /// # Panics
    /// When the frames have other shapes, or sides that are no multiples of `1 << level`.
    pub fn dis_flow(&self, frames: [&Tensor; 2], level: u32, options: &DisOptions) -> Tensor {
        self.runtime.dis_flow(frames, level, options)
    }

    /// Projects the flow of [`Engine::dis_flow`] to a timestep, see [`rife_backend::Backend::project_flow`].
    ///
    /// # Panics
    /// When `flow` does not have four channels.
    pub fn project_flow(&self, flow: &Tensor, timestep: f32) -> Tensor {
        self.runtime.project_flow(flow, timestep)
    }

    /// Returns the runtime and kernels that convolutions run on.
    fn context(&self) -> conv::Context<'_> {
        conv::Context {
            runtime: &self.runtime,
            kernels: &self.kernels,
        }
    }

    /// Packs a convolution for this engine.
    pub fn conv_layer(&self, spec: &ConvSpec) -> ConvLayer {
        ConvLayer::new(spec, self.kernels.together)
    }

    /// Applies a convolution immediately; the result is blocked (nChw16c).
    pub fn conv(&self, x: &Tensor, layer: &ConvLayer) -> Tensor {
        let x = &self.with_warped_blocks(x);
        let blocks = match &x.0.op {
            Op::Blocked(_) => conv::conv(self.context(), x, layer),
            _ if layer.adds_input() => {
                conv::conv(self.context(), &Tensor::from_blocked(self.blocks(x)), layer)
            }
            _ => conv::conv(self.context(), x, layer),
        };
        if layer.makes_quads() {
            return self.pixel_shuffle_quads(&blocks, layer.output());
        }
        Tensor::from_blocked(blocks)
    }

    /// Applies a convolution, then PixelShuffle(2).
    pub fn conv_shuffled(&self, x: &Tensor, layer: &ConvLayer) -> Tensor {
        let [_, height, width] = x.shape();
        match layer.shuffled() {
            Some(layer) if conv::are_zeros_free(self.context(), x, layer) => {
                let blocks = conv::conv(self.context(), x, layer);
                let shape = [blocks.shape[0] / 16, height * 4, width * 4];
                Tensor::new(shape, Op::Shuffled4(blocks))
            }
            _ => self.pixel_shuffle(&self.conv(x, layer)),
        }
    }

    /// Evaluates the warps in a concatenation of blocked tensors and warps of blocked tensors, in blocked layout, which all
    /// convolution kernels read; returns other tensors unchanged.
    fn with_warped_blocks(&self, x: &Tensor) -> Tensor {
        let Op::Cat(parts) = &x.0.op else { return x.clone() };
        let warp = |part: &Tensor| match &part.0.op {
            Op::Warp(image, flow) => match &image.0.op {
                Op::Blocked(blocks) => Some(Tensor::from_blocked(self.warp_blocks(blocks, flow))),
                _ => None,
            },
            Op::Blocked(_) => Some(part.clone()),
            _ => None,
        };
        let all: Option<Vec<_>> = parts.iter().map(warp).collect();
        all.map_or_else(|| x.clone(), |parts| self.cat(&parts.iter().collect::<Vec<_>>()))
    }

    /// Backward-warps a blocked tensor.
    fn warp_blocks(&self, image: &Blocked, flow: &Tensor) -> Blocked {
        self.runtime.planes(flow);
        let [_, height, width] = image.shape;
        let mut out = Blocked::unset(self.runtime.recycler(), image.shape);
        self.runtime
            .threads()
            .chunks(&mut out.data, (width + 2) * 16, &|line, to| {
                let (block, row) = (line / (height + 2), line % (height + 2));
                if (1..=height).contains(&row) {
                    warp_block(
                        self.runtime.tier(),
                        image,
                        block,
                        flow,
                        row - 1,
                        &mut to[16..][..width * 16],
                    );
                }
            });
        out
    }

    /// Converts a block whose sixteen channels are 2x2 pixels of four channels to an interleaved tensor of twice the height
    /// and width with `channels` channels (up to 4).
    fn pixel_shuffle_quads(&self, blocks: &Blocked, channels: usize) -> Tensor {
        let [_, height, width] = blocks.shape;
        let mut quads = self.runtime.recycler().take(height * width * 16);
        self.runtime.threads().chunks(&mut quads, width * 8, &|row, to| {
            let from = &blocks.data[blocks.at(0, row / 2, 0) + row % 2 * 8..];
            for (to, from) in to.chunks_exact_mut(8).zip(from.chunks(16)) {
                to.copy_from_slice(&from[..8]);
            }
        });
        Tensor::from_interleaved([channels, height * 2, width * 2], quads)
    }

    /// Evaluates a tensor in blocked layout.
    fn blocks(&self, x: &Tensor) -> Blocked {
        let [channels, height, _] = x.shape();
        let planes = self.runtime.planes(x);
        let mut blocks = Blocked::unset(self.runtime.recycler(), x.shape());
        for channel in 0..channels.next_multiple_of(16) {
            for row in 0..height {
                let start = blocks.at(channel / 16, row, 0) + channel % 16;
                let to = blocks.data[start..].iter_mut().step_by(16);
                match channel < channels {
                    true => to.zip(planes.row(channel, row)).for_each(|(to, v)| *to = *v),
                    false => to.take(x.shape()[2]).for_each(|to| *to = 0.0),
                }
            }
        }
        blocks
    }
}
