//! Reference engine: a slow [`Backend`] for tests, loops over a `Vec<f32>` that follow the definitions of the operations
//! literally. Faster engines are compared with it.

use std::ops::Range;
use std::sync::Arc;

use crate::composed::{self, DisOps, SampleOps};
use crate::{Activation, Backend, ConvKind, ConvSpec, DisOptions, Resize, Result};

/// Reference engine: one thread, f32, no optimizations.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReferenceBackend;

/// Tensor of `[channels, height, width]` values in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceTensor {
    shape: [usize; 3],
    data: Arc<Vec<f32>>,
}

impl ReferenceTensor {
    /// Returns the shape, `[channels, height, width]`.
    pub(crate) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Returns the values in row-major order.
    pub(crate) fn values(&self) -> &[f32] {
        &self.data
    }

    /// Makes a tensor of a shape, `[channels, height, width]`, from values in row-major order.
    ///
    /// # Panics
    /// When the number of values is not the product of `shape`.
    pub(crate) fn new(shape: [usize; 3], data: Vec<f32>) -> Self {
        assert_eq!(
            shape.iter().product::<usize>(),
            data.len(),
            "values do not fill the shape {shape:?}"
        );
        Self {
            shape,
            data: Arc::new(data),
        }
    }

    /// Applies `f` to every value.
    fn map(&self, f: impl Fn(f32) -> f32) -> Self {
        Self::new(self.shape, self.data.iter().map(|&v| f(v)).collect())
    }

    /// Returns the values of a channel, `[height, width]` in row-major order.
    fn channel(&self, c: usize) -> &[f32] {
        let plane = self.shape[1] * self.shape[2];
        &self.data[c * plane..(c + 1) * plane]
    }

    /// Applies `f` to every pair of values of two tensors of equal shape.
    fn zip(&self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        assert_eq!(self.shape, other.shape, "tensors differ in shape");
        let values = self.data.iter().zip(other.data.iter());
        Self::new(self.shape, values.map(|(&a, &b)| f(a, b)).collect())
    }

    /// Returns the value of channel `c`, row `y` and column `x`.
    fn at(&self, c: usize, y: usize, x: usize) -> f32 {
        self.data[(c * self.shape[1] + y) * self.shape[2] + x]
    }
}

impl Backend for ReferenceBackend {
    type Tensor = ReferenceTensor;
    type Conv = ConvSpec;
    type Timestep = f32;

    /// Keeps the description as it is.
    fn conv_layer(&self, spec: ConvSpec) -> ConvSpec {
        spec
    }

    /// Copies the values.
    fn upload(&self, shape: [usize; 3], data: &[f32]) -> Result<ReferenceTensor> {
        Ok(ReferenceTensor::new(shape, data.to_vec()))
    }

    /// Copies the values.
    fn download(&self, x: &ReferenceTensor) -> Result<Vec<f32>> {
        Ok(x.data.to_vec())
    }

    /// Returns `[channels, height, width]`.
    fn shape(&self, x: &ReferenceTensor) -> [usize; 3] {
        x.shape
    }

    /// Makes one channel of a constant value.
    fn plane(&self, like: &ReferenceTensor, value: f32) -> ReferenceTensor {
        let [_, height, width] = like.shape;
        ReferenceTensor::new([1, height, width], vec![value; height * width])
    }

    /// Returns the value.
    fn timestep(&self, value: f32, _: &ReferenceTensor) -> f32 {
        value
    }

    /// Computes `timestep * factor + offset`.
    fn timestep_affine(&self, timestep: &f32, factor: f32, offset: f32) -> f32 {
        timestep * factor + offset
    }

    /// Makes one channel of the timestep.
    fn timestep_plane(&self, timestep: &f32, like: &ReferenceTensor) -> ReferenceTensor {
        self.plane(like, *timestep)
    }

    /// Concatenates along the channels.
    fn cat(&self, parts: &[&ReferenceTensor]) -> ReferenceTensor {
        let [_, height, width] = parts[0].shape;
        assert!(
            parts.iter().all(|p| p.shape[1..] == [height, width]),
            "joined tensors differ in size"
        );
        let channels = parts.iter().map(|p| p.shape[0]).sum();
        let data = parts.iter().flat_map(|p| p.data.iter().copied()).collect();
        ReferenceTensor::new([channels, height, width], data)
    }

