//! Prior of a 4.x network: optical flow found without weights (dense inverse search), projected to the timestep; the first
//! block starts from it, and both frames warped by it are candidates for the blend.

use rife_backend::Backend;

use super::Options;
use crate::spec::{BlendPrior, Prior};

/// Computes the flow between two images: `[4, height, width]` at the prior's resolution (see [`level`]), x and y from the
/// first to the second image, then from the second to the first. It does not depend on the timestep.
pub(super) fn flow<B: Backend>(
    b: &B,
    prior: &Prior,
    images: [&B::Tensor; 2],
    options: &Options,
) -> B::Tensor {
    match prior {
        Prior::Dis(dis) => b.dis_flow(images, level(prior, options) as u32, dis),
    }
}

/// Returns log2 of the factor by which frames are downsampled for the prior: that of the network's scale, at least 0, plus
/// [`DisOptions::finest_level`](rife_backend::dis::DisOptions::finest_level).
fn level(prior: &Prior, options: &Options) -> i32 {
    let Prior::Dis(dis) = prior;
    (-options.scale.log2()).max(0) + dis.finest_level as i32
}

/// The prior's flow projected to a timestep and upsampled to the frames' size.
pub(super) struct Projected<'a, B: Backend> {
    b: &'a B,
    /// Motion from the first frame to the second, in pixels, of the scene point at each pixel of the frame at the timestep:
    /// from the forward search, then from the backward search, `[2, height, width]` each.
    velocities: [B::Tensor; 2],
    /// Weights of the two velocities in their mean: `1 - timestep` and `timestep`.
    weights: [B::Timestep; 2],
    /// Factors that turn a velocity into flow to the first and to the second frame: `-timestep` and `1 - timestep`.
    factors: [B::Timestep; 2],
}

impl<'a, B: Backend> Projected<'a, B> {
    /// Projects the result of [`flow`] to `timestep`.
    pub(super) fn new(
        b: &'a B,
        prior: &Prior,
        flow: &B::Tensor,
        timestep: &B::Timestep,
        options: &Options,
    ) -> Self {
        let projected = b.project_flow(flow, timestep);
        let velocities = crate::scale::resize_flow(b, &projected, level(prior, options));
        let before = b.timestep_affine(timestep, -1.0, 1.0);
        Self {
            b,
            velocities: [0, 1].map(|k| b.narrow(&velocities, 2 * k..2 * k + 2)),
            factors: [b.timestep_affine(timestep, -1.0, 0.0), before.clone()],
            weights: [before, timestep.clone()],
        }
    }

    /// Computes the flow from the timestep to both frames, `[4, height, width]`, of the weighted mean of the two velocities.
    pub(super) fn flow(&self) -> B::Tensor {
        let b = self.b;
        let [forward, backward] = [0, 1].map(|k| b.mul_timestep(&self.velocities[k], &self.weights[k]));
        let velocity = b.add(&forward, &backward);
        let [to_first, to_second] = self
            .factors
            .each_ref()
            .map(|factor| b.mul_timestep(&velocity, factor));
        b.cat(&[&to_first, &to_second])
    }

    /// Warps each image to the timestep with OBMC by the velocities of both searches and returns the weighted mean of the two
    /// results, `[3, height, width]` per image. Where motion is uncertain, a mean of warps errs less than a warp by the mean.
    pub(super) fn candidates(&self, images: [&B::Tensor; 2], blend: BlendPrior) -> [B::Tensor; 2] {
        let b = self.b;
        let neighbours = neighbours(blend);
        [0, 1].map(|i| {
            let [first, second] = [0, 1].map(|k| {
                let warped = b.warp_obmc(images[i], &self.velocities[k], &self.factors[i], neighbours[k]);
                b.mul_timestep(&warped, &self.weights[k])
            });
            b.add(&first, &second)
        })
    }
}

/// Returns the two OBMC neighbours, `[rows, columns]` from a pixel, for the forward search (one diagonal) and for the
/// backward search (the other diagonal).
fn neighbours(blend: BlendPrior) -> [[[isize; 2]; 2]; 2] {
    let d = blend.obmc_distance as isize;
    [[[d, d], [-d, -d]], [[d, -d], [-d, d]]]
}
