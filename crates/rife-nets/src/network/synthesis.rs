//! Synthesis: the frame at the timestep, of both frames warped by the network's flow, both warped by the prior, and what the
//! last block outputs for it.

use rife_backend::Backend;
use rife_backend::composed::luma;

use super::Stage;
use crate::spec::Synthesis;

/// The synthesis of one pair of frames.
pub(super) struct Synthesizer<'a, B: Backend> {
    b: &'a B,
    spec: Synthesis,
    images: [&'a B::Tensor; 2],
    /// Luma of the frames, where [`Synthesis::cubic_residual`] needs it.
    luma: Option<[B::Tensor; 2]>,
}

impl<'a, B: Backend> Synthesizer<'a, B> {
    pub(super) fn new(b: &'a B, spec: Synthesis, images: [&'a B::Tensor; 2]) -> Self {
        let luma = spec.cubic_residual.map(|_| images.map(|image| luma(b, image)));
        Self {
            b,
            spec,
            images,
            luma,
        }
    }

    /// The warped frames, each with the cubic residual of its luma at the flow as a fourth channel where
    /// [`Synthesis::cubic_residual`] is set.
    pub(super) fn with_cubic_residual(&self, warped: &[B::Tensor; 2], flow: &B::Tensor) -> [B::Tensor; 2] {
        let b = self.b;
        let Some(luma) = &self.luma else {
            return warped.clone();
        };
        [0, 1].map(|i| {
            let residual = b.cubic_residual(&luma[i], &b.narrow(flow, 2 * i..2 * i + 2));
            b.cat(&[&warped[i], &residual])
        })
    }

    /// The frame: `last` is the last block's result, `candidates` the frames warped by the prior with
    /// [`Synthesizer::with_cubic_residual`]'s channel, `extra` the last block's channels after flow and mask.
    pub(super) fn frame(
        &self,
        last: &Stage<B::Tensor>,
        candidates: Option<&[B::Tensor; 2]>,
        extra: Option<&B::Tensor>,
    ) -> B::Tensor {
        let merged = match extra {
            Some(extra) => self.blended(last, candidates, extra),
            None => last.merged(self.b),
        };
        match self.spec.keep_static {
            Some(threshold) => self.b.keep_static(self.images, &merged, threshold),
            None => merged,
        }
    }

    fn blended(
        &self,
        last: &Stage<B::Tensor>,
        candidates: Option<&[B::Tensor; 2]>,
        extra: &B::Tensor,
    ) -> B::Tensor {
        let (b, spec) = (self.b, &self.spec);
        let channel = |i: usize| b.narrow(extra, i..i + 1);
        let mut stage = last.clone();
        stage.warped = self.with_cubic_residual(&last.warped, &last.flow);
        if let Some(candidates) = candidates {
            let share = |i| channel(spec.first_share() + i);
            stage.warped = [0, 1].map(|i| b.blend(&candidates[i], &stage.warped[i], &share(i)));
        }
        let mut merged = stage.merged(b);
        if let Some(max) = spec.cubic_residual {
            let strength = b.sigmoid(&channel(spec.strength()));
            merged = b.add_last_channel(&merged, &b.affine(&strength, max, 0.0));
        }
        if spec.residual {
            merged = b.add(&merged, &b.narrow(extra, Synthesis::RESIDUAL));
        }
        merged
    }
}