    /// Copies a range of channels.
    fn narrow(&self, x: &ReferenceTensor, range: Range<usize>) -> ReferenceTensor {
        let [_, height, width] = x.shape;
        let data = x.data[range.start * height * width..range.end * height * width].to_vec();
        ReferenceTensor::new([range.len(), height, width], data)
    }

    /// Adds elementwise.
    fn add(&self, a: &ReferenceTensor, b: &ReferenceTensor) -> ReferenceTensor {
        assert_eq!(a.shape, b.shape, "added tensors differ in shape");
        ReferenceTensor::new(
            a.shape,
            a.data.iter().zip(b.data.iter()).map(|(a, b)| a + b).collect(),
        )
    }

    /// Computes `x * factor + offset` elementwise.
    fn affine(&self, x: &ReferenceTensor, factor: f32, offset: f32) -> ReferenceTensor {
        x.map(|v| v * factor + offset)
    }

    /// Clamps elementwise to 0..1.
    fn clamp01(&self, x: &ReferenceTensor) -> ReferenceTensor {
        x.map(|v| v.clamp(0.0, 1.0))
    }

    /// Computes the logistic function elementwise.
    fn sigmoid(&self, x: &ReferenceTensor) -> ReferenceTensor {
        x.map(logistic)
    }

    /// Interpolates bilinearly, row and column taps per output pixel.
    fn resize(&self, x: &ReferenceTensor, factor: Resize) -> ReferenceTensor {
        let [channels, height, width] = x.shape;
        let (rows, columns) = (Taps::new(height, factor), Taps::new(width, factor));
        let mut data = Vec::with_capacity(channels * rows.len() * columns.len());
        for c in 0..channels {
            for row in &rows.0 {
                for column in &columns.0 {
                    let top = mix(x.at(c, row.0, column.0), x.at(c, row.0, column.1), column.2);
                    let bottom = mix(x.at(c, row.1, column.0), x.at(c, row.1, column.1), column.2);
                    data.push(mix(top, bottom, row.2));
                }
            }
        }
        ReferenceTensor::new([channels, rows.len(), columns.len()], data)
    }

    /// Samples four pixels per output pixel, bilinear, border clamped.
    fn warp(&self, x: &ReferenceTensor, flow: &ReferenceTensor) -> ReferenceTensor {
        let [channels, height, width] = x.shape;
        assert_eq!(flow.shape, [2, height, width], "a flow of another size");
        let mut data = vec![0.0; x.data.len()];
        for y in 0..height {
            for x0 in 0..width {
                let column = tap(x0 as f32 + flow.at(0, y, x0), width);
                let row = tap(y as f32 + flow.at(1, y, x0), height);
                for c in 0..channels {
                    let top = mix(x.at(c, row.0, column.0), x.at(c, row.0, column.1), column.2);
                    let bottom = mix(x.at(c, row.1, column.0), x.at(c, row.1, column.1), column.2);
                    data[(c * height + y) * width + x0] = mix(top, bottom, row.2);
                }
            }
        }
        ReferenceTensor::new(x.shape, data)
    }

    /// Calls [`composed::warp_obmc`].
    fn warp_obmc(
        &self,
        x: &ReferenceTensor,
        velocity: &ReferenceTensor,
        factor: &f32,
        neighbours: [[isize; 2]; 2],
    ) -> ReferenceTensor {
        composed::warp_obmc(self, x, velocity, factor, neighbours)
    }

    /// Calls [`composed::cubic_residual`].
    fn cubic_residual(&self, x: &ReferenceTensor, flow: &ReferenceTensor) -> ReferenceTensor {
        composed::cubic_residual(self, x, flow)
    }

    /// Calls [`composed::dis_flow`].
    fn dis_flow(&self, frames: [&ReferenceTensor; 2], level: u32, options: &DisOptions) -> ReferenceTensor {
        composed::dis_flow(self, frames, level, options)
    }

    /// Computes `a * sigmoid(mask) + b * (1 - sigmoid(mask))`.
    fn blend(&self, a: &ReferenceTensor, b: &ReferenceTensor, mask: &ReferenceTensor) -> ReferenceTensor {
        assert_eq!(a.shape, b.shape, "blended tensors differ in shape");
        let plane = mask.channel(0);
        let values = a.data.iter().zip(b.data.iter()).enumerate();
        let data = values
            .map(|(i, (a, b))| mix(*b, *a, logistic(plane[i % plane.len()])))
            .collect();
        ReferenceTensor::new(a.shape, data)
    }

