//! The operations a RIFE network needs, and nothing else: every network in this crate is written once against
//! [`Backend`], and every engine (the CPU engine here, Burn in the trainer) implements it once.

pub(crate) mod count;
mod cpu;
mod detail;
mod motion;
pub mod reference;

use std::ops::Range;

use crate::image::{crop, pad};
pub use cpu::CpuBackend;
pub use detail::{Placed, composed as composed_detail, near as composed_near};
pub(crate) use motion::grey;
pub use motion::{Pixelwise, composed as composed_motion};
pub use rife_cpu::{Activation, ConvKind, ConvSpec, Factor};

/// An engine that can run a RIFE network. Tensors are `[channels, height, width]`, one sample for inference; a
/// training back end may keep a batch beside these three, invisible to the networks.
///
/// Tensors are values: an operation never changes its inputs, and cloning is cheap. Engines may be lazy: a
/// `resize` of a `warp` that only a convolution reads need never exist at full resolution.
pub trait Backend {
    /// A tensor of this engine.
    type Tensor: Clone;
    /// A convolution prepared for this engine (packed weights).
    type Conv;

    /// Prepares a convolution; called once a layer, when a network is built.
    fn conv_layer(&self, spec: ConvSpec) -> Self::Conv;

    /// A tensor from planar f32 values in row-major order, `shape`'s product of them.
    fn upload(&self, shape: [usize; 3], data: &[f32]) -> Self::Tensor;
    /// The values of a tensor in row-major order (of the first sample where there is a batch).
    fn download(&self, x: &Self::Tensor) -> Vec<f32>;
    /// As [`Backend::upload`], extended to the right and down to `[height, width]` by the last column and row.
    fn upload_extended(&self, shape: [usize; 3], data: &[f32], [height, width]: [usize; 2]) -> Self::Tensor {
        let padded = pad(data, [shape[2], shape[1]], [width, height]);
        self.upload([shape[0], height, width], &padded)
    }
    /// The values of the upper left `[height, width]`.
    fn download_corner(&self, x: &Self::Tensor, [height, width]: [usize; 2]) -> Vec<f32> {
        let [_, rows, columns] = self.shape(x);
        crop(self.download(x), [columns, rows], [width, height])
    }
    /// `[channels, height, width]`.
    fn shape(&self, x: &Self::Tensor) -> [usize; 3];
    /// A tensor of the size of `like`'s plane with one channel of the same value everywhere.
    fn plane(&self, like: &Self::Tensor, value: f32) -> Self::Tensor;
    /// Joins along the channels.
    fn cat(&self, parts: &[&Self::Tensor]) -> Self::Tensor;
    /// Some of the channels.
    fn channels(&self, x: &Self::Tensor, range: Range<usize>) -> Self::Tensor;
    /// Elementwise sum of equal shapes.
    fn add(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// Elementwise `x * factor + offset`.
    fn affine(&self, x: &Self::Tensor, factor: f32, offset: f32) -> Self::Tensor;
    /// Elementwise clamp to `[0, 1]`.
    fn clamp01(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Elementwise logistic function.
    fn sigmoid(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Bilinear resize, see [`Factor`].
    fn resize(&self, x: &Self::Tensor, factor: Factor) -> Self::Tensor;
    /// `x` sampled at `(column + flow[0], row + flow[1])`: bilinear, border clamped, `align_corners = true`.
    /// `flow` has two channels, in pixels of its own size, which is `x`'s size.
    fn warp(&self, x: &Self::Tensor, flow: &Self::Tensor) -> Self::Tensor;
    /// The mean of two warps of `x`, each by the velocity of one of a pixel's neighbours, `near` rows down and columns
    /// right of it, times `by`; beyond the edges velocities are repeated. `velocity` has two channels in pixels, `by` is
    /// a plane with one value everywhere. Where motion is in doubt neighbours differ, and the mean errs less than either:
    /// overlapped block motion compensation (Orchard and Sullivan, 1994) rests on the same.
    fn warp_near(
        &self,
        x: &Self::Tensor,
        velocity: &Self::Tensor,
        by: &Self::Tensor,
        near: [[isize; 2]; 2],
    ) -> Self::Tensor;
    /// What [`Backend::warp`] loses against a cubic: at a share f of the way between two pixels Catmull and Rom's cubic
    /// through them and their neighbours is f (1 - f) / 2 times the second difference that is there below the line
    /// between the two. Along both axes, added up; shapes as there. "Cubic convolution interpolation for digital image
    /// processing" (Keys, 1981) has that cubic as a sampling kernel, with a = -0.5.
    fn detail(&self, x: &Self::Tensor, flow: &Self::Tensor) -> Self::Tensor;
    /// `x`'s channels but its last, each with the last times `by` added; `by` has one channel.
    fn sharpen(&self, x: &Self::Tensor, by: &Self::Tensor) -> Self::Tensor {
        let last = self.shape(x)[0] - 1;
        let added = self.scaled(&self.channels(x, last..last + 1), by);
        let channels: Vec<_> = (0..last)
            .map(|c| self.add(&self.channels(x, c..c + 1), &added))
            .collect();
        self.cat(&channels.iter().collect::<Vec<_>>())
    }
    /// Velocities from the first frame to the second, without weights and without gradients, in pixels of the size found
    /// at: of what is at each pixel at `timestep`, a plane with one value everywhere. Two opinions of them, that of a
    /// search from the first frame and that of a search from the second, `[4, height >> finest, width >> finest]`.
    /// `frames` are RGB in 0..1, of a size that 2 to the power of `finest` divides. `rife_cpu::motion` explains it.
    fn motion(&self, frames: [&Self::Tensor; 2], timestep: &Self::Tensor, finest: u32) -> Self::Tensor;
    /// `a * sigmoid(mask) + b * (1 - sigmoid(mask))`, one mask channel for all of `a`'s.
    fn blend(&self, a: &Self::Tensor, b: &Self::Tensor, mask: &Self::Tensor) -> Self::Tensor;
    /// Elementwise product, one channel of `by` for all of `x`'s.
    fn scaled(&self, x: &Self::Tensor, by: &Self::Tensor) -> Self::Tensor;
    /// `made` except where two frames are alike: with `apart` the largest difference of the frames' channels in code
    /// values of 255, the share `clamp01(1.5 - apart)` of their mean and the rest of `made`.
    fn keep_still(&self, frames: [&Self::Tensor; 2], made: &Self::Tensor) -> Self::Tensor;
    /// Applies a prepared convolution.
    fn conv(&self, x: &Self::Tensor, layer: &Self::Conv) -> Self::Tensor;
    /// Applies convolutions one after another: an engine may keep its own layout in between.
    fn chain(&self, x: &Self::Tensor, layers: &[Self::Conv]) -> Self::Tensor {
        layers.iter().fold(x.clone(), |x, layer| self.conv(&x, layer))
    }
    /// PyTorch's `PixelShuffle(2)`: a quarter of the channels, twice the size.
    fn pixel_shuffle(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Applies a prepared convolution, then a pixel shuffle.
    fn conv_shuffled(&self, x: &Self::Tensor, layer: &Self::Conv) -> Self::Tensor {
        self.pixel_shuffle(&self.conv(x, layer))
    }
    /// Half a turn of the image (flip of both axes), for test-time augmentation.
    fn rotate180(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Largest absolute value (the 4.0 and 4.1 networks branch on it).
    fn max_abs(&self, x: &Self::Tensor) -> f32;
    /// Makes a lazy engine compute `x` now, for values that are kept from pair to pair.
    fn materialize(&self, x: &Self::Tensor) -> Self::Tensor {
        x.clone()
    }
}
