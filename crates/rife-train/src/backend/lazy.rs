//! A batch of planes that may not have been evaluated yet.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use burn_tensor::Tensor;

use super::{resample, warp};

/// `[batch, channels, height, width]` values. Cloning shares them, and what has been evaluated of them.
#[derive(Debug, Clone)]
pub struct Batch(Rc<Node>);

#[derive(Debug)]
struct Node {
    form: Form,
    dense: OnceCell<Tensor<4>>,
    reduced: RefCell<BTreeMap<usize, Batch>>,
}

#[derive(Debug)]
enum Form {
    Dense,
    /// Bilinear enlargement by a power of two.
    Enlarged(Box<Tensor<4>>, usize),
    /// An image sampled where a flow of its size points.
    Warped(Box<[Tensor<4>; 2]>),
}

impl Batch {
    fn new(form: Form) -> Self {
        let (dense, reduced) = (OnceCell::new(), RefCell::default());
        Self(Rc::new(Node { form, dense, reduced }))
    }

    /// These values.
    pub fn dense(x: Tensor<4>) -> Self {
        let batch = Self::new(Form::Dense);
        batch.0.dense.set(x).expect("it was empty");
        batch
    }

    pub(super) fn warped(image: Tensor<4>, flow: Tensor<4>) -> Self {
        Self::new(Form::Warped(Box::new([image, flow])))
    }

    /// The values, evaluated once.
    pub fn tensor(&self) -> Tensor<4> {
        let evaluate = || match &self.0.form {
            Form::Dense => unreachable!("dense values are there from the start"),
            Form::Enlarged(small, factor) => resample::enlarge(small.as_ref().clone(), *factor),
            Form::Warped(inputs) => {
                let [image, flow] = inputs.as_ref().clone();
                warp::warp(image, flow, 1)
            }
        };
        self.0.dense.get_or_init(evaluate).clone()
    }

    /// `[batch, channels, height, width]`.
    pub fn dims(&self) -> [usize; 4] {
        match &self.0.form {
            Form::Dense => self.tensor().dims(),
            Form::Enlarged(small, factor) => {
                let [batch, channels, height, width] = small.dims();
                [batch, channels, height * factor, width * factor]
            }
            Form::Warped(inputs) => inputs[0].dims(),
        }
    }

    /// A function of each pixel's channels that is affine, so that it may come before an enlargement.
    pub(super) fn map_planes(&self, f: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Self {
        match &self.0.form {
            Form::Enlarged(small, factor) => {
                Self::new(Form::Enlarged(Box::new(f(small.as_ref().clone())), *factor))
            }
            Form::Dense | Form::Warped(..) => Self::dense(f(self.tensor())),
        }
    }

    pub(super) fn enlarged(&self, factor: usize) -> Self {
        if factor == 1 {
            return self.clone();
        }
        Self::new(Form::Enlarged(Box::new(self.tensor()), factor))
    }

    /// Reduced by `factor`, evaluated once for each.
    pub(super) fn reduced(&self, factor: usize) -> Self {
        if factor == 1 {
            return self.clone();
        }
        if let Some(known) = self.0.reduced.borrow().get(&factor) {
            return known.clone();
        }
        let result = self.reduce(factor);
        self.0.reduced.borrow_mut().insert(factor, result.clone());
        result
    }

    fn reduce(&self, factor: usize) -> Self {
        match &self.0.form {
            // Between two neighbouring samples an enlargement is linear, and a cell of at most half their distance
            // lies between two of them, so that its centre has the mean of its pixels.
            Form::Enlarged(small, by) if by.is_multiple_of(2 * factor) => {
                Self::new(Form::Enlarged(small.clone(), by / factor))
            }
            Form::Warped(inputs) if factor.is_multiple_of(2) => {
                let [image, flow] = inputs.as_ref().clone();
                let warped = warp::warp(image, resample::centres(flow, factor), factor);
                Self::dense(resample::mean2x2(warped))
            }
            _ => Self::dense(resample::reduce(self.tensor(), factor)),
        }
    }
}
