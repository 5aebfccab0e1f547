//! Losses of a network's intermediate stages: blends, flow, distillation.

use burn_tensor::Tensor;
use rife_backend::{Backend, Resize};
use rife_nets::Stage;

use super::KnownFlow;
use super::frame::l1;
use crate::backend::{Batch, BurnBackend};

/// Maximum flow error, in pixels: larger ones are clamped to it.
const MAX_FLOW_ERROR: f32 = 40.0;
/// Margin by which a stage's error must exceed the teacher block's to be distilled, in units of full scale.
const DISTILLATION_MARGIN: f32 = 0.01;
/// Minimum squared distance of two flows before the square root, whose gradient is infinite at 0.
const MIN_SQUARE: f32 = 1e-12;

/// Computes the sum of the L1 losses of all stages' blends but the last, each downsampled to the resolution of the next
/// block. `scales` are the blocks' downsampling factors from coarse to fine.
pub fn stages(b: &BurnBackend, stages: &[Stage<Batch>], frame: &Batch, scales: &[usize]) -> Tensor<1> {
    let error = |(stage, scale): (&Stage<Batch>, &usize)| {
        let small = |x: &Batch| b.resize(x, Resize::Down(*scale));
        let blend = b.blend(
            &small(&stage.warped[0]),
            &small(&stage.warped[1]),
            &small(&stage.mask),
        );
        l1(blend.tensor() - small(frame).tensor())
    };
    sum(stages.iter().zip(&scales[1..]).map(error), frame)
}

/// Computes the mean absolute flow error in pixels where the flow is known, each error clamped to 40 pixels.
pub fn flow_loss(flow: &Batch, truth: &KnownFlow) -> Tensor<1> {
    let error = (flow.tensor() - truth.flow.tensor())
        .abs()
        .clamp_max(MAX_FLOW_ERROR);
    (error * truth.known.tensor()).sum() / (4.0 * truth.count).max(1.0)
}

/// Computes privileged distillation (Huang et al., 2022, section 3.3): the distance of each stage's flow from the teacher
/// block's (no gradient), at pixels where the teacher's blend is nearer to the true frame. The distance at a pixel is the
/// root mean square over the four flow channels; the result is the sum over stages of its mean.
pub fn distillation(
    b: &BurnBackend,
    stages: &[Stage<Batch>],
    taught: &Stage<Batch>,
    frame: &Batch,
) -> Tensor<1> {
    let error = |stage: &Stage<Batch>| {
        let off = stage.merged(b).tensor().inner() - frame.tensor().inner();
        off.abs().mean_dim(1)
    };
    let (target, limit) = (taught.flow.tensor().detach(), error(taught) + DISTILLATION_MARGIN);
    let distance = |stage: &Stage<Batch>| {
        let square = (target.clone() - stage.flow.tensor()).square().mean_dim(1);
        let is_worse = error(stage).greater(limit.clone()).float();
        (square.clamp_min(MIN_SQUARE).sqrt() * is_worse).mean()
    };
    sum(stages.iter().map(distance), frame)
}

/// Adds scalar tensors; 0 on the device of `like` if there are none.
fn sum(terms: impl Iterator<Item = Tensor<1>>, like: &Batch) -> Tensor<1> {
    let zero = || Tensor::zeros([1], &like.tensor().device());
    terms.reduce(|sum, term| sum + term).unwrap_or_else(zero)
}
