//! Lazy tensor ([`Batch`]): upsampling and warp are kept as expressions until their values or a downsampling of them are read.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use burn_tensor::Tensor;

use super::{resample, warp};

/// A tensor `[batch, channels, height, width]`. Clones share evaluated values.
#[derive(Debug, Clone)]
pub struct Batch(Rc<Node>);

/// An expression with its cached values.
#[derive(Debug)]
struct Node {
    form: Form,
    /// Values at full resolution, once evaluated.
    dense: OnceCell<Tensor<4>>,
    /// Downsampled tensors by factor, once evaluated.
    downsampled: RefCell<BTreeMap<usize, Batch>>,
}

/// Kind of expression.
#[derive(Debug)]
enum Form {
    /// Evaluated values.
    Dense,
    /// Bilinear upsampling of a tensor by a power of two.
    Upsampled(Box<Tensor<4>>, usize),
    /// Backward warp of an image (first) by a flow (second).
    Warped(Box<[Tensor<4>; 2]>),
}

impl Batch {
    /// Makes an unevaluated expression.
    fn new(form: Form) -> Self {
        let (dense, downsampled) = (OnceCell::new(), RefCell::default());
        Self(Rc::new(Node {
            form,
            dense,
            downsampled,
        }))
    }

    /// Wraps evaluated values.
    pub fn dense(x: Tensor<4>) -> Self {
        let batch = Self::new(Form::Dense);
        batch.0.dense.set(x).expect("it was empty");
        batch
    }

    /// Makes the expression of a backward warp, see [`warp::warp`].
    pub(super) fn warped(image: Tensor<4>, flow: Tensor<4>) -> Self {
        Self::new(Form::Warped(Box::new([image, flow])))
    }

    /// Returns the values, evaluating the expression at the first call.
    pub fn tensor(&self) -> Tensor<4> {
        let evaluate = || match &self.0.form {
            Form::Dense => unreachable!("dense values are there from the start"),
            Form::Upsampled(small, factor) => resample::upsample(small.as_ref().clone(), *factor),
            Form::Warped(inputs) => {
                let [image, flow] = inputs.as_ref().clone();
                warp::warp(image, flow, 1)
            }
        };
        self.0.dense.get_or_init(evaluate).clone()
    }

    /// Returns the shape `[batch, channels, height, width]` without evaluating.
    pub fn dims(&self) -> [usize; 4] {
        match &self.0.form {
            Form::Dense => self.tensor().dims(),
            Form::Upsampled(small, factor) => {
                let [batch, channels, height, width] = small.dims();
                [batch, channels, height * factor, width * factor]
            }
            Form::Warped(inputs) => inputs[0].dims(),
        }
    }

    /// Applies `f`, an affine function of each pixel's channels; it commutes with an upsampling and is applied before it.
    pub(super) fn map_planes(&self, f: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Self {
        match &self.0.form {
            Form::Upsampled(small, factor) => {
                Self::new(Form::Upsampled(Box::new(f(small.as_ref().clone())), *factor))
            }
            Form::Dense | Form::Warped(..) => Self::dense(f(self.tensor())),
        }
    }

    /// Makes the expression of a bilinear upsampling by an integer factor.
    pub(super) fn upsampled(&self, factor: usize) -> Self {
        if factor == 1 {
            return self.clone();
        }
        Self::new(Form::Upsampled(Box::new(self.tensor()), factor))
    }

    /// Returns the tensor downsampled by `factor` (bilinear), evaluated once per factor.
    pub(super) fn downsampled(&self, factor: usize) -> Self {
        if factor == 1 {
            return self.clone();
        }
        if let Some(known) = self.0.downsampled.borrow().get(&factor) {
            return known.clone();
        }
        let result = self.downsample(factor);
        self.0.downsampled.borrow_mut().insert(factor, result.clone());
        result
    }

    /// Evaluates a downsampling, for a warp only at the pixels that it reads.
    fn downsample(&self, factor: usize) -> Self {
        match &self.0.form {
            // An upsampled signal is linear between two neighbouring samples, and a cell of at most half their distance
            // lies between two samples, so that the value at its centre is the mean of its pixels.
            Form::Upsampled(small, by) if by.is_multiple_of(2 * factor) => {
                Self::new(Form::Upsampled(small.clone(), by / factor))
            }
            Form::Warped(inputs) if factor.is_multiple_of(2) => {
                let [image, flow] = inputs.as_ref().clone();
                let warped = warp::warp(image, resample::centres(flow, factor), factor);
                Self::dense(resample::mean2x2(warped))
            }
            _ => Self::dense(resample::downsample(self.tensor(), factor)),
        }
    }
}
