//! Tensor backend interface: the trait of the tensor operations that the RIFE networks use ([`Backend`]), the types of
//! their arguments ([`ConvSpec`], [`Resize`], [`DisOptions`]), compositions of simpler operations that define the fused
//! ones ([`composed`]), a slow reference engine ([`mod@reference`]) and the tests of every engine ([`conformance`]).
//!
//! This crate depends on no other crate of the project: networks and engines depend on it and not on each other.

pub mod composed;
pub mod conformance;
mod conv;
pub mod dis;
mod download;
mod error;
pub mod planar;
pub mod reference;

use std::ops::Range;

pub use conv::{Activation, ConvKind, ConvSpec};
pub use dis::DisOptions;
pub use download::Download;
pub use error::{BackendError, Result};

/// Scale factor of a bilinear resize (PyTorch's `interpolate` with `align_corners = false` and no antialiasing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// Upsampling by an integer factor: height and width are multiplied by it.
    Up(usize),
    /// Downsampling by an integer factor, which must divide height and width.
    Down(usize),
}

/// An engine that can run a RIFE network. Tensors of f32 are `[channels, height, width]`, one sample for inference; a
/// training engine may keep a batch dimension before these three, invisible to the networks.
///
/// Tensors are immutable, and cloning one is cheap. Engines may be lazy: the result of a [`Backend::warp`] that is only
/// read through a [`Backend::resize`] and a convolution need never be stored at full resolution. A fused operation has a
/// default implementation in simpler ones where that is possible; an engine overrides it for speed only.
pub trait Backend {
    /// A tensor of this engine.
    type Tensor: Clone;
    /// A convolution prepared for this engine (packed weights).
    type Conv;
    /// A timestep, 0 at the first frame and 1 at the second, or a linear function of a timestep: a single number for
    /// inference, one number for each sample of a training batch, a value of the graph for a graph recorder.
    type Timestep: Clone;

    /// Prepares a convolution (packs its weights). Called once for each layer, when a network is built.
    fn conv_layer(&self, spec: ConvSpec) -> Self::Conv;

