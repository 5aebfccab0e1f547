//! Backward warp (`grid_sample`: bilinear, border clamped, `align_corners = true`) with its gradients by image and flow: own
//! kernels for the CPU device, where Burn composes the operation of gathers; Burn's operation on other devices.

use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_backend::{BackendTypes, TensorData};
use burn_flex::{Flex, FlexTensor};
use burn_tensor::Tensor;
use burn_tensor::ops::{GridSampleOptions, GridSamplePaddingMode, InterpolateMode};
use rayon::prelude::*;

/// Burn's CPU backend with autodiff.
type Tracked = Autodiff<Flex>;
/// A tensor primitive of [`Tracked`].
type TrackedTensor = <Tracked as BackendTypes>::FloatTensorPrimitive;

/// Samples `image` `[batch, channels, height, width]` at `(column + flow[0], row + flow[1])`, bilinear, border clamped;
/// `flow` is `[batch, 2, rows, columns]` in pixels of the image, and the output has its height and width.
///
/// With `cell` 1, `flow` has the image's size. With an even `cell` it has `2 / cell` times that size: its pixels are the
/// two centre rows and columns of every cell of `cell` by `cell` pixels of the image.
pub fn warp(image: Tensor<4>, flow: Tensor<4>, cell: usize) -> Tensor<4> {
    let tracked = |x: &Tensor<4>| x.clone().try_into_primitive::<Tracked>();
    if let (Ok(image), Ok(flow)) = (tracked(&image), tracked(&flow)) {
        return Tensor::from_primitive::<Tracked>(warp_tracked(image, flow, cell));
    }
    let plain = |x: &Tensor<4>| x.clone().try_into_primitive::<Flex>();
    if let (Ok(image), Ok(flow)) = (plain(&image), plain(&flow)) {
        return Tensor::from_primitive::<Flex>(Sampler::new(&image, &flow, cell).forward());
    }
    composed(image, flow, cell)
}

