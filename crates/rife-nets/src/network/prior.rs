//! The prior of a stack of blocks: initial flow found without weights, and both frames warped by it alone.

use rife_backend::Backend;

use super::Options;
use crate::spec::{BlendPrior, Prior};

/// The prior's flow of two images, `[4, height, width]` at its resolution, which does not depend on the timestep.
pub(super) fn flow<B: Backend>(
    b: &B,
    prior: &Prior,
    images: [&B::Tensor; 2],
    options: &Options,
) -> B::Tensor {
    match prior {
        Prior::Dis(dis) => b.dis_flow(images, level(options) as u32, dis),
    }
}

/// The resolution of the prior as a power of two: the search runs at the network's scale, at most at the frame's size.
fn level(options: &Options) -> i32 {
    (-options.scale.log2()).max(0)
}

/// The prior's flow projected to a timestep, at the frames' size.
pub(super) struct Projected<'a, B: Backend> {
    b: &'a B,
    /// Of the forward and the backward search: velocities from the first frame to the second of what is seen at the
    /// timestep, `[2, height, width]`.
    velocities: [B::Tensor; 2],
    /// Weights of the two in their mean: `1 - timestep` and `timestep`.
    weights: [B::Timestep; 2],
    /// From the timestep back to the first frame, and on to the second, in parts of a velocity.
    factors: [B::Timestep; 2],
}

impl<'a, B: Backend> Projected<'a, B> {
    pub(super) fn new(b: &'a B, flow: &B::Tensor, timestep: &B::Timestep, options: &Options) -> Self {
        let velocities = crate::scale::resize_flow(b, &b.project_flow(flow, timestep), level(options));
        let before = b.timestep_affine(timestep, -1.0, 1.0);
        Self {
            b,
            velocities: [0, 1].map(|k| b.narrow(&velocities, 2 * k..2 * k + 2)),
            factors: [b.timestep_affine(timestep, -1.0, 0.0), before.clone()],
            weights: [before, timestep.clone()],
        }
    }

    /// Flow to both frames, `[4, height, width]`, by the mean of the two velocities.
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

    /// Both images warped with OBMC by the velocities of both searches, averaged by their weights: where the motion is
    /// uncertain, a mean of warped candidates errs less than a warp by the mean velocity.
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

/// OBMC neighbours in rows and columns, by direction of the search: along one diagonal for the forward search, along the
/// other for the backward one.
fn neighbours(blend: BlendPrior) -> [[[isize; 2]; 2]; 2] {
    let d = blend.obmc_distance as isize;
    [[[d, d], [-d, -d]], [[d, -d], [-d, d]]]
}
