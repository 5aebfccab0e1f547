//! LPIPS, a learned perceptual distance (Zhang et al. 2018, version 0.1, `net='alex'`): features of AlexNet's five stages,
//! normalised to unit length per pixel; squared differences, weighted by channel, averaged over the image and summed over the
//! stages. A plain implementation, used for benchmarks only.

use std::num::NonZero;
use std::path::Path;
use std::thread;

use rife::nets::{WeightTensor, Weights};

use rife::weights::read_weights;
use rife::{Error, Result};

/// AlexNet's convolutions: index in torchvision's `features`, output and input channels, kernel side, stride,
/// padding, and whether a max-pool of 3 with stride 2 comes before.
const STAGES: [(usize, usize, usize, usize, usize, usize, bool); 5] = [
    (0, 64, 3, 11, 4, 2, false),
    (3, 192, 64, 5, 1, 2, true),
    (6, 384, 192, 3, 1, 1, true),
    (8, 256, 384, 3, 1, 1, false),
    (10, 256, 256, 3, 1, 1, false),
];
/// Mean per channel that is subtracted from an image in -1..=1.
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
/// Standard deviation per channel by which the difference is divided.
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
/// Minimum side in pixels, for which every stage has an output.
const MIN_SIDE: usize = 31;

/// The LPIPS metric with its weights.
#[derive(Debug, Clone)]
pub struct Lpips {
    stages: Vec<Stage>,
}

/// A stage of AlexNet: optional max-pool, convolution and ReLU.
#[derive(Debug, Clone)]
struct Stage {
    /// `[outputs, inputs, kernel, kernel]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
    /// Number of input channels.
    inputs: usize,
    /// Side of the kernel.
    kernel: usize,
    stride: usize,
    padding: usize,
    /// Whether a max-pool of 3 with stride 2 comes before the convolution.
    pooled: bool,
    /// Weight of each output channel in the distance.
    linear: Vec<f32>,
}

/// A feature map, `[channels, height, width]`.
struct Features {
    data: Vec<f32>,
    height: usize,
    width: usize,
}

impl Lpips {
    /// Reads the weights of one file: the state of the `lpips` package's `LPIPS(net='alex')`, or torchvision's
    /// `alexnet` together with the linear layers of LPIPS.
    ///
    /// # Errors
    /// Those of reading a weights file; [`Error::Data`] for missing tensors and tensors of another shape.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_weights(&read_weights(path)?)
    }

    /// Makes the metric from tensors named as in [`Lpips::read`].
    ///
    /// # Errors
    /// [`Error::Data`] for missing tensors and tensors of another shape.
    pub fn from_weights(weights: &Weights) -> Result<Self> {
        let stages = STAGES
            .iter()
            .enumerate()
            .map(|(index, stage)| Stage::new(weights, index, *stage));
        Ok(Self {
            stages: stages.collect::<Result<_>>()?,
        })
    }

    /// Computes the distance of two images, planar RGB in 0..=1; 0 for equal ones.
    ///
    /// # Errors
    /// [`Error::Data`] for sides under 31 pixels.
    ///
    /// # Panics
    /// When a length is not `3 * height * width`.
    pub fn distance(&self, a: &[f32], b: &[f32], [height, width]: [usize; 2]) -> Result<f64> {
        if height < MIN_SIDE || width < MIN_SIDE {
            let text =
                format!("LPIPS needs pictures of at least {MIN_SIDE}x{MIN_SIDE}, not {width}x{height}");
            return Err(Error::Data(text));
        }
        let (mut a, mut b) = (standardised(a, height, width), standardised(b, height, width));
        let mut total = 0.0;
        for stage in &self.stages {
            (a, b) = (stage.apply(&a), stage.apply(&b));
            total += stage.distance(&a, &b);
        }
        Ok(total)
    }
}

