//! Constants of the dense inverse search (DIS; Kroeger, Timofte, Dai and Van Gool, "Fast Optical Flow using Dense
//! Inverse Search", ECCV 2016) that [`Backend::dis_flow`](crate::Backend::dis_flow) runs: every engine uses these.
//!
//! From the coarsest to the finest level of a pyramid of luma images, patches of 8x8 pixels, one every [`STRIDE`], take
//! [`GAUSS_NEWTON_STEPS`] inverse-compositional Gauss-Newton steps, then adopt the velocity of one of their four
//! neighbours where its cost is lower ([`PROPAGATION_ROUNDS`], as in PatchMatch). The cost of a patch is the variance of
//! its differences. Densification: a pixel's velocity is the mean over the patches that cover it, weighted by the inverse
//! of the absolute difference it leaves at the pixel, then a 3x3 median.

/// Weights of red, green and blue in luma (BT.601).
pub const LUMA: [f32; 3] = [0.299, 0.587, 0.114];
/// Pixels between neighbouring patches along rows and columns; a patch is twice as wide and high.
pub const STRIDE: usize = 4;
/// Gauss-Newton steps of a patch on every level.
pub const GAUSS_NEWTON_STEPS: usize = 3;
/// Propagation rounds on every level but the finest.
pub const PROPAGATION_ROUNDS: usize = 8;
/// Propagation rounds on the finest level, which has as many patches as three times all others.
pub const FINEST_PROPAGATION_ROUNDS: usize = 3;
/// Levenberg damping: added to the diagonal of the Hessian's mean over a patch, luma being 0 to 1.
pub const DAMPING: f32 = 1e-4;
/// Lower bound of the absolute difference in the densification weight `1 / max(|difference|, MIN_RESIDUAL)`.
pub const MIN_RESIDUAL: f32 = 1.0 / 255.0;
/// Upper bound of what one step changes either component of a velocity by, in pixels of the level.
pub const MAX_STEP: f32 = 2.0;

/// Pyramid levels above the finest, whose images are `height` x `width`: the longer side of the coarsest is 23 to 45
/// pixels.
///
/// Motion in pixels grows with the size of the image. On small images coarser levels find motion that is not there: two
/// levels more lost 0.03 to 0.06 dB at 256x256; one fewer lost 0.07 to 0.14 dB at 480 to 960 pixels.
pub fn coarser_levels(height: usize, width: usize) -> u32 {
    let long = height.max(width);
    (long * long / 512).max(1).ilog2() / 2
}
