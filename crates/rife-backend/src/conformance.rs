//! Conformance suite of engines ([`Backend`] implementations), which every engine's tests run.
//!
//! - [`cases`]: each operation of [`Backend`] at sizes at and around the tile edges of common kernels, alone and read
//!   through a downsampling (of which lazy engines compute only a few pixels), then random trees of operations from fixed
//!   seeds. [`Case::check`] compares an engine's values with those of the [reference engine](crate::reference).
//! - [`check_transfers`]: uploads and downloads, padded and cropped.
//! - **NaN stays local** ([`Case::check_local`], [`Case::poisoned`]): a NaN or an infinity in one pixel of an input changes
//!   only outputs whose receptive field contains that pixel; every other output keeps its value. The receptive field is
//!   that of the definition, with all four pixels of a bilinear sample, including those of weight 0 (of a position at the
//!   right or lower border, the last two columns or rows). A convolution may also change outputs within `spread` pixels of
//!   these along each axis. `spread` is a property of the engine: 0 for direct kernels, 3 for Winograd F(4x4, 3x3), whose
//!   4x4 outputs are computed from the same inputs, in general the longer side of a tile minus 1. Inside of that
//!   neighbourhood any value is accepted: NaN, an infinity, or a number. The engine must not panic, read outside of an
//!   image or loop forever. In the dense inverse search every output depends on every input through the coarse levels: all
//!   velocities must be finite, and at most [`MAX_MOVED`] of them may change by more than [`MOVED`].
//!
//! An engine that cannot evaluate one expression at a time (a graph recorder) takes the expressions and inputs of the cases
//! and compares its values with [`Case::compare`] and [`Poisoned::compare`].

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

/// Maximum difference, in pixels, of a velocity of the dense inverse search from the reference engine's.
const SEARCH_TOLERANCE: f32 = 0.01;
/// Maximum fraction of velocities of the dense inverse search that differ by more than [`SEARCH_TOLERANCE`].
const SEARCH_EXCEPTIONS: f32 = 0.02;

/// Input tensor of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Shape, `[channels, height, width]`.
    pub shape: [usize; 3],
    /// Values in row-major order.
    pub data: Vec<f32>,
}

/// Test case: an expression and its inputs.
#[derive(Debug, Clone)]
pub struct Case {
    /// Name for messages: the operation and the size, or the seed of a random tree.
    pub name: String,
    /// Expression to evaluate.
    pub expr: Expr,
    /// Inputs of the expression; [`Expr::Input`] is an index into them.
    pub inputs: Vec<Input>,
}

impl Case {
    /// Evaluates the case with the reference engine and returns the values in row-major order.
    pub fn expected(&self) -> Vec<f32> {
        self.run(&ReferenceBackend)
            .expect("the reference engine does not fail")
    }

    /// Evaluates the case with an engine and returns the values in row-major order.
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

    /// Evaluates the case with an engine and compares the values with the reference engine's, see [`Case::compare`].
    ///
    /// # Errors
    /// A message that names the case: the engine's error, or the difference.
    pub fn check<B: Backend>(&self, b: &B, tolerance: f32) -> std::result::Result<(), String> {
        let found = self.run(b).map_err(|error| format!("{}: {error}", self.name))?;
        self.compare(&found, tolerance)
    }

    /// Compares values, in row-major order, with the reference engine's. A patch of the dense inverse search selects the
    /// velocity of lower cost; where the costs are equal, rounding decides, so that 2% of the velocities may differ.
    ///
    /// # Errors
    /// A message that names the case and the first value that differs by more than `tolerance` times the larger of 1 and the
    /// reference value; for a dense inverse search, the number of velocities that differ by more than 0.01 pixels, if that
    /// exceeds 2%.
    pub fn compare(&self, found: &[f32], tolerance: f32) -> std::result::Result<(), String> {
        let expected = self.expected();
        if found.len() != expected.len() {
            let (found, expected) = (found.len(), expected.len());
            return Err(format!("{}: {found} values, not {expected}", self.name));
        }
        if self.expr.searches() {
            // False for NaN.
            let close = |(found, expected): (&f32, &f32)| (found - expected).abs() <= SEARCH_TOLERANCE;
            let wrong = found.iter().zip(&expected).filter(|pair| !close(*pair)).count();
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
