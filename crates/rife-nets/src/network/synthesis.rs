//! Synthesis of a 4.x network: blends the frames warped by the network's flow and by the prior, adds the cubic residual and
//! the RGB residual by channels of the last block, and keeps static pixels. [`Synthesis`] selects among these.

use rife_backend::Backend;
use rife_backend::composed::luma;

use super::Stage;
use crate::spec::Synthesis;

/// The synthesis for one pair of frames.
pub(super) struct Synthesizer<'a, B: Backend> {
    b: &'a B,
    spec: Synthesis,
    images: [&'a B::Tensor; 2],
    /// Luma of both frames, `[1, height, width]`; `None` without [`Synthesis::cubic_residual`].
    luma: Option<[B::Tensor; 2]>,
}

impl<'a, B: Backend> Synthesizer<'a, B> {
    /// Prepares the synthesis of frames between two images `[3, height, width]`.
    pub(super) fn new(b: &'a B, spec: Synthesis, images: [&'a B::Tensor; 2]) -> Self {
        let luma = spec.cubic_residual.map(|_| images.map(|image| luma(b, image)));
        Self {
            b,
            spec,
            images,
            luma,
        }
    }

    /// Appends to each warped frame the cubic residual of its luma at `flow` as a fourth channel; returns the frames unchanged
    /// without [`Synthesis::cubic_residual`].
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

    /// Computes the frame at the timestep, `[3, height, width]`: `last` is the last block's result, `candidates` are the frames
    /// warped by the prior after [`Synthesizer::with_cubic_residual`], `extra` are the last block's channels after flow and
    /// mask (`None` when the network has no such channels).
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

    /// Blends warped frames and candidates by the channels of `extra`, then adds cubic residual and RGB residual.
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
            let weight = |i| channel(spec.first_prior_channel() + i);
            stage.warped = [0, 1].map(|i| b.blend(&candidates[i], &stage.warped[i], &weight(i)));
        }
        let mut merged = stage.merged(b);
        if let Some(max) = spec.cubic_residual {
            let strength = b.sigmoid(&channel(spec.strength_channel()));
            merged = b.add_last_channel(&merged, &b.affine(&strength, max, 0.0));
        }
        if spec.residual {
            merged = b.add(&merged, &b.narrow(extra, Synthesis::RESIDUAL));
        }
        merged
    }
}
