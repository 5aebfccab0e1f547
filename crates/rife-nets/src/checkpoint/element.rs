//! Element types of stored tensors ([`Element`]) and their conversion to f32.

use half::{bf16, f16};

/// Element type of a stored tensor, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    Bf16,
    F32,
    F64,
    /// Integers or booleans of this many bytes, which are no weights and are skipped.
    Integer(usize),
}

impl Element {
    /// Returns the size of an element in bytes.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Integer(size) => size,
        }
    }

    /// Reports whether elements are floating-point numbers.
    pub(super) fn is_float(self) -> bool {
        !matches!(self, Self::Integer(_))
    }

    /// Converts one element of exactly [`Self::size`] bytes; f64 is rounded, integers become NaN.
    fn widen(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::F16, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
            (Self::Bf16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
            (Self::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::F64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32,
            _ => f32::NAN,
        }
    }

    /// Converts all elements of `bytes`.
    pub(super) fn values(self, bytes: &[u8]) -> Vec<f32> {
        bytes
            .chunks_exact(self.size())
            .map(|value| self.widen(value))
            .collect()
    }

    /// Converts element number `index` of `bytes`; panics if it is past the end.
    pub(super) fn value(self, bytes: &[u8], index: usize) -> f32 {
        let start = index * self.size();
        self.widen(&bytes[start..start + self.size()])
    }
}

/// Computes the product of a shape's sizes; `None` if it overflows.
pub(super) fn count(shape: &[u64]) -> Option<u64> {
    // A zero anywhere makes the product zero, however large the rest.
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size))
}

/// Converts a shape whose data is present, so that its sizes fit `usize`, to that of a [`crate::WeightTensor`].
pub(super) fn shape(sizes: &[u64]) -> Vec<usize> {
    sizes.iter().map(|&size| size as usize).collect()
}
