//! Frames at several timesteps between one pair: directly, or by recursive bisection (the middle of two frames, then the
//! middle of a half, and so on), with the middle frames cached for later timesteps.

use std::collections::BTreeMap;
use std::sync::Arc;

use num_rational::Ratio;
use rife_media::RgbImage;

use super::{Interpolator, Prepared, to_f32};
use crate::runner::{FramePair, Pending};
use crate::{Error, Result};

/// Depth and tolerance of recursive bisection, as in the original `inference_img.py`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Bisection {
    /// Twice the accepted difference from the wanted timestep (`--rthreshold`, 0.02).
    pub threshold: f64,
    /// Maximum number of halvings (`--rmaxcycles`, 8).
    pub max_cycles: u32,
}

impl Default for Bisection {
    /// Returns the defaults of the original script: tolerance 0.01, up to 8 halvings.
    fn default() -> Self {
        Self {
            threshold: 0.02,
            max_cycles: 8,
        }
    }
}

impl Bisection {
    /// Returns the timestep that bisection computes for `wanted`: `wanted` itself if it is reached exactly by the allowed
    /// halvings, else 0 or 1 if within tolerance, else the first middle within tolerance.
    pub fn settle(&self, wanted: Ratio<i64>) -> Ratio<i64> {
        let halvings = wanted.denom().trailing_zeros();
        if wanted.denom().count_ones() == 1 && halvings <= self.max_cycles {
            return wanted;
        }
        let near = |at: Ratio<i64>| {
            let distance = wanted - at;
            (*distance.numer() as f64 / *distance.denom() as f64).abs() <= self.threshold / 2.0
        };
        let (mut low, mut high) = (Ratio::from(0), Ratio::from(1));
        if let Some(end) = [low, high].into_iter().find(|end| near(*end)) {
            return end;
        }
        let mut middle = Ratio::new(1, 2);
        for _ in 0..self.max_cycles.min(30) {
            middle = (low + high) / 2;
            match middle {
                at if near(at) => break,
                at if wanted > at => low = at,
                at => high = at,
            }
        }
        middle
    }
}

/// The frames between one pair of images, computed on request. What all timesteps have in common is computed once.
#[derive(Debug)]
pub struct Between<'a> {
    interpolator: &'a Interpolator,
    state: PairState,
}

impl<'a> Between<'a> {
    /// Makes the state for two prepared images; nothing is computed yet.
    pub(super) fn new(interpolator: &'a Interpolator, first: &Prepared, second: &Prepared) -> Self {
        Self {
            interpolator,
            state: PairState::new(first.clone(), second.clone()),
        }
    }

    /// Computes the image at `timestep`; 0 and 1 return the given images themselves.
    ///
    /// # Errors
    /// [`Error::Usage`] outside 0..=1, and those of running the network.
    pub fn at(&mut self, timestep: Ratio<i64>) -> Result<Arc<RgbImage>> {
        self.state.at(self.interpolator, timestep)
    }
}

/// A [`Between`] that shares ownership of the interpolator, to be kept with the images of a pair.
#[derive(Debug)]
pub struct Pair {
    interpolator: Arc<Interpolator>,
    state: PairState,
}

impl Pair {
    /// Makes the pair of two prepared images of the same size; nothing is computed yet.
    pub fn new(interpolator: Arc<Interpolator>, first: &Prepared, second: &Prepared) -> Self {
        Self {
            interpolator,
            state: PairState::new(first.clone(), second.clone()),
        }
    }

    /// Computes the image at `timestep`, as [`Between::at`].
    ///
    /// # Errors
    /// Those of [`Between::at`].
    pub fn at(&mut self, timestep: Ratio<i64>) -> Result<Arc<RgbImage>> {
        self.state.at(&self.interpolator, timestep)
    }
}

/// The state of a [`Between`], which does not borrow the interpolator: each call gets it as an argument.
#[derive(Debug)]
pub(crate) struct PairState {
    /// The given frames, at timesteps 0 and 1.
    ends: [Prepared; 2],
    /// The pair on the device, made at the first direct timestep.
    pair: Option<Box<dyn FramePair>>,
    /// Cached frames of recursive bisection, by timestep.
    middles: BTreeMap<Ratio<i64>, Prepared>,
}

impl PairState {
    /// Makes the state for two prepared images; nothing is computed yet.
    pub(crate) fn new(first: Prepared, second: Prepared) -> Self {
        Self {
            ends: [first, second],
            pair: None,
            middles: BTreeMap::new(),
        }
    }

