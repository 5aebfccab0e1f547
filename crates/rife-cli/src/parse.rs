//! Values of options from text: rates, times, sizes, names.

use std::time::Duration;

use num_rational::Ratio;
use rife::media::sink::{MAX_SHARDS, Shard};
use rife::media::time;

/// A rate in frames a second: `60`, `23.976`, `30000/1001`.
///
/// The decimal forms of the NTSC rates mean the exact ones: 23.976 is 24000/1001.
pub(crate) fn rate(text: &str) -> Result<Ratio<i64>, String> {
    time::parse_rate(text).ok_or_else(|| {
        "a rate is above 0 and up to 1000 frames a second, such as 60, 59.94 or 60000/1001".into()
    })
}

/// How many frames for each one: `2`, `2.5`, `5/2`.
pub(crate) fn factor(text: &str) -> Result<Ratio<i64>, String> {
    time::parse_factor(text)
        .ok_or_else(|| "a factor is from 1 to 256, such as 2, 2.5 or 5/2, with three decimals at most".into())
}

/// A time between two pictures: `0.3` or `1/3`.
pub(crate) fn fraction(text: &str) -> Result<Ratio<i64>, String> {
    let value = time::parse_decimal(text).or_else(|| time::parse_fraction(text));
    value
        .filter(|value| *value >= Ratio::from(0) && *value <= Ratio::from(1))
        .ok_or_else(|| {
            "a time is between 0 (the first picture) and 1 (the second), such as 0.5 or 1/3".into()
        })
}

/// A size: `1280x768`.
pub(crate) fn size(text: &str) -> Result<[u32; 2], String> {
    let sides = text
        .split_once(['x', 'X'])
        .and_then(|(w, h)| Some([w.parse().ok()?, h.parse().ok()?]));
    sides
        .filter(|sides: &[u32; 2]| sides.iter().all(|side| (16..=16384).contains(side)))
        .ok_or_else(|| "a size is WIDTHxHEIGHT, 16 to 16384 each, such as 1280x768".into())
}

/// An amount of memory in bytes: `700M`, `2G`, `1.5GB`, powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim().to_ascii_uppercase();
    let number = text.trim_end_matches('B').trim_end_matches('I');
    let unit = |letter: char, power: u32| number.strip_suffix(letter).map(|rest| (rest, 1_u64 << power));
    let (number, unit) = unit('K', 10)
        .or_else(|| unit('M', 20))
        .or_else(|| unit('G', 30))
        .unwrap_or((number, 1));
    let value = number.trim().parse::<f64>().ok();
    let value = value.filter(|value| value.is_finite() && *value > 0.0 && *value < 1e9);
    value
        .map(|value| (value * unit as f64) as u64)
        .ok_or_else(|| "a size is a number of bytes with K, M or G, such as 700M or 1.5G".into())
}

/// A file name's extension.
pub(crate) fn extension(text: &str) -> Result<String, String> {
    let text = text.trim_start_matches('.');
    let plain = !text.is_empty() && text.len() <= 8 && text.chars().all(|c| c.is_ascii_alphanumeric());
    if plain {
        Ok(text.to_owned())
    } else {
        Err("an extension is a few letters, such as mp4 or mkv".into())
    }
}

/// A time to wait, in seconds.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .filter(|seconds| (0.05..=3600.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds from 0.05 to 3600".into())
}

/// A share of one.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok();
    value
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| "a number from 0 to 1".into())
}

/// One of several machines: `2/8`.
pub(crate) fn shard(text: &str) -> Result<Shard, String> {
    let numbers = text
        .split_once('/')
        .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    numbers
        .filter(|&(index, count)| (1..=count).contains(&index) && count <= MAX_SHARDS)
        .map(|(index, count)| Shard { index, count })
        .ok_or_else(|| "I/N with I from 1 to N and N up to 10000, such as 2/8".into())
}

/// A SHA-256 in hexadecimal.
pub(crate) fn sha256(text: &str) -> Result<String, String> {
    let hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a SHA-256 is 64 hexadecimal digits".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact() {
        assert_eq!(rate("60"), Ok(Ratio::from(60)));
        assert_eq!(rate("59.94"), Ok(Ratio::new(60000, 1001)));
        assert_eq!(rate("23.976"), Ok(Ratio::new(24000, 1001)));
        assert_eq!(rate("29.97"), Ok(Ratio::new(30000, 1001)));
        assert_eq!(rate("12.5"), Ok(Ratio::new(25, 2)));
        assert_eq!(rate("60000/1001"), Ok(Ratio::new(60000, 1001)));
        for bad in ["0", "-5", "1/0", "fast", "2000", ""] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn factors_are_exact() {
        let known = ["2", "2.5", "5/2", "1.1", "23.976", "1", "256", "7/3"].map(|text| factor(text).unwrap());
        assert_eq!(
            known,
            [
                (2, 1),
                (5, 2),
                (5, 2),
                (11, 10),
                (2997, 125),
                (1, 1),
                (256, 1),
                (7, 3)
            ]
            .map(|(n, d)| Ratio::new(n, d))
        );
        for wrong in [
            "0",
            "0.5",
            "-2",
            "257",
            "2,5",
            "two",
            "",
            "1/0",
            "100001/1000",
            "2.0000001",
        ] {
            assert!(factor(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_of_memory() {
        assert_eq!(bytes("700M"), Ok(700 << 20));
        assert_eq!(bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(bytes("2gb"), Ok(2 << 30));
        for wrong in ["", "much", "-1G", "0", "inf", "1T", "G"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_sizes_and_names() {
        assert_eq!(fraction("0.25"), Ok(Ratio::new(1, 4)));
        assert_eq!(fraction("1/3"), Ok(Ratio::new(1, 3)));
        assert!(fraction("1.5").is_err() && fraction("-0.5").is_err());
        assert_eq!(size("1280x768"), Ok([1280, 768]));
        assert!(size("1280").is_err() && size("8x8").is_err() && size("99999x16").is_err());
        assert_eq!(extension(".mkv"), Ok("mkv".into()));
        assert!(extension("../mp4").is_err() && sha256("00").is_err());
    }
}