    /// Multiplies all channels by one channel.
    fn mul(&self, x: &ReferenceTensor, by: &ReferenceTensor) -> ReferenceTensor {
        let plane = by.channel(0);
        let values = x.data.iter().enumerate();
        let data = values.map(|(i, x)| x * plane[i % plane.len()]).collect();
        ReferenceTensor::new(x.shape, data)
    }

    /// Replaces static pixels by the mean of the frames.
    fn keep_static(
        &self,
        [a, b]: [&ReferenceTensor; 2],
        made: &ReferenceTensor,
        threshold: f32,
    ) -> ReferenceTensor {
        assert_eq!([a.shape, b.shape], [made.shape; 2], "frames of another shape");
        let plane = made.shape[1] * made.shape[2];
        let apart = |i: usize| {
            let channels = (i % plane..a.data.len()).step_by(plane);
            channels
                .map(|i| (a.data[i] - b.data[i]).abs())
                .fold(0.0, |max: f32, d| if d > max || d.is_nan() { d } else { max })
        };
        let values = made.data.iter().enumerate();
        let data = values
            .map(|(i, made)| {
                let share = (threshold - 255.0 * apart(i)).clamp(0.0, 1.0);
                mix(*made, 0.5 * (a.data[i] + b.data[i]), share)
            })
            .collect();
        ReferenceTensor::new(made.shape, data)
    }

    /// Convolves by loops over all taps, then adds bias, residual and activation.
    fn conv(&self, x: &ReferenceTensor, layer: &ConvSpec) -> ReferenceTensor {
        assert_eq!(x.shape[0], layer.input, "a convolution of other channels");
        let mut out = match layer.kind {
            ConvKind::Same => convolve(x, layer, 1),
            ConvKind::Down => convolve(x, layer, 2),
            ConvKind::Up => convolve_transposed(x, layer),
        };
        finish(&mut out, x, layer);
        out
    }

    /// Moves channel 4c + 2i + j to row i, column j of each 2x2 pixels of channel c.
    fn pixel_shuffle(&self, x: &ReferenceTensor) -> ReferenceTensor {
        let [channels, height, width] = x.shape;
        let mut data = Vec::with_capacity(x.data.len());
        for c in 0..channels / 4 {
            for y in 0..height * 2 {
                data.extend((0..width * 2).map(|i| x.at(c * 4 + y % 2 * 2 + i % 2, y / 2, i / 2)));
            }
        }
        ReferenceTensor::new([channels / 4, height * 2, width * 2], data)
    }

    /// Reverses each channel's values.
    fn rotate180(&self, x: &ReferenceTensor) -> ReferenceTensor {
        let data = (0..x.shape[0])
            .flat_map(|c| x.channel(c).iter().rev().copied())
            .collect();
        ReferenceTensor::new(x.shape, data)
    }

    /// Returns the maximum absolute value.
    fn max_abs(&self, x: &ReferenceTensor) -> Result<f32> {
        Ok(x.data.iter().fold(0.0, |max, v| v.abs().max(max)))
    }
}

impl SampleOps for ReferenceBackend {
    /// Shifts with edge replication.
    fn shift(&self, x: &ReferenceTensor, down: isize, right: isize) -> ReferenceTensor {
        let [channels, height, width] = x.shape;
        let near =
            |at: usize, off: isize, size: usize| (at as isize + off).clamp(0, size as isize - 1) as usize;
        let mut data = Vec::with_capacity(x.data.len());
        for c in 0..channels {
            for y in 0..height {
                data.extend((0..width).map(|i| x.at(c, near(y, down, height), near(i, right, width))));
            }
        }
        ReferenceTensor::new(x.shape, data)
    }

    /// Makes the pixel coordinates, x then y.
    fn pixel_grid(&self, like: &ReferenceTensor) -> ReferenceTensor {
        let [_, height, width] = like.shape;
        let columns = (0..height).flat_map(|_| (0..width).map(|x| x as f32));
        let rows = (0..height).flat_map(|y| (0..width).map(move |_| y as f32));
        ReferenceTensor::new([2, height, width], columns.chain(rows).collect())
    }