    /// Computes the image at `timestep` (0..=1) and calls the interpolator's `on_frame`; 0 and 1 return the given images.
    pub(crate) fn at(&mut self, interpolator: &Interpolator, timestep: Ratio<i64>) -> Result<Arc<RgbImage>> {
        self.submit(interpolator, timestep)?.wait(interpolator)
    }

    /// Starts to compute the image at `timestep` (0..=1), which [`Submitted::wait`] returns. Frames of recursive bisection and
    /// of tiles are computed before this returns.
    pub(crate) fn submit(&mut self, interpolator: &Interpolator, timestep: Ratio<i64>) -> Result<Submitted> {
        if timestep < Ratio::from(0) || timestep > Ratio::from(1) {
            return Err(Error::Usage(format!(
                "timestep {timestep} is not between 0 and 1"
            )));
        }
        let timestep = if interpolator.recursive {
            interpolator.bisection.settle(timestep)
        } else {
            timestep
        };
        if let Some(end) = [0, 1].into_iter().find(|end| Ratio::from(*end) == timestep) {
            return Ok(Submitted::Given(self.ends[end as usize].image.clone()));
        }
        if interpolator.recursive {
            return Ok(Submitted::Computed(self.dyadic(interpolator, timestep)?.image));
        }
        let ends = self.ends.each_ref();
        if self.pair.is_none() {
            self.pair = interpolator.pair(ends[0], ends[1])?;
        }
        let pending = interpolator.submit(self.pair.as_deref(), ends, to_f32(timestep))?;
        Ok(Submitted::Pending(pending))
    }

    /// Computes, recursively, the frame at a timestep whose denominator is a power of two: the middle of its two neighbours
    /// with half the denominator. Results are cached.
    fn dyadic(&mut self, interpolator: &Interpolator, at: Ratio<i64>) -> Result<Prepared> {
        if let Some(end) = [0, 1].into_iter().find(|end| Ratio::from(*end) == at) {
            return Ok(self.ends[end as usize].clone());
        }
        if let Some(made) = self.middles.get(&at) {
            return Ok(made.clone());
        }
        let half_step = Ratio::new(1, *at.denom());
        let low = self.dyadic(interpolator, at - half_step)?;
        let high = self.dyadic(interpolator, at + half_step)?;
        let image = interpolator.run_once(&low, &high, 0.5)?;
        let made = interpolator.prepare(Arc::new(image))?;
        self.middles.insert(at, made.clone());
        Ok(made)
    }
}

/// A frame of [`PairState::submit`].
#[derive(Debug)]
pub(crate) enum Submitted {
    /// One of the given images.
    Given(Arc<RgbImage>),
    /// A computed image.
    Computed(Arc<RgbImage>),
    /// An image that the device may still compute.
    Pending(Pending),
}

impl Submitted {
    /// Waits for the image and calls the interpolator's `on_frame` with a computed one.
    pub(crate) fn wait(self, interpolator: &Interpolator) -> Result<Arc<RgbImage>> {
        let image = match self {
            Self::Given(image) => return Ok(image),
            Self::Computed(image) => image,
            Self::Pending(pending) => Arc::new(interpolator.wait(pending)?),
        };
        if let Some(callback) = &interpolator.on_frame {
            callback.call(&image);
        }
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_met_exactly_and_others_nearly() {
        let rule = Bisection::default();
        for (n, d) in [(1, 2), (3, 4), (5, 16), (1, 256)] {
            assert_eq!(rule.settle(Ratio::new(n, d)), Ratio::new(n, d));
        }
        assert_eq!(
            rule.settle(Ratio::new(1, 200)),
            Ratio::from(0),
            "within half the threshold of an end"
        );
        assert_eq!(rule.settle(Ratio::new(199, 200)), Ratio::from(1));
        let third = rule.settle(Ratio::new(1, 3));
        assert_eq!(
            third,
            Ratio::new(21, 64),
            "1/4, 3/8, 5/16, 11/32, 21/64 is the first within 0.01"
        );
    }

    #[test]
    fn cycles_bound_the_search() {
        let rule = Bisection {
            threshold: 0.0001,
            max_cycles: 3,
        };
        assert_eq!(rule.settle(Ratio::new(1, 3)), Ratio::new(3, 8), "1/2, 1/4, 3/8");
    }
}
