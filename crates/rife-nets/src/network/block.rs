//! RIFE's IFBlock: two strided convolutions (stem), a trunk of convolutions at one resolution, one transposed convolution
//! (head) that outputs flow, mask and optional features. Flow networks are stacks of these blocks, from coarse to fine.

use rife_backend::Backend;

use crate::scale::{pow2, resize};

/// An IFBlock with its layers in execution order; `L` is a backend's prepared convolution.
#[derive(Debug, Clone)]
pub(crate) struct IfBlock<L> {
    /// Two stem layers, the trunk's layers, one head layer.
    pub(crate) layers: Vec<L>,
    /// Whether the trunk's input is added to the output of its last layer (one skip connection over all trunk layers).
    pub(crate) residual: bool,
    /// Whether a pixel shuffle by 2 follows the head.
    pub(crate) shuffle: bool,
    /// log2 of the ratio of the block's input size to its head's output size.
    pub(crate) head_log2: i32,
    /// Channels of the head's output after flow (4) and mask (1): features for the next block or channels for the
    /// synthesis; 0 for none.
    pub(crate) feat: usize,
}

/// Output of a block, upsampled to the height and width of its inputs.
pub(crate) struct Estimate<T> {
    /// Flow (or its correction) in pixels, `[4, height, width]`: x and y to the first frame, x and y to the second.
    pub(crate) flow: T,
    /// Blend mask before the sigmoid, `[1, height, width]`.
    pub(crate) mask: T,
    /// Features, `[feat, height, width]`; `None` for a block without them.
    pub(crate) feat: Option<T>,
}

impl<L> IfBlock<L> {
    /// Runs stem, trunk, head and pixel shuffle on `x`, the concatenated inputs at the block's resolution.
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

    /// Runs the block at `2^-log2` times the size of its inputs: downsamples `parts`, `flow` and `more`, concatenates them in
    /// that order, runs the layers and upsamples the result. All inputs have the same height and width.
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
        let grow = log2 + self.head_log2;
        let upsampled = |range| resize(b, &b.narrow(&out, range), grow);
        let motion = upsampled(0..5);
        Estimate {
            flow: b.affine(&b.narrow(&motion, 0..4), pow2(grow), 0.0),
            mask: b.narrow(&motion, 4..5),
            feat: (self.feat > 0).then(|| upsampled(5..5 + self.feat)),
        }
    }
}

/// Warps both frames (or their features) to the timestep: frame `i` by channels `2i` and `2i + 1` of `flow`.
pub(crate) fn warp_both<B: Backend>(b: &B, frames: [&B::Tensor; 2], flow: &B::Tensor) -> [B::Tensor; 2] {
    let towards = |i: usize| b.warp(frames[i], &b.narrow(flow, 2 * i..2 * i + 2));
    [towards(0), towards(1)]
}
