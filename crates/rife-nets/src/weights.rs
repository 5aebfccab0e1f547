//! Named tensors on their way from a checkpoint file into a network: what the readers produce and what the
//! networks take. No file format and no network belongs here.

use std::collections::BTreeMap;

/// One named tensor of a checkpoint, widened to f32.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightTensor {
    /// Sizes, outermost first; the empty list is a scalar.
    pub shape: Vec<usize>,
    /// Values in row-major order, as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// Every tensor of a checkpoint by key, in the keys' order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, WeightTensor>,
}

impl Weights {
    /// No tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a tensor and returns the one that had this key before.
    pub fn insert(&mut self, key: impl Into<String>, tensor: WeightTensor) -> Option<WeightTensor> {
        self.tensors.insert(key.into(), tensor)
    }

    /// The tensor of this key.
    pub fn get(&self, key: &str) -> Option<&WeightTensor> {
        self.tensors.get(key)
    }

    /// Every key, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Every key with its tensor, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &WeightTensor)> {
        self.tensors.iter().map(|(key, tensor)| (key.as_str(), tensor))
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }
}

impl FromIterator<(String, WeightTensor)> for Weights {
    fn from_iter<I: IntoIterator<Item = (String, WeightTensor)>>(tensors: I) -> Self {
        Self {
            tensors: tensors.into_iter().collect(),
        }
    }
}
