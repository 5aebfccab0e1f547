//! Conformance suite: what every engine's tests run.
//!
//! - [`cases`]: each operation of [`Backend`] at sizes at and around the tile edges of common kernels, alone and read
//!   through a reduction (which lazy engines compute at a few pixels only), then random trees of operations from fixed
//!   seeds. [`Case::check`] compares an engine's values with those of the [reference engine](crate::reference).
//! - [`check_transfers`]: values up and down, padded and cropped.
//! - **NaN stays local** ([`Case::check_local`], [`Case::poisoned`]): a NaN or an infinity in one pixel of an input changes
//!   only outputs whose receptive field contains that pixel; every other output keeps its value. The receptive field is
//!   that of the definition, with all four pixels of a bilinear sample, those of weight 0 included (of a position at the
//!   right or lower border, the last two columns or rows). A convolution may in
//!   addition change outputs within `spread` pixels of those, vertically, horizontally or both, which its engine states:
//!   0 for direct kernels, 3 for Winograd F(4x4, 3x3), whose tile of 4x4 outputs shares its inputs, a tile's longer side less
//!   1 in general. Inside that neighbourhood an engine may give any value: NaN, an infinity, or a number. It never panics,
//!   never reads outside of an image, and ends. Of the dense inverse search, in which everything depends on everything by
//!   the coarse levels, all velocities are finite, and at most [`MAX_MOVED`] of them change by more than [`MOVED`].
//!
//! An engine whose values cannot be read one expression at a time (a recorder of graphs) takes the expressions and inputs
//! of the cases and compares with [`Case::compare`] and [`Poisoned::compare`].

mod build;
mod expr;
mod local;
mod transfers;

pub use build::cases;
pub use expr::Expr;
pub use local::{MAX_MOVED, MOVED, Poisoned};
pub use transfers::check_transfers;

use crate::reference::ReferenceBackend;
use crate::{Backend, Result};

/// Pixels by which velocities of the dense inverse search may differ from engine to engine.
const SEARCH_TOLERANCE: f32 = 0.01;
/// The fraction of them that may differ by more.
const SEARCH_EXCEPTIONS: f32 = 0.02;

/// An input: its shape, and planar values in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// `[channels, height, width]`.
    pub shape: [usize; 3],
    /// As many values.
    pub data: Vec<f32>,
}

/// An expression with its inputs.
#[derive(Debug, Clone)]
pub struct Case {
    /// The operation and the size, or the seed of a random tree.
    pub name: String,
    /// What is computed.
    pub expr: Expr,
    /// Of what.
    pub inputs: Vec<Input>,
}

impl Case {
    /// The values that the reference engine computes.
    pub fn expected(&self) -> Vec<f32> {
        self.run(&ReferenceBackend)
            .expect("the reference engine does not fail")
    }

    /// The values that an engine computes.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn run<B: Backend>(&self, b: &B) -> Result<Vec<f32>> {
        let inputs: Result<Vec<_>> = self
            .inputs
            .iter()
            .map(|input| b.upload(input.shape, &input.data))
            .collect();
        b.download(&self.expr.eval(b, &inputs?)?)
    }

    /// Compares an engine's values with the reference engine's.
    ///
    /// # Errors
    /// The first value that differs by more than `tolerance` times the larger of 1 and the value; of a dense inverse search,
    /// how many velocities differ by more than 0.01 pixels where these are more than 2% ([`Case::compare`]).
    pub fn check<B: Backend>(&self, b: &B, tolerance: f32) -> std::result::Result<(), String> {
        let found = self.run(b).map_err(|error| format!("{}: {error}", self.name))?;
        self.compare(&found, tolerance)
    }

    /// Compares values with the reference engine's. A patch of the dense inverse search takes the better of two
    /// velocities: where both are as good, rounding decides, so that there 2% of the values may differ.
    ///
    /// # Errors
    /// As [`Case::check`].
    pub fn compare(&self, found: &[f32], tolerance: f32) -> std::result::Result<(), String> {
        let expected = self.expected();
        if found.len() != expected.len() {
            let (found, expected) = (found.len(), expected.len());
            return Err(format!("{}: {found} values, not {expected}", self.name));
        }
        if self.expr.searches() {
            let off = |(found, expected): (&f32, &f32)| !((found - expected).abs() <= SEARCH_TOLERANCE);
            let wrong = found.iter().zip(&expected).filter(|pair| off(*pair)).count();
            return match wrong as f32 <= SEARCH_EXCEPTIONS * found.len() as f32 {
                true => Ok(()),
                false => Err(format!("{}: {wrong} of {} differ", self.name, found.len())),
            };
        }
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let close = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
            if !(close || found.is_nan() && expected.is_nan()) {
                return Err(format!("{}: value {i} is {found}, not {expected}", self.name));
            }
        }
        Ok(())
    }
}
