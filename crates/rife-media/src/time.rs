//! Exact times: rational seconds, conversion to and from ticks of a time base, and parsing of times and rates.

use num_rational::Ratio;

/// A time or duration in seconds, exact.
pub type Time = Ratio<i64>;

/// The largest absolute time that is accepted, in seconds (about three years).
pub const MAX_SECONDS: i64 = 100_000_000;

/// The largest denominator that [`from_fraction`] accepts; denominators of ffmpeg's time bases have 31 bits.
pub const MAX_DENOMINATOR: i64 = 1 << 40;

/// Returns the time of `[numerator, denominator]` seconds; `None` where its absolute value exceeds [`MAX_SECONDS`] or the
/// denominator is not in 1 to [`MAX_DENOMINATOR`], so that sums of such times cannot overflow.
pub fn from_fraction([numer, denom]: [i64; 2]) -> Option<Time> {
    let accepted = (1..=MAX_DENOMINATOR).contains(&denom) && numer != i64::MIN;
    let time = accepted.then(|| Ratio::new(numer, denom))?;
    (time.to_integer().abs() <= MAX_SECONDS).then_some(time)
}

/// Converts `ticks` of `time_base` (seconds per tick) to seconds; `None` where that exceeds [`MAX_SECONDS`].
pub fn from_ticks(ticks: i64, time_base: Time) -> Option<Time> {
    let numer = i128::from(ticks) * i128::from(*time_base.numer());
    narrow(Ratio::new(numer, i128::from(*time_base.denom())))
}

/// Returns the tick of `time_base` nearest to `time`; halves are rounded away from zero.
pub fn to_ticks(time: Time, time_base: Time) -> i64 {
    let ticks = widen(time) / widen(time_base);
    i64::try_from(ticks.round().to_integer()).unwrap_or(i64::MAX)
}

/// Converts `time` to 128 bits, in which sums and products of times cannot overflow.
pub(crate) fn widen(time: Time) -> Ratio<i128> {
    Ratio::new_raw(i128::from(*time.numer()), i128::from(*time.denom()))
}

/// Converts a 128-bit time to 64 bits; `None` where numerator or denominator does not fit or it exceeds [`MAX_SECONDS`].
pub(crate) fn narrow(time: Ratio<i128>) -> Option<Time> {
    let numer = i64::try_from(*time.numer()).ok()?;
    let denom = i64::try_from(*time.denom()).ok()?;
    let time = Ratio::new_raw(numer, denom);
    (time.to_integer().checked_abs()? <= MAX_SECONDS).then_some(time)
}

/// Parses a positive fraction, `30000/1001`, `30000:1001` or `25`; `None` for 0/0, zero and negative values.
pub fn parse_fraction(text: &str) -> Option<Time> {
    let (numer, denom) = text.split_once(['/', ':']).unwrap_or((text, "1"));
    let (numer, denom) = (
        numer.trim().parse::<i64>().ok()?,
        denom.trim().parse::<i64>().ok()?,
    );
    (numer > 0 && denom > 0).then(|| Ratio::new(numer, denom))
}

/// Parses a frame rate multiplier of 1 to 256, `2`, `2.5` or `5/2`; its numerator is at most 100 000, its denominator at
/// most 1000.
pub fn parse_factor(text: &str) -> Option<Ratio<i64>> {
    let value = parse_decimal(text).or_else(|| parse_fraction(text));
    let inside = |value: &Ratio<i64>| (Ratio::from(1)..=Ratio::from(256)).contains(value);
    let simple = |value: &Ratio<i64>| *value.numer() <= 100_000 && *value.denom() <= 1000;
    value.filter(|value| inside(value) && simple(value))
}

/// Parses a rate in frames per second, above 0 and up to 1000: `60`, `23.976`, `30000/1001`. Decimal NTSC rates become
/// the exact ones: 23.976 is 24000/1001.
pub fn parse_rate(text: &str) -> Option<Ratio<i64>> {
    let rate = parse_fraction(text).or_else(|| parse_decimal(text).map(ntsc));
    rate.filter(|rate| *rate > Ratio::from(0) && *rate <= Ratio::from(1000))
}

/// Returns the NTSC rate `n * 1000 / 1001` within 0.006 of a fractional `rate`, or `rate` itself.
fn ntsc(rate: Ratio<i64>) -> Ratio<i64> {
    let exact = Ratio::new((rate * 1001 / 1000).round().to_integer() * 1000, 1001);
    if !rate.is_integer() && seconds(rate - exact).abs() < 0.006 {
        exact
    } else {
        rate
    }
}

/// Parses a decimal number of up to 9 fractional digits, such as `12.345678` or `-0.02`, exactly.
pub fn parse_decimal(text: &str) -> Option<Time> {
    let text = text.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let scale = 10_i64.pow(fraction.len() as u32);
    let fraction = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<i64>().ok()?
    };
    let value = integer
        .parse::<i64>()
        .ok()?
        .checked_mul(scale)?
        .checked_add(fraction)?;
    narrow(Ratio::new(
        i128::from(if negative { -value } else { value }),
        i128::from(scale),
    ))
}

/// Converts `time` to floating-point seconds.
pub fn seconds(time: Time) -> f64 {
    *time.numer() as f64 / *time.denom() as f64
}

/// Formats a time in seconds with six decimals, as ffmpeg's options expect.
pub(crate) fn decimal_seconds(time: Time) -> String {
    let micros = to_ticks(time, Ratio::new(1, 1_000_000));
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_becomes_the_nearest_tick() {
        let millisecond = Time::new(1, 1000);
        let ticks = |n, d| to_ticks(Time::new(n, d), millisecond);
        assert_eq!(
            [
                ticks(1, 3),
                ticks(2, 3),
                ticks(1, 2000),
                ticks(-1, 2000),
                ticks(-2, 3)
            ],
            [333, 667, 1, -1, -667]
        );
        assert_eq!(from_ticks(667, millisecond), Some(Time::new(667, 1000)));
    }
}
