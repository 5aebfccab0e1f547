//! What is minimised, as the recipe says it: the `[loss]` table's weights and the `[teacher]` table.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rife_nets::Version;
use serde::{Deserialize, Serialize};

use crate::loss::{Term, Terms};

/// The `[loss]` table: a weight for each term of [`crate::loss::loss`], 0 where it is not given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossRecipe {
    /// Of the merged frame's Laplacian pyramid loss; 1 where it is not given.
    pub laplacian_weight: f32,
    /// Of the merged frame's mean absolute error.
    pub l1_weight: f32,
    /// Of the merged frame's Charbonnier loss.
    pub charbonnier_weight: f32,
    /// Of the merged frame's PSNR in decibels.
    pub psnr_weight: f32,
    /// Of the merged frame's census loss.
    pub census_weight: f32,
    /// L1 of every stage's blend, at the resolution that the next stage sees.
    pub stage_weight: f32,
    /// L1 to the known flow, annealed to nothing.
    pub flow_weight: f32,
    /// After so many steps the flow's loss has gone. Without it and `flow_until` it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_steps: Option<u64>,
    /// The same as a part of all steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_until: Option<f64>,
    /// Of the teacher block's Laplacian loss (the paper's networks; 1 in the paper).
    pub teacher_block_weight: f32,
    /// Of the stages' distance from the teacher block's flow (the paper's networks; 0.01 in the paper).
    pub distillation_weight: f32,
}

impl Default for LossRecipe {
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
    /// The terms' weights at a step of so many.
    pub fn weights_at(&self, step: u64, steps: u64) -> Terms {
        Terms::from([
            (Term::Laplacian, self.laplacian_weight),
            (Term::L1, self.l1_weight),
            (Term::Charbonnier, self.charbonnier_weight),
            (Term::Psnr, self.psnr_weight),
            (Term::Census, self.census_weight),
            (Term::Stages, self.stage_weight),
            (Term::Flow, self.flow_weight * self.flow_left(step, steps)),
            (Term::TeacherBlock, self.teacher_block_weight),
            (Term::Distillation, self.distillation_weight),
        ])
    }

    /// How much of the flow's weight is left.
    fn flow_left(&self, step: u64, steps: u64) -> f32 {
        let end = match (self.flow_steps, self.flow_until) {
            (Some(end), _) => end as f64,
            (None, Some(part)) => part * steps as f64,
            (None, None) => return 1.0,
        };
        (1.0 - (step as f64 / end.max(1.0)) as f32).max(0.0)
    }

    /// Errors: weights that are negative or infinite, that nothing is left of, or that `version` has no use for.
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

/// The `[teacher]` table: a larger network, trained before, that is imitated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherRecipe {
    /// A name of `rife-nets`' table.
    pub version: String,
    /// Its weights (`.safetensors`, PyTorch's keys), from the recipe's folder where the path is relative.
    pub weights: PathBuf,
    /// Of L1 between the merged frames.
    #[serde(default)]
    pub frame_weight: f32,
    /// Of L1 between the flows.
    #[serde(default)]
    pub flow_weight: f32,
}

impl TeacherRecipe {
    /// Its row in the table of versions.
    ///
    /// Errors: an unknown name.
    pub fn version(&self) -> Result<Version> {
        Ok(self.version.parse()?)
    }

    /// Takes a relative path from this folder.
    pub(super) fn seen_from(&mut self, folder: &Path) {
        self.weights = folder.join(&self.weights);
    }

    /// Errors: an unknown version, weights that are negative, infinite or both 0.
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