    /// Rounds down elementwise.
    fn floor(&self, x: &ReferenceTensor) -> ReferenceTensor {
        x.map(f32::floor)
    }
}

impl DisOps for ReferenceBackend {
    /// Makes a plane of zeros.
    fn zeros(&self, like: &ReferenceTensor) -> ReferenceTensor {
        self.plane(like, 0.0)
    }

    /// Divides elementwise.
    fn div(&self, a: &ReferenceTensor, b: &ReferenceTensor) -> ReferenceTensor {
        a.zip(b, |a, b| a / b)
    }

    /// Computes the elementwise minimum.
    fn min(&self, a: &ReferenceTensor, b: &ReferenceTensor) -> ReferenceTensor {
        a.zip(b, f32::min)
    }

    /// Computes the elementwise maximum.
    fn max(&self, a: &ReferenceTensor, b: &ReferenceTensor) -> ReferenceTensor {
        a.zip(b, f32::max)
    }

    /// Pads by replicating the last column and row.
    fn pad(&self, x: &ReferenceTensor, size: [usize; 2]) -> ReferenceTensor {
        sized(x, size)
    }

    /// Crops to the upper left `[height, width]`.
    fn crop(&self, x: &ReferenceTensor, size: [usize; 2]) -> ReferenceTensor {
        sized(x, size)
    }

    /// Selects `values[0]` where a < b, else `values[1]`.
    fn where_less(&self, [a, b]: [&ReferenceTensor; 2], values: [&ReferenceTensor; 2]) -> ReferenceTensor {
        assert_eq!(
            [b.shape, values[0].shape, values[1].shape],
            [a.shape; 3],
            "shapes differ"
        );
        let less = a.data.iter().zip(b.data.iter()).map(|(a, b)| a < b);
        let values = values[0].data.iter().zip(values[1].data.iter()).zip(less);
        let data = values.map(|((first, second), less)| if less { *first } else { *second });
        ReferenceTensor::new(a.shape, data.collect())
    }
}

/// Crops or pads a tensor on the right and at the bottom to `[height, width]`; padding replicates the last column and row.
fn sized(x: &ReferenceTensor, [height, width]: [usize; 2]) -> ReferenceTensor {
    let [channels, rows, columns] = x.shape;
    let mut data = Vec::with_capacity(channels * height * width);
    for c in 0..channels {
        for y in 0..height {
            data.extend((0..width).map(|i| x.at(c, y.min(rows - 1), i.min(columns - 1))));
        }
    }
    ReferenceTensor::new([channels, height, width], data)
}

/// Linear interpolation along an axis: the indices of two neighbours and the weight, 0..=1, of the second.
type Tap = (usize, usize, f32);

/// Interpolation of every output position of a resized axis.
struct Taps(Vec<Tap>);

impl Taps {
    /// Makes the taps that resize an axis of `size` values by `factor`.
    fn new(size: usize, factor: Resize) -> Self {
        let (size_out, ratio) = match factor {
            Resize::Up(n) => (size * n, 1.0 / n as f32),
            Resize::Down(n) => (size / n, n as f32),
        };
        Self(
            (0..size_out)
                .map(|i| tap((i as f32 + 0.5) * ratio - 0.5, size))
                .collect(),
        )
    }

