//! State dict: named f32 tensors, which checkpoint readers produce and networks are built from.

use std::collections::BTreeMap;

/// One tensor of a state dict, converted to f32.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightTensor {
    /// Sizes, outermost dimension first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Values in row-major order; their count is the product of `shape`.
    pub data: Vec<f32>,
}

/// A state dict: tensors by key, sorted by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, WeightTensor>,
}

impl Weights {
    /// Makes an empty state dict.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a tensor and returns the one stored under this key before.
    pub fn insert(&mut self, key: impl Into<String>, tensor: WeightTensor) -> Option<WeightTensor> {
        self.tensors.insert(key.into(), tensor)
    }

    /// Returns the tensor of a key, `None` when there is none.
    pub fn get(&self, key: &str) -> Option<&WeightTensor> {
        self.tensors.get(key)
    }

    /// Iterates over the keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Iterates over keys and tensors, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &WeightTensor)> {
        self.tensors.iter().map(|(key, tensor)| (key.as_str(), tensor))
    }

    /// Returns the number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Reports whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }
}

impl FromIterator<(String, WeightTensor)> for Weights {
    /// Collects tensors under their keys; of equal keys the last tensor is kept.
    fn from_iter<I: IntoIterator<Item = (String, WeightTensor)>>(tensors: I) -> Self {
        Self {
            tensors: tensors.into_iter().collect(),
        }
    }
}
