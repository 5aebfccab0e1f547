//! NaN stays local: cases with one value replaced, and which outputs may change.

use std::cell::RefCell;

use super::{Case, Input};
use crate::reference::{ReferenceBackend, ReferenceTensor};
use crate::{Backend, Result};

/// Pixels by which a velocity of the dense inverse search has to change to count as moved by a NaN.
pub const MOVED: f32 = 0.5;
/// The fraction of the velocities of the dense inverse search that one NaN or infinity may move.
pub const MAX_MOVED: f32 = 0.02;

/// Inputs of a case that are tried, one at a time: the first ones.
const MAX_INPUTS: usize = 4;
/// Pixels of an input that are tried where a convolution reads it, in which the pixel of a tile matters.
const CONV_PIXELS: usize = 4;
/// What replaces a value.
const POISONS: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

/// A case with one value of one input replaced by a NaN or an infinity.
#[derive(Debug, Clone)]
pub struct Poisoned {
    /// The case, the input, the pixel and the value.
    pub name: String,
    /// All inputs.
    pub inputs: Vec<Input>,
    /// The outputs that may change, as many as there are.
    pub may_change: Vec<bool>,
    searches: bool,
}

impl Case {
    /// Returns the case with a NaN and infinities in one pixel of each of its first inputs. Outputs within `spread` pixels of the
    /// receptive field of a convolution may change, too.
    pub fn poisoned(&self, spread: usize) -> Vec<Poisoned> {
        let clean = self.reach(&self.inputs, None);
        let count = if self.expr.convolutions().is_empty() {
            1
        } else {
            CONV_PIXELS
        };
        let inputs = 0..self.inputs.len().min(MAX_INPUTS);
        let pixels = inputs.flat_map(|input| (0..count).map(move |attempt| (input, attempt)));
        pixels
            .flat_map(|(input, attempt)| self.poisoned_at(input, self.pixel(input, attempt), &clean, spread))
            .collect()
    }

    /// Returns the case with each of [`POISONS`] at a value of an input.
    fn poisoned_at(&self, input: usize, at: usize, clean: &Reached, spread: usize) -> Vec<Poisoned> {
        let changed = POISONS.map(|poison| self.with(input, at, poison));
        let reached = changed
            .each_ref()
            .map(|inputs| self.reach(inputs, Some((clean, spread))).value);
        let may_change = changed_pixels(&clean.value, &reached).repeat(clean.value.shape()[0]);
        let named = POISONS.iter().zip(changed);
        named
            .map(|(poison, inputs)| Poisoned {
                name: format!("{}, {poison} in input {input} at value {at}", self.name),
                inputs,
                may_change: may_change.clone(),
                searches: self.expr.searches(),
            })
            .collect()
    }

    /// Checks that an engine keeps a NaN or an infinity local, see [the module](super).
    ///
    /// # Errors
    /// The first value that changed and may not, or the error of the engine.
    pub fn check_local<B: Backend>(&self, b: &B, spread: usize) -> std::result::Result<(), String> {
        let failed = |error| format!("{}: {error}", self.name);
        let clean = self.run(b).map_err(failed)?;
        self.poisoned(spread).into_iter().try_for_each(|poisoned| {
            let case = Case {
                name: poisoned.name.clone(),
                expr: self.expr.clone(),
                inputs: poisoned.inputs.clone(),
            };
            poisoned.compare(&clean, &case.run(b).map_err(failed)?)
        })
    }

    /// Chooses a value of an input, another one for each case, input and attempt (FNV-1a of the name).
    fn pixel(&self, input: usize, attempt: usize) -> usize {
        let hash = self
            .name
            .bytes()
            .chain([input as u8, attempt as u8])
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        (hash >> 16) as usize % self.inputs[input].data.len()
    }

    /// Returns the inputs with one value replaced.
    fn with(&self, input: usize, at: usize, value: f32) -> Vec<Input> {
        let mut inputs = self.inputs.clone();
        inputs[input].data[at] = value;
        inputs
    }

