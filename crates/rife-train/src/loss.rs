//! Training loss: [`loss`] is the weighted sum of the terms of [`Term`], with weights from the recipe. The terms are defined
//! in the modules below and, in PyTorch, in `tools/twin/losses.py`.

mod frame;
mod pyramid;
mod stages;

use burn_tensor::Tensor;
use rife_nets::{Output, Stage};

use crate::backend::{Batch, BurnBackend, values};
pub use frame::{census, charbonnier, decibels, l1};
pub use pyramid::laplacian;
pub use stages::{distillation, flow_loss, stages};

/// A term of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// Laplacian pyramid loss of the merged frame.
    Laplacian,
    /// Mean absolute error of the merged frame.
    L1,
    /// Charbonnier loss (smooth L1) of the merged frame.
    Charbonnier,
    /// Negative PSNR of the merged frame in dB.
    Psnr,
    /// Census (ternary) loss of the merged frame.
    Census,
    /// Mean absolute error of the blends after all blocks but the last.
    Stages,
    /// Mean absolute error of the flow where the true flow is known.
    Flow,
    /// Laplacian pyramid loss of the teacher block's blended frame.
    TeacherBlock,
    /// Distillation: distance of all blocks' flow from the teacher block's flow.
    Distillation,
    /// Mean absolute difference from the merged frame of the recipe's teacher network.
    LargerFrame,
    /// Mean absolute difference from the flow of the recipe's teacher network.
    LargerFlow,
}

impl Term {
    /// All terms, in the order of their declaration.
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

    /// Returns the term's name in logs.
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

/// One number per term, such as its weight or unweighted value; 0 for absent terms.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Terms([f32; Term::ALL.len()]);

impl Terms {
    /// Iterates over all terms with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Term, f32)> {
        Term::ALL.into_iter().zip(self.0)
    }
}

impl<const N: usize> From<[(Term, f32); N]> for Terms {
    /// Sets the given terms; all others are 0.
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

    /// Returns the value of a term.
    fn index(&self, term: Term) -> &f32 {
        &self.0[term as usize]
    }
}

impl std::ops::IndexMut<Term> for Terms {
    /// Returns the value of a term.
    fn index_mut(&mut self, term: Term) -> &mut f32 {
        &mut self.0[term as usize]
    }
}

/// Outputs of the trained network for a batch.
#[derive(Debug, Clone)]
pub struct Predicted {
    /// Frame, flow, mask and all stages.
    pub output: Output<Batch>,
    /// The teacher block's stage; `None` if the network has none or no loss needs it.
    pub taught: Option<Stage<Batch>>,
}

/// Targets of the loss for a batch.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The true middle frames.
    pub frame: Batch,
    /// The true flow; `None` if it is unknown or unused.
    pub flow: Option<KnownFlow>,
    /// Output of the recipe's teacher network.
    pub larger: Option<Output<Batch>>,
}

/// True flow that is known at some pixels.
#[derive(Debug, Clone)]
pub struct KnownFlow {
    /// `[batch, 4, height, width]` in pixels, as [`Stage::flow`].
    pub flow: Batch,
    /// 1 where the flow is known, else 0: `[batch, 1, height, width]`.
    pub known: Batch,
    /// Divisor of the mean over known pixels: their number in this batch; for one device's part of a batch, the number in the
    /// complete batch times the part's fraction.
    pub count: f32,
}

/// The loss of a batch.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Weighted sum of all terms.
    pub total: Tensor<1>,
    /// The unweighted terms that were evaluated.
    terms: Vec<(Term, Tensor<1>)>,
}

impl Loss {
    /// Downloads the unweighted terms.
    pub fn terms(&self) -> Terms {
        let mut terms = Terms::default();
        for (term, value) in &self.terms {
            terms[*term] = number(value);
        }
        terms
    }
}

/// Downloads the value of a scalar tensor.
pub(crate) fn number(x: &Tensor<1>) -> f32 {
    values(x.clone()).first().copied().unwrap_or(f32::NAN)
}

/// Computes the loss of a batch: the weighted sum of all terms whose weight is not 0. `scales` are the blocks' downsampling
/// factors from coarse to fine.
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

/// A weighted sum of terms in progress.
struct Sum<'a> {
    weights: &'a Terms,
    total: Option<Tensor<1>>,
    zero: Tensor<1>,
    terms: Vec<(Term, Tensor<1>)>,
}

impl<'a> Sum<'a> {
    /// Starts an empty sum on the device of `like`.
    fn new(like: &Tensor<4>, weights: &'a Terms) -> Self {
        Self {
            weights,
            total: None,
            zero: Tensor::zeros([1], &like.device()),
            terms: Vec::new(),
        }
    }

    /// Adds a term, evaluating it only if its weight is not 0.
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

    /// Returns the sum, 0 without terms.
    fn finish(self) -> Loss {
        Loss {
            total: self.total.unwrap_or(self.zero),
            terms: self.terms,
        }
    }
}
