//! The backend seam: the tensor operations that a RIFE network is written in ([`Backend`]), what they take
//! ([`ConvSpec`], [`Resize`]), compositions of simpler operations that define the fused ones ([`composed`]), and a plain
//! engine to compare others with ([`mod@reference`]).
//!
//! This crate is a leaf: networks and engines depend on it and not on each other.

pub mod composed;
pub mod conformance;
mod conv;
pub mod dis;
mod error;
pub mod planar;
pub mod reference;

use std::ops::Range;

pub use conv::{Activation, ConvKind, ConvSpec};
pub use dis::DisOptions;
pub use error::{BackendError, Result};

/// Factor of a bilinear resize (PyTorch: `align_corners = false`, no antialiasing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// Upsampling by an integer factor.
    Up(usize),
    /// Downsampling by an integer factor, which divides both sides.
    Down(usize),
}

/// An engine that can run a RIFE network. Tensors are `[channels, height, width]`, one sample for inference; a
/// training back end may keep a batch dimension before these three, invisible to the networks.
///
/// Tensors are immutable values, and cloning one is cheap. Engines may be lazy: a [`Backend::resize`] of a
/// [`Backend::warp`] that only a convolution reads need never exist at full resolution. A fused operation has a default
/// definition by simpler ones where that is possible; an engine overrides it for speed alone.
pub trait Backend {
    /// A tensor of this engine.
    type Tensor: Clone;
    /// A convolution prepared for this engine (packed weights).
    type Conv;
    /// A timestep, or a linear function of one: a single number for inference, one for each sample of a training batch,
    /// a value of the graph for a recorder. An engine never downloads it.
    type Timestep: Clone;

    /// Prepares a convolution; called once a layer, when a network is built.
    fn conv_layer(&self, spec: ConvSpec) -> Self::Conv;