    /// Computes the reference engine's value of these inputs. Where the results of the convolutions without the replaced value are
    /// given, what a convolution changed against them is spread as an engine may spread it, as NaN.
    fn reach(&self, inputs: &[Input], clean: Option<(&Reached, usize)>) -> Reached {
        let b = &ReferenceBackend;
        let convolutions = RefCell::new(Vec::new());
        let after_conv = |x: ReferenceTensor| {
            let index = convolutions.borrow().len();
            let x = match clean {
                Some((clean, spread)) => spread_changes(&clean.convolutions[index], x, spread),
                None => x,
            };
            convolutions.borrow_mut().push(x.clone());
            x
        };
        let upload = |input: &Input| b.upload(input.shape, &input.data);
        let evaluate = || {
            let inputs = inputs.iter().map(upload).collect::<Result<Vec<_>>>()?;
            self.expr.eval_with(b, &inputs, Some(&after_conv))
        };
        let value = evaluate().expect("the reference engine does not fail");
        let convolutions = convolutions.into_inner();
        Reached { value, convolutions }
    }
}

/// What the reference engine computed of a case.
struct Reached {
    value: ReferenceTensor,
    /// Results of the convolutions, in order.
    convolutions: Vec<ReferenceTensor>,
}

impl Poisoned {
    /// Compares what an engine computed without and with the replaced value.
    ///
    /// # Errors
    /// As [`Case::check_local`].
    pub fn compare(&self, clean: &[f32], found: &[f32]) -> std::result::Result<(), String> {
        let count = self.may_change.len();
        if [clean.len(), found.len()] != [count; 2] {
            return Err(format!("{}: {} values, not {count}", self.name, found.len()));
        }
        if self.searches {
            return self.compare_search(clean, found);
        }
        let values = clean.iter().zip(found).zip(&self.may_change).enumerate();
        for (i, ((clean, found), may_change)) in values {
            if !may_change && clean != found && !(clean.is_nan() && found.is_nan()) {
                let outside = self.may_change.iter().filter(|may| !**may).count();
                return Err(format!(
                    "{}: value {i} became {found}, not {clean}; {outside} of {count} values must stay",
                    self.name
                ));
            }
        }
        Ok(())
    }

    /// Checks that all velocities are finite, and how many moved.
    fn compare_search(&self, clean: &[f32], found: &[f32]) -> std::result::Result<(), String> {
        if let Some(i) = found.iter().position(|value| !value.is_finite()) {
            return Err(format!("{}: velocity {i} is {}", self.name, found[i]));
        }
        let moved = clean
            .iter()
            .zip(found)
            .filter(|(a, b)| (*a - *b).abs() > MOVED)
            .count();
        // In a small image, a patch is a large fraction.
        if found.len() > 4 * 32 * 32 && moved as f32 > MAX_MOVED * found.len() as f32 {
            return Err(format!(
                "{}: {moved} of {} velocities moved",
                self.name,
                found.len()
            ));
        }
        Ok(())
    }
}

/// Reports for each pixel whether any channel of it differs from `clean` in any of the others.
fn changed_pixels(clean: &ReferenceTensor, others: &[ReferenceTensor]) -> Vec<bool> {
    let [_, height, width] = clean.shape();
    let mut pixels = vec![false; height * width];
    for other in others {
        let values = clean.values().iter().zip(other.values()).enumerate();
        for (i, (a, b)) in values {
            pixels[i % (height * width)] |= a.to_bits() != b.to_bits();
        }
    }
    pixels
}

/// Returns `x` with NaN in all channels of all pixels within `spread` pixels, along each axis, of one that differs from `clean`.
fn spread_changes(clean: &ReferenceTensor, x: ReferenceTensor, spread: usize) -> ReferenceTensor {
    if spread == 0 {
        return x;
    }
    let shape @ [_, height, width] = x.shape();
    let plane = height * width;
    let mut reached = vec![false; plane];
    let changed = changed_pixels(clean, std::slice::from_ref(&x));
    for i in (0..plane).filter(|i| changed[*i]) {
        let (row, column) = (i / width, i % width);
        for y in row.saturating_sub(spread)..(row + spread + 1).min(height) {
            let columns = column.saturating_sub(spread)..(column + spread + 1).min(width);
            reached[y * width..][columns].fill(true);
        }
    }
    let values = x.values().iter().enumerate();
    let spread = values.map(|(i, value)| if reached[i % plane] { f32::NAN } else { *value });
    ReferenceTensor::new(shape, spread.collect())
}