/// Converts an image in 0..=1 to the network's input: scaled to -1..=1, then standardised per channel.
fn standardised(picture: &[f32], height: usize, width: usize) -> Features {
    assert_eq!(
        picture.len(),
        3 * height * width,
        "three planes of {height}x{width}"
    );
    let planes = picture.chunks_exact(height * width).zip(SHIFT.iter().zip(&SCALE));
    let data =
        planes.flat_map(|(plane, (shift, scale))| plane.iter().map(move |v| (2.0 * v - 1.0 - shift) / scale));
    Features {
        data: data.collect(),
        height,
        width,
    }
}

impl Stage {
    /// Takes the tensors of a stage; the tuple is an element of [`STAGES`].
    fn new(
        weights: &Weights,
        index: usize,
        (layer, outputs, inputs, kernel, stride, padding, pooled): (
            usize,
            usize,
            usize,
            usize,
            usize,
            usize,
            bool,
        ),
    ) -> Result<Self> {
        let slice = index + 1;
        let convolution = |parameter: &str, shape: &[usize]| {
            let names = [
                format!("features.{layer}.{parameter}"),
                format!("net.slice{slice}.{layer}.{parameter}"),
            ];
            tensor(weights, &names, shape)
        };
        let linear = [
            format!("lin{index}.model.1.weight"),
            format!("lins.{index}.model.1.weight"),
        ];
        Ok(Self {
            weight: convolution("weight", &[outputs, inputs, kernel, kernel])?,
            bias: convolution("bias", &[outputs])?,
            inputs,
            kernel,
            stride,
            padding,
            pooled,
            linear: tensor(weights, &linear, &[1, outputs, 1, 1])?,
        })
    }

    /// Applies pool, convolution and ReLU, with output channels divided among threads.
    fn apply(&self, input: &Features) -> Features {
        let pooled = self.pooled.then(|| input.pooled());
        let padded = pooled.as_ref().unwrap_or(input).padded(self.padding);
        let side = |size: usize| (size - self.kernel) / self.stride + 1;
        let (height, width) = (side(padded.height), side(padded.width));
        let mut data = vec![0.0; self.bias.len() * height * width];
        let per_thread = self
            .bias
            .len()
            .div_ceil(thread::available_parallelism().map_or(1, NonZero::get));
        thread::scope(|scope| {
            for (chunk, planes) in data.chunks_mut(per_thread * height * width).enumerate() {
                let padded = &padded;
                scope.spawn(move || {
                    for (index, plane) in planes.chunks_exact_mut(height * width).enumerate() {
                        self.channel(padded, chunk * per_thread + index, plane, width);
                    }
                });
            }
        });
        Features { data, height, width }
    }

    /// Computes one output channel into `plane`, rows of `width`, from a padded input.
    fn channel(&self, input: &Features, channel: usize, plane: &mut [f32], width: usize) {
        plane.fill(self.bias[channel]);
        let taps = self.inputs * self.kernel * self.kernel;
        let weight = &self.weight[channel * taps..][..taps];
        for (index, weight) in weight.iter().enumerate() {
            let (source, tap) = (
                index / (self.kernel * self.kernel),
                index % (self.kernel * self.kernel),
            );
            let (dy, dx) = (tap / self.kernel, tap % self.kernel);
            for (y, row) in plane.chunks_exact_mut(width).enumerate() {
                let start = (source * input.height + y * self.stride + dy) * input.width + dx;
                let values = &input.data[start..start + (width - 1) * self.stride + 1];
                if self.stride == 1 {
                    row.iter_mut()
                        .zip(values)
                        .for_each(|(sum, value)| *sum += weight * value);
                } else {
                    let values = values.iter().step_by(self.stride);
                    row.iter_mut()
                        .zip(values)
                        .for_each(|(sum, value)| *sum += weight * value);
                }
            }
        }
        plane.iter_mut().for_each(|value| *value = value.max(0.0));
    }