/// Warps on the CPU and registers the backward step for the gradients; arguments are those of [`warp`].
fn warp_tracked(image: TrackedTensor, flow: TrackedTensor, cell: usize) -> TrackedTensor {
    let sampler = Sampler::new(image.primitive(), flow.primitive(), cell);
    let output = sampler.forward();
    let nodes = [image.node(), flow.node()];
    match Warp.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(sampler, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

/// Warps by Burn's `grid_sample_2d`, on any device; arguments are those of [`warp`].
fn composed(image: Tensor<4>, flow: Tensor<4>, cell: usize) -> Tensor<4> {
    let [_, _, height, width] = image.dims();
    let [batch, _, rows, columns] = flow.dims();
    let device = image.device();
    let axis = |direction: usize, count: usize, size: usize| {
        let at: Vec<f32> = (0..count).map(|i| position(i, cell) as f32).collect();
        let shape = if direction == 0 {
            [1, 1, 1, count]
        } else {
            [1, 1, count, 1]
        };
        let at = Tensor::<4>::from_data(TensorData::new(at, shape), &device);
        let flow = flow.clone().narrow(1, direction, 1);
        let scaled = (flow + at) * (2.0 / (size.max(2) - 1) as f32) - 1.0;
        scaled.reshape([batch, rows, columns, 1])
    };
    let grid = Tensor::cat(vec![axis(0, columns, width), axis(1, rows, height)], 3);
    let options = GridSampleOptions::new(InterpolateMode::Bilinear)
        .with_padding_mode(GridSamplePaddingMode::Border)
        .with_align_corners(true);
    image.grid_sample_2d(grid, options)
}

/// Returns the image's row (or column) of the flow's `i`th row (or column), see [`warp`].
fn position(i: usize, cell: usize) -> usize {
    if cell == 1 {
        i
    } else {
        i / 2 * cell + cell / 2 - 1 + i % 2
    }
}

/// The backward step of a warp.
#[derive(Debug)]
struct Warp;

impl Backward<Flex, 2> for Warp {
    type State = Sampler;

    /// Registers the gradients of image and flow, of those that are tracked.
    fn backward(self, ops: Ops<Sampler, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(&grads.consume::<Flex>(&ops.node));
        let [image, flow] = ops.parents;
        if let Some(node) = image {
            grads.register::<Flex>(node.id, ops.state.image_gradient(&gradient));
        }
        if let Some(node) = flow {
            grads.register::<Flex>(node.id, ops.state.flow_gradient(&gradient));
        }
    }
}

/// Copies a tensor into contiguous storage that begins with its first value.
fn contiguous(x: &FlexTensor) -> FlexTensor {
    FlexTensor::from_data(x.to_contiguous().into_data())
}

/// The four input pixels and weights of one bilinear sample; each field is y, then x.
struct Footprint {
    /// Row and column of the upper left pixel.
    index: [usize; 2],
    /// Row and column of the lower right pixel, equal to `index` at the border.
    next: [usize; 2],
    /// The weight of `next`, 0 to 1.
    fraction: [f32; 2],
    /// False if the position was clamped to the border, so that its derivative by the flow is zero.
    unclamped: [bool; 2],
}

/// The inputs of one warp, contiguous, and their sizes.
#[derive(Debug, Clone)]
struct Sampler {
    image: FlexTensor,
    flow: FlexTensor,
    /// Side of a cell of the flow, see [`warp`].
    cell: usize,
    batch: usize,
    channels: usize,
    /// Height and width of the image.
    size: [usize; 2],
    /// Height and width of the flow and of the output.
    out: [usize; 2],
}

impl Sampler {
    /// Prepares a warp; arguments are those of [`warp`].
    fn new(image: &FlexTensor, flow: &FlexTensor, cell: usize) -> Self {
        let (image, flow) = (contiguous(image), contiguous(flow));
        let sizes = |x: &FlexTensor| {
            let shape = x.layout().shape();
            [shape[0], shape[1], shape[2], shape[3]]
        };
        let ([batch, channels, height, width], [_, two, rows, columns]) = (sizes(&image), sizes(&flow));
        assert_eq!(two, 2, "a flow has two channels");
        Self {
            image,
            flow,
            cell,
            batch,
            channels,
            size: [height, width],
            out: [rows, columns],
        }
    }

    /// Returns the number of pixels of the image.
    fn plane(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Returns the number of pixels of the output.
    fn out_plane(&self) -> usize {
        self.out[0] * self.out[1]
    }

    /// Splits a position along one axis (0: rows, 1: columns) into lower and upper index, fraction and whether it is inside.
    fn along(&self, axis: usize, at: f32) -> (usize, usize, f32, bool) {
        let last = self.size[axis] - 1;
        let clamped = at.clamp(0.0, last as f32);
        let low = (clamped as usize).min(last);
        (
            low,
            (low + 1).min(last),
            clamped - low as f32,
            at > 0.0 && at < last as f32,
        )
    }

    /// Computes the footprint of output pixel (y, x); `flow` are the x and y planes of one sample.
    fn tap(&self, flow: [&[f32]; 2], y: usize, x: usize) -> Footprint {
        let i = y * self.out[1] + x;
        let (x0, x1, fx, x_free) = self.along(1, position(x, self.cell) as f32 + flow[0][i]);
        let (y0, y1, fy, y_free) = self.along(0, position(y, self.cell) as f32 + flow[1][i]);
        Footprint {
            index: [y0, x0],
            next: [y1, x1],
            fraction: [fy, fx],
            unclamped: [y_free, x_free],
        }
    }

    /// Iterates over the footprints of one output row of one sample of the batch.
    fn taps(&self, sample: usize, y: usize) -> impl Iterator<Item = Footprint> {
        let flow = &self.flow.storage::<f32>()[2 * sample * self.out_plane()..][..2 * self.out_plane()];
        let (horizontal, vertical) = flow.split_at(self.out_plane());
        (0..self.out[1]).map(move |x| self.tap([horizontal, vertical], y, x))
    }

    /// Returns the image of one sample of the batch, planar.
    fn sources(&self, sample: usize) -> &[f32] {
        let length = self.channels * self.plane();
        &self.image.storage::<f32>()[sample * length..][..length]
    }

    /// Reads the four pixels of a footprint from a plane: two of the upper row, two of the lower.
    fn corners(&self, source: &[f32], tap: &Footprint) -> [f32; 4] {
        let width = self.size[1];
        let ([y0, x0], [y1, x1]) = (tap.index, tap.next);
        [
            source[y0 * width + x0],
            source[y0 * width + x1],
            source[y1 * width + x0],
            source[y1 * width + x1],
        ]
    }

    /// Computes the warped image, `[batch, channels, rows, columns]`.
    fn forward(&self) -> FlexTensor {
        let mut values = vec![0.0; self.batch * self.channels * self.out_plane()];
        let samples = values
            .par_chunks_exact_mut(self.channels * self.out_plane())
            .enumerate();
        samples.for_each(|(sample, planes)| {
            let sources = self.sources(sample);
            for y in 0..self.out[0] {
                for (x, tap) in self.taps(sample, y).enumerate() {
                    for (channel, source) in sources.chunks_exact(self.plane()).enumerate() {
                        let [a, b, c, d] = self.corners(source, &tap);
                        let [fy, fx] = tap.fraction;
                        let (upper, lower) = (a + (b - a) * fx, c + (d - c) * fx);
                        planes[channel * self.out_plane() + y * self.out[1] + x] =
                            upper + (lower - upper) * fy;
                    }
                }
            }
        });
        self.tensor(values, self.channels, self.out)
    }

    /// Computes the gradient by the image: adds each output pixel's gradient to its four input pixels. A sample of the batch
    /// is one thread's work, so that the order of the sums does not depend on the number of threads.
    fn image_gradient(&self, gradient: &FlexTensor) -> FlexTensor {
        let gradient = gradient.storage::<f32>();
        let mut values = vec![0.0; self.batch * self.channels * self.plane()];
        let samples = values
            .par_chunks_exact_mut(self.channels * self.plane())
            .enumerate();
        samples.for_each(|(sample, planes)| {
            for y in 0..self.out[0] {
                for (x, tap) in self.taps(sample, y).enumerate() {
                    for channel in 0..self.channels {
                        let at = (sample * self.channels + channel) * self.out_plane();
                        let value = gradient[at + y * self.out[1] + x];
                        self.scatter(&mut planes[channel * self.plane()..], &tap, value);
                    }
                }
            }
        });
        self.tensor(values, self.channels, self.size)
    }

    /// Adds `value`, weighted bilinearly, to the four pixels of a footprint.
    fn scatter(&self, plane: &mut [f32], tap: &Footprint, value: f32) {
        let width = self.size[1];
        let ([y0, x0], [y1, x1], [fy, fx]) = (tap.index, tap.next, tap.fraction);
        plane[y0 * width + x0] += value * (1.0 - fy) * (1.0 - fx);
        plane[y0 * width + x1] += value * (1.0 - fy) * fx;
        plane[y1 * width + x0] += value * fy * (1.0 - fx);
        plane[y1 * width + x1] += value * fy * fx;
    }

    /// Computes the gradient by the flow, `[batch, 2, rows, columns]`, from that by the output.
    fn flow_gradient(&self, gradient: &FlexTensor) -> FlexTensor {
        let gradient = gradient.storage::<f32>();
        let mut values = vec![0.0; self.batch * 2 * self.out_plane()];
        let samples = values.par_chunks_exact_mut(2 * self.out_plane()).enumerate();
        samples.for_each(|(sample, planes)| {
            let sources = self.sources(sample);
            let (horizontal, vertical) = planes.split_at_mut(self.out_plane());
            for y in 0..self.out[0] {
                for (x, tap) in self.taps(sample, y).enumerate() {
                    let i = y * self.out[1] + x;
                    let value = |channel| gradient[(sample * self.channels + channel) * self.out_plane() + i];
                    let [along_y, along_x] = self.slopes(sources, &tap, value);
                    horizontal[i] = if tap.unclamped[1] { along_x } else { 0.0 };
                    vertical[i] = if tap.unclamped[0] { along_y } else { 0.0 };
                }
            }
        });
        self.tensor(values, 2, self.out)
    }

    /// Computes the derivatives of one output pixel by row and column, weighted by the output's gradient and summed over the
    /// channels.
    fn slopes(&self, sources: &[f32], tap: &Footprint, gradient: impl Fn(usize) -> f32) -> [f32; 2] {
        let [fy, fx] = tap.fraction;
        let planes = sources.chunks_exact(self.plane()).enumerate();
        planes.fold([0.0; 2], |[along_y, along_x], (channel, source)| {
            let [a, b, c, d] = self.corners(source, tap);
            let value = gradient(channel);
            let across = (b - a) + ((d - c) - (b - a)) * fy;
            let down = (c - a) + ((d - b) - (c - a)) * fx;
            [along_y + value * down, along_x + value * across]
        })
    }

    /// Makes a tensor `[batch, channels, height, width]` of these values.
    fn tensor(&self, values: Vec<f32>, channels: usize, [height, width]: [usize; 2]) -> FlexTensor {
        FlexTensor::from_data(TensorData::new(values, [self.batch, channels, height, width]))
    }
}
