//! Options of the dense inverse search (DIS; Kroeger, Timofte, Dai and Van Gool, "Fast Optical Flow using Dense
//! Inverse Search", ECCV 2016) that [`Backend::dis_flow`](crate::Backend::dis_flow) runs.
//!
//! From the coarsest to the finest level of a pyramid of luma images, patches of 8x8 pixels, one every [`STRIDE`], take
//! inverse-compositional Gauss-Newton steps, then adopt the velocity of one of their four neighbours where its cost is lower
//! (propagation, as in PatchMatch). The cost of a patch is the variance of its differences. Densification: a pixel's
//! velocity is the mean over the patches that cover it, weighted by the inverse of the absolute difference it leaves at the
//! pixel, then a 3x3 median. The size of the patches and their stride are part of this definition; all other constants are
//! [`DisOptions`], which a network's description gives.

use serde::{Deserialize, Serialize};

/// Weights of red, green and blue in luma (BT.601).
pub const LUMA: [f32; 3] = [0.299, 0.587, 0.114];
/// Pixels between neighbouring patches along rows and columns; a patch is twice as wide and high.
pub const STRIDE: usize = 4;

/// Constants of the search. What results depends on all of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisOptions {
    /// The pyramid has a coarser level as long as the square of the longer side, in pixels, is at least this there. With 512
    /// the longer side of the coarsest level is 23 to 45 pixels.
    ///
    /// Motion in pixels grows with the size of the image. On small images coarser levels find motion that is not there: with
    /// 512, two levels more lost 0.03 to 0.06 dB at 256x256; one fewer lost 0.07 to 0.14 dB at 480 to 960 pixels.
    pub min_coarsest_area: usize,
    /// Gauss-Newton steps of a patch on every level.
    pub gauss_newton_steps: usize,
    /// Propagation rounds on every level but the finest.
    pub propagation_rounds: usize,
    /// Propagation rounds on the finest level, which has as many patches as three times all others.
    pub finest_propagation_rounds: usize,
    /// Levenberg damping, above 0: added to the diagonal of the Hessian's mean over a patch, luma being 0 to 1.
    pub damping: f32,
    /// Lower bound, above 0, of the absolute difference of luma in the densification weight
    /// `1 / max(|difference|, min_residual)`.
    pub min_residual: f32,
    /// Upper bound, above 0, of what one step changes either component of a velocity by, in pixels of the level.
    pub max_step: f32,
}

impl Default for DisOptions {
    /// The values that did best where they were tried. A network does not depend on them: its description says its own.
    fn default() -> Self {
        Self {
            min_coarsest_area: 512,
            gauss_newton_steps: 3,
            propagation_rounds: 8,
            finest_propagation_rounds: 3,
            damping: 1e-4,
            min_residual: 1.0 / 255.0,
            max_step: 2.0,
        }
    }
}

impl DisOptions {
    /// Pyramid levels above the finest, whose images are `height` x `width`.
    pub fn coarser_levels(&self, height: usize, width: usize) -> u32 {
        let long = height.max(width);
        (long * long / self.min_coarsest_area).max(1).ilog2() / 2
    }
}