    /// Returns the mean over pixels of the weighted squared differences of features normalised to unit length.
    fn distance(&self, a: &Features, b: &Features) -> f64 {
        let area = a.height * a.width;
        let lengths = |features: &Features| {
            let mut squares = vec![0.0_f64; area];
            for plane in features.data.chunks_exact(area) {
                squares
                    .iter_mut()
                    .zip(plane)
                    .for_each(|(sum, value)| *sum += f64::from(*value).powi(2));
            }
            squares
                .into_iter()
                .map(|sum| sum.sqrt() + 1e-10)
                .collect::<Vec<_>>()
        };
        let (of_a, of_b) = (lengths(a), lengths(b));
        let mut total = 0.0;
        for ((a, b), weight) in a
            .data
            .chunks_exact(area)
            .zip(b.data.chunks_exact(area))
            .zip(&self.linear)
        {
            let squares = (0..area).map(|i| (f64::from(a[i]) / of_a[i] - f64::from(b[i]) / of_b[i]).powi(2));
            total += f64::from(*weight) * squares.sum::<f64>();
        }
        total / area as f64
    }
}

/// Returns the values of the first tensor that exists under one of the names, and checks its shape.
fn tensor(weights: &Weights, names: &[String], shape: &[usize]) -> Result<Vec<f32>> {
    let found: Option<(&String, &WeightTensor)> = names
        .iter()
        .find_map(|name| weights.get(name).map(|tensor| (name, tensor)));
    match found {
        Some((_, tensor)) if tensor.shape == shape => Ok(tensor.data.clone()),
        Some((name, tensor)) => Err(Error::Data(format!(
            "LPIPS wants {name} of shape {shape:?}, not {:?}",
            tensor.shape
        ))),
        None => Err(Error::Data(format!(
            "the LPIPS weights have no {}; accepted are the tensors of the lpips package's LPIPS(net='alex')",
            names.join(" or ")
        ))),
    }
}

impl Features {
    /// Returns the number of channels.
    fn channels(&self) -> usize {
        self.data.len() / (self.height * self.width)
    }

    /// Pads with `by` zeros on all sides.
    fn padded(&self, by: usize) -> Self {
        let (height, width) = (self.height + 2 * by, self.width + 2 * by);
        let mut data = vec![0.0; self.channels() * height * width];
        for (index, row) in self.data.chunks_exact(self.width).enumerate() {
            let (channel, y) = (index / self.height, index % self.height);
            data[(channel * height + y + by) * width + by..][..self.width].copy_from_slice(row);
        }
        Self { data, height, width }
    }

    /// Applies max-pooling of 3x3 with stride 2.
    fn pooled(&self) -> Self {
        let side = |size: usize| (size - 3) / 2 + 1;
        let (height, width) = (side(self.height), side(self.width));
        let mut data = Vec::with_capacity(self.channels() * height * width);
        for plane in self.data.chunks_exact(self.height * self.width) {
            for y in 0..height {
                for x in 0..width {
                    let rows = (0..3).map(|dy| &plane[(2 * y + dy) * self.width + 2 * x..][..3]);
                    data.push(rows.flatten().copied().fold(f32::NEG_INFINITY, f32::max));
                }
            }
        }
        Self { data, height, width }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_misshapen_weights_are_named() {
        let mut weights = Weights::new();
        let missing = Lpips::from_weights(&weights).unwrap_err().to_string();
        assert!(missing.contains("features.0.weight"), "{missing}");
        let tensor = WeightTensor {
            shape: vec![1],
            data: vec![0.0],
        };
        weights.insert("features.0.weight", tensor);
        let shape = Lpips::from_weights(&weights).unwrap_err().to_string();
        assert!(shape.contains("[64, 3, 11, 11]"), "{shape}");
    }

    #[test]
    fn pooling_and_padding() {
        let features = Features {
            data: (0..25).map(|v| v as f32).collect(),
            height: 5,
            width: 5,
        };
        let pooled = features.pooled();
        assert_eq!((pooled.data, pooled.width), (vec![12.0, 14.0, 22.0, 24.0], 2));
        let padded = features.padded(1);
        assert_eq!((padded.height, padded.width), (7, 7));
        assert_eq!(
            padded.data[..10],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
        );
    }
}
