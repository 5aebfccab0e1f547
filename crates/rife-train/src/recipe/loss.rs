//! Recipe tables of the loss: `[loss]` (weights of terms) and `[teacher]` (distillation of a larger network).

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rife_nets::Version;
use serde::{Deserialize, Serialize};

use crate::loss::{Term, Terms};

/// The `[loss]` table: weights of the terms of [`crate::loss::loss`], by default 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossRecipe {
    /// Weight of the merged frame's Laplacian pyramid loss; by default 1.
    pub laplacian_weight: f32,
    /// Weight of the merged frame's mean absolute error.
    pub l1_weight: f32,
    /// Weight of the merged frame's Charbonnier loss.
    pub charbonnier_weight: f32,
    /// Weight of the merged frame's negative PSNR in dB.
    pub psnr_weight: f32,
    /// Weight of the merged frame's census loss.
    pub census_weight: f32,
    /// Weight of L1 of all stages' blends but the last, at the resolution of the next block.
    pub stage_weight: f32,
    /// Initial weight of L1 to the known flow, which decays linearly to 0.
    pub flow_weight: f32,
    /// Step at which the flow's weight reaches 0. Without this and `flow_until` the weight is constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_steps: Option<u64>,
    /// Fraction of all steps at which the flow's weight reaches 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_until: Option<f64>,
    /// Weight of the teacher block's Laplacian loss (the paper's networks; 1 in the paper).
    pub teacher_block_weight: f32,
    /// Weight of the stages' distance from the teacher block's flow (the paper's networks; 0.01 in the paper).
    pub distillation_weight: f32,
}

impl Default for LossRecipe {
    /// Returns the Laplacian loss alone, with weight 1.
    fn default() -> Self {
        Self {
            laplacian_weight: 1.0,
            l1_weight: 0.0,
            charbonnier_weight: 0.0,
            psnr_weight: 0.0,
            census_weight: 0.0,
            stage_weight: 0.0,
            flow_weight: 0.0,
            flow_steps: None,
            flow_until: None,
            teacher_block_weight: 0.0,
            distillation_weight: 0.0,
        }
    }
}

impl LossRecipe {
    /// Returns the weights of the terms at step `step` of `steps`.
    pub fn weights_at(&self, step: u64, steps: u64) -> Terms {
        Terms::from([
            (Term::Laplacian, self.laplacian_weight),
            (Term::L1, self.l1_weight),
            (Term::Charbonnier, self.charbonnier_weight),
            (Term::Psnr, self.psnr_weight),
            (Term::Census, self.census_weight),
            (Term::Stages, self.stage_weight),
            (Term::Flow, self.flow_weight * self.flow_decay(step, steps)),
            (Term::TeacherBlock, self.teacher_block_weight),
            (Term::Distillation, self.distillation_weight),
        ])
    }

    /// Returns the decay factor of the flow's weight at a step, 1 to 0.
    fn flow_decay(&self, step: u64, steps: u64) -> f32 {
        let end = match (self.flow_steps, self.flow_until) {
            (Some(end), _) => end as f64,
            (None, Some(fraction)) => fraction * steps as f64,
            (None, None) => return 1.0,
        };
        (1.0 - (step as f64 / end.max(1.0)) as f32).max(0.0)
    }

    /// Checks the weights: finite, not negative, at least one of the student's above 0, and none that `version` cannot use.
    pub(super) fn check(&self, version: Version) -> Result<()> {
        let weights = Self {
            flow_steps: None,
            flow_until: None,
            ..*self
        };
        let weights = weights.weights_at(0, 1);
        for (term, weight) in weights.iter() {
            ensure!(
                weight.is_finite() && weight >= 0.0,
                "loss: the weight of {} is {weight}, expected 0 or more",
                term.name()
            );
        }
        ensure!(
            Term::ALL[..6].iter().any(|term| weights[*term] > 0.0),
            "loss: no weight of the merged frame, the stages or the flow is above 0"
        );
        let teaches = self.teacher_block_weight > 0.0 || self.distillation_weight > 0.0;
        ensure!(
            !teaches || version.has_teacher_block(),
            "loss.teacher_block_weight and distillation_weight: {version} has no teacher block; rife, rife_m and \
             rife_2r have"
        );
        ensure!(
            self.distillation_weight == 0.0 || self.teacher_block_weight > 0.0,
            "loss.distillation_weight is {}, but nothing trains the teacher block: loss.teacher_block_weight is 0",
            self.distillation_weight
        );
        self.check_flow()
    }

    /// Checks the decay of the flow's weight.
    fn check_flow(&self) -> Result<()> {
        ensure!(
            self.flow_steps.is_none() || self.flow_until.is_none(),
            "loss.flow_steps and loss.flow_until say the same in two ways: give one"
        );
        let until = self.flow_until.unwrap_or(1.0);
        ensure!(
            until.is_finite() && until >= 0.0,
            "loss.flow_until is {until}, expected 0 or more"
        );
        Ok(())
    }
}

/// The `[teacher]` table: a larger trained network to be distilled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherRecipe {
    /// Name of the network, see [`Version::names`].
    pub version: String,
    /// File of its weights (`.safetensors`, PyTorch's keys), relative to the recipe's folder.
    pub weights: PathBuf,
    /// Weight of L1 between the merged frames.
    #[serde(default)]
    pub frame_weight: f32,
    /// Weight of L1 between the flows.
    #[serde(default)]
    pub flow_weight: f32,
}

impl TeacherRecipe {
    /// Returns the version of the network.
    ///
    /// Errors: an unknown name.
    pub fn version(&self) -> Result<Version> {
        Ok(self.version.parse()?)
    }

    /// Resolves a relative path of the weights against the recipe's folder.
    pub(super) fn resolve_in(&mut self, folder: &Path) {
        self.weights = folder.join(&self.weights);
    }

    /// Checks that the version is known and that the weights are finite, not negative and not both 0.
    pub(super) fn check(&self) -> Result<()> {
        self.version()?;
        let weights = [self.frame_weight, self.flow_weight];
        ensure!(
            weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0) && weights != [0.0; 2],
            "teacher.frame_weight and flow_weight are {} and {}, expected 0 or more and one of them more",
            self.frame_weight,
            self.flow_weight
        );
        Ok(())
    }
}
