//! Flow scale option ([`Scale`]), and resizing of tensors and flow by powers of two.

use std::fmt;
use std::str::FromStr;

use rife_backend::{Backend, Resize};

use crate::error::NetworkError;

/// Resolution at which flow is estimated, as a factor of the frame's: a smaller one is faster and finds larger motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Scale {
    /// 0.25.
    Quarter,
    /// 0.5, the usual choice for 4K.
    Half,
    /// 1: the frame's resolution.
    #[default]
    One,
    /// 2, for small frames.
    Two,
    /// 4.
    Four,
}

impl Scale {
    /// All scales, ascending.
    pub const ALL: [Self; 5] = [Self::Quarter, Self::Half, Self::One, Self::Two, Self::Four];

    /// Returns the factor: 0.25, 0.5, 1, 2 or 4.
    pub fn factor(self) -> f32 {
        (self.log2() as f32).exp2()
    }

    /// Returns log2 of the factor: -2 to 2.
    pub(crate) fn log2(self) -> i32 {
        self as i32 - Self::One as i32
    }
}

impl TryFrom<f64> for Scale {
    type Error = NetworkError;

    /// Converts the factor 0.25, 0.5, 1, 2 or 4.
    ///
    /// Errors: [`NetworkError::Scale`] for all other numbers.
    fn try_from(value: f64) -> Result<Self, NetworkError> {
        let found = Self::ALL
            .into_iter()
            .find(|scale| f64::from(scale.factor()) == value);
        found.ok_or_else(|| NetworkError::Scale(value.to_string()))
    }
}

impl FromStr for Scale {
    type Err = NetworkError;

    /// Parses the factor 0.25, 0.5, 1, 2 or 4.
    ///
    /// Errors: [`NetworkError::Scale`] for all other text.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let value = text
            .trim()
            .parse::<f64>()
            .map_err(|_| NetworkError::Scale(text.to_owned()))?;
        Self::try_from(value)
    }
}

impl fmt::Display for Scale {
    /// Writes the factor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.factor())
    }
}

/// Computes `2^log2` exactly.
pub(crate) fn pow2(log2: i32) -> f32 {
    (log2 as f32).exp2()
}

/// Resizes a tensor bilinearly by the factor `2^log2`.
pub(crate) fn resize<B: Backend>(b: &B, x: &B::Tensor, log2: i32) -> B::Tensor {
    match log2 {
        0 => x.clone(),
        1.. => b.resize(x, Resize::Up(1 << log2)),
        _ => b.resize(x, Resize::Down(1 << -log2)),
    }
}

/// Resizes a flow by the factor `2^log2` and multiplies its vectors by that factor, so that they are in pixels of the new
/// size.
pub(crate) fn resize_flow<B: Backend>(b: &B, flow: &B::Tensor, log2: i32) -> B::Tensor {
    match log2 {
        0 => flow.clone(),
        _ => b.affine(&resize(b, flow, log2), pow2(log2), 0.0),
    }
}
