//! Options of the dense inverse search (DIS; Kroeger, Timofte, Dai and Van Gool, "Fast Optical Flow using Dense
//! Inverse Search", ECCV 2016) that [`Backend::dis_flow`](crate::Backend::dis_flow) runs.
//!
//! From the coarsest to the finest level of a pyramid of luma images: patches of 8x8 pixels, one every [`STRIDE`] pixels,
//! take inverse-compositional Gauss-Newton steps from the coarser level's velocities (and on the finest level, if
//! [`DisOptions::zero_start`] is set, also from zero), then adopt the velocity of one of their four neighbours where its
//! cost is lower (propagation, as in PatchMatch). The cost of a patch is the variance of its differences between the two images.
//! Densification: a pixel's velocity is the mean of those of the patches that cover it, each weighted by the inverse of the
//! absolute difference of luma between the pixel and the pixel that the velocity points to; a 3x3 median filter follows. The
//! size of the patches and their stride are fixed; all other constants are [`DisOptions`], which a network's description
//! gives.

use serde::{Deserialize, Serialize};

/// Weights of red, green and blue in luma (ITU-R BT.601).
pub const LUMA: [f32; 3] = [0.299, 0.587, 0.114];
/// Distance of neighbouring patches along rows and columns, in pixels; a patch is twice as wide and high.
pub const STRIDE: usize = 4;

/// Constants of the dense inverse search. Its result depends on all of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisOptions {
    /// Lower bound of the square of the longer side of a pyramid level, in pixels: coarser levels are added while theirs is
    /// at least this. With 512 the longer side of the coarsest level is 23 to 45 pixels.
    ///
    /// Motion in pixels grows with the size of the image. On small images too coarse levels find false motion: compared
    /// with 512, two more levels lost 0.03 to 0.06 dB at 256x256; one level fewer lost 0.07 to 0.14 dB at 480 to 960 pixels.
    pub min_coarsest_area: usize,
    /// Number of Gauss-Newton steps of a patch on every level.
    pub gauss_newton_steps: usize,
    /// Number of propagation rounds on every level but the finest.
    pub propagation_rounds: usize,
    /// Number of propagation rounds on the finest level, which has three times as many patches as all others together.
    pub finest_propagation_rounds: usize,
    /// Levenberg damping, above 0: added to the diagonal of the Hessian, a mean over the patch's pixels of luma in 0..=1.
    pub damping: f32,
    /// Lower bound, above 0, of the absolute difference of luma in the densification weight
    /// `1 / max(|difference|, min_residual)`.
    pub min_residual: f32,
    /// Upper bound, above 0, of the absolute change of either component of a velocity in one Gauss-Newton step, in pixels of
    /// the level.
    pub max_step: f32,
    /// Second start of the finest level's Gauss-Newton steps, at zero velocity: its result replaces that of the start at the
    /// coarser level's velocity where its cost is less than this fraction, above 0 and at most 1, of the other's. `None`: no
    /// second start.
    ///
    /// On repeated textures a coarser level can find motion by a wrong number of periods, in which the finest level's few
    /// steps stay; and cells at the border of a static or slow background can begin with the foreground's motion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero_start: Option<f32>,
    /// Number of levels, at most 3, by which the finest level of a network's search is coarser than its frames: 1 searches
    /// frames of half the width and height. A network adds it to the `level` of
    /// [`Backend::dis_flow`](crate::Backend::dis_flow), which does not read it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub finest_level: u32,
}

/// Reports whether a number is zero, and left out of a description.
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Default for DisOptions {
    /// Returns the values that gave the highest PSNR in experiments. A network's description gives its options itself, so
    /// that it does not depend on these.
    fn default() -> Self {
        Self {
            min_coarsest_area: 512,
            gauss_newton_steps: 3,
            propagation_rounds: 8,
            finest_propagation_rounds: 3,
            damping: 1e-4,
            min_residual: 1.0 / 255.0,
            max_step: 2.0,
            zero_start: None,
            finest_level: 0,
        }
    }
}

impl DisOptions {
    /// Returns the number of pyramid levels coarser than the finest, whose images are `height` x `width` pixels.
    pub fn coarser_levels(&self, height: usize, width: usize) -> u32 {
        let long = height.max(width);
        (long * long / self.min_coarsest_area).max(1).ilog2() / 2
    }
}