    /// A tensor of `shape`, `[channels, height, width]`, from as many planar f32 values in row-major order.
    ///
    /// # Errors
    /// Where the device has no memory for it, or is lost.
    fn upload(&self, shape: [usize; 3], data: &[f32]) -> Result<Self::Tensor>;
    /// The values of a tensor in row-major order (of the first sample where there is a batch).
    ///
    /// # Errors
    /// Where computing it failed.
    fn download(&self, x: &Self::Tensor) -> Result<Vec<f32>>;
    /// As [`Backend::upload`], padded on the right and at the bottom to `[height, width]` by replicating the last column
    /// and row.
    ///
    /// # Errors
    /// As there.
    fn upload_padded(
        &self,
        shape: [usize; 3],
        data: &[f32],
        [height, width]: [usize; 2],
    ) -> Result<Self::Tensor> {
        let padded = planar::pad(data, [shape[2], shape[1]], [width, height]);
        self.upload([shape[0], height, width], &padded)
    }
    /// The values of the upper left `[height, width]` of a tensor.
    ///
    /// # Errors
    /// Where computing it failed.
    fn download_cropped(&self, x: &Self::Tensor, [height, width]: [usize; 2]) -> Result<Vec<f32>> {
        let [_, rows, columns] = self.shape(x);
        Ok(planar::crop(self.download(x)?, [columns, rows], [width, height]))
    }
    /// `[channels, height, width]`.
    fn shape(&self, x: &Self::Tensor) -> [usize; 3];
    /// One channel of `like`'s height and width, every value `value`.
    fn plane(&self, like: &Self::Tensor, value: f32) -> Self::Tensor;
    /// The timestep `value` for tensors of `like`'s height and width, every sample the same.
    fn timestep(&self, value: f32, like: &Self::Tensor) -> Self::Timestep;
    /// `timestep * factor + offset`.
    fn timestep_affine(&self, timestep: &Self::Timestep, factor: f32, offset: f32) -> Self::Timestep;
    /// A timestep as one channel of `like`'s height and width.
    fn timestep_plane(&self, timestep: &Self::Timestep, like: &Self::Tensor) -> Self::Tensor;
    /// `x` times a timestep.
    fn mul_timestep(&self, x: &Self::Tensor, timestep: &Self::Timestep) -> Self::Tensor {
        self.mul(x, &self.timestep_plane(timestep, x))
    }
    /// Concatenates along the channels.
    fn cat(&self, parts: &[&Self::Tensor]) -> Self::Tensor;
    /// A range of the channels (PyTorch's `narrow` along dimension 0).
    fn narrow(&self, x: &Self::Tensor, channels: Range<usize>) -> Self::Tensor;
    /// Elementwise sum of equal shapes.
    fn add(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// Elementwise product; `by` has one channel, which multiplies each of `x`'s.
    fn mul(&self, x: &Self::Tensor, by: &Self::Tensor) -> Self::Tensor;
    /// Elementwise `x * factor + offset`.
    fn affine(&self, x: &Self::Tensor, factor: f32, offset: f32) -> Self::Tensor;
    /// Elementwise clamp to `[0, 1]`.
    fn clamp01(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Elementwise logistic function.
    fn sigmoid(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Bilinear resize, see [`Resize`].
    fn resize(&self, x: &Self::Tensor, factor: Resize) -> Self::Tensor;
    /// Backward warp: `x` sampled at `(column + flow[0], row + flow[1])`, bilinear, border clamped (PyTorch's
    /// `grid_sample` with `align_corners = true`). `flow` has two channels in pixels and `x`'s height and width.
    fn warp(&self, x: &Self::Tensor, flow: &Self::Tensor) -> Self::Tensor;
    /// The mean of two backward warps of `x`: overlapped block motion compensation (OBMC; Orchard and Sullivan,
    /// "Overlapped Block Motion Compensation: An Estimation-Theoretic Approach", 1994) with two neighbours. Each warp uses
    /// `factor` times the velocity at `[rows, columns]` of `neighbours` from the pixel, velocities being replicated beyond
    /// the border. `velocity` has two channels in pixels.
    fn warp_obmc(
        &self,
        x: &Self::Tensor,
        velocity: &Self::Tensor,
        factor: &Self::Timestep,
        neighbours: [[isize; 2]; 2],
    ) -> Self::Tensor;
    /// What cubic interpolation adds to the bilinear samples of [`Backend::warp`], of the same arguments: at a fraction f
    /// between two pixels, f (1 - f) / 2 times the negated second difference interpolated there, summed over both axes.
    /// Catmull-Rom's kernel (Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, a = -0.5).
    fn cubic_residual(&self, x: &Self::Tensor, flow: &Self::Tensor) -> Self::Tensor;
    /// `x` without its last channel, that channel times the one channel of `by` added to each of the others.
    fn add_last_channel(&self, x: &Self::Tensor, by: &Self::Tensor) -> Self::Tensor {
        let last = self.shape(x)[0] - 1;
        let added = self.mul(&self.narrow(x, last..last + 1), by);
        let channels: Vec<_> = (0..last)
            .map(|c| self.add(&self.narrow(x, c..c + 1), &added))
            .collect();
        self.cat(&channels.iter().collect::<Vec<_>>())
    }
    /// Forward and backward optical flow by dense inverse search ([`dis`]) with these options, without weights or gradients:
    /// `[4, height >> level, width >> level]`, x and y from the first frame to the second, then x and y from the second to the first, in
    /// pixels of that size. `frames` are `[3, height, width]`, RGB in 0..1, both sides multiples of `1 << level`.
    fn dis_flow(&self, frames: [&Self::Tensor; 2], level: u32, options: &DisOptions) -> Self::Tensor;
    /// Projects the flow of [`Backend::dis_flow`] to a timestep: each direction sampled where the motion passes through the
    /// pixel, by their weighted mean at the pixel itself, and the backward one negated. Both are then velocities from the
    /// first frame to the second of what is seen at the timestep: `[4, height, width]`, that of the forward search, then
    /// that of the backward search.
    fn project_flow(&self, flow: &Self::Tensor, timestep: &Self::Timestep) -> Self::Tensor {
        composed::project_flow(self, flow, timestep)
    }
    /// `a * sigmoid(mask) + b * (1 - sigmoid(mask))`; `mask` has one channel for all of `a`'s.
    fn blend(&self, a: &Self::Tensor, b: &Self::Tensor, mask: &Self::Tensor) -> Self::Tensor;
    /// `made` except where the two frames are equal within rounding: with d the largest absolute difference of the frames'
    /// channels in code values of 255, `clamp01(threshold - d)` of the frames' mean and the rest of `made`.
    fn keep_static(&self, frames: [&Self::Tensor; 2], made: &Self::Tensor, threshold: f32) -> Self::Tensor;
    /// Applies a prepared convolution.
    fn conv(&self, x: &Self::Tensor, layer: &Self::Conv) -> Self::Tensor;
    /// Applies convolutions one after another; an engine may keep its own memory layout in between.
    fn conv_chain(&self, x: &Self::Tensor, layers: &[Self::Conv]) -> Self::Tensor {
        layers.iter().fold(x.clone(), |x, layer| self.conv(&x, layer))
    }
    /// PyTorch's `PixelShuffle(2)`: a quarter of the channels, twice the height and width.
    fn pixel_shuffle(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Applies a prepared convolution, then [`Backend::pixel_shuffle`].
    fn conv_shuffled(&self, x: &Self::Tensor, layer: &Self::Conv) -> Self::Tensor {
        self.pixel_shuffle(&self.conv(x, layer))
    }
    /// Rotation by 180 degrees (flip of both axes), for test-time augmentation.
    fn rotate180(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Largest absolute value (the 4.0 and 4.1 networks branch on it).
    ///
    /// # Errors
    /// Where computing it failed.
    fn max_abs(&self, x: &Self::Tensor) -> Result<f32>;
    /// Makes a lazy engine compute `x` now, for values that are kept from pair to pair.
    ///
    /// # Errors
    /// Where computing it failed.
    fn materialize(&self, x: &Self::Tensor) -> Result<Self::Tensor> {
        Ok(x.clone())
    }
}
