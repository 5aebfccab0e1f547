//! Ids of uploads and jobs: a prefix and 96 random bits in hexadecimal. No other text of a request becomes part of a path.

use std::fmt::Write;

use crate::error::{ApiError, Result};

/// Returns a new id: `prefix`, `_`, and 24 random hexadecimal digits.
pub(crate) fn new(prefix: &str) -> Result<String> {
    Ok(format!("{prefix}_{}", random::<12>()?))
}

/// Returns `N` cryptographically random bytes in hexadecimal.
pub(crate) fn random<const N: usize>() -> Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(ApiError::internal)?;
    Ok(hexadecimal(&bytes))
}

/// Formats bytes in lowercase hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reports whether `id` has the form of an id with this prefix; other texts are never searched for.
pub(crate) fn is_valid(id: &str, prefix: &str) -> bool {
    let digits = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
    digits.is_some_and(|digits| {
        digits.len() == 24
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_our_form_is_an_id() {
        assert!(super::is_valid(&super::new("up").unwrap(), "up"));
        for bad in [
            "",
            "up_",
            "up_../../../../etc/passwd",
            "up_0123456789ABCDEF01234567",
            "job_0123456789abcdef01234567",
        ] {
            assert!(!super::is_valid(bad, "up"), "{bad}");
        }
    }
}
