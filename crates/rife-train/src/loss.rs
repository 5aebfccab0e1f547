//! What is minimised: [`loss`] adds up every term there is, each with its weight from the recipe. The terms' own
//! definitions are in the modules below; `tools/twin/losses.py` has the same in PyTorch.

mod frame;
mod pyramid;
mod stages;

use burn_tensor::Tensor;
use rife_nets::{Output, Stage};

use crate::backend::{Batch, BurnBackend, values};
pub use frame::{census, charbonnier, decibels, l1};
pub use pyramid::laplacian;
pub use stages::{distillation, flow_loss, stages};

/// The terms of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// Laplacian pyramid loss of the merged frame.
    Laplacian,
    /// Mean absolute error of the merged frame.
    L1,
    /// Smooth mean absolute error of the merged frame.
    Charbonnier,
    /// The merged frame's PSNR in decibels, with the other sign.
    Psnr,
    /// Census (ternary) loss of the merged frame.
    Census,
    /// Mean absolute error of the stages' blends.
    Stages,
    /// Distance from the known flow.
    Flow,
    /// Laplacian pyramid loss of the teacher block's blend.
    TeacherBlock,
    /// The stages' distance from the teacher block's flow.
    Distillation,
    /// Mean absolute difference from the larger network's merged frame.
    LargerFrame,
    /// Mean absolute difference from the larger network's flow.
    LargerFlow,
}

impl Term {
    /// Every term, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::Laplacian,
        Self::L1,
        Self::Charbonnier,
        Self::Psnr,
        Self::Census,
        Self::Stages,
        Self::Flow,
        Self::TeacherBlock,
        Self::Distillation,
        Self::LargerFrame,
        Self::LargerFlow,
    ];

    /// Its name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Laplacian => "laplacian",
            Self::L1 => "l1",
            Self::Charbonnier => "charbonnier",
            Self::Psnr => "psnr",
            Self::Census => "census",
            Self::Stages => "stages",
            Self::Flow => "flow",
            Self::TeacherBlock => "teacher_block",
            Self::Distillation => "distillation",
            Self::LargerFrame => "larger_frame",
            Self::LargerFlow => "larger_flow",
        }
    }
}

/// A number for each term: its weight, or its value before weighting; 0 for terms that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Terms([f32; Term::ALL.len()]);

impl Terms {
    /// Every term with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Term, f32)> {
        Term::ALL.into_iter().zip(self.0)
    }
}

impl<const N: usize> From<[(Term, f32); N]> for Terms {
    fn from(numbers: [(Term, f32); N]) -> Self {
        let mut terms = Self::default();
        for (term, number) in numbers {
            terms[term] = number;
        }
        terms
    }
}

impl std::ops::Index<Term> for Terms {
    type Output = f32;

    fn index(&self, term: Term) -> &f32 {
        &self.0[term as usize]
    }
}

impl std::ops::IndexMut<Term> for Terms {
    fn index_mut(&mut self, term: Term) -> &mut f32 {
        &mut self.0[term as usize]
    }
}

/// What the network in training made of a batch.
#[derive(Debug, Clone)]
pub struct Predicted {
    /// Its output, of which all stages were kept.
    pub output: Output<Batch>,
    /// The teacher block's stage, where the network has one and it is wanted.
    pub taught: Option<Stage<Batch>>,
}

/// What it is compared with.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The true middle frames.
    pub frame: Batch,
    /// The flow where it is known.
    pub flow: Option<KnownFlow>,
    /// The larger network's output.
    pub larger: Option<Output<Batch>>,
}

/// A flow that is known at some pixels.
#[derive(Debug, Clone)]
pub struct KnownFlow {
    /// 4 channels.
    pub flow: Batch,
    /// 1 channel of 0 and 1.
    pub known: Batch,
    /// How many pixels count as known: those of this batch, or, where it is a part of a larger batch, its share.
    pub count: f32,
}

/// The loss of a batch.
#[derive(Debug, Clone)]
pub struct Loss {
    /// All terms, weighted.
    pub total: Tensor<1>,
    terms: Vec<(Term, Tensor<1>)>,
}

impl Loss {
    /// The terms before weighting.
    pub fn terms(&self) -> Terms {
        let mut terms = Terms::default();
        for (term, value) in &self.terms {
            terms[*term] = number(value);
        }
        terms
    }
}

/// The value of a scalar.
pub(crate) fn number(x: &Tensor<1>) -> f32 {
    values(x.clone()).first().copied().unwrap_or(f32::NAN)
}

/// The loss of a batch: the weighted sum of every term whose weight is above 0. `scales` are the blocks', from
/// coarse to fine.
pub fn loss(b: &BurnBackend, found: &Predicted, truth: &Truth, scales: &[usize], weights: &Terms) -> Loss {
    let (merged, frame) = (found.output.merged.tensor(), truth.frame.tensor());
    let off = || merged.clone() - frame.clone();
    let mut sum = Sum::new(&frame, weights);
    sum.add(Term::Laplacian, || laplacian(off()));
    sum.add(Term::L1, || l1(off()));
    sum.add(Term::Charbonnier, || charbonnier(off()));
    sum.add(Term::Psnr, || decibels(off()));
    sum.add(Term::Census, || census(merged.clone(), frame.clone()));
    sum.add(Term::Stages, || {
        stages(b, &found.output.stages, &truth.frame, scales)
    });
    if let Some(known) = &truth.flow {
        sum.add(Term::Flow, || flow_loss(&found.output.flow, known));
    }
    if let Some(taught) = &found.taught {
        let blend = || taught.merged(b).tensor();
        sum.add(Term::TeacherBlock, || laplacian(blend() - frame.clone()));
        sum.add(Term::Distillation, || {
            distillation(b, &found.output.stages, taught, &truth.frame)
        });
    }
    if let Some(larger) = &truth.larger {
        let flows = || found.output.flow.tensor() - larger.flow.tensor();
        sum.add(Term::LargerFrame, || l1(merged.clone() - larger.merged.tensor()));
        sum.add(Term::LargerFlow, || l1(flows()));
    }
    sum.finish()
}

/// Terms being added up.
struct Sum<'a> {
    weights: &'a Terms,
    total: Option<Tensor<1>>,
    zero: Tensor<1>,
    terms: Vec<(Term, Tensor<1>)>,
}

impl<'a> Sum<'a> {
    fn new(like: &Tensor<4>, weights: &'a Terms) -> Self {
        Self {
            weights,
            total: None,
            zero: Tensor::zeros([1], &like.device()),
            terms: Vec::new(),
        }
    }

    /// Adds a term, which is evaluated where it counts.
    fn add(&mut self, term: Term, value: impl FnOnce() -> Tensor<1>) {
        let weight = self.weights[term];
        if weight == 0.0 {
            return;
        }
        let value = value();
        let weighted = value.clone() * weight;
        self.total = Some(match self.total.take() {
            None => weighted,
            Some(total) => total + weighted,
        });
        self.terms.push((term, value));
    }

    fn finish(self) -> Loss {
        Loss {
            total: self.total.unwrap_or(self.zero),
            terms: self.terms,
        }
    }
}
