//! Random access to the output timeline: the source frame and timestep of each output frame, by its number, as the rules of
//! [`rife::media::timeline`] give them for a factor and for a target rate of a constant rate.

use num_rational::Ratio;

/// Maximum numerator and denominator of a factor: products with numbers of frames do not overflow.
const MAX_PART: i64 = 10_000_000;

/// Position of an output frame in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Number of the source frame at or before it.
    pub left: u32,
    /// Distance from `left` in intervals between source frames, below 1.
    pub distance: Ratio<i64>,
    /// Timestep between `left` (0) and the next source frame (1): the distance, or 0 after the last source frame.
    pub timestep: Ratio<i64>,
    /// The output frame's duration in intervals between source frames: the part within the interval after `left`, and the part
    /// within the next one.
    pub lengths: [Ratio<i64>; 2],
}

/// The positions of all output frames of a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positions {
    /// Output frames per source frame.
    factor: Ratio<i64>,
    /// Number of source frames.
    source: u32,
    /// Number of output frames.
    count: u32,
}

impl Positions {
    /// Makes the positions of `source` frames, of which there is at least one, at `factor` output frames for each.
    ///
    /// # Errors
    /// A sentence on what is accepted, for factors out of range and clips that would have 2^31 frames or more.
    pub fn new(source: u32, factor: Ratio<i64>) -> Result<Self, String> {
        if factor <= Ratio::from(0)
            || factor > Ratio::from(256)
            || *factor.numer().max(factor.denom()) > MAX_PART
        {
            return Err(format!(
                "the factor is {factor}: it is above 0, up to 256, as a fraction of numbers up to {MAX_PART}"
            ));
        }
        let wide = Ratio::new(i128::from(*factor.numer()), i128::from(*factor.denom()));
        let count = (wide * i128::from(source)).ceil().to_integer();
        let too_many =
            || format!("{source} frames times {factor} are {count} frames, more than a clip can have");
        let count = u32::try_from(count)
            .ok()
            .filter(|count| *count <= i32::MAX as u32);
        Ok(Self {
            factor,
            source,
            count: count.ok_or_else(too_many)?,
        })
    }

    /// Returns the number of output frames.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns the position of output frame `number`, from 0 to below [`Positions::count`].
    pub fn at(&self, number: u32) -> Position {
        let position = Ratio::from(i64::from(number)) / self.factor;
        let left = position.to_integer();
        let last = i64::from(self.source) - 1;
        let step = self.factor.recip();
        let rest = Ratio::from(left + 1) - position;
        let within = step.min(rest);
        let beyond = match left < last {
            true => (step - within).min(Ratio::from(1)),
            false => Ratio::from(0),
        };
        let distance = position - left;
        Position {
            left: left as u32,
            distance,
            timestep: match left < last {
                true => distance,
                false => Ratio::from(0),
            },
            lengths: [within, beyond],
        }
    }

    /// Reports whether output frame `number` is the first at or after its source frame.
    pub fn is_first(&self, number: u32) -> bool {
        number == 0 || self.at(number - 1).left != self.at(number).left
    }

    /// Reports whether output frame `number` is the last before the next source frame.
    pub fn is_last(&self, number: u32) -> bool {
        number + 1 >= self.count || self.at(number + 1).left != self.at(number).left
    }
}
