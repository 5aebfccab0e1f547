//! The block that every RIFE flow network is a stack of: two convolutions down, a trunk, one transposed
//! convolution up. Which convolutions those are is the network's business.

use rife_backend::Backend;

use crate::scale::{pow2, resize};

/// One block, its layers in the order in which they run.
#[derive(Debug, Clone)]
pub(crate) struct IfBlock<L> {
    /// Stem (2), trunk, head (1).
    pub(crate) layers: Vec<L>,
    /// Whether the trunk's input is added to its output, once for the whole trunk.
    pub(crate) residual: bool,
    /// Whether the head is followed by a pixel shuffle.
    pub(crate) shuffle: bool,
    /// How much smaller than the block's input the head's output is, as a power of two.
    pub(crate) shrink: i32,
    /// How many channels after flow and mask the next block gets: 0 where there is no next block.
    pub(crate) feat: usize,
}

/// What a block estimates, at the size of the tensors that it was given.
pub(crate) struct Estimate<T> {
    /// 4 channels: x and y towards the first frame, x and y towards the second, in pixels.
    pub(crate) flow: T,
    /// 1 channel, before the sigmoid.
    pub(crate) mask: T,
    /// What the next block gets beside, where the version has it.
    pub(crate) feat: Option<T>,
}

impl<L> IfBlock<L> {
    /// Runs stem, trunk and head over `x`.
    pub(crate) fn trunk<B: Backend<Conv = L>>(&self, b: &B, x: &B::Tensor) -> B::Tensor {
        let (stem, rest) = self.layers.split_at(2);
        let (trunk, head) = rest.split_at(rest.len() - 1);
        let x = b.conv_chain(x, stem);
        let mut out = b.conv_chain(&x, trunk);
        if self.residual {
            out = b.add(&out, &x);
        }
        if self.shuffle {
            b.conv_shuffled(&out, &head[0])
        } else {
            b.conv(&out, &head[0])
        }
    }

    /// Estimates from tensors of one size, joined in their order, then the flow, then more of them, at `2^-log2` of that
    /// size.
    pub(crate) fn estimate<B: Backend<Conv = L>>(
        &self,
        b: &B,
        parts: &[&B::Tensor],
        flow: Option<&B::Tensor>,
        more: &[B::Tensor],
        log2: i32,
    ) -> Estimate<B::Tensor> {
        let mut inputs: Vec<_> = parts.iter().map(|part| resize(b, part, -log2)).collect();
        inputs.extend(flow.map(|flow| crate::scale::resize_flow(b, flow, -log2)));
        inputs.extend(more.iter().map(|part| resize(b, part, -log2)));
        let joined = b.cat(&inputs.iter().collect::<Vec<_>>());
        let out = self.trunk(b, &joined);
        let grow = log2 + self.shrink;
        let enlarged = |range| resize(b, &b.narrow(&out, range), grow);
        let motion = enlarged(0..5);
        Estimate {
            flow: b.affine(&b.narrow(&motion, 0..4), pow2(grow), 0.0),
            mask: b.narrow(&motion, 4..5),
            feat: (self.feat > 0).then(|| enlarged(5..5 + self.feat)),
        }
    }
}

/// Both frames, or their features, moved by the flow towards each.
pub(crate) fn warp_both<B: Backend>(b: &B, frames: [&B::Tensor; 2], flow: &B::Tensor) -> [B::Tensor; 2] {
    let towards = |i: usize| b.warp(frames[i], &b.narrow(flow, 2 * i..2 * i + 2));
    [towards(0), towards(1)]
}
