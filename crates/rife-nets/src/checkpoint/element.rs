//! The number types of tensors in files, and their widening to f32.

use half::{bf16, f16};

/// A number type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    Bf16,
    F32,
    F64,
    /// Whole numbers and booleans of this many bytes: no weights, passed over.
    Whole(usize),
}

impl Element {
    /// Bytes a value.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Whole(size) => size,
        }
    }

    pub(super) fn is_float(self) -> bool {
        !matches!(self, Self::Whole(_))
    }

    /// The value in exactly [`Self::size`] bytes; f64 is rounded. Whole numbers are not read.
    fn widen(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::F16, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
            (Self::Bf16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
            (Self::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::F64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32,
            _ => f32::NAN,
        }
    }

    /// Every value of `bytes`, in order.
    pub(super) fn values(self, bytes: &[u8]) -> Vec<f32> {
        bytes
            .chunks_exact(self.size())
            .map(|value| self.widen(value))
            .collect()
    }

    /// Value number `index` of `bytes`, which must hold it.
    pub(super) fn value(self, bytes: &[u8], index: usize) -> f32 {
        let start = index * self.size();
        self.widen(&bytes[start..start + self.size()])
    }
}

/// How many values a shape has; nothing where that overflows.
pub(super) fn count(shape: &[u64]) -> Option<u64> {
    // A zero anywhere makes the product zero, however large the rest.
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size))
}

/// A shape for [`crate::WeightTensor`]; call it on shapes whose values are there.
pub(super) fn shape(sizes: &[u64]) -> Vec<usize> {
    sizes.iter().map(|&size| size as usize).collect()
}
