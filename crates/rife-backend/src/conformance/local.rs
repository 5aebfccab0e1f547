//! Locality test for NaN and infinities: cases with one input value replaced, and the outputs that may change.

use std::cell::RefCell;

use super::{Case, Input};
use crate::reference::{ReferenceBackend, ReferenceTensor};
use crate::{Backend, Result};

/// Change of a velocity of the dense inverse search, in pixels, from which on the velocity counts as changed by a NaN.
pub const MOVED: f32 = 0.5;
/// Maximum fraction of the velocities of the dense inverse search that one NaN or infinity may change.
pub const MAX_MOVED: f32 = 0.02;

/// Maximum number of inputs of a case in which a value is replaced: the first ones, one at a time.
const MAX_INPUTS: usize = 4;
/// Number of values of an input that are replaced, one at a time, in a case with convolutions, for which the position in a
/// tile matters.
const CONV_PIXELS: usize = 4;
/// Values that replace an input value.
const POISONS: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

/// Case with one value of one input replaced by a NaN or an infinity.
#[derive(Debug, Clone)]
pub struct Poisoned {
    /// Name for messages: the case, the replaced value's input and index, and the new value.
    pub name: String,
    /// All inputs.
    pub inputs: Vec<Input>,
    /// For each output value in row-major order, whether it may change.
    pub may_change: Vec<bool>,
    /// Whether the case contains a dense inverse search.
    searches: bool,
}

impl Case {
    /// Makes variants of the case with a NaN and with infinities in a pixel of each of its first inputs. Outputs of a
    /// convolution within `spread` pixels of those that the pixel reaches may change, too.
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

    /// Makes variants of the case with each of [`POISONS`] as value number `at` of an input; `clean` are the reference results
    /// of the unchanged case.
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
    /// A message with the first value that changed and must not, or the engine's error.
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

    /// Chooses the index of a value of an input by a hash (FNV-1a) of the case's name, the input and the attempt.
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

    /// Copies the inputs, with value number `at` of one input replaced.
    fn with(&self, input: usize, at: usize, value: f32) -> Vec<Input> {
        let mut inputs = self.inputs.clone();
        inputs[input].data[at] = value;
        inputs
    }

    /// Evaluates the case with the reference engine for these inputs. With `clean`, the results for the unchanged inputs and
    /// a number of pixels, differences of a convolution's result from the clean one are extended by that many pixels as NaN.
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

/// Results of the reference engine for a case.
struct Reached {
    /// Value of the expression.
    value: ReferenceTensor,
    /// Results of the convolutions, in order.
    convolutions: Vec<ReferenceTensor>,
}

impl Poisoned {
    /// Compares an engine's values with the replaced input value, `found`, with those without, `clean`.
    ///
    /// # Errors
    /// A message with the first value that changed and must not.
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

    /// Compares velocities of a dense inverse search, see [the module](super).
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

/// Returns, for each pixel in row-major order, whether any channel of any of `others` differs from `clean`.
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

/// Replaces `x` by NaN in all channels of all pixels that are, along each axis, within `spread` pixels of one that differs
/// from `clean`.
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