    /// Returns the size of the resized axis.
    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Returns the interpolation at a position on an axis of `size` values, clamped to the axis; at its end the neighbours are
/// the last two values. The weight of a NaN is NaN.
fn tap(position: f32, size: usize) -> Tap {
    let clamped = position.max(0.0).min((size - 1) as f32);
    let first = (clamped as usize).min(size.saturating_sub(2));
    let weight = if position.is_nan() {
        f32::NAN
    } else {
        clamped - first as f32
    };
    (first, (first + 1).min(size - 1), weight)
}

/// Interpolates linearly from `a` (weight 0) to `b` (weight 1).
fn mix(a: f32, b: f32, weight: f32) -> f32 {
    a * (1.0 - weight) + b * weight
}

/// Computes the logistic function.
fn logistic(v: f32) -> f32 {
    1.0 / (1.0 + (-v).exp())
}

/// Convolves with a 3x3 kernel, zero padding 1, in groups; without bias, residual and activation.
fn convolve(x: &ReferenceTensor, layer: &ConvSpec, stride: usize) -> ReferenceTensor {
    let [_, height, width] = x.shape;
    let (out_height, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
    let (group_in, group_out) = (layer.input / layer.groups, layer.output / layer.groups);
    let mut data = vec![0.0; layer.output * out_height * out_width];
    for (o, plane) in data.chunks_exact_mut(out_height * out_width).enumerate() {
        for i in 0..group_in {
            let source = x.channel(o / group_out * group_in + i);
            for tap in 0..9 {
                let weight = layer.weight[(o * group_in + i) * 9 + tap];
                let rows = plane.chunks_exact_mut(out_width).enumerate();
                for (y, row) in rows {
                    let Some(from) = (y * stride + tap / 3).checked_sub(1).filter(|&r| r < height) else {
                        continue;
                    };
                    accumulate(
                        row,
                        &source[from * width..(from + 1) * width],
                        weight,
                        stride,
                        tap % 3,
                    );
                }
            }
        }
    }
    ReferenceTensor::new([layer.output, out_height, out_width], data)
}

/// Adds `weight * source[x * stride + tap - 1]` to every `row[x]` for which that index is inside `source`.
fn accumulate(row: &mut [f32], source: &[f32], weight: f32, stride: usize, tap: usize) {
    let skipped = usize::from(tap == 0);
    let sources = source[(skipped * stride + tap - 1).min(source.len())..]
        .iter()
        .step_by(stride);
    for (sum, value) in row[skipped..].iter_mut().zip(sources) {
        *sum += weight * value;
    }
}

/// Applies a transposed convolution, 4x4, stride 2, padding 1; without bias and activation. Input row `y` contributes to
/// the output rows `2y - 1 ..= 2y + 2`.
fn convolve_transposed(x: &ReferenceTensor, layer: &ConvSpec) -> ReferenceTensor {
    let [_, height, width] = x.shape;
    let (out_height, out_width) = (height * 2, width * 2);
    let (group_in, group_out) = (layer.input / layer.groups, layer.output / layer.groups);
    let mut data = vec![0.0; layer.output * out_height * out_width];
    for i in 0..layer.input {
        let source = x.channel(i);
        for o in 0..group_out {
            let kernel = &layer.weight[(i * group_out + o) * 16..][..16];
            let channel = i / group_in * group_out + o;
            let plane = &mut data[channel * out_height * out_width..][..out_height * out_width];
            for (index, value) in source.iter().enumerate() {
                spread(
                    plane,
                    [out_height, out_width],
                    [index / width, index % width],
                    *value,
                    kernel,
                );
            }
        }
    }
    ReferenceTensor::new([layer.output, out_height, out_width], data)
}

/// Adds the input value at `[y, x]` times a 4x4 kernel to an output plane of `[height, width]`, at rows `2y - 1 ..= 2y + 2`
/// and columns `2x - 1 ..= 2x + 2`.
fn spread(plane: &mut [f32], [height, width]: [usize; 2], [y, x]: [usize; 2], value: f32, kernel: &[f32]) {
    for (tap, weight) in kernel.iter().enumerate() {
        let (row, column) = (
            (2 * y + tap / 4).wrapping_sub(1),
            (2 * x + tap % 4).wrapping_sub(1),
        );
        if row < height && column < width {
            plane[row * width + column] += weight * value;
        }
    }
}

/// Completes a convolution in place: adds the bias, then the residual connection with `input` if there is one, then
/// applies the activation.
fn finish(out: &mut ReferenceTensor, input: &ReferenceTensor, layer: &ConvSpec) {
    let plane = out.shape[1] * out.shape[2];
    let data = Arc::make_mut(&mut out.data);
    for (c, values) in data.chunks_exact_mut(plane).enumerate() {
        for (i, value) in values.iter_mut().enumerate() {
            *value += layer.bias[c];
            if let Some(beta) = &layer.residual {
                *value = *value * beta[c] + input.channel(c)[i];
            }
            *value = activate(*value, c, &layer.activation);
        }
    }
}

/// Applies an activation function to a value of an output channel.
fn activate(value: f32, channel: usize, activation: &Activation) -> f32 {
    let slope = match activation {
        Activation::None => return value,
        Activation::LeakyRelu(slope) => *slope,
        Activation::Prelu(slopes) => slopes[channel],
    };
    if value > 0.0 { value } else { value * slope }
}