    /// Makes a tensor of `shape`, `[channels, height, width]`, from as many values in row-major order.
    ///
    /// # Errors
    /// When the device is out of memory or lost.
    fn upload(&self, shape: [usize; 3], data: &[f32]) -> Result<Self::Tensor>;
    /// Returns the values of a tensor, `[channels, height, width]` in row-major order; of a batch, the first sample's.
    ///
    /// # Errors
    /// When the device failed to compute them.
    fn download(&self, x: &Self::Tensor) -> Result<Vec<f32>>;
    /// Makes a tensor of `[shape[0], height, width]` from values of `shape`, `[channels, height, width]` in row-major order,
    /// padded on the right and at the bottom by replicating the last column and row.
    ///
    /// # Errors
    /// When the device is out of memory or lost.
    fn upload_padded(
        &self,
        shape: [usize; 3],
        data: &[f32],
        [height, width]: [usize; 2],
    ) -> Result<Self::Tensor> {
        let padded = planar::pad(data, [shape[2], shape[1]], [width, height]);
        self.upload([shape[0], height, width], &padded)
    }
    /// Returns the values of the upper left `[height, width]` of every channel, in row-major order.
    ///
    /// # Errors
    /// When the device failed to compute them.
    fn download_cropped(&self, x: &Self::Tensor, [height, width]: [usize; 2]) -> Result<Vec<f32>> {
        let [_, rows, columns] = self.shape(x);
        Ok(planar::crop(self.download(x)?, [columns, rows], [width, height]))
    }
    /// Starts to download the upper left `size`, `[height, width]`, of every channel, so that other work can be submitted
    /// before [`Download::wait`]. By default the values are downloaded before this function returns.
    ///
    /// # Errors
    /// When the computation failed or the device is lost.
    fn start_download(&self, x: &Self::Tensor, size: [usize; 2]) -> Result<Download> {
        self.download_cropped(x, size).map(Download::ready)
    }
    /// Returns the tensor's shape, `[channels, height, width]`.
    fn shape(&self, x: &Self::Tensor) -> [usize; 3];
    /// Makes a tensor of one channel with `like`'s height and width, every value `value`.
    fn plane(&self, like: &Self::Tensor, value: f32) -> Self::Tensor;
    /// Makes a timestep of `value`, the same for every sample of the batch of `like`.
    fn timestep(&self, value: f32, like: &Self::Tensor) -> Self::Timestep;
    /// Computes `timestep * factor + offset`.
    fn timestep_affine(&self, timestep: &Self::Timestep, factor: f32, offset: f32) -> Self::Timestep;
    /// Makes a tensor of one channel with `like`'s height and width, every value the timestep.
    fn timestep_plane(&self, timestep: &Self::Timestep, like: &Self::Tensor) -> Self::Tensor;
    /// Multiplies `x` by a timestep.
    fn mul_timestep(&self, x: &Self::Tensor, timestep: &Self::Timestep) -> Self::Tensor {
        self.mul(x, &self.timestep_plane(timestep, x))
    }
    /// Concatenates tensors of equal height and width along the channels.
    fn cat(&self, parts: &[&Self::Tensor]) -> Self::Tensor;
    /// Returns a range of the channels (PyTorch's `narrow` along dimension 0).
    fn narrow(&self, x: &Self::Tensor, channels: Range<usize>) -> Self::Tensor;
    /// Adds tensors of equal shape elementwise.
    fn add(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// Multiplies every channel of `x` elementwise by `by`, which has one channel.
    fn mul(&self, x: &Self::Tensor, by: &Self::Tensor) -> Self::Tensor;
    /// Computes `x * factor + offset` elementwise.
    fn affine(&self, x: &Self::Tensor, factor: f32, offset: f32) -> Self::Tensor;
    /// Clamps every value to 0..=1.
    fn clamp01(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Computes the logistic function elementwise, `1 / (1 + exp(-x))`.
    fn sigmoid(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Resizes by bilinear interpolation, as [`Resize`] defines it.
    fn resize(&self, x: &Self::Tensor, factor: Resize) -> Self::Tensor;
    /// Warps backward: samples `x` at `(column + flow[0], row + flow[1])`, bilinear, coordinates clamped to the image
    /// (PyTorch's `grid_sample` with `align_corners = true` and border padding). `flow` is `[2, height, width]`, in pixels.
    fn warp(&self, x: &Self::Tensor, flow: &Self::Tensor) -> Self::Tensor;
    /// Computes the mean of two backward warps of `x`: overlapped block motion compensation (OBMC; Orchard and Sullivan,
    /// "Overlapped Block Motion Compensation: An Estimation-Theoretic Approach", 1994) with two neighbours. The flow of each
    /// warp is `factor` times the velocity of the pixel at one of the two offsets `neighbours`, `[rows, columns]`, from this
    /// pixel; beyond the border, velocities are replicated. `velocity` is `[2, height, width]`, in pixels.
    fn warp_obmc(
        &self,
        x: &Self::Tensor,
        velocity: &Self::Tensor,
        factor: &Self::Timestep,
        neighbours: [[isize; 2]; 2],
    ) -> Self::Tensor;
    /// Computes the difference of cubic from bilinear interpolation: added to `warp(x, flow)`, it gives samples with the
    /// Catmull-Rom kernel (Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, a = -0.5). For a
    /// position at the fraction f between two pixels of an axis, it is f (1 - f) / 2 times the linearly interpolated negated
    /// second difference along that axis; the two axes are summed. `flow` is `[2, height, width]`, in pixels.
    fn cubic_residual(&self, x: &Self::Tensor, flow: &Self::Tensor) -> Self::Tensor;
    /// Removes the last channel of `x` and adds its product with `by`, which has one channel, to each of the others.
    fn add_last_channel(&self, x: &Self::Tensor, by: &Self::Tensor) -> Self::Tensor {
        let last = self.shape(x)[0] - 1;
        let added = self.mul(&self.narrow(x, last..last + 1), by);
        let channels: Vec<_> = (0..last)
            .map(|c| self.add(&self.narrow(x, c..c + 1), &added))
            .collect();
        self.cat(&channels.iter().collect::<Vec<_>>())
    }
    /// Computes forward and backward optical flow by dense inverse search ([`dis`]), without weights or gradients.
    /// `frames` are `[3, height, width]`, RGB in 0..=1, height and width multiples of `1 << level`. Returns
    /// `[4, height >> level, width >> level]`, in pixels of that resolution: x and y from the first frame to the second, then
    /// x and y from the second frame to the first.
    fn dis_flow(&self, frames: [&Self::Tensor; 2], level: u32, options: &DisOptions) -> Self::Tensor;
    /// Projects the flow of [`Backend::dis_flow`], `[4, height, width]`, from the two frames to the frame at `timestep` t.
    /// With v = (1 - t) * forward - t * backward at each pixel, samples the forward flow displaced by -t * v and the backward
    /// flow displaced by (1 - t) * v, and negates the latter. Returns `[4, height, width]`: two estimates, x and y each, of
    /// the velocity from the first frame to the second at each pixel of the intermediate frame.
    fn project_flow(&self, flow: &Self::Tensor, timestep: &Self::Timestep) -> Self::Tensor {
        composed::project_flow(self, flow, timestep)
    }
    /// Computes `a * sigmoid(mask) + b * (1 - sigmoid(mask))`; `mask` has one channel, which applies to every channel.
    fn blend(&self, a: &Self::Tensor, b: &Self::Tensor, mask: &Self::Tensor) -> Self::Tensor;
    /// Replaces `made`, the interpolated frame, by the mean of the two frames where these are equal within rounding:
    /// `w * mean + (1 - w) * made` with `w = clamp01(threshold - d)`, where d is the largest absolute difference of the
    /// frames over the pixel's channels, in code values of 0..=255. All three are of one shape, values 0..=1.
    fn keep_static(&self, frames: [&Self::Tensor; 2], made: &Self::Tensor, threshold: f32) -> Self::Tensor;
    /// Applies a prepared convolution.
    fn conv(&self, x: &Self::Tensor, layer: &Self::Conv) -> Self::Tensor;
    /// Applies convolutions one after another; an engine may keep its own memory layout in between.
    fn conv_chain(&self, x: &Self::Tensor, layers: &[Self::Conv]) -> Self::Tensor {
        layers.iter().fold(x.clone(), |x, layer| self.conv(&x, layer))
    }
    /// Rearranges channels into pixels (PyTorch's `PixelShuffle(2)`): a quarter of the channels, twice the height and width.
    fn pixel_shuffle(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Applies a prepared convolution, then [`Backend::pixel_shuffle`].
    fn conv_shuffled(&self, x: &Self::Tensor, layer: &Self::Conv) -> Self::Tensor {
        self.pixel_shuffle(&self.conv(x, layer))
    }
    /// Rotates by 180 degrees (flips both axes), for test-time augmentation.
    fn rotate180(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Returns the largest absolute value (the 4.0 and 4.1 networks branch on it).
    ///
    /// # Errors
    /// When the device failed to compute it.
    fn max_abs(&self, x: &Self::Tensor) -> Result<f32>;
    /// Makes a lazy engine compute `x` now and returns the result: for values that are reused for the next pair of frames.
    ///
    /// # Errors
    /// When the device failed to compute it.
    fn materialize(&self, x: &Self::Tensor) -> Result<Self::Tensor> {
        Ok(x.clone())
    }
}
