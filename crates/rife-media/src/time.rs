//! Exact times: rational seconds, time bases, and the rounding between them. No floats.

use num_rational::Ratio;

/// A time or duration in seconds, exact.
pub type Time = Ratio<i64>;

/// The largest absolute time that is accepted, in seconds (about three years).
pub const MAX_SECONDS: i64 = 100_000_000;

/// The finest division of a second that is accepted in a file of ours; ffmpeg's own time bases have 31 bits.
pub const MAX_DENOMINATOR: i64 = 1 << 40;

/// A time that a file of ours holds as numerator and denominator; nothing where it is beyond [`MAX_SECONDS`] or finer than
/// [`MAX_DENOMINATOR`], so that sums of such times cannot overflow.
pub fn from_fraction([numer, denom]: [i64; 2]) -> Option<Time> {
    let accepted = (1..=MAX_DENOMINATOR).contains(&denom) && numer != i64::MIN;
    let time = accepted.then(|| Ratio::new(numer, denom))?;
    (time.to_integer().abs() <= MAX_SECONDS).then_some(time)
}

/// `ticks` of `time_base` in seconds, or nothing where that is beyond [`MAX_SECONDS`].
pub fn from_ticks(ticks: i64, time_base: Time) -> Option<Time> {
    let numer = i128::from(ticks) * i128::from(*time_base.numer());
    narrow(Ratio::new(numer, i128::from(*time_base.denom())))
}

/// The tick of `time_base` nearest to `time`, halves away from zero.
pub fn to_ticks(time: Time, time_base: Time) -> i64 {
    let ticks = widen(time) / widen(time_base);
    i64::try_from(ticks.round().to_integer()).unwrap_or(i64::MAX)
}

/// The same value in 128 bits, where sums and products of times cannot overflow.
pub(crate) fn widen(time: Time) -> Ratio<i128> {
    Ratio::new_raw(i128::from(*time.numer()), i128::from(*time.denom()))
}

/// Back to 64 bits; nothing where the value is out of range or too finely divided.
pub(crate) fn narrow(time: Ratio<i128>) -> Option<Time> {
    let numer = i64::try_from(*time.numer()).ok()?;
    let denom = i64::try_from(*time.denom()).ok()?;
    let time = Ratio::new_raw(numer, denom);
    (time.to_integer().checked_abs()? <= MAX_SECONDS).then_some(time)
}

/// A positive fraction written `30000/1001`, `30000:1001` or `25`; nothing for 0/0, zero and negatives.
pub fn parse_fraction(text: &str) -> Option<Time> {
    let (numer, denom) = text.split_once(['/', ':']).unwrap_or((text, "1"));
    let (numer, denom) = (
        numer.trim().parse::<i64>().ok()?,
        denom.trim().parse::<i64>().ok()?,
    );
    (numer > 0 && denom > 0).then(|| Ratio::new(numer, denom))
}

/// How many frames for each one, 1 to 256: `2`, `2.5`, `5/2`; with a numerator up to 100 000 and a denominator up to 1000.
pub fn parse_factor(text: &str) -> Option<Ratio<i64>> {
    let value = parse_decimal(text).or_else(|| parse_fraction(text));
    let inside = |value: &Ratio<i64>| (Ratio::from(1)..=Ratio::from(256)).contains(value);
    let simple = |value: &Ratio<i64>| *value.numer() <= 100_000 && *value.denom() <= 1000;
    value.filter(|value| inside(value) && simple(value))
}

/// A rate in frames a second, above 0 and up to 1000: `60`, `23.976`, `30000/1001`. The decimal forms of the NTSC rates
/// mean the exact ones: 23.976 is 24000/1001.
pub fn parse_rate(text: &str) -> Option<Ratio<i64>> {
    let rate = parse_fraction(text).or_else(|| parse_decimal(text).map(ntsc));
    rate.filter(|rate| *rate > Ratio::from(0) && *rate <= Ratio::from(1000))
}

/// The exact NTSC rate within a thousandth of `rate`, or `rate` itself.
fn ntsc(rate: Ratio<i64>) -> Ratio<i64> {
    let exact = Ratio::new((rate * 1001 / 1000).round().to_integer() * 1000, 1001);
    if !rate.is_integer() && seconds(rate - exact).abs() < 0.006 {
        exact
    } else {
        rate
    }
}

/// A decimal number of seconds such as `12.345678` or `-0.02`, exactly.
pub fn parse_decimal(text: &str) -> Option<Time> {
    let text = text.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let scale = 10_i64.pow(fraction.len() as u32);
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<i64>().ok()?
    };
    let value = whole.parse::<i64>().ok()?.checked_mul(scale)?.checked_add(part)?;
    narrow(Ratio::new(
        i128::from(if negative { -value } else { value }),
        i128::from(scale),
    ))
}

/// `time` in seconds for a message, such as `12.345 s`.
pub fn seconds(time: Time) -> f64 {
    *time.numer() as f64 / *time.denom() as f64
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
