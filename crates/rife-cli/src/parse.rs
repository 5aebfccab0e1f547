//! Parsers of option values that only the command line has.

use std::time::Duration;

use rife::media::sink::{MAX_SHARDS, Shard};
use rife::options::{FromValue, Kind, Refusal};

/// Parses a width and height: `1280x768`.
pub(crate) fn size(text: &str) -> Result<[u32; 2], Refusal> {
    <[u32; 2]>::from_value(&Kind::Size.parse(text)?)
}

/// Parses an interval of 0.05 to 3600 seconds.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .filter(|seconds| (0.05..=3600.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds from 0.05 to 3600".into())
}

/// Parses a shard's number and the number of shards: `2/8`.
pub(crate) fn shard(text: &str) -> Result<Shard, String> {
    let numbers = text
        .split_once('/')
        .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    numbers
        .filter(|&(index, count)| (1..=count).contains(&index) && count <= MAX_SHARDS)
        .map(|(index, count)| Shard { index, count })
        .ok_or_else(|| "I/N with I from 1 to N and N up to 10000, such as 2/8".into())
}

/// Parses a SHA-256 in hexadecimal; returns it in lower case.
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
    fn shards_sizes_times_and_hashes() {
        assert_eq!(shard("2/8"), Ok(Shard { index: 2, count: 8 }));
        assert!(shard("0/8").is_err() && shard("9/8").is_err() && shard("2").is_err());
        assert_eq!(size("1280x768"), Ok([1280, 768]));
        assert!(size("1280").is_err());
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        assert!(interval("0").is_err() && sha256("00").is_err());
    }
}
