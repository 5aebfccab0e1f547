//! Powers of two between the network's inner resolutions: the scale option and the resizes that follow from it.

use std::fmt;
use std::str::FromStr;

use rife_backend::{Backend, Resize};

use crate::error::NetworkError;

/// At which size the flow is estimated, as a factor of the frame's: smaller is faster and finds larger motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Scale {
    /// A quarter.
    Quarter,
    /// Half, the usual choice for 4K.
    Half,
    /// The frame's size.
    #[default]
    One,
    /// Twice the size, for small frames.
    Two,
    /// Four times the size.
    Four,
}

impl Scale {
    /// Every scale, ascending.
    pub const ALL: [Self; 5] = [Self::Quarter, Self::Half, Self::One, Self::Two, Self::Four];

    /// The factor: 0.25, 0.5, 1, 2 or 4.
    pub fn factor(self) -> f32 {
        (self.log2() as f32).exp2()
    }

    /// The factor's logarithm: -2 to 2.
    pub(crate) fn log2(self) -> i32 {
        self as i32 - Self::One as i32
    }
}

impl TryFrom<f64> for Scale {
    type Error = NetworkError;

    /// Errors: [`NetworkError::Scale`] for all but 0.25, 0.5, 1, 2 and 4.
    fn try_from(value: f64) -> Result<Self, NetworkError> {
        let found = Self::ALL
            .into_iter()
            .find(|scale| f64::from(scale.factor()) == value);
        found.ok_or_else(|| NetworkError::Scale(value.to_string()))
    }
}

impl FromStr for Scale {
    type Err = NetworkError;

    /// Errors: [`NetworkError::Scale`] for all but 0.25, 0.5, 1, 2 and 4.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let value = text
            .trim()
            .parse::<f64>()
            .map_err(|_| NetworkError::Scale(text.to_owned()))?;
        Self::try_from(value)
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.factor())
    }
}

/// `2^log2`, exactly.
pub(crate) fn pow2(log2: i32) -> f32 {
    (log2 as f32).exp2()
}

/// Resizes by `2^log2`.
pub(crate) fn resize<B: Backend>(b: &B, x: &B::Tensor, log2: i32) -> B::Tensor {
    match log2 {
        0 => x.clone(),
        1.. => b.resize(x, Resize::Up(1 << log2)),
        _ => b.resize(x, Resize::Down(1 << -log2)),
    }
}

/// Resizes a flow by `2^log2` and its vectors with it, so that they stay in pixels of their own size.
pub(crate) fn resize_flow<B: Backend>(b: &B, flow: &B::Tensor, log2: i32) -> B::Tensor {
    match log2 {
        0 => flow.clone(),
        _ => b.affine(&resize(b, flow, log2), pow2(log2), 0.0),
    }
}
