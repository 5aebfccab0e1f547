//! What looks inside a network: the stages' blends and flows.

use burn_tensor::Tensor;
use rife_backend::{Backend, Resize};
use rife_nets::Stage;

use super::KnownFlow;
use super::frame::l1;
use crate::backend::{Batch, BurnBackend};

/// Maximum flow error, in pixels: larger ones are clamped to it.
const MAX_FLOW_ERROR: f32 = 40.0;
/// By how much the teacher block must be nearer to the truth for its flow to be followed, in units of full scale.
const NEARER: f32 = 0.01;
/// Keeps the root's slope finite where two flows are the same.
const LEAST_SQUARE: f32 = 1e-12;

/// L1 of every stage's blend but the last one's at the resolution that the next stage sees it in, summed. `scales`
/// are the blocks'.
pub fn stages(b: &BurnBackend, stages: &[Stage<Batch>], frame: &Batch, scales: &[usize]) -> Tensor<1> {
    let off = |(stage, scale): (&Stage<Batch>, &usize)| {
        let small = |x: &Batch| b.resize(x, Resize::Down(*scale));
        let blend = b.blend(
            &small(&stage.warped[0]),
            &small(&stage.warped[1]),
            &small(&stage.mask),
        );
        l1(blend.tensor() - small(frame).tensor())
    };
    sum(stages.iter().zip(&scales[1..]).map(off), frame)
}

/// Mean L1 in pixels where the flow is known.
pub fn flow_loss(flow: &Batch, truth: &KnownFlow) -> Tensor<1> {
    let off = (flow.tensor() - truth.flow.tensor())
        .abs()
        .clamp_max(MAX_FLOW_ERROR);
    (off * truth.known.tensor()).sum() / (4.0 * truth.count).max(1.0)
}

/// The paper's distillation (Huang et al., 2022, section 3.3): every stage's flow is drawn to the teacher block's,
/// which is held fixed, at the pixels where the teacher's blend is nearer to the truth. The distance at a pixel is
/// the root of the mean square of its four components.
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
    let (target, reached) = (taught.flow.tensor().detach(), error(taught) + NEARER);
    let off = |stage: &Stage<Batch>| {
        let square = (target.clone() - stage.flow.tensor()).square().mean_dim(1);
        let follows = error(stage).greater(reached.clone()).float();
        (square.clamp_min(LEAST_SQUARE).sqrt() * follows).mean()
    };
    sum(stages.iter().map(off), frame)
}

fn sum(terms: impl Iterator<Item = Tensor<1>>, like: &Batch) -> Tensor<1> {
    let zero = || Tensor::zeros([1], &like.tensor().device());
    terms.reduce(|sum, term| sum + term).unwrap_or_else(zero)
}
